//! What a module can do to its host without any host call.

use std::hint::black_box;

/// Runs on and on.
pub(crate) fn spin() -> ! {
    let mut n = 0_u64;
    loop {
        n = black_box(n.wrapping_add(1));
    }
}

/// Calls itself until there is no stack.
pub(crate) fn recurse(depth: u64) -> u64 {
    let room = black_box([depth; 16]);
    if black_box(true) { recurse(depth + 1) + room[3] } else { room[0] }
}

/// Takes memory until there is none.
pub(crate) fn eat() -> ! {
    let mut taken = Vec::new();
    loop {
        taken.push(black_box(vec![1_u8; 1 << 20]));
    }
}
