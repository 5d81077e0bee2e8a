//! Fleet: the roots, groups and mounts of all jails, with which a plan of one jail compares its own
//! ones. Read once in a run, and kept up to date by its transactions.

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use jailctl_session::policy::{Policy, Source};
use serde::{Deserialize, Serialize};

use super::manifest::Manifest;
use super::types::Plan;
use crate::error::Result;
use crate::host::{HostView, Stat};
use crate::layout::{FLEET_INDEX, MANIFEST, POLICY, STATE};
use crate::names::JailName;
use crate::resolve::ResolvedJail;

/// Most bytes of a policy.
const POLICY_LIMIT: u64 = 1 << 18;
/// Most bytes of the index.
const INDEX_LIMIT: u64 = 64 << 20;
/// Seconds between the last change of a record and the index, at least: no file system has coarser
/// timestamps.
const TIMESTAMP_GRANULARITY: i64 = 2;

/// One of the jails.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct KnownJail {
    /// Root of the jail.
    pub(super) root: PathBuf,
    /// Supplementary groups that were created for it: name and group id.
    pub(super) groups: BTreeMap<String, u32>,
    /// Whether it has accounts, or had some.
    pub(super) has_accounts: bool,
    /// Whether it is a plain chroot.
    pub(super) is_plain: bool,
    /// Directories of the host that its sessions mount.
    pub(super) mounts: Vec<PathBuf>,
}

impl KnownJail {
    /// Reads the records of a jail; `None` if it was not built.
    fn read(view: &HostView, name: &JailName) -> Result<Option<Self>> {
        let Some(head) = Manifest::head(view, name)? else {
            return Ok(None);
        };
        let text = view.read(&ResolvedJail::state(name).join(POLICY), POLICY_LIMIT)?;
        let policy = text
            .as_ref()
            .and_then(|text| Policy::parse(&String::from_utf8_lossy(text)).ok());
        Ok(Some(Self {
            root: head.root,
            groups: head.groups,
            has_accounts: head.has_accounts,
            is_plain: text.is_none(),
            mounts: policy.as_ref().map(mounts_of).unwrap_or_default(),
        }))
    }
}

/// The index of all jails in [`FLEET_INDEX`], so that no run reads all records. It is believed only
/// where the records have not changed since.
#[derive(Debug, Default, Serialize, Deserialize)]
struct FleetIndex {
    jails: BTreeMap<JailName, IndexedJail>,
}

/// A jail in the index.
#[derive(Debug, Serialize, Deserialize)]
struct IndexedJail {
    /// Stat of its manifest and its policy.
    files: [Option<Stat>; 2],
    jail: KnownJail,
}

impl FleetIndex {
    /// Reads the index; an empty one if there is none, or another user could have written it.
    fn read(view: &HostView) -> Self {
        let path = Path::new(FLEET_INDEX);
        let is_trusted = matches!(view.find_untrusted_writer(path), Ok(None));
        let text = view.read(path, INDEX_LIMIT).ok().flatten();
        let text = text.filter(|_| is_trusted);
        text.and_then(|text| serde_json::from_slice(&text).ok())
            .unwrap_or_default()
    }

    /// The text of the index; `None` if a further change of the records may leave the same stat.
    fn to_text(&self) -> Option<Vec<u8>> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let now = now.map_or(0, |now| now.as_secs().cast_signed());
        let mut files = self.jails.values().flat_map(|jail| &jail.files).flatten();
        let is_fresh = files.any(|stat| stat.ctime.0 + TIMESTAMP_GRANULARITY > now);
        (!is_fresh).then(|| serde_json::to_vec(self).ok()).flatten()
    }
}

/// The jails of a host.
#[derive(Debug, Default)]
pub struct Fleet {
    jails: BTreeMap<JailName, KnownJail>,
    /// Jails by their roots.
    roots: BTreeMap<PathBuf, JailName>,
    /// Number of jails of each group.
    groups: HashMap<String, usize>,
    /// Jails whose sessions mount directories of the host.
    mounting: BTreeMap<JailName, Vec<PathBuf>>,
    /// Text of [`FLEET_INDEX`], if it is to be written again.
    new_index: Option<Vec<u8>>,
}

impl Fleet {
    /// The jails of a host, as this run knows them.
    ///
    /// # Errors
    /// [`crate::error::ErrorKind::Failed`] if the records cannot be read.
    pub(super) fn of(view: &HostView) -> Result<FleetRef> {
        view.fact_of_run(Self::read).map(FleetRef)
    }

    fn read(view: &HostView) -> Result<Mutex<Self>> {
        let index = FleetIndex::read(view);
        let mut fleet = Self::default();
        let mut now = FleetIndex::default();
        let mut is_known = true;
        for entry in view.list(Path::new(STATE))?.unwrap_or_default() {
            let Some(name) = entry.to_str().and_then(|name| JailName::parse(name).ok()) else {
                continue;
            };
            let files = view.stat_entries(&ResolvedJail::state(&name), [MANIFEST, POLICY])?;
            if files[0].is_none() {
                continue;
            }
            let known = index.jails.get(&name).filter(|known| known.files == files);
            let jail = if let Some(known) = known {
                known.jail.clone()
            } else {
                is_known = false;
                let Some(jail) = KnownJail::read(view, &name)? else {
                    continue;
                };
                jail
            };
            let indexed = IndexedJail {
                files,
                jail: jail.clone(),
            };
            now.jails.insert(name.clone(), indexed);
            fleet.insert(name, jail);
        }
        if !is_known || now.jails.len() != index.jails.len() {
            fleet.new_index = now.to_text();
        }
        Ok(Mutex::new(fleet))
    }

    /// The text of [`FLEET_INDEX`], once, if this run has read records that are not in it.
    pub fn take_new_index(view: &HostView) -> Option<Vec<u8>> {
        Self::of(view).ok()?.jails().new_index.take()
    }

    /// Adds the jail of a plan that is applied.
    ///
    /// # Errors
    /// [`Failed`](crate::error::ErrorKind::Failed) if the records of jails cannot be read.
    pub fn note(view: &HostView, plan: &Plan) -> Result<()> {
        let Some(target) = plan.target.as_ref().filter(|_| !plan.steps.is_empty()) else {
            return Ok(());
        };
        let jail = &target.jail;
        let created = jail.further_groups.iter().filter(|group| group.is_new);
        let fleet = Self::of(view)?;
        let mut fleet = fleet.jails();
        fleet.new_index = None;
        let before = fleet.jails.get(&jail.name);
        let mut groups = before.map(|known| known.groups.clone()).unwrap_or_default();
        groups.extend(created.map(|group| (group.name.clone(), group.gid)));
        let known = KnownJail {
            root: jail.root.clone(),
            groups,
            has_accounts: jail.confinement.is_some(),
            is_plain: jail.session.is_none(),
            mounts: jail.session.as_ref().map(mounts_of).unwrap_or_default(),
        };
        fleet.insert(jail.name.clone(), known);
        Ok(())
    }

    /// Removes a jail that was removed.
    ///
    /// # Errors
    /// [`Failed`](crate::error::ErrorKind::Failed) if the records of jails cannot be read.
    pub fn forget(view: &HostView, name: &JailName) -> Result<()> {
        let fleet = Self::of(view)?;
        let mut fleet = fleet.jails();
        fleet.new_index = None;
        fleet.remove(name);
        Ok(())
    }

    /// Whether a jail other than `name` and `along`, which are being removed, has accounts or had
    /// some by its record: it needs what all such jails share, whatever became of its own files.
    ///
    /// # Errors
    /// [`Failed`](crate::error::ErrorKind::Failed) if the records of jails cannot be read.
    pub(super) fn others_have_accounts(
        view: &HostView,
        name: &JailName,
        along: &[JailName],
    ) -> Result<bool> {
        let fleet = Self::of(view)?;
        let fleet = fleet.jails();
        let mut jails = fleet.jails.iter();
        Ok(jails
            .any(|(other, known)| known.has_accounts && other != name && !along.contains(other)))
    }

    /// Names of all jails, sorted.
    pub(super) fn names(&self) -> impl Iterator<Item = &JailName> {
        self.jails.keys()
    }

    /// Whether no other jail has come into conflict with the root and the mounts of a jail that was
    /// built: a plan of the jail would refuse it.
    ///
    /// # Errors
    /// [`Failed`](crate::error::ErrorKind::Failed) if the records of jails cannot be read.
    pub fn is_without_conflict(view: &HostView, name: &JailName) -> Result<bool> {
        let fleet = Self::of(view)?;
        let fleet = fleet.jails();
        let Some(known) = fleet.jails.get(name) else {
            return Ok(false);
        };
        let is_mounted = known.is_plain && fleet.mounting(&known.root, name).is_some();
        let mut shown = known.mounts.iter();
        Ok(!is_mounted
            && fleet.overlapping(&known.root, name).is_none()
            && fleet.namesake(name).is_none()
            && shown.all(|source| fleet.plain_overlapping(source, name).is_none()))
    }

    fn insert(&mut self, name: JailName, known: KnownJail) {
        self.remove(&name);
        *self.groups.entry(name.group()).or_default() += 1;
        if !known.mounts.is_empty() {
            self.mounting.insert(name.clone(), known.mounts.clone());
        }
        self.roots.insert(known.root.clone(), name.clone());
        self.jails.insert(name, known);
    }

    fn remove(&mut self, name: &JailName) {
        let Some(known) = self.jails.remove(name) else {
            return;
        };
        self.roots.remove(&known.root);
        self.mounting.remove(name);
        if let Some(count) = self.groups.get_mut(&name.group()) {
            *count -= 1;
        }
    }

    /// Whether a jail has this group.
    pub(super) fn has_group(&self, group: &str) -> bool {
        self.groups.get(group).is_some_and(|count| *count > 0)
    }

    /// Another jail whose root is `path`, inside of it or around it, with that root.
    pub(super) fn overlapping(&self, path: &Path, but: &JailName) -> Option<(&JailName, &Path)> {
        let around = path
            .ancestors()
            .filter_map(|above| self.roots.get_key_value(above));
        let inside = (Bound::Included(path), Bound::Unbounded);
        let inside = self.roots.range::<Path, _>(inside);
        let inside = inside.take_while(|(root, _)| root.starts_with(path));
        let mut found = around.chain(inside).filter(|(_, name)| *name != but);
        found.next().map(|(root, name)| (name, root.as_path()))
    }

    /// Another jail that is a plain chroot, and whose root overlaps with `path`.
    pub(super) fn plain_overlapping(&self, path: &Path, but: &JailName) -> Option<&JailName> {
        let around = path.ancestors().filter_map(|above| self.roots.get(above));
        let inside = (Bound::Included(path), Bound::Unbounded);
        let inside = self.roots.range::<Path, _>(inside);
        let inside = inside.take_while(|(root, _)| root.starts_with(path));
        let mut found = around.chain(inside.map(|(_, name)| name));
        found.find(|name| *name != but && self.jails.get(*name).is_some_and(|jail| jail.is_plain))
    }

    /// Another jail whose sessions mount a directory that overlaps with `root`, and that directory.
    pub(super) fn mounting(&self, root: &Path, but: &JailName) -> Option<(&JailName, &Path)> {
        let others = self.mounting.iter().filter(|(name, _)| *name != but);
        let mut mounts = others.flat_map(|(name, mounts)| mounts.iter().map(move |at| (name, at)));
        mounts
            .find(|(_, source)| source.starts_with(root) || root.starts_with(source))
            .map(|(name, source)| (name, source.as_path()))
    }

    /// A jail with the name of the family of `name`, or a jail of a family with its name.
    pub(super) fn namesake(&self, name: &JailName) -> Option<&JailName> {
        if !self.has_group(&name.group()) {
            return None;
        }
        let mut names = self.jails.keys();
        names.find(|other| {
            other.family_name() == name.family_name() && other.is_member() != name.is_member()
        })
    }

    /// The supplementary groups that were created for the other jails of the family of `name`: name
    /// and group id.
    ///
    /// # Errors
    /// [`Failed`](crate::error::ErrorKind::Failed) if the records of jails cannot be read.
    pub fn groups_of_siblings(view: &HostView, name: &JailName) -> Result<BTreeMap<String, u32>> {
        let fleet = Self::of(view)?;
        let fleet = fleet.jails();
        let siblings = fleet
            .jails
            .iter()
            .filter(|(other, _)| other.is_sibling(name));
        Ok(siblings
            .flat_map(|(_, known)| known.groups.clone())
            .collect())
    }
}

/// The jails of a host, shared by the views of a run.
#[derive(Clone, Debug)]
pub(super) struct FleetRef(Arc<Mutex<Fleet>>);

impl FleetRef {
    pub(super) fn jails(&self) -> MutexGuard<'_, Fleet> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn mounts_of(policy: &Policy) -> Vec<PathBuf> {
    let sources = policy
        .mounts
        .iter()
        .filter_map(|mount| match &mount.source {
            Source::Bind(source) => Some(source.clone()),
            _ => None,
        });
    sources.collect()
}
