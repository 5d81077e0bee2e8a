//! `[namespaces]`, `[network]`, `[limits]`, `[[mount]]` and `sshd.sftp_log`: isolation of sessions.
//! Without all of these it depends on the host whether a shell runs in an isolated session
//! ([`SessionSpec::by_default`]) or in a plain chroot.

use super::access::AccessMethod;
use super::findings::Findings;
use super::limits;
use super::mount;
use super::network;
use super::partial_spec::PartialSpec;
use super::typed_table::{Table, Value};
use super::types::{NetworkSpec, SessionSpec};
use crate::error::Finding;
use crate::span::Span;

impl SessionSpec {
    /// Defaults of `[namespaces]`, with the span `span`: sessions of a jail with these ways in
    /// whose spec does not mention them.
    pub fn by_default(span: &Span, access: &[AccessMethod]) -> Self {
        Self {
            span: span.clone(),
            pid: true,
            uts: true,
            ipc: true,
            cgroup: true,
            user: false,
            network: network::plain(None, access),
            log: false,
            mounts: Vec::new(),
            limits: None,
        }
    }
}

/// Whether the merged table selects a plain chroot. Adds a finding if it also selects isolated
/// sessions.
pub(crate) fn is_plain(
    spec: &Table,
    session: Option<&SessionSpec>,
    findings: &mut Findings,
) -> bool {
    let namespaces = match spec.entries.get("namespaces").map(|node| &node.value) {
        Some(Value::Table(table)) => table.flag("mnt"),
        _ => None,
    };
    let Some((true, span)) = spec.flag("plain_chroot") else {
        return matches!(namespaces, Some((false, _)));
    };
    if let Some(session) = session {
        findings.add(
            Finding::new("`plain_chroot` cannot be true in this jail")
                .why("the spec has settings of isolated sessions")
                .with_span(span, "")
                .hint(format!(
                    "delete the line, or the settings from line {}",
                    session.span.position().0
                )),
        );
    }
    true
}

/// Converts the merged table; `None` without settings of isolated sessions.
pub(crate) fn build(
    spec: &Table,
    access: &[AccessMethod],
    findings: &mut Findings,
) -> Option<SessionSpec> {
    let tables = ["namespaces", "network", "limits", "mount"];
    let table = |key| match spec.entries.get(key).map(|node| &node.value) {
        Some(Value::Table(table)) => Some(table),
        _ => None,
    };
    let log = table("sshd").and_then(|sshd| sshd.flag("sftp_log"));
    let log = log.filter(|(log, _)| *log).map(|(_, span)| span);
    let span = tables
        .iter()
        .filter_map(|key| Some(&spec.entries.get(key)?.span))
        .chain(log)
        .min_by_key(|span| span.position())?;
    let namespaces = table("namespaces");
    let own = |key| namespaces.and_then(|table| table.flag(key));
    let is_own = |key| own(key).is_none_or(|(yes, _)| yes);
    let session = SessionSpec {
        span: span.clone(),
        pid: is_own("pid"),
        uts: is_own("uts"),
        ipc: is_own("ipc"),
        cgroup: is_own("cgroup"),
        user: own("user").is_some_and(|(yes, _)| yes),
        log: log.is_some(),
        network: network::build(table("network"), access, findings),
        mounts: spec
            .tables("mount")
            .iter()
            .filter_map(mount::build)
            .collect(),
        limits: table("limits").map(limits::build),
    };
    if let Some((false, span)) = own("mnt") {
        if ["pid", "uts", "ipc", "cgroup"]
            .iter()
            .any(|key| is_own(key))
            || (spec.entries.contains_key("network") && session.network != NetworkSpec::Host)
            || spec.entries.contains_key("mount")
            || log.is_some()
            || session.user
            || session.limits.is_some()
        {
            findings.add(
                Finding::new("`namespaces.mnt` cannot be false in this jail")
                    .why("the other namespaces rely on the mount namespace")
                    .with_span(span, "")
                    .hint("delete the line; or, for a plain chroot, set `pid`, `uts`, `ipc` and `cgroup` to false too, with the host's network and without `[limits]`, `[[mount]]` and `sftp_log`"),
            );
        }
        return None;
    }
    if let (NetworkSpec::Private(network), Some((false, span))) = (&session.network, own("pid")) {
        findings.add(
            Finding::new("`namespaces.pid` cannot be false in this jail")
                .why("the network ends with the sessions, but processes without a pid namespace would continue in it")
                .with_span(span, "")
                .hint(format!("delete the line; the network is selected in line {}", network.span.position().0)),
        );
    }
    let memory = session.limits.as_ref();
    let memory = memory.filter(|limits| limits.values.memory.is_some());
    if let (Some(limits), Some((false, span))) = (memory, own("ipc")) {
        findings.add(
            Finding::new("`namespaces.ipc` cannot be false in this jail")
                .why("shared memory of the host outlives a session, and memory that earlier sessions left there is not limited")
                .with_span(span, "")
                .hint(format!("delete the line; memory is limited in line {}", limits.span_of("memory").position().0)),
        );
    }
    Some(session)
}

/// Adds a finding for each conflict between settings of sessions and other values.
pub(crate) fn check(parts: &PartialSpec, findings: &mut Findings) {
    let Some(session) = &parts.session else {
        return;
    };
    if let Some(given) = &session.limits {
        limits::check(given, findings);
    }
    mount::check(&session.mounts, session.pid, parts, findings);
}
