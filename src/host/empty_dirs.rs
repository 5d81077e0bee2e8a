//! Removal of directories that were created for something that is gone.

use std::path::{Path, PathBuf};

use super::Host;
use crate::error::Result;

impl Host {
    /// Removes the directories in their order, as far as they exist and are empty. Stops at the
    /// first one that is not: what another program has put there stays, and so do its parents.
    ///
    /// # Errors
    /// [`ErrorKind::Failed`](crate::error::ErrorKind::Failed) where a directory cannot be read or
    /// removed; those before it are removed.
    pub fn remove_empty_dirs(&self, directories: &[PathBuf]) -> Result<()> {
        for directory in directories {
            if self.lstat(directory)?.is_none() {
                continue;
            }
            if self.list(directory)?.is_some_and(|names| !names.is_empty()) {
                return Ok(());
            }
            let (dir, name) = self.parent_of(directory)?;
            dir.remove_dir(Path::new(name))?;
        }
        Ok(())
    }
}
