//! The `longcable` program.

fn main() -> std::process::ExitCode {
    longcable::cli::run(std::env::args_os().skip(1))
}
