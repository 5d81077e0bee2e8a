//! One rule.

use std::path::Path;

use super::pattern;
use crate::names::JailPath;
use crate::resolve::tree::Reason;
use crate::span::Span;

/// One rule. `rules/builtin.toml` documents each key.
#[derive(Clone, Debug)]
pub(super) struct Rule {
    pub(super) span: Span,
    pub(super) name: String,
    pub(super) reason: String,
    pub(super) programs: Vec<String>,
    pub(super) libraries: Vec<String>,
    pub(super) add: Vec<String>,
    pub(super) helpers: Vec<String>,
    pub(super) aliases: Vec<String>,
    pub(super) charsets: Vec<String>,
    pub(super) exclude: Vec<String>,
    pub(super) dereference: bool,
    /// Limit in megabytes.
    pub(super) max_megabytes: Option<u64>,
    pub(super) requires: Vec<String>,
    pub(super) notice: Option<String>,
}

impl Rule {
    /// A rule without content.
    pub(super) fn new(span: Span) -> Self {
        Self {
            span,
            name: String::new(),
            reason: String::new(),
            programs: Vec::new(),
            libraries: Vec::new(),
            add: Vec::new(),
            helpers: Vec::new(),
            aliases: Vec::new(),
            charsets: Vec::new(),
            exclude: Vec::new(),
            dereference: false,
            max_megabytes: None,
            requires: Vec::new(),
            notice: None,
        }
    }

    /// The rule with the braces of its patterns expanded.
    pub(super) fn expanded(mut self) -> Self {
        for list in [
            &mut self.programs,
            &mut self.add,
            &mut self.helpers,
            &mut self.aliases,
            &mut self.exclude,
        ] {
            *list = list
                .iter()
                .flat_map(|pattern| pattern::expand_braces(pattern))
                .collect();
        }
        self
    }

    /// Whether the rule adds an entry.
    pub(super) fn adds_something(&self) -> bool {
        [&self.add, &self.helpers, &self.aliases, &self.charsets]
            .iter()
            .any(|list| !list.is_empty())
    }

    /// Whether the rule has a notice or a requirement.
    pub(super) fn says_something(&self) -> bool {
        self.notice.is_some() || !self.requires.is_empty()
    }

    /// The reason of an entry that the rule adds for the entry `by`.
    pub(super) fn why(&self, by: &JailPath) -> Reason {
        Reason::Rule {
            rule: self.name.clone(),
            reason: self.reason.clone(),
            by: by.clone(),
        }
    }

    /// Whether the path `below`, relative to a tree of the rule, is excluded.
    pub(super) fn excepts(&self, below: &Path) -> bool {
        self.exclude.iter().any(|pattern| {
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
