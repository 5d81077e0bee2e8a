//! Pid 1 of a session: a child of the process that opened the session, which waits for the end of
//! that process and then ends.
//!
//! The kernel does the rest: with pid 1 of a pid namespace it kills all processes in it
//! (pid_namespaces(7)). No process of the session can signal, trace or inspect pid 1, since none
//! runs as root. Orphans that it inherits are reaped by the kernel, since it ignores SIGCHLD
//! (wait(2)).
//!
//! It is never requested to end: sshd's process waits for its other children only after it has
//! closed the PAM session, and the kernel does not remove pid 1 before they are reaped. Waiting for
//! pid 1 at that point would be a deadlock.
//!
//! Where pid 1 of the host reaps no processes (a container whose first program is no init) sshd's
//! zombies stay, and with them their pids in the pid namespace of the session. The kernel does not
//! remove pid 1 before all of these are reaped (zap_pid_ns_processes), so its entry stays beside
//! them in the process table. By then it has no memory, no descriptors, no mounts and no control
//! group.
//!
//! It works in the mount namespace of the host, to write to utmp there, and holds no reference to
//! that of the session.

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

/// Handles of the process that opens the session, opened before it enters the namespaces.
#[derive(Debug)]
pub(super) struct ParentHandles {
    mounts: OwnedFd,
    pidfd: OwnedFd,
    pid: Pid,
}

impl ParentHandles {
    pub(super) fn open() -> Result<Self, Error> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        let pid = getpid();
        Ok(Self {
            mounts: open("/proc/self/ns/mnt", flags, Mode::empty())
                .map_err(Error::of("open the host's mount namespace"))?,
            pidfd: pidfd_open(pid, PidfdFlags::empty())
                .map_err(Error::of("watch for the end of the session"))?,
            pid,
        })
    }
}

/// Forks pid 1, which never returns from this function. As pid 1 of the session it first calls
/// `first`, in the namespaces of the session. If that succeeds, it takes over `member`.
pub(super) fn spawn(
    parent: &ParentHandles,
    utmp_files: Vec<UtmpFile>,
    membership: Option<&Membership>,
    member: &mut Option<Member>,
    first: impl FnOnce() -> Result<(), Errno>,
) -> Result<(), Error> {
    let failed = Error::of("start pid 1 of the session");
    let (outcome, report) = pipe_with(PipeFlags::CLOEXEC).map_err(&failed)?;
    let utmp = UtmpWatcher::open(utmp_files, parent.pid)?;
    // SAFETY: the child has a copy of the only thread (`unshare_all` has verified that there is
    // one), so no lock is held by another thread. It neither returns nor unwinds out of
    // `run_and_exit`.
    let forked = unsafe { libc::fork() };
    if forked == 0 {
        run_and_exit(|| {
            // It works for the host: its resource usage is not the jail's, and it runs while the
            // jail is frozen.
            let done = membership
                .map_or(Ok(()), Membership::exit_cgroups)
                .and_then(|()| first());
            let errno = done.map_or_else(Errno::raw_os_error, |()| 0);
            write(&report, &errno.to_ne_bytes())?;
            done.and_then(|()| wait_for_parent(parent, utmp, membership, member.take()))
        });
    }
    syscalls::check(forked.into()).map_err(&failed)?;
    drop(report);
    let mut errno = [0; 4];
    // An empty pipe means that pid 1 has ended.
    if retry_on_intr(|| read(&outcome, &mut errno)) != Ok(errno.len()) {
        return Err(failed(Errno::CHILD));
    }
    match i32::from_ne_bytes(errno) {
        0 => {
            // Pid 1 has it now.
            *member = None;
            Ok(())
        }
        errno => Err(Error::of("mount the session's `/proc`")(
            Errno::from_raw_os_error(errno),
        )),
    }
}

/// Restores what another program removed from the network of the jail. What cannot be restored is
/// tried again later; until then the rules in the network namespace of the jail apply.
fn serve_network(member: &Member, watch: &mut Watch) -> Result<(), Errno> {
    if !watch.is_due() {
        return Ok(());
    }
    // For waiting for nft(8).
    syscalls::default_signals()?;
    match member.restore(Policy::latest_network(member.jail())) {
        Ok(is_done) => watch.done(is_done),
        Err(_) => watch.failed(),
    }
    syscalls::ignore_children()?;
    // Orphans of the session that ended in between.
    while let Ok(Some(_)) = wait(WaitOptions::NOHANG) {}
    Ok(())
}

/// Runs pid 1 of the session, and exits.
fn run_and_exit(run: impl FnOnce() -> Result<(), Errno>) -> ! {
    // Unwinding would run code of the process that forked this one.
    let _ = catch_unwind(AssertUnwindSafe(run));
    // SAFETY: ends the process, and runs no code of the process that forked it.
    unsafe { libc::_exit(0) }
}

/// Waits for the end of the process that opened the session; copies utmp records until then.
fn wait_for_parent(
    parent: &ParentHandles,
    utmp: UtmpWatcher,
    membership: Option<&Membership>,
    member: Option<Member>,
) -> Result<(), Errno> {
    syscalls::default_signals()?;
    syscalls::ignore_children()?;
    setsid()?;
    set_name(c"jailctl-keeper")?;
    move_into_link_name_space(parent.mounts.as_fd(), Some(LinkNameSpaceType::Mount))?;
    // Above 0, 1 and 2, which become `/dev/null`.
    let above = |fd: &OwnedFd| fcntl_dupfd_cloexec(fd, 3);
    let pidfd = above(&parent.pidfd)?;
    let mut utmp = utmp.above_standard()?;
    let mut keep: Vec<RawFd> = utmp.descriptors();
    let member = member.map(Member::above_standard).transpose()?;
    keep.extend(member.iter().flat_map(Member::descriptors));
    keep.push(pidfd.as_raw_fd());
    keep.sort_unstable();
    // SAFETY: the closed descriptors belong to values of `spawn` and of the code before the fork,
    // none of which is used or dropped again: the process ends with `_exit`.
    // `Membership::unregister` uses no descriptor of its value.
    unsafe { syscalls::close_fds_except(&keep) }?;
    for _ in 0..3 {
        let null = open("/dev/null", OFlags::RDWR, Mode::empty())?;
        std::mem::forget(null);
    }
    let mut watch = member.as_ref().map(Member::watch).transpose()?;
    loop {
        let mut ready = vec![PollFd::new(&pidfd, PollFlags::IN)];
        let sockets = watch.iter().flat_map(Watch::sockets);
        ready.extend(
            utmp.events()
                .map(AsFd::as_fd)
                .into_iter()
                .chain(sockets)
                .map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN)),
        );
        let timeout = watch.as_ref().and_then(Watch::timeout);
        let timeout = timeout.and_then(|timeout| Timespec::try_from(timeout).ok());
        retry_on_intr(|| poll(&mut ready, timeout.as_ref()))?;
        let has_ended = ready[0].revents().contains(PollFlags::IN);
        drop(ready);
        utmp.copy();
        if has_ended {
            break;
        }
        if let (Some(member), Some(watch)) = (&member, &mut watch) {
            serve_network(member, watch)?;
        }
    }
    syscalls::kill_pid_namespace();
    if let Some(membership) = membership {
        membership.unregister();
    }
    if let Some(member) = member {
        syscalls::default_signals()?;
        // No process reads an error of this one. The next session, or the removal of the jail,
        // finds what is left.
        let _ = member.leave();
    }
    Ok(())
}
