//! Processes of the running system that belong to jails.

use std::collections::BTreeSet;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::fs::{Mode, OFlags, RawDir, Uid, openat, readlinkat};
use rustix::io::Errno;
use rustix::process::{
    Pid, PidfdFlags, Signal, getpid, getpriority_user, pidfd_open, pidfd_send_signal,
};

use super::connections::{Connection, Stage};
use super::process_info::{Process, ProcessInfo};
use super::view::HostView;
use crate::error::{Error, Result};

/// Time that ending processes get.
const GRACE: Duration = Duration::from_secs(1);
/// Time that processes get after SIGKILL. One that waits for a disk ends when the disk answers.
const DYING: Duration = Duration::from_secs(5);
/// Time between two passes.
const ROUND: Duration = Duration::from_millis(20);
/// Number of passes without a process of a user, although the kernel has one, after which it is
/// taken for a zombie.
const MAX_PASSES: usize = 10;
/// Most bytes that are read of one file of proc(5).
const LIMIT: usize = 1 << 16;
/// Most bytes that are read of `/proc/PID/maps`.
const MAPS_LIMIT: usize = 1 << 20;

impl Process {
    /// Processes that run as one of `uids`, or whose root directory is `root` or below it, and
    /// those of sshd that are about to: they still run as root, for a user who is authenticated, or
    /// for a user who is not known yet. None on a host that does not run.
    ///
    /// Ending processes get a moment: the process of sshd outlives its session by some
    /// milliseconds. Zombies are left out: they run nothing, and wait for a parent that may never
    /// read their status.
    ///
    /// # Errors
    /// `Failed` if `/proc` cannot be read.
    pub fn find_in_jail(view: &HostView, root: &Path, uids: &[u32]) -> Result<Vec<Self>> {
        if !view.is_live() {
            return Ok(Vec::new());
        }
        let deadline = Instant::now() + GRACE;
        let mut without = 0;
        loop {
            let found = Self::present(view, root, uids)?;
            if found.is_empty() {
                without += 1;
                // A process that forks and ends repeatedly can be missed in a pass of proc(5), but
                // not by the kernel itself.
                if without == MAX_PASSES || !uids.iter().any(|uid| Self::has_any(*uid)) {
                    return Ok(found);
                }
            } else if Instant::now() > deadline {
                return Ok(found);
            } else {
                without = 0;
            }
            sleep(ROUND);
        }
    }

    /// The processes of [`Process::find_in_jail`] that one pass finds.
    ///
    /// # Errors
    /// `Failed` if `/proc` cannot be read.
    pub fn present(view: &HostView, root: &Path, uids: &[u32]) -> Result<Vec<Self>> {
        if !view.is_live() {
            return Ok(Vec::new());
        }
        let all = Self::all()?;
        let accounts = view.accounts()?;
        let is_root = |name: &str| accounts.user(name).is_some_and(|user| user.uid == 0);
        let is_ours = |name: &str| {
            accounts
                .user(name)
                .is_some_and(|user| uids.contains(&user.uid))
        };
        let above = Self::above_the_caller(&all);
        let arriving: BTreeSet<i32> = Connection::all(&all, is_root)
            .into_iter()
            .filter(|connection| connection.stage == Stage::Authenticated)
            .filter(|connection| match connection.user {
                Some(user) => is_ours(user),
                None if uids.is_empty() || above.contains(&connection.seen.process.pid) => false,
                None => !connection.serves_others(&all, uids),
            })
            .map(|connection| connection.seen.process.pid)
            .collect();
        let is_in = |process: &Self| {
            process.root.starts_with(root)
                || uids.contains(&process.uid)
                || arriving.contains(&process.pid)
        };
        Ok(all
            .into_iter()
            .map(|seen| seen.process)
            .filter(is_in)
            .collect())
    }

    /// Whether the kernel has a process or zombie with the real user id `uid`: getpriority(2),
    /// which misses none.
    pub fn has_any(uid: u32) -> bool {
        getpriority_user(Uid::from_raw(uid)) != Err(Errno::SRCH)
    }

    /// User ids (real, effective, saved, file system) of every process.
    ///
    /// # Errors
    /// `Failed` if `/proc` cannot be read.
    pub fn user_ids() -> Result<BTreeSet<u32>> {
        let mut ids = BTreeSet::new();
        Self::each(|proc, pid| {
            let status = read(proc, pid, "status").unwrap_or_default();
            let line = status.lines().find_map(|line| line.strip_prefix("Uid:"));
            let words = line.into_iter().flat_map(str::split_whitespace);
            ids.extend(words.filter_map(|word| word.parse::<u32>().ok()));
        })?;
        Ok(ids)
    }

    /// Processes that run as one of `uids`, found in one pass. None on a host that does not run.
    ///
    /// # Errors
    /// `Failed` if `/proc` cannot be read.
    pub fn of_users(view: &HostView, uids: &[u32]) -> Result<Vec<Self>> {
        if !view.is_live() || uids.is_empty() {
            return Ok(Vec::new());
        }
        let processes = Self::all()?.into_iter().map(|seen| seen.process);
        Ok(processes
            .filter(|process| uids.contains(&process.uid))
            .collect())
    }

    /// Whether the process has the root directory of this process, which is that of the host: it is
    /// outside of every jail.
    ///
    /// Device and inode of the root directory are compared, since the path in proc(5) for the root
    /// of another mount namespace is `/` too.
    pub fn is_outside(&self) -> bool {
        let root = |pid: &str| {
            let stat = rustix::fs::stat(format!("/proc/{pid}/root/")).ok()?;
            Some((stat.st_dev, stat.st_ino))
        };
        let host = root("self");
        host.is_some() && root(&self.pid.to_string()) == host
    }

    /// Inode numbers and paths of the files that the process has mapped, its program and libraries
    /// among them: `/proc/PID/maps`. Paths are those of the mount that the file was opened in.
    pub fn mapped_files(&self) -> Vec<(u64, String)> {
        let maps = proc()
            .ok()
            .and_then(|proc| read_up_to(&proc, self.pid, "maps", MAPS_LIMIT));
        let maps = maps.unwrap_or_default();
        // Address, permissions, offset, device, inode, path.
        let file = |line: &str| {
            let mut fields = line.splitn(6, ' ');
            let inode = fields.nth(4)?.parse().ok().filter(|inode| *inode != 0)?;
            Some((inode, fields.next()?.trim_start().to_owned()))
        };
        maps.lines().filter_map(file).collect()
    }

    /// Kills the processes of sshd for connections of `uids`, and of unknown users, before
    /// authentication. sshd uses the configuration and the PAM stack that it read at the start of
    /// the connection, however long the login takes.
    ///
    /// # Errors
    /// `Failed` if a process cannot be killed.
    pub fn kill_unauthenticated(view: &HostView, uids: &[u32]) -> Result<()> {
        if !view.is_live() {
            return Ok(());
        }
        let accounts = view.accounts()?;
        let is_root = |name: &str| accounts.user(name).is_some_and(|user| user.uid == 0);
        let is_ours = |name: &str| {
            accounts
                .user(name)
                .is_some_and(|user| uids.contains(&user.uid))
        };
        let all = Self::all()?;
        let mut ending: Vec<Self> = Connection::all(&all, is_root)
            .into_iter()
            .filter(|connection| connection.stage == Stage::Unauthenticated)
            .filter(|connection| connection.user.is_none_or(is_ours))
            .map(|connection| connection.seen.process.clone())
            .collect();
        let deadline = Instant::now() + DYING;
        while !ending.is_empty() && Instant::now() < deadline {
            for process in &ending {
                process.kill()?;
            }
            sleep(Duration::from_millis(1));
            ending.retain(Self::is_there);
        }
        Ok(())
    }

    /// Sends SIGKILL to the process, if it is still the same.
    ///
    /// # Errors
    /// `Failed` if the signal cannot be sent; a process that has ended is no error.
    pub fn kill(&self) -> Result<()> {
        let Some(pid) = Pid::from_raw(self.pid) else {
            return Ok(());
        };
        let Ok(handle) = pidfd_open(pid, PidfdFlags::empty()) else {
            return Ok(());
        };
        // Read again after the pidfd was opened: the process id cannot be that of another process
        // in between.
        if !self.is_there() {
            return Ok(());
        }
        match pidfd_send_signal(&handle, Signal::KILL) {
            Ok(()) | Err(Errno::SRCH) => Ok(()),
            Err(errno) => Err(
                Error::failed(format!("could not end the process {}", self.pid))
                    .why(crate::error::os_error_text(&errno.into())),
            ),
        }
    }

    /// The name of the program that the process runs (comm), which the process can change; escaped
    /// for output. `None` if the process has ended.
    pub fn command(&self) -> Option<String> {
        let status = read(&proc().ok()?, self.pid, "status")?;
        let name = field(&status, "Name")?.escape_debug().to_string();
        self.is_there().then_some(name)
    }

    /// Whether the process still exists.
    fn is_there(&self) -> bool {
        let seen = proc().ok().and_then(|proc| look(&proc, self.pid));
        seen.is_some_and(|seen| seen.process == *self)
    }

    /// Process ids of the caller, its parent, and so on.
    fn above_the_caller(all: &[ProcessInfo]) -> BTreeSet<i32> {
        let mut above = BTreeSet::new();
        let mut next = Some(getpid().as_raw_nonzero().get());
        while let Some(pid) = next.filter(|pid| above.insert(*pid)) {
            let seen = all.iter().find(|seen| seen.process.pid == pid);
            next = seen.map(|seen| seen.parent);
        }
        above
    }

    /// Every process that is visible to the caller, without zombies. A process that ends during the
    /// pass is left out.
    pub(super) fn all() -> Result<Vec<ProcessInfo>> {
        let mut all = Vec::new();
        Self::each(|proc, pid| all.extend(look(proc, pid)))?;
        Ok(all)
    }

    /// Calls `visit` with each pid of proc(5), in ascending order. Each is passed on as soon as it
    /// is listed, a few at a time, so that a process that forks and exits is found, or its child,
    /// which has the higher pid.
    fn each(mut visit: impl FnMut(&OwnedFd, i32)) -> Result<()> {
        let failed = |errno: Errno| Error::io("list", Path::new("/proc"), &errno.into());
        let proc = proc().map_err(failed)?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let listed = openat(&proc, ".", flags, Mode::empty()).map_err(failed)?;
        let mut piece = [MaybeUninit::<u8>::uninit(); 96];
        let mut entries = RawDir::new(listed, &mut piece);
        while let Some(entry) = entries.next() {
            let entry = entry.map_err(failed)?;
            let name = entry.file_name().to_str().ok();
            if let Some(pid) = name.and_then(|name| name.parse().ok()) {
                visit(&proc, pid);
            }
        }
        Ok(())
    }
}

pub(super) fn proc() -> std::result::Result<OwnedFd, Errno> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::open("/proc", flags, Mode::empty())
}

/// A file of proc(5) about a process, as text.
pub(super) fn read(proc: &OwnedFd, pid: i32, name: &str) -> Option<String> {
    read_up_to(proc, pid, name, LIMIT)
}

/// At least the first `limit` bytes of a file of proc(5) about a process, as text.
fn read_up_to(proc: &OwnedFd, pid: i32, name: &str, limit: usize) -> Option<String> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    let file = openat(proc, format!("{pid}/{name}"), flags, Mode::empty()).ok()?;
    let mut text = Vec::new();
    loop {
        let mut piece = [0; 4096];
        match rustix::io::read(file.as_fd(), &mut piece) {
            Ok(0) => break,
            Ok(count) if text.len() < limit => text.extend_from_slice(&piece[..count]),
            Ok(_) => break,
            Err(Errno::INTR) => {}
            Err(_) => return None,
        }
    }
    Some(String::from_utf8_lossy(&text).into_owned())
}

/// The process with this process id; `None` if there is none, and for a zombie.
fn look(proc: &OwnedFd, pid: i32) -> Option<ProcessInfo> {
    let status = read(proc, pid, "status")?;
    if is_zombie(&status) {
        return None;
    }
    let uid = number(&status, "Uid")?;
    let name = field(&status, "Name")?.to_owned();
    let is_sshd = name.starts_with("sshd");
    let title = || {
        let line = read(proc, pid, "cmdline")?;
        Some(line.trim_end_matches(['\0', ' ']).to_owned())
    };
    let root = readlinkat(proc, format!("{pid}/root"), Vec::new())
        .ok()
        .and_then(|link| link.into_string().ok())
        .unwrap_or_default();
    Some(ProcessInfo {
        process: Process {
            pid,
            uid,
            root: root.into(),
        },
        parent: number(&status, "PPid")?,
        is_sshd,
        // A process id for each namespace, from that of proc(5) inwards. A kernel without
        // namespaces has no such line.
        is_near: field(&status, "NSpid").is_none_or(|pids| pids.split_whitespace().count() == 1),
        title: is_sshd.then(title).flatten(),
        name,
    })
}

/// Value of a field of `/proc/PID/status`, without surrounding blanks.
fn field<'s>(status: &'s str, name: &str) -> Option<&'s str> {
    let mut lines = status.lines().filter_map(|line| line.split_once(':'));
    let (_, value) = lines.find(|(key, _)| *key == name)?;
    Some(value.trim())
}

/// First number of a field.
fn number<T: std::str::FromStr>(status: &str, name: &str) -> Option<T> {
    field(status, name)?.split_whitespace().next()?.parse().ok()
}

/// Whether a process has ended and was not waited for, by its `/proc/PID/status`. A process whose
/// first thread has ended has that state too while its other threads run.
fn is_zombie(status: &str) -> bool {
    let state = field(status, "State").unwrap_or_default();
    state.starts_with(['Z', 'X', 'x'])
        && number::<u32>(status, "Threads").is_none_or(|count| count <= 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zombie_whose_threads_live_is_none() {
        let status = |state: &str, threads: u32| {
            format!("Name:\tsshd\nState:\t{state}\nUid:\t1\t1\t1\t1\nThreads:\t{threads}\n")
        };
        assert!(is_zombie(&status("Z (zombie)", 1)));
        assert!(is_zombie(&status("X (dead)", 0)));
        assert!(!is_zombie(&status("Z (zombie)", 2)));
        assert!(!is_zombie(&status("S (sleeping)", 1)));
    }

    #[test]
    fn the_caller_is_among_the_processes() {
        let all = Process::all().unwrap();
        let own = getpid().as_raw_nonzero().get();
        let found = all.iter().find(|seen| seen.process.pid == own).unwrap();
        assert!(found.is_near);
        assert!(Process::above_the_caller(&all).contains(&found.parent));
        assert!(Process::has_any(found.process.uid));
        assert!(Process::user_ids().unwrap().contains(&found.process.uid));
    }
}
