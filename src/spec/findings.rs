//! Everything that is wrong with a spec, gathered so that one run tells it all, and bounded so that a hostile one cannot fill the memory.

use crate::error::Finding;

/// Most findings that are kept; more would not be read.
pub(crate) const MAX: usize = 100;

/// The findings so far.
#[derive(Debug, Default)]
pub(crate) struct Findings(Vec<Finding>);

impl Findings {
    /// Adds one, unless there are too many.
    pub(crate) fn add(&mut self, finding: Finding) {
        if !self.is_full() {
            self.0.push(finding);
        }
    }

    /// Whether further work to find more is in vain.
    pub(crate) fn is_full(&self) -> bool {
        self.0.len() >= MAX
    }

    /// Whether nothing is wrong.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All of them in the order of the text `main`, those of other texts after it.
    pub(crate) fn into_sorted(mut self, main: &str) -> Vec<Finding> {
        self.0.sort_by_key(|finding| match &finding.site {
            None => (0, 0),
            Some((site, _)) if site.source.name == main => (1, site.span.start),
            Some((site, _)) => (2, site.span.start),
        });
        self.0
    }
}
