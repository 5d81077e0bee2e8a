//! `remove`: takes a jail away.

use clap::Args;

use super::build::summary;
use super::target::Target;
use super::{CommandOutput, OutputOptions, RootOption, WriteOptions};
use crate::apply::Transaction;
use crate::error::Result;
use crate::host::{Host, HostView};
use crate::plan::{Plan, RemoveOptions, removal};
use crate::show;

/// Arguments of `remove`.
#[derive(Debug, Args)]
pub(crate) struct Remove {
    /// Jail, by name or spec file.
    #[arg(value_name = "JAIL")]
    target: String,
    #[command(flatten)]
    root: RootOption,
    /// Also delete homes, other files of users, and their mail.
    #[arg(long)]
    purge: bool,
    /// Terminate the sessions of the jail first.
    #[arg(long)]
    kill: bool,
    #[command(flatten)]
    writing: WriteOptions,
}

impl Remove {
    pub(crate) fn run(self, voice: OutputOptions) -> Result<CommandOutput> {
        let root = self.root.path()?;
        let target = Target::new(&self.target, &HostView::new(&root)?)?;
        if self.writing.dry_run {
            let plans = self.plans(&target, &HostView::new(&root)?)?;
            if plans.is_empty() {
                return Err(target.not_found());
            }
            let text = if self.writing.json {
                let plans: Vec<&Plan> = plans.iter().collect();
                format!("{}\n", show::plan::json(&plans, &[]))
            } else {
                let text = |plan| show::plan::text(plan, voice.verbose, voice.paint);
                plans.iter().map(text).collect()
            };
            return Ok(CommandOutput {
                text,
                ..CommandOutput::default()
            });
        }
        let host = Host::new(&root)?;
        let (_lock, mut notices) = self.writing.lock_and_recover(&host)?;
        let plans = self.plans(&target, &host)?;
        if plans.is_empty() {
            if notices.is_empty() {
                return Err(target.not_found());
            }
            return Ok(CommandOutput {
                notices,
                ..CommandOutput::default()
            });
        }
        let options = self.writing.options();
        let what = format!("removal of {}", target.name());
        let mut transaction = Transaction::new(&host, &options, what);
        let watch = &mut voice.step_logger();
        for plan in &plans {
            if let Err(error) = transaction.apply(plan, watch) {
                return Err(transaction.roll_back(error));
            }
        }
        notices.extend(transaction.finish(watch)?);
        let text = if self.writing.json {
            let plans: Vec<&Plan> = plans.iter().collect();
            format!("{}\n", show::plan::json(&plans, &notices))
        } else {
            notices.extend(plans.iter().flat_map(|plan| plan.notices.iter().cloned()));
            plans.iter().map(summary).collect()
        };
        Ok(CommandOutput {
            text,
            notices: if self.writing.json {
                Vec::new()
            } else {
                notices
            },
            changed: true,
            ..CommandOutput::default()
        })
    }

    /// What takes each of the jails away that are meant, one after the other.
    fn plans(&self, target: &Target, view: &HostView) -> Result<Vec<Plan>> {
        let how = RemoveOptions {
            purge: self.purge,
            kill: self.kill,
            dropped: false,
        };
        let mut plans = Vec::new();
        let mut gone = Vec::new();
        for name in target.jails(view)? {
            plans.extend(removal(&name, &gone, how, view)?);
            gone.push(name);
        }
        Ok(plans)
    }
}
