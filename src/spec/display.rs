//! Words of a spec as text: shown so that they cannot deceive a terminal, and compared so that a slip of the hand gets a suggestion.

/// Longest echo of a value, in characters.
const ECHO: usize = 80;

/// Whether `c` can hide or reorder what stands beside it, or steer a terminal: control characters, bidirectional and other invisible formatting, tags.
///
/// Newline, tab and carriage return are among them; who allows these asks before.
pub fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{feff}'
            | '\u{200b}' | '\u{200e}' | '\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e007f}')
}

/// `c` as a message may show it: itself, or `\u{…}` where it is hidden.
pub fn visible(c: char) -> String {
    match c {
        '\n' => "\\n".to_owned(),
        '\t' => "\\t".to_owned(),
        '\r' => "\\r".to_owned(),
        c if is_hidden(c) => format!("\\u{{{:x}}}", u32::from(c)),
        c => c.to_string(),
    }
}

/// `text` as a message may show it: hidden characters escaped, at most 80 characters, the rest an ellipsis.
pub fn quote(text: &str) -> String {
    let mut shown = String::new();
    let mut length = 0;
    for c in text.chars() {
        let piece = visible(c);
        length += piece.chars().count();
        if length > ECHO - 1 {
            shown.push('…');
            break;
        }
        shown.push_str(&piece);
    }
    shown
}

/// The last character boundary of `text` that is not after `at`.
pub fn char_boundary_before(text: &str, at: usize) -> usize {
    (0..=at.min(text.len()))
        .rev()
        .find(|&at| text.is_char_boundary(at))
        .unwrap_or(0)
}

/// `words` as a sentence holds them: "`a`, `b` and `c`".
pub(crate) fn list<'a>(words: impl IntoIterator<Item = &'a str>, and: &str) -> String {
    let words: Vec<String> = words.into_iter().map(|word| format!("`{word}`")).collect();
    match words.as_slice() {
        [rest @ .., last] if !rest.is_empty() => format!("{} {and} {last}", rest.join(", ")),
        _ => words.join(""),
    }
}

/// The candidate that `word` was most likely meant to be: at most a third of its letters changed, left out, added or swapped.
pub(crate) fn suggest<'a>(
    word: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let limit = (word.chars().count() / 3).clamp(1, 3);
    // Most words are told apart by this, which costs little.
    let is_near = |candidate: &&str| {
        !word.is_ascii() || strange(word, candidate).max(strange(candidate, word)) <= limit
    };
    candidates
        .into_iter()
        .filter(is_near)
        .map(|candidate| (distance(word, candidate), candidate))
        .filter(|(distance, _)| *distance <= limit)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// How many letters of `a`, of plain ASCII, are none of `b`: each takes a change of its own. Case does not count.
fn strange(a: &str, b: &str) -> usize {
    let mut left = [0_usize; 128];
    for byte in b.bytes().filter(u8::is_ascii) {
        left[usize::from(byte.to_ascii_lowercase())] += 1;
    }
    let is_strange = |byte: &u8| {
        let left = left.get_mut(usize::from(byte.to_ascii_lowercase()));
        left.is_none_or(|left| left.checked_sub(1).map(|less| *left = less).is_none())
    };
    a.bytes().filter(is_strange).count()
}

/// Number of letters to change, add, leave out or swap with their neighbour to make `b` of `a`. Case does not count; words too long to be a slip are far apart.
fn distance(a: &str, b: &str) -> usize {
    if a.len() > 120 {
        return usize::MAX;
    }
    let lower = |text: &str| text.to_lowercase().chars().collect::<Vec<_>>();
    let (a, b) = (lower(a), lower(b));
    if a.len().abs_diff(b.len()) > 3 {
        return usize::MAX;
    }
    let mut before = Vec::new();
    let mut above: Vec<usize> = (0..=b.len()).collect();
    for i in 0..a.len() {
        let mut row = vec![i + 1];
        for j in 0..b.len() {
            let change = above[j] + usize::from(a[i] != b[j]);
            let mut best = change.min(above[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && a[i] == b[j - 1] && a[i - 1] == b[j] {
                let twice_above: &Vec<usize> = &before;
                best = best.min(twice_above[j - 1] + 1);
            }
            row.push(best);
        }
        before = std::mem::replace(&mut above, row);
    }
    above[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn echoes_are_short_and_plain() {
        assert_eq!(quote("plain é 日"), "plain é 日");
        assert_eq!(quote("a\u{1b}[2Jb"), "a\\u{1b}[2Jb");
        assert_eq!(quote("x\u{202e}y\n"), "x\\u{202e}y\\n");
        let long = quote(&"\u{7}".repeat(5000));
        assert!(long.chars().count() <= 80, "{long}");
        assert!(long.ends_with('…'));
        assert_eq!(quote(&"a".repeat(79)), "a".repeat(79));
    }

    #[test]
    fn slips_are_understood() {
        let keys = ["name", "root", "templates", "binaries", "user"];
        for (slip, meant) in [
            ("biinaries", Some("binaries")),
            ("binaires", Some("binaries")),
            ("Name", Some("name")),
            ("users", Some("user")),
            ("anme", Some("name")),
            ("template", Some("templates")),
            ("zebra", None),
            ("", None),
        ] {
            assert_eq!(suggest(slip, keys), meant, "{slip}");
        }
        assert_eq!(suggest(&"a".repeat(1 << 20), keys), None);
    }

    #[test]
    fn lists_read_as_sentences() {
        assert_eq!(list(["a"], "or"), "`a`");
        assert_eq!(list(["a", "b", "c"], "or"), "`a`, `b` or `c`");
        assert_eq!(list([], "or"), "");
    }
}
