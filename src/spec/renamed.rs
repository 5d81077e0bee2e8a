//! Names that keys and values had in specs of earlier builds.
//!
//! A spec or template that is passed to jailctl is refused with the present name in the hint. The
//! copy of a spec among the records of a jail is read with both names ([`super::load_recorded`]),
//! so that `update`, `check`, `rollback` and `show` work for jails that an earlier build wrote.

use serde_json::{Map, Value};

use super::password::{FORMER_UNCHANGED, UNCHANGED};
use super::schema::{KEYS, KeySchema};

/// Paths of keys, each with its former name in the same table.
const FORMER_KEYS: [(&str, &str); 5] = [
    ("limits.cgroup_parent", "parent"),
    ("limits.net_cls_classid", "net_class"),
    ("limits.net_prio", "net_priority"),
    ("limits.max_sessions", "sessions"),
    ("sshd.sftp_log", "log"),
];

/// The key that was called `name` in the table at the path `table`.
pub(super) fn key(table: &str, name: &str) -> Option<&'static KeySchema> {
    let is_former = |key: &&KeySchema| FORMER_KEYS.contains(&(key.path, name));
    KEYS.iter()
        .find(|key| key.table() == table && is_former(key))
}

/// The present value for the former `text` of the key at `path`.
pub(super) fn value(path: &str, text: &str) -> Option<&'static str> {
    (path == "user[].password" && text == FORMER_UNCHANGED).then_some(UNCHANGED)
}

/// Renames the limits of a policy to the keys of a spec. Policies keep the former names.
pub fn rename_limits(limits: &mut Map<String, Value>) {
    for (path, former) in FORMER_KEYS {
        if let Some(present) = path.strip_prefix("limits.")
            && let Some(value) = limits.remove(former)
        {
            limits.insert(present.to_owned(), value);
        }
    }
}
