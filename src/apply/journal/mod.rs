//! The journal: a write-ahead log that makes every run undoable.
//!
//! One file for the host, since one run writes at a time. Each line is one JSON value, and a line
//! is either complete and synced, or was never acted upon. A run that ends removes its journal. A
//! journal that is found belongs to a run that was interrupted, and the next command that writes
//! recovers it first:
//!
//! - without [`JournalEntry::Commit`], everything is undone, last first;
//! - after it, the deferred actions are executed; none of them can be undone, and all of them are
//!   idempotent;
//! - [`JournalEntry::RollBack`] revokes a commit: the run had begun to undo.
//!
//! This module holds the file format and its data. `undo.rs` executes the undo records, and
//! `commit.rs` the deferred actions.

pub(super) mod deferred_action;
pub(super) mod moves;
pub(super) mod undo_record;

use std::fs::File;
use std::io::Write;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::host::{Host, HostView, Ownership};
use crate::layout::{JOURNAL, STATE, STATE_MODE};
use deferred_action::DeferredAction;
use undo_record::Undo;

/// Number of the format written here. A journal with a higher one is not read.
const FORMAT: u32 = 1;
/// Largest size of a journal that is read, in bytes.
const SIZE_LIMIT: u64 = 256 << 20;

/// One line of the file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum JournalEntry {
    /// The first line.
    Begin {
        /// [`FORMAT`] of the jailctl that wrote it.
        format: u32,
        /// Name of the run in messages: "build of arkham".
        what: String,
    },
    /// The undo of a step that may follow.
    Undo(Undo),
    /// All undoable steps are executed, and these actions are left.
    Commit(Vec<DeferredAction>),
    /// Everything is to be undone.
    RollBack,
}

/// The journal of the run of this process.
#[derive(Debug)]
pub(super) struct Journal<'h> {
    host: &'h Host,
    what: String,
    file: Option<File>,
    undo: Vec<Undo>,
    /// Whether the file contains a commit.
    is_committed: bool,
}

/// The journal of a run that was interrupted.
#[derive(Debug)]
pub(super) struct UnfinishedRun {
    /// Name of the run in messages.
    pub(super) what: String,
    /// Its undo records, in the order in which they were written.
    pub(super) undo: Vec<Undo>,
    /// Its deferred actions, if it had committed.
    pub(super) deferred: Option<Vec<DeferredAction>>,
}

impl<'h> Journal<'h> {
    /// An empty journal. The file is created with the first record.
    pub(super) fn new(host: &'h Host, what: String) -> Self {
        Self {
            host,
            what,
            file: None,
            undo: Vec::new(),
            is_committed: false,
        }
    }

    /// Writes undo records and syncs them. Their steps may be executed once this has returned.
    ///
    /// # Errors
    /// [`ErrorKind::Failed`](crate::error::ErrorKind::Failed) where the journal cannot be written.
    /// Their steps must not be executed then.
    pub(super) fn append_undo(&mut self, undo: Vec<Undo>) -> Result<()> {
        if undo.is_empty() {
            return Ok(());
        }
        let lines: Vec<JournalEntry> = undo.iter().cloned().map(JournalEntry::Undo).collect();
        self.undo.extend(undo);
        self.append(lines)
    }

    /// Writes and syncs the commit: from here on the run is finished, not undone.
    ///
    /// # Errors
    /// [`ErrorKind::Failed`](crate::error::ErrorKind::Failed) where the journal cannot be written.
    /// The commit may be in the file all the same, which [`Journal::roll_back`] takes into account.
    pub(super) fn commit(&mut self, deferred: &[DeferredAction]) -> Result<()> {
        if self.file.is_none() && deferred.is_empty() {
            return Ok(());
        }
        self.is_committed = true;
        self.append(vec![JournalEntry::Commit(deferred.to_vec())])
    }

    /// Revokes the commit, if there is one, and returns all undo records, last first.
    ///
    /// # Errors
    /// [`ErrorKind::Failed`](crate::error::ErrorKind::Failed) where the journal cannot be written.
    /// Nothing may be undone then: recovery would finish the run.
    pub(super) fn roll_back(&mut self) -> Result<Vec<Undo>> {
        let undo = std::mem::take(&mut self.undo).into_iter().rev().collect();
        // Without a commit in the file nothing has to be revoked, which helps where the disk is
        // full.
        if self.is_committed {
            self.append(vec![JournalEntry::RollBack])?;
        }
        Ok(undo)
    }

    /// Removes the file: nothing is left to undo or to finish.
    pub(super) fn end(self) -> Result<()> {
        if self.file.is_some() {
            remove(self.host)?;
        }
        Ok(())
    }

    fn append(&mut self, mut lines: Vec<JournalEntry>) -> Result<()> {
        let shown = self.host.display_path(Path::new(JOURNAL));
        let failed = |error: &std::io::Error| Error::io("write", &shown, error);
        let is_new = self.file.is_none();
        if is_new {
            lines.insert(
                0,
                JournalEntry::Begin {
                    format: FORMAT,
                    what: self.what.clone(),
                },
            );
        }
        let mut text = Vec::new();
        for line in &lines {
            serde_json::to_writer(&mut text, line).map_err(|error| failed(&error.into()))?;
            text.push(b'\n');
        }
        if is_new {
            let state = self
                .host
                .ensure_root_dir(Path::new(STATE), Ownership::root(STATE_MODE))?;
            let name = Path::new(JOURNAL).file_name().unwrap_or_default();
            let file = state.create_file(Path::new(name));
            if file.is_err() {
                // The error to report is that of the file.
                let _ = self.host.remove_empty_dirs(&[Path::new(STATE).to_owned()]);
            }
            self.file = Some(file?);
            state.sync()?;
        }
        if let Some(file) = &mut self.file {
            file.write_all(&text)
                .and_then(|()| file.sync_data())
                .map_err(|error| failed(&error))?;
        }
        Ok(())
    }
}

impl UnfinishedRun {
    /// Reads the journal of a run that was interrupted; `None` where there is none. Without a
    /// complete first line the run had not executed anything.
    ///
    /// # Errors
    /// [`ErrorKind::Failed`](crate::error::ErrorKind::Failed) where the file cannot be read, is
    /// damaged, or has a higher format.
    pub(super) fn read(view: &HostView) -> Result<Option<Self>> {
        let path = Path::new(JOURNAL);
        let Some(bytes) = view.read(path, SIZE_LIMIT)? else {
            return Ok(None);
        };
        let refuse = |why: String| {
            Error::failed(format!("could not read the journal `{}`", view.display_path(path).display()))
                .why(why)
                .hint("it records how to undo an interrupted run: restore the file, or undo by hand what it lists, and delete it")
        };
        let mut found = Self {
            what: String::new(),
            undo: Vec::new(),
            deferred: None,
        };
        // What follows the last newline was being written when the run was interrupted, and never
        // acted upon.
        let complete = bytes.iter().rposition(|byte| *byte == b'\n').unwrap_or(0);
        for (index, line) in bytes[..complete].split(|byte| *byte == b'\n').enumerate() {
            let at = |why: String| refuse(format!("line {}: {why}", index + 1));
            if index == 0 {
                let begin: Begin = match serde_json::from_slice(line) {
                    Ok(begin) => begin,
                    Err(_) if complete == 0 => return Ok(Some(found)),
                    Err(error) => return Err(at(error.to_string())),
                };
                if begin.begin.format > FORMAT {
                    return Err(refuse(format!(
                        "its format is {}, and this jailctl reads formats up to {FORMAT}",
                        begin.begin.format
                    )));
                }
                found.what = begin.begin.what;
                continue;
            }
            let line = serde_json::from_slice(line).map_err(|error| at(error.to_string()))?;
            match line {
                JournalEntry::Undo(undo) => found.undo.push(undo),
                JournalEntry::Commit(deferred) => found.deferred = Some(deferred),
                JournalEntry::RollBack => found.deferred = None,
                JournalEntry::Begin { .. } => return Err(at("a second `Begin`".to_owned())),
            }
        }
        Ok(Some(found))
    }
}

/// The first line, in every format.
#[derive(Deserialize)]
struct Begin {
    #[serde(rename = "Begin")]
    begin: Header,
}

/// The fields of the first line that every format has.
#[derive(Deserialize)]
struct Header {
    format: u32,
    what: String,
}

/// Removes the journal, and the state directory of jailctl if it is empty then.
///
/// Not synced: a journal that is back after a loss of power lists what is undone or finished
/// already, and a later run syncs the directory for its own.
pub(super) fn remove(host: &Host) -> Result<()> {
    let (state, name) = host.parent_of(Path::new(JOURNAL))?;
    state.remove_file_if_exists(Path::new(name))?;
    host.remove_empty_dirs(&[Path::new(STATE).to_owned()])
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::moves::{Move, Moves};
    use super::*;
    use crate::host::{AccountFields, Expiry};
    use crate::names::JailName;
    use crate::plan::{OriginalAccount, RemoveOptions};

    /// Every later jailctl reads journals of this format, under these names.
    #[test]
    fn a_journal_of_the_first_format_is_read() {
        let text = include_str!("../../../tests/formats/journal-1");
        let lines: Vec<JournalEntry> = text
            .lines()
            .map(|line| serde_json::from_str(line).expect("a line"))
            .collect();
        let undos = lines
            .iter()
            .filter(|line| matches!(line, JournalEntry::Undo(_)));
        assert_eq!(undos.count(), 12);
        assert!(
            matches!(&lines[0], JournalEntry::Begin { format: 1, what } if what == "build of dropbox")
        );
        assert!(matches!(&lines[13], JournalEntry::Commit(deferred) if deferred.len() == 2));
        assert!(matches!(&lines[14], JournalEntry::RollBack));
        for (line, read) in text.lines().zip(&lines) {
            assert_eq!(serde_json::to_string(read).expect("a line"), line);
        }
    }

    /// Journals of every jailctl have these names.
    #[test]
    fn the_names_on_disk_are_pinned() {
        let path = PathBuf::new;
        let owner = Ownership::root(0o755);
        let user = || "bob".to_owned();
        let jail = || JailName::new("arkham").expect("a name");
        let fields = || AccountFields {
            gid: 0,
            home: String::new(),
            shell: String::new(),
            gecos: String::new(),
            groups: Vec::new(),
        };
        let moves = [
            (Move::Exchange(path(), 1), "Exchange"),
            (Move::Install(path(), 1), "Place"),
            (Move::InstallUserDir(path(), 1, (0, 0)), "Furnish"),
            (Move::Displace(path()), "Take"),
            (Move::CreateDir(path(), owner), "MakeDir"),
            (Move::RemoveDir(path(), owner), "RemoveDir"),
            (Move::SetOwner(path(), owner, owner), "Own"),
        ];
        let undos = [
            (Undo::DeleteGroup(user(), 1), "DeleteGroup"),
            (Undo::ModifyAccount(user(), fields()), "AlterAccount"),
            (Undo::RestoreExpiry(user(), Expiry::Never), "Expire"),
            (Undo::RestorePassword(user(), user()), "Password"),
            (Undo::RestoreFile(path(), None, owner), "Restore"),
            (Undo::ReloadSshd(path()), "Reload"),
            (
                Undo::RenameBack {
                    from: path(),
                    to: path(),
                    inode: 1,
                },
                "RenameBack",
            ),
            (
                Undo::RenameAccount {
                    from: (user(), user()),
                    to: user(),
                },
                "RenameAccount",
            ),
            (Undo::RemoveDirs(Vec::new()), "RemoveDirs"),
            (Undo::CreateDir(path()), "MakeDir"),
            (Undo::RemoveRoot(path(), Vec::new()), "RemoveRoot"),
            (Undo::RestoreOwner(path(), owner), "Own"),
            (Undo::ReverseMoves(Moves::none(&path(), "")), "Moves"),
            (Undo::CleanStore(path()), "Store"),
        ];
        let actions = [
            (
                DeferredAction::EnableAccount {
                    jail: jail(),
                    user: user(),
                    until: Expiry::Never,
                },
                "Open",
            ),
            (
                DeferredAction::DeleteAccount {
                    jail: jail(),
                    root: path(),
                    gid: 1,
                    user: user(),
                    uid: 1,
                },
                "DeleteAccount",
            ),
            (
                DeferredAction::RestoreAccount {
                    jail: jail(),
                    root: path(),
                    user: user(),
                    uid: 1,
                    to: OriginalAccount {
                        belonging: fields(),
                        expires: None,
                        had_password: false,
                    },
                },
                "Release",
            ),
            (
                DeferredAction::RotatePrevious {
                    dir: path(),
                    stage: path(),
                    previous: path(),
                },
                "Keep",
            ),
            (
                DeferredAction::DeleteStage {
                    dir: path(),
                    stage: path(),
                },
                "Drop",
            ),
            (DeferredAction::CleanStore(path()), "Store"),
            (DeferredAction::CloseStore(path()), "Settle"),
            (
                DeferredAction::RemoveJail {
                    jail: jail(),
                    how: RemoveOptions::default(),
                },
                "Remove",
            ),
            (
                DeferredAction::PurgeRoot {
                    jail: jail(),
                    root: path(),
                    made: Vec::new(),
                },
                "Purge",
            ),
        ];
        let mut written: Vec<(String, &str)> = Vec::new();
        let text = |value: serde_json::Result<String>| value.expect("JSON");
        written.extend(moves.map(|(one, name)| (text(serde_json::to_string(&one)), name)));
        written.extend(undos.map(|(one, name)| (text(serde_json::to_string(&one)), name)));
        written.extend(actions.map(|(one, name)| (text(serde_json::to_string(&one)), name)));
        for (json, name) in written {
            assert!(json.starts_with(&format!("{{\"{name}\":")), "{json}");
        }
    }
}
