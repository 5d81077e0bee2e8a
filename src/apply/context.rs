//! One plan being carried out, step by step. Everything here has its undo noted already, but for moves: those are noted when all is staged.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::journal::Journal;
use super::removal::restore_account;
use super::stage::WrittenFiles;
use super::store::Store;
use super::undo::Undo;
use super::{Options, stage};
use crate::error::{Error, Result};
use crate::host::sshd::{Reload, Sshd};
use crate::host::{Dir, Expiry, Host, Ownership, Process};
use crate::layout::{
    KEYS_DIR, MARKER, PREVIOUS_RECORDS, PREVIOUS_TREE, PUBLIC_MODE, SSHD_CONFIG_DIR, STATE_MODE,
};
use crate::names::JailName;
use crate::plan::{Plan, Step, Target, ensure_empty};
use crate::resolve::{Marker, ResolvedJail, is_adopted};
use crate::spec::Password;

/// A plan being carried out.
pub(super) struct StepContext<'r, 'h> {
    pub(super) host: &'h Host,
    pub(super) plan: &'r Plan,
    options: &'r Options,
    journal: &'r mut Journal<'h>,
    pub(super) written: WrittenFiles,
    /// What an admin should know.
    pub(super) notices: Vec<String>,
}

impl<'r, 'h> StepContext<'r, 'h> {
    pub(super) fn new(
        host: &'h Host,
        plan: &'r Plan,
        options: &'r Options,
        journal: &'r mut Journal<'h>,
    ) -> Self {
        Self {
            host,
            plan,
            options,
            journal,
            written: WrittenFiles::default(),
            notices: Vec::new(),
        }
    }

    pub(super) fn name(&self) -> &JailName {
        &self.plan.name
    }

    pub(super) fn state(&self) -> PathBuf {
        ResolvedJail::state(self.name())
    }

    /// The jail's root; `None` before it is made.
    pub(super) fn root(&self) -> Result<Option<Dir>> {
        self.host.open_dir_nofollow(&self.plan.root)
    }

    pub(super) fn need_root(&self) -> Result<Dir> {
        self.root()?.ok_or_else(|| {
            Error::failed(format!("could not open `{}`", self.plan.root.display()))
                .why("it is gone")
        })
    }

    pub(super) fn target(&self) -> Result<&'r Target> {
        self.plan
            .target
            .as_ref()
            .ok_or_else(|| Error::failed("could not build from a plan that removes"))
    }

    /// Notes how what follows is undone.
    pub(super) fn journal_undo(&mut self, undo: Undo) -> Result<()> {
        self.journal.append_undo(vec![undo])
    }

    pub(super) fn execute(&mut self, step: &Step) -> Result<()> {
        match step {
            Step::DisableAccount { user } => self.close(user),
            Step::CreateRoot => self.make_root(),
            Step::CreateGroup { name, gid } => self.host.create_group(name, *gid),
            Step::CreateAccount(account) => self.host.create_account(account),
            Step::MaskUserManager { uid, .. } => self.host.mask_user_manager(*uid),
            Step::ModifyAccount { name, to, .. } => self.host.modify_account(name, to),
            Step::WriteTree => self.write_tree(),
            Step::RequireEmpty { root, uids } => {
                Process::kill_unauthenticated(self.host, uids)?;
                ensure_empty(self.name(), &Process::find_in_jail(self.host, root, uids)?)
            }
            Step::WritePolicy { text, .. } => self.write_policy(text),
            Step::RepairNetwork { .. } => self.repair_network(),
            Step::RemovePolicy => self.remove_policy(),
            Step::WritePamService(edit) | Step::RemovePamService(edit) => {
                self.write_pam_service(edit)
            }
            Step::WriteCommonSnippet(edit) => {
                self.verify()?;
                self.write_pam_service(edit)?;
                self.reload()
            }
            Step::RemoveCommonSnippet(edit) => {
                self.write_pam_service(edit)?;
                self.reload()
            }
            Step::InstallSnippet { file, text } => self.install_snippet(file, text),
            Step::VerifySnippet => self.verify(),
            Step::WriteKeys { user, text } => {
                let keys = self
                    .host
                    .ensure_root_dir(&self.state().join(KEYS_DIR), Ownership::root(STATE_MODE))?;
                keys.replace_file(
                    Path::new(user),
                    text.as_bytes(),
                    Ownership::root(PUBLIC_MODE),
                )
            }
            Step::SetPassword { user, password } => match password {
                Password::Locked => self.lock(user),
                Password::Keep => Ok(()),
                Password::Hash(hash) => self.host.set_password(user, hash),
            },
            Step::EnableAccount { user, until } => self.host.set_expiry(user, *until),
            Step::WriteManifest => self.write_manifest(),
            Step::DeleteAccount { user, uid, purge } => self.delete_account(user, *uid, *purge),
            Step::RestoreAccount { user, uid, to } => {
                restore_account(self.host, &self.plan.root, user, *uid, to)
            }
            Step::EndSessions { root, uids, kill } => self.end_sessions(root, uids, *kill),
            Step::RemoveTree { purge } => self.remove_tree(*purge),
            Step::DeleteRecords => self.delete_records(),
            Step::DeleteGroup { name } => self.delete_group(name),
            Step::RemoveSnippet { file } => self.remove_snippet(file),
        }
    }

    /// Lets no password work. That of an account that was taken over stays behind the `*`, to be given back.
    fn lock(&self, user: &str) -> Result<()> {
        let accounts = self.host.accounts()?;
        let before = accounts
            .user(user)
            .filter(|found| is_adopted(found))
            .and_then(|found| found.password.clone());
        let locked = format!("*{}", before.unwrap_or_default());
        self.host.set_password(user, &locked)
    }

    fn close(&self, user: &str) -> Result<()> {
        self.host.set_expiry(user, Expiry::Closed)?;
        let path = self.state().join(KEYS_DIR).join(user);
        if self.host.lstat(&path)?.is_some() {
            let (dir, name) = self.host.parent_of(&path)?;
            dir.remove_file(Path::new(name))?;
            dir.sync()?;
        }
        Ok(())
    }

    fn make_root(&self) -> Result<()> {
        let mut missing: Vec<PathBuf> = Vec::new();
        for directory in self.plan.root.ancestors() {
            if self.host.lstat(directory)?.is_some() {
                break;
            }
            missing.push(directory.to_owned());
        }
        missing.reverse();
        let marker = self.marker()?;
        let root = self
            .host
            .ensure_root_dir(&self.plan.root, Ownership::root(0o755))?;
        root.set_owner(Ownership::root(0o755))?;
        stage::private_dir(&root)?;
        let marker = marker.unwrap_or(Marker {
            jail: self.name().clone(),
            made: missing,
            left: Vec::new(),
        });
        write_marker(&root, &marker)
    }

    /// The note in the root.
    fn marker(&self) -> Result<Option<Marker>> {
        Marker::read(self.host, &self.plan.root)
    }

    fn write_tree(&mut self) -> Result<()> {
        let root = self.need_root()?;
        stage::private_dir(&root)?;
        // They go when all else is done, and then it is too late to say that they do not.
        root.check_removable(Path::new(PREVIOUS_TREE))?;
        if let Some(state) = self.host.open_dir_nofollow(&self.state())? {
            state.check_removable(Path::new(PREVIOUS_RECORDS))?;
        }
        let staged = stage::stage(self.host, &root, self.plan, &self.target()?.jail.tree)?;
        super::staged_test::test_staged_tree(self.host, &self.target()?.jail)?;
        self.journal_undo(Undo::Moves(staged.moves.clone()))?;
        staged.moves.make(&root)?;
        root.sync()?;
        self.written = WrittenFiles {
            files: staged.files,
            facts: staged.store.map_or(Ok(HashMap::new()), Store::close)?,
        };
        Ok(())
    }

    fn verify(&mut self) -> Result<()> {
        let notices = crate::plan::verify_snippet(self.host, &self.target()?.jail)?;
        for notice in notices {
            if !self.notices.contains(&notice) {
                self.notices.push(notice);
            }
        }
        Ok(())
    }

    fn install_snippet(&mut self, file: &str, text: &str) -> Result<()> {
        self.verify()?;
        let (dir, name) = self.host.parent_of(Path::new(SSHD_CONFIG_DIR))?;
        let dir = dir.open_dir(Path::new(name))?;
        dir.replace_file(
            Path::new(file),
            text.as_bytes(),
            Ownership::root(PUBLIC_MODE),
        )?;
        self.reload()?;
        // Of all that it is for, who may be of a family.
        let gid = self.target()?.jail.lock.as_ref().map(|lock| lock.group.gid);
        let accounts = self.host.accounts()?;
        let users = accounts.users.iter().filter(|user| Some(user.gid) == gid);
        let uids: Vec<u32> = users.map(|user| user.uid).collect();
        Process::kill_unauthenticated(self.host, &uids)
    }

    pub(super) fn reload(&mut self) -> Result<()> {
        let pid_file = self.plan.facts().map(|facts| facts.pid_file.clone());
        let Some(pid_file) = pid_file.filter(|_| !self.options.no_reload && self.host.is_live())
        else {
            return Ok(());
        };
        let told = Sshd::find(self.host)?.reload(pid_file.as_deref())?;
        if told == Reload::NotRunning && self.plan.target.is_some() {
            let notice = "sshd does not run here now: the jail's accounts can log in once it does";
            if self.notices.iter().all(|other| other != notice) {
                self.notices.push(notice.to_owned());
            }
        }
        Ok(())
    }
}

/// Writes the note in a root.
pub(super) fn write_marker(root: &Dir, marker: &Marker) -> Result<()> {
    root.replace_file(
        Path::new(MARKER),
        &marker.to_json()?,
        Ownership::root(0o600),
    )
}
