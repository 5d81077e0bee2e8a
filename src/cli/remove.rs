//! `remove`: takes a jail away.

use clap::Args;

use super::target::Target;
use super::{Report, RootOption, Voice, Writing};
use crate::apply::Transaction;
use crate::error::Result;
use crate::host::{Host, View};
use crate::plan::{Removal, removal};
use crate::show;

/// Arguments of `remove`.
#[derive(Debug, Args)]
pub(crate) struct Remove {
    /// The jail's name, or its spec file.
    #[arg(value_name = "JAIL")]
    target: String,
    #[command(flatten)]
    root: RootOption,
    /// Remove homes and all else that users put there, and their mail.
    #[arg(long)]
    purge: bool,
    /// End the jail's sessions first.
    #[arg(long)]
    kill: bool,
    #[command(flatten)]
    writing: Writing,
}

impl Remove {
    pub(crate) fn run(self, voice: Voice) -> Result<Report> {
        let root = self.root.path()?;
        let target = Target::new(&self.target, &View::new(&root)?)?;
        let name = target.name();
        let how = Removal {
            purge: self.purge,
            kill: self.kill,
        };
        if self.writing.dry_run {
            let plan = removal(name, how, &View::new(&root)?)?;
            let text = if self.writing.json {
                format!("{}\n", show::plan::json(&[&plan], &[]))
            } else {
                show::plan::text(&plan, voice.verbose, voice.paint)
            };
            return Ok(Report {
                text,
                ..Report::default()
            });
        }
        let host = Host::new(&root)?;
        let _lock = host.lock(self.writing.patience())?;
        let plan = removal(name, how, &host)?;
        let options = self.writing.options();
        let mut transaction = Transaction::new(&host, &options);
        // What a removal has taken away is gone: it is not rolled back but goes on where it stopped.
        transaction
            .carry_out(&plan, &mut voice.watch(&plan))
            .map_err(|error| {
                error.hint(
                    "run the removal again when the cause is gone: it goes on where it stopped",
                )
            })?;
        let mut notices = transaction.finish();
        let text = if self.writing.json {
            format!("{}\n", show::plan::json(&[&plan], &notices))
        } else {
            notices.extend(plan.notices.iter().cloned());
            format!("{name}: removed\n")
        };
        Ok(Report {
            text,
            notices: if self.writing.json {
                Vec::new()
            } else {
                notices
            },
            code: 0,
            changed: true,
        })
    }
}
