//! Patterns of rules: `{a,b}` expands to either text, `*` matches any part of one name. Nothing
//! else is special.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::error::Result;
use crate::host::HostView;

/// Most texts that one pattern expands to.
const MAX_ALTERNATIVES: usize = 1000;

/// Expands the braces of a pattern, to the first thousand texts in order. Braces do not nest; one
/// that is not closed is plain text.
pub(super) fn expand_braces(pattern: &str) -> Vec<String> {
    let mut texts = vec![String::new()];
    let mut rest = pattern;
    while let Some((before, choices, after)) = rest.split_once('{').and_then(|(before, rest)| {
        let (choices, after) = rest.split_once('}')?;
        Some((before, choices, after))
    }) {
        texts = texts
            .iter()
            .flat_map(|text| {
                choices
                    .split(',')
                    .map(move |choice| format!("{text}{before}{choice}"))
            })
            .take(MAX_ALTERNATIVES)
            .collect();
        rest = after;
    }
    for text in &mut texts {
        text.push_str(rest);
    }
    texts
}

/// Whether a pattern without braces matches `name`.
pub(super) fn matches(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == name,
        Some((before, after)) => name.strip_prefix(before).is_some_and(|rest| {
            // A name is short, and a pattern has one or two stars.
            rest.char_indices()
                .map(|(index, _)| index)
                .chain([rest.len()])
                .any(|index| matches(after, &rest[index..]))
        }),
    }
}

/// The paths of the host that match absolute patterns without braces, sorted. A path whose
/// directory was not read may not exist.
///
/// A directory with several names or a `*` in the patterns is read once, so that a long list of
/// patterns that match little costs little.
pub(super) fn paths(view: &HostView, patterns: &[String]) -> Result<BTreeSet<PathBuf>> {
    let mut wanted = PatternTrie::default();
    for pattern in patterns {
        wanted.add(pattern.split('/').filter(|part| !part.is_empty()));
    }
    let mut found = BTreeSet::new();
    wanted.find(view, Path::new("/"), &mut found)?;
    Ok(found)
}

/// Patterns by their path components.
#[derive(Debug, Default)]
struct PatternTrie {
    itself: bool,
    below: BTreeMap<String, PatternTrie>,
}

impl PatternTrie {
    fn add<'a>(&mut self, mut parts: impl Iterator<Item = &'a str>) {
        match parts.next() {
            None => self.itself = true,
            Some(part) => self.below.entry(part.to_owned()).or_default().add(parts),
        }
    }

    fn find(&self, view: &HostView, here: &Path, found: &mut BTreeSet<PathBuf>) -> Result<()> {
        if self.itself {
            found.insert(here.to_owned());
        }
        let is_worth_reading =
            self.below.len() > 1 || self.below.keys().any(|part| part.contains('*'));
        if !is_worth_reading {
            for (part, wanted) in &self.below {
                wanted.find(view, &here.join(part), found)?;
            }
            return Ok(());
        }
        for name in view.list(here)?.unwrap_or_default() {
            let Some(name) = name.to_str() else { continue };
            for (part, wanted) in &self.below {
                if matches(part, name) {
                    wanted.find(view, &here.join(name), found)?;
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn braces_stand_for_each_of_their_texts() {
        assert_eq!(expand_braces("/a"), ["/a"]);
        assert_eq!(expand_braces("/{a,b/c}/d"), ["/a/d", "/b/c/d"]);
        assert_eq!(expand_braces("{a,b}{,c}"), ["a", "ac", "b", "bc"]);
        assert_eq!(expand_braces("a{b"), ["a{b"]);
        assert_eq!(expand_braces(&"{a,b}".repeat(40)).len(), MAX_ALTERNATIVES);
    }

    #[test]
    fn stars_stand_for_any_part_of_a_name() {
        assert!(matches("vim", "vim"));
        assert!(!matches("vim", "vim.tiny"));
        assert!(matches("vim*", "vim"));
        assert!(matches("*.tab", "zone.tab"));
        assert!(matches("a*b*c", "a-é-b--c"));
        assert!(!matches("a*b*c", "a-c-b"));
    }

    #[test]
    fn paths_are_looked_for_where_directories_are() {
        let view = HostView::new(Path::new("/")).expect("the running system");
        let of = |patterns: &[&str]| {
            let patterns: Vec<String> = patterns.iter().map(ToString::to_string).collect();
            let found = paths(&view, &patterns).expect("a look at the host");
            found
                .iter()
                .map(|path| path.display().to_string())
                .collect::<Vec<_>>()
        };
        assert_eq!(of(&["/etc/passwd"]), ["/etc/passwd"]);
        assert_eq!(of(&["/nowhere/a"]), ["/nowhere/a"], "not certain");
        assert_eq!(of(&["/nowhere/a", "/nowhere/b"]), [""; 0]);
        assert_eq!(
            of(&["/etc/pass*d", "/etc/group", "/etc/gro*up"]),
            ["/etc/group", "/etc/passwd"]
        );
    }
}
