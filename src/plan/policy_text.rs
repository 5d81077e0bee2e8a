//! Session policies as lines for administrators: namespaces, network, mounts and limits, in the
//! words of specs.

use jailctl_session::network::Port;
use jailctl_session::policy::{Flags, Mount, Policy, Source};

/// Binary prefixes of sizes in specs.
const UNITS: [(u64, char); 3] = [(1 << 30, 'G'), (1 << 20, 'M'), (1 << 10, 'K')];

/// The lines about a policy: what a session gets, as `namespaces: mnt pid`.
pub fn policy_lines(policy: &Policy) -> Vec<String> {
    let mut lines = vec![
        format!("namespaces: {}", namespaces(policy).join(" ")),
        format!("network: {}", network(policy)),
    ];
    lines.extend(policy.mounts.iter().map(|mount| {
        format!(
            "mount {}: {} ({})",
            mount.target.display(),
            source(mount),
            options(mount).join(",")
        )
    }));
    lines.extend(
        limits(policy)
            .into_iter()
            .map(|(key, value)| format!("limit {key}: {value}")),
    );
    lines
}

/// The namespaces of a session, by the names of unshare(1).
pub fn namespaces(policy: &Policy) -> Vec<&'static str> {
    let more = [
        (true, "mnt"),
        (policy.pid, "pid"),
        (policy.hostname.is_some(), "uts"),
        (policy.ipc, "ipc"),
        (policy.cgroup, "cgroup"),
        (policy.offline || policy.network.is_some(), "net"),
        (policy.ids.is_some(), "user"),
    ];
    let given = more.into_iter().filter(|(has, _)| *has);
    given.map(|(_, name)| name).collect()
}

/// The network of a session in one line.
fn network(policy: &Policy) -> String {
    let Some(network) = &policy.network else {
        return if policy.offline { "none" } else { "host" }.to_owned();
    };
    format!(
        "private, address {} behind {} on {}; in: {}; out: {}",
        network.address,
        network.gateway,
        network.link,
        list(&network.allow_in),
        list(&network.allow_out)
    )
}

fn list(ports: &[Port]) -> String {
    let words: Vec<String> = ports.iter().map(port).collect();
    if words.is_empty() {
        "none".to_owned()
    } else {
        words.join(" ")
    }
}

/// A port as in a spec: `tcp/80`.
pub fn port(port: &Port) -> String {
    match port {
        Port::Tcp(number) => format!("tcp/{number}"),
        Port::Udp(number) => format!("udp/{number}"),
    }
}

/// The source of a mount: a path of the host, or the name of a file system.
pub fn source(mount: &Mount) -> String {
    match &mount.source {
        Source::Bind(path) => path.display().to_string(),
        Source::Tmpfs { mode, size } => format!("tmpfs, size {size}, mode {mode:04o}"),
        Source::Proc => "proc".to_owned(),
        Source::Sys => "sysfs".to_owned(),
        Source::Log => "log of the host".to_owned(),
        Source::Terminals { .. } => "devpts".to_owned(),
    }
}

/// The options of a mount, as in a spec.
pub fn options(mount: &Mount) -> Vec<&'static str> {
    let Flags {
        ro,
        nosuid,
        nodev,
        noexec,
    } = mount.flags;
    let either = |is: bool, one, other| if is { one } else { other };
    let mut words = vec![
        either(ro, "ro", "rw"),
        either(nosuid, "nosuid", "suid"),
        either(nodev, "nodev", "dev"),
        either(noexec, "noexec", "exec"),
    ];
    if mount.optional {
        words.push("optional");
    }
    words
}

/// The limits by the keys of specs, with their values.
pub fn limits(policy: &Policy) -> Vec<(&'static str, String)> {
    let Some(limits) = &policy.limits else {
        return Vec::new();
    };
    let number = |value: Option<u32>| value.map(|value| value.to_string());
    let bytes = |value: Option<u64>| value.map(size);
    let rate = |value: Option<u64>| value.map(|value| format!("{}/s", size(value)));
    let devices = limits.devices.as_ref().map(|paths| {
        let paths: Vec<String> = paths
            .iter()
            .map(|path| path.display().to_string())
            .collect();
        if paths.is_empty() {
            "none".to_owned()
        } else {
            paths.join(" ")
        }
    });
    let all = [
        ("memory", bytes(limits.memory)),
        ("swap", bytes(limits.swap)),
        ("cpu", limits.cpu.map(|percent| format!("{percent}%"))),
        ("cpu_weight", number(limits.cpu_weight)),
        ("cpus", limits.cpus.clone()),
        ("tasks", number(limits.tasks)),
        ("io_weight", number(limits.io_weight)),
        ("io_read", rate(limits.io_read)),
        ("io_write", rate(limits.io_write)),
        ("io_read_ops", number(limits.io_read_ops)),
        ("io_write_ops", number(limits.io_write_ops)),
        ("devices", devices),
        ("hugetlb", bytes(limits.hugetlb)),
        ("net_cls_classid", number(limits.net_class)),
        ("net_prio", number(limits.net_priority)),
        ("open_files", number(limits.open_files)),
        ("core_size", bytes(limits.core_size)),
        ("max_sessions", number(limits.sessions)),
        ("cgroup_parent", limits.parent.clone()),
    ];
    let given = all.into_iter();
    given
        .filter_map(|(key, value)| Some((key, value?)))
        .collect()
}

/// A size as in a spec: `256M`.
fn size(bytes: u64) -> String {
    let unit = UNITS
        .iter()
        .find(|(unit, _)| bytes >= *unit && bytes.is_multiple_of(*unit));
    unit.map_or_else(
        || bytes.to_string(),
        |(unit, letter)| format!("{}{letter}", bytes / unit),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_those_of_specs() {
        assert_eq!(size(256 << 20), "256M");
        assert_eq!(size(1 << 30), "1G");
        assert_eq!(size(1500), "1500");
        assert_eq!(size(0), "0");
    }
}
