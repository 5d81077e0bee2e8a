//! What sessions have of their own: the policy, the place where they find the jail, and sshd's stack of PAM.

use std::path::Path;

use jailctl_session::network::{refresh, sweep};
use jailctl_session::policy::{DOOR, POLICY, Policy};

use super::run::Run;
use super::undo::remove_dirs;
use crate::error::{Error, Result};
use crate::host::{Ownership, pam};

/// A stack is text; one above this size is not.
const STACK_LIMIT: u64 = 1 << 20;

impl Run<'_, '_> {
    /// Writes the policy, and makes the place over which sessions have the jail mounted.
    pub(super) fn write_policy(&self, text: &str) -> Result<()> {
        let state = self.host.dir(&self.state(), Ownership::root(0o711))?;
        let owner = Ownership::root(0o600);
        state.replace_file(Path::new(POLICY), text.as_bytes(), owner)?;
        state.ensure_dir(Path::new(DOOR), Ownership::root(0o700))?;
        // Whoever is in the jail's network has its new rules at once.
        let network = Policy::parse(text).ok().and_then(|policy| policy.network);
        match network.filter(|_| self.host.is_live()) {
            Some(network) => refresh(self.name().as_str(), &network).map_err(|error| {
                Error::failed("could not change the rules of the jail's network")
                    .why(error.to_string())
            }),
            None => Ok(()),
        }
    }

    /// Takes away what a session that was ended by force has left of the jail's network.
    pub(super) fn sweep_network(&self) -> Result<()> {
        let text = self.host.read(&self.state().join(POLICY), STACK_LIMIT)?;
        let policy = text.and_then(|text| Policy::parse(&String::from_utf8_lossy(&text)).ok());
        let network = policy.and_then(|policy| policy.network);
        match network.filter(|_| self.host.is_live()) {
            Some(network) => sweep(self.name().as_str(), &network).map_err(|error| {
                Error::failed("could not take the jail's network away").why(error.to_string())
            }),
            None => Ok(()),
        }
    }

    /// Removes both. The policy goes first: where there is but the place, nobody comes in.
    pub(super) fn remove_policy(&mut self) -> Result<()> {
        self.clear_groups();
        self.sweep_network()?;
        let state = self.host.dir(&self.state(), Ownership::root(0o711))?;
        state.remove_file_if_there(Path::new(POLICY))?;
        remove_dirs(self.host, &[self.state().join(DOOR)])?;
        state.sync()
    }

    /// Replaces sshd's stack, if it is still the one that was planned with.
    pub(super) fn write_stack(&self, from: &str, to: &str) -> Result<()> {
        let path = Path::new(pam::STACK);
        let found = self.host.read(path, STACK_LIMIT)?;
        let (Some(stat), Some(found)) = (self.host.stat(path)?, found) else {
            return Err(changed("it is gone"));
        };
        if found == to.as_bytes() {
            return Ok(());
        }
        if found != from.as_bytes() {
            return Err(changed("somebody else has changed it meanwhile"));
        }
        let (dir, name) = self.host.parent_of(path)?;
        dir.replace_file(Path::new(name), to.as_bytes(), stat.ownership())
    }
}

fn changed(why: &str) -> Error {
    Error::failed(format!("could not change `{}`", pam::STACK))
        .why(why)
        .hint("do it again")
}
