//! The content store: files that the jails of one directory share by hard links, each once on disk
//! and once in the page cache.
//!
//! A new file is written in [`STORE_NEW`], where nothing is trusted, and gets its name in the
//! store only when its content is synced. So after a crash no file has a name that differs from its
//! content. As a disk may lose what it has reported as synced, a run after an interrupted one
//! digests every file before it uses any.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::fs::RenameFlags;

use super::content::write_and_digest;
use crate::error::Result;
use crate::host::{
    Copier, Digest, Dir, FileKind, Host, HostView, Ownership, Stat, parallel_for_each,
};
use crate::layout::{
    PRIVATE_FILE_MODE, PRIVATE_MODE, STORE_BUSY, STORE_INDEX, STORE_NEW, STORE_SOURCES,
};
use crate::plan::store_index::{ContentKey, Index, SourceDigests, StoredFile, store_of};
use crate::resolve::Content;

/// Minimal age of a file's ctime for its stat to show the next change: file systems count time in
/// steps.
const CTIME_GRANULARITY: Duration = Duration::from_secs(2);

/// The store of a run.
pub(super) struct Store {
    dir: Dir,
    fresh: Dir,
    label: Option<(Vec<u8>, Digest)>,
    /// The files of the index, by content.
    files: HashMap<Digest, Vec<IndexedFile>>,
    sources: SourceDigests,
    next: AtomicU64,
    work: Mutex<RunState>,
}

/// A file of the store.
struct IndexedFile {
    stored: StoredFile,
    /// Whether it was verified and linked by this run.
    is_used: AtomicBool,
}

/// A file in [`STORE_NEW`].
struct IncomingFile {
    key: ContentKey,
    /// Name of the file in the index.
    called: String,
    /// Inode number of the file.
    ino: u64,
}

/// The changes of the store by this run.
#[derive(Default)]
struct RunState {
    /// Files that are not published yet, by content.
    incoming: HashMap<Digest, Vec<IncomingFile>>,
    /// Files that are published.
    published: HashSet<ContentKey>,
    /// Host files that were read, with their digests.
    sources: Vec<(PathBuf, Stat, Digest)>,
}

/// How a file of the tree was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Placed {
    /// As a link to the inode of the store with this number.
    Linked(u64),
    /// As an inode of its own.
    Copied,
}

/// A file of a tree to write.
pub(super) struct FileRequest<'w> {
    /// The source of its content.
    pub(super) content: &'w Content,
    /// Owner and mode of the file.
    pub(super) owner: Ownership,
}

impl FileRequest<'_> {
    /// Whether only root can change the file: a change would be in every jail.
    pub(super) fn is_shareable(&self) -> bool {
        self.owner.is_root_only()
    }

    /// The mtime of its source; `None` for generated text.
    pub(super) fn mtime(&self) -> Option<(i64, u32)> {
        match self.content {
            Content::Host { stat, .. } => Some(stat.mtime),
            Content::Recorded { source, .. } => source.as_ref().map(|(_, stat)| stat.mtime),
            Content::Generated(_) => None,
        }
    }
}

/// The directory of the jail at `root` and those beside it, with their store.
pub(super) fn jails_dir(root: &Path) -> &Path {
    root.parent().unwrap_or(root)
}

/// Content of [`STORE_BUSY`] while this process uses the store.
fn token() -> &'static str {
    static TOKEN: OnceLock<String> = OnceLock::new();
    TOKEN.get_or_init(|| format!("{} {:?}", std::process::id(), SystemTime::now()))
}

/// Whether a run before this one was interrupted.
pub(super) fn is_dirty(host: &Host, store: &Path) -> Result<bool> {
    let found = host.read(&store.join(STORE_BUSY), 1024)?;
    Ok(found.is_some_and(|found| found != token().as_bytes()))
}

impl Store {
    /// Opens the store of the jail at `path`, whose open root is `root`, and creates it if it does
    /// not exist. `None` where the root is on another file system than its parent, since files of
    /// it could not be linked.
    ///
    /// # Errors
    /// [`ErrorKind::Failed`](crate::error::ErrorKind::Failed) where the store cannot be read or
    /// written.
    pub(super) fn open(host: &Host, path: &Path, root: &Dir) -> Result<Option<Self>> {
        if host.stat(jails_dir(path))?.map(|stat| stat.dev) != Some(root.stat()?.dev) {
            return Ok(None);
        }
        let at = store_of(path);
        let dir = host.ensure_root_dir(&at, Ownership::root(PRIVATE_MODE))?;
        let index = if is_dirty(host, &at)? {
            None
        } else {
            Index::read(host, &at)?
        };
        // Until all files are verified, the old marker stays.
        let files = match index {
            Some(index) => index.into_files().collect(),
            None => verified(&dir)?,
        };
        write(&dir, STORE_BUSY, token().as_bytes())?;
        dir.remove_all(Path::new(STORE_NEW))?;
        let fresh = dir.create_dir(Path::new(STORE_NEW), Ownership::root(PRIVATE_MODE))?;
        let mut by_content: HashMap<Digest, Vec<IndexedFile>> = HashMap::with_capacity(files.len());
        for stored in files {
            by_content
                .entry(stored.key.sha256)
                .or_default()
                .push(IndexedFile {
                    stored,
                    is_used: AtomicBool::new(false),
                });
        }
        Ok(Some(Self {
            label: root.security_label()?.map(|label| {
                let digest = Digest::of(&label);
                (label, digest)
            }),
            sources: SourceDigests::load(host, &at)?,
            dir,
            fresh,
            files: by_content,
            next: AtomicU64::new(0),
            work: Mutex::default(),
        }))
    }

    fn work(&self) -> MutexGuard<'_, RunState> {
        self.work.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The digest of content that is known without reading it.
    pub(super) fn known(&self, content: &Content) -> Option<Digest> {
        match content {
            Content::Host { source, stat } => self.sources.digest(source, stat),
            Content::Recorded { sha256, .. } => Some(*sha256),
            Content::Generated(_) => None,
        }
    }

    /// Writes a file of the store at `name` in `parent`; `None` where the store does not have it.
    pub(super) fn link_or_copy(
        &self,
        copier: &mut Copier,
        want: &FileRequest<'_>,
        sha256: Digest,
        parent: &Dir,
        name: &Path,
    ) -> Result<Option<Placed>> {
        let label = self.label.as_ref().map(|(_, digest)| *digest);
        let is_it = |key: &ContentKey| {
            key.owner == want.owner
                && key.label == label
                && want.mtime().is_none_or(|mtime| mtime == key.mtime)
        };
        for IndexedFile { stored, is_used } in self.files.get(&sha256).into_iter().flatten() {
            if !is_it(&stored.key) {
                continue;
            }
            let called = stored.key.file_name();
            let Some(ino) = self.verified_inode(copier, stored, &called)? else {
                continue;
            };
            is_used.store(true, Ordering::Relaxed);
            return if parent.hard_link_if_supported(name, &self.dir, &called)? {
                Ok(Some(Placed::Linked(ino)))
            } else {
                self.copy(copier, &self.dir, &called, want, parent, name)?;
                Ok(Some(Placed::Copied))
            };
        }
        let made = self.work().incoming.get(&sha256).and_then(|made| {
            let fresh = made.iter().find(|fresh| is_it(&fresh.key))?;
            Some((fresh.called.clone(), fresh.ino))
        });
        let Some((called, ino)) = made else {
            return Ok(None);
        };
        if parent.hard_link_if_supported(name, &self.fresh, &called)? {
            return Ok(Some(Placed::Linked(ino)));
        }
        self.copy(copier, &self.fresh, &called, want, parent, name)?;
        Ok(Some(Placed::Copied))
    }

    /// Verifies a file of the store against its key. Returns its inode number, or deletes the file
    /// and returns `None` if it differs.
    fn verified_inode(
        &self,
        copier: &mut Copier,
        stored: &StoredFile,
        called: &str,
    ) -> Result<Option<u64>> {
        let Some(stat) = self.dir.stat_entry(called)? else {
            return Ok(None);
        };
        if stored.is(&stat) || matches_key(&self.dir, copier, called, &stored.key, &stat)? {
            return Ok(Some(stat.ino));
        }
        self.dir.remove_file_if_exists(Path::new(called))?;
        Ok(None)
    }

    /// Copies a file of the store where it cannot be linked, for example because of `EMLINK`.
    fn copy(
        &self,
        copier: &mut Copier,
        from: &Dir,
        called: &str,
        want: &FileRequest<'_>,
        parent: &Dir,
        name: &Path,
    ) -> Result<()> {
        let mut source = from.open_file(Path::new(called))?;
        let mut file = parent.create_file(name)?;
        let (shown, to) = (
            from.display_path(Path::new(called)),
            parent.display_path(name),
        );
        copier.copy(&mut source, &shown, &mut file, &to)?;
        if let Some((label, _)) = &self.label {
            parent.set_security_label(name, &file, label)?;
        }
        parent.finish_file(name, &file, want.owner, want.mtime())?;
        Ok(())
    }

    /// Writes a file that the store does not have into the store and at `name` in `parent`.
    pub(super) fn make(
        &self,
        copier: &mut Copier,
        view: &HostView,
        want: &FileRequest<'_>,
        parent: &Dir,
        name: &Path,
    ) -> Result<(Digest, Placed)> {
        let called = self.next.fetch_add(1, Ordering::Relaxed).to_string();
        let at = Path::new(&called);
        let mut file = self.fresh.create_file(at)?;
        // Errors name the path in the jail, which the admin knows, and not that in the store.
        let sha256 = write_and_digest(
            copier,
            view,
            want.content,
            &mut file,
            &parent.display_path(name),
        )?;
        if let Some((label, _)) = &self.label {
            self.fresh.set_security_label(at, &file, label)?;
        }
        let made = self
            .fresh
            .finish_file(at, &file, want.owner, want.mtime())?;
        if let Content::Host { source, stat } = want.content
            && has_stable_ctime(stat)
        {
            self.work()
                .sources
                .push((source.clone(), stat.clone(), sha256));
        }
        // Two host files can have the same content, and be read at the same time.
        let before = self.link_or_copy(copier, want, sha256, parent, name)?;
        let is_kept = before.is_none() && {
            let key = ContentKey {
                sha256,
                owner: want.owner,
                mtime: made.mtime,
                label: self.label.as_ref().map(|(_, digest)| *digest),
            };
            let ino = made.ino;
            self.work().add(IncomingFile {
                key,
                called: called.clone(),
                ino,
            })
        };
        let placed = match before {
            Some(placed) => Some(placed),
            None => self.link_or_copy(copier, want, sha256, parent, name)?,
        };
        if !is_kept {
            self.fresh.remove_file(at)?;
        }
        Ok((sha256, placed.unwrap_or(Placed::Copied)))
    }

    /// Renames the new files of this run to their names in the store. Their content must be synced.
    pub(super) fn publish(&self) -> Result<()> {
        let mut work = self.work();
        let made = std::mem::take(&mut work.incoming);
        for fresh in made.into_values().flatten() {
            let name = fresh.key.file_name();
            // A file that has the name already differs from it, or it would have been used.
            self.fresh.rename(
                Path::new(&fresh.called),
                &self.dir,
                Path::new(&name),
                RenameFlags::empty(),
            )?;
            work.published.insert(fresh.key);
        }
        Ok(())
    }

    /// Writes the index, when all links are in place. Returns the stat of each file that was
    /// linked, by inode number.
    pub(super) fn close(self) -> Result<HashMap<u64, Stat>> {
        let Self {
            dir,
            files,
            mut sources,
            work,
            ..
        } = self;
        let work = work.into_inner().unwrap_or_else(PoisonError::into_inner);
        dir.remove_all(Path::new(STORE_NEW))?;
        let mut all = Vec::with_capacity(files.len() + work.published.len());
        let mut touched = Vec::with_capacity(all.capacity());
        for IndexedFile { stored, is_used } in files.into_values().flatten() {
            if work.published.contains(&stored.key) {
                // A new file has its name now.
            } else if is_used.into_inner() {
                touched.push(stored.key);
            } else {
                all.push(stored);
            }
        }
        touched.extend(work.published);
        let found = parallel_for_each(&touched, Vec::new, |found, key| {
            let stat = dir.stat_entry(&key.file_name())?;
            found.extend(stat.map(|stat| (key.clone(), stat)));
            Ok(())
        })?;
        let mut facts = HashMap::with_capacity(touched.len());
        for (key, stat) in found.into_iter().flatten() {
            all.push(stored(key, &stat));
            facts.insert(stat.ino, stat);
        }
        let mut is_updated = false;
        for (path, stat, sha256) in work.sources {
            is_updated |= sources.insert(&path, &stat, sha256);
        }
        if is_updated {
            write(&dir, STORE_SOURCES, &sources.to_bytes())?;
        }
        write_index(&dir, all)?;
        Ok(facts)
    }
}

impl RunState {
    /// Adds a new file; `false` where there is one with the same key.
    fn add(&mut self, fresh: IncomingFile) -> bool {
        let known = self.incoming.entry(fresh.key.sha256).or_default();
        let is_first = known.iter().all(|other| other.key != fresh.key);
        if is_first {
            known.push(fresh);
        }
        is_first
    }
}

/// Deletes `paths` below the open root `dir` of the jail at `root`. The index of the store is
/// updated, since removing a link changes the ctime of a file that other jails share.
pub(super) fn remove(host: &Host, root: &Path, dir: &Dir, paths: &[&Path]) -> Result<()> {
    remove_with(host, root, dir, paths, &mut |_| {})
}

/// As [`remove`]. `unknown` is called with the stat of each file that is not in the store, before a
/// name of it is removed.
pub(super) fn remove_with(
    host: &Host,
    root: &Path,
    dir: &Dir,
    paths: &[&Path],
    unknown: &mut dyn FnMut(&Stat),
) -> Result<()> {
    let at = store_of(root);
    let mut is_there = false;
    for path in paths {
        is_there |= dir.lstat(path)?.is_some();
    }
    if !is_there {
        return Ok(());
    }
    let Some(store) = host.open_dir_nofollow(&at)? else {
        return paths
            .iter()
            .try_for_each(|path| dir.remove_all_with(path, unknown));
    };
    let index = Index::load(host, &at)?;
    let mut known: HashMap<u64, StoredFile> = index
        .into_files()
        .map(|stored| (stored.ino, stored))
        .collect();
    let mut touched = HashSet::new();
    let mut see = |stat: &Stat| {
        // Only the first name that is removed has the ctime from before.
        match known.get(&stat.ino) {
            Some(stored) if stored.is(stat) => drop(touched.insert(stat.ino)),
            Some(_) if touched.contains(&stat.ino) => {}
            _ => unknown(stat),
        }
    };
    let removed = paths
        .iter()
        .try_for_each(|path| dir.remove_all_with(path, &mut see));
    if !touched.is_empty() {
        for ino in touched {
            let Some(known) = known.get_mut(&ino) else {
                continue;
            };
            if let Some(stat) = store.stat_entry(&known.key.file_name())? {
                *known = stored(known.key.clone(), &stat);
            }
        }
        write_index(&store, known.into_values())?;
    }
    removed
}

/// Verifies all files of a store against their names, and deletes those that differ.
pub(super) fn verified(dir: &Dir) -> Result<Vec<StoredFile>> {
    let mut named = Vec::new();
    for (name, stat) in dir.entries()? {
        if let Some(name) = name.to_str()
            && let Some(key) = ContentKey::parse(name)
        {
            named.push((name.to_owned(), key, stat));
        }
    }
    let found = parallel_for_each(
        &named,
        || (Copier::default(), Vec::new()),
        |(copier, right), (name, key, stat)| {
            if matches_key(dir, copier, name, key, stat)? {
                right.push(stored(key.clone(), stat));
            } else {
                dir.remove_file(Path::new(name))?;
            }
            Ok(())
        },
    )?;
    Ok(found.into_iter().flat_map(|(_, right)| right).collect())
}

/// Whether the file `name` of a store has the content, owner and mtime of its key.
fn matches_key(
    dir: &Dir,
    copier: &mut Copier,
    name: &str,
    key: &ContentKey,
    stat: &Stat,
) -> Result<bool> {
    if stat.kind() != FileKind::File || stat.ownership() != key.owner || stat.mtime != key.mtime {
        return Ok(false);
    }
    let path = Path::new(name);
    Ok(copier.digest(&mut dir.open_file(path)?, &dir.display_path(path))? == key.sha256)
}

fn stored(key: ContentKey, stat: &Stat) -> StoredFile {
    StoredFile {
        key,
        ino: stat.ino,
        size: stat.size,
        ctime: stat.ctime,
    }
}

pub(super) fn write_index(dir: &Dir, files: impl IntoIterator<Item = StoredFile>) -> Result<()> {
    let index: Index = files.into_iter().collect();
    write(dir, STORE_INDEX, index.to_text().as_bytes())
}

pub(super) fn write(dir: &Dir, name: &str, content: &[u8]) -> Result<()> {
    dir.replace_file_unsynced(Path::new(name), content, Ownership::root(PRIVATE_FILE_MODE))
}

/// Whether a file's ctime is old enough for its next change to show in it.
fn has_stable_ctime(stat: &Stat) -> bool {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let changed = Duration::new(u64::try_from(stat.ctime.0).unwrap_or(0), stat.ctime.1);
    changed + CTIME_GRANULARITY < now
}
