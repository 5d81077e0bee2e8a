//! Namespaces of a thread's own, so that what is tried there never shows on the host.
//!
//! unshare(2) moves one thread, not the process. A fresh thread is therefore enough: it unshares, does the work, starts
//! the programs that shall live there (a child gets the namespaces of the thread that forks it, with fork(2) and with
//! posix_spawn(3) alike), and ends. No thread comes back from a namespace, so none can be left in the wrong one.

use std::panic::resume_unwind;
use std::thread;

use rustix::mount::{MountPropagationFlags, mount_change};
use rustix::thread::{UnshareFlags, unshare_unsafe};

use crate::Error;

/// Runs `f` on a thread that has a mount namespace of its own, and returns what it returned.
///
/// - What `f` mounts or unmounts is seen by `f`, by the programs it starts and by nobody else: before `f` runs, every mount of the
///   namespace is made private, recursively (mount_namespaces(7); a new namespace begins as a peer of the old one).
/// - It is gone when `f` has returned and the last program that it started has ended. Nothing has to be unmounted.
/// - The caller's namespace, root and working directory stay as they are, whatever `f` does to its own: CLONE_NEWNS implies
///   CLONE_FS (unshare(2)). The working directory of `f` begins as the caller's.
/// - `f` does not run at all unless both are done. A panic of `f` goes on in the caller.
///
/// Threads that `f` starts share its namespace. Descriptors are the process's: one that `f` opens below its mounts and hands out
/// keeps that mount alive. Needs CAP_SYS_ADMIN, and `/` to be a mount point: in a plain chroot it is not, and the answer is EINVAL.
pub fn private_mounts<T: Send>(f: impl FnOnce() -> T + Send) -> Result<T, Error> {
    private(UnshareFlags::NEWNS, f)
}

/// As [`private_mounts`], and the first program that `f` starts is process 1 of a pid namespace of its own, with its own host name, System V objects
/// and message queues: whatever it starts ends with it, and sees no other process. `f` can start one program only (`pid_namespaces(7)`).
pub fn private_processes<T: Send>(f: impl FnOnce() -> T + Send) -> Result<T, Error> {
    let others = UnshareFlags::NEWPID | UnshareFlags::NEWIPC | UnshareFlags::NEWUTS;
    private(UnshareFlags::NEWNS | others, f)
}

fn private<T: Send>(namespaces: UnshareFlags, f: impl FnOnce() -> T + Send) -> Result<T, Error> {
    thread::scope(|scope| {
        let thread = thread::Builder::new()
            .name("private mounts".to_owned())
            .spawn_scoped(scope, || {
                unshare(namespaces)?;
                Ok(f())
            })
            .map_err(Error::of_std("start a thread"))?;
        thread.join().unwrap_or_else(|panic| resume_unwind(panic))
    })
}

/// Moves the calling thread, for good. Private only here: a caller could not undo it.
fn unshare(namespaces: UnshareFlags) -> Result<(), Error> {
    // SAFETY: unshare(2) endangers memory safety by CLONE_FILES only, which lets a descriptor mean different files in two threads.
    // It is not asked for here, and none of the namespaces implies it.
    unsafe { unshare_unsafe(namespaces) }.map_err(Error::of("unshare mounts"))?;
    mount_change(
        "/",
        MountPropagationFlags::PRIVATE | MountPropagationFlags::REC,
    )
    .map_err(Error::of("make all mounts private"))
}
