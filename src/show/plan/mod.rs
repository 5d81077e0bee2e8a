//! A plan as text and as JSON. Both have the lines of [`Step::text`] about steps, and the same
//! lines about paths.

mod collapse;
mod family;
mod json;
mod paths;
mod text;

pub use family::texts;
pub use json::json;
pub use text::changes;

use crate::plan::Step;

/// The progress line about a step; `None` for a step without a visible effect.
pub fn progress(step: &Step) -> Option<String> {
    let text = step.text();
    text.progress.or_else(|| {
        let summary = text.summary?;
        let symbol = text::symbol(summary.kind);
        Some(format!("{symbol} {} {}", summary.subject, summary.detail))
    })
}
