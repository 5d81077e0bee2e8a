//! The policy of the sessions of a jail, its network, and the blocks in PAM services.

use std::path::Path;

use jailctl_session::network::{Fault, faults};
use jailctl_session::policy::Policy;

use super::fleet::Fleet;
use super::live_sessions;
use super::step::Step;
use super::text_file::read_text;
use crate::error::{Error, Result};
use crate::host::pam::{self, Edit, Modules, ServiceEdits};
use crate::host::{HostView, Process, UserEntry, nft};
use crate::layout::{POLICY, SESSION_DIR, SNIPPET_PREFIX, SSHD_CONFIG_DIR};
use crate::names::JailName;
use crate::resolve::{ResolvedJail, tables};

/// State of the sessions of a jail, as it is and as it is to be.
#[derive(Debug)]
pub(super) struct PolicyState {
    /// Text of the policy on the host.
    is: Option<String>,
    /// Whether the mount point of sessions exists.
    has_door: bool,
    /// Text of the policy as it is to be; `None` for a plain chroot.
    wanted: Option<String>,
    /// Rules of its network for nft(8), before and after, if they change.
    rules: Option<(String, String)>,
    /// Faults of its network while it is in use.
    faults: Vec<Fault>,
    /// Edits of PAM services: jailed accounts leave the service of sshd early, and other services
    /// refuse them.
    services: ServiceEdits,
}

impl PolicyState {
    /// Reads the policy, the network and the PAM services.
    ///
    /// # Errors
    /// [`crate::error::ErrorKind::Failed`] if they cannot be read, or nft(8) refuses the rules.
    pub(super) fn observe(view: &HostView, wanted: &ResolvedJail) -> Result<Self> {
        let is = read_text(view, &ResolvedJail::state(&wanted.name).join(POLICY))?;
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
                    "could not read the network of the jail `{}`",
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

    /// Whether the jail has sessions. An incomplete policy counts: it refuses its accounts.
    fn is_there(&self) -> bool {
        self.is.is_some() || self.has_door
    }

    /// Whether the jail changes between a plain chroot and sessions while it has accounts, `users`.
    ///
    /// # Errors
    /// [`crate::error::ErrorKind::Failed`] if a process runs in the jail: between a session and a
    /// plain chroot an open directory could be passed, whose `..` would lead to the host.
    pub(super) fn is_switchover(
        &self,
        jail: &ResolvedJail,
        users: &[&UserEntry],
        view: &HostView,
    ) -> Result<bool> {
        if self.is_there() == self.wanted.is_some() || users.is_empty() {
            return Ok(false);
        }
        let uids: Vec<u32> = users.iter().map(|user| user.uid).collect();
        let living = Process::find_in_jail(view, &jail.root, &uids)?;
        live_sessions::ensure_empty(view, &jail.name, &living)?;
        Ok(true)
    }

    /// The steps that write the policy and repair the network of the jail.
    pub(super) fn install(&self) -> Vec<Step> {
        let mut steps = Vec::new();
        let Some(text) = &self.wanted else {
            return steps;
        };
        if self.is.as_ref() != Some(text) || !self.has_door {
            steps.push(Step::WritePolicy {
                text: text.clone(),
                before: self.is.clone(),
                rules: self.rules.clone(),
            });
        }
        if !self.faults.is_empty() {
            steps.push(Step::RepairNetwork {
                faults: self.faults.clone(),
            });
        }
        steps
    }

    /// The steps that change PAM services.
    pub(super) fn pam_services(&self) -> Vec<Step> {
        let edits = self.services.edits.iter().cloned();
        edits.map(Step::WritePamService).collect()
    }

    /// Notices about PAM services.
    pub(super) fn notices(&self) -> &[String] {
        &self.services.notices
    }

    /// The step that removes the policy of a jail which becomes a plain chroot.
    pub(super) fn uninstall(&self) -> Vec<Step> {
        if self.is_there() && self.wanted.is_none() {
            vec![Step::RemovePolicy {
                before: self.is.clone(),
            }]
        } else {
            Vec::new()
        }
    }
}

/// Reads the policy of a jail; `None` if it has none, or one that cannot be parsed and admits no
/// session.
///
/// # Errors
/// [`crate::error::ErrorKind::Failed`] if the file exists and cannot be read.
pub fn policy_as_built(view: &HostView, name: &JailName) -> Result<Option<Policy>> {
    let text = read_text(view, &ResolvedJail::state(name).join(POLICY))?;
    Ok(text.and_then(|text| Policy::parse(&text).ok()))
}

/// The edits of PAM services for a jail that has accounts, or had some.
fn services(view: &HostView, wanted: &ResolvedJail) -> Result<ServiceEdits> {
    let (Some(confinement), Some(modules)) = (&wanted.confinement, Modules::find(view)?) else {
        return Ok(ServiceEdits::default());
    };
    let sshd = confinement.sshd.pam_service.as_deref();
    let mut services = pam::with_blocks(view, sshd, &modules)?;
    if let Some(edit) = pam::without_former(view)?
        && !is_former_needed(view, &confinement.sshd.file)?
    {
        services.edits.push(edit);
    }
    Ok(services)
}

/// Whether a drop-in other than `file` sends accounts to the PAM service of earlier builds: that of
/// a jail which is not updated yet.
fn is_former_needed(view: &HostView, file: &str) -> Result<bool> {
    let directory = Path::new(SSHD_CONFIG_DIR);
    for name in view.list(directory)?.unwrap_or_default() {
        if name
            .to_str()
            .is_some_and(|name| name != file && name.starts_with(SNIPPET_PREFIX))
            && let Some(text) = read_text(view, &directory.join(name))?
            && text.contains("PAMServiceName")
        {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The step that stops the build unless the jail is empty of its users.
pub(super) fn require_empty(jail: &ResolvedJail, users: &[&UserEntry]) -> Step {
    Step::RequireEmpty {
        root: jail.root.clone(),
        uids: users.iter().map(|user| user.uid).collect(),
    }
}

/// The edits that remove the blocks from PAM services, if no jail other than `name` and `along`,
/// which are being removed, has accounts.
pub(super) fn release_services(
    view: &HostView,
    name: &JailName,
    along: &[JailName],
) -> Result<Vec<Edit>> {
    if Fleet::others_have_accounts(view, name, along)? {
        return Ok(Vec::new());
    }
    pam::without_blocks(view)
}
