//! All that runs in a jail, stopped, let go on, or ended.

use std::path::Path;

use jailctl_session::limits::{self, Limits};
use jailctl_session::policy::Policy;

use crate::error::{Error, Result};
use crate::host::{Host, Process, View};
use crate::names::JailName;
use crate::plan::Manifest;

/// How often who runs in a jail is looked for: whoever forks while the others are ended is found in the next round.
pub(super) const ROUNDS: usize = 100;

/// The policy of a jail's sessions, if they have one; `deed` is what could not be done otherwise.
pub fn policy(name: &JailName, deed: &str) -> Result<Option<Policy>> {
    Policy::load(name.as_str()).map_err(|error| failed(deed, name, &error))
}

/// Stops all that runs in the sessions of a jail. An error where it has none, or no groups to stop it by.
pub fn freeze(host: &Host, name: &JailName) -> Result<()> {
    let found = policy(name, "freeze")?;
    let (policy, limits) = with_groups(found.as_ref(), name, "freeze")?;
    let stopped = limits::freeze(policy, limits).map_err(|error| failed("freeze", name, &error))?;
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
    let went_on = limits::thaw(policy, limits).map_err(|error| failed("thaw", name, &error))?;
    if went_on {
        host.log(&format!("jail {name} thawed"));
    }
    Ok(went_on)
}

/// Ends all that runs in a jail, and gives how many processes that were. Its accounts stay open.
pub fn kill(host: &Host, manifest: &Manifest) -> Result<usize> {
    let name = &manifest.name;
    let uids: Vec<u32> = manifest
        .accounts
        .iter()
        .map(|account| account.uid)
        .collect();
    let mut ended = kill_groups(name)?;
    for _ in 0..ROUNDS {
        let killed = kill_seen(host, &manifest.root, &uids)?;
        if killed == 0 {
            if ended > 0 {
                host.log(&format!("jail {name}: its sessions were ended"));
            }
            return Ok(ended);
        }
        ended += killed;
    }
    Err(
        Error::failed(format!("could not end the sessions of `{name}`"))
            .why("new ones begin faster than they are ended")
            .hint("close it first: `jailctl remove`, or `usermod --expiredate 1` for its users"),
    )
}

/// Ends all that is in the jail's groups, if it has some: there nobody gets away, and what is stopped is ended too.
pub(super) fn kill_groups(name: &JailName) -> Result<usize> {
    let deed = "end the sessions of";
    let found = policy(name, deed)?;
    let Some((policy, limits)) = groups(found.as_ref()) else {
        return Ok(0);
    };
    limits::kill(policy, limits).map_err(|error| failed(deed, name, &error))
}

/// Removes what is left of a jail's groups.
pub(super) fn clear_groups(name: &JailName) -> Result<()> {
    let deed = "remove the control groups of";
    let found = policy(name, deed)?;
    let Some((policy, limits)) = groups(found.as_ref()) else {
        return Ok(());
    };
    limits::clear(policy, limits).map_err(|error| failed(deed, name, &error))
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

/// Ends the processes that are seen in a jail now; how many there were.
pub(super) fn kill_seen(view: &View, root: &Path, uids: &[u32]) -> Result<usize> {
    let living = Process::living(view, root, uids)?;
    for process in &living {
        process.kill()?;
    }
    Ok(living.len())
}
