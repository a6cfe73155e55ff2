//! The binary; everything else is in the library.

fn main() -> std::process::ExitCode {
    yizhan::cli::main()
}
