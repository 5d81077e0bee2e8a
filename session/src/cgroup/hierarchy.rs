//! The cgroup hierarchies of the host: version, mount point, controllers.

use std::path::{Path, PathBuf};

use super::kernel_file;
use crate::Error;
use crate::mountinfo::unescape;
use crate::policy::Limits;

/// Group above the groups of all jails in each hierarchy, unless a policy names another one.
/// Created with the first of them and removed with the last.
pub(super) const PARENT: &str = "jailctl";

/// Controllers whose groups a session joins wherever the host has them, limited or not: for the
/// counts of [`usage`](fn@super::usage), and for freezing.
pub(super) const ACCOUNTING: [&str; 6] = ["cpu", "cpuacct", "memory", "pids", "io", "freezer"];

/// Controllers of v1 that concern sessions.
const CONTROLLERS: [&str; 11] = [
    "cpu", "cpuacct", "cpuset", "memory", "devices", "freezer", "blkio", "pids", "hugetlb",
    "net_cls", "net_prio",
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Version {
    V1,
    V2,
}

impl Version {
    /// File by which a process with one thread moves itself. The [module](super) explains the
    /// difference.
    pub(super) fn procs_file(self) -> &'static str {
        match self {
            Self::V1 => "tasks",
            Self::V2 => "cgroup.procs",
        }
    }
}

/// One hierarchy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Hierarchy {
    pub(super) version: Version,
    /// Mount point.
    pub(super) mount: PathBuf,
    /// Group at the mount point: `/`, or in some containers their own group.
    top: String,
    /// Whether groups can be created in it.
    pub(super) is_writable: bool,
    pub(super) controllers: Vec<String>,
}

/// All hierarchies of the host.
#[derive(Debug)]
pub(super) struct Hierarchies(Vec<Hierarchy>);

impl Hierarchies {
    pub(super) fn read() -> Result<Self, Error> {
        let mut found = parse(&kernel_file::read(Path::new("/proc/self/mountinfo"))?);
        for hierarchy in &mut found {
            if hierarchy.version == Version::V2 {
                let names = kernel_file::read(&hierarchy.mount.join("cgroup.controllers"))?;
                hierarchy.controllers = names.split_whitespace().map(str::to_owned).collect();
                // Every group of v2 can be frozen, without a controller.
                hierarchy.controllers.push("freezer".to_owned());
            }
        }
        Ok(Self(found))
    }

    /// The first hierarchy with the controller, named as in v2; v1 before v2.
    pub(super) fn with_controller(&self, controller: &str) -> Option<&Hierarchy> {
        let has = |version, controller: &str| {
            self.0
                .iter()
                .find(|hierarchy| hierarchy.version == version && hierarchy.has(controller))
        };
        let in_v1 = if controller == "io" {
            "blkio"
        } else {
            controller
        };
        has(Version::V1, in_v1).or_else(|| has(Version::V2, controller))
    }

    /// The hierarchy, if it is the only one with controllers.
    pub(super) fn single(&self) -> Option<&Hierarchy> {
        match &self.0[..] {
            [one] => Some(one),
            _ => None,
        }
    }

    /// Whether v2 is mounted where systemd mounts it when it uses v2 alone: sd_booted(3) and
    /// related functions check the same path.
    pub(super) fn is_unified(&self) -> bool {
        self.0
            .iter()
            .any(|one| one.version == Version::V2 && one.mount == Path::new("/sys/fs/cgroup"))
    }

    /// Whether the host has no hierarchy.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The hierarchies in which a session has a group.
    ///
    /// # Errors
    /// [`Error::Unsupported`] if the controller of a limit is in no hierarchy.
    pub(super) fn required(&self, limits: &Limits) -> Result<Vec<&Hierarchy>, Error> {
        for (key, controller) in limits.needs() {
            if self.with_controller(controller).is_none() {
                return Err(Error::Unsupported(format!(
                    "the limit `{key}` needs the control group controller `{controller}`, which this \
                     host does not have"
                )));
            }
        }
        Ok(self.relevant(limits))
    }

    /// The hierarchies with a controller of a limit or of [`ACCOUNTING`], each once.
    pub(super) fn relevant(&self, limits: &Limits) -> Vec<&Hierarchy> {
        let needed = limits.needs().into_iter().map(|(_, controller)| controller);
        let mut found: Vec<&Hierarchy> = Vec::new();
        for controller in needed.chain(ACCOUNTING) {
            if let Some(hierarchy) = self.with_controller(controller)
                && !found.iter().any(|known| known.mount == hierarchy.mount)
            {
                found.push(hierarchy);
            }
        }
        found
    }

    /// The mount points, for messages.
    pub(super) fn shown(&self) -> String {
        let mounts = self.0.iter();
        let mounts = mounts.map(|hierarchy| format!("`{}`", hierarchy.mount.display()));
        mounts.collect::<Vec<_>>().join(", ")
    }
}

impl Hierarchy {
    pub(super) fn has(&self, controller: &str) -> bool {
        self.controllers.iter().any(|name| name == controller)
    }

    /// A hierarchy for tests.
    #[cfg(test)]
    pub(super) fn of(version: Version, controllers: &[&str]) -> Self {
        Self {
            version,
            mount: PathBuf::from("/sys/fs/cgroup"),
            top: "/".to_owned(),
            is_writable: true,
            controllers: controllers.iter().map(ToString::to_string).collect(),
        }
    }

    /// Path of the group of a process, from the content of its `/proc/PID/cgroup`.
    pub(super) fn cgroup_of(&self, text: &str) -> Result<PathBuf, Error> {
        let unknown = || {
            Error::Unsupported(format!(
                "the control group of the process is not below `{}`",
                self.mount.display()
            ))
        };
        let line = text.lines().find_map(|line| {
            let mut parts = line.splitn(3, ':');
            let (_, controllers, path) = (parts.next()?, parts.next()?, parts.next()?);
            let ours = match self.version {
                Version::V2 => controllers.is_empty(),
                Version::V1 => controllers
                    .split(',')
                    .any(|name| self.controllers.iter().any(|ours| ours == name)),
            };
            ours.then_some(path)
        });
        let path = line.ok_or_else(unknown)?;
        let below = Path::new(path)
            .strip_prefix(&self.top)
            .map_err(|_| unknown())?;
        if below.components().any(|part| part.as_os_str() == "..") {
            return Err(unknown());
        }
        Ok(self.mount.join(below))
    }
}

/// Parses `/proc/PID/mountinfo`, proc(5). It does not contain the controllers of v2.
fn parse(table: &str) -> Vec<Hierarchy> {
    let mut found: Vec<Hierarchy> = Vec::new();
    for line in table.lines() {
        let Some((left, right)) = line.split_once(" - ") else {
            continue;
        };
        let left: Vec<&str> = left.split(' ').collect();
        let right: Vec<&str> = right.split(' ').collect();
        let (Some(top), Some(mount), Some(options), Some(kind), Some(super_options)) = (
            left.get(3),
            left.get(4),
            left.get(5),
            right.first(),
            right.get(2),
        ) else {
            continue;
        };
        // Earlier mounts at this path or below are hidden.
        let mount = PathBuf::from(unescaped(mount));
        found.retain(|other| !other.mount.starts_with(&mount));
        let version = match *kind {
            "cgroup" => Version::V1,
            "cgroup2" => Version::V2,
            _ => continue,
        };
        let controllers: Vec<String> = super_options
            .split(',')
            .filter(|word| CONTROLLERS.contains(word))
            .map(str::to_owned)
            .collect();
        if version == Version::V1 && controllers.is_empty() {
            continue;
        }
        let is_writable = |options: &str| options.split(',').all(|word| word != "ro");
        found.push(Hierarchy {
            version,
            mount,
            top: unescaped(top),
            is_writable: is_writable(options) && is_writable(super_options),
            controllers,
        });
    }
    // One hierarchy can be mounted at several paths.
    let mut each: Vec<Hierarchy> = Vec::new();
    for one in found {
        let is_one = |other: &Hierarchy| {
            (other.version, &other.controllers) == (one.version, &one.controllers)
        };
        if !each.iter().any(is_one) {
            each.push(one);
        }
    }
    each
}

/// Text of a field of mountinfo.
fn unescaped(field: &str) -> String {
    String::from_utf8_lossy(&unescape(field.as_bytes())).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HYBRID: &str = "\
25 20 0:22 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
26 25 0:23 / /sys/fs/cgroup/cpu,cpuacct rw,nosuid - cgroup cgroup rw,cpu,cpuacct
27 25 0:24 / /sys/fs/cgroup/pids ro,relatime shared:9 - cgroup cgroup rw,pids
28 25 0:25 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,name=systemd
29 25 0:26 /box /sys/fs/cgroup/my\\040two rw - cgroup2 cgroup2 rw,nsdelegate
30 25 0:24 / /mnt/pids rw - cgroup cgroup rw,pids
";

    #[test]
    fn a_table_of_mounts_is_read() {
        let found = parse(HYBRID);
        let mounts: Vec<_> = found.iter().map(|one| one.mount.to_str()).collect();
        assert_eq!(
            mounts,
            [
                Some("/sys/fs/cgroup/cpu,cpuacct"),
                Some("/sys/fs/cgroup/pids"),
                Some("/sys/fs/cgroup/my two")
            ]
        );
        assert_eq!(found[0].controllers, ["cpu", "cpuacct"]);
        assert!(found[0].is_writable && !found[1].is_writable);
        assert_eq!(found[2].version, Version::V2);
    }

    #[test]
    fn what_is_mounted_over_is_hidden() {
        let over = "31 25 0:24 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids\n";
        let found = parse(&format!("{HYBRID}{over}"));
        let pids = |one: &&Hierarchy| one.controllers == ["pids"];
        assert!(found.iter().find(pids).unwrap().is_writable);
        let over = "32 20 0:30 / /sys/fs rw - tmpfs tmpfs rw\n";
        let left = parse(&format!("{HYBRID}{over}"));
        assert_eq!(left.len(), 1, "{left:?}");
    }

    #[test]
    fn a_process_is_found_in_each() {
        let found = parse(HYBRID);
        let text = "3:cpu,cpuacct:/a\n2:pids:/\n1:name=systemd:/x\n0::/box/b\n";
        let origin = |at: usize| found[at].cgroup_of(text).unwrap();
        assert_eq!(origin(0), Path::new("/sys/fs/cgroup/cpu,cpuacct/a"));
        assert_eq!(origin(1), Path::new("/sys/fs/cgroup/pids"));
        assert_eq!(origin(2), Path::new("/sys/fs/cgroup/my two/b"));
        for outside in ["0::/elsewhere\n", "0::/box/../..\n", ""] {
            assert!(found[2].cgroup_of(outside).is_err(), "{outside}");
        }
    }

    #[test]
    fn v1_comes_before_v2() {
        let mut found = parse(HYBRID);
        found[2].controllers = vec!["pids".to_owned(), "io".to_owned()];
        let all = Hierarchies(found);
        assert_eq!(all.with_controller("pids").unwrap().version, Version::V1);
        assert_eq!(all.with_controller("io").unwrap().version, Version::V2);
        assert_eq!(all.with_controller("memory"), None);
    }
}
