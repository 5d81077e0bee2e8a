//! Network namespaces: opening the one of the calling thread, and moving between them.

use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::fs::{Mode, OFlags, open};
use rustix::io::Errno;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::Error;

/// The network namespace of the calling thread.
pub(super) fn namespace() -> Result<OwnedFd, Error> {
    current().map_err(Error::of("open the network"))
}

/// As [`namespace`], with the errno alone.
pub(super) fn current() -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    open("/proc/thread-self/ns/net", flags, Mode::empty())
}

/// Moves the calling thread into a network namespace, setns(2). `what` completes "could not …".
pub(super) fn move_to(network: BorrowedFd<'_>, what: &'static str) -> Result<(), Error> {
    move_into_link_name_space(network, Some(LinkNameSpaceType::Network)).map_err(Error::of(what))
}

/// Calls `act` on a new thread, which may be in another network namespace than the other threads of
/// the process: setns(2).
pub(super) fn on_own_thread<T: Send>(
    act: impl FnOnce() -> Result<T, Error> + Send,
) -> Result<T, Error> {
    std::thread::scope(|scope| {
        std::thread::Builder::new()
            .spawn_scoped(scope, act)
            .map_err(Error::of_std("start a thread"))?
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}
