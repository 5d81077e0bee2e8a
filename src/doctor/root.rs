//! Checks of the root of a jail: its path, and the programs that sessions start.

use std::path::{Path, PathBuf};

use super::problems::{OwnershipProblem, Problem, ProblemCode, Subject};
use crate::elf;
use crate::error::Result;
use crate::host::{FileKind, HostView};
use crate::layout::NONEXISTENT;

pub(super) fn problems(case: &Subject<'_>) -> Result<Vec<Problem>> {
    let root = &case.manifest.root;
    let mut reasons = check_path(case, root)?;
    if case.view.lstat(root)?.is_none() {
        return Ok(reasons);
    }
    if case.view.mount_flags(root)?.noexec && shell(case)?.is_some() {
        reasons.push(
            Problem::new(
                ProblemCode::Noexec,
                format!("the file system of `{}` is mounted noexec", root.display()),
                "mount it with exec, or give the jail another root".to_owned(),
            )
            .why("no program starts there"),
        );
    }
    let inside = HostView::new(&case.view.display_path(root))?;
    if let Some(shell) = shell(case)? {
        reasons.extend(program(case, &inside, &shell, "the shell")?);
    }
    Ok(reasons)
}

/// Checks of sshd for each directory of the path of the root (session.c, `safely_chroot`).
fn check_path(case: &Subject<'_>, root: &Path) -> Result<Vec<Problem>> {
    let mut here = PathBuf::new();
    for part in root.components() {
        here.push(part);
        let shown = here.display();
        let refused = |why: String, fix: String| {
            Problem::new(
                ProblemCode::Root,
                format!("sshd does not accept the root `{}`", root.display()),
                fix,
            )
            .why(why)
        };
        let Some(stat) = case.view.lstat(&here)? else {
            return Ok(vec![refused(format!("`{shown}` is gone"), case.build())]);
        };
        if stat.kind() != FileKind::Directory {
            return Ok(vec![refused(
                format!("`{shown}` is not a directory"),
                format!("restore the directory `{shown}`"),
            )]);
        }
        if let Some(OwnershipProblem { why, fix }) = OwnershipProblem::of(&here, &stat) {
            return Ok(vec![refused(why, fix)]);
        }
    }
    let stat = case.view.lstat(root)?;
    if stat.is_some_and(|stat| stat.mode & 0o001 == 0) {
        return Ok(vec![
            Problem::new(
                ProblemCode::Root,
                format!("only root may enter `{}`", root.display()),
                format!("run `chmod 0755 {}`", root.display()),
            )
            .why("a session enters it as the user"),
        ]);
    }
    Ok(Vec::new())
}

/// Login shell inside the jail; `None` if the account has none, or does not exist.
fn shell(case: &Subject<'_>) -> Result<Option<PathBuf>> {
    let accounts = case.view.accounts()?;
    let shell = accounts.user(&case.user).map(|found| found.shell.clone());
    Ok(shell
        .filter(|shell| *shell != NONEXISTENT)
        .map(PathBuf::from))
}

/// Problems of a program of the jail: whether all users may pass its directories and execute it,
/// and whether the objects that it needs exist.
pub(super) fn program(
    case: &Subject<'_>,
    inside: &HostView,
    path: &Path,
    what: &str,
) -> Result<Vec<Problem>> {
    let shown = path.display();
    let lacks = |why: String| {
        Problem::new(
            ProblemCode::Program,
            format!("{what} `{shown}` does not start in the jail"),
            case.build(),
        )
        .why(why)
    };
    let Some(resolved) = inside.resolve_links(path)? else {
        return Ok(vec![lacks("the jail does not have it".to_owned())]);
    };
    let mut here = PathBuf::from("/");
    let parents = resolved.real.parent().unwrap_or(Path::new("/"));
    for part in parents.components().skip(1) {
        here.push(part);
        let closed = inside.lstat(&here)?.filter(|stat| stat.mode & 0o001 == 0);
        if let Some(stat) = closed {
            return Ok(vec![lacks(format!(
                "only root may enter `{}` (mode {:04o})",
                here.display(),
                stat.permissions()
            ))]);
        }
    }
    let Some(stat) = inside.lstat(&resolved.real)? else {
        return Ok(vec![lacks("the jail does not have it".to_owned())]);
    };
    if stat.kind() != FileKind::File || stat.mode & 0o001 == 0 {
        return Ok(vec![lacks(format!(
            "it is not a file that all users may execute (mode {:04o})",
            stat.permissions()
        ))]);
    }
    let closure = match elf::closure(
        inside,
        std::slice::from_ref(&resolved.real),
        &elf::Options::default(),
    ) {
        Ok(closure) => closure,
        Err(error) => return Ok(vec![lacks(error.to_string())]),
    };
    let mut reasons = Vec::new();
    for lack in closure.missing.iter().filter(|lack| lack.fatal) {
        let name = lack.name.display().to_string();
        reasons.push(lacks(format!(
            "`{}` needs `{}`, which the jail does not have",
            lack.needed_by.display(),
            name.escape_debug()
        )));
    }
    for (path, object) in &closure.objects {
        let is_closed = matches!(object.kind, elf::ObjectKind::Elf | elf::ObjectKind::Script)
            && object.stat.mode & 0o004 == 0;
        if is_closed {
            reasons.push(lacks(format!(
                "only root may read `{}` (mode {:04o})",
                path.display(),
                object.stat.permissions()
            )));
        }
    }
    Ok(reasons)
}
