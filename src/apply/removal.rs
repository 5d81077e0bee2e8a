//! Taking a jail away. Each step can be taken again where an earlier run stopped.

use std::path::{Path, PathBuf};

use super::context::{StepContext, write_marker};
use super::journal::Journal;
use super::undo::remove_dirs;
use super::{OnStep, Options, session_control, store, store_gc};
use crate::error::Result;
use crate::host::{FileKind, Host, NewAccount, Ownership, Process};
use crate::layout::{
    CACHE, JAIL_DIR, MARKER, NONEXISTENT, PREVIOUS_TREE, PRIVATE_DIR, SSHD_CONFIG_DIR, STAGE,
};
use crate::names::{JailName, JailPath};
use crate::plan::manifest::RecordKind;
use crate::plan::{
    EXCHANGED_DIRS, Manifest, OriginalAccount, RemoveOptions, ensure_no_sessions, expiry, removal,
};
use crate::resolve::{Marker, OrphanedHome, ResolvedJail, gecos_tag, home_in_jail, is_adopted};

/// Where mail is delivered, were there any.
const MAIL: &str = "/var/mail";

/// Takes away what is left of a jail whose accounts are closed and in which nobody is.
pub(super) fn finish_removal(
    host: &Host,
    name: &JailName,
    how: RemoveOptions,
    options: &Options,
    on_step: OnStep<'_>,
) -> Result<()> {
    // Planned anew: what an earlier run has taken away is not there to be taken away again.
    let Some(plan) = removal(name, &[], how, host)? else {
        return Ok(());
    };
    let mut journal = Journal::new(host, String::new());
    let mut run = StepContext::new(host, &plan, options, &mut journal);
    let mut left = plan.steps.iter().filter(|step| step.is_final());
    left.try_for_each(|step| {
        on_step(name, step);
        run.execute(step)
    })
}

/// Removes an account of the jail `name` at `root`, with `purge` its mail too.
pub(super) fn delete_account(
    host: &Host,
    name: &JailName,
    root: &Path,
    gid: u32,
    user: &str,
    uid: u32,
    purge: bool,
) -> Result<()> {
    let accounts = host.accounts()?;
    if let Some(found) = accounts.user(user) {
        if !purge {
            record_orphaned_home(host, root, user, uid, &found.home)?;
        }
        host.delete_account(user)?;
    } else if accounts.half_users.iter().any(|half| half == user) {
        complete_userdel(host, name, gid, user, uid)?;
    }
    host.unmask_user_manager(uid)?;
    if !purge || host.stat(Path::new(MAIL))?.is_none() {
        return Ok(());
    }
    // Only the user's own file goes: the directory is writable by a group, and anything may stand under the name.
    let mail = host.ensure_root_dir(Path::new(MAIL), Ownership::root(0o755))?;
    match mail.lstat(Path::new(user))? {
        Some(stat) if stat.kind() == FileKind::File && stat.uid == uid && stat.links == 1 => {
            mail.remove_file(Path::new(user))
        }
        _ => Ok(()),
    }
}

/// Gives an account that the jail at `root` took over back what it had. What it is known by goes last, so that it can be done again.
pub(super) fn restore_account(
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

/// Removes what userdel(8) left of an account when it was cut short: made whole again, it can be removed.
pub(super) fn complete_userdel(
    host: &Host,
    name: &JailName,
    gid: u32,
    user: &str,
    uid: u32,
) -> Result<()> {
    let has_group = host.accounts()?.groups.iter().any(|group| group.gid == gid);
    host.create_account(&NewAccount {
        name: user.to_owned(),
        uid,
        // Its own may be gone already; for the moment that a closed account lives, any will do.
        gid: if has_group { gid } else { 0 },
        gecos: gecos_tag(name),
        home: "/".to_owned(),
        shell: NONEXISTENT.to_owned(),
        groups: Vec::new(),
    })?;
    host.delete_account(user)
}

/// Notes a home that stays without its user.
fn record_orphaned_home(host: &Host, root: &Path, user: &str, uid: u32, home: &str) -> Result<()> {
    let (Some(dir), Some(mut marker), Ok(home)) = (
        host.open_dir_nofollow(root)?,
        Marker::read(host, root)?,
        JailPath::new(home_in_jail(home)),
    ) else {
        return Ok(());
    };
    let left = OrphanedHome {
        user: user.to_owned(),
        uid,
        home,
    };
    if dir.lstat(left.home.relative())?.is_none() || marker.left.contains(&left) {
        return Ok(());
    }
    marker.left.push(left);
    write_marker(&dir, &marker)
}

impl StepContext<'_, '_> {
    /// Removes an account, with `purge` its mail too.
    pub(super) fn delete_account(&self, user: &str, uid: u32, purge: bool) -> Result<()> {
        let manifest = self.plan.manifest.as_ref();
        let gid = manifest.and_then(Manifest::gid).unwrap_or(uid);
        delete_account(
            self.host,
            self.name(),
            &self.plan.root,
            gid,
            user,
            uid,
            purge,
        )
    }

    /// Removes a group, also where groupdel(8) was cut short.
    pub(super) fn delete_group(&mut self, name: &str) -> Result<()> {
        if self.host.accounts()?.group(name).is_none()
            && let Some(manifest) = &self.plan.manifest
            && let Some(gid) = manifest.groups.get(name).copied().or(manifest.gid())
        {
            self.host.create_group(name, gid)?;
        }
        self.host.delete_group(name)
    }

    /// Ends what runs in the jail, until nothing does: its accounts are closed, so nobody can come back. Whoever has not shown who they are is sent away in
    /// any case: sshd goes by what it knew of the account when it was named.
    pub(super) fn end_sessions(&mut self, root: &Path, uids: &[u32], kill: bool) -> Result<()> {
        let how = self.plan.removal.unwrap_or_default();
        if !uids.is_empty() {
            Process::kill_unauthenticated(self.host, uids)?;
        }
        if !kill {
            return ensure_no_sessions(
                self.name(),
                how,
                &Process::find_in_jail(self.host, root, uids)?,
            );
        }
        // Whoever is left is found by his root directory or his id.
        if let Err(error) = session_control::kill_groups(self.name()) {
            self.notices.push(session_control::notice(&error));
        }
        let gid = self.plan.manifest.as_ref().and_then(Manifest::gid);
        let ended = session_control::end_all(self.host, self.name(), gid, root, uids)?;
        ensure_no_sessions(self.name(), how, &ended.left)
    }

    /// Removes what was built, and with `purge` everything else below the root.
    pub(super) fn remove_tree(&mut self, purge: bool) -> Result<()> {
        let Some(root) = self.root()? else {
            return Ok(());
        };
        let made = Marker::read(self.host, &self.plan.root)?
            .map(|marker| marker.made)
            .unwrap_or_default();
        let mut whole = vec![Path::new(STAGE), Path::new(PREVIOUS_TREE)];
        whole.extend(EXCHANGED_DIRS.map(Path::new));
        store::remove(self.host, &self.plan.root, &root, &whole)?;
        if purge {
            for (name, _) in root.entries()? {
                if name != PRIVATE_DIR {
                    root.remove_all(Path::new(&name))?;
                }
            }
        } else if let Some(manifest) = &self.plan.manifest {
            for (path, record) in manifest.entries.iter().rev() {
                if record.kept || EXCHANGED_DIRS.contains(&path.top()) {
                    continue;
                }
                let at = path.relative();
                match (&record.kind, root.lstat(at)?.map(|stat| stat.kind())) {
                    (RecordKind::Directory, Some(FileKind::Directory)) => {
                        if root.open_dir(at)?.entries()?.is_empty() {
                            root.remove_dir(at)?;
                        }
                    }
                    (RecordKind::Directory, _) | (_, Some(FileKind::Directory) | None) => {}
                    (_, Some(_)) => root.remove_file(at)?,
                }
            }
        }
        store_gc::gc(
            self.host,
            store::jails_dir(&self.plan.root),
            Some(self.name()),
            false,
        )?;
        let left = root
            .entries()?
            .into_iter()
            .any(|(name, _)| name != PRIVATE_DIR && name != "lost+found");
        if left {
            // Its users' ids may come to mean somebody else: nobody but root reaches what they left.
            return root.set_owner(Ownership::root(0o700));
        }
        self.transfer_created_dirs(&made)?;
        root.remove_file_if_exists(Path::new(MARKER))?;
        root.remove_all(Path::new(PRIVATE_DIR))?;
        drop(root);
        let deepest_first: Vec<PathBuf> = made.into_iter().rev().collect();
        remove_dirs(self.host, &deepest_first)
    }

    /// Leaves each directory that was made for this jail, and in which another stands, to that one to remove.
    fn transfer_created_dirs(&self, made: &[PathBuf]) -> Result<()> {
        let mut left = made.to_owned();
        left.retain(|dir| *dir != self.plan.root);
        for name in Manifest::names(self.host)? {
            let root = Manifest::root_of(self.host, &name)?.filter(|_| name != *self.name());
            let Some(root) = root.filter(|root| left.iter().any(|dir| root.starts_with(dir)))
            else {
                continue;
            };
            if let Some(mut marker) = Marker::read(self.host, &root)?
                && let Some(dir) = self.host.open_dir_nofollow(&root)?
            {
                let (mut mine, others) = left.into_iter().partition(|dir| root.starts_with(dir));
                Vec::retain(&mut mine, |dir| !marker.made.contains(dir));
                marker.made.splice(0..0, mine);
                write_marker(&dir, &marker)?;
                left = others;
            }
        }
        Ok(())
    }

    /// Removes the snippet and tells sshd.
    pub(super) fn remove_snippet(&mut self, file: &str) -> Result<()> {
        let (dir, _) = self
            .host
            .parent_of(&Path::new(SSHD_CONFIG_DIR).join(file))?;
        dir.remove_file_if_exists(Path::new(file))?;
        dir.sync()?;
        self.reload()
    }

    /// Removes the control groups of sessions that are over. What cannot be removed keeps nobody from anything.
    pub(super) fn clear_groups(&mut self) {
        if self.host.is_live()
            && let Err(error) = session_control::clear_groups(self.name())
        {
            self.notices.push(session_control::notice(&error));
        }
    }

    /// Takes away the masks of managers of user ids that the jail's accounts were recorded with, and that no jailed account has any more: somebody else may have
    /// removed such an account, or given it another id.
    pub(super) fn unmask_remaining(&self) -> Result<()> {
        let accounts = self.host.accounts()?;
        let recorded = self
            .plan
            .manifest
            .iter()
            .flat_map(|manifest| &manifest.accounts);
        for uid in recorded.map(|account| account.uid) {
            let mut users = accounts.users.iter().filter(|user| user.uid == uid);
            if !users.any(|user| user.shell.starts_with(JAIL_DIR)) {
                self.host.unmask_user_manager(uid)?;
            }
        }
        Ok(())
    }

    /// Removes the jail's records.
    pub(super) fn delete_records(&mut self) -> Result<()> {
        for verb in ["build", "check"] {
            let kept = ResolvedJail::cache(self.name(), verb);
            if self.host.lstat(&kept)?.is_some() {
                let (dir, name) = self.host.parent_of(&kept)?;
                dir.remove_file(Path::new(name))?;
            }
        }
        remove_dirs(self.host, &[PathBuf::from(CACHE)])?;
        let state = self.state();
        if self.host.lstat(&state)?.is_none() {
            return Ok(());
        }
        self.clear_groups();
        self.remove_stale_network()?;
        self.unmask_remaining()?;
        let (dir, name) = self.host.parent_of(&state)?;
        dir.remove_all(Path::new(name))
    }
}
