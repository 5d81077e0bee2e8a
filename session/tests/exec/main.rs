//! What a program that `enter::run` starts really finds: a static probe tells, from inside a root directory made for it.
//!
//! `run` works on the caller's own standard descriptors and signals, so the tests call it in a process of its own: this test program, started
//! again with the name of one test, `jail::stand_in`, and the entry in its environment.
#![expect(
    clippy::disallowed_methods,
    clippy::print_stderr,
    reason = "tests look at the system directly, and say when they are skipped"
)]

mod guarantees;
mod jail;
mod pty;
mod refusals;
mod terminals;
