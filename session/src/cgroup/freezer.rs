//! Stopping all that the sessions of a jail run, letting it go on, and ending it.

use std::collections::BTreeSet;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use super::group::Group;
use super::hierarchy::{Hierarchies, Version};
use super::kernel_file::{is_there, list, read, read_if_exists, write};
use super::systemd;
use crate::policy::Limits;
use crate::{Error, network};

/// How long processes get to stop, or to end. One in the middle of a write to a slow disk takes a while.
const PATIENCE: Duration = Duration::from_secs(5);
/// The same while others wait for the lock of all networks: they wait longer.
const SHORT: Duration = Duration::from_secs(3);
/// How many processes are ended for each look at who is in a group, which takes the longer the more there are: as many as there may be open files.
const AT_ONCE: usize = 512;
/// How often who is in a group is asked while it changes.
const ROUND: Duration = Duration::from_millis(2);

/// Stops every process of the jail's sessions; whether there was any. sshd's own for the connections are among them. New sessions do not begin until [`thaw`].
///
/// Where some do not stop, the others go on again, and it is an error.
pub fn freeze(jail: &str, limits: &Limits) -> Result<bool, Error> {
    // Under systemd the keepers are among those who stop, and one who stops while it takes a network away would keep all others' shut.
    let still = network::still(jail);
    let Some(freezer) = Freezer::of(jail, limits)? else {
        return Ok(false);
    };
    let patience = if still.is_some() { SHORT } else { PATIENCE };
    let stopped = freezer.stop(patience);
    drop(still);
    if stopped.is_err() {
        // The error that there is says more than a second one.
        let _ = freezer.go_on();
    }
    stopped.map(|()| true)
}

/// Lets them go on; whether there was any.
pub fn thaw(jail: &str, limits: &Limits) -> Result<bool, Error> {
    match Freezer::of(jail, limits)? {
        Some(freezer) => freezer.go_on().map(|()| true),
        None => Ok(false),
    }
}

/// Whether they are stopped, and nobody comes in. Reads only.
pub fn is_frozen(jail: &str, limits: &Limits) -> Result<bool, Error> {
    for group in Group::locate(jail, limits, &Hierarchies::read()?)? {
        if group.exists() && group.is_frozen()? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Ends every process of the jail's sessions, stopped or not, and gives how many there were. Nobody gets away by forking: with v2 the kernel kills the group as one,
/// with v1 it is stopped before.
pub fn kill(jail: &str, limits: &Limits) -> Result<usize, Error> {
    let Some(freezer) = Freezer::of(jail, limits)? else {
        return Ok(0);
    };
    let mut killed = BTreeSet::new();
    let mut failed = None;
    let deadline = Instant::now() + PATIENCE;
    loop {
        let members = freezer.members()?;
        // systemd would take the next session's processes for stopped too.
        let is_over = !freezer.is_of_systemd || !freezer.is_frozen()?;
        if members.is_empty() && is_over {
            return Ok(killed.len());
        }
        if Instant::now() > deadline {
            return Err(failed.unwrap_or_else(|| {
                Error::Refused(format!(
                    "{} processes of the jail `{jail}` do not end",
                    members.len()
                ))
            }));
        }
        killed.extend(members);
        // systemd lets nothing go on while a unit of the jail's is just ending.
        failed = freezer.kill().err();
        sleep(ROUND);
    }
}

/// The jail's group by which it is stopped.
struct Freezer {
    group: Group,
    version: Version,
    jail: String,
    is_of_systemd: bool,
}

impl Freezer {
    /// `None` where there is no group, that is, no session.
    fn of(jail: &str, limits: &Limits) -> Result<Option<Self>, Error> {
        let hierarchies = Hierarchies::read()?;
        if hierarchies.with_controller("freezer").is_none() {
            return Err(Error::Refused(
                "the control group controller `freezer` is not there".to_owned(),
            ));
        }
        let is_of_systemd = systemd::hierarchy(&hierarchies)?.is_some();
        let found = Group::locate(jail, limits, &hierarchies)?
            .into_iter()
            .find(Group::has_freezer);
        Ok(found.map(|group| Self {
            version: group.version(),
            group,
            jail: jail.to_owned(),
            is_of_systemd,
        }))
    }

    fn path(&self) -> &Path {
        self.group.path()
    }

    fn stop(&self, patience: Duration) -> Result<(), Error> {
        let deadline = Instant::now() + patience;
        match self.version {
            _ if self.is_of_systemd => systemd::set_frozen(&self.jail, true, patience)?,
            Version::V1 => write(&self.path().join("freezer.state"), "FROZEN")?,
            Version::V2 => write(&self.path().join("cgroup.freeze"), "1")?,
        }
        while !self.is_stopped()? {
            if Instant::now() > deadline {
                return Err(Error::Refused(
                    "not all of its processes stop: some wait for a disk or a network".to_owned(),
                ));
            }
            sleep(ROUND);
        }
        Ok(())
    }

    fn is_stopped(&self) -> Result<bool, Error> {
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

    fn go_on(&self) -> Result<(), Error> {
        match self.version {
            _ if self.is_of_systemd => systemd::set_frozen(&self.jail, false, PATIENCE),
            Version::V1 => write(&self.path().join("freezer.state"), "THAWED"),
            Version::V2 => write(&self.path().join("cgroup.freeze"), "0"),
        }
    }

    fn is_frozen(&self) -> Result<bool, Error> {
        Ok(self.group.exists() && self.group.is_frozen()?)
    }

    /// The processes in the group, and in the scopes that systemd has in it; none where it is gone.
    fn members(&self) -> Result<Vec<i32>, Error> {
        let mut groups = vec![self.path().to_owned()];
        if self.is_of_systemd && self.group.exists() {
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

    /// Sends SIGKILL to all of them.
    fn kill(&self) -> Result<(), Error> {
        let at_once = self.path().join("cgroup.kill");
        if is_there(&at_once) {
            gone_is_fine(write(&at_once, "1"))?;
            if self.is_of_systemd && self.is_frozen()? {
                return self.go_on();
            }
            return Ok(());
        }
        // Nobody forks while it is stopped. Should not all stop, there is another round.
        let _ = self.stop(PATIENCE);
        let members = self.members()?;
        let killed = members
            .chunks(AT_ONCE)
            .try_for_each(|some| self.kill_these(some));
        // v1 lets a stopped process end only when it goes on.
        gone_is_fine(self.go_on())?;
        killed
    }

    fn kill_these(&self, pids: &[i32]) -> Result<(), Error> {
        let handle = |pid: &i32| {
            // Zero stands for a process that cannot be seen from here.
            let number = Pid::from_raw(*pid)?;
            Some((*pid, pidfd_open(number, PidfdFlags::empty()).ok()?))
        };
        let handles: Vec<_> = pids.iter().filter_map(handle).collect();
        // Seen again after the handles were taken: the numbers have not come to mean other processes in between.
        let still: BTreeSet<i32> = self.members()?.into_iter().collect();
        for (_, handle) in handles.iter().filter(|(pid, _)| still.contains(pid)) {
            match pidfd_send_signal(handle, Signal::KILL) {
                Ok(()) | Err(Errno::SRCH) => {}
                Err(errno) => return Err(Error::of("end a process of the jail's")(errno)),
            }
        }
        Ok(())
    }
}

/// With the last session a group goes.
fn gone_is_fine(written: Result<(), Error>) -> Result<(), Error> {
    match written {
        Err(error) if matches!(error.errno(), Some(Errno::NOENT | Errno::NODEV)) => Ok(()),
        other => other,
    }
}
