//! The plan towards the empty jail.

use serde::{Deserialize, Serialize};

use super::live_sessions::ensure_no_sessions;
use super::sshd::snippet;
use super::{Manifest, Plan, Step, accounts, session_policy};
use crate::error::{Error, Result};
use crate::host::{Group, HostView, Process, UserEntry};
use crate::names::{JailName, UserName};
use crate::resolve::{ResolvedJail, is_managed};

/// How a jail is taken away.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RemoveOptions {
    /// Homes, mail and other places of users go too.
    pub purge: bool,
    /// Live sessions are ended, not a reason to refuse.
    pub kill: bool,
    /// Nobody asked for it: a spec no longer names the user whose jail it is.
    #[serde(default)]
    pub dropped: bool,
}

/// Plans to take the jail `name` away, with the jails `along` gone before it; `None` where there is no such jail. A mount below its root, and without
/// `kill` a live session, is an error: nothing is begun then.
///
/// The order keeps the door shut: accounts are closed first, and the snippet that locks them in goes when there are none left. A family's stays as long
/// as one of its jails does.
pub fn removal(
    name: &JailName,
    along: &[JailName],
    how: RemoveOptions,
    view: &HostView,
) -> Result<Option<Plan>> {
    let Some(manifest) = Manifest::load(view, name)? else {
        return leftovers(name, how, view);
    };
    let root = &manifest.root;
    let mounts = view.mounts_below(root)?;
    if !mounts.is_empty() {
        let mut error = Error::failed(format!("could not remove the jail `{name}`"))
            .why("something is mounted in it");
        for mount in mounts.iter().take(8) {
            error = error.hint(format!("unmount it first: umount {}", mount.display()));
        }
        return Err(error);
    }
    let known = view.accounts()?;
    let ours: Vec<_> = known
        .users
        .iter()
        .filter(|user| is_managed(user, name, manifest.gid()))
        .collect();
    let half: Vec<_> = manifest
        .accounts
        .iter()
        .filter(|account| known.orphan_shadow_users.contains(&account.name))
        .collect();
    let uids: Vec<u32> = ours.iter().map(|user| user.uid).collect();
    if !how.kill {
        ensure_no_sessions(name, how, &Process::find_in_jail(view, root, &uids)?)?;
    }
    let mut steps: Vec<Step> = ours
        .iter()
        .map(|user| Step::DisableAccount {
            user: user.name.clone(),
        })
        .collect();
    steps.push(Step::EndSessions {
        root: root.clone(),
        uids,
        kill: how.kill,
    });
    steps.push(Step::RemoveTree { purge: how.purge });
    for user in &ours {
        steps.push(accounts::account_exit_step(
            user,
            Some(&manifest),
            how.purge,
        )?);
    }
    for account in half {
        steps.push(Step::DeleteAccount {
            user: account.name.clone(),
            uid: account.uid,
            purge: how.purge,
        });
    }
    let is_shared = is_shared(name, along, &known.users, &manifest, view)?;
    let lock = manifest.lock.as_ref().filter(|_| !is_shared);
    if let Some((group, _)) = lock.map(|lock| &lock.group)
        && (known.group(group).is_some() || known.orphan_shadow_groups.contains(group))
    {
        steps.push(Step::DeleteGroup {
            name: group.clone(),
        });
    }
    for (group, gid) in &manifest.groups {
        let is_of_others = |found: &Group| {
            let strange = |name: &String| ours.iter().all(|user| user.name != *name);
            found.members.iter().any(strange) || known.users.iter().any(|user| user.gid == *gid)
        };
        match known.group(group) {
            Some(found) if found.gid == *gid && !is_of_others(found) => {
                steps.push(Step::DeleteGroup {
                    name: group.clone(),
                });
            }
            None if known.orphan_shadow_groups.contains(group) => steps.push(Step::DeleteGroup {
                name: group.clone(),
            }),
            _ => {}
        }
    }
    let mut before = None;
    if let Some((file, _)) = lock.map(|lock| &lock.snippet) {
        before = snippet(view, file)?;
        if before.is_some() {
            steps.push(Step::RemoveSnippet { file: file.clone() });
        }
    }
    if lock.is_some() {
        let edit = super::sshd::remove_common(view, name, along)?;
        steps.extend(edit.map(Step::RemoveCommonSnippet));
        let edits = session_policy::release_services(view, name, along)?;
        steps.extend(edits.into_iter().map(Step::RemovePamService));
    }
    steps.push(Step::DeleteRecords);
    let mut notices = Vec::new();
    if !how.purge {
        for place in &manifest.places {
            notices.push(format!(
                "`{}{place}` stays, with what its users put there",
                root.display()
            ));
        }
    }
    let plan = Plan {
        name: name.clone(),
        root: root.clone(),
        changes: Vec::new(),
        steps,
        snippet: before.map(|text| (Some(text), None)),
        keep_previous: false,
        notices,
        unmanaged: Vec::new(),
        target: None,
        removal: Some(how),
        manifest: Some(manifest),
    };
    Ok(Some(plan))
}

/// Whether another jail of the family is there, or an account of one, which needs what they share.
fn is_shared(
    name: &JailName,
    along: &[JailName],
    users: &[UserEntry],
    manifest: &Manifest,
    view: &HostView,
) -> Result<bool> {
    let stays = |other: &JailName| other.is_sibling(name) && !along.contains(other);
    let is_of_sibling = |user: &UserEntry| {
        let sibling = UserName::new(&user.name)
            .ok()
            .map(|user| name.for_user(&user));
        sibling.is_some_and(|other| stays(&other) && is_managed(user, &other, manifest.gid()))
    };
    Ok(Manifest::names(view)?.iter().any(stays) || users.iter().any(is_of_sibling))
}

/// What is left to do where the records of the jail are gone but for the directory that held them.
fn leftovers(name: &JailName, how: RemoveOptions, view: &HostView) -> Result<Option<Plan>> {
    let state = ResolvedJail::state(name);
    if view.lstat(&state)?.is_none() {
        return Ok(None);
    }
    Ok(Some(Plan {
        name: name.clone(),
        root: state,
        changes: Vec::new(),
        steps: vec![Step::DeleteRecords],
        snippet: None,
        keep_previous: false,
        notices: Vec::new(),
        unmanaged: Vec::new(),
        target: None,
        removal: Some(how),
        manifest: None,
    }))
}
