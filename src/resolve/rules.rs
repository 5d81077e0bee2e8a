//! Rules: files that programs need and that no ELF file names, such as terminal descriptions,
//! certificates, time zones and helpers. They are data in `rules/builtin.toml`, and a host can add
//! rules: `docs/rules.md`.
//!
//! A program or library of the tree triggers a rule, which adds files of the host. The closure of
//! these can trigger more rules, so that [`Rules::apply`] is called after each closure; each rule
//! is applied once, so that this ends.
//!
//! - `parse`: rules as TOML
//! - `host_rules`: rules of the host
//! - `rule`: one rule
//! - `pattern`: braces and `*` in paths and names
//! - `application`: what a rule adds to a tree

mod application;
mod host_rules;
mod parse;
mod pattern;
mod rule;

use std::collections::BTreeSet;

use super::programs::RequestedObject;
use super::tree::{Content, Entry, EntryKind, Tree};
use crate::error::{Error, ErrorKind, Finding, Result};
use crate::host::HostView;
use crate::names::JailPath;
use crate::spec::display::list;
use application::RuleApplication;
use rule::Rule;

/// Directories of programs that a rule names without a path.
const PROGRAMS: [&str; 4] = ["/usr/bin", "/usr/sbin", "/usr/local/bin", "/usr/local/sbin"];

/// Rules that were not triggered yet, and requirements of those that were.
#[derive(Debug)]
pub(super) struct Rules {
    unused: Vec<Rule>,
    wishes: Vec<Requirement>,
}

/// Files of the kernel, such as `/proc`, that programs need.
#[derive(Debug)]
struct Requirement {
    programs: Vec<JailPath>,
    wants: Vec<String>,
    about: Option<String>,
}

impl Rules {
    /// Loads the built-in rules and those of the host, which replace built-in rules of the same
    /// name.
    ///
    /// # Errors
    /// [`ErrorKind::Spec`] with all findings in rules of the host; [`ErrorKind::Failed`] if they
    /// cannot be read.
    pub(super) fn load(view: &HostView) -> Result<Self> {
        let mut findings = Vec::new();
        let mut rules = Self::built_in()?;
        let own = host_rules::rules(view, &mut findings)?;
        let known: BTreeSet<&str> = rules.unused.iter().map(|rule| rule.name.as_str()).collect();
        for rule in &own {
            if !rule.adds_something()
                && !rule.says_something()
                && !known.contains(rule.name.as_str())
            {
                findings.push(
                    Finding::new(format!("the rule `{}` adds nothing", rule.name))
                        .why("there is no built-in rule of that name that it could disable")
                        .hint("say what it adds: `add`, `helpers` or `aliases`")
                        .with_span(&rule.span, ""),
                );
            }
        }
        if !findings.is_empty() {
            return Err(Error {
                kind: ErrorKind::Spec,
                findings,
            });
        }
        rules
            .unused
            .retain(|rule| own.iter().all(|own| own.name != rule.name));
        rules.unused.extend(own);
        Ok(rules)
    }

    /// Parses the built-in rules.
    fn built_in() -> Result<Self> {
        let mut findings = Vec::new();
        let source = parse::built_in(include_str!("rules/builtin.toml"));
        let unused = host_rules::read(&source, &mut findings)?;
        if findings.is_empty() {
            Ok(Self {
                unused,
                wishes: Vec::new(),
            })
        } else {
            Err(Error {
                kind: ErrorKind::Failed,
                findings,
            })
        }
    }

    /// Applies every rule that the tree triggers. Returns the programs and libraries that were
    /// added, whose closure is not in the tree yet.
    pub(super) fn apply(
        &mut self,
        tree: &mut Tree,
        view: &HostView,
        notices: &mut Vec<String>,
    ) -> Result<Vec<RequestedObject>> {
        let triggers = TriggerIndex::of(tree);
        let mut requested = Vec::new();
        let mut unused = Vec::new();
        for rule in std::mem::take(&mut self.unused) {
            match triggers.of_rule(&rule, tree) {
                None => unused.push(rule),
                Some(by) => {
                    self.add_notice(&rule, &triggers, notices);
                    RuleApplication::new(&rule, by, tree, view, &mut requested, notices).all()?;
                }
            }
        }
        self.unused = unused;
        Ok(requested)
    }

    /// Adds the notice of a rule, or keeps it until the tree is complete.
    fn add_notice(&mut self, rule: &Rule, triggers: &TriggerIndex, notices: &mut Vec<String>) {
        let programs = || triggers.programs_of(rule);
        if !rule.requires.is_empty() {
            self.wishes.push(Requirement {
                programs: programs(),
                wants: rule.requires.clone(),
                about: rule.notice.clone(),
            });
        } else if let Some(about) = &rule.notice {
            notices.extend(programs().iter().map(|path| format!("`{path}` {about}")));
        }
    }

    /// Adds the requirement of programs with `$ORIGIN` in a search path: their loader reads it from
    /// `/proc/self/exe`.
    pub(super) fn need_proc(&mut self, programs: Vec<JailPath>) {
        if !programs.is_empty() {
            let about = "each finds libraries by its own path (`$ORIGIN`), and does not start without it; sessions (`[namespaces]`) have it";
            self.wishes.push(Requirement {
                programs,
                wants: vec!["/proc".to_owned()],
                about: Some(about.to_owned()),
            });
        }
    }

    /// Notices for requirements that the complete `tree` does not meet.
    pub(super) fn unmet_requirements(self, tree: &Tree) -> Vec<String> {
        let lacks =
            |place: &&String| JailPath::new(place).is_ok_and(|place| tree.get(&place).is_none());
        let notice = |wish: &Requirement| {
            let place = wish.wants.iter().find(lacks)?;
            let programs = list(wish.programs.iter().map(JailPath::as_str), "and");
            let about = wish.about.as_ref();
            let about = about.map(|about| format!(": {about}")).unwrap_or_default();
            let verb = if wish.programs.len() == 1 {
                "needs"
            } else {
                "need"
            };
            Some(format!(
                "{programs} {verb} `{place}`, which the jail does not have{about}"
            ))
        };
        self.wishes.iter().filter_map(notice).collect()
    }
}

/// Entries of a tree that can trigger a rule, found in one pass.
#[derive(Debug)]
struct TriggerIndex {
    /// Programs in [`PROGRAMS`].
    programs: Vec<JailPath>,
    /// Files and links with names of libraries.
    objects: Vec<JailPath>,
}

impl TriggerIndex {
    fn of(tree: &Tree) -> Self {
        let mut callers = Self {
            programs: Vec::new(),
            objects: Vec::new(),
        };
        for (path, entry) in tree.iter() {
            if !matches!(
                entry.kind,
                EntryKind::File(Content::Host { .. }) | EntryKind::Symlink(_)
            ) {
                continue;
            }
            let name = path.name();
            if name.contains(".so") || name.starts_with("ld-") || name.starts_with("lib") {
                callers.objects.push(path.clone());
            }
            let among_programs = path
                .parent()
                .is_some_and(|parent| PROGRAMS.contains(&parent.as_str()));
            if among_programs && runs(entry) {
                callers.programs.push(path.clone());
            }
        }
        callers
    }

    /// The programs that trigger the rule by their names.
    fn programs_of(&self, rule: &Rule) -> Vec<JailPath> {
        let is_named = |path: &&JailPath| {
            let matches = |program: &String| pattern::matches(program, path.name());
            rule.programs.iter().any(matches)
        };
        self.programs.iter().filter(is_named).cloned().collect()
    }

    /// The first entry that triggers the rule.
    fn of_rule(&self, rule: &Rule, tree: &Tree) -> Option<JailPath> {
        let program = rule.programs.iter().find_map(|program| {
            if program.starts_with('/') {
                let path = JailPath::new(program).ok()?;
                return tree.get(&path).filter(|entry| runs(entry)).map(|_| path);
            }
            let named = |path: &&JailPath| pattern::matches(program, path.name());
            self.programs.iter().find(named).cloned()
        });
        program.or_else(|| {
            rule.libraries.iter().find_map(|start| {
                let named = |path: &&JailPath| path.name().starts_with(start.as_str());
                self.objects.iter().find(named).cloned()
            })
        })
    }
}

/// Whether an entry is a program of the host, or a link, which may resolve to one.
fn runs(entry: &Entry) -> bool {
    match &entry.kind {
        EntryKind::File(Content::Host { .. }) => entry.owner.mode & 0o111 != 0,
        EntryKind::Symlink(_) => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests;
