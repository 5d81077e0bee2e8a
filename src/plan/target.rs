//! The aim of a plan: the jail of a build, or the options of a removal.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::manifest::OriginalAccount;
use crate::host::sshd::SshdInfo;
use crate::resolve::ResolvedJail;
use crate::span::SourceText;

/// The jail that a build leads to, with what its manifest records.
#[derive(Clone, Debug)]
pub struct Target {
    /// The jail.
    pub jail: Arc<ResolvedJail>,
    /// Name and text of its spec.
    pub origin: SourceText,
    /// The sshd of the host; `None` for a jail that never had accounts.
    pub sshd: Option<SshdInfo>,
    /// The original fields of its adopted accounts, by login name.
    pub original_accounts: BTreeMap<String, OriginalAccount>,
}

/// Options of the removal of a jail.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RemoveOptions {
    /// Delete homes, other user directories and mail too.
    pub purge: bool,
    /// End live sessions instead of refusing.
    pub kill: bool,
    /// The removal was not requested: a spec no longer names the user of the jail.
    #[serde(default)]
    pub dropped: bool,
}
