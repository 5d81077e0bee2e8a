//! Spans of specs and templates, so that errors and reasons can show the line of a value.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

/// Text of a spec or a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceText {
    /// Name of the text: the path as the user typed it, or `template shell`.
    pub name: String,
    /// Whole text.
    pub text: String,
}

/// Part of one source text.
#[derive(Clone, PartialEq, Eq)]
pub struct Span {
    /// Text that contains the part.
    pub source: Arc<SourceText>,
    /// Byte offsets into the text.
    pub range: Range<usize>,
}

impl Span {
    /// Line and column, both from 1; the column counts characters.
    pub fn position(&self) -> (usize, usize) {
        let before = self
            .source
            .text
            .get(..self.range.start)
            .unwrap_or(&self.source.text);
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        (
            before.matches('\n').count() + 1,
            before[line_start..].chars().count() + 1,
        )
    }
}

/// `file:line`, the form in manifests.
impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.source.name, self.position().0)
    }
}

impl fmt::Debug for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (line, column) = self.position();
        write!(f, "{}:{line}:{column}", self.source.name)
    }
}

/// A value with its span.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spanned<T> {
    /// The value.
    pub value: T,
    /// Span of the value.
    pub span: Span,
}
