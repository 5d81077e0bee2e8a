//! What the forked child does between fork(2) and execve(2), in order.
//!
//! The parent may have had other threads, and one of them may have held the allocator's lock when it was copied. So nothing here
//! allocates, locks or panics: each step is one or a few system calls, on values that were made before the fork.

use std::ffi::CString;
use std::os::fd::OwnedFd;

use rustix::fs::{Mode, OFlags, ResolveFlags, openat2};
use rustix::io::Errno;
use rustix::process::{chroot, fchdir, ioctl_tiocsctty, setsid, umask};

use crate::privileges::{Ids, drop_bounding_set, drop_capabilities};
use crate::syscalls;

/// All that the child needs, made before the fork.
#[derive(Debug)]
pub(super) struct Child {
    pub(super) root: OwnedFd,
    pub(super) ids: Ids,
    pub(super) cwd: CString,
    /// What becomes the controlling terminal.
    pub(super) terminal: Option<OwnedFd>,
    /// A pipe that takes the number of the step that failed; `Exec` if all went well. std passes on no more than the errno.
    pub(super) report: OwnedFd,
}

/// The steps, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Step {
    Signals,
    Session,
    Terminal,
    Descriptors,
    Root,
    WaysBack,
    Ids,
    Capabilities,
    Final,
    Keyring,
    Directory,
    Inside,
    Exec,
}

impl Step {
    /// All of them, and how an error names each after "could not".
    const NAMES: [(Self, &'static str); 13] = [
        (Self::Signals, "reset the signals"),
        (Self::Session, "begin a session"),
        (Self::Terminal, "take the new terminal"),
        (Self::Descriptors, "close the open descriptors"),
        (Self::Root, "change the root directory"),
        (Self::WaysBack, "empty the capability bounding set"),
        (Self::Ids, "become the user"),
        (Self::Capabilities, "drop the capabilities"),
        (Self::Final, "make sure that root is given up"),
        (Self::Keyring, "begin a new session keyring"),
        (Self::Directory, "enter the directory"),
        (Self::Inside, "be sure to be inside the jail in"),
        (Self::Exec, "start"),
    ];

    /// None if the byte is not a step's.
    pub(super) fn from_byte(byte: u8) -> Option<(Self, &'static str)> {
        let known = Self::NAMES.into_iter();
        known.into_iter().find(|(step, _)| *step as u8 == byte)
    }
}

impl Child {
    /// Takes the child to its place, and reports how far it came.
    pub(super) fn go(&self) -> Result<(), Errno> {
        let mut step = Step::Signals;
        let result = self.go_on(&mut step);
        // If this fails, the error has the errno without the step.
        let _ = rustix::io::write(&self.report, &[step as u8]);
        result
    }

    fn go_on(&self, step: &mut Step) -> Result<(), Errno> {
        syscalls::default_signals()?;

        // Away from the caller's terminal: whoever has it as controlling terminal can type into it (TIOCSTI, CVE-2017-5226).
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

        *step = Step::WaysBack;
        drop_bounding_set()?;
        *step = Step::Ids;
        self.ids.apply()?;
        *step = Step::Capabilities;
        drop_capabilities()?;
        *step = Step::Final;
        if !self.ids.verify_dropped() {
            return Err(Errno::PERM);
        }

        // As the user, so that it counts as his.
        *step = Step::Keyring;
        syscalls::own_keyring()?;

        // As the user, with his rights only; and not through /proc/self/fd, where what the parent had open can still be reached.
        // IN_ROOT excludes such links too, but openat2(2) warns that this may change.
        *step = Step::Directory;
        let directory = openat2(
            &self.root,
            &*self.cwd,
            OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC,
            Mode::empty(),
            ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS,
        )?;
        fchdir(&directory)?;
        *step = Step::Inside;
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
        for (place, (step, name)) in Step::NAMES.into_iter().enumerate() {
            assert_eq!(usize::from(step as u8), place);
            assert_eq!(Step::from_byte(step as u8), Some((step, name)));
        }
        assert_eq!(Step::from_byte(13), None);
    }
}
