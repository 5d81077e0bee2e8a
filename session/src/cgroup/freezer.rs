//! Freezing, thawing and killing all processes of the sessions of a jail.

use std::collections::BTreeSet;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use super::group::Group;
use super::hierarchy::{Hierarchies, Version};
use super::kernel_file::{exists, list, read, read_if_exists, write};
use super::systemd;
use crate::policy::Limits;
use crate::{Error, network};

/// Timeout for processes to freeze or to end. One in the middle of a write to a slow disk takes a
/// while.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Timeout for freezing while the lock of all networks is held: shorter than that of its waiters.
const SHORT_TIMEOUT: Duration = Duration::from_secs(3);
/// Number of processes killed per reading of the list of members, which takes longer the more there
/// are: limited by the number of open files.
const AT_ONCE: usize = 512;
/// Pause between two readings of the state of a group that changes.
const ROUND: Duration = Duration::from_millis(2);

/// Freezes all processes of the sessions of the jail, sshd's of the connections included. Returns
/// whether there is a session. New sessions are refused until [`thaw`].
///
/// # Errors
/// [`Error::Busy`] if not all processes freeze in time, [`Error::Unsupported`] if the host has no
/// freezer, [`Error::Refused`] if systemd refuses; [`Error::System`]. After an error all processes
/// run again.
pub fn freeze(jail: &str, limits: &Limits) -> Result<bool, Error> {
    // Under systemd pid 1 of a session is frozen too; one that is frozen while it removes a network
    // would hold the lock of all networks.
    let guard = network::still(jail);
    let Some(freezer) = Freezer::of(jail, limits)? else {
        return Ok(false);
    };
    let timeout = if guard.is_some() {
        SHORT_TIMEOUT
    } else {
        TIMEOUT
    };
    let frozen = freezer.freeze(timeout);
    drop(guard);
    if frozen.is_err() {
        // The first error is the one to report.
        let _ = freezer.thaw();
    }
    frozen.map(|()| true)
}

/// Thaws all processes of the sessions of the jail. Returns whether there is a session.
///
/// # Errors
/// [`Error::Unsupported`] if the host has no freezer, [`Error::Refused`] if systemd refuses;
/// [`Error::System`].
pub fn thaw(jail: &str, limits: &Limits) -> Result<bool, Error> {
    match Freezer::of(jail, limits)? {
        Some(freezer) => freezer.thaw().map(|()| true),
        None => Ok(false),
    }
}

/// Whether the processes of the jail are frozen, and new sessions are refused. Reads only.
///
/// # Errors
/// [`Error::System`].
pub fn is_frozen(jail: &str, limits: &Limits) -> Result<bool, Error> {
    for group in Group::locate(jail, limits, &Hierarchies::read()?)? {
        if group.exists() && group.is_frozen()? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Kills all processes of the sessions of the jail, frozen or not, and returns their number. No
/// process escapes by forking: with v2 the kernel kills the group as a whole, with v1 it is frozen
/// before.
///
/// # Errors
/// [`Error::Busy`] if processes are left after five seconds, [`Error::Unsupported`] if the host has
/// no freezer; [`Error::System`]. Processes may have been killed, and the call may be repeated.
pub fn kill(jail: &str, limits: &Limits) -> Result<usize, Error> {
    let Some(freezer) = Freezer::of(jail, limits)? else {
        return Ok(0);
    };
    let mut killed = BTreeSet::new();
    let mut failed = None;
    let deadline = Instant::now() + TIMEOUT;
    loop {
        let members = freezer.members()?;
        // systemd would count the processes of the next session as frozen too.
        let is_over = !freezer.is_systemd || !freezer.is_frozen()?;
        if members.is_empty() && is_over {
            return Ok(killed.len());
        }
        if Instant::now() > deadline {
            return Err(failed.unwrap_or_else(|| {
                Error::Busy(format!(
                    "{} processes of the jail `{jail}` have not ended",
                    members.len()
                ))
            }));
        }
        killed.extend(members);
        // systemd thaws nothing while a unit of the jail is ending.
        failed = freezer.kill().err();
        sleep(ROUND);
    }
}

/// The group by which a jail is frozen.
struct Freezer {
    group: Group,
    version: Version,
    jail: String,
    is_systemd: bool,
}

impl Freezer {
    /// `None` if the jail has no group, that is, no session.
    fn of(jail: &str, limits: &Limits) -> Result<Option<Self>, Error> {
        let hierarchies = Hierarchies::read()?;
        if hierarchies.with_controller("freezer").is_none() {
            return Err(Error::Unsupported(
                "this host does not have the control group controller `freezer`".to_owned(),
            ));
        }
        let is_systemd = systemd::hierarchy(&hierarchies)?.is_some();
        let found = Group::locate(jail, limits, &hierarchies)?
            .into_iter()
            .find(Group::has_freezer);
        Ok(found.map(|group| Self {
            version: group.version(),
            group,
            jail: jail.to_owned(),
            is_systemd,
        }))
    }

    fn path(&self) -> &Path {
        self.group.path()
    }

    fn freeze(&self, timeout: Duration) -> Result<(), Error> {
        let deadline = Instant::now() + timeout;
        match self.version {
            _ if self.is_systemd => systemd::set_frozen(&self.jail, true, timeout)?,
            Version::V1 => write(&self.path().join("freezer.state"), "FROZEN")?,
            Version::V2 => write(&self.path().join("cgroup.freeze"), "1")?,
        }
        while !self.is_settled()? {
            if Instant::now() > deadline {
                return Err(Error::Busy(
                    "not all of its processes freeze: some wait for a disk or a network".to_owned(),
                ));
            }
            sleep(ROUND);
        }
        Ok(())
    }

    fn is_settled(&self) -> Result<bool, Error> {
        match self.version {
            Version::V1 => {
                let state = read(&self.path().join("freezer.state"))?;
                Ok(state.trim() == "FROZEN")
            }
            Version::V2 => {
                let events = read(&self.path().join("cgroup.events"))?;
                Ok(events.lines().any(|line| line == "frozen 1"))
            }
        }
    }

    fn thaw(&self) -> Result<(), Error> {
        match self.version {
            _ if self.is_systemd => systemd::set_frozen(&self.jail, false, TIMEOUT),
            Version::V1 => write(&self.path().join("freezer.state"), "THAWED"),
            Version::V2 => write(&self.path().join("cgroup.freeze"), "0"),
        }
    }

    fn is_frozen(&self) -> Result<bool, Error> {
        Ok(self.group.exists() && self.group.is_frozen()?)
    }

    /// The processes in the group and in the scopes of systemd below it; empty if it no longer
    /// exists.
    fn members(&self) -> Result<Vec<i32>, Error> {
        let mut groups = vec![self.path().to_owned()];
        if self.is_systemd && self.group.exists() {
            let names = list(self.path())?.into_iter();
            let scopes = names.filter(|name| {
                Path::new(name)
                    .extension()
                    .is_some_and(|end| end == "scope")
            });
            groups.extend(scopes.map(|scope| self.path().join(scope)));
        }
        let mut members = Vec::new();
        for group in groups {
            let text = read_if_exists(&group.join("cgroup.procs"))?.unwrap_or_default();
            members.extend(text.lines().filter_map(|line| line.parse::<i32>().ok()));
        }
        Ok(members)
    }

    /// Sends SIGKILL to all processes of the group.
    fn kill(&self) -> Result<(), Error> {
        let kill_file = self.path().join("cgroup.kill");
        if exists(&kill_file) {
            ignore_removed(write(&kill_file, "1"))?;
            if self.is_systemd && self.is_frozen()? {
                return self.thaw();
            }
            return Ok(());
        }
        // No process forks while it is frozen. If not all freeze, there is another pass.
        let _ = self.freeze(TIMEOUT);
        let members = self.members()?;
        let killed = members
            .chunks(AT_ONCE)
            .try_for_each(|some| self.kill_these(some));
        // v1 lets a frozen process end only after it is thawed.
        ignore_removed(self.thaw())?;
        killed
    }

    fn kill_these(&self, pids: &[i32]) -> Result<(), Error> {
        let handle = |pid: &i32| {
            // Zero stands for a process that is not visible in this pid namespace.
            let number = Pid::from_raw(*pid)?;
            Some((*pid, pidfd_open(number, PidfdFlags::empty()).ok()?))
        };
        let handles: Vec<_> = pids.iter().filter_map(handle).collect();
        // Members that are still listed after their pidfds were opened: their pids have not been
        // reused in between.
        let current: BTreeSet<i32> = self.members()?.into_iter().collect();
        for (_, handle) in handles.iter().filter(|(pid, _)| current.contains(pid)) {
            match pidfd_send_signal(handle, Signal::KILL) {
                Ok(()) | Err(Errno::SRCH) => {}
                Err(errno) => return Err(Error::of("kill a process of the jail")(errno)),
            }
        }
        Ok(())
    }
}

/// Ignores that a group was removed with its last session.
fn ignore_removed(written: Result<(), Error>) -> Result<(), Error> {
    match written {
        Err(error) if matches!(error.errno(), Some(Errno::NOENT | Errno::NODEV)) => Ok(()),
        other => other,
    }
}
