//! Bytes to text to TOML: what is no spec at all is refused here, and what the TOML parser complains of is said in words that help.

use std::ops::Range;
use std::sync::Arc;

use toml::de::DeTable;

use super::secret::redact;
use super::text::{echo, is_hidden, visible};
use crate::error::{Error, Finding, Result};
use crate::site::{Site, Source};

/// Largest spec or template, in bytes.
pub const MAX: usize = 1 << 20;

/// Makes the text of a spec from what a file holds. `name` is the file as the user named it.
///
/// Refuses what is larger than [`MAX`] or not UTF-8. Callers need not read more than `MAX + 1` bytes.
pub fn source(name: &str, bytes: Vec<u8>) -> Result<Arc<Source>> {
    if bytes.len() > MAX {
        return Err(too_large(name).into());
    }
    let named = |text| {
        Arc::new(Source {
            name: name.to_owned(),
            text,
        })
    };
    String::from_utf8(bytes).map(named).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        let bad = error.as_bytes()[at];
        let text = String::from_utf8_lossy(error.as_bytes()).into_owned();
        let source = redact(&named(text), &DeTable::new());
        let site = Site {
            source,
            span: at..at + '\u{fffd}'.len_utf8(),
        };
        Error::from(
            Finding::new(format!("`{}` is not UTF-8", echo(name)))
                .why(format!("it has the byte 0x{bad:02x} at offset {at}"))
                .hint("save the file as UTF-8 without a byte order mark")
                .at(&site, "not UTF-8 from here on"),
        )
    })
}

fn too_large(name: &str) -> Finding {
    Finding::new(format!("`{}` is too large", echo(name)))
        .why("a spec or template has at most 1 MiB")
        .hint("put long texts into files and name these as `source`")
}

/// What could be read of a text.
#[derive(Debug)]
pub(crate) struct Document<'text> {
    /// The text without its secrets: what every site points into.
    pub(crate) source: Arc<Source>,
    /// As much as could be parsed.
    pub(crate) tree: DeTable<'text>,
    /// What is wrong with the text as TOML: one finding a line, in order. If there is any, `tree` has gaps.
    pub(crate) findings: Vec<Finding>,
}

/// Parses `source` as TOML.
pub(crate) fn parse(source: &Arc<Source>) -> Result<Document<'_>> {
    let text = &source.text;
    if text.len() > MAX {
        return Err(too_large(&source.name).into());
    }
    let (tree, errors) = DeTable::parse_recoverable(text);
    let tree = tree.into_inner();
    let shown = redact(source, &tree);
    let mut complaints = hidden(text);
    for error in errors.iter().take(1000) {
        let span = error.span().unwrap_or(0..0);
        complaints.push((span, plain_words(error.message())));
    }
    complaints.sort_by_key(|(span, _)| span.start);
    let mut findings: Vec<Finding> = Vec::new();
    let mut line_end = 0;
    for (span, words) in complaints {
        if span.start < line_end || findings.len() == super::findings::MAX {
            continue;
        }
        line_end = text
            .get(span.start..)
            .and_then(|rest| rest.find('\n'))
            .map_or(text.len() + 1, |at| span.start + at + 1);
        let (what, label, hint) = words;
        let span = on_one_line(text, span);
        let mut finding = Finding::new(what).at(
            &Site {
                source: Arc::clone(&shown),
                span,
            },
            label,
        );
        finding.hints.extend(hint.map(str::to_owned));
        findings.push(finding);
    }
    Ok(Document {
        source: shown,
        tree,
        findings,
    })
}

/// An error's span widened to something that can be seen, and not past its line.
fn on_one_line(text: &str, span: Range<usize>) -> Range<usize> {
    let rest = text.get(span.start..).unwrap_or_default();
    let line = rest.find('\n').map_or(text.len(), |at| span.start + at);
    span.start..span.end.min(line).max(span.start)
}

/// What is wrong, the words under the marker, and a hint.
type Words = (String, String, Option<&'static str>);

/// Hidden characters of the raw text, comments included: the first of each line. TOML itself forbids only some of them.
fn hidden(text: &str) -> Vec<(Range<usize>, Words)> {
    let mut found = Vec::new();
    let mut start = 0;
    for (index, line) in text.split_inclusive('\n').enumerate() {
        let bare = line.strip_suffix('\n').unwrap_or(line);
        let bare = bare.strip_suffix('\r').unwrap_or(bare);
        let first = bare
            .char_indices()
            .find(|&(at, c)| is_hidden(c) && c != '\t' && !(c == '\u{feff}' && index + at == 0));
        if let Some((at, c)) = first {
            let kind = if c.is_control() {
                "control"
            } else {
                "invisible"
            };
            found.push((
                start + at..start + at + c.len_utf8(),
                (
                    format!("the {kind} character `{}`", visible(c)),
                    "not allowed in a spec".to_owned(),
                    Some("take it out; an editor may have to be told to show such characters"),
                ),
            ));
            if found.len() > super::findings::MAX {
                break;
            }
        }
        start += line.len();
    }
    found
}

/// The parser's message as an administrator would say it.
fn plain_words(message: &str) -> Words {
    let (what, expected) = message.split_once(", expected ").unwrap_or((message, ""));
    let words = |what: &str, label: &str, hint: Option<&'static str>| {
        (what.to_owned(), label.to_owned(), hint)
    };
    match what {
        "string values must be quoted" => words(
            "a value is missing, or its quotes are",
            "a value between quotes is wanted here",
            Some("text stands between quotes: `name = \"arkham\"`"),
        ),
        "unexpected leading zero" => words(
            "a number starts with 0",
            "",
            Some("a mode is written between quotes: `mode = \"0644\"`"),
        ),
        "duplicate key" => words(
            "a key is given twice",
            "was there before",
            Some("keep one; a table that can stand several times is written `[[user]]`"),
        ),
        "key with no value" => words(
            "a key has no value",
            "`=` and a value are wanted here",
            None,
        ),
        "invalid basic string" | "invalid literal string" => words(
            "a string is never closed",
            &format!("{expected} is wanted here"),
            None,
        ),
        "invalid multi-line basic string" | "invalid multi-line literal string" => words(
            "a string of several lines is never closed",
            "the text ends here",
            Some("it ends with the three quotes it began with"),
        ),
        "missing comma between array elements" => words(
            "an array lacks a comma",
            "`,` is wanted here",
            Some("if the array should end before, its `]` is missing"),
        ),
        "unexpected `=` in array" | "unclosed array" => words(
            "an array is never closed",
            "`]` is wanted before this",
            None,
        ),
        "unclosed table" => words("a table's header is not closed", "`]` is wanted here", None),
        "unclosed array table" => words(
            "a table's header is not closed",
            "`]]` is wanted here",
            None,
        ),
        "unclosed inline table" => {
            words("an inline table is not closed", "`}` is wanted here", None)
        }
        "unexpected key or value" => words(
            "a line goes on after its value",
            "a new line is wanted here",
            Some("several values go into an array: `[\"bash\", \"ls\"]`"),
        ),
        "missing escaped value" => words(
            "a `\\` in a string does not start an escape",
            "",
            Some("write `\\\\`, or put the string between single quotes"),
        ),
        "invalid unquoted key" | "unquoted keys cannot be empty" => words(
            "this is not a key",
            "a key of letters, digits, `-` and `_` is wanted here",
            None,
        ),
        "invalid boolean" => words("this is neither `true` nor `false`", "", None),
        "cannot recurse further; max recursion depth met" | "recursion limit" => {
            words("values are nested too deeply", "", None)
        }
        _ if expected.is_empty() || expected == "nothing" => words(what, "", None),
        _ => words(what, &format!("{expected} is wanted here"), None),
    }
}
