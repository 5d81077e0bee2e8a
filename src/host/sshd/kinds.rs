//! Kinds of users: users whom the configuration of sshd does not tell apart, but for their paths.
//!
//! sshd evaluates its configuration by the Match blocks that apply, and by nothing else of a user
//! than the name and the groups. If the same blocks of others apply to two users, and the block of
//! each one's own group has the same settings, its answers differ in the paths of that block alone.

use std::path::Path;

use super::config::Blocks;
use super::expected_settings::ExpectedSettings;
use super::match_line::ConnSpec;
use crate::error::Result;
use crate::host::accounts::Accounts;
use crate::host::view::HostView;
use crate::layout::{COMMON_SNIPPET, GROUP_PREFIX, JAILS_SNIPPET, SSHD_CONFIG_DIR};

/// Settings with paths of the jail, in lower case.
const PATHS: [&str; 2] = ["chrootdirectory", "authorizedkeysfile"];

/// Users with the same answers of sshd, but for their paths.
#[derive(Debug)]
pub(super) struct Kind<'e> {
    /// The users; sshd is queried about the first.
    pub(super) users: Vec<&'e ExpectedSettings>,
    /// Connections to query sshd about.
    pub(super) samples: Vec<ConnSpec>,
    /// Traits that the answers depend on; `None` if they may depend on more.
    traits: Option<Traits<'e>>,
}

/// Everything of a user that the answers of sshd depend on, but for the paths.
#[derive(Debug, PartialEq, Eq)]
struct Traits<'e> {
    /// Blocks of others that apply, by position.
    blocks: Vec<usize>,
    /// Settings other than paths.
    settings: Vec<&'e (String, String)>,
}

/// The kinds of the users `expected`.
///
/// # Errors
/// As [`Blocks::samples`], and `Failed` if the account files cannot be read.
pub(super) fn kinds_of_users<'e>(
    view: &HostView,
    blocks: &Blocks,
    expected: &'e [ExpectedSettings],
) -> Result<Vec<Kind<'e>>> {
    // A directory service may have groups that the files do not.
    let is_in_files = !view.uses_directory_service()?;
    let accounts = view.accounts()?;
    let ours = [JAILS_SNIPPET, COMMON_SNIPPET].map(|name| Path::new(SSHD_CONFIG_DIR).join(name));
    let blocks = blocks.without_files(&ours);
    let mut kinds: Vec<Kind<'e>> = Vec::new();
    for user in expected {
        let is_plain = is_in_files && !user.has_own_block && is_told_by_group(user, &accounts);
        let traits = is_plain.then(|| Traits {
            blocks: blocks.applicable(&user.user, &user.groups),
            settings: (user.settings.iter())
                .filter(|(key, _)| !PATHS.contains(&key.as_str()))
                .collect(),
        });
        let same = kinds.iter_mut();
        let mut same = same.filter(|kind| traits.is_some() && kind.traits == traits);
        match same.next() {
            Some(kind) => kind.users.push(user),
            None => kinds.push(Kind {
                users: vec![user],
                samples: blocks.samples(&user.user)?,
                traits,
            }),
        }
    }
    Ok(kinds)
}

/// Whether the block of the user's jail applies to the user, no block of another jail does, and the
/// paths have no character with a meaning in sshd_config(5).
fn is_told_by_group(expected: &ExpectedSettings, accounts: &Accounts) -> bool {
    let Some((own, further)) = expected.groups.split_first() else {
        return false;
    };
    let mut users = accounts
        .users
        .iter()
        .filter(|user| user.name == expected.user);
    let gid = accounts.group(own).map(|group| group.gid);
    let is_member =
        users.next().is_some_and(|user| Some(user.gid) == gid) && users.next().is_none();
    let is_plain = |value: &str| {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-%".contains(&byte);
        value.bytes().all(is_plain)
    };
    let mut paths = expected.settings.iter();
    is_member
        && further.iter().all(|group| !group.starts_with(GROUP_PREFIX))
        && paths.all(|(key, value)| !PATHS.contains(&key.as_str()) || is_plain(value))
}
