//! Masks of systemd's user managers: see `user@.service` in systemd.special(7), and masking in systemd.unit(5).
//!
//! systemd-logind(8) starts a manager of the user's at each login by a PAM stack with pam_systemd(8), and at boot for a user who lingers. It runs outside of
//! every jail. While an account is jailed, the unit of its manager is masked by an empty file, which goes with the account.

use std::path::{Path, PathBuf};

use super::stat::{FileKind, Ownership, Stat};
use super::view::HostView;
use super::writer::Host;
use crate::error::{Error, Result};
use crate::layout::{PUBLIC_MODE, UNITS_DIR};

/// The template of the managers, where distributions put it.
const TEMPLATES: [&str; 2] = [
    "/usr/lib/systemd/system/user@.service",
    "/lib/systemd/system/user@.service",
];

/// The unit of the manager of a user id.
pub fn manager_unit(uid: u32) -> PathBuf {
    Path::new(UNITS_DIR).join(format!("user@{uid}.service"))
}

impl HostView {
    /// Whether the manager of a user id may still start: the host has systemd's managers, and this one is not masked.
    ///
    /// A unit of that name with a content of its own is an error: an administrator wants this manager.
    pub fn has_user_manager(&self, uid: u32) -> Result<bool> {
        let mut has_managers = false;
        for template in TEMPLATES {
            has_managers = has_managers || self.stat(Path::new(template))?.is_some();
        }
        if !has_managers || self.stat(Path::new(UNITS_DIR))?.is_none() {
            return Ok(false);
        }
        let unit = manager_unit(uid);
        match self.lstat(&unit)? {
            None => Ok(true),
            Some(stat) if stat.kind() == FileKind::File && stat.size == 0 => Ok(false),
            Some(stat)
                if stat.kind() == FileKind::Symlink
                    && self.read_link(&unit)? == Path::new("/dev/null") =>
            {
                Ok(false)
            }
            Some(_) => Err(
                Error::failed(format!("could not mask `{}`", unit.display()))
                    .why("it exists, and would run for a jailed account outside of its jail")
                    .hint(format!("remove it: rm {}", unit.display())),
            ),
        }
    }
}

impl Host {
    /// Masks the manager of a user id. systemd reads the unit when it is next asked for, without being told.
    pub fn mask_user_manager(&self, uid: u32) -> Result<()> {
        let unit = manager_unit(uid);
        let (dir, name) = self.parent_of(&unit)?;
        dir.replace_file(Path::new(name), b"", Ownership::root(PUBLIC_MODE))
    }

    /// Takes the mask away, if it is one of ours.
    pub fn unmask_user_manager(&self, uid: u32) -> Result<()> {
        let unit = manager_unit(uid);
        let is_ours = |stat: Stat| stat.kind() == FileKind::File && stat.size == 0;
        if !self.lstat(&unit)?.is_some_and(is_ours) {
            return Ok(());
        }
        let (dir, name) = self.parent_of(&unit)?;
        dir.remove_file(Path::new(name))?;
        dir.sync()
    }
}
