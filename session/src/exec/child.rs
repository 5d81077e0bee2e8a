//! The calls of the forked child between fork(2) and execve(2), in order.
//!
//! The parent may have had other threads, and one of them may have held the lock of the allocator
//! at the fork. So nothing here allocates, locks or panics: each step is one or a few system calls,
//! on values that were created before the fork.

use std::ffi::CString;
use std::os::fd::OwnedFd;

use rustix::fs::{Mode, OFlags, ResolveFlags, openat2};
use rustix::io::Errno;
use rustix::process::{chroot, fchdir, ioctl_tiocsctty, setsid, umask};

use crate::privileges::{Ids, drop_bounding_set, drop_capabilities};
use crate::syscalls;

/// Values that the child needs, created before the fork.
#[derive(Debug)]
pub(super) struct Child {
    pub(super) root: OwnedFd,
    pub(super) ids: Ids,
    pub(super) cwd: CString,
    /// Controlling terminal of the new session.
    pub(super) terminal: Option<OwnedFd>,
    /// Pipe for the number of the step that failed, or of `Exec` if none did. std reports the errno
    /// alone.
    pub(super) report: OwnedFd,
}

/// Steps in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Step {
    Signals,
    Session,
    Terminal,
    Descriptors,
    Root,
    BoundingSet,
    Ids,
    Capabilities,
    VerifyIds,
    Keyring,
    Directory,
    VerifyDirectory,
    Exec,
}

impl Step {
    /// All steps, with their text in errors after "could not".
    const NAMES: [(Self, &'static str); 13] = [
        (Self::Signals, "reset the signals"),
        (Self::Session, "begin a session"),
        (Self::Terminal, "take the new terminal"),
        (Self::Descriptors, "close the open descriptors"),
        (Self::Root, "change the root directory"),
        (Self::BoundingSet, "empty the capability bounding set"),
        (Self::Ids, "become the user"),
        (Self::Capabilities, "drop the capabilities"),
        (Self::VerifyIds, "verify that root is dropped"),
        (Self::Keyring, "begin a new session keyring"),
        (Self::Directory, "enter the directory"),
        (
            Self::VerifyDirectory,
            "verify that the directory is in the jail:",
        ),
        (Self::Exec, "start"),
    ];

    /// The step of a number; `None` for any other byte.
    pub(super) fn from_byte(byte: u8) -> Option<(Self, &'static str)> {
        let known = Self::NAMES.into_iter();
        known.into_iter().find(|(step, _)| *step as u8 == byte)
    }
}

impl Child {
    /// Executes all steps, and reports the last one.
    pub(super) fn apply(&self) -> Result<(), Errno> {
        let mut step = Step::Signals;
        let result = self.run_steps(&mut step);
        // If this fails, the error has the errno without the step.
        let _ = rustix::io::write(&self.report, &[step as u8]);
        result
    }

    fn run_steps(&self, step: &mut Step) -> Result<(), Errno> {
        syscalls::default_signals()?;

        // Leaves the terminal of the caller: a process that has it as controlling terminal can type
        // into it (TIOCSTI, CVE-2017-5226).
        *step = Step::Session;
        setsid()?;
        *step = Step::Terminal;
        if let Some(terminal) = &self.terminal {
            ioctl_tiocsctty(terminal)?;
        }

        // An open directory of the host is a way out of any chroot (CVE-2024-21626).
        *step = Step::Descriptors;
        syscalls::close_all_on_exec()?;

        *step = Step::Root;
        fchdir(&self.root)?;
        chroot(c".")?;
        umask(Mode::WGRP | Mode::WOTH);

        *step = Step::BoundingSet;
        drop_bounding_set()?;
        *step = Step::Ids;
        self.ids.apply()?;
        *step = Step::Capabilities;
        drop_capabilities()?;
        *step = Step::VerifyIds;
        if !self.ids.verify_dropped() {
            return Err(Errno::PERM);
        }

        // As the user, who owns the keyring and whose quota it counts against.
        *step = Step::Keyring;
        syscalls::new_session_keyring()?;

        // With the rights of the user only; and not through /proc/self/fd, through which
        // descriptors of the parent are reachable. IN_ROOT excludes such links too, but openat2(2)
        // warns that this may change.
        *step = Step::Directory;
        let directory = openat2(
            &self.root,
            &*self.cwd,
            OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC,
            Mode::empty(),
            ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS,
        )?;
        fchdir(&directory)?;
        *step = Step::VerifyDirectory;
        if !syscalls::cwd_is_below_root()? {
            return Err(Errno::XDEV);
        }

        *step = Step::Exec;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_step_is_found_by_its_byte() {
        for (index, (step, name)) in Step::NAMES.into_iter().enumerate() {
            assert_eq!(usize::from(step as u8), index);
            assert_eq!(Step::from_byte(step as u8), Some((step, name)));
        }
        assert_eq!(Step::from_byte(13), None);
    }
}
