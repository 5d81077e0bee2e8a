//! Diagnosis: why a user cannot log in, and whether a host can have jails. Reads only, and runs no
//! program but sshd.
//!
//! Each problem occurs in practice: in the tests each of them keeps a real ssh client out, or a
//! build would refuse it.

mod account;
mod host;
mod keys;
mod outside;
mod problems;
mod root;
mod session;
mod sshd;

use crate::error::Result;
use crate::host::HostView;
use crate::names::JailName;
use crate::plan::{Manifest, exposure_as_built, user_dir_flaw};

pub use host::problems as host_problems;
pub use problems::{Problem, ProblemCode};

use problems::Subject;

/// Result of a diagnosis of one user.
#[derive(Debug)]
pub struct Diagnosis {
    /// Jail of the user.
    pub jail: JailName,
    /// Every problem of a login; none if it should work.
    pub reasons: Vec<Problem>,
    /// Problems by which the user, or a process of the user, is outside of the jail.
    pub outside: Vec<Problem>,
    /// Access that the user has to the host in a plain chroot; `None` in a session, and if no
    /// program of the user runs.
    pub exposure: Option<String>,
    /// Flaws of the user directories of the user, with which a login works nevertheless: fits after
    /// the path.
    pub user_dirs: Vec<String>,
}

/// Diagnoses `user`: every problem of a login, and everything that runs as `user` outside of the
/// jail; `None` if no jail has such an account.
///
/// # Errors
/// `Failed` if the host cannot be read.
pub fn diagnose(view: &HostView, user: &str) -> Result<Option<Diagnosis>> {
    let mut found = None;
    for name in Manifest::names(view)? {
        if let Some(manifest) = Manifest::load(view, &name)?
            && manifest.accounts.iter().any(|account| account.name == user)
        {
            found = Some(manifest);
        }
    }
    let Some((manifest, confinement)) = found.and_then(|manifest: Manifest| {
        let confinement = manifest.confinement.clone()?;
        Some((manifest, confinement))
    }) else {
        return Ok(None);
    };
    let case = Subject {
        view,
        manifest,
        confinement,
        user: user.to_owned(),
    };
    let mut reasons = account::problems(&case)?;
    reasons.extend(root::problems(&case)?);
    reasons.extend(keys::problems(&case)?);
    reasons.extend(session::problems(&case)?);
    // The snippet matches members of the group of the jail; differences for other accounts follow
    // from that.
    let is_member = reasons
        .iter()
        .all(|reason| ![ProblemCode::AccountGone, ProblemCode::Group].contains(&reason.code));
    reasons.extend(sshd::problems(&case, is_member)?);
    let outside = outside::problems(&case)?;
    let exposure = exposure_as_built(&case.manifest, view)?;
    let user_dirs = user_dir_flaws(&case)?;
    Ok(Some(Diagnosis {
        jail: case.manifest.name,
        reasons,
        outside,
        exposure,
        user_dirs,
    }))
}

/// The flaws of owner and mode of the recorded directories of the user.
fn user_dir_flaws(case: &Subject<'_>) -> Result<Vec<String>> {
    let manifest = &case.manifest;
    let Some(account) = manifest.account(&case.user) else {
        return Ok(Vec::new());
    };
    let mut flaws = Vec::new();
    for (path, record) in &manifest.entries {
        if !record.kept || record.owner.uid != account.uid {
            continue;
        }
        let shown = manifest.root.join(path.relative());
        let flaw = match case.view.lstat(&shown)? {
            None => Some("it is missing".to_owned()),
            Some(stat) => user_dir_flaw(&stat, record.owner),
        };
        flaws.extend(flaw.map(|flaw| format!("`{}`: {flaw}", shown.display())));
    }
    Ok(flaws)
}
