//! Repairs of snippets before sshd starts.

use super::session_policy::write_edit;
use crate::error::Result;
use crate::host::{Event, Host};
use crate::layout::GROUP_PREFIX;
use crate::plan::SnippetRepairs;

/// Writes and removes drop-ins, each file at once, without a reload: sshd is about to start.
/// Removals are first, since with them alone sshd starts. The records of the jails stay, so that
/// `check` reports the difference, and the next update verifies and records it.
///
/// # Errors
/// [`ErrorKind::Failed`](crate::error::ErrorKind::Failed) if a file cannot be written.
pub fn repair_snippets(host: &Host, repairs: &SnippetRepairs) -> Result<()> {
    let (removals, others): (Vec<_>, Vec<_>) =
        (repairs.edits.iter()).partition(|edit| edit.to.is_none());
    for edit in removals.into_iter().chain(others) {
        write_edit(host, edit)?;
    }
    if !repairs.edits.is_empty() {
        let jails: Vec<&str> = repairs.closed.iter().map(String::as_str).collect();
        host.log(Event::SnippetRepaired, &[], &repairs.to_string());
        for group in jails {
            let jail = group.strip_prefix(GROUP_PREFIX).unwrap_or(group);
            let text = format!("the sshd settings of the jail {jail} were removed");
            host.log(Event::SnippetRepaired, &[jail], &text);
        }
    }
    Ok(())
}
