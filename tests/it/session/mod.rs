//! Sessions with namespaces and mounts of their own, over real ssh: they are complete, and contain
//! nothing of the host.

mod build;
mod conntrack;
pub(crate) mod control_groups;
mod cross_session;
mod cves;
mod fail_closed;
mod family;
mod forward;
mod freeze_and_stats;
mod lifecycle;
pub(crate) mod limits;
mod login_cost;
pub(crate) mod network;
mod refusal_log;
mod switchover;
mod user_namespace;
mod v1_controllers;
mod visibility;

use disposable::{DisposableHost, Login};

use crate::support::{Spec, host_with_module};

/// Log of the sessions.
pub(crate) const LOG: &str = "/run/syslog";

/// Disposable host with the PAM module, sshd running, and the jail arkham, whose sessions have all
/// namespaces and the settings `more`.
pub(crate) fn copy(also: &[&'static str], more: &str) -> (DisposableHost, Spec) {
    let host = host_with_module();
    let key = host.key("harlequin");
    let mut spec = Spec::arkham(&key, also);
    spec.more.push_str("[namespaces]\n");
    spec.more.push_str(more);
    spec.build(&host).ok();
    (host, spec)
}

/// Login of the user of arkham.
pub(crate) fn harlequin(host: &DisposableHost) -> Login<'_> {
    let path = "/run/keys/harlequin".to_owned();
    let public = host.read("/run/keys/harlequin.pub");
    host.login("harlequin", &disposable::Key { path, public })
}

/// Compiles a program of a test to a path that a spec can name.
pub(crate) fn compile(host: &DisposableHost, name: &str, source: &str) {
    host.write(&format!("/root/{name}.c"), source);
    host.sh(&format!(
        "gcc -static -O1 -o /usr/local/bin/{name} /root/{name}.c"
    ))
    .ok();
}
