//! Patterns of the rules: `{a,b}` stands for either text, `*` for any part of one name. Nothing else is special.

use std::path::{Path, PathBuf};

use crate::error::Result;
use crate::host::View;

/// The texts that a pattern with braces stands for, in order. Braces do not nest; one that is not closed is plain text.
pub(super) fn alternatives(pattern: &str) -> Vec<String> {
    let parts = pattern.split_once('{').and_then(|(before, rest)| {
        let (choices, after) = rest.split_once('}')?;
        Some((before, choices, after))
    });
    let Some((before, choices, after)) = parts else {
        return vec![pattern.to_owned()];
    };
    let endings = alternatives(after);
    choices
        .split(',')
        .flat_map(|choice| {
            endings
                .iter()
                .map(move |ending| format!("{before}{choice}{ending}"))
        })
        .collect()
}

/// Whether a pattern without braces stands for `name`.
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

/// The paths of the host that an absolute pattern without braces stands for. Where it has no `*`, that is itself, there or not.
pub(super) fn paths(view: &View, pattern: &str) -> Result<Vec<PathBuf>> {
    let mut found = vec![PathBuf::from("/")];
    for part in pattern.split('/').filter(|part| !part.is_empty()) {
        let mut next = Vec::new();
        for directory in &found {
            if part.contains('*') {
                next.extend(children(view, directory, part)?);
            } else {
                next.push(directory.join(part));
            }
        }
        found = next;
    }
    Ok(found)
}

fn children(view: &View, directory: &Path, pattern: &str) -> Result<Vec<PathBuf>> {
    Ok(view
        .list(directory)?
        .unwrap_or_default()
        .into_iter()
        .filter(|name| name.to_str().is_some_and(|name| matches(pattern, name)))
        .map(|name| directory.join(name))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn braces_stand_for_each_of_their_texts() {
        assert_eq!(alternatives("/a"), ["/a"]);
        assert_eq!(alternatives("/{a,b/c}/d"), ["/a/d", "/b/c/d"]);
        assert_eq!(alternatives("{a,b}{,c}"), ["a", "ac", "b", "bc"]);
        assert_eq!(alternatives("a{b"), ["a{b"]);
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
}
