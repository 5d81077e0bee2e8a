//! The undo records of a journal: how each step is reversed. Data only, with pinned names on disk;
//! `undo.rs` executes it.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::moves::Moves;
use crate::host::{AccountFields, Expiry, Ownership};
use crate::names::JailName;

/// The reverse of one step.
///
/// Undoing is idempotent: a step that was never executed, or is undone already, is left as it is.
/// So an undo can be executed at any time and any number of times.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::apply) enum Undo {
    /// Deletes a created group (name, gid), unless it is the primary group of an account by then.
    DeleteGroup(String, u32),
    /// Deletes a created account, which was never enabled, or whose home has nothing of its user.
    DeleteAccount {
        /// The jail.
        jail: JailName,
        /// Id of the jail's group.
        gid: u32,
        /// Login name.
        user: String,
        /// User id.
        uid: u32,
        /// Home, as a path of the host.
        home: PathBuf,
    },
    /// Restores an account's primary group, home, login shell, comment and supplementary groups.
    #[serde(rename = "AlterAccount")]
    ModifyAccount(String, AccountFields),
    /// Restores the expiry of an account.
    #[serde(rename = "Expire")]
    RestoreExpiry(String, Expiry),
    /// Restores the encrypted password of an account.
    #[serde(rename = "Password")]
    RestorePassword(String, String),
    /// Restores a file's content, owner and mode, or deletes the file where it did not exist.
    #[serde(rename = "Restore")]
    RestoreFile(PathBuf, Option<Vec<u8>>, Ownership),
    /// Reloads the sshd whose process id is in this file.
    #[serde(rename = "Reload")]
    ReloadSshd(PathBuf),
    /// Renames an account back.
    RenameAccount {
        /// Login name and home in passwd(5) before.
        from: (String, String),
        /// Login name after.
        to: String,
    },
    /// Renames a directory or file back, if the one at `to` has this inode number and there is
    /// none at `from`. Paths of the host.
    RenameBack {
        /// Path before.
        from: PathBuf,
        /// Path after.
        to: PathBuf,
        /// Inode number.
        inode: u64,
    },
    /// Removes created directories, deepest first, as far as they are empty.
    RemoveDirs(Vec<PathBuf>),
    /// Creates a directory with mode 0700, if it does not exist.
    #[serde(rename = "MakeDir")]
    CreateDir(PathBuf),
    /// Removes the private directory of a jail's root, then the directories created for the root,
    /// which are listed outermost first.
    RemoveRoot(PathBuf, Vec<PathBuf>),
    /// Restores the owner and mode of a directory.
    #[serde(rename = "Own")]
    RestoreOwner(PathBuf, Ownership),
    /// Reverses moves between a directory and its stage.
    #[serde(rename = "Moves")]
    ReverseMoves(Moves),
    /// Deletes files from the content store in a jails directory that no jail needs.
    #[serde(rename = "Store")]
    CleanStore(PathBuf),
}
