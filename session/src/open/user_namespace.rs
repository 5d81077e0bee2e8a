//! The user namespace of a session, in which only the given ids exist (user_namespaces(7)).
//!
//! Created after everything else, by a call of its own, and before chroot(2). After everything
//! else, so that the user namespace of the host owns the other namespaces: root in the session can
//! neither mount nor set the host name nor configure the network, and there is a root in it, sshd's
//! process of the connection. Before chroot, because the kernel refuses a user namespace to a
//! process in a chroot, which also keeps the user of the session from creating more of them.

use std::fmt::Write as _;

use rustix::fs::{Mode, OFlags, open};
use rustix::io::{Errno, read, retry_on_intr, write};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Pid, getpid};
use rustix::thread::UnshareFlags;

use crate::policy::IdMap;
use crate::{Error, syscalls};

/// Moves the calling process, which has one thread, into a user namespace with these ids, each
/// ids to itself; does nothing without ids.
///
/// A child in the parent namespace writes the maps: the calling process may not once it is in the
/// new one (user_namespaces(7)).
pub(super) fn unshare_user(ids: Option<&IdMap>) -> Result<(), Error> {
    let Some(ids) = ids else {
        return Ok(());
    };
    let failed = Error::of("create the session's user namespace");
    let files = map_files(getpid(), ids);
    let (ready, go) = pipe_with(PipeFlags::CLOEXEC).map_err(&failed)?;
    // SAFETY: the child has a copy of the only thread, so no lock is held by another. It neither
    // returns nor unwinds out of this function.
    let forked = unsafe { libc::fork() };
    if forked == 0 {
        drop(go);
        let done = retry_on_intr(|| read(&ready, &mut [0; 1])).and_then(|count| {
            if count == 1 {
                write_maps(&files)
            } else {
                Err(Errno::PIPE)
            }
        });
        let code = done.map_or_else(Errno::raw_os_error, |()| 0);
        // SAFETY: ends the process, and runs no code of the process that forked it.
        unsafe { libc::_exit(code) };
    }
    syscalls::check(forked.into()).map_err(&failed)?;
    drop(ready);
    let moved = syscalls::unshare_all(UnshareFlags::NEWUSER);
    if moved.is_ok() {
        write(&go, b"!").map_err(&failed)?;
    }
    // On an error the child reads the end of the pipe.
    drop(go);
    let written = syscalls::wait_for_child(forked);
    moved.map_err(&failed)?;
    written.map_err(failed)
}

/// The two files of proc(5) and their content: lines of the first id inside, the first id outside,
/// and the number of ids.
fn map_files(pid: Pid, ids: &IdMap) -> [(String, String); 2] {
    let lines = |ids: &[u32]| {
        let mut ids = ids.to_vec();
        ids.push(0);
        ids.sort_unstable();
        ids.dedup();
        ids.iter().fold(String::new(), |mut text, id| {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{id} {id} 1");
            text
        })
    };
    let pid = pid.as_raw_nonzero();
    [
        (format!("/proc/{pid}/uid_map"), lines(&ids.uids)),
        (format!("/proc/{pid}/gid_map"), lines(&ids.gids)),
    ]
}

fn write_maps(files: &[(String, String)]) -> Result<(), Errno> {
    for (path, text) in files {
        let file = open(path, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())?;
        // The kernel accepts a map in one write or not at all.
        write(file, text.as_bytes())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_and_the_given_ids_are_mapped_once() {
        let ids = IdMap {
            uids: vec![4102, 4101, 4102],
            gids: vec![],
        };
        let pid = Pid::from_raw(7).expect("a number");
        let [uids, gids] = map_files(pid, &ids);
        assert_eq!(
            uids,
            (
                "/proc/7/uid_map".to_owned(),
                "0 0 1\n4101 4101 1\n4102 4102 1\n".to_owned()
            )
        );
        assert_eq!(gids, ("/proc/7/gid_map".to_owned(), "0 0 1\n".to_owned()));
    }
}
