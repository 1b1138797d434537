//! The `runner` binary; all of it is in the library.

fn main() -> std::process::ExitCode {
    runner::cli::main()
}
