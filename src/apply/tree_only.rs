//! A jail's tree in a directory, without accounts, sshd or records: `build --output`.

use std::path::Path;

use super::stage;
use crate::error::{Error, Result};
use crate::host::{Host, HostView, Ownership};
use crate::layout::PUBLIC_DIR_MODE;
use crate::resolve::Tree;

/// Writes a tree into the directory `target` of the running system, which must be new or empty.
///
/// # Errors
/// [`ErrorKind::Failed`](crate::error::ErrorKind::Failed) where the directory is not empty or a
/// file cannot be written. Everything that was written is deleted then, except for `target`.
pub fn write_tree_only(view: &HostView, tree: &Tree, target: &Path) -> Result<()> {
    let host = Host::new(Path::new("/"))?;
    let dir = host.given_dir(target, Ownership::root(PUBLIC_DIR_MODE))?;
    if !dir.entries()?.is_empty() {
        return Err(
            Error::failed(format!("could not write a tree to `{}`", target.display()))
                .why("it is not empty")
                .hint("name a directory that is new or empty"),
        );
    }
    dir.set_owner(Ownership::root(PUBLIC_DIR_MODE))?;
    stage::write_tree(view, &dir, tree).map_err(|mut error| {
        // An incomplete tree is of no use. The error to report first is the one that stopped it.
        for (name, _) in dir.entries().unwrap_or_default() {
            if let Err(cleanup) = dir.remove_all(Path::new(&name)) {
                error.findings.extend(cleanup.findings);
            }
        }
        error
    })
}
