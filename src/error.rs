//! What went wrong, in the shape that every layer reports it and `show` prints it: what, why, hints, and the spec's lines where they matter.

use std::fmt;
use std::io;
use std::path::Path;

use crate::span::Span;

/// The exit statuses of the command other than 0, and what they mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// The answer is no: drift, findings, changes with `plan --exit-code`. Status 1.
    Negative = 1,
    /// Usage, a bad spec, or a program that a spec names and the host lacks. Status 2.
    Spec = 2,
    /// An object that a program needs was not found. Status 3.
    LibraryNotFound = 3,
    /// It could not be done; the host is as it was. Status 4.
    Failed = 4,
    /// Another jailctl holds the lock, or somebody else took an id meanwhile. Status 5.
    Busy = 5,
    /// It was done, and the word of it could not be delivered. Status 6.
    OutputFailed = 6,
}

impl ErrorKind {
    /// Its name in JSON.
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

/// One thing that is wrong: what, why, how to mend it, and where in the spec it was said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What is wrong: lower case, values in backticks, no full stop.
    pub what: String,
    /// Why, where `what` does not say so already.
    pub why: Option<String>,
    /// What to do about it, each a sentence of its own.
    pub hints: Vec<String>,
    /// The place in a spec or template that led here, with the words that stand under its marker.
    pub site: Option<(Span, String)>,
}

impl Finding {
    /// A finding without a place.
    pub fn new(what: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            why: None,
            hints: Vec::new(),
            site: None,
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

    /// Adds the place in the spec; `label` stands under the marker there and may be empty.
    #[must_use]
    pub fn with_span(mut self, site: &Span, label: impl Into<String>) -> Self {
        self.site = Some((site.clone(), label.into()));
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

/// Why a verb did not do its work. Holds every finding, not only the first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// Decides the exit status.
    pub kind: ErrorKind,
    /// At least one.
    pub findings: Vec<Finding>,
}

/// The result of everything that can fail.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// An error of one finding.
    pub fn new(kind: ErrorKind, finding: Finding) -> Self {
        Self {
            kind,
            findings: vec![finding],
        }
    }

    /// Status 4: `what` could not be done.
    pub fn failed(what: impl Into<String>) -> Self {
        Self::new(ErrorKind::Failed, Finding::new(what))
    }

    /// Status 4: a system call on `path` failed. `deed` completes "could not …", as `read` or `exchange`.
    pub fn io(deed: &str, path: &Path, source: &io::Error) -> Self {
        Self::new(
            ErrorKind::Failed,
            Finding::new(format!(
                "could not {deed} `{}`",
                path.display().to_string().escape_debug()
            ))
            .why(os_error_text(source)),
        )
    }

    /// Adds what else is wrong. The first error decides the exit status.
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

/// An operating system error as a person says it: lower case, without the number.
pub fn os_error_text(error: &io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or(&text);
    let mut chars = text.chars();
    match chars.next() {
        Some(first) if !text.starts_with("I/O") => first.to_lowercase().chain(chars).collect(),
        _ => text.to_owned(),
    }
}
