//! Cache of the directory that was opened last.

use super::dir::Dir;
use crate::error::Result;
use crate::names::JailPath;

/// A directory below an open one, kept open: sorted paths mostly have the same directory as the
/// path before.
#[derive(Debug, Default)]
pub struct ParentDirCache(Option<(JailPath, Dir)>);

impl ParentDirCache {
    /// Opens the directory that contains `path` below `root`, which has to be the same in each
    /// call.
    ///
    /// # Errors
    /// As [`Dir::open_dir`].
    pub fn parent_of(&mut self, root: &Dir, path: &JailPath) -> Result<&Dir> {
        let (up, _) = path.as_str().rsplit_once('/').unwrap_or_default();
        let up = if up.is_empty() { "/" } else { up };
        let held = match self.0.take() {
            Some(held) if held.0.as_str() == up => held,
            _ => {
                let up = path.parent().unwrap_or_else(JailPath::root);
                let dir = root.open_dir(up.relative())?;
                (up, dir)
            }
        };
        Ok(&self.0.insert(held).1)
    }
}
