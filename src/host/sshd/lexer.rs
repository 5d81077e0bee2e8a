//! Words of a line of sshd_config(5), split as servconf.c and misc.c of OpenSSH split them.
//!
//! Three generations of sshd read a Match or Include line in different ways. If a line has another
//! meaning in each of them, every meaning counts.

/// Blanks of strdelim() in misc.c.
const SPACE: [char; 4] = [' ', '\t', '\r', '\n'];

/// How a generation of sshd splits the text after the keyword.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reading {
    /// Up to OpenSSH 8.6: strdelim(), after everything from the first `#` of the line on was cut
    /// off.
    Trimmed,
    /// OpenSSH 8.7 to 9.8: strdelim() for Match, which treats one `=` as a blank; quotes must be
    /// closed by the rules of [`Reading::Vector`] too.
    Delimited,
    /// From OpenSSH 9.9: argv_split(), with backslashes and both kinds of quotes; `=` is a
    /// character like any other.
    Vector,
}

impl Reading {
    /// Every generation, oldest first.
    pub(super) const ALL: [Self; 3] = [Self::Trimmed, Self::Delimited, Self::Vector];

    /// Arguments of a Match line; `None` if this generation refuses its quotes.
    pub(super) fn split(self, arguments: &str) -> Option<Vec<String>> {
        match self {
            Self::Trimmed => {
                let end = arguments.find('#').unwrap_or(arguments.len());
                Some(delimited(arguments[..end].trim_end_matches(SPACE)))
            }
            Self::Delimited => {
                vector(arguments)?;
                Some(delimited(arguments))
            }
            Self::Vector => vector(arguments),
        }
    }
}

/// A line with a keyword: its number from 1, the keyword in lower case, and the text after it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Line<'t> {
    pub(super) number: usize,
    pub(super) keyword: String,
    pub(super) arguments: &'t str,
}

/// The lines of a file that are neither empty nor comments.
pub(super) fn lines(text: &str) -> impl Iterator<Item = Line<'_>> {
    text.split('\n').enumerate().filter_map(|(index, line)| {
        let line = line
            .trim_start_matches([' ', '\t', '\r'])
            .trim_end_matches([' ', '\t', '\r', '\n', '\x0c']);
        let (mut keyword, mut rest) = delimit(line);
        if keyword.as_deref() == Some("") {
            (keyword, rest) = delimit(rest.unwrap_or_default());
        }
        let keyword = keyword.filter(|word| !word.is_empty() && !word.starts_with('#'))?;
        Some(Line {
            number: index + 1,
            keyword: keyword.to_ascii_lowercase(),
            arguments: rest.unwrap_or_default(),
        })
    })
}

/// Result of strdelim() of misc.c at the start of a text: the word, `None` if a quote is not
/// closed, and the remaining text, `None` at the end.
fn delimit(text: &str) -> (Option<String>, Option<&str>) {
    let Some(at) = text.find([' ', '\t', '\r', '\n', '"', '=']) else {
        return (Some(text.to_owned()), None);
    };
    let (word, rest) = text.split_at(at);
    if let Some(quoted) = rest.strip_prefix('"') {
        return match quoted.split_once('"') {
            // Text before the quote is part of the word.
            Some((inside, rest)) => (
                Some(format!("{word}{inside}")),
                Some(rest.trim_start_matches(SPACE)),
            ),
            None => (None, None),
        };
    }
    let had_equals = rest.starts_with('=');
    let mut rest = rest[1..].trim_start_matches(SPACE);
    if !had_equals && let Some(after) = rest.strip_prefix('=') {
        rest = after.trim_start_matches(SPACE);
    }
    (Some(word.to_owned()), Some(rest))
}

/// Words that strdelim() finds, up to the first empty one, which ends a Match line. Text after that
/// is returned as a last word, since sshd refuses it.
fn delimited(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut rest = Some(text);
    while let Some(text) = rest {
        let (word, left) = delimit(text);
        let Some(word) = word else { break };
        if word.is_empty() {
            words.push(word);
            words.extend(left.filter(|left| !left.is_empty()).map(str::to_owned));
            break;
        }
        words.push(word);
        rest = left;
    }
    words
}

/// Words that argv_split() of misc.c finds, up to a comment; `None` if a quote is not closed.
pub(super) fn vector(text: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut characters = text.chars().peekable();
    while let Some(first) = characters.peek().copied() {
        if first == ' ' || first == '\t' {
            characters.next();
            continue;
        }
        if first == '#' {
            break;
        }
        let mut word = String::new();
        let mut quote = None;
        while let Some(character) = characters.next() {
            match (character, quote) {
                ('\\', _) => {
                    let next = characters.peek().copied();
                    let is_escape = matches!(next, Some('\'' | '"' | '\\'))
                        || (next == Some(' ') && quote.is_none());
                    word.push(if is_escape {
                        characters.next().unwrap_or('\\')
                    } else {
                        '\\'
                    });
                }
                (' ' | '\t', None) => break,
                ('"' | '\'', None) => quote = Some(character),
                (end, Some(open)) if end == open => quote = None,
                _ => word.push(character),
            }
        }
        if quote.is_some() {
            return None;
        }
        words.push(word);
    }
    Some(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keywords_are_taken_as_sshd_takes_them() {
        let text = "# x\n \t Match user a\nPort=22\n\"port\" 23\n= Port 24\n\nPort\t=\t25\r\n#Port 1\n Port\n";
        let found: Vec<(usize, String, &str)> = lines(text)
            .map(|line| (line.number, line.keyword, line.arguments))
            .collect();
        let expected = [
            (2, "match", "user a"),
            (3, "port", "22"),
            (4, "port", "23"),
            (5, "port", "24"),
            (7, "port", "25"),
            (9, "port", ""),
        ];
        assert_eq!(
            found,
            expected.map(|(number, keyword, rest)| (number, keyword.to_owned(), rest))
        );
    }

    #[test]
    fn each_generation_splits_in_its_own_way() {
        for (text, trimmed, delimited, vector) in [
            (
                "User bob # x",
                &["User", "bob"][..],
                &["User", "bob", "#", "x"][..],
                &["User", "bob"][..],
            ),
            (
                "Address=10.0.0.1",
                &["Address", "10.0.0.1"],
                &["Address", "10.0.0.1"],
                &["Address=10.0.0.1"],
            ),
            (
                "User = a\"b c\"",
                &["User", "ab c", ""],
                &["User", "ab c", ""],
                &["User", "=", "ab c"],
            ),
            (
                "User 'a b' c\\ d",
                &["User", "'a", "b'", "c\\", "d"],
                &["User", "'a", "b'", "c\\", "d"],
                &["User", "a b", "c d"],
            ),
        ] {
            let split = |reading: Reading| reading.split(text);
            assert_eq!(split(Reading::Trimmed), Some(owned(trimmed)), "{text}");
            assert_eq!(split(Reading::Delimited), Some(owned(delimited)), "{text}");
            assert_eq!(split(Reading::Vector), Some(owned(vector)), "{text}");
        }
        assert_eq!(Reading::Vector.split("User o'brien"), None);
        assert_eq!(Reading::Delimited.split("User o'brien"), None);
        assert!(Reading::Trimmed.split("User o'brien").is_some());
    }

    fn owned(words: &[&str]) -> Vec<String> {
        words.iter().map(|word| (*word).to_owned()).collect()
    }
}
