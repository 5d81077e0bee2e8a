//! A plan, and the jail that it leads to.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::compare::Change;
use super::manifest::{Manifest, OriginalAccount};
use super::step::Step;
use crate::host::NewAccount;
use crate::host::sshd::SshdInfo;
use crate::names::JailName;
use crate::resolve::ResolvedJail;
use crate::span::SourceText;

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
    pub origin: SourceText,
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

/// How a jail is taken away.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RemoveOptions {
    /// Homes, mail and other places of users go too.
    pub purge: bool,
    /// Live sessions are ended, not a reason to refuse.
    pub kill: bool,
    /// Nobody asked for it: a spec no longer names the user whose jail it is.
    #[serde(default)]
    pub dropped: bool,
}
