//! Execution of undo records: what an error, or the recovery of an interrupted run, reverses.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use jailctl_session::policy::{POLICY, SESSION_DIR};

use super::journal::moves::Moves;
use super::journal::undo::Undo;
use super::removal::complete_userdel;
use super::{exchange, manifest, stage, store, store_gc};
use crate::error::{Finding, Result};
use crate::host::sshd::{CONFIG_DIR, Sshd};
use crate::host::{Expiry, Host, Ownership, manager_unit};
use crate::plan::{Plan, Step, expiry};
use crate::resolve::{COMMON, Marker, PRIVATE, ResolvedJail, home_in_jail, is_managed};

/// Largest size of a file that is restored, in bytes. All are jailctl's, and small.
const FILE_LIMIT: u64 = 1 << 20;

/// What takes the steps of `plan` back that can be, but for moves: those are known when everything is staged.
pub(super) fn undo_for_plan(plan: &Plan, no_reload: bool, host: &Host) -> Result<Vec<Undo>> {
    let mut all = Vec::new();
    let mut directories = BTreeSet::new();
    let state = ResolvedJail::state(&plan.name);
    let accounts = host.accounts()?;
    for step in &plan.steps {
        match step {
            Step::DisableAccount { user } => {
                let before = accounts
                    .user(user)
                    .map_or(Expiry::Closed, |found| expiry(found.expires));
                all.push(Undo::Expire(user.clone(), before));
                let keys = state.join("keys").join(user);
                if let Some(content) = host.read(&keys, FILE_LIMIT)? {
                    all.push(Undo::Restore(keys, Some(content), Ownership::root(0o644)));
                }
            }
            Step::CreateRoot => {
                if let Some(before) = host.lstat(&plan.root)? {
                    all.push(Undo::Own(plan.root.clone(), before.ownership()));
                }
                if Marker::read(host, &plan.root)?.is_none() {
                    let mut made = missing_ancestors(host, &plan.root)?;
                    made.reverse();
                    all.push(Undo::RemoveRoot(plan.root.clone(), made));
                }
            }
            Step::CreateGroup { name, gid } => all.push(Undo::DeleteGroup(name.clone(), *gid)),
            Step::CreateAccount(account) => all.push(Undo::DeleteAccount {
                jail: plan.name.clone(),
                gid: account.gid,
                user: account.name.clone(),
                uid: account.uid,
                home: plan
                    .root
                    .join(home_in_jail(&account.home).trim_start_matches('/')),
            }),
            Step::MaskUserManager { uid, .. } => {
                all.push(Undo::Restore(
                    manager_unit(*uid),
                    None,
                    Ownership::root(0o644),
                ));
            }
            Step::ModifyAccount { name, from, .. } => {
                all.push(Undo::AlterAccount(name.clone(), from.clone()));
            }
            Step::InstallSnippet { .. } | Step::WriteCommonSnippet(_) => {
                let file = match step {
                    Step::InstallSnippet { file, .. } => file,
                    _ => COMMON,
                };
                let path = Path::new(CONFIG_DIR).join(file);
                let before = host.read(&path, FILE_LIMIT)?;
                all.push(Undo::Restore(path, before, Ownership::root(0o644)));
                let facts = plan.facts().filter(|_| !no_reload && host.is_live());
                // In reverse the mark comes first; whoever undoes acts on it when all files are back.
                all.extend(
                    facts
                        .and_then(|facts| facts.pid_file.clone())
                        .map(Undo::Reload),
                );
            }
            Step::WritePolicy { .. } => {
                directories.extend(missing_ancestors(host, &state.join(SESSION_DIR))?);
                all.push(policy(host, &state)?);
            }
            Step::RemovePolicy => {
                if host.lstat(&state.join(SESSION_DIR))?.is_some() {
                    all.push(Undo::MakeDir(state.join(SESSION_DIR)));
                }
                all.push(policy(host, &state)?);
            }
            Step::WritePamService(edit) => {
                let owner = host.stat(&edit.path)?.map(|stat| stat.ownership());
                let before = edit.from.clone().map(String::into_bytes);
                let owner = owner.unwrap_or(Ownership::root(0o644));
                all.push(Undo::Restore(edit.path.clone(), before, owner));
            }
            Step::WriteKeys { user, .. } => {
                let keys = state.join("keys");
                directories.extend(missing_ancestors(host, &keys)?);
                let before = host.read(&keys.join(user), FILE_LIMIT)?;
                all.push(Undo::Restore(
                    keys.join(user),
                    before,
                    Ownership::root(0o644),
                ));
            }
            Step::SetPassword { user, .. } => {
                let found = accounts.user(user);
                if let Some(before) = found.and_then(|found| found.password.clone()) {
                    all.push(Undo::Password(user.clone(), before));
                }
            }
            Step::EnableAccount { user, .. } => {
                let before = accounts
                    .user(user)
                    .map_or(Expiry::Closed, |found| expiry(found.expires));
                all.push(Undo::Expire(user.clone(), before));
            }
            Step::WriteManifest => {
                directories.extend(missing_ancestors(host, &state)?);
                all.push(Undo::Moves(Moves::none(&state, manifest::STAGE)));
            }
            Step::WriteTree => {
                all.push(Undo::Store(store::jails_dir(&plan.root).to_owned()));
                all.push(Undo::Moves(Moves::none(&plan.root, stage::STAGE)));
            }
            Step::VerifySnippet
            | Step::RepairNetwork { .. }
            | Step::EndSessions { .. }
            | Step::RequireEmpty { .. }
            | Step::RemovePamService(_)
            | Step::RemoveCommonSnippet(_)
            | Step::DeleteAccount { .. }
            | Step::RestoreAccount { .. }
            | Step::RemoveTree { .. }
            | Step::DeleteRecords
            | Step::DeleteGroup { .. }
            | Step::RemoveSnippet { .. } => {}
        }
    }
    if !directories.is_empty() {
        all.insert(0, Undo::RemoveDirs(directories.into_iter().rev().collect()));
    }
    Ok(all)
}

/// The policy of the jail with these records, as it is.
fn policy(host: &Host, state: &Path) -> Result<Undo> {
    let path = state.join(POLICY);
    let before = host.read(&path, FILE_LIMIT)?;
    Ok(Undo::Restore(path, before, Ownership::root(0o600)))
}

/// The directories that have to be made for `path` to be one, deepest first.
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

/// What is left after a series of undos.
#[derive(Debug, Default)]
pub(super) struct UndoOutcome {
    /// What could not be undone.
    pub(super) findings: Vec<Finding>,
    /// A message for each user directory that stays, because its user has changed it.
    pub(super) kept_user_dirs: Vec<String>,
}

/// Executes undo records in the order given. No error stops it: what can be undone is undone.
///
/// `was_interrupted`: the run was another process's, so it is unknown which configuration sshd has
/// read. Otherwise sshd is reloaded only if a file that it reads was restored.
pub(super) fn undo_all(undo: &[Undo], was_interrupted: bool, host: &Host) -> UndoOutcome {
    let mut state = UndoState::default();
    let mut findings = Vec::new();
    let mut reload = None;
    for one in undo {
        if let Err(error) = undo_one(one, host, &mut state) {
            findings.extend(error.findings);
        }
        if let Undo::Reload(pid_file) = one {
            reload = Some(pid_file);
        }
    }
    if let Some(pid_file) = reload.filter(|_| state.config_restored || was_interrupted) {
        let reloaded = Sshd::find(host).and_then(|sshd| sshd.reload(Some(pid_file)));
        findings.extend(reloaded.err().into_iter().flat_map(|error| error.findings));
    }
    let kept = state.kept_user_dirs.iter();
    let kept = kept.map(|path| {
        format!(
            "`{}` stays: somebody has put something there meanwhile",
            path.display()
        )
    });
    UndoOutcome {
        findings,
        kept_user_dirs: kept.collect(),
    }
}

/// What later undos of a series depend on.
#[derive(Debug, Default)]
struct UndoState {
    /// Whether a configuration file of sshd was restored.
    config_restored: bool,
    /// User directories that stay, as paths of the host. Their accounts stay too.
    kept_user_dirs: BTreeSet<PathBuf>,
}

fn undo_one(undo: &Undo, host: &Host, state: &mut UndoState) -> Result<()> {
    match undo {
        Undo::DeleteGroup(name, gid) => delete_group(host, name, *gid),
        Undo::DeleteAccount { home, .. } if state.kept_user_dirs.contains(home) => Ok(()),
        Undo::DeleteAccount {
            jail,
            gid,
            user,
            uid,
            ..
        } => {
            let accounts = host.accounts()?;
            match accounts.user(user) {
                Some(found) if found.uid == *uid && is_managed(found, jail, Some(*gid)) => {
                    host.delete_account(user)
                }
                None if accounts.half_users.contains(user) => {
                    complete_userdel(host, jail, *gid, user, *uid)
                }
                _ => Ok(()),
            }
        }
        Undo::AlterAccount(name, from) => match host.accounts()?.user(name) {
            Some(_) => host.modify_account(name, from),
            None => Ok(()),
        },
        Undo::Expire(name, before) => match host.accounts()?.user(name) {
            Some(found) if expiry(found.expires) != *before => host.set_expiry(name, *before),
            _ => Ok(()),
        },
        Undo::Password(name, encrypted) => match host.accounts()?.user(name) {
            Some(found) if found.password.as_ref() != Some(encrypted) => {
                host.set_password(name, encrypted)
            }
            _ => Ok(()),
        },
        Undo::Restore(path, content, owner) => {
            state.config_restored |= restore_file(host, path, content.as_deref(), *owner)?
                && path.starts_with(CONFIG_DIR);
            Ok(())
        }
        // Once, when all files are restored: `undo_all` does it.
        Undo::Reload(_) => Ok(()),
        Undo::RemoveDirs(directories) => host.remove_empty_dirs(directories),
        Undo::MakeDir(path) => host.ensure_root_dir(path, Ownership::root(0o700)).map(drop),
        Undo::RemoveRoot(root, created) => remove_root(host, root, created),
        Undo::Own(path, owner) => match host.open_dir_nofollow(path)? {
            Some(dir) => dir.set_owner(*owner),
            None => Ok(()),
        },
        Undo::Moves(moves) => {
            if let Some(root) = host.open_dir_nofollow(&moves.dir)? {
                let kept = exchange::reverse(moves, host, &root)?;
                let kept = kept.iter().map(|path| moves.dir.join(path));
                state.kept_user_dirs.extend(kept);
            }
            Ok(())
        }
        Undo::Store(jails_dir) => store_gc::gc(host, jails_dir, None, true),
    }
}

/// Deletes a group, also one that groupadd(8) or groupdel(8) left in gshadow(5) alone, unless it is
/// the primary group of an account.
fn delete_group(host: &Host, name: &str, gid: u32) -> Result<()> {
    let accounts = host.accounts()?;
    let exists = accounts.group(name).is_some_and(|group| group.gid == gid);
    let is_partial = accounts.half_groups.iter().any(|half| half == name);
    if accounts.users.iter().any(|user| user.gid == gid) {
        return Ok(());
    }
    if is_partial {
        host.create_group(name, gid)?;
    }
    if exists || is_partial {
        host.delete_group(name)?;
    }
    Ok(())
}

/// Restores a file whose content differs. Returns whether it did.
fn restore_file(
    host: &Host,
    path: &Path,
    content: Option<&[u8]>,
    owner: Ownership,
) -> Result<bool> {
    let parent = path.parent().unwrap_or(Path::new("/"));
    if host.stat(parent)?.is_none() {
        return Ok(false);
    }
    let (dir, name) = host.parent_of(path)?;
    dir.drop_replacement(Path::new(name))?;
    if host.read(path, FILE_LIMIT)?.as_deref() == content {
        return Ok(false);
    }
    if let Some(content) = content {
        dir.replace_file(Path::new(name), content, owner)?;
    } else {
        dir.remove_file_if_exists(Path::new(name))?;
        dir.sync()?;
    }
    Ok(true)
}

/// Removes what was created of a root. Where it has files of others, the marker stays with them.
fn remove_root(host: &Host, root: &Path, created: &[PathBuf]) -> Result<()> {
    if let Some(dir) = host.open_dir_nofollow(root)? {
        let has_others = dir
            .entries()?
            .into_iter()
            .any(|(name, _)| name != PRIVATE && name != "lost+found");
        if has_others && Marker::read(host, root)?.is_some() {
            return Ok(());
        }
        dir.remove_all(Path::new(PRIVATE))?;
    }
    let deepest_first: Vec<PathBuf> = created.iter().rev().cloned().collect();
    host.remove_empty_dirs(&deepest_first)
}
