//! The content of files: text, or a copy of a host file, with its digest.

use std::fs::File;
use std::io::Write;
use std::path::Path;

use crate::error::{Error, Result};
use crate::host::{Copier, Digest, HostView};
use crate::resolve::Content;

/// Writes the content of a file, which messages name `shown`.
///
/// # Errors
/// [`ErrorKind::Failed`](crate::error::ErrorKind::Failed) where the source cannot be read or was
/// replaced since it was looked up, and for recorded content, which has no source.
pub(super) fn write_content(
    copier: &mut Copier,
    view: &HostView,
    content: &Content,
    file: &mut File,
    shown: &Path,
) -> Result<()> {
    match content {
        Content::Generated(content) => file
            .write_all(content)
            .map_err(|error| Error::io("write", shown, &error)),
        Content::Recorded { .. } => Err(content_unavailable(shown)),
        Content::Host { source, stat } => copier.copy(
            &mut view.open_no_symlinks(source, stat)?,
            source,
            file,
            shown,
        ),
    }
}

/// As [`write_content`], and returns the digest of the content.
pub(super) fn write_and_digest(
    copier: &mut Copier,
    view: &HostView,
    content: &Content,
    file: &mut File,
    shown: &Path,
) -> Result<Digest> {
    match content {
        Content::Generated(generated) => {
            write_content(copier, view, content, file, shown)?;
            Ok(Digest::of(generated))
        }
        Content::Recorded { .. } => Err(content_unavailable(shown)),
        Content::Host { source, stat } => copier.copy_and_digest(
            &mut view.open_no_symlinks(source, stat)?,
            source,
            file,
            shown,
        ),
    }
}

/// The error for recorded content that is neither in the store nor in the previous tree.
pub(super) fn content_unavailable(shown: &Path) -> Error {
    Error::failed(format!("could not restore `{}`", shown.display()))
        .why("its content is neither in the store nor in the previous tree, or has changed there")
        .hint("build the jail from its spec")
}
