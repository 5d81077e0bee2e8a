//! The conventions that the compiler does not enforce, read from the sources and documents.
//!
//! - [`layers`]: which part of the crate may use which.
//! - [`cycles`]: no circle of imports between files.
//! - [`prose`]: words, documentation lines and widths of `docs/style.md`.
//! - [`documents`]: the tests, files and versions that documents name exist.
//! - [`dependencies`]: licences, bans and sources of `deny.toml`.
//! - [`test_targets`]: no test that its harness would leave out.
//!
//! Each test prints all of its findings as `file:line: text`.
#![expect(
    clippy::disallowed_methods,
    reason = "the sources are read as they are"
)]

mod cycles;
mod dependencies;
mod documents;
mod layers;
mod prose;
mod source;
mod test_targets;

/// Fails the calling test with all findings, one a line.
#[track_caller]
fn assert_none(findings: &[String]) {
    assert!(
        findings.is_empty(),
        "{} findings:\n{}",
        findings.len(),
        findings.join("\n")
    );
}
