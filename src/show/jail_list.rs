//! List of jails, as text and as JSON.

use serde::Serialize;

use super::table::{self, Align};
use crate::names::JailName;
use crate::plan::Manifest;
use crate::plan::manifest::RecordKind;

/// Row of the list.
#[derive(Debug, Serialize)]
pub struct ListRow {
    /// Name of the jail.
    pub name: JailName,
    /// Root directory on the host.
    pub root: String,
    /// Login names.
    pub users: Vec<String>,
    /// Number of entries of the tree.
    pub entries: usize,
    /// Size of the files, in bytes.
    pub size: u64,
    /// Path of the spec that the jail was built from.
    pub spec: String,
}

impl ListRow {
    /// Row of the jail of `manifest`.
    pub fn new(manifest: &Manifest) -> Self {
        Self {
            name: manifest.name.clone(),
            root: manifest.root.display().to_string(),
            users: manifest
                .accounts
                .iter()
                .map(|account| account.name.clone())
                .collect(),
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
        ("ENTRIES", Align::Right),
        ("SIZE", Align::Right),
        ("ROOT", Align::Left),
    ];
    let row = |jail: &ListRow| {
        let users = if jail.users.is_empty() {
            "-".to_owned()
        } else {
            jail.users.join(",")
        };
        [
            jail.name.to_string(),
            users,
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
