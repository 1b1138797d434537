//! What a target prints: the stream of the remote shell, however it is cut, and the listings in it.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    runner_transport::fuzz::framing(bytes);
    runner_transport::fuzz::listings(bytes);
});
