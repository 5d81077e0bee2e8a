//! Dropping root for good: all ids, all groups, all capabilities.
//!
//! Only for a forked child before its execve(2). rustix calls the kernel directly, so each call
//! changes the one thread that a forked child has; in a process of several threads the others would
//! stay root.

use rustix::io::Errno;
use rustix::process::{DumpableBehavior, set_dumpable_behavior};
use rustix::process::{getegid, geteuid, getgid, getuid};
use rustix::thread::{
    CapabilitySet, CapabilitySets, Gid, Uid, capability_is_in_bounding_set,
    remove_capability_from_bounding_set, set_capabilities, set_no_new_privs, set_thread_groups,
    set_thread_res_gid, set_thread_res_uid,
};

use crate::Error;

/// User to become, never root.
#[derive(Debug)]
pub(crate) struct Ids {
    uid: Uid,
    gid: Gid,
    groups: Vec<Gid>,
}

impl Ids {
    /// Refuses 0, and the number that means "unchanged" for setresuid(2), which would leave the
    /// process root.
    pub(crate) fn new(uid: u32, gid: u32, groups: &[u32]) -> Result<Self, Error> {
        let all = || [gid].into_iter().chain(groups.iter().copied());
        if uid == 0 || all().any(|gid| gid == 0) {
            return Err(Error::Refused(
                "root and the group of root cannot enter a jail".to_owned(),
            ));
        }
        if uid == u32::MAX || all().any(|gid| gid == u32::MAX) {
            return Err(Error::Refused(format!("{} is not a valid id", u32::MAX)));
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

    /// Sets real, effective, saved and, by following the effective, file system ids
    /// (credentials(7)), and exactly the given supplementary groups. Groups first, then the gid,
    /// then the uid: the last one drops the right to change the others.
    pub(crate) fn apply(&self) -> Result<(), Errno> {
        set_thread_groups(&self.groups)?;
        set_thread_res_gid(self.gid, self.gid, self.gid)?;
        set_thread_res_uid(self.uid, self.uid, self.uid)?;
        // Until execve(2) the process has the memory and descriptors of root. A change of uid makes
        // a process undumpable, so that other processes of the user can neither trace it nor open
        // its /proc/PID/fd and exe (ptrace(2); CVE-2019-5736), unless fs.suid_dumpable is 1.
        set_dumpable_behavior(DumpableBehavior::NotDumpable)
    }

    /// Whether root is dropped: the ids are the given ones, and cannot be changed back.
    pub(crate) fn verify_dropped(&self) -> bool {
        (getuid(), geteuid()) == (self.uid, self.uid)
            && (getgid(), getegid()) == (self.gid, self.gid)
            && set_thread_res_uid(Uid::ROOT, Uid::ROOT, Uid::ROOT).is_err()
            && set_thread_res_gid(Gid::ROOT, Gid::ROOT, Gid::ROOT).is_err()
    }
}

/// Empties the bounding set and sets no_new_privs, while still root, so that no setuid, setgid or
/// capability file of the jail restores a privilege (capabilities(7), PR_SET_NO_NEW_PRIVS(2const)).
pub(crate) fn drop_bounding_set() -> Result<(), Errno> {
    for number in 0..u64::BITS {
        let capability = CapabilitySet::from_bits_retain(1 << number);
        match capability_is_in_bounding_set(capability) {
            Ok(true) => remove_capability_from_bounding_set(capability)?,
            Ok(false) => {}
            // The kernel has no capability of this number, nor any after it; newer kernels may have
            // more.
            Err(Errno::INVAL) => break,
            Err(errno) => return Err(errno),
        }
    }
    set_no_new_privs(true)
}

/// Empties the permitted, effective and inheritable sets, when no longer root. The change of uid
/// empties the first two, except with an inherited securebit. The ambient set is a subset of the
/// permitted and inheritable ones.
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
    fn root_and_unchanged_ids_are_refused() {
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
