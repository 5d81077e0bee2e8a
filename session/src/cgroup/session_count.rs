//! How many sessions a jail has: a file for each in `/run/jailctl/sessions/JAIL`, locked (flock(2)) by sshd's process of the connection for as long as it lives.
//!
//! A lock ends with its process, however that ends, so that nobody is counted who is gone. Whoever counts, comes or goes holds the lock of the directory meanwhile.

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
use crate::layout::{RUN, RUN_MODE, RUN_SESSIONS};
use crate::open_nofollow::open_dir;

/// How long somebody who holds a register's lock is waited for. It is held for some milliseconds, but by one after the other where many come at once;
/// sshd gives a login two minutes (`LoginGraceTime`).
const PATIENCE: Duration = Duration::from_secs(30);
/// How often it is tried.
const ROUND: Duration = Duration::from_millis(1);

/// One session in its jail's register.
#[derive(Debug)]
pub(super) struct Slot {
    directory: PathBuf,
    name: String,
    /// The lock of the session, for as long as it lives.
    _held: OwnedFd,
    /// The lock of the register, while the session begins.
    beginning: Option<OwnedFd>,
}

/// What keeps sessions from beginning: the lock of their register.
#[derive(Debug)]
pub(super) struct LastSession {
    directory: PathBuf,
    _register: Option<OwnedFd>,
}

impl Slot {
    /// Counts the calling process. Refuses it where `most` sessions live already. Until [`Slot::commit`] nobody else comes or goes.
    pub(super) fn acquire(jail: &str, user: &str, most: Option<u32>) -> Result<Self, Error> {
        let directory = Path::new(RUN_SESSIONS).join(jail);
        for path in [Path::new(RUN), Path::new(RUN_SESSIONS), &directory] {
            let mode = if path == directory { 0o700 } else { RUN_MODE };
            match mkdir(path, Mode::from_raw_mode(mode)) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(errno) => return Err(Error::on("make", path, errno)),
            }
        }
        let failed = |errno| failed("write down the session in", &directory, errno);
        let register = open(&directory).map_err(failed)?;
        let stat = fstat(&register).map_err(failed)?;
        if (stat.st_uid, stat.st_mode & 0o022) != (0, 0) {
            return Err(Error::Refused(format!(
                "`{}` can be changed by others than root",
                directory.display()
            )));
        }
        lock(&register).map_err(failed)?;
        let living = living(&register).map_err(failed)?;
        if let Some(most) = most
            && living >= u64::from(most)
        {
            return Err(Error::Refused(format!(
                "the jail `{jail}` has {living} sessions, and may have {most}"
            )));
        }
        let name = getpid().as_raw_nonzero().to_string();
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let written = openat(&register, &name, flags, Mode::RUSR | Mode::WUSR).map_err(failed)?;
        rustix::io::write(&written, format!("{user}\n").as_bytes()).map_err(failed)?;
        // Opened once more, since sshd's process that becomes the user has a copy of it.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let held = openat(&register, &name, flags, Mode::empty()).map_err(failed)?;
        flock(&held, FlockOperation::NonBlockingLockExclusive).map_err(failed)?;
        Ok(Self {
            directory,
            name,
            _held: held,
            beginning: Some(register),
        })
    }

    /// Others may come and go: the session has begun, or what is left of its beginning they need not wait for.
    pub(super) fn commit(&mut self) {
        self.beginning = None;
    }

    /// Strikes the session, and gives the register's lock if no other is left.
    pub(super) fn release(&self) -> Result<Option<LastSession>, Errno> {
        let register = match &self.beginning {
            Some(register) => rustix::io::fcntl_dupfd_cloexec(register, 3)?,
            None => open(&self.directory)?,
        };
        lock(&register)?;
        strike(&register, &self.name)?;
        let others = living(&register)?;
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

/// Keeps sessions of the jail from beginning; `None` where some live.
pub(super) fn close(jail: &str) -> Result<Option<LastSession>, Error> {
    let directory = Path::new(RUN_SESSIONS).join(jail);
    let failed = |errno| failed("count the sessions in", &directory, errno);
    let register = match open(&directory) {
        // None ever did.
        Err(Errno::NOENT) => None,
        opened => Some(opened.map_err(failed)?),
    };
    if let Some(register) = &register {
        lock(register).map_err(failed)?;
        if living(register).map_err(failed)? > 0 {
            return Ok(None);
        }
    }
    Ok(Some(LastSession {
        _register: register,
        directory,
    }))
}

/// How many sessions of the jail there are.
pub(super) fn count(jail: &str) -> Result<u64, Error> {
    let directory = Path::new(RUN_SESSIONS).join(jail);
    let failed = |errno| failed("count the sessions in", &directory, errno);
    match open(&directory) {
        Err(Errno::NOENT) => Ok(0),
        Err(errno) => Err(failed(errno)),
        Ok(register) => {
            lock(&register).map_err(failed)?;
            living(&register).map_err(failed)
        }
    }
}

fn open(directory: &Path) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    openat(open_dir(None, directory)?, ".", flags, Mode::empty())
}

fn lock(register: &OwnedFd) -> Result<(), Errno> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match flock(register, FlockOperation::NonBlockingLockExclusive) {
            Err(Errno::WOULDBLOCK) if Instant::now() < deadline => sleep(ROUND),
            done => return done,
        }
    }
}

/// The error of what was tried on the register in `directory`. EWOULDBLOCK is that of a lock that was not free for as long as it is waited for.
fn failed(what: &'static str, directory: &Path, errno: Errno) -> Error {
    match errno {
        Errno::WOULDBLOCK => Error::Refused(format!(
            "the machine is too busy: sessions that begin and end held the lock of `{}` for {} seconds",
            directory.display(),
            PATIENCE.as_secs()
        )),
        errno => Error::on(what, directory, errno),
    }
}

/// Counts those whose lock is held, and strikes the others.
fn living(register: &OwnedFd) -> Result<u64, Errno> {
    let mut count = 0;
    for name in names(register)? {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = openat(register, &name, flags, Mode::empty())?;
        match flock(&file, FlockOperation::NonBlockingLockShared) {
            Err(Errno::WOULDBLOCK) => count += 1,
            Ok(()) => strike(register, &name)?,
            Err(errno) => return Err(errno),
        }
    }
    Ok(count)
}

fn strike(register: &OwnedFd, name: &str) -> Result<(), Errno> {
    match unlinkat(register, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(errno) => Err(errno),
    }
}
