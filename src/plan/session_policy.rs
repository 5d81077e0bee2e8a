//! What sessions of a jail have of their own: the policy, and the block in sshd's PAM service by which jailed accounts leave it.

use std::path::Path;

use jailctl_session::network::{Fault, faults};
use jailctl_session::policy::Policy;

use super::{Manifest, SNIPPET_LIMIT, Step, live_sessions};
use crate::error::{Error, Result};
use crate::host::pam::{self, Edit, Modules, Service};
use crate::host::{HostView, Process, UserEntry, nft};
use crate::layout::{POLICY, SESSION_DIR};
use crate::names::JailName;
use crate::resolve::{ResolvedJail, tables};

/// What is found of a jail's policy, and what is to be.
#[derive(Debug)]
pub(super) struct PolicyState {
    is: Option<String>,
    has_door: bool,
    wanted: Option<String>,
    /// The rules of its network as they are and as they are to be, where they change.
    rules: Option<(String, String)>,
    /// What of its network is not as it should be while somebody is in it.
    faults: Vec<Fault>,
    /// The changes of PAM services: jailed accounts leave the one that sshd asks, and others refuse them.
    services: Vec<Edit>,
}

impl PolicyState {
    pub(super) fn observe(view: &HostView, wanted: &ResolvedJail) -> Result<Self> {
        let text = |path: &Path| -> Result<Option<String>> {
            let bytes = view.read(path, SNIPPET_LIMIT)?;
            Ok(bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
        };
        let is = text(&ResolvedJail::state(&wanted.name).join(POLICY))?;
        let to = wanted.session.as_ref().map(Policy::to_text);
        let rules = |policy: Option<&Policy>| policy.and_then(tables).unwrap_or_default();
        let before = is.as_deref().and_then(|text| Policy::parse(text).ok());
        let rules = (rules(before.as_ref()), rules(wanted.session.as_ref()));
        let rules = Some(rules).filter(|(was, to)| was != to && !to.is_empty());
        if let (Some((_, to)), true, Some(program)) = (&rules, view.is_live(), nft::find(view)?) {
            nft::check(program, to)?;
        }
        let network = before.and_then(|policy| policy.network);
        let faults = match network.filter(|_| view.is_live()) {
            Some(network) => faults(wanted.name.as_str(), &network).map_err(|error| {
                Error::failed(format!(
                    "could not look at the network of the jail `{}`",
                    wanted.name
                ))
                .why(error.to_string())
            })?,
            None => Vec::new(),
        };
        Ok(Self {
            is,
            has_door: view
                .lstat(&ResolvedJail::state(&wanted.name).join(SESSION_DIR))?
                .is_some(),
            wanted: to,
            rules,
            faults,
            services: services(view, wanted)?,
        })
    }

    /// Half a policy is one: the account is refused.
    fn is_there(&self) -> bool {
        self.is.is_some() || self.has_door
    }

    /// Closes the jail where plain chroot and sessions take turns, and gives whether it did. Nobody may be in it then: between a session and a
    /// plain chroot an open directory could be handed over, and from there `..` would lead to the host.
    pub(super) fn plan_switchover(
        &self,
        view: &HostView,
        jail: &ResolvedJail,
        users: &[&UserEntry],
        steps: &mut Vec<Step>,
    ) -> Result<bool> {
        if self.is_there() == self.wanted.is_some() || users.is_empty() {
            return Ok(false);
        }
        let uids: Vec<u32> = users.iter().map(|user| user.uid).collect();
        live_sessions::ensure_empty(&jail.name, &Process::find_in_jail(view, &jail.root, &uids)?)?;
        steps.extend(users.iter().map(|user| Step::DisableAccount {
            user: user.name.clone(),
        }));
        steps.push(require_empty(jail, users));
        Ok(true)
    }

    /// What comes before sshd lets anybody into a session.
    pub(super) fn install(&self, steps: &mut Vec<Step>) {
        let Some(text) = &self.wanted else { return };
        if self.is.as_ref() != Some(text) || !self.has_door {
            steps.push(Step::WritePolicy {
                text: text.clone(),
                rules: self.rules.clone(),
            });
        }
        if !self.faults.is_empty() {
            steps.push(Step::RepairNetwork {
                faults: self.faults.clone(),
            });
        }
    }

    /// The changes of PAM services, before any account of the jail is opened.
    pub(super) fn keep_services_off(&self, steps: &mut Vec<Step>) {
        steps.extend(self.services.iter().cloned().map(Step::WritePamService));
    }

    /// What goes when sshd sends nobody into a session any more.
    pub(super) fn uninstall(&self, steps: &mut Vec<Step>) {
        if self.is_there() && self.wanted.is_none() {
            steps.push(Step::RemovePolicy);
        }
    }
}

/// How PAM services have to change for a jail that has accounts, or had some.
fn services(view: &HostView, wanted: &ResolvedJail) -> Result<Vec<Edit>> {
    let (Some(lock), Some(modules)) = (&wanted.lock, Modules::find(view)?) else {
        return Ok(Vec::new());
    };
    let sshd = lock.sshd.pam_service.as_deref();
    let service = sshd.map(|name| Service::read(view, name)).transpose()?;
    let left = service
        .flatten()
        .and_then(|service| service.with_block(&modules));
    let refusing = pam::refusals(view, sshd.unwrap_or_default())?;
    Ok(left.into_iter().chain(refusing).collect())
}

/// Sees to it that none of its users is in a jail.
pub(super) fn require_empty(jail: &ResolvedJail, users: &[&UserEntry]) -> Step {
    Step::RequireEmpty {
        root: jail.root.clone(),
        uids: users.iter().map(|user| user.uid).collect(),
    }
}

/// The changes that take the block out of PAM's services where no jail but `name` and those that go `along` has accounts.
pub(super) fn release_services(
    view: &HostView,
    name: &JailName,
    along: &[JailName],
) -> Result<Vec<Edit>> {
    if Manifest::others_have_accounts(view, name, along)? {
        return Ok(Vec::new());
    }
    pam::without_blocks(view)
}
