//! Opening sessions: the calling process, and all that it starts from then on, in the namespaces of
//! a [`Policy`].
//!
//! For sshd's process of one connection, which calls PAM as root, before it becomes the user and
//! before chroot(2), and exists until the connection ends; `jailctl enter` calls [`open()`] as
//! well. The kernel ties everything of a session to that process:
//!
//! - Its mounts are in a mount namespace, which ends with the last process in it. The mount table
//!   of the host never changes.
//! - All processes that it starts are in a new pid namespace. Pid 1 there (`init`) watches the
//!   calling process and ends with it, for whatever reason that ended; and with pid 1 the kernel
//!   kills all others.
//! - The root of the jail is mounted at a path that exists only in the session
//!   ([`SESSION_DIR`](crate::shared_layout::SESSION_DIR),
//!   [`ROOT_NAME`](crate::shared_layout::ROOT_NAME)), and sshd is configured to chroot(2) to that
//!   path. So if the policy was not applied, for whatever reason, there is no directory to enter.
//!
//! **Why not chroot(2) to the directory of the jail, in a mount namespace?** Because `..` stops
//! only at the caller's own root. A user with two sessions can pass an open directory from one to
//! the other over a socket in the home directory; there the root is another mount, nothing stops
//! `..`, and it resolves up to the host's `/` in the namespace of the first session. Therefore the
//! root of the jail is mounted in a tmpfs (the barrier) whose root directory is root-owned with
//! mode 0700: `..` resolves to it and, without permission, no further. The same holds for a
//! directory from a session of another jail.

mod init;
mod mounts;
mod user_namespace;
mod utmp;

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::mount::{MountPropagationFlags, mount_change};
use rustix::system::{setdomainname, sethostname};
use rustix::thread::{Gid, Uid, UnshareFlags, set_thread_res_gid, set_thread_res_uid};

use self::init::ParentHandles;
pub use self::utmp::Utmp;
use crate::cgroup::{self, Membership};
use crate::network::{self, Member};
use crate::policy::Policy;
use crate::privileges::drop_bounding_set;
use crate::seccomp::restrict_system_calls;
use crate::{Error, syscalls};

/// An open session. It ends with the process that opened it; this value only holds the descriptors
/// that the process keeps until then.
#[derive(Debug)]
pub struct Session {
    root: OwnedFd,
    /// Counts the session.
    membership: Option<Membership>,
    in_sshds_group: Option<Error>,
}

/// Counts a session for as long as it exists. Holds no descriptor through which anything could be
/// written or reached.
#[derive(Debug)]
pub struct Counted {
    _membership: Option<Membership>,
}

/// Moves the calling process into a session for `user`. This cannot be undone.
///
/// The process runs as root, has one thread, and is not in a chroot. Afterwards
/// - it sees the files of the host, with these exceptions: the root of the jail at its path in the
///   session, the terminals of the session at `/dev/pts`, and with [`Utmp::Mirrored`] a utmp and a
///   wtmp of the session;
/// - it has no_new_privs set and an empty capability bounding set: it keeps its capabilities, and
///   nothing that it starts can gain any;
/// - a seccomp filter refuses rare and dangerous system calls, keyctl(2) among them: call
///   [`new_session_keyring`] before; no core of it is dumped unless the policy allows it;
/// - its next children are in the pid namespace of the session. It is not, itself.
///
/// # Errors
/// [`Error::Refused`] for a user whom the policy does not name, a root that users other than root
/// could have changed, a frozen jail, and a reached number of sessions; [`Error::Unsupported`] for
/// limits and filters that the host does not support; [`Error::Busy`] for locks that are held for
/// too long; [`Error::System`] for a mount whose target or source is missing or a symbolic link,
/// and other failed calls. After an error the session is not counted, the path of the root does not
/// exist, and the process, which may be in new namespaces, is fit for nothing but to end.
pub fn open(policy: &Policy, user: &str, utmp: Utmp) -> Result<Session, Error> {
    refuse_unnamed(policy, user)?;
    // From here on an error undoes what is noted in it: the barrier, the groups, the network.
    let mut undo = Undo::new(policy);

    // The network is first: the networks of all jails share one lock, and its holder must not be in
    // a control group that the limits of a jail slow down or freeze.
    undo.member = join_network(policy)?;
    // Before the namespaces: a process in a cgroup namespace sees only its own group.
    undo.membership = join_cgroups(policy, user)?;
    let in_sshds_group = leave_sshds_cgroup(policy, user);
    // Before unshare(2): pid 1 works in the mount namespace of the host.
    let parent = ParentHandles::open()?;
    // One call for all but the user namespace, which is later.
    unshare_namespaces(policy)?;
    // Before the first mount, or the host would have it too.
    stop_mount_propagation()?;
    // The tmpfs that only root may pass; everything below is mounted behind it.
    let barrier = mounts::mount_barrier(policy)?;
    undo.barrier = true;
    // Files of the session over the utmp and wtmp of the host, before sshd writes to them.
    let utmp_files = utmp::mask(utmp, &barrier)?;
    // The root of the jail, behind the barrier.
    let (root, host_root) = mounts::bind_root(policy, &barrier)?;
    // In the root of the jail: all mounts of the policy but proc(5).
    mounts::mount_policy(policy, &root)?;
    // After the root is bound: no way to it but through the barrier.
    mounts::mask_host_root(host_root)?;
    // The first child after unshare(2) is pid 1, and only a process of the new pid namespace can
    // mount its proc(5). It leaves the control groups, and holds the membership in the network.
    init::spawn(
        &parent,
        utmp_files,
        undo.membership.as_ref(),
        &mut undo.member,
        || mounts::mount_proc(policy, &root),
    )?;
    // Before the user namespace, in which there is no capability for either.
    set_hostname(policy)?;
    bring_up_loopback(policy)?;
    // Late: the calls above need descriptors of their own.
    cgroup::set_rlimits(policy.limits.as_ref())?;
    // After everything that must be owned by the user namespace of the host.
    user_namespace::unshare_user(policy.ids.as_ref())?;
    // After the user namespace, which comes with a full bounding set.
    drop_bounding_set().map_err(Error::of("empty the capability bounding set"))?;
    // Only Landlock separates the abstract sockets of a session in the network of the host.
    scope_abstract_sockets(policy)?;
    // The last: the calls above need some of the system calls that it refuses.
    restrict_system_calls()?;

    Ok(undo.into_session(root, in_sshds_group))
}

/// The effects of an [`open()`] that are undone if a later call fails: on drop, last one first.
#[derive(Debug)]
struct Undo<'p> {
    policy: &'p Policy,
    /// The membership in the network, until pid 1 has it.
    member: Option<Member>,
    membership: Option<Membership>,
    /// Whether the barrier is mounted.
    barrier: bool,
}

impl<'p> Undo<'p> {
    fn new(policy: &'p Policy) -> Self {
        Self {
            policy,
            member: None,
            membership: None,
            barrier: false,
        }
    }

    /// Keeps all effects.
    fn into_session(mut self, root: OwnedFd, in_sshds_group: Option<Error>) -> Session {
        self.barrier = false;
        if let Some(membership) = &mut self.membership {
            membership.close_origins();
        }
        Session {
            root,
            membership: self.membership.take(),
            in_sshds_group,
        }
    }
}

impl Drop for Undo<'_> {
    fn drop(&mut self) {
        if self.barrier {
            // A caller that ignores the error has no root to enter.
            mounts::unmount_barrier(self.policy);
        }
        if let Some(membership) = &self.membership {
            membership.abort();
        }
        if let Some(member) = self.member.take() {
            // The next session, or the removal of the jail, finds what is left; the error to report
            // is the one of the call that failed.
            let _ = member.leave();
        }
    }
}

fn refuse_unnamed(policy: &Policy, user: &str) -> Result<(), Error> {
    if policy.users.iter().any(|known| known == user) {
        return Ok(());
    }
    Err(Error::Refused(format!(
        "the policy of the jail `{}` does not name the user",
        policy.jail
    )))
}

/// Joins the network of the jail, if it has one.
fn join_network(policy: &Policy) -> Result<Option<Member>, Error> {
    let network = policy.network.as_ref();
    network
        .map(|network| {
            let latest = || Policy::latest_network(&policy.jail);
            network::enter(&policy.jail, network, &latest)
        })
        .transpose()
}

/// Joins the control groups of the jail, if it has limits.
fn join_cgroups(policy: &Policy, user: &str) -> Result<Option<Membership>, Error> {
    let limits = policy.limits.as_ref();
    limits
        .map(|limits| cgroup::join(&policy.jail, user, limits, &policy.disk_paths()))
        .transpose()
}

/// Moves a process without limits out of sshd's control group. An error is not one of the session.
fn leave_sshds_cgroup(policy: &Policy, user: &str) -> Option<Error> {
    match policy.limits {
        Some(_) => None,
        None => cgroup::leave_sshd(&policy.jail, user).err(),
    }
}

/// Moves the calling process into new namespaces, and its next children into a new pid namespace.
fn unshare_namespaces(policy: &Policy) -> Result<(), Error> {
    let mut flags = UnshareFlags::NEWNS;
    flags.set(UnshareFlags::NEWPID, policy.pid);
    flags.set(UnshareFlags::NEWUTS, policy.hostname.is_some());
    flags.set(UnshareFlags::NEWIPC, policy.ipc);
    flags.set(UnshareFlags::NEWCGROUP, policy.cgroup);
    flags.set(UnshareFlags::NEWNET, policy.offline);
    syscalls::unshare_all(flags).map_err(Error::of("create the session's namespaces"))
}

/// Makes all mounts receive later mounts and unmounts of the host, and never pass any on to it.
fn stop_mount_propagation() -> Result<(), Error> {
    let flags = MountPropagationFlags::DOWNSTREAM | MountPropagationFlags::REC;
    mount_change("/", flags).map_err(Error::of("keep the session's mounts from the host"))
}

fn set_hostname(policy: &Policy) -> Result<(), Error> {
    let Some(name) = &policy.hostname else {
        return Ok(());
    };
    sethostname(name.as_bytes())
        .and_then(|()| setdomainname(b"(none)"))
        .map_err(Error::of("set the session's host name"))
}

/// Brings up the loopback of a session whose network namespace is new and has nothing else.
fn bring_up_loopback(policy: &Policy) -> Result<(), Error> {
    if !policy.offline {
        return Ok(());
    }
    syscalls::loopback_up().map_err(Error::of("bring up the session's loopback"))
}

/// Keeps a session in the network namespace of the host from connecting to abstract sockets
/// (unix(7)) of processes outside: they belong to a network namespace. Other sessions have another.
fn scope_abstract_sockets(policy: &Policy) -> Result<(), Error> {
    if policy.offline || policy.network.is_some() {
        return Ok(());
    }
    syscalls::landlock_scope().map_err(Error::of(
        "keep the session from abstract sockets of others",
    ))
}

/// Replaces the session keyring of the calling process by an empty one that the user owns:
/// keyrings(7).
///
/// A process in a session possesses the keys of its keyring, also those of other users: without
/// this call those of sshd, or of the administrator who started it.
///
/// # Errors
/// [`Error::System`]. The ids of the process are those before the call, also after an error.
pub fn new_session_keyring(uid: u32, gid: u32) -> Result<(), Error> {
    let (root, group) = (Uid::ROOT, Gid::ROOT);
    let owner = || {
        // The real ids become the owner, whose quota the keyring counts against; the others stay
        // root's.
        set_thread_res_gid(Gid::from_raw(gid), group, group)?;
        set_thread_res_uid(Uid::from_raw(uid), root, root)
    };
    let joined = owner().and_then(|()| syscalls::new_session_keyring());
    set_thread_res_uid(root, root, root)
        .and_then(|()| set_thread_res_gid(group, group, group))
        .and(joined)
        .map_err(Error::of("begin a new session keyring"))
}

impl Session {
    /// The reason why a session without limits is still in sshd's control group, and so limited
    /// only as sshd is. `None` if it is not, and on a host without systemd.
    pub fn in_sshds_group(&self) -> Option<&Error> {
        self.in_sshds_group.as_ref()
    }

    /// The root directory of the jail in the session.
    pub fn root(&self) -> BorrowedFd<'_> {
        self.root.as_fd()
    }

    /// Closes the root directory of the jail, for a caller that no longer needs it: a descriptor of
    /// a directory is a way out of a chroot(2).
    pub fn into_counted(self) -> Counted {
        Counted {
            _membership: self.membership,
        }
    }
}
