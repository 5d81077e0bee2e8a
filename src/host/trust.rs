//! Who could have put a file where it is: whoever writes what jailctl obeys decides what root does.

use std::fmt;
use std::path::{Path, PathBuf};

use super::stat::Stat;
use super::view::View;
use crate::error::Result;

/// Somebody else who could have written a file, or put it in the place of another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stranger {
    /// The directory on the way to the file that gives the power; `None` where the file itself does.
    pub directory: Option<PathBuf>,
    how: How,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum How {
    /// Group or others may write; the mode.
    Writes(u32),
    /// It is this user's.
    Owns(u32),
}

impl Stranger {
    /// The command that takes the power away from the file at `path`.
    pub fn mend(&self, path: &Path) -> String {
        let verb = match self.how {
            How::Writes(_) => "chmod go-w",
            How::Owns(_) => "chown root",
        };
        let path = self.directory.as_deref().unwrap_or(path);
        format!("{verb} {}", path.display().to_string().escape_debug())
    }
}

impl fmt::Display for Stranger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(directory) = &self.directory {
            let directory = directory.display().to_string();
            write!(f, "of the directory `{}`, ", directory.escape_debug())?;
        }
        match self.how {
            How::Writes(mode) => write!(f, "others may write to it (mode {mode:04o})"),
            How::Owns(uid) => write!(f, "it belongs to the user id {uid}"),
        }
    }
}

impl View {
    /// Who else than root and whoever runs this could have put the file at `path` there, whose facts are `stat`; `None` if nobody.
    ///
    /// Looks at the very file and at each directory that leads to it. Whoever called sudo counts as running this.
    pub fn stranger(&self, path: &Path, stat: &Stat) -> Result<Option<Stranger>> {
        let caller = rustix::process::getuid().as_raw();
        let by_sudo = std::env::var_os("SUDO_UID")
            .and_then(|uid| uid.to_str()?.parse::<u32>().ok())
            .filter(|_| caller == 0);
        let is_trusted = |uid: u32| uid == 0 || uid == caller || Some(uid) == by_sudo;
        let how = |stat: &Stat, is_open: bool| {
            if is_open {
                Some(How::Writes(stat.permissions()))
            } else if is_trusted(stat.uid) {
                None
            } else {
                Some(How::Owns(stat.uid))
            }
        };
        if let Some(how) = how(stat, stat.mode & 0o022 != 0) {
            return Ok(Some(Stranger {
                directory: None,
                how,
            }));
        }
        let passage = self.trace(path)?;
        let real = passage.map_or_else(|| path.to_owned(), |passage| passage.real);
        for directory in real.ancestors().skip(1) {
            let Some(stat) = self.stat(directory)? else {
                continue;
            };
            // In a sticky directory, as /tmp, only its owner takes a file away.
            let is_open = stat.mode & 0o022 != 0 && stat.mode & 0o1000 == 0;
            if let Some(how) = how(&stat, is_open) {
                return Ok(Some(Stranger {
                    directory: Some(directory.to_owned()),
                    how,
                }));
            }
        }
        Ok(None)
    }
}
