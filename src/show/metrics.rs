//! Metrics of jails in the OpenMetrics text format, version 1.0.0, which Prometheus and the
//! textfile collector of its node_exporter read.

use std::fmt::Write as _;

use jailctl_session::cgroup::Usage;

use crate::names::JailName;

/// Metrics of one jail.
#[derive(Debug)]
pub struct JailMetrics {
    /// Name of the jail.
    pub name: JailName,
    /// Number of accounts.
    pub users: usize,
    /// Resource usage of the sessions.
    pub usage: Usage,
    /// Number of differences to the last build; `None` if they were not counted.
    pub differences: Option<usize>,
    /// Time of the last build that changed the jail, in seconds since 1970-01-01.
    pub built: Option<i64>,
}

/// Number of refused sessions of a jail for one reason.
#[derive(Debug)]
pub struct Refusals {
    /// Name of the jail.
    pub jail: JailName,
    /// Reason in one word.
    pub reason: String,
    /// Number since the last boot.
    pub count: u64,
}

/// One metric family: name, type, unit and help, and the value of a jail.
struct Family<'a> {
    name: &'a str,
    kind: &'a str,
    unit: &'a str,
    help: &'a str,
    value: fn(&JailMetrics) -> Option<String>,
}

/// The families with a value for each jail.
const FAMILIES: [Family<'static>; 9] = [
    Family {
        name: "jailctl_users",
        kind: "gauge",
        unit: "",
        help: "Accounts of the jail.",
        value: |jail| Some(jail.users.to_string()),
    },
    Family {
        name: "jailctl_sessions",
        kind: "gauge",
        unit: "",
        help: "Open sessions.",
        value: |jail| Some(jail.usage.sessions.to_string()),
    },
    Family {
        name: "jailctl_tasks",
        kind: "gauge",
        unit: "",
        help: "Processes and threads in sessions.",
        value: |jail| jail.usage.tasks.map(|count| count.to_string()),
    },
    Family {
        name: "jailctl_memory_bytes",
        kind: "gauge",
        unit: "bytes",
        help: "Memory that sessions use.",
        value: |jail| jail.usage.memory.map(|bytes| bytes.to_string()),
    },
    Family {
        name: "jailctl_cpu_seconds",
        kind: "counter",
        unit: "seconds",
        help: "Processor time since the first of the open sessions.",
        value: |jail| {
            let micros = jail.usage.cpu?;
            Some(format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000))
        },
    },
    Family {
        name: "jailctl_oom_kills",
        kind: "counter",
        unit: "",
        help: "Processes killed for lack of memory since the first of the open sessions.",
        value: |jail| jail.usage.oom_kills.map(|count| count.to_string()),
    },
    Family {
        name: "jailctl_frozen",
        kind: "gauge",
        unit: "",
        help: "1 if the sessions are frozen.",
        value: |jail| Some(u8::from(jail.usage.frozen).to_string()),
    },
    Family {
        name: "jailctl_differences",
        kind: "gauge",
        unit: "",
        help: "Differences to the last build, as jailctl check finds them.",
        value: |jail| jail.differences.map(|count| count.to_string()),
    },
    Family {
        name: "jailctl_last_build_timestamp_seconds",
        kind: "gauge",
        unit: "seconds",
        help: "Time of the last build that changed the jail.",
        value: |jail| jail.built.map(|seconds| seconds.to_string()),
    },
];

/// The metrics of `jails`. `is_interrupted` tells whether a run of jailctl has to be finished or
/// undone.
pub fn text(jails: &[JailMetrics], refusals: &[Refusals], is_interrupted: bool) -> String {
    let mut text = String::new();
    head(
        &mut text,
        "jailctl_build",
        "info",
        "",
        "Version of jailctl.",
    );
    line(
        &mut text,
        "jailctl_build_info",
        &[("version", env!("CARGO_PKG_VERSION"))],
        "1",
    );
    head(
        &mut text,
        "jailctl_jails",
        "gauge",
        "",
        "Jails of this host.",
    );
    line(&mut text, "jailctl_jails", &[], &jails.len().to_string());
    let help = "1 if an interrupted run of jailctl is neither finished nor undone.";
    head(&mut text, "jailctl_interrupted", "gauge", "", help);
    let value = u8::from(is_interrupted).to_string();
    line(&mut text, "jailctl_interrupted", &[], &value);
    for family in &FAMILIES {
        let Family {
            name,
            kind,
            unit,
            help,
            value,
        } = family;
        head(&mut text, name, kind, unit, help);
        let sample = sample_name(name, kind);
        for jail in jails {
            if let Some(value) = value(jail) {
                line(&mut text, &sample, &[("jail", jail.name.as_str())], &value);
            }
        }
    }
    let name = "jailctl_refused_sessions";
    let help = "Sessions that were refused since the last boot.";
    head(&mut text, name, "counter", "", help);
    for refusal in refusals {
        let labels = [
            ("jail", refusal.jail.as_str()),
            ("reason", refusal.reason.as_str()),
        ];
        let count = refusal.count.to_string();
        line(&mut text, &sample_name(name, "counter"), &labels, &count);
    }
    text.push_str("# EOF\n");
    text
}

/// Name of the samples of a family.
fn sample_name(family: &str, kind: &str) -> String {
    if kind == "counter" {
        format!("{family}_total")
    } else {
        family.to_owned()
    }
}

/// Adds the lines about a family.
fn head(text: &mut String, name: &str, kind: &str, unit: &str, help: &str) {
    // Writing to a String cannot fail.
    let _ = writeln!(text, "# TYPE {name} {kind}");
    if !unit.is_empty() {
        let _ = writeln!(text, "# UNIT {name} {unit}");
    }
    let _ = writeln!(text, "# HELP {name} {help}");
}

/// Adds a sample.
fn line(text: &mut String, name: &str, labels: &[(&str, &str)], value: &str) {
    let labels: Vec<String> = labels
        .iter()
        .map(|(label, value)| format!("{label}=\"{}\"", escape(value)))
        .collect();
    let labels = match labels.as_slice() {
        [] => String::new(),
        labels => format!("{{{}}}", labels.join(",")),
    };
    // Writing to a String cannot fail.
    let _ = writeln!(text, "{name}{labels} {value}");
}

/// A label value in the escaping of the format.
fn escape(value: &str) -> String {
    value
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_have_types_labels_and_an_end() {
        let name = JailName::parse("arkham").expect("a name");
        let jail = JailMetrics {
            name: name.clone(),
            users: 2,
            usage: Usage {
                sessions: 3,
                cpu: Some(1_500_000),
                ..Usage::default()
            },
            differences: Some(0),
            built: Some(1_700_000_000),
        };
        let refusals = [Refusals {
            jail: name,
            reason: "a\"b".to_owned(),
            count: 4,
        }];
        let text = text(&[jail], &refusals, false);
        for expected in [
            "# TYPE jailctl_cpu_seconds counter\n# UNIT jailctl_cpu_seconds seconds\n",
            "jailctl_cpu_seconds_total{jail=\"arkham\"} 1.500000\n",
            "jailctl_sessions{jail=\"arkham\"} 3\n",
            "jailctl_last_build_timestamp_seconds{jail=\"arkham\"} 1700000000\n",
            "jailctl_refused_sessions_total{jail=\"arkham\",reason=\"a\\\"b\"} 4\n",
        ] {
            assert!(text.contains(expected), "{expected} is not in {text}");
        }
        assert!(!text.contains("jailctl_memory_bytes{"), "nothing counts it");
        assert!(text.ends_with("# EOF\n"));
    }
}
