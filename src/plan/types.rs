//! A plan, and the jail that it results in.

use std::borrow::Borrow;
use std::path::PathBuf;
use std::sync::Arc;

use super::compare::Change;
use super::manifest::Manifest;
use super::step::Step;
use super::target::{RemoveOptions, Target};
use crate::host::NewAccount;
use crate::host::sshd::SshdInfo;
use crate::names::JailName;

/// The steps that make one jail match its spec, or remove it.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Name of the jail.
    pub name: JailName,
    /// Root of the jail on the host.
    pub root: PathBuf,
    /// Changes of paths in the root.
    pub changes: Arc<[Change]>,
    /// Steps in their order; empty if there is nothing to do.
    pub steps: Vec<Step>,
    /// Text of the snippet before and after, if it changes.
    pub snippet: Option<(Option<String>, Option<String>)>,
    /// Whether the present build is kept for a rollback.
    pub keep_previous: bool,
    /// Notices for the administrator.
    pub notices: Vec<String>,
    /// Paths in the root that jailctl did not create, outside of user directories.
    pub unmanaged: Vec<String>,
    /// The jail as it is to be; `None` for a removal.
    pub target: Option<Arc<Target>>,
    /// Options of a removal.
    pub removal: Option<RemoveOptions>,
    /// Manifest of the last build.
    pub manifest: Option<Arc<Manifest>>,
}

impl Plan {
    /// The plan of `steps` for a built jail whose tree, snippet and records stay as they are.
    pub(super) fn of_steps(manifest: Manifest, steps: Vec<Step>) -> Self {
        Self {
            name: manifest.name.clone(),
            root: manifest.root.clone(),
            changes: Arc::default(),
            steps,
            snippet: None,
            keep_previous: false,
            notices: Vec::new(),
            unmanaged: Vec::new(),
            target: None,
            removal: None,
            manifest: Some(Arc::new(manifest)),
        }
    }

    /// The settings of sshd: as found, or as recorded.
    pub fn facts(&self) -> Option<&SshdInfo> {
        let target = self.target.as_ref().and_then(|target| target.sshd.as_ref());
        target.or_else(|| Some(&self.manifest.as_ref()?.confinement.as_ref()?.sshd))
    }

    /// Drops steps that a plan which is executed before has too: the snippet of a family, the
    /// common drop-in and PAM services.
    pub fn drop_steps_done_by(&mut self, earlier: &[impl Borrow<Self>]) {
        let is_done = |step: &Step| {
            let mut done = earlier.iter().flat_map(|plan| &plan.borrow().steps);
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

    /// The accounts that the plan creates, and the groups: name and group id.
    pub fn created_ids(&self) -> (Vec<NewAccount>, Vec<(String, u32)>) {
        let (mut accounts, mut groups) = (Vec::new(), Vec::new());
        for step in &self.steps {
            match step {
                Step::CreateAccount(account) => accounts.push(account.clone()),
                Step::CreateGroup { name, gid } => groups.push((name.clone(), *gid)),
                _ => {}
            }
        }
        (accounts, groups)
    }

    /// Whether the plan has a step with an effect that an administrator or a user can see.
    pub fn is_change(&self) -> bool {
        self.steps.iter().any(Step::is_change)
    }
}
