//! Violations of constraints on single values.

use std::borrow::Cow;

/// Violation of a constraint: the reason, and a hint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Reason, as a predicate after the quoted value: "has a space", "is in `/etc`".
    pub why: Cow<'static, str>,
    /// Hint of the finding.
    pub hint: Hint,
}

/// Hint for a violation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hint {
    /// Text of [`super::constraint::Constraint::help`]: the form is wrong.
    Rule,
    /// Specific text.
    Own(Cow<'static, str>),
    /// No hint.
    None,
}

impl Violation {
    /// Violation by the meaning of a value, without a hint.
    pub fn new(why: impl Into<Cow<'static, str>>) -> Self {
        Self {
            why: why.into(),
            hint: Hint::None,
        }
    }

    /// Violation by the form of a value, with [`Hint::Rule`].
    pub fn form(why: impl Into<Cow<'static, str>>) -> Self {
        Self {
            why: why.into(),
            hint: Hint::Rule,
        }
    }

    /// Replaces the hint.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<Cow<'static, str>>) -> Self {
        self.hint = Hint::Own(hint.into());
        self
    }
}

/// Violation by the form of a value.
impl From<&'static str> for Violation {
    fn from(why: &'static str) -> Self {
        Self::form(why)
    }
}
