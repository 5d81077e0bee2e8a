//! Lock of a host for one writer at a time: a file that contains the process id of its holder.

use std::fs::File;
use std::io::{Read, Seek, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::fs::{Mode, OFlags, openat};

use super::dir::Dir;
use super::stat::Ownership;
use super::view::HostView;
use super::writer::Host;
use crate::error::{Error, ErrorKind, Finding, Result};
use crate::layout::{LOCK, LOCK_NAME, RUN, RUN_MODE};

/// The lock, released when this is dropped or the process ends.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

/// Shortest time to wait: a process that only tests the lock holds it for a moment.
const MIN_WAIT: Duration = Duration::from_millis(100);

impl HostView {
    /// Whether another process holds the lock of the host.
    ///
    /// # Errors
    /// `Failed` if the file cannot be opened.
    pub fn is_locked(&self) -> Result<bool> {
        let file = self.try_open(Path::new(LOCK))?;
        Ok(file.is_some_and(|file| file.try_lock_shared().is_err()))
    }
}

impl Host {
    /// Takes the lock of the host; waits at most `timeout` for another holder.
    ///
    /// # Errors
    /// `Busy` if another process still holds it, with its process id; `Failed` if the file cannot
    /// be created.
    pub fn lock(&self, timeout: Duration) -> Result<Lock> {
        let run = self.ensure_root_dir(Path::new(RUN), Ownership::root(RUN_MODE))?;
        let shown = run.display_path(Path::new(LOCK_NAME));
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mut file = openat(run.as_fd(), LOCK_NAME, flags, Mode::from_raw_mode(0o600))
            .map(File::from)
            .map_err(|errno| Error::io("open", &shown, &errno.into()))?;
        let deadline = Instant::now() + timeout.max(MIN_WAIT);
        while file.try_lock().is_err() {
            if Instant::now() >= deadline {
                return Err(busy(&mut file, &run));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let written = file
            .set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| writeln!(file, "{}", std::process::id()));
        written.map_err(|error| Error::io("write", &shown, &error))?;
        Ok(Lock { _file: file })
    }
}

fn busy(file: &mut File, run: &Dir) -> Error {
    let mut holder = String::new();
    // The process id is for the message only; that the lock is held is known.
    let _ = file.read_to_string(&mut holder);
    let holder = holder.trim();
    let who = if holder.is_empty() {
        "another jailctl".to_owned()
    } else {
        format!("jailctl with process id {holder}")
    };
    Error::new(
        ErrorKind::Busy,
        Finding::new(format!(
            "could not take the lock `{}`",
            run.display_path(Path::new(LOCK_NAME)).display()
        ))
        .why(format!("{who} holds it"))
        .hint("wait for it to end, or give `--lock-timeout SECONDS`"),
    )
}
