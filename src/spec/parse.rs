//! Decodes and parses TOML. Messages of the TOML parser are replaced by clearer ones.

use std::ops::Range;
use std::sync::Arc;

use toml::de::DeTable;

use super::display::{char_boundary_before, is_hidden, quote, visible};
use super::redact::redact;
use crate::error::{Error, Finding, Result};
use crate::span::{SourceText, Span};

/// Largest spec or template, in bytes.
pub const MAX: usize = 1 << 20;

/// Decodes the content of a spec file. `name` is the path as the user gave it. Callers need not
/// read more than `MAX + 1` bytes.
///
/// # Errors
/// [`crate::error::ErrorKind::Spec`] if the content is larger than [`MAX`] or not UTF-8.
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
        let span = Span {
            source,
            range: at..at + '\u{fffd}'.len_utf8(),
        };
        Error::from(
            Finding::new(format!("`{}` is not UTF-8", quote(name)))
                .why(format!("it has the byte 0x{bad:02x} at offset {at}"))
                .hint("save the file as UTF-8 without a byte order mark")
                .with_span(&span, "not UTF-8 from here"),
        )
    })
}

fn too_large(name: &str) -> Finding {
    Finding::new(format!("`{}` is too large", quote(name)))
        .why("specs and templates are limited to 1 MiB")
        .hint("put long texts into files, and use `source` instead of `content`")
}

/// Result of parsing one text.
#[derive(Debug)]
pub(crate) struct Document<'text> {
    /// The text with secrets redacted; spans refer to it.
    pub(crate) source: Arc<SourceText>,
    /// Parsed part of the text.
    pub(crate) tree: DeTable<'text>,
    /// TOML errors, at most one per line, in order. If there are any, `tree` is incomplete.
    pub(crate) findings: Vec<Finding>,
    /// Byte ranges of lines for which `tree` is unreliable.
    unsure: Vec<Range<usize>>,
}

impl Document<'_> {
    /// Whether the tree is reliable at `offset`.
    pub(crate) fn is_reliable_at(&self, offset: usize) -> bool {
        !self.unsure.iter().any(|lines| lines.contains(&offset))
    }
}

/// Parses `source` as TOML.
///
/// # Errors
/// [`crate::error::ErrorKind::Spec`] if the text is larger than [`MAX`]. TOML errors are in
/// [`Document::findings`].
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
    let mut toml_errors = hidden(text);
    toml_errors.extend(
        errors
            .iter()
            .take(1000)
            .map(|error| TomlError::of(error, text)),
    );
    toml_errors.sort_by_key(|toml_error| toml_error.span.start);
    let mut line_end = 0;
    for toml_error in toml_errors {
        let start = toml_error.span.start;
        if start < line_end || document.findings.len() == super::findings::MAX {
            continue;
        }
        let line = line_at(text, start);
        line_end = line.end;
        let end = toml_error.span.end.clamp(start, line.end);
        let span = Span {
            source: Arc::clone(&document.source),
            range: start..end,
        };
        let mut finding = Finding::new(toml_error.what).with_span(&span, toml_error.label);
        finding.hints.extend(toml_error.hint.map(str::to_owned));
        document.findings.push(finding);
        if toml_error.is_misread_after {
            document.unsure.push(line.start..usize::MAX);
            break;
        }
        document.unsure.push(line);
    }
    Ok(document)
}

/// Byte range of the line at `offset`, with its newline.
fn line_at(text: &str, offset: usize) -> Range<usize> {
    let offset = char_boundary_before(text, offset);
    let start = text[..offset].rfind('\n').map_or(0, |at| at + 1);
    let end = text[offset..]
        .find('\n')
        .map_or(text.len(), |at| offset + at);
    start..end + 1
}

/// First hidden character of each line of the raw text, comments included. TOML forbids only some
/// of them.
fn hidden(text: &str) -> Vec<TomlError> {
    let mut found = Vec::new();
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let bare = line.strip_suffix('\n').unwrap_or(line);
        let bare = bare.strip_suffix('\r').unwrap_or(bare);
        let is_wrong = |at: usize, c: char| {
            // TOML permits a byte order mark at the start.
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
                what: format!("{kind} character `{}`", visible(c)),
                label: "not allowed in a spec".to_owned(),
                hint: Some("delete it; many editors show such characters only with an option"),
                is_misread_after: false,
            });
            if found.len() > super::findings::MAX {
                break;
            }
        }
        start += line.len();
    }
    found
}

/// Error in the TOML syntax.
struct TomlError {
    span: Range<usize>,
    what: String,
    /// Text under the marker; may be empty.
    label: String,
    hint: Option<&'static str>,
    /// Whether the parser misreads the text after the error.
    is_misread_after: bool,
}

impl TomlError {
    /// Converts an error of the TOML parser.
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
            format!("expected {expected}")
        } else {
            label.to_owned()
        };
        let span = error.span().unwrap_or(0..0);
        let marked = text.get(span.clone()).unwrap_or_default();
        let (what, hint) = match message {
            "duplicate key" => (format!("duplicate key `{}`", quote(marked)), hint),
            _ if marked.starts_with(['“', '”', '„', '‘', '’', '«', '»']) => (
                "typographic quotes".to_owned(),
                "use ASCII quotes: `\"` or `'`",
            ),
            _ => (what.to_owned(), hint),
        };
        Self {
            span,
            what,
            label,
            hint: (!hint.is_empty()).then_some(hint),
            is_misread_after: UNRELIABLE_AFTER.iter().any(|word| message.contains(word)),
        }
    }
}

/// Fragments of parser messages after which the rest of the text is unreliable.
const UNRELIABLE_AFTER: &[&str] = &[
    "unclosed",
    "multi-line",
    "missing comma between array",
    "unexpected `=` in array",
    "recursion limit",
    "recurse",
];

/// Messages of the parser, and their replacements: message, text under the marker (empty: what the
/// parser expected), hint (empty: none).
const MESSAGES: &[(&[&str], &str, &str, &str)] = &[
    (
        &["string values must be quoted"],
        "missing value or missing quotes",
        "expected a value; strings are quoted",
        "put strings between quotes: `name = \"arkham\"`",
    ),
    (
        &["unexpected leading zero"],
        "number with a leading zero",
        "not a number",
        "write modes as strings: `mode = \"0644\"`",
    ),
    (
        &["duplicate key"],
        "duplicate key",
        "second definition",
        "delete one; tables that may be repeated have headers such as `[[user]]`",
    ),
    (
        &["key with no value"],
        "key without a value",
        "expected `=` and a value",
        "",
    ),
    (
        &["invalid basic string", "invalid literal string"],
        "unclosed string",
        "",
        "",
    ),
    (
        &[
            "invalid multi-line basic string",
            "invalid multi-line literal string",
        ],
        "unclosed multi-line string",
        "the text ends here",
        "end it with the three quotes that it starts with",
    ),
    (
        &["missing comma between array elements"],
        "missing comma in an array, or unclosed array",
        "expected `,` or `]` before this",
        "",
    ),
    (
        &["unexpected `=` in array", "unclosed array"],
        "unclosed array",
        "expected `]` before this",
        "",
    ),
    (
        &["unclosed table"],
        "unclosed table header",
        "expected `]`",
        "",
    ),
    (
        &["unclosed array table"],
        "unclosed table header",
        "expected `]]`",
        "",
    ),
    (&["unclosed inline table"], "unclosed inline table", "", ""),
    (
        &["unexpected key or value"],
        "unexpected text after a value",
        "expected a new line",
        "write several values as an array: `[\"bash\", \"ls\"]`",
    ),
    (
        &["missing escaped value"],
        "invalid escape sequence",
        "not an escape sequence",
        "write `\\\\`, or use single quotes",
    ),
    (
        &["invalid unquoted key", "unquoted keys cannot be empty"],
        "invalid key",
        "expected a key of letters, digits, `-` and `_`",
        "",
    ),
    (
        &["invalid boolean"],
        "neither `true` nor `false`",
        "",
        "put strings between quotes",
    ),
    (
        &[
            "cannot recurse further; max recursion depth met",
            "recursion limit",
        ],
        "values nested too deeply",
        "too deep",
        "specs have at most two levels",
    ),
];
