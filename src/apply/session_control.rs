//! Freezing, thawing and killing of the processes in a jail.

use std::collections::BTreeSet;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use jailctl_session::cgroup::{self, Limits};
use jailctl_session::policy::Policy;

use crate::error::{Error, Result};
use crate::host::{Event, Host, Process, UserEntry};
use crate::names::JailName;
use crate::plan::{Manifest, describe};
use crate::resolve::is_managed;

/// Time limit for finding and killing the processes of a jail.
const LIMIT: Duration = Duration::from_secs(4);
/// Pause between two passes.
const ROUND: Duration = Duration::from_millis(10);
/// Number of passes in a row that find no process, before a jail whose users cannot be killed by
/// user id counts as empty.
const EMPTY_PASSES: usize = 5;
/// Maximum number of processes that an error lists.
const NAMED: usize = 8;

/// The result of killing all processes of a jail.
#[derive(Debug)]
pub(super) struct Ended {
    /// Number of processes that were seen and killed.
    pub(super) count: usize,
    /// Processes that were left, or had started, at the time limit.
    pub(super) left: Vec<Process>,
}

/// The session policy of a jail; `None` for a plain chroot. `action` is the verb of the error.
///
/// # Errors
/// [`ErrorKind::Failed`](crate::error::ErrorKind::Failed) where the policy cannot be read.
pub fn policy(name: &JailName, action: &str) -> Result<Option<Policy>> {
    Policy::load(name.as_str()).map_err(|error| failed(action, name, &error))
}

/// Freezes all processes in the sessions of a jail.
///
/// # Errors
/// [`ErrorKind::Failed`](crate::error::ErrorKind::Failed) where the jail has no session, or its
/// sessions have no control group.
pub fn freeze(host: &Host, name: &JailName) -> Result<()> {
    let found = policy(name, "freeze")?;
    let (policy, limits) = with_groups(found.as_ref(), name, "freeze")?;
    let stopped =
        cgroup::freeze(&policy.jail, limits).map_err(|error| failed("freeze", name, &error))?;
    if !stopped {
        return Err(
            Error::failed(format!("could not freeze the jail `{name}`")).why("it has no session")
        );
    }
    let text = format!("jail {name} frozen");
    host.log(Event::SessionsControlled, &[name.as_str()], &text);
    Ok(())
}

/// Thaws the processes in the sessions of a jail. Returns whether there was a session.
///
/// # Errors
/// [`ErrorKind::Failed`](crate::error::ErrorKind::Failed) where its sessions have no control group.
pub fn thaw(host: &Host, name: &JailName) -> Result<bool> {
    let found = policy(name, "thaw")?;
    let (policy, limits) = with_groups(found.as_ref(), name, "thaw")?;
    let was_thawed =
        cgroup::thaw(&policy.jail, limits).map_err(|error| failed("thaw", name, &error))?;
    if was_thawed {
        let text = format!("jail {name} thawed");
        host.log(Event::SessionsControlled, &[name.as_str()], &text);
    }
    Ok(was_thawed)
}

/// Kills all processes in a jail, and returns their number. Its accounts stay enabled.
///
/// # Errors
/// [`ErrorKind::Failed`](crate::error::ErrorKind::Failed) where processes are left after 4 seconds,
/// because they do not end or because users log in again. The error lists them.
pub fn kill(host: &Host, manifest: &Manifest) -> Result<usize> {
    let name = &manifest.name;
    let accounts = host.accounts()?;
    let mut uids: Vec<u32> = manifest
        .accounts
        .iter()
        .map(|account| account.uid)
        .collect();
    // A recorded id may belong to another account by now.
    uids.retain(|uid| {
        let mut owners = accounts.users.iter().filter(|user| user.uid == *uid);
        owners.clone().next().is_none() || owners.any(|user| is_managed(user, name, manifest.gid()))
    });
    let groups = kill_groups(name)?;
    Process::kill_unauthenticated(host, &uids)?;
    let Ended { count, left } = end_all(host, name, manifest.gid(), Some(&manifest.root), &uids)?;
    let ended = groups + count;
    if ended > 0 {
        let text = format!("jail {name}: its sessions were ended");
        host.log(Event::SessionsControlled, &[name.as_str()], &text);
    }
    if left.is_empty() {
        return Ok(ended);
    }
    let named = left.iter().take(NAMED).map(|process| {
        let user = accounts.users.iter().find(|user| user.uid == process.uid);
        let user = user.map_or_else(|| process.uid.to_string(), |user| user.name.clone());
        format!("{} of {user}", process.pid)
    });
    let more = if left.len() > NAMED { ", and more" } else { "" };
    Err(
        Error::failed(format!("could not end the sessions of `{name}`"))
            .why(format!(
                "{ended} processes were killed, and these are left after {} seconds: {}{more}",
                LIMIT.as_secs(),
                named.collect::<Vec<_>>().join(", ")
            ))
            .hint("if users log in again, disable their accounts first: `usermod --expiredate 1 USER`")
            .hint("processes that wait for a disk or a network end when that answers"),
    )
}

/// Kills all processes of one user of a jail, and connections of sshd that are about to become
/// some, and returns their number. The account stays enabled.
///
/// # Errors
/// As [`kill`].
pub fn kill_user(host: &Host, manifest: &Manifest, user: &UserEntry) -> Result<usize> {
    let name = &manifest.name;
    let uids = [user.uid];
    Process::kill_unauthenticated(host, &uids)?;
    let Ended { count, left } = end_all(host, name, manifest.gid(), None, &uids)?;
    if count > 0 {
        let text = format!("jail {name}: the sessions of {} were ended", user.name);
        host.log(Event::SessionsControlled, &[name.as_str()], &text);
    }
    if left.is_empty() {
        return Ok(count);
    }
    Err(
        Error::failed(format!("could not end the sessions of `{}`", user.name))
            .why(format!(
                "{count} processes were killed, and these are left after {} seconds: {}",
                LIMIT.as_secs(),
                describe(host, &left)?
            ))
            .hint(format!(
                "a user who logs in again: jailctl lock --kill {}",
                user.name
            )),
    )
}

/// Kills all processes in the jail `name` at `root`, and those of its users `uids`, for at most 4
/// seconds. Without `root`, only those of the users.
///
/// With `root`, under systemd, the kernel kills the slice of the jail. Then the processes of a user
/// are killed at once by user id, unless another account of any source has the same id: then one by
/// one.
pub(super) fn end_all(
    host: &Host,
    name: &JailName,
    gid: Option<u32>,
    root: Option<&Path>,
    uids: &[u32],
) -> Result<Ended> {
    if !host.is_live() {
        return Ok(Ended {
            count: 0,
            left: Vec::new(),
        });
    }
    let until = Instant::now() + LIMIT;
    let accounts = host.accounts()?;
    let mut at_once: Vec<u32> = uids.to_vec();
    at_once.retain(|uid| accounts.has_alone(*uid, |user| is_managed(user, name, gid)));
    let cover = if at_once.is_empty() {
        None
    } else {
        host.unused_uid().ok()
    };
    let mut seen = BTreeSet::new();
    let mut empty_passes = 0;
    let mut raised = None;
    loop {
        let begin = Instant::now();
        // No process has the other path as its root directory.
        let found = Process::present(host, root.unwrap_or(Path::new("/dev/null")), uids)?;
        let pass = begin.elapsed();
        seen.extend(found.iter().map(|process| process.pid));
        if raised.is_none() && root.is_some() {
            // Where it fails, the processes are killed by user id all the same.
            raised = cgroup::kill_slice(name.as_str()).ok();
        }
        // Also where no process was found: one that forks and exits can be missed by each pass.
        let mut is_sure = at_once.len() == uids.len() && cover.is_some();
        for uid in &at_once {
            is_sure &= cover.is_some_and(|cover| jailctl_session::kill_user(*uid, cover).is_ok());
        }
        if found.is_empty() {
            empty_passes += 1;
            if is_sure
                || empty_passes == EMPTY_PASSES
                || !uids.iter().any(|uid| Process::has_any(*uid))
            {
                return Ok(Ended {
                    count: seen.len(),
                    left: Vec::new(),
                });
            }
        } else {
            empty_passes = 0;
        }
        if Instant::now() > until {
            return Ok(Ended {
                count: seen.len(),
                left: found,
            });
        }
        for process in &found {
            process.kill()?;
        }
        // A pass over thousands of processes takes the CPU time that they need to end.
        sleep(ROUND.max(pass));
    }
}

/// Kills all processes in the jail's control groups, if it has some. No process escapes from them,
/// and frozen ones are killed too.
pub(super) fn kill_groups(name: &JailName) -> Result<usize> {
    let action = "end the sessions of";
    let found = policy(name, action)?;
    let Some((policy, limits)) = groups(found.as_ref()) else {
        return Ok(0);
    };
    cgroup::kill(&policy.jail, limits).map_err(|error| failed(action, name, &error))
}

/// Removes the control groups of a jail that are left.
pub(super) fn clear_groups(name: &JailName) -> Result<()> {
    let action = "remove the control groups of";
    let found = policy(name, action)?;
    let Some((policy, limits)) = groups(found.as_ref()) else {
        return Ok(());
    };
    cgroup::clear(&policy.jail, limits).map_err(|error| failed(action, name, &error))
}

/// The text of an error that does not stop a removal, as a notice.
pub(super) fn notice(error: &Error) -> String {
    let findings = error.findings.iter().map(ToString::to_string);
    findings.collect::<Vec<_>>().join("; ")
}

fn groups(policy: Option<&Policy>) -> Option<(&Policy, &Limits)> {
    policy.and_then(|policy| Some((policy, policy.limits.as_ref()?)))
}

fn with_groups<'p>(
    policy: Option<&'p Policy>,
    name: &JailName,
    action: &str,
) -> Result<(&'p Policy, &'p Limits)> {
    groups(policy).ok_or_else(|| {
        Error::failed(format!("could not {action} the jail `{name}`"))
            .why("its sessions are in no control group")
            .hint("give its spec `[limits]`, and build it")
    })
}

fn failed(action: &str, name: &JailName, error: &jailctl_session::Error) -> Error {
    Error::failed(format!("could not {action} the jail `{name}`")).why(error.to_string())
}
