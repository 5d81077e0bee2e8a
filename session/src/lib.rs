//! Puts a process into a jail's session: namespaces, mounts, root directory, ids, terminal.

use std::path::Path;

use rustix::mount::{MountFlags, MountPropagationFlags, mount, mount_bind_recursive, mount_change};
use rustix::thread::UnshareFlags;

/// What could not be done.
#[derive(Debug)]
pub struct Error(String);

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// Runs `f` in a private mount namespace.
pub fn private_mounts<T: Send>(f: impl FnOnce() -> T + Send) -> Result<T, Error> {
    std::thread::scope(|scope| {
        scope
            .spawn(|| {
                // SAFETY: the thread shares no descriptors that are closed by this: only its mount namespace changes.
                unsafe { rustix::thread::unshare_unsafe(UnshareFlags::NEWNS) }
                    .map_err(|e| Error(e.to_string()))?;
                mount_change(
                    "/",
                    MountPropagationFlags::PRIVATE | MountPropagationFlags::REC,
                )
                .map_err(|e| Error(e.to_string()))?;
                Ok(f())
            })
            .join()
            .map_err(|_| Error("the thread panicked".to_owned()))?
    })
}

/// Mounts a tmpfs.
pub fn tmpfs(target: &Path, mode: u32) -> Result<(), Error> {
    let options =
        std::ffi::CString::new(format!("mode={mode:o}")).map_err(|e| Error(e.to_string()))?;
    mount(
        "tmpfs",
        target,
        "tmpfs",
        MountFlags::empty(),
        options.as_c_str(),
    )
    .map_err(|e| Error(e.to_string()))
}

/// Binds a directory.
pub fn bind(source: &Path, target: &Path) -> Result<(), Error> {
    mount_bind_recursive(source, target).map_err(|e| Error(e.to_string()))
}
