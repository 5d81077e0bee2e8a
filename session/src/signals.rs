//! Signals to ourselves while a session runs, turned into bytes that poll(2) can wait for.
//!
//! The old trick (D. J. Bernstein's self-pipe): the handler writes the signal's number into a pipe and does nothing else. It makes one
//! system call on a pipe that is never closed, and allocates, locks and changes nothing, `errno` included.

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

/// Made once and never closed, so that the handler can never meet a descriptor that means another file by now.
static PIPE: OnceLock<(OwnedFd, OwnedFd)> = OnceLock::new();

/// Dispositions are the process's: one watch at a time.
static TURN: Mutex<()> = Mutex::new(());

/// While it lives, the watched signals are collected instead of doing what they did. Dropped, everything is as it was.
#[derive(Debug)]
pub(crate) struct SignalPipe {
    before: Vec<Disposition>,
    pipe: BorrowedFd<'static>,
    _turn: MutexGuard<'static, ()>,
}

struct Disposition(c_int, libc::sigaction);

impl std::fmt::Debug for Disposition {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Disposition").field(&self.0).finish()
    }
}

impl SignalPipe {
    /// Waits for its turn, then begins. A signal that was ignored stays ignored: that is how nohup(1) asks.
    pub(crate) fn begin() -> Result<Self, Error> {
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let mut watch = Self {
            before: Vec::with_capacity(WATCHED.len()),
            pipe: pipe().map_err(Error::of("make a pipe"))?,
            _turn: turn,
        };
        // What a handler wrote after the last watch had taken its signals.
        watch.take();
        for signal in WATCHED.map(Signal::as_raw) {
            let before = exchange(signal, None).map_err(Error::of("look at a signal"))?;
            let ignored = before.1.sa_sigaction == libc::SIG_IGN;
            if !ignored || signal == Signal::WINCH.as_raw() {
                exchange(signal, Some(&noting())).map_err(Error::of("watch for a signal"))?;
                watch.before.push(before);
            }
        }
        Ok(watch)
    }

    /// The signals since the last time, in order. Never waits.
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
            // What was once in force is accepted again; there is nobody to tell otherwise.
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
        // Only whoever has the turn comes here, so it is not set in between; were it, the first would stay.
        let _ = PIPE.set(ends);
    }
    let (reader, _) = PIPE.get().ok_or(Errno::BADF)?;
    Ok(reader.as_fd())
}

/// The handler. A full pipe drops the signal; there are thousands before it then.
extern "C" fn note(signal: c_int) {
    if let (Some((_, writer)), Ok(byte)) = (PIPE.get(), u8::try_from(signal)) {
        let _ = rustix::io::write(writer, &[byte]);
    }
}

/// Without SA_RESTART: a write to a terminal that takes nothing any more has to end when a signal comes.
fn noting() -> libc::sigaction {
    // SAFETY: on Linux all fields of sigaction are integers, a set of bits and an optional pointer; all zero is a value of each: no
    // flags, no signal blocked, no restorer (the C library adds its own).
    let mut action: libc::sigaction = unsafe { MaybeUninit::zeroed().assume_init() };
    action.sa_sigaction = note as *const () as libc::sighandler_t;
    action
}

/// Sets the disposition if a new one is given; returns the one before.
fn exchange(signal: c_int, new: Option<&libc::sigaction>) -> Result<Disposition, Errno> {
    let new = new.map_or(std::ptr::null(), std::ptr::from_ref);
    let mut before = MaybeUninit::<libc::sigaction>::uninit();
    // SAFETY: `new` is null or points to a disposition: `note`, which is signal-safe and lives as long as the program, or one that was
    // in force before us. The kernel fills `before` if it answers zero, and it is read only then.
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

    /// One test, not several: dispositions are the process's.
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
        let mut ignore = noting();
        ignore.sa_sigaction = libc::SIG_IGN;
        let original = exchange(quit, Some(&ignore)).unwrap();
        let watch = SignalPipe::begin().unwrap();
        assert_eq!(exchange(quit, None).unwrap().1.sa_sigaction, libc::SIG_IGN);
        drop(watch);
        assert_eq!(exchange(quit, None).unwrap().1.sa_sigaction, libc::SIG_IGN);
        exchange(quit, Some(&original.1)).unwrap();
    }
}
