//! `remove`: removes a jail.

use clap::Args;

use super::purge::with_proof;
use super::target::Target;
use super::transact::{Transactions, show_plans};
use super::{CommandOutput, OutputOptions, RootOption, WriteOptions};
use crate::error::Result;
use crate::host::{Host, HostView};
use crate::names::JailName;
use crate::plan::{Manifest, Plan, RemoveOptions, TraceSubject, removal};

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
    pub(crate) fn run(self, output: OutputOptions) -> Result<CommandOutput> {
        let root = self.root.path()?;
        let target = Target::new(&self.target, &HostView::new(&root)?)?;
        if self.writing.dry_run {
            let plans = self.plans(&target, &HostView::new(&root)?)?;
            if plans.is_empty() {
                return Err(target.not_found());
            }
            return Ok(show_plans(&plans, &[], self.writing.json, output));
        }
        let host = Host::new(&root)?;
        let mut transactions = Transactions::begin(&host, &self.writing, output)?;
        let plans = self.plans(&target, &host)?;
        if plans.is_empty() {
            // The recovery of an interrupted removal may have removed it.
            let report = transactions.recovery_report();
            return report.ok_or_else(|| target.not_found());
        }
        let subjects = self.subjects(&plans, &host)?;
        let what = format!("removal of {}", target.name());
        let outcome = transactions.run(what.clone(), |applier| {
            plans.into_iter().try_for_each(|plan| applier.apply(plan))
        });
        outcome.inspect_err(|error| transactions.log_failure(&what, error))?;
        with_proof(transactions, &subjects, &host, self.writing.json, output)
    }

    /// The subjects of the search after a removal with `--purge`.
    fn subjects(&self, plans: &[Plan], view: &HostView) -> Result<Vec<TraceSubject>> {
        if !self.purge {
            return Ok(Vec::new());
        }
        let gone: Vec<&JailName> = plans.iter().map(|plan| &plan.name).collect();
        let names = Manifest::names(view)?;
        let manifests = plans.iter().filter_map(|plan| plan.manifest.as_deref());
        manifests
            .map(|manifest| {
                let stays =
                    |other: &JailName| other.is_sibling(&manifest.name) && !gone.contains(&other);
                TraceSubject::of_jail(manifest, !names.iter().any(stays), view)
            })
            .collect()
    }

    /// Plans the removal of each named jail, as if those before it were removed already.
    fn plans(&self, target: &Target, view: &HostView) -> Result<Vec<Plan>> {
        let options = RemoveOptions {
            purge: self.purge,
            kill: self.kill,
            dropped: false,
        };
        let mut plans = Vec::new();
        let mut gone = Vec::new();
        for name in target.jails(view)? {
            plans.extend(removal(&name, &gone, options, view)?);
            gone.push(name);
        }
        Ok(plans)
    }
}
