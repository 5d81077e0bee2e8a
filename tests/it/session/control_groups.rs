//! Parent groups for the jails of a test among the machine's own control groups, which each kernel
//! has once: one group of the test in each hierarchy.
#![expect(
    clippy::disallowed_methods,
    reason = "the machine's own groups, beside the copy"
)]

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::sleep;
use std::time::Duration;

/// Group of one test in each hierarchy of the machine, deleted when dropped.
pub(crate) struct Parent {
    name: String,
    groups: Vec<PathBuf>,
}

impl Parent {
    pub(crate) fn make() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("jailctl-test-{}-{count}", std::process::id());
        let mounts = std::fs::read_to_string("/proc/self/mountinfo").expect("the table of mounts");
        let mut groups = Vec::new();
        for line in mounts.lines() {
            let (left, right) = line.split_once(" - ").expect("a line of mountinfo");
            if right.starts_with("cgroup") && !right.contains("name=") {
                let at = left.split(' ').nth(4).expect("where it is mounted");
                let group = Path::new(at).join(&name);
                std::fs::create_dir(&group).expect("a group for the test");
                for file in ["cpuset.cpus", "cpuset.mems"] {
                    if group.join(file).exists() {
                        let value = std::fs::read_to_string(Path::new(at).join(file));
                        std::fs::write(group.join(file), value.expect("a value")).expect("one");
                    }
                }
                groups.push(group);
            }
        }
        assert!(!groups.is_empty(), "no control groups are mounted");
        Self { name, groups }
    }

    /// Line of a spec that sets the group as the parent of the jail's groups.
    pub(crate) fn line(&self) -> String {
        format!("cgroup_parent = \"/{}\"\n", self.name)
    }

    /// Group of the jail that has `file`; each controller is in one hierarchy.
    pub(crate) fn group(&self, jail: &str, file: &str) -> PathBuf {
        let mut groups = self.groups.iter().map(|group| group.join(jail));
        groups
            .find(|group| group.join(file).exists())
            .unwrap_or_else(|| panic!("no group of {jail} has {file}"))
    }

    pub(crate) fn read(&self, jail: &str, file: &str) -> String {
        let text = std::fs::read_to_string(self.group(jail, file).join(file));
        text.expect("a file of a group").trim().to_owned()
    }

    /// Groups below the parent, in any hierarchy.
    pub(crate) fn left(&self) -> Vec<PathBuf> {
        let directories = self.groups.iter().flat_map(|group| {
            std::fs::read_dir(group)
                .expect("the test's group")
                .map(|entry| entry.expect("an entry").path())
        });
        directories.filter(|path| path.is_dir()).collect()
    }

    /// Waits until no groups are below the parent.
    pub(crate) fn until_empty(&self) {
        for _ in 0..200 {
            if self.left().is_empty() {
                return;
            }
            sleep(Duration::from_millis(50));
        }
        panic!("groups are left: {:?}", self.left());
    }
}

impl Drop for Parent {
    fn drop(&mut self) {
        for group in &self.groups {
            for below in std::fs::read_dir(group).into_iter().flatten().flatten() {
                // Of a failed test; its processes end with the disposable host.
                let _ = std::fs::remove_dir(below.path());
            }
            let _ = std::fs::remove_dir(group);
        }
    }
}
