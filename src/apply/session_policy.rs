//! The session policy of a jail, its network and control groups, and the PAM service files.

use std::path::Path;

use jailctl_session::network::{Network, reload_rules, remove_stale};
use jailctl_session::policy::Policy;

use super::context::StepContext;
use super::session_control;
use crate::error::{Error, Result};
use crate::host::pam::Edit;
use crate::host::{Host, Ownership};
use crate::layout::{POLICY, POLICY_MODE, PRIVATE_MODE, PUBLIC_MODE, SESSION_DIR, STATE_MODE};
use crate::names::JailName;
use crate::resolve::ResolvedJail;

/// Largest size of a policy or a PAM service file that is read, in bytes.
const FILE_LIMIT: u64 = 1 << 20;

/// Writes the policy, and creates the directory over which sessions mount the jail.
pub(super) fn write(host: &Host, jail: &JailName, text: &str) -> Result<()> {
    let state = host.ensure_root_dir(&ResolvedJail::state(jail), Ownership::root(STATE_MODE))?;
    let owner = Ownership::root(POLICY_MODE);
    state.replace_file(Path::new(POLICY), text.as_bytes(), owner)?;
    state.ensure_dir(Path::new(SESSION_DIR), Ownership::root(PRIVATE_MODE))?;
    // The new rules apply at once to sessions that are in the jail's network.
    let network = Policy::parse(text).ok().and_then(|policy| policy.network);
    match network.filter(|_| host.is_live()) {
        Some(network) => reload_rules(jail.as_str(), &network).map_err(|error| {
            Error::failed("could not change the rules of the jail's network").why(error.to_string())
        }),
        None => Ok(()),
    }
}

/// Restores the jail's network to its policy, while sessions are in it.
pub(super) fn repair_network(host: &Host, jail: &JailName) -> Result<()> {
    match live_network(host, jail)? {
        Some(network) => reload_rules(jail.as_str(), &network).map_err(|error| {
            Error::failed("could not repair the jail's network").why(error.to_string())
        }),
        None => Ok(()),
    }
}

/// Removes what sessions that were killed have left of the jail's network.
pub(super) fn remove_stale_network(host: &Host, jail: &JailName) -> Result<()> {
    match live_network(host, jail)? {
        Some(network) => remove_stale(jail.as_str(), &network).map_err(|error| {
            Error::failed("could not remove the jail's network").why(error.to_string())
        }),
        None => Ok(()),
    }
}

/// The network of the jail's written policy, on the running system.
fn live_network(host: &Host, jail: &JailName) -> Result<Option<Network>> {
    let text = host.read(&ResolvedJail::state(jail).join(POLICY), FILE_LIMIT)?;
    let policy = text.and_then(|text| Policy::parse(&String::from_utf8_lossy(&text)).ok());
    let network = policy.and_then(|policy| policy.network);
    Ok(network.filter(|_| host.is_live()))
}

/// Removes the control groups of sessions that have ended. A group that cannot be removed is a
/// notice, since it restricts nothing.
pub(super) fn clear_cgroups(context: &mut StepContext<'_, '_>) {
    if context.host.is_live()
        && let Err(error) = session_control::clear_groups(context.jail)
    {
        context.notice(session_control::notice(&error));
    }
}

/// Removes the policy, then the directory of sessions: with the directory alone, logins are
/// refused.
pub(super) fn remove(context: &mut StepContext<'_, '_>) -> Result<()> {
    clear_cgroups(context);
    remove_stale_network(context.host, context.jail)?;
    let path = context.state();
    let state = context
        .host
        .ensure_root_dir(&path, Ownership::root(STATE_MODE))?;
    state.remove_file_if_exists(Path::new(POLICY))?;
    context.host.remove_empty_dirs(&[path.join(SESSION_DIR)])?;
    state.sync()
}

/// Changes a PAM service file, or the snippet that all jails share, if its content is still the one
/// of the plan.
///
/// # Errors
/// [`ErrorKind::Failed`](crate::error::ErrorKind::Failed) where another program has changed the
/// file; it is left as it is then.
pub(super) fn write_edit(host: &Host, edit: &Edit) -> Result<()> {
    let path = edit.path.as_path();
    let found = host.read(path, FILE_LIMIT)?;
    let bytes = |text: &Option<String>| text.clone().map(String::into_bytes);
    if found == bytes(&edit.to) {
        return Ok(());
    }
    if found != bytes(&edit.from) {
        return Err(
            Error::failed(format!("could not change `{}`", path.display()))
                .why("another program has changed it since the plan was made")
                .hint("run the command again"),
        );
    }
    let (dir, name) = host.parent_of(path)?;
    let Some(to) = &edit.to else {
        dir.remove_file(Path::new(name))?;
        return dir.sync();
    };
    let owner = host.stat(path)?.map(|stat| stat.ownership());
    let owner = owner.unwrap_or(Ownership::root(PUBLIC_MODE));
    dir.replace_file(Path::new(name), to.as_bytes(), owner)
}
