//! Writes the entries of a tree below a directory: directories first, then everything else in
//! parallel.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::content::{content_unavailable, write_and_digest, write_content};
use super::store::{FileRequest, Placed, Store};
use crate::error::Result;
use crate::host::{Copier, Digest, Dir, FileKind, HostView, ParentDirCache, parallel_for_each};
use crate::names::JailPath;
use crate::plan::manifest::{Record, RecordKind};
use crate::resolve::{Content, Entry, EntryKind};

/// Sources of file content other than the host files that a tree names.
pub(super) struct ContentSources<'a> {
    /// The content store; `None` where the jail cannot share files.
    pub(super) store: Option<&'a Store>,
    /// Root of the live tree.
    pub(super) live: &'a Dir,
    /// Path of the previous tree, below the root of the live one.
    pub(super) previous: &'a Path,
    /// The records of the live tree.
    pub(super) records: &'a BTreeMap<JailPath, Record>,
    /// The paths of the live tree that the plan changes.
    pub(super) changed: BTreeSet<&'a JailPath>,
}

/// Writes entries below the directory `target`.
pub(super) struct Writer<'a> {
    pub(super) view: &'a HostView,
    pub(super) target: &'a Dir,
    /// `None` for a tree without records: no digests are computed, and the kernel copies.
    pub(super) sources: Option<ContentSources<'a>>,
}

/// The state of one worker thread.
#[derive(Default)]
struct WorkerState {
    copier: Copier,
    parents: ParentDirCache,
    written: Vec<(JailPath, Written)>,
}

/// A file that was written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Written {
    /// Digest of its content.
    pub(super) sha256: Digest,
    /// Whether it is a link to a file of the store.
    pub(super) placed: Placed,
}

impl Writer<'_> {
    /// Writes entries at their own paths below the target. Parents must come before their children,
    /// and the parent of the first entry must exist. Returns the files, unless the tree has no
    /// records.
    ///
    /// # Errors
    /// [`ErrorKind::Failed`](crate::error::ErrorKind::Failed) at the first entry that cannot be
    /// written. Others are written then, in no order.
    pub(super) fn write(
        &self,
        entries: &[(&JailPath, &Entry)],
    ) -> Result<BTreeMap<JailPath, Written>> {
        let mut parents = ParentDirCache::default();
        let mut others = Vec::with_capacity(entries.len());
        for (path, entry) in entries {
            if entry.kind == EntryKind::Directory {
                parents
                    .parent_of(self.target, path)?
                    .create_dir(Path::new(path.name()), entry.owner)?;
            } else {
                others.push((*path, *entry));
            }
        }
        let workers = parallel_for_each(&others, WorkerState::default, |worker, (path, entry)| {
            self.write_entry(worker, path, entry)
        })?;
        let written = workers.into_iter().flat_map(|worker| worker.written);
        Ok(written.collect())
    }

    fn write_entry(&self, worker: &mut WorkerState, path: &JailPath, entry: &Entry) -> Result<()> {
        let WorkerState {
            copier,
            parents,
            written,
        } = worker;
        let parent = parents.parent_of(self.target, path)?;
        let name = Path::new(path.name());
        match &entry.kind {
            EntryKind::Directory => Ok(()),
            EntryKind::Symlink(target) => parent.create_symlink(name, target),
            EntryKind::Device { major, minor } => {
                parent.create_device(name, *major, *minor, entry.owner)
            }
            EntryKind::File(content) => {
                let want = FileRequest {
                    content,
                    owner: entry.owner,
                };
                if let Some(sources) = &self.sources {
                    let file = sources.write_file(copier, self.view, path, &want, parent)?;
                    written.push((path.clone(), file));
                    return Ok(());
                }
                let mut file = parent.create_file(name)?;
                write_content(
                    copier,
                    self.view,
                    content,
                    &mut file,
                    &parent.display_path(name),
                )?;
                parent.finish_file(name, &file, want.owner, want.mtime())?;
                Ok(())
            }
        }
    }
}

impl ContentSources<'_> {
    /// Writes one file from the cheapest source: a link to the store, a link to the live tree, or a
    /// copy.
    fn write_file(
        &self,
        copier: &mut Copier,
        view: &HostView,
        path: &JailPath,
        want: &FileRequest<'_>,
        parent: &Dir,
    ) -> Result<Written> {
        let name = Path::new(path.name());
        let unchanged = self.unchanged(path);
        let store = self.store.filter(|_| want.is_shareable());
        let known = match want.content {
            Content::Generated(content) => Some(Digest::of(content)),
            Content::Host { .. } => unchanged.or_else(|| store?.known(want.content)),
            Content::Recorded { sha256, .. } => Some(*sha256),
        };
        if let Some(store) = store
            && let Some(sha256) = known
            && let Some(placed) = store.link_or_copy(copier, want, sha256, parent, name)?
        {
            return Ok(Written { sha256, placed });
        }
        let copied = |sha256| Written {
            sha256,
            placed: Placed::Copied,
        };
        if let Some(digest) = unchanged
            && parent
                .create_hard_link(name, self.live, path.relative())
                .is_ok()
        {
            return Ok(copied(digest));
        }
        if let Content::Recorded { sha256, .. } = want.content {
            return self
                .restore_previous(copier, path, want, *sha256, parent)
                .map(copied);
        }
        if let Some(store) = store {
            let (sha256, placed) = store.make(copier, view, want, parent, name)?;
            return Ok(Written { sha256, placed });
        }
        let mut file = parent.create_file(name)?;
        let digest = write_and_digest(
            copier,
            view,
            want.content,
            &mut file,
            &parent.display_path(name),
        )?;
        parent.finish_file(name, &file, want.owner, want.mtime())?;
        Ok(copied(digest))
    }

    /// Copies a recorded file from the previous tree.
    ///
    /// # Errors
    /// [`ErrorKind::Failed`](crate::error::ErrorKind::Failed) where it is missing or its content
    /// has changed.
    fn restore_previous(
        &self,
        copier: &mut Copier,
        path: &JailPath,
        want: &FileRequest<'_>,
        sha256: Digest,
        parent: &Dir,
    ) -> Result<Digest> {
        let from = self.previous.join(path.relative());
        let exists = self
            .live
            .lstat(&from)?
            .is_some_and(|stat| stat.kind() == FileKind::File);
        if !exists {
            return Err(content_unavailable(
                &parent.display_path(Path::new(path.name())),
            ));
        }
        let name = Path::new(path.name());
        let mut file = parent.create_file(name)?;
        let digest = copier.copy_and_digest(
            &mut self.live.open_file(&from)?,
            &self.live.display_path(&from),
            &mut file,
            &parent.display_path(name),
        )?;
        if digest != sha256 {
            return Err(content_unavailable(&parent.display_path(name)));
        }
        parent.finish_file(name, &file, want.owner, want.mtime())?;
        Ok(digest)
    }

    /// The recorded digest of a file of the live tree that the plan does not change.
    fn unchanged(&self, path: &JailPath) -> Option<Digest> {
        if self.changed.contains(path) {
            return None;
        }
        match &self.records.get(path)?.kind {
            RecordKind::File { sha256, .. } => Some(*sha256),
            _ => None,
        }
    }
}
