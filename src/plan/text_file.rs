//! Small text files of the host: drop-ins of sshd, policies, specs and keys.

use std::path::Path;

use crate::error::Result;
use crate::host::HostView;

/// Most bytes of such a file.
pub(super) const TEXT_LIMIT: u64 = 1 << 20;

/// Reads a text file; `None` if it does not exist. Bytes that are not UTF-8 become U+FFFD.
///
/// # Errors
/// [`crate::error::ErrorKind::Failed`] if the file cannot be read, or is larger than
/// [`TEXT_LIMIT`].
pub(super) fn read_text(view: &HostView, path: &Path) -> Result<Option<String>> {
    let bytes = view.read(path, TEXT_LIMIT)?;
    Ok(bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
}
