//! What the account files say: whether the account is there, open, and of the jail's group.

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use super::problems::{Problem, ProblemCode, Subject};
use crate::error::Result;
use crate::plan::is_closed;
use crate::spec::Day;

/// Where an administrator shuts everybody but root out: nologin(5).
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
                .why("nobody but root may log in while it does"),
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
            .why("it is not in /etc/passwd any more"),
        );
        return Ok(reasons);
    };
    let today = today();
    if let Some(day) = found.expires.filter(|day| *day <= today) {
        let reason = if is_closed(Some(day)) {
            Problem::new(
                ProblemCode::AccountClosed,
                format!("the account `{user}` is closed"),
                format!(
                    "{}: it opens it again, if the spec still has it",
                    case.build()
                ),
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
    if found.stale.is_some_and(|day| day <= today) {
        reasons.push(
            Problem::new(
                ProblemCode::PasswordStale,
                format!("the account `{user}` has to get a new password first"),
                format!("run `chage --lastday -1 --maxdays -1 {user}`"),
            )
            .why("its password is too old by shadow(5), and in a jail none can be given"),
        );
    }
    let (group, gid) = &case.lock.group;
    match accounts.group(group) {
        Some(now) if now.gid == found.gid => {}
        Some(_) => reasons.push(
            Problem::new(ProblemCode::Group, format!("the primary group of `{user}` is not `{group}`"), case.build())
                .why("sshd locks the members of that group in; without it the account's shell does not exist"),
        ),
        None => reasons.push(
            Problem::new(ProblemCode::Group, format!("there is no group `{group}` (gid {gid})"), case.build())
                .why("sshd locks its members in; without it the account's shell does not exist"),
        ),
    }
    Ok(reasons)
}

/// Days since the epoch.
fn today() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.map_or(0, |since| {
        i64::try_from(since.as_secs() / 86_400).unwrap_or(i64::MAX)
    })
}
