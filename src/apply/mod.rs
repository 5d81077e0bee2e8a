//! Carrying a [`Plan`] out: the only code that writes. It decides nothing; how each step is undone is noted in the journal before it is taken, and
//! an error, or the next run after one that was cut short, undoes all that went before.

mod audit_line;
mod context;
mod deferred;
mod exchange;
mod journal;
mod manifest;
mod recover;
mod removal;
pub mod session_control;
mod session_policy;
mod stage;
mod staged_test;
mod store;
mod store_gc;
mod undo;
mod writer;

use std::path::{Path, PathBuf};

use crate::error::{Error, Finding, Result};
use crate::host::{Host, HostView, Ownership, Process};
use crate::layout::{NEW_RECORDS, PREVIOUS_RECORDS, PREVIOUS_TREE, STAGE};
use crate::names::JailName;
use crate::plan::{Manifest, Plan, RemoveOptions, Step, ensure_account_idle, ensure_no_sessions};
use crate::resolve::{ResolvedJail, Tree};
use context::StepContext;
use deferred::DeferredAction;
use journal::Journal;
pub use recover::recover;
use undo::UndoState;

/// What a run is told besides its plan.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// sshd is not told to read its configuration anew.
    pub no_reload: bool,
}

/// Hears of each step before it is taken.
type OnStep<'f> = &'f mut dyn FnMut(&JailName, &Step);

/// A jail that goes: its name, how it goes, its root, and the ids of its users.
type RemovedJail = (JailName, RemoveOptions, PathBuf, Vec<u32>);

/// One or more plans carried out as one: all of them, or none.
///
/// Each plan is made after the one before it was carried out, since it has to see the accounts that this one made.
#[derive(Debug)]
pub struct Transaction<'h> {
    host: &'h Host,
    options: &'h Options,
    journal: Journal<'h>,
    rest: Vec<DeferredAction>,
    leaving: Vec<RemovedJail>,
    /// Names and ids of accounts that go while their jail stays.
    dropped: Vec<(String, u32)>,
    notices: Vec<String>,
    /// What the system log is told, a line for each jail.
    told: Vec<String>,
}

impl<'h> Transaction<'h> {
    /// Nothing done yet. `what` names it for whoever finds its journal: "build of arkham".
    pub fn new(host: &'h Host, options: &'h Options, what: String) -> Self {
        Self {
            host,
            options,
            journal: Journal::new(host, what),
            rest: Vec::new(),
            leaving: Vec::new(),
            dropped: Vec::new(),
            notices: Vec::new(),
            told: Vec::new(),
        }
    }

    /// Carries one plan out, as far as it can be undone: its accounts do not open yet, and nothing of the user's goes. `on_step` hears of each
    /// step before it is taken.
    ///
    /// After an error nothing more may be carried out; [`Transaction::roll_back`] puts everything back.
    pub fn apply(&mut self, plan: &Plan, on_step: OnStep<'_>) -> Result<()> {
        self.journal.append_undo(undo::undo_for_plan(
            plan,
            self.options.no_reload,
            self.host,
        )?)?;
        let mut run = StepContext::new(self.host, plan, self.options, &mut self.journal);
        let outcome = plan
            .steps
            .iter()
            .filter(|step| !step.is_final())
            .try_for_each(|step| {
                on_step(&plan.name, step);
                run.execute(step)
            });
        self.notices.append(&mut run.notices);
        self.rest.extend(deferred_actions(plan));
        self.leaving.extend(leaving(plan));
        self.dropped.extend(dropped(plan));
        self.told.extend(audit_line::audit_line(plan));
        outcome
    }

    /// Ends it: accounts open, what was swapped out becomes the previous tree, what is to go goes. Gives what an admin should know.
    pub fn finish(mut self, on_step: OnStep<'_>) -> Result<Vec<String>> {
        // Accounts open first: as long as nothing else was done, all can still be put back.
        self.rest
            .sort_by_key(|rest| !matches!(rest, DeferredAction::Open { .. }));
        if let Err(error) = self
            .ensure_sessions_ended()
            .and_then(|()| self.journal.commit(&self.rest))
        {
            return Err(self.roll_back(error));
        }
        let rest = std::mem::take(&mut self.rest);
        let mut error: Option<Error> = None;
        for one in &rest {
            let Err(failed) = one.execute(self.host, self.options, on_step) else {
                continue;
            };
            match one {
                DeferredAction::Open { .. } => return Err(self.roll_back(failed)),
                DeferredAction::Keep { .. } | DeferredAction::Drop { .. } => self
                    .notices
                    .push(format!("what was before could not be kept: {failed}")),
                DeferredAction::Store(_) | DeferredAction::Settle(_) => self.notices.push(format!(
                    "what no jail needs any more could not be removed: {failed}"
                )),
                DeferredAction::DeleteAccount { .. } | DeferredAction::Release { .. } => {
                    error =
                        Some(failed.hint("all else is done, and the next build tries this again"));
                }
                DeferredAction::Remove { .. } => {
                    return Err(failed.hint(
                        "mend the cause and run any command that writes: it goes on where this one stopped",
                    ));
                }
            }
        }
        for line in &self.told {
            self.host.log(line);
        }
        if let Err(failed) = self.journal.end() {
            self.notices.push(format!(
                "all is done, and the next command that writes sees to what stayed: {failed}"
            ));
        }
        error.map_or(Ok(self.notices), Err)
    }

    /// Nobody is to be in a jail that goes once there is no way back: others were built since it was looked at. Nor are processes of an account to run
    /// that goes: one that was on its way in when it was planned has arrived.
    fn ensure_sessions_ended(&self) -> Result<()> {
        let uids: Vec<u32> = self.dropped.iter().map(|(_, uid)| *uid).collect();
        if !uids.is_empty() {
            Process::kill_unauthenticated(self.host, &uids)?;
        }
        for (user, uid) in &self.dropped {
            ensure_account_idle(self.host, user, *uid)?;
        }
        for (name, how, root, uids) in &self.leaving {
            if how.kill {
                let gid = Manifest::load(self.host, name)?.and_then(|manifest| manifest.gid());
                let ended = session_control::end_all(self.host, name, gid, root, uids)?;
                ensure_no_sessions(name, *how, &ended.left)?;
                continue;
            }
            ensure_no_sessions(name, *how, &Process::find_in_jail(self.host, root, uids)?)?;
        }
        Ok(())
    }

    /// Undoes every step that was taken, in reverse, and gives `error` back with what could not be undone.
    pub fn roll_back(mut self, mut error: Error) -> Error {
        let undo = match self.journal.roll_back() {
            Ok(undo) => undo,
            Err(failed) => {
                error.findings.extend(failed.findings);
                return error.hint("the next command that writes puts everything back");
            }
        };
        let (mut findings, left) = UndoState::default().run(&undo, false, self.host);
        if findings.is_empty() {
            let ended = self.journal.end();
            findings.extend(ended.err().into_iter().flat_map(|error| error.findings));
        }
        for mut finding in findings {
            finding.what = format!("while putting things back: {}", finding.what);
            error.findings.push(finding);
        }
        let left = left
            .iter()
            .map(|place| Finding::new(kept_dir_message(place)));
        error.findings.extend(left);
        error
    }
}

/// What is said of a place that stays because its user was quicker.
fn kept_dir_message(place: &Path) -> String {
    format!(
        "`{}` stays: somebody has put something there meanwhile",
        place.display()
    )
}

/// Whom a plan sees out of a jail.
fn leaving(plan: &Plan) -> impl Iterator<Item = RemovedJail> {
    let how = plan.removal.unwrap_or_default();
    plan.steps.iter().filter_map(move |step| match step {
        Step::EndSessions { root, uids, .. } => {
            Some((plan.name.clone(), how, root.clone(), uids.clone()))
        }
        _ => None,
    })
}

/// Whose accounts go, by a plan of a jail that stays.
fn dropped(plan: &Plan) -> impl Iterator<Item = (String, u32)> {
    let steps = plan.steps.iter().filter(|_| plan.removal.is_none());
    steps.filter_map(|step| match step {
        Step::DeleteAccount { user, uid, .. } | Step::RestoreAccount { user, uid, .. } => {
            Some((user.clone(), *uid))
        }
        _ => None,
    })
}

/// What is left of a plan when all that can be undone is done.
fn deferred_actions(plan: &Plan) -> Vec<DeferredAction> {
    let keep = |dir: PathBuf, stage: &str, previous: &str| DeferredAction::Keep {
        dir,
        stage: stage.into(),
        previous: previous.into(),
    };
    let mut rest = Vec::new();
    for step in &plan.steps {
        match step {
            Step::EnableAccount { user, until } => rest.push(DeferredAction::Open {
                jail: plan.name.clone(),
                user: user.clone(),
                until: *until,
            }),
            Step::DeleteAccount { user, uid, .. } if plan.removal.is_none() => {
                rest.push(DeferredAction::DeleteAccount {
                    jail: plan.name.clone(),
                    root: plan.root.clone(),
                    gid: plan
                        .target
                        .as_ref()
                        .and_then(|wanted| wanted.jail.lock.as_ref())
                        .map_or(0, |lock| lock.group.gid),
                    user: user.clone(),
                    uid: *uid,
                });
            }
            Step::RestoreAccount { user, uid, to } if plan.removal.is_none() => {
                rest.push(DeferredAction::Release {
                    jail: plan.name.clone(),
                    root: plan.root.clone(),
                    user: user.clone(),
                    uid: *uid,
                    to: to.clone(),
                });
            }
            Step::WriteTree => rest.push(keep(plan.root.clone(), STAGE, PREVIOUS_TREE)),
            Step::WriteManifest if plan.keep_previous => rest.push(keep(
                ResolvedJail::state(&plan.name),
                NEW_RECORDS,
                PREVIOUS_RECORDS,
            )),
            Step::WriteManifest => rest.push(DeferredAction::Drop {
                dir: ResolvedJail::state(&plan.name),
                stage: NEW_RECORDS.into(),
            }),
            _ => {}
        }
    }
    if plan.steps.contains(&Step::WriteTree) {
        let holder = store::jails_dir(&plan.root).to_owned();
        rest.push(match plan.manifest {
            Some(_) => DeferredAction::Store(holder),
            // A jail's first build takes nothing from any tree.
            None => DeferredAction::Settle(holder),
        });
    }
    rest.extend(plan.removal.map(|how| DeferredAction::Remove {
        jail: plan.name.clone(),
        how,
    }));
    rest
}

/// Makes only a tree, in the directory `target` of the running system, which must be new or empty.
pub fn write_tree_only(view: &HostView, tree: &Tree, target: &Path) -> Result<()> {
    let host = Host::new(Path::new("/"))?;
    let dir = host.given_dir(target, Ownership::root(0o755))?;
    if !dir.entries()?.is_empty() {
        return Err(
            Error::failed(format!("could not make a tree in `{}`", target.display()))
                .why("it is not empty")
                .hint("name a directory that is new or empty"),
        );
    }
    dir.set_owner(Ownership::root(0o755))?;
    stage::write_tree(view, &dir, tree).map_err(|mut error| {
        // Half a tree is of no use; why it is only half is what counts.
        for (name, _) in dir.entries().unwrap_or_default() {
            if let Err(cleanup) = dir.remove_all(Path::new(&name)) {
                error.findings.extend(cleanup.findings);
            }
        }
        error
    })
}
