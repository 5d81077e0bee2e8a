//! Putting right what a run that did not end has left: the first thing that every command does that writes.

use super::journal::{self, UnfinishedRun};
use super::undo::UndoState;
use super::{Options, kept_dir_message};
use crate::error::{Error, ErrorKind, Result};
use crate::host::Host;

/// Finishes an interrupted run or undoes it, and says what was done. The lock must be held.
pub fn recover(host: &Host, options: &Options) -> Result<Vec<String>> {
    let Some(found) = UnfinishedRun::read(host)? else {
        return Ok(Vec::new());
    };
    let what = &found.what;
    let mut said = Vec::new();
    let mut findings = Vec::new();
    if let Some(rest) = &found.rest {
        for one in rest {
            if let Err(error) = one.execute(host, options, &mut |_, _| {}) {
                findings.extend(error.findings);
            }
        }
        said.push(format!("the {what} was interrupted; it is finished now"));
    } else {
        let undo: Vec<_> = found.undo.into_iter().rev().collect();
        let (failed, left) = UndoState::default().run(&undo, true, host);
        findings = failed;
        if !undo.is_empty() {
            said.push(format!(
                "the {what} was interrupted; all that it had done is undone"
            ));
        }
        said.extend(left.iter().map(|place| kept_dir_message(place)));
    }
    if let Some(last) = findings.last_mut() {
        last.hints.push(format!(
            "the {what} was interrupted, and nothing else is done before it is put right: mend the cause and run any command that writes"
        ));
        return Err(Error {
            kind: ErrorKind::Failed,
            findings,
        });
    }
    journal::remove(host)?;
    Ok(said)
}
