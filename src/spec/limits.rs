//! `[limits]`: what the sessions of a jail may use together.

use std::collections::BTreeMap;

use jailctl_session::cgroup::Limits;

use super::constraint::Violation;
use super::findings::Findings;
use super::typed_table::{Table, Value};
use crate::error::Finding;
use crate::span::Span;

/// Less memory than this, and sshd's own processes of a connection do not get it.
const LEAST_MEMORY: u64 = 8 << 20;
/// No kernel numbers more processors.
const MOST_CPUS: u32 = 8192;
/// Whoever can write to these is root.
const POWERS: [&str; 4] = ["/dev/mem", "/dev/kmem", "/dev/port", "/dev/kmsg"];

/// `[limits]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LimitsSpec {
    /// The table's header.
    pub site: Span,
    /// The values, as a session takes them.
    pub values: Limits,
    /// Where each was said, by its key.
    pub sites: BTreeMap<&'static str, Span>,
}

impl LimitsSpec {
    /// Where `key` was said; the table, if it was not.
    pub fn span_of(&self, key: &str) -> &Span {
        self.sites.get(key).unwrap_or(&self.site)
    }
}

/// The table, as far as it was good.
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

/// Adds what is wrong among the limits to `findings`.
pub(crate) fn check(limits: &LimitsSpec, findings: &mut Findings) {
    if !limits.sites.contains_key("memory") && limits.sites.contains_key("swap") {
        findings.add(
            Finding::new("`limits.swap` cannot be without `limits.memory`")
                .why("swap space is what is used beyond memory that is limited")
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
            Finding::new("`limits.memory` is too little")
                .why("sshd's own processes of a connection are in the jail's group, and would be killed")
                .with_span(limits.span_of("memory"), "less than 8M")
                .hint("give 8M at least; a shell and its programs want more"),
        );
    }
}

/// The bytes that `text` says: digits, and `K`, `M`, `G` or `T` for powers of 1024. Not none.
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
    // More than an exabyte is a slip.
    let most = 1_u64 << (60 - power);
    match digits.parse::<u64>() {
        Ok(0) => Err(Violation::form("is nothing")),
        Ok(number) if number <= most => Ok(number << power),
        _ => Err(Violation::form("is more than there can be")),
    }
}

fn size_or_none(text: &str) -> Option<u64> {
    if text == "0" {
        return Some(0);
    }
    size(text).ok()
}

/// The number of per cent.
pub(crate) fn percent(text: &str) -> Result<u16, Violation> {
    match text.strip_suffix('%').map(str::parse) {
        Some(Ok(percent @ 1..)) if !text.starts_with('+') => Ok(percent),
        _ => Err("is not a number from 1 to 65535 with `%`".into()),
    }
}

/// Whether `text` is a list of processors.
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
            _ => return Err("has a part that is no number or range of processors".into()),
        }
    }
    Ok(())
}

/// Whether `text` is a device that a jail may be given.
pub(crate) fn device(text: &str) -> Result<(), Violation> {
    let below = text
        .strip_prefix("/dev/")
        .ok_or("is no path below `/dev`")?;
    plain(below)?;
    if POWERS.contains(&text) {
        return Err(Violation::new("gives the whole machine away"));
    }
    Ok(())
}

/// The path of a control group, without the `/` that it begins with.
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
        return Err("has a part that is no plain name".into());
    }
    Ok(())
}
