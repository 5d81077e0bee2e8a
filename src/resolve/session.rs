//! Sessions of a jail: from the spec to the policy that the PAM module reads when a session begins.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use jailctl_session::network::Network;
use jailctl_session::policy::{Flags, IdMap, Mount, Policy, Source};

use super::tree::{Entry, EntryKind, Reason, Tree};
use super::types::{ResolvedAccounts, ResolvedJail};
use super::{limits, network};
use crate::error::{Error, Finding, Result};
use crate::host::pam::{Modules, SSHD, Service};
use crate::host::sshd::SshdInfo;
use crate::host::{FileKind, HostView, ResolvedPath};
use crate::layout::{PAM_MODULE, POLICY, ROOT_NAME, SESSION_DIR};
use crate::names::JailPath;
use crate::spec::{MountSource, MountSpec, NetworkSpec, SessionSpec, Spec};

/// Group id of terminals on a host without a group `tty`: the id on Debian, and in the kernel's
/// documentation of devpts.
const TTY: u32 = 5;
/// Size of the `/tmp` of a session, and of any other tmpfs, as a share of memory: tmpfs(5).
const TMPFS_SIZE: &str = "10%";
/// Links into proc(5): path and target. bash needs the first for `<(command)`.
const DESCRIPTORS: [(&str, &str); 4] = [
    ("/dev/fd", "/proc/self/fd"),
    ("/dev/stdin", "fd/0"),
    ("/dev/stdout", "fd/1"),
    ("/dev/stderr", "fd/2"),
];
/// Mount point of a session's terminals, pts(4).
const TERMINALS: &str = "/dev/pts";
/// Socket of syslog(3).
const LOG: &str = "/dev/log";
/// Flags of mounts that hold neither programs nor devices.
const NOSUID_NODEV_NOEXEC: Flags = Flags {
    ro: false,
    nosuid: true,
    nodev: true,
    noexec: true,
};

/// The `ChrootDirectory` of a jail with these records: the jail in a session, and nothing outside
/// of one.
pub(super) fn session_root_path(state: &Path) -> PathBuf {
    state.join(SESSION_DIR).join(ROOT_NAME)
}

/// Returns the spec with the sessions that it has by default: programs run in a session on each
/// host that can have them.
///
/// `built` is a tree of an earlier build, which may lack the mount points of sessions.
pub(super) fn or_default<'s>(
    spec: &'s Spec,
    sshd_info: Option<&SshdInfo>,
    built: Option<&Tree>,
    view: &HostView,
) -> Result<Cow<'s, Spec>> {
    let has_pam = sshd_info.is_some_and(|sshd_info| sshd_info.pam_service.is_some());
    let has_module = Modules::find(view)?.is_some_and(|modules| modules.has_ours);
    // A jail that was built with sessions keeps them until its spec sets a plain chroot: a missing
    // module is an error, and does not open the jail.
    let policy = ResolvedJail::state(&spec.name.value).join(POLICY);
    let had_sessions = sshd_info.is_some() && view.lstat(&policy)?.is_some();
    let terminals = JailPath::new(TERMINALS).ok();
    let has_places = |tree: &Tree| terminals.is_some_and(|path| tree.get(&path).is_some());
    if spec.session.is_some()
        || spec.plain_chroot
        || !spec.runs_programs()
        || !built.is_none_or(has_places)
        || !(has_pam && has_module || had_sessions)
    {
        return Ok(Cow::Borrowed(spec));
    }
    let mut spec = spec.clone();
    let session = SessionSpec::by_default(&spec.access.span, &spec.access.value);
    spec.session = Some(session);
    Ok(Cow::Owned(spec))
}

/// Adds the mount points of sessions.
pub(super) fn add_places(
    tree: &mut Tree,
    session: &SessionSpec,
    programs: bool,
    findings: &mut Vec<Finding>,
) -> Result<()> {
    let path = |text: &str| {
        JailPath::new(text).map_err(|why| Error::from(Finding::new(format!("`{text}` {why}"))))
    };
    let directory = || Entry::directory(0o755, Reason::rule("mount points of sessions"));
    if programs {
        for place in [TERMINALS, "/dev/shm"] {
            tree.add_default(path(place)?, directory())?;
        }
        if session.pid {
            tree.add_default(path("/proc")?, directory())?;
            for (place, target) in DESCRIPTORS {
                let why = vec![Reason::rule(
                    "the open files of a process, as shells name them",
                )];
                tree.add_default(path(place)?, Entry::symlink(target, why))?;
            }
        }
        let why = vec![Reason::rule("terminals of a session")];
        tree.add_default(path("/dev/ptmx")?, Entry::symlink("pts/ptmx", why))?;
    }
    if session.log {
        let why = Reason::rule("mount point of the log socket of the host");
        tree.add_default(path(LOG)?, Entry::text("", 0o644, why))?;
    }
    for mount in &session.mounts {
        let target = &mount.target;
        let why = Reason::Spec {
            place: mount.span.to_string(),
            says: format!("mount: {}", target.value),
        };
        if tree.get(&target.value).is_some() {
            continue;
        }
        if let Err(finding) = tree.add(target.value.clone(), Entry::directory(0o755, why)) {
            findings.push(finding.with_span(&target.span, "mounted on here"));
        }
    }
    Ok(())
}

/// Resolves the sessions of the jail: checks that this host can have them, and returns their
/// policy. `None` for a plain chroot, and for a jail that never had accounts.
///
/// # Errors
/// [`crate::error::ErrorKind::Failed`] if the host cannot be read. What it cannot do is a finding.
pub(super) fn resolve(
    spec: &Spec,
    accounts: &ResolvedAccounts,
    tree: &Tree,
    sshd_info: Option<&SshdInfo>,
    view: &HostView,
    findings: &mut Vec<Finding>,
    notices: &mut Vec<String>,
) -> Result<Option<Policy>> {
    let Some(session) = &spec.session else {
        return Ok(None);
    };
    check(session, sshd_info, view, findings, notices)?;
    notice_shared_processes(spec, session, notices);
    limits::check(spec, session, view, findings, notices)?;
    let network = match &session.network {
        NetworkSpec::Private(private) => {
            network::resolve(&spec.name.value, private, view, findings, notices)?
        }
        _ => None,
    };
    if sshd_info.is_none() {
        return Ok(None);
    }
    let programs = runs_user_code(tree);
    build_policy(spec, session, accounts, network, programs, view).map(Some)
}

/// Whether users run programs in the jail: a tree has devices for programs only.
fn runs_user_code(tree: &Tree) -> bool {
    tree.iter()
        .any(|(_, entry)| matches!(entry.kind, EntryKind::Device { .. }))
}

/// Checks that this host can have sessions, and that the sources of their mounts exist.
fn check(
    session: &SessionSpec,
    sshd_info: Option<&SshdInfo>,
    view: &HostView,
    findings: &mut Vec<Finding>,
    notices: &mut Vec<String>,
) -> Result<()> {
    let mut refuse = |why: String, hint: String| {
        findings.push(
            Finding::new("sessions are not possible on this host")
                .why(why)
                .with_span(&session.span, "required here")
                .hint(hint),
        );
    };
    match Modules::find(view)? {
        None => refuse(
            "PAM is not installed, and sshd begins sessions by PAM".to_owned(),
            "for a plain chroot, delete the tables `[namespaces]`, `[network]`, `[limits]` and `[[mount]]`, and the key `sftp_log`"
                .to_owned(),
        ),
        Some(modules) if !modules.has_ours => {
            let at = modules.directory.join(PAM_MODULE).display().to_string();
            refuse(
                format!("the module `{at}` is missing"),
                format!(
                    "build and install it: cargo build --release --package jailctl-pam && install -m 644 target/release/libpam_jailctl.so {at}"
                ),
            );
        }
        Some(_) => {
            let name = sshd_info.and_then(|sshd_info| sshd_info.pam_service.as_deref()).unwrap_or(SSHD);
            if Service::read(view, name)?.is_none() {
                refuse(
                    format!("the host has no PAM service `{name}`, which sshd uses"),
                    "install an sshd with PAM".to_owned(),
                );
            }
        }
    }
    if session.log && view.is_live() && view.stat(Path::new(LOG))?.is_none() {
        notices.push(format!(
            "the host has no log at `{LOG}` now: no user can log in until it has"
        ));
    }
    for (index, mount) in session.mounts.iter().enumerate() {
        check_source(mount, view, findings, notices)?;
        check_nested(mount, &session.mounts[..index], view, findings)?;
    }
    Ok(())
}

/// Checks a mount inside of a host directory that is mounted before it: its mount point exists, and
/// only root can move it or a directory above it. Otherwise another user could move it, and no user
/// could log in (CVE-2018-6954).
fn check_nested(
    mount: &MountSpec,
    before: &[MountSpec],
    view: &HostView,
    findings: &mut Vec<Finding>,
) -> Result<()> {
    let target = Path::new(mount.target.value.as_str());
    let below = |outer: &MountSpec| {
        let rest = target.strip_prefix(outer.target.value.as_str()).ok()?;
        match &outer.source {
            MountSource::Host(source) if rest != Path::new("") => {
                Some((source.value.clone(), rest.to_owned()))
            }
            _ => None,
        }
    };
    // The mount that it lies in is the innermost of them.
    let outer = before
        .iter()
        .filter_map(below)
        .min_by_key(|(_, rest)| rest.components().count());
    let Some((mut directory, rest)) = outer else {
        return Ok(());
    };
    for name in rest.components() {
        let stat = view.lstat(&directory)?;
        let shown = directory.display().to_string();
        directory.push(name);
        let (why, hint) = match (stat, view.lstat(&directory)?) {
            (Some(stat), Some(below)) if below.kind() == FileKind::Directory => {
                if stat.ownership().is_root_only() {
                    continue;
                }
                (
                    format!(
                        "it lies in `{}`, where others than root could move it",
                        shown.escape_debug()
                    ),
                    "mount it beside the other one, not in it".to_owned(),
                )
            }
            _ => {
                let missing = directory.display().to_string();
                (
                    format!(
                        "`{}` is not a directory on the host",
                        missing.escape_debug()
                    ),
                    "create it, or mount beside the other one, not in it".to_owned(),
                )
            }
        };
        findings.push(
            Finding::new(format!("`{}` cannot be mounted on", mount.target.value))
                .why(why)
                .with_span(&mount.target.span, "required here")
                .hint(hint),
        );
        break;
    }
    Ok(())
}

/// Adds a notice where sessions with programs share the process numbers of the host.
fn notice_shared_processes(spec: &Spec, session: &SessionSpec, notices: &mut Vec<String>) {
    if !session.pid && spec.runs_programs() {
        notices.push(
            "`namespaces.pid` is false: users of this jail see every process of the host, and can trace and end each one that runs under their user id outside of the jail; take the line out"
                .to_owned(),
        );
    }
}

/// Checks that the source of a mount is a directory of the host and no link. An optional one may be
/// missing.
fn check_source(
    mount: &MountSpec,
    view: &HostView,
    findings: &mut Vec<Finding>,
    notices: &mut Vec<String>,
) -> Result<()> {
    let MountSource::Host(source) = &mount.source else {
        return Ok(());
    };
    let shown = source.value.display().to_string();
    let finding = Finding::new(format!("`{}` cannot be mounted", shown.escape_debug()));
    let finding = match view.resolve_links(&source.value)? {
        None if mount.optional => {
            notices.push(format!(
                "`{}` is missing on the host: sessions have nothing mounted on `{}` until it exists",
                shown.escape_debug(),
                mount.target.value
            ));
            return Ok(());
        }
        None => finding
            .why("there is no such directory on the host")
            .hint("`optional = true` lets sessions begin without it"),
        Some(ResolvedPath { real, .. }) if real != source.value => finding
            .why("there is a link in the path, whose target may change")
            .hint(format!(
                "name the directory itself: `{}`",
                real.display().to_string().escape_debug()
            )),
        Some(ResolvedPath { stat, .. }) => match stat.kind() {
            FileKind::Directory => return Ok(()),
            _ => finding.why("it is not a directory"),
        },
    };
    findings.push(finding.with_span(&source.span, "required here"));
    Ok(())
}

/// Builds the policy of the jail. `programs`: whether users run programs in it.
fn build_policy(
    spec: &Spec,
    session: &SessionSpec,
    accounts: &ResolvedAccounts,
    network: Option<Network>,
    programs: bool,
    view: &HostView,
) -> Result<Policy> {
    let known = view.accounts()?;
    let group = known.group("tty").map_or(TTY, |group| group.gid);
    let mut mounts = Vec::new();
    if programs {
        let tmpfs = |mode| Source::Tmpfs {
            mode,
            size: TMPFS_SIZE.to_owned(),
        };
        let exec = Flags {
            noexec: false,
            ..NOSUID_NODEV_NOEXEC
        };
        let terminals = Flags {
            nodev: false,
            ..NOSUID_NODEV_NOEXEC
        };
        mounts.push(default_mount("/tmp", tmpfs(0o1777), exec));
        mounts.push(default_mount(
            "/dev/shm",
            tmpfs(0o1777),
            NOSUID_NODEV_NOEXEC,
        ));
        mounts.push(default_mount(
            TERMINALS,
            Source::Terminals { group },
            terminals,
        ));
        if session.pid {
            mounts.push(default_mount("/proc", Source::Proc, NOSUID_NODEV_NOEXEC));
        }
    }
    if session.log {
        mounts.push(default_mount(LOG, Source::Log, NOSUID_NODEV_NOEXEC));
    }
    // A mount of the spec replaces the default mount with its target.
    mounts.retain(|mount| {
        let target = |given: &MountSpec| mount.target == Path::new(given.target.value.as_str());
        !session.mounts.iter().any(target)
    });
    mounts.extend(session.mounts.iter().map(spec_mount));
    let name = &spec.name.value;
    Ok(Policy {
        jail: name.as_str().to_owned(),
        root: spec.root.value.clone(),
        users: accounts
            .accounts
            .iter()
            .map(|account| account.name.clone())
            .collect(),
        pid: session.pid,
        hostname: session.uts.then(|| name.family_name().to_owned()),
        ipc: session.ipc,
        cgroup: session.cgroup,
        offline: session.network == NetworkSpec::None,
        network,
        ids: session.user.then(|| id_map(accounts, group)),
        mounts,
        limits: session.limits.as_ref().map(|limits| limits.values.clone()),
    })
}

/// The ids of the jail, with the group of the terminals that sshd allocates.
fn id_map(accounts: &ResolvedAccounts, terminals: u32) -> IdMap {
    let further = accounts.further_groups.iter().map(|group| group.gid);
    IdMap {
        uids: accounts
            .accounts
            .iter()
            .map(|account| account.uid)
            .collect(),
        gids: accounts
            .named_group()
            .map(|group| group.gid)
            .into_iter()
            .chain([terminals])
            .chain(further)
            .collect(),
    }
}

/// A mount that every session with programs has.
fn default_mount(target: &str, source: Source, flags: Flags) -> Mount {
    Mount {
        target: PathBuf::from(target),
        source,
        flags,
        optional: false,
    }
}

/// A `[[mount]]` of the spec.
fn spec_mount(mount: &MountSpec) -> Mount {
    let mode = mount.value("mode");
    let mode = mode.and_then(|text| u32::from_str_radix(text, 8).ok());
    Mount {
        target: PathBuf::from(mount.target.value.as_str()),
        source: match &mount.source {
            MountSource::Host(source) => Source::Bind(source.value.clone()),
            MountSource::Tmpfs => Source::Tmpfs {
                mode: mode.unwrap_or(0o1777),
                size: mount.value("size").unwrap_or(TMPFS_SIZE).to_owned(),
            },
            MountSource::Proc => Source::Proc,
            MountSource::Sys => Source::Sys,
        },
        flags: Flags {
            ro: mount.is("ro"),
            nosuid: mount.is("nosuid"),
            nodev: mount.is("nodev"),
            noexec: mount.is("noexec"),
        },
        optional: mount.optional,
    }
}
