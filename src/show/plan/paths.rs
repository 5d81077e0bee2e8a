//! The lines of a plan about paths, which its text and its JSON share.

use serde::Serialize;

use crate::names::JailPath;
use crate::plan::manifest::RecordKind;
use crate::plan::{Change, ChangeKind, Plan};
use crate::resolve::{Content, EntryKind};

/// The line about one path.
#[derive(Clone, Debug, Serialize)]
pub(super) struct PathSummary<'p> {
    /// The path in the jail.
    pub(super) path: &'p JailPath,
    /// Whether it is added, changed or removed.
    #[serde(rename = "action")]
    pub(super) kind: ChangeKind,
    /// The difference, for a path that stays or is not the spec's.
    #[serde(rename = "reason", skip_serializing_if = "Option::is_none")]
    pub(super) reason: Option<&'p str>,
    /// Size of a file that is written or removed, in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) size: Option<u64>,
    /// Target of a symlink that is created.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) link: Option<String>,
    /// Whether it is a directory.
    #[serde(skip)]
    pub(super) is_directory: bool,
}

/// The lines about the paths that a plan changes, in their order.
pub(super) fn path_summaries(plan: &Plan) -> Vec<PathSummary<'_>> {
    plan.changes
        .iter()
        .map(|change| path_summary(plan, change))
        .collect()
}

fn path_summary<'p>(plan: &'p Plan, change: &'p Change) -> PathSummary<'p> {
    let mut summary = PathSummary {
        path: &change.path,
        kind: change.act,
        reason: change.because.as_deref(),
        size: None,
        link: None,
        is_directory: false,
    };
    if change.act == ChangeKind::Remove {
        let manifest = plan.manifest.as_ref();
        let record = manifest.and_then(|manifest| manifest.entries.get(&change.path));
        match record.map(|record| &record.kind) {
            Some(RecordKind::File { stat, .. }) => summary.size = Some(stat.size),
            Some(RecordKind::Directory) => summary.is_directory = true,
            _ => {}
        }
        return summary;
    }
    let target = plan.target.as_ref();
    let entry = target.and_then(|target| target.jail.tree.get(&change.path));
    match entry.map(|entry| &entry.kind) {
        Some(EntryKind::File(Content::Host { stat, .. })) => summary.size = Some(stat.size),
        Some(EntryKind::File(Content::Generated(content))) => {
            summary.size = Some(content.len() as u64);
        }
        Some(EntryKind::File(Content::Recorded { size, .. })) => summary.size = Some(*size),
        Some(EntryKind::Symlink(target)) => summary.link = Some(target.display().to_string()),
        Some(EntryKind::Directory) => summary.is_directory = true,
        Some(EntryKind::Device { .. }) | None => {}
    }
    summary
}

/// Counts of paths and bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Totals {
    /// Paths that are added.
    pub(super) added: usize,
    /// Paths that are changed.
    pub(super) changed: usize,
    /// Paths that are removed.
    pub(super) removed: usize,
    /// Bytes of files that are added or changed.
    pub(super) written: u64,
    /// Bytes of files that are removed.
    pub(super) freed: u64,
}

impl Totals {
    /// The totals of paths.
    pub(super) fn of<'p>(paths: impl IntoIterator<Item = &'p PathSummary<'p>>) -> Self {
        let mut totals = Self::default();
        for path in paths {
            let size = path.size.unwrap_or(0);
            match path.kind {
                ChangeKind::Add => totals.added += 1,
                ChangeKind::Change => totals.changed += 1,
                ChangeKind::Remove => totals.removed += 1,
            }
            if path.kind == ChangeKind::Remove {
                totals.freed += size;
            } else {
                totals.written += size;
            }
        }
        totals
    }
}
