//! Parses the arguments, runs the verb, maps the outcome to an exit status. Nothing else.

/// Most of what a command does to memory is small and short-lived, and this one takes half the time
/// of the C library's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    jailctl::cli::main()
}
