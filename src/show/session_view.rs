//! The sessions of a jail as JSON: namespaces, network, mounts and limits of its policy.

use jailctl_session::policy::{Policy, Source};
use serde_json::{Value, json};

use super::stats::limits_json;
use crate::plan::policy_text::{namespaces, options, port};

/// A policy as JSON; null for a plain chroot.
pub fn session_json(policy: Option<&Policy>) -> Value {
    let Some(policy) = policy else {
        return Value::Null;
    };
    let network = match &policy.network {
        Some(network) => json!({
            "mode": "private",
            "interface": network.link,
            "gateway": network.gateway,
            "address": network.address,
            "allow_in": network.allow_in.iter().map(port).collect::<Vec<_>>(),
            "allow_out": network.allow_out.iter().map(port).collect::<Vec<_>>(),
        }),
        None => json!({ "mode": if policy.offline { "none" } else { "host" } }),
    };
    let mounts: Vec<Value> = (policy.mounts.iter())
        .map(|mount| {
            let source = match &mount.source {
                Source::Bind(path) => path.display().to_string(),
                Source::Tmpfs { .. } => "tmpfs".to_owned(),
                Source::Proc => "proc".to_owned(),
                Source::Sys => "sysfs".to_owned(),
                Source::Log => "log".to_owned(),
                Source::Terminals { .. } => "devpts".to_owned(),
            };
            json!({ "target": mount.target, "source": source, "options": options(mount) })
        })
        .collect();
    json!({
        "namespaces": namespaces(policy),
        "network": network,
        "mounts": mounts,
        "limits": policy.limits.as_ref().map(limits_json),
    })
}
