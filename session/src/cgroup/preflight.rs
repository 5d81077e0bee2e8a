//! What this host could not keep: found when a jail is built, before anybody relies on it. Reads only.

use std::path::Path;

use super::block_device::{Disk, disks};
use super::control_files::HostDevices;
use super::hierarchy::{Hierarchies, Hierarchy, Version};
use super::{Limits, kernel_file, systemd};
use crate::Error;

/// A limit that this host cannot keep.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unsupported {
    /// The key of the limit in a spec, `memory`.
    pub key: &'static str,
    /// Why it cannot be kept, with the path and the controller that it is about.
    pub why: String,
    /// What to do about it.
    pub hint: String,
}

/// Every one of `limits` that could not be kept by this host as it is. `places` are the jail's root and what else of the host its sessions see: they say which disks are the jail's.
pub fn check(limits: &Limits, places: &[&Path]) -> Result<Vec<Unsupported>, Error> {
    let hierarchies = Hierarchies::look()?;
    let systemd = systemd::hierarchy(&hierarchies);
    let is_systemds = !matches!(systemd, Ok(None));
    let mut lacks = Vec::new();
    for (key, controller) in limits.needs() {
        if is_systemds && systemd::UNSUPPORTED.contains(&key) {
            lacks.push(Unsupported {
                key,
                why: "the host's control groups are systemd's, which has no property for it"
                    .to_owned(),
                hint: "take the line out".to_owned(),
            });
            continue;
        }
        let lack = match hierarchies.with_controller(controller) {
            // systemd keeps that list without a controller.
            None if is_systemds && key == "devices" => devices(limits),
            None => Some(missing(&hierarchies, controller)),
            Some(hierarchy) => unusable(hierarchy, controller).or(match key {
                "swap" => swap(hierarchy),
                "cpus" => cpus(hierarchy, limits.cpus.as_deref().unwrap_or_default())?,
                "io_weight" => weight(hierarchy, places),
                "io_read" | "io_write" | "io_read_ops" | "io_write_ops" => {
                    disks(places).err().map(|error| no_disk(&error))
                }
                "devices" => devices(limits),
                "hugetlb" => huge(limits, places),
                _ => None,
            }),
        };
        lacks.extend(lack.map(|(why, hint)| Unsupported { key, why, hint }));
    }
    if is_systemds {
        lacks.extend(not_from_systemd(limits, systemd.err()));
    } else if let Some(parent) = &limits.parent {
        lacks.extend(missing_parent(limits, &hierarchies, parent));
    }
    Ok(lacks)
}

/// Why systemd would give no place at all.
fn not_from_systemd(limits: &Limits, error: Option<Error>) -> Option<Unsupported> {
    if limits.parent.is_some() {
        return Some(Unsupported {
            key: "cgroup_parent",
            why: "the host's control groups are systemd's, and the jail's is a slice of its own".to_owned(),
            hint: "take the line out; what all jails may use together is a matter of `jailctl.slice`: systemctl edit jailctl.slice".to_owned(),
        });
    }
    let error = error?;
    let (key, _) = *limits.needs().first()?;
    Some(Unsupported {
        key,
        why: error.to_string(),
        hint: "unmount them".to_owned(),
    })
}

type Reason = (String, String);

fn missing(hierarchies: &Hierarchies, controller: &str) -> Reason {
    let why = if hierarchies.is_empty() {
        format!(
            "it needs the control group controller `{controller}`, and no control groups are mounted"
        )
    } else {
        format!(
            "it needs the control group controller `{controller}`, which is none of those in {}",
            hierarchies.shown()
        )
    };
    let hint = match controller {
        "net_cls" | "net_prio" => {
            format!(
                "it is one of v1: mount -t cgroup -o {controller} {controller} /sys/fs/cgroup/{controller}, before sshd starts; or take the line out"
            )
        }
        "devices" => "take the line out: jails have no nodes but those of their `/dev`".to_owned(),
        _ => {
            "mount it, before sshd starts (cgroups(7)), or take the line out: a limit that is not kept is none"
                .to_owned()
        }
    };
    (why, hint)
}

/// A controller that is there and is of no use.
fn unusable(hierarchy: &Hierarchy, controller: &str) -> Option<Reason> {
    (!hierarchy.is_writable).then(|| {
        (
            format!(
                "the control groups of `{controller}` in `{}` are mounted read-only",
                hierarchy.mount.display()
            ),
            "mount them so that groups can be made".to_owned(),
        )
    })
}

fn swap(hierarchy: &Hierarchy) -> Option<Reason> {
    // The top group of v2 has no such file in any case: there the session finds out.
    let file = hierarchy.mount.join("memory.memsw.limit_in_bytes");
    (hierarchy.version == Version::V1 && !kernel_file::is_there(&file)).then(|| {
        (
            format!(
                "the controller `memory` does not count swap space: there is no `{}`",
                file.display()
            ),
            "start the kernel with `swapaccount=1`".to_owned(),
        )
    })
}

fn cpus(hierarchy: &Hierarchy, wanted: &str) -> Result<Option<Reason>, Error> {
    let file = hierarchy.mount.join(match hierarchy.version {
        Version::V1 => "cpuset.effective_cpus",
        Version::V2 => "cpuset.cpus.effective",
    });
    let has = kernel_file::read(&file)?;
    let (there, wanted) = (parse_cpu_list(has.trim()), parse_cpu_list(wanted));
    let lacking = wanted.iter().find(|number| !there.contains(number));
    Ok(lacking.map(|number| {
        (
            format!(
                "there is no processor {number}: `{}` has `{}`",
                file.display(),
                has.trim()
            ),
            "name processors that are there".to_owned(),
        )
    }))
}

/// The numbers of a list as cpuset(7) has it.
pub(super) fn parse_cpu_list(list: &str) -> Vec<u32> {
    let range = |part: &str| {
        let (from, to) = part.split_once('-').unwrap_or((part, part));
        Some(from.parse().ok()?..=to.parse::<u32>().ok()?)
    };
    list.split(',').filter_map(range).flatten().collect()
}

fn no_disk(error: &Error) -> Reason {
    (
        error.to_string(),
        "only what is on a disk of the host's can be limited so; take the line out".to_owned(),
    )
}

/// A weight counts where the disk's scheduler, or the cost model of v2, looks at it.
fn weight(hierarchy: &Hierarchy, places: &[&Path]) -> Option<Reason> {
    let disks = match disks(places) {
        Ok(disks) => disks,
        Err(error) => return Some(no_disk(&error)),
    };
    disks.into_iter().find_map(|disk| {
        let scheduler = disk.directory().join("queue/scheduler");
        let text = kernel_file::read_if_exists(&scheduler).ok().flatten();
        let text = text.unwrap_or_default();
        if text.contains("[bfq]") || has_costs(hierarchy, disk) {
            return None;
        }
        let now = text.split(['[', ']']).nth(1).unwrap_or("none").to_owned();
        Some((
            format!(
                "the scheduler of the disk `{disk}` is `{now}`, which does not look at weights"
            ),
            format!(
                "echo bfq >{}, in an udev rule so that it stays; or take the line out",
                scheduler.display()
            ),
        ))
    })
}

fn has_costs(hierarchy: &Hierarchy, disk: Disk) -> bool {
    let qos = kernel_file::read_if_exists(&hierarchy.mount.join("io.cost.qos"));
    let qos = qos.ok().flatten().unwrap_or_default();
    let start = format!("{disk} ");
    let mut lines = qos.lines().filter(|line| line.starts_with(&start));
    lines.any(|line| line.contains("enable=1"))
}

fn devices(limits: &Limits) -> Option<Reason> {
    let only = Limits {
        devices: limits.devices.clone(),
        ..Limits::default()
    };
    let error = HostDevices::look(&only, &[]).err()?;
    Some((
        error.to_string(),
        "name a character device of the host".to_owned(),
    ))
}

fn huge(limits: &Limits, places: &[&Path]) -> Option<Reason> {
    let only = Limits {
        hugetlb: limits.hugetlb,
        ..Limits::default()
    };
    let has = HostDevices::look(&only, places).is_ok_and(|facts| !facts.huge.is_empty());
    (!has).then(|| {
        (
            "the kernel has no huge pages: there is nothing in `/sys/kernel/mm/hugepages`"
                .to_owned(),
            "take the line out".to_owned(),
        )
    })
}

fn missing_parent(limits: &Limits, hierarchies: &Hierarchies, parent: &str) -> Option<Unsupported> {
    let wanted = super::required(limits, hierarchies).ok()?;
    let at = wanted
        .iter()
        .map(|hierarchy| hierarchy.mount.join(parent))
        .find(|path| !kernel_file::is_there(path))?;
    Some(Unsupported {
        key: "cgroup_parent",
        why: format!("there is no control group `{}`", at.display()),
        hint: format!(
            "make it, at each start before sshd: mkdir -p {}",
            at.display()
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_processors_are_read() {
        assert_eq!(parse_cpu_list("0-2,5"), [0, 1, 2, 5]);
        assert_eq!(parse_cpu_list("7"), [7]);
        assert_eq!(parse_cpu_list(""), [0_u32; 0]);
    }
}
