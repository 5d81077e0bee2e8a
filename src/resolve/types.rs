//! The result of resolving a spec: a jail as it is to be on one host.

use std::path::{Path, PathBuf};

use jailctl_session::policy::Policy;
use serde::Serialize;

use super::jail_blocks::BlockSettings;
use super::tree::Tree;
use crate::host::sshd::ExpectedSettings;
use crate::layout::{CACHE, JAIL_ROOT, STATE};
use crate::names::{JailName, JailPath};
use crate::span::Spanned;
use crate::spec::{AccessMethod, Password};

/// A jail as it is to be on one host.
#[derive(Clone, Debug)]
pub struct ResolvedJail {
    /// Name of the jail.
    pub name: JailName,
    /// Root directory of the jail on the host.
    pub root: PathBuf,
    /// Confinement of its accounts; `None` for a jail that never had accounts.
    pub confinement: Option<Confinement>,
    /// Supplementary groups of its accounts.
    pub further_groups: Vec<SupplementaryGroup>,
    /// Accounts of the jail.
    pub accounts: Vec<WantedAccount>,
    /// Ways in that the spec allows.
    pub access: Vec<AccessMethod>,
    /// Content of its root.
    pub tree: Tree,
    /// Packages that the spec names; empty if the tree is that of the last build.
    pub packages: Vec<PackageSummary>,
    /// Policy of its sessions; `None` for a plain chroot and for a jail that never had accounts.
    pub session: Option<Policy>,
    /// Skeleton directories for new homes: login name and path on the host.
    pub skeletons: Vec<(String, PathBuf)>,
    /// Commands that must succeed in the jail, run as the first of its accounts.
    pub tests: Vec<Spanned<Vec<String>>>,
    /// Notices for the administrator that need no action.
    pub notices: Vec<String>,
}

/// A package that a spec names, with those that it depends on, as they were added to a tree.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PackageSummary {
    /// Name of the package, as in the spec.
    pub name: String,
    /// Version of the package.
    pub version: String,
    /// Name and version of each package that was included with it: `libc6 2.36-9`.
    pub dependencies: Vec<String>,
    /// Number of files and symbolic links of all of them.
    pub files: usize,
    /// Size of all these files, in bytes.
    pub bytes: u64,
}

impl ResolvedJail {
    /// Directory of the records of a jail on the host.
    pub fn state(name: &JailName) -> PathBuf {
        Path::new(STATE).join(name.as_str())
    }

    /// File on the host that records a run of `verb` which found nothing to do with the jail. Its
    /// loss costs time and nothing else.
    pub fn cache(name: &JailName, verb: &str) -> PathBuf {
        Path::new(CACHE).join(format!("{name}.{verb}"))
    }
}

/// Confinement of the accounts of a jail by sshd.
#[derive(Clone, Debug)]
pub struct Confinement {
    /// Primary group of the accounts, which the `Match` block of the snippet names.
    pub group: WantedGroup,
    /// Settings of sshd for the accounts.
    pub sshd: SshdSnippet,
}

/// Settings of sshd for the accounts of a jail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SshdSnippet {
    /// File name in `sshd_config.d`.
    pub file: String,
    /// Settings of the snippet: those that differ from the common drop-in.
    pub settings: BlockSettings,
    /// Text of the snippet, as a block of its own.
    pub text: String,
    /// Text of the common drop-in, [`COMMON_SNIPPET`](crate::layout::COMMON_SNIPPET).
    pub common: String,
    /// PAM service that sshd uses for these accounts; `None` for an sshd without PAM.
    pub pam_service: Option<String>,
    /// Settings that `sshd -T -C` must print for each account.
    pub expected: Vec<ExpectedSettings>,
}

/// Primary group of the accounts of a jail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WantedGroup {
    /// Name of the group: `jail-<name>`.
    pub name: String,
    /// Group id, of the existing group or of the one to create.
    pub gid: u32,
}

/// Supplementary group of accounts of a jail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SupplementaryGroup {
    /// Name of the group.
    pub name: String,
    /// Group id, of the existing group or of the one to create.
    pub gid: u32,
    /// Whether the group has to be created.
    pub is_new: bool,
}

/// Account of a jail as it is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WantedAccount {
    /// Login name.
    pub name: String,
    /// User id, of the existing account or of the one to create.
    pub uid: u32,
    /// Group id of the primary group.
    pub gid: u32,
    /// Comment field (GECOS), by which jailctl recognises the account.
    pub gecos: String,
    /// Home directory inside the jail.
    pub home: JailPath,
    /// Shell inside the jail; `None` for a jail that does not allow `shell`.
    pub shell: Option<JailPath>,
    /// Login shell in the host's passwd(5), a path that exists in the jail only.
    pub login_shell: String,
    /// Content of its authorized_keys file.
    pub keys: String,
    /// Password as the spec sets it.
    pub password: Password,
    /// Names of its supplementary groups, sorted.
    pub groups: Vec<String>,
    /// Whether the account is adopted: it existed before, and is restored when it leaves the jail.
    pub adopted: bool,
    /// Day of expiry, in days since 1970-01-01.
    pub expires: Option<i64>,
}

impl WantedAccount {
    /// Home directory in the host's passwd(5): a path that exists in the jail only.
    pub fn passwd_home(&self) -> String {
        format!("{JAIL_ROOT}{}", self.home)
    }
}

/// Group, accounts and supplementary groups that a spec resolves to.
#[derive(Clone, Debug, Default)]
pub(super) struct ResolvedAccounts {
    /// Primary group of the accounts; `None` for a jail that never had accounts.
    pub group: Option<WantedGroup>,
    /// Accounts of the jail.
    pub accounts: Vec<WantedAccount>,
    /// Supplementary groups of the accounts.
    pub further_groups: Vec<SupplementaryGroup>,
}

impl ResolvedAccounts {
    /// The id of a group of the jail.
    pub(super) fn gid(&self, name: &str) -> Option<u32> {
        let own = self.group.iter().map(|group| (&group.name, group.gid));
        let further = self
            .further_groups
            .iter()
            .map(|group| (&group.name, group.gid));
        own.chain(further)
            .find_map(|(known, gid)| (known == name).then_some(gid))
    }

    /// Primary group, if the jail has an account that is a member of it.
    pub(super) fn named_group(&self) -> Option<&WantedGroup> {
        self.group.as_ref().filter(|_| !self.accounts.is_empty())
    }
}
