//! `rollback`: a jail as it was before the last build that changed it.

use clap::Args;

use super::build::{report, summary};
use super::specs::OfHost;
use super::target::Target;
use super::{Report, RootOption, Voice, Writing};
use crate::apply::Transaction;
use crate::error::{Error, Result};
use crate::host::{Host, View};
use crate::plan::{self, Manifest, Plan};

/// Arguments of `rollback`.
#[derive(Debug, Args)]
pub(crate) struct Rollback {
    /// The jail's name, or its spec file.
    #[arg(value_name = "JAIL")]
    target: String,
    #[command(flatten)]
    root: RootOption,
    #[command(flatten)]
    writing: Writing,
}

impl Rollback {
    pub(crate) fn run(self, voice: Voice) -> Result<Report> {
        let root = self.root.path()?;
        if self.writing.dry_run {
            let view = View::new(&root)?;
            let manifest = Target::new(&self.target, &view)?.manifest(&view)?;
            let plan = back(&manifest, &view)?;
            return report(&[plan], &[], self.writing.json, voice, 0).heeding(&view);
        }
        let host = Host::new(&root)?;
        let (_lock, mut notices) = self.writing.begin(&host)?;
        let manifest = Target::new(&self.target, &host)?.manifest(&host)?;
        let plan = back(&manifest, &host)?;
        let options = self.writing.options();
        let what = format!("rollback of {}", manifest.name);
        let mut transaction = Transaction::new(&host, &options, what);
        match transaction.carry_out(&plan, &mut voice.watch()) {
            Ok(()) => notices.extend(transaction.finish(&mut voice.watch())?),
            Err(error) => return Err(transaction.roll_back(error)),
        }
        let changed = !plan.steps.is_empty();
        if self.writing.json {
            return Ok(Report {
                changed,
                ..report(&[plan], &notices, true, voice, 0)
            });
        }
        notices.extend(plan.notices.iter().cloned());
        Ok(Report {
            text: summary(&plan),
            notices,
            changed,
            ..Report::default()
        })
    }
}

fn back(manifest: &Manifest, view: &View) -> Result<Plan> {
    plan::rollback(manifest, &OfHost(view), view)?.ok_or_else(|| {
        Error::failed(format!("could not roll the jail `{}` back", manifest.name))
            .why("nothing is kept of a time before: it was built once, and not changed since")
    })
}
