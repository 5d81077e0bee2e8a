//! The drop-ins of sshd: the snippets of the jails of a transaction, and what all jails share.

use std::path::Path;

use super::journal::undo_record::Undo;
use super::session_policy::write_edit;
use crate::error::Result;
use crate::host::pam::Edit;
use crate::host::sshd::{Reload, Sshd, SshdInfo};
use crate::host::{Host, Ownership, Process};
use crate::layout::{JAILS_SNIPPET, PUBLIC_MODE, SSHD_CONFIG_DIR};
use crate::plan::{Plan, Step, snippet_edits, snippet_removal, verify_snippets};
use crate::resolve::ResolvedJail;

/// Largest drop-in that is restored, in bytes.
const FILE_LIMIT: u64 = 1 << 20;

/// Changes of drop-ins that are made at once, and the accounts that they are for.
#[derive(Debug)]
pub(super) struct SnippetChange {
    edits: Vec<Edit>,
    /// Ids of the groups whose snippets change.
    gids: Vec<u32>,
}

/// Checks with `sshd -T` and by a connection that the snippets of the jails of `plans` have the
/// effect that they are written for. Returns what has to be written, and notices.
///
/// # Errors
/// As [`verify_snippets`]; nothing is changed.
pub(super) fn verify<'p>(
    host: &Host,
    plans: impl Iterator<Item = &'p Plan>,
) -> Result<(SnippetChange, Vec<String>)> {
    let (mut jails, mut installed): (Vec<&ResolvedJail>, Vec<&ResolvedJail>) = Default::default();
    let mut common = None;
    for step in plans.flat_map(|plan| &plan.steps) {
        match step {
            Step::InstallSnippet { jail, .. } => {
                jails.push(jail);
                installed.push(jail);
            }
            Step::VerifySnippet { jail } => jails.push(jail),
            Step::WriteCommonSnippet { edit, jail } => {
                jails.push(jail);
                common = edit.to.as_deref();
            }
            _ => {}
        }
    }
    jails.dedup_by(|one, other| one.name == other.name);
    let notices = verify_snippets(host, &jails)?;
    let confined = installed
        .iter()
        .filter_map(|jail| jail.confinement.as_ref());
    let change = SnippetChange {
        gids: confined.map(|confinement| confinement.group.gid).collect(),
        edits: snippet_edits(host, common, &installed)?,
    };
    Ok((change, notices))
}

impl SnippetChange {
    /// The undo of the change. In reverse the reload is first; it is executed when all files are
    /// restored.
    ///
    /// # Errors
    /// [`ErrorKind::Failed`](crate::error::ErrorKind::Failed) where a drop-in cannot be read.
    pub(super) fn undo(&self, host: &Host, reloaded: Option<&SshdInfo>) -> Result<Vec<Undo>> {
        let mut undo = Vec::new();
        for edit in &self.edits {
            let before = host.read(&edit.path, FILE_LIMIT)?;
            let owner = Ownership::root(PUBLIC_MODE);
            undo.push(Undo::RestoreFile(edit.path.clone(), before, owner));
        }
        if !undo.is_empty() {
            let pid_file = reloaded.and_then(|sshd| sshd.pid_file.clone());
            undo.extend(pid_file.map(Undo::ReloadSshd));
        }
        Ok(undo)
    }

    /// Writes the drop-ins, and reloads sshd. Returns a notice where none runs.
    pub(super) fn make(&self, host: &Host, reloaded: Option<&SshdInfo>) -> Result<Option<String>> {
        if self.edits.is_empty() {
            return Ok(None);
        }
        for edit in &self.edits {
            write(host, edit)?;
        }
        let outcome = reload(host, reloaded)?;
        if !self.gids.is_empty() {
            // Connections in authentication use the old configuration. They are ended for all
            // accounts of the groups, since the jails of a family share one.
            let accounts = host.accounts()?;
            let users = accounts.users.iter();
            let users = users.filter(|user| self.gids.contains(&user.gid));
            let uids: Vec<u32> = users.map(|user| user.uid).collect();
            Process::kill_unauthenticated(host, &uids)?;
        }
        Ok((outcome == Some(Reload::NotRunning))
            .then(|| "sshd is not running: the jail's accounts can log in when it is".to_owned()))
    }
}

/// Removes the snippet of the jails with the group of `jail`, and reloads sshd.
pub(super) fn remove(
    host: &Host,
    path: &Path,
    group: &str,
    reloaded: Option<&SshdInfo>,
) -> Result<()> {
    if let Some(edit) = snippet_removal(host, group)? {
        write(host, &edit)?;
    }
    if path != Path::new(SSHD_CONFIG_DIR).join(JAILS_SNIPPET) {
        let edit = Edit {
            path: path.to_owned(),
            from: None,
            to: None,
        };
        write(host, &edit)?;
    }
    reload(host, reloaded).map(drop)
}

/// Removes the snippet that all jails share, and reloads sshd.
pub(super) fn remove_common(host: &Host, edit: &Edit, reloaded: Option<&SshdInfo>) -> Result<()> {
    write_edit(host, edit)?;
    host.forget_facts();
    reload(host, reloaded).map(drop)
}

/// Writes a drop-in, whatever it contains now, or deletes it.
fn write(host: &Host, edit: &Edit) -> Result<()> {
    let (dir, name) = host.parent_of(&edit.path)?;
    let name = Path::new(name);
    host.forget_facts();
    if let Some(text) = &edit.to {
        return dir.replace_file(name, text.as_bytes(), Ownership::root(PUBLIC_MODE));
    }
    dir.remove_file_if_exists(name)?;
    dir.sync()
}

/// Reloads sshd, unless `sshd` is `None`.
fn reload(host: &Host, sshd: Option<&SshdInfo>) -> Result<Option<Reload>> {
    let Some(sshd) = sshd else {
        return Ok(None);
    };
    let daemon = Sshd::find(host)?;
    daemon.reload(sshd.pid_file.as_deref()).map(Some)
}
