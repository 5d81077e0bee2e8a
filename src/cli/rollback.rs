//! `rollback`: a jail as it was before the last build that changed it.

use std::collections::BTreeMap;

use clap::Args;

use super::build::{plan_dropped_users, report, summary};
use super::spec_files::HostTemplates;
use super::target::{Target, members};
use super::{CommandOutput, OutputOptions, RootOption, WriteOptions};
use crate::apply::Transaction;
use crate::error::{Error, Result};
use crate::host::{Host, HostView};
use crate::names::JailName;
use crate::plan::{self, Origin, Plan, PreviousBuild};
use crate::resolve::Tree;
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
    pub(crate) fn run(self, voice: OutputOptions) -> Result<CommandOutput> {
        let root = self.root.path()?;
        if self.writing.dry_run {
            let view = HostView::new(&root)?;
            let mut plans = Vec::new();
            RollbackTarget::of(&Target::new(&self.target, &view)?, &view)?.each(&view, |plan| {
                plans.push(plan);
                Ok(())
            })?;
            return report(&plans, &[], self.writing.json, voice, 0)
                .with_interruption_notice(&view);
        }
        let host = Host::new(&root)?;
        let (_lock, mut notices) = self.writing.lock_and_recover(&host)?;
        let target = Target::new(&self.target, &host)?;
        let before = RollbackTarget::of(&target, &host)?;
        let options = self.writing.options();
        let what = format!("rollback of {}", target.name());
        let mut transaction = Transaction::new(&host, &options, what);
        let mut plans = Vec::new();
        let outcome = before.each(&host, |plan| {
            plans.push(plan);
            plans.last().map_or(Ok(()), |plan| {
                transaction.apply(plan, &mut voice.step_logger())
            })
        });
        match outcome {
            Ok(()) => notices.extend(transaction.finish(&mut voice.step_logger())?),
            Err(error) => return Err(transaction.roll_back(error)),
        }
        let changed = plans.iter().any(|plan| !plan.steps.is_empty());
        if self.writing.json {
            return Ok(CommandOutput {
                changed,
                ..report(&plans, &notices, true, voice, 0)
            });
        }
        notices.extend(plans.iter().flat_map(|plan| plan.notices.iter().cloned()));
        Ok(CommandOutput {
            text: plans.iter().map(summary).collect(),
            notices,
            changed,
            ..CommandOutput::default()
        })
    }
}

/// What is to be again.
enum RollbackTarget {
    /// One jail.
    One(JailName),
    /// All jails of a family: their spec, and what is kept of each.
    Family(Box<Spec>, Origin, BTreeMap<JailName, Tree>),
}

impl RollbackTarget {
    /// What the jails were that are meant.
    fn of(target: &Target, view: &HostView) -> Result<Self> {
        let name = target.name();
        let members = members(name, view)?;
        if members.is_empty() {
            return Ok(Self::One(target.manifest(view)?.name));
        }
        let mut before: Option<(Box<Spec>, Origin)> = None;
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

    /// Plans each jail when the one before it was carried out.
    fn each(self, view: &HostView, mut act: impl FnMut(Plan) -> Result<()>) -> Result<()> {
        match self {
            Self::One(name) => {
                let plan = plan::roll_back(&name, &HostTemplates(view), view)?;
                act(plan.ok_or_else(|| nothing_kept(&name))?)
            }
            Self::Family(spec, origin, mut trees) => {
                for plan in plan_dropped_users(&spec, view)? {
                    act(plan)?;
                }
                for jail in spec.members() {
                    let tree = trees.remove(&jail.name.value);
                    act(plan::roll_back_to(&jail, origin.clone(), tree, view)?)?;
                }
                Ok(())
            }
        }
    }
}

fn nothing_kept(name: &JailName) -> Error {
    Error::failed(format!("could not roll the jail `{name}` back"))
        .why("nothing is kept of a time before: it was built once, and not changed since")
}
