//! State that the steps of one plan share while they are executed.

use std::path::{Path, PathBuf};

use super::journal::Journal;
use super::journal::undo_record::Undo;
use super::options::Options;
use super::stage::WrittenFiles;
use crate::error::{Error, Result};
use crate::host::sshd::SshdInfo;
use crate::host::{Dir, Host};
use crate::names::JailName;
use crate::plan::Plan;
use crate::resolve::ResolvedJail;

/// The jail that the steps of a plan change, and what earlier steps leave for later ones.
///
/// The undo of every step is journalled already when it is executed. Moves are the exception: they
/// are known, and journalled, when everything is staged.
pub(super) struct StepContext<'r, 'h> {
    pub(super) host: &'h Host,
    /// Name of the jail.
    pub(super) jail: &'r JailName,
    /// Root of the jail.
    pub(super) root: &'r Path,
    sshd: Option<&'r SshdInfo>,
    options: &'r Options,
    /// `None` for final steps, which are not undone.
    journal: Option<&'r mut Journal<'h>>,
    /// The files that `WriteTree` wrote, for `WriteManifest`.
    pub(super) written: WrittenFiles,
    /// Whether a removal deletes the files of the store that no jail needs any more.
    pub(super) sweeps_store: bool,
    /// Notices for the admin.
    notices: Vec<String>,
}

impl<'r, 'h> StepContext<'r, 'h> {
    /// The context of the steps of `plan` that can be undone.
    pub(super) fn new(
        host: &'h Host,
        plan: &'r Plan,
        options: &'r Options,
        journal: &'r mut Journal<'h>,
    ) -> Self {
        Self {
            journal: Some(journal),
            ..Self::of_final_steps(host, plan, options)
        }
    }

    /// The context of the final steps of `plan`, after the commit: they are finished, not undone.
    pub(super) fn of_final_steps(host: &'h Host, plan: &'r Plan, options: &'r Options) -> Self {
        Self {
            host,
            jail: &plan.name,
            root: &plan.root,
            sshd: plan.facts(),
            options,
            journal: None,
            written: WrittenFiles::default(),
            sweeps_store: true,
            notices: Vec::new(),
        }
    }

    /// The sshd that is reloaded when its configuration has changed; `None` where that is another's
    /// task, the host is not the running system, or no plan has looked for it.
    pub(super) fn reloaded_sshd(&self) -> Option<&'r SshdInfo> {
        self.sshd
            .filter(|_| !self.options.no_reload && self.host.is_live())
    }

    /// Directory of the jail's records.
    pub(super) fn state(&self) -> PathBuf {
        ResolvedJail::state(self.jail)
    }

    /// Opens the root of the jail.
    ///
    /// # Errors
    /// [`ErrorKind::Failed`](crate::error::ErrorKind::Failed) where it does not exist.
    pub(super) fn open_root(&self) -> Result<Dir> {
        self.host.open_dir_nofollow(self.root)?.ok_or_else(|| {
            Error::failed(format!("could not open `{}`", self.root.display())).why("it is gone")
        })
    }

    /// Journals the undo of what follows.
    ///
    /// # Errors
    /// As [`Journal::append_undo`]: what follows must not be executed then.
    pub(super) fn journal_undo(&mut self, undo: Vec<Undo>) -> Result<()> {
        match &mut self.journal {
            Some(journal) => journal.append_undo(undo),
            None => Err(Error::failed("could not write the journal")
                .why("the step is executed after the commit")),
        }
    }

    /// Adds a notice for the admin, once.
    pub(super) fn notice(&mut self, notice: String) {
        if !self.notices.contains(&notice) {
            self.notices.push(notice);
        }
    }

    /// The files that the executed steps have written, and their notices.
    pub(super) fn into_results(self) -> (WrittenFiles, Vec<String>) {
        (self.written, self.notices)
    }
}
