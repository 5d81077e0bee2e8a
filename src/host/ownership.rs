//! Who could have put a file where it is: whoever writes what jailctl obeys decides what root does.

use std::fmt;
use std::path::{Path, PathBuf};

use super::stat::Stat;

/// Somebody else who could have written a file, or put it in the place of another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UntrustedWriter {
    /// The directory or link on the way to the file that gives the power; `None` where the file itself does.
    pub on_the_way: Option<PathBuf>,
    is_link: bool,
    how: Access,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Access {
    /// Group or others may write; the mode.
    Writes(u32),
    /// It is this user's.
    Owns(u32),
}

/// Whether a user id is root's, the one that jailctl runs as or, under root, the one that called it by sudo(8).
pub(super) fn is_trusted(uid: u32) -> bool {
    let caller = rustix::process::getuid().as_raw();
    let by_sudo = || {
        std::env::var_os("SUDO_UID")
            .and_then(|uid| uid.to_str()?.parse::<u32>().ok())
            .filter(|_| caller == 0)
    };
    uid == 0 || uid == caller || Some(uid) == by_sudo()
}

/// How somebody else may change an inode; `None` if nobody else may.
fn how(stat: &Stat) -> Option<Access> {
    if stat.mode & 0o022 != 0 {
        Some(Access::Writes(stat.permissions()))
    } else if is_trusted(stat.uid) {
        None
    } else {
        Some(Access::Owns(stat.uid))
    }
}

impl UntrustedWriter {
    /// Who may write to the file with these facts; `None` if nobody else may.
    pub(super) fn file(stat: &Stat) -> Option<Self> {
        how(stat).map(|how| Self {
            on_the_way: None,
            is_link: false,
            how,
        })
    }

    /// Who may write to a directory on the way that others than root may write to.
    pub(super) fn directory(path: PathBuf, stat: &Stat) -> Self {
        Self {
            on_the_way: Some(path),
            is_link: false,
            how: how(stat).unwrap_or(Access::Owns(stat.uid)),
        }
    }

    /// The owner of a symbolic link on the way.
    pub(super) fn link(path: PathBuf, stat: &Stat) -> Self {
        Self {
            on_the_way: Some(path),
            is_link: true,
            how: Access::Owns(stat.uid),
        }
    }

    /// Who may write to what, as a clause of a sentence.
    pub(super) fn clause(&self) -> String {
        let what = match &self.on_the_way {
            None => "it".to_owned(),
            Some(path) => {
                let what = if self.is_link { "link" } else { "directory" };
                format!("the {what} `{}`", path.display().to_string().escape_debug())
            }
        };
        match self.how {
            Access::Writes(mode) => format!("others may write to {what} (mode {mode:04o})"),
            Access::Owns(uid) => format!("{what} belongs to the user id {uid}"),
        }
    }

    /// The command that takes the power away from the file at `path`.
    pub fn fix_command(&self, path: &Path) -> String {
        let verb = match self.how {
            Access::Writes(_) => "chmod go-w",
            Access::Owns(_) if self.is_link => "chown -h root",
            Access::Owns(_) => "chown root",
        };
        let path = self.on_the_way.as_deref().unwrap_or(path);
        format!("{verb} {}", path.display().to_string().escape_debug())
    }
}

impl fmt::Display for UntrustedWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(path) = &self.on_the_way {
            let path = path.display().to_string();
            let what = if self.is_link { "link" } else { "directory" };
            write!(f, "of the {what} `{}`, ", path.escape_debug())?;
        }
        match self.how {
            Access::Writes(mode) => write!(f, "others may write to it (mode {mode:04o})"),
            Access::Owns(uid) => write!(f, "it belongs to the user id {uid}"),
        }
    }
}
