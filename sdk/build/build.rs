//! Says when the SDKs and the contract that are embedded have changed: `include_dir` does not.

fn main() {
    for folder in ["../c", "../go", "../js", "../python", "../rust", "../template", "../zig", "../../wit"] {
        println!("cargo::rerun-if-changed={folder}");
    }
}
