//! Why somebody cannot log in, and whether a host is fit for jails. Looks only, and asks nobody but sshd.
//!
//! Each reason is one that was seen: in the tests every one of them keeps a real ssh client out, or is what the build would refuse.

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
use crate::plan::{Manifest, exposure_as_built};

pub use host::problems as host_problems;
pub use problems::{Problem, ProblemCode};

use problems::Subject;

/// What was found for one user.
#[derive(Debug)]
pub struct Diagnosis {
    /// The user's jail.
    pub jail: JailName,
    /// Every reason; none where a login should work.
    pub reasons: Vec<Problem>,
    /// What lets the user, or what runs as the user, out of the jail; none where nothing does.
    pub outside: Vec<Problem>,
    /// What the user shares with the host in a plain chroot; `None` in a session, and where no program of the user's runs.
    pub exposure: Option<String>,
}

/// Every reason why `user` cannot log in, and everything that runs as `user` outside of the jail; `None` where no jail has such an account.
pub fn diagnose(view: &HostView, user: &str) -> Result<Option<Diagnosis>> {
    let mut found = None;
    for name in Manifest::names(view)? {
        if let Some(manifest) = Manifest::load(view, &name)?
            && manifest.accounts.iter().any(|account| account.name == user)
        {
            found = Some(manifest);
        }
    }
    let Some((manifest, lock)) = found.and_then(|manifest: Manifest| {
        let lock = manifest.lock.clone()?;
        Some((manifest, lock))
    }) else {
        return Ok(None);
    };
    let case = Subject {
        view,
        manifest,
        lock,
        user: user.to_owned(),
    };
    let mut reasons = account::problems(&case)?;
    reasons.extend(root::problems(&case)?);
    reasons.extend(keys::problems(&case)?);
    reasons.extend(session::problems(&case)?);
    // The snippet is for members of the jail's group; what sshd does with others follows from that.
    let is_member = reasons
        .iter()
        .all(|reason| ![ProblemCode::AccountGone, ProblemCode::Group].contains(&reason.code));
    reasons.extend(sshd::problems(&case, is_member)?);
    let outside = outside::problems(&case)?;
    let exposure = exposure_as_built(&case.manifest, view)?;
    Ok(Some(Diagnosis {
        jail: case.manifest.name,
        reasons,
        outside,
        exposure,
    }))
}
