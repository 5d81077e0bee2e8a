//! The records of a build: the manifest and the spec, staged and exchanged as the tree is.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use super::context::StepContext;
use super::journal::moves::Moves;
use super::journal::undo_record::Undo;
use super::{exchange, stage, store};
use crate::error::Result;
use crate::host::sshd::{Config, Sshd};
use crate::host::{Digest, Dir, FileKind, Host, Ownership, Stat};
use crate::layout::{MANIFEST, NEW_RECORDS, PRIVATE_FILE_MODE, PRIVATE_MODE, SPEC, STATE_MODE};
use crate::names::JailPath;
use crate::plan::manifest::{AccountRecord, ConfinementRecord, FORMAT, RecordKind};
use crate::plan::{Fleet, Manifest, OWN_DROP_INS, Target};
use crate::resolve::{Marker, ResolvedJail};

/// Writes the manifest of what is built now, and the spec.
pub(super) fn write(
    context: &mut StepContext<'_, '_>,
    target: &Target,
    before: Option<&Manifest>,
) -> Result<()> {
    let manifest = of_built(context, target, before)?.to_json()?;
    let spec = &target.origin.text;
    let path = context.state();
    let state = context
        .host
        .ensure_root_dir(&path, Ownership::root(STATE_MODE))?;
    state.remove_all(Path::new(NEW_RECORDS))?;
    let stage = state.create_dir(Path::new(NEW_RECORDS), Ownership::root(PRIVATE_MODE))?;
    let mut moves = Vec::new();
    for (name, content) in [(SPEC, spec.as_bytes()), (MANIFEST, &manifest)] {
        stage.replace_file(Path::new(name), content, Ownership::root(PRIVATE_FILE_MODE))?;
        moves.extend(exchange::move_for_path(&state, &stage, Path::new(name))?);
    }
    let moves = Moves {
        dir: path,
        stage: PathBuf::from(NEW_RECORDS),
        list: moves,
    };
    context.journal_undo(vec![Undo::ReverseMoves(moves.clone())])?;
    exchange::make(&moves, &state)?;
    state.sync()
}

/// The manifest of the jail with its tree as it is on disk now.
fn of_built(
    context: &StepContext<'_, '_>,
    target: &Target,
    before: Option<&Manifest>,
) -> Result<Manifest> {
    let host = context.host;
    let jail = &target.jail;
    let root = context.open_root()?;
    let entries = stage::records(&root, &jail.tree, &context.written, before)?;
    let mut user_dirs = before
        .map(|manifest| manifest.user_dirs.clone())
        .unwrap_or_default();
    let user_owned = jail.tree.iter().filter(|(_, entry)| entry.user_owned);
    user_dirs.extend(user_owned.map(|(path, _)| path.clone()));
    let mut existing: BTreeSet<JailPath> = BTreeSet::new();
    for path in user_dirs {
        if root.lstat(path.relative())?.is_some() {
            existing.insert(path);
        }
    }
    let confinement = match jail.confinement.as_ref().zip(target.sshd.clone()) {
        Some((confinement, mut sshd)) => {
            let config = Config::read(host)?;
            sshd.stamp = Sshd::find(host)?.inputs(&config, &OWN_DROP_INS)?;
            Some(ConfinementRecord {
                group: (confinement.group.name.clone(), confinement.group.gid),
                snippet: (
                    confinement.sshd.file.clone(),
                    Digest::of(confinement.sshd.text.as_bytes()),
                ),
                sshd,
            })
        }
        None => None,
    };
    let created_groups = jail
        .further_groups
        .iter()
        .filter(|group| group.is_new)
        .map(|group| (group.name.clone(), group.gid));
    // The last jail of a family deletes the groups that any of them created.
    let mut shared = Fleet::groups_of_siblings(host, &jail.name)?;
    shared.retain(|name, gid| {
        let mut used = jail.further_groups.iter();
        used.any(|group| group.name == *name && group.gid == *gid)
    });
    let accounts = jail.accounts.iter().map(|account| AccountRecord {
        name: account.name.clone(),
        uid: account.uid,
        home: account.home.clone(),
        expires: account.expires,
        groups: account.groups.clone(),
        before: target.original_accounts.get(&account.name).cloned(),
    });
    Ok(Manifest {
        format: FORMAT,
        name: jail.name.clone(),
        root: jail.root.clone(),
        spec: target.origin.name.clone(),
        access: jail.access.clone(),
        confinement,
        accounts: accounts.collect(),
        groups: before
            .map(|manifest| manifest.groups.clone())
            .into_iter()
            .flatten()
            .chain(created_groups)
            .chain(shared)
            .collect(),
        user_dirs: existing,
        entries,
    })
}

/// Deletes the previous generation, at `previous` below the open directory `dir` at `root`.
///
/// The previous tree and the live one have names of the same inodes, and removing a name changes an
/// inode's ctime. The store's index is updated for the files of the store. For all others the
/// manifest is: a stat that was right until now is right afterwards too.
pub(super) fn remove_previous(host: &Host, root: &Path, dir: &Dir, previous: &Path) -> Result<()> {
    let mut seen: HashMap<u64, Stat> = HashMap::new();
    store::remove_with(host, root, dir, &[previous], &mut |stat| {
        if stat.kind() == FileKind::File && stat.links > 1 {
            // Only the first name that is removed has the ctime from before.
            seen.entry(stat.ino).or_insert_with(|| stat.clone());
        }
    })?;
    if seen.is_empty() {
        return Ok(());
    }
    let Some(marker) = Marker::read(host, root)? else {
        return Ok(());
    };
    let Some(mut manifest) = Manifest::load(host, &marker.jail)? else {
        return Ok(());
    };
    let mut is_updated = false;
    for (path, record) in &mut manifest.entries {
        if let RecordKind::File { stat, .. } = &mut record.kind
            && seen.get(&stat.ino).is_some_and(|seen| seen.is_same(stat))
            && let Some(now) = dir.lstat(path.relative())?
            && (now.ino, now.size, now.mtime) == (stat.ino, stat.size, stat.mtime)
            && now.ownership() == stat.ownership()
        {
            *stat = now;
            is_updated = true;
        }
    }
    if is_updated {
        let state = host.ensure_root_dir(
            &ResolvedJail::state(&marker.jail),
            Ownership::root(STATE_MODE),
        )?;
        state.replace_file(
            Path::new(MANIFEST),
            &manifest.to_json()?,
            Ownership::root(PRIVATE_FILE_MODE),
        )?;
    }
    Ok(())
}
