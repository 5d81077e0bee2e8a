//! How each step is taken back: data, noted in the journal before the step. What was never done, or was undone before, is left as it is, so that
//! an undo can be run at any time and any number of times.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::exchange::Moves;
use super::removal::complete_userdel;
use super::{store, store_gc};
use crate::error::Result;
use crate::host::sshd::Sshd;
use crate::host::{AccountFields, Expiry, Host, Ownership, manager_unit};
use crate::layout::{
    COMMON_SNIPPET, KEYS_DIR, NEW_RECORDS, POLICY, PRIVATE_DIR, SESSION_DIR, SSHD_CONFIG_DIR, STAGE,
};
use crate::names::JailName;
use crate::plan::{Plan, Step, expiry};
use crate::resolve::{Marker, ResolvedJail, home_in_jail, is_managed};

/// A file that is put back whole is one of ours, and small.
const FILE_LIMIT: u64 = 1 << 20;

/// What takes one step back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Undo {
    /// Removes a group that was made, unless an account has come to need it.
    DeleteGroup(String, u32),
    /// Removes an account that was made; it was never open, or it has left nothing.
    DeleteAccount {
        /// The jail.
        jail: JailName,
        /// The jail's group.
        gid: u32,
        /// Login name.
        user: String,
        /// User id.
        uid: u32,
        /// Home, on the host.
        home: PathBuf,
    },
    /// Gives an account its primary group, home and login shell back.
    AlterAccount(String, AccountFields),
    /// Gives an account its expiry back.
    Expire(String, Expiry),
    /// Gives an account its encrypted password back.
    Password(String, String),
    /// Gives a file its content back, or removes it where there was none.
    Restore(PathBuf, Option<Vec<u8>>, Ownership),
    /// Tells sshd, whose process id is in this file, to read its configuration anew.
    Reload(PathBuf),
    /// Removes directories that were made, deepest first, if they are empty.
    RemoveDirs(Vec<PathBuf>),
    /// Makes a directory of root's alone, if it is not there.
    MakeDir(PathBuf),
    /// Removes the private directory of a root, and then the directories that were made for it, outermost first in the list.
    RemoveRoot(PathBuf, Vec<PathBuf>),
    /// Gives a directory its owner and mode back.
    Own(PathBuf, Ownership),
    /// Puts back what was moved.
    Moves(Moves),
    /// Takes out of the store of the jails in a directory what none of them needs.
    Store(PathBuf),
}

/// What a series of undos knows of those before.
#[derive(Debug, Default)]
pub(super) struct UndoState {
    /// Whether a file that sshd reads is another now.
    reload: bool,
    /// Places of users that stay, on the host.
    left: BTreeSet<PathBuf>,
}

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
                let keys = state.join(KEYS_DIR).join(user);
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
                    _ => COMMON_SNIPPET,
                };
                let path = Path::new(SSHD_CONFIG_DIR).join(file);
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
                let keys = state.join(KEYS_DIR);
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
                all.push(Undo::Moves(Moves::none(&state, NEW_RECORDS)));
            }
            Step::WriteTree => {
                all.push(Undo::Store(store::jails_dir(&plan.root).to_owned()));
                all.push(Undo::Moves(Moves::none(&plan.root, STAGE)));
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

impl Undo {
    /// Takes the step back.
    pub(super) fn run(&self, host: &Host, series: &mut UndoState) -> Result<()> {
        let known = |name: &str| -> Result<bool> { Ok(host.accounts()?.user(name).is_some()) };
        match self {
            Self::DeleteGroup(name, gid) => {
                let accounts = host.accounts()?;
                let is_made = accounts.group(name).is_some_and(|group| group.gid == *gid);
                let is_half = accounts.half_groups.contains(name);
                if accounts.users.iter().any(|user| user.gid == *gid) {
                    return Ok(());
                }
                if is_half {
                    host.create_group(name, *gid)?;
                }
                if is_made || is_half {
                    host.delete_group(name)?;
                }
                Ok(())
            }
            Self::DeleteAccount {
                jail,
                gid,
                user,
                uid,
                home,
            } => {
                if series.left.contains(home) {
                    return Ok(());
                }
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
            Self::AlterAccount(name, from) if known(name)? => host.modify_account(name, from),
            Self::Expire(name, before) => {
                let accounts = host.accounts()?;
                match accounts.user(name) {
                    Some(found) if expiry(found.expires) != *before => {
                        host.set_expiry(name, *before)
                    }
                    _ => Ok(()),
                }
            }
            Self::Password(name, encrypted) => {
                let accounts = host.accounts()?;
                match accounts.user(name) {
                    Some(found) if found.password.as_ref() != Some(encrypted) => {
                        host.set_password(name, encrypted)
                    }
                    _ => Ok(()),
                }
            }
            Self::AlterAccount(..) => Ok(()),
            Self::Restore(path, content, owner) => {
                series.reload |= restore(host, path, content.as_deref(), *owner)?
                    && path.starts_with(SSHD_CONFIG_DIR);
                Ok(())
            }
            Self::Reload(_) => Ok(()),
            Self::RemoveDirs(directories) => remove_dirs(host, directories),
            Self::MakeDir(path) => host.ensure_root_dir(path, Ownership::root(0o700)).map(drop),
            Self::RemoveRoot(root, made) => remove_root(host, root, made),
            Self::Own(path, owner) => match host.open_dir_nofollow(path)? {
                Some(dir) => dir.set_owner(*owner),
                None => Ok(()),
            },
            Self::Moves(moves) => match host.open_dir_nofollow(&moves.dir)? {
                Some(root) => {
                    let left = moves.undo(host, &root)?;
                    series
                        .left
                        .extend(left.iter().map(|path| moves.dir.join(path)));
                    Ok(())
                }
                None => Ok(()),
            },
            Self::Store(holder) => store_gc::gc(host, holder, None, true),
        }
    }
}

impl UndoState {
    /// Undoes, in the order given. `was_cut_short`: what sshd was last told to read is not known. Every error is given, and none stops it.
    pub(super) fn run(
        mut self,
        undo: &[Undo],
        was_cut_short: bool,
        host: &Host,
    ) -> (Vec<crate::error::Finding>, BTreeSet<PathBuf>) {
        let mut findings = Vec::new();
        let mut reload = None;
        for one in undo {
            if let Err(error) = one.run(host, &mut self) {
                findings.extend(error.findings);
            }
            if let Undo::Reload(pid_file) = one {
                reload = Some(pid_file);
            }
        }
        if let Some(pid_file) = reload.filter(|_| self.reload || was_cut_short) {
            let told = Sshd::find(host).and_then(|daemon| daemon.reload(Some(pid_file)));
            findings.extend(told.err().into_iter().flat_map(|error| error.findings));
        }
        (findings, self.left)
    }
}

/// Gives a file its content back, where it has another. Says whether it had.
fn restore(host: &Host, path: &Path, content: Option<&[u8]>, owner: Ownership) -> Result<bool> {
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

/// Removes what was made of a root; where somebody else's things are in it, our note stays with them.
fn remove_root(host: &Host, root: &Path, made: &[PathBuf]) -> Result<()> {
    if let Some(dir) = host.open_dir_nofollow(root)? {
        let strangers = dir
            .entries()?
            .into_iter()
            .any(|(name, _)| name != PRIVATE_DIR && name != "lost+found");
        if strangers && Marker::read(host, root)?.is_some() {
            return Ok(());
        }
        dir.remove_all(Path::new(PRIVATE_DIR))?;
    }
    let deepest_first: Vec<PathBuf> = made.iter().rev().cloned().collect();
    remove_dirs(host, &deepest_first)
}

/// Removes the directories, as far as they are there and empty: what somebody else put in meanwhile stays.
pub(super) fn remove_dirs(host: &Host, directories: &[PathBuf]) -> Result<()> {
    for directory in directories {
        if host.lstat(directory)?.is_none() {
            continue;
        }
        if host.list(directory)?.is_some_and(|names| !names.is_empty()) {
            return Ok(());
        }
        let (dir, name) = host.parent_of(directory)?;
        dir.remove_dir(Path::new(name))?;
    }
    Ok(())
}
