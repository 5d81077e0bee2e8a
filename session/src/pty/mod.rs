//! Terminals: which standard descriptors are one, a new one for the jail, and the caller's in raw mode meanwhile.

mod relay;

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{FileType, Uid, fchown, fstat};
use rustix::io::{Errno, ioctl_fionbio};
use rustix::pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, unlockpt};
use rustix::stdio::{stderr, stdin, stdout};
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr, tcsetwinsize};

use crate::Error;

pub(crate) use relay::Relay;

/// The caller's standard descriptors.
#[derive(Debug, Clone, Copy)]
pub(crate) struct StdFds {
    terminals: [bool; 3],
}

impl StdFds {
    /// Finds the terminals among them. What cannot be told, or is a directory, may not be passed on.
    pub(crate) fn look() -> Result<Self, Error> {
        let look = Error::of("look at the standard descriptors");
        let mut terminals = [false; 3];
        for (fd, terminal) in [stdin(), stdout(), stderr()]
            .into_iter()
            .zip(&mut terminals)
        {
            let mode = fstat(fd).map_err(&look)?.st_mode;
            if FileType::from_raw_mode(mode) == FileType::Directory {
                return Err(Error::Refused(
                    "a standard descriptor is a directory: it would lead out of the jail"
                        .to_owned(),
                ));
            }
            *terminal = match tcgetattr(fd) {
                Ok(_) => true,
                Err(Errno::NOTTY | Errno::INVAL) => false,
                // Also a terminal that has hung up.
                Err(errno) => return Err(look(errno)),
            };
        }
        Ok(Self { terminals })
    }

    pub(crate) fn is_terminal(self, fd: usize) -> bool {
        self.terminals.get(fd).copied().unwrap_or_default()
    }

    /// Standard input, if the jailed program's is to be fed from it.
    pub(crate) fn input(self) -> Option<BorrowedFd<'static>> {
        self.is_terminal(0).then(stdin)
    }

    /// Where the new terminal's output goes. Standard input as the last resort: terminals are open for both, and what is typed
    /// should be seen.
    fn output(self) -> Option<BorrowedFd<'static>> {
        let all = [(1, stdout()), (2, stderr()), (0, stdin())];
        let mut terminals = all.into_iter().filter(|(fd, _)| self.is_terminal(*fd));
        terminals.next().map(|(_, fd)| fd)
    }

    /// Whose modes and size the new terminal gets. None if there is no terminal at all.
    pub(crate) fn terminal(self) -> Option<BorrowedFd<'static>> {
        self.input().or_else(|| self.output())
    }
}

/// A new terminal: the outer end is ours, the inner end is the jail's.
#[derive(Debug)]
pub(crate) struct Pty {
    outer: OwnedFd,
    /// Kept until the program ends: if the program closes its own, it can still open /dev/tty again.
    inner: Option<OwnedFd>,
}

impl Pty {
    /// With the modes and the size of `terminal`. The user owns it, as he would sshd's; the outer end never waits.
    pub(crate) fn like(terminal: BorrowedFd<'_>, user: Uid) -> Result<Self, Error> {
        let make = || -> Result<Self, Errno> {
            let outer = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
            grantpt(&outer)?;
            unlockpt(&outer)?;
            // Not by its name in /dev/pts, which may be another instance's.
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
        make().map_err(Error::of("make a terminal for the jail"))
    }

    pub(crate) fn inner(&self) -> Result<BorrowedFd<'_>, Error> {
        let inner = self.inner.as_ref().map(AsFd::as_fd);
        inner.ok_or_else(|| Error::of("find the jail's terminal")(Errno::BADF))
    }
}

/// The caller's terminal in raw mode: each key goes to the jail as it is, ^C too. Dropped, the modes are what they were.
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
        // Fails only if the terminal has hung up, and then has no modes.
        let _ = set_modes(self.terminal, &self.before);
    }
}

/// At once: to wait for pending output could take for ever, if the terminal is stopped.
fn set_modes(terminal: BorrowedFd<'_>, modes: &Termios) -> Result<(), Errno> {
    rustix::io::retry_on_intr(|| tcsetattr(terminal, OptionalActions::Now, modes))
}
