//! What the sessions of a jail may use together: control groups (cgroups(7)), one for each jail, and in it every process of its sessions.
//!
//! Where systemd runs, it is asked for them (`systemd`, by `bus`). Elsewhere they are made here, in the file systems of cgroups, v1, v2 or both, as the host
//! has them mounted. They are made when a session begins and go with the last one.
//!
//! - `hierarchy`: what is mounted where. `setting`: which file takes which limit. `group`: one group of the jail in one hierarchy.
//! - `register`: how many sessions there are.
//! - [`usage`](fn@usage): what they use. `hold`: [`freeze`], [`thaw`] and [`kill`].
//! - [`check`](fn@check): what this host could not keep, found before anybody relies on it.
//!
//! **All or nothing**: a session for which one limit cannot be set does not begin.
//!
//! **Its cost.** To move a process by `cgroup.procs` the kernel waits until every CPU has passed a quiet point, which takes some ten milliseconds.
//! v1 has `tasks` too, by which a thread moves itself without that wait, and a process that begins a session has one thread.
//! So v1 is preferred where a host has a controller there; v2 has no such way.

mod block_device;
mod control_files;
mod dbus;
mod freezer;
mod group;
mod hierarchy;
mod kernel_file;
mod preflight;
mod session_count;
mod systemd;
mod usage;

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::Duration;

use rustix::io::Errno;
use rustix::process::{Resource, Rlimit, setrlimit};
use serde::{Deserialize, Serialize};

use self::control_files::{HostDevices, settings};
pub use self::freezer::{freeze, is_frozen, kill, thaw};
use self::group::Group;
use self::hierarchy::{Hierarchies, Hierarchy, Version};
pub use self::preflight::{Unsupported, check};
use self::session_count::Slot;
use self::systemd::Owner;
pub use self::usage::{Usage, usage};
use crate::Error;
use crate::policy::{Policy, Source};

/// Where the groups of all jails lie in each hierarchy, unless a policy says otherwise. Made and removed with them.
pub const PARENT: &str = "jailctl";

/// Controllers that a session is in wherever the host has them, limited or not: what they count can be asked for, and what is in the group can be stopped.
const ACCOUNTING: [&str; 6] = ["cpu", "cpuacct", "memory", "pids", "io", "freezer"];

/// Open files of each process where memory is limited and they are not. The kernel's buffers of a netlink(7) socket count as nobody's memory, so that
/// the number of sockets is a limit of memory too. It is what most distributions give a login as its soft limit.
const OPEN_FILES: u32 = 1024;

/// How often, and after how long each, it is looked whether the last have gone.
const ROUNDS: usize = 200;
const ROUND: Duration = Duration::from_millis(5);

/// What the sessions of a jail may use together, and each of their processes for itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Bytes of memory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<u64>,
    /// Bytes of swap space, beside `memory`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub swap: Option<u64>,
    /// Processor time, in per cent of one CPU.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu: Option<u32>,
    /// Share of the processors where they are short, against others' 100.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_weight: Option<u32>,
    /// The processors, as in cpuset(7): `0-1,4`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpus: Option<String>,
    /// Processes and threads.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tasks: Option<u32>,
    /// Share of the jail's disks where they are short, against others' 100.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub io_weight: Option<u32>,
    /// Bytes a second read from each of the jail's disks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub io_read: Option<u64>,
    /// Bytes a second written to each of the jail's disks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub io_write: Option<u64>,
    /// Reads a second from each of the jail's disks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub io_read_ops: Option<u32>,
    /// Writes a second to each of the jail's disks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub io_write_ops: Option<u32>,
    /// Devices beside those that every session may use, by their paths on the host; `None` for all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub devices: Option<Vec<PathBuf>>,
    /// Bytes in huge pages, of each size.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hugetlb: Option<u64>,
    /// The class of packets, for tc(8) and netfilter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub net_class: Option<u32>,
    /// The priority of packets, on each interface.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub net_priority: Option<u32>,
    /// Open files of each process.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub open_files: Option<u32>,
    /// Bytes of a core dump; `None`: none is dumped, nor given to a program of the host's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub core_size: Option<u64>,
    /// Sessions at one time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sessions: Option<u32>,
    /// In which group of each hierarchy the jail's own lies; it exists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<String>,
}

impl Limits {
    /// What the types do not say, for a policy that is read.
    pub(crate) fn is_sound(&self) -> Result<(), String> {
        let plain = |part: &str| {
            let letter = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
            !matches!(part, "" | "." | "..") && part.bytes().all(letter)
        };
        if let Some(parent) = &self.parent
            && !parent.split('/').all(plain)
        {
            return Err("the parent of its control groups is no plain path".to_owned());
        }
        if self.swap.is_some() && self.memory.is_none() {
            return Err("it limits swap space and no memory".to_owned());
        }
        Ok(())
    }

    /// Each limit that a group keeps: its key in a spec, and the controller that it needs.
    fn needs(&self) -> Vec<(&'static str, &'static str)> {
        let all = [
            (self.memory.is_some(), "memory", "memory"),
            (self.swap.is_some(), "swap", "memory"),
            (self.cpu.is_some(), "cpu", "cpu"),
            (self.cpu_weight.is_some(), "cpu_weight", "cpu"),
            (self.cpus.is_some(), "cpus", "cpuset"),
            (self.tasks.is_some(), "tasks", "pids"),
            (self.io_weight.is_some(), "io_weight", "io"),
            (self.io_read.is_some(), "io_read", "io"),
            (self.io_write.is_some(), "io_write", "io"),
            (self.io_read_ops.is_some(), "io_read_ops", "io"),
            (self.io_write_ops.is_some(), "io_write_ops", "io"),
            (self.devices.is_some(), "devices", "devices"),
            (self.hugetlb.is_some(), "hugetlb", "hugetlb"),
            (self.net_class.is_some(), "net_cls_classid", "net_cls"),
            (self.net_priority.is_some(), "net_prio", "net_prio"),
        ];
        let given = all.into_iter().filter(|(is, ..)| *is);
        given
            .map(|(_, key, controller)| (key, controller))
            .collect()
    }

    /// Open files of each process: what is given, and [`OPEN_FILES`] where it is not but memory is limited.
    fn open_files(&self) -> Option<u32> {
        self.open_files.or_else(|| self.memory.map(|_| OPEN_FILES))
    }

    fn has_rates(&self) -> bool {
        self.io_read.is_some()
            || self.io_write.is_some()
            || self.io_read_ops.is_some()
            || self.io_write_ops.is_some()
    }
}

/// The place of a session among the control groups.
#[derive(Debug)]
pub struct Membership {
    entry: Slot,
    groups: Vec<Group>,
    /// Where the process was before: the files that move it back. Opened then, since a session with a namespace of groups is not let out by a file that it opens itself.
    origins: Vec<OwnedFd>,
}

/// Counts the calling process as a session of the jail and moves it into the jail's groups, which are made where they are missing and get their limits
/// anew. What it starts from then on is in there too.
///
/// After an error it is where it was, or ends soon.
pub fn begin(policy: &Policy, limits: &Limits, user: &str) -> Result<Membership, Error> {
    let entry = Slot::acquire(&policy.jail, user, limits.sessions)?;
    let hierarchies = Hierarchies::look()?;
    let facts = HostDevices::look(limits, &places(policy))?;
    let mut place = Membership {
        entry,
        groups: Vec::new(),
        origins: Vec::new(),
    };
    let joined = if let Some(hierarchy) = systemd::hierarchy(&hierarchies)? {
        // Made by systemd, one after the other, and counted: nobody has to wait for it.
        place.entry.commit();
        refuse_frozen(policy, &Group::of_systemd(hierarchy, &policy.jail)).and_then(|()| {
            let jail = &policy.jail;
            systemd::begin(Owner { jail, user }, limits, hierarchy, &facts)
        })
    } else {
        place.join(policy, limits, &hierarchies, &facts)
    };
    if let Err(error) = joined {
        place.abort();
        return Err(error);
    }
    place.entry.commit();
    Ok(place)
}

/// Moves the calling process out of sshd's own control group where systemd runs the host: into a scope of its own, with a limit of tasks, in the jail's slice.
///
/// For connections without [`Limits`], which nothing else keeps from using up what sshd may have: systemd.resource-control(5). On a host without systemd the
/// process stays where it is. After an error it does, too.
pub fn leave_sshd(jail: &str, user: &str) -> Result<(), Error> {
    if !systemd::is_here() {
        return Ok(());
    }
    let hierarchies = Hierarchies::look()?;
    match systemd::hierarchy(&hierarchies)? {
        Some(hierarchy) => {
            let owner = Owner { jail, user };
            systemd::begin(
                owner,
                &Limits::default(),
                hierarchy,
                &HostDevices::default(),
            )
        }
        None => Ok(()),
    }
}

/// Removes what is left of the jail's groups, and its register, if nobody is in them: sessions whose keeper was killed leave theirs.
///
/// A session that is just ending is waited for, for a moment.
pub fn clear(policy: &Policy, limits: &Limits) -> Result<(), Error> {
    let hierarchies = Hierarchies::look()?;
    for _ in 0..ROUNDS {
        if let Some(last) = session_count::close(&policy.jail)? {
            if systemd::hierarchy(&hierarchies)?.is_some() {
                systemd::clear(&policy.jail)?;
            } else {
                remove(&groups(policy, limits, &hierarchies)?);
            }
            return last.remove();
        }
        sleep(ROUND);
    }
    Ok(())
}

/// Removes groups; waits, for a moment, for processes that are ending.
fn remove(groups: &[Group]) {
    for _ in 0..ROUNDS {
        let left = groups.iter().filter(|group| !group.remove()).count();
        if left == 0 {
            return;
        }
        sleep(ROUND);
    }
}

/// Where the jail's groups are, if they are; as far as the host has what they need.
fn locate(
    policy: &Policy,
    limits: &Limits,
    hierarchies: &Hierarchies,
) -> Result<Vec<(Group, Version)>, Error> {
    if let Some(hierarchy) = systemd::hierarchy(hierarchies)? {
        let group = Group::of_systemd(hierarchy, &policy.jail);
        return Ok(vec![(group, Version::V2)]);
    }
    let group = |hierarchy: &Hierarchy| {
        (
            Group::at(hierarchy, &policy.jail, limits),
            hierarchy.version,
        )
    };
    let found = relevant(limits, hierarchies).into_iter();
    Ok(found.map(group).collect())
}

fn groups(
    policy: &Policy,
    limits: &Limits,
    hierarchies: &Hierarchies,
) -> Result<Vec<Group>, Error> {
    let placed = locate(policy, limits, hierarchies)?;
    Ok(placed.into_iter().map(|(group, _)| group).collect())
}

/// Whoever joined would be stopped.
fn refuse_frozen(policy: &Policy, group: &Group) -> Result<(), Error> {
    if group.is_frozen()? {
        return Err(Error::Refused(format!(
            "the jail `{0}` is frozen, until `jailctl thaw {0}`",
            policy.jail
        )));
    }
    Ok(())
}

/// Keeps what holds for each process alone, getrlimit(2): open files and the size of a core. What began the session needs files itself, so this comes late.
pub(crate) fn set_rlimits(limits: Option<&Limits>) -> Result<(), Error> {
    match limits.and_then(|limits| limits.core_size) {
        Some(bytes) => limit(Resource::Core, bytes)
            .map_err(Error::of("limit the size of the session's core dumps"))?,
        None => no_core_dumps()?,
    }
    match limits.and_then(Limits::open_files) {
        Some(files) => limit(Resource::Nofile, files.into())
            .map_err(Error::of("limit the session's open files")),
        None => Ok(()),
    }
}

/// Keeps the calling process, and whatever it starts, from dumping a core: RLIMIT_CORE of one byte, soft and hard.
///
/// A core in a file has a page at least, so there is none. Where `kernel.core_pattern` names a program, the kernel starts it as root, outside of the process's
/// control groups and root directory, even for a limit of 0; a limit of 1 is the one for which it starts none (core(5), `do_coredump` of
/// `fs/coredump.c`).
pub fn no_core_dumps() -> Result<(), Error> {
    limit(Resource::Core, 1).map_err(Error::of("keep cores from being dumped"))
}

fn limit(resource: Resource, most: u64) -> Result<(), Errno> {
    let limit = Rlimit {
        current: Some(most),
        maximum: Some(most),
    };
    setrlimit(resource, limit)
}

/// Paths that say which disks are the jail's.
fn places(policy: &Policy) -> Vec<&Path> {
    let mut places = vec![policy.root.as_path()];
    places.extend(
        policy
            .mounts
            .iter()
            .filter_map(|mount| match &mount.source {
                Source::Bind(source) => Some(source.as_path()),
                _ => None,
            }),
    );
    places
}

impl Membership {
    fn join(
        &mut self,
        policy: &Policy,
        limits: &Limits,
        hierarchies: &Hierarchies,
        facts: &HostDevices,
    ) -> Result<(), Error> {
        let belongs = kernel_file::read(Path::new("/proc/self/cgroup"))?;
        for hierarchy in required(limits, hierarchies)? {
            let version = hierarchy.version;
            let origin = hierarchy.origin(&belongs)?.join(version.procs_file());
            let origin = kernel_file::open_to_write(&origin)?;
            let group = Group::make(hierarchy, &policy.jail, limits)?;
            self.groups.push(group.clone());
            for setting in settings(limits, hierarchy, facts) {
                group.set(&setting)?;
            }
            refuse_frozen(policy, &group)?;
            group.join()?;
            self.origins.push(origin);
        }
        Ok(())
    }

    /// Moves the calling process, one that was forked from the session's first, back to where that was.
    pub(crate) fn exit_cgroups(&self) -> Result<(), Errno> {
        let mut origins = self.origins.iter();
        origins.try_for_each(|origin| rustix::io::write(origin, b"0").map(drop))
    }

    /// Closes the files that move a process back, which are root's and writable: after the keeper has moved, nobody does. The calling process may become the
    /// session's user.
    pub(crate) fn close_origins(&mut self) {
        self.origins.clear();
    }

    /// After the end of the session: strikes it from the register, and with the last one removes the groups. Called by whoever keeps the session, from outside of them;
    /// uses no descriptor that was open before.
    ///
    /// Processes that are about to end are waited for, for a moment.
    pub(crate) fn unregister(&self) {
        let Ok(Some(last)) = self.entry.release() else {
            return;
        };
        remove(&self.groups);
        drop(last);
    }

    /// After a beginning that failed: back, and away.
    pub(crate) fn abort(&self) {
        // Whoever could not go back ends all the same; the groups are then removed after the next session.
        let _ = self.exit_cgroups();
        self.unregister();
    }
}

/// The hierarchies that a session has a group in: an error where a limit has none.
fn required<'h>(
    limits: &Limits,
    hierarchies: &'h Hierarchies,
) -> Result<Vec<&'h Hierarchy>, Error> {
    for (key, controller) in limits.needs() {
        if hierarchies.with_controller(controller).is_none() {
            return Err(Error::Refused(format!(
                "the limit `{key}` needs the control group controller `{controller}`, which is not there"
            )));
        }
    }
    Ok(relevant(limits, hierarchies))
}

/// The hierarchies that matter to a jail, each once.
fn relevant<'h>(limits: &Limits, hierarchies: &'h Hierarchies) -> Vec<&'h Hierarchy> {
    let needed = limits.needs().into_iter().map(|(_, controller)| controller);
    let mut found: Vec<&Hierarchy> = Vec::new();
    for controller in needed.chain(ACCOUNTING) {
        if let Some(hierarchy) = hierarchies.with_controller(controller)
            && !found.iter().any(|known| known.mount == hierarchy.mount)
        {
            found.push(hierarchy);
        }
    }
    found
}
