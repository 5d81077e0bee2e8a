//! Control groups under systemd: a scope for each session in the slice of its jail, which has the
//! limits, by `StartTransientUnit` of org.freedesktop.systemd1(5). The control files of the slice
//! are then compared with the limits, because systemd ignores properties that the kernel does not
//! support.
//!
//! The slice, `jailctl-NAME.slice`, is created for the first session and removed after the last
//! one; it has no unit file on disk.

use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rustix::process::getpid;

use super::control_files::{self, HostDevices, Setting, settings};
use super::cpu_list::parse_cpu_list;
use super::dbus::{Bus, Encoder, Failure, Method};
use super::hierarchy::{Hierarchies, Hierarchy};
use super::kernel_file::{exists, read, read_if_exists};
use crate::Error;
use crate::policy::Limits;

/// Timeout of all calls to systemd at the beginning of a session.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Pause between two checks whether systemd has moved the process.
const ROUND: Duration = Duration::from_millis(1);
/// D-Bus error for a unit that exists already.
const EXISTS: &str = "org.freedesktop.systemd1.UnitExists";
/// Property for the effect of an out-of-memory kill on the unit.
const OOM: &str = "OOMPolicy";
/// Parent slice of the slices of all jails, by its name: systemd.slice(5).
const SLICES: &str = "jailctl.slice";

/// Maximum number of tasks of one session, in per cent of that of the system, in addition to the
/// limits of the jail: systemd's default for a unit.
const TASKS_OF_SESSION: u32 = 15;
/// Maximum number of tasks of all sessions of a jail without a limit of tasks, in per cent of that
/// of the system: systemd's default for a user.
const TASKS_OF_JAIL: u32 = 33;
/// CPU weight of all sessions of all jails together where the processors are short: a fifth of
/// systemd's default of 100, which `system.slice` with the services of the host has. On an idle
/// machine it has no effect.
const CPU_WEIGHT_OF_ALL: u64 = 20;

/// Limits for which systemd has no property.
pub(super) const UNSUPPORTED: [&str; 4] =
    ["hugetlb", "net_cls_classid", "net_prio", "cgroup_parent"];

/// Whether systemd runs the host: sd_booted(3).
pub(super) fn is_running() -> bool {
    exists(Path::new("/run/systemd/system"))
}

/// Name of the slice of a jail. A `-` in it would make it a child of another jail's slice.
fn slice(jail: &str) -> String {
    format!("jailctl-{}.slice", jail.replace('-', "\\x2d"))
}

/// Path of the group of the slice of a jail.
pub(super) fn directory(hierarchy: &Hierarchy, jail: &str) -> PathBuf {
    hierarchy.mount.join(SLICES).join(slice(jail))
}

/// The hierarchy of v2 that systemd manages. `None` without systemd, and where systemd uses v1:
/// there it manages the groups of its own units alone, and other programs create theirs beside
/// them.
pub(super) fn hierarchy(hierarchies: &Hierarchies) -> Result<Option<&Hierarchy>, Error> {
    if !is_running() || !hierarchies.is_unified() {
        return Ok(None);
    }
    hierarchies.single().map(Some).ok_or_else(|| {
        Error::Unsupported(
            "control groups of v1 are mounted beside v2, which systemd manages".to_owned(),
        )
    })
}

/// Owner of a scope.
#[derive(Clone, Copy, Debug)]
pub(super) struct Owner<'o> {
    /// Name of the jail.
    pub(super) jail: &'o str,
    /// Login name.
    pub(super) user: &'o str,
}

/// Moves the calling process into a scope of its own in the slice of the jail.
pub(super) fn join(
    owner: Owner<'_>,
    limits: &Limits,
    hierarchy: &Hierarchy,
    host: &HostDevices,
) -> Result<(), Error> {
    let deadline = Instant::now() + TIMEOUT;
    let mut bus = Bus::connect(TIMEOUT).map_err(failed)?;
    let slice = slice(owner.jail);
    let scope = scope(owner.jail);
    // The parent slices are created in the same call if they do not exist, so that no process is in
    // them before their limits are set.
    let start = |bus: &mut Bus, slices: usize, has_oom_policy: bool| {
        let mut body = Encoder::default();
        body.text(&scope);
        body.text("fail");
        body.array(8, |all| {
            scope_properties(all, owner, &slice, has_oom_policy);
        });
        body.array(8, |units| {
            if slices > 0 {
                units.structure();
                units.text(&slice);
                units.array(8, |all| slice_properties(all, owner.jail, limits, host));
            }
            if slices > 1 {
                units.structure();
                units.text(SLICES);
                units.array(8, all_slice_properties);
            }
        });
        bus.call(manager("StartTransientUnit", "ssa(sv)a(sa(sv))"), &body)
    };
    let (mut slices, mut has_oom_policy) = (2, true);
    loop {
        match start(&mut bus, slices, has_oom_policy) {
            // Another jail has sessions, or this one.
            Err(Failure::ErrorReply(name, _)) if name == EXISTS && slices > 0 => slices -= 1,
            // Older versions do not have the property for scopes.
            Err(Failure::ErrorReply(_, text)) if text.contains(OOM) && has_oom_policy => {
                has_oom_policy = false;
            }
            started => break started.map_err(failed)?,
        }
    }
    let directory = directory(hierarchy, owner.jail);
    let expected = directory.join(&scope);
    while hierarchy.cgroup_of(&read(Path::new("/proc/self/cgroup"))?)? != expected {
        if Instant::now() > deadline {
            return Err(Error::Busy(format!(
                "systemd did not move the session into `{scope}`"
            )));
        }
        sleep(ROUND);
    }
    let all = settings(limits, hierarchy, host);
    if first_mismatch(&directory, &all)?.is_none() {
        return Ok(());
    }
    // The slice was created before the limits were changed, or by another program.
    let mut body = Encoder::default();
    body.text(&slice);
    body.boolean(true);
    body.array(8, |all| limit_properties(all, limits, host));
    bus.call(manager("SetUnitProperties", "sba(sv)"), &body)
        .map_err(failed)?;
    match first_mismatch(&directory, &all)? {
        None => Ok(()),
        Some(file) => Err(Error::Unsupported(format!(
            "systemd did not set a limit: `{}` has another value",
            directory.join(file).display()
        ))),
    }
}

/// Freezes or thaws the slice of a jail.
pub(super) fn set_frozen(jail: &str, freeze: bool, timeout: Duration) -> Result<(), Error> {
    let member = if freeze { "FreezeUnit" } else { "ThawUnit" };
    let mut body = Encoder::default();
    body.text(&slice(jail));
    let mut bus = Bus::connect(timeout).map_err(failed)?;
    bus.call(manager(member, "s"), &body).map_err(failed)
}

/// Stops the slice of a jail, which is empty, and removes its drop-ins.
pub(super) fn clear(jail: &str) -> Result<(), Error> {
    let slice = slice(jail);
    let mut bus = Bus::connect(TIMEOUT).map_err(failed)?;
    let mut stop = Encoder::default();
    stop.text(&slice);
    stop.text("replace");
    match bus.call(manager("StopUnit", "ss"), &stop) {
        // The unit does not exist.
        Ok(()) | Err(Failure::ErrorReply(..)) => {}
        Err(failure) => return Err(failed(failure)),
    }
    // systemd writes drop-ins if limits are changed while the slice exists.
    let drop_in = Path::new("/run/systemd/system.control").join(format!("{slice}.d"));
    if !exists(&drop_in) {
        return Ok(());
    }
    let mut revert = Encoder::default();
    revert.array(4, |names| names.text(&slice));
    bus.call(manager("RevertUnitFiles", "as"), &revert)
        .map_err(failed)
}

fn manager(member: &'static str, signature: &'static str) -> Method {
    Method {
        destination: "org.freedesktop.systemd1",
        path: "/org/freedesktop/systemd1",
        interface: "org.freedesktop.systemd1.Manager",
        member,
        signature,
    }
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "for `map_err`, which passes the value"
)]
fn failed(failure: Failure) -> Error {
    Error::Refused(format!(
        "systemd did not create the session's scope: {failure}"
    ))
}

/// Name of a scope that no other session had.
fn scope(jail: &str) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = now.map_or(0, |now| now.as_micros());
    let pid = getpid().as_raw_nonzero();
    format!("jailctl-{jail}-{pid}-{now}.scope")
}

fn scope_properties(all: &mut Encoder, owner: Owner<'_>, slice: &str, has_oom_policy: bool) {
    let Owner { jail, user } = owner;
    property(all, "Description", "s", |value| {
        value.text(&format!("Session of {user} in the jail {jail}"));
    });
    property(all, "Slice", "s", |value| value.text(slice));
    share_of_tasks(all, TASKS_OF_SESSION);
    property(all, "CollectMode", "s", |value| {
        value.text("inactive-or-failed");
    });
    if has_oom_policy {
        // By default systemd stops the whole scope after an out-of-memory kill of one process.
        property(all, OOM, "s", |value| value.text("continue"));
    }
    property(all, "PIDs", "au", |value| {
        value.array(4, |pids| {
            pids.u32(getpid().as_raw_nonzero().get().unsigned_abs());
        });
    });
}

/// Maximum number of tasks, in per cent of that of the system: `TasksMax=` of
/// systemd.resource-control(5).
fn share_of_tasks(all: &mut Encoder, percent: u32) {
    property(all, "TasksMaxScale", "u", |value| {
        value.u32(u32::MAX / 100 * percent);
    });
}

fn all_slice_properties(all: &mut Encoder) {
    property(all, "Description", "s", |value| {
        value.text("Sessions in jails");
    });
    property(all, "StopWhenUnneeded", "b", |value| value.boolean(true));
    // Drop-ins of the administrator (`systemctl edit jailctl.slice`) override it.
    property(all, "CPUWeight", "t", |value| value.u64(CPU_WEIGHT_OF_ALL));
}

fn slice_properties(all: &mut Encoder, jail: &str, limits: &Limits, host: &HostDevices) {
    property(all, "Description", "s", |value| {
        value.text(&format!("Sessions in the jail {jail}"));
    });
    property(all, "StopWhenUnneeded", "b", |value| value.boolean(true));
    if limits.tasks.is_none() {
        share_of_tasks(all, TASKS_OF_JAIL);
    }
    limit_properties(all, limits, host);
}

fn limit_properties(all: &mut Encoder, limits: &Limits, host: &HostDevices) {
    // Accounting for [`usage`](fn@super::usage).
    for name in [
        "CPUAccounting",
        "MemoryAccounting",
        "TasksAccounting",
        "IOAccounting",
    ] {
        property(all, name, "b", |value| value.boolean(true));
    }
    for (name, number) in [
        ("MemoryMax", limits.memory),
        ("MemorySwapMax", limits.swap),
        (
            "CPUQuotaPerSecUSec",
            limits.cpu.map(|percent| u64::from(percent) * 10_000),
        ),
        ("CPUWeight", limits.cpu_weight.map(u64::from)),
        ("TasksMax", limits.tasks.map(u64::from)),
        ("IOWeight", limits.io_weight.map(u64::from)),
    ] {
        if let Some(number) = number {
            property(all, name, "t", |value| value.u64(number));
        }
    }
    if let Some(cpus) = &limits.cpus {
        property(all, "AllowedCPUs", "ay", |value| {
            value.array(1, |bytes| {
                for byte in mask(cpus) {
                    bytes.byte(byte);
                }
            });
        });
    }
    let names = [
        "IOReadBandwidthMax",
        "IOWriteBandwidthMax",
        "IOReadIOPSMax",
        "IOWriteIOPSMax",
    ];
    for (name, rate) in names.into_iter().zip(control_files::rates(limits)) {
        let Some(rate) = rate else { continue };
        property(all, name, "a(st)", |value| {
            value.array(8, |disks| {
                for disk in &host.disks {
                    disks.structure();
                    disks.text(&format!("/dev/block/{disk}"));
                    disks.u64(rate);
                }
            });
        });
    }
    if let Some(devices) = &limits.devices {
        property(all, "DevicePolicy", "s", |value| value.text("strict"));
        property(all, "DeviceAllow", "a(ss)", |value| {
            value.array(8, |list| {
                let more = devices.iter().map(|path| path.display().to_string());
                for device in control_files::device_paths().chain(more) {
                    list.structure();
                    list.text(&device);
                    list.text("rw");
                }
            });
        });
    }
}

/// One property: its name, and a variant.
fn property(all: &mut Encoder, name: &str, kind: &str, value: impl FnOnce(&mut Encoder)) {
    all.structure();
    all.text(name);
    all.signature(kind);
    value(all);
}

/// Bitmap of processors, the first in the lowest bit of the first byte.
fn mask(cpus: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for number in parse_cpu_list(cpus) {
        let at = (number / 8) as usize;
        if bytes.len() <= at {
            bytes.resize(at + 1, 0);
        }
        if let Some(byte) = bytes.get_mut(at) {
            *byte |= 1 << (number % 8);
        }
    }
    bytes
}

/// The file of the first setting that the group does not have.
fn first_mismatch<'s>(group: &Path, all: &'s [Setting]) -> Result<Option<&'s str>, Error> {
    for setting in all {
        let mut file = &setting.file;
        let mut values = &setting.values;
        let mut text = read_if_exists(&group.join(file))?;
        if let (None, Some((other, others))) = (&text, &setting.fallback) {
            (file, values) = (other, others);
            text = read_if_exists(&group.join(file))?;
        }
        let matches = |text: &str| values.iter().all(|value| value_matches(file, text, value));
        if !text.is_some_and(|text| matches(&text)) {
            return Ok(Some(file));
        }
    }
    Ok(None)
}

/// Whether the content `text` of a control file means `value`.
fn value_matches(file: &str, text: &str, value: &str) -> bool {
    let text = text.trim();
    match file {
        "cpuset.cpus" => parse_cpu_list(text) == parse_cpu_list(value),
        "memory.max" | "memory.swap.max" => {
            // The kernel rounds to whole pages.
            let bytes = |text: &str| text.parse::<u64>().ok().map(|bytes| bytes >> 12);
            bytes(text).is_some() && bytes(text) == bytes(value)
        }
        "io.weight" | "io.bfq.weight" => text
            .lines()
            .any(|line| line.split_whitespace().next_back() == Some(value)),
        "io.max" => {
            let (disk, rates) = value.split_once(' ').unwrap_or((value, ""));
            text.lines().any(|line| {
                line.split_once(' ').is_some_and(|(of, found)| {
                    of == disk
                        && rates
                            .split(' ')
                            .all(|rate| found.split(' ').any(|word| word == rate))
                })
            })
        }
        _ => text == value,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_slice_is_in_another_jails() {
        assert_eq!(slice("arkham"), "jailctl-arkham.slice");
        assert_eq!(slice("a-b_c"), "jailctl-a\\x2db_c.slice");
    }

    /// The value of a property of type `t`, 64 bits at an offset that is a multiple of 8.
    fn u64_property(all: &Encoder, name: &str) -> Option<u64> {
        let head = [name.as_bytes(), b"\0\x01t\0"].concat();
        let bytes = all.bytes();
        let found = bytes.windows(head.len()).position(|part| part == head)?;
        let start = (found + head.len()).next_multiple_of(8);
        let value = bytes.get(start..start + 8)?.try_into().ok()?;
        Some(u64::from_le_bytes(value))
    }

    #[test]
    fn jails_together_weigh_less_than_services_and_each_as_its_limits_say() {
        let mut all = Encoder::default();
        all_slice_properties(&mut all);
        assert_eq!(u64_property(&all, "CPUWeight"), Some(20));

        let weight = |cpu_weight| {
            let limits = Limits {
                cpu_weight,
                ..Limits::default()
            };
            let mut all = Encoder::default();
            slice_properties(&mut all, "arkham", &limits, &HostDevices::default());
            u64_property(&all, "CPUWeight")
        };
        assert_eq!(weight(None), None);
        assert_eq!(weight(Some(50)), Some(50));
    }

    #[test]
    fn processors_are_bits() {
        assert_eq!(mask("0-2,9"), [7, 2]);
        assert_eq!(mask("16"), [0, 0, 1]);
    }

    #[test]
    fn control_files_are_compared_by_meaning() {
        for (file, text, value, is) in [
            ("pids.max", "64\n", "64", true),
            ("pids.max", "max\n", "64", false),
            ("memory.max", "67108864\n", "67109000", true),
            ("memory.max", "max\n", "max", false),
            ("memory.swap.max", "0\n", "0", true),
            ("cpu.max", "20000 100000\n", "20000 100000", true),
            ("cpu.max", "max 100000\n", "20000 100000", false),
            ("cpuset.cpus", "0-1\n", "0,1", true),
            ("cpuset.cpus", "\n", "0", false),
            ("io.weight", "default 50\n", "50", true),
            (
                "io.max",
                "254:0 rbps=9 wbps=max riops=max wiops=7\n",
                "254:0 rbps=9 wiops=7",
                true,
            ),
            (
                "io.max",
                "254:16 rbps=9 wbps=max riops=max wiops=7\n",
                "254:0 rbps=9",
                false,
            ),
            ("io.max", "", "254:0 rbps=9", false),
        ] {
            assert_eq!(value_matches(file, text, value), is, "{file}: {text}");
        }
    }
}
