//! Terminals: finding those among the standard descriptors, a new one for the jail, and raw mode of
//! the caller's.

mod relay;

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{FileType, Uid, fchown, fstat};
use rustix::io::{Errno, ioctl_fionbio};
use rustix::pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, unlockpt};
use rustix::stdio::{stderr, stdin, stdout};
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr, tcsetwinsize};

use crate::Error;

pub(crate) use relay::Relay;

/// Standard descriptors of the caller.
#[derive(Debug, Clone, Copy)]
pub(crate) struct StdFds {
    terminals: [bool; 3],
}

impl StdFds {
    /// Finds the terminals among them.
    ///
    /// # Errors
    /// [`Error::Refused`] for a directory, which would be a way out of the jail. [`Error::System`]
    /// for a descriptor whose kind is unknown.
    pub(crate) fn query() -> Result<Self, Error> {
        let failed = Error::of("query the standard descriptors");
        let mut terminals = [false; 3];
        for (fd, terminal) in [stdin(), stdout(), stderr()]
            .into_iter()
            .zip(&mut terminals)
        {
            let mode = fstat(fd).map_err(&failed)?.st_mode;
            if FileType::from_raw_mode(mode) == FileType::Directory {
                return Err(Error::Refused(
                    "a standard descriptor is a directory: it would be a way out of the jail"
                        .to_owned(),
                ));
            }
            *terminal = match tcgetattr(fd) {
                Ok(_) => true,
                Err(Errno::NOTTY | Errno::INVAL) => false,
                // Also for a terminal that has hung up.
                Err(errno) => return Err(failed(errno)),
            };
        }
        Ok(Self { terminals })
    }

    pub(crate) fn is_terminal(self, fd: usize) -> bool {
        self.terminals.get(fd).copied().unwrap_or_default()
    }

    /// Standard input, if it is a terminal from which the relay reads.
    pub(crate) fn input(self) -> Option<BorrowedFd<'static>> {
        self.is_terminal(0).then(stdin)
    }

    /// Descriptor for output of the new terminal. Standard input is the last choice: terminals are
    /// open for both directions, and typed characters should be visible.
    fn output(self) -> Option<BorrowedFd<'static>> {
        let all = [(1, stdout()), (2, stderr()), (0, stdin())];
        let mut terminals = all.into_iter().filter(|(fd, _)| self.is_terminal(*fd));
        terminals.next().map(|(_, fd)| fd)
    }

    /// Terminal whose modes and size the new terminal gets; `None` without any terminal.
    pub(crate) fn terminal(self) -> Option<BorrowedFd<'static>> {
        self.input().or_else(|| self.output())
    }
}

/// A new terminal: the relay has the outer end, the jail the inner one.
#[derive(Debug)]
pub(crate) struct Pty {
    outer: OwnedFd,
    /// Open until the program ends: a program that closes its own can open /dev/tty again.
    inner: Option<OwnedFd>,
}

impl Pty {
    /// Creates a terminal with the modes and the size of `terminal`. The user owns it, as with
    /// sshd; the outer end is non-blocking.
    pub(crate) fn new_like(terminal: BorrowedFd<'_>, user: Uid) -> Result<Self, Error> {
        let create = || -> Result<Self, Errno> {
            let outer = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
            grantpt(&outer)?;
            unlockpt(&outer)?;
            // Not by its name in /dev/pts, which may be another devpts.
            let inner = ioctl_tiocgptpeer(
                &outer,
                OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC,
            )?;
            fchown(&inner, Some(user), None)?;
            tcsetattr(&inner, OptionalActions::Now, &tcgetattr(terminal)?)?;
            tcsetwinsize(&inner, tcgetwinsize(terminal)?)?;
            ioctl_fionbio(&outer, true)?;
            Ok(Self {
                outer,
                inner: Some(inner),
            })
        };
        create().map_err(Error::of("create a terminal for the jail"))
    }

    pub(crate) fn inner(&self) -> Result<BorrowedFd<'_>, Error> {
        let inner = self.inner.as_ref().map(AsFd::as_fd);
        inner.ok_or_else(|| Error::of("find the jail's terminal")(Errno::BADF))
    }
}

/// Raw mode of the caller's terminal: each key is passed to the jail unchanged, ^C too. Restores
/// the modes on drop.
#[derive(Debug)]
pub(crate) struct RawMode {
    terminal: BorrowedFd<'static>,
    before: Termios,
}

impl RawMode {
    pub(crate) fn begin(terminal: BorrowedFd<'static>) -> Result<Self, Error> {
        let before = tcgetattr(terminal).map_err(Error::of("read the terminal's modes"))?;
        let mut raw = before.clone();
        raw.make_raw();
        set_modes(terminal, &raw).map_err(Error::of("set the terminal's modes"))?;
        Ok(Self { terminal, before })
    }
}

impl Drop for RawMode {
    fn drop(&mut self) {
        // Fails only if the terminal has hung up, and then it has no modes.
        let _ = set_modes(self.terminal, &self.before);
    }
}

/// Without waiting for pending output, which would take for ever on a stopped terminal.
fn set_modes(terminal: BorrowedFd<'_>, modes: &Termios) -> Result<(), Errno> {
    rustix::io::retry_on_intr(|| tcsetattr(terminal, OptionalActions::Now, modes))
}
