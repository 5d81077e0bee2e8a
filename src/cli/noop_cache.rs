//! Cache of runs that found nothing to do, in `/var/cache/jailctl`.
//!
//! An entry contains every access to the host of the run, and a key of its circumstances. The next
//! run replays the accesses, which is a small part of the work, and runs completely if anything
//! differs. The files may be deleted at any time.
//!
//! [`PackageCache`] is the same for all jails at once and for what packages change: files of the
//! host outside of the jails.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::env;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::elf::{self, cache_answers};
use crate::error::Result;
use crate::host::{Digest, Host, HostView, Ownership, Stat, today};
use crate::layout::{CACHE, FLEET_INDEX_NAME, PRIVATE_FILE_MODE, PRIVATE_MODE};
use crate::names::JailName;
use crate::plan::Fleet;
use crate::resolve::ResolvedJail;

/// Maximum size of the mount table, in bytes.
const MOUNTS: u64 = 64 << 20;
/// File name of [`PackageCache`] in the cache: no jail has such a name.
const PACKAGES: &str = ".packages";
/// File name of [`SshdCache`] in the cache.
const SSHD: &str = ".sshd";

/// Writes the index of all jails, if this run has read what it lacks.
pub(super) fn store_index(view: &HostView) {
    let is_possible = view.is_live() && rustix::process::geteuid().is_root();
    if let Some(text) = Fleet::take_new_index(view).filter(|_| is_possible)
        && let Ok(host) = Host::new(view.root_path())
        && let Ok(cache) = host.ensure_root_dir(Path::new(CACHE), Ownership::root(PRIVATE_MODE))
    {
        // An error, for example on a full disk, only makes the next run slower.
        let name = Path::new(FLEET_INDEX_NAME);
        let _ = cache.replace_file_unsynced(name, &text, Ownership::root(PRIVATE_FILE_MODE));
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
        write(
            &self.file,
            view.access_log(&self.key, &notices.to_vec()),
            host,
        );
    }
}

/// Writes the file of a cache.
fn write(file: &Path, log: Option<Vec<u8>>, host: &Host) {
    if let Some(log) = log
        && let Some(name) = file.file_name()
        && let Ok(cache) = host.ensure_root_dir(Path::new(CACHE), Ownership::root(PRIVATE_MODE))
    {
        // An error, for example on a full disk, only makes the next run slower.
        let _ =
            cache.replace_file_unsynced(Path::new(name), &log, Ownership::root(PRIVATE_FILE_MODE));
    }
}

/// Cache of the accesses by which all jails were found to be as the host's files are.
#[derive(Debug)]
pub(super) struct PackageCache {
    file: PathBuf,
    key: Digest,
}

/// Result of the run that [`PackageCache`] stores.
#[derive(Debug, Serialize, Deserialize)]
struct PackageRun {
    /// Jails that could not be updated, with the reason.
    kept: Vec<String>,
    /// Names of libraries that were searched, and what ld.so.cache had for them. The file itself is
    /// not compared: it changes with each library of the host.
    libraries: BTreeSet<Vec<u8>>,
    answers: Digest,
}

impl PackageCache {
    /// The cache of the running system.
    ///
    /// # Errors
    /// [`ErrorKind::Failed`](crate::error::ErrorKind::Failed) if jailctl itself cannot be found.
    pub(super) fn new(view: &HostView) -> Result<Self> {
        // Another version of jailctl may have other results.
        let program = env::current_exe().unwrap_or_default();
        let build = view.stat(&program)?;
        Ok(Self {
            file: Path::new(CACHE).join(PACKAGES),
            key: Digest::of(format!("{:?}", (program, build)).as_bytes()),
        })
    }

    /// A view that records the accesses which packages can change: `roots` of jails are left out.
    ///
    /// # Errors
    /// [`ErrorKind::Failed`](crate::error::ErrorKind::Failed) if the host cannot be opened.
    pub(super) fn view(roots: impl Iterator<Item = PathBuf>) -> Result<HostView> {
        let ignored: HashSet<PathBuf> = roots.chain([cache_answers::PATH.into()]).collect();
        Ok(HostView::new(Path::new("/"))?.with_access_log_except(ignored))
    }

    /// The jails that the last run could not update, if a run would have the same result now.
    pub(super) fn lookup(&self, view: &HostView) -> Option<Vec<String>> {
        if view.find_untrusted_writer(&self.file).ok()?.is_some() {
            return None;
        }
        let run: PackageRun = view.replay(&self.file, &self.key)?;
        let answers = elf::cache_answers(view, &run.libraries).ok()?;
        (answers == run.answers).then_some(run.kept)
    }

    /// Stores the accesses through `view`, a view of [`PackageCache::view`].
    pub(super) fn store(&self, view: &HostView, kept: Vec<String>, host: &Host) {
        let libraries = view.searched_libraries();
        let Ok(answers) = elf::cache_answers(host, &libraries) else {
            return;
        };
        let run = PackageRun {
            kept,
            libraries,
            answers,
        };
        write(&self.file, view.access_log(&self.key, &run), host);
    }
}

/// Record of the files with which sshd was found to accept all snippets.
#[derive(Debug)]
pub(super) struct SshdCache {
    digest: Digest,
}

impl SshdCache {
    /// The record of the program and the configuration files `inputs`.
    pub(super) fn new(inputs: &BTreeMap<PathBuf, Option<Stat>>) -> Self {
        Self {
            digest: Digest::of(format!("{inputs:?}").as_bytes()),
        }
    }

    /// Whether the record on disk is this one.
    pub(super) fn matches(&self, view: &HostView) -> bool {
        let file = Path::new(CACHE).join(SSHD);
        let is_trusted = matches!(view.find_untrusted_writer(&file), Ok(None));
        let found = view.read(&file, 64).ok().flatten();
        is_trusted && found.as_deref() == Some(self.digest.as_str().as_bytes())
    }

    /// Writes the record.
    pub(super) fn store(&self, host: &Host) {
        let file = Path::new(CACHE).join(SSHD);
        write(&file, Some(self.digest.as_str().as_bytes().to_vec()), host);
    }
}
