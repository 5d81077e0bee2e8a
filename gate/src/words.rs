//! Splits a command line into words as sh(1) would, as far as clients rely on it: quotes and
//! backslashes, and `~` for the home directory.
//!
//! A line for which a shell would do anything else (expand, redirect, start a second command) is
//! refused as a whole.

use crate::refusal::Refusal;

/// Characters that a shell would interpret, outside of quotes.
const SPECIAL: &[u8] = b";&|<>()$`\n\r*?[]{}!#";
/// Characters that a shell interprets between double quotes.
const SPECIAL_IN_QUOTES: &[u8] = b"$`!";

/// Splits `line` into words. A leading `~` or `~/` of a word is replaced by `home`.
///
/// # Errors
/// A refusal for a line that a shell would interpret, and for one with an open quote.
pub fn split(line: &[u8], home: &str) -> Result<Vec<Vec<u8>>, Refusal> {
    let mut words = Vec::new();
    let mut word: Option<Vec<u8>> = None;
    let mut rest = line.iter().copied().peekable();
    while let Some(byte) = rest.next() {
        match byte {
            b' ' | b'\t' => words.extend(word.take()),
            b'\'' => {
                let word = word.get_or_insert_default();
                loop {
                    match rest.next() {
                        Some(b'\'') => break,
                        Some(byte) => word.push(checked(byte)?),
                        None => return Err(Refusal::new("it has an open quote")),
                    }
                }
            }
            b'"' => {
                let word = word.get_or_insert_default();
                loop {
                    match rest.next() {
                        Some(b'"') => break,
                        Some(b'\\') => match rest.next() {
                            Some(byte) if b"\\\"$`".contains(&byte) => word.push(byte),
                            Some(byte) => word.extend([b'\\', checked(byte)?]),
                            None => return Err(Refusal::new("it has an open quote")),
                        },
                        Some(byte) if SPECIAL_IN_QUOTES.contains(&byte) => {
                            return Err(expanded(byte));
                        }
                        Some(byte) => word.push(checked(byte)?),
                        None => return Err(Refusal::new("it has an open quote")),
                    }
                }
            }
            b'\\' => match rest.next() {
                Some(byte) => word.get_or_insert_default().push(checked(byte)?),
                None => return Err(Refusal::new("it ends with a backslash")),
            },
            b'~' if word.is_none() => {
                if !matches!(rest.peek(), None | Some(b'/' | b' ' | b'\t')) {
                    return Err(expanded(byte));
                }
                word = Some(home.as_bytes().to_vec());
            }
            _ if SPECIAL.contains(&byte) => return Err(expanded(byte)),
            _ => word.get_or_insert_default().push(checked(byte)?),
        }
    }
    words.extend(word);
    Ok(words)
}

/// Refuses control characters, which no client sends and which would disturb the log.
fn checked(byte: u8) -> Result<u8, Refusal> {
    if byte.is_ascii_control() {
        return Err(Refusal::new("it has a control character"));
    }
    Ok(byte)
}

fn expanded(byte: u8) -> Refusal {
    match byte {
        b'*' | b'?' | b'[' | b']' | b'{' | b'}' => {
            Refusal::new("wildcards are not expanded here; quote them, or name the files")
        }
        b'\n' | b'\r' => Refusal::new("it has more than one line"),
        _ => Refusal::new(format!(
            "there is no shell here that could interpret `{}`",
            byte.escape_ascii()
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::split;

    fn words(line: &str) -> Option<Vec<String>> {
        let words = split(line.as_bytes(), "/home/ana").ok()?;
        let text = |word| String::from_utf8(word).expect("UTF-8");
        Some(words.into_iter().map(text).collect())
    }

    #[test]
    fn quotes_and_backslashes_are_those_of_a_shell() {
        for (line, expected) in [
            ("", vec![]),
            ("  a  b\t", vec!["a", "b"]),
            (
                "git-upload-pack 'it'\\''s'",
                vec!["git-upload-pack", "it's"],
            ),
            (r#"a"b c"'d e'\ f"#, vec!["ab cd e f"]),
            (r#""a\"b\\c\d""#, vec![r#"a"b\c\d"#]),
            ("'$(x);*'", vec!["$(x);*"]),
            ("''", vec![""]),
            ("~ ~/x a~", vec!["/home/ana", "/home/ana/x", "a~"]),
            ("'~'/x", vec!["~/x"]),
            (r"\~/x", vec!["~/x"]),
        ] {
            let expected: Vec<String> = expected.into_iter().map(str::to_owned).collect();
            assert_eq!(words(line), Some(expected), "{line}");
        }
    }

    #[test]
    fn lines_that_a_shell_would_interpret_are_refused() {
        for line in [
            "a;b",
            "a&b",
            "a|b",
            "a>b",
            "a<b",
            "a(b",
            "$x",
            "`x`",
            "\"$x\"",
            "\"`x`\"",
            "a\nb",
            "a\rb",
            "*",
            "a?",
            "[a]",
            "{a,b}",
            "!x",
            "a #b",
            "~root",
            "~+/x",
            "'a",
            "\"a",
            "\"a\\",
            "a\\",
            "a\\\nb",
            "'a\nb'",
            "\"a\nb\"",
            "\"!x\"",
            "a\u{7}b",
            "'a\u{1b}b'",
        ] {
            assert_eq!(words(line), None, "{line:?}");
        }
    }
}
