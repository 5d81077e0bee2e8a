//! The content of a root: path to entry, each with the reasons why it is in the jail.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry as Slot;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::Finding;
use crate::host::{Digest, Ownership, Stat};
use crate::names::JailPath;

/// Names in the root that are links into /usr in every jail, whatever the host has: `bin ->
/// usr/bin`.
pub const USR_MERGE_LINKS: [&str; 6] = ["bin", "lib", "lib32", "lib64", "libx32", "sbin"];

/// Reason why an entry is in a tree. Recorded in the manifest; the last link of the chain that
/// `why` prints. The serialised kinds have the names of the first format.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Reason {
    /// A line of the spec or of a template names it.
    Spec {
        /// Source text and line: `file:line`, or `template shell:3`.
        place: String,
        /// Key and value: `binaries: ls`.
        says: String,
    },
    /// Another entry needs it to run.
    #[serde(rename = "needed")]
    Dependency {
        /// Path of the other entry.
        by: String,
        /// Name by which it is needed: a soname, an interpreter, the target of a link.
        name: String,
    },
    /// It is a directory above another entry.
    #[serde(rename = "holds")]
    ParentDir {
        /// Path of the other entry.
        path: JailPath,
    },
    /// Another entry needs it by a rule of `rules/builtin.toml` or of the host.
    #[serde(rename = "data")]
    Rule {
        /// Name of the rule.
        rule: String,
        /// Purpose of the rule: `descriptions of common terminals`.
        reason: String,
        /// Path of the entry that triggers the rule.
        by: JailPath,
    },
    /// Every jail of this kind has it.
    #[serde(rename = "rule")]
    Builtin {
        /// Purpose: `names of users and groups`.
        reason: String,
    },
}

impl Reason {
    /// The reason of an entry that every jail of a kind has.
    pub fn rule(reason: &str) -> Self {
        Self::Builtin {
            reason: reason.to_owned(),
        }
    }
}

/// Content of a regular file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// Content of a file of the host.
    Host {
        /// Path of the file on the host, free of links.
        source: PathBuf,
        /// Result of stat(2) when it was resolved.
        stat: Stat,
    },
    /// Content that jailctl itself has.
    Generated(Cow<'static, [u8]>),
    /// Content of an earlier build, by its digest.
    Recorded {
        /// SHA-256 digest of the content.
        sha256: Digest,
        /// Size in bytes.
        size: u64,
        /// Host file that it was copied from, with its stat(2) at that time.
        source: Option<(PathBuf, Stat)>,
    },
}

/// Type of an entry, with what depends on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EntryKind {
    /// A directory.
    Directory,
    /// A regular file.
    File(Content),
    /// A symbolic link and its target.
    Symlink(PathBuf),
    /// A character device.
    Device {
        /// Major number.
        major: u32,
        /// Minor number.
        minor: u32,
    },
}

/// One path of a tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Type and content.
    pub kind: EntryKind,
    /// Owner, group and mode; without meaning for links.
    pub owner: Ownership,
    /// Whether it is a user directory: created if it is missing, and never changed after that.
    pub user_owned: bool,
    /// Reasons, at least one.
    pub why: Vec<Reason>,
}

impl Entry {
    /// A root-owned directory.
    pub fn directory(mode: u32, why: Reason) -> Self {
        Self {
            kind: EntryKind::Directory,
            owner: Ownership::root(mode),
            user_owned: false,
            why: vec![why],
        }
    }

    /// A root-owned file with this text.
    pub fn text(text: impl Into<String>, mode: u32, why: Reason) -> Self {
        Self::generated(Cow::Owned(text.into().into_bytes()), mode, why)
    }

    /// A root-owned file with this content.
    pub fn generated(content: Cow<'static, [u8]>, mode: u32, why: Reason) -> Self {
        Self {
            kind: EntryKind::File(Content::Generated(content)),
            owner: Ownership::root(mode),
            user_owned: false,
            why: vec![why],
        }
    }

    /// A root-owned file with the content of a host file. It has no setuid, setgid or sticky bit,
    /// and no write permission but root's.
    pub fn host_file(source: PathBuf, stat: Stat, why: Vec<Reason>) -> Self {
        let owner = Ownership::root(stat.mode & 0o755 | 0o400);
        Self {
            kind: EntryKind::File(Content::Host { source, stat }),
            owner,
            user_owned: false,
            why,
        }
    }

    /// A root-owned symbolic link.
    pub fn symlink(target: impl Into<PathBuf>, why: Vec<Reason>) -> Self {
        Self {
            kind: EntryKind::Symlink(target.into()),
            owner: Ownership::root(0o777),
            user_owned: false,
            why,
        }
    }

    /// A user directory: one that a user owns, or that is world-writable.
    pub fn place(owner: Ownership, why: Reason) -> Self {
        Self {
            kind: EntryKind::Directory,
            owner,
            user_owned: true,
            why: vec![why],
        }
    }

    /// Whether it is in the tree only as a directory above another entry.
    fn is_implied(&self) -> bool {
        self.kind == EntryKind::Directory
            && self
                .why
                .iter()
                .all(|why| matches!(why, Reason::ParentDir { .. }))
    }
}

/// Content of a root as it is to be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tree {
    entries: BTreeMap<JailPath, Entry>,
}

/// The entries must include the directories above each.
impl FromIterator<(JailPath, Entry)> for Tree {
    fn from_iter<I: IntoIterator<Item = (JailPath, Entry)>>(entries: I) -> Self {
        Self {
            entries: entries.into_iter().collect(),
        }
    }
}

impl Tree {
    /// Adds an entry, with the directories above it. A second entry for a path must be equal to the
    /// first, and adds its reasons.
    ///
    /// # Errors
    /// A finding if the path has a different entry, or an entry above it is not a directory.
    pub fn add(&mut self, path: JailPath, entry: Entry) -> Result<(), Finding> {
        self.add_above(&path, &entry)?;
        match self.entries.entry(path) {
            Slot::Vacant(slot) => {
                slot.insert(entry);
            }
            Slot::Occupied(mut slot) => {
                let path = slot.key().clone();
                let here = slot.get_mut();
                if here.is_implied() && entry.kind == EntryKind::Directory {
                    *here = entry;
                } else if here.kind == entry.kind
                    && (entry.is_implied() || here.owner == entry.owner)
                {
                    for why in entry.why {
                        if !here.why.contains(&why) && !matches!(why, Reason::ParentDir { .. }) {
                            here.why.push(why);
                        }
                    }
                } else {
                    return Err(clash(&path, here, &path, &entry));
                }
            }
        }
        Ok(())
    }

    /// Adds the missing directories above `path`.
    fn add_above(&mut self, path: &JailPath, entry: &Entry) -> Result<(), Finding> {
        let mut below = path.clone();
        while let Some(parent) = below.parent() {
            if parent == JailPath::root() {
                break;
            }
            match self.entries.entry(parent.clone()) {
                Slot::Vacant(slot) => {
                    slot.insert(Entry::directory(
                        0o755,
                        Reason::ParentDir { path: path.clone() },
                    ));
                }
                Slot::Occupied(slot) if slot.get().kind == EntryKind::Directory => break,
                Slot::Occupied(slot) => return Err(clash(&parent, slot.get(), path, entry)),
            }
            below = parent;
        }
        Ok(())
    }

    /// Adds an entry unless the path has one.
    ///
    /// # Errors
    /// As [`Tree::add`].
    pub fn add_default(&mut self, path: JailPath, entry: Entry) -> Result<(), Finding> {
        if self.entries.contains_key(&path) {
            Ok(())
        } else {
            self.add(path, entry)
        }
    }

    /// The entry at `path`.
    pub fn get(&self, path: &JailPath) -> Option<&Entry> {
        self.entries.get(path)
    }

    /// The entry at `path`, with the path as stored in the tree.
    pub fn get_pair(&self, path: &JailPath) -> Option<(&JailPath, &Entry)> {
        self.entries.get_key_value(path)
    }

    /// All entries, a directory before its content.
    pub fn iter(&self) -> impl Iterator<Item = (&JailPath, &Entry)> {
        self.entries.iter()
    }

    /// Number of entries.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether the tree has no entry.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Resolves `path` through the links of the tree, at most 40. Returns the path and the entry;
    /// `None` if it does not exist.
    pub fn follow(&self, path: &JailPath) -> Option<(JailPath, &Entry)> {
        let mut here = path.clone();
        'links: for _ in 0..40 {
            let mut walked = JailPath::root();
            let parts: Vec<&str> = here.as_str()[1..].split('/').collect();
            for (index, part) in parts.iter().enumerate() {
                walked = walked.join(part).ok()?;
                if let EntryKind::Symlink(target) = &self.get(&walked)?.kind {
                    let mut next = walked.link_target(target).ok()?;
                    for rest in &parts[index + 1..] {
                        next = next.join(rest).ok()?;
                    }
                    here = next;
                    continue 'links;
                }
            }
            let entry = self.get(&walked)?;
            return Some((walked, entry));
        }
        None
    }
}

/// The path in a jail of a host path. A jail always has a merged /usr: `/lib64/x` is
/// `/usr/lib64/x`.
pub(super) fn merged(path: &Path) -> Result<JailPath, Finding> {
    let refused = |why: &str| {
        Finding::new(format!(
            "could not add `{}` to the jail",
            path.display().to_string().escape_debug()
        ))
        .why(why.to_owned())
    };
    let text = path
        .to_str()
        .ok_or_else(|| refused("its path is not UTF-8"))?;
    let top = text
        .trim_start_matches('/')
        .split('/')
        .next()
        .unwrap_or_default();
    let text = if USR_MERGE_LINKS.contains(&top) {
        format!("/usr{text}")
    } else {
        text.to_owned()
    };
    JailPath::new(&text).map_err(refused)
}

/// The finding for two different entries of one path, or for an entry below one that is no
/// directory.
fn clash(path: &JailPath, here: &Entry, other_path: &JailPath, other: &Entry) -> Finding {
    let describe = |entry: &Entry| {
        let what = match &entry.kind {
            EntryKind::Directory => format!("a directory with mode {:04o}", entry.owner.mode),
            EntryKind::File(Content::Host { source, .. }) => {
                format!("a copy of `{}`", source.display())
            }
            EntryKind::File(Content::Generated(_)) => "a file that jailctl generates".to_owned(),
            EntryKind::File(Content::Recorded { .. }) => "a file built before".to_owned(),
            EntryKind::Symlink(target) => format!("a link to `{}`", target.display()),
            EntryKind::Device { major, minor } => format!("the device {major}:{minor}"),
        };
        let why = entry.why.first().map(|why| match why {
            Reason::Spec { place, says } => format!(" ({says}, {place})"),
            Reason::Dependency { by, .. } => format!(" (needed by `{by}`)"),
            Reason::ParentDir { path } => format!(" (it holds `{path}`)"),
            Reason::Rule { reason, by, .. } => format!(" ({reason}, for `{by}`)"),
            Reason::Builtin { reason } => format!(" ({reason})"),
        });
        format!("{what}{}", why.unwrap_or_default())
    };
    let other_says = if path == other_path {
        describe(other)
    } else {
        format!("`{other_path}` below it: {}", describe(other))
    };
    Finding::new(format!("two entries have the path `{path}` in the jail"))
        .why(format!(
            "one is {}, the other is {other_says}",
            describe(here)
        ))
        .hint("give one of them another target, or leave it out")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> JailPath {
        JailPath::new(text).expect("a valid path")
    }

    #[test]
    fn parents_are_added_and_explicit_ones_win() {
        let mut tree = Tree::default();
        tree.add(
            path("/a/b/c"),
            Entry::text("x", 0o644, Reason::rule("test")),
        )
        .expect("added");
        assert_eq!(tree.len(), 3);
        tree.add(path("/a"), Entry::directory(0o700, Reason::rule("mine")))
            .expect("added");
        assert_eq!(tree.get(&path("/a")).expect("there").owner.mode, 0o700);
    }

    #[test]
    fn clashes_are_findings() {
        let mut tree = Tree::default();
        tree.add(path("/a"), Entry::text("x", 0o644, Reason::rule("test")))
            .expect("added");
        assert!(
            tree.add(path("/a/b"), Entry::text("x", 0o644, Reason::rule("test")))
                .is_err()
        );
        assert!(
            tree.add(path("/a"), Entry::text("y", 0o644, Reason::rule("test")))
                .is_err()
        );
        tree.add(path("/a"), Entry::text("x", 0o644, Reason::rule("again")))
            .expect("the same twice is one");
        assert_eq!(tree.get(&path("/a")).expect("there").why.len(), 2);
    }

    #[test]
    fn links_are_followed_inside() {
        let mut tree = Tree::default();
        tree.add(
            path("/usr/bin/bash"),
            Entry::text("x", 0o755, Reason::rule("t")),
        )
        .expect("added");
        tree.add(
            path("/bin"),
            Entry::symlink("usr/bin", vec![Reason::rule("t")]),
        )
        .expect("added");
        tree.add(
            path("/jail/bin/bash"),
            Entry::symlink("../../bin/bash", vec![Reason::rule("t")]),
        )
        .expect("added");
        tree.add(
            path("/loop"),
            Entry::symlink("loop", vec![Reason::rule("t")]),
        )
        .expect("added");
        assert_eq!(
            tree.follow(&path("/jail/bin/bash")).expect("found").0,
            path("/usr/bin/bash")
        );
        assert!(tree.follow(&path("/loop")).is_none());
        assert!(tree.follow(&path("/bin/sh")).is_none());
    }

    #[test]
    fn every_jail_has_a_merged_usr() {
        assert_eq!(
            merged(Path::new("/lib64/ld.so")).expect("valid"),
            path("/usr/lib64/ld.so")
        );
        assert_eq!(merged(Path::new("/opt/x")).expect("valid"), path("/opt/x"));
    }
}
