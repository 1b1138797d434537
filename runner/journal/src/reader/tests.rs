use super::*;
use crate::testing::{entries, event, written};
use proptest::prelude::*;

fn load(bytes: &[u8]) -> Result<Record, Damage> {
    Record::from_reader(Reader::new(bytes))
}

/// Everything that was ever written in format 1 must be read for ever: change this file only by adding another.
const FORMAT_1: &str = include_str!("../../tests/format-1.jsonl");

#[test]
fn format_1_is_written_as_it_always_was_and_read() {
    assert_eq!(written(&entries()), FORMAT_1);
    let record = load(FORMAT_1.as_bytes()).expect("read");
    assert!(record.damage.is_none(), "{:?}", record.damage);
    let read = std::iter::once(Entry::Header(Box::new(record.header)));
    let read: Vec<Entry> = read.chain(record.entries.into_iter().map(|line| line.entry)).collect();
    assert_eq!(read, entries());
}

#[test]
fn what_came_later_is_read_back() {
    let mut header = crate::testing::header();
    let argv = ["./hosts.sh", "--json"].map(str::to_owned).to_vec();
    header.inventory_answer = Some(crate::InventoryAnswer { argv, digest: Digest::of("{}"), size: 2 });
    let facts = crate::Payload::Inline(serde_json::json!({"os": "linux", "disk-free": 5, "has-zstd": true}));
    let facts = Entry::Facts { target: "web-1".parse().expect("a name"), facts };
    let record =
        load(written(&[Entry::Header(Box::new(header.clone())), facts.clone()]).as_bytes()).expect("read");
    assert_eq!((record.header, &record.entries[0].entry), (header, &facts));
}

#[test]
fn a_journal_that_is_cut_at_any_byte_gives_what_is_whole_and_says_that_it_is_torn() {
    let text = FORMAT_1.as_bytes();
    for cut in 0..text.len() {
        let whole = text[..cut].iter().filter(|byte| **byte == b'\n').count();
        let torn = cut > 0 && text[cut - 1] != b'\n';
        match load(&text[..cut]) {
            Ok(record) => {
                assert_eq!(record.entries.len() + 1, whole, "cut at {cut}");
                match record.damage {
                    Some(Damage::Torn { line, offset }) => {
                        assert!(torn, "cut at {cut}");
                        assert_eq!(line, whole as u64 + 1);
                        let before =
                            text[..cut].iter().rposition(|byte| *byte == b'\n').expect("whole lines");
                        assert_eq!(offset, before as u64 + 1);
                    }
                    None => assert!(!torn, "cut at {cut}"),
                    Some(other) => panic!("cut at {cut}: {other}"),
                }
            }
            Err(Damage::Empty) => assert_eq!(cut, 0),
            Err(Damage::Torn { line: 1, offset: 0 }) => assert_eq!(whole, 0),
            Err(other) => panic!("cut at {cut}: {other}"),
        }
    }
}

#[test]
fn a_flipped_bit_anywhere_is_found_in_its_line() {
    let text = FORMAT_1.as_bytes();
    let mut line = 1;
    for (at, byte) in text.iter().enumerate() {
        for bit in 0..8 {
            let mut flipped = text.to_owned();
            flipped[at] ^= 1 << bit;
            let damage = match load(&flipped) {
                Ok(record) => record.damage,
                Err(damage) => Some(damage),
            };
            match damage {
                Some(Damage::Broken { line: found, .. } | Damage::Torn { line: found, .. }) => {
                    assert_eq!(found, line, "byte {at} bit {bit}");
                }
                other => panic!("byte {at} bit {bit}: {other:?}"),
            }
        }
        if *byte == b'\n' {
            line += 1;
        }
    }
}

#[test]
fn lines_that_are_gone_or_moved_are_missed() {
    let lines: Vec<&str> = FORMAT_1.split_inclusive('\n').collect();
    for gone in 0..lines.len() - 1 {
        let rest: String =
            lines.iter().enumerate().filter(|(n, _)| *n != gone).map(|(_, line)| *line).collect();
        let damage = load(rest.as_bytes()).map_or_else(Some, |record| record.damage);
        assert!(
            matches!(&damage, Some(Damage::Broken { line, .. }) if *line == gone as u64 + 1),
            "line {gone}: {damage:?}"
        );
    }
    let twice = [FORMAT_1, lines[10]].concat();
    let record = load(twice.as_bytes()).expect("read");
    let after = lines.len() as u64 + 1;
    assert!(matches!(record.damage, Some(Damage::Broken { line, last: true, .. }) if line == after));
    // A line of another journal, whole in itself.
    let other = written(&[entries()[0].clone(), event("another")]);
    let mixed = [lines[0], lines[1], other.lines().nth(1).expect("a line"), "\n"].concat();
    assert!(matches!(load(mixed.as_bytes()).expect("read").damage, Some(Damage::Broken { line: 3, .. })));
}

#[test]
fn a_newer_format_is_named() {
    let mut chain = Chain::default();
    let line = chain.seal(0, r#"{"kind":"header","format":2,"and":"more"}"#).text + "\n";
    let damage = load(line.as_bytes()).expect_err("newer");
    assert!(matches!(damage, Damage::Version { found: 2 }), "{damage}");
    let line = Chain::default().seal(0, r#"{"kind":"closed","verdict":"done"}"#).text + "\n";
    assert!(matches!(load(line.as_bytes()), Err(Damage::Broken { line: 1, .. })));
    assert!(matches!(load(b""), Err(Damage::Empty)));
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = load(&bytes);
        let mut text = FORMAT_1.as_bytes().to_owned();
        text.extend(bytes);
        let record = load(&text).expect("the header is whole");
        prop_assert_eq!(record.entries.len() + 1, entries().len());
    }

    #[test]
    fn any_message_is_one_line(message in any::<String>()) {
        let text = written(&[entries()[0].clone(), event(&message)]);
        prop_assert_eq!(text.matches('\n').count(), 2);
        let record = load(text.as_bytes()).expect("read");
        prop_assert_eq!(&record.entries[0].entry, &event(&message));
    }
}
