//! Runs that found nothing to do, kept so that the next one need not find it again: `/var/cache/jailctl`.
//!
//! What is kept is every look at the host that the run took, and under which circumstances; the next run looks again at the same, which is a
//! small part of the work, and does all of it as soon as anything differs. The files may be deleted at any time.

use std::env;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::error::Result;
use crate::host::{Digest, Host, HostView, Ownership};
use crate::layout::CACHE;
use crate::names::JailName;
use crate::resolve::ResolvedJail;

/// Most bytes of a mount table.
const MOUNTS: u64 = 64 << 20;

/// A run that may be known.
#[derive(Debug)]
pub(super) struct NoopCache {
    file: PathBuf,
    key: Digest,
}

impl NoopCache {
    /// The run of `verb` for a jail, which depends on what is looked at and on `inputs`. `None` where nothing is kept: on another host than the
    /// running one, and for others than root.
    pub(super) fn new(
        verb: &str,
        jail: &JailName,
        inputs: &[&str],
        view: &HostView,
    ) -> Result<Option<Self>> {
        if !view.is_live() || !rustix::process::geteuid().is_root() {
            return Ok(None);
        }
        // A new jailctl may see the same differently.
        let program = env::current_exe().unwrap_or_default();
        let build = view.stat(&program)?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let day = now.map_or(0, |now| now.as_secs() / 86_400);
        let mounts = view.read(Path::new("/proc/self/mountinfo"), MOUNTS)?;
        let mounts = mounts.map(|mounts| Digest::of(&mounts));
        let caller = env::var_os("SUDO_UID");
        let circumstances = (inputs, program, build, day, mounts, caller);
        Ok(Some(Self {
            file: ResolvedJail::cache(jail, verb),
            key: Digest::of(format!("{circumstances:?}").as_bytes()),
        }))
    }

    /// Whether there is anything to recall.
    pub(super) fn exists(&self, view: &HostView) -> bool {
        matches!(view.stat(&self.file), Ok(Some(_)))
    }

    /// What was said then, if a run is kept that would find the same now.
    pub(super) fn lookup(&self, view: &HostView) -> Option<Vec<String>> {
        // Whoever else could have written it would say what is found.
        if view.find_untrusted_writer(&self.file).ok()?.is_some() {
            return None;
        }
        view.replay(&self.file, &self.key)
    }

    /// Keeps what a run that found nothing to do looked at through `view`.
    pub(super) fn store(&self, view: &HostView, said: &[String], host: &Host) {
        if let Some(looks) = view.access_log(&self.key, said)
            && let Some(name) = self.file.file_name()
            && let Ok(cache) = host.ensure_root_dir(Path::new(CACHE), Ownership::root(0o700))
        {
            // Without it the next run takes longer, as after a full disk it may.
            let _ = cache.replace_file_unsynced(Path::new(name), &looks, Ownership::root(0o600));
        }
    }
}
