//! Nothing is taken away from under somebody who is in it.

use std::path::Path;

use super::target::RemoveOptions;
use crate::error::{Error, Result};
use crate::host::{HostView, Process};
use crate::names::JailName;

/// Most processes that are named.
const NAMED: usize = 16;

/// Refuses to remove a jail in which these processes live, if there are any.
pub fn ensure_no_sessions(name: &JailName, how: RemoveOptions, living: &[Process]) -> Result<()> {
    let hint = if how.dropped {
        format!("end them: jailctl kill {name}")
    } else {
        "end them, or give `--kill`".to_owned()
    };
    refuse(
        living,
        &format!("could not remove the jail `{name}`"),
        "processes run in it",
        &hint,
    )
}

/// Refuses to change how a jail is entered while these processes live in it.
pub fn ensure_empty(name: &JailName, living: &[Process]) -> Result<()> {
    refuse(
        living,
        &format!("could not change the sessions of the jail `{name}`"),
        "processes run in it as it is",
        "end them first: nobody may be in a plain chroot and in a session of one jail at once",
    )
}

/// Refuses to remove an account whose processes live.
pub fn ensure_account_idle(view: &HostView, user: &str, uid: u32) -> Result<()> {
    // No process has this as its root directory: only the number counts.
    let living = Process::find_in_jail(view, Path::new("/dev/null"), &[uid])?;
    refuse(
        &living,
        &format!("could not remove the account `{user}`"),
        "processes of it run",
        "end them first",
    )
}

fn refuse(living: &[Process], what: &str, why: &str, hint: &str) -> Result<()> {
    if living.is_empty() {
        return Ok(());
    }
    let numbers: Vec<String> = living
        .iter()
        .take(NAMED)
        .map(|process| process.pid.to_string())
        .collect();
    Err(Error::failed(what)
        .why(format!("{why}: {}", numbers.join(", ")))
        .hint(hint))
}
