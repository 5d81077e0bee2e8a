//! Taking a jail away. Each step can be taken again where an earlier run stopped.

use std::path::{Path, PathBuf};

use super::undo::remove_dirs;
use super::{Run, tree};
use crate::error::Result;
use crate::host::sshd::DROP_INS;
use crate::host::{FileKind, Ownership};
use crate::plan::manifest::RecordKind;
use crate::plan::{MARKER, PRIVATE, SWAPPED};
use crate::resolve::STATE;

/// Where mail is delivered, were there any.
const MAIL: &str = "/var/mail";

impl Run<'_> {
    /// Removes an account, with `purge` its mail too.
    pub(super) fn delete_account(&mut self, user: &str, uid: u32, purge: bool) -> Result<()> {
        if self.host.accounts()?.user(user).is_some() {
            self.host.delete_account(user)?;
        }
        if !purge || self.host.stat(Path::new(MAIL))?.is_none() {
            return Ok(());
        }
        // Only the user's own file goes: the directory is writable by a group, and anything may stand under the name.
        let mail = self.host.dir(Path::new(MAIL), Ownership::root(0o755))?;
        match mail.lstat(Path::new(user))? {
            Some(stat) if stat.kind() == FileKind::File && stat.uid == uid && stat.links == 1 => {
                mail.remove_file(Path::new(user))
            }
            _ => Ok(()),
        }
    }

    /// Removes what was built, and with `purge` everything else below the root.
    pub(super) fn remove_tree(&mut self, purge: bool) -> Result<()> {
        let Some(root) = self.root()? else {
            return Ok(());
        };
        for top in SWAPPED {
            root.remove_all(Path::new(top))?;
        }
        root.remove_all(Path::new(tree::STAGE))?;
        root.remove_all(Path::new(tree::PREVIOUS))?;
        if purge {
            for (name, _) in root.entries()? {
                if name != PRIVATE {
                    root.remove_all(Path::new(&name))?;
                }
            }
        } else if let Some(manifest) = &self.plan.manifest {
            for (path, record) in manifest.entries.iter().rev() {
                if record.kept || SWAPPED.contains(&path.top()) {
                    continue;
                }
                let at = path.relative();
                match (&record.kind, root.lstat(at)?.map(|stat| stat.kind())) {
                    (RecordKind::Directory, Some(FileKind::Directory)) => {
                        if root.open_dir(at)?.entries()?.is_empty() {
                            root.remove_dir(at)?;
                        }
                    }
                    (RecordKind::Directory, _) | (_, Some(FileKind::Directory) | None) => {}
                    (_, Some(_)) => root.remove_file(at)?,
                }
            }
        }
        let left = root
            .entries()?
            .into_iter()
            .any(|(name, _)| name != PRIVATE && name != "lost+found");
        if left {
            // Its users' ids may come to mean somebody else: nobody but root reaches what they left.
            return root.own(Ownership::root(0o700));
        }
        root.remove_file_if_there(Path::new(MARKER))?;
        root.remove_all(Path::new(PRIVATE))?;
        drop(root);
        let made: Vec<PathBuf> = self.made.iter().rev().cloned().collect();
        remove_dirs(self.host, &made)
    }

    /// Removes the snippet and tells sshd.
    pub(super) fn remove_snippet(&mut self, file: &str) -> Result<()> {
        let (dir, _) = self.host.parent_of(&Path::new(DROP_INS).join(file))?;
        dir.remove_file_if_there(Path::new(file))?;
        dir.sync()?;
        self.reload()
    }

    /// Removes the jail's records.
    pub(super) fn forget(&mut self) -> Result<()> {
        let state = self.state();
        let (dir, name) = self.host.parent_of(&state)?;
        dir.remove_all(Path::new(name))?;
        remove_dirs(self.host, &[PathBuf::from(STATE)])
    }
}
