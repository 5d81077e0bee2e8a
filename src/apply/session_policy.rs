//! What sessions have of their own: the policy, the place where they find the jail, and stacks of PAM.

use std::path::Path;

use jailctl_session::network::{reload_rules, remove_stale};
use jailctl_session::policy::Policy;

use super::context::StepContext;
use super::undo::remove_dirs;
use crate::error::{Error, Result};
use crate::host::Ownership;
use crate::host::pam::Edit;
use crate::layout::{POLICY, POLICY_MODE, SESSION_DIR, STATE_MODE};

/// A stack is text; one above this size is not.
const STACK_LIMIT: u64 = 1 << 20;

impl StepContext<'_, '_> {
    /// Writes the policy, and makes the place over which sessions have the jail mounted.
    pub(super) fn write_policy(&self, text: &str) -> Result<()> {
        let state = self
            .host
            .ensure_root_dir(&self.state(), Ownership::root(STATE_MODE))?;
        let owner = Ownership::root(POLICY_MODE);
        state.replace_file(Path::new(POLICY), text.as_bytes(), owner)?;
        state.ensure_dir(Path::new(SESSION_DIR), Ownership::root(0o700))?;
        // Whoever is in the jail's network has its new rules at once.
        let network = Policy::parse(text).ok().and_then(|policy| policy.network);
        match network.filter(|_| self.host.is_live()) {
            Some(network) => reload_rules(self.name().as_str(), &network).map_err(|error| {
                Error::failed("could not change the rules of the jail's network")
                    .why(error.to_string())
            }),
            None => Ok(()),
        }
    }

    /// Makes the jail's network what its policy says, for whoever is in it.
    pub(super) fn repair_network(&self) -> Result<()> {
        let text = self.host.read(&self.state().join(POLICY), STACK_LIMIT)?;
        let policy = text.and_then(|text| Policy::parse(&String::from_utf8_lossy(&text)).ok());
        match policy.and_then(|policy| policy.network) {
            Some(network) if self.host.is_live() => reload_rules(self.name().as_str(), &network)
                .map_err(|error| {
                    Error::failed("could not mend the jail's network").why(error.to_string())
                }),
            _ => Ok(()),
        }
    }

    /// Takes away what a session that was ended by force has left of the jail's network.
    pub(super) fn remove_stale_network(&self) -> Result<()> {
        let text = self.host.read(&self.state().join(POLICY), STACK_LIMIT)?;
        let policy = text.and_then(|text| Policy::parse(&String::from_utf8_lossy(&text)).ok());
        let network = policy.and_then(|policy| policy.network);
        match network.filter(|_| self.host.is_live()) {
            Some(network) => remove_stale(self.name().as_str(), &network).map_err(|error| {
                Error::failed("could not take the jail's network away").why(error.to_string())
            }),
            None => Ok(()),
        }
    }

    /// Removes both. The policy goes first: where there is but the place, nobody comes in.
    pub(super) fn remove_policy(&mut self) -> Result<()> {
        self.clear_groups();
        self.remove_stale_network()?;
        let state = self
            .host
            .ensure_root_dir(&self.state(), Ownership::root(STATE_MODE))?;
        state.remove_file_if_exists(Path::new(POLICY))?;
        remove_dirs(self.host, &[self.state().join(SESSION_DIR)])?;
        state.sync()
    }

    /// Changes a stack of PAM, if it is still the one that was planned with.
    pub(super) fn write_pam_service(&self, edit: &Edit) -> Result<()> {
        let path = edit.path.as_path();
        let found = self.host.read(path, STACK_LIMIT)?;
        let text = |text: &Option<String>| text.clone().map(String::into_bytes);
        if found == text(&edit.to) {
            return Ok(());
        }
        if found != text(&edit.from) {
            return Err(
                Error::failed(format!("could not change `{}`", path.display()))
                    .why("somebody else has changed it meanwhile")
                    .hint("do it again"),
            );
        }
        let (dir, name) = self.host.parent_of(path)?;
        let Some(to) = &edit.to else {
            dir.remove_file(Path::new(name))?;
            return dir.sync();
        };
        let owner = self.host.stat(path)?.map(|stat| stat.ownership());
        let owner = owner.unwrap_or(Ownership::root(0o644));
        dir.replace_file(Path::new(name), to.as_bytes(), owner)
    }
}
