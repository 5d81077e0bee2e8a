//! A plan, and the jail that it leads to.

use std::path::PathBuf;
use std::sync::Arc;

use super::compare::Change;
use super::manifest::Manifest;
use super::step::Step;
use super::target::{RemoveOptions, Target};
use crate::host::NewAccount;
use crate::host::sshd::SshdInfo;
use crate::names::JailName;

/// What would be done to make one jail what its spec says, or to make it go away.
#[derive(Debug)]
pub struct Plan {
    /// The jail.
    pub name: JailName,
    /// Where it stands.
    pub root: PathBuf,
    /// What becomes of each path of the tree.
    pub changes: Arc<[Change]>,
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
    pub target: Option<Arc<Target>>,
    /// How the jail goes away, where it does.
    pub removal: Option<RemoveOptions>,
    /// What was built last.
    pub manifest: Option<Arc<Manifest>>,
}

impl Plan {
    /// What sshd says of itself.
    pub fn facts(&self) -> Option<&SshdInfo> {
        let wanted = self.target.as_ref().and_then(|wanted| wanted.sshd.as_ref());
        wanted.or_else(|| Some(&self.manifest.as_ref()?.lock.as_ref()?.sshd))
    }

    /// Leaves out what plans that are carried out before it do for it: what all members of a family share, and PAM's stacks.
    pub fn drop_steps_done_by(&mut self, earlier: &[Self]) {
        let is_done = |step: &Step| {
            let mut done = earlier.iter().flat_map(|plan| &plan.steps);
            done.any(|other| other.writes_same_as(step))
        };
        self.steps
            .retain(|step| matches!(step, Step::InstallSnippet { .. }) || !is_done(step));
        for step in &mut self.steps {
            if is_done(step)
                && let Step::InstallSnippet { jail, .. } = step
            {
                *step = Step::VerifySnippet { jail: jail.clone() };
                self.snippet = None;
            }
        }
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
