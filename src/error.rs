//! Errors as every layer returns them and `show` prints them: what, why, hints, and spans of the
//! spec.

use std::fmt;
use std::io;
use std::path::Path;

use crate::span::Span;

/// Kinds of errors. The number is the exit status of the command; 0 is success.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// Negative result: drift, problems found, changes with `plan --exit-code`. Status 1.
    Negative = 1,
    /// Wrong usage, an invalid spec, or a program of a spec that the host does not have. Status 2.
    Spec = 2,
    /// A shared object that a program needs was not found. Status 3.
    LibraryNotFound = 3,
    /// The operation failed. A transaction is undone, unless the error says what is left. Status 4.
    Failed = 4,
    /// Another jailctl holds the lock, or another program took an id between plan and build. Status
    /// 5.
    Busy = 5,
    /// The operation succeeded, and its output could not be written. Status 6.
    OutputFailed = 6,
}

impl ErrorKind {
    /// Name of the kind in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Negative => "negative",
            Self::Spec => "spec",
            Self::LibraryNotFound => "library_not_found",
            Self::Failed => "failed",
            Self::Busy => "busy",
            Self::OutputFailed => "output_failed",
        }
    }
}

/// One error or warning: what is wrong, why, how to fix it, and the span of the spec that caused
/// it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Description of the fault: lower case, values in backticks, no full stop.
    pub what: String,
    /// Reason, unless `what` contains it.
    pub why: Option<String>,
    /// How to fix it: a sentence for each hint.
    pub hints: Vec<String>,
    /// Span in a spec or template that caused the finding, with the label below its marker.
    pub span: Option<(Span, String)>,
}

impl Finding {
    /// A finding without reason, hints and span.
    pub fn new(what: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            why: None,
            hints: Vec::new(),
            span: None,
        }
    }

    /// Adds the reason.
    #[must_use]
    pub fn why(mut self, why: impl Into<String>) -> Self {
        self.why = Some(why.into());
        self
    }

    /// Adds a hint.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// Adds the span; `label` is printed below the marker and may be empty.
    #[must_use]
    pub fn with_span(mut self, span: &Span, label: impl Into<String>) -> Self {
        self.span = Some((span.clone(), label.into()));
        self
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)?;
        if let Some(why) = &self.why {
            write!(f, ": {why}")?;
        }
        Ok(())
    }
}

/// Failure of a verb, with every finding and not only the first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// Kind of the error, which is the exit status.
    pub kind: ErrorKind,
    /// Findings, at least one.
    pub findings: Vec<Finding>,
}

/// Result of every fallible function.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// An error with one finding.
    pub fn new(kind: ErrorKind, finding: Finding) -> Self {
        Self {
            kind,
            findings: vec![finding],
        }
    }

    /// An error of kind [`ErrorKind::Failed`]: `what` could not be done.
    pub fn failed(what: impl Into<String>) -> Self {
        Self::new(ErrorKind::Failed, Finding::new(what))
    }

    /// An error of kind [`ErrorKind::Failed`]: a system call on `path` failed. `action` completes
    /// "could not ...", for example `read` or `exchange`.
    pub fn io(action: &str, path: &Path, source: &io::Error) -> Self {
        Self::new(
            ErrorKind::Failed,
            Finding::new(format!(
                "could not {action} `{}`",
                path.display().to_string().escape_debug()
            ))
            .why(os_error_text(source)),
        )
    }

    /// Adds the findings of `next`. The kind of the first error stays.
    pub fn merge(errors: &mut Option<Self>, next: Self) {
        match errors {
            Some(error) => error.findings.extend(next.findings),
            None => *errors = Some(next),
        }
    }

    /// Adds the reason to the last finding.
    #[must_use]
    pub fn why(mut self, why: impl Into<String>) -> Self {
        if let Some(last) = self.findings.last_mut() {
            last.why = Some(why.into());
        }
        self
    }

    /// Adds a hint to the last finding.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        if let Some(last) = self.findings.last_mut() {
            last.hints.push(hint.into());
        }
        self
    }
}

impl From<Finding> for Error {
    fn from(finding: Finding) -> Self {
        Self::new(ErrorKind::Spec, finding)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, finding) in self.findings.iter().enumerate() {
            if index > 0 {
                f.write_str("; ")?;
            }
            finding.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {}

/// Text of an operating system error as in messages: lower case, without the number.
pub fn os_error_text(error: &io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or(&text);
    let mut chars = text.chars();
    match chars.next() {
        Some(first) if !text.starts_with("I/O") => first.to_lowercase().chain(chars).collect(),
        _ => text.to_owned(),
    }
}
