//! Checks a TOML table against the [`super::schema`]. The result has only known keys, with values
//! of the right type that satisfy their constraints.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::constraint::{Constraint, ValueType};
use super::date;
use super::display::{list, quote, suggest};
use super::findings::Findings;
use super::parse::Document;
use super::renamed;
use super::schema::{KEYS, KeySchema, header, keys_of};
use super::violation::{Hint, Violation};
use crate::error::Finding;
use crate::span::Span;

/// Table of checked values by key name.
#[derive(Debug)]
pub(crate) struct Table {
    /// Span of the header; empty for the top level.
    pub(crate) span: Span,
    /// Values by key. A refused value is [`Value::Bad`].
    pub(crate) entries: BTreeMap<&'static str, Node>,
}

/// Value with its span.
#[derive(Debug)]
pub(crate) struct Node {
    /// Span of the value.
    pub(crate) span: Span,
    /// The value.
    pub(crate) value: Value,
}

/// Checked value.
#[derive(Debug)]
pub(crate) enum Value {
    /// String that satisfies the constraint of its key.
    Text(String),
    /// Integer within the bounds of its key.
    Integer(i64),
    /// `true` or `false`.
    Boolean(bool),
    /// Day, in days since 1970-01-01.
    Day(i64),
    /// Array of strings.
    Texts(StringArray),
    /// Table.
    Table(Table),
    /// Array of tables.
    Tables(Vec<Table>),
    /// Refused value.
    Bad,
}

/// Array of strings.
#[derive(Debug)]
pub(crate) struct StringArray {
    /// Strings that satisfy the constraint, with their spans.
    pub(crate) list: Vec<(String, Span)>,
    /// Whether other elements were refused.
    pub(crate) lacks: bool,
}

/// `value` with the span `span`.
pub(crate) fn spanned<T>(value: T, span: &Span) -> crate::span::Spanned<T> {
    crate::span::Spanned {
        value,
        span: span.clone(),
    }
}

impl Table {
    /// The string `key`, converted by `make`; `None` if it is absent or `make` refuses it.
    pub(crate) fn parsed<T, E>(
        &self,
        key: &str,
        make: impl Fn(&str) -> Result<T, E>,
    ) -> Option<crate::span::Spanned<T>> {
        let (text, span) = self.text(key)?;
        make(text).ok().map(|value| spanned(value, span))
    }

    /// String value of `key`.
    pub(crate) fn text(&self, key: &str) -> Option<(&str, &Span)> {
        match self.entries.get(key)? {
            Node {
                value: Value::Text(text),
                span,
            } => Some((text, span)),
            _ => None,
        }
    }

    /// Boolean value of `key`, with its span.
    pub(crate) fn flag(&self, key: &str) -> Option<(bool, &Span)> {
        match self.entries.get(key)? {
            Node {
                value: Value::Boolean(flag),
                span,
            } => Some((*flag, span)),
            _ => None,
        }
    }

    /// Strings of the array `key`; empty if it is absent.
    pub(crate) fn texts(&self, key: &str) -> &[(String, Span)] {
        match self.entries.get(key) {
            Some(Node {
                value: Value::Texts(texts),
                ..
            }) => &texts.list,
            _ => &[],
        }
    }

    /// Boolean value of `key`; `None` if it is absent.
    pub(crate) fn boolean(&self, key: &str) -> Option<bool> {
        match self.entries.get(key)?.value {
            Value::Boolean(is) => Some(is),
            _ => None,
        }
    }

    /// Tables of the array `key`; empty if it is absent.
    pub(crate) fn tables(&self, key: &str) -> &[Table] {
        match self.entries.get(key) {
            Some(Node {
                value: Value::Tables(tables),
                ..
            }) => tables,
            _ => &[],
        }
    }

    /// Whether the value of `key`, or an element of it, was refused.
    pub(crate) fn has_errors(&self, key: &str) -> bool {
        match self.entries.get(key).map(|node| &node.value) {
            Some(Value::Bad) => true,
            Some(Value::Texts(texts)) => texts.lacks,
            _ => false,
        }
    }
}

/// Kind of text that is checked: it decides which keys may occur, and under which names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LayerKind<'a> {
    /// A spec.
    Spec,
    /// A spec from the records of a jail, which may have the names of earlier builds.
    RecordedSpec,
    /// The template of this name.
    Template(&'a str),
}

impl LayerKind<'_> {
    fn is_template(self) -> bool {
        matches!(self, Self::Template(_))
    }
}

/// Checks `document` against the table of keys.
pub(crate) fn check(
    document: &Document<'_>,
    kind: LayerKind<'_>,
    findings: &mut Findings,
) -> Table {
    let mut reader = Reader {
        document,
        kind,
        findings,
    };
    reader.table("", "", &document.tree, 0..0)
}

struct Reader<'a> {
    document: &'a Document<'a>,
    kind: LayerKind<'a>,
    findings: &'a mut Findings,
}

impl Reader<'_> {
    fn span(&self, span: Range<usize>) -> Span {
        Span {
            source: Arc::clone(&self.document.source),
            range: span,
        }
    }

    /// Adds a finding, unless its line may have been misread.
    fn add(&mut self, finding: Finding) {
        let at = finding.span.as_ref().map(|(span, _)| span.range.start);
        if at.is_none_or(|at| self.document.is_reliable_at(at)) {
            self.findings.add(finding);
        }
    }

    /// Checks `table`. `path` is its path in the schema, `shown` the path with indices instead of
    /// `[]`.
    fn table(&mut self, path: &str, shown: &str, table: &DeTable<'_>, span: Range<usize>) -> Table {
        let mut entries = BTreeMap::new();
        for (name, value) in table {
            if self.findings.is_full() {
                break;
            }
            let Some(key) = self.key(path, name.get_ref()) else {
                self.unknown(path, shown, name.get_ref(), name.span());
                continue;
            };
            let shown = if shown.is_empty() {
                key.name().to_owned()
            } else {
                format!("{shown}.{}", key.name())
            };
            let node = if let Some(finding) = self.forbidden(key, &shown) {
                self.add(finding.with_span(&self.span(name.span()), ""));
                Node {
                    span: self.span(name.span()),
                    value: Value::Bad,
                }
            } else {
                Node {
                    span: self.span(value.span()),
                    value: self.value(key, &shown, value),
                }
            };
            entries.insert(key.name(), node);
        }
        let span = self.span(span);
        // A missing key may be in a line that the parser could not read.
        if self.document.findings.is_empty() {
            for key in keys_of(path).filter(|key| key.required && !entries.contains_key(key.name()))
            {
                if !self.kind.is_template() || !key.file_only {
                    self.missing(key, shown, &span);
                }
            }
        }
        Table { span, entries }
    }

    /// The key called `name` in the table at `path`.
    fn key(&self, path: &str, name: &str) -> Option<&'static KeySchema> {
        let former = || match self.kind {
            LayerKind::RecordedSpec => renamed::key(path, name),
            LayerKind::Spec | LayerKind::Template(_) => None,
        };
        keys_of(path).find(|key| key.name() == name).or_else(former)
    }

    /// Why a known key is not permitted here.
    fn forbidden(&self, key: &KeySchema, shown: &str) -> Option<Finding> {
        if self.kind.is_template() && key.file_only {
            return Some(
                Finding::new(format!("`{shown}` is not allowed in a template"))
                    .hint("set it in the spec that uses the template"),
            );
        }
        None
    }

    fn missing(&mut self, key: &KeySchema, shown: &str, span: &Span) {
        let name = key.name();
        let finding = if shown.is_empty() {
            Finding::new(format!(
                "missing key `{name}` in `{}`",
                quote(&span.source.name)
            ))
        } else {
            Finding::new(format!("missing key `{shown}.{name}`"))
                .with_span(span, format!("no `{name}` in this table"))
        };
        self.add(finding.hint(format!("add a line such as `{}`", key.example)));
    }

    fn unknown(&mut self, path: &str, shown: &str, name: &str, span: Range<usize>) {
        let dotted = if shown.is_empty() {
            quote(name)
        } else {
            quote(&format!("{shown}.{name}"))
        };
        let finding = Finding::new(format!("unknown key `{dotted}`"));
        if let Some(key) = renamed::key(path, name) {
            let finding = finding
                .why(format!("it is called `{}` now", key.path))
                .with_span(&self.span(span), format!("write `{}`", key.name()));
            self.add(finding);
            return;
        }
        let names = || keys_of(path).map(KeySchema::name);
        let meant = suggest(name, keys_of(path).map(KeySchema::name));
        // A key of the whole jail before one of a single user.
        let elsewhere = KEYS
            .iter()
            .filter(|key| key.name() == name && key.table() != path)
            .min_by_key(|key| key.path.contains("[]"));
        let (label, hint) = match (meant, elsewhere) {
            (Some(meant), _) => (format!("did you mean `{meant}`?"), None),
            (None, Some(key)) => (
                String::new(),
                Some(match key.table() {
                    "" => {
                        format!("`{name}` is a top-level key: move it before the first table")
                    }
                    table => format!("`{name}` is a key of {}", header(table)),
                }),
            ),
            (None, None) => (
                String::new(),
                Some(format!(
                    "keys of {}: {}",
                    header(path),
                    list(names(), "and")
                )),
            ),
        };
        let mut finding = finding.with_span(&self.span(span), label);
        finding.hints.extend(hint);
        self.add(finding);
    }

    fn value(&mut self, key: &KeySchema, shown: &str, value: &Spanned<DeValue<'_>>) -> Value {
        let span = value.span();
        match (key.shape, value.get_ref()) {
            (ValueType::Text(rule), DeValue::String(text)) => {
                let mut text = self.unfold(text, &span);
                if self.kind == LayerKind::RecordedSpec
                    && let Some(present) = renamed::value(key.path, &text)
                {
                    present.clone_into(&mut text);
                }
                self.satisfies(rule, shown, &text, span)
                    .then_some(Value::Text(text))
            }
            (ValueType::Texts(rule), DeValue::Array(items)) => {
                let mut list = Vec::new();
                for (index, item) in items.iter().enumerate() {
                    if self.findings.is_full() {
                        break;
                    }
                    let shown = format!("{shown}[{index}]");
                    if let DeValue::String(text) = item.get_ref() {
                        let text = self.unfold(text, &item.span());
                        if self.satisfies(rule, &shown, &text, item.span()) {
                            list.push((text, self.span(item.span())));
                        }
                    } else {
                        self.mistyped(key, "a string", &shown, item);
                    }
                }
                let lacks = list.len() < items.len();
                Some(Value::Texts(StringArray { list, lacks }))
            }
            (ValueType::Integer(from, to), DeValue::Integer(number)) => {
                let given = i64::from_str_radix(number.as_str(), number.radix()).ok();
                let good = given.filter(|number| (from..=to).contains(number));
                if good.is_none() {
                    let given = quote(&number.to_string());
                    self.add(
                        Finding::new(format!("`{shown}` is out of range"))
                            .why(format!("`{given}` is not between {from} and {to}"))
                            .with_span(&self.span(span), format!("expected {from} to {to}"))
                            .hint(format!("the default is {}", key.default)),
                    );
                }
                good.map(Value::Integer)
            }
            (ValueType::Boolean, DeValue::Boolean(is)) => Some(Value::Boolean(*is)),
            (ValueType::Date, DeValue::Datetime(given)) => {
                let day = date::day(given);
                if let Err(Violation { why, .. }) = &day {
                    let given = quote(&given.to_string());
                    self.add(
                        Finding::new(format!("`{shown}` is not a date"))
                            .why(format!("`{given}` {why}"))
                            .with_span(&self.span(span), why.clone())
                            .hint(format!("example: `{}`", key.example)),
                    );
                }
                day.ok().map(Value::Day)
            }
            (ValueType::Table, DeValue::Table(table)) => {
                Some(Value::Table(self.table(key.path, shown, table, span)))
            }
            (ValueType::Tables(_), DeValue::Array(items)) => {
                let mut tables = Vec::new();
                for (index, item) in items.iter().enumerate() {
                    if self.findings.is_full() {
                        break;
                    }
                    let shown = format!("{shown}[{index}]");
                    if let DeValue::Table(table) = item.get_ref() {
                        tables.push(self.table(key.path, &shown, table, item.span()));
                    } else {
                        self.mistyped(key, "a table", &shown, item);
                    }
                }
                Some(Value::Tables(tables))
            }
            _ => {
                self.mistyped(key, key.shape.description(), shown, value);
                None
            }
        }
        .unwrap_or(Value::Bad)
    }

    /// `text` with CRLF line ends of the file converted to newlines. Escape sequences are kept.
    fn unfold(&self, text: &str, span: &Range<usize>) -> String {
        let raw = self
            .document
            .source
            .text
            .get(span.clone())
            .unwrap_or_default();
        if raw.contains("\r\n") {
            text.replace("\r\n", "\n")
        } else {
            text.to_owned()
        }
    }

    fn satisfies(&mut self, rule: Constraint, shown: &str, text: &str, span: Range<usize>) -> bool {
        let Err(Violation { why, hint }) = rule.check(text) else {
            return true;
        };
        let span = self.span(span);
        let mut finding = Finding::new(format!("`{shown}` is not {}", rule.description()));
        if rule.is_secret() {
            finding = finding
                .why(format!("the value {why}"))
                .with_span(&span, why);
        } else {
            finding = finding
                .why(format!("`{}` {why}", quote(text)))
                .with_span(&span, why);
        }
        self.add(match hint {
            Hint::Rule => finding.hint(rule.help()),
            Hint::Own(hint) => finding.hint(hint),
            Hint::None => finding,
        });
        false
    }

    fn mistyped(
        &mut self,
        key: &KeySchema,
        expected: &str,
        shown: &str,
        value: &Spanned<DeValue<'_>>,
    ) {
        let given = match value.get_ref() {
            DeValue::String(_) => "a string",
            DeValue::Integer(_) => "an integer",
            DeValue::Float(_) => "a float",
            DeValue::Boolean(_) => "a boolean",
            DeValue::Datetime(_) => "a date or time",
            DeValue::Array(_) => "an array",
            DeValue::Table(_) => "a table",
        };
        let hint = match (key.shape, value.get_ref()) {
            (ValueType::Tables(_), DeValue::Table(_)) => {
                format!(
                    "write the header of an array of tables: {}",
                    header(key.path)
                )
            }
            (ValueType::Table, DeValue::Array(_)) => {
                format!("write the header of a single table: {}", header(key.path))
            }
            (ValueType::Texts(rule), DeValue::String(text)) if !rule.is_secret() => {
                format!("write an array: `{} = [\"{}\"]`", key.name(), quote(text))
            }
            (ValueType::Table | ValueType::Tables(_), _) => {
                format!("write a table with the header {}", header(key.path))
            }
            _ => format!("example: `{}`", quote(key.example)),
        };
        self.add(
            Finding::new(format!("`{shown}` is {given}, not {expected}"))
                .with_span(&self.span(value.span()), format!("expected {expected}"))
                .hint(hint),
        );
    }
}
