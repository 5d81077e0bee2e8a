//! Who is in the network of a jail.
//!
//! Each member holds a shared lock on a file of the jail's, which the kernel takes from it when its processes have ended, however they did: so "nobody
//! is in it" is a lock that can be had alone. The file says by which processes the network is found, and its number, so that no other is taken for
//! it: as long as somebody shares the lock, the number is not given to another. Whoever makes, joins or takes away a network holds the lock of all.

use std::fs::{File, TryLockError};
use std::io::{Read, Seek, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::fs::{AtFlags, CWD, Dir, Mode, OFlags, fstat, mkdirat, open, openat, statat, unlinkat};
use rustix::io::Errno;
use rustix::process::getpid;

use crate::Error;
use crate::layout::{RUN, RUN_MODE, RUN_NETWORKS};

/// The lock of all networks: no jail has a name with a dot.
const LOCK: &str = ".lock";
/// What is noted about the host.
const NOTE: &str = ".forwarding";
/// How long to wait for whoever makes or takes away a network.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);
/// Most bytes of a file of ours.
const LIMIT: u64 = 1 << 20;

/// The networks of all jails, held by the calling process alone.
#[derive(Debug)]
pub(super) struct Registry {
    directory: OwnedFd,
    lock: Option<File>,
}

/// A shared lock on the file of a jail's network.
#[derive(Debug)]
pub(super) struct MemberLock(File);

impl Registry {
    /// Waits for whoever else holds them.
    pub(super) fn open() -> Result<Self, Error> {
        let failed = Error::of("open the place of the jails' networks");
        for (path, mode) in [(RUN, RUN_MODE), (RUN_NETWORKS, 0o700)] {
            match mkdirat(CWD, path, Mode::from_raw_mode(mode)) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(errno) => return Err(failed(errno)),
            }
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mut doors = Self {
            directory: open(RUN_NETWORKS, flags, Mode::empty()).map_err(failed)?,
            lock: None,
        };
        doors.take()?;
        Ok(doors)
    }

    /// Whether there is a network of the jail, perhaps with nobody in it. Makes nothing.
    pub(super) fn exists(jail: &str) -> bool {
        statat(
            CWD,
            format!("{RUN_NETWORKS}/{jail}"),
            AtFlags::SYMLINK_NOFOLLOW,
        )
        .is_ok()
    }

    fn take(&mut self) -> Result<(), Error> {
        let lock = self.file(LOCK, OFlags::CREATE)?.ok_or_else(busy)?;
        let deadline = Instant::now() + PATIENCE;
        while lock.try_lock().is_err() {
            if Instant::now() >= deadline {
                return Err(busy());
            }
            sleep(Duration::from_millis(1));
        }
        self.lock = Some(lock);
        Ok(())
    }

    /// A file of ours; `None` where it is not there.
    fn file(&self, name: &str, how: OFlags) -> Result<Option<File>, Error> {
        let flags = OFlags::RDWR | OFlags::NOFOLLOW | OFlags::CLOEXEC | how;
        match openat(&self.directory, name, flags, Mode::RUSR | Mode::WUSR) {
            Ok(file) => Ok(Some(file.into())),
            Err(Errno::NOENT) => Ok(None),
            Err(errno) => Err(Error::of("open what is known of the jails' networks")(
                errno,
            )),
        }
    }

    /// A member of the jail's network, and the network: one that is there, or what `make` makes.
    pub(super) fn join(
        &mut self,
        jail: &str,
        make: impl FnOnce(&Self) -> Result<OwnedFd, Error>,
    ) -> Result<(MemberLock, OwnedFd), Error> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            // Anew each time: the last one who was in takes the file away.
            let mut file = self.file(jail, OFlags::CREATE)?.ok_or_else(busy)?;
            match file.try_lock() {
                Ok(()) => {
                    let is_new = read(&mut file)?.is_empty();
                    let network = make(self).inspect_err(|_| {
                        if is_new {
                            // Nothing is there that anybody would have to know of.
                            let _ = unlinkat(&self.directory, rules(jail), AtFlags::empty());
                            let _ = unlinkat(&self.directory, jail, AtFlags::empty());
                        }
                    })?;
                    let number = fstat(&network).map_err(Error::of("look at the network"))?;
                    write(&mut file, &format!("{} {}", number.st_ino, me()))?;
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
            let living: Vec<(&str, OwnedFd)> = words
                .filter_map(|pid| Some((pid, network_of(pid, number)?)))
                .collect();
            if !living.is_empty() {
                let pids: Vec<&str> = living.iter().map(|(pid, _)| *pid).collect();
                write(&mut file, &format!("{number} {} {}", pids.join(" "), me()))?;
            }
            if let Some((_, network)) = living.into_iter().next() {
                return Ok((share(file)?, network));
            }
            // Those who are in it are about to end, and the last of them takes it away.
            if Instant::now() >= deadline {
                return Err(busy());
            }
            self.lock = None;
            sleep(Duration::from_millis(2));
            self.take()?;
        }
    }

    /// Does `unmake`, if nobody is in the jail's network, and forgets it.
    pub(super) fn close(
        &self,
        jail: &str,
        unmake: impl FnOnce() -> Result<(), Error>,
    ) -> Result<(), Error> {
        let Some(file) = self.file(jail, OFlags::empty())? else {
            return Ok(());
        };
        if file.try_lock().is_err() {
            return Ok(());
        }
        unmake()?;
        match unlinkat(&self.directory, rules(jail), AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(errno) => return Err(Error::of("forget the rules of the jail's network")(errno)),
        }
        unlinkat(&self.directory, jail, AtFlags::empty())
            .map_err(Error::of("forget the jail's network"))
    }

    /// The jail's network, by a process that is in it; `None` where nobody is, or those who are have begun to end.
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

    /// Whether there is a network of another jail.
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

    /// Notes it; nothing if it is empty.
    pub(super) fn set_note(&self, text: &str) -> Result<(), Error> {
        if text.is_empty() {
            return match unlinkat(&self.directory, NOTE, AtFlags::empty()) {
                Ok(()) | Err(Errno::NOENT) => Ok(()),
                Err(errno) => Err(Error::of("forget what was noted of the host")(errno)),
            };
        }
        let mut file = self.file(NOTE, OFlags::CREATE)?.ok_or_else(busy)?;
        write(&mut file, text)
    }
}

/// What was noted about the host; empty if nothing was. Whoever is in a network may read it without the lock of all: as long as it exists the note grows, by lines.
pub(super) fn note() -> Result<String, Error> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    match open(format!("{RUN_NETWORKS}/{NOTE}"), flags, Mode::empty()) {
        Ok(file) => read(&mut file.into()),
        Err(Errno::NOENT) => Ok(String::new()),
        Err(errno) => Err(Error::of("open what was noted of the host")(errno)),
    }
}

/// The file about the tables of a jail's network, which is their lock as well: no jail has a name with a dot.
fn rules(jail: &str) -> String {
    format!(".{jail}.rules")
}

/// The same as a whole path.
pub(super) fn note_path(jail: &str) -> String {
    format!("{RUN_NETWORKS}/{}", rules(jail))
}

impl MemberLock {
    /// Gives it up, for every process that has it from this one.
    pub(super) fn end(self) {
        // Closed with the last descriptor otherwise.
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

/// The network of the process, if it is the one of this number.
fn network_of(pid: &str, number: &str) -> Option<OwnedFd> {
    let pid: u32 = pid.parse().ok()?;
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    let network = open(format!("/proc/{pid}/ns/net"), flags, Mode::empty()).ok()?;
    let is_it = fstat(&network).ok()?.st_ino.to_string() == number;
    is_it.then_some(network)
}

fn me() -> i32 {
    getpid().as_raw_nonzero().get()
}

fn share(file: File) -> Result<MemberLock, Error> {
    // Whoever holds the doors is alone: nobody comes between the two locks.
    file.lock_shared()
        .map_err(Error::of_std("share the jail's network"))?;
    Ok(MemberLock(file))
}

/// The whole text of one of our files.
pub(super) fn read(file: &mut File) -> Result<String, Error> {
    let mut text = String::new();
    let mut all = || {
        file.rewind()?;
        file.take(LIMIT).read_to_string(&mut text)
    };
    all().map_err(Error::of_std("read what is known of the jail's network"))?;
    Ok(text)
}

/// Replaces the text of one of our files. Who reads it meanwhile finds no less than what the old and the new text have in common.
pub(super) fn write(file: &mut File, text: &str) -> Result<(), Error> {
    let mut all = || {
        file.rewind()?;
        file.write_all(text.as_bytes())?;
        file.set_len(u64::try_from(text.len()).unwrap_or(0))
    };
    all().map_err(Error::of_std("note who is in the jail's network"))
}

/// Somebody else does not come to an end.
pub(super) fn busy() -> Error {
    Error::Refused("the networks of jails are being made or taken away, and it does not end".into())
}
