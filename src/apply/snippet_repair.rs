//! Repairs of snippets before sshd starts.

use super::session_policy::write_edit;
use crate::error::Result;
use crate::host::{Event, Host};
use crate::plan::SnippetRepair;

/// Writes and removes drop-ins, each file at once, without a reload: sshd is about to start.
/// Removals are first, since with them alone sshd starts. The records of the jails stay, so that
/// `check` reports the difference, and the next update verifies and records it.
///
/// # Errors
/// [`ErrorKind::Failed`](crate::error::ErrorKind::Failed) if a file cannot be written.
pub fn repair_snippets(host: &Host, repairs: &[SnippetRepair]) -> Result<()> {
    let (removals, others): (Vec<_>, Vec<_>) =
        (repairs.iter()).partition(|repair| repair.edit.to.is_none());
    for repair in removals.into_iter().chain(others) {
        write_edit(host, &repair.edit)?;
        let path = repair.edit.path.display();
        let action = match repair.edit.to {
            Some(_) => "written for the present sshd",
            None => "removed, and its accounts cannot log in",
        };
        let text = format!("sshd snippet {path} {action}: {}", repair.why);
        host.log(Event::SnippetRepaired, &[], &text);
    }
    Ok(())
}
