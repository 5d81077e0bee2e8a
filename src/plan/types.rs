//! A plan, and the jail that it leads to.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::sshd::verify_snippet;
use super::{Change, Manifest, OriginalAccount, RemoveOptions, Step};
use crate::error::{Error, Result};
use crate::host::sshd::SshdInfo;
use crate::host::{HostView, NewAccount};
use crate::names::JailName;
use crate::resolve::ResolvedJail;

/// Where the spec of a plan came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// As it was named.
    pub name: String,
    /// Its text.
    pub text: String,
}

/// What would be done to make one jail what its spec says, or to make it go away.
#[derive(Debug)]
pub struct Plan {
    /// The jail.
    pub name: JailName,
    /// Where it stands.
    pub root: PathBuf,
    /// What becomes of each path of the tree.
    pub changes: Vec<Change>,
    /// What is done, in this order. Empty where there is nothing to do.
    pub steps: Vec<Step>,
    /// The snippet as it is and as it is to be, where it changes.
    pub snippet: Option<(Option<String>, Option<String>)>,
    /// Whether what was built before is kept, for a rollback.
    pub keep_previous: bool,
    /// What an admin should know.
    pub notices: Vec<String>,
    /// Paths in the jail that are neither jailctl's nor in a user's place.
    pub unmanaged: Vec<String>,
    /// What the jail is to be; `None` where it is to go away.
    pub target: Option<Target>,
    /// How the jail goes away, where it does.
    pub removal: Option<RemoveOptions>,
    /// What was built last.
    pub manifest: Option<Manifest>,
}

/// What a jail is to be, with what is needed to record it.
#[derive(Clone, Debug)]
pub struct Target {
    /// The jail itself.
    pub jail: ResolvedJail,
    /// Where its spec came from.
    pub origin: Origin,
    /// What sshd says of itself, where it locks accounts in.
    pub sshd: Option<SshdInfo>,
    /// What its accounts that were taken over were before, by name.
    pub original_accounts: BTreeMap<String, OriginalAccount>,
}

impl Plan {
    /// What sshd says of itself.
    pub fn facts(&self) -> Option<&SshdInfo> {
        let wanted = self.target.as_ref().and_then(|wanted| wanted.sshd.as_ref());
        wanted.or_else(|| Some(&self.manifest.as_ref()?.lock.as_ref()?.sshd))
    }

    /// Whether sshd is asked, when the plan is carried out, if it would lock the jail's accounts in.
    pub fn needs_sshd(&self) -> bool {
        self.steps.iter().any(|step| {
            matches!(
                step,
                Step::InstallSnippet { .. } | Step::VerifySnippet | Step::WriteCommonSnippet(_)
            )
        })
    }

    /// Whether sshd can be asked before the plan is carried out: it knows the accounts already.
    fn is_known_to_sshd(&self) -> bool {
        self.steps.iter().all(|step| {
            !matches!(
                step,
                Step::CreateGroup { .. } | Step::CreateAccount(_) | Step::ModifyAccount { .. }
            )
        })
    }

    /// Refuses what carrying the plan out would refuse when it asks sshd, as far as sshd can be asked yet: accounts that do not exist it does not know.
    pub fn preflight(&self, view: &HostView) -> Result<()> {
        match &self.target {
            Some(wanted) if self.needs_sshd() && self.is_known_to_sshd() => {
                verify_snippet(view, &wanted.jail).map(drop)
            }
            _ => Ok(()),
        }
    }

    /// Leaves out what plans that are carried out before it do for it: what all members of a family share, and PAM's stacks.
    pub fn drop_steps_done_by(&mut self, earlier: &[Self]) {
        let is_done = |step: &Step| earlier.iter().any(|plan| plan.steps.contains(step));
        let is_stack =
            |step: &Step| matches!(step, Step::WritePamService(_) | Step::WriteCommonSnippet(_));
        self.steps.retain(|step| !is_stack(step) || !is_done(step));
        for step in &mut self.steps {
            if matches!(step, Step::InstallSnippet { .. }) && is_done(step) {
                *step = Step::VerifySnippet;
                self.snippet = None;
            }
        }
    }

    /// Refuses to make a root anew that is gone with what its users had in it: the disk may not be mounted.
    ///
    /// # Errors
    /// [`crate::error::ErrorKind::Failed`], with the way to say that it is meant.
    pub fn refuse_vanished_root(&self, view: &HostView) -> Result<()> {
        let Some(manifest) = &self.manifest else {
            return Ok(());
        };
        let makes_root = self
            .steps
            .iter()
            .any(|step| matches!(step, Step::CreateRoot));
        if !makes_root || manifest.places.is_empty() || view.lstat(&manifest.root)?.is_some() {
            return Ok(());
        }
        let places: Vec<String> = manifest
            .places
            .iter()
            .map(|place| format!("`{place}`"))
            .collect();
        Err(
            Error::failed(format!("could not build the jail `{}`", self.name))
                .why(format!(
                    "its root `{}` is gone, and with it {} of its users",
                    manifest.root.display(),
                    places.join(", ")
                ))
                .hint("mount the disk that it is on, and try again")
                .hint("if it is gone for good, `--recreate` makes the jail anew, with empty homes"),
        )
    }

    /// The accounts and groups that it makes.
    pub fn created_ids(&self) -> (Vec<NewAccount>, Vec<(String, u32)>) {
        let mut made = (Vec::new(), Vec::new());
        for step in &self.steps {
            match step {
                Step::CreateAccount(account) => made.0.push(account.clone()),
                Step::CreateGroup { name, gid } => made.1.push((name.clone(), *gid)),
                _ => {}
            }
        }
        made
    }

    /// Whether there is anything that an admin or a user could see the effect of.
    pub fn is_change(&self) -> bool {
        self.steps.iter().any(Step::is_change)
    }
}
