//! The write-ahead record of a run: how everything it is about to do is undone, durable before it is done.
//!
//! One file for the host, since one run writes at a time. Each line is one JSON value, and a line is either whole and synced or was never
//! acted upon. A run that ends takes its journal away; one that is found tells of a run that did not end, and whoever writes next
//! puts that right first:
//!
//! - without [`JournalEntry::Commit`], everything is undone, last first;
//! - after it, what is left to do is done; nothing of it can be undone, and all of it can be done twice;
//! - [`JournalEntry::RollBack`] takes a commit back: a run had begun to undo.

use std::fs::File;
use std::io::Write;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::deferred::DeferredAction;
use super::undo::{Undo, remove_dirs};
use crate::error::{Error, Result};
use crate::host::{Host, HostView, Ownership};
use crate::layout::{JOURNAL, STATE, STATE_MODE};

/// The number of the format written here. A journal with a higher one is not read.
const FORMAT: u32 = 1;
/// A journal above this size is not one of ours.
const SIZE_LIMIT: u64 = 256 << 20;

/// One line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum JournalEntry {
    /// The first one.
    Begin {
        /// [`FORMAT`] when it was written.
        format: u32,
        /// What was run, as a person would say it: "build of arkham".
        what: String,
    },
    /// What undoes a deed that may follow.
    Undo(Undo),
    /// All that can be undone is done, and this is what is left.
    Commit(Vec<DeferredAction>),
    /// Everything is to be undone.
    RollBack,
}

/// A journal being written.
#[derive(Debug)]
pub(super) struct Journal<'h> {
    host: &'h Host,
    what: String,
    file: Option<File>,
    undo: Vec<Undo>,
    /// Whether the file says that nothing is to be undone.
    is_committed: bool,
}

/// A journal that was found.
#[derive(Debug)]
pub(super) struct UnfinishedRun {
    /// What was run.
    pub(super) what: String,
    /// How it is undone, in the order in which it was noted.
    pub(super) undo: Vec<Undo>,
    /// What is left to do, where all else was done.
    pub(super) rest: Option<Vec<DeferredAction>>,
}

impl<'h> Journal<'h> {
    /// Nothing is written before there is something to note.
    pub(super) fn new(host: &'h Host, what: String) -> Self {
        Self {
            host,
            what,
            file: None,
            undo: Vec::new(),
            is_committed: false,
        }
    }

    /// Notes how deeds are undone. They may be done once this has returned.
    pub(super) fn append_undo(&mut self, undo: Vec<Undo>) -> Result<()> {
        if undo.is_empty() {
            return Ok(());
        }
        let lines: Vec<JournalEntry> = undo.iter().cloned().map(JournalEntry::Undo).collect();
        self.undo.extend(undo);
        self.append(lines)
    }

    /// Notes that all that can be undone is done.
    pub(super) fn commit(&mut self, rest: &[DeferredAction]) -> Result<()> {
        if self.file.is_none() && rest.is_empty() {
            return Ok(());
        }
        self.is_committed = true;
        self.append(vec![JournalEntry::Commit(rest.to_vec())])
    }

    /// Takes the commit back, and gives all that is to be undone, last first.
    pub(super) fn roll_back(&mut self) -> Result<Vec<Undo>> {
        let undo = std::mem::take(&mut self.undo).into_iter().rev().collect();
        // Where no commit stands, its lack says the same, also on a disk that takes no further line.
        if self.is_committed {
            self.append(vec![JournalEntry::RollBack])?;
        }
        Ok(undo)
    }

    /// Ends it: there is nothing left to put right.
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
            let made = state.create_file(Path::new(name));
            if made.is_err() {
                // Why it could not be made is the error to tell.
                let _ = remove_dirs(self.host, &[Path::new(STATE).to_owned()]);
            }
            self.file = Some(made?);
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
    /// The journal of a run that did not end; `None` where there is none. One without a whole first line is of a run that had not come to do
    /// anything.
    pub(super) fn read(view: &HostView) -> Result<Option<Self>> {
        let path = Path::new(JOURNAL);
        let Some(bytes) = view.read(path, SIZE_LIMIT)? else {
            return Ok(None);
        };
        let refuse = |why: String| {
            Error::failed(format!("could not read the journal `{}`", view.display_path(path).display()))
                .why(why)
                .hint("it says how a run that did not end is put right: restore it, or read what it says, put it right by hand and remove it")
        };
        let mut found = Self {
            what: String::new(),
            undo: Vec::new(),
            rest: None,
        };
        // What follows the last newline was being written when the run ended, and never acted upon.
        let whole = bytes.iter().rposition(|byte| *byte == b'\n').unwrap_or(0);
        for (index, line) in bytes[..whole].split(|byte| *byte == b'\n').enumerate() {
            let at = |why: String| refuse(format!("line {}: {why}", index + 1));
            if index == 0 {
                let begin: Begin = match serde_json::from_slice(line) {
                    Ok(begin) => begin,
                    Err(_) if whole == 0 => return Ok(Some(found)),
                    Err(error) => return Err(at(error.to_string())),
                };
                if begin.begin.format > FORMAT {
                    return Err(refuse(format!(
                        "its format is {}, and this jailctl knows those up to {FORMAT}",
                        begin.begin.format
                    )));
                }
                found.what = begin.begin.what;
                continue;
            }
            let line = serde_json::from_slice(line).map_err(|error| at(error.to_string()))?;
            match line {
                JournalEntry::Undo(undo) => found.undo.push(undo),
                JournalEntry::Commit(rest) => found.rest = Some(rest),
                JournalEntry::RollBack => found.rest = None,
                JournalEntry::Begin { .. } => return Err(at("it is out of place".to_owned())),
            }
        }
        Ok(Some(found))
    }
}

/// The first line of every format.
#[derive(Deserialize)]
struct Begin {
    #[serde(rename = "Begin")]
    begin: Header,
}

/// What every format's first line says.
#[derive(Deserialize)]
struct Header {
    format: u32,
    what: String,
}

/// Removes the journal, and the directory of all records where nothing else is in it. Not synced: one that comes back after a loss of power says
/// again what was done already, and a later run syncs the directory for its own.
pub(super) fn remove(host: &Host) -> Result<()> {
    let (state, name) = host.parent_of(Path::new(JOURNAL))?;
    state.remove_file_if_exists(Path::new(name))?;
    remove_dirs(host, &[Path::new(STATE).to_owned()])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What every later jailctl must put right.
    #[test]
    fn a_journal_of_the_first_format_is_read() {
        let text = include_str!("../../tests/formats/journal-1");
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
        assert!(matches!(&lines[13], JournalEntry::Commit(rest) if rest.len() == 2));
        assert!(matches!(&lines[14], JournalEntry::RollBack));
    }
}
