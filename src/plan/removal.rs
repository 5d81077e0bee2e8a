//! The plan that removes a jail.

use std::path::Path;
use std::sync::Arc;

use super::fleet::Fleet;
use super::live_sessions::ensure_no_sessions;
use super::manifest::Manifest;
use super::sshd::{remove_common, snippet};
use super::step::Step;
use super::target::RemoveOptions;
use super::types::Plan;
use super::{accounts, session_policy};
use crate::error::{Error, Result};
use crate::host::{Accounts, Group, HostView, Process, UserEntry};
use crate::names::{JailName, UserName};
use crate::resolve::{ResolvedJail, is_managed};

/// Plans to remove the jail `name`, after the jails `along`; `None` if there is no such jail.
///
/// The drop-ins of a family stay as long as one of its jails does.
///
/// # Errors
/// [`crate::error::ErrorKind::Failed`] if something is mounted below the root, a session is live
/// and `how` does not end it, or the host cannot be read. Nothing is begun then.
pub fn removal(
    name: &JailName,
    along: &[JailName],
    how: RemoveOptions,
    view: &HostView,
) -> Result<Option<Plan>> {
    let Some(manifest) = Manifest::load(view, name)? else {
        return leftovers(name, how, view);
    };
    let manifest = Arc::new(manifest);
    let gid_for = |uid| manifest.gid().unwrap_or(uid);
    let root = &manifest.root;
    ensure_no_mounts(name, root, view)?;
    let known = view.accounts()?;
    let managed: Vec<&UserEntry> = (known.users.iter())
        .filter(|user| is_managed(user, name, manifest.gid()))
        .collect();
    let uids: Vec<u32> = managed.iter().map(|user| user.uid).collect();
    if !how.kill {
        ensure_no_sessions(view, name, how, &Process::find_in_jail(view, root, &uids)?)?;
    }
    let is_shared = is_shared(name, along, &known.users, &manifest, view)?;
    let confinement = manifest.confinement.as_ref().filter(|_| !is_shared);
    let exits: Vec<Step> = (managed.iter())
        .map(|user| {
            let gid = gid_for(user.uid);
            accounts::account_exit_step(user, gid, Some(&manifest), how.purge)
        })
        .collect::<Result<_>>()?;
    let before = match confinement {
        Some(_) => Some(snippet(view, name)?).filter(|found| found.text.is_some()),
        None => None,
    };
    let (common, services) = match confinement {
        Some(_) => (
            remove_common(view, name, along)?,
            session_policy::release_services(view, name, along)?,
        ),
        None => (None, Vec::new()),
    };

    // A removal is recorded when its accounts are closed and no session is live; from then on it
    // goes forward only (decision 0017).
    let steps = [
        // No account can log in from here on. The snippet still confines the accounts.
        (managed.iter())
            .map(|user| Step::DisableAccount {
                user: user.name.clone(),
            })
            .collect(),
        // No process is in the jail while its files are deleted.
        vec![Step::EndSessions {
            root: root.clone(),
            uids,
            gid: manifest.gid(),
            options: how,
        }],
        // The tree is removed while the accounts exist: ids of its files belong to no other user.
        vec![Step::RemoveTree {
            purge: how.purge,
            recorded: manifest.clone(),
        }],
        exits,
        // What an interrupted userdel(8) has left in one of the account files.
        (manifest.accounts.iter())
            .filter(|account| known.orphan_shadow_users.contains(&account.name))
            .map(|account| Step::DeleteAccount {
                user: account.name.clone(),
                uid: account.uid,
                gid: gid_for(account.uid),
                purge: how.purge,
            })
            .collect(),
        // Groups are deleted when no account has them as primary group.
        (confinement.iter())
            .map(|confinement| &confinement.group.0)
            .filter(|group| {
                known.group(group).is_some() || known.orphan_shadow_groups.contains(*group)
            })
            .map(|group| Step::DeleteGroup {
                name: group.clone(),
                gid: recorded_gid(&manifest, group),
            })
            .collect(),
        supplementary_groups(&manifest, &known, &managed),
        // sshd confines the accounts until there are none: the snippet first, the common drop-in,
        // with which no account can log in, after it, and PAM services last.
        (before.iter())
            .map(|found| Step::RemoveSnippet {
                path: found.path.clone(),
            })
            .collect(),
        common.into_iter().map(Step::RemoveCommonSnippet).collect(),
        services.into_iter().map(Step::RemovePamService).collect(),
        // An interrupted removal is continued by the records, so that they are deleted last.
        vec![Step::DeleteRecords {
            recorded: Some(manifest.clone()),
        }],
    ]
    .concat();
    let notices = notices_on_homes(&manifest, how, view)?;
    let plan = Plan {
        name: name.clone(),
        root: root.clone(),
        changes: Arc::default(),
        steps,
        snippet: before.map(|found| (found.text, None)),
        keep_previous: false,
        notices,
        unmanaged: Vec::new(),
        target: None,
        removal: Some(how),
        manifest: Some(manifest),
    };
    Ok(Some(plan))
}

/// Notices on what happens to the user directories: those that are kept, and those that a removal
/// does not find, which may be on a disk that is not mounted.
fn notices_on_homes(
    manifest: &Manifest,
    how: RemoveOptions,
    view: &HostView,
) -> Result<Vec<String>> {
    let root = manifest.root.display();
    let (mut kept, mut missing) = (Vec::new(), Vec::new());
    for dir in &manifest.user_dirs {
        if view.lstat(&manifest.root.join(dir.relative()))?.is_some() {
            kept.push(dir);
        } else {
            missing.push(format!("`{dir}`"));
        }
    }
    let mut notices = Vec::new();
    if !how.purge {
        let kept = kept.into_iter();
        notices.extend(kept.map(|dir| format!("`{root}{dir}` stays, with its content")));
    }
    if !missing.is_empty() {
        let verb = if how.purge { "deleted" } else { "looked at" };
        notices.push(format!(
            "{} of the users are not in `{root}`: nothing of them is {verb}; if they are on a disk that is not mounted, they stay there",
            missing.join(", ")
        ));
    }
    Ok(notices)
}

/// Refuses to remove a jail in which something is mounted.
pub(super) fn ensure_no_mounts(name: &JailName, root: &Path, view: &HostView) -> Result<()> {
    let mounts = view.mounts_below(root)?;
    if mounts.is_empty() {
        return Ok(());
    }
    let mut error = Error::failed(format!("could not remove the jail `{name}`"))
        .why("something is mounted in it");
    for mount in mounts.iter().take(8) {
        error = error.hint(format!("unmount it first: umount {}", mount.display()));
    }
    Err(error)
}

/// The steps that delete the supplementary groups which were created for the jail, unless another
/// account has one of them.
fn supplementary_groups(
    manifest: &Manifest,
    known: &Accounts,
    managed: &[&UserEntry],
) -> Vec<Step> {
    let is_used = |group: &Group| {
        let is_other = |name: &String| managed.iter().all(|user| user.name != *name);
        group.members.iter().any(is_other) || known.users.iter().any(|user| user.gid == group.gid)
    };
    let is_unused = |name: &String, gid: u32| match known.group(name) {
        Some(found) => found.gid == gid && !is_used(found),
        None => known.orphan_shadow_groups.contains(name),
    };
    (manifest.groups.iter())
        .filter(|(name, gid)| is_unused(name, **gid))
        .map(|(name, _)| Step::DeleteGroup {
            name: name.clone(),
            gid: recorded_gid(manifest, name),
        })
        .collect()
}

/// Recorded id of a group of the jail.
fn recorded_gid(manifest: &Manifest, group: &str) -> Option<u32> {
    manifest.groups.get(group).copied().or(manifest.gid())
}

/// Whether another jail of the family exists, or an account of one, which needs the group and the
/// drop-ins that they share.
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
    let is_there = name.is_member() && Fleet::of(view)?.jails().names().any(stays);
    Ok(is_there || users.iter().any(is_of_sibling))
}

/// The plan for a jail whose records are gone except for their directory.
fn leftovers(name: &JailName, how: RemoveOptions, view: &HostView) -> Result<Option<Plan>> {
    let state = ResolvedJail::state(name);
    if view.lstat(&state)?.is_none() {
        return Ok(None);
    }
    Ok(Some(Plan {
        name: name.clone(),
        root: state,
        changes: Arc::default(),
        steps: vec![Step::DeleteRecords { recorded: None }],
        snippet: None,
        keep_previous: false,
        notices: Vec::new(),
        unmanaged: Vec::new(),
        target: None,
        removal: Some(how),
        manifest: None,
    }))
}
