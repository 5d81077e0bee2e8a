//! Accounts and groups: their keys, passwords, deletion and restoration.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::jail_root::write_marker;
use crate::error::Result;
use crate::host::{Expiry, FileKind, Host, NewAccount, Ownership};
use crate::layout::{
    KEYS_DIR, LOCKED, MAIL_DIR, NONEXISTENT, PUBLIC_DIR_MODE, PUBLIC_MODE, SHELL_PREFIX, STATE,
    STATE_MODE,
};
use crate::names::{JailName, JailPath};
use crate::plan::{Manifest, OriginalAccount, expiry, locked_text};
use crate::resolve::{Marker, OrphanedHome, ResolvedJail, gecos_tag, home_in_jail, is_adopted};
use crate::spec::Password;

/// Lets an account of the jail expire, and deletes its authorized keys.
pub(super) fn disable(host: &Host, jail: &JailName, user: &str) -> Result<()> {
    host.set_expiry(user, Expiry::Closed)?;
    let path = ResolvedJail::state(jail).join(KEYS_DIR).join(user);
    if host.lstat(&path)?.is_some() {
        let (dir, name) = host.parent_of(&path)?;
        dir.remove_file(Path::new(name))?;
        dir.sync()?;
    }
    Ok(())
}

/// Sets the expiry of an account, if it exists. Recovery may come after its deletion.
pub(super) fn enable(host: &Host, user: &str, until: Expiry) -> Result<()> {
    match host.accounts()?.user(user) {
        Some(_) => host.set_expiry(user, until),
        None => Ok(()),
    }
}

/// Writes the authorized keys of an account of the jail.
pub(super) fn write_keys(host: &Host, jail: &JailName, user: &str, text: &str) -> Result<()> {
    let keys = ResolvedJail::state(jail).join(KEYS_DIR);
    let keys = host.ensure_root_dir(&keys, Ownership::root(STATE_MODE))?;
    for dir in key_dirs(jail) {
        if let Some(dir) = host.open_dir_nofollow(&dir)?
            && dir.stat()?.ownership() != Ownership::root(STATE_MODE)
        {
            dir.set_owner(Ownership::root(STATE_MODE))?;
        }
    }
    keys.replace_file(
        Path::new(user),
        text.as_bytes(),
        Ownership::root(PUBLIC_MODE),
    )
}

/// The directories that sshd(8) passes to the keys of a jail, as the user who logs in: outermost
/// first.
pub(super) fn key_dirs(jail: &JailName) -> [PathBuf; 3] {
    let state = ResolvedJail::state(jail);
    let keys = state.join(KEYS_DIR);
    [PathBuf::from(STATE), state, keys]
}

/// Records the locked users of a jail.
pub(super) fn write_locks(host: &Host, jail: &JailName, users: &BTreeSet<String>) -> Result<()> {
    let state = host.ensure_root_dir(&ResolvedJail::state(jail), Ownership::root(STATE_MODE))?;
    if users.is_empty() {
        state.remove_file_if_exists(Path::new(LOCKED))?;
        return state.sync();
    }
    let text = locked_text(users);
    state.replace_file(Path::new(LOCKED), text.as_bytes(), Ownership::root(0o600))
}

/// Sets the password of an account.
pub(super) fn set_password(host: &Host, user: &str, password: &Password) -> Result<()> {
    match password {
        Password::Locked => lock_password(host, user),
        Password::Unchanged => Ok(()),
        Password::Hash(hash) => host.set_password(user, hash),
    }
}

/// Locks the password of an account. That of an adopted account stays behind the `*`, so that it
/// can be restored.
fn lock_password(host: &Host, user: &str) -> Result<()> {
    let accounts = host.accounts()?;
    let before = accounts
        .user(user)
        .filter(|found| is_adopted(found))
        .and_then(|found| found.password.clone());
    let locked = format!("*{}", before.unwrap_or_default());
    host.set_password(user, &locked)
}

/// An account of a jail that is deleted.
#[derive(Clone, Copy, Debug)]
pub(super) struct DeletedAccount<'a> {
    pub(super) jail: &'a JailName,
    /// Root of the jail.
    pub(super) root: &'a Path,
    /// Id of the jail's group.
    pub(super) gid: u32,
    pub(super) user: &'a str,
    pub(super) uid: u32,
    /// Whether its mail is deleted too.
    pub(super) purge: bool,
}

/// Deletes an account, also one that userdel(8) has deleted in part, and with `purge` its mail.
/// Without `purge` the marker of the root records its home.
pub(super) fn delete(host: &Host, account: DeletedAccount<'_>) -> Result<()> {
    let DeletedAccount {
        jail,
        root,
        gid,
        user,
        uid,
        purge,
    } = account;
    let accounts = host.accounts()?;
    if let Some(found) = accounts.user(user) {
        if !purge {
            record_orphaned_home(host, root, user, uid, &found.home)?;
        }
        host.delete_account(user)?;
    } else if accounts.orphan_shadow_users.iter().any(|half| half == user) {
        complete_userdel(host, jail, gid, user, uid)?;
    }
    host.unmask_user_manager(uid)?;
    if purge {
        delete_mail(host, user, uid)?;
    }
    Ok(())
}

/// Deletes the mailbox of a user. Only the user's own file: the directory is writable by a group,
/// and anything may have the name.
pub(super) fn delete_mail(host: &Host, user: &str, uid: u32) -> Result<()> {
    if host.stat(Path::new(MAIL_DIR))?.is_none() {
        return Ok(());
    }
    let mail = host.ensure_root_dir(Path::new(MAIL_DIR), Ownership::root(PUBLIC_DIR_MODE))?;
    match mail.lstat(Path::new(user))? {
        Some(stat) if stat.kind() == FileKind::File && stat.uid == uid && stat.links == 1 => {
            mail.remove_file(Path::new(user))
        }
        _ => Ok(()),
    }
}

/// Restores an account that the jail at `root` adopted to its original fields. The fields by which
/// it is known as adopted are the last, so that an interrupted restoration can be repeated.
pub(super) fn restore(
    host: &Host,
    root: &Path,
    user: &str,
    uid: u32,
    to: &OriginalAccount,
) -> Result<()> {
    let accounts = host.accounts()?;
    let Some(found) = accounts.user(user).filter(|found| is_adopted(found)) else {
        return Ok(());
    };
    record_orphaned_home(host, root, user, uid, &found.home)?;
    host.set_expiry(user, expiry(to.expires))?;
    let locked = found.password.as_deref().filter(|_| to.had_password);
    if let Some(before) = locked.and_then(|text| text.strip_prefix('*')) {
        host.set_password(user, before)?;
    }
    host.unmask_user_manager(uid)?;
    host.modify_account(user, &to.belonging)
}

/// Deletes what an interrupted userdel(8) left of an account: created again, it can be deleted.
pub(super) fn complete_userdel(
    host: &Host,
    jail: &JailName,
    gid: u32,
    user: &str,
    uid: u32,
) -> Result<()> {
    let has_group = host.accounts()?.groups.iter().any(|group| group.gid == gid);
    host.create_account(&NewAccount {
        name: user.to_owned(),
        uid,
        // The jail's group may be deleted already. The account is disabled and deleted at once, so
        // any group will do.
        gid: if has_group { gid } else { 0 },
        gecos: gecos_tag(jail),
        home: "/".to_owned(),
        shell: NONEXISTENT.to_owned(),
        groups: Vec::new(),
    })?;
    host.delete_account(user)
}

/// Records in the marker of the root a home that stays without its user.
fn record_orphaned_home(host: &Host, root: &Path, user: &str, uid: u32, home: &str) -> Result<()> {
    let (Some(dir), Some(mut marker), Ok(home)) = (
        host.open_dir_nofollow(root)?,
        Marker::read(host, root)?,
        JailPath::new(home_in_jail(home)),
    ) else {
        return Ok(());
    };
    let orphan = OrphanedHome {
        user: user.to_owned(),
        uid,
        home,
    };
    if dir.lstat(orphan.home.relative())?.is_none() || marker.left.contains(&orphan) {
        return Ok(());
    }
    marker.left.push(orphan);
    write_marker(&dir, &marker)
}

/// Deletes a group, also one that groupdel(8) has deleted in part: created again with its recorded
/// `gid`, it can be deleted.
pub(super) fn delete_group(host: &Host, name: &str, gid: Option<u32>) -> Result<()> {
    if host.accounts()?.group(name).is_none()
        && let Some(gid) = gid
    {
        host.create_group(name, gid)?;
    }
    host.delete_group(name)
}

/// Unmasks the user managers of recorded accounts whose ids no jailed account has any more: another
/// program may have deleted such an account, or changed its id.
pub(super) fn unmask_unused_managers(host: &Host, recorded: Option<&Manifest>) -> Result<()> {
    let accounts = host.accounts()?;
    for account in recorded.iter().flat_map(|manifest| &manifest.accounts) {
        let mut users = accounts.users.iter().filter(|user| user.uid == account.uid);
        if !users.any(|user| user.shell.starts_with(SHELL_PREFIX)) {
            host.unmask_user_manager(account.uid)?;
        }
    }
    Ok(())
}
