//! State and guarantees of programs that `exec::run` starts: a static probe prints them, from a
//! root directory created for it.
//!
//! `run` uses the standard descriptors and signals of the caller, so the tests call it in a process
//! of its own: this test program, started again with the name of one test, `jail::stand_in`, and
//! the request in its environment.
#![expect(
    clippy::disallowed_methods,
    clippy::print_stderr,
    reason = "tests use the system directly, and print when they are skipped"
)]

mod guarantees;
mod jail;
mod pty;
mod refusals;
mod terminals;
