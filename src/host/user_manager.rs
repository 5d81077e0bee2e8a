//! Masks of the user managers of systemd: `user@.service` in systemd.special(7), masks in
//! systemd.unit(5).
//!
//! systemd-logind(8) starts a user manager at each login by a PAM stack with pam_systemd(8), and at
//! boot for a user who lingers. It runs outside of every jail. While an account is jailed, the unit
//! of its user manager is masked by an empty file, which is deleted with the account.

use std::path::{Path, PathBuf};

use super::stat::{FileKind, Ownership, Stat};
use super::view::HostView;
use super::writer::Host;
use crate::error::{Error, Result};
use crate::layout::{PUBLIC_MODE, UNITS_DIR};

/// Unit templates of the user manager in the directories of distributions.
const TEMPLATES: [&str; 2] = [
    "/usr/lib/systemd/system/user@.service",
    "/lib/systemd/system/user@.service",
];

/// Path of the unit of the user manager of a user id.
pub fn manager_unit(uid: u32) -> PathBuf {
    Path::new(UNITS_DIR).join(format!("user@{uid}.service"))
}

impl HostView {
    /// Whether the user manager of a user id can start: the host has user managers, and this one is
    /// not masked.
    ///
    /// # Errors
    /// `Failed` if a unit of that name has content: an administrator uses this user manager.
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
                    .why("it exists, and would run outside of the jail for a jailed account")
                    .hint(format!("remove it: rm {}", unit.display())),
            ),
        }
    }
}

impl Host {
    /// Masks the user manager of a user id. systemd reads the unit at its next use, without a
    /// reload.
    ///
    /// # Errors
    /// `Failed`; there is no mask then.
    pub fn mask_user_manager(&self, uid: u32) -> Result<()> {
        let unit = manager_unit(uid);
        let (dir, name) = self.parent_of(&unit)?;
        dir.replace_file(Path::new(name), b"", Ownership::root(PUBLIC_MODE))
    }

    /// Removes the mask, if it is an empty file.
    ///
    /// # Errors
    /// `Failed` if it cannot be deleted.
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
