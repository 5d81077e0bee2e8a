//! Execution of deferred actions, after the commit of a run. All are idempotent, since recovery
//! executes them again.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use rustix::fs::RenameFlags;

use super::accounts::{self, DeletedAccount};
use super::context::StepContext;
use super::journal::deferred_action::DeferredAction;
use super::options::{OnStep, Options};
use super::{manifest, removal, steps, store, store_gc};
use crate::error::Result;
use crate::host::Host;
use crate::layout::{NEW_RECORDS, PREVIOUS_RECORDS, PREVIOUS_TREE, STAGE};
use crate::names::JailName;
use crate::plan::{self, Fleet, Plan, RemoveOptions, Step};
use crate::resolve::ResolvedJail;

/// The deferred actions of a plan, in the order of their execution.
pub(super) fn deferred_actions(plan: &Plan) -> Vec<DeferredAction> {
    let rotate = |dir: PathBuf, stage: &str, previous: &str| DeferredAction::RotatePrevious {
        dir,
        stage: stage.into(),
        previous: previous.into(),
    };
    let (jail, root) = (&plan.name, &plan.root);
    let state = ResolvedJail::state(jail);
    let mut actions = Vec::new();
    let mut store = None;
    for step in &plan.steps {
        match step {
            Step::EnableAccount { user, until } => actions.push(DeferredAction::EnableAccount {
                jail: jail.clone(),
                user: user.clone(),
                until: *until,
            }),
            Step::DeleteAccount { user, uid, gid, .. } if plan.removal.is_none() => {
                actions.push(DeferredAction::DeleteAccount {
                    jail: jail.clone(),
                    root: root.clone(),
                    gid: *gid,
                    user: user.clone(),
                    uid: *uid,
                });
            }
            Step::RestoreAccount { user, uid, to } if plan.removal.is_none() => {
                actions.push(DeferredAction::RestoreAccount {
                    jail: jail.clone(),
                    root: root.clone(),
                    user: user.clone(),
                    uid: *uid,
                    to: to.clone(),
                });
            }
            Step::WriteTree { recorded, .. } => {
                actions.push(rotate(root.clone(), STAGE, PREVIOUS_TREE));
                let jails_dir = store::jails_dir(root).to_owned();
                store = Some(match recorded {
                    Some(_) => DeferredAction::CleanStore(jails_dir),
                    // The first build of a jail replaces no tree.
                    None => DeferredAction::CloseStore(jails_dir),
                });
            }
            Step::WriteManifest { .. } if plan.keep_previous => {
                actions.push(rotate(state.clone(), NEW_RECORDS, PREVIOUS_RECORDS));
            }
            Step::WriteManifest { .. } => actions.push(DeferredAction::DeleteStage {
                dir: state.clone(),
                stage: NEW_RECORDS.into(),
            }),
            Step::PurgeRoot { made, .. } => actions.push(DeferredAction::PurgeRoot {
                jail: jail.clone(),
                root: root.clone(),
                made: made.clone(),
            }),
            _ => {}
        }
    }
    actions.extend(store);
    let is_purge = |step: &Step| matches!(step, Step::PurgeRoot { .. });
    let removal = plan.removal.filter(|_| !plan.steps.iter().any(is_purge));
    actions.extend(removal.map(|how| DeferredAction::RemoveJail {
        jail: plan.name.clone(),
        how,
    }));
    actions
}

/// The actions with one for each store, after all others: no plan of the transaction needs its
/// files by then.
pub(super) fn with_stores_cleaned_once(actions: Vec<DeferredAction>) -> Vec<DeferredAction> {
    let mut cleaned = BTreeSet::new();
    let mut closed = BTreeSet::new();
    let mut others = Vec::with_capacity(actions.len());
    for action in actions {
        match action {
            DeferredAction::CleanStore(dir) => drop(cleaned.insert(dir)),
            DeferredAction::CloseStore(dir) => drop(closed.insert(dir)),
            other => others.push(other),
        }
    }
    let closed = closed.into_iter().filter(|dir| !cleaned.contains(dir));
    others.extend(closed.map(DeferredAction::CloseStore));
    others.extend(cleaned.into_iter().map(DeferredAction::CleanStore));
    others
}

/// Executes a deferred action, and adds its notices. `on_step` is called before each step of it. A
/// removal deletes the files of the store that no jail needs any more if it `sweeps`.
///
/// # Errors
/// [`ErrorKind::Failed`](crate::error::ErrorKind::Failed); the action can be executed again.
pub(super) fn execute(
    action: &DeferredAction,
    host: &Host,
    options: &Options,
    sweeps: bool,
    notices: &mut Vec<String>,
    on_step: OnStep<'_>,
) -> Result<()> {
    match action {
        DeferredAction::EnableAccount { jail, user, until } => {
            let step = Step::EnableAccount {
                user: user.clone(),
                until: *until,
            };
            on_step(jail, &step);
            accounts::enable(host, user, *until)
        }
        DeferredAction::DeleteAccount {
            jail,
            root,
            gid,
            user,
            uid,
        } => {
            let step = Step::DeleteAccount {
                user: user.clone(),
                uid: *uid,
                gid: *gid,
                purge: false,
            };
            on_step(jail, &step);
            let account = DeletedAccount {
                jail,
                root,
                gid: *gid,
                user,
                uid: *uid,
                purge: false,
            };
            accounts::delete(host, account)
        }
        DeferredAction::RestoreAccount {
            jail,
            root,
            user,
            uid,
            to,
        } => {
            let step = Step::RestoreAccount {
                user: user.clone(),
                uid: *uid,
                to: to.clone(),
            };
            on_step(jail, &step);
            accounts::restore(host, root, user, *uid, to)
        }
        DeferredAction::RotatePrevious {
            dir,
            stage,
            previous,
        } => rotate_previous(host, dir, stage, previous),
        DeferredAction::DeleteStage { dir, stage } => match host.open_dir_nofollow(dir)? {
            Some(dir) => dir.remove_all(stage),
            None => Ok(()),
        },
        DeferredAction::CleanStore(jails_dir) => store_gc::gc(host, jails_dir, None, false),
        DeferredAction::CloseStore(jails_dir) => store_gc::close_unused(host, jails_dir),
        DeferredAction::PurgeRoot { jail, root, made } => {
            removal::purge_root(host, jail, root, made)
        }
        DeferredAction::RemoveJail { jail, how } => {
            remove_jail(host, jail, *how, options, sweeps, notices, on_step)
        }
    }
}

/// Removes what is left of a jail whose accounts are disabled and whose sessions have ended.
fn remove_jail(
    host: &Host,
    jail: &JailName,
    how: RemoveOptions,
    options: &Options,
    sweeps: bool,
    notices: &mut Vec<String>,
    on_step: OnStep<'_>,
) -> Result<()> {
    // Planned again: what an interrupted run has removed is not in this plan.
    let Some(plan) = plan::removal(jail, &[], how, host)? else {
        return Ok(());
    };
    let mut context = StepContext::of_final_steps(host, &plan, options);
    context.sweeps_store = sweeps;
    let mut steps = plan.steps.iter().filter(|step| step.is_final());
    let outcome = steps.try_for_each(|step| {
        on_step(jail, step);
        steps::execute(step, &mut context)
    });
    notices.extend(context.into_results().1);
    outcome?;
    Fleet::forget(host, jail)
}

/// Replaces the previous generation of the directory `dir` with its stage.
fn rotate_previous(host: &Host, dir: &Path, stage: &Path, previous: &Path) -> Result<()> {
    let Some(open) = host.open_dir_nofollow(dir)? else {
        return Ok(());
    };
    if open.lstat(stage)?.is_none() {
        return Ok(());
    }
    manifest::remove_previous(host, dir, &open, previous)?;
    open.rename(stage, &open, previous, RenameFlags::NOREPLACE)
}
