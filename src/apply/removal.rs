//! Removal of a jail: its sessions, tree and records. Each step can be repeated after an
//! interrupted run.

use std::path::{Path, PathBuf};

use super::accounts::{delete_mail, unmask_unused_managers};
use super::context::StepContext;
use super::jail_root::write_marker;
use super::session_policy::{clear_cgroups, remove_stale_network};
use super::{session_control, store, store_gc};
use crate::error::Result;
use crate::host::{Dir, FileKind, Host, Ownership, Process};
use crate::layout::{CACHE, FLEET_INDEX, MARKER, PREVIOUS_TREE, PRIVATE_DIR, PRIVATE_MODE, STAGE};
use crate::names::JailName;
use crate::plan::manifest::RecordKind;
use crate::plan::{EXCHANGED_DIRS, Manifest, RemoveOptions, ensure_no_sessions};
use crate::resolve::{Marker, ResolvedJail};

/// Ends the sessions of the jail until none is left, or with `options.kill` unset ensures that
/// there is none. Its accounts are disabled, so no new one begins. Connections in authentication
/// are ended in any case, since sshd goes by the account as it was when the connection named it.
///
/// # Errors
/// [`ErrorKind::Failed`](crate::error::ErrorKind::Failed) with the processes that are left.
pub(super) fn end_sessions(
    context: &mut StepContext<'_, '_>,
    root: &Path,
    uids: &[u32],
    gid: Option<u32>,
    options: RemoveOptions,
) -> Result<()> {
    let (host, jail) = (context.host, context.jail);
    if !uids.is_empty() {
        Process::kill_unauthenticated(host, uids)?;
    }
    if !options.kill {
        let living = Process::find_in_jail(host, root, uids)?;
        return ensure_no_sessions(host, jail, options, &living);
    }
    // What the control groups miss is found by its root directory or its user id.
    if let Err(error) = session_control::kill_groups(jail) {
        context.notice(session_control::notice(&error));
    }
    let ended = session_control::end_all(host, jail, gid, Some(root), uids)?;
    ensure_no_sessions(host, jail, options, &ended.left)
}

/// Deletes the recorded tree, and with `purge` everything else below the root.
pub(super) fn remove_tree(
    host: &Host,
    jail: &JailName,
    path: &Path,
    purge: bool,
    sweeps_store: bool,
    recorded: Option<&Manifest>,
) -> Result<()> {
    let Some(root) = host.open_dir_nofollow(path)? else {
        return Ok(());
    };
    let created = Marker::read(host, path)?
        .map(|marker| marker.made)
        .unwrap_or_default();
    let mut dirs = vec![Path::new(STAGE), Path::new(PREVIOUS_TREE)];
    dirs.extend(EXCHANGED_DIRS.map(Path::new));
    store::remove(host, path, &root, &dirs)?;
    if purge {
        for (name, _) in root.entries()? {
            if name != PRIVATE_DIR {
                root.remove_all(Path::new(&name))?;
            }
        }
    } else if let Some(recorded) = recorded {
        remove_recorded(&root, recorded)?;
    }
    if sweeps_store {
        store_gc::gc(host, store::jails_dir(path), Some(jail), false)?;
    }
    let has_others = root
        .entries()?
        .into_iter()
        .any(|(name, _)| name != PRIVATE_DIR && name != "lost+found");
    if has_others {
        // The ids of its users may be given to other accounts: only root may reach what they left.
        return root.set_owner(Ownership::root(PRIVATE_MODE));
    }
    transfer_created_dirs(host, jail, path, &created)?;
    root.remove_file_if_exists(Path::new(MARKER))?;
    root.remove_all(Path::new(PRIVATE_DIR))?;
    drop(root);
    let deepest_first: Vec<PathBuf> = created.into_iter().rev().collect();
    host.remove_empty_dirs(&deepest_first)
}

/// Deletes a root that a removal has left, with all that is in it, and the mail of its users. Does
/// nothing if the root has another marker by now, or its jail is built.
pub(super) fn purge_root(
    host: &Host,
    jail: &JailName,
    root: &Path,
    made: &[PathBuf],
) -> Result<()> {
    if Manifest::load(host, jail)?.is_some() {
        return Ok(());
    }
    match Marker::read(host, root)? {
        Some(marker) if marker.jail == *jail => {
            // First, since the marker has the users as long as their homes exist.
            for home in &marker.left {
                delete_mail(host, &home.user, home.uid)?;
            }
            remove_tree(host, jail, root, true, true, None)?;
        }
        Some(_) => return Ok(()),
        // An interrupted run has deleted the marker, which is the last file in the root.
        None => {
            if let Some(dir) = host.open_dir_nofollow(root)?
                && dir.entries()?.iter().all(|(name, _)| name == PRIVATE_DIR)
            {
                dir.remove_all(Path::new(PRIVATE_DIR))?;
            }
        }
    }
    let deepest_first: Vec<PathBuf> = made.iter().rev().cloned().collect();
    host.remove_empty_dirs(&deepest_first)
}

/// Deletes recorded paths outside of [`EXCHANGED_DIRS`], except for user directories and
/// directories that are not empty.
fn remove_recorded(root: &Dir, manifest: &Manifest) -> Result<()> {
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
    Ok(())
}

/// Records each directory that was created for this jail, and has the root of another one below
/// it, in the marker of that one, which then removes it.
fn transfer_created_dirs(
    host: &Host,
    jail: &JailName,
    root: &Path,
    created: &[PathBuf],
) -> Result<()> {
    let mut left = created.to_owned();
    left.retain(|dir| dir != root);
    if left.is_empty() {
        return Ok(());
    }
    for name in Manifest::names(host)? {
        let root = Manifest::root_of(host, &name)?.filter(|_| name != *jail);
        let Some(root) = root.filter(|root| left.iter().any(|dir| root.starts_with(dir))) else {
            continue;
        };
        if let Some(mut marker) = Marker::read(host, &root)?
            && let Some(dir) = host.open_dir_nofollow(&root)?
        {
            let (mut above, others) = left.into_iter().partition(|dir| root.starts_with(dir));
            Vec::retain(&mut above, |dir| !marker.made.contains(dir));
            marker.made.splice(0..0, above);
            write_marker(&dir, &marker)?;
            left = others;
        }
    }
    Ok(())
}

/// Deletes the records of the jail, and what they alone know of: control groups, network and masks
/// of user managers.
pub(super) fn delete_records(
    context: &mut StepContext<'_, '_>,
    recorded: Option<&Manifest>,
) -> Result<()> {
    let host = context.host;
    let cached = ["build", "check"].map(|verb| ResolvedJail::cache(context.jail, verb));
    for cached in cached.into_iter().chain([PathBuf::from(FLEET_INDEX)]) {
        if host.lstat(&cached)?.is_some() {
            let (dir, name) = host.parent_of(&cached)?;
            dir.remove_file(Path::new(name))?;
        }
    }
    host.remove_empty_dirs(&[PathBuf::from(CACHE)])?;
    let state = context.state();
    if host.lstat(&state)?.is_none() {
        return Ok(());
    }
    clear_cgroups(context);
    remove_stale_network(host, context.jail)?;
    unmask_unused_managers(host, recorded)?;
    let (dir, name) = host.parent_of(&state)?;
    dir.remove_all(Path::new(name))
}
