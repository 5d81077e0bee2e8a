//! The control file and the format of each limit: cgroups(7), and `admin-guide/cgroup-v1` and
//! `cgroup-v2` of the kernel documentation.

use std::path::Path;

use super::block_device::{self, Disk, disks};
use super::hierarchy::{Hierarchy, Version};
use super::kernel_file;
use crate::Error;
use crate::policy::Limits;
use crate::shared_layout::DEVICES;

/// Period of the CPU quota in microseconds: the default of the kernel.
const PERIOD: u32 = 100_000;

/// Directory with a subdirectory for each size of huge pages.
const HUGE_PAGES: &str = "/sys/kernel/mm/hugepages";

/// Devices of terminals, as (major, minor), with `None` for all minor numbers. Sessions may use
/// them in addition to [`DEVICES`].
const TERMINALS: [(u32, Option<u32>); 2] = [(5, Some(2)), (136, None)];

/// The same for systemd, which names the terminals as a class: systemd.resource-control(5).
const TERMINAL_PATHS: [&str; 2] = ["/dev/ptmx", "char-pts"];

/// Devices that every session may use, in the form of systemd.
pub(super) fn device_paths() -> impl Iterator<Item = String> {
    let named = DEVICES.into_iter().map(|(name, ..)| format!("/dev/{name}"));
    named.chain(TERMINAL_PATHS.map(str::to_owned))
}

/// Control file of a group, and the values written to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Setting {
    pub(super) file: String,
    /// Values, each written by a call of its own.
    pub(super) values: Vec<String>,
    /// File and values for kernels that do not have `file`.
    pub(super) fallback: Option<(String, Vec<String>)>,
    /// Whether the setting is left out on kernels without the file.
    pub(super) is_optional: bool,
}

impl Setting {
    fn new(file: impl Into<String>, value: &impl ToString) -> Self {
        Self {
            file: file.into(),
            values: vec![value.to_string()],
            fallback: None,
            is_optional: false,
        }
    }

    fn if_exists(mut self) -> Self {
        self.is_optional = true;
        self
    }

    fn or_else(mut self, file: &str, value: &impl ToString) -> Self {
        self.fallback = Some((file.to_owned(), vec![value.to_string()]));
        self
    }
}

/// Properties of this host that limits refer to; read once for each session.
#[derive(Debug, Default)]
pub(super) struct HostDevices {
    /// Disks of the jail.
    pub(super) disks: Vec<Disk>,
    /// Sizes of huge pages as control files name them: `2MB`.
    pub(super) huge: Vec<String>,
    /// Devices of the spec, as (major, minor).
    pub(super) devices: Vec<(u32, u32)>,
    /// Names of the network interfaces.
    pub(super) interfaces: Vec<String>,
}

impl HostDevices {
    /// Reads what `limits` refer to. `disk_paths` are paths on the disks of the jail.
    pub(super) fn read(limits: &Limits, disk_paths: &[&Path]) -> Result<Self, Error> {
        let mut host = Self::default();
        if limits.has_rates() || limits.io_weight.is_some() {
            host.disks = disks(disk_paths)?;
        }
        if limits.hugetlb.is_some() {
            let names = kernel_file::list(Path::new(HUGE_PAGES))?;
            host.huge = names.iter().filter_map(|name| huge(name)).collect();
        }
        for device in limits.devices.iter().flatten() {
            host.devices.push(block_device::char_device(device)?);
        }
        if limits.net_priority.is_some() {
            host.interfaces = kernel_file::list(Path::new("/sys/class/net"))?;
        }
        Ok(host)
    }
}

/// `2MB` for the directory `hugepages-2048kB`: the kernel names each size in two ways.
fn huge(name: &str) -> Option<String> {
    let size: u64 = name
        .strip_prefix("hugepages-")?
        .strip_suffix("kB")?
        .parse()
        .ok()?;
    Some(match size {
        size if size % (1 << 20) == 0 => format!("{}GB", size >> 20),
        size if size % (1 << 10) == 0 => format!("{}MB", size >> 10),
        size => format!("{size}KB"),
    })
}

/// The settings for the group of a jail in `hierarchy`, in the order in which they can be written.
pub(super) fn settings(limits: &Limits, hierarchy: &Hierarchy, host: &HostDevices) -> Vec<Setting> {
    let has = |controller: &str| hierarchy.controllers.iter().any(|name| name == controller);
    let mut all = Vec::new();
    match hierarchy.version {
        Version::V1 => v1(limits, &has, host, &mut all),
        Version::V2 => v2(limits, &has, host, &mut all),
    }
    all
}

fn v1(limits: &Limits, has: &dyn Fn(&str) -> bool, host: &HostDevices, all: &mut Vec<Setting>) {
    if has("memory")
        && let Some(memory) = limits.memory
    {
        all.push(Setting::new("memory.limit_in_bytes", &memory));
        // v1 counts socket buffers separately from other memory.
        all.push(Setting::new("memory.kmem.tcp.limit_in_bytes", &memory).if_exists());
        if let Some(swap) = limits.swap {
            // v1 limits the sum of memory and swap.
            let both = memory.saturating_add(swap);
            all.push(Setting::new("memory.memsw.limit_in_bytes", &both));
        }
    }
    if has("cpu") {
        if let Some(weight) = limits.cpu_weight {
            // 1024 is the default of a group.
            let shares = (u64::from(weight) * 1024 / 100).clamp(2, 262_144);
            all.push(Setting::new("cpu.shares", &shares));
        }
        if let Some(percent) = limits.cpu {
            all.push(Setting::new("cpu.cfs_period_us", &PERIOD));
            all.push(Setting::new("cpu.cfs_quota_us", &quota(percent)));
        }
    }
    if has("cpuset")
        && let Some(cpus) = &limits.cpus
    {
        all.push(Setting::new("cpuset.cpus", cpus));
    }
    if has("pids")
        && let Some(tasks) = limits.tasks
    {
        all.push(Setting::new("pids.max", &tasks));
    }
    if has("blkio") {
        if let Some(weight) = limits.io_weight {
            let old = (u64::from(weight) * 5).clamp(10, 1000);
            all.push(Setting::new("blkio.bfq.weight", &bfq(weight)).or_else("blkio.weight", &old));
        }
        for (file, rate) in rates(limits)
            .into_iter()
            .zip(["read_bps", "write_bps", "read_iops", "write_iops"])
            .map(|(rate, name)| (format!("blkio.throttle.{name}_device"), rate))
        {
            let Some(rate) = rate else { continue };
            let values = host.disks.iter().map(|disk| format!("{disk} {rate}"));
            all.push(Setting {
                file,
                values: values.collect(),
                fallback: None,
                is_optional: false,
            });
        }
    }
    if has("devices") && limits.devices.is_some() {
        let mut values = vec!["a".to_owned()];
        values.extend(devices(host));
        all.push(Setting {
            file: "devices.list".to_owned(),
            values,
            fallback: None,
            is_optional: false,
        });
    }
    if has("hugetlb")
        && let Some(bytes) = limits.hugetlb
    {
        let sizes = host.huge.iter();
        all.extend(
            sizes.map(|size| Setting::new(format!("hugetlb.{size}.limit_in_bytes"), &bytes)),
        );
    }
    if has("net_cls")
        && let Some(class) = limits.net_class
    {
        all.push(Setting::new("net_cls.classid", &class));
    }
    if has("net_prio")
        && let Some(priority) = limits.net_priority
    {
        let values = host
            .interfaces
            .iter()
            .map(|name| format!("{name} {priority}"));
        all.push(Setting {
            file: "net_prio.ifpriomap".to_owned(),
            values: values.collect(),
            fallback: None,
            is_optional: false,
        });
    }
}

fn v2(limits: &Limits, has: &dyn Fn(&str) -> bool, host: &HostDevices, all: &mut Vec<Setting>) {
    if has("memory") {
        if let Some(memory) = limits.memory {
            all.push(Setting::new("memory.max", &memory));
        }
        if let Some(swap) = limits.swap {
            all.push(Setting::new("memory.swap.max", &swap));
        }
    }
    if has("cpu") {
        if let Some(weight) = limits.cpu_weight {
            all.push(Setting::new("cpu.weight", &weight));
        }
        if let Some(percent) = limits.cpu {
            all.push(Setting::new(
                "cpu.max",
                &format!("{} {PERIOD}", quota(percent)),
            ));
        }
    }
    if has("cpuset")
        && let Some(cpus) = &limits.cpus
    {
        all.push(Setting::new("cpuset.cpus", cpus));
    }
    if has("pids")
        && let Some(tasks) = limits.tasks
    {
        all.push(Setting::new("pids.max", &tasks));
    }
    if has("io") {
        if let Some(weight) = limits.io_weight {
            all.push(Setting::new("io.weight", &weight).or_else("io.bfq.weight", &bfq(weight)));
        }
        let rates: Vec<String> = rates(limits)
            .into_iter()
            .zip(["rbps", "wbps", "riops", "wiops"])
            .filter_map(|(rate, name)| Some(format!("{name}={}", rate?)))
            .collect();
        if !rates.is_empty() {
            let rates = rates.join(" ");
            let values = host.disks.iter().map(|disk| format!("{disk} {rates}"));
            all.push(Setting {
                file: "io.max".to_owned(),
                values: values.collect(),
                fallback: None,
                is_optional: false,
            });
        }
    }
    if has("hugetlb")
        && let Some(bytes) = limits.hugetlb
    {
        let sizes = host.huge.iter();
        all.extend(sizes.map(|size| Setting::new(format!("hugetlb.{size}.max"), &bytes)));
    }
}

fn quota(percent: u32) -> u64 {
    u64::from(percent) * u64::from(PERIOD) / 100
}

/// Weight for BFQ, which has a range of 1 to 1000 and a default of 100.
fn bfq(weight: u32) -> u32 {
    if weight <= 100 {
        weight.max(1)
    } else {
        100 + (weight.min(10_000) - 100) / 11
    }
}

/// Bytes read, bytes written, read operations and write operations per second.
pub(super) fn rates(limits: &Limits) -> [Option<u64>; 4] {
    [
        limits.io_read,
        limits.io_write,
        limits.io_read_ops.map(u64::from),
        limits.io_write_ops.map(u64::from),
    ]
}

/// Devices that may be opened, in the format of `devices.list` of v1.
fn devices(host: &HostDevices) -> Vec<String> {
    let given = host.devices.iter();
    let given = given.map(|(major, minor)| (*major, Some(*minor)));
    let named = DEVICES
        .into_iter()
        .map(|(_, major, minor)| (major, Some(minor)));
    named
        .chain(TERMINALS)
        .chain(given)
        .map(|(major, minor)| {
            let minor = minor.map_or_else(|| "*".to_owned(), |minor| minor.to_string());
            format!("c {major}:{minor} rw")
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    fn limits() -> Limits {
        Limits {
            memory: Some(1 << 20),
            swap: Some(0),
            cpu: Some(150),
            cpu_weight: Some(50),
            cpus: Some("0-1".to_owned()),
            tasks: Some(64),
            io_weight: Some(10_000),
            io_read: Some(1000),
            io_write_ops: Some(7),
            devices: Some(vec![PathBuf::from("/dev/fuse")]),
            hugetlb: Some(4096),
            net_class: Some(0x10_0001),
            net_priority: Some(3),
            ..Limits::default()
        }
    }

    fn host() -> HostDevices {
        HostDevices {
            disks: vec![Disk {
                major: 254,
                minor: 0,
            }],
            huge: vec!["2MB".to_owned()],
            devices: vec![(10, 229)],
            interfaces: vec!["eth0".to_owned(), "lo".to_owned()],
        }
    }

    fn shown(version: Version, controllers: &[&str]) -> Vec<String> {
        let hierarchy = Hierarchy::of(version, controllers);
        let all = settings(&limits(), &hierarchy, &host());
        let line = |setting: Setting| format!("{} = {}", setting.file, setting.values.join("; "));
        all.into_iter().map(line).collect()
    }

    #[test]
    fn each_limit_has_its_file_in_v1() {
        let all = [
            "memory", "cpu", "cpuset", "pids", "blkio", "devices", "hugetlb", "net_cls", "net_prio",
        ];
        assert_eq!(
            shown(Version::V1, &all),
            [
                "memory.limit_in_bytes = 1048576",
                "memory.kmem.tcp.limit_in_bytes = 1048576",
                "memory.memsw.limit_in_bytes = 1048576",
                "cpu.shares = 512",
                "cpu.cfs_period_us = 100000",
                "cpu.cfs_quota_us = 150000",
                "cpuset.cpus = 0-1",
                "pids.max = 64",
                "blkio.bfq.weight = 1000",
                "blkio.throttle.read_bps_device = 254:0 1000",
                "blkio.throttle.write_iops_device = 254:0 7",
                "devices.list = a; c 1:3 rw; c 1:5 rw; c 1:7 rw; c 1:8 rw; c 1:9 rw; c 5:0 rw; c 5:2 rw; c 136:* rw; c 10:229 rw",
                "hugetlb.2MB.limit_in_bytes = 4096",
                "net_cls.classid = 1048577",
                "net_prio.ifpriomap = eth0 3; lo 3",
            ]
        );
        assert_eq!(shown(Version::V1, &["freezer"]), [""; 0]);
    }

    #[test]
    fn each_limit_has_its_file_in_v2() {
        let all = ["memory", "cpu", "cpuset", "pids", "io", "hugetlb"];
        assert_eq!(
            shown(Version::V2, &all),
            [
                "memory.max = 1048576",
                "memory.swap.max = 0",
                "cpu.weight = 50",
                "cpu.max = 150000 100000",
                "cpuset.cpus = 0-1",
                "pids.max = 64",
                "io.weight = 10000",
                "io.max = 254:0 rbps=1000 wiops=7",
                "hugetlb.2MB.max = 4096",
            ]
        );
    }

    #[test]
    fn weights_and_sizes_have_the_format_of_the_kernel() {
        assert_eq!(
            [1, 50, 100, 101, 1200, 10_000].map(bfq),
            [1, 50, 100, 100, 200, 1000]
        );
        let sizes = [
            "hugepages-64kB",
            "hugepages-2048kB",
            "hugepages-1048576kB",
            "x",
        ];
        let named: Vec<_> = sizes.into_iter().filter_map(huge).collect();
        assert_eq!(named, ["64KB", "2MB", "1GB"]);
    }
}
