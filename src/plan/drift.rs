//! Differences between a jail as it was built and as it is: the plan of the spec as built, with
//! each step as a difference.

use super::build::build_plan_with;
use super::compare::{Change, ChangeKind, Depth, compare};
use super::difference::{Difference, Drift, Kind};
use super::manifest::{Manifest, spec_as_built};
use super::observe::inventory_of;
use super::postponed_sessions::{PostponedSessions, as_plain_chroot};
use super::record_drift;
use super::step::Step;
use super::store_index::{Index, store_of};
use super::types::Plan;
use super::vanished_root::VanishedRoot;
use crate::error::Result;
use crate::host::{HostView, manager_unit};
use crate::layout::SSHD_CONFIG_DIR;
use crate::resolve::scheduled_jobs::{HostJob, ScheduledJobs};
use crate::span::SourceText;
use crate::spec::{self, Templates};

/// Compares a jail with its manifest, its spec as built and the host.
///
/// A file that the host no longer has is a difference, not an error: the root is then compared with
/// the manifest only.
///
/// # Errors
/// [`crate::error::ErrorKind::Failed`] if the records of the jail or its root cannot be read.
pub fn drift(
    manifest: &Manifest,
    templates: &dyn Templates,
    depth: Depth,
    view: &HostView,
) -> Result<Drift> {
    let mut drift = Drift {
        differences: Vec::new(),
        notices: Vec::new(),
    };
    let outside = outside(manifest, view)?;
    let text = spec_as_built(view, &manifest.name)?.unwrap_or_default();
    let spec = spec::source(&manifest.spec, text.clone().into_bytes())
        .and_then(|source| spec::load_recorded(&source, templates))
        .and_then(|spec| spec.member(&manifest.name));
    let planned = spec.clone().and_then(|mut spec| {
        let source = SourceText {
            name: manifest.spec.clone(),
            text,
        };
        if let Some(notice) = PostponedSessions::find(&spec, view)?.notice {
            drift.add(Kind::Session, manifest.name.as_str(), notice);
            spec = as_plain_chroot(&spec);
        }
        build_plan_with(&spec, source, depth, None, None, view)
    });
    match planned {
        Ok(plan) => of_plan(&plan, view, &mut drift),
        Err(error) => {
            let tree = manifest.tree();
            let inventory = inventory_of(&manifest.root, &tree, Some(manifest), view)?;
            let changes = {
                let store = Index::load(view, &store_of(&manifest.root))?;
                compare(
                    &tree,
                    Some(manifest),
                    inventory.as_ref(),
                    &store,
                    depth,
                    view,
                )?
            };
            of_changes(&changes, &mut drift);
            for finding in error.findings {
                drift.add(Kind::Host, manifest.name.as_str(), finding.to_string());
            }
            record_drift::add(&mut drift, manifest, spec.ok().as_ref(), view)?;
        }
    }
    for (user, job) in outside {
        // A build has a notice for it, which the difference replaces.
        let notice = job.notice(&user);
        drift.notices.retain(|one| *one != notice);
        let text = format!("{} runs outside of the jail: {}", job.what, job.clean);
        drift.add(Kind::Outside, user, text);
    }
    let vanished = match VanishedRoot::of(manifest, view)? {
        None if view.lstat(&manifest.root)?.is_none() => Some(VanishedRoot::Gone),
        found => found,
    };
    if let Some(vanished) = vanished {
        if vanished != VanishedRoot::Homes {
            // Each file of it is gone too, and one line says so.
            let is_of_root = |kind| matches!(kind, Kind::File | Kind::Root);
            drift.differences.retain(|one| !is_of_root(one.kind));
        }
        let root = Difference {
            kind: Kind::Root,
            name: manifest.root.display().to_string(),
            text: vanished.text().to_owned(),
        };
        drift.differences.insert(0, root);
    }
    Ok(drift)
}

/// The jobs of the host that run as accounts of the jail which the host still has.
fn outside(manifest: &Manifest, view: &HostView) -> Result<Vec<(String, HostJob)>> {
    let known = view.accounts()?;
    let jobs = ScheduledJobs::new(view);
    let mut outside = Vec::new();
    for account in &manifest.accounts {
        if known.user(&account.name).is_some() {
            let jobs = jobs.of_account(&account.name, account.uid)?;
            outside.extend(jobs.into_iter().map(|job| (account.name.clone(), job)));
        }
    }
    Ok(outside)
}

fn of_changes(changes: &[Change], drift: &mut Drift) {
    for change in changes {
        let text = change.because.clone().unwrap_or_else(|| {
            match change.act {
                ChangeKind::Add => "the host's programs need it now",
                ChangeKind::Change => "its content differs from the build",
                ChangeKind::Remove => "the host's programs need it no longer",
            }
            .to_owned()
        });
        drift.add(Kind::File, change.path.as_str(), text);
    }
}

fn of_plan(plan: &Plan, view: &HostView, drift: &mut Drift) {
    for step in &plan.steps {
        match step {
            Step::CreateRoot { .. } => drift.add(
                Kind::Root,
                plan.root.display().to_string(),
                "it is not root-owned with mode 0755, or its marker is missing",
            ),
            Step::CreateGroup { name, .. } => drift.add(Kind::Group, name, "it is gone"),
            Step::CreateAccount(account) => drift.add(Kind::Account, &account.name, "it is gone"),
            Step::MaskUserManager { user, uid } => drift.add(
                Kind::Account,
                user,
                format!(
                    "systemd may run a user manager for it outside of the jail: `{}` is not masked",
                    manager_unit(*uid).display()
                ),
            ),
            Step::ModifyAccount { name, from, to } => {
                let differs = [
                    (from.gid != to.gid, format!("its group is {}", from.gid)),
                    (from.home != to.home, format!("its home is `{}`", from.home)),
                    (
                        from.shell != to.shell,
                        format!("its shell is `{}`", from.shell),
                    ),
                    (
                        from.groups != to.groups,
                        format!("its supplementary groups are `{}`", from.groups.join(", ")),
                    ),
                    (
                        from.gecos != to.gecos,
                        format!("its comment is `{}`", from.gecos.escape_debug()),
                    ),
                ];
                let texts: Vec<String> = differs
                    .into_iter()
                    .filter_map(|(differs, text)| differs.then_some(text))
                    .collect();
                drift.add(Kind::Account, name, texts.join(", "));
            }
            Step::WriteTree { .. } => of_changes(&plan.changes, drift),
            Step::InstallSnippet { file, .. } => {
                let is_there = plan
                    .snippet
                    .as_ref()
                    .is_some_and(|(before, _)| before.is_some());
                let text = if is_there {
                    "the settings of the jail were changed"
                } else {
                    "the settings of the jail are gone"
                };
                drift.add(Kind::Sshd, format!("{SSHD_CONFIG_DIR}/{file}"), text);
            }
            Step::WriteCommonSnippet { edit, .. } => {
                let text = if edit.from.is_some() {
                    "it was changed"
                } else {
                    "it is gone"
                };
                drift.add(Kind::Sshd, edit.path.display().to_string(), text);
            }
            Step::VerifySnippet { .. } => {
                if let Err(error) = plan.preflight(view) {
                    for finding in error.findings {
                        drift.add(Kind::Sshd, plan.name.as_str(), finding.to_string());
                    }
                }
            }
            Step::WritePolicy { .. } => {
                drift.add(
                    Kind::Session,
                    plan.name.as_str(),
                    "its policy was changed or is missing",
                );
            }
            Step::RepairNetwork { faults } => {
                for fault in faults {
                    drift.add(Kind::Network, &fault.name, &fault.text);
                }
            }
            Step::WritePamService(edit) => drift.add(
                Kind::Session,
                edit.path.display().to_string(),
                if edit.is_refusal() {
                    "jailctl's block in it, which refuses jailed accounts, was changed or is missing"
                } else {
                    "jailctl's block in it, which keeps the host's session modules from jailed accounts, was changed or is missing"
                },
            ),
            Step::WriteKeys { user, because, .. } => drift.add(Kind::Keys, user, because),
            Step::SetPassword { user, .. } => {
                drift.add(Kind::Account, user, "its password was changed");
            }
            Step::EnableAccount { user, .. } => {
                drift.add(
                    Kind::Account,
                    user,
                    "it is closed, or expires on another day",
                );
            }
            Step::DisableAccount { user } => {
                let mut accounts = plan.target.iter().flat_map(|to| &to.jail.accounts);
                let text = if accounts.any(|account| account.name == *user) {
                    "it is locked, and open or with keys all the same"
                } else {
                    "the spec does not name it"
                };
                drift.add(Kind::Account, user, text);
            }
            // A comparison with the spec as built leads to no other step.
            _ => {}
        }
    }
    for path in &plan.unmanaged {
        drift.add(
            Kind::File,
            path,
            "the spec does not name it; no build deletes it, since jailctl did not create it",
        );
    }
    drift.notices.extend(plan.notices.iter().cloned());
}
