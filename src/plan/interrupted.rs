//! Detection of an interrupted run, for commands that only read.

use std::path::Path;

use crate::error::Result;
use crate::host::HostView;
use crate::layout::JOURNAL;

/// Whether an earlier run was interrupted and not recovered yet: its journal exists, and no process
/// holds the lock.
///
/// # Errors
/// [`crate::error::ErrorKind::Failed`] if the directory of the journal cannot be read.
pub fn interrupted(view: &HostView) -> Result<bool> {
    // A user who may not open the lock may not read the records of the run either, and gets that
    // error.
    Ok(view.lstat(Path::new(JOURNAL))?.is_some() && !view.is_locked().unwrap_or(true))
}
