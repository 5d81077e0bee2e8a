//! A program in a jail whose output somebody reads, and whose time is limited.

use std::io::{PipeReader, Read, pipe};
use std::process::Stdio;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open};

use super::{ExecRequest, ExitKind, refuse_bad_words, refuse_own_root, start};
use crate::Error;
use crate::privileges::Ids;

/// Most that is kept of what a program writes: its last words.
const KEPT: usize = 16 << 10;

/// What a program did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Captured {
    /// How it ended; `None` where it was ended because its time was over.
    pub ending: Option<ExitKind>,
    /// The end of what it wrote to standard output and standard error, in that order of time.
    pub output: Vec<u8>,
}

/// As [`run`](super::run), with nothing on standard input, and with both outputs kept. The program is killed after `limit`.
///
/// Its other processes are its own matter, unless it is the first in its pid namespace
/// ([`private_processes`](crate::private_processes)): then they end with it.
pub fn capture(entry: &ExecRequest<'_>, limit: Duration) -> Result<Captured, Error> {
    let ids = Ids::new(entry.uid, entry.gid, entry.groups)?;
    refuse_bad_words(entry)?;
    refuse_own_root(entry.root)?;
    let (mut reader, writer) = pipe().map_err(Error::of_std("make a pipe"))?;
    let again = writer
        .try_clone()
        .map_err(Error::of_std("copy a descriptor"))?;
    let mut process = start(entry, ids, |command| {
        command.stdin(Stdio::null()).stdout(writer).stderr(again);
        Ok(None)
    })?;
    let pid = Pid::from_child(&process);
    let mut output = Vec::new();
    let attended = attend(pid, &mut reader, &mut output, Instant::now() + limit);
    if !matches!(attended, Ok(true)) {
        // Not yet waited for: the number is still its own.
        let _ = kill_process_group(pid, Signal::KILL);
    }
    let status = process
        .wait()
        .map_err(Error::of_std("wait for the program"))?;
    let ended = attended?;
    Ok(Captured {
        ending: ended.then(|| status.into()),
        output,
    })
}

/// Reads until the program has ended, and says whether it did so in time.
fn attend(
    pid: Pid,
    reader: &mut PipeReader,
    output: &mut Vec<u8>,
    deadline: Instant,
) -> Result<bool, Error> {
    let pidfd =
        pidfd_open(pid, PidfdFlags::empty()).map_err(Error::of("watch for the program's end"))?;
    let mut is_silent = false;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(false);
        }
        let timeout = Timespec {
            tv_sec: left.as_secs().try_into().unwrap_or(i64::MAX),
            tv_nsec: left.subsec_nanos().into(),
        };
        let mut ready = [
            PollFd::new(&pidfd, PollFlags::IN),
            PollFd::new(reader, PollFlags::IN),
        ];
        // A pipe that nobody writes to any more would end the wait at once.
        let count = if is_silent { 1 } else { 2 };
        match poll(&mut ready[..count], Some(&timeout)) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(errno) => return Err(Error::of("wait for the program")(errno)),
        }
        let (has_ended, of_pipe) = (
            ready[0].revents().contains(PollFlags::IN),
            ready[1].revents(),
        );
        is_silent |= of_pipe.contains(PollFlags::HUP);
        if of_pipe.contains(PollFlags::IN) {
            let mut chunk = [0; 4096];
            let count = reader
                .read(&mut chunk)
                .map_err(Error::of_std("read what the program says"))?;
            output.extend_from_slice(&chunk[..count]);
            let over = output.len().saturating_sub(KEPT);
            output.drain(..over);
        } else if has_ended {
            return Ok(true);
        }
    }
}
