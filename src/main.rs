//! Parses the arguments, runs the verb, maps the outcome to an exit status. Nothing else.

fn main() -> std::process::ExitCode {
    jailctl::cli::main()
}
