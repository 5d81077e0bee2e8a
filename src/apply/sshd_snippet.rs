//! The sshd snippet of a jail, and the one that all jails share.

use std::path::Path;

use super::context::StepContext;
use super::session_policy::write_edit;
use crate::error::Result;
use crate::host::pam::Edit;
use crate::host::sshd::{Reload, Sshd};
use crate::host::{Ownership, Process};
use crate::layout::{PUBLIC_MODE, SSHD_CONFIG_DIR};
use crate::plan::verify_snippet;
use crate::resolve::ResolvedJail;

/// Checks with `sshd -T` that the snippets of the jail have the effect that they are written for.
pub(super) fn verify(context: &mut StepContext<'_, '_>, jail: &ResolvedJail) -> Result<()> {
    for notice in verify_snippet(context.host, jail)? {
        context.notice(notice);
    }
    Ok(())
}

/// Verifies the snippet of the jail, writes it, and reloads sshd.
pub(super) fn install(
    context: &mut StepContext<'_, '_>,
    jail: &ResolvedJail,
    file: &str,
    text: &str,
) -> Result<()> {
    verify(context, jail)?;
    let (dir, name) = context.host.parent_of(Path::new(SSHD_CONFIG_DIR))?;
    let dir = dir.open_dir(Path::new(name))?;
    dir.replace_file(
        Path::new(file),
        text.as_bytes(),
        Ownership::root(PUBLIC_MODE),
    )?;
    reload_for_build(context)?;
    // Connections in authentication use the old configuration. They are ended for all accounts of
    // the group, since the jails of a family share it.
    let gid = jail
        .confinement
        .as_ref()
        .map(|confinement| confinement.group.gid);
    let accounts = context.host.accounts()?;
    let users = accounts.users.iter().filter(|user| Some(user.gid) == gid);
    let uids: Vec<u32> = users.map(|user| user.uid).collect();
    Process::kill_unauthenticated(context.host, &uids)
}

/// Verifies the snippet that all jails share, writes it, and reloads sshd.
pub(super) fn install_common(
    context: &mut StepContext<'_, '_>,
    jail: &ResolvedJail,
    edit: &Edit,
) -> Result<()> {
    verify(context, jail)?;
    write_edit(context.host, edit)?;
    reload_for_build(context)
}

/// Removes the snippet of a jail, and reloads sshd.
pub(super) fn remove(context: &StepContext<'_, '_>, file: &str) -> Result<()> {
    let (dir, _) = context
        .host
        .parent_of(&Path::new(SSHD_CONFIG_DIR).join(file))?;
    dir.remove_file_if_exists(Path::new(file))?;
    dir.sync()?;
    reload(context).map(drop)
}

/// Removes the snippet that all jails share, and reloads sshd.
pub(super) fn remove_common(context: &StepContext<'_, '_>, edit: &Edit) -> Result<()> {
    write_edit(context.host, edit)?;
    reload(context).map(drop)
}

/// Reloads sshd, with a notice where none runs.
fn reload_for_build(context: &mut StepContext<'_, '_>) -> Result<()> {
    if reload(context)? == Some(Reload::NotRunning) {
        let notice = "sshd is not running: the jail's accounts can log in when it is";
        context.notice(notice.to_owned());
    }
    Ok(())
}

/// Reloads sshd, unless [`StepContext::reloaded_sshd`] is `None`.
fn reload(context: &StepContext<'_, '_>) -> Result<Option<Reload>> {
    let Some(sshd) = context.reloaded_sshd() else {
        return Ok(None);
    };
    let daemon = Sshd::find(context.host)?;
    daemon.reload(sshd.pid_file.as_deref()).map(Some)
}
