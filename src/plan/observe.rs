//! The state of the host that a plan starts from. Refuses a host in which the jail cannot be.

use std::path::Path;
use std::sync::Arc;

use super::compare::EXCHANGED_DIRS;
use super::manifest::Manifest;
use super::session_policy::PolicyState;
use super::{preconditions, sshd, store_index};
use crate::error::Result;
use crate::host::sshd::SshdInfo;
use crate::host::{Accounts, HostView, Inventory, Stat};
use crate::names::JailPath;
use crate::resolve::{Marker, ResolvedJail, Tree};
use crate::spec::Spec;

/// State of the host that resolving a spec depends on.
#[derive(Debug)]
pub(super) struct Found {
    /// Manifest of the last build; `None` for a new jail.
    pub manifest: Option<Manifest>,
    /// sshd's own settings; `None` for a jail that never had accounts.
    pub sshd: Option<SshdInfo>,
    /// Accounts and groups of the host.
    pub accounts: Arc<Accounts>,
}

/// State of the root and of the sessions of one jail.
#[derive(Debug)]
pub(super) struct FoundRoot {
    /// Content of the root; `None` if it does not exist.
    pub inventory: Option<Inventory>,
    /// Marker of the root; `None` if there is none.
    pub marker: Option<Marker>,
    /// Index of the content store that the jail shares with those beside it.
    pub store: store_index::Index,
    /// Policy of its sessions, as it is and as it is to be.
    pub policy: PolicyState,
}

/// Reads what resolving `spec` depends on. `moved_from` is the root as recorded of a jail that was
/// moved to that of `spec`.
///
/// # Errors
/// [`crate::error::ErrorKind::Spec`] if the root conflicts with another jail, the jail would move,
/// or a plain chroot would be mounted in sessions; [`crate::error::ErrorKind::Failed`] if records,
/// account files or sshd cannot be read.
pub(super) fn observe_host(
    spec: &Spec,
    moved_from: Option<&Path>,
    view: &HostView,
) -> Result<Found> {
    let mut manifest = Manifest::load(view, &spec.name.value)?;
    if let Some(manifest) = &mut manifest
        && moved_from == Some(&manifest.root)
    {
        manifest.root.clone_from(&spec.root.value);
    }
    preconditions::check_root_conflicts(spec, manifest.as_ref(), view)?;
    preconditions::check_not_mounted_elsewhere(spec, view)?;
    let sshd = sshd::sshd_info_if_needed(spec, manifest.as_ref(), view)?;
    Ok(Found {
        manifest,
        sshd,
        accounts: view.accounts()?,
    })
}

/// Reads the root of `jail`, and the policy of its sessions.
///
/// # Errors
/// [`crate::error::ErrorKind::Spec`] if the root is not one of jailctl's;
/// [`crate::error::ErrorKind::Failed`] if it cannot be read, or something is mounted in it.
pub(super) fn observe_root(
    spec: &Spec,
    jail: &ResolvedJail,
    found: &Found,
    view: &HostView,
) -> Result<FoundRoot> {
    let inventory = inventory_of(&jail.root, &jail.tree, found.manifest.as_ref(), view)?;
    let marker = Marker::read(view, &jail.root)?;
    preconditions::check_root_is_managed(spec, marker.as_ref(), inventory.as_ref())?;
    preconditions::check_no_mounts(&jail.root, view)?;
    let store = match &inventory {
        Some(_) => store_index::Index::load(view, &store_index::store_of(&jail.root))?,
        None => store_index::Index::default(),
    };
    Ok(FoundRoot {
        inventory,
        marker,
        store,
        policy: PolicyState::observe(view, jail)?,
    })
}

impl FoundRoot {
    /// Whether the root exists, is root-owned with mode 0755, and has its marker.
    pub(super) fn is_sound(&self) -> bool {
        let is_open = |stat: &Stat| (stat.uid, stat.gid, stat.permissions()) == (0, 0, 0o755);
        let inventory = self.inventory.as_ref();
        let root = inventory.and_then(|inventory| inventory.get(&JailPath::root()));
        self.marker.is_some() && root.is_some_and(is_open)
    }
}

/// Reads the content of a root: the exchanged directories whole, and elsewhere the paths of `tree`
/// and of the manifest. `None` if the root does not exist.
///
/// # Errors
/// [`crate::error::ErrorKind::Failed`] if the root cannot be read.
pub(super) fn inventory_of(
    root: &Path,
    tree: &Tree,
    manifest: Option<&Manifest>,
    view: &HostView,
) -> Result<Option<Inventory>> {
    let top = JailPath::root();
    let recorded = manifest
        .iter()
        .flat_map(|manifest| manifest.entries.keys().chain(&manifest.user_dirs));
    let paths = tree
        .iter()
        .map(|(path, _)| path)
        .chain(recorded)
        .chain([&top]);
    view.inventory(root, &EXCHANGED_DIRS, paths)
}
