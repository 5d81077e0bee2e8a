//! Killing every process of a user id at once, also those that fork at the same time.
//!
//! kill(2) with the pid -1 walks the whole task list with the lock held that fork(2) needs to add
//! to it, and a fork(2) in progress fails if its process has a fatal signal pending. So one such
//! call kills all processes that the sender may signal. Signals sent one by one, to pids read from
//! proc(5), always come too late for a process that forks and exits.

use rustix::io::Errno;
use rustix::process::{DumpableBehavior, geteuid, getuid, set_dumpable_behavior};
use rustix::thread::{Uid, capabilities, set_thread_res_uid};

use crate::privileges::drop_capabilities;
use crate::{Error, syscalls};

/// Sends SIGKILL to every process whose real or saved user id is `uid`, in one kill(2) call.
///
/// The call is made by a forked child whose *effective* user id is `uid`, and whose real and saved
/// ones are `cover`: a process may signal another if its own real or effective id equals the real
/// or saved id of the other (kill(2)). So the child reaches exactly the processes of `uid`, and
/// none of them can signal, stop or trace the child. No process may have `cover` as its real or
/// saved id. The child has no capability and is not dumpable.
///
/// Only processes of the caller's pid namespace, and of those below it, are reached; never the
/// caller.
///
/// # Errors
/// [`Error::Refused`] for an id of 0 or of 4294967295 (`-1`), and if both ids are the same.
/// [`Error::System`] if the child could not be created or could not take the ids; then no signal
/// was sent. It is no error if no process has the id.
pub fn kill_user(uid: u32, cover: u32) -> Result<(), Error> {
    if [uid, cover].iter().any(|id| [0, u32::MAX].contains(id)) || uid == cover {
        return Err(Error::Refused(format!(
            "processes of the user id {uid} cannot be killed with the real user id {cover}"
        )));
    }
    let failed = Error::of("kill all processes of a user id");
    // SAFETY: the child makes system calls on two integers and ends with `_exit`: it neither
    // allocates, locks, panics, returns nor unwinds, so locks that other threads held at the fork
    // do not matter.
    let forked = unsafe { libc::fork() };
    if forked == 0 {
        let code = match kill_as(Uid::from_raw(uid), Uid::from_raw(cover)) {
            Ok(()) => 0,
            Err(errno) => errno.raw_os_error(),
        };
        // SAFETY: ends the process, and runs no code of the process that forked it.
        unsafe { libc::_exit(code) };
    }
    syscalls::check(forked.into()).map_err(&failed)?;
    syscalls::wait_for_child(forked).map_err(failed)
}

/// Sends the signal, in the child. With any capability left (securebits(7) can keep them over a
/// change of ids) the signal would reach all processes, so the child verifies its capabilities
/// first.
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
