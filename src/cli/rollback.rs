//! `rollback`: restores the build of a jail before the last one that changed it.

use std::collections::BTreeMap;

use clap::Args;

use super::build::plan_dropped_users;
use super::spec_files::HostTemplates;
use super::target::{Target, members};
use super::transact::{Transactions, show_plans};
use super::{CommandOutput, OutputOptions, RootOption, WriteOptions};
use crate::error::{Error, Result};
use crate::host::{Host, HostView};
use crate::names::JailName;
use crate::plan::{self, Plan, PreviousBuild};
use crate::resolve::Tree;
use crate::span::SourceText;
use crate::spec::Spec;

/// Arguments of `rollback`.
#[derive(Debug, Args)]
pub(crate) struct Rollback {
    /// Jail, by name or spec file.
    #[arg(value_name = "JAIL")]
    target: String,
    #[command(flatten)]
    root: RootOption,
    #[command(flatten)]
    writing: WriteOptions,
}

impl Rollback {
    pub(crate) fn run(self, output: OutputOptions) -> Result<CommandOutput> {
        let root = self.root.path()?;
        if self.writing.dry_run {
            let view = HostView::new(&root)?;
            let mut plans = Vec::new();
            RollbackTarget::of(&Target::new(&self.target, &view)?, &view)?.each(&view, |plan| {
                plans.push(plan);
                Ok(())
            })?;
            return show_plans(&plans, &[], self.writing.json, output)
                .with_interruption_notice(&view);
        }
        let host = Host::new(&root)?;
        let mut transactions = Transactions::begin(&host, &self.writing, output)?;
        let target = Target::new(&self.target, &host)?;
        let previous = RollbackTarget::of(&target, &host)?;
        let what = format!("rollback of {}", target.name());
        let outcome = transactions.run(what.clone(), |applier| {
            previous.each(&host, |plan| applier.apply(plan))
        });
        outcome.inspect_err(|error| transactions.log_failure(&what, error))?;
        Ok(transactions.report())
    }
}

/// The previous builds to return to.
enum RollbackTarget {
    /// One jail.
    One(JailName),
    /// All jails of a family: their spec, its origin, and the previous tree of each.
    Family(Box<Spec>, SourceText, BTreeMap<JailName, Tree>),
}

impl RollbackTarget {
    /// Finds the previous builds of the named jails.
    ///
    /// # Errors
    /// [`ErrorKind::Failed`](crate::error::ErrorKind::Failed) where there is none, or those of a
    /// family have different specs.
    fn of(target: &Target, view: &HostView) -> Result<Self> {
        let name = target.name();
        let members = members(name, view)?;
        if members.is_empty() {
            return Ok(Self::One(target.manifest(view)?.name));
        }
        let mut before: Option<(Box<Spec>, SourceText)> = None;
        let mut trees = BTreeMap::new();
        for member in members {
            let Some(kept) = PreviousBuild::of(&member, &HostTemplates(view), view)? else {
                continue;
            };
            match &before {
                None => before = Some((Box::new(kept.spec), kept.origin)),
                Some((_, origin)) if origin.text == kept.origin.text => {}
                Some(_) => {
                    return Err(Error::failed(format!("could not roll the jails of `{name}` back"))
                        .why("one of them was changed without the others since, and they were built from different specs before")
                        .hint(format!("roll them back one by one, as `{member}`, or build the spec as it was")));
                }
            }
            trees.insert(member, kept.tree);
        }
        let (spec, origin) = before.ok_or_else(|| nothing_kept(name))?;
        Ok(Self::Family(spec, origin, trees))
    }

    /// Plans each jail, and calls `act` with the plan before the next one is made.
    fn each(self, view: &HostView, mut act: impl FnMut(Plan) -> Result<()>) -> Result<()> {
        match self {
            Self::One(name) => {
                let plan = plan::roll_back(&name, &HostTemplates(view), view)?;
                let plan = plan.ok_or_else(|| nothing_kept(&name))?;
                refuse_vanished_root(&plan, view)?;
                act(plan)
            }
            Self::Family(spec, origin, mut trees) => {
                for plan in plan_dropped_users(&spec, view)? {
                    act(plan)?;
                }
                for jail in spec.members() {
                    let tree = trees.remove(&jail.name.value);
                    let plan = plan::roll_back_to(&jail, origin.clone(), tree, view)?;
                    refuse_vanished_root(&plan, view)?;
                    act(plan)?;
                }
                Ok(())
            }
        }
    }
}

/// Refuses to roll back a jail whose root is gone: what would be rolled back to is gone too.
fn refuse_vanished_root(plan: &Plan, view: &HostView) -> Result<()> {
    plan.refuse_vanished_root(view).map_err(|mut error| {
        for finding in &mut error.findings {
            finding.what = format!("could not roll the jail `{}` back", plan.name);
            finding.hints.pop();
        }
        error.hint(format!(
            "if it is gone for good, create it again first: jailctl update --recreate {}",
            plan.name
        ))
    })
}

fn nothing_kept(name: &JailName) -> Error {
    Error::failed(format!("could not roll the jail `{name}` back"))
        .why("there is no previous build: it was built once, and has not changed since")
}
