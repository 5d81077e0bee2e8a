//! Checks of the account files: whether the account exists, is open, and is in the group of the
//! jail.

use std::path::Path;

use super::problems::{Problem, ProblemCode, Subject};
use crate::error::Result;
use crate::host::today;
use crate::plan::{is_closed, locked_users};
use crate::spec::Day;

/// Files by which an administrator closes the host to all users but root: nologin(5).
const NOLOGIN: [&str; 2] = ["/etc/nologin", "/var/run/nologin"];

pub(super) fn problems(case: &Subject<'_>) -> Result<Vec<Problem>> {
    let mut reasons = Vec::new();
    let user = &case.user;
    for path in NOLOGIN {
        if case.view.lstat(Path::new(path))?.is_some() {
            reasons.push(
                Problem::new(
                    ProblemCode::Nologin,
                    format!("`{path}` exists"),
                    format!("run `rm {path}` when the host is open again"),
                )
                .why("while it exists, only root can log in"),
            );
            break;
        }
    }
    let accounts = case.view.accounts()?;
    let Some(found) = accounts.user(user) else {
        reasons.push(
            Problem::new(
                ProblemCode::AccountGone,
                format!("there is no account `{user}`"),
                case.build(),
            )
            .why("/etc/passwd has no entry of it"),
        );
        return Ok(reasons);
    };
    let today = today();
    if let Some(day) = found.expires.filter(|day| *day <= today) {
        let reason = if is_closed(Some(day)) {
            let is_locked = locked_users(case.view, &case.manifest.name)?.contains(user);
            let fix = if is_locked {
                format!("run `jailctl unlock {user}`: `jailctl lock` has closed it")
            } else {
                format!("{}, which opens it if the spec has the user", case.build())
            };
            Problem::new(
                ProblemCode::AccountClosed,
                format!("the account `{user}` is closed"),
                fix,
            )
        } else {
            Problem::new(
                ProblemCode::AccountExpired,
                format!("the account `{user}` expired on {}", Day(day)),
                format!("change `expires` in the spec, or run `usermod --expiredate '' {user}`"),
            )
        };
        reasons.push(reason);
    }
    if found.password_expires.is_some_and(|day| day <= today) {
        reasons.push(
            Problem::new(
                ProblemCode::PasswordStale,
                format!("the account `{user}` needs a new password before the login"),
                format!("run `chage --lastday -1 --maxdays -1 {user}`"),
            )
            .why("by shadow(5) its password is too old, and it cannot be changed in a jail"),
        );
    }
    let (group, gid) = &case.confinement.group;
    match accounts.group(group) {
        Some(now) if now.gid == found.gid => {}
        Some(_) => reasons.push(
            Problem::new(ProblemCode::Group, format!("the primary group of `{user}` is not `{group}`"), case.build())
                .why("sshd confines members of that group only, and the account's shell does not exist outside of the jail"),
        ),
        None => reasons.push(
            Problem::new(ProblemCode::Group, format!("there is no group `{group}` (gid {gid})"), case.build())
                .why("sshd confines its members only, and the account's shell does not exist outside of the jail"),
        ),
    }
    Ok(reasons)
}
