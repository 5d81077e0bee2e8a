//! Writing the entries of a tree below one directory: directories first, then everything in them, on every processor.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Write;
use std::path::Path;

use super::store::{FileRequest, Placed, Store};
use crate::error::{Error, Result};
use crate::host::{Copier, Digest, Dir, FileKind, HostView, ParentDirCache, parallel_for_each};
use crate::layout::PREVIOUS_TREE;
use crate::names::JailPath;
use crate::plan::manifest::{Record, RecordKind};
use crate::resolve::{Content, Entry, EntryKind};

/// Where the content of files is to be had besides their sources.
pub(super) struct ContentSources<'a> {
    /// What jails share; `None` where this one shares nothing.
    pub(super) store: Option<&'a Store>,
    /// The live tree.
    pub(super) live: &'a Dir,
    /// What is recorded of the live tree.
    pub(super) records: &'a BTreeMap<JailPath, Record>,
    /// Where the live tree is not as it is to be.
    pub(super) changed: BTreeSet<&'a JailPath>,
}

/// Writes below `target`.
pub(super) struct Writer<'a> {
    pub(super) view: &'a HostView,
    pub(super) target: &'a Dir,
    /// `None` where only a tree is made: then no digests are taken, and the kernel copies.
    pub(super) supply: Option<ContentSources<'a>>,
}

/// What one thread has at hand.
#[derive(Default)]
struct WorkerState {
    copier: Copier,
    /// The directory written to last.
    last: ParentDirCache,
    written: Vec<(JailPath, Written)>,
}

/// A file that was written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Written {
    /// Of its content.
    pub(super) sha256: Digest,
    /// Whether it is the store's too.
    pub(super) placed: Placed,
}

impl Writer<'_> {
    /// Writes entries at their own paths below the target: parents before what they hold, and the parent of the first is there. Gives the
    /// files, unless only a tree is made.
    pub(super) fn write(
        &self,
        entries: &[(&JailPath, &Entry)],
    ) -> Result<BTreeMap<JailPath, Written>> {
        let mut hand = WorkerState::default();
        let mut others = Vec::with_capacity(entries.len());
        for (path, entry) in entries {
            if entry.kind == EntryKind::Directory {
                hand.last
                    .parent_of(self.target, path)?
                    .create_dir(Path::new(path.name()), entry.owner)?;
            } else {
                others.push((*path, *entry));
            }
        }
        let hands = parallel_for_each(&others, WorkerState::default, |hand, (path, entry)| {
            self.write_entry(hand, path, entry)
        })?;
        Ok(hands.into_iter().flat_map(|hand| hand.written).collect())
    }

    fn write_entry(&self, hand: &mut WorkerState, path: &JailPath, entry: &Entry) -> Result<()> {
        let WorkerState {
            copier,
            last,
            written,
        } = hand;
        let parent = last.parent_of(self.target, path)?;
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
                if let Some(supply) = &self.supply {
                    let file = supply.file(copier, self.view, path, &want, parent)?;
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
    /// Makes one file, from the cheapest place that has it.
    fn file(
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
            Content::Text(text) => Some(Digest::of(text.as_bytes())),
            Content::Host { .. } => unchanged.or_else(|| store?.known(want.content)),
            Content::Recorded { sha256, .. } => Some(*sha256),
        };
        if let Some(store) = store
            && let Some(sha256) = known
            && let Some(placed) = store.link_or_copy(copier, want, sha256, parent, name)?
        {
            return Ok(Written { sha256, placed });
        }
        let alone = |sha256| Written {
            sha256,
            placed: Placed::Copied,
        };
        if let Some(digest) = unchanged
            && parent
                .create_hard_link(name, self.live, path.relative())
                .is_ok()
        {
            return Ok(alone(digest));
        }
        if let Content::Recorded { sha256, .. } = want.content {
            return self
                .restore_previous(copier, path, want, *sha256, parent)
                .map(alone);
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
        Ok(alone(digest))
    }

    /// Copies a file that was built before from the tree that was.
    fn restore_previous(
        &self,
        copier: &mut Copier,
        path: &JailPath,
        want: &FileRequest<'_>,
        sha256: Digest,
        parent: &Dir,
    ) -> Result<Digest> {
        let from = Path::new(PREVIOUS_TREE).join(path.relative());
        let is_there = self
            .live
            .lstat(&from)?
            .is_some_and(|stat| stat.kind() == FileKind::File);
        if !is_there {
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

    /// The digest of a file that is live as it is to be.
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

/// Writes a file's content.
fn write_content(
    copier: &mut Copier,
    view: &HostView,
    content: &Content,
    file: &mut File,
    shown: &Path,
) -> Result<()> {
    match content {
        Content::Text(text) => file
            .write_all(text.as_bytes())
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

/// As [`write_content`], and gives the digest of what was written.
pub(super) fn write_and_digest(
    copier: &mut Copier,
    view: &HostView,
    content: &Content,
    file: &mut File,
    shown: &Path,
) -> Result<Digest> {
    match content {
        Content::Text(text) => {
            write_content(copier, view, content, file, shown)?;
            Ok(Digest::of(text.as_bytes()))
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

/// What was built before is only to be had where it is kept.
fn content_unavailable(shown: &Path) -> Error {
    Error::failed(format!("could not bring `{}` back", shown.display()))
        .why("what it held is neither in the store nor in the tree that was kept, or was changed there")
        .hint("build the jail from its spec")
}
