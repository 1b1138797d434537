//! Hides known texts in other text, wherever a stream is cut. All that any of them covers is hidden, overlaps too.

use aho_corasick::{AhoCorasick, MatchKind};
use runner_model::HIDDEN;
use std::collections::BTreeSet;
use std::sync::Arc;

/// So many forms may be added to those of the values: some 400 encoded ones. Each addition costs what all that is known
/// costs, which a step could make use of; what it has made beyond that is refused, since it could not be hidden.
const MOST_ADDED: usize = 4096;

/// The texts to hide.
#[derive(Default)]
pub(crate) struct Mask {
    forms: BTreeSet<Vec<u8>>,
    finder: Option<AhoCorasick>,
    longest: usize,
    added: usize,
}

impl Drop for Mask {
    fn drop(&mut self) {
        use zeroize::Zeroize as _;
        std::mem::take(&mut self.forms).into_iter().for_each(|mut form| form.zeroize());
    }
}

impl Mask {
    pub(crate) fn of(forms: BTreeSet<Vec<u8>>) -> Self {
        let finder = AhoCorasick::builder().match_kind(MatchKind::Standard).build(&forms);
        let longest = forms.iter().map(Vec::len).max().unwrap_or_default();
        // It fails for more than 2^31 bytes of texts: each of the few has at most 1 MiB.
        Self { finder: finder.ok().filter(|_| !forms.is_empty()), forms, longest, added: 0 }
    }

    /// The same with these; `None`: there are too many.
    pub(crate) fn with(&self, more: BTreeSet<Vec<u8>>) -> Option<Self> {
        let added = self.added + more.len();
        if added > MOST_ADDED {
            return None;
        }
        let mut mask = Self::of(self.forms.iter().cloned().chain(more).collect());
        mask.added = added;
        Some(mask)
    }

    pub(crate) fn is_in(&self, bytes: &[u8]) -> bool {
        self.finder.as_ref().is_some_and(|finder| finder.is_match(bytes))
    }

    /// Whether all of the text is hidden by what is known.
    pub(crate) fn finds_all_of(&self, text: &str) -> bool {
        self.forms.contains(text.as_bytes())
    }

    pub(crate) fn hide(self: &Arc<Self>, text: &str) -> String {
        if !self.is_in(text.as_bytes()) {
            return text.to_owned();
        }
        let mut stream = Stream::new(Arc::clone(self));
        let mut hidden = stream.feed(text.as_bytes()).into_bytes();
        hidden.extend(stream.finish().into_bytes());
        // What is hidden begins and ends with whole characters, but for base64 and the like, which are ASCII.
        String::from_utf8(hidden)
            .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
    }

    /// Where the end begins that may be the beginning of something to hide.
    fn open_end(&self, bytes: &[u8], from: usize) -> usize {
        let from = from.max(bytes.len().saturating_sub(self.longest.saturating_sub(1)));
        let begins = |at: &usize| {
            let end = &bytes[*at..];
            // Sorted: what begins with `end` comes right after it.
            let next = self
                .forms
                .range::<[u8], _>((std::ops::Bound::Excluded(end), std::ops::Bound::Unbounded))
                .next();
            next.is_some_and(|form| form.starts_with(end))
        };
        (from..bytes.len()).find(begins).unwrap_or(bytes.len())
    }
}

/// What came out of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stretch(Vec<u8>);

impl Stretch {
    /// The bytes.
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}

/// A stream on its way. What could be the beginning of a value is held back until it is clear.
pub struct Stream {
    mask: Arc<Mask>,
    held: Vec<u8>,
    /// Up to here, what is held is part of something that was found.
    hidden_to: usize,
    /// The last that came out was hidden: what follows without a gap is part of it.
    in_hidden: bool,
}

impl std::fmt::Debug for Stream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Stream")
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        zeroize::Zeroize::zeroize(&mut self.held);
    }
}

impl Stream {
    pub(crate) fn new(mask: Arc<Mask>) -> Self {
        Self { mask, held: Vec::new(), hidden_to: 0, in_hidden: false }
    }

    /// Takes bytes in, and gives out what is clear.
    pub fn feed(&mut self, bytes: &[u8]) -> Stretch {
        self.held.extend_from_slice(bytes);
        let open = self.mask.open_end(&self.held, 0);
        self.emit(open)
    }

    /// The rest, when the stream has ended.
    pub fn finish(&mut self) -> Stretch {
        let end = self.held.len();
        self.emit(end)
    }

    fn emit(&mut self, end: usize) -> Stretch {
        let Some(finder) = &self.mask.finder else { return Stretch(std::mem::take(&mut self.held)) };
        let mut spans: Vec<(usize, usize)> = vec![(0, self.hidden_to)];
        spans.extend(finder.find_overlapping_iter(&self.held).map(|found| (found.start(), found.end())));
        spans.sort_unstable();
        let mut out = Vec::with_capacity(end);
        // What is known to be hidden stays so, also when nothing comes out this time.
        let (mut at, mut hidden_to) = (0, self.hidden_to);
        for (from, to) in spans {
            hidden_to = hidden_to.max(if from < end { to } else { 0 });
            let (from, to) = (from.min(end), to.min(end));
            if from > at {
                out.extend_from_slice(&self.held[at..from]);
                self.in_hidden = false;
                at = from;
            }
            if to > at {
                if !self.in_hidden {
                    out.extend_from_slice(HIDDEN.as_bytes());
                }
                self.in_hidden = true;
                at = to;
            }
        }
        if end > at {
            out.extend_from_slice(&self.held[at..end]);
            self.in_hidden = false;
        }
        self.hidden_to = hidden_to.saturating_sub(end);
        self.held.drain(..end);
        Stretch(out)
    }
}
