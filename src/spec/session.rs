//! `[namespaces]`, `[network]`, `[limits]`, `[[mount]]` and `sshd.sftp_log`: what each session of a jail has of its own. A spec with none of these leaves it to the host whether a shell
//! is in a session ([`SessionSpec::of_shell`]) or in a plain chroot.

use super::AccessMethod;
use super::findings::Findings;
use super::limits::{self, LimitsSpec};
use super::lower::PartialSpec;
use super::mount::{self, MountSpec};
use super::network::{self, NetworkSpec};
use super::typed_table::{Table, Value};
use crate::error::Finding;
use crate::span::Span;

/// What each session has of its own. A mount namespace is always one of them.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "the keys of a table, independent of each other"
)]
pub struct SessionSpec {
    /// The first of the tables, or `sshd.sftp_log`.
    pub site: Span,
    /// `namespaces.pid`.
    pub pid: bool,
    /// `namespaces.uts`.
    pub uts: bool,
    /// `namespaces.ipc`.
    pub ipc: bool,
    /// `namespaces.cgroup`.
    pub cgroup: bool,
    /// `namespaces.user`.
    pub user: bool,
    /// `[network]`.
    pub network: NetworkSpec,
    /// `sshd.sftp_log`: whether the host's log can be written to.
    pub log: bool,
    /// `[[mount]]`.
    pub mounts: Vec<MountSpec>,
    /// `[limits]`.
    pub limits: Option<LimitsSpec>,
}

impl SessionSpec {
    /// What `[namespaces]` without a key says, as if it stood at `site`: the sessions of a jail with a shell that says nothing of them.
    pub fn of_shell(site: &Span) -> Self {
        Self {
            site: site.clone(),
            pid: true,
            uts: true,
            ipc: true,
            cgroup: true,
            user: false,
            network: NetworkSpec::Host,
            log: false,
            mounts: Vec::new(),
            limits: None,
        }
    }
}

/// Whether the merged tree asks for a plain chroot. Beside what only `session` has, `plain_chroot` is a finding.
pub(crate) fn is_plain(
    spec: &Table,
    session: Option<&SessionSpec>,
    findings: &mut Findings,
) -> bool {
    let namespaces = match spec.entries.get("namespaces").map(|node| &node.value) {
        Some(Value::Table(table)) => table.flag("mnt"),
        _ => None,
    };
    let Some((true, site)) = spec.flag("plain_chroot") else {
        return matches!(namespaces, Some((false, _)));
    };
    if let Some(session) = session {
        findings.add(
            Finding::new("`plain_chroot` cannot be true in this jail")
                .why("it has what only sessions of their own have")
                .with_span(site, "")
                .hint(format!(
                    "take the line out, or what begins in line {}",
                    session.site.position().0
                )),
        );
    }
    true
}

/// The part of the merged tree; `None` if a session has nothing of its own.
pub(crate) fn build(
    spec: &Table,
    doors: &[AccessMethod],
    findings: &mut Findings,
) -> Option<SessionSpec> {
    let tables = ["namespaces", "network", "limits", "mount"];
    let table = |key| match spec.entries.get(key).map(|node| &node.value) {
        Some(Value::Table(table)) => Some(table),
        _ => None,
    };
    let log = table("sshd").and_then(|sshd| sshd.flag("sftp_log"));
    let log = log.filter(|(log, _)| *log).map(|(_, site)| site);
    let site = tables
        .iter()
        .filter_map(|key| Some(&spec.entries.get(key)?.site))
        .chain(log)
        .min_by_key(|site| site.position())?;
    let namespaces = table("namespaces");
    let own = |key| namespaces.and_then(|table| table.flag(key));
    let is_own = |key| own(key).is_none_or(|(yes, _)| yes);
    let session = SessionSpec {
        site: site.clone(),
        pid: is_own("pid"),
        uts: is_own("uts"),
        ipc: is_own("ipc"),
        cgroup: is_own("cgroup"),
        user: own("user").is_some_and(|(yes, _)| yes),
        log: log.is_some(),
        network: network::build(table("network"), doors, findings),
        mounts: spec
            .tables("mount")
            .iter()
            .filter_map(mount::build)
            .collect(),
        limits: table("limits").map(limits::build),
    };
    if let Some((false, site)) = own("mnt") {
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
                    .why("it is by its mounts that a session is held in all the rest")
                    .with_span(site, "")
                    .hint("take the line out; or, for a plain chroot, make `pid`, `uts`, `ipc` and `cgroup` false too, with the host's network, no `[limits]`, no `[[mount]]` and no `sftp_log`"),
            );
        }
        return None;
    }
    if let (NetworkSpec::Private(network), Some((false, site))) = (&session.network, own("pid")) {
        findings.add(
            Finding::new("`namespaces.pid` cannot be false in this jail")
                .why("its network ends with its sessions, and what is left running would go on in it")
                .with_span(site, "")
                .hint(format!("take the line out; the network is asked for in line {}", network.site.position().0)),
        );
    }
    let memory = session.limits.as_ref();
    let memory = memory.filter(|limits| limits.values.memory.is_some());
    if let (Some(limits), Some((false, site))) = (memory, own("ipc")) {
        findings.add(
            Finding::new("`namespaces.ipc` cannot be false in this jail")
                .why("the host's shared memory outlives a session, and no limit holds for what former ones left there")
                .with_span(site, "")
                .hint(format!("take the line out; memory is limited in line {}", limits.span_of("memory").position().0)),
        );
    }
    Some(session)
}

/// Adds what is wrong between sessions and the rest to `findings`.
pub(crate) fn check(parts: &PartialSpec, findings: &mut Findings) {
    let Some(session) = &parts.session else {
        return;
    };
    if let Some(given) = &session.limits {
        limits::check(given, findings);
    }
    mount::check(&session.mounts, session.pid, parts, findings);
}
