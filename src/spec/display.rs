//! Values of a spec in messages: escaped so that they cannot control a terminal, and suggestions
//! for misspelled words.

/// Longest quotation of a value, in characters.
const ECHO: usize = 80;
/// Longest word that gets a suggestion, in bytes.
const MAX_SLIP: usize = 120;

/// Whether `c` can hide or reorder adjacent text, or control a terminal: control characters,
/// bidirectional and other invisible formatting, tags. Includes newline, tab and carriage return.
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

/// `c`, or its escape sequence `\u{…}` if it is hidden.
pub fn visible(c: char) -> String {
    match c {
        '\n' => "\\n".to_owned(),
        '\t' => "\\t".to_owned(),
        '\r' => "\\r".to_owned(),
        c if is_hidden(c) => format!("\\u{{{:x}}}", u32::from(c)),
        c => c.to_string(),
    }
}

/// `text` with hidden characters escaped, cut to 80 characters with an ellipsis.
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

/// Last character boundary of `text` at or before `at`.
pub fn char_boundary_before(text: &str, at: usize) -> usize {
    (0..=at.min(text.len()))
        .rev()
        .find(|&at| text.is_char_boundary(at))
        .unwrap_or(0)
}

/// `words` as an enumeration: "`a`, `b` and `c`".
pub(crate) fn list<'a>(words: impl IntoIterator<Item = &'a str>, and: &str) -> String {
    let words: Vec<String> = words.into_iter().map(|word| format!("`{word}`")).collect();
    match words.as_slice() {
        [rest @ .., last] if !rest.is_empty() => format!("{} {and} {last}", rest.join(", ")),
        _ => words.join(""),
    }
}

/// The candidate that `word` was probably meant to be: at most a third of its letters changed, left
/// out, added or transposed. Case is ignored.
pub(crate) fn suggest<'a>(
    word: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    // Longer words are not slips, and their distance would take long.
    if word.len() > MAX_SLIP {
        return None;
    }
    let word = word.to_lowercase();
    let length = word.chars().count();
    let limit = (length / 3).clamp(1, 3);
    candidates
        .into_iter()
        .filter(|candidate| candidate.chars().count().abs_diff(length) <= limit)
        .map(|candidate| {
            let distance = strsim::osa_distance(&word, &candidate.to_lowercase());
            (distance, candidate)
        })
        .filter(|(distance, _)| *distance <= limit)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
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
