//! A terminal for a test, and a process on it; the test has the other end.

use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, unlockpt};
use rustix::termios::{LocalModes, Termios, Winsize, tcgetattr, tcsetwinsize};

use crate::jail::State;

const PATIENCE: Duration = Duration::from_secs(20);

/// A terminal and the process on it, which is killed on drop if it still runs.
pub(crate) struct Desk {
    pub(crate) keyboard_and_screen: OwnedFd,
    pub(crate) terminal: File,
    pub(crate) process: Child,
    pub(crate) seen: String,
}

impl Desk {
    /// Starts `command` in a new session, on a terminal of 33 rows and 101 columns; `redirect`
    /// replaces some of its descriptors.
    pub(crate) fn new(command: &Command, redirect: impl FnOnce(&mut Command)) -> Self {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let outer = openpt(flags).expect("a terminal");
        grantpt(&outer).expect("a terminal");
        unlockpt(&outer).expect("a terminal");
        let inner = ioctl_tiocgptpeer(&outer, flags).expect("a terminal");
        tcsetwinsize(&outer, size(33, 101)).expect("a size");

        // setsid takes its standard input as controlling terminal, and becomes the command. The
        // caller of the tests may ignore signals, as a shell does for `&`.
        let mut setsid = Command::new("env");
        setsid.args(["--default-signal", "setsid"]);
        let copy = || Stdio::from(inner.try_clone().expect("a descriptor"));
        setsid.stdin(copy()).stdout(copy()).stderr(copy());
        let terminal = File::from(inner.try_clone().expect("a descriptor"));
        setsid.arg("--ctty");
        setsid.args(["sh", "-c", "eval exec '\"$@\"' \"$REDIRECT\"", "sh"]);
        setsid.arg(command.get_program()).args(command.get_args());
        for (name, value) in command.get_envs() {
            setsid.env(name, value.expect("a value"));
        }
        setsid.env("REDIRECT", "");
        redirect(&mut setsid);
        Self {
            keyboard_and_screen: outer,
            terminal,
            process: setsid.spawn().expect("setsid"),
            seen: String::new(),
        }
    }

    pub(crate) fn modes(&self) -> Termios {
        tcgetattr(&self.terminal).expect("modes")
    }

    pub(crate) fn type_in(&self, text: &str) {
        rustix::io::write(&self.keyboard_and_screen, text.as_bytes()).expect("typing");
    }

    /// Reads output within the time. Returns whether there was any.
    fn look(&mut self, within: Duration) -> bool {
        let outer = self.keyboard_and_screen.as_fd();
        let mut fds = [PollFd::from_borrowed_fd(outer, PollFlags::IN)];
        let timeout = Timespec::try_from(within).expect("a time");
        if poll(&mut fds, Some(&timeout)).expect("poll") == 0 {
            return false;
        }
        let mut bytes = [0; 4096];
        let count = rustix::io::read(outer, &mut bytes).expect("a screen");
        self.seen
            .push_str(&String::from_utf8_lossy(&bytes[..count]));
        true
    }

    pub(crate) fn wait_for(&mut self, text: &str) {
        let since = Instant::now();
        while !self.seen.contains(text) {
            assert!(since.elapsed() < PATIENCE, "{text}: {}", self.seen);
            self.look(Duration::from_millis(100));
        }
    }

    /// Waits until the terminal of the caller is raw, that is, until keys are passed to the jail.
    pub(crate) fn wait_for_raw(&mut self) {
        let since = Instant::now();
        while is_cooked(&self.modes()) {
            assert!(since.elapsed() < PATIENCE, "{}", self.seen);
            self.look(Duration::from_millis(10));
        }
    }

    /// Waits for the end of the process, and returns its exit status.
    pub(crate) fn end(&mut self) -> Option<i32> {
        let since = Instant::now();
        let status = loop {
            if let Some(status) = self.process.try_wait().expect("a process") {
                break status;
            }
            assert!(since.elapsed() < PATIENCE, "{}", self.seen);
            self.look(Duration::from_millis(10));
        };
        while self.look(Duration::ZERO) {}
        status.code()
    }

    pub(crate) fn state(&self) -> State {
        State::parse(&self.seen.replace('\r', ""))
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

pub(crate) fn size(rows: u16, columns: u16) -> Winsize {
    Winsize {
        ws_row: rows,
        ws_col: columns,
        ws_xpixel: 0,
        ws_ypixel: 0,
    }
}

pub(crate) fn is_cooked(modes: &Termios) -> bool {
    let both = LocalModes::ICANON | LocalModes::ISIG;
    modes.local_modes.contains(both)
}
