//! Running code in new namespaces on a separate thread, so that its mounts are never visible on the
//! host.
//!
//! unshare(2) moves one thread, not the process. So a new thread is enough: it unshares, does the
//! work, starts the programs that run in the namespaces (a child gets the namespaces of the thread
//! that forks it, with fork(2) and with posix_spawn(3) alike), and ends. No thread returns from a
//! namespace, so none can be left in the wrong one.

use std::panic::resume_unwind;
use std::thread;

use rustix::mount::{MountPropagationFlags, mount_change};
use rustix::thread::{UnshareFlags, unshare_unsafe};

use crate::Error;

/// Runs `f` on a thread with a new mount namespace, and returns its result.
///
/// - The mounts and unmounts of `f` are visible to `f` and to the programs that it starts only:
///   before `f` runs, every mount of the namespace is made private, recursively
///   (mount_namespaces(7); a new namespace begins as a peer of the old one).
/// - The mounts end when `f` has returned and the last program that it started has ended. Nothing
///   has to be unmounted.
/// - The namespace, root and working directory of the caller do not change, whatever `f` does to
///   its own: CLONE_NEWNS implies CLONE_FS (unshare(2)). The working directory of `f` is initially
///   that of the caller.
/// - A panic of `f` continues in the caller.
///
/// Threads that `f` starts share its namespace. Descriptors belong to the process: one that `f`
/// opens below its mounts and returns keeps that mount alive. Needs CAP_SYS_ADMIN, and `/` to be a
/// mount point: in a plain chroot it is not, and the call fails with EINVAL.
///
/// # Errors
/// [`Error::System`] if the namespace or the private mounts cannot be created; then `f` has not
/// run.
pub fn private_mounts<T: Send>(f: impl FnOnce() -> T + Send) -> Result<T, Error> {
    private(UnshareFlags::NEWNS, f)
}

/// As [`private_mounts`], and the first program that `f` starts is pid 1 of a new pid namespace,
/// with a host name, System V objects and message queues of its own: the processes that it starts
/// end with it, and see no others. `f` can start one program only (`pid_namespaces(7)`).
///
/// # Errors
/// As [`private_mounts`].
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

/// Moves the calling thread into new namespaces. Private to this file, because a caller could not
/// undo it.
fn unshare(namespaces: UnshareFlags) -> Result<(), Error> {
    // SAFETY: unshare(2) endangers memory safety by CLONE_FILES only, with which a descriptor means
    // different files in two threads. No namespace here implies it.
    unsafe { unshare_unsafe(namespaces) }.map_err(Error::of("unshare mounts"))?;
    mount_change(
        "/",
        MountPropagationFlags::PRIVATE | MountPropagationFlags::REC,
    )
    .map_err(Error::of("make all mounts private"))
}
