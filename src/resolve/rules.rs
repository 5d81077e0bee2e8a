//! What programs need beyond what their files say: terminals, certificates, time zones, helpers. The knowledge is data, in `rules/builtin.toml`, and
//! a host can add to it: `docs/rules.md`.
//!
//! A rule is called for by a program or library that the tree holds, and adds files of the host. What they need in turn can call for more, so
//! [`Rules::apply`] is asked again after each closure; a rule is used once, and so that ends.
//!
//! - `text`: rules as TOML · `host`: those of the host's own · `pattern`: what their words stand for · `addition`: a rule at work

mod application;
mod host_rules;
mod parse;
mod pattern;

use std::collections::BTreeSet;
use std::path::Path;

use super::programs::RequestedObject;
use super::tree::{Content, Entry, EntryKind, Reason, Tree};
use crate::error::{Error, ErrorKind, Finding, Result};
use crate::host::HostView;
use crate::names::JailPath;
use crate::span::Span;
use crate::spec::display::list;
use application::RuleApplication;

/// Where a program lies that a rule gives by its name.
const PROGRAMS: [&str; 4] = ["/usr/bin", "/usr/sbin", "/usr/local/bin", "/usr/local/sbin"];

/// One rule; `rules.toml` says what each key means.
#[derive(Clone, Debug)]
struct Rule {
    site: Span,
    name: String,
    reason: String,
    programs: Vec<String>,
    objects: Vec<String>,
    add: Vec<String>,
    runs: Vec<String>,
    names: Vec<String>,
    charsets: Vec<String>,
    except: Vec<String>,
    as_file: bool,
    /// In MB.
    at_most: Option<u64>,
    wants: Vec<String>,
    notice: Option<String>,
}

/// The rules that no tree has called for yet.
#[derive(Debug)]
pub(super) struct Rules {
    unused: Vec<Rule>,
    wishes: Vec<Requirement>,
}

/// Programs that want what only the kernel can give.
#[derive(Debug)]
struct Requirement {
    programs: Vec<JailPath>,
    wants: Vec<String>,
    about: Option<String>,
}

impl Rules {
    /// The rules of jailctl, and those that the host has beside or in place of them.
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
                        .why("there is none of jailctl's of that name for it to take away")
                        .hint("say what it adds: `add`, `helpers` or `aliases`")
                        .with_span(&rule.site, ""),
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

    /// The rules that every jailctl has.
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

    /// Uses every rule that the tree calls for by now. Gives the programs and libraries among what was added, whose own needs are not there yet.
    pub(super) fn apply(
        &mut self,
        tree: &mut Tree,
        view: &HostView,
        notices: &mut Vec<String>,
    ) -> Result<Vec<RequestedObject>> {
        let callers = TriggerIndex::of(tree);
        let mut asked = Vec::new();
        let mut unused = Vec::new();
        for rule in std::mem::take(&mut self.unused) {
            match callers.of_rule(&rule, tree) {
                None => unused.push(rule),
                Some(by) => {
                    self.add_notice(&rule, &callers, notices);
                    RuleApplication::new(&rule, by, tree, view, &mut asked, notices).all()?;
                }
            }
        }
        self.unused = unused;
        Ok(asked)
    }

    /// Takes note of what an admin should know.
    fn add_notice(&mut self, rule: &Rule, callers: &TriggerIndex, notices: &mut Vec<String>) {
        let programs = || callers.programs_of(rule);
        if !rule.wants.is_empty() {
            self.wishes.push(Requirement {
                programs: programs(),
                wants: rule.wants.clone(),
                about: rule.notice.clone(),
            });
        } else if let Some(about) = &rule.notice {
            notices.extend(programs().iter().map(|path| format!("`{path}` {about}")));
        }
    }

    /// Takes note of programs that find libraries by `$ORIGIN` of their own, which their loader learns from /proc/self/exe.
    pub(super) fn need_proc(&mut self, programs: Vec<JailPath>) {
        if !programs.is_empty() {
            let about = "each finds libraries by its own place (`$ORIGIN`), and does not start without it; sessions of their own (`[namespaces]`) have it";
            self.wishes.push(Requirement {
                programs,
                wants: vec!["/proc".to_owned()],
                about: Some(about.to_owned()),
            });
        }
    }

    /// What programs want and `tree`, now that it is complete, does not have.
    pub(super) fn unmet_requirements(self, tree: &Tree) -> Vec<String> {
        let lacks =
            |place: &&String| JailPath::new(place).is_ok_and(|place| tree.get(&place).is_none());
        let told = |wish: &Requirement| {
            let place = wish.wants.iter().find(lacks)?;
            let programs = list(wish.programs.iter().map(JailPath::as_str), "and");
            let about = wish.about.as_ref();
            let about = about.map(|about| format!(": {about}")).unwrap_or_default();
            let verb = if wish.programs.len() == 1 {
                "wants"
            } else {
                "want"
            };
            Some(format!(
                "{programs} {verb} `{place}`, which the jail does not have{about}"
            ))
        };
        self.wishes.iter().filter_map(told).collect()
    }
}

impl Rule {
    fn new(site: Span) -> Self {
        Self {
            site,
            name: String::new(),
            reason: String::new(),
            programs: Vec::new(),
            objects: Vec::new(),
            add: Vec::new(),
            runs: Vec::new(),
            names: Vec::new(),
            charsets: Vec::new(),
            except: Vec::new(),
            as_file: false,
            at_most: None,
            wants: Vec::new(),
            notice: None,
        }
    }

    /// With each pattern as the patterns without braces that it stands for.
    fn expanded(mut self) -> Self {
        for list in [
            &mut self.programs,
            &mut self.add,
            &mut self.runs,
            &mut self.names,
            &mut self.except,
        ] {
            *list = list
                .iter()
                .flat_map(|pattern| pattern::expand_braces(pattern))
                .collect();
        }
        self
    }

    fn adds_something(&self) -> bool {
        [&self.add, &self.runs, &self.names, &self.charsets]
            .iter()
            .any(|list| !list.is_empty())
    }

    fn says_something(&self) -> bool {
        self.notice.is_some() || !self.wants.is_empty()
    }

    fn why(&self, by: &JailPath) -> Reason {
        Reason::Rule {
            rule: self.name.clone(),
            reason: self.reason.clone(),
            by: by.clone(),
        }
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

/// What of a tree can call for a rule, found in one look at it.
#[derive(Debug)]
struct TriggerIndex {
    /// Programs that lie where programs do.
    programs: Vec<JailPath>,
    /// Files and links whose names are those of libraries.
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

    /// The programs that call for the rule by their names.
    fn programs_of(&self, rule: &Rule) -> Vec<JailPath> {
        let is_named = |path: &&JailPath| {
            let matches = |program: &String| pattern::matches(program, path.name());
            rule.programs.iter().any(matches)
        };
        self.programs.iter().filter(is_named).cloned().collect()
    }

    /// The first entry that calls for the rule.
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
            rule.objects.iter().find_map(|start| {
                let named = |path: &&JailPath| path.name().starts_with(start.as_str());
                self.objects.iter().find(named).cloned()
            })
        })
    }
}

/// Whether an entry is a program of the host's, or a link that may lead to one.
fn runs(entry: &Entry) -> bool {
    match &entry.kind {
        EntryKind::File(Content::Host { .. }) => entry.owner.mode & 0o111 != 0,
        EntryKind::Symlink(_) => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests;
