//! The processes of the running system, as far as jails concern them.

use std::path::{Path, PathBuf};

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use super::View;
use crate::error::{Error, Result};

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
    /// Every process that this one may see. One that ends meanwhile is left out.
    pub fn all() -> Result<Vec<Self>> {
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

    /// Ends the process, if it is still the one that was seen.
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
            Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
            Err(errno) => Err(
                Error::failed(format!("could not end the process {}", self.pid))
                    .why(crate::error::reason(&errno.into())),
            ),
        }
    }
}
