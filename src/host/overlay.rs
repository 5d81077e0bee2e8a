//! Accounts that a plan assumes to exist: other plans of the same run create them first.

use super::account_entry::{Group, NewAccount, UserEntry};

/// Accounts and groups that reads of a host include although they do not exist yet, and the ids
/// that stay free for others.
#[derive(Debug, Default)]
pub(super) struct AssumedAccounts {
    /// Number of ids left free between the highest id in use and the next new one.
    pub(super) id_gap: u32,
    accounts: Vec<NewAccount>,
    /// Names with group ids.
    groups: Vec<(String, u32)>,
}

impl AssumedAccounts {
    /// Adds accounts, and groups as names with group ids.
    pub(super) fn add(&mut self, accounts: Vec<NewAccount>, groups: Vec<(String, u32)>) {
        self.accounts.extend(accounts);
        self.groups.extend(groups);
    }

    /// Whether reads include nothing but what exists.
    pub(super) fn is_empty(&self) -> bool {
        self.id_gap == 0 && self.accounts.is_empty() && self.groups.is_empty()
    }

    /// Entries of the assumed accounts.
    pub(super) fn users(&self) -> impl Iterator<Item = UserEntry> {
        self.accounts.iter().map(user_entry)
    }

    /// Entries of the assumed groups.
    pub(super) fn groups(&self) -> impl Iterator<Item = Group> {
        self.groups.iter().map(|(name, gid)| Group {
            name: name.clone(),
            gid: *gid,
            members: Vec::new(),
        })
    }
}

/// Entry of an account just after its creation: closed, without a password.
fn user_entry(account: &NewAccount) -> UserEntry {
    UserEntry {
        name: account.name.clone(),
        uid: account.uid,
        gid: account.gid,
        gecos: account.gecos.clone(),
        home: account.home.clone(),
        shell: account.shell.clone(),
        password: Some("*".to_owned()),
        expires: Some(1),
        password_expires: None,
    }
}
