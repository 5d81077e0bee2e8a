//! Rust files, split into code, comments and string literals.

use std::fs;
use std::path::{Path, PathBuf};

/// The text of one Rust file in parts. Lines are counted from 1.
#[derive(Debug, Default)]
pub(crate) struct Source {
    /// The code without comments and without the content of literals; lines are as in the file.
    pub(crate) code: String,
    /// Comments that begin with `//`, from there to the end of the line.
    pub(crate) comments: Vec<(usize, String)>,
    /// The content of string literals, as written, one entry a line.
    pub(crate) strings: Vec<(usize, String)>,
}

impl Source {
    /// Splits a text.
    pub(crate) fn parse(text: &str) -> Self {
        let mut source = Self::default();
        let mut rest = text;
        let mut line = 1;
        while let Some(first) = rest.chars().next() {
            let length = if rest.starts_with("//") {
                let length = rest.find('\n').unwrap_or(rest.len());
                source.comments.push((line, rest[..length].to_owned()));
                length
            } else if rest.starts_with("/*") {
                let length = block_comment(rest);
                source.keep_lines(&rest[..length]);
                length
            } else if let Some((open, content, close)) = string(rest) {
                let text = &rest[open..open + content];
                for (offset, text) in text.lines().enumerate() {
                    source.strings.push((line + offset, text.to_owned()));
                }
                source.code.push('"');
                source.keep_lines(text);
                source.code.push('"');
                open + content + close
            } else if let Some(length) = character(rest) {
                source.code.push_str("' '");
                length
            } else if is_word(first) {
                let length = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
                source.code.push_str(&rest[..length]);
                length
            } else {
                source.code.push(first);
                first.len_utf8()
            };
            line += rest[..length].matches('\n').count();
            rest = &rest[length..];
        }
        source
    }

    /// The code before the tests at the end of the file.
    pub(crate) fn product_code(&self) -> &str {
        self.code.split("#[cfg(test)]").next().unwrap_or_default()
    }

    fn keep_lines(&mut self, text: &str) {
        self.code.extend(text.chars().filter(|c| *c == '\n'));
    }
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// The length of the block comment at the start; they nest.
fn block_comment(text: &str) -> usize {
    let mut depth = 0;
    let mut at = 0;
    while at < text.len() {
        if text[at..].starts_with("/*") {
            depth += 1;
            at += 2;
        } else if text[at..].starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                break;
            }
        } else {
            at += text[at..].chars().next().map_or(1, char::len_utf8);
        }
    }
    at
}

/// The lengths of opening, content and closing of the string literal at the start.
fn string(text: &str) -> Option<(usize, usize, usize)> {
    let prefix = text.bytes().take(3).position(|b| b == b'"' || b == b'#')?;
    let hashes = text[prefix..].chars().take_while(|c| *c == '#').count();
    let open = prefix + hashes + 1;
    if !text[prefix + hashes..].starts_with('"') {
        return None;
    }
    match (&text[..prefix], hashes) {
        ("r" | "br" | "cr", _) => {
            let close = format!("\"{}", "#".repeat(hashes));
            let content = text[open..].find(&close)?;
            Some((open, content, close.len()))
        }
        ("" | "b" | "c", 0) => {
            let mut escaped = false;
            let content = text[open..].find(|c| {
                let ends = c == '"' && !escaped;
                escaped = c == '\\' && !escaped;
                ends
            })?;
            Some((open, content, 1))
        }
        _ => None,
    }
}

/// The length of the character literal at the start; a lifetime is none.
fn character(text: &str) -> Option<usize> {
    let content = text.strip_prefix('\'')?;
    if content.starts_with('\\') {
        // The character after the backslash may be the quote itself.
        return Some(content[2..].find('\'')? + 4);
    }
    let length = content.chars().next()?.len_utf8();
    content[length..].starts_with('\'').then_some(length + 2)
}

/// All files below a directory whose name ends in `.end`, in the order of their paths.
pub(crate) fn files_below(directory: impl AsRef<Path>, end: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut pending = vec![directory.as_ref().to_owned()];
    while let Some(directory) = pending.pop() {
        for entry in fs::read_dir(&directory).expect("a readable directory") {
            let path = entry.expect("a directory entry").path();
            if path.is_dir() {
                pending.push(path);
            } else if path.extension().is_some_and(|extension| extension == end) {
                found.push(path);
            }
        }
    }
    found.sort();
    assert!(!found.is_empty(), "no files of type {end}");
    found
}

/// The text of a file.
pub(crate) fn read(path: impl AsRef<Path>) -> String {
    let path = path.as_ref();
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Whether a file holds tests that are beside the code, which may use any part.
pub(crate) fn is_test(path: &Path) -> bool {
    path.components().any(|part| part.as_os_str() == "tests")
        || path.file_name().is_some_and(|name| name == "tests.rs")
}

#[test]
fn a_file_is_split_into_code_comments_and_strings() {
    let text = "let a = \"one // \\\" two\"; // three\n/* four\n */ let b: &'static str = r#\"five\"\nsix\"#;\nlet c = ('\"', '\\'', b'x');\n/// seven\nfn d() {}\n";
    let source = Source::parse(text);
    assert_eq!(
        source.strings,
        [
            (1, "one // \\\" two".to_owned()),
            (3, "five\"".to_owned()),
            (4, "six".to_owned())
        ]
    );
    assert_eq!(
        source.comments,
        [(1, "// three".to_owned()), (6, "/// seven".to_owned())]
    );
    assert_eq!(
        source.code,
        "let a = \"\"; \n\n let b: &'static str = \"\n\";\nlet c = (' ', ' ', b' ');\n\nfn d() {}\n"
    );
}
