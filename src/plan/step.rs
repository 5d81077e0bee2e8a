//! The steps of a plan: their data and their classes.
//!
//! A new step is added here, with its texts in `step_text`, with its execution and undo in
//! `apply::steps`, and in the planner that emits it.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use jailctl_session::network::Fault;

use super::compare::Change;
use super::manifest::{Manifest, OriginalAccount};
use super::target::{RemoveOptions, Target};
use crate::host::pam::Edit;
use crate::host::{AccountFields, Expiry, NewAccount};
use crate::resolve::{OrphanedHome, ResolvedJail};
use crate::spec::Password;

/// One step of a plan, with all data that its execution needs but the jail's name and root.
#[derive(Clone, Debug)]
pub enum Step {
    /// Deletes an account's keys and lets it expire.
    DisableAccount {
        /// Login name.
        user: String,
    },
    /// Creates the root, its parents and its marker, or makes the root root-owned again.
    CreateRoot {
        /// The root.
        root: PathBuf,
    },
    /// Renames the root of the jail.
    MoveRoot {
        /// The root before.
        from: PathBuf,
        /// The root after.
        to: PathBuf,
        /// Inode number of the root.
        inode: u64,
    },
    /// Renames an account; its user id, password and groups stay.
    RenameAccount {
        /// Login name and home in passwd(5) before.
        from: (String, String),
        /// Login name and home in passwd(5) after.
        to: (String, String),
    },
    /// Renames the home or the keys of a renamed user.
    RenamePath {
        /// Path before, on the host.
        from: PathBuf,
        /// Path after, on the host.
        to: PathBuf,
        /// Inode number.
        inode: u64,
        /// Login name after.
        user: String,
        /// `home` or `keys`.
        subject: &'static str,
    },
    /// Edits the spec file of the jail.
    EditSpec(SpecEdit),
    /// Creates a group.
    CreateGroup {
        /// Name of the group.
        name: String,
        /// Group id.
        gid: u32,
    },
    /// Creates an account, disabled.
    CreateAccount(NewAccount),
    /// Masks systemd's user manager of an account, which would run outside of the jail.
    MaskUserManager {
        /// Login name.
        user: String,
        /// User id.
        uid: u32,
    },
    /// Changes the primary group, home, login shell, comment or supplementary groups of an account.
    ModifyAccount {
        /// Login name.
        name: String,
        /// The new fields.
        to: AccountFields,
        /// The fields before.
        from: AccountFields,
    },
    /// Stages the changed paths of the tree, tests them, and exchanges them with the live ones.
    WriteTree {
        /// The jail with its tree.
        jail: Arc<ResolvedJail>,
        /// The paths that change.
        changes: Arc<[Change]>,
        /// The manifest of the last build.
        recorded: Option<Arc<Manifest>>,
    },
    /// Fails unless the jail has no process.
    RequireEmpty {
        /// The jail's root.
        root: PathBuf,
        /// User ids of the jail's accounts.
        uids: Vec<u32>,
    },
    /// Writes the session policy.
    WritePolicy {
        /// The whole file.
        text: String,
        /// The file before.
        before: Option<String>,
        /// The nft(8) rules of the jail's network before and after, if they change.
        rules: Option<(String, String)>,
    },
    /// Restores the jail's network to its policy while sessions are in it.
    RepairNetwork {
        /// Its differences from the policy.
        faults: Vec<Fault>,
    },
    /// Removes the session policy: the jail is a plain chroot then.
    RemovePolicy {
        /// The file before.
        before: Option<String>,
    },
    /// Writes jailctl's block into a PAM service file, or removes it while the jail stays.
    WritePamService(Edit),
    /// Removes jailctl's block from a PAM service file with the last jail that needs it.
    RemovePamService(Edit),
    /// Verifies the snippet that all jails share, writes it, and reloads sshd.
    WriteCommonSnippet {
        /// The change of the file.
        edit: Edit,
        /// The jail whose accounts it is verified for.
        jail: Arc<ResolvedJail>,
    },
    /// Removes the snippet that all jails share with the last jail, and reloads sshd.
    RemoveCommonSnippet(Edit),
    /// Verifies the jail's snippet, writes it, and reloads sshd.
    InstallSnippet {
        /// File name in `sshd_config.d`.
        file: String,
        /// Text of the snippet, as a block of its own.
        text: String,
        /// The snippet before.
        before: Option<String>,
        /// The jail whose accounts it is verified for.
        jail: Arc<ResolvedJail>,
    },
    /// Verifies the jail's snippet as it is written.
    VerifySnippet {
        /// The jail whose accounts it is verified for.
        jail: Arc<ResolvedJail>,
    },
    /// Writes an account's authorized_keys.
    WriteKeys {
        /// Login name.
        user: String,
        /// The whole file.
        text: String,
        /// The difference of the present file: fits after "keys of USER: ".
        because: String,
    },
    /// Records which users of the jail are locked.
    WriteLocks {
        /// Login names.
        users: BTreeSet<String>,
        /// The login name whose lock changes.
        user: String,
    },
    /// Sets an account's password.
    SetPassword {
        /// Login name.
        user: String,
        /// The password.
        password: Password,
    },
    /// Lets an account log in.
    EnableAccount {
        /// Login name.
        user: String,
        /// Expiry of the account.
        until: Expiry,
    },
    /// Writes the manifest and the spec as built.
    WriteManifest {
        /// The jail as built.
        target: Arc<Target>,
        /// The manifest of the last build.
        recorded: Option<Arc<Manifest>>,
    },
    /// Deletes an account that jailctl created; its home stays.
    DeleteAccount {
        /// Login name.
        user: String,
        /// User id.
        uid: u32,
        /// Id of the jail's group.
        gid: u32,
        /// Whether its mail is deleted too.
        purge: bool,
    },
    /// Restores an adopted account to its original fields; its home in the jail stays.
    RestoreAccount {
        /// Login name.
        user: String,
        /// User id.
        uid: u32,
        /// Original fields of the account.
        to: OriginalAccount,
    },
    /// Ends the sessions of the jail, or fails while it has one.
    EndSessions {
        /// The jail's root.
        root: PathBuf,
        /// User ids of the jail's accounts.
        uids: Vec<u32>,
        /// Id of the jail's group.
        gid: Option<u32>,
        /// Options of the removal; `kill` ends sessions.
        options: RemoveOptions,
    },
    /// Deletes the recorded tree, and with `purge` the whole root.
    RemoveTree {
        /// Whether homes and other user directories are deleted too.
        purge: bool,
        /// The manifest of the last build.
        recorded: Arc<Manifest>,
    },
    /// Deletes a root that a removal has left, with all that is in it.
    PurgeRoot {
        /// Homes in it, whose users were removed.
        orphans: Vec<OrphanedHome>,
        /// Directories that were created for the root, with the root itself, outermost first.
        made: Vec<PathBuf>,
    },
    /// Deletes the records of the jail.
    DeleteRecords {
        /// The manifest of the last build; `None` where only the directory is left.
        recorded: Option<Arc<Manifest>>,
    },
    /// Deletes a group that jailctl created.
    DeleteGroup {
        /// Name of the group.
        name: String,
        /// Recorded group id.
        gid: Option<u32>,
    },
    /// Deletes the jail's snippet, and reloads sshd.
    RemoveSnippet {
        /// File that has it.
        path: PathBuf,
    },
}

/// A change of the text of a file outside of jails.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpecEdit {
    /// Path of the spec file on the running system.
    pub path: PathBuf,
    /// Text before.
    pub from: String,
    /// Text after.
    pub to: String,
}

impl Step {
    /// Whether the step has an effect that an admin or a user can see.
    pub fn is_change(&self) -> bool {
        !matches!(
            self,
            Self::WriteManifest { .. }
                | Self::VerifySnippet { .. }
                | Self::EndSessions { .. }
                | Self::RequireEmpty { .. }
        )
    }

    /// Whether the step is executed after the commit: it is not undone, but finished.
    pub fn is_final(&self) -> bool {
        matches!(
            self,
            Self::EnableAccount { .. }
                | Self::DeleteAccount { .. }
                | Self::RestoreAccount { .. }
                | Self::RemoveTree { .. }
                | Self::PurgeRoot { .. }
                | Self::DeleteRecords { .. }
                | Self::DeleteGroup { .. }
                | Self::RemoveSnippet { .. }
                | Self::RemovePamService(_)
                | Self::RemoveCommonSnippet(_)
        )
    }

    /// Whether the step writes or verifies drop-ins of sshd. The steps of several plans for that
    /// are executed together.
    pub fn is_of_sshd(&self) -> bool {
        matches!(
            self,
            Self::WriteCommonSnippet { .. }
                | Self::InstallSnippet { .. }
                | Self::VerifySnippet { .. }
        )
    }

    /// Whether both steps write the same content to the same file that jails share.
    pub(super) fn writes_same_as(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::WritePamService(one), Self::WritePamService(another))
            | (
                Self::WriteCommonSnippet { edit: one, .. },
                Self::WriteCommonSnippet { edit: another, .. },
            ) => one == another,
            (
                Self::InstallSnippet { file, text, .. },
                Self::InstallSnippet {
                    file: other_file,
                    text: other_text,
                    ..
                },
            ) => (file, text) == (other_file, other_text),
            _ => false,
        }
    }
}
