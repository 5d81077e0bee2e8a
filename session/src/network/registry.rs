//! The members of the networks of jails.
//!
//! Each member holds a shared lock on a file of the jail, which the kernel releases when its
//! processes have ended for whatever reason: an exclusive lock means that the network has no
//! members. The file contains the inode number of the network namespace, and the pids of processes
//! in it. The number prevents a mix-up with another namespace: it is not reused while a member
//! exists. A process that creates, joins or removes a network holds the lock of all networks.

use std::fs::{File, TryLockError};
use std::io::{Read, Seek, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::fs::{AtFlags, CWD, Dir, Mode, OFlags, fstat, mkdirat, open, openat, statat, unlinkat};
use rustix::io::Errno;
use rustix::process::getpid;

use crate::Error;
use crate::shared_layout::{RUN, RUN_MODE, RUN_NETWORKS};

/// File for the lock of all networks: no name of a jail has a dot.
const LOCK: &str = ".lock";
/// File with the record of changed settings of the host.
const HOST_RECORD: &str = ".forwarding";
/// Timeout for the lock of all networks.
pub(super) const TIMEOUT: Duration = Duration::from_secs(5);
/// Maximum number of bytes read from a file of the registry.
const LIMIT: u64 = 1 << 20;

/// Registry of the networks of all jails, locked by the calling process.
#[derive(Debug)]
pub(super) struct Registry {
    directory: OwnedFd,
    lock: Option<File>,
}

/// Shared lock on the file of the network of a jail.
#[derive(Debug)]
pub(super) struct MemberLock(File);

impl Registry {
    /// Opens the registry, and waits for its lock.
    pub(super) fn open() -> Result<Self, Error> {
        let failed = Error::of("open the registry of the jails' networks");
        for (path, mode) in [(RUN, RUN_MODE), (RUN_NETWORKS, 0o700)] {
            match mkdirat(CWD, path, Mode::from_raw_mode(mode)) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(errno) => return Err(failed(errno)),
            }
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mut registry = Self {
            directory: open(RUN_NETWORKS, flags, Mode::empty()).map_err(failed)?,
            lock: None,
        };
        registry.lock_all()?;
        Ok(registry)
    }

    /// Whether the jail has a network, with or without members. Creates nothing.
    pub(super) fn exists(jail: &str) -> bool {
        statat(
            CWD,
            format!("{RUN_NETWORKS}/{jail}"),
            AtFlags::SYMLINK_NOFOLLOW,
        )
        .is_ok()
    }

    fn lock_all(&mut self) -> Result<(), Error> {
        let lock = self.file(LOCK, OFlags::CREATE)?.ok_or_else(busy)?;
        let deadline = Instant::now() + TIMEOUT;
        while lock.try_lock().is_err() {
            if Instant::now() >= deadline {
                return Err(busy());
            }
            sleep(Duration::from_millis(1));
        }
        self.lock = Some(lock);
        Ok(())
    }

    /// Opens a file of the registry; `None` if it does not exist.
    fn file(&self, name: &str, more: OFlags) -> Result<Option<File>, Error> {
        let flags = OFlags::RDWR | OFlags::NOFOLLOW | OFlags::CLOEXEC | more;
        match openat(&self.directory, name, flags, Mode::RUSR | Mode::WUSR) {
            Ok(file) => Ok(Some(file.into())),
            Err(Errno::NOENT) => Ok(None),
            Err(errno) => Err(Error::of("open a file of the jails' networks")(errno)),
        }
    }

    /// Joins the network of the jail: an existing one, or the one that `create` creates. Returns
    /// the lock of the member, and the network namespace.
    pub(super) fn join(
        &mut self,
        jail: &str,
        create: impl FnOnce(&Self) -> Result<OwnedFd, Error>,
    ) -> Result<(MemberLock, OwnedFd), Error> {
        let deadline = Instant::now() + TIMEOUT;
        loop {
            // Opened each time, because the last member deletes the file.
            let mut file = self.file(jail, OFlags::CREATE)?.ok_or_else(busy)?;
            match file.try_lock() {
                Ok(()) => {
                    let is_new = read(&mut file)?.is_empty();
                    let network = create(self).inspect_err(|_| {
                        if is_new {
                            // Nothing exists that another process would have to know about.
                            let _ = unlinkat(&self.directory, record_name(jail), AtFlags::empty());
                            let _ = unlinkat(&self.directory, jail, AtFlags::empty());
                        }
                    })?;
                    let number =
                        fstat(&network).map_err(Error::of("query the network namespace"))?;
                    write(&mut file, &format!("{} {}", number.st_ino, own_pid()))?;
                    return Ok((share(file)?, network));
                }
                Err(TryLockError::WouldBlock) => {}
                Err(TryLockError::Error(error)) => {
                    return Err(Error::of_std("lock the jail's network")(error));
                }
            }
            let text = read(&mut file)?;
            let mut words = text.split_whitespace();
            let number = words.next().unwrap_or_default();
            let members: Vec<(&str, OwnedFd)> = words
                .filter_map(|pid| Some((pid, network_of(pid, number)?)))
                .collect();
            if !members.is_empty() {
                let pids: Vec<&str> = members.iter().map(|(pid, _)| *pid).collect();
                write(
                    &mut file,
                    &format!("{number} {} {}", pids.join(" "), own_pid()),
                )?;
            }
            if let Some((_, network)) = members.into_iter().next() {
                return Ok((share(file)?, network));
            }
            // The members are about to end, and the last of them removes the network.
            if Instant::now() >= deadline {
                return Err(busy());
            }
            self.lock = None;
            sleep(Duration::from_millis(2));
            self.lock_all()?;
        }
    }

    /// Calls `remove` and deletes the files of the jail, if the network has no members.
    pub(super) fn close(
        &self,
        jail: &str,
        remove: impl FnOnce() -> Result<(), Error>,
    ) -> Result<(), Error> {
        let Some(file) = self.file(jail, OFlags::empty())? else {
            return Ok(());
        };
        if file.try_lock().is_err() {
            return Ok(());
        }
        remove()?;
        match unlinkat(&self.directory, record_name(jail), AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(errno) => {
                return Err(Error::of(
                    "delete the record of the rules of the jail's network",
                )(errno));
            }
        }
        unlinkat(&self.directory, jail, AtFlags::empty())
            .map_err(Error::of("delete the file of the jail's network"))
    }

    /// Network namespace of the jail, through a process in it; `None` if it has no members, or if
    /// these are about to end.
    pub(super) fn network(&self, jail: &str) -> Result<Option<OwnedFd>, Error> {
        let Some(mut file) = self.file(jail, OFlags::empty())? else {
            return Ok(None);
        };
        if file.try_lock().is_ok() {
            return Ok(None);
        }
        let text = read(&mut file)?;
        let mut words = text.split_whitespace();
        let number = words.next().unwrap_or_default();
        Ok(words.find_map(|pid| network_of(pid, number)))
    }

    /// Whether another jail has a network.
    pub(super) fn has_other(&self, jail: &str) -> Result<bool, Error> {
        let failed = Error::of("list the jails' networks");
        for entry in Dir::read_from(&self.directory).map_err(&failed)? {
            let entry = entry.map_err(&failed)?;
            let name = entry.file_name().to_bytes();
            if !name.starts_with(b".") && name != jail.as_bytes() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Writes the record of changed settings of the host; deletes it if `text` is empty.
    pub(super) fn set_host_record(&self, text: &str) -> Result<(), Error> {
        if text.is_empty() {
            return match unlinkat(&self.directory, HOST_RECORD, AtFlags::empty()) {
                Ok(()) | Err(Errno::NOENT) => Ok(()),
                Err(errno) => Err(Error::of("delete the record of host settings")(errno)),
            };
        }
        let mut file = self.file(HOST_RECORD, OFlags::CREATE)?.ok_or_else(busy)?;
        write(&mut file, text)
    }
}

/// Record of changed settings of the host, or an empty string. Members of a network may read it
/// without the lock of all networks: while it exists, only lines are added.
pub(super) fn host_record() -> Result<String, Error> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    match open(
        format!("{RUN_NETWORKS}/{HOST_RECORD}"),
        flags,
        Mode::empty(),
    ) {
        Ok(file) => read(&mut file.into()),
        Err(Errno::NOENT) => Ok(String::new()),
        Err(errno) => Err(Error::of("open the record of host settings")(errno)),
    }
}

/// File with the record of the tables of a jail, which is their lock as well: no name of a jail has
/// a dot.
fn record_name(jail: &str) -> String {
    format!(".{jail}.rules")
}

/// Path of that file.
pub(super) fn record_path(jail: &str) -> String {
    format!("{RUN_NETWORKS}/{}", record_name(jail))
}

impl MemberLock {
    /// Releases the lock, for all processes that share it with this one.
    pub(super) fn end(self) {
        // Otherwise it is released with the last descriptor.
        let _ = self.0.unlock();
    }

    pub(super) fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl From<OwnedFd> for MemberLock {
    fn from(fd: OwnedFd) -> Self {
        Self(fd.into())
    }
}

/// Network namespace of the process, if it has this inode number.
fn network_of(pid: &str, number: &str) -> Option<OwnedFd> {
    let pid: u32 = pid.parse().ok()?;
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    let network = open(format!("/proc/{pid}/ns/net"), flags, Mode::empty()).ok()?;
    let matches = fstat(&network).ok()?.st_ino.to_string() == number;
    matches.then_some(network)
}

fn own_pid() -> i32 {
    getpid().as_raw_nonzero().get()
}

fn share(file: File) -> Result<MemberLock, Error> {
    // The caller has the lock of all networks, so no process gets in between the two locks.
    file.lock_shared()
        .map_err(Error::of_std("share the jail's network"))?;
    Ok(MemberLock(file))
}

/// Whole content of a file of the registry.
pub(super) fn read(file: &mut File) -> Result<String, Error> {
    let mut text = String::new();
    let mut all = || {
        file.rewind()?;
        file.take(LIMIT).read_to_string(&mut text)
    };
    all().map_err(Error::of_std("read the file of the jail's network"))?;
    Ok(text)
}

/// Replaces the content of a file of the registry. A concurrent reader gets at least what the old
/// and the new text have in common.
pub(super) fn write(file: &mut File, text: &str) -> Result<(), Error> {
    let mut all = || {
        file.rewind()?;
        file.write_all(text.as_bytes())?;
        file.set_len(u64::try_from(text.len()).unwrap_or(0))
    };
    all().map_err(Error::of_std("write the file of the jail's network"))
}

/// Error for a lock that was not released in time.
pub(super) fn busy() -> Error {
    Error::Busy(
        "another process has been creating or removing a network of a jail for too long".into(),
    )
}
