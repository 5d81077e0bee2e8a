//! Carries bytes between the caller's terminal and the jail's, and signals to the program, until the program has ended.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, Signal, kill_process_group};
use rustix::termios::{tcgetwinsize, tcsetwinsize};

use super::{Pty, StdFds};
use crate::Error;
use crate::signals::SignalPipe;

/// How long a program may take to end after it was told to.
const GRACE: Duration = Duration::from_secs(2);

/// More than a terminal holds. What is still written when that much was carried after the program's end is not its own.
const DRAIN_LIMIT: usize = 1 << 20;

/// Bytes on their way: read only when empty, so that who does not take them is not sent more.
#[derive(Debug, Default)]
struct Buffer {
    bytes: Vec<u8>,
}

impl Buffer {
    fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// How many came; 0 is the end, as of a terminal that has hung up.
    fn fill(&mut self, from: BorrowedFd<'_>) -> Result<usize, Errno> {
        self.bytes.resize(4096, 0);
        let read = rustix::io::read(from, &mut *self.bytes);
        self.bytes.truncate(*read.as_ref().unwrap_or(&0));
        read
    }

    fn empty(&mut self, to: BorrowedFd<'_>) -> Result<(), Errno> {
        let count = rustix::io::write(to, &self.bytes)?;
        self.bytes.drain(..count);
        Ok(())
    }
}

/// "Not now" is no failure.
fn later<T: Default>(result: Result<T, Errno>) -> Result<T, Errno> {
    match result {
        Err(Errno::INTR | Errno::AGAIN) => Ok(T::default()),
        other => other,
    }
}

/// The two terminals.
#[derive(Debug)]
struct PtyPair {
    pty: Pty,
    /// Whose size the jail's terminal follows.
    terminal: BorrowedFd<'static>,
    input: Option<BorrowedFd<'static>>,
    output: Option<BorrowedFd<'static>>,
    inwards: Buffer,
    outwards: Buffer,
}

/// What poll(2) can find ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Program,
    Signals,
    Pty,
    Input,
    Output,
}

/// A running program and what connects it to the caller.
#[derive(Debug)]
pub(crate) struct Relay<'a> {
    program: Pid,
    pidfd: OwnedFd,
    watch: &'a SignalPipe,
    link: Option<PtyPair>,
    kill_at: Option<Instant>,
    told: bool,
}

impl<'a> Relay<'a> {
    pub(crate) fn new(
        program: Pid,
        pidfd: OwnedFd,
        watch: &'a SignalPipe,
        standard: StdFds,
        pty: Option<Pty>,
    ) -> Self {
        let link = pty.zip(standard.terminal()).map(|(pty, terminal)| PtyPair {
            pty,
            terminal,
            input: standard.input(),
            output: standard.output(),
            inwards: Buffer::default(),
            outwards: Buffer::default(),
        });
        Self {
            program,
            pidfd,
            watch,
            link,
            kill_at: None,
            told: false,
        }
    }

    /// Returns when the program has ended and its last output is carried.
    pub(crate) fn run(mut self) -> Result<(), Error> {
        // It may have changed since the jail's terminal was made.
        self.follow_size();
        loop {
            let ready = self.wait()?;
            if ready.contains(&End::Signals) {
                self.take_signals();
            }
            if ready.contains(&End::Program) {
                return self.finish();
            }
            if let Some(link) = &mut self.link
                && link.carry(&ready).is_err()
            {
                link.input = None;
                link.output = None;
                self.end(Signal::HUP);
            }
            if self.kill_at.is_some_and(|at| at <= Instant::now()) {
                self.kill_at = None;
                self.pass_on(Signal::KILL);
            }
        }
    }

    fn wait(&self) -> Result<Vec<End>, Error> {
        let mut wishes = vec![
            (End::Program, self.pidfd.as_fd(), PollFlags::IN),
            (End::Signals, self.watch.as_fd(), PollFlags::IN),
        ];
        if let Some(link) = &self.link {
            link.wish(&mut wishes);
        }
        let left = self
            .kill_at
            .map(|at| at.saturating_duration_since(Instant::now()));
        ready(&wishes, left)
    }

    fn take_signals(&mut self) {
        for signal in self.watch.take() {
            if signal == Signal::WINCH {
                self.follow_size();
            } else {
                self.end(signal);
            }
        }
    }

    /// Tells the program to end; insists after a while.
    fn end(&mut self, signal: Signal) {
        if !self.told {
            self.kill_at = Some(Instant::now() + GRACE);
        }
        self.told = true;
        self.pass_on(signal);
    }

    /// To the program's process group, whose number is the program's and stays so until it is waited for. Only processes of
    /// the program's own session can be in it.
    fn pass_on(&self, signal: Signal) {
        // It may have ended just now.
        let _ = kill_process_group(self.program, signal);
    }

    /// The kernel tells the program, by SIGWINCH, if this is a change.
    fn follow_size(&self) {
        if let Some(link) = &self.link {
            // A terminal that has hung up has no size.
            let _ =
                tcgetwinsize(link.terminal).and_then(|size| tcsetwinsize(&link.pty.outer, size));
        }
    }

    /// The program has ended; what it wrote before may still be in its terminal.
    fn finish(mut self) -> Result<(), Error> {
        let Some(mut link) = self.link.take() else {
            return Ok(());
        };
        link.pty.inner = None;
        let Some(output) = link.output else {
            return Ok(());
        };
        let mut carried = 0;
        while carried < DRAIN_LIMIT {
            if link.outwards.is_empty() {
                match link.outwards.fill(link.pty.outer.as_fd()) {
                    Err(Errno::INTR) => continue,
                    // Nothing more now, or hung up.
                    Ok(0) | Err(_) => break,
                    Ok(count) => carried += count,
                }
            }
            let wishes = [
                (End::Output, output, PollFlags::OUT),
                (End::Signals, self.watch.as_fd(), PollFlags::IN),
            ];
            let ready = ready(&wishes, None)?;
            let ends = |signal: &Signal| *signal != Signal::WINCH;
            if ready.contains(&End::Signals) && self.watch.take().iter().any(ends) {
                break;
            }
            if ready.contains(&End::Output) && later(link.outwards.empty(output)).is_err() {
                break;
            }
        }
        Ok(())
    }
}

impl PtyPair {
    fn wish<'w>(&'w self, wishes: &mut Vec<(End, BorrowedFd<'w>, PollFlags)>) {
        let mut pty = PollFlags::empty();
        pty.set(PollFlags::IN, self.outwards.is_empty());
        pty.set(PollFlags::OUT, !self.inwards.is_empty());
        if !pty.is_empty() {
            wishes.push((End::Pty, self.pty.outer.as_fd(), pty));
        }
        if let Some(input) = self.input.filter(|_| self.inwards.is_empty()) {
            wishes.push((End::Input, input, PollFlags::IN));
        }
        if let Some(output) = self.output.filter(|_| !self.outwards.is_empty()) {
            wishes.push((End::Output, output, PollFlags::OUT));
        }
    }

    /// An error means that the caller's terminal has hung up.
    fn carry(&mut self, ready: &[End]) -> Result<(), Errno> {
        if ready.contains(&End::Pty) {
            let outer = self.pty.outer.as_fd();
            // It never waits, so both can be tried; and it does not fail while we hold its inner end.
            if self.outwards.is_empty() {
                let _ = self.outwards.fill(outer);
            }
            if !self.inwards.is_empty() {
                let _ = self.inwards.empty(outer);
            }
        }
        if let Some(input) = self.input.filter(|_| ready.contains(&End::Input)) {
            match self.inwards.fill(input) {
                // A raw terminal has no other end of input than its hanging up.
                Ok(0) => return Err(Errno::IO),
                other => later(other)?,
            };
        }
        match self.output {
            Some(output) if ready.contains(&End::Output) => later(self.outwards.empty(output)),
            Some(_) => Ok(()),
            // Nobody is there to see it, but the program must not wait.
            None => {
                self.outwards.bytes.clear();
                Ok(())
            }
        }
    }
}

fn ready(
    wishes: &[(End, BorrowedFd<'_>, PollFlags)],
    at_most: Option<Duration>,
) -> Result<Vec<End>, Error> {
    let mut fds: Vec<_> = wishes
        .iter()
        .map(|(_, fd, flags)| PollFd::from_borrowed_fd(*fd, *flags))
        .collect();
    let timeout = at_most.and_then(|time| Timespec::try_from(time).ok());
    later(poll(&mut fds, timeout.as_ref())).map_err(Error::of("wait for the program"))?;
    let found = wishes.iter().zip(&fds);
    Ok(found
        .filter(|(_, fd)| !fd.revents().is_empty())
        .map(|((end, _, _), _)| *end)
        .collect())
}
