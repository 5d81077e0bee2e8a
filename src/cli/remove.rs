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
            let plan = removal(name, how, &View::new(&root)?)?.ok_or_else(|| target.unknown())?;
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
        let (_lock, mut notices) = self.writing.begin(&host)?;
        let Some(plan) = removal(name, how, &host)? else {
            if notices.is_empty() {
                return Err(target.unknown());
            }
            return Ok(Report {
                notices,
                ..Report::default()
            });
        };
        let options = self.writing.options();
        let what = format!("removal of {name}");
        let mut transaction = Transaction::new(&host, &options, what);
        let watch = &mut voice.watch();
        match transaction.carry_out(&plan, watch) {
            Ok(()) => notices.extend(transaction.finish(watch)?),
            Err(error) => return Err(transaction.roll_back(error)),
        }
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
            changed: true,
            ..Report::default()
        })
    }
}
