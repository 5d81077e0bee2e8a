//! Cache of runs that found nothing to do, in `/var/cache/jailctl`.
//!
//! An entry contains every access to the host of the run, and a key of its circumstances. The next
//! run replays the accesses, which is a small part of the work, and runs completely if anything
//! differs. The files may be deleted at any time.

use std::env;
use std::path::{Path, PathBuf};

use crate::error::Result;
use crate::host::{Digest, Host, HostView, Ownership, today};
use crate::layout::{CACHE, FLEET_INDEX_NAME, PRIVATE_FILE_MODE, PRIVATE_MODE};
use crate::names::JailName;
use crate::plan::Fleet;
use crate::resolve::ResolvedJail;

/// Maximum size of the mount table, in bytes.
const MOUNTS: u64 = 64 << 20;

/// Writes the index of all jails, if this run has read what it lacks.
pub(super) fn store_index(view: &HostView) {
    let is_possible = view.is_live() && rustix::process::geteuid().is_root();
    if let Some(text) = Fleet::take_new_index(view).filter(|_| is_possible)
        && let Ok(host) = Host::new(view.root_path())
        && let Ok(cache) = host.ensure_root_dir(Path::new(CACHE), Ownership::root(0o700))
    {
        // An error, for example on a full disk, only makes the next run slower.
        let name = Path::new(FLEET_INDEX_NAME);
        let _ = cache.replace_file_unsynced(name, &text, Ownership::root(0o600));
    }
}

/// Cache entry of one run.
#[derive(Debug)]
pub(super) struct NoopCache {
    file: PathBuf,
    key: Digest,
}

impl NoopCache {
    /// Entry for `verb` and `jail`. The run depends on the accessed files and on `inputs`. `None`
    /// if nothing is cached: with `--root`, and for users other than root.
    pub(super) fn new(
        verb: &str,
        jail: &JailName,
        inputs: &[&str],
        view: &HostView,
    ) -> Result<Option<Self>> {
        if !view.is_live() || !rustix::process::geteuid().is_root() {
            return Ok(None);
        }
        // Another version of jailctl may have other results.
        let program = env::current_exe().unwrap_or_default();
        let build = view.stat(&program)?;
        let day = today();
        let mounts = view.read(Path::new("/proc/self/mountinfo"), MOUNTS)?;
        let mounts = mounts.map(|mounts| Digest::of(&mounts));
        let caller = env::var_os("SUDO_UID");
        let circumstances = (inputs, program, build, day, mounts, caller);
        Ok(Some(Self {
            file: ResolvedJail::cache(jail, verb),
            key: Digest::of(format!("{circumstances:?}").as_bytes()),
        }))
    }

    /// Whether the entry exists.
    pub(super) fn exists(&self, view: &HostView) -> bool {
        matches!(view.stat(&self.file), Ok(Some(_)))
    }

    /// Notices of the cached run, if it would have the same result now.
    pub(super) fn lookup(&self, view: &HostView) -> Option<Vec<String>> {
        // A file that another user could have written is not trusted.
        if view.find_untrusted_writer(&self.file).ok()?.is_some() {
            return None;
        }
        view.replay(&self.file, &self.key)
    }

    /// Stores the accesses through `view` of a run that found nothing to do.
    pub(super) fn store(&self, view: &HostView, notices: &[String], host: &Host) {
        if let Some(log) = view.access_log(&self.key, notices)
            && let Some(name) = self.file.file_name()
            && let Ok(cache) = host.ensure_root_dir(Path::new(CACHE), Ownership::root(PRIVATE_MODE))
        {
            // An error, for example on a full disk, only makes the next run slower.
            let _ = cache.replace_file_unsynced(
                Path::new(name),
                &log,
                Ownership::root(PRIVATE_FILE_MODE),
            );
        }
    }
}
