//! Running a program in a jail with a time limit, and capturing its output.

use std::io::{PipeReader, Read, pipe};
use std::process::Stdio;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open};

use super::{ExecRequest, ExitKind, refuse_invalid_strings, refuse_own_root, start};
use crate::Error;
use crate::privileges::Ids;

/// Maximum number of bytes of captured output: the last ones.
const MAX_OUTPUT: usize = 16 << 10;

/// Result of a captured program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Captured {
    /// How the program ended; `None` if it was killed at the time limit.
    pub ending: Option<ExitKind>,
    /// The last bytes of standard output and standard error, in their order of time.
    pub output: Vec<u8>,
}

/// As [`run`](super::run), with an empty standard input, and with both outputs captured. The
/// program is killed after `limit`.
///
/// Other processes of it may stay, unless it is the first in its pid namespace
/// ([`private_processes`](crate::private_processes)): then they end with it.
///
/// # Errors
/// As [`run`](super::run).
pub fn capture(request: &ExecRequest<'_>, limit: Duration) -> Result<Captured, Error> {
    let ids = Ids::new(request.uid, request.gid, request.groups)?;
    refuse_invalid_strings(request)?;
    refuse_own_root(request.root)?;
    let (mut reader, writer) = pipe().map_err(Error::of_std("create a pipe"))?;
    let stderr = writer
        .try_clone()
        .map_err(Error::of_std("duplicate a descriptor"))?;
    let mut process = start(request, ids, |command| {
        command.stdin(Stdio::null()).stdout(writer).stderr(stderr);
        Ok(None)
    })?;
    let pid = Pid::from_child(&process);
    let mut output = Vec::new();
    let read = read_until_end(pid, &mut reader, &mut output, Instant::now() + limit);
    if !matches!(read, Ok(true)) {
        // Not waited for yet: the pid is not reused.
        let _ = kill_process_group(pid, Signal::KILL);
    }
    let status = process
        .wait()
        .map_err(Error::of_std("wait for the program"))?;
    let ended = read?;
    Ok(Captured {
        ending: ended.then(|| status.into()),
        output,
    })
}

/// Reads until the program has ended. Returns `false` at the deadline.
fn read_until_end(
    pid: Pid,
    reader: &mut PipeReader,
    output: &mut Vec<u8>,
    deadline: Instant,
) -> Result<bool, Error> {
    let pidfd =
        pidfd_open(pid, PidfdFlags::empty()).map_err(Error::of("watch for the program's end"))?;
    let mut is_closed = false;
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
        // A pipe without writers is always ready.
        let count = if is_closed { 1 } else { 2 };
        match poll(&mut ready[..count], Some(&timeout)) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(errno) => return Err(Error::of("wait for the program")(errno)),
        }
        let (has_ended, of_pipe) = (
            ready[0].revents().contains(PollFlags::IN),
            ready[1].revents(),
        );
        is_closed |= of_pipe.contains(PollFlags::HUP);
        if of_pipe.contains(PollFlags::IN) {
            let mut chunk = [0; 4096];
            let count = reader
                .read(&mut chunk)
                .map_err(Error::of_std("read the output of the program"))?;
            output.extend_from_slice(&chunk[..count]);
            let over = output.len().saturating_sub(MAX_OUTPUT);
            output.drain(..over);
        } else if has_ended {
            return Ok(true);
        }
    }
}
