//! Transactions: one or more plans, all of them executed or none.

use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use super::context::StepContext;
use super::journal::Journal;
use super::journal::deferred_action::DeferredAction;
use super::options::{OnStep, Options};
use super::stage::WrittenFiles;
use super::{audit_line, commit, session_control, sshd_snippet, steps, undo};
use crate::error::{Error, Finding, Result};
use crate::host::{Event, Host, Process};
use crate::names::JailName;
use crate::plan::{
    Fleet, Manifest, Plan, RemoveOptions, Step, ensure_account_idle, ensure_no_sessions,
};

/// Most plans whose drop-ins are verified and written at once: sshd reads all of its configuration
/// for each verification and each reload, and each plan has a tree in memory.
const AT_ONCE: usize = 64;

/// A plan that waits for the drop-ins of sshd, with what its first steps have written.
#[derive(Debug)]
struct WaitingPlan {
    plan: Arc<Plan>,
    /// Number of its steps that are executed.
    done: usize,
    written: WrittenFiles,
}

/// A jail that a plan of the transaction removes.
#[derive(Debug)]
struct RemovedJail {
    name: JailName,
    options: RemoveOptions,
    root: PathBuf,
    uids: Vec<u32>,
}

/// An account that a plan removes from a jail that stays.
#[derive(Debug)]
struct DroppedAccount {
    user: String,
    uid: u32,
}

/// One or more plans that are executed as one: all of them, or none.
///
/// Each plan is made after the one before it was applied, since it depends on the accounts that
/// this one created.
#[derive(Debug)]
pub struct Transaction<'h> {
    host: &'h Host,
    options: &'h Options,
    journal: Journal<'h>,
    deferred: Vec<DeferredAction>,
    removed_jails: Vec<RemovedJail>,
    dropped_accounts: Vec<DroppedAccount>,
    notices: Vec<String>,
    /// Lines for the system log, one for each jail that changed.
    audit_lines: Vec<(JailName, String)>,
    /// Plans that are executed up to the drop-ins of sshd.
    waiting: Vec<WaitingPlan>,
}

impl<'h> Transaction<'h> {
    /// A transaction without plans; nothing is written yet. `what` names the run in messages about
    /// its journal: "build of arkham". The host's lock must be held until it has ended.
    pub fn new(host: &'h Host, options: &'h Options, what: String) -> Self {
        Self {
            host,
            options,
            journal: Journal::new(host, what),
            deferred: Vec::new(),
            removed_jails: Vec::new(),
            dropped_accounts: Vec::new(),
            notices: Vec::new(),
            audit_lines: Vec::new(),
            waiting: Vec::new(),
        }
    }

    /// Executes the steps of a plan that can be undone. Final steps are deferred to
    /// [`Transaction::finish`]: no account is enabled, and no data of users is deleted. The
    /// drop-ins of sshd, and the steps after them, wait for those of further plans, until `finish`
    /// at the latest: they are verified, written and loaded together.
    ///
    /// The undo of each step is in the journal, and synced, before the step is executed. `on_step`
    /// is called before each step.
    ///
    /// # Errors
    /// Usually [`ErrorKind::Failed`](crate::error::ErrorKind::Failed);
    /// [`ErrorKind::Busy`](crate::error::ErrorKind::Busy) where another program has taken an id of
    /// the plan. Steps before the one that failed are executed then. The transaction must be ended
    /// with [`Transaction::roll_back`], which undoes them, and no other plan may be applied. A
    /// process that ends instead leaves the journal, and [`recover`](super::recover()) undoes them.
    pub fn apply(&mut self, plan: &Arc<Plan>, on_step: OnStep<'_>) -> Result<()> {
        self.deferred.extend(commit::deferred_actions(plan));
        self.removed_jails.extend(removed_jail(plan));
        self.dropped_accounts.extend(dropped_accounts(plan));
        let line = audit_line::audit_line(plan);
        self.audit_lines
            .extend(line.map(|line| (plan.name.clone(), line)));
        Fleet::note(self.host, plan)?;
        let of_sshd = plan.steps.iter().position(Step::is_of_sshd);
        let done = of_sshd.unwrap_or(plan.steps.len());
        let written = self.execute(plan, 0..done, WrittenFiles::default(), on_step)?;
        if of_sshd.is_some() {
            self.waiting.push(WaitingPlan {
                plan: plan.clone(),
                done,
                written,
            });
            if self.waiting.len() >= AT_ONCE {
                self.install_snippets(on_step)?;
            }
        }
        Ok(())
    }

    /// Executes steps of a plan, after their undo was journalled.
    fn execute(
        &mut self,
        plan: &Plan,
        range: Range<usize>,
        written: WrittenFiles,
        on_step: OnStep<'_>,
    ) -> Result<WrittenFiles> {
        let mut context = StepContext::new(self.host, plan, self.options, &mut self.journal);
        context.written = written;
        let steps = &plan.steps[range];
        context.journal_undo(steps::undo_for_steps(steps, &context)?)?;
        let outcome = steps
            .iter()
            // Those of sshd are executed for several plans at once.
            .filter(|step| !step.is_final() && !step.is_of_sshd())
            .try_for_each(|step| {
                on_step(&plan.name, step);
                steps::execute(step, &mut context)
            });
        let (written, notices) = context.into_results();
        self.notices.extend(notices);
        outcome.map(|()| written)
    }

    /// Verifies and writes the drop-ins of all plans that wait for them, reloads sshd, and executes
    /// the steps after that.
    fn install_snippets(&mut self, on_step: OnStep<'_>) -> Result<()> {
        let waiting = std::mem::take(&mut self.waiting);
        let Some(first) = waiting.first() else {
            return Ok(());
        };
        for WaitingPlan { plan, .. } in &waiting {
            for step in plan.steps.iter().filter(|step| step.is_of_sshd()) {
                on_step(&plan.name, step);
            }
        }
        let plans = waiting.iter().map(|waiting| &*waiting.plan);
        let (change, notices) = sshd_snippet::verify(self.host, plans)?;
        for notice in notices {
            self.notice(notice);
        }
        let reloaded = first.plan.facts();
        let reloaded = reloaded.filter(|_| !self.options.no_reload && self.host.is_live());
        self.journal
            .append_undo(change.undo(self.host, reloaded)?)?;
        if let Some(notice) = change.make(self.host, reloaded)? {
            self.notice(notice);
        }
        for WaitingPlan {
            plan,
            done,
            written,
        } in waiting
        {
            self.execute(&plan, done..plan.steps.len(), written, on_step)?;
        }
        Ok(())
    }

    /// Adds a notice for the admin, once.
    fn notice(&mut self, notice: String) {
        if !self.notices.contains(&notice) {
            self.notices.push(notice);
        }
    }

    /// Finishes the transaction: enables accounts, commits, keeps the tree that was replaced as the
    /// previous one, and deletes what the plans remove. Returns notices for the admin.
    ///
    /// # Errors
    /// Usually [`ErrorKind::Failed`](crate::error::ErrorKind::Failed). What holds then depends on
    /// the step that failed:
    /// - until all accounts are enabled, everything is rolled back: the host is as it was before
    ///   the transaction, except for what the error lists as not undone;
    /// - where a jail could not be removed, the journal stays, and [`recover`](super::recover())
    ///   continues with it;
    /// - where an account could not be deleted or restored, all else is finished, and the next
    ///   build tries it again.
    ///
    /// A previous tree that could not be kept and a store that could not be cleaned are notices.
    pub fn finish(mut self, on_step: OnStep<'_>) -> Result<Vec<String>> {
        if let Err(error) = self.install_snippets(on_step) {
            return Err(self.roll_back(error));
        }
        // Accounts are enabled first: until something else is done, everything can be undone.
        self.deferred
            .sort_by_key(|action| !matches!(action, DeferredAction::EnableAccount { .. }));
        self.deferred = commit::with_stores_cleaned_once(std::mem::take(&mut self.deferred));
        if let Err(error) = self
            .ensure_sessions_ended()
            .and_then(|()| self.journal.commit(&self.deferred))
        {
            return Err(self.roll_back(error));
        }
        let deferred = std::mem::take(&mut self.deferred);
        let removal = |action: &DeferredAction| matches!(action, DeferredAction::RemoveJail { .. });
        let last_removal = deferred.iter().rposition(removal);
        let mut error: Option<Error> = None;
        for (at, action) in deferred.iter().enumerate() {
            // The files of all removed jails leave the store with the last of them.
            let sweeps = last_removal.is_none_or(|last| at >= last);
            let notices = &mut self.notices;
            let outcome =
                commit::execute(action, self.host, self.options, sweeps, notices, on_step);
            let Err(failed) = outcome else {
                continue;
            };
            match action {
                DeferredAction::EnableAccount { .. } => return Err(self.roll_back(failed)),
                DeferredAction::RotatePrevious { .. } | DeferredAction::DeleteStage { .. } => self
                    .notices
                    .push(format!("could not keep the previous build: {failed}")),
                DeferredAction::CleanStore(_) | DeferredAction::CloseStore(_) => self.notices.push(
                    format!("could not delete unused files of the store: {failed}"),
                ),
                DeferredAction::DeleteAccount { .. } | DeferredAction::RestoreAccount { .. } => {
                    error = Some(failed.hint(
                        "all other steps are done; run `jailctl build` to try this one again",
                    ));
                }
                DeferredAction::RemoveJail { .. } | DeferredAction::PurgeRoot { .. } => {
                    return Err(failed.hint(
                        "fix the cause and run any command that writes: it continues the removal",
                    ));
                }
            }
        }
        for (jail, line) in &self.audit_lines {
            self.host.log(Event::JailChanged, &[jail.as_str()], line);
        }
        if let Err(failed) = self.journal.end() {
            self.notices.push(format!(
                "everything is finished, but the journal stays until the next command that writes: {failed}"
            ));
        }
        error.map_or(Ok(self.notices), Err)
    }

    /// Checks again that no session is in a jail that is removed and no process of an account that
    /// is deleted runs: after the commit nothing can be undone, other plans were applied since the
    /// check of `apply`, and a connection that was in authentication when the plan was made may be
    /// logged in by now.
    fn ensure_sessions_ended(&self) -> Result<()> {
        let dropped = &self.dropped_accounts;
        let uids: Vec<u32> = dropped.iter().map(|account| account.uid).collect();
        if !uids.is_empty() {
            Process::kill_unauthenticated(self.host, &uids)?;
        }
        for DroppedAccount { user, uid } in dropped {
            ensure_account_idle(self.host, user, *uid)?;
        }
        for RemovedJail {
            name,
            options,
            root,
            uids,
        } in &self.removed_jails
        {
            let left = if options.kill {
                let gid = Manifest::load(self.host, name)?.and_then(|manifest| manifest.gid());
                session_control::end_all(self.host, name, gid, Some(root), uids)?.left
            } else {
                Process::find_in_jail(self.host, root, uids)?
            };
            ensure_no_sessions(self.host, name, *options, &left)?;
        }
        Ok(())
    }

    /// Undoes every executed step, last first, and returns `error` with what could not be undone.
    ///
    /// If everything was undone, the host is as it was before the transaction, except for user
    /// directories that their users have changed, which the error lists. Otherwise the journal
    /// stays, and [`recover`](super::recover()) tries again.
    pub fn roll_back(mut self, mut error: Error) -> Error {
        self.host.forget_run();
        let undo = match self.journal.roll_back() {
            Ok(undo) => undo,
            Err(failed) => {
                error.findings.extend(failed.findings);
                return error.hint("the next command that writes undoes everything");
            }
        };
        let outcome = undo::undo_all(&undo, false, self.host);
        let mut findings = outcome.findings;
        if findings.is_empty() {
            let ended = self.journal.end();
            findings.extend(ended.err().into_iter().flat_map(|error| error.findings));
        }
        for mut finding in findings {
            finding.what = format!("while rolling back: {}", finding.what);
            error.findings.push(finding);
        }
        let kept = outcome.kept_user_dirs.into_iter();
        error.findings.extend(kept.map(Finding::new));
        error
    }
}

fn removed_jail(plan: &Plan) -> impl Iterator<Item = RemovedJail> {
    let options = plan.removal.unwrap_or_default();
    plan.steps.iter().filter_map(move |step| match step {
        Step::EndSessions { root, uids, .. } => Some(RemovedJail {
            name: plan.name.clone(),
            options,
            root: root.clone(),
            uids: uids.clone(),
        }),
        _ => None,
    })
}

/// The accounts that a plan removes, if the jail stays.
fn dropped_accounts(plan: &Plan) -> impl Iterator<Item = DroppedAccount> {
    let steps = plan.steps.iter().filter(|_| plan.removal.is_none());
    steps.filter_map(|step| match step {
        Step::DeleteAccount { user, uid, .. } | Step::RestoreAccount { user, uid, .. } => {
            Some(DroppedAccount {
                user: user.clone(),
                uid: *uid,
            })
        }
        _ => None,
    })
}
