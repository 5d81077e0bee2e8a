//! The processes of the running system, as far as jails concern them.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use super::View;
use crate::error::{Error, Result};

/// How long processes that are ending get.
const GRACE: Duration = Duration::from_secs(1);

/// One process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    /// Its number.
    pub pid: i32,
    /// Its real user id.
    pub uid: u32,
    /// Its root directory.
    pub root: PathBuf,
}

impl Process {
    /// The processes that run as one of `uids`, or whose root directory is `root` or lies below it. On a host that does not run there is none.
    ///
    /// A process that is just ending is waited for, for a moment: sshd's own for a session outlives it by some milliseconds.
    pub fn living(view: &View, root: &Path, uids: &[u32]) -> Result<Vec<Self>> {
        if !view.is_live() {
            return Ok(Vec::new());
        }
        let deadline = Instant::now() + GRACE;
        loop {
            let mut found = Self::all()?;
            found.retain(|process| process.root.starts_with(root) || uids.contains(&process.uid));
            if found.is_empty() || Instant::now() > deadline {
                return Ok(found);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Every process that this one may see. One that ends meanwhile is left out.
    fn all() -> Result<Vec<Self>> {
        let proc = View::new(Path::new("/proc"))?;
        let names = proc.list(Path::new("/"))?.unwrap_or_default();
        Ok(names
            .iter()
            .filter_map(|name| name.to_str()?.parse().ok())
            .filter_map(|pid| Self::look(&proc, pid))
            .collect())
    }

    fn look(proc: &View, pid: i32) -> Option<Self> {
        let status = proc
            .read(Path::new(&format!("/{pid}/status")), 1 << 16)
            .ok()??;
        let status = String::from_utf8_lossy(&status).into_owned();
        let uid = status
            .lines()
            .find_map(|line| line.strip_prefix("Uid:"))?
            .split_whitespace()
            .next()?
            .parse()
            .ok()?;
        let root = proc
            .read_link(Path::new(&format!("/{pid}/root")))
            .unwrap_or_default();
        Some(Self { pid, uid, root })
    }

    /// Ends the process, if it is still the one that was seen, and waits until it is gone.
    pub fn kill(&self) -> Result<()> {
        let Some(pid) = Pid::from_raw(self.pid) else {
            return Ok(());
        };
        let Ok(handle) = pidfd_open(pid, PidfdFlags::empty()) else {
            return Ok(());
        };
        // Seen again after the handle was taken: the number cannot have come to mean another process in between.
        let proc = View::new(Path::new("/proc"))?;
        if Self::look(&proc, self.pid).as_ref() != Some(self) {
            return Ok(());
        }
        match pidfd_send_signal(&handle, Signal::KILL) {
            Ok(()) => {
                let mut ended = [PollFd::new(&handle, PollFlags::IN)];
                let limit = Timespec {
                    tv_sec: 5,
                    tv_nsec: 0,
                };
                // Whoever looks next sees whether it is gone.
                let _ = poll(&mut ended, Some(&limit));
                Ok(())
            }
            Err(rustix::io::Errno::SRCH) => Ok(()),
            Err(errno) => Err(
                Error::failed(format!("could not end the process {}", self.pid))
                    .why(crate::error::reason(&errno.into())),
            ),
        }
    }
}
