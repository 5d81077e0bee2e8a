//! The transactions of a command that changes the host: `build`, `update`, `rollback` and `remove`
//! lock, recover, plan, apply, finish or roll back, and report in the same way.

use std::borrow::Borrow;
use std::sync::Arc;

use super::{CommandOutput, OutputOptions, WriteOptions};
use crate::apply::Transaction;
use crate::error::{Error, Result};
use crate::host::{Event, Host, Lock};
use crate::names::JailName;
use crate::plan::{self, Plan};
use crate::show;
use crate::show::run_summary::{JailLine, Outcome, run_summary};

/// The transactions of one command. The host's lock is held as long as this exists.
pub(super) struct Transactions<'a> {
    host: &'a Host,
    options: &'a WriteOptions,
    output: OutputOptions,
    _lock: Lock,
    /// Notices of recovery and of finished transactions.
    notices: Vec<String>,
    done: Batch,
}

/// Results of a transaction, for the report.
#[derive(Default)]
struct Batch {
    /// Plans, for a report as JSON.
    plans: Vec<Arc<Plan>>,
    /// Whether the plans are kept.
    keeps_plans: bool,
    /// Number of plans.
    count: usize,
    /// Whether a plan has steps.
    is_changed: bool,
    /// One line for each jail.
    lines: Vec<JailLine>,
    /// Notices of plans.
    plan_notices: Vec<String>,
    /// Jails whose files were replaced, with the user ids of their accounts.
    replaced: Vec<(JailName, Vec<u32>)>,
}

/// A transaction under way.
pub(super) struct Applier<'t, 'h> {
    transaction: &'t mut Transaction<'h>,
    output: OutputOptions,
    batch: Batch,
}

impl<'a> Transactions<'a> {
    /// Takes the host's lock, and recovers an interrupted run.
    ///
    /// # Errors
    /// [`ErrorKind::Busy`](crate::error::ErrorKind::Busy) where another jailctl holds the lock
    /// longer than `--lock-timeout` allows, and the errors of
    /// [`recover`](crate::apply::recover()). Nothing else is written then.
    pub(super) fn begin(
        host: &'a Host,
        options: &'a WriteOptions,
        output: OutputOptions,
    ) -> Result<Self> {
        let (lock, notices) = options.lock_and_recover(host)?;
        Ok(Self {
            host,
            options,
            output,
            _lock: lock,
            notices,
            done: Batch {
                keeps_plans: options.json,
                ..Batch::default()
            },
        })
    }

    /// Runs one transaction: `apply_plans` makes plans and applies each with [`Applier::apply`]
    /// before it makes the next. `what` names the run in messages: "build of arkham".
    ///
    /// # Errors
    /// The error of `apply_plans`, after everything was rolled back, or that of
    /// [`Transaction::finish`]. The report has nothing of the transaction then; others may follow.
    pub(super) fn run(
        &mut self,
        what: String,
        apply_plans: impl FnOnce(&mut Applier<'_, '_>) -> Result<()>,
    ) -> Result<()> {
        let options = self.options.options();
        let mut transaction = Transaction::new(self.host, &options, what);
        let mut applier = Applier {
            transaction: &mut transaction,
            output: self.output,
            batch: Batch {
                keeps_plans: self.done.keeps_plans,
                ..Batch::default()
            },
        };
        let outcome = apply_plans(&mut applier);
        let batch = applier.batch;
        match outcome {
            Ok(()) => {
                let notices = transaction.finish(&mut self.output.step_logger())?;
                self.notices.extend(notices);
                for (jail, uids) in &batch.replaced {
                    // Everything is done: an error is no more than a notice.
                    let notice = plan::outdated_processes(jail, uids, self.host);
                    self.notices
                        .extend(notice.unwrap_or_else(|error| Some(error.to_string())));
                }
            }
            Err(error) => return Err(transaction.roll_back(error)),
        }
        self.done.plans.extend(batch.plans);
        self.done.count += batch.count;
        self.done.is_changed |= batch.is_changed;
        self.done.lines.extend(batch.lines);
        self.done.plan_notices.extend(batch.plan_notices);
        Ok(())
    }

    /// Writes to the system log that `what`, a run for `jails`, failed: "build of arkham".
    pub(super) fn log_failure(&self, what: &str, jails: &[&str], error: &Error) {
        let text = format!("{what} failed: {error}");
        self.host.log(Event::ChangeFailed, jails, &text);
    }

    /// Adds a notice to the report.
    pub(super) fn notice(&mut self, notice: String) {
        self.notices.push(notice);
    }

    /// Keeps the plans that are applied from here on, for a report about them.
    pub(super) fn keep_plans(&mut self) {
        self.done.keeps_plans = true;
    }

    /// Plans that were applied, if they are kept.
    pub(super) fn plans(&self) -> &[Arc<Plan>] {
        &self.done.plans
    }

    /// Whether no plan was applied.
    pub(super) fn is_empty(&self) -> bool {
        self.done.count == 0
    }

    /// The report of a command that has nothing to do but the recovery of an interrupted run;
    /// `None` where no run was interrupted.
    pub(super) fn recovery_report(self) -> Option<CommandOutput> {
        (!self.notices.is_empty()).then(|| CommandOutput {
            notices: self.notices,
            ..CommandOutput::default()
        })
    }

    /// The report of all transactions, as text or as JSON.
    pub(super) fn report(self) -> CommandOutput {
        let Self {
            options,
            output,
            mut notices,
            done,
            ..
        } = self;
        let changed = done.is_changed;
        if options.json {
            return CommandOutput {
                changed,
                ..show_plans(&done.plans, &notices, true, output)
            };
        }
        // The jails of a family have notices in common.
        for notice in done.plan_notices {
            if !notices.contains(&notice) {
                notices.push(notice);
            }
        }
        CommandOutput {
            text: run_summary(&done.lines, output.verbose),
            notices,
            changed,
            ..CommandOutput::default()
        }
    }
}

impl Applier<'_, '_> {
    /// Applies a plan, as [`Transaction::apply`] does.
    pub(super) fn apply(&mut self, plan: Plan) -> Result<()> {
        let plan = Arc::new(plan);
        self.transaction
            .apply(&plan, &mut self.output.step_logger())?;
        self.batch.lines.push(summary(&plan));
        self.batch.plan_notices.extend(plan.notices.iter().cloned());
        self.batch.count += 1;
        self.batch.is_changed |= !plan.steps.is_empty();
        self.batch.replaced.extend(replaced(&plan));
        if self.batch.keeps_plans {
            // The common drop-in is a step of each new jail, and is written once.
            let mut shown = Plan::clone(&plan);
            shown.drop_steps_done_by(&self.batch.plans);
            self.batch.plans.push(Arc::new(shown));
        }
        Ok(())
    }

    /// Reports a jail that is known to be as its spec says, with the notices about it.
    pub(super) fn skip(&mut self, jail: &JailName, notices: Vec<String>) {
        self.batch.lines.push(nothing_to_do(jail));
        self.batch.plan_notices.extend(notices);
    }
}

/// The output of plans that are not applied: as text, or as JSON with `warnings`.
pub(super) fn show_plans(
    plans: &[impl Borrow<Plan>],
    warnings: &[String],
    json: bool,
    output: OutputOptions,
) -> CommandOutput {
    let plans: Vec<&Plan> = plans.iter().map(Borrow::borrow).collect();
    let text = if json {
        format!("{}\n", show::plan::json(&plans, warnings))
    } else {
        show::plan::texts(&plans, output.verbose, output.paint)
    };
    CommandOutput {
        text,
        ..CommandOutput::default()
    }
}

fn nothing_to_do(jail: &JailName) -> JailLine {
    JailLine {
        jail: jail.clone(),
        outcome: Outcome::Unchanged,
        text: "nothing to do".to_owned(),
    }
}

/// The jail whose files an applied plan has replaced, with the user ids of its accounts; `None` if
/// the plan has replaced none.
fn replaced(plan: &Plan) -> Option<(JailName, Vec<u32>)> {
    let manifest = plan.manifest.as_ref().filter(|_| plan.removal.is_none())?;
    if plan.changes.is_empty() {
        return None;
    }
    let accounts = manifest.accounts.iter();
    Some((
        plan.name.clone(),
        accounts.map(|account| account.uid).collect(),
    ))
}

/// The line about an applied plan.
fn summary(plan: &Plan) -> JailLine {
    let line = |outcome, text| JailLine {
        jail: plan.name.clone(),
        outcome,
        text,
    };
    if plan.removal.is_some() {
        return line(Outcome::Removed, "removed".to_owned());
    }
    if !plan.is_change() {
        return nothing_to_do(&plan.name);
    }
    let changes = show::plan::changes(plan);
    let target = match &plan.target {
        // The difference to the build before says more than the numbers of the whole jail.
        Some(target) if plan.manifest.is_none() => target,
        _ => return line(Outcome::Built, changes),
    };
    let users: Vec<&str> = (target.jail.accounts.iter())
        .map(|account| account.name.as_str())
        .collect();
    let names = if users.is_empty() {
        String::new()
    } else {
        format!(" ({})", users.join(", "))
    };
    line(
        Outcome::Built,
        format!(
            "built at {}: {}, {}{names}",
            plan.root.display(),
            show::count(target.jail.tree.len(), "entry", "entries"),
            show::count(users.len(), "user", "users"),
        ),
    )
}
