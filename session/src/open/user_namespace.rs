//! A user namespace for the session: the ids that it has, and none besides (user_namespaces(7)).
//!
//! It comes last, alone and before chroot(2). Last, so that everything else that the session has is owned by the host's own user namespace: root in
//! here may neither mount nor name the host nor change its network, and there is one left to be root, sshd's process of the connection. Before chroot,
//! since the kernel makes none for whoever is in one, which is also why the session's user makes no further ones.

use std::fmt::Write as _;

use rustix::fs::{Mode, OFlags, open};
use rustix::io::{Errno, read, retry_on_intr, write};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Pid, WaitOptions, getpid, waitpid};
use rustix::thread::UnshareFlags;

use crate::policy::IdMap;
use crate::{Error, syscalls};

/// Moves the calling process, which has one thread, into a user namespace in which only these ids exist, each as itself.
///
/// The maps are written by a child that stays outside: the calling process may not, once it is inside (user_namespaces(7)).
pub(super) fn unshare_user(ids: Option<&IdMap>) -> Result<(), Error> {
    let Some(ids) = ids else {
        return Ok(());
    };
    let failed = Error::of("give the session user ids of its own");
    let files = map_files(getpid(), ids);
    let (ready, tell) = pipe_with(PipeFlags::CLOEXEC).map_err(&failed)?;
    // SAFETY: the child has a copy of the one thread that there is, so no lock is held by another. It neither returns nor unwinds out of this.
    let forked = unsafe { libc::fork() };
    if forked == 0 {
        drop(tell);
        let done = retry_on_intr(|| read(&ready, &mut [0; 1])).and_then(|heard| {
            if heard == 1 {
                write_all(&files)
            } else {
                Err(Errno::PIPE)
            }
        });
        let code = done.map_or_else(Errno::raw_os_error, |()| 0);
        // SAFETY: ends the process, and runs nothing of what it was forked from.
        unsafe { libc::_exit(code) };
    }
    syscalls::check(forked.into()).map_err(&failed)?;
    drop(ready);
    let moved = syscalls::unshare_all(UnshareFlags::NEWUSER);
    if moved.is_ok() {
        write(&tell, b"!").map_err(&failed)?;
    }
    // Otherwise the child hears that there is nobody.
    drop(tell);
    let ended = retry_on_intr(|| waitpid(Pid::from_raw(forked), WaitOptions::empty()));
    moved.map_err(&failed)?;
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

/// The two files of proc(5), and what belongs into each: first id inside, first id outside, how many.
fn map_files(pid: Pid, mapped: &IdMap) -> [(String, String); 2] {
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
        (format!("/proc/{pid}/uid_map"), lines(&mapped.uids)),
        (format!("/proc/{pid}/gid_map"), lines(&mapped.gids)),
    ]
}

fn write_all(files: &[(String, String)]) -> Result<(), Errno> {
    for (path, text) in files {
        let file = open(path, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())?;
        // The kernel takes a map in one piece or not at all.
        write(file, text.as_bytes())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_and_the_given_ids_are_mapped_once() {
        let mapped = IdMap {
            uids: vec![4102, 4101, 4102],
            gids: vec![],
        };
        let pid = Pid::from_raw(7).expect("a number");
        let [uids, gids] = map_files(pid, &mapped);
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
