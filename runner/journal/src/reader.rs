//! Reading a journal back: every line is proved before it is believed.

use crate::chain::Chain;
use crate::entry::{Entry, FORMAT, Header};
use runner_model::{Digest, Verdict};
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read as _};
use std::path::Path;

/// The longest line that is read: far more than any that is written, since payloads are elsewhere.
const LINE_MAX: u64 = 64 * 1024 * 1024;

/// A line that proved itself.
#[derive(Debug, Clone, PartialEq)]
pub struct Recorded {
    /// 0 for the header.
    pub seq: u64,
    /// Milliseconds since the journal was begun.
    pub at: u64,
    /// What was recorded.
    pub entry: Entry,
    /// The hash of the line.
    pub hash: Digest,
}

/// What is wrong with a journal. All before the named line is as it was written.
#[derive(Debug, thiserror::Error)]
pub enum Damage {
    /// It cannot be read.
    #[error("read the journal: {0}")]
    Io(#[from] io::Error),
    /// The last line has no end: the run was cut off while it was written, as in a power failure. It was never
    /// durable, so nothing that it announces has happened.
    #[error(
        "line {line} of the journal is torn: it ends in the middle, after {offset} whole bytes before it"
    )]
    Torn {
        /// Counted from 1.
        line: u64,
        /// Where it begins: the length of what is whole.
        offset: u64,
    },
    /// A line does not prove itself, or does not follow: somebody or something changed the file.
    #[error("line {line} of the journal is broken: {why}")]
    Broken {
        /// Counted from 1.
        line: u64,
        /// What does not fit.
        why: String,
        /// It is the last line of the file: it may be what a power failure left.
        last: bool,
    },
    /// It was written by another version.
    #[error("the journal has format {found}, and this runner reads format {FORMAT}: use a newer runner")]
    Version {
        /// The version in its header.
        found: u64,
    },
    /// There is no header.
    #[error("the journal is empty: the run never began")]
    Empty,
}

/// The lines of a journal, one after another; ends with the first damage.
#[derive(Debug)]
pub struct Reader<R> {
    input: R,
    chain: Chain,
    line: u64,
    offset: u64,
    done: bool,
}

impl Reader<BufReader<File>> {
    /// Opens a file.
    ///
    /// # Errors
    /// It cannot be opened.
    pub fn open(path: &Path) -> Result<Self, Damage> {
        Ok(Self::new(BufReader::new(File::open(path)?)))
    }
}

impl<R: BufRead> Reader<R> {
    /// Reads from the first line on.
    pub fn new(input: R) -> Self {
        Self { input, chain: Chain::default(), line: 0, offset: 0, done: false }
    }

    fn read(&mut self) -> Result<Option<Recorded>, Damage> {
        let mut bytes = Vec::new();
        self.input.by_ref().take(LINE_MAX).read_until(b'\n', &mut bytes)?;
        if bytes.is_empty() {
            return if self.line == 0 { Err(Damage::Empty) } else { Ok(None) };
        }
        self.line += 1;
        let line = self.line;
        let length = bytes.len() as u64;
        if bytes.pop() != Some(b'\n') {
            if length == LINE_MAX {
                return Err(Damage::Broken { line, why: "it is longer than 64 MiB".to_owned(), last: false });
            }
            return Err(Damage::Torn { line, offset: self.offset });
        }
        let recorded = match self.prove(&bytes) {
            Ok(recorded) => recorded,
            Err(Wrong::Version(found)) => return Err(Damage::Version { found }),
            Err(Wrong::Broken(why)) => {
                let last = self.input.fill_buf()?.is_empty();
                return Err(Damage::Broken { line, why, last });
            }
        };
        self.offset += length;
        Ok(Some(recorded))
    }

    fn prove(&mut self, bytes: &[u8]) -> Result<Recorded, Wrong> {
        let broken = |why: &str| Wrong::Broken(why.to_owned());
        let text = std::str::from_utf8(bytes).map_err(|_| broken("it is not UTF-8"))?;
        let first = self.chain.next == 0;
        let (at, line, value) = self.chain.verify(text).map_err(Wrong::Broken)?;
        if first {
            // Before all else of the header is looked at: a newer one may have more in it.
            match value.get("format").and_then(serde_json::Value::as_u64) {
                Some(found) if found != u64::from(FORMAT) => return Err(Wrong::Version(found)),
                Some(_) => {}
                None => return Err(broken("a header is missing")),
            }
        }
        let entry: Entry = serde_json::from_value(value).map_err(|error| Wrong::Broken(error.to_string()))?;
        if matches!(entry, Entry::Header(_)) != first {
            return Err(broken("a header is the first entry, and only the first"));
        }
        Ok(Recorded { seq: line.seq, at, entry, hash: line.hash })
    }
}

enum Wrong {
    Broken(String),
    Version(u64),
}

impl<R: BufRead> Iterator for Reader<R> {
    type Item = Result<Recorded, Damage>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.done {
            return None;
        }
        let next = self.read().transpose();
        self.done = !matches!(next, Some(Ok(_)));
        next
    }
}

/// Proves a line that is alone, as targets keep the intents: that it is whole, and not what comes before it.
///
/// # Errors
/// It is not a line of a journal, or not what was written.
pub fn proved(line: &str) -> Result<Recorded, String> {
    let (at, sealed, entry) = Chain::alone(line)?;
    let entry = serde_json::from_value(entry).map_err(|error| error.to_string())?;
    Ok(Recorded { seq: sealed.seq, at, entry, hash: sealed.hash })
}

/// A whole journal.
#[derive(Debug)]
pub struct Record {
    /// What was run, with what.
    pub header: Header,
    /// All after the header that is whole.
    pub entries: Vec<Recorded>,
    /// The hash of the last whole line: what the run's report must show.
    pub last: Digest,
    /// Where the last whole line ends, in bytes.
    pub whole: u64,
    /// What is wrong with what follows the last whole line; `None`: nothing follows.
    pub damage: Option<Damage>,
}

impl Record {
    /// Reads all that is whole. Whether damage behind it matters is for the caller to say: a torn line does not.
    ///
    /// # Errors
    /// Not even the header can be read.
    pub fn load(path: &Path) -> Result<Self, Damage> {
        Self::from_reader(Reader::open(path)?)
    }

    /// The same from anywhere.
    ///
    /// # Errors
    /// Not even the header can be read.
    pub fn from_reader<R: BufRead>(mut reader: Reader<R>) -> Result<Self, Damage> {
        let first = reader.next().unwrap_or(Err(Damage::Empty))?;
        let Entry::Header(header) = first.entry else { return Err(Damage::Empty) };
        let mut record = Self { header: *header, entries: vec![], last: first.hash, whole: 0, damage: None };
        for line in reader.by_ref() {
            match line {
                Ok(recorded) => {
                    record.last = recorded.hash;
                    record.entries.push(recorded);
                }
                Err(damage) => record.damage = Some(damage),
            }
        }
        record.whole = reader.offset;
        Ok(record)
    }

    /// How the run ended last; `None`: it never came to its end, or somebody went on with it and did not.
    pub fn closed(&self) -> Option<Verdict> {
        match self.entries.last()?.entry {
            Entry::Closed { verdict } => Some(verdict),
            _ => None,
        }
    }

    /// The end of the chain, for whoever appends to it.
    pub(crate) fn chain(&self) -> Chain {
        Chain { next: self.entries.last().map_or(0, |last| last.seq) + 1, last: self.last }
    }
}

#[cfg(test)]
mod tests;
