//! Pid 1 of a session: a child of the process that began it, which waits for that one's end and ends then.
//!
//! The kernel does the rest: with pid 1 of a namespace every process in it is killed (pid_namespaces(7)). Nobody in the session can
//! signal it, trace it or look into it, since nobody there is root. The children that it inherits are reaped by the kernel, since it ignores
//! SIGCHLD (wait(2)).
//!
//! Nobody asks it to end: sshd's process waits for its other children only after it has closed the PAM session, and the kernel does not let
//! go of pid 1 before they are waited for. To wait for the keeper there would be to wait for ever.
//!
//! Where the host's first process reaps nobody (a container whose first program is no init) sshd's zombies stay, and with them the number of each in the
//! session's pid namespace. The kernel does not let pid 1 go before all of these are reaped (zap_pid_ns_processes), so an entry of it stays beside
//! them in the process table. By then it has ended in all else: it has no memory, no descriptors, no mounts and no place in a control group.
//!
//! It works in the host's mount namespace, so that it can write down logins there, and holds none of the session's.

use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::panic::{AssertUnwindSafe, catch_unwind};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Mode, OFlags, open};
use rustix::io::{Errno, fcntl_dupfd_cloexec, read, retry_on_intr, write};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Pid, PidfdFlags, WaitOptions, getpid, pidfd_open, setsid, wait};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space, set_name};

use super::utmp::{UtmpFile, UtmpWatcher};
use crate::cgroup::Membership;
use crate::network::{Member, Watch};
use crate::policy::Policy;
use crate::{Error, syscalls};

/// What the keeper needs to know of the process that begins the session; looked at before it does.
#[derive(Debug)]
pub(super) struct ParentHandles {
    mounts: OwnedFd,
    beginner: OwnedFd,
    pid: Pid,
}

impl ParentHandles {
    pub(super) fn open() -> Result<Self, Error> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        let pid = getpid();
        Ok(Self {
            mounts: open("/proc/self/ns/mnt", flags, Mode::empty())
                .map_err(Error::of("open the host's mount namespace"))?,
            beginner: pidfd_open(pid, PidfdFlags::empty())
                .map_err(Error::of("watch for the session's end"))?,
            pid,
        })
    }
}

/// Forks. The child is the keeper, and does not come back; before it settles down it does `first`, as pid 1 of the session. Where all went well, it has
/// `member`.
pub(super) fn spawn(
    host: &ParentHandles,
    ledgers: Vec<UtmpFile>,
    place: Option<&Membership>,
    member: &mut Option<Member>,
    first: impl FnOnce() -> Result<(), Errno>,
) -> Result<(), Error> {
    let failed = Error::of("start the session's keeper");
    let (outcome, told) = pipe_with(PipeFlags::CLOEXEC).map_err(&failed)?;
    let book = UtmpWatcher::open(ledgers, host.pid)?;
    // SAFETY: the child has a copy of the one thread that there is (`unshare_all` has made sure), so no lock is held by another. It
    // neither returns nor unwinds out of `keep`.
    let forked = unsafe { libc::fork() };
    if forked == 0 {
        run_and_exit(|| {
            // It works for the host: what it needs is not the jail's, and it goes on where the jail is stopped.
            let done = place
                .map_or(Ok(()), Membership::exit_cgroups)
                .and_then(|()| first());
            let errno = done.map_or_else(Errno::raw_os_error, |()| 0);
            write(&told, &errno.to_ne_bytes())?;
            done.and_then(|()| wait_for_parent(host, book, place, member.take()))
        });
    }
    syscalls::check(forked.into()).map_err(&failed)?;
    drop(told);
    let mut errno = [0; 4];
    // Nothing to read means that the keeper is gone.
    if retry_on_intr(|| read(&outcome, &mut errno)) != Ok(errno.len()) {
        return Err(failed(Errno::CHILD));
    }
    match i32::from_ne_bytes(errno) {
        0 => {
            // It is the keeper's now.
            *member = None;
            Ok(())
        }
        errno => Err(Error::of("show the session its processes")(
            Errno::from_raw_os_error(errno),
        )),
    }
}

/// Puts back what somebody took from the jail's network. What cannot be put back is tried again later: meanwhile the rules in that network hold.
fn serve_network(member: &Member, watch: &mut Watch) -> Result<(), Errno> {
    if !watch.is_due() {
        return Ok(());
    }
    // So that it can wait for nft(8).
    syscalls::default_signals()?;
    match member.mend(Policy::latest_network(member.jail())) {
        Ok(by_us) => watch.done(by_us),
        Err(_) => watch.failed(),
    }
    syscalls::ignore_children()?;
    // Those of the session's processes that ended meanwhile without a parent.
    while let Ok(Some(_)) = wait(WaitOptions::NOHANG) {}
    Ok(())
}

/// The keeper's life.
fn run_and_exit(live: impl FnOnce() -> Result<(), Errno>) -> ! {
    // Unwinding would lead into the code of the process that this was forked from.
    let _ = catch_unwind(AssertUnwindSafe(live));
    // SAFETY: ends the process, and runs nothing of what it was forked from.
    unsafe { libc::_exit(0) }
}

/// Waits for the end of the process that began the session, and copies logins meanwhile.
fn wait_for_parent(
    host: &ParentHandles,
    book: UtmpWatcher,
    place: Option<&Membership>,
    member: Option<Member>,
) -> Result<(), Errno> {
    syscalls::default_signals()?;
    syscalls::ignore_children()?;
    setsid()?;
    set_name(c"jailctl-keeper")?;
    move_into_link_name_space(host.mounts.as_fd(), Some(LinkNameSpaceType::Mount))?;
    // Away from 0, 1 and 2, which are to be nothing in particular.
    let above = |fd: &OwnedFd| fcntl_dupfd_cloexec(fd, 3);
    let beginner = above(&host.beginner)?;
    let mut book = book.above_standard()?;
    let mut kept: Vec<RawFd> = book.descriptors();
    let member = member.map(Member::above_standard).transpose()?;
    kept.extend(member.iter().flat_map(Member::descriptors));
    kept.push(beginner.as_raw_fd());
    kept.sort_unstable();
    // SAFETY: what is closed belongs to values of `start` and of the code before the fork, and none of them is used or dropped again:
    // the process ends with `_exit`. `Place::end` uses none of the descriptors of a place.
    unsafe { syscalls::close_fds_except(&kept) }?;
    for _ in 0..3 {
        let null = open("/dev/null", OFlags::RDWR, Mode::empty())?;
        std::mem::forget(null);
    }
    let mut watch = member.as_ref().map(Member::watch).transpose()?;
    loop {
        let mut ready = vec![PollFd::new(&beginner, PollFlags::IN)];
        let sockets = watch.iter().flat_map(Watch::sockets);
        ready.extend(
            book.events()
                .map(AsFd::as_fd)
                .into_iter()
                .chain(sockets)
                .map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN)),
        );
        let patience = watch.as_ref().and_then(Watch::patience);
        let patience = patience.and_then(|patience| Timespec::try_from(patience).ok());
        retry_on_intr(|| poll(&mut ready, patience.as_ref()))?;
        let over = ready[0].revents().contains(PollFlags::IN);
        drop(ready);
        book.copy();
        if over {
            break;
        }
        if let (Some(member), Some(watch)) = (&member, &mut watch) {
            serve_network(member, watch)?;
        }
    }
    syscalls::kill_pid_namespace();
    if let Some(place) = place {
        place.unregister();
    }
    if let Some(member) = member {
        syscalls::default_signals()?;
        // There is nobody to tell: whoever comes next, or removes the jail, finds what is left.
        let _ = member.leave();
    }
    Ok(())
}
