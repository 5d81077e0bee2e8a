//! Resource usage of the sessions of jails, as text and as JSON.

use jailctl_session::cgroup::{Limits, Usage};

use super::bytes;
use super::table::{self, Align};
use crate::names::JailName;
use crate::spec::rename_limits;

/// Sample of one jail.
#[derive(Debug)]
pub struct StatsRow {
    /// Name of the jail.
    pub name: JailName,
    /// Limits of the jail.
    pub limits: Limits,
    /// Current usage.
    pub usage: Usage,
    /// CPU usage since the last sample, in percent of one CPU; `None` for the first sample.
    pub share: Option<f64>,
}

/// Table of the jails; an empty string if there are none. Limited values are shown with their
/// limits: `12/64`.
pub fn table(samples: &[StatsRow]) -> String {
    let columns = [
        ("NAME", Align::Left),
        ("SESSIONS", Align::Right),
        ("TASKS", Align::Right),
        ("MEMORY", Align::Right),
        ("CPU", Align::Right),
        ("THROTTLED", Align::Right),
        ("READ", Align::Right),
        ("WRITTEN", Align::Right),
        ("KILLED", Align::Right),
    ];
    table::table(columns, samples.iter().map(row).collect())
}

fn row(sample: &StatsRow) -> [String; 9] {
    let StatsRow { limits, usage, .. } = sample;
    let of = |used: Option<String>, most: Option<String>| match (used, most) {
        (None, _) => "-".to_owned(),
        (Some(used), None) => used,
        (Some(used), Some(most)) => format!("{used}/{most}"),
    };
    let text = |number: Option<u64>| number.map(|number| number.to_string());
    let name = if usage.frozen {
        format!("{} (frozen)", sample.name)
    } else {
        sample.name.to_string()
    };
    // `limits.cpu` is a percentage: it is shown with a percentage, not with the total CPU time.
    let (used, most) = match sample.share {
        Some(share) => (
            Some(format!("{share:.0}%")),
            limits.cpu.map(|percent| format!("{percent}%")),
        ),
        None => (usage.cpu.map(seconds), None),
    };
    [
        name,
        of(
            text(Some(usage.sessions)),
            text(limits.sessions.map(u64::from)),
        ),
        of(text(usage.tasks), text(limits.tasks.map(u64::from))),
        of(usage.memory.map(bytes), limits.memory.map(bytes)),
        of(used, most),
        of(usage.throttled_time.map(seconds), None),
        of(usage.read.map(bytes), None),
        of(usage.written.map(bytes), None),
        of(text(usage.oom_kills), None),
    ]
}

/// Microseconds in seconds: `12.3 s`.
fn seconds(microseconds: u64) -> String {
    let tenths = microseconds / 100_000;
    format!("{}.{} s", tenths / 10, tenths % 10)
}

/// Limits under the keys of a spec.
pub(super) fn limits_json(limits: &Limits) -> serde_json::Value {
    let mut value = serde_json::json!(limits);
    if let Some(object) = value.as_object_mut() {
        rename_limits(object);
    }
    value
}

/// `stats --json`.
pub fn json(samples: &[StatsRow]) -> serde_json::Value {
    let jail = |sample: &StatsRow| {
        let StatsRow { limits, usage, .. } = sample;
        serde_json::json!({
            "name": sample.name,
            "sessions": usage.sessions,
            "frozen": usage.frozen,
            "tasks": usage.tasks,
            "memory": usage.memory,
            "memory_peak": usage.memory_peak,
            "oom_kills": usage.oom_kills,
            "cpu_us": usage.cpu,
            "throttled": usage.throttled,
            "throttled_us": usage.throttled_time,
            "read": usage.read,
            "written": usage.written,
            "limits": limits_json(limits),
        })
    };
    let jails: Vec<_> = samples.iter().map(jail).collect();
    serde_json::json!({ "schema": 1, "jails": jails })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_limited_shows_both() {
        let mut sample = StatsRow {
            name: JailName::new("arkham").expect("a name"),
            limits: Limits {
                tasks: Some(64),
                cpu: Some(50),
                ..Limits::default()
            },
            usage: Usage {
                sessions: 2,
                frozen: true,
                tasks: Some(7),
                memory: Some(1 << 20),
                cpu: Some(12_340_000),
                ..Usage::default()
            },
            share: None,
        };
        assert_eq!(
            table(std::slice::from_ref(&sample)),
            "NAME             SESSIONS  TASKS   MEMORY     CPU  THROTTLED  READ  WRITTEN  KILLED\n\
             arkham (frozen)         2   7/64  1.0 MiB  12.3 s          -     -        -       -\n"
        );
        sample.share = Some(49.6);
        assert!(table(&[sample]).contains(" 50%/50% "));
        assert_eq!(table(&[]), "");
    }
}
