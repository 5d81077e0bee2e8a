//! Execution of undo records: what an error, or the recovery of an interrupted run, reverses.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::accounts::complete_userdel;
use super::journal::undo_record::Undo;
use super::{exchange, relocate, store_gc};
use crate::error::{Finding, Result};
use crate::host::sshd::Sshd;
use crate::host::{Host, Ownership};
use crate::layout::{PRIVATE_DIR, PRIVATE_MODE, SSHD_CONFIG_DIR};
use crate::plan::expiry;
use crate::resolve::{Marker, is_managed};

/// Largest size of a file that is restored, in bytes. All are jailctl's, and small.
const FILE_LIMIT: u64 = 1 << 20;

/// Result of a series of undos.
#[derive(Debug, Default)]
pub(super) struct UndoOutcome {
    /// A finding for each undo that failed.
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
        if let Undo::ReloadSshd(pid_file) = one {
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
            "`{}` stays: its user has changed it since it was created",
            path.display()
        )
    });
    UndoOutcome {
        findings,
        kept_user_dirs: kept.collect(),
    }
}

/// State that later undos of a series depend on.
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
                None if accounts.orphan_shadow_users.contains(user) => {
                    complete_userdel(host, jail, *gid, user, *uid)
                }
                _ => Ok(()),
            }
        }
        Undo::ModifyAccount(name, from) => match host.accounts()?.user(name) {
            Some(_) => host.modify_account(name, from),
            None => Ok(()),
        },
        Undo::RestoreExpiry(name, before) => match host.accounts()?.user(name) {
            Some(found) if expiry(found.expires) != *before => host.set_expiry(name, *before),
            _ => Ok(()),
        },
        Undo::RestorePassword(name, encrypted) => match host.accounts()?.user(name) {
            Some(found) if found.password.as_ref() != Some(encrypted) => {
                host.set_password(name, encrypted)
            }
            _ => Ok(()),
        },
        Undo::RestoreFile(path, content, owner) => {
            state.config_restored |= restore_file(host, path, content.as_deref(), *owner)?
                && path.starts_with(SSHD_CONFIG_DIR);
            Ok(())
        }
        // Once, when all files are restored: `undo_all` does it.
        Undo::ReloadSshd(_) => Ok(()),
        Undo::RenameAccount { from, to } => {
            let accounts = host.accounts()?;
            if accounts.user(to).is_some() && accounts.user(&from.0).is_none() {
                host.rename_account(to, &from.0, &from.1)?;
            }
            Ok(())
        }
        Undo::RenameBack { from, to, inode } => relocate::rename_back(host, from, to, *inode),
        Undo::RemoveDirs(directories) => host.remove_empty_dirs(directories),
        Undo::CreateDir(path) => host
            .ensure_root_dir(path, Ownership::root(PRIVATE_MODE))
            .map(drop),
        Undo::RemoveRoot(root, created) => remove_root(host, root, created),
        Undo::RestoreOwner(path, owner) => match host.open_dir_nofollow(path)? {
            Some(dir) => dir.set_owner(*owner),
            None => Ok(()),
        },
        Undo::ReverseMoves(moves) => {
            if let Some(root) = host.open_dir_nofollow(&moves.dir)? {
                let kept = exchange::reverse(moves, host, &root)?;
                let kept = kept.iter().map(|path| moves.dir.join(path));
                state.kept_user_dirs.extend(kept);
            }
            Ok(())
        }
        Undo::CleanStore(jails_dir) => store_gc::gc(host, jails_dir, None, true),
    }
}

/// Deletes a group, also one that groupadd(8) or groupdel(8) left in gshadow(5) alone, unless it is
/// the primary group of an account.
fn delete_group(host: &Host, name: &str, gid: u32) -> Result<()> {
    let accounts = host.accounts()?;
    let exists = accounts.group(name).is_some_and(|group| group.gid == gid);
    let is_partial = accounts
        .orphan_shadow_groups
        .iter()
        .any(|half| half == name);
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
            .any(|(name, _)| name != PRIVATE_DIR && name != "lost+found");
        if has_others && Marker::read(host, root)?.is_some() {
            return Ok(());
        }
        dir.remove_all(Path::new(PRIVATE_DIR))?;
    }
    let deepest_first: Vec<PathBuf> = created.iter().rev().cloned().collect();
    host.remove_empty_dirs(&deepest_first)
}
