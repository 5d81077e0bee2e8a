//! Which files an Include of sshd_config(5) names: patterns of glob(7), in any component of a path.

use std::path::{Path, PathBuf};

use crate::error::Result;
use crate::host::View;

/// The paths that a pattern names, in order. One without wildcards need not be there.
pub(super) fn glob(view: &View, pattern: &Path) -> Result<Vec<PathBuf>> {
    let mut found = vec![PathBuf::new()];
    for part in pattern.components() {
        let name = part.as_os_str().to_string_lossy();
        if !name.contains(['*', '?', '[', '\\']) {
            for path in &mut found {
                path.push(part);
            }
            continue;
        }
        let pattern: Vec<char> = name.chars().collect();
        let mut next = Vec::new();
        for parent in found {
            let names = view.list(&parent)?.unwrap_or_default();
            let names = names.iter().filter_map(|name| name.to_str());
            next.extend(
                names
                    .filter(|name| names_it(&pattern, name))
                    .map(|name| parent.join(name)),
            );
        }
        found = next;
    }
    Ok(found)
}

fn names_it(pattern: &[char], name: &str) -> bool {
    let name: Vec<char> = name.chars().collect();
    (name.first() != Some(&'.') || pattern.first() == Some(&'.')) && fits(pattern, &name)
}

fn fits(pattern: &[char], text: &[char]) -> bool {
    let Some((first, rest)) = pattern.split_first() else {
        return text.is_empty();
    };
    if *first == '*' {
        return (0..=text.len()).any(|from| fits(rest, &text[from..]));
    }
    let Some((letter, text)) = text.split_first() else {
        return false;
    };
    let (is_it, rest) = match (first, rest, set(rest)) {
        ('?', ..) => (true, rest),
        ('\\', [plain, behind @ ..], _) => (plain == letter, behind),
        ('[', _, Some((set, behind))) => (holds(set, *letter), behind),
        _ => (first == letter, rest),
    };
    is_it && fits(rest, text)
}

/// What stands between brackets, and what is behind them. A `]` that comes first is one of the letters.
fn set(behind: &[char]) -> Option<(&[char], &[char])> {
    let inverted = usize::from(matches!(behind.first(), Some('!' | '^')));
    let end = (inverted + 1..behind.len()).find(|at| behind[*at] == ']')?;
    Some((&behind[..end], &behind[end + 1..]))
}

fn holds(set: &[char], letter: char) -> bool {
    let (inverted, mut set) = match set {
        ['!' | '^', rest @ ..] => (true, rest),
        _ => (false, set),
    };
    let mut found = false;
    while let [from, rest @ ..] = set {
        (found, set) = match rest {
            ['-', to, rest @ ..] => (found || (*from..=*to).contains(&letter), rest),
            _ => (found || *from == letter, rest),
        };
    }
    found != inverted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_name_what_the_c_library_finds() {
        for (pattern, name, is) in [
            ("*.conf", "a.conf", true),
            ("*.conf", "a.conf.bak", false),
            ("*.conf", ".conf", false),
            (".*", ".conf", true),
            ("a?c", "abc", true),
            ("a*c*e", "abcde", true),
            ("[0-9][0-9]-*", "07-own", true),
            ("[0-9][0-9]-*", "7-own", false),
            ("[!ab]", "c", true),
            ("[^ab]", "b", false),
            ("[]x]", "]", true),
            ("[a-]", "-", true),
            ("[x", "[x", true),
            ("\\*", "*", true),
            ("\\*", "x", false),
            ("?", "", false),
        ] {
            let letters: Vec<char> = pattern.chars().collect();
            assert_eq!(names_it(&letters, name), is, "{pattern} {name}");
        }
    }
}
