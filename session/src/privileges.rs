//! Giving up root, for good: every id, every group, every capability.
//!
//! Only for a forked child before its execve(2). rustix calls the kernel directly, so each call changes the one thread that a
//! forked child has; in a process of several threads it would leave the others as root.

use rustix::io::Errno;
use rustix::process::{DumpableBehavior, set_dumpable_behavior};
use rustix::process::{getegid, geteuid, getgid, getuid};
use rustix::thread::{
    CapabilitySet, CapabilitySets, Gid, Uid, capability_is_in_bounding_set,
    remove_capability_from_bounding_set, set_capabilities, set_no_new_privs, set_thread_groups,
    set_thread_res_gid, set_thread_res_uid,
};

use crate::Error;

/// Whom to become. Never root, in no way.
#[derive(Debug)]
pub(crate) struct Ids {
    uid: Uid,
    gid: Gid,
    groups: Vec<Gid>,
}

impl Ids {
    /// Refuses 0, and refuses the number that means "leave as it is" to setresuid(2), which would leave it root.
    pub(crate) fn new(uid: u32, gid: u32, groups: &[u32]) -> Result<Self, Error> {
        let all = || [gid].into_iter().chain(groups.iter().copied());
        if uid == 0 || all().any(|gid| gid == 0) {
            return Err(Error::Refused(
                "nobody enters a jail as root, or in root's group".to_owned(),
            ));
        }
        if uid == u32::MAX || all().any(|gid| gid == u32::MAX) {
            return Err(Error::Refused(format!("{} is nobody's id", u32::MAX)));
        }
        Ok(Self {
            uid: Uid::from_raw(uid),
            gid: Gid::from_raw(gid),
            groups: groups.iter().copied().map(Gid::from_raw).collect(),
        })
    }

    pub(crate) fn uid(&self) -> Uid {
        self.uid
    }

    /// Real, effective, saved and, by following the effective, file system ids (credentials(7)); the supplementary groups are the
    /// given ones and no others. Groups first, then the gid, then the uid: the last of them takes the right to change the others.
    pub(crate) fn apply(&self) -> Result<(), Errno> {
        set_thread_groups(&self.groups)?;
        set_thread_res_gid(self.gid, self.gid, self.gid)?;
        set_thread_res_uid(self.uid, self.uid, self.uid)?;
        // Until execve(2) this is still root's memory and root's descriptors. A change of uid makes a process undumpable, so that
        // the user's other processes can neither trace it nor open its /proc/PID/fd and exe (ptrace(2); CVE-2019-5736), unless
        // fs.suid_dumpable is 1.
        set_dumpable_behavior(DumpableBehavior::NotDumpable)
    }

    /// Whether root is really gone: the ids are the given ones, and there is no way back.
    pub(crate) fn verify_dropped(&self) -> bool {
        (getuid(), geteuid()) == (self.uid, self.uid)
            && (getgid(), getegid()) == (self.gid, self.gid)
            && set_thread_res_uid(Uid::ROOT, Uid::ROOT, Uid::ROOT).is_err()
            && set_thread_res_gid(Gid::ROOT, Gid::ROOT, Gid::ROOT).is_err()
    }
}

/// While still root: the bounding set and no_new_privs, so that no setuid, setgid or capability file of the jail
/// gives anything back (capabilities(7), PR_SET_NO_NEW_PRIVS(2const)).
pub(crate) fn drop_bounding_set() -> Result<(), Errno> {
    for number in 0..u64::BITS {
        let capability = CapabilitySet::from_bits_retain(1 << number);
        match capability_is_in_bounding_set(capability) {
            Ok(true) => remove_capability_from_bounding_set(capability)?,
            Ok(false) => {}
            // The kernel knows no capability of that number, nor any after it; newer kernels may know more than we do.
            Err(Errno::INVAL) => break,
            Err(errno) => return Err(errno),
        }
    }
    set_no_new_privs(true)
}

/// When no longer root: what is left in the permitted, effective and inheritable sets. The change of uid empties the first two, but
/// not where an inherited securebit says otherwise. The ambient set never has what the permitted and inheritable sets lack.
pub(crate) fn drop_capabilities() -> Result<(), Errno> {
    let none = CapabilitySet::empty();
    set_capabilities(
        None,
        CapabilitySets {
            effective: none,
            permitted: none,
            inheritable: none,
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_and_no_change_are_refused() {
        for (uid, gid, groups) in [
            (0, 1000, vec![]),
            (1000, 0, vec![]),
            (1000, 1000, vec![5, 0]),
            (u32::MAX, 1000, vec![]),
            (1000, u32::MAX, vec![]),
            (1000, 1000, vec![u32::MAX]),
        ] {
            let refused = Ids::new(uid, gid, &groups);
            assert!(
                matches!(refused, Err(Error::Refused(_))),
                "{uid} {gid} {groups:?}"
            );
        }
        assert!(Ids::new(1000, 1000, &[1000, 1001]).is_ok());
    }
}
