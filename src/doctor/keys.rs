//! Checks of the authorized keys of a user: whether sshd reads the file, and whether it contains a
//! key.

use std::path::{Path, PathBuf};

use super::problems::{OwnershipProblem, Problem, ProblemCode, Subject};
use crate::error::Result;
use crate::layout::KEYS_DIR;
use crate::plan::locked_users;
use crate::resolve::ResolvedJail;
use crate::spec::fingerprint;

/// Largest file of keys that is read, in bytes.
const LIMIT: u64 = 2 << 20;

/// Path of the authorized keys of a user.
pub(super) fn path(case: &Subject<'_>) -> PathBuf {
    ResolvedJail::state(&case.manifest.name)
        .join(KEYS_DIR)
        .join(&case.user)
}

pub(super) fn problems(case: &Subject<'_>) -> Result<Vec<Problem>> {
    let accounts = case.view.accounts()?;
    let found = accounts.user(&case.user);
    // An account with a password need not have keys.
    let by_password = found
        .and_then(|found| found.password.as_deref())
        .is_some_and(|password| password.starts_with('$'));
    let file = path(case);
    let shown = file.display();
    if case.view.lstat(&file)?.is_none() {
        let reason = Problem::new(
            ProblemCode::KeysGone,
            format!("there is no file `{shown}`"),
            case.build(),
        )
        .why("it contains the authorized keys of the account");
        // A lock deletes the keys, and is a problem of the account.
        let is_locked = locked_users(case.view, &case.manifest.name)?.contains(&case.user);
        return Ok(if by_password || is_locked {
            Vec::new()
        } else {
            vec![reason]
        });
    }
    let mut reasons = modes(case, &file)?;
    let text = case.view.read(&file, LIMIT)?.unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .collect();
    if lines.is_empty() && !by_password {
        reasons.push(
            Problem::new(
                ProblemCode::NoKey,
                format!("no login to the account `{}` is possible", case.user),
                format!(
                    "add a key to `authorized_keys` of `{}`, and build",
                    case.manifest.spec
                ),
            )
            .why("it has no key and no password"),
        );
    }
    let broken = lines
        .iter()
        .filter(|line| fingerprint(line).is_none())
        .count();
    if broken > 0 {
        reasons.push(
            Problem::new(
                ProblemCode::KeyBroken,
                format!("`{shown}` has lines that are no keys"),
                case.build(),
            )
            .why(format!("sshd ignores {broken} of its lines")),
        );
    }
    Ok(reasons)
}

/// Checks of owner and mode: sshd reads the file as the user, and with StrictModes only if no other
/// user can write it.
fn modes(case: &Subject<'_>, file: &Path) -> Result<Vec<Problem>> {
    let mut reasons = Vec::new();
    for path in file.ancestors().collect::<Vec<_>>().into_iter().rev() {
        let Some(stat) = case.view.lstat(path)? else {
            continue;
        };
        let shown = path.display();
        let (needed, action) = if path == file {
            (0o004, "read")
        } else {
            (0o001, "pass through")
        };
        let (why, fix) = if let Some(found) = OwnershipProblem::of(path, &stat) {
            (found.why, found.fix)
        } else if stat.mode & needed == 0 {
            let bit = if path == file { "r" } else { "x" };
            (
                format!(
                    "`{}` may not {action} `{shown}` (mode {:04o})",
                    case.user,
                    stat.permissions()
                ),
                format!("run `chmod a+{bit} {shown}`"),
            )
        } else {
            continue;
        };
        reasons.push(
            Problem::new(
                ProblemCode::KeyFile,
                format!("sshd refuses the file of the keys of `{}`", case.user),
                fix,
            )
            .why(why),
        );
    }
    Ok(reasons)
}
