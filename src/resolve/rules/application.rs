//! Application of a rule: the entries that it adds to a tree.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::pattern;
use super::rule::Rule;
use crate::elf::gconv::{self, Gconv};
use crate::error::Result;
use crate::host::{FileKind, HostView, ResolvedPath, Stat};
use crate::names::JailPath;
use crate::resolve::programs::{self, RequestedObject};
use crate::resolve::tree::{Content, Entry, EntryKind, Reason, Tree, merged};
use crate::spec::path_rules;

/// Application of one rule to a tree.
pub(super) struct RuleApplication<'a> {
    rule: &'a Rule,
    /// Entry that triggered the rule.
    by: JailPath,
    why: Reason,
    /// Paths of files with several hard links on the host, by device and inode number; filled at
    /// the first such file.
    hard_links: Option<BTreeMap<(u64, u64), JailPath>>,
    /// Resolved directories, by the path before resolution.
    homes: BTreeMap<PathBuf, Option<ResolvedPath>>,
    tree: &'a mut Tree,
    view: &'a HostView,
    requested: &'a mut Vec<RequestedObject>,
    notices: &'a mut Vec<String>,
}

impl<'a> RuleApplication<'a> {
    /// Prepares `rule`, which `by` triggered. Programs and libraries that it adds are added to
    /// `requested`, for their closure.
    pub(super) fn new(
        rule: &'a Rule,
        by: JailPath,
        tree: &'a mut Tree,
        view: &'a HostView,
        requested: &'a mut Vec<RequestedObject>,
        notices: &'a mut Vec<String>,
    ) -> Self {
        Self {
            rule,
            why: rule.why(&by),
            by,
            hard_links: None,
            homes: BTreeMap::new(),
            tree,
            view,
            requested,
            notices,
        }
    }

    /// Adds all entries of the rule.
    pub(super) fn all(mut self) -> Result<()> {
        let paths = pattern::paths(self.view, &self.rule.add)?;
        if !self.is_too_much(&paths)? {
            for path in &paths {
                self.add(path)?;
            }
        }
        for name in &self.rule.helpers {
            self.run(name)?;
        }
        for name in &self.rule.aliases {
            self.name(name)?;
        }
        self.charsets()
    }

    /// Whether the files on the host exceed `at_most`; then nothing is added, with a notice.
    fn is_too_much(&mut self, paths: &BTreeSet<PathBuf>) -> Result<bool> {
        let Some(most) = self.rule.max_megabytes else {
            return Ok(false);
        };
        let mut size = 0;
        for path in paths {
            let Some(resolved) = self.trace(path)? else {
                continue;
            };
            match resolved.stat.kind() {
                FileKind::Directory => {
                    for (path, stat) in self.view.walk(&resolved.real)? {
                        let below = path.strip_prefix(&resolved.real).unwrap_or(&path);
                        if stat.kind() == FileKind::File && !self.rule.excepts(below) {
                            size += stat.size;
                        }
                    }
                }
                FileKind::File => size += resolved.stat.size,
                FileKind::Symlink | FileKind::Special => {}
            }
        }
        let size = size.div_ceil(1_000_000);
        if size > most {
            self.notices.push(format!(
                "{} are left out: they have {size} MB on this host, and the limit is {most} MB; a `[[file]]` adds some of them",
                self.rule.reason
            ));
        }
        Ok(size > most)
    }

    /// Requests a program that another program runs, unless the host lacks it or the spec has an
    /// entry at its path.
    fn run(&mut self, name: &str) -> Result<()> {
        let path = if name.starts_with('/') {
            Some(PathBuf::from(name))
        } else {
            self.view.which(name)?
        };
        let Some(path) = path else { return Ok(()) };
        let Some(stat) = self.view.stat(&path)? else {
            return Ok(());
        };
        let works = stat.kind() == FileKind::File
            && stat.mode & 0o111 != 0
            && stat.mode & 0o004 != 0
            && stat.mode & 0o6000 == 0;
        if works && merged(&path).is_ok_and(|at| self.is_free(&at)) {
            self.requested.push(RequestedObject {
                path,
                why: self.why.clone(),
                span: None,
                is_placed: false,
            });
        }
        Ok(())
    }

    /// Adds a link to the program that triggered the rule.
    fn name(&mut self, name: &str) -> Result<()> {
        let Ok(at) = JailPath::new(name) else {
            return Ok(());
        };
        if self.tree.get(&at).is_some() {
            return Ok(());
        }
        let target = if at.parent() == self.by.parent() {
            self.by.name()
        } else {
            self.by.as_str()
        };
        let link = Entry::symlink(target, vec![self.why.clone()]);
        self.place(at, link).map(drop)
    }

    /// Adds the gconv modules that iconv(3) loads for the character sets of the rule, for each C
    /// library of the jail.
    fn charsets(&mut self) -> Result<()> {
        if self.rule.charsets.is_empty() {
            return Ok(());
        }
        let libraries: Vec<PathBuf> = self
            .tree
            .iter()
            .filter(|(path, _)| path.name() == "libc.so.6")
            .filter_map(|(_, entry)| match &entry.kind {
                EntryKind::File(Content::Host { source, .. }) => Some(source.clone()),
                _ => None,
            })
            .collect();
        for library in libraries {
            let Gconv {
                tables, modules, ..
            } = gconv::gconv(self.view, &library, &self.rule.charsets)?;
            for path in tables.iter().chain(&modules) {
                self.add(path)?;
            }
        }
        Ok(())
    }

    /// Adds a file or tree, if the host has it.
    fn add(&mut self, path: &Path) -> Result<()> {
        let Some(resolved) = self.trace(path)? else {
            return Ok(());
        };
        let stat = &resolved.stat;
        match stat.kind() {
            FileKind::File if self.rule.dereference => self.file(path, &resolved.real, stat),
            FileKind::File => {
                if self.file(&resolved.real, &resolved.real, stat)? {
                    self.links(&resolved.links)?;
                }
                Ok(true)
            }
            FileKind::Directory => {
                self.links(&resolved.links)?;
                self.below(&resolved.real)?;
                Ok(true)
            }
            FileKind::Symlink | FileKind::Special => Ok(false),
        }
        .map(drop)
    }

    /// Resolves links as [`HostView::resolve_links`] does. Paths of a rule are in few directories,
    /// so that links above each directory are resolved once.
    fn trace(&mut self, path: &Path) -> Result<Option<ResolvedPath>> {
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            return self.view.resolve_links(path);
        };
        if !self.homes.contains_key(parent) {
            let home = self.view.resolve_links(parent)?;
            self.homes.insert(parent.to_owned(), home);
        }
        match self.homes.get(parent) {
            Some(Some(home)) if !home.links.is_empty() => {
                let real = home.real.join(name);
                match self.view.lstat(&real)? {
                    Some(stat) if stat.kind() == FileKind::Symlink => self.view.resolve_links(path),
                    stat => Ok(stat.map(|stat| ResolvedPath {
                        real,
                        stat,
                        links: home.links.clone(),
                    })),
                }
            }
            _ => self.view.resolve_links(path),
        }
    }

    /// Adds the content of a directory. A directory is added with its first file, so that one that
    /// the spec names keeps the mode of the spec.
    fn below(&mut self, top: &Path) -> Result<()> {
        let is_out = |path: &Path| {
            path.strip_prefix(top)
                .is_ok_and(|below| self.rule.excepts(below))
        };
        let mut wanted = self.view.walk(top)?;
        wanted.retain(|(path, _)| !is_out(path));
        for (path, stat) in wanted {
            match stat.kind() {
                FileKind::File => {
                    self.file(&path, &path, &stat)?;
                }
                FileKind::Symlink => self.link(top, &path)?,
                FileKind::Directory | FileKind::Special => {}
            }
        }
        Ok(())
    }

    /// Adds a link of a tree with its target, if that is a file or a directory of the same tree.
    fn link(&mut self, top: &Path, path: &Path) -> Result<()> {
        let Some(resolved) = self.view.resolve_links(path)? else {
            return Ok(());
        };
        let below = resolved.real.strip_prefix(top).ok();
        if below.is_some_and(|below| self.rule.excepts(below)) {
            return Ok(());
        }
        let leads = match resolved.stat.kind() {
            FileKind::File => self.file(&resolved.real, &resolved.real, &resolved.stat)?,
            FileKind::Directory => below.is_some(),
            FileKind::Symlink | FileKind::Special => false,
        };
        if leads {
            self.links(&resolved.links)?;
        }
        Ok(())
    }

    /// Adds links of the host, except those of a merged /usr.
    fn links(&mut self, links: &[(PathBuf, PathBuf)]) -> Result<()> {
        for (path, target) in links {
            if programs::is_merged_link(path) {
                continue;
            }
            if let Ok((at, entry)) = programs::link(path, target, vec![self.why.clone()]) {
                self.place(at, entry)?;
            }
        }
        Ok(())
    }

    /// Adds the host file `source` at the path of the host's `path`. Returns whether the jail has a
    /// file there now.
    fn file(&mut self, path: &Path, source: &Path, stat: &Stat) -> Result<bool> {
        // A file that is not world-readable on the host is not for all users of a jail, and a
        // program without its setuid bit would not work.
        let is_common = stat.mode & 0o004 != 0 && stat.mode & 0o6000 == 0;
        if !is_common || path_rules::copyable(source).is_err() {
            return Ok(false);
        }
        let Ok(at) = merged(path) else {
            return Ok(false);
        };
        if path_rules::target(&at).is_err() {
            return Ok(false);
        }
        let name = at.name().to_owned();
        let is_there = self.tree.get(&at).is_some();
        let entry = Entry::host_file(source.to_owned(), stat.clone(), vec![self.why.clone()]);
        if !is_there && let Some(link) = self.hard_link(&at, &entry, stat) {
            return self.place(at, link);
        }
        if !self.place(at.clone(), entry)? {
            return Ok(false);
        }
        if stat.links > 1 {
            self.hard_links().entry((stat.dev, stat.ino)).or_insert(at);
        }
        if !is_there && (stat.mode & 0o111 != 0 || name.contains(".so")) {
            self.requested.push(RequestedObject {
                path: source.to_owned(),
                why: self.why.clone(),
                span: None,
                is_placed: true,
            });
        }
        Ok(true)
    }

    /// A symbolic link to another hard link of the same file, if the jail has that with the same
    /// owner and mode: git can be one program with 140 hard links.
    fn hard_link(&mut self, at: &JailPath, entry: &Entry, stat: &Stat) -> Option<Entry> {
        if stat.links < 2 {
            return None;
        }
        let first = self.hard_links().get(&(stat.dev, stat.ino))?.clone();
        if self.tree.get(&first)?.owner != entry.owner {
            return None;
        }
        let target = if first.parent() == at.parent() {
            first.name()
        } else {
            first.as_str()
        };
        Some(Entry::symlink(target, vec![self.why.clone()]))
    }

    /// The files of the tree that have several hard links on the host.
    fn hard_links(&mut self) -> &mut BTreeMap<(u64, u64), JailPath> {
        let tree = &self.tree;
        self.hard_links.get_or_insert_with(|| {
            tree.iter()
                .filter_map(|(path, entry)| match &entry.kind {
                    EntryKind::File(Content::Host { stat, .. }) if stat.links > 1 => {
                        Some(((stat.dev, stat.ino), path.clone()))
                    }
                    _ => None,
                })
                .collect()
        })
    }

    /// Whether all entries above `at` are directories, and the tree has no entry of the spec at
    /// `at`.
    fn is_free(&self, at: &JailPath) -> bool {
        let mut above = at.parent();
        while let Some(path) = above {
            if self
                .tree
                .get(&path)
                .is_some_and(|found| found.kind != EntryKind::Directory)
            {
                return false;
            }
            above = path.parent();
        }
        self.tree.get(at).is_none_or(|here| {
            matches!(
                here.kind,
                EntryKind::File(Content::Host { .. }) | EntryKind::Symlink(_)
            )
        })
    }

    /// Adds an entry unless the tree has one: entries of the spec or of a closure win. Returns
    /// whether there is one now.
    fn place(&mut self, at: JailPath, entry: Entry) -> Result<bool> {
        let mut above = at.parent();
        while let Some(path) = above {
            if let Some(found) = self.tree.get(&path)
                && found.kind != EntryKind::Directory
            {
                return Ok(false);
            }
            above = path.parent();
        }
        match self.tree.get(&at) {
            // The same file with another reason.
            Some(here) if here.kind == entry.kind && here.owner == entry.owner => {
                self.tree.add(at, entry)?;
            }
            Some(_) => {}
            None => self.tree.add(at, entry)?,
        }
        Ok(true)
    }
}
