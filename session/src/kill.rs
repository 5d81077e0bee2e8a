//! Ending every process of a user id at once, whoever forks meanwhile included.
//!
//! kill(2) with the pid -1 walks the whole task list with the lock held that fork(2) needs to add to it, and a fork(2) in
//! progress fails when its process has a fatal signal pending. One such call therefore ends all processes that the sender may
//! signal. Signals sent one by one, to pids that were read from proc(5), always come too late for a process that forks and exits.

use rustix::io::{Errno, retry_on_intr};
use rustix::process::{DumpableBehavior, Pid, WaitOptions, set_dumpable_behavior, waitpid};
use rustix::process::{geteuid, getuid};
use rustix::thread::{Uid, capabilities, set_thread_res_uid};

use crate::privileges::drop_capabilities;
use crate::{Error, syscalls};

/// Sends SIGKILL to every process whose real or saved user id is `uid`, in one kill(2) call.
///
/// The call is made by a forked child whose *effective* user id is `uid`, and whose real and saved ones are `cover`: a process
/// may signal another if its own real or effective id equals the real or saved id of the other (kill(2)). So the child reaches
/// exactly the processes of `uid`, and none of them can signal, stop or trace the child. No process may have `cover` as its
/// real or saved id. The child has no capability and is not dumpable.
///
/// Only processes of the caller's pid namespace, and of those below it, are reached; never the caller.
///
/// # Errors
/// `Refused` for an id of 0 or of 4294967295 (`-1`), and where both ids are the same. `System` if the child could not be made
/// or could not take the ids; then no signal was sent. That nobody has the id is no error.
pub fn kill_user(uid: u32, cover: u32) -> Result<(), Error> {
    if [uid, cover].iter().any(|id| [0, u32::MAX].contains(id)) || uid == cover {
        return Err(Error::Refused(format!(
            "processes of the user id {uid} cannot be ended under the cover of {cover}"
        )));
    }
    let failed = Error::of("end all processes of a user id");
    // SAFETY: the child makes system calls on two integers and ends with `_exit`: it neither allocates, locks, panics, returns nor
    // unwinds, so locks that other threads held when it was copied do not matter.
    let forked = unsafe { libc::fork() };
    if forked == 0 {
        let code = match kill_as(Uid::from_raw(uid), Uid::from_raw(cover)) {
            Ok(()) => 0,
            Err(errno) => errno.raw_os_error(),
        };
        // SAFETY: ends the process, and runs nothing of what it was forked from.
        unsafe { libc::_exit(code) };
    }
    syscalls::check(forked.into()).map_err(&failed)?;
    let ended = retry_on_intr(|| waitpid(Pid::from_raw(forked), WaitOptions::empty()));
    let status = ended
        .map_err(&failed)?
        .and_then(|(_, status)| status.exit_status());
    match status {
        Some(0) => Ok(()),
        code => Err(failed(Errno::from_raw_os_error(
            code.unwrap_or(libc::ECHILD),
        ))),
    }
}

/// What the child does. Any capability that were left (securebits(7) can keep them over a change of ids) would let the signal reach
/// everybody, so the child looks before it sends.
fn kill_as(uid: Uid, cover: Uid) -> Result<(), Errno> {
    set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    set_thread_res_uid(cover, uid, cover)?;
    // A change of ids sets this to fs.suid_dumpable, which may be 1.
    set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    drop_capabilities()?;
    if (getuid(), geteuid()) != (cover, uid) || !capabilities(None)?.effective.is_empty() {
        return Err(Errno::PERM);
    }
    match syscalls::kill_all_reached() {
        Err(Errno::SRCH | Errno::PERM) | Ok(()) => Ok(()),
        Err(errno) => Err(errno),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_and_one_id_for_both_are_refused() {
        for (uid, cover) in [(0, 7), (7, 0), (7, 7), (u32::MAX, 7), (7, u32::MAX)] {
            let refused = kill_user(uid, cover);
            assert!(matches!(refused, Err(Error::Refused(_))), "{uid} {cover}");
        }
    }
}
