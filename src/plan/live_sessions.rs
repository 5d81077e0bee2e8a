//! Refusals while processes run in a jail or as one of its accounts.

use std::path::Path;

use super::target::RemoveOptions;
use crate::error::{Error, Result};
use crate::host::{HostView, Process};
use crate::names::JailName;

/// Most processes that an error names.
const NAMED: usize = 16;

/// Refuses to remove a jail while processes, `living`, run in it.
///
/// # Errors
/// [`crate::error::ErrorKind::Failed`] with the processes, if there are any.
pub fn ensure_no_sessions(
    view: &HostView,
    name: &JailName,
    how: RemoveOptions,
    living: &[Process],
) -> Result<()> {
    let hint = if how.dropped {
        format!("end them: jailctl kill {name}")
    } else {
        "end them, or give `--kill`".to_owned()
    };
    refuse(
        view,
        living,
        &format!("could not remove the jail `{name}`"),
        "processes run in it",
        &hint,
    )
}

/// Refuses to change a jail between plain chroot and sessions while processes, `living`, run in it.
///
/// # Errors
/// [`crate::error::ErrorKind::Failed`] with the processes, if there are any.
pub fn ensure_empty(view: &HostView, name: &JailName, living: &[Process]) -> Result<()> {
    refuse(
        view,
        living,
        &format!("could not change the sessions of the jail `{name}`"),
        "processes run in it",
        "end them first: a jail must not have a plain chroot and a session at once",
    )
}

/// Refuses to remove an account while processes run as it.
///
/// # Errors
/// [`crate::error::ErrorKind::Failed`] with the processes, if there are any, or if `/proc` cannot
/// be read.
pub fn ensure_account_idle(view: &HostView, user: &str, uid: u32) -> Result<()> {
    // No process has this path as its root directory: processes are found by user id only.
    let living = Process::find_in_jail(view, Path::new("/dev/null"), &[uid])?;
    refuse(
        view,
        &living,
        &format!("could not remove the account `{user}`"),
        "it has processes",
        "end them first",
    )
}

fn refuse(view: &HostView, living: &[Process], what: &str, why: &str, hint: &str) -> Result<()> {
    if living.is_empty() {
        return Ok(());
    }
    Err(Error::failed(what)
        .why(format!("{why}: {}", describe(view, living)?))
        .hint(hint))
}

/// The processes with program and user: `4711 (bash of harlequin), 4712 (vim of harlequin)`.
///
/// # Errors
/// [`crate::error::ErrorKind::Failed`] if the account files cannot be read.
pub fn describe(view: &HostView, living: &[Process]) -> Result<String> {
    let accounts = view.accounts()?;
    let text = |process: &Process| {
        let user = (accounts.users.iter()).find(|user| user.uid == process.uid);
        let user = user.map_or_else(|| process.uid.to_string(), |user| user.name.clone());
        match process.command() {
            Some(command) => format!("{} ({command} of {user})", process.pid),
            None => format!("{} (of {user})", process.pid),
        }
    };
    let mut texts: Vec<String> = living.iter().take(NAMED).map(text).collect();
    if living.len() > NAMED {
        texts.push(format!("and {} more", living.len() - NAMED));
    }
    Ok(texts.join(", "))
}
