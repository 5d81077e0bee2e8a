//! Execution and undo of each step: one match each, with the work in the modules by subject.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::accounts::{self, DeletedAccount};
use super::context::StepContext;
use super::journal::moves::Moves;
use super::journal::undo_record::Undo;
use super::{jail_root, manifest, relocate, removal, session_policy, sshd_snippet, store};
use crate::error::Result;
use crate::host::{Accounts, Expiry, Host, Ownership, Process, manager_unit};
use crate::layout::{
    KEYS_DIR, LOCKED, MARKER, NEW_RECORDS, POLICY, PRIVATE_FILE_MODE, PUBLIC_MODE, SESSION_DIR,
    STAGE, STATE_MODE,
};
use crate::plan::{Step, ensure_empty, expiry};
use crate::resolve::{Marker, home_in_jail};

/// Largest size of a file that is restored, in bytes. All are jailctl's, and small.
const FILE_LIMIT: u64 = 1 << 20;

/// Executes a step. Its undo is in the journal already.
///
/// # Errors
/// Usually [`ErrorKind::Failed`](crate::error::ErrorKind::Failed);
/// [`ErrorKind::Busy`](crate::error::ErrorKind::Busy) where another program has taken an id. The
/// step may be executed in part then, which its undo takes into account.
pub(super) fn execute(step: &Step, context: &mut StepContext<'_, '_>) -> Result<()> {
    let (host, jail, root) = (context.host, context.jail, context.root);
    match step {
        Step::DisableAccount { user } => accounts::disable(host, jail, user),
        Step::CreateRoot { root } => jail_root::create(host, jail, root),
        Step::MoveRoot { from, to, .. } => relocate::move_root(host, jail, from, to),
        Step::RenameAccount { from, to } => host.rename_account(&from.0, &to.0, &to.1),
        Step::RenamePath { from, to, .. } => relocate::rename(host, from, to),
        Step::EditSpec(edit) => relocate::edit_spec(host, edit),
        Step::CreateGroup { name, gid } => host.create_group(name, *gid),
        Step::CreateAccount(account) => host.create_account(account),
        Step::MaskUserManager { uid, .. } => host.mask_user_manager(*uid),
        Step::ModifyAccount { name, to, .. } => host.modify_account(name, to),
        Step::WriteTree {
            jail,
            changes,
            recorded,
        } => jail_root::write_tree(context, jail, changes, recorded.as_deref()),
        Step::RequireEmpty { root, uids } => {
            Process::kill_unauthenticated(host, uids)?;
            ensure_empty(host, jail, &Process::find_in_jail(host, root, uids)?)
        }
        Step::WritePolicy { text, .. } => session_policy::write(host, jail, text),
        Step::RepairNetwork { .. } => session_policy::repair_network(host, jail),
        Step::RemovePolicy { .. } => session_policy::remove(context),
        Step::WritePamService(edit) | Step::RemovePamService(edit) => {
            session_policy::write_edit(host, edit)
        }
        // Executed for several plans at once: `Transaction::install_snippets`.
        Step::WriteCommonSnippet { .. }
        | Step::InstallSnippet { .. }
        | Step::VerifySnippet { .. } => Ok(()),
        Step::RemoveCommonSnippet(edit) => {
            sshd_snippet::remove_common(host, edit, context.reloaded_sshd())
        }
        Step::WriteKeys { user, text, .. } => accounts::write_keys(host, jail, user, text),
        Step::WriteLocks { users, .. } => accounts::write_locks(host, jail, users),
        Step::SetPassword { user, password } => accounts::set_password(host, user, password),
        Step::EnableAccount { user, until } => accounts::enable(host, user, *until),
        Step::WriteManifest { target, recorded } => {
            accounts::unmask_unused_managers(host, recorded.as_deref())?;
            manifest::write(context, target, recorded.as_deref())
        }
        Step::DeleteAccount {
            user,
            uid,
            gid,
            purge,
        } => {
            let account = DeletedAccount {
                jail,
                root,
                gid: *gid,
                user,
                uid: *uid,
                purge: *purge,
            };
            accounts::delete(host, account)
        }
        Step::RestoreAccount { user, uid, to } => accounts::restore(host, root, user, *uid, to),
        Step::EndSessions {
            root,
            uids,
            gid,
            options,
        } => removal::end_sessions(context, root, uids, *gid, *options),
        Step::RemoveTree { purge, recorded } => removal::remove_tree(
            host,
            jail,
            root,
            *purge,
            context.sweeps_store,
            Some(recorded.as_ref()),
        ),
        Step::PurgeRoot { made, .. } => removal::purge_root(host, jail, root, made),
        Step::DeleteRecords { recorded } => removal::delete_records(context, recorded.as_deref()),
        Step::DeleteGroup { name, gid } => accounts::delete_group(host, name, *gid),
        Step::RemoveSnippet { path } => {
            sshd_snippet::remove(host, path, &jail.group(), context.reloaded_sshd())
        }
    }
}

/// The undo records of `steps` of a plan, in their order.
///
/// Those of moves are missing, since moves are known when everything is staged. Created directories
/// are one record, the first, so that they are removed last and each of them once.
///
/// # Errors
/// [`ErrorKind::Failed`](crate::error::ErrorKind::Failed) where the state of the host cannot be
/// read.
pub(super) fn undo_for_steps(steps: &[Step], context: &StepContext<'_, '_>) -> Result<Vec<Undo>> {
    let accounts = context.host.accounts()?;
    let mut records = Vec::new();
    let mut created_dirs = BTreeSet::new();
    for step in steps {
        for undo in undo_for(step, &accounts, context)? {
            match undo {
                Undo::RemoveDirs(dirs) => created_dirs.extend(dirs),
                other => records.push(other),
            }
        }
    }
    if !created_dirs.is_empty() {
        let deepest_first = created_dirs.into_iter().rev().collect();
        records.insert(0, Undo::RemoveDirs(deepest_first));
    }
    Ok(records)
}

/// The undo of a step, from the state of the host before it; empty for final steps and for those
/// that change nothing. Of several records the last is undone first.
fn undo_for(step: &Step, accounts: &Accounts, context: &StepContext<'_, '_>) -> Result<Vec<Undo>> {
    let (host, state) = (context.host, context.state());
    let expiry_of = |user: &str| {
        let found = accounts.user(user);
        Undo::RestoreExpiry(
            user.to_owned(),
            found.map_or(Expiry::Closed, |found| expiry(found.expires)),
        )
    };
    Ok(match step {
        Step::DisableAccount { user } => {
            let keys = state.join(KEYS_DIR).join(user);
            let content = host.read(&keys, FILE_LIMIT)?;
            let keys = content.map(|content| {
                Undo::RestoreFile(keys, Some(content), Ownership::root(PUBLIC_MODE))
            });
            std::iter::once(expiry_of(user)).chain(keys).collect()
        }
        Step::CreateRoot { root } => {
            let mut records = Vec::new();
            if let Some(before) = host.lstat(root)? {
                records.push(Undo::RestoreOwner(root.clone(), before.ownership()));
            }
            if Marker::read(host, root)?.is_none() {
                let mut created = missing_ancestors(host, root)?;
                created.reverse();
                records.push(Undo::RemoveRoot(root.clone(), created));
            }
            records
        }
        Step::MoveRoot { from, to, inode } => {
            let marker = host.read(&from.join(MARKER), FILE_LIMIT)?;
            let parents = to.parent().map(|parent| missing_ancestors(host, parent));
            vec![
                Undo::RemoveDirs(parents.transpose()?.unwrap_or_default()),
                Undo::RenameBack {
                    from: from.clone(),
                    to: to.clone(),
                    inode: *inode,
                },
                Undo::RestoreFile(to.join(MARKER), marker, Ownership::root(0o600)),
            ]
        }
        Step::RenameAccount { from, to } => vec![Undo::RenameAccount {
            from: from.clone(),
            to: to.0.clone(),
        }],
        Step::RenamePath {
            from, to, inode, ..
        } => vec![Undo::RenameBack {
            from: from.clone(),
            to: to.clone(),
            inode: *inode,
        }],
        Step::EditSpec(edit) => {
            let owner = host.stat(&edit.path)?.map(|stat| stat.ownership());
            let before = Some(edit.from.clone().into_bytes());
            let owner = owner.unwrap_or(Ownership::root(0o600));
            vec![Undo::RestoreFile(edit.path.clone(), before, owner)]
        }
        Step::CreateGroup { name, gid } => vec![Undo::DeleteGroup(name.clone(), *gid)],
        Step::CreateAccount(account) => {
            let home = home_in_jail(&account.home).trim_start_matches('/');
            vec![Undo::DeleteAccount {
                jail: context.jail.clone(),
                gid: account.gid,
                user: account.name.clone(),
                uid: account.uid,
                home: context.root.join(home),
            }]
        }
        Step::MaskUserManager { uid, .. } => vec![Undo::RestoreFile(
            manager_unit(*uid),
            None,
            Ownership::root(PUBLIC_MODE),
        )],
        Step::ModifyAccount { name, from, .. } => {
            vec![Undo::ModifyAccount(name.clone(), from.clone())]
        }
        Step::WritePolicy { .. } => vec![
            Undo::RemoveDirs(missing_ancestors(host, &state.join(SESSION_DIR))?),
            restore_policy(host, &state)?,
        ],
        Step::RemovePolicy { .. } => {
            let session_dir = state.join(SESSION_DIR);
            let exists = host.lstat(&session_dir)?.is_some();
            let dir = exists.then_some(Undo::CreateDir(session_dir));
            dir.into_iter()
                .chain([restore_policy(host, &state)?])
                .collect()
        }
        Step::WritePamService(edit) => {
            let owner = host.stat(&edit.path)?.map(|stat| stat.ownership());
            let before = edit.from.clone().map(String::into_bytes);
            let owner = owner.unwrap_or(Ownership::root(PUBLIC_MODE));
            vec![Undo::RestoreFile(edit.path.clone(), before, owner)]
        }
        Step::WriteKeys { user, .. } => {
            let keys = state.join(KEYS_DIR);
            let before = host.read(&keys.join(user), FILE_LIMIT)?;
            let owner = host.lstat(&keys.join(user))?.map(|stat| stat.ownership());
            let owner = owner.unwrap_or(Ownership::root(PUBLIC_MODE));
            let mut records = vec![Undo::RemoveDirs(missing_ancestors(host, &keys)?)];
            for dir in accounts::key_dirs(context.jail) {
                let found = host.lstat(&dir)?.map(|stat| stat.ownership());
                let other = found.filter(|owner| *owner != Ownership::root(STATE_MODE));
                records.extend(other.map(|owner| Undo::RestoreOwner(dir, owner)));
            }
            records.push(Undo::RestoreFile(keys.join(user), before, owner));
            records
        }
        Step::WriteLocks { .. } => {
            let path = state.join(LOCKED);
            let before = host.read(&path, FILE_LIMIT)?;
            vec![Undo::RestoreFile(path, before, Ownership::root(0o600))]
        }
        Step::SetPassword { user, .. } => {
            let found = accounts.user(user);
            let before = found.and_then(|found| found.password.clone());
            let restore = |before| Undo::RestorePassword(user.clone(), before);
            before.map(restore).into_iter().collect()
        }
        Step::EnableAccount { user, .. } => vec![expiry_of(user)],
        Step::WriteManifest { .. } => vec![
            Undo::RemoveDirs(missing_ancestors(host, &state)?),
            Undo::ReverseMoves(Moves::none(&state, NEW_RECORDS)),
        ],
        Step::WriteTree { jail, .. } => vec![
            Undo::CleanStore(store::jails_dir(&jail.root).to_owned()),
            Undo::ReverseMoves(Moves::none(&jail.root, STAGE)),
        ],
        // The drop-ins of sshd have records of their own: `SnippetChange::undo`.
        Step::WriteCommonSnippet { .. }
        | Step::InstallSnippet { .. }
        | Step::VerifySnippet { .. }
        | Step::RepairNetwork { .. }
        | Step::EndSessions { .. }
        | Step::RequireEmpty { .. }
        | Step::RemovePamService(_)
        | Step::RemoveCommonSnippet(_)
        | Step::DeleteAccount { .. }
        | Step::RestoreAccount { .. }
        | Step::RemoveTree { .. }
        | Step::PurgeRoot { .. }
        | Step::DeleteRecords { .. }
        | Step::DeleteGroup { .. }
        | Step::RemoveSnippet { .. } => Vec::new(),
    })
}

/// Restores the session policy in the state directory `state` to what it is now.
fn restore_policy(host: &Host, state: &Path) -> Result<Undo> {
    let path = state.join(POLICY);
    let before = host.read(&path, FILE_LIMIT)?;
    Ok(Undo::RestoreFile(
        path,
        before,
        Ownership::root(PRIVATE_FILE_MODE),
    ))
}

/// The directories to create for `path` to exist as one, deepest first.
fn missing_ancestors(host: &Host, path: &Path) -> Result<Vec<PathBuf>> {
    let mut missing = Vec::new();
    for directory in path.ancestors() {
        if host.lstat(directory)?.is_some() {
            break;
        }
        missing.push(directory.to_owned());
    }
    Ok(missing)
}
