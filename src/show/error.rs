//! Errors as JSON: what a verb prints on standard output where `--json` was given and it did not do its work.

use serde_json::{Value, json};

use crate::error::{Error, Finding};

/// Every finding, none left out.
pub fn json(error: &Error) -> Value {
    json!({
        "schema": 1,
        "error": {
            "status": error.kind as u8,
            "kind": error.kind.as_str(),
            "findings": error.findings.iter().map(finding).collect::<Vec<_>>(),
        },
    })
}

fn finding(finding: &Finding) -> Value {
    let location = finding.site.as_ref().map(|(site, _)| {
        let (line, column) = site.position();
        json!({ "source": site.source.name, "line": line, "column": column })
    });
    json!({
        "what": finding.what,
        "why": finding.why,
        "hints": finding.hints,
        "location": location,
    })
}
