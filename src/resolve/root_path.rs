//! Check of the path of a root: the rules that sshd applies to `ChrootDirectory`, before a user can
//! log in.

use std::path::{Path, PathBuf};

use crate::error::{Finding, Result};
use crate::host::{Accounts, FileKind, HostView, OwnershipFlaw};
use crate::span::Spanned;

/// Checks the path of the root, and the file system that holds it.
///
/// # Errors
/// [`crate::error::ErrorKind::Failed`] if the host cannot be read. What keeps the root from being
/// used is a finding.
pub(super) fn check(
    view: &HostView,
    known: &Accounts,
    root: &Spanned<PathBuf>,
    findings: &mut Vec<Finding>,
    notices: &mut Vec<String>,
) -> Result<()> {
    check_root_path(view, known, root, findings)?;
    check_file_system(view, root, findings, notices)
}

/// Checks each component of `root` as sshd does (session.c, `safely_chroot`): a root-owned
/// directory that no other user may write to. Stricter in one point: a symbolic link is refused,
/// since the owner of its parent directory can replace it.
fn check_root_path(
    view: &HostView,
    accounts: &Accounts,
    root: &Spanned<PathBuf>,
    findings: &mut Vec<Finding>,
) -> Result<()> {
    let found = view.find_component(&root.value, |component, stat| {
        let shown = view.display_path(component).display().to_string();
        let problem = match stat.kind() {
            FileKind::Symlink => Some((
                "it is a symbolic link".to_owned(),
                "name the directory that it leads to".to_owned(),
            )),
            FileKind::File | FileKind::Special => Some((
                "it is not a directory".to_owned(),
                "choose another root".to_owned(),
            )),
            FileKind::Directory => OwnershipFlaw::of(stat).map(|flaw| match flaw {
                OwnershipFlaw::Owner(uid) => (
                    format!("it belongs to the user id {uid} and not to root"),
                    if is_in_home(component, accounts) {
                        "choose a root outside of home directories, such as `/srv/jails/<name>`".to_owned()
                    } else {
                        format!(
                            "choose another root, or, if no other user needs it, run `chown root {shown}`"
                        )
                    },
                ),
                OwnershipFlaw::Writable(mode) => (
                    format!("others than root may write to it (mode {mode:04o})"),
                    format!("run `chmod go-w {shown}`"),
                ),
            }),
        };
        problem.map(|(why, hint)| (shown, why, hint))
    })?;
    if let Some((shown, why, hint)) = found {
        findings.push(
            Finding::new(format!(
                "could not use the root `{}`: sshd would refuse `{shown}`",
                root.value.display()
            ))
            .why(why)
            .hint(hint)
            .with_span(&root.span, "this root"),
        );
    }
    Ok(())
}

/// Whether the directory is a home or lies in one. `chown` would then be wrong advice.
fn is_in_home(directory: &Path, accounts: &Accounts) -> bool {
    accounts
        .users
        .iter()
        .map(|user| Path::new(&user.home))
        .any(|home| home != Path::new("/") && directory.starts_with(home))
}

/// Checks the mount options of the file system that holds `root`: noexec is a finding, nodev a
/// notice.
fn check_file_system(
    view: &HostView,
    root: &Spanned<PathBuf>,
    findings: &mut Vec<Finding>,
    notices: &mut Vec<String>,
) -> Result<()> {
    let mut existing: &Path = &root.value;
    while view.stat(existing)?.is_none() {
        existing = existing.parent().unwrap_or(Path::new("/"));
    }
    let flags = view.mount_flags(existing)?;
    if flags.noexec {
        findings.push(
            Finding::new(format!("could not use the root `{}`", root.value.display()))
                .why("its file system is mounted noexec: no program would start there")
                .hint("choose another root, or mount the file system with exec")
                .with_span(&root.span, "this root"),
        );
    }
    if flags.nodev {
        notices.push(format!("the file system of `{}` is mounted nodev: devices such as /dev/null will not work in the jail", root.value.display()));
    }
    Ok(())
}
