//! Roots that are gone together with the homes of their users: their disk may not be mounted.

use super::manifest::Manifest;
use super::step::Step;
use super::types::Plan;
use crate::error::{Error, Result};
use crate::host::HostView;
use crate::resolve::Marker;

/// Missing parts of a jail that was built with user directories.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VanishedRoot {
    /// The root does not exist.
    Gone,
    /// The root is a directory without marker and user directories, such as the mount point of a
    /// disk that is not mounted.
    Empty,
    /// The root exists, and the homes of all users are missing.
    Homes,
}

impl VanishedRoot {
    /// The state of the root of a built jail; `None` if nothing is missing, or if the jail has no
    /// user directory that could be lost.
    ///
    /// # Errors
    /// [`crate::error::ErrorKind::Failed`] if the root cannot be read.
    pub fn of(manifest: &Manifest, view: &HostView) -> Result<Option<Self>> {
        let root = &manifest.root;
        if manifest.user_dirs.is_empty() {
            return Ok(None);
        }
        if view.lstat(root)?.is_none() {
            return Ok(Some(Self::Gone));
        }
        let is_there = |path: &crate::names::JailPath| -> Result<bool> {
            Ok(view.lstat(&root.join(path.relative()))?.is_some())
        };
        if Marker::read(view, root)?.is_none() {
            for dir in &manifest.user_dirs {
                if is_there(dir)? {
                    return Ok(None);
                }
            }
            return Ok(Some(Self::Empty));
        }
        let mut homes = (manifest.accounts.iter())
            .map(|account| &account.home)
            .filter(|home| manifest.user_dirs.contains(*home))
            .peekable();
        if homes.peek().is_none() {
            return Ok(None);
        }
        for home in homes {
            if is_there(home)? {
                return Ok(None);
            }
        }
        Ok(Some(Self::Homes))
    }

    /// The text after the path of the root: "it is gone …".
    pub fn text(self) -> &'static str {
        match self {
            Self::Gone => "it is gone, with all that was in it: is the disk that it is on mounted?",
            Self::Empty => {
                "it is empty, without the user directories that were in it: is the disk that it is on mounted?"
            }
            Self::Homes => {
                "the homes of all its users are gone: is the disk that they are on mounted?"
            }
        }
    }
}

impl Plan {
    /// Refuses to create a root or homes again that are missing: their disk may not be mounted.
    ///
    /// # Errors
    /// [`crate::error::ErrorKind::Failed`], with the option that allows it.
    pub fn refuse_vanished_root(&self, view: &HostView) -> Result<()> {
        let creates =
            |step: &Step| matches!(step, Step::CreateRoot { .. } | Step::WriteTree { .. });
        let Some(manifest) = self.manifest.as_ref().filter(|_| self.removal.is_none()) else {
            return Ok(());
        };
        if !self.steps.iter().any(creates) {
            return Ok(());
        }
        let Some(vanished) = VanishedRoot::of(manifest, view)? else {
            return Ok(());
        };
        // Homes of renamed users have other names.
        let accounts = self.target.iter().flat_map(|target| &target.jail.accounts);
        for account in accounts.filter(|_| vanished == VanishedRoot::Homes) {
            let home = manifest.root.join(account.home.relative());
            if view.lstat(&home)?.is_some() {
                return Ok(());
            }
        }
        let dirs: Vec<String> = (manifest.user_dirs.iter())
            .map(|dir| format!("`{dir}`"))
            .collect();
        let root = manifest.root.display();
        let why = match vanished {
            VanishedRoot::Gone => format!(
                "its root `{root}` is gone, and with it {} of its users",
                dirs.join(", ")
            ),
            VanishedRoot::Empty => format!(
                "its root `{root}` is empty, and {} of its users are not in it",
                dirs.join(", ")
            ),
            VanishedRoot::Homes => {
                format!("its root `{root}` exists, and the homes of all its users are gone")
            }
        };
        Err(
            Error::failed(format!("could not build the jail `{}`", self.name))
                .why(why)
                .hint("mount the disk that it is on, and try again")
                .hint(
                    "if it is gone for good, `--recreate` creates the jail again, with empty homes",
                ),
        )
    }
}
