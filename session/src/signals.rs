//! Signals to this process while a session runs, as bytes that poll(2) can wait for.
//!
//! The self-pipe of D. J. Bernstein: the handler writes the number of the signal into a pipe and
//! does nothing else. It makes one system call on a pipe that is never closed, and does not
//! allocate, lock or change anything, `errno` included.

use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use libc::{c_int, c_long};
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::Signal;

use crate::Error;
use crate::syscalls::check;

const WATCHED: [Signal; 5] = [
    Signal::WINCH,
    Signal::HUP,
    Signal::INT,
    Signal::QUIT,
    Signal::TERM,
];

/// Created once and never closed, so that the handler never writes to a reused descriptor.
static PIPE: OnceLock<(OwnedFd, OwnedFd)> = OnceLock::new();

/// Dispositions belong to the process: one signal pipe at a time.
static IN_USE: Mutex<()> = Mutex::new(());

/// While it exists, the watched signals are collected. The dispositions are restored on drop.
#[derive(Debug)]
pub(crate) struct SignalPipe {
    before: Vec<Disposition>,
    pipe: BorrowedFd<'static>,
    _in_use: MutexGuard<'static, ()>,
}

struct Disposition(c_int, libc::sigaction);

impl std::fmt::Debug for Disposition {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Disposition").field(&self.0).finish()
    }
}

impl SignalPipe {
    /// Waits for other signal pipes, and installs the handlers. An ignored signal stays ignored, as
    /// nohup(1) requires.
    pub(crate) fn begin() -> Result<Self, Error> {
        let in_use = IN_USE.lock().unwrap_or_else(PoisonError::into_inner);
        let mut signals = Self {
            before: Vec::with_capacity(WATCHED.len()),
            pipe: pipe().map_err(Error::of("create a pipe"))?,
            _in_use: in_use,
        };
        // Signals that arrived after the last use.
        signals.take();
        for signal in WATCHED.map(Signal::as_raw) {
            let before = exchange(signal, None).map_err(Error::of("query a signal"))?;
            let ignored = before.1.sa_sigaction == libc::SIG_IGN;
            if !ignored || signal == Signal::WINCH.as_raw() {
                exchange(signal, Some(&pipe_action())).map_err(Error::of("handle a signal"))?;
                signals.before.push(before);
            }
        }
        Ok(signals)
    }

    /// Signals since the last call, in order. Never blocks.
    pub(crate) fn take(&self) -> Vec<Signal> {
        let mut bytes = [0; 64];
        let count = rustix::io::read(self.pipe, &mut bytes).unwrap_or(0);
        let numbers = bytes.iter().take(count).copied().map(i32::from);
        numbers.filter_map(Signal::from_named_raw).collect()
    }
}

impl Drop for SignalPipe {
    fn drop(&mut self) {
        for Disposition(signal, before) in &self.before {
            // The kernel has accepted the disposition before; an error has no caller to report it
            // to.
            let _ = exchange(*signal, Some(before));
        }
    }
}

impl AsFd for SignalPipe {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.pipe
    }
}

fn pipe() -> Result<BorrowedFd<'static>, Errno> {
    if PIPE.get().is_none() {
        let ends = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
        // Only the holder of the lock gets here, so it is not set in between.
        let _ = PIPE.set(ends);
    }
    let (reader, _) = PIPE.get().ok_or(Errno::BADF)?;
    Ok(reader.as_fd())
}

/// Signal handler. A full pipe drops the signal; it contains thousands then.
extern "C" fn write_to_pipe(signal: c_int) {
    if let (Some((_, writer)), Ok(byte)) = (PIPE.get(), u8::try_from(signal)) {
        let _ = rustix::io::write(writer, &[byte]);
    }
}

/// Without SA_RESTART: a signal must interrupt a write to a terminal that accepts no more bytes.
fn pipe_action() -> libc::sigaction {
    // SAFETY: on Linux all fields of sigaction are integers, a bit set and an optional pointer;
    // zero is valid for each: no flags, no signal blocked, no restorer (the C library adds its
    // own).
    let mut action: libc::sigaction = unsafe { MaybeUninit::zeroed().assume_init() };
    action.sa_sigaction = write_to_pipe as *const () as libc::sighandler_t;
    action
}

/// Sets the disposition, if a new one is given; returns the previous one.
fn exchange(signal: c_int, new: Option<&libc::sigaction>) -> Result<Disposition, Errno> {
    let new = new.map_or(std::ptr::null(), std::ptr::from_ref);
    let mut before = MaybeUninit::<libc::sigaction>::uninit();
    // SAFETY: `new` is null or points to a disposition: `write_to_pipe`, which is signal-safe and
    // exists as long as the program, or one that was in force before. The kernel fills `before` if
    // it returns zero, and it is only read then.
    let before = unsafe {
        check(c_long::from(libc::sigaction(
            signal,
            new,
            before.as_mut_ptr(),
        )))?;
        before.assume_init()
    };
    Ok(Disposition(signal, before))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::process::{getpid, kill_process};

    /// One test, not several: dispositions belong to the process.
    #[test]
    fn signals_are_collected_and_dispositions_come_back() {
        let term = Signal::TERM.as_raw();
        let before = exchange(term, None).unwrap().1.sa_sigaction;
        for _ in 0..2 {
            let watch = SignalPipe::begin().unwrap();
            assert_eq!(watch.take(), []);
            kill_process(getpid(), Signal::TERM).unwrap();
            kill_process(getpid(), Signal::WINCH).unwrap();
            let mut taken = Vec::new();
            while taken.len() < 2 {
                taken.extend(watch.take());
            }
            taken.sort_by_key(|signal| signal.as_raw());
            assert_eq!(taken, [Signal::TERM, Signal::WINCH]);
            drop(watch);
            assert_eq!(exchange(term, None).unwrap().1.sa_sigaction, before);
        }

        let quit = Signal::QUIT.as_raw();
        let mut ignore = pipe_action();
        ignore.sa_sigaction = libc::SIG_IGN;
        let original = exchange(quit, Some(&ignore)).unwrap();
        let watch = SignalPipe::begin().unwrap();
        assert_eq!(exchange(quit, None).unwrap().1.sa_sigaction, libc::SIG_IGN);
        drop(watch);
        assert_eq!(exchange(quit, None).unwrap().1.sa_sigaction, libc::SIG_IGN);
        exchange(quit, Some(&original.1)).unwrap();
    }
}
