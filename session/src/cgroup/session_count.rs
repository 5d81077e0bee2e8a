//! Number of sessions of a jail: a file for each in `/run/jailctl/sessions/JAIL`, locked with
//! flock(2) by sshd's process of the connection as long as it exists.
//!
//! A lock ends with its process, for whatever reason that ends, so no ended session is counted. A
//! process that counts, adds or removes sessions holds the lock of the directory.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::fs::{
    AtFlags, FlockOperation, Mode, OFlags, flock, fstat, mkdir, openat, rmdir, unlinkat,
};
use rustix::io::Errno;
use rustix::process::getpid;

use super::kernel_file::names;
use crate::Error;
use crate::open_nofollow::open_dir;
use crate::shared_layout::{RUN, RUN_MODE, RUN_SESSIONS};

/// Timeout for the lock of a register. Each holder has it for some milliseconds, but many sessions
/// at a time queue for it; sshd gives a login two minutes (`LoginGraceTime`).
const TIMEOUT: Duration = Duration::from_secs(30);
/// Pause between two attempts.
const ROUND: Duration = Duration::from_millis(1);

/// One session in the register of its jail.
#[derive(Debug)]
pub(super) struct Slot {
    directory: PathBuf,
    name: String,
    /// Lock of the session, held as long as it exists.
    _lock: OwnedFd,
    /// Lock of the register, held while the session begins.
    register_lock: Option<OwnedFd>,
}

/// Lock of a register without sessions: no session begins while it is held.
#[derive(Debug)]
pub(super) struct LastSession {
    directory: PathBuf,
    _register: Option<OwnedFd>,
}

impl Slot {
    /// Counts the calling process. Refuses it if `most` sessions exist. Until [`Slot::commit`] no
    /// other session is added or removed.
    pub(super) fn acquire(jail: &str, user: &str, most: Option<u32>) -> Result<Self, Error> {
        let directory = Path::new(RUN_SESSIONS).join(jail);
        for path in [Path::new(RUN), Path::new(RUN_SESSIONS), &directory] {
            let mode = if path == directory { 0o700 } else { RUN_MODE };
            match mkdir(path, Mode::from_raw_mode(mode)) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(errno) => return Err(Error::on("create", path, errno)),
            }
        }
        let failed = |errno| failed("register the session in", &directory, errno);
        let register = open(&directory).map_err(failed)?;
        let stat = fstat(&register).map_err(failed)?;
        if (stat.st_uid, stat.st_mode & 0o022) != (0, 0) {
            return Err(Error::Refused(format!(
                "`{}` can be changed by users other than root",
                directory.display()
            )));
        }
        lock(&register).map_err(failed)?;
        let sessions = count_locked(&register).map_err(failed)?;
        if let Some(most) = most
            && sessions >= u64::from(most)
        {
            return Err(Error::Refused(format!(
                "the jail `{jail}` has {sessions} sessions, and may have {most}"
            )));
        }
        let name = getpid().as_raw_nonzero().to_string();
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let written = openat(&register, &name, flags, Mode::RUSR | Mode::WUSR).map_err(failed)?;
        rustix::io::write(&written, format!("{user}\n").as_bytes()).map_err(failed)?;
        // Opened again, because sshd's process that becomes the user has a copy of the first
        // descriptor.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let session_lock = openat(&register, &name, flags, Mode::empty()).map_err(failed)?;
        flock(&session_lock, FlockOperation::NonBlockingLockExclusive).map_err(failed)?;
        Ok(Self {
            directory,
            name,
            _lock: session_lock,
            register_lock: Some(register),
        })
    }

    /// Releases the lock of the register: the session has begun, or the rest needs no lock.
    pub(super) fn commit(&mut self) {
        self.register_lock = None;
    }

    /// Removes the session, and returns the lock of the register if no session is left.
    pub(super) fn release(&self) -> Result<Option<LastSession>, Errno> {
        let register = match &self.register_lock {
            Some(register) => rustix::io::fcntl_dupfd_cloexec(register, 3)?,
            None => open(&self.directory)?,
        };
        lock(&register)?;
        remove(&register, &self.name)?;
        let others = count_locked(&register)?;
        Ok((others == 0).then(|| LastSession {
            directory: self.directory.clone(),
            _register: Some(register),
        }))
    }
}

impl LastSession {
    /// Removes the register, which is empty.
    pub(super) fn remove(self) -> Result<(), Error> {
        match rmdir(&self.directory) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(errno) => Err(Error::on("remove", &self.directory, errno)),
        }
    }
}

/// Locks the register of a jail without sessions; `None` if it has any.
pub(super) fn close(jail: &str) -> Result<Option<LastSession>, Error> {
    let directory = Path::new(RUN_SESSIONS).join(jail);
    let failed = |errno| failed("count the sessions in", &directory, errno);
    let register = match open(&directory) {
        // The jail never had a session.
        Err(Errno::NOENT) => None,
        opened => Some(opened.map_err(failed)?),
    };
    if let Some(register) = &register {
        lock(register).map_err(failed)?;
        if count_locked(register).map_err(failed)? > 0 {
            return Ok(None);
        }
    }
    Ok(Some(LastSession {
        _register: register,
        directory,
    }))
}

/// Number of sessions of the jail.
pub(super) fn count(jail: &str) -> Result<u64, Error> {
    let directory = Path::new(RUN_SESSIONS).join(jail);
    let failed = |errno| failed("count the sessions in", &directory, errno);
    match open(&directory) {
        Err(Errno::NOENT) => Ok(0),
        Err(errno) => Err(failed(errno)),
        Ok(register) => {
            lock(&register).map_err(failed)?;
            count_locked(&register).map_err(failed)
        }
    }
}

fn open(directory: &Path) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    openat(open_dir(None, directory)?, ".", flags, Mode::empty())
}

fn lock(register: &OwnedFd) -> Result<(), Errno> {
    let deadline = Instant::now() + TIMEOUT;
    loop {
        match flock(register, FlockOperation::NonBlockingLockExclusive) {
            Err(Errno::WOULDBLOCK) if Instant::now() < deadline => sleep(ROUND),
            done => return done,
        }
    }
}

/// Error of a call on the register in `directory`. EWOULDBLOCK means that the lock was not released
/// in time.
fn failed(what: &'static str, directory: &Path, errno: Errno) -> Error {
    match errno {
        Errno::WOULDBLOCK => Error::Busy(format!(
            "the machine is too busy: other sessions held the lock of `{}` for {} seconds",
            directory.display(),
            TIMEOUT.as_secs()
        )),
        errno => Error::on(what, directory, errno),
    }
}

/// Counts the files that are locked, and removes the others.
fn count_locked(register: &OwnedFd) -> Result<u64, Errno> {
    let mut count = 0;
    for name in names(register)? {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = openat(register, &name, flags, Mode::empty())?;
        match flock(&file, FlockOperation::NonBlockingLockShared) {
            Err(Errno::WOULDBLOCK) => count += 1,
            Ok(()) => remove(register, &name)?,
            Err(errno) => return Err(errno),
        }
    }
    Ok(count)
}

fn remove(register: &OwnedFd, name: &str) -> Result<(), Errno> {
    match unlinkat(register, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(errno) => Err(errno),
    }
}
