//! The deferred actions of a journal: what is left to do after the commit. Data only, with pinned
//! names on disk; `commit.rs` and `transaction.rs` execute it.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::host::Expiry;
use crate::names::JailName;
use crate::plan::{OriginalAccount, RemoveOptions};

/// One action after the commit. All are idempotent: recovery executes them again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::apply) enum DeferredAction {
    /// Lets an account log in.
    #[serde(rename = "Open")]
    EnableAccount {
        /// The jail.
        jail: JailName,
        /// Login name.
        user: String,
        /// Expiry of the account.
        until: Expiry,
    },
    /// Deletes an account that the jail no longer has. Its home stays.
    DeleteAccount {
        /// The jail.
        jail: JailName,
        /// Root of the jail.
        root: PathBuf,
        /// Id of the jail's group.
        gid: u32,
        /// Login name.
        user: String,
        /// User id.
        uid: u32,
    },
    /// Restores an adopted account that the jail no longer has to its original fields.
    #[serde(rename = "Release")]
    RestoreAccount {
        /// The jail.
        jail: JailName,
        /// Root of the jail.
        root: PathBuf,
        /// Login name.
        user: String,
        /// User id.
        uid: u32,
        /// Original fields of the account.
        to: OriginalAccount,
    },
    /// Replaces the previous generation of a directory with what was exchanged out of it.
    #[serde(rename = "Keep")]
    RotatePrevious {
        /// The directory, as a path of the host.
        dir: PathBuf,
        /// Path of the stage below it, with what was exchanged out.
        stage: PathBuf,
        /// Path of the previous generation below it.
        previous: PathBuf,
    },
    /// Deletes what was exchanged out of a directory.
    #[serde(rename = "Drop")]
    DeleteStage {
        /// The directory, as a path of the host.
        dir: PathBuf,
        /// Path of the stage below it, with what was exchanged out.
        stage: PathBuf,
    },
    /// Deletes files from the content store in a jails directory that no jail needs.
    #[serde(rename = "Store")]
    CleanStore(PathBuf),
    /// Closes the content store in a jails directory after a run that replaced no tree.
    #[serde(rename = "Settle")]
    CloseStore(PathBuf),
    /// Removes a jail whose accounts are disabled and whose sessions have ended.
    #[serde(rename = "Remove")]
    RemoveJail {
        /// The jail.
        jail: JailName,
        /// The options of its removal.
        how: RemoveOptions,
    },
    /// Deletes a root that a removal has left, with all that is in it.
    #[serde(rename = "Purge")]
    PurgeRoot {
        /// The jail of its marker.
        jail: JailName,
        /// The root, as a path of the host.
        root: PathBuf,
        /// Directories that were created for the root, with the root itself, outermost first.
        made: Vec<PathBuf>,
    },
}
