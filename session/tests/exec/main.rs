//! State and guarantees of programs that `exec::run` starts: a static probe prints them, from a
//! root directory created for it.
//!
//! `run` uses the standard descriptors and signals of the caller, so the tests call it in a process
//! of its own: this test program, started again with the request in its environment.
#![expect(
    clippy::disallowed_methods,
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "tests read the system directly, and fail by a panic"
)]

mod guarantees;
mod jail;
mod pty;
mod refusals;
mod terminals;

use std::process::ExitCode;

fn main() -> ExitCode {
    if let Ok(root) = std::env::var("ENTRY_ROOT") {
        jail::stand_in(&root);
    }
    disposable::harness::run()
}
