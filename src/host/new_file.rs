//! Creation of a file in the directory of the caller: for `init`, which writes specs.

use std::fs::File;
use std::io::Write;
use std::path::Path;

use rustix::fs::{Mode, OFlags, fchmod, openat, unlinkat};
use rustix::io::Errno;

use super::provenance::Lookup;
use super::view::HostView;
use crate::error::{Error, Result};

/// Creates the file `path` of the running system with mode 0600, relative to the working directory;
/// `false` if it exists, which is never changed. Only the owner can read it: a spec can contain
/// password hashes.
///
/// # Errors
/// `Failed` if the directory does not exist, or is reached by a link that is not followed (see
/// [`HostView::locate`]); there is no new file then.
pub fn create_new_file(path: &Path, text: &str) -> Result<bool> {
    let absolute = std::path::absolute(path).map_err(|error| Error::io("find", path, &error))?;
    let (Some(parent), Some(name)) = (absolute.parent(), absolute.file_name()) else {
        return Ok(false);
    };
    let directory = match HostView::new(Path::new("/"))?.locate(parent)? {
        Lookup::Found(located) => located.handle,
        Lookup::Missing => return Err(Error::io("make", path, &Errno::NOENT.into())),
        Lookup::Refused { at, writer } => {
            let shown = path.display().to_string();
            return Err(
                Error::failed(format!("could not create `{}`", shown.escape_debug()))
                    .why(Lookup::refusal(&at, &writer))
                    .hint("name the directory itself"),
            );
        }
    };
    let mode = Mode::from_raw_mode(0o600);
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let handle = match openat(&directory, name, flags, mode) {
        Ok(handle) => handle,
        Err(Errno::EXIST) => return Ok(false),
        Err(errno) => return Err(Error::io("make", path, &errno.into())),
    };
    let mut file = File::from(handle);
    let written = fchmod(&file, mode)
        .map_err(std::io::Error::from)
        .and_then(|()| file.write_all(text.as_bytes()))
        .and_then(|()| file.sync_all());
    written.map(|()| true).map_err(|error| {
        // A part of the text could be taken for the whole.
        let _ = unlinkat(&directory, name, rustix::fs::AtFlags::empty());
        Error::io("write", path, &error)
    })
}
