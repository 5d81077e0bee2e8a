//! The end of a check that collects its findings.

use crate::error::{Error, ErrorKind, Finding, Result};

/// Turns findings into one error.
///
/// # Errors
/// [`ErrorKind::Spec`] with all findings, if there are any.
pub(super) fn into_result(findings: Vec<Finding>) -> Result<()> {
    if findings.is_empty() {
        return Ok(());
    }
    Err(Error {
        kind: ErrorKind::Spec,
        findings,
    })
}
