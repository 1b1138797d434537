//! A journal: every line proves itself, and where it is damaged is said.

#![no_main]

use libfuzzer_sys::fuzz_target;
use runner_journal::{Reader, Record};

fuzz_target!(|bytes: &[u8]| {
    let mut seen = 0_u64;
    for line in Reader::new(bytes) {
        match line {
            Ok(line) => {
                assert_eq!(line.seq, seen);
                seen += 1;
            }
            Err(damage) => assert!(!damage.to_string().is_empty()),
        }
    }
    assert!(seen <= bytes.split(|&byte| byte == b'\n').count() as u64);
    match Record::from_reader(Reader::new(bytes)) {
        Ok(_) => assert!(seen > 0),
        Err(damage) => assert!(!damage.to_string().is_empty()),
    }
});
