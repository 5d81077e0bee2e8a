//! `[limits]`: limits on all sessions of a jail together.

use jailctl_session::cgroup::Limits;

use super::findings::Findings;
use super::typed_table::{Table, Value};
use super::types::LimitsSpec;
use super::values::{control_group, percent, size_or_none};
use crate::error::Finding;
use crate::span::Span;

/// Minimum memory, in bytes: sshd processes of the connection are in the group too.
const LEAST_MEMORY: u64 = 8 << 20;

impl LimitsSpec {
    /// Span of `key`; the span of the table if it is absent.
    pub fn span_of(&self, key: &str) -> &Span {
        self.spans.get(key).unwrap_or(&self.span)
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
    let spans = table.entries.iter();
    LimitsSpec {
        span: table.span.clone(),
        values,
        spans: spans.map(|(key, node)| (*key, node.span.clone())).collect(),
    }
}

/// Adds a finding for each conflict between limits.
pub(crate) fn check(limits: &LimitsSpec, findings: &mut Findings) {
    if !limits.spans.contains_key("memory") && limits.spans.contains_key("swap") {
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
