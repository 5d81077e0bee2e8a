//! Transactions: one or more plans, all of them executed or none.

use std::path::PathBuf;

use super::context::StepContext;
use super::journal::Journal;
use super::journal::deferred_action::DeferredAction;
use super::options::{OnStep, Options};
use super::{audit_line, commit, session_control, steps, undo};
use crate::error::{Error, Finding, Result};
use crate::host::{Host, Process};
use crate::names::JailName;
use crate::plan::{Manifest, Plan, RemoveOptions, Step, ensure_account_idle, ensure_no_sessions};

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
    audit_lines: Vec<String>,
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
        }
    }

    /// Executes the steps of a plan that can be undone. Final steps are deferred to
    /// [`Transaction::finish`]: no account is enabled, and no data of users is deleted.
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
    pub fn apply(&mut self, plan: &Plan, on_step: OnStep<'_>) -> Result<()> {
        let mut context = StepContext::new(self.host, plan, self.options, &mut self.journal);
        context.journal_undo(steps::undo_for_plan(plan, &context)?)?;
        let outcome = plan
            .steps
            .iter()
            .filter(|step| !step.is_final())
            .try_for_each(|step| {
                on_step(&plan.name, step);
                steps::execute(step, &mut context)
            });
        self.notices.extend(context.into_notices());
        self.deferred.extend(commit::deferred_actions(plan));
        self.removed_jails.extend(removed_jail(plan));
        self.dropped_accounts.extend(dropped_accounts(plan));
        self.audit_lines.extend(audit_line::audit_line(plan));
        outcome
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
        // Accounts are enabled first: until something else is done, everything can be undone.
        self.deferred
            .sort_by_key(|action| !matches!(action, DeferredAction::EnableAccount { .. }));
        if let Err(error) = self
            .ensure_sessions_ended()
            .and_then(|()| self.journal.commit(&self.deferred))
        {
            return Err(self.roll_back(error));
        }
        let deferred = std::mem::take(&mut self.deferred);
        let mut error: Option<Error> = None;
        for action in &deferred {
            let notices = &mut self.notices;
            let outcome = commit::execute(action, self.host, self.options, notices, on_step);
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
                    error = Some(
                        failed.hint("all else is finished, and the next build tries this again"),
                    );
                }
                DeferredAction::RemoveJail { .. } | DeferredAction::PurgeRoot { .. } => {
                    return Err(failed.hint(
                        "fix the cause and run any command that writes: it continues the removal",
                    ));
                }
            }
        }
        for line in &self.audit_lines {
            self.host.log(line);
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
                session_control::end_all(self.host, name, gid, root, uids)?.left
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
