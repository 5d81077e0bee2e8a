//! The marker in the private directory of a root: the jail of the root, and what must be known even
//! if the records of the jail are lost.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::host::HostView;
use crate::layout::MARKER;
use crate::names::{JailName, JailPath, UserName};
use crate::spec::{Family, Spec};

/// Most bytes of a marker.
const SIZE_LIMIT: u64 = 1 << 20;

/// Marker of a root.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Marker {
    /// Jail of the root.
    pub jail: JailName,
    /// Directories that were created for the root, with the root itself, outermost first.
    pub made: Vec<PathBuf>,
    /// Homes of removed users: their user ids must not be given to other users.
    pub left: Vec<OrphanedHome>,
}

/// Home of a removed user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrphanedHome {
    /// Login name of the user.
    pub user: String,
    /// User id of its files.
    pub uid: u32,
    /// Path of the home inside the jail.
    pub home: JailPath,
}

/// Homes of removed users in a jail and in its family.
#[derive(Debug, Default)]
pub(super) struct OrphanedHomes {
    /// Homes in the jail itself.
    pub own: Vec<OrphanedHome>,
    /// Homes in the other jails of its family.
    pub siblings: Vec<OrphanedHome>,
}

impl OrphanedHomes {
    /// All homes.
    pub(super) fn iter(&self) -> impl Iterator<Item = &OrphanedHome> {
        self.own.iter().chain(&self.siblings)
    }

    /// Reads the marker in the root of `spec` and, if `ids` are to be chosen, those of its family.
    /// A root has a marker even if the records of its jail are lost.
    pub(super) fn of(spec: &Spec, ids: bool, view: &HostView) -> Result<Self> {
        let own = Marker::read(view, &spec.root.value)?;
        let family = spec.family.as_ref().filter(|_| ids);
        Ok(Self {
            own: own.map(|marker| marker.left).unwrap_or_default(),
            siblings: match family {
                Some(family) => of_siblings(&spec.name.value, family, view)?,
                None => Vec::new(),
            },
        })
    }
}

/// The homes of removed users in the other jails of the family of `name`.
fn of_siblings(name: &JailName, family: &Family, view: &HostView) -> Result<Vec<OrphanedHome>> {
    let above = family.parent_dir();
    let mut left = Vec::new();
    for entry in view.list(&above)?.unwrap_or_default() {
        let Some(user) = entry.to_str().and_then(|text| UserName::new(text).ok()) else {
            continue;
        };
        let (sibling, root) = (name.for_user(&user), family.root_of(&user));
        if sibling == *name || !is_only_roots(view, &above, &root)? {
            continue;
        }
        let marker = Marker::read(view, &root)?.filter(|marker| marker.jail == sibling);
        left.extend(marker.into_iter().flat_map(|marker| marker.left));
    }
    Ok(left)
}

/// Whether only root can have created `root`, if only root can create entries in `above`.
fn is_only_roots(view: &HostView, above: &Path, root: &Path) -> Result<bool> {
    for directory in root.ancestors().take_while(|one| *one != above) {
        let is_ours = view
            .lstat(directory)?
            .is_some_and(|stat| stat.is_root_only_dir());
        if !is_ours {
            return Ok(false);
        }
    }
    Ok(true)
}

impl Marker {
    /// Reads the marker of the directory `root`; `None` if there is none. Homes that no longer
    /// exist are left out.
    ///
    /// # Errors
    /// [`crate::error::ErrorKind::Failed`] if the marker exists and cannot be read.
    pub fn read(view: &HostView, root: &Path) -> Result<Option<Self>> {
        // No link can lead elsewhere: `root` is checked to be root-owned, and the private directory
        // is root-owned with mode 0700.
        let path = root.join(MARKER);
        let Some(bytes) = view.read(&path, SIZE_LIMIT)? else {
            return Ok(None);
        };
        let mut marker: Self = serde_json::from_slice(&bytes).map_err(|error| {
            Error::failed(format!("could not read `{}`", view.display_path(&path).display()))
                .why(error.to_string())
                .hint("without it jailctl does not know the jail of this root: restore it, or move the root away")
        })?;
        let mut left = Vec::new();
        for one in marker.left {
            if view.lstat(&root.join(one.home.relative()))?.is_some() {
                left.push(one);
            }
        }
        marker.left = left;
        Ok(Some(marker))
    }

    /// The marker as JSON, the content of its file.
    ///
    /// # Errors
    /// [`crate::error::ErrorKind::Failed`] if it cannot be serialised.
    pub fn to_json(&self) -> Result<Vec<u8>> {
        let failed = |error: serde_json::Error| {
            Error::failed("could not write the marker of the root").why(error.to_string())
        };
        let mut bytes = serde_json::to_vec(self).map_err(failed)?;
        bytes.push(b'\n');
        Ok(bytes)
    }
}
