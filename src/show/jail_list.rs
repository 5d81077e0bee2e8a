//! List of jails, as text and as JSON.

use serde::Serialize;

use super::table::{self, Align};
use crate::names::JailName;
use crate::plan::Manifest;
use crate::plan::manifest::RecordKind;
use crate::spec::AccessMethod;

/// Most users that a row names.
const MOST_USERS: usize = 4;

/// Row of the list.
#[derive(Debug, Serialize)]
pub struct ListRow {
    /// Name of the jail.
    pub name: JailName,
    /// Root directory on the host.
    pub root: String,
    /// Login names.
    pub users: Vec<String>,
    /// Ways in, with the names in `sshd.allow`; empty where an older version did not record them.
    pub access: Vec<AccessMethod>,
    /// Number of open logins; `None` where it is not known.
    pub logins: Option<usize>,
    /// Number of entries of the tree.
    pub entries: usize,
    /// Size of the files, in bytes.
    pub size: u64,
    /// Path of the spec that the jail was built from.
    pub spec: String,
}

impl ListRow {
    /// Row of the jail of `manifest`, with the number of its open logins.
    pub fn new(manifest: &Manifest, logins: Option<usize>) -> Self {
        Self {
            name: manifest.name.clone(),
            root: manifest.root.display().to_string(),
            users: manifest
                .accounts
                .iter()
                .map(|account| account.name.clone())
                .collect(),
            access: manifest.access.clone(),
            logins,
            entries: manifest.entries.len(),
            size: size(manifest),
            spec: manifest.spec.clone(),
        }
    }
}

/// Size of the files of a jail, in bytes.
pub fn size(manifest: &Manifest) -> u64 {
    let of = |kind: &RecordKind| match kind {
        RecordKind::File { stat, .. } => stat.size,
        _ => 0,
    };
    let records = manifest.entries.values();
    records.map(|record| of(&record.kind)).sum()
}

/// Table of the jails; an empty string if there are none.
pub fn table(jails: &[ListRow]) -> String {
    let columns = [
        ("NAME", Align::Left),
        ("USERS", Align::Left),
        ("ACCESS", Align::Left),
        ("IN", Align::Right),
        ("ENTRIES", Align::Right),
        ("SIZE", Align::Right),
        ("ROOT", Align::Left),
    ];
    let row = |jail: &ListRow| {
        let users = match jail.users.as_slice() {
            [] => "-".to_owned(),
            users if users.len() > MOST_USERS => format!(
                "{} and {} more",
                users[..MOST_USERS].join(","),
                users.len() - MOST_USERS
            ),
            users => users.join(","),
        };
        let access: Vec<&str> = jail.access.iter().map(|method| method.as_str()).collect();
        let logins = jail.logins.map(|logins| logins.to_string());
        [
            jail.name.to_string(),
            users,
            if access.is_empty() {
                "-".to_owned()
            } else {
                access.join(",")
            },
            logins.unwrap_or_else(|| "-".to_owned()),
            jail.entries.to_string(),
            super::bytes(jail.size),
            jail.root.clone(),
        ]
    };
    table::table(columns, jails.iter().map(row).collect())
}

/// `list --json`.
pub fn json(jails: &[ListRow]) -> serde_json::Value {
    serde_json::json!({ "schema": 1, "jails": jails })
}
