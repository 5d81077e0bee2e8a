//! Limits that this host cannot enforce, found when a jail is built. Reads only.

use std::path::Path;

use super::block_device::{Disk, disks};
use super::control_files::HostDevices;
use super::cpu_list::parse_cpu_list;
use super::hierarchy::{Hierarchies, Hierarchy, Version};
use super::{kernel_file, systemd};
use crate::Error;
use crate::policy::Limits;

/// A limit that this host cannot enforce.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unsupported {
    /// Key of the limit in a spec, `memory`.
    pub key: &'static str,
    /// Reason, with the path or the controller that is missing.
    pub why: String,
    /// Fix for the administrator.
    pub hint: String,
}

/// All `limits` that this host cannot enforce as it is. `disk_paths` are paths on the disks of the
/// jail: its root, and the sources of its mounts.
///
/// # Errors
/// [`Error::System`] if the state of the host cannot be read.
pub fn check(limits: &Limits, disk_paths: &[&Path]) -> Result<Vec<Unsupported>, Error> {
    let hierarchies = Hierarchies::read()?;
    let systemd = systemd::hierarchy(&hierarchies);
    let is_systemd = !matches!(systemd, Ok(None));
    let mut unsupported = Vec::new();
    for (key, controller) in limits.needs() {
        if is_systemd && systemd::UNSUPPORTED.contains(&key) {
            unsupported.push(Unsupported {
                key,
                why: "systemd manages the host's control groups, and has no property for it"
                    .to_owned(),
                hint: "remove the line".to_owned(),
            });
            continue;
        }
        let problem = match hierarchies.with_controller(controller) {
            // systemd enforces that list without a controller.
            None if is_systemd && key == "devices" => devices(limits),
            None => Some(missing(&hierarchies, controller)),
            Some(hierarchy) => unusable(hierarchy, controller).or(match key {
                "swap" => swap(hierarchy),
                "cpus" => cpus(hierarchy, limits.cpus.as_deref().unwrap_or_default())?,
                "io_weight" => weight(hierarchy, disk_paths),
                "io_read" | "io_write" | "io_read_ops" | "io_write_ops" => {
                    disks(disk_paths).err().map(|error| no_disk(&error))
                }
                "devices" => devices(limits),
                "hugetlb" => huge(limits, disk_paths),
                _ => None,
            }),
        };
        unsupported.extend(problem.map(|(why, hint)| Unsupported { key, why, hint }));
    }
    if is_systemd {
        unsupported.extend(unsupported_by_systemd(limits, systemd.err()));
    } else if let Some(parent) = &limits.parent {
        unsupported.extend(missing_parent(limits, &hierarchies, parent));
    }
    Ok(unsupported)
}

/// The limit that systemd refuses regardless of controllers.
fn unsupported_by_systemd(limits: &Limits, error: Option<Error>) -> Option<Unsupported> {
    if limits.parent.is_some() {
        return Some(Unsupported {
            key: "cgroup_parent",
            why: "systemd manages the host's control groups, and creates a slice for the jail"
                .to_owned(),
            hint: "remove the line; limits of all jails together: systemctl edit jailctl.slice"
                .to_owned(),
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
            "it needs the control group controller `{controller}`, which is not mounted at any of {}",
            hierarchies.shown()
        )
    };
    let hint = match controller {
        "net_cls" | "net_prio" => {
            format!(
                "it exists in v1 only: mount -t cgroup -o {controller} {controller} /sys/fs/cgroup/{controller}, before sshd starts; or remove the line"
            )
        }
        "devices" => {
            "remove the line: jails have no devices except those of their `/dev`".to_owned()
        }
        _ => "mount it, before sshd starts (cgroups(7)), or remove the line".to_owned(),
    };
    (why, hint)
}

/// A mounted controller that cannot be used.
fn unusable(hierarchy: &Hierarchy, controller: &str) -> Option<Reason> {
    (!hierarchy.is_writable).then(|| {
        (
            format!(
                "the control groups of `{controller}` in `{}` are mounted read-only",
                hierarchy.mount.display()
            ),
            "mount them writable".to_owned(),
        )
    })
}

fn swap(hierarchy: &Hierarchy) -> Option<Reason> {
    // The root group of v2 does not have the file in any case: there the session fails.
    let file = hierarchy.mount.join("memory.memsw.limit_in_bytes");
    (hierarchy.version == Version::V1 && !kernel_file::exists(&file)).then(|| {
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
    let (available, wanted) = (parse_cpu_list(has.trim()), parse_cpu_list(wanted));
    let missing = wanted.iter().find(|number| !available.contains(number));
    Ok(missing.map(|number| {
        (
            format!(
                "there is no processor {number}: `{}` contains `{}`",
                file.display(),
                has.trim()
            ),
            "list existing processors".to_owned(),
        )
    }))
}

fn no_disk(error: &Error) -> Reason {
    (
        error.to_string(),
        "only files on a disk of the host can be limited; remove the line".to_owned(),
    )
}

/// A weight takes effect with the BFQ scheduler, and with the cost model of v2.
fn weight(hierarchy: &Hierarchy, disk_paths: &[&Path]) -> Option<Reason> {
    let disks = match disks(disk_paths) {
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
            format!("the scheduler of the disk `{disk}` is `{now}`, which ignores weights"),
            format!(
                "echo bfq >{}, in a udev rule to make it permanent; or remove the line",
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
    let error = HostDevices::read(&only, &[]).err()?;
    Some((
        error.to_string(),
        "name a character device of the host".to_owned(),
    ))
}

fn huge(limits: &Limits, disk_paths: &[&Path]) -> Option<Reason> {
    let only = Limits {
        hugetlb: limits.hugetlb,
        ..Limits::default()
    };
    let has = HostDevices::read(&only, disk_paths).is_ok_and(|host| !host.huge.is_empty());
    (!has).then(|| {
        (
            "the kernel has no huge pages: there is nothing in `/sys/kernel/mm/hugepages`"
                .to_owned(),
            "remove the line".to_owned(),
        )
    })
}

fn missing_parent(limits: &Limits, hierarchies: &Hierarchies, parent: &str) -> Option<Unsupported> {
    let wanted = hierarchies.required(limits).ok()?;
    let at = wanted
        .iter()
        .map(|hierarchy| hierarchy.mount.join(parent))
        .find(|path| !kernel_file::exists(path))?;
    Some(Unsupported {
        key: "cgroup_parent",
        why: format!("there is no control group `{}`", at.display()),
        hint: format!(
            "create it at each boot, before sshd starts: mkdir -p {}",
            at.display()
        ),
    })
}
