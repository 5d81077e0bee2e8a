//! Writing down what was built: the manifest and the spec, staged and exchanged as the tree is.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::moves::{Move, Moves};
use super::run::Run;
use super::undo::Undo;
use super::{store, tree};
use crate::error::Result;
use crate::host::sshd::{Config, Daemon};
use crate::host::{Digest, Ownership};
use crate::names::JailPath;
use crate::plan::manifest::{AccountRecord, FORMAT, LockRecord, MANIFEST, SPEC};
use crate::plan::{Manifest, Step};

/// Where records are written, below the jail's state directory.
pub(super) const STAGE: &str = ".new";
/// The records of the time before, likewise.
pub(super) const PREVIOUS: &str = crate::plan::manifest::PREVIOUS;

impl Run<'_, '_> {
    /// Writes the manifest and the spec as built.
    pub(super) fn record(&mut self) -> Result<()> {
        // Before the facts of the files are taken: removing another name of an inode moves its time of last change.
        if self.plan.steps.contains(&Step::WriteTree) {
            let root = self.need_root()?;
            let previous = Path::new(tree::PREVIOUS);
            store::remove(self.host, &self.plan.root, &root, &[previous])?;
        }
        let manifest = self.manifest()?.to_json()?;
        let spec = &self.wanted()?.origin.text;
        let state = self.host.dir(&self.state(), Ownership::root(0o711))?;
        state.remove_all(Path::new(STAGE))?;
        let stage = state.make_dir(Path::new(STAGE), Ownership::root(0o700))?;
        let mut moves = Vec::new();
        for (name, content) in [(SPEC, spec.as_bytes()), (MANIFEST, &manifest)] {
            stage.replace_file(Path::new(name), content, Ownership::root(0o600))?;
            moves.extend(Move::swap(&state, &stage, Path::new(name))?);
        }
        let moves = Moves {
            dir: self.state(),
            stage: PathBuf::from(STAGE),
            list: moves,
        };
        self.note(Undo::Moves(moves.clone()))?;
        moves.make(&state)?;
        state.sync()
    }

    /// The manifest of the tree as it now stands.
    fn manifest(&self) -> Result<Manifest> {
        let wanted = self.wanted()?;
        let jail = &wanted.jail;
        let before = self.plan.manifest.as_ref();
        let entries = tree::records(self.host, &jail.root, &jail.tree, &self.digests, before)?;
        let mut places = before
            .map(|manifest| manifest.places.clone())
            .unwrap_or_default();
        places.extend(
            jail.tree
                .iter()
                .filter(|(_, entry)| entry.kept)
                .map(|(path, _)| path.clone()),
        );
        let root = self.need_root()?;
        let mut standing: BTreeSet<JailPath> = BTreeSet::new();
        for place in places {
            if root.lstat(place.relative())?.is_some() {
                standing.insert(place);
            }
        }
        let lock = match jail.lock.as_ref().zip(wanted.facts.clone()) {
            Some((lock, mut sshd)) => {
                sshd.stamp = Daemon::find(self.host)?.stamp(&Config::read(self.host)?)?;
                Some(LockRecord {
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
                    before: wanted.before.get(&account.name).cloned(),
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
