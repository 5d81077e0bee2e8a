//! Sessions: the calling process, and all that it starts from then on, in namespaces of its own as a [`Policy`] says.
//!
//! It is made for sshd's process of one connection, which calls PAM as root, before it becomes the user and before chroot(2), and stays until
//! the connection ends; `enter` takes the same part. What belongs to the session is tied to that process by the kernel, not by a promise:
//!
//! - Its mounts are in a mount namespace that ends with the last process in it. The host's mount table never changes.
//! - Everything that it starts is in a new pid namespace. Pid 1 there is a small keeper ([`init`]) that watches the calling process
//!   and ends with it, however that ends; and with pid 1 the kernel ends all the others.
//! - The jail is mounted at a name that exists only in here ([`DOOR`](crate::policy::SESSION_DIR), [`INSIDE`](crate::policy::ROOT_NAME)), and sshd is
//!   told to chroot(2) to that name. So when the policy was not applied, for whatever reason, there is nothing to enter.
//!
//! **Why not just chroot(2) to the jail's directory, in a namespace of mounts?** Because `..` stops at the caller's own root only. Whoever has two
//! sessions can hand an open directory from one to the other over a socket in his home; in there, the root is another mount, nothing
//! stops `..`, and it leads up to the host's `/` in the first one's namespace. Therefore the jail hangs in a tmpfs whose root has mode 0700 and is
//! root's: `..` leads into it and, for want of permission, no further. The same holds for a directory from a session of another jail.

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
use crate::policy::{Network, Policy};
use crate::privileges::drop_bounding_set;
use crate::seccomp::restrict_system_calls;
use crate::{Error, syscalls};

/// A session that has begun. It ends with the process that began it: this is only what that one has in hand, and keeps until then.
#[derive(Debug)]
pub struct Session {
    inside: OwnedFd,
    /// By which the session is counted.
    place: Option<Membership>,
    in_sshds_group: Option<Error>,
}

/// What counts a session, for as long as it is kept. It holds no descriptor by which anything could be written or reached.
#[derive(Debug)]
pub struct Counted {
    _place: Option<Membership>,
}

/// Moves the calling process into a session for `user`. There is no way back, and after an error the process is fit for nothing but to end.
///
/// The process is root's, has one thread, and is not in a chroot of its own. Afterwards
/// - it sees the host's files, with these exceptions: the jail at its name in here, the session's terminals at `/dev/pts`, and with
///   [`Utmp::Mirrored`] a utmp and a wtmp of its own;
/// - it has no_new_privs set and an empty capability bounding set: it keeps what it can do, and nothing that it starts can get more;
/// - a seccomp filter answers rare and dangerous system calls in the kernel's place, keyctl(2) among them: a keyring of its own it gets by
///   [`new_session_keyring`], before; no core of it is dumped, unless the policy says so;
/// - its next children are in the session's pid namespace. It is not, itself.
///
/// Refused are users that the policy does not name, a root that others than root could have changed, and a mount whose place or source is missing
/// or is a link.
pub fn open(policy: &Policy, user: &str, logins: Utmp) -> Result<Session, Error> {
    if !policy.users.iter().any(|known| known == user) {
        return Err(Error::Refused(format!(
            "the policy of the jail `{}` does not name the user",
            policy.jail
        )));
    }
    let mut shared = JailResources::enter(policy, user)?;
    match unshare_and_mount(policy, &mut shared, logins) {
        Ok(inside) => {
            shared.place.as_mut().map(Membership::close_origins);
            Ok(Session {
                inside,
                place: shared.place,
                in_sshds_group: shared.in_sshds_group,
            })
        }
        Err(error) => {
            shared.leave();
            Err(error)
        }
    }
}

/// What a session has together with the others of its jail.
#[derive(Debug)]
struct JailResources {
    place: Option<Membership>,
    /// Until the keeper has it.
    member: Option<Member>,
    /// Why the session without limits is still in sshd's control group.
    in_sshds_group: Option<Error>,
}

impl JailResources {
    fn enter(policy: &Policy, user: &str) -> Result<Self, Error> {
        // Before the limits: the networks of all jails have one lock, and whoever holds it must not be one whom the jail's groups stop or slow down.
        let network = policy.network.as_ref();
        let member = network
            .map(|network| network::enter(&policy.jail, network, &|| latest(&policy.jail)))
            .transpose()?;
        let mut shared = Self {
            place: None,
            member,
            in_sshds_group: None,
        };
        if let Some(limits) = &policy.limits {
            match cgroup::join(&policy.jail, user, limits, &policy.disk_paths()) {
                Ok(place) => shared.place = Some(place),
                Err(error) => {
                    shared.leave();
                    return Err(error);
                }
            }
        } else {
            shared.in_sshds_group = cgroup::leave_sshd(&policy.jail, user).err();
        }
        Ok(shared)
    }

    /// Before there is a session that would end.
    fn leave(self) {
        if let Some(place) = &self.place {
            place.abort();
        }
        if let Some(member) = self.member {
            // What is left of it is found by whoever comes next; the error is the one to tell.
            let _ = member.leave();
        }
    }
}

/// The network of the jail as its policy has it now, if it has one and can be read.
fn latest(jail: &str) -> Option<Network> {
    Policy::load(jail).ok().flatten()?.network
}

/// The namespaces, and all that is in them. Gives the jail's root.
fn unshare_and_mount(
    policy: &Policy,
    shared: &mut JailResources,
    logins: Utmp,
) -> Result<OwnedFd, Error> {
    let host = ParentHandles::look()?;
    syscalls::unshare_all(namespaces(policy))
        .map_err(Error::of("make the session's namespaces"))?;
    // What the host mounts and unmounts later is seen in here; never the other way round.
    mount_change(
        "/",
        MountPropagationFlags::DOWNSTREAM | MountPropagationFlags::REC,
    )
    .map_err(Error::of("keep the session's mounts from the host"))?;
    let door = mounts::mount_barrier(policy)?;
    furnish(policy, &door, &host, shared, logins)
        // Whoever does not listen to the error finds nothing behind the door.
        .inspect_err(|_| mounts::unmount_barrier(policy))
}

/// Leaves the session keyring that the calling process has for an empty one of the user's: keyrings(7).
///
/// Whoever has a process in it possesses its keys, whatever their owner: without this, that of sshd's own, or of the administrator who started it.
pub fn new_session_keyring(uid: u32, gid: u32) -> Result<(), Error> {
    let (root, group) = (Uid::ROOT, Gid::ROOT);
    let owner = || {
        // The real ids make the owner, whose quota it counts against; the others are root's still.
        set_thread_res_gid(Gid::from_raw(gid), group, group)?;
        set_thread_res_uid(Uid::from_raw(uid), root, root)
    };
    let joined = owner().and_then(|()| syscalls::own_keyring());
    set_thread_res_uid(root, root, root)
        .and_then(|()| set_thread_res_gid(group, group, group))
        .and(joined)
        .map_err(Error::of("begin a new session keyring"))
}

/// Everything behind the door. Gives the jail's root.
fn furnish(
    policy: &Policy,
    door: &OwnedFd,
    host: &ParentHandles,
    shared: &mut JailResources,
    logins: Utmp,
) -> Result<OwnedFd, Error> {
    let ledgers = match logins {
        Utmp::Mirrored => utmp::mask(door)?,
        Utmp::None => Vec::new(),
    };
    let inside = mounts::bind_root(policy, door)?;
    // The first child is pid 1 of the new namespace, and only from in there can its proc(5) be mounted.
    let JailResources { place, member, .. } = shared;
    init::spawn(host, ledgers, place.as_ref(), member, || {
        mounts::mount_proc(policy, &inside)
    })?;
    if let Some(name) = &policy.hostname {
        let named = sethostname(name.as_bytes()).and_then(|()| setdomainname(b"(none)"));
        named.map_err(Error::of("name the session's host"))?;
    }
    if policy.offline {
        syscalls::loopback_up().map_err(Error::of("bring up the session's loopback"))?;
    }
    cgroup::set_rlimits(policy.limits.as_ref())?;
    // With it comes a bounding set that is full.
    if let Some(mapped) = &policy.ids {
        user_namespace::unshare_user(mapped)?;
    }
    drop_bounding_set().map_err(Error::of("empty the capability bounding set"))?;
    if !policy.offline && policy.network.is_none() {
        syscalls::landlock_scope().map_err(Error::of(
            "keep the session from abstract sockets of others",
        ))?;
    }
    // The last: what comes before it needs some of the calls that it closes.
    restrict_system_calls()?;
    Ok(inside)
}

fn namespaces(policy: &Policy) -> UnshareFlags {
    let mut flags = UnshareFlags::NEWNS;
    flags.set(UnshareFlags::NEWPID, policy.pid);
    flags.set(UnshareFlags::NEWUTS, policy.hostname.is_some());
    flags.set(UnshareFlags::NEWIPC, policy.ipc);
    flags.set(UnshareFlags::NEWCGROUP, policy.cgroup);
    flags.set(UnshareFlags::NEWNET, policy.offline);
    flags
}

impl Session {
    /// Why the session is counted with sshd itself: nothing limits it but what limits sshd. `None` where it is not, and where no systemd runs the host.
    pub fn in_sshds_group(&self) -> Option<&Error> {
        self.in_sshds_group.as_ref()
    }

    /// The jail's root directory as the session sees it.
    pub fn inside(&self) -> BorrowedFd<'_> {
        self.inside.as_fd()
    }

    /// Closes the jail's root directory, for a caller that needs it no more: a descriptor of a directory leads out of a chroot(2).
    pub fn into_counted(self) -> Counted {
        Counted { _place: self.place }
    }
}
