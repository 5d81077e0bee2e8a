//! Where systemd runs, the groups are its own: it is asked for a scope for each session, in a slice of the jail's that has the limits, by
//! `StartTransientUnit` of org.freedesktop.systemd1(5). What it did is then read from the slice's files, so that no property that it ignores is
//! taken for a limit.
//!
//! The slice, `jailctl-NAME.slice`, is made with the first session and goes with the last; no file of it is kept.

use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rustix::process::getpid;

use super::Limits;
use super::control_files::{self, HostDevices, Setting, settings};
use super::dbus::{Bus, Encoder, Failure, Method};
use super::hierarchy::{Hierarchies, Hierarchy};
use super::kernel_file::{is_there, read, read_if_exists};
use super::preflight::parse_cpu_list;
use crate::Error;

/// How long a session's beginning waits for systemd, all in all.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often it is looked whether systemd has moved the process.
const ROUND: Duration = Duration::from_millis(1);
/// What systemd answers if a unit is there already.
const EXISTS: &str = "org.freedesktop.systemd1.UnitExists";
/// The property of what a process's end for want of memory means for the rest.
const OOM: &str = "OOMPolicy";
/// The slice of all jails' slices, by the rule of their names: systemd.slice(5).
const SLICES: &str = "jailctl.slice";

/// Tasks of one session, in per cent of the system's, whatever the jail's limits are: as for a unit of the system.
const TASKS_OF_SESSION: u32 = 15;
/// Tasks of all sessions of a jail that has no limit of tasks: as for a user of the system.
const TASKS_OF_JAIL: u32 = 33;

/// The limits that systemd has no property for.
pub(super) const UNSUPPORTED: [&str; 4] =
    ["hugetlb", "net_cls_classid", "net_prio", "cgroup_parent"];

/// Whether systemd runs the host: sd_booted(3).
pub(super) fn is_here() -> bool {
    is_there(Path::new("/run/systemd/system"))
}

/// The name of the jail's slice. A `-` in a slice's name would put it into another's.
fn slice(jail: &str) -> String {
    format!("jailctl-{}.slice", jail.replace('-', "\\x2d"))
}

/// The group of the jail's slice.
pub(super) fn directory(hierarchy: &Hierarchy, jail: &str) -> PathBuf {
    hierarchy.mount.join(SLICES).join(slice(jail))
}

/// The hierarchy of v2 that systemd keeps for itself, where it does. `None` where there is no systemd, and where it runs the host with v1: there it
/// cares for the groups of its own units alone, and others make theirs beside them.
pub(super) fn hierarchy(hierarchies: &Hierarchies) -> Result<Option<&Hierarchy>, Error> {
    if !is_here() || !hierarchies.is_unified() {
        return Ok(None);
    }
    hierarchies.single().map(Some).ok_or_else(|| {
        Error::Refused(
            "control groups of v1 are mounted beside those of v2, which systemd keeps".to_owned(),
        )
    })
}

/// Whose session a scope is for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Owner<'o> {
    /// The jail.
    pub(super) jail: &'o str,
    /// The login name.
    pub(super) user: &'o str,
}

/// Moves the calling process into a scope of its own in the jail's slice.
pub(super) fn begin(
    owner: Owner<'_>,
    limits: &Limits,
    hierarchy: &Hierarchy,
    facts: &HostDevices,
) -> Result<(), Error> {
    let deadline = Instant::now() + PATIENCE;
    let mut bus = Bus::connect(PATIENCE).map_err(failed)?;
    let slice = slice(owner.jail);
    let scope = scope(owner.jail);
    // The slices above the scope are made in the same call, so that nobody is in them before their limits are: as many as there are not yet.
    let ask = |bus: &mut Bus, slices: usize, policy_of_oom: bool| {
        let mut body = Encoder::default();
        body.text(&scope);
        body.text("fail");
        body.array(8, |all| scope_properties(all, owner, &slice, policy_of_oom));
        body.array(8, |units| {
            if slices > 0 {
                units.structure();
                units.text(&slice);
                units.array(8, |all| slice_properties(all, owner.jail, limits, facts));
            }
            if slices > 1 {
                units.structure();
                units.text(SLICES);
                units.array(8, all_slice_properties);
            }
        });
        bus.call(manager("StartTransientUnit", "ssa(sv)a(sa(sv))"), &body)
    };
    let (mut slices, mut policy_of_oom) = (2, true);
    loop {
        match ask(&mut bus, slices, policy_of_oom) {
            // Another jail, and then this one, has sessions.
            Err(Failure::ErrorReply(name, _)) if name == EXISTS && slices > 0 => slices -= 1,
            // Older ones do not look after scopes in this way.
            Err(Failure::ErrorReply(_, text)) if text.contains(OOM) && policy_of_oom => {
                policy_of_oom = false;
            }
            asked => break asked.map_err(failed)?,
        }
    }
    let directory = directory(hierarchy, owner.jail);
    let wanted = directory.join(&scope);
    while hierarchy.origin(&read(Path::new("/proc/self/cgroup"))?)? != wanted {
        if Instant::now() > deadline {
            return Err(Error::Refused(format!(
                "systemd does not move the session into `{scope}`"
            )));
        }
        sleep(ROUND);
    }
    let all = settings(limits, hierarchy, facts);
    if first_mismatch(&directory, &all)?.is_none() {
        return Ok(());
    }
    // The slice is from before the limits were changed, or was made by somebody else.
    let mut body = Encoder::default();
    body.text(&slice);
    body.boolean(true);
    body.array(8, |all| limit_properties(all, limits, facts));
    bus.call(manager("SetUnitProperties", "sba(sv)"), &body)
        .map_err(failed)?;
    match first_mismatch(&directory, &all)? {
        None => Ok(()),
        Some(file) => Err(Error::Refused(format!(
            "systemd does not keep a limit: `{}` is not as it was asked for",
            directory.join(file).display()
        ))),
    }
}

/// Stops the jail's slice, or lets it go on.
pub(super) fn set_frozen(jail: &str, stop: bool, patience: Duration) -> Result<(), Error> {
    let member = if stop { "FreezeUnit" } else { "ThawUnit" };
    let mut body = Encoder::default();
    body.text(&slice(jail));
    let mut bus = Bus::connect(patience).map_err(failed)?;
    bus.call(manager(member, "s"), &body).map_err(failed)
}

/// Makes systemd forget the jail's slice, in which nobody is.
pub(super) fn clear(jail: &str) -> Result<(), Error> {
    let slice = slice(jail);
    let mut bus = Bus::connect(PATIENCE).map_err(failed)?;
    let mut stop = Encoder::default();
    stop.text(&slice);
    stop.text("replace");
    match bus.call(manager("StopUnit", "ss"), &stop) {
        // There is no such unit.
        Ok(()) | Err(Failure::ErrorReply(..)) => {}
        Err(failure) => return Err(failed(failure)),
    }
    // Where limits were changed while somebody was in, systemd has written that down.
    let drop_in = Path::new("/run/systemd/system.control").join(format!("{slice}.d"));
    if !is_there(&drop_in) {
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
    reason = "it stands in `map_err`, which gives the value"
)]
fn failed(failure: Failure) -> Error {
    Error::Refused(format!("could not get a place from systemd: {failure}"))
}

/// A name that no other session ever had.
fn scope(jail: &str) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = now.map_or(0, |now| now.as_micros());
    let pid = getpid().as_raw_nonzero();
    format!("jailctl-{jail}-{pid}-{now}.scope")
}

fn scope_properties(all: &mut Encoder, owner: Owner<'_>, slice: &str, policy_of_oom: bool) {
    let Owner { jail, user } = owner;
    property(all, "Description", "s", |value| {
        value.text(&format!("Session of {user} in the jail {jail}"));
    });
    property(all, "Slice", "s", |value| value.text(slice));
    share_of_tasks(all, TASKS_OF_SESSION);
    property(all, "CollectMode", "s", |value| {
        value.text("inactive-or-failed");
    });
    if policy_of_oom {
        // One process that was killed for want of memory would take the session with it.
        property(all, OOM, "s", |value| value.text("continue"));
    }
    property(all, "PIDs", "au", |value| {
        value.array(4, |pids| {
            pids.u32(getpid().as_raw_nonzero().get().unsigned_abs());
        });
    });
}

/// A limit of tasks, in per cent of what the system has room for: `TasksMax=` of systemd.resource-control(5).
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
}

fn slice_properties(all: &mut Encoder, jail: &str, limits: &Limits, facts: &HostDevices) {
    property(all, "Description", "s", |value| {
        value.text(&format!("Sessions in the jail {jail}"));
    });
    property(all, "StopWhenUnneeded", "b", |value| value.boolean(true));
    if limits.tasks.is_none() {
        share_of_tasks(all, TASKS_OF_JAIL);
    }
    limit_properties(all, limits, facts);
}

fn limit_properties(all: &mut Encoder, limits: &Limits, facts: &HostDevices) {
    // What is counted can be asked for.
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
                for disk in &facts.disks {
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
                let given = devices.iter().map(|path| path.display().to_string());
                for device in control_files::PATHS
                    .iter()
                    .map(ToString::to_string)
                    .chain(given)
                {
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

/// A set of processors, a bit for each, the first in the lowest bit of the first byte.
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
        if let (None, Some((other, others))) = (&text, &setting.or) {
            (file, values) = (other, others);
            text = read_if_exists(&group.join(file))?;
        }
        let is_kept = |text: &str| values.iter().all(|value| value_matches(file, text, value));
        if !text.is_some_and(|text| is_kept(&text)) {
            return Ok(Some(file));
        }
    }
    Ok(None)
}

/// Whether a file's `text` says `value`, in the kernel's own words.
fn value_matches(file: &str, text: &str, value: &str) -> bool {
    let text = text.trim();
    match file {
        "cpuset.cpus" => parse_cpu_list(text) == parse_cpu_list(value),
        "memory.max" | "memory.swap.max" => {
            // Whole pages.
            let bytes = |text: &str| text.parse::<u64>().ok().map(|bytes| bytes >> 12);
            bytes(text).is_some() && bytes(text) == bytes(value)
        }
        "io.weight" | "io.bfq.weight" => text
            .lines()
            .any(|line| line.split_whitespace().next_back() == Some(value)),
        "io.max" => {
            let (disk, rates) = value.split_once(' ').unwrap_or((value, ""));
            text.lines().any(|line| {
                line.split_once(' ').is_some_and(|(of, words)| {
                    of == disk
                        && rates
                            .split(' ')
                            .all(|rate| words.split(' ').any(|word| word == rate))
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

    #[test]
    fn processors_are_bits() {
        assert_eq!(mask("0-2,9"), [7, 2]);
        assert_eq!(mask("16"), [0, 0, 1]);
    }

    #[test]
    fn what_the_kernel_shows_is_compared_by_meaning() {
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
