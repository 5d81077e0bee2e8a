//! Writing down what was built: the manifest and the spec, staged and exchanged as the tree is.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use super::context::StepContext;
use super::exchange::{Move, Moves};
use super::undo::Undo;
use super::{stage, store};
use crate::error::Result;
use crate::host::sshd::{Config, Sshd};
use crate::host::{Digest, Dir, FileKind, Host, Ownership, Stat};
use crate::layout::{MANIFEST, NEW_RECORDS, SPEC, STATE_MODE};
use crate::names::JailPath;
use crate::plan::Manifest;
use crate::plan::manifest::{AccountRecord, ConfinementRecord, FORMAT, RecordKind};
use crate::resolve::{Marker, ResolvedJail};

impl StepContext<'_, '_> {
    /// Writes the manifest and the spec as built.
    pub(super) fn write_manifest(&mut self) -> Result<()> {
        self.unmask_remaining()?;
        let manifest = self.manifest()?.to_json()?;
        let spec = &self.target()?.origin.text;
        let state = self
            .host
            .ensure_root_dir(&self.state(), Ownership::root(STATE_MODE))?;
        state.remove_all(Path::new(NEW_RECORDS))?;
        let stage = state.create_dir(Path::new(NEW_RECORDS), Ownership::root(0o700))?;
        let mut moves = Vec::new();
        for (name, content) in [(SPEC, spec.as_bytes()), (MANIFEST, &manifest)] {
            stage.replace_file(Path::new(name), content, Ownership::root(0o600))?;
            moves.extend(Move::for_path(&state, &stage, Path::new(name))?);
        }
        let moves = Moves {
            dir: self.state(),
            stage: PathBuf::from(NEW_RECORDS),
            list: moves,
        };
        self.journal_undo(Undo::Moves(moves.clone()))?;
        moves.make(&state)?;
        state.sync()
    }

    /// The manifest of the tree as it now stands.
    fn manifest(&self) -> Result<Manifest> {
        let wanted = self.target()?;
        let jail = &wanted.jail;
        let before = self.plan.manifest.as_ref();
        let root = self.need_root()?;
        let entries = stage::records(&root, &jail.tree, &self.written, before)?;
        let mut places = before
            .map(|manifest| manifest.places.clone())
            .unwrap_or_default();
        places.extend(
            jail.tree
                .iter()
                .filter(|(_, entry)| entry.user_owned)
                .map(|(path, _)| path.clone()),
        );
        let mut standing: BTreeSet<JailPath> = BTreeSet::new();
        for place in places {
            if root.lstat(place.relative())?.is_some() {
                standing.insert(place);
            }
        }
        let lock = match jail.lock.as_ref().zip(wanted.sshd.clone()) {
            Some((lock, mut sshd)) => {
                sshd.stamp = Sshd::find(self.host)?.inputs(&Config::read(self.host)?)?;
                Some(ConfinementRecord {
                    group: (lock.group.name.clone(), lock.group.gid),
                    snippet: (
                        lock.sshd.file.clone(),
                        Digest::of(lock.sshd.text.as_bytes()),
                    ),
                    sshd,
                })
            }
            None => None,
        };
        let made_groups = jail
            .further_groups
            .iter()
            .filter(|group| group.is_new)
            .map(|group| (group.name.clone(), group.gid));
        // Whoever of a family goes last takes them away.
        let mut shared = Manifest::groups_of_siblings(self.host, &jail.name)?;
        shared.retain(|name, gid| {
            let mut used = jail.further_groups.iter();
            used.any(|group| group.name == *name && group.gid == *gid)
        });
        Ok(Manifest {
            format: FORMAT,
            name: jail.name.clone(),
            root: jail.root.clone(),
            spec: wanted.origin.name.clone(),
            doors: jail.doors.clone(),
            lock,
            accounts: jail
                .accounts
                .iter()
                .map(|account| AccountRecord {
                    name: account.name.clone(),
                    uid: account.uid,
                    home: account.home.clone(),
                    expires: account.expires,
                    groups: account.groups.clone(),
                    before: wanted.original_accounts.get(&account.name).cloned(),
                })
                .collect(),
            groups: before
                .map(|manifest| manifest.groups.clone())
                .into_iter()
                .flatten()
                .chain(made_groups)
                .chain(shared)
                .collect(),
            places: standing,
            entries,
        })
    }
}

/// Removes what is kept, at `previous` below the open directory `dir` at `path`, of the time before the time before.
///
/// The kept tree and the live one have names of the same inodes, and removing a name moves an inode's time of last change. What the store knows
/// of is in its index. Of all else the manifest says what is live: where it was right until now, it is right afterwards too.
pub(super) fn remove_previous(host: &Host, path: &Path, dir: &Dir, previous: &Path) -> Result<()> {
    let mut seen: HashMap<u64, Stat> = HashMap::new();
    store::remove_with(host, path, dir, &[previous], &mut |stat| {
        if stat.kind() == FileKind::File && stat.links > 1 {
            // Only the first name finds the time as it was.
            seen.entry(stat.ino).or_insert_with(|| stat.clone());
        }
    })?;
    if seen.is_empty() {
        return Ok(());
    }
    let Some(marker) = Marker::read(host, path)? else {
        return Ok(());
    };
    let Some(mut manifest) = Manifest::load(host, &marker.jail)? else {
        return Ok(());
    };
    let mut is_news = false;
    for (at, record) in &mut manifest.entries {
        if let RecordKind::File { stat, .. } = &mut record.kind
            && seen.get(&stat.ino).is_some_and(|seen| seen.is_same(stat))
            && let Some(now) = dir.lstat(at.relative())?
            && (now.ino, now.size, now.mtime) == (stat.ino, stat.size, stat.mtime)
            && now.ownership() == stat.ownership()
        {
            *stat = now;
            is_news = true;
        }
    }
    if is_news {
        let state = host.ensure_root_dir(
            &ResolvedJail::state(&marker.jail),
            Ownership::root(STATE_MODE),
        )?;
        state.replace_file(
            Path::new(MANIFEST),
            &manifest.to_json()?,
            Ownership::root(0o600),
        )?;
    }
    Ok(())
}
