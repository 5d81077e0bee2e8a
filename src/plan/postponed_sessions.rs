//! Sessions that a jail is to have by default, and gets at the next build while no user is in it.
//!
//! A spec that requests sessions is refused while a process runs in its plain chroot: a directory
//! could be passed from one to the other. Sessions by default come with the installation of the
//! PAM module; a build that they stop would stop every `jailctl update` too.

use super::build::build_plan;
use super::manifest::Manifest;
use super::types::Plan;
use crate::error::Result;
use crate::host::pam::Modules;
use crate::host::{HostView, Process};
use crate::layout::POLICY;
use crate::names::JailName;
use crate::resolve::ResolvedJail;
use crate::span::SourceText;
use crate::spec::{AccessMethod, Spec};

/// Most processes that the notice names.
const NAMED: usize = 16;

/// Whether the sessions of a jail, or of all jails of a family, are postponed. It is found out once
/// for all plans of a run, since the jails of a family share their snippet.
#[derive(Clone, Debug, Default)]
pub struct PostponedSessions {
    /// Notice with the reason, if they are.
    pub notice: Option<String>,
}

impl PostponedSessions {
    /// Looks whether the jails of `spec` are plain chroots with processes, and are to have sessions
    /// by default.
    ///
    /// # Errors
    /// [`crate::error::ErrorKind::Failed`] if records or `/proc` cannot be read.
    pub fn find(spec: &Spec, view: &HostView) -> Result<Self> {
        let is_default = spec.session.is_none()
            && !spec.plain_chroot
            && spec.access.value.contains(&AccessMethod::Shell);
        if !is_default
            || !view.is_live()
            || has_sessions(view, &spec.name.value)?
            || !Modules::find(view)?.is_some_and(|modules| modules.has_ours)
        {
            return Ok(Self::default());
        }
        let name = spec.name.value.family_name();
        let jails = if spec.family.is_some() || spec.is_family() {
            let mut jails = Manifest::names(view)?;
            jails.retain(|jail| jail.family_name() == name);
            jails
        } else {
            vec![spec.name.value.clone()]
        };
        let mut uids = Vec::new();
        for jail in jails {
            if !has_sessions(view, &jail)?
                && let Some(manifest) = Manifest::load(view, &jail)?
                && let Some(confinement) = &manifest.confinement
                && confinement.sshd.pam_service.is_some()
            {
                uids.extend(manifest.accounts.iter().map(|account| account.uid));
            }
        }
        if uids.is_empty() {
            return Ok(Self::default());
        }
        // One pass, without a wait for processes that are about to end: the next run is not far.
        let living = Process::present(view, &spec.root.value, &uids)?;
        let numbers = living.iter().take(NAMED);
        let numbers: Vec<String> = numbers.map(|process| process.pid.to_string()).collect();
        let notice = format!(
            "`{name}` stays a plain chroot while processes run in it ({}): the next `jailctl update {name}` without one makes its shells sessions; `jailctl kill {name}` ends them",
            numbers.join(", ")
        );
        Ok(Self {
            notice: Some(notice).filter(|_| !living.is_empty()),
        })
    }

    /// Plans as [`build_plan`] does, with a plain chroot if the sessions are postponed.
    ///
    /// # Errors
    /// As [`build_plan`].
    pub fn build_plan(&self, spec: &Spec, source: SourceText, view: &HostView) -> Result<Plan> {
        let Some(notice) = &self.notice else {
            return build_plan(spec, source, view);
        };
        // No inode shows when the processes end.
        view.invalidate_access_log();
        let mut plan = build_plan(&as_plain_chroot(spec), source, view)?;
        plan.notices.push(notice.clone());
        Ok(plan)
    }
}

/// The spec with a plain chroot.
pub(super) fn as_plain_chroot(spec: &Spec) -> Spec {
    Spec {
        plain_chroot: true,
        ..spec.clone()
    }
}

/// Whether the jail was built with sessions.
fn has_sessions(view: &HostView, name: &JailName) -> Result<bool> {
    let policy = view.lstat(&ResolvedJail::state(name).join(POLICY))?;
    Ok(policy.is_some())
}
