//! The plan that renames users of a jail (`was` in `[[user]]`), before the build that makes all
//! else fit the new names. User ids, homes, passwords and keys stay.

use std::path::Path;

use super::live_sessions::ensure_account_idle;
use super::locks::locked_users;
use super::manifest::Manifest;
use super::step::Step;
use super::types::Plan;
use crate::error::{Finding, Result};
use crate::host::HostView;
use crate::layout::{JAIL_ROOT, KEYS_DIR};
use crate::resolve::{ResolvedJail, is_adopted, is_managed};
use crate::spec::{Spec, User};

/// Plans the renames of users that `spec` asks for and that were not made yet; `None` if there are
/// none.
///
/// # Errors
/// [`crate::error::ErrorKind::Spec`] if a user cannot be renamed;
/// [`crate::error::ErrorKind::Failed`] if processes run as the user, or the host cannot be read.
pub fn rename_users(spec: &Spec, view: &HostView) -> Result<Option<Plan>> {
    if spec.users.iter().all(|user| user.was.is_none()) {
        return Ok(None);
    }
    let Some(manifest) = Manifest::load(view, &spec.name.value)? else {
        return Ok(None);
    };
    let mut steps = Vec::new();
    for user in &spec.users {
        steps.extend(steps_for(user, &manifest, view)?);
    }
    if steps.is_empty() {
        return Ok(None);
    }
    Ok(Some(Plan::of_steps(manifest, steps)))
}

/// The steps that rename one user.
fn steps_for(user: &User, manifest: &Manifest, view: &HostView) -> Result<Vec<Step>> {
    let Some(was) = &user.was else {
        return Ok(Vec::new());
    };
    let (from, to) = (was.value.as_str(), user.name.value.as_str());
    let accounts = view.accounts()?;
    let jail = &manifest.name;
    let is_ours = |found: &&crate::host::UserEntry| is_managed(found, jail, manifest.gid());
    let Some(found) = accounts.user(from).filter(is_ours) else {
        // It was renamed before, or there never was such a user.
        return Ok(Vec::new());
    };
    let refuse = |why: String| {
        Finding::new(format!("could not rename the user `{from}` to `{to}`"))
            .why(why)
            .with_span(&was.span, "this name")
    };
    if accounts.user_known(to) {
        return Err(refuse(format!("there is an account `{to}`"))
            .hint("take `was` out if both are users")
            .into());
    }
    if is_adopted(found) {
        return Err(
            refuse("the account is adopted, and restored under its own name".to_owned())
                .hint("rename it on the host when it has left the jail")
                .into(),
        );
    }
    if !view.is_live() {
        return Err(refuse("accounts of another host are not renamed".to_owned()).into());
    }
    ensure_account_idle(view, from, found.uid)?;
    let home = &user.home.value;
    let mut steps = vec![Step::RenameAccount {
        from: (from.to_owned(), found.home.clone()),
        to: (to.to_owned(), format!("{JAIL_ROOT}{home}")),
    }];
    let recorded = manifest.account(from).map(|account| &account.home);
    if let Some(before) = recorded.filter(|before| *before != home) {
        let (old, new) = (
            manifest.root.join(before.relative()),
            manifest.root.join(home.relative()),
        );
        if view.lstat(&new)?.is_some() {
            return Err(refuse(format!("`{}` exists", new.display()))
                .hint(format!("keep the home: home = \"{before}\""))
                .into());
        }
        if new
            .parent()
            .map(|parent| view.lstat(parent))
            .transpose()?
            .flatten()
            .is_none()
        {
            return Err(
                refuse(format!("there is no directory for the home `{home}`"))
                    .hint(format!("keep the home: home = \"{before}\""))
                    .into(),
            );
        }
        steps.extend(rename_step(&old, &new, to, "home", view)?);
    }
    let keys = ResolvedJail::state(jail).join(KEYS_DIR);
    steps.extend(rename_step(
        &keys.join(from),
        &keys.join(to),
        to,
        "keys",
        view,
    )?);
    let mut locked = locked_users(view, jail)?;
    if locked.remove(from) {
        locked.insert(to.to_owned());
        steps.push(Step::WriteLocks {
            users: locked,
            user: to.to_owned(),
        });
    }
    Ok(steps)
}

/// The step that renames a path which exists.
fn rename_step(
    from: &Path,
    to: &Path,
    user: &str,
    subject: &'static str,
    view: &HostView,
) -> Result<Option<Step>> {
    Ok(view.lstat(from)?.map(|stat| Step::RenamePath {
        from: from.to_owned(),
        to: to.to_owned(),
        inode: stat.ino,
        user: user.to_owned(),
        subject,
    }))
}
