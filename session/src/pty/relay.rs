//! Relay of bytes between the terminal of the caller and that of the jail, and of signals to the
//! program, until the program has ended.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, Signal, kill_process_group};
use rustix::termios::{tcgetwinsize, tcsetwinsize};

use super::{Pty, StdFds};
use crate::Error;
use crate::signals::SignalPipe;

/// Time for a program to end after a signal, before it is killed.
const GRACE: Duration = Duration::from_secs(2);

/// Maximum number of bytes read after the end of the program, more than a terminal buffers: further
/// ones are written by other processes.
const DRAIN_LIMIT: usize = 1 << 20;

/// Bytes of one direction. Filled only when empty, so that a reader that does not read stops the
/// writer.
#[derive(Debug, Default)]
struct Buffer {
    bytes: Vec<u8>,
}

impl Buffer {
    fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Reads once. Returns the number of bytes; 0 is the end, as of a terminal that has hung up.
    fn fill(&mut self, from: BorrowedFd<'_>) -> Result<usize, Errno> {
        self.bytes.resize(4096, 0);
        let read = rustix::io::read(from, &mut *self.bytes);
        self.bytes.truncate(*read.as_ref().unwrap_or(&0));
        read
    }

    fn flush(&mut self, to: BorrowedFd<'_>) -> Result<(), Errno> {
        let count = rustix::io::write(to, &self.bytes)?;
        self.bytes.drain(..count);
        Ok(())
    }
}

/// Treats interrupted and would-block errors as success.
fn ignore_retry<T: Default>(result: Result<T, Errno>) -> Result<T, Errno> {
    match result {
        Err(Errno::INTR | Errno::AGAIN) => Ok(T::default()),
        other => other,
    }
}

/// The two terminals.
#[derive(Debug)]
struct PtyPair {
    pty: Pty,
    /// Terminal whose size the one of the jail follows.
    terminal: BorrowedFd<'static>,
    input: Option<BorrowedFd<'static>>,
    output: Option<BorrowedFd<'static>>,
    input_buffer: Buffer,
    output_buffer: Buffer,
}

/// Descriptors that poll(2) may report as ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Program,
    Signals,
    Pty,
    Input,
    Output,
}

/// Running program and its connection to the caller.
#[derive(Debug)]
pub(crate) struct Relay<'a> {
    program: Pid,
    pidfd: OwnedFd,
    signals: &'a SignalPipe,
    ptys: Option<PtyPair>,
    kill_at: Option<Instant>,
    is_ending: bool,
}

impl<'a> Relay<'a> {
    pub(crate) fn new(
        program: Pid,
        pidfd: OwnedFd,
        signals: &'a SignalPipe,
        standard: StdFds,
        pty: Option<Pty>,
    ) -> Self {
        let ptys = pty.zip(standard.terminal()).map(|(pty, terminal)| PtyPair {
            pty,
            terminal,
            input: standard.input(),
            output: standard.output(),
            input_buffer: Buffer::default(),
            output_buffer: Buffer::default(),
        });
        Self {
            program,
            pidfd,
            signals,
            ptys,
            kill_at: None,
            is_ending: false,
        }
    }

    /// Runs until the program has ended and its last output is written.
    pub(crate) fn run(mut self) -> Result<(), Error> {
        // The size may have changed since the terminal of the jail was created.
        self.follow_size();
        loop {
            let ready = self.wait()?;
            if ready.contains(&End::Signals) {
                self.take_signals();
            }
            if ready.contains(&End::Program) {
                return self.finish();
            }
            if let Some(ptys) = &mut self.ptys
                && ptys.relay(&ready).is_err()
            {
                ptys.input = None;
                ptys.output = None;
                self.end(Signal::HUP);
            }
            if self.kill_at.is_some_and(|at| at <= Instant::now()) {
                self.kill_at = None;
                self.pass_on(Signal::KILL);
            }
        }
    }

    fn wait(&self) -> Result<Vec<End>, Error> {
        let mut interests = vec![
            (End::Program, self.pidfd.as_fd(), PollFlags::IN),
            (End::Signals, self.signals.as_fd(), PollFlags::IN),
        ];
        if let Some(ptys) = &self.ptys {
            ptys.interests(&mut interests);
        }
        let left = self
            .kill_at
            .map(|at| at.saturating_duration_since(Instant::now()));
        ready(&interests, left)
    }

    fn take_signals(&mut self) {
        for signal in self.signals.take() {
            if signal == Signal::WINCH {
                self.follow_size();
            } else {
                self.end(signal);
            }
        }
    }

    /// Passes on a signal that ends the program, and sets the time to kill it.
    fn end(&mut self, signal: Signal) {
        if !self.is_ending {
            self.kill_at = Some(Instant::now() + GRACE);
        }
        self.is_ending = true;
        self.pass_on(signal);
    }

    /// Sends a signal to the process group of the program, whose number is not reused until it is
    /// waited for. Only processes of the program's session can be in it.
    fn pass_on(&self, signal: Signal) {
        // Fails if it has just ended.
        let _ = kill_process_group(self.program, signal);
    }

    /// Copies the size. The kernel sends SIGWINCH to the program if it has changed.
    fn follow_size(&self) {
        if let Some(ptys) = &self.ptys {
            // A terminal that has hung up has no size.
            let _ =
                tcgetwinsize(ptys.terminal).and_then(|size| tcsetwinsize(&ptys.pty.outer, size));
        }
    }

    /// Writes what the terminal still contains after the end of the program.
    fn finish(mut self) -> Result<(), Error> {
        let Some(mut ptys) = self.ptys.take() else {
            return Ok(());
        };
        ptys.pty.inner = None;
        let Some(output) = ptys.output else {
            return Ok(());
        };
        let mut drained = 0;
        while drained < DRAIN_LIMIT {
            if ptys.output_buffer.is_empty() {
                match ptys.output_buffer.fill(ptys.pty.outer.as_fd()) {
                    Err(Errno::INTR) => continue,
                    // No more bytes, or hung up.
                    Ok(0) | Err(_) => break,
                    Ok(count) => drained += count,
                }
            }
            let interests = [
                (End::Output, output, PollFlags::OUT),
                (End::Signals, self.signals.as_fd(), PollFlags::IN),
            ];
            let ready = ready(&interests, None)?;
            let ends = |signal: &Signal| *signal != Signal::WINCH;
            if ready.contains(&End::Signals) && self.signals.take().iter().any(ends) {
                break;
            }
            if ready.contains(&End::Output)
                && ignore_retry(ptys.output_buffer.flush(output)).is_err()
            {
                break;
            }
        }
        Ok(())
    }
}

impl PtyPair {
    fn interests<'w>(&'w self, interests: &mut Vec<(End, BorrowedFd<'w>, PollFlags)>) {
        let mut pty = PollFlags::empty();
        pty.set(PollFlags::IN, self.output_buffer.is_empty());
        pty.set(PollFlags::OUT, !self.input_buffer.is_empty());
        if !pty.is_empty() {
            interests.push((End::Pty, self.pty.outer.as_fd(), pty));
        }
        if let Some(input) = self.input.filter(|_| self.input_buffer.is_empty()) {
            interests.push((End::Input, input, PollFlags::IN));
        }
        if let Some(output) = self.output.filter(|_| !self.output_buffer.is_empty()) {
            interests.push((End::Output, output, PollFlags::OUT));
        }
    }

    /// Relays bytes. An error means that the terminal of the caller has hung up.
    fn relay(&mut self, ready: &[End]) -> Result<(), Errno> {
        if ready.contains(&End::Pty) {
            let outer = self.pty.outer.as_fd();
            // It is non-blocking, so both directions can be tried; and it does not fail while the
            // inner end is open.
            if self.output_buffer.is_empty() {
                let _ = self.output_buffer.fill(outer);
            }
            if !self.input_buffer.is_empty() {
                let _ = self.input_buffer.flush(outer);
            }
        }
        if let Some(input) = self.input.filter(|_| ready.contains(&End::Input)) {
            match self.input_buffer.fill(input) {
                // The only end of input of a raw terminal is a hangup.
                Ok(0) => return Err(Errno::IO),
                other => ignore_retry(other)?,
            };
        }
        match self.output {
            Some(output) if ready.contains(&End::Output) => {
                ignore_retry(self.output_buffer.flush(output))
            }
            Some(_) => Ok(()),
            // The output is discarded, so that the program does not block.
            None => {
                self.output_buffer.bytes.clear();
                Ok(())
            }
        }
    }
}

fn ready(
    interests: &[(End, BorrowedFd<'_>, PollFlags)],
    at_most: Option<Duration>,
) -> Result<Vec<End>, Error> {
    let mut fds: Vec<_> = interests
        .iter()
        .map(|(_, fd, flags)| PollFd::from_borrowed_fd(*fd, *flags))
        .collect();
    let timeout = at_most.and_then(|time| Timespec::try_from(time).ok());
    ignore_retry(poll(&mut fds, timeout.as_ref())).map_err(Error::of("wait for the program"))?;
    let found = interests.iter().zip(&fds);
    Ok(found
        .filter(|(_, fd)| !fd.revents().is_empty())
        .map(|((end, _, _), _)| *end)
        .collect())
}
