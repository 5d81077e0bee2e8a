//! Why a path is in a jail: the reasons of its entry, followed back to a line of the spec or to a
//! reason that every jail has.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::path::Path;

use super::manifest::{Manifest, RecordKind};
use crate::names::JailPath;
use crate::resolve::{Content, EntryKind, Reason, Tree};

/// The reasons of every entry of a jail, as recorded or as resolved.
#[derive(Debug)]
pub struct Reasons<'j> {
    entries: BTreeMap<&'j JailPath, Node<'j>>,
    /// Entries by the host file that they are a copy of: some reasons name the host file.
    copies: HashMap<&'j Path, &'j JailPath>,
    /// For each entry with a complete chain of reasons: length of the shortest chain, and the
    /// reason that begins it.
    shortest: HashMap<&'j JailPath, (usize, &'j Reason)>,
}

#[derive(Debug)]
struct Node<'j> {
    link: Option<&'j Path>,
    why: &'j [Reason],
}

/// One link of a chain: an entry, and its reason, which names the link before.
pub type ReasonLink<'j> = (&'j JailPath, &'j Reason);

impl<'j> Reasons<'j> {
    /// The reasons of a jail as it was built.
    pub fn recorded(manifest: &'j Manifest) -> Self {
        Self::new(manifest.entries.iter().map(|(path, record)| {
            let (link, source) = match &record.kind {
                RecordKind::Symlink { target } => (Some(target.as_path()), None),
                RecordKind::File { source, .. } => {
                    (None, source.as_ref().map(|(path, _)| path.as_path()))
                }
                RecordKind::Directory | RecordKind::Device { .. } => (None, None),
            };
            (path, link, source, record.why.as_slice())
        }))
    }

    /// The reasons of a tree as a spec resolves to it now.
    pub fn resolved(tree: &'j Tree) -> Self {
        Self::new(tree.iter().map(|(path, entry)| {
            let (link, source) = match &entry.kind {
                EntryKind::Symlink(target) => (Some(target.as_path()), None),
                EntryKind::File(Content::Host { source, .. }) => (None, Some(source.as_path())),
                _ => (None, None),
            };
            (path, link, source, entry.why.as_slice())
        }))
    }

    fn new(
        entries: impl Iterator<
            Item = (
                &'j JailPath,
                Option<&'j Path>,
                Option<&'j Path>,
                &'j [Reason],
            ),
        >,
    ) -> Self {
        let mut reasons = Self {
            entries: BTreeMap::new(),
            copies: HashMap::new(),
            shortest: HashMap::new(),
        };
        for (path, link, source, why) in entries {
            reasons.entries.insert(path, Node { link, why });
            if let Some(source) = source {
                reasons.copies.insert(source, path);
            }
        }
        reasons.compute_distances();
        reasons
    }

    /// Computes the shortest chain from each entry to a reason that needs no other, breadth first
    /// from those reasons.
    fn compute_distances(&mut self) {
        let mut dependents: HashMap<&JailPath, Vec<ReasonLink<'j>>> = HashMap::new();
        let mut queue: VecDeque<&'j JailPath> = VecDeque::new();
        for (path, node) in &self.entries {
            for why in node.why {
                match self.parent(why) {
                    Some(before) => dependents.entry(before).or_default().push((path, why)),
                    None if is_first(why) && !self.shortest.contains_key(*path) => {
                        self.shortest.insert(path, (1, why));
                        queue.push_back(path);
                    }
                    None => {}
                }
            }
        }
        while let Some(path) = queue.pop_front() {
            let steps = self.shortest[path].0 + 1;
            for (next, why) in dependents.get(path).into_iter().flatten() {
                if !self.shortest.contains_key(*next) {
                    self.shortest.insert(next, (steps, why));
                    queue.push_back(next);
                }
            }
        }
    }

    /// The entry that a reason names, if the jail has it.
    fn parent(&self, why: &Reason) -> Option<&'j JailPath> {
        let path = match why {
            Reason::Dependency { by, .. } => by.as_str(),
            Reason::ParentDir { path } | Reason::Rule { by: path, .. } => path.as_str(),
            Reason::Spec { .. } | Reason::Builtin { .. } => return None,
        };
        let by_path = JailPath::new(path)
            .ok()
            .and_then(|path| self.entries.get_key_value(&path).map(|(path, _)| *path));
        by_path.or_else(|| self.copies.get(Path::new(path)).copied())
    }

    /// The entry at `path`, with links above it resolved as in the jail; a link at `path` itself is
    /// not.
    pub fn find(&self, path: &JailPath) -> Option<&'j JailPath> {
        let mut here = path.clone();
        'links: for _ in 0..40 {
            if let Some((found, _)) = self.entries.get_key_value(&here) {
                return Some(found);
            }
            let mut above = here.parent();
            while let Some(directory) = above {
                let link = self.entries.get(&directory).and_then(|node| node.link);
                if let Some(target) = link {
                    let rest = here.as_str().strip_prefix(directory.as_str())?;
                    let target = directory.link_target(target).ok()?;
                    here = JailPath::new(&format!("{}{rest}", target.as_str())).ok()?;
                    continue 'links;
                }
                above = directory.parent();
            }
            return None;
        }
        None
    }

    /// The chains of reasons for the entry at `path`: for each of its reasons the shortest one,
    /// from a line of the spec or a built-in reason to the entry itself. Chains from the spec are
    /// first, and short chains before long ones.
    pub fn chains(&self, path: &JailPath) -> Vec<Vec<ReasonLink<'j>>> {
        let Some((path, node)) = self.entries.get_key_value(path) else {
            return Vec::new();
        };
        let mut chains: Vec<Vec<ReasonLink<'j>>> = node
            .why
            .iter()
            .filter_map(|why| self.chain(path, why))
            .collect();
        chains.sort_by_key(|chain| {
            let of_spec = chain
                .first()
                .is_some_and(|(_, why)| matches!(why, Reason::Spec { .. }));
            (!of_spec, chain.len())
        });
        chains
    }

    fn chain(&self, path: &'j JailPath, why: &'j Reason) -> Option<Vec<ReasonLink<'j>>> {
        let mut chain = vec![(path, why)];
        let mut why = why;
        while !is_first(why) {
            let before = self.parent(why)?;
            // A link can be in the tree for its target, and the target for the link: no reason for
            // either.
            if before == path {
                return None;
            }
            let (_, next) = self.shortest.get(before)?;
            chain.push((before, next));
            why = next;
        }
        chain.reverse();
        Some(chain)
    }
}

/// Whether a reason needs no other.
fn is_first(why: &Reason) -> bool {
    matches!(why, Reason::Spec { .. } | Reason::Builtin { .. })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resolve::Entry;

    fn path(text: &str) -> JailPath {
        JailPath::new(text).expect("a path")
    }

    fn spec(says: &str) -> Reason {
        Reason::Spec {
            place: "a.toml:1".to_owned(),
            says: says.to_owned(),
        }
    }

    fn needed(by: &str, name: &str) -> Reason {
        Reason::Dependency {
            by: by.to_owned(),
            name: name.to_owned(),
        }
    }

    fn sample() -> Tree {
        let mut tree = Tree::default();
        let mut add = |at: &str, why: Vec<Reason>| {
            let mut entry = Entry::text("", 0o644, Reason::rule(""));
            entry.why = why;
            tree.add(path(at), entry).expect("added");
        };
        add("/usr/bin/sh", vec![spec("binaries: sh")]);
        add("/usr/lib/a.so", vec![needed("/usr/bin/sh", "a.so")]);
        add(
            "/usr/lib/b.so",
            vec![
                needed("/usr/lib/c.so", "b.so"),
                needed("/usr/lib/a.so", "b.so"),
                Reason::rule("as ever"),
            ],
        );
        // Two that need one another and nothing else: no reason at all.
        add("/usr/lib/c.so", vec![needed("/usr/lib/d.so", "c.so")]);
        add("/usr/lib/d.so", vec![needed("/usr/lib/c.so", "d.so")]);
        tree.add(
            path("/bin"),
            Entry::symlink("usr/bin", vec![Reason::rule("merged /usr")]),
        )
        .expect("added");
        tree
    }

    #[test]
    fn chains_begin_with_a_reason_that_needs_no_other() {
        let tree = sample();
        let reasons = Reasons::resolved(&tree);
        let chains = |at: &str| -> Vec<Vec<String>> {
            let found = reasons.chains(&path(at));
            found
                .iter()
                .map(|chain| chain.iter().map(|(path, _)| path.to_string()).collect())
                .collect()
        };
        assert_eq!(
            chains("/usr/lib/b.so"),
            [
                vec!["/usr/bin/sh", "/usr/lib/a.so", "/usr/lib/b.so"],
                vec!["/usr/lib/b.so"],
            ]
        );
        assert_eq!(chains("/usr/lib/c.so"), Vec::<Vec<String>>::new());
        assert_eq!(chains("/nowhere"), Vec::<Vec<String>>::new());
        // A directory holds what was put there first.
        assert_eq!(chains("/usr/lib").len(), 1);
    }

    #[test]
    fn paths_resolve_through_the_links_of_the_jail() {
        let tree = sample();
        let reasons = Reasons::resolved(&tree);
        let found = |at: &str| reasons.find(&path(at)).map(ToString::to_string);
        assert_eq!(found("/bin/sh").as_deref(), Some("/usr/bin/sh"));
        assert_eq!(found("/bin").as_deref(), Some("/bin"));
        assert_eq!(found("/bin/zsh"), None);
    }
}
