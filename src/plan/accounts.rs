//! The steps that give a jail its group and its accounts.

use super::manifest::AccountRecord;
use super::{Manifest, SNIPPET_LIMIT, Step, expiry};
use crate::error::Result;
use crate::host::{Accounts, Belonging, Expiry, NewAccount, Passwd, View};
use crate::resolve::{ResolvedJail, WantedAccount};
use crate::spec::Password;

/// Makes the group and the accounts, or puts them where they belong.
pub(super) fn steps(wanted: &ResolvedJail, accounts: &Accounts, steps: &mut Vec<Step>) {
    if accounts.group(&wanted.group.name).is_none() {
        steps.push(Step::MakeGroup {
            name: wanted.group.name.clone(),
            gid: wanted.group.gid,
        });
    }
    for account in &wanted.accounts {
        let to = Belonging {
            gid: account.gid,
            home: account.home.to_string(),
            shell: account.login_shell.clone(),
        };
        let belonging = |found: &Passwd| Belonging {
            gid: found.gid,
            home: found.home.clone(),
            shell: found.shell.clone(),
        };
        match accounts.user(&account.name) {
            None => steps.push(Step::MakeAccount(NewAccount {
                name: account.name.clone(),
                uid: account.uid,
                gid: to.gid,
                gecos: account.gecos.clone(),
                home: to.home,
                shell: to.shell,
            })),
            Some(found) if belonging(found) != to => steps.push(Step::AlterAccount {
                name: account.name.clone(),
                from: belonging(found),
                to,
            }),
            Some(_) => {}
        }
    }
}

/// Sets keys and passwords.
pub(super) fn secrets(
    wanted: &ResolvedJail,
    accounts: &Accounts,
    view: &View,
    steps: &mut Vec<Step>,
) -> Result<()> {
    let keys = ResolvedJail::state(&wanted.name).join("keys");
    for account in &wanted.accounts {
        let have = view.read(&keys.join(&account.name), SNIPPET_LIMIT)?;
        if have.as_deref() != Some(account.keys.as_bytes()) {
            steps.push(Step::WriteKeys {
                user: account.name.clone(),
                text: account.keys.clone(),
            });
        }
        let found = accounts.user(&account.name);
        let encrypted = found.and_then(|found| found.password.as_deref());
        let is_set = match &account.password {
            Password::Locked => encrypted == Some("*") || found.is_none(),
            Password::Keep => true,
            Password::Hash(hash) => encrypted == Some(hash),
        };
        if !is_set {
            steps.push(Step::SetPassword {
                user: account.name.clone(),
                password: account.password.clone(),
            });
        }
    }
    Ok(())
}

/// Lets the accounts log in that cannot, or not as long as they should.
pub(super) fn openings(
    wanted: &ResolvedJail,
    accounts: &Accounts,
    manifest: Option<&Manifest>,
) -> Vec<Step> {
    let recorded = |name: &str| {
        let mut records = manifest.iter().flat_map(|manifest| &manifest.accounts);
        records.find(|record| record.name == name)
    };
    let wanted = wanted.accounts.iter();
    let step = |account: &WantedAccount| {
        let found = accounts.user(&account.name);
        let until = opening(account, found, recorded(&account.name))?;
        Some(Step::Open {
            user: account.name.clone(),
            until,
        })
    };
    wanted.filter_map(step).collect()
}

/// Until when an account is to be opened; `None` where it is open as it should be. An expiry that an admin gave it stays as long as the spec says none.
fn opening(
    account: &WantedAccount,
    found: Option<&Passwd>,
    record: Option<&AccountRecord>,
) -> Option<Expiry> {
    let wanted = account.expires.map_or(Expiry::Never, Expiry::Day);
    let is = expiry(found.map_or(Some(0), |found| found.expires));
    let was_ours = record
        .and_then(|record| record.expires)
        .is_some_and(|day| is == Expiry::Day(day));
    let is_wrong = is == Expiry::Closed || is != wanted && (account.expires.is_some() || was_ours);
    is_wrong.then_some(wanted)
}
