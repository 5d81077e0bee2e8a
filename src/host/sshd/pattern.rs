//! Patterns of ssh_config(5), section PATTERNS, and lists of them, as in match.c of OpenSSH.
//! Matching is by bytes.

use std::collections::{BTreeSet, VecDeque};

/// Most states of an automaton that [`examples`] explores.
const STATES: usize = 4096;
/// An entry of a list that is longer matches nothing, and neither does its list (match.c,
/// `sub[1024]`).
const ENTRY_LIMIT: usize = 1022;

/// Whether `text` matches a pattern with `*` and `?`. Time is at most the product of both lengths.
pub(super) fn matches(pattern: &str, text: &str) -> bool {
    // A longer pattern has more positions than states can be numbered; sshd reads no such line from
    // a snippet.
    pattern.len() < usize::from(u16::MAX)
        && accepts(pattern, &steps(pattern, &start(pattern), text))
}

/// States of the NFA of a pattern before any input: the positions that may be next.
pub(super) fn start(pattern: &str) -> Vec<u16> {
    close(pattern.as_bytes(), [0].into())
}

/// States after `text`.
pub(super) fn steps(pattern: &str, states: &[u16], text: &str) -> Vec<u16> {
    let pattern = pattern.as_bytes();
    text.bytes().fold(states.to_vec(), |states, byte| {
        let next = states
            .iter()
            .filter_map(|at| match pattern.get(usize::from(*at)) {
                Some(b'*') => Some(*at),
                Some(b'?') => Some(at + 1),
                Some(one) if *one == byte => Some(at + 1),
                _ => None,
            });
        close(pattern, next.collect())
    })
}

/// Whether one of the states is at the end of the pattern.
fn accepts(pattern: &str, states: &[u16]) -> bool {
    states.iter().any(|at| usize::from(*at) == pattern.len())
}

/// Adds the states after stars, which can also match nothing.
fn close(pattern: &[u8], mut states: BTreeSet<u16>) -> Vec<u16> {
    let mut open: Vec<u16> = states.iter().copied().collect();
    while let Some(at) = open.pop() {
        if pattern.get(usize::from(at)) == Some(&b'*') && states.insert(at + 1) {
            open.push(at + 1);
        }
    }
    states.into_iter().collect()
}

/// A comma-separated list of patterns, each of which `!` negates.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct PatternList {
    text: String,
}

/// Result of matching a text with a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// A pattern matches, and no negated one does.
    Match,
    /// A negated pattern matches.
    Negated,
    /// No pattern matches.
    None,
}

impl PatternList {
    /// The list in `text`; `lower` is for host names, which are compared in lower case.
    pub(super) fn new(text: &str, lower: bool) -> Self {
        Self {
            text: if lower {
                text.to_ascii_lowercase()
            } else {
                text.to_owned()
            },
        }
    }

    /// Entries: whether negated, and the pattern. `None` for one that is too long.
    fn entries(&self) -> impl Iterator<Item = Option<(bool, &str)>> {
        // A comma at the end is followed by no entry, and an empty list has none.
        let text = self.text.strip_suffix(',').unwrap_or(&self.text);
        let is_empty = self.text.is_empty();
        text.split(',')
            .filter(move |_| !is_empty)
            .map(|entry| match entry.strip_prefix('!') {
                Some(pattern) => (true, pattern),
                None => (false, entry),
            })
            .map(|(negated, pattern)| (pattern.len() <= ENTRY_LIMIT).then_some((negated, pattern)))
    }

    /// Patterns, without their negation.
    pub(super) fn patterns(&self) -> impl Iterator<Item = &str> {
        self.entries().flatten().map(|(_, pattern)| pattern)
    }

    /// Result for `text`, as in match_pattern_list().
    pub(super) fn verdict(&self, text: &str) -> Verdict {
        let mut verdict = Verdict::None;
        for entry in self.entries() {
            let Some((negated, pattern)) = entry else {
                return Verdict::None;
            };
            if matches(pattern, text) {
                if negated {
                    return Verdict::Negated;
                }
                verdict = Verdict::Match;
            }
        }
        verdict
    }
}

/// Texts of printable characters, without commas and not empty, one for each set of `patterns` that
/// a text can match at the same time, shortest first. If there are too many sets, some may be
/// missing.
pub(super) fn examples(patterns: &[&str]) -> Vec<String> {
    let mut alphabet: BTreeSet<u8> = patterns
        .iter()
        .flat_map(|pattern| pattern.bytes())
        .filter(|byte| byte.is_ascii_graphic() && !b"*?,".contains(byte))
        .collect();
    // A text that no pattern matches.
    alphabet.extend(
        (b'a'..=b'z')
            .chain(b'0'..=b'9')
            .find(|byte| !alphabet.contains(byte)),
    );
    let first: Vec<Vec<u16>> = patterns.iter().map(|pattern| start(pattern)).collect();
    let mut found: BTreeSet<Vec<bool>> = BTreeSet::new();
    let mut texts = Vec::new();
    let mut seen: BTreeSet<Vec<Vec<u16>>> = BTreeSet::new();
    let mut queue = VecDeque::from([(String::new(), first)]);
    while let Some((text, states)) = queue.pop_front() {
        for byte in &alphabet {
            let one = char::from(*byte).to_string();
            let next: Vec<Vec<u16>> = patterns
                .iter()
                .zip(&states)
                .map(|(pattern, states)| steps(pattern, states, &one))
                .collect();
            if seen.len() >= STATES || !seen.insert(next.clone()) {
                continue;
            }
            let mut longer = text.clone();
            longer.push_str(&one);
            let accepted = patterns
                .iter()
                .zip(&next)
                .map(|(pattern, states)| accepts(pattern, states));
            if found.insert(accepted.collect()) {
                texts.push(longer.clone());
            }
            queue.push_back((longer, next));
        }
    }
    texts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_in_ssh_config() {
        for (pattern, text, fits) in [
            ("*.conf", "a.conf", true),
            ("*.conf", "a.conf.bak", false),
            ("a?c", "abc", true),
            ("a*c*e", "abcde", true),
            ("", "", true),
            ("*", "", true),
            ("**", "x", true),
            ("jail-*", "jail-arkham", true),
            ("?", "", false),
        ] {
            assert_eq!(matches(pattern, text), fits, "{pattern} {text}");
        }
    }

    #[test]
    fn a_negated_pattern_ends_a_list() {
        for (list, text, verdict) in [
            ("a*,!ab*", "ac", Verdict::Match),
            ("a*,!ab*", "abc", Verdict::Negated),
            ("!ab*", "ac", Verdict::None),
            ("a,", "", Verdict::None),
            (",", "", Verdict::Match),
            ("", "", Verdict::None),
            ("!!a", "!a", Verdict::Negated),
        ] {
            assert_eq!(
                PatternList::new(list, false).verdict(text),
                verdict,
                "{list} {text}"
            );
        }
        let long = format!("a,{}", "b".repeat(ENTRY_LIMIT + 1));
        assert_eq!(PatternList::new(&long, false).verdict("a"), Verdict::None);
    }

    #[test]
    fn there_is_an_example_of_each_set_of_patterns() {
        let patterns = ["*.example", "mail*", "x?.example"];
        let texts = examples(&patterns);
        let sets: BTreeSet<Vec<bool>> = texts
            .iter()
            .map(|text| {
                patterns
                    .iter()
                    .map(|pattern| matches(pattern, text))
                    .collect()
            })
            .collect();
        assert_eq!(sets.len(), 5, "{texts:?}");
        assert_eq!(sets.len(), texts.len());
    }
}
