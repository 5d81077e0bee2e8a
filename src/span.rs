//! Where in a spec or template something was said, kept so that errors and reasons can show the line itself.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

/// One text that was read as a spec or a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceText {
    /// As the user named it: a path, or `template shell`.
    pub name: String,
    /// The whole text.
    pub text: String,
}

/// A stretch of one source.
#[derive(Clone, PartialEq, Eq)]
pub struct Span {
    /// The text it lies in.
    pub source: Arc<SourceText>,
    /// Byte offsets into the text.
    pub span: Range<usize>,
}

impl Span {
    /// Line and column, both from 1; the column counts characters.
    pub fn position(&self) -> (usize, usize) {
        let before = self
            .source
            .text
            .get(..self.span.start)
            .unwrap_or(&self.source.text);
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        (
            before.matches('\n').count() + 1,
            before[line_start..].chars().count() + 1,
        )
    }
}

/// `file:line`, the form that a manifest keeps.
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

/// A value and where it was said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spanned<T> {
    /// The value.
    pub value: T,
    /// Where it was said.
    pub site: Span,
}
