//! Recovery of an interrupted run: the first action of every command that writes.

use super::journal::{self, UnfinishedRun};
use super::options::Options;
use super::{commit, undo};
use crate::error::{Error, ErrorKind, Result};
use crate::host::Host;

/// Finishes an interrupted run, if it had committed, or undoes it. Returns notices about what was
/// done; none where no run was interrupted. The host's lock must be held.
///
/// # Errors
/// [`ErrorKind::Failed`] where the journal cannot be read, or something cannot be finished or
/// undone. All else is finished or undone then, the journal stays, and the next command that writes
/// tries again; nothing else may be written before that.
pub fn recover(host: &Host, options: &Options) -> Result<Vec<String>> {
    let Some(run) = UnfinishedRun::read(host)? else {
        return Ok(Vec::new());
    };
    let what = &run.what;
    let mut notices = Vec::new();
    let mut findings = Vec::new();
    if let Some(deferred) = &run.deferred {
        for action in deferred {
            let outcome =
                commit::execute(action, host, options, true, &mut notices, &mut |_, _| {});
            if let Err(error) = outcome {
                findings.extend(error.findings);
            }
        }
        notices.push(format!("the {what} was interrupted; it is finished now"));
    } else {
        let undo: Vec<_> = run.undo.into_iter().rev().collect();
        let outcome = undo::undo_all(&undo, true, host);
        findings = outcome.findings;
        if !undo.is_empty() {
            notices.push(format!("the {what} was interrupted; it is undone now"));
        }
        notices.extend(outcome.kept_user_dirs);
    }
    if let Some(last) = findings.last_mut() {
        last.hints.push(format!(
            "the {what} was interrupted, and must be finished or undone first: fix the cause, and run any command that writes"
        ));
        let error = Error {
            kind: ErrorKind::Failed,
            findings,
        };
        host.log(&format!("recovery from the {what} failed: {error}"));
        return Err(error);
    }
    journal::remove(host)?;
    for notice in &notices {
        host.log(notice);
    }
    Ok(notices)
}
