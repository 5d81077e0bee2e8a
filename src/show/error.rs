//! Errors as JSON: printed on standard output with `--json` if a verb fails.

use serde_json::{Value, json};

use crate::error::{Error, Finding};

/// All findings of `error`.
pub fn json(error: &Error) -> Value {
    json!({
        "schema": 1,
        "error": {
            "status": error.kind as u8,
            "kind": error.kind.as_str(),
            "findings": findings(error),
        },
    })
}

/// The findings of `error` as a JSON array.
pub fn findings(error: &Error) -> Value {
    error.findings.iter().map(finding).collect()
}

fn finding(finding: &Finding) -> Value {
    let location = finding.span.as_ref().map(|(span, _)| {
        let (line, column) = span.position();
        json!({ "source": span.source.name, "line": line, "column": column })
    });
    json!({
        "what": finding.what,
        "why": finding.why,
        "hints": finding.hints,
        "location": location,
    })
}
