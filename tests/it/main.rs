//! What jailctl promises, shown on throw-away copies of this machine with real accounts, the real sshd and real clients. One module a theme.

mod accounts;
mod builds;
mod data;
mod doctor;
mod enter;
mod fail_closed;
mod forwarding;
mod hostile;
mod json;
mod keys;
mod login;
mod plans;
mod programs;
mod reasons;
mod rebuild;
mod remove;
mod session;
mod sources;
mod starting;
mod store;
mod support;
mod swap;
mod templates;
mod users;
mod verbs;
