//! Refusals: one line for the user and the log.

use std::fmt;

/// Most bytes of a command line that a refusal quotes.
const QUOTED: usize = 160;

/// Why a request is refused: a clause without control characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal(String);

impl Refusal {
    /// A refusal for this reason.
    pub fn new(why: impl Into<String>) -> Self {
        Self(why.into())
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// `text` for a message: shortened, with control characters and bytes that are not ASCII escaped.
pub fn quoted(text: &[u8]) -> String {
    let short = &text[..text.len().min(QUOTED)];
    let more = if short.len() < text.len() { "…" } else { "" };
    format!("`{}{more}`", short.escape_ascii())
}
