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

/// A process, and what tells whom it is for.
#[derive(Debug)]
struct Seen {
    process: Process,
    parent: i32,
    /// What sshd calls its own processes: `sshd: bob [priv]`.
    title: Option<String>,
}

/// sshd's process for one connection, which is root's.
#[derive(Debug)]
struct Connection<'s> {
    process: &'s Process,
    /// The login name, once it is given.
    user: Option<&'s str>,
    /// The user has shown who he is. Until then a process without rights (`[net]`) talks to him.
    is_proven: bool,
}

impl<'s> Connection<'s> {
    /// All of them, by what sshd calls its processes.
    fn all(seen: &'s [Seen]) -> Vec<Self> {
        let title = |seen: &'s Seen| Some(seen.title.as_ref()?.split_once(": ")?.1);
        let talks_for = |pid: i32| {
            seen.iter().any(|child| {
                child.parent == pid && title(child).is_some_and(|title| title.ends_with("[net]"))
            })
        };
        seen.iter()
            .filter(|seen| seen.process.uid == 0)
            .filter_map(|seen| {
                let process = &seen.process;
                let (user, is_proven) = match title(seen)? {
                    "[accepted]" | "[priv]" | "unknown [priv]" => (None, false),
                    title => {
                        let user = title.strip_suffix(" [priv]")?;
                        (Some(user), !talks_for(process.pid))
                    }
                };
                Some(Self {
                    process,
                    user,
                    is_proven,
                })
            })
            .collect()
    }
}

impl Process {
    /// The processes that run as one of `uids`, or whose root directory is `root` or lies below it, and those of sshd that are about to: root's still,
    /// for somebody whose account and keys were found good. On a host that does not run there is none.
    ///
    /// A process that is just ending is waited for, for a moment: sshd's own for a session outlives it by some milliseconds.
    pub fn living(view: &View, root: &Path, uids: &[u32]) -> Result<Vec<Self>> {
        if !view.is_live() {
            return Ok(Vec::new());
        }
        let deadline = Instant::now() + GRACE;
        loop {
            let all = Self::all()?;
            let mut arriving = Connection::all(&all);
            arriving.retain(|connection| connection.is_proven);
            let accounts = if arriving.is_empty() {
                None
            } else {
                Some(view.accounts()?)
            };
            let comes = |process: &Self| {
                let connection = arriving.iter().find(|arriving| arriving.process == process);
                let user =
                    connection.and_then(|connection| accounts.as_ref()?.user(connection.user?));
                user.is_some_and(|user| uids.contains(&user.uid))
            };
            let is_in = |process: &Self| {
                process.root.starts_with(root) || uids.contains(&process.uid) || comes(process)
            };
            let found: Vec<Self> = all
                .iter()
                .map(|seen| &seen.process)
                .filter(|process| is_in(process))
                .cloned()
                .collect();
            if found.is_empty() || Instant::now() > deadline {
                return Ok(found);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Ends sshd's processes for connections of `uids`, and of nobody yet, who have not shown who they are. sshd goes by the configuration and the stack of
    /// PAM that it read when such a connection came, however long somebody takes.
    pub fn end_unproven(view: &View, uids: &[u32]) -> Result<()> {
        if !view.is_live() {
            return Ok(());
        }
        let all = Self::all()?;
        let accounts = view.accounts()?;
        let is_ours = |name: &str| {
            accounts
                .user(name)
                .is_some_and(|user| uids.contains(&user.uid))
        };
        for connection in Connection::all(&all) {
            if !connection.is_proven && connection.user.is_none_or(is_ours) {
                connection.process.kill()?;
            }
        }
        Ok(())
    }

    /// Every process that this one may see. One that ends meanwhile is left out.
    fn all() -> Result<Vec<Seen>> {
        let proc = View::new(Path::new("/proc"))?;
        let names = proc.list(Path::new("/"))?.unwrap_or_default();
        Ok(names
            .iter()
            .filter_map(|name| name.to_str()?.parse().ok())
            .filter_map(|pid| Self::look(&proc, pid))
            .collect())
    }

    fn look(proc: &View, pid: i32) -> Option<Seen> {
        let status = proc
            .read(Path::new(&format!("/{pid}/status")), 1 << 16)
            .ok()??;
        let status = String::from_utf8_lossy(&status).into_owned();
        let field = |name: &str| {
            let mut lines = status.lines().filter_map(|line| line.split_once(':'));
            let (_, value) = lines.find(|(key, _)| *key == name)?;
            value.split_whitespace().next()
        };
        let uid = field("Uid")?.parse().ok()?;
        let parent = field("PPid")?.parse().ok()?;
        let title = || {
            let line = proc
                .read(Path::new(&format!("/{pid}/cmdline")), 1 << 16)
                .ok()??;
            let line = String::from_utf8_lossy(&line).into_owned();
            Some(line.trim_end_matches(['\0', ' ']).to_owned())
        };
        let is_sshd = field("Name").is_some_and(|name| name.starts_with("sshd"));
        let root = proc
            .read_link(Path::new(&format!("/{pid}/root")))
            .unwrap_or_default();
        Some(Seen {
            process: Self { pid, uid, root },
            parent,
            title: is_sshd.then(title).flatten(),
        })
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
        if Self::look(&proc, self.pid)
            .map(|seen| seen.process)
            .as_ref()
            != Some(self)
        {
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
