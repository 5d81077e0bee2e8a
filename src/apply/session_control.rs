//! All that runs in a jail, stopped, let go on, or ended.

use std::collections::BTreeSet;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use jailctl_session::cgroup::{self, Limits};
use jailctl_session::policy::Policy;

use crate::error::{Error, Result};
use crate::host::{Host, Process};
use crate::names::JailName;
use crate::plan::Manifest;
use crate::resolve::is_managed;

/// How long the processes of a jail are looked for and ended.
const LIMIT: Duration = Duration::from_secs(4);
/// The time between two rounds of it.
const ROUND: Duration = Duration::from_millis(10);
/// How many looks in a row find nobody before a jail whose users cannot be ended as one is taken for empty.
const LOOKS: usize = 5;
/// Most processes that are named in an error.
const NAMED: usize = 8;

/// What came of ending all processes of a jail.
#[derive(Debug)]
pub(super) struct Ended {
    /// How many processes were seen, and ended.
    pub(super) count: usize,
    /// Those that were still there, or had begun, when the time was over.
    pub(super) left: Vec<Process>,
}

/// The policy of a jail's sessions, if they have one; `deed` is what could not be done otherwise.
pub fn policy(name: &JailName, deed: &str) -> Result<Option<Policy>> {
    Policy::load(name.as_str()).map_err(|error| failed(deed, name, &error))
}

/// Stops all that runs in the sessions of a jail. An error where it has none, or no groups to stop it by.
pub fn freeze(host: &Host, name: &JailName) -> Result<()> {
    let found = policy(name, "freeze")?;
    let (policy, limits) = with_groups(found.as_ref(), name, "freeze")?;
    let stopped =
        cgroup::freeze(&policy.jail, limits).map_err(|error| failed("freeze", name, &error))?;
    if !stopped {
        return Err(
            Error::failed(format!("could not freeze the jail `{name}`")).why("nobody is in it")
        );
    }
    host.log(&format!("jail {name} frozen"));
    Ok(())
}

/// Lets it go on; whether there was anything.
pub fn thaw(host: &Host, name: &JailName) -> Result<bool> {
    let found = policy(name, "thaw")?;
    let (policy, limits) = with_groups(found.as_ref(), name, "thaw")?;
    let went_on =
        cgroup::thaw(&policy.jail, limits).map_err(|error| failed("thaw", name, &error))?;
    if went_on {
        host.log(&format!("jail {name} thawed"));
    }
    Ok(went_on)
}

/// Ends all that runs in a jail, and gives how many processes that were. Its accounts stay open.
///
/// # Errors
/// `Failed` where processes are left after some seconds, because they do not end or because users log in again: who they are.
pub fn kill(host: &Host, manifest: &Manifest) -> Result<usize> {
    let name = &manifest.name;
    let accounts = host.accounts()?;
    let mut uids: Vec<u32> = manifest
        .accounts
        .iter()
        .map(|account| account.uid)
        .collect();
    // An id that was given to somebody else since is not the jail's any more.
    uids.retain(|uid| {
        let mut owners = accounts.users.iter().filter(|user| user.uid == *uid);
        owners.clone().next().is_none() || owners.any(|user| is_managed(user, name, manifest.gid()))
    });
    let groups = kill_groups(name)?;
    Process::kill_unauthenticated(host, &uids)?;
    let Ended { count, left } = end_all(host, name, manifest.gid(), &manifest.root, &uids)?;
    let ended = groups + count;
    if ended > 0 {
        host.log(&format!("jail {name}: its sessions were ended"));
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
                "{ended} processes were ended, and these are left after {} seconds: {}{more}",
                LIMIT.as_secs(),
                named.collect::<Vec<_>>().join(", ")
            ))
            .hint("users who log in again: close it first, by `jailctl remove`, or `usermod --expiredate 1` for its users")
            .hint("processes that wait for a disk or a network end when that answers"),
    )
}

/// Ends all processes in the jail `name` at `root`, those of its users `uids` at once, for at most some seconds.
///
/// A user whose id another account has as well, by any source of accounts, is ended process by process.
pub(super) fn end_all(
    host: &Host,
    name: &JailName,
    gid: Option<u32>,
    root: &Path,
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
    let mut without = 0;
    loop {
        let found = Process::present(host, root, uids)?;
        seen.extend(found.iter().map(|process| process.pid));
        // Also where nobody was found: who forks and ends can slip through.
        let mut is_sure = at_once.len() == uids.len() && cover.is_some();
        for uid in &at_once {
            is_sure &= cover.is_some_and(|cover| jailctl_session::kill_user(*uid, cover).is_ok());
        }
        if found.is_empty() {
            without += 1;
            if is_sure || without == LOOKS || !uids.iter().any(|uid| Process::has_any(*uid)) {
                return Ok(Ended {
                    count: seen.len(),
                    left: Vec::new(),
                });
            }
        } else {
            without = 0;
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
        sleep(ROUND);
    }
}

/// Ends all that is in the jail's groups, if it has some: there nobody gets away, and what is stopped is ended too.
pub(super) fn kill_groups(name: &JailName) -> Result<usize> {
    let deed = "end the sessions of";
    let found = policy(name, deed)?;
    let Some((policy, limits)) = groups(found.as_ref()) else {
        return Ok(0);
    };
    cgroup::kill(&policy.jail, limits).map_err(|error| failed(deed, name, &error))
}

/// Removes what is left of a jail's groups.
pub(super) fn clear_groups(name: &JailName) -> Result<()> {
    let deed = "remove the control groups of";
    let found = policy(name, deed)?;
    let Some((policy, limits)) = groups(found.as_ref()) else {
        return Ok(());
    };
    cgroup::clear(&policy.jail, limits).map_err(|error| failed(deed, name, &error))
}

/// What went wrong, for an admin: a removal goes on.
pub(super) fn notice(error: &Error) -> String {
    let said = error.findings.iter().map(ToString::to_string);
    said.collect::<Vec<_>>().join("; ")
}

fn groups(policy: Option<&Policy>) -> Option<(&Policy, &Limits)> {
    policy.and_then(|policy| Some((policy, policy.limits.as_ref()?)))
}

fn with_groups<'p>(
    policy: Option<&'p Policy>,
    name: &JailName,
    deed: &str,
) -> Result<(&'p Policy, &'p Limits)> {
    groups(policy).ok_or_else(|| {
        Error::failed(format!("could not {deed} the jail `{name}`"))
            .why("its sessions are in no control group")
            .hint("give its spec `[limits]`, and build it")
    })
}

fn failed(deed: &str, name: &JailName, error: &jailctl_session::Error) -> Error {
    Error::failed(format!("could not {deed} the jail `{name}`")).why(error.to_string())
}
