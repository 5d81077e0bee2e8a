//! Processes of jailed accounts that run now: outside of every jail, or with files that a build has
//! replaced.
//!
//! No file tells that a process has started, so that runs that remember the last one look too.

use std::collections::{BTreeMap, BTreeSet};

use super::difference::{Difference, Kind};
use super::manifest::{Manifest, RecordKind};
use crate::error::Result;
use crate::host::{HostView, Process, UserEntry};
use crate::layout::PRIVATE_DIR;
use crate::names::JailName;
use crate::resolve::jail_of;

/// Most processes that a text names.
const NAMED: usize = 16;

/// Findings about running processes, by the name of the jail.
#[derive(Debug, Default)]
pub struct RunningProcesses {
    /// Processes of one account outside of every jail.
    pub outside: Vec<(JailName, Difference)>,
    /// Notices about processes that run files from before an update.
    pub outdated: Vec<(JailName, String)>,
}

impl RunningProcesses {
    /// Looks once at all processes of all jails.
    ///
    /// # Errors
    /// [`crate::error::ErrorKind::Failed`] where the account files, `/proc` or the manifest of a
    /// jail with such processes cannot be read.
    pub fn find(view: &HostView) -> Result<Self> {
        let known = view.accounts()?;
        let jailed: Vec<(&UserEntry, JailName)> = (known.users.iter())
            .filter_map(|user| Some((user, jail_of(user)?)))
            .collect();
        let uids: Vec<u32> = jailed.iter().map(|(user, _)| user.uid).collect();
        let (outside, inside): (Vec<Process>, Vec<Process>) = Process::of_users(view, &uids)?
            .into_iter()
            .partition(Process::is_outside);
        let mut found = Self::default();
        let mut by_jail: BTreeMap<JailName, Vec<&Process>> = BTreeMap::new();
        for (user, jail) in jailed {
            let is_its = |process: &&Process| process.uid == user.uid;
            let numbers = pids(outside.iter().filter(is_its));
            by_jail
                .entry(jail.clone())
                .or_default()
                .extend(inside.iter().filter(is_its));
            if numbers.is_empty() {
                continue;
            }
            let difference = Difference {
                kind: Kind::Outside,
                name: user.name.clone(),
                text: format!("processes of it run outside of the jail: {numbers}"),
            };
            found.outside.push((jail, difference));
        }
        for (jail, processes) in by_jail {
            if let Some(notice) = outdated(&jail, &processes, view)? {
                found.outdated.push((jail, notice));
            }
        }
        Ok(found)
    }
}

/// The notice about processes of one jail that run files from before its last build; `None` if
/// there are none.
///
/// # Errors
/// [`crate::error::ErrorKind::Failed`] where `/proc` or the manifest cannot be read.
pub fn outdated_processes(
    jail: &JailName,
    uids: &[u32],
    view: &HostView,
) -> Result<Option<String>> {
    let processes = Process::of_users(view, uids)?;
    outdated(jail, &processes.iter().collect::<Vec<_>>(), view)
}

fn outdated(jail: &JailName, processes: &[&Process], view: &HostView) -> Result<Option<String>> {
    // A replaced tree is moved with its directories, so that the paths of its files show it. Most
    // of them are links to the same inodes as those of the live tree.
    let is_moved = |path: &str| path.contains(&format!("/{PRIVATE_DIR}/"));
    let moved: Vec<(&Process, Vec<u64>)> = (processes.iter())
        .map(|process| {
            let files = process.mapped_files().into_iter();
            let moved = files
                .filter(|(_, path)| is_moved(path))
                .map(|(inode, _)| inode);
            (*process, moved.collect())
        })
        .filter(|(_, inodes): &(_, Vec<u64>)| !inodes.is_empty())
        .collect();
    if moved.is_empty() {
        return Ok(None);
    }
    let Some(manifest) = Manifest::load(view, jail)? else {
        return Ok(None);
    };
    let inode = |kind: &RecordKind| match kind {
        RecordKind::File { stat, .. } => Some(stat.ino),
        _ => None,
    };
    let records = manifest.entries.values();
    let live: BTreeSet<u64> = records.filter_map(|record| inode(&record.kind)).collect();
    let old = moved
        .iter()
        .filter(|(_, inodes)| inodes.iter().any(|inode| !live.contains(inode)))
        .map(|(process, _)| *process);
    let old: Vec<&Process> = old.collect();
    let (run, processes) = if old.len() == 1 {
        ("runs", "1 process".to_owned())
    } else {
        ("run", format!("{} processes", old.len()))
    };
    Ok((!old.is_empty()).then(|| {
        format!(
            "{processes} of `{jail}` still {run} files from before an update ({}): `jailctl kill {jail}` ends its sessions",
            pids(old.into_iter())
        )
    }))
}

/// The first process ids, separated by commas.
fn pids<'p>(processes: impl Iterator<Item = &'p Process>) -> String {
    let numbers = processes.take(NAMED).map(|process| process.pid.to_string());
    numbers.collect::<Vec<_>>().join(", ")
}
