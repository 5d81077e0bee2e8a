//! Bytes to text to TOML: what is no spec at all is refused here, and what the TOML parser complains of is said in words that help.

use std::ops::Range;
use std::sync::Arc;

use toml::de::DeTable;

use super::display::{char_boundary_before, is_hidden, quote, visible};
use super::redact::redact;
use crate::error::{Error, Finding, Result};
use crate::span::{SourceText, Span};

/// Largest spec or template, in bytes.
pub const MAX: usize = 1 << 20;

/// Makes the text of a spec from what a file holds. `name` is the file as the user named it.
///
/// Refuses what is larger than [`MAX`] or not UTF-8. Callers need not read more than `MAX + 1` bytes.
pub fn source(name: &str, bytes: Vec<u8>) -> Result<Arc<SourceText>> {
    if bytes.len() > MAX {
        return Err(too_large(name).into());
    }
    let named = |text| {
        Arc::new(SourceText {
            name: name.to_owned(),
            text,
        })
    };
    String::from_utf8(bytes).map(named).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        let bad = error.as_bytes()[at];
        let text = String::from_utf8_lossy(error.as_bytes()).into_owned();
        let source = redact(&named(text), &DeTable::new());
        let site = Span {
            source,
            span: at..at + '\u{fffd}'.len_utf8(),
        };
        Error::from(
            Finding::new(format!("`{}` is not UTF-8", quote(name)))
                .why(format!("it has the byte 0x{bad:02x} at offset {at}"))
                .hint("save the file as UTF-8 without a byte order mark")
                .with_span(&site, "not UTF-8 from here on"),
        )
    })
}

fn too_large(name: &str) -> Finding {
    Finding::new(format!("`{}` is too large", quote(name)))
        .why("a spec or template has at most 1 MiB")
        .hint("put long texts into files and name these as `source`")
}

/// What could be read of a text.
#[derive(Debug)]
pub(crate) struct Document<'text> {
    /// The text without its secrets: what every site points into.
    pub(crate) source: Arc<SourceText>,
    /// As much as could be parsed.
    pub(crate) tree: DeTable<'text>,
    /// What is wrong with the text as TOML: one finding a line, in order. If there is any, `tree` has gaps.
    pub(crate) findings: Vec<Finding>,
    /// The lines, as offsets, of which `tree` holds guesses at best.
    unsure: Vec<Range<usize>>,
}

impl Document<'_> {
    /// Whether what the tree has at `offset` was surely meant so.
    pub(crate) fn is_reliable_at(&self, offset: usize) -> bool {
        !self.unsure.iter().any(|lines| lines.contains(&offset))
    }
}

/// Parses `source` as TOML.
pub(crate) fn parse(source: &Arc<SourceText>) -> Result<Document<'_>> {
    let text = &source.text;
    if text.len() > MAX {
        return Err(too_large(&source.name).into());
    }
    let (tree, errors) = DeTable::parse_recoverable(text);
    let mut document = Document {
        source: redact(source, tree.get_ref()),
        tree: tree.into_inner(),
        findings: Vec::new(),
        unsure: Vec::new(),
    };
    let mut complaints = hidden(text);
    complaints.extend(
        errors
            .iter()
            .take(1000)
            .map(|error| TomlError::of(error, text)),
    );
    complaints.sort_by_key(|complaint| complaint.span.start);
    let mut line_end = 0;
    for complaint in complaints {
        let start = complaint.span.start;
        if start < line_end || document.findings.len() == super::findings::MAX {
            continue;
        }
        let line = line_at(text, start);
        line_end = line.end;
        let end = complaint.span.end.clamp(start, line.end);
        let site = Span {
            source: Arc::clone(&document.source),
            span: start..end,
        };
        let mut finding = Finding::new(complaint.what).with_span(&site, complaint.label);
        finding.hints.extend(complaint.hint.map(str::to_owned));
        document.findings.push(finding);
        if complaint.derails {
            document.unsure.push(line.start..usize::MAX);
            break;
        }
        document.unsure.push(line);
    }
    Ok(document)
}

/// The line that holds `offset`, up to and with its newline.
fn line_at(text: &str, offset: usize) -> Range<usize> {
    let offset = char_boundary_before(text, offset);
    let start = text[..offset].rfind('\n').map_or(0, |at| at + 1);
    let end = text[offset..]
        .find('\n')
        .map_or(text.len(), |at| offset + at);
    start..end + 1
}

/// Hidden characters of the raw text, comments included: the first of each line. TOML itself forbids only some of them.
fn hidden(text: &str) -> Vec<TomlError> {
    let mut found = Vec::new();
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let bare = line.strip_suffix('\n').unwrap_or(line);
        let bare = bare.strip_suffix('\r').unwrap_or(bare);
        let is_wrong = |at: usize, c: char| {
            // A byte order mark is TOML, if it comes first.
            is_hidden(c) && c != '\t' && !(c == '\u{feff}' && start + at == 0)
        };
        if let Some((at, c)) = bare.char_indices().find(|&(at, c)| is_wrong(at, c)) {
            let kind = if c.is_control() {
                "a control"
            } else {
                "an invisible"
            };
            found.push(TomlError {
                span: start + at..start + at + c.len_utf8(),
                what: format!("{kind} character, `{}`", visible(c)),
                label: "not allowed in a spec".to_owned(),
                hint: Some("take it out; many editors show such characters only if told to"),
                derails: false,
            });
            if found.len() > super::findings::MAX {
                break;
            }
        }
        start += line.len();
    }
    found
}

/// Something that is wrong with a text as TOML.
struct TomlError {
    span: Range<usize>,
    what: String,
    /// The words under the marker; may be empty.
    label: String,
    hint: Option<&'static str>,
    /// Whether the parser reads what follows for something else than it was meant to be.
    derails: bool,
}

impl TomlError {
    /// The parser's error as an administrator would say it.
    fn of(error: &toml::de::Error, text: &str) -> Self {
        let message = error.message();
        let (what, expected) = message.split_once(", expected ").unwrap_or((message, ""));
        let known = MESSAGES
            .iter()
            .find(|(messages, ..)| messages.contains(&what));
        let (what, label, hint) = known.map_or((what, "", ""), |(_, what, label, hint)| {
            (*what, *label, *hint)
        });
        let label = if label.is_empty() && !expected.is_empty() && expected != "nothing" {
            format!("{expected} is wanted here")
        } else {
            label.to_owned()
        };
        let span = error.span().unwrap_or(0..0);
        let marked = text.get(span.clone()).unwrap_or_default();
        let (what, hint) = match message {
            "duplicate key" => (format!("`{}` is given twice", quote(marked)), hint),
            _ if marked.starts_with(['“', '”', '„', '‘', '’', '«', '»']) => (
                "these are typographic quotes".to_owned(),
                "write plain ones: `\"` or `'`",
            ),
            _ => (what.to_owned(), hint),
        };
        Self {
            span,
            what,
            label,
            hint: (!hint.is_empty()).then_some(hint),
            derails: UNRELIABLE_AFTER.iter().any(|word| message.contains(word)),
        }
    }
}

/// Parts of the messages after which the parser reads what follows for something else.
const UNRELIABLE_AFTER: &[&str] = &[
    "unclosed",
    "multi-line",
    "missing comma between array",
    "unexpected `=` in array",
    "recursion limit",
    "recurse",
];

/// Messages of the parser; in place of them what is wrong, the words under the marker (empty: what the parser expected), a hint (empty: none).
const MESSAGES: &[(&[&str], &str, &str, &str)] = &[
    (
        &["string values must be quoted"],
        "a value is missing, or its quotes are",
        "a value, text between quotes, is wanted here",
        "text stands between quotes: `name = \"arkham\"`",
    ),
    (
        &["unexpected leading zero"],
        "a number starts with 0",
        "not a number",
        "a mode is written between quotes: `mode = \"0644\"`",
    ),
    (
        &["duplicate key"],
        "a key is given twice",
        "given before",
        "keep one of them; a table that may stand several times has a header such as `[[user]]`",
    ),
    (
        &["key with no value"],
        "a key has no value",
        "`=` and a value are wanted here",
        "",
    ),
    (
        &["invalid basic string", "invalid literal string"],
        "a string is never closed",
        "",
        "",
    ),
    (
        &[
            "invalid multi-line basic string",
            "invalid multi-line literal string",
        ],
        "a string of several lines is never closed",
        "the text ends here",
        "such a string ends with the three quotes that it begins with",
    ),
    (
        &["missing comma between array elements"],
        "an array lacks a comma, or is never closed",
        "`,` or `]` is wanted before this",
        "",
    ),
    (
        &["unexpected `=` in array", "unclosed array"],
        "an array is never closed",
        "`]` is wanted before this",
        "",
    ),
    (
        &["unclosed table"],
        "a table's header is never closed",
        "`]` is wanted here",
        "",
    ),
    (
        &["unclosed array table"],
        "a table's header is never closed",
        "`]]` is wanted here",
        "",
    ),
    (
        &["unclosed inline table"],
        "an inline table is never closed",
        "",
        "",
    ),
    (
        &["unexpected key or value"],
        "a line goes on after its value",
        "a new line is wanted here",
        "several values are written as an array: `[\"bash\", \"ls\"]`",
    ),
    (
        &["missing escaped value"],
        "a `\\` that starts no escape",
        "not an escape",
        "write `\\\\`, or put the string between single quotes",
    ),
    (
        &["invalid unquoted key", "unquoted keys cannot be empty"],
        "this is not a key",
        "a key of letters, digits, `-` and `_` is wanted here",
        "",
    ),
    (
        &["invalid boolean"],
        "this is neither `true` nor `false`",
        "",
        "text stands between quotes",
    ),
    (
        &[
            "cannot recurse further; max recursion depth met",
            "recursion limit",
        ],
        "values are nested too deeply",
        "too deep",
        "no key of a spec needs more than two levels",
    ),
];
