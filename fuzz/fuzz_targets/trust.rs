//! A file of those who may sign, a file of roots, a signature, and a statement: of each, garbage is refused and what is read is read again.

#![no_main]

use libfuzzer_sys::fuzz_target;
use runner_trust::{AllowedSigners, MODULE_NAMESPACE, SigstoreRoots, Statement};

#[path = "show.rs"]
mod show;

const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILM+rvN+ot98qgEN796jTiQfZfG1KaT0PtFDJ/XFSqti";

fuzz_target!(|bytes: &[u8]| {
    let with_key = [bytes, b" ", KEY.as_bytes(), b"\n"].concat();
    for file in [bytes, &with_key[..]] {
        match AllowedSigners::parse("allowed_signers", file) {
            Ok(signers) => {
                // No garbage is a signature of a key whose other half is not here.
                assert!(signers.verify(MODULE_NAMESPACE, b"x", bytes, jiff::Timestamp::UNIX_EPOCH).is_err());
            }
            Err(problems) => show::all(&problems),
        }
    }
    if let Err(problems) = SigstoreRoots::parse("trusted_root.json", bytes) {
        show::all(&problems);
    }
    match Statement::parse(bytes) {
        Ok(Statement::Vetting(vetting)) => {
            let written = vetting.to_bytes().expect("a vetting writes what it read");
            assert_eq!(Statement::parse(&written), Ok(Statement::Vetting(vetting)));
        }
        Ok(Statement::Revocation(revocation)) => {
            let written = revocation.to_bytes().expect("a revocation writes what it read");
            assert_eq!(Statement::parse(&written), Ok(Statement::Revocation(revocation)));
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
});
