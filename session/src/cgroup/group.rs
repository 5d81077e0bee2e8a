//! The control group of a jail in one hierarchy: create, limit, join, remove.
//!
//! The paths are below cgroup mounts, where only root creates directories, and no links exist.

use std::path::{Path, PathBuf};

use rustix::fs::{Mode, mkdir, rmdir};
use rustix::io::Errno;

use super::control_files::Setting;
use super::hierarchy::{ACCOUNTING, Hierarchies, Hierarchy, PARENT, Version};
use super::kernel_file::{exists, read, read_if_exists, write};
use super::systemd;
use crate::Error;
use crate::policy::Limits;

/// Attempts to create a directory that the end of another session removes in between.
const TRIES: usize = 16;

/// The control group of a jail in one hierarchy.
#[derive(Debug, Clone)]
pub(super) struct Group {
    version: Version,
    path: PathBuf,
    /// Parent directory of all jails, if it is jailctl's to remove.
    parent: Option<PathBuf>,
}

impl Group {
    /// The group of the jail in `hierarchy`, which need not exist.
    pub(super) fn at(hierarchy: &Hierarchy, jail: &str, limits: &Limits) -> Self {
        let parent = hierarchy
            .mount
            .join(limits.parent.as_deref().unwrap_or(PARENT));
        Self {
            version: hierarchy.version,
            // A jail `cpu.max` would have the name of a control file.
            path: parent.join(jail.replace('.', "@")),
            parent: limits.parent.is_none().then_some(parent),
        }
    }

    /// The group of the slice of the jail, which systemd creates and removes.
    pub(super) fn of_systemd(hierarchy: &Hierarchy, jail: &str) -> Self {
        Self {
            version: hierarchy.version,
            path: systemd::directory(hierarchy, jail),
            parent: None,
        }
    }

    /// The groups of the jail, existing or not: the one of its slice under systemd, otherwise one
    /// in each relevant hierarchy of the host.
    pub(super) fn locate(
        jail: &str,
        limits: &Limits,
        hierarchies: &Hierarchies,
    ) -> Result<Vec<Self>, Error> {
        if let Some(hierarchy) = systemd::hierarchy(hierarchies)? {
            return Ok(vec![Self::of_systemd(hierarchy, jail)]);
        }
        let relevant = hierarchies.relevant(limits).into_iter();
        Ok(relevant
            .map(|hierarchy| Self::at(hierarchy, jail, limits))
            .collect())
    }

    /// Creates the group with its parents if it does not exist, and enables the controllers it
    /// needs.
    pub(super) fn create(
        hierarchy: &Hierarchy,
        jail: &str,
        limits: &Limits,
    ) -> Result<Self, Error> {
        let group = Self::at(hierarchy, jail, limits);
        for _ in 0..TRIES {
            if let Some(parent) = &group.parent {
                create_dir(parent)?;
                enable_controllers(hierarchy, limits, &hierarchy.mount, parent)?;
            }
            let above = group.path.parent().unwrap_or(&hierarchy.mount);
            let created = match mkdir(&group.path, Mode::from_raw_mode(0o755)) {
                Ok(()) | Err(Errno::EXIST) => {
                    enable_controllers(hierarchy, limits, above, &group.path)
                }
                Err(errno) => Err(Error::on("create the control group", &group.path, errno)),
            };
            match created {
                Ok(()) => return Ok(group),
                Err(error) if group.parent.is_some() && error.errno() == Some(Errno::NOENT) => {}
                Err(error) => return Err(error),
            }
        }
        Err(Error::on(
            "create the control group",
            &group.path,
            Errno::NOENT,
        ))
    }

    pub(super) fn version(&self) -> Version {
        self.version
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn exists(&self) -> bool {
        exists(&self.path)
    }

    /// Whether the group exists and can be frozen.
    pub(super) fn has_freezer(&self) -> bool {
        let file = match self.version {
            Version::V1 => "freezer.state",
            Version::V2 => "cgroup.freeze",
        };
        exists(&self.path.join(file))
    }

    /// Writes one setting.
    pub(super) fn set(&self, setting: &Setting) -> Result<(), Error> {
        if setting.is_optional && !exists(&self.path.join(&setting.file)) {
            return Ok(());
        }
        let (file, values) = match &setting.fallback {
            Some((other, values)) if !exists(&self.path.join(&setting.file)) => (other, values),
            _ => (&setting.file, &setting.values),
        };
        if file == "devices.list" {
            return self.set_devices(values);
        }
        let path = self.path.join(file);
        let write_all = || values.iter().try_for_each(|value| write(&path, value));
        match (file.as_str(), write_all()) {
            // v1 keeps memory at most at the sum of memory and swap: where a limit rises, the sum
            // has to rise first, and is set again after this.
            ("memory.limit_in_bytes", Err(error)) if error.errno() == Some(Errno::INVAL) => {
                write(&self.path.join("memory.memsw.limit_in_bytes"), "-1")?;
                write_all()
            }
            (_, written) => written,
        }
    }

    /// v1 lists the devices in one file and changes the list by two others. A correct list is not
    /// touched, since open sessions use it.
    fn set_devices(&self, values: &[String]) -> Result<(), Error> {
        let path = self.path.join("devices.list");
        let list = read(&path)?;
        let allowed = values.iter().skip(1);
        if list.lines().count() == allowed.len()
            && allowed
                .clone()
                .all(|line| list.lines().any(|known| known == line))
        {
            return Ok(());
        }
        write(&self.path.join("devices.deny"), "a")?;
        let allow = self.path.join("devices.allow");
        allowed.into_iter().try_for_each(|line| write(&allow, line))
    }

    /// Moves the calling process, which has one thread, into the group.
    pub(super) fn join(&self) -> Result<(), Error> {
        write(&self.path.join(self.version.procs_file()), "0")
    }

    /// Whether the processes of the group are frozen or being frozen.
    pub(super) fn is_frozen(&self) -> Result<bool, Error> {
        let reads = |file| Ok(read_if_exists(&self.path.join(file))?.unwrap_or_default());
        Ok(match self.version {
            Version::V1 => matches!(reads("freezer.state")?.trim(), "FROZEN" | "FREEZING"),
            Version::V2 => reads("cgroup.freeze")?.trim() == "1",
        })
    }

    /// Removes the group if it is empty. Returns whether it no longer exists.
    pub(super) fn remove(&self) -> bool {
        let is_removed = matches!(rmdir(&self.path), Ok(()) | Err(Errno::NOENT));
        if let Some(parent) = &self.parent
            && is_removed
        {
            // Fails if another jail has a group in it.
            let _ = rmdir(parent);
        }
        is_removed
    }
}

fn create_dir(path: &Path) -> Result<(), Error> {
    match mkdir(path, Mode::from_raw_mode(0o755)) {
        Ok(()) | Err(Errno::EXIST) => Ok(()),
        Err(errno) => Err(Error::on("create the control group", path, errno)),
    }
}

/// Enables the controllers of `hierarchy` in the new group `below` of `above`: v2 enables a
/// controller in child groups only on request, and v1 creates a cpuset without processors and
/// memory nodes.
fn enable_controllers(
    hierarchy: &Hierarchy,
    limits: &Limits,
    above: &Path,
    below: &Path,
) -> Result<(), Error> {
    match hierarchy.version {
        Version::V2 => {
            let file = above.join("cgroup.subtree_control");
            let (enabled, available) = (read(&file)?, read(&above.join("cgroup.controllers"))?);
            let is_in = |list: &str, name: &str| list.split_whitespace().any(|word| word == name);
            // Controllers for accounting alone are enabled where they are available.
            let accounting = ACCOUNTING
                .into_iter()
                .filter(|name| is_in(&available, name));
            let needed = limits.needs().into_iter().map(|(_, name)| name);
            let mut missing: Vec<String> = needed
                .chain(accounting)
                .filter(|name| hierarchy.has(name) && *name != "freezer" && !is_in(&enabled, name))
                .map(|name| format!("+{name}"))
                .collect();
            missing.sort_unstable();
            missing.dedup();
            if missing.is_empty() {
                return Ok(());
            }
            write(&file, &missing.join(" "))
        }
        Version::V1 => {
            for file in ["cpuset.cpus", "cpuset.mems"] {
                let path = below.join(file);
                // The file exists in the hierarchy of cpuset only.
                if read_if_exists(&path)?.is_some_and(|text| text.trim().is_empty()) {
                    write(&path, read(&above.join(file))?.trim())?;
                }
            }
            Ok(())
        }
    }
}
