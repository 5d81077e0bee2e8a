//! Tests of effects, in disposable copies of this machine with real accounts, the real sshd and
//! real clients. One module a subject.

#![expect(
    clippy::assigning_clones,
    reason = "a test's text is short, and clarity counts"
)]

use std::process::ExitCode;

mod accounts;
mod adversary;
mod builds;
mod concurrency;
mod doctor;
mod drift;
mod enter;
mod everyday;
mod fail_closed;
mod family;
mod family_orphans;
mod family_root;
mod file_sources;
mod fleet;
mod forwarding;
mod fsync_order;
mod hostile;
mod init_and_docs;
mod journal;
mod json;
mod live_exchange;
mod login;
mod outputs;
mod plans;
mod programs;
mod progress;
mod reasons;
mod rebuild;
mod remove;
mod rollback;
mod routine;
mod rules;
mod session;
mod sharing;
mod spec_keys;
mod staged_tests;
mod store;
mod support;
mod symlink_races;
mod templates;
mod users;
mod verbs;
mod ways;

fn main() -> ExitCode {
    disposable::harness::run()
}
