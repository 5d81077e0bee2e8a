//! Why somebody cannot log in, and whether a host is fit for jails. Looks only, and asks nobody but sshd.
//!
//! Each reason is one that was seen: in the tests every one of them keeps a real ssh client out, or is what the build would refuse.

mod account;
mod fitness;
mod keys;
mod place;
mod sshd;

use crate::error::{Finding, Result};
use crate::host::View;
use crate::names::JailName;
use crate::plan::Manifest;

pub use fitness::fitness;

/// One reason, with its mend among the finding's hints.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason {
    /// Which kind of reason it is, for programs: `account-closed`.
    pub code: &'static str,
    /// What, why, and what to do about it.
    pub finding: Finding,
}

impl Reason {
    fn new(code: &'static str, what: impl Into<String>, mend: impl Into<String>) -> Self {
        Self {
            code,
            finding: Finding::new(what).hint(mend),
        }
    }

    fn why(mut self, why: impl Into<String>) -> Self {
        self.finding.why = Some(why.into());
        self
    }
}

/// What is looked at: one account of one jail.
#[derive(Debug)]
struct Case<'v> {
    view: &'v View,
    manifest: Manifest,
    user: String,
}

impl Case<'_> {
    /// The command that makes the jail again what its spec says.
    fn build(&self) -> String {
        format!("run `jailctl build {}`", self.manifest.spec)
    }
}

/// What was found for one user.
#[derive(Debug)]
pub struct Diagnosis {
    /// The user's jail.
    pub jail: JailName,
    /// Every reason; none where a login should work.
    pub reasons: Vec<Reason>,
}

/// Every reason why `user` cannot log in; `None` where no jail has such an account.
pub fn diagnose(view: &View, user: &str) -> Result<Option<Diagnosis>> {
    let mut found = None;
    for name in Manifest::names(view)? {
        if let Some(manifest) = Manifest::load(view, &name)?
            && manifest.accounts.iter().any(|account| account.name == user)
        {
            found = Some(manifest);
        }
    }
    let Some(manifest) = found else {
        return Ok(None);
    };
    let case = Case {
        view,
        manifest,
        user: user.to_owned(),
    };
    let mut reasons = account::reasons(&case)?;
    reasons.extend(place::reasons(&case)?);
    reasons.extend(keys::reasons(&case)?);
    // The snippet is for members of the jail's group; what sshd does with others follows from that.
    let is_member = reasons
        .iter()
        .all(|reason| !["account-gone", "group"].contains(&reason.code));
    reasons.extend(sshd::reasons(&case, is_member)?);
    Ok(Some(Diagnosis {
        jail: case.manifest.name,
        reasons,
    }))
}
