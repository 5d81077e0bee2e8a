//! What programs need beyond what their files say: terminals, certificates, time zones, helpers. The knowledge is data, in `data/rules.toml`.
//!
//! A rule is called for by a program or library that the tree holds, and adds files of the host. What they need in turn can call for more, so
//! [`Rules::apply`] is asked again after each closure; a rule is used once, and so that ends.

mod pattern;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::objects::{self, Asked};
use super::tree::{Content, Entry, EntryKind, Tree, Why, merged};
use crate::error::{Error, Result};
use crate::host::{FileKind, Stat, View};
use crate::names::JailPath;
use crate::spec::places;

const BUILT_IN: &str = include_str!("data/rules.toml");

/// Where a program lies that a rule gives by its name.
const PROGRAMS: [&str; 4] = ["/usr/bin", "/usr/sbin", "/usr/local/bin", "/usr/local/sbin"];

/// One rule; `rules.toml` says what each key means.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Rule {
    name: String,
    reason: String,
    #[serde(default)]
    programs: Vec<String>,
    #[serde(default)]
    objects: Vec<String>,
    add: Vec<String>,
    #[serde(default)]
    except: Vec<String>,
    #[serde(default)]
    as_file: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Text {
    rule: Vec<Rule>,
}

/// The rules that no tree has called for yet.
#[derive(Debug)]
pub(super) struct Rules {
    unused: Vec<Rule>,
}

impl Rules {
    /// The rules that every jailctl has.
    pub(super) fn built_in() -> Result<Self> {
        Self::parse(BUILT_IN)
    }

    fn parse(text: &str) -> Result<Self> {
        let Text { rule: mut unused } = toml::from_str(text).map_err(|error| {
            Error::failed("could not read the rules for what programs need").why(error.message())
        })?;
        for rule in &mut unused {
            for list in [&mut rule.programs, &mut rule.add, &mut rule.except] {
                *list = list
                    .iter()
                    .flat_map(|pattern| pattern::alternatives(pattern))
                    .collect();
            }
        }
        Ok(Self { unused })
    }

    /// Uses every rule that the tree calls for by now. Gives the programs and libraries among what was added, whose own needs are not there yet.
    pub(super) fn apply(&mut self, tree: &mut Tree, view: &View) -> Result<Vec<Asked>> {
        let mut asked = Vec::new();
        let mut unused = Vec::new();
        for rule in std::mem::take(&mut self.unused) {
            let Some(cause) = rule.cause(tree) else {
                unused.push(rule);
                continue;
            };
            let mut addition = Addition {
                why: Why::Data {
                    rule: rule.name.clone(),
                    reason: rule.reason.clone(),
                    by: cause,
                },
                rule: &rule,
                twins: twins(tree),
                tree,
                view,
                asked: &mut asked,
            };
            for pattern in &rule.add {
                for path in pattern::paths(view, pattern)? {
                    addition.add(&path)?;
                }
            }
        }
        self.unused = unused;
        Ok(asked)
    }
}

impl Rule {
    /// The first entry that calls for the rule.
    fn cause(&self, tree: &Tree) -> Option<JailPath> {
        tree.iter()
            .find(|(path, entry)| self.is_for(path, entry))
            .map(|(path, _)| path.clone())
    }

    fn is_for(&self, path: &JailPath, entry: &Entry) -> bool {
        let runs = match &entry.kind {
            EntryKind::File(Content::Host { .. }) => entry.owner.mode & 0o111 != 0,
            EntryKind::Symlink(_) => true,
            _ => return false,
        };
        let name = path.name();
        let among_programs = path
            .parent()
            .is_some_and(|parent| PROGRAMS.contains(&parent.as_str()));
        self.objects.iter().any(|start| name.starts_with(start))
            || runs
                && self.programs.iter().any(|program| {
                    if program.starts_with('/') {
                        program == path.as_str()
                    } else {
                        among_programs && pattern::matches(program, name)
                    }
                })
    }

    /// Whether something that lies at `below` in one of the rule's trees stays out.
    fn excepts(&self, below: &Path) -> bool {
        self.except.iter().any(|pattern| {
            let mut names = below.iter();
            pattern.split('/').all(|part| {
                names
                    .next()
                    .and_then(|name| name.to_str())
                    .is_some_and(|name| pattern::matches(part, name))
            })
        })
    }
}

/// The files of a tree that have several names on the host.
fn twins(tree: &Tree) -> BTreeMap<(u64, u64), JailPath> {
    tree.iter()
        .filter_map(|(path, entry)| match &entry.kind {
            EntryKind::File(Content::Host { stat, .. }) if stat.links > 1 => {
                Some(((stat.dev, stat.ino), path.clone()))
            }
            _ => None,
        })
        .collect()
}

/// A rule at work.
struct Addition<'a> {
    rule: &'a Rule,
    why: Why,
    /// Where files are that have several names on the host, by device and inode number.
    twins: BTreeMap<(u64, u64), JailPath>,
    tree: &'a mut Tree,
    view: &'a View,
    asked: &'a mut Vec<Asked>,
}

impl Addition<'_> {
    /// Adds a file or tree, if the host has it.
    fn add(&mut self, path: &Path) -> Result<()> {
        let Some(passage) = self.view.trace(path)? else {
            return Ok(());
        };
        let Some(stat) = self.view.lstat(&passage.real)? else {
            return Ok(());
        };
        match stat.kind() {
            FileKind::File if self.rule.as_file => self.file(path, &passage.real, &stat),
            FileKind::File => {
                if self.file(&passage.real, &passage.real, &stat)? {
                    self.links(&passage.links)?;
                }
                Ok(true)
            }
            FileKind::Directory => {
                self.links(&passage.links)?;
                self.below(&passage.real)?;
                Ok(true)
            }
            FileKind::Symlink | FileKind::Special => Ok(false),
        }
        .map(drop)
    }

    /// Adds what a tree holds. A directory comes with the first file in it, so that one that the spec asks for has the mode that it asks for.
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

    /// Adds a link of a tree with the file where it leads, wherever that is; one to a directory only if that is of the same tree.
    fn link(&mut self, top: &Path, path: &Path) -> Result<()> {
        let Some(passage) = self.view.trace(path)? else {
            return Ok(());
        };
        let below = passage.real.strip_prefix(top).ok();
        if below.is_some_and(|below| self.rule.excepts(below)) {
            return Ok(());
        }
        let Some(stat) = self.view.lstat(&passage.real)? else {
            return Ok(());
        };
        let leads = match stat.kind() {
            FileKind::File => self.file(&passage.real, &passage.real, &stat)?,
            FileKind::Directory => below.is_some(),
            FileKind::Symlink | FileKind::Special => false,
        };
        if leads {
            self.links(&passage.links)?;
        }
        Ok(())
    }

    fn links(&mut self, links: &[(PathBuf, PathBuf)]) -> Result<()> {
        for (path, target) in links {
            if objects::is_merged_link(path) {
                continue;
            }
            if let Ok((at, entry)) = objects::link(path, target, vec![self.why.clone()]) {
                self.place(at, entry)?;
            }
        }
        Ok(())
    }

    /// Adds the host file `source` in the place of the host's `path`; whether the jail has a file there now.
    fn file(&mut self, path: &Path, source: &Path, stat: &Stat) -> Result<bool> {
        // What only some may read on the host is not for all of a jail, and a program without its setuid bit would not work.
        let is_common = stat.mode & 0o004 != 0 && stat.mode & 0o6000 == 0;
        if !is_common || places::copyable(source).is_err() {
            return Ok(false);
        }
        let Ok(at) = merged(path) else {
            return Ok(false);
        };
        if places::target(&at).is_err() {
            return Ok(false);
        }
        let name = at.name().to_owned();
        let is_there = self.tree.get(&at).is_some();
        let entry = Entry::host_file(source.to_owned(), stat.clone(), vec![self.why.clone()]);
        if !is_there && let Some(link) = self.twin(&at, &entry, stat) {
            return self.place(at, link);
        }
        if !self.place(at.clone(), entry)? {
            return Ok(false);
        }
        if stat.links > 1 {
            self.twins.entry((stat.dev, stat.ino)).or_insert(at);
        }
        if !is_there && (stat.mode & 0o111 != 0 || name.contains(".so")) {
            self.asked.push(Asked {
                path: source.to_owned(),
                why: self.why.clone(),
                site: None,
                is_placed: true,
            });
        }
        Ok(true)
    }

    /// A link to another name of the same file, if the jail has that with the same owner and mode: git can be one program with 140 hard links.
    fn twin(&self, at: &JailPath, entry: &Entry, stat: &Stat) -> Option<Entry> {
        let first = self.twins.get(&(stat.dev, stat.ino))?;
        if self.tree.get(first)?.owner != entry.owner {
            return None;
        }
        let target = if first.parent() == at.parent() {
            first.name()
        } else {
            first.as_str()
        };
        Some(Entry::symlink(target, vec![self.why.clone()]))
    }

    /// Adds an entry unless something has its place: what the spec or a program brings wins. Whether there is one now.
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
            // The same file for another reason.
            Some(here) if here.kind == entry.kind && here.owner == entry.owner => {
                self.tree.add(at, entry)?;
            }
            Some(_) => {}
            None => self.tree.add(at, entry)?,
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_rules_are_well_formed() {
        let mut names = std::collections::BTreeSet::new();
        for rule in Rules::built_in().expect("valid rules").unused {
            assert!(names.insert(rule.name.clone()), "two rules: {}", rule.name);
            assert!(!rule.reason.is_empty(), "{rule:?}");
            assert!(
                !rule.programs.is_empty() || !rule.objects.is_empty(),
                "nothing calls for {rule:?}"
            );
            assert!(!rule.add.is_empty(), "{rule:?}");
            for path in &rule.add {
                assert!(path.starts_with('/'), "{path}");
                assert!(places::copyable(Path::new(path)).is_ok(), "{path}");
            }
        }
    }

    #[test]
    fn exceptions_count_from_the_top_of_a_tree_and_hold_for_what_is_below() {
        let text = r#"
            [[rule]]
            name = "x"
            reason = "x"
            programs = ["x"]
            add = ["/x"]
            except = ["{doc,b*}", "hooks/x.sample"]
        "#;
        let rules = Rules::parse(text).expect("valid rules");
        let rule = &rules.unused[0];
        for out in ["doc", "doc/a/b", "bin", "hooks/x.sample"] {
            assert!(rule.excepts(Path::new(out)), "{out}");
        }
        for kept in ["docs", "a/doc", "hooks", "hooks/y.sample", "x.sample"] {
            assert!(!rule.excepts(Path::new(kept)), "{kept}");
        }
        assert!(Rules::parse(&text.replace("except", "exept")).is_err());
    }

    #[test]
    fn programs_and_libraries_call_for_a_rule_and_other_files_do_not() {
        let text = r#"
            [[rule]]
            name = "x"
            reason = "x"
            programs = ["vim.*", "/opt/x/run"]
            objects = ["libx.so."]
            add = ["/x"]
        "#;
        let rules = Rules::parse(text).expect("valid rules");
        let link = Entry::symlink("x", vec![Why::rule("test")]);
        let text = Entry::text("x", 0o755, Why::rule("test"));
        let is_for = |path: &str, entry: &Entry| {
            rules.unused[0].is_for(&JailPath::new(path).expect("a path"), entry)
        };
        assert!(is_for("/usr/bin/vim.tiny", &link));
        assert!(is_for("/opt/x/run", &link));
        assert!(is_for("/usr/lib/libx.so.1", &link));
        assert!(!is_for("/usr/bin/vim", &link));
        assert!(!is_for("/etc/vim.tiny", &link));
        assert!(!is_for("/usr/bin/vim.tiny", &text));
    }
}
