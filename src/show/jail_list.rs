//! The list of jails.

use std::fmt::Write as _;

use serde::Serialize;

use crate::names::JailName;
use crate::plan::Manifest;
use crate::plan::manifest::RecordKind;

/// One line of the list.
#[derive(Debug, Serialize)]
pub struct ListRow {
    /// The jail.
    pub name: JailName,
    /// Where it stands.
    pub root: String,
    /// Login names.
    pub users: Vec<String>,
    /// Number of entries of its tree.
    pub entries: usize,
    /// Bytes of its files.
    pub size: u64,
    /// The spec that it was built from.
    pub spec: String,
}

impl ListRow {
    /// What a manifest says of its jail.
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

/// Bytes of the files of a jail.
pub fn size(manifest: &Manifest) -> u64 {
    let of = |kind: &RecordKind| match kind {
        RecordKind::File { stat, .. } => stat.size,
        _ => 0,
    };
    let records = manifest.entries.values();
    records.map(|record| of(&record.kind)).sum()
}

/// A table with a header; nothing at all where there is no jail.
pub fn table(lines: &[ListRow]) -> String {
    if lines.is_empty() {
        return String::new();
    }
    let rows: Vec<[String; 5]> =
        std::iter::once(["NAME", "USERS", "ENTRIES", "SIZE", "ROOT"].map(str::to_owned))
            .chain(lines.iter().map(|line| {
                let users = if line.users.is_empty() {
                    "-".to_owned()
                } else {
                    line.users.join(",")
                };
                [
                    line.name.to_string(),
                    users,
                    line.entries.to_string(),
                    super::bytes(line.size),
                    line.root.clone(),
                ]
            }))
            .collect();
    let width = |column: usize| {
        rows.iter()
            .map(|row| row[column].chars().count())
            .max()
            .unwrap_or(0)
    };
    let widths = [0, 1, 2, 3].map(width);
    let mut text = String::new();
    for [name, users, entries, size, root] in &rows {
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "{name:<0$}  {users:<1$}  {entries:>2$}  {size:>3$}  {root}",
            widths[0], widths[1], widths[2], widths[3]
        );
    }
    text
}

/// `list --json`.
pub fn json(lines: &[ListRow]) -> serde_json::Value {
    serde_json::json!({ "schema": 1, "jails": lines })
}
