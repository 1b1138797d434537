//! The doors of the fuzz targets (`fuzz/`) to what no other crate sees. Built only for them.

use crate::frame::{Demux, Piece};
use crate::listing;
use runner_artifact::Node;

/// The nonce of these streams.
const NONCE: &str = "NNN";

/// Takes a stream apart whose first byte says how it is cut.
///
/// # Panics
/// The pieces depend on the cut, or payload is lost.
pub fn framing(bytes: &[u8]) {
    let Some((&cut, stream)) = bytes.split_first() else { return };
    let whole = pieces(stream, stream.len().max(1));
    let cut = pieces(stream, usize::from(cut).max(1));
    assert_eq!(whole, cut, "how a stream is cut decides what is in it");
}

/// Reads a listing as each verb that prints one does.
///
/// # Panics
/// On a bug in reading it.
pub fn listings(bytes: &[u8]) {
    let _ = listing::stat_line(&String::from_utf8_lossy(bytes));
    let _ = listing::sum(bytes);
    if let Ok(entries) = listing::folder(bytes, NONCE) {
        assert!(entries.is_sorted_by(|a, b| a.name.as_bytes() <= b.name.as_bytes()));
    }
    if let Ok(listed) = listing::tree(bytes, NONCE) {
        // A folder may come from the names below it alone.
        let listed_ones = listed.tree.entries().filter(|(_, node)| !matches!(node, Node::Directory)).count();
        assert!(listed_ones <= listed.owners.len());
    }
}

/// All payload, and the records with the place in it at which they came.
fn pieces(stream: &[u8], cut: usize) -> (Vec<u8>, Vec<(usize, String, String)>) {
    let mut demux = Demux::new(NONCE);
    let (mut payload, mut records) = (Vec::new(), Vec::new());
    for chunk in stream.chunks(cut) {
        demux.feed(chunk);
        while let Some(piece) = demux.next() {
            match piece {
                Piece::Payload(bytes) => payload.extend(bytes),
                Piece::Record { word, value } => records.push((payload.len(), word, value)),
            }
        }
    }
    payload.extend(demux.rest());
    (payload, records)
}
