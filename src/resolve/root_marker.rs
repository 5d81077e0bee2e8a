//! The note in a root's private directory that says whose root it is, and what must be known of it even when the jail's records are gone.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::host::HostView;
use crate::layout::MARKER;
use crate::names::{JailName, JailPath, UserName};
use crate::spec::{Family, Spec};

/// A note above this size is not ours.
const SIZE_LIMIT: u64 = 1 << 20;

/// The note.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Marker {
    /// Whose root it is.
    pub jail: JailName,
    /// Directories of the host that were made to hold it, itself included, outermost first.
    pub made: Vec<PathBuf>,
    /// Homes of users that are gone: their numbers must not come to mean somebody else.
    pub left: Vec<OrphanedHome>,
}

/// A home without its user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrphanedHome {
    /// The login name it had.
    pub user: String,
    /// The user id that its files have.
    pub uid: u32,
    /// Where it is, inside the jail.
    pub home: JailPath,
}

/// Homes without their users.
#[derive(Debug, Default)]
pub(super) struct OrphanedHomes {
    /// Those in the jail itself.
    pub own: Vec<OrphanedHome>,
    /// Those in the other jails of its family.
    pub siblings: Vec<OrphanedHome>,
}

impl OrphanedHomes {
    /// All of them.
    pub(super) fn iter(&self) -> impl Iterator<Item = &OrphanedHome> {
        self.own.iter().chain(&self.siblings)
    }

    /// What is noted in the root of `spec` and, where `ids` are to be chosen, in those of its family. A root says it also when nothing is recorded of
    /// its jail any more.
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

/// The homes without their users in the jails of `family` beside `name`.
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

/// Whether nobody but root could have put something at `root`, where nobody else could at `above`.
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
    /// The note in the directory `root`; `None` where there is none. It says nothing of homes that are gone by now.
    pub fn read(view: &HostView, root: &Path) -> Result<Option<Self>> {
        // No link can lead elsewhere: `root` is checked to be root's, and the private directory is root's alone.
        let path = root.join(MARKER);
        let Some(bytes) = view.read(&path, SIZE_LIMIT)? else {
            return Ok(None);
        };
        let mut marker: Self = serde_json::from_slice(&bytes).map_err(|error| {
            Error::failed(format!("could not read `{}`", view.display_path(&path).display()))
                .why(error.to_string())
                .hint("without it jailctl does not know whose root this is: restore it, or move the root away")
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

    /// As it is stored.
    pub fn to_json(&self) -> Result<Vec<u8>> {
        let failed = |error: serde_json::Error| {
            Error::failed("could not note whose root it is").why(error.to_string())
        };
        let mut bytes = serde_json::to_vec(self).map_err(failed)?;
        bytes.push(b'\n');
        Ok(bytes)
    }
}
