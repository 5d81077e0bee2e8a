//! Whether a run did not end, for those who only read.

use std::path::Path;

use crate::error::Result;
use crate::host::HostView;
use crate::layout::JOURNAL;

/// Whether an earlier run was interrupted and is still to be put right: there is its journal, and nobody is writing it.
pub fn interrupted(view: &HostView) -> Result<bool> {
    // Whoever may not ask for the lock may not read what the run has left either, and is told that.
    Ok(view.lstat(Path::new(JOURNAL))?.is_some() && !view.is_locked().unwrap_or(true))
}
