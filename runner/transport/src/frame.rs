//! Takes a stream apart that has payload and, each after a nonce, control records:
//! `NONCE:WORD:VALUE` and a line end. Whoever does not know the nonce cannot make a record, whatever the payload is.

/// A piece of a stream.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    /// Bytes of payload.
    Payload(Vec<u8>),
    /// A control record.
    Record { word: String, value: String },
}

/// The state between reads.
#[derive(Debug)]
pub(crate) struct Demux {
    mark: Vec<u8>,
    held: Vec<u8>,
    /// Up to here `held` has no beginning of the mark.
    searched: usize,
}

/// Longer than any record.
const RECORD_MAX: usize = 256;

impl Demux {
    pub(crate) fn new(nonce: &str) -> Self {
        Self { mark: format!("{nonce}:").into_bytes(), held: Vec::new(), searched: 0 }
    }

    /// Takes bytes in; [`Demux::next`] gives pieces out.
    pub(crate) fn feed(&mut self, bytes: &[u8]) {
        self.held.extend_from_slice(bytes);
    }

    /// The next piece, if one is complete. Payload comes as soon as it cannot be the beginning of a record.
    pub(crate) fn next(&mut self) -> Option<Piece> {
        match find(&self.held, &self.mark, self.searched) {
            Some(0) => {
                // Nothing behind that place counts, or the end of a record would depend on how much has come.
                let end = self.held.iter().take(RECORD_MAX + 1).position(|&b| b == b'\n').or_else(|| {
                    // Not a record after all; cannot happen unless the far side is broken.
                    (self.held.len() > RECORD_MAX).then_some(RECORD_MAX)
                })?;
                let record: Vec<u8> = self.held.drain(..=end).collect();
                self.searched = 0;
                let text = String::from_utf8_lossy(&record[self.mark.len()..end]).into_owned();
                let (word, value) = text.split_once(':').unwrap_or((&text, ""));
                Some(Piece::Record { word: word.to_owned(), value: value.to_owned() })
            }
            Some(at) => {
                self.searched = 0;
                Some(Piece::Payload(self.held.drain(..at).collect()))
            }
            None => {
                // The last bytes may be the first ones of a mark.
                let free = self.held.len().saturating_sub(self.mark.len() - 1);
                self.searched = 0;
                (free > 0).then(|| Piece::Payload(self.held.drain(..free).collect()))
            }
        }
    }

    /// What is left when the stream has ended.
    pub(crate) fn rest(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.held)
    }
}

fn find(haystack: &[u8], needle: &[u8], from: usize) -> Option<usize> {
    let first = *needle.first()?;
    let mut at = from;
    while let Some(skip) = haystack.get(at..)?.iter().position(|&b| b == first) {
        at += skip;
        if haystack[at..].starts_with(needle) {
            return Some(at);
        }
        at += 1;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn all(demux: &mut Demux, payload: &mut Vec<u8>, records: &mut Vec<(String, String)>) {
        while let Some(piece) = demux.next() {
            match piece {
                Piece::Payload(bytes) => payload.extend(bytes),
                Piece::Record { word, value } => records.push((word, value)),
            }
        }
    }

    #[test]
    fn where_an_overlong_record_ends_does_not_depend_on_how_much_has_come() {
        let stream = format!("NNN:{}\nrest", "x".repeat(RECORD_MAX));
        let pieces = |cut: usize| {
            let mut demux = Demux::new("NNN");
            let (mut payload, mut records) = (Vec::new(), Vec::new());
            for chunk in stream.as_bytes().chunks(cut) {
                demux.feed(chunk);
                all(&mut demux, &mut payload, &mut records);
            }
            payload.extend(demux.rest());
            (payload, records)
        };
        assert_eq!(pieces(stream.len()), pieces(10));
    }

    proptest! {
        #[test]
        fn pieces_are_the_same_however_the_stream_is_cut(cut in 1usize..9, text in "[abN:\n]{0,30}") {
            let stream = format!("{text}NNN:7:0\n{text}NNN:8:41\n");
            let mut demux = Demux::new("NNN");
            let (mut payload, mut records) = (Vec::new(), Vec::new());
            for chunk in stream.as_bytes().chunks(cut) {
                demux.feed(chunk);
                all(&mut demux, &mut payload, &mut records);
            }
            if !text.contains("NN") && !text.ends_with('N') {
                prop_assert_eq!(records, vec![("7".to_owned(), "0".to_owned()), ("8".to_owned(), "41".to_owned())]);
                prop_assert_eq!(payload, format!("{text}{text}").into_bytes());
            }
        }
    }
}
