//! The mount table of the running system.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use jailctl_session::mountinfo::unescape;

use super::view::HostView;
use crate::error::Result;

impl HostView {
    /// Every mount point at or below `path`, of any file system: `/proc/thread-self/mountinfo` of
    /// proc_pid_mountinfo(5).
    ///
    /// # Errors
    /// [`Failed`](crate::error::ErrorKind::Failed) if the table cannot be read.
    pub fn mounts_below(&self, path: &Path) -> Result<Vec<PathBuf>> {
        let table = Self::new(Path::new("/"))?
            .read(Path::new("/proc/thread-self/mountinfo"), 64 << 20)?
            .unwrap_or_default();
        let path = self.display_path(path);
        let fields = table
            .split(|byte| *byte == b'\n')
            .filter_map(|line| line.split(|byte| *byte == b' ').nth(4));
        let points = fields.map(|field| PathBuf::from(OsString::from_vec(unescape(field))));
        Ok(points.filter(|point| point.starts_with(&path)).collect())
    }
}
