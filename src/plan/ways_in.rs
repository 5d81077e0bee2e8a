//! The ways into a jail, and what a plain chroot shares with the host.

use super::manifest::Manifest;
use super::types::Plan;
use crate::error::Result;
use crate::host::HostView;
use crate::layout::POLICY;
use crate::resolve::ResolvedJail;
use crate::spec::AccessMethod;

/// The ways into a jail before and after a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WaysIn<'p> {
    /// Ways in as built; `None` for a new jail, and for one built by a version that did not record
    /// them.
    pub before: Option<&'p [AccessMethod]>,
    /// Ways in of the spec.
    pub after: &'p [AccessMethod],
}

impl WaysIn<'_> {
    /// Whether the plan changes them.
    pub fn is_change(&self) -> bool {
        self.before.is_some_and(|before| before != self.after)
    }

    /// A list of ways in as printed: `shell, sftp`.
    pub fn list(access: &[AccessMethod]) -> String {
        let words: Vec<&str> = access.iter().map(|door| door.as_str()).collect();
        words.join(", ")
    }
}

impl Plan {
    /// The ways into the jail; `None` for a removal, and for a jail without accounts.
    pub fn ways_in(&self) -> Option<WaysIn<'_>> {
        let jail = &self.target.as_ref()?.jail;
        if jail.accounts.is_empty() {
            return None;
        }
        let before = self.manifest.as_ref().map(|manifest| &manifest.access[..]);
        Some(WaysIn {
            before: before.filter(|access| !access.is_empty()),
            after: &jail.access,
        })
    }

    /// A notice on what the jail shares with the host; `None` for a removal, and if it shares
    /// nothing that a notice is needed for.
    pub fn exposure(&self) -> Option<String> {
        exposure(&self.target.as_ref()?.jail)
    }
}

/// A notice on what the users of a jail share with the host because their programs run in a plain
/// chroot.
fn exposure(jail: &ResolvedJail) -> Option<String> {
    let runs_programs = !jail.accounts.is_empty() && jail.access.contains(&AccessMethod::Shell);
    (runs_programs && jail.session.is_none()).then(plain_chroot)
}

/// The notice of [`Plan::exposure`], for a jail as it was built.
///
/// # Errors
/// [`crate::error::ErrorKind::Failed`] if the records cannot be read.
pub fn exposure_as_built(manifest: &Manifest, view: &HostView) -> Result<Option<String>> {
    let policy = ResolvedJail::state(&manifest.name).join(POLICY);
    let is_plain = manifest.access.contains(&AccessMethod::Shell) && view.lstat(&policy)?.is_none();
    Ok(is_plain.then(plain_chroot))
}

/// Text of the notice.
fn plain_chroot() -> String {
    "a plain chroot with a shell: programs of its users share process ids, network, abstract sockets and shared memory with the host, \
         and two users together can get out; `[namespaces]` isolates each session"
        .to_owned()
}
