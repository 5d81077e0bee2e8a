//! Writing a tree: staged beside what is live, below the same root, then exchanged with it.
//!
//! Staging lies in the root's own private directory, never beside the root: a shell whose working directory is in the live `/usr/bin` goes along
//! when `/usr` is exchanged away, and from there `..` must still end at the jail's root.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use super::exchange::{Move, Moves};
use super::store::{self, Placed, Store};
use super::writer::{ContentSources, Writer, Written};
use crate::error::{Error, Result};
use crate::host::{Dir, FileKind, Host, HostView, Ownership, ParentDirCache, Stat, copy_skeleton};
use crate::layout::{PRIVATE_DIR, PRIVATE_MODE, STAGE};
use crate::names::JailPath;
use crate::plan::manifest::{Manifest, Record, RecordKind};
use crate::plan::{Change, ChangeKind, EXCHANGED_DIRS, Plan, dirs_to_exchange};
use crate::resolve::{Content, Entry, EntryKind, Tree};

/// What is staged, and how it comes to be live.
pub(super) struct Staged {
    /// The files written.
    pub(super) files: BTreeMap<JailPath, Written>,
    /// What brings it to its place.
    pub(super) moves: Moves,
    /// The store that it shares files with; to be closed when everything is in its place.
    pub(super) store: Option<Store>,
}

/// Stages what the plan changes, durably. Nothing live is touched.
pub(super) fn stage(host: &Host, root: &Dir, plan: &Plan, tree: &Tree) -> Result<Staged> {
    store::remove(host, &plan.root, root, &[Path::new(STAGE)])?;
    let stage = root.create_dir(Path::new(STAGE), Ownership::root(PRIVATE_MODE))?;
    let store = Store::open(host, &plan.root, root)?;
    let tops = dirs_to_exchange(&plan.changes);
    let none = BTreeMap::new();
    let records = plan
        .manifest
        .as_ref()
        .map_or(&none, |manifest| &manifest.entries);
    let writer = Writer {
        view: host,
        target: &stage,
        supply: Some(ContentSources {
            store: store.as_ref(),
            live: root,
            records,
            changed: plan.changes.iter().map(|change| &change.path).collect(),
        }),
    };
    let mut entries: Vec<(&JailPath, &Entry)> =
        tops.iter().flat_map(|top| below(tree, top)).collect();
    let loose: Vec<&Change> = plan
        .changes
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
            stage_user_dir(host, plan, &stage, path, entry)?;
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
        moves.extend(Move::for_path(root, &stage, Path::new(top))?);
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
            dir: plan.root.clone(),
            stage: PathBuf::from(STAGE),
            list: moves,
        },
    })
}

/// The entries at and below one name of the root.
fn below<'t>(tree: &'t Tree, top: &'t str) -> impl Iterator<Item = (&'t JailPath, &'t Entry)> {
    tree.iter().filter(move |(path, _)| path.top() == top)
}

/// Whether an entry outside the swapped directories is made in the stage first: all but plain directories, which are made where they are.
fn staged(entry: &Entry) -> bool {
    entry.kind != EntryKind::Directory || entry.user_owned
}

/// The directories that lead to a staged entry.
fn create_parents(stage: &Dir, path: &JailPath) -> Result<()> {
    let mut above: Vec<JailPath> = std::iter::successors(path.parent(), JailPath::parent).collect();
    above.pop();
    for directory in above.iter().rev() {
        stage.ensure_dir(directory.relative(), Ownership::root(0o700))?;
    }
    Ok(())
}

/// Stages a place of a user's.
fn stage_user_dir(
    host: &Host,
    plan: &Plan,
    stage: &Dir,
    path: &JailPath,
    entry: &Entry,
) -> Result<()> {
    let place = stage.create_dir(path.relative(), Ownership::root(0o700))?;
    let skeleton = plan.target.as_ref().and_then(|wanted| {
        let account = wanted
            .jail
            .accounts
            .iter()
            .find(|account| account.home == *path)?;
        wanted
            .jail
            .skeletons
            .iter()
            .find(|(user, _)| *user == account.name)
    });
    if let Some((_, skeleton)) = skeleton {
        copy_skeleton(host, skeleton, &place, entry.owner.uid, entry.owner.gid)?;
    }
    place.set_owner(entry.owner)
}

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
        return Ok(Some(Move::Furnish(at.to_owned(), staged, made)));
    }
    if staged(entry) && !entry.user_owned {
        return Move::for_path(root, stage, at);
    }
    match found {
        Some(stat) if stat.kind() == FileKind::Directory => Ok(Some(Move::Own(
            at.to_owned(),
            entry.owner,
            stat.ownership(),
        ))),
        Some(_) => Err(Error::failed(format!(
            "could not make the directory `{}`",
            root.display_path(at).display()
        ))
        .why("something else stands there")
        .hint("move it away")),
        None => Ok(Some(Move::MakeDir(at.to_owned(), entry.owner))),
    }
}

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
        stage.ensure_dir(directory, Ownership::root(0o700))?;
    }
    Ok(Some(Move::Take(path.to_owned())))
}

/// What a run has made of the files of a tree.
#[derive(Debug, Default)]
pub(super) struct WrittenFiles {
    /// Those that it wrote.
    pub(super) files: BTreeMap<JailPath, Written>,
    /// Facts of inodes of the store, when everything was in its place.
    pub(super) facts: HashMap<u64, Stat>,
}

/// The records of a tree as it now stands below `root`: of what was written by what `made` says, of what was left by its old record.
pub(super) fn records(
    root: &Dir,
    tree: &Tree,
    made: &WrittenFiles,
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
    let mut last = ParentDirCache::default();
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
                let written = made.files.get(path);
                let sha256 = written.map(|written| written.sha256);
                let known = written.and_then(|written| match written.placed {
                    Placed::Linked(ino) => made.facts.get(&ino),
                    Placed::Copied => None,
                });
                let stat = match known {
                    Some(stat) => Some(stat.clone()),
                    None => last.parent_of(root, path)?.lstat(Path::new(path.name()))?,
                };
                let source = match content {
                    Content::Host { source, stat } => Some((source.clone(), stat.clone())),
                    Content::Text(_) => None,
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

/// Makes only a tree, in `target`, an empty directory.
pub(super) fn write_tree(view: &HostView, target: &Dir, tree: &Tree) -> Result<()> {
    let writer = Writer {
        view,
        target,
        supply: None,
    };
    let entries: Vec<_> = tree.iter().collect();
    writer.write(&entries).map(drop)
}

/// The private directory, made where it is missing.
pub(super) fn private_dir(root: &Dir) -> Result<Dir> {
    root.ensure_dir(Path::new(PRIVATE_DIR), Ownership::root(PRIVATE_MODE))
        .map(|(dir, _)| dir)
}
