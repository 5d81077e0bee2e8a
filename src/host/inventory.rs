//! Contents of the root of a jail, read without passing a link or a mount of another file system.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{OFlags, ResolveFlags};

use super::access_log::{AccessLog, FollowMode};
use super::copy::digest;
use super::copy::{Copier, Digest};
use super::dir::Dir;
use super::dir_cache::ParentDirCache;
use super::parallel::parallel_for_each;
use super::stat::{FileKind, Stat};
use super::view::HostView;
use crate::error::Result;
use crate::names::JailPath;

/// An open root of a jail, with the stat of each path that was read.
#[derive(Debug)]
pub struct Inventory {
    root: Dir,
    found: BTreeMap<JailPath, Stat>,
    /// Names that no spec can contain, with their directory.
    strange: Vec<PathBuf>,
    /// Log of accesses, if they are recorded, and the root as a path of the host.
    access_log: Option<(Arc<AccessLog>, PathBuf)>,
}

impl HostView {
    /// Reads the directory `root`: everything below the top-level names `whole`, and each of
    /// `paths`. `None` if there is no such directory.
    ///
    /// # Errors
    /// `Failed` if a directory cannot be read.
    pub fn inventory<'p>(
        &self,
        root: &Path,
        whole: &[&str],
        paths: impl Iterator<Item = &'p JailPath>,
    ) -> Result<Option<Inventory>> {
        if self.lstat(root)?.is_none() {
            return Ok(None);
        }
        let handle = self.open2(
            root,
            OFlags::RDONLY | OFlags::DIRECTORY,
            ResolveFlags::NO_SYMLINKS,
        )?;
        let mut inventory = Inventory {
            root: Dir::from_handle(handle, self.display_path(root)),
            found: BTreeMap::new(),
            strange: Vec::new(),
            access_log: self.access_log.clone().map(|log| (log, root.to_owned())),
        };
        for top in whole {
            if let Ok(path) = JailPath::root().join(top) {
                inventory.look(&path)?;
                inventory.descend(path)?;
            }
        }
        for path in paths {
            if !whole.contains(&path.top()) {
                inventory.look(path)?;
            }
        }
        Ok(Some(inventory))
    }
}

impl Inventory {
    fn look(&mut self, path: &JailPath) -> Result<()> {
        let stat = self.root.lstat(path.relative())?;
        self.saw(path, false, stat.as_ref());
        if let Some(stat) = stat {
            self.found.insert(path.clone(), stat);
        }
        Ok(())
    }

    fn saw(&self, path: &JailPath, listed: bool, stat: Option<&Stat>) {
        if let Some((log, root)) = &self.access_log {
            log.record(
                &root.join(path.relative()),
                FollowMode::NoSymlinks,
                listed,
                stat,
            );
        }
    }

    fn descend(&mut self, top: JailPath) -> Result<()> {
        let mut ahead = vec![top];
        while let Some(path) = ahead.pop() {
            match self.found.get(&path) {
                Some(stat) if stat.kind() == FileKind::Directory => {
                    self.saw(&path, true, Some(stat));
                }
                _ => continue,
            }
            for (name, stat) in self.root.open_dir(path.relative())?.entries()? {
                match name.to_str().and_then(|name| path.join(name).ok()) {
                    Some(below) => {
                        if stat.kind() == FileKind::Directory {
                            ahead.push(below.clone());
                        }
                        self.saw(&below, false, Some(&stat));
                        self.found.insert(below, stat);
                    }
                    None => self.strange.push(Path::new(path.as_str()).join(name)),
                }
            }
        }
        Ok(())
    }

    /// Each path that exists, with its stat.
    pub fn iter(&self) -> impl Iterator<Item = (&JailPath, &Stat)> {
        self.found.iter()
    }

    /// Stat of a path.
    pub fn get(&self, path: &JailPath) -> Option<&Stat> {
        self.found.get(path)
    }

    /// Names that are not UTF-8 or contain control characters.
    pub fn invalid_names(&self) -> &[PathBuf] {
        &self.strange
    }

    /// Text of a link.
    ///
    /// # Errors
    /// `Failed` if it cannot be read.
    pub fn link(&self, path: &JailPath) -> Result<PathBuf> {
        self.root.read_link(path.relative())
    }

    /// Digest of a regular file.
    ///
    /// # Errors
    /// `Failed` if it cannot be read.
    pub fn digest(&self, path: &JailPath) -> Result<Digest> {
        digest(
            &mut self.root.open_file(path.relative())?,
            &self.root.display_path(path.relative()),
        )
    }

    /// Digests of regular files, read by a thread for each processor, in no order.
    ///
    /// # Errors
    /// `Failed` if one cannot be read.
    pub fn digests<'p>(&self, paths: &[&'p JailPath]) -> Result<Vec<(&'p JailPath, Digest)>> {
        let hands = parallel_for_each(
            paths,
            || (Copier::default(), ParentDirCache::default(), Vec::new()),
            |(copier, last, digests), path| {
                let parent = last.parent_of(&self.root, path)?;
                let name = Path::new(path.name());
                let digest =
                    copier.digest(&mut parent.open_file(name)?, &parent.display_path(name))?;
                digests.push((*path, digest));
                Ok(())
            },
        )?;
        Ok(hands
            .into_iter()
            .flat_map(|(_, _, digests)| digests)
            .collect())
    }

    /// Names in a directory; none if it does not exist.
    ///
    /// # Errors
    /// `Failed` if it cannot be read.
    pub fn names(&self, path: &JailPath) -> Result<Vec<String>> {
        let Some(directory) = self.root.try_open_dir(path.relative())? else {
            return Ok(Vec::new());
        };
        if self.access_log.is_some() {
            self.saw(path, true, directory.lstat(Path::new("."))?.as_ref());
        }
        let entries = directory.entries()?.into_iter();
        Ok(entries
            .map(|(name, _)| name.to_string_lossy().into_owned())
            .collect())
    }

    /// Names in the root.
    ///
    /// # Errors
    /// `Failed` if it cannot be read.
    pub fn top(&self) -> Result<Vec<String>> {
        if self.access_log.is_some() {
            let stat = self.root.lstat(Path::new("."))?;
            self.saw(&JailPath::root(), true, stat.as_ref());
        }
        Ok(self
            .root
            .entries()?
            .into_iter()
            .map(|(name, _)| name.to_string_lossy().into_owned())
            .collect())
    }
}
