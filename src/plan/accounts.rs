//! The steps that create, modify, open and remove the group and the accounts of a jail.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::expiry::{expiry, is_closed};
use super::manifest::{AccountRecord, Manifest, OriginalAccount};
use super::step::Step;
use super::text_file::TEXT_LIMIT;
use crate::error::{Error, Result};
use crate::host::{
    AccountFields, Accounts, Expiry, HostView, NewAccount, Ownership, Stat, UserEntry,
};
use crate::layout::{KEYS_DIR, PUBLIC_MODE, STATE};
use crate::names::JailName;
use crate::resolve::{Confinement, ResolvedJail, WantedAccount, is_adopted};
use crate::spec::Password;

/// The steps that create groups and accounts, closed, or modify those that exist.
pub(super) fn steps(
    wanted: &ResolvedJail,
    accounts: &Accounts,
    manifest: Option<&Manifest>,
    view: &HostView,
) -> Result<Vec<Step>> {
    let mut steps = Vec::new();
    if let Some(Confinement { group, .. }) = &wanted.confinement
        && accounts.group(&group.name).is_none()
    {
        steps.push(Step::CreateGroup {
            name: group.name.clone(),
            gid: group.gid,
        });
    }
    for group in wanted.further_groups.iter().filter(|group| group.is_new) {
        steps.push(Step::CreateGroup {
            name: group.name.clone(),
            gid: group.gid,
        });
    }
    for account in &wanted.accounts {
        let found = accounts.user(&account.name);
        let is = found.map(|found| accounts.belonging(found));
        let taking_over = account.adopted && found.is_some_and(|found| !is_adopted(found));
        let to = AccountFields {
            gid: account.gid,
            home: account.passwd_home(),
            shell: account.login_shell.clone(),
            gecos: account.gecos.clone(),
            groups: match &is {
                Some(is) if account.adopted && !taking_over => {
                    groups(account, &is.groups, manifest)
                }
                _ => account.groups.clone(),
            },
        };
        if view.has_user_manager(account.uid)? {
            steps.push(Step::MaskUserManager {
                user: account.name.clone(),
                uid: account.uid,
            });
        }
        match is {
            None => steps.push(Step::CreateAccount(NewAccount {
                name: account.name.clone(),
                uid: account.uid,
                gid: to.gid,
                gecos: account.gecos.clone(),
                home: to.home,
                shell: to.shell,
                groups: to.groups,
            })),
            Some(from) if from != to => steps.push(Step::ModifyAccount {
                name: account.name.clone(),
                from,
                to,
            }),
            Some(_) => {}
        }
    }
    Ok(steps)
}

/// The supplementary groups of an adopted account: those of the spec, and those that an
/// administrator added, but not those that only an earlier spec had.
fn groups(account: &WantedAccount, has: &[String], manifest: Option<&Manifest>) -> Vec<String> {
    let given = manifest
        .and_then(|manifest| manifest.account(&account.name))
        .map_or(&[][..], |record| &record.groups);
    let mut groups = account.groups.clone();
    for group in has {
        if !groups.contains(group) && !given.contains(group) {
            groups.push(group.clone());
        }
    }
    groups.sort();
    groups
}

/// The original state of each adopted account, by login name: as recorded, or as it is now.
///
/// # Errors
/// [`crate::error::ErrorKind::Failed`] if an account is adopted already and its original state is
/// not recorded.
pub(super) fn original_accounts(
    wanted: &ResolvedJail,
    accounts: &Accounts,
    manifest: Option<&Manifest>,
) -> Result<BTreeMap<String, OriginalAccount>> {
    let mut all = BTreeMap::new();
    for account in wanted.accounts.iter().filter(|account| account.adopted) {
        let recorded = manifest
            .and_then(|manifest| manifest.account(&account.name))
            .and_then(|record| record.before.clone());
        let found = accounts.user(&account.name);
        let before = match (recorded, found) {
            (Some(before), _) => before,
            (None, Some(found)) if !is_adopted(found) => OriginalAccount {
                belonging: accounts.belonging(found),
                expires: found.expires,
                had_password: found
                    .password
                    .as_ref()
                    .is_none_or(|text| !text.starts_with('*')),
            },
            (None, _) => {
                return Err(
                    Error::failed(format!("could not use the account `{}`", account.name))
                        .why("it is adopted, and its original state is not recorded")
                        .hint(format!(
                            "restore its group, shell, home and comment with `usermod`, then build again: usermod -c '' {}",
                            account.name
                        )),
                );
            }
        };
        all.insert(account.name.clone(), before);
    }
    Ok(all)
}

/// The step that removes an account from a jail: an adopted account is restored, another is
/// deleted.
///
/// # Errors
/// [`crate::error::ErrorKind::Failed`] if the original state of an adopted account is not recorded.
pub(super) fn account_exit_step(
    found: &UserEntry,
    gid: u32,
    manifest: Option<&Manifest>,
    purge: bool,
) -> Result<Step> {
    if !is_adopted(found) {
        return Ok(Step::DeleteAccount {
            user: found.name.clone(),
            uid: found.uid,
            gid,
            purge,
        });
    }
    let before = manifest
        .and_then(|manifest| manifest.account(&found.name))
        .and_then(|record| record.before.clone());
    let before = before.ok_or_else(|| {
        Error::failed(format!("could not restore the account `{}`", found.name))
            .why("its original state is not recorded")
            .hint("restore its group, shell, home and comment with `usermod`, and try again")
    })?;
    Ok(Step::RestoreAccount {
        user: found.name.clone(),
        uid: found.uid,
        to: before,
    })
}

/// The steps that write keys and set passwords; locked users get no keys. `is_closed`: whether an
/// earlier step closes the accounts and so deletes their keys.
pub(super) fn credential_steps(
    wanted: &ResolvedJail,
    accounts: &Accounts,
    locked: &BTreeSet<String>,
    is_closed: bool,
    view: &HostView,
) -> Result<Vec<Step>> {
    let mut steps = Vec::new();
    for account in &wanted.accounts {
        if !locked.contains(&account.name) {
            let because = key_flaw(&wanted.name, &account.name, Some(&account.keys), view)?;
            let because = because.or_else(|| is_closed.then(|| "they are deleted".to_owned()));
            steps.extend(because.map(|because| Step::WriteKeys {
                user: account.name.clone(),
                text: account.keys.clone(),
                because,
            }));
        }
        let found = accounts.user(&account.name);
        let encrypted = found.and_then(|found| found.password.as_deref());
        let is_set = match &account.password {
            Password::Locked if account.adopted => {
                encrypted.is_some_and(|text| text.starts_with('*'))
            }
            Password::Locked => encrypted == Some("*") || found.is_none(),
            Password::Unchanged => true,
            Password::Hash(hash) => encrypted == Some(hash),
        };
        if !is_set {
            steps.push(Step::SetPassword {
                user: account.name.clone(),
                password: account.password.clone(),
            });
        }
    }
    Ok(steps)
}

/// The difference of the authorized keys of a user, of their file and its directories; `None` if
/// there is none. `wanted` is the text of the file, if it is known.
///
/// # Errors
/// [`crate::error::ErrorKind::Failed`] if the file cannot be read.
pub(super) fn key_flaw(
    jail: &JailName,
    user: &str,
    wanted: Option<&str>,
    view: &HostView,
) -> Result<Option<String>> {
    let keys = ResolvedJail::state(jail).join(KEYS_DIR);
    Ok(match view.read_with_stat(&keys.join(user), TEXT_LIMIT)? {
        None => Some("they are gone".to_owned()),
        Some((text, _)) if wanted.is_some_and(|wanted| text != wanted.as_bytes()) => {
            Some("they were changed".to_owned())
        }
        Some((_, stat)) => match flaw(&stat, Ownership::root(PUBLIC_MODE)) {
            None => flaw_of_key_dirs(&keys, view)?,
            flaw => flaw,
        },
    })
}

/// The difference of owner and mode from what they are to be; `None` if there is none.
fn flaw(found: &Stat, wanted: Ownership) -> Option<String> {
    let is = found.ownership();
    if (is.uid, is.gid) != (wanted.uid, wanted.gid) {
        Some(format!("the file belongs to {}:{}", is.uid, is.gid))
    } else if is.mode != wanted.mode {
        Some(format!("the mode of the file is {:04o}", is.mode))
    } else {
        None
    }
}

/// The difference of owner or mode of the directory of keys and those above it, which sshd(8)
/// passes as the user; `None` if there is none. Directories that do not exist are created.
fn flaw_of_key_dirs(keys: &Path, view: &HostView) -> Result<Option<String>> {
    for dir in keys.ancestors().take_while(|dir| dir.starts_with(STATE)) {
        let Some(stat) = view.lstat(dir)? else {
            continue;
        };
        let is = stat.ownership();
        if !is.is_root_only() {
            return Ok(Some(format!(
                "others than root can change the directory `{}` ({}:{}, mode {:04o})",
                dir.display(),
                is.uid,
                is.gid,
                is.mode
            )));
        }
        if is.mode & 0o001 == 0 {
            return Ok(Some(format!(
                "their user may not pass the directory `{}` (mode {:04o})",
                dir.display(),
                is.mode
            )));
        }
    }
    Ok(None)
}

/// The steps that close the accounts of locked users which are open, or which have keys.
pub(super) fn lock_steps(
    wanted: &ResolvedJail,
    accounts: &Accounts,
    locked: &BTreeSet<String>,
    view: &HostView,
) -> Result<Vec<Step>> {
    let keys = ResolvedJail::state(&wanted.name).join(KEYS_DIR);
    let mut steps = Vec::new();
    for account in wanted
        .accounts
        .iter()
        .filter(|one| locked.contains(&one.name))
    {
        let Some(found) = accounts.user(&account.name) else {
            continue;
        };
        if !is_closed(found.expires) || view.lstat(&keys.join(&account.name))?.is_some() {
            steps.push(Step::DisableAccount {
                user: account.name.clone(),
            });
        }
    }
    Ok(steps)
}

/// The steps that open accounts which are closed, or which expire on another day than they should;
/// those of locked users stay closed.
pub(super) fn enable_steps(
    wanted: &ResolvedJail,
    accounts: &Accounts,
    locked: &BTreeSet<String>,
    is_closed: bool,
    manifest: Option<&Manifest>,
) -> Vec<Step> {
    let recorded = |name: &str| manifest.and_then(|manifest| manifest.account(name));
    let wanted = (wanted.accounts.iter()).filter(|account| !locked.contains(&account.name));
    let step = |account: &WantedAccount| {
        let found = accounts.user(&account.name);
        // An earlier step closes it: its expiry date is restored.
        let again = || {
            found
                .filter(|_| is_closed)
                .map(|found| expiry(found.expires))
        };
        let until = enable_until(account, found, recorded(&account.name)).or_else(again)?;
        Some(Step::EnableAccount {
            user: account.name.clone(),
            until,
        })
    };
    wanted.filter_map(step).collect()
}

/// The expiry date that an account is to get; `None` if it has that already. A date that an
/// administrator set stays while the spec has none.
fn enable_until(
    account: &WantedAccount,
    found: Option<&UserEntry>,
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
