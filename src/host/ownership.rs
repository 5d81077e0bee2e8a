//! Checks of owner and mode: a user who can write a file or directory that root relies on decides
//! what root does.

use std::fmt;
use std::path::{Path, PathBuf};

use super::stat::{FileKind, Stat};
use super::view::HostView;
use crate::error::Result;

/// A user other than root and the caller who could have written a file, or put it at its path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UntrustedWriter {
    /// Directory or link of the path that the user can write; `None` if it is the file itself.
    pub path: Option<PathBuf>,
    is_link: bool,
    access: Access,
}

/// The right by which a user can change an inode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Access {
    /// Group or others may write; with the permission bits.
    Writes(u32),
    /// Owned by this user id.
    Owns(u32),
}

/// Whether a user id is 0, the real user id of this process or, if that is 0, the caller of
/// sudo(8).
pub(super) fn is_trusted(uid: u32) -> bool {
    let caller = rustix::process::getuid().as_raw();
    let by_sudo = || {
        std::env::var_os("SUDO_UID")
            .and_then(|uid| uid.to_str()?.parse::<u32>().ok())
            .filter(|_| caller == 0)
    };
    uid == 0 || uid == caller || Some(uid) == by_sudo()
}

/// How a user other than root and the caller may change an inode; `None` if none may.
fn access(stat: &Stat) -> Option<Access> {
    if stat.is_writable_by_others() {
        Some(Access::Writes(stat.permissions()))
    } else if is_trusted(stat.uid) {
        None
    } else {
        Some(Access::Owns(stat.uid))
    }
}

impl UntrustedWriter {
    /// The untrusted writer of the file with this `stat`; `None` if there is none.
    pub(super) fn file(stat: &Stat) -> Option<Self> {
        access(stat).map(|access| Self {
            path: None,
            is_link: false,
            access,
        })
    }

    /// The untrusted writer of a directory of the path.
    pub(super) fn directory(path: PathBuf, stat: &Stat) -> Self {
        Self {
            path: Some(path),
            is_link: false,
            access: access(stat).unwrap_or(Access::Owns(stat.uid)),
        }
    }

    /// The owner of a symbolic link of the path.
    pub(super) fn link(path: PathBuf, stat: &Stat) -> Self {
        Self {
            path: Some(path),
            is_link: true,
            access: Access::Owns(stat.uid),
        }
    }

    /// The writer and what is writable, as a clause of a sentence.
    pub(super) fn clause(&self) -> String {
        let what = match &self.path {
            None => "it".to_owned(),
            Some(path) => {
                let what = if self.is_link { "link" } else { "directory" };
                format!("the {what} `{}`", path.display().to_string().escape_debug())
            }
        };
        match self.access {
            Access::Writes(mode) => format!("others may write to {what} (mode {mode:04o})"),
            Access::Owns(uid) => format!("{what} belongs to the user id {uid}"),
        }
    }

    /// The command that makes the file at `path` writable by root only.
    pub fn fix_command(&self, path: &Path) -> String {
        let verb = match self.access {
            Access::Writes(_) => "chmod go-w",
            Access::Owns(_) if self.is_link => "chown -h root",
            Access::Owns(_) => "chown root",
        };
        let path = self.path.as_deref().unwrap_or(path);
        format!("{verb} {}", path.display().to_string().escape_debug())
    }
}

impl fmt::Display for UntrustedWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(path) = &self.path {
            let path = path.display().to_string();
            let what = if self.is_link { "link" } else { "directory" };
            write!(f, "of the {what} `{}`, ", path.escape_debug())?;
        }
        match self.access {
            Access::Writes(mode) => write!(f, "others may write to it (mode {mode:04o})"),
            Access::Owns(uid) => write!(f, "it belongs to the user id {uid}"),
        }
    }
}

/// Reason why users other than root can change an inode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OwnershipFlaw {
    /// Owned by this user id, not by root.
    Owner(u32),
    /// Group or others may write; with the permission bits.
    Writable(u32),
}

impl OwnershipFlaw {
    /// The flaw of the inode with this `stat`: owner first, then mode; `None` if it is owned by
    /// root and not writable by others.
    pub fn of(stat: &Stat) -> Option<Self> {
        if stat.uid != 0 {
            Some(Self::Owner(stat.uid))
        } else if stat.is_writable_by_others() {
            Some(Self::Writable(stat.permissions()))
        } else {
            None
        }
    }
}

impl Stat {
    /// Whether group or others may write.
    pub fn is_writable_by_others(&self) -> bool {
        self.ownership().is_writable_by_others()
    }

    /// Whether it is a directory that only root can change.
    pub fn is_root_only_dir(&self) -> bool {
        self.kind() == FileKind::Directory && OwnershipFlaw::of(self).is_none()
    }
}

impl HostView {
    /// Calls `check` for each component of `path`, `/` first, until it returns a result or the path
    /// does not exist. Links are not followed: a component is checked itself.
    ///
    /// # Errors
    /// [`Failed`](crate::error::ErrorKind::Failed) if a component cannot be read.
    pub fn find_component<T>(
        &self,
        path: &Path,
        mut check: impl FnMut(&Path, &Stat) -> Option<T>,
    ) -> Result<Option<T>> {
        let mut component = PathBuf::new();
        for part in path.components() {
            component.push(part);
            let Some(stat) = self.lstat(&component)? else {
                return Ok(None);
            };
            if let Some(found) = check(&component, &stat) {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }
}
