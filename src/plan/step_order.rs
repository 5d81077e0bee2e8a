//! The order of the steps of a build, which is its safety argument: after each step, and after an
//! interruption at any step, an account of the jail is either confined or cannot log in.

use std::sync::Arc;

use super::compare::Change;
use super::manifest::{Manifest, spec_as_built};
use super::observe::{Found, FoundRoot};
use super::sshd::SnippetOrder;
use super::step::Step;
use super::target::Target;
use super::types::Plan;
use super::{accounts, live_sessions, locks, preconditions, session_policy, sshd};
use crate::error::Result;
use crate::host::{HostView, UserEntry};
use crate::resolve::{ResolvedJail, WantedAccount, is_managed};
use crate::span::SourceText;
use crate::spec::Spec;

/// A jail as it is to be, beside what was found.
#[derive(Debug)]
pub(super) struct Comparison {
    /// State of the host.
    pub found: Found,
    /// The jail as it is to be.
    pub jail: ResolvedJail,
    /// State of the jail's root.
    pub root: FoundRoot,
    /// Paths of the root that change.
    pub changes: Vec<Change>,
}

/// Steps of a build by purpose. A list is empty if nothing has to be done.
#[derive(Debug)]
struct BuildSteps {
    /// Closes accounts that the spec no longer names.
    disable_dropped: Vec<Step>,
    /// Closes accounts of locked users that are open.
    disable_locked: Vec<Step>,
    /// Closes the other accounts, in a switchover between plain chroot and sessions.
    disable_kept: Vec<Step>,
    /// Stops unless the jail is empty, in a switchover.
    require_empty: Vec<Step>,
    /// Creates the root and its marker.
    root: Vec<Step>,
    /// Creates or modifies groups and accounts.
    accounts: Vec<Step>,
    /// Writes the tree.
    tree: Vec<Step>,
    /// Edits PAM services.
    pam_services: Vec<Step>,
    /// Writes the policy before the snippet.
    early_policy: Vec<Step>,
    /// Writes or verifies the drop-ins of sshd.
    snippet: Vec<Step>,
    /// Writes the policy after the snippet.
    late_policy: Vec<Step>,
    /// Removes the policy.
    remove_policy: Vec<Step>,
    /// Writes keys and sets passwords.
    credentials: Vec<Step>,
    /// Writes the manifest.
    manifest: Vec<Step>,
    /// Opens accounts.
    enable: Vec<Step>,
    /// Deletes or restores the accounts that the spec no longer names.
    remove_dropped: Vec<Step>,
}

impl BuildSteps {
    /// The order of the steps. Steps up to [`Step::WriteManifest`] are undone if a later one fails;
    /// those after it are executed after the commit point and are never undone (decision 0017).
    fn in_order(self) -> Vec<Step> {
        [
            // Accounts that the spec no longer names cannot log in while anything else changes.
            self.disable_dropped,
            self.disable_locked,
            // In a switchover between plain chroot and sessions the jail must be empty: from one to
            // the other an open directory could be passed, whose `..` leads to the host's root
            // (decision 0015). All accounts are closed first, and stay closed until all is done.
            self.disable_kept,
            self.require_empty.clone(),
            // The root and its marker exist before anything is in it: an interrupted build leaves a
            // root that the next one recognises.
            self.root,
            // Accounts are created closed. They exist before the tree, whose user directories they
            // own, and before the snippet: `sshd -T -C` resolves `Match Group` only for accounts
            // that exist.
            self.accounts,
            // The tree is complete, and its programs and `[[test]]`s were run, before a user can
            // log in to it.
            self.tree,
            // No PAM service runs the host's session modules for a jailed account, or accepts it in
            // place of sshd, by the time that accounts are opened.
            self.pam_services,
            // A session without its policy is refused, so the policy precedes the snippet that
            // sends users into sessions.
            self.early_policy,
            // sshd confines the accounts from here on. The common drop-in, with which no account
            // can log in, precedes the snippet.
            self.snippet,
            // A snippet that ends a forwarding precedes the policy instead: the network of the new
            // policy may not be meant for that forwarding.
            self.late_policy,
            // Until the snippet is one of a plain chroot, sshd sends users into sessions, which are
            // refused without a policy.
            self.remove_policy,
            // A password is valid for every service of the host: it is set when sshd confines the
            // account.
            self.credentials,
            // A connection that sshd accepted just before the accounts were closed is in the jail
            // by now.
            self.require_empty,
            // The manifest records what the steps before it did. The commit point follows.
            self.manifest,
            // Accounts are opened when all else is as it should be. After that an undo could delete
            // what a user has put into a new home.
            self.enable,
            // A deleted account cannot be restored, so this is last.
            self.remove_dropped,
        ]
        .concat()
    }
}

/// The steps that close accounts.
fn disable(users: &[&UserEntry]) -> Vec<Step> {
    let step = |user: &&UserEntry| Step::DisableAccount {
        user: user.name.clone(),
    };
    users.iter().map(step).collect()
}

/// Puts the steps of a build into their order.
///
/// # Errors
/// [`crate::error::ErrorKind::Failed`] if a process keeps an account or the jail in use that has to
/// be unused for a step, or if the host cannot be read; [`crate::error::ErrorKind::Spec`] if a
/// mount is refused for the home of an adopted account.
pub(super) fn order(
    spec: &Spec,
    source: SourceText,
    comparison: Comparison,
    view: &HostView,
) -> Result<Plan> {
    let Comparison {
        found,
        jail,
        root,
        changes,
    } = comparison;
    let jail = Arc::new(jail);
    let changes: Arc<[Change]> = changes.into();
    let recorded = found.manifest.map(Arc::new);
    let (name, known, manifest) = (&jail.name, &found.accounts, recorded.as_deref());
    let unmanaged = match &root.inventory {
        Some(inventory) if root.marker.is_some() => {
            preconditions::unmanaged_paths(&jail, manifest, inventory)?
        }
        _ => Vec::new(),
    };
    let gid = known.group(&name.group()).map(|group| group.gid);
    let managed = |user: &&UserEntry| is_managed(user, name, gid);
    let is_named = |user: &&UserEntry| jail.accounts.iter().any(|one| one.name == user.name);
    let dropped: Vec<&UserEntry> = (known.users.iter())
        .filter(|user| managed(user) && !is_named(user))
        .collect();
    let kept: Vec<&UserEntry> = (jail.accounts.iter())
        .filter_map(|account| known.user(&account.name))
        .filter(managed)
        .collect();
    for user in &dropped {
        live_sessions::ensure_account_idle(view, &user.name, user.uid)?;
    }
    let policy = &root.policy;
    let is_switchover = policy.is_switchover(&jail, &kept, view)?;
    let original_accounts = accounts::original_accounts(&jail, known, manifest)?;
    preconditions::check_homes(spec, &original_accounts, view)?;
    let account_steps = accounts::steps(&jail, known, manifest, view)?;
    let snippet_order = sshd::snippet_order(&jail, view)?;
    let snippet_steps = sshd::steps(
        &jail,
        spec.family.as_ref(),
        found.sshd.as_ref(),
        manifest,
        has_new_account(&account_steps),
        view,
    )?;
    let locked = locks::locked_users(view, name)?;
    let (early_policy, late_policy) = match snippet_order {
        SnippetOrder::Last => (policy.install(), Vec::new()),
        SnippetOrder::First => (Vec::new(), policy.install()),
    };
    let group = jail
        .confinement
        .as_ref()
        .map_or(0, |confinement| confinement.group.gid);
    let target = Arc::new(Target {
        jail: jail.clone(),
        origin: source,
        sshd: found.sshd,
        original_accounts,
    });
    let (disable_kept, require_empty) = if is_switchover {
        let step = session_policy::require_empty(&jail, &kept);
        (disable(&kept), vec![step])
    } else {
        (Vec::new(), Vec::new())
    };
    let mut steps = BuildSteps {
        disable_dropped: disable(&dropped),
        disable_locked: accounts::lock_steps(&jail, known, &locked, view)?,
        disable_kept,
        require_empty,
        root: if root.is_sound() {
            Vec::new()
        } else {
            vec![Step::CreateRoot {
                root: jail.root.clone(),
            }]
        },
        accounts: account_steps,
        tree: if changes.is_empty() {
            Vec::new()
        } else {
            vec![Step::WriteTree {
                jail: jail.clone(),
                changes: changes.clone(),
                recorded: recorded.clone(),
            }]
        },
        pam_services: policy.pam_services(),
        early_policy,
        snippet: snippet_steps.steps,
        late_policy,
        remove_policy: policy.uninstall(),
        credentials: accounts::credential_steps(&jail, known, &locked, is_switchover, view)?,
        manifest: vec![Step::WriteManifest {
            target: target.clone(),
            recorded: recorded.clone(),
        }],
        enable: accounts::enable_steps(&jail, known, &locked, is_switchover, manifest),
        remove_dropped: (dropped.iter())
            .map(|user| accounts::account_exit_step(user, group, manifest, false))
            .collect::<Result<_>>()?,
    }
    .in_order();

    let is_spec_changed = is_spec_changed(&target.origin, manifest, view)?;
    if !is_spec_changed && matches!(steps.as_slice(), [Step::WriteManifest { .. }]) {
        steps.clear();
    }
    // All members of a family are rolled back together, though only some of them may change.
    let is_member = spec.family.is_some() && is_spec_changed;
    // A repaired network is no other build than the one before.
    let is_built = |step: &Step| step.is_change() && !matches!(step, Step::RepairNetwork { .. });
    let mut notices = jail.notices.clone();
    notices.extend(policy.notices().iter().cloned());
    notices.extend(unmanaged.iter().map(|path| {
        format!(
            "`{}` in the jail is not in the spec; jailctl does not change it",
            path.escape_debug()
        )
    }));
    let is_locked = |account: &&WantedAccount| locked.contains(&account.name);
    notices.extend(jail.accounts.iter().filter(is_locked).map(|account| {
        format!(
            "`{0}` is locked: `jailctl unlock {0}` lets it log in again",
            account.name
        )
    }));
    notices.extend(dropped.iter().map(|user| {
        format!(
            "the files of `{}` stay in the jail, with the user id {}",
            user.name, user.uid
        )
    }));
    Ok(Plan {
        name: name.clone(),
        root: jail.root.clone(),
        changes,
        keep_previous: is_member || steps.iter().any(is_built),
        steps,
        snippet: snippet_steps.change,
        notices,
        unmanaged,
        target: Some(target),
        removal: None,
        manifest: recorded,
    })
}

/// Whether a step creates an account.
fn has_new_account(steps: &[Step]) -> bool {
    let is_new = |step: &Step| matches!(step, Step::CreateAccount(_));
    steps.iter().any(is_new)
}

/// Whether the name or the text of the spec differs from the one that the jail was built from.
fn is_spec_changed(
    source: &SourceText,
    manifest: Option<&Manifest>,
    view: &HostView,
) -> Result<bool> {
    let Some(manifest) = manifest else {
        return Ok(true);
    };
    Ok(manifest.spec != source.name
        || spec_as_built(view, &manifest.name)?.as_ref() != Some(&source.text))
}
