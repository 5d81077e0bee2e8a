//! Findings of one spec: collected so that one run reports all, and limited so that a hostile spec
//! cannot exhaust memory.

use crate::error::Finding;

/// Maximum number of findings.
pub(crate) const MAX: usize = 100;

/// Findings so far.
#[derive(Debug, Default)]
pub(crate) struct Findings(Vec<Finding>);

impl Findings {
    /// Adds a finding, unless [`MAX`] is reached.
    pub(crate) fn add(&mut self, finding: Finding) {
        if !self.is_full() {
            self.0.push(finding);
        }
    }

    /// Whether [`MAX`] is reached.
    pub(crate) fn is_full(&self) -> bool {
        self.0.len() >= MAX
    }

    /// Whether there are no findings.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All findings in the order of the text `main`, followed by those of other texts.
    pub(crate) fn into_sorted(mut self, main: &str) -> Vec<Finding> {
        self.0.sort_by_key(|finding| match &finding.span {
            None => (0, 0),
            Some((span, _)) if span.source.name == main => (1, span.range.start),
            Some((span, _)) => (2, span.range.start),
        });
        self.0
    }
}
