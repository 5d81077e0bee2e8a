//! The steps of a plan.

use std::path::PathBuf;

use jailctl_session::network::Fault;

use super::manifest::OriginalAccount;
use crate::host::pam::Edit;
use crate::host::{AccountFields, Expiry, NewAccount};
use crate::spec::Password;

/// One deed, complete: whoever carries it out needs to know nothing else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Takes an account's keys away and lets it expire.
    DisableAccount {
        /// Login name.
        user: String,
    },
    /// Makes the root, its parents and the marker in it.
    CreateRoot,
    /// Makes the jail's group.
    CreateGroup {
        /// Its name.
        name: String,
        /// Its id.
        gid: u32,
    },
    /// Makes an account, closed.
    CreateAccount(NewAccount),
    /// Masks systemd's manager of a user, which would run outside of the jail.
    MaskUserManager {
        /// Login name.
        user: String,
        /// User id.
        uid: u32,
    },
    /// Gives an account another primary group, home or login shell.
    ModifyAccount {
        /// Login name.
        name: String,
        /// As it is to be.
        to: AccountFields,
        /// As it is.
        from: AccountFields,
    },
    /// Stages what changes of the tree and swaps it in.
    WriteTree,
    /// Sees to it that nobody is in the jail, or stops.
    RequireEmpty {
        /// The jail's root.
        root: PathBuf,
        /// The ids of its users.
        uids: Vec<u32>,
    },
    /// Writes what sessions have of their own.
    WritePolicy {
        /// The whole file.
        text: String,
        /// The rules of the jail's network for nft(8), as they are and as they are to be, where they change.
        rules: Option<(String, String)>,
    },
    /// Loads the rules of the jail's network again, and puts back what else was taken from it while somebody is in it.
    RepairNetwork {
        /// What is wrong with it.
        faults: Vec<Fault>,
    },
    /// Makes the jail a plain chroot.
    RemovePolicy,
    /// Writes the stack of PAM for jailed accounts, or our lines in sshd's; or takes them away where the jail stays.
    WritePamService(Edit),
    /// The same at the end, with the last jail that needs them.
    RemovePamService(Edit),
    /// Verifies the settings that all jails share, makes them live, and reloads sshd.
    WriteCommonSnippet(Edit),
    /// Takes them away with the last jail, and reloads sshd.
    RemoveCommonSnippet(Edit),
    /// Verifies the snippet, makes it live, and reloads sshd.
    InstallSnippet {
        /// File name in `sshd_config.d`.
        file: String,
        /// Its text.
        text: String,
    },
    /// Verifies the snippet that is live.
    VerifySnippet,
    /// Writes an account's authorized_keys.
    WriteKeys {
        /// Login name.
        user: String,
        /// The whole file.
        text: String,
    },
    /// Sets an account's password.
    SetPassword {
        /// Login name.
        user: String,
        /// What it is to be.
        password: Password,
    },
    /// Lets an account log in.
    EnableAccount {
        /// Login name.
        user: String,
        /// Until when.
        until: Expiry,
    },
    /// Writes the manifest.
    WriteManifest,
    /// Removes an account that jailctl made; its home stays.
    DeleteAccount {
        /// Login name.
        user: String,
        /// User id.
        uid: u32,
        /// Whether its mail goes too.
        purge: bool,
    },
    /// Gives an account that was taken over back what it had; its home in the jail stays.
    RestoreAccount {
        /// Login name.
        user: String,
        /// User id.
        uid: u32,
        /// What it had.
        to: OriginalAccount,
    },
    /// Sees to it that nobody is in the jail.
    EndSessions {
        /// The jail's root.
        root: PathBuf,
        /// The ids of its users.
        uids: Vec<u32>,
        /// Whether sessions are ended, or a reason to stop.
        kill: bool,
    },
    /// Removes what the manifest records of the tree, and with `purge` the whole root.
    RemoveTree {
        /// Whether homes and other places of users go too.
        purge: bool,
    },
    /// Removes the records of the jail.
    DeleteRecords,
    /// Removes the jail's group.
    DeleteGroup {
        /// Its name.
        name: String,
    },
    /// Removes the snippet and reloads sshd.
    RemoveSnippet {
        /// File name in `sshd_config.d`.
        file: String,
    },
}

impl Step {
    /// Whether the step changes what an admin or a user can see.
    pub fn is_change(&self) -> bool {
        !matches!(
            self,
            Self::WriteManifest
                | Self::VerifySnippet
                | Self::EndSessions { .. }
                | Self::RequireEmpty { .. }
        )
    }

    /// Whether the step is taken only when all that can be undone is done: it is not undone, but finished.
    pub fn is_final(&self) -> bool {
        matches!(
            self,
            Self::EnableAccount { .. }
                | Self::DeleteAccount { .. }
                | Self::RestoreAccount { .. }
                | Self::RemoveTree { .. }
                | Self::DeleteRecords
                | Self::DeleteGroup { .. }
                | Self::RemoveSnippet { .. }
                | Self::RemovePamService(_)
                | Self::RemoveCommonSnippet(_)
        )
    }
}
