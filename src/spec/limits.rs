//! `[limits]`: limits on all sessions of a jail together.

use std::collections::BTreeMap;

use jailctl_session::cgroup::Limits;

use super::constraint::Violation;
use super::findings::Findings;
use super::typed_table::{Table, Value};
use crate::error::Finding;
use crate::span::Span;

/// Minimum memory, in bytes: sshd processes of the connection are in the group too.
const LEAST_MEMORY: u64 = 8 << 20;
/// Number of CPUs that no kernel exceeds.
const MOST_CPUS: u32 = 8192;
/// Devices with write access to memory or ports of the machine, which is equivalent to root.
const POWERS: [&str; 4] = ["/dev/mem", "/dev/kmem", "/dev/port", "/dev/kmsg"];

/// `[limits]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LimitsSpec {
    /// The table's header.
    pub site: Span,
    /// Values in the form of session policies.
    pub values: Limits,
    /// Spans of the values, by key.
    pub sites: BTreeMap<&'static str, Span>,
}

impl LimitsSpec {
    /// Span of `key`; the span of the table if it is absent.
    pub fn span_of(&self, key: &str) -> &Span {
        self.sites.get(key).unwrap_or(&self.site)
    }
}

/// Converts the table; refused values are absent.
pub(crate) fn build(table: &Table) -> LimitsSpec {
    let bytes = |key| table.text(key).and_then(|(text, _)| size_or_none(text));
    let number = |key| match table.entries.get(key)?.value {
        Value::Integer(number) => u32::try_from(number).ok(),
        _ => None,
    };
    let values = Limits {
        memory: bytes("memory"),
        swap: bytes("swap"),
        cpu: table
            .text("cpu")
            .and_then(|(text, _)| percent(text).ok())
            .map(u32::from),
        cpu_weight: number("cpu_weight"),
        cpus: table.text("cpus").map(|(text, _)| text.to_owned()),
        tasks: number("tasks"),
        io_weight: number("io_weight"),
        io_read: bytes("io_read"),
        io_write: bytes("io_write"),
        io_read_ops: number("io_read_ops"),
        io_write_ops: number("io_write_ops"),
        devices: table.entries.get("devices").map(|_| {
            let devices = table.texts("devices").iter();
            devices.map(|(text, _)| text.into()).collect()
        }),
        hugetlb: bytes("hugetlb"),
        net_class: number("net_cls_classid"),
        net_priority: number("net_prio"),
        open_files: number("open_files"),
        core_size: bytes("core_size"),
        sessions: number("max_sessions"),
        parent: table
            .text("cgroup_parent")
            .and_then(|(text, _)| control_group(text).ok())
            .map(str::to_owned),
    };
    let sites = table.entries.iter();
    LimitsSpec {
        site: table.site.clone(),
        values,
        sites: sites.map(|(key, node)| (*key, node.site.clone())).collect(),
    }
}

/// Adds a finding for each conflict between limits.
pub(crate) fn check(limits: &LimitsSpec, findings: &mut Findings) {
    if !limits.sites.contains_key("memory") && limits.sites.contains_key("swap") {
        findings.add(
            Finding::new("`limits.swap` requires `limits.memory`")
                .why("swap space can be limited only together with memory")
                .with_span(limits.span_of("swap"), "")
                .hint("add a line such as `memory = \"256M\"`"),
        );
    }
    if limits
        .values
        .memory
        .is_some_and(|memory| memory < LEAST_MEMORY)
    {
        findings.add(
            Finding::new("`limits.memory` is too small")
                .why("the sshd processes of a connection are in the control group too, and would be killed")
                .with_span(limits.span_of("memory"), "less than 8M")
                .hint("the minimum is 8M; a shell and its programs need more"),
        );
    }
}

/// Parses a number of bytes: digits, and `K`, `M`, `G` or `T` for powers of 1024. Not 0.
pub(crate) fn size(text: &str) -> Result<u64, Violation> {
    let form = || Violation::form("is not a number with `K`, `M`, `G` or `T`");
    let digits = text.trim_end_matches(['K', 'M', 'G', 'T']);
    let power = match &text[digits.len()..] {
        "" => 0,
        "K" => 10,
        "M" => 20,
        "G" => 30,
        "T" => 40,
        _ => return Err(form()),
    };
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(form());
    }
    // An exabyte: more is certainly a mistake.
    let most = 1_u64 << (60 - power);
    match digits.parse::<u64>() {
        Ok(0) => Err(Violation::form("is zero")),
        Ok(number) if number <= most => Ok(number << power),
        _ => Err(Violation::form("is too large")),
    }
}

fn size_or_none(text: &str) -> Option<u64> {
    if text == "0" {
        return Some(0);
    }
    size(text).ok()
}

/// Parses a percentage.
pub(crate) fn percent(text: &str) -> Result<u16, Violation> {
    match text.strip_suffix('%').map(str::parse) {
        Some(Ok(percent @ 1..)) if !text.starts_with('+') => Ok(percent),
        _ => Err("is not a number from 1 to 65535 with `%`".into()),
    }
}

/// Checks a list of CPUs.
pub(crate) fn cpus(text: &str) -> Result<(), Violation> {
    let number = |text: &str| {
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse::<u32>()
            .ok()
            .filter(|number| digits && *number < MOST_CPUS)
    };
    for part in text.split(',') {
        let (from, to) = part.split_once('-').unwrap_or((part, part));
        match (number(from), number(to)) {
            (Some(from), Some(to)) if from <= to => {}
            (Some(_), Some(_)) => return Err("has a range that ends before it begins".into()),
            _ => return Err("has a part that is neither a number nor a range".into()),
        }
    }
    Ok(())
}

/// Checks a device that a jail may use.
pub(crate) fn device(text: &str) -> Result<(), Violation> {
    let below = text.strip_prefix("/dev/").ok_or("is not below `/dev`")?;
    plain(below)?;
    if POWERS.contains(&text) {
        return Err(Violation::new("gives control over the machine"));
    }
    Ok(())
}

/// Path of a control group, without the leading `/`.
pub(crate) fn control_group(text: &str) -> Result<&str, Violation> {
    let below = text.strip_prefix('/').ok_or("does not begin with `/`")?;
    plain(below)?;
    Ok(below)
}

fn plain(path: &str) -> Result<(), Violation> {
    let letter = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    if path.len() > 255 {
        return Err("is longer than 255 characters".into());
    }
    if path
        .split('/')
        .any(|part| matches!(part, "" | "." | "..") || !part.bytes().all(letter))
    {
        return Err("has an invalid component".into());
    }
    Ok(())
}
