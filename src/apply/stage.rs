//! Staging of a tree: the changed paths are written beside the live ones, to be exchanged with
//! them.
//!
//! The stage is in the private directory of the root, never beside the root: a shell whose working
//! directory is in the live `/usr/bin` is moved with `/usr` when that is exchanged, and from there
//! `..` must still end at the jail's root.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use super::exchange::move_for_path;
use super::journal::moves::{Move, Moves};
use super::store::{self, Placed, Store};
use super::writer::{ContentSources, Writer, Written};
use crate::error::{Error, Result};
use crate::host::{Dir, FileKind, Host, HostView, Ownership, ParentDirCache, Stat, copy_skeleton};
use crate::layout::{PREVIOUS_TREE, PRIVATE_DIR, PRIVATE_MODE, STAGE};
use crate::names::JailPath;
use crate::plan::manifest::{Manifest, Record, RecordKind};
use crate::plan::{Change, ChangeKind, EXCHANGED_DIRS, dirs_to_exchange};
use crate::resolve::{Content, Entry, EntryKind, ResolvedJail, Tree};

/// A staged tree.
pub(super) struct Staged {
    /// The files that were written.
    pub(super) files: BTreeMap<JailPath, Written>,
    /// The moves that exchange it with the live tree.
    pub(super) moves: Moves,
    /// The store of its shared files, which is to be closed when the moves are made.
    pub(super) store: Option<Store>,
}

/// Stages the changed paths of a tree, and syncs them. The live tree is not changed.
///
/// # Errors
/// [`ErrorKind::Failed`](crate::error::ErrorKind::Failed) where a file cannot be written. The stage
/// is incomplete then; its undo, or the next run, deletes it.
pub(super) fn stage(
    host: &Host,
    root: &Dir,
    jail: &ResolvedJail,
    changes: &[Change],
    recorded: Option<&Manifest>,
) -> Result<Staged> {
    let tree = &jail.tree;
    store::remove(host, &jail.root, root, &[Path::new(STAGE)])?;
    let stage = root.create_dir(Path::new(STAGE), Ownership::root(PRIVATE_MODE))?;
    let store = Store::open(host, &jail.root, root)?;
    let tops = dirs_to_exchange(changes);
    let none = BTreeMap::new();
    let records = recorded.map_or(&none, |manifest| &manifest.entries);
    let writer = Writer {
        view: host,
        target: &stage,
        sources: Some(ContentSources {
            store: store.as_ref(),
            live: root,
            previous: Path::new(PREVIOUS_TREE),
            records,
            changed: changes.iter().map(|change| &change.path).collect(),
        }),
    };
    let mut entries: Vec<(&JailPath, &Entry)> =
        tops.iter().flat_map(|top| below(tree, top)).collect();
    let loose: Vec<&Change> = changes
        .iter()
        .filter(|change| !EXCHANGED_DIRS.contains(&change.path.top()))
        .collect();
    for change in &loose {
        let in_place = |entry: &Entry| {
            !staged(entry) || (entry.user_owned && change.act == ChangeKind::Change)
        };
        let Some((path, entry)) = tree
            .get_pair(&change.path)
            .filter(|(_, entry)| !in_place(entry))
        else {
            continue;
        };
        create_parents(&stage, path)?;
        if entry.user_owned {
            stage_user_dir(host, jail, &stage, path, entry)?;
        } else {
            entries.push((path, entry));
        }
    }
    let files = writer.write(&entries)?;
    let mut moves = Vec::new();
    for change in loose
        .iter()
        .filter(|change| change.act != ChangeKind::Remove)
    {
        if let Some(entry) = tree.get(&change.path) {
            moves.extend(single_path_move(root, &stage, &change.path, entry)?);
        }
    }
    for top in &tops {
        moves.extend(move_for_path(root, &stage, Path::new(top))?);
    }
    for change in loose
        .iter()
        .rev()
        .filter(|change| change.act == ChangeKind::Remove)
    {
        moves.extend(single_path_removal(root, &stage, change)?);
    }
    stage.sync_file_system()?;
    if let Some(store) = &store {
        store.publish()?;
    }
    Ok(Staged {
        files,
        store,
        moves: Moves {
            dir: jail.root.clone(),
            stage: PathBuf::from(STAGE),
            list: moves,
        },
    })
}

/// The entries at and below a top-level directory.
fn below<'t>(tree: &'t Tree, top: &'t str) -> impl Iterator<Item = (&'t JailPath, &'t Entry)> {
    tree.iter().filter(move |(path, _)| path.top() == top)
}

/// Whether an entry outside of the exchanged directories is staged. Plain directories are not: they
/// are created in the live tree.
fn staged(entry: &Entry) -> bool {
    entry.kind != EntryKind::Directory || entry.user_owned
}

/// Creates the parents of a staged entry, below the stage.
fn create_parents(stage: &Dir, path: &JailPath) -> Result<()> {
    let mut above: Vec<JailPath> = std::iter::successors(path.parent(), JailPath::parent).collect();
    above.pop();
    for directory in above.iter().rev() {
        stage.ensure_dir(directory.relative(), Ownership::root(PRIVATE_MODE))?;
    }
    Ok(())
}

/// Stages a user directory; a home with the content of its skeleton.
fn stage_user_dir(
    host: &Host,
    jail: &ResolvedJail,
    stage: &Dir,
    path: &JailPath,
    entry: &Entry,
) -> Result<()> {
    let dir = stage.create_dir(path.relative(), Ownership::root(PRIVATE_MODE))?;
    let account = jail.accounts.iter().find(|account| account.home == *path);
    let skeleton = account.and_then(|account| {
        let mut skeletons = jail.skeletons.iter();
        skeletons.find(|(user, _)| *user == account.name)
    });
    if let Some((_, skeleton)) = skeleton {
        copy_skeleton(host, skeleton, &dir, entry.owner.uid, entry.owner.gid)?;
    }
    dir.set_owner(entry.owner)
}

/// The move that adds or changes one path outside of the exchanged directories.
fn single_path_move(
    root: &Dir,
    stage: &Dir,
    path: &JailPath,
    entry: &Entry,
) -> Result<Option<Move>> {
    let at = path.relative();
    let found = root.lstat(at)?;
    if entry.user_owned && found.is_none() {
        let staged = stage.lstat(at)?.map_or(0, |stat| stat.ino);
        let made = stage.newest(at)?;
        return Ok(Some(Move::InstallUserDir(at.to_owned(), staged, made)));
    }
    if staged(entry) && !entry.user_owned {
        return move_for_path(root, stage, at);
    }
    match found {
        Some(stat) if stat.kind() == FileKind::Directory => Ok(Some(Move::SetOwner(
            at.to_owned(),
            entry.owner,
            stat.ownership(),
        ))),
        Some(_) => Err(Error::failed(format!(
            "could not create the directory `{}`",
            root.display_path(at).display()
        ))
        .why("something else exists there")
        .hint("move it away")),
        None => Ok(Some(Move::CreateDir(at.to_owned(), entry.owner))),
    }
}

/// The move that removes one path outside of the exchanged directories.
fn single_path_removal(root: &Dir, stage: &Dir, change: &Change) -> Result<Option<Move>> {
    let path = change.path.relative();
    let Some(stat) = root.lstat(path)? else {
        return Ok(None);
    };
    if stat.kind() == FileKind::Directory {
        return Ok(Some(Move::RemoveDir(path.to_owned(), stat.ownership())));
    }
    let mut above: Vec<&Path> = path
        .ancestors()
        .skip(1)
        .filter(|path| *path != Path::new(""))
        .collect();
    above.reverse();
    for directory in above {
        stage.ensure_dir(directory, Ownership::root(PRIVATE_MODE))?;
    }
    Ok(Some(Move::Displace(path.to_owned())))
}

/// The files of a tree that this run has written.
#[derive(Debug, Default)]
pub(super) struct WrittenFiles {
    /// The files, by path.
    pub(super) files: BTreeMap<JailPath, Written>,
    /// The stat of linked files of the store after the moves, by inode number.
    pub(super) stats: HashMap<u64, Stat>,
}

/// The records of the tree that is live below `root`: from `written` for files that this run wrote,
/// and from the manifest `before` for all others.
///
/// # Errors
/// [`ErrorKind::Failed`](crate::error::ErrorKind::Failed) where a path of the tree does not exist.
pub(super) fn records(
    root: &Dir,
    tree: &Tree,
    written: &WrittenFiles,
    before: Option<&Manifest>,
) -> Result<BTreeMap<JailPath, Record>> {
    let gone = || {
        let shown = root.display_path(Path::new(""));
        Error::failed(format!(
            "could not record the tree of `{}`",
            shown.display()
        ))
        .why("it is gone")
    };
    let mut parents = ParentDirCache::default();
    let mut records = BTreeMap::new();
    for (path, entry) in tree.iter() {
        let kind = match &entry.kind {
            EntryKind::Directory => RecordKind::Directory,
            EntryKind::Symlink(target) => RecordKind::Symlink {
                target: target.clone(),
            },
            EntryKind::Device { major, minor } => RecordKind::Device {
                major: *major,
                minor: *minor,
            },
            EntryKind::File(content) => {
                let old = before.and_then(|manifest| match &manifest.entries.get(path)?.kind {
                    RecordKind::File { sha256, .. } => Some(*sha256),
                    _ => None,
                });
                let file = written.files.get(path);
                let sha256 = file.map(|file| file.sha256);
                let known = file.and_then(|file| match file.placed {
                    Placed::Linked(ino) => written.stats.get(&ino),
                    Placed::Copied => None,
                });
                let stat = match known {
                    Some(stat) => Some(stat.clone()),
                    None => parents
                        .parent_of(root, path)?
                        .lstat(Path::new(path.name()))?,
                };
                let source = match content {
                    Content::Host { source, stat } => Some((source.clone(), stat.clone())),
                    Content::Generated(_) => None,
                    Content::Recorded { source, .. } => source.clone(),
                };
                RecordKind::File {
                    sha256: sha256.or(old).ok_or_else(gone)?,
                    source,
                    stat: stat.ok_or_else(gone)?,
                }
            }
        };
        records.insert(
            path.clone(),
            Record {
                kind,
                owner: entry.owner,
                kept: entry.user_owned,
                why: entry.why.clone(),
            },
        );
    }
    Ok(records)
}

/// Writes a whole tree into the empty directory `target`, without records.
pub(super) fn write_tree(view: &HostView, target: &Dir, tree: &Tree) -> Result<()> {
    let writer = Writer {
        view,
        target,
        sources: None,
    };
    let entries: Vec<_> = tree.iter().collect();
    writer.write(&entries).map(drop)
}

/// Opens the private directory of a root, and creates it if it does not exist.
pub(super) fn private_dir(root: &Dir) -> Result<Dir> {
    root.ensure_dir(Path::new(PRIVATE_DIR), Ownership::root(PRIVATE_MODE))
        .map(|(dir, _)| dir)
}
