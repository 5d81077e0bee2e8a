//! Why somebody cannot log in, and whether a host is fit for jails. Looks only, and asks nobody but sshd.
//!
//! Each reason is one that was seen: in the tests every one of them keeps a real ssh client out, or is what the build would refuse.

mod account;
mod host;
mod keys;
mod outside;
mod root;
mod session;
mod sshd;

use std::path::Path;

use crate::error::{Finding, Result};
use crate::host::{HostView, Stat};
use crate::names::JailName;
use crate::plan::manifest::ConfinementRecord;
use crate::plan::{Manifest, exposure_as_built};

pub use host::problems;

/// One reason, with its mend among the finding's hints.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Which kind of reason it is, for programs: `account-closed`.
    pub code: &'static str,
    /// What, why, and what to do about it.
    pub finding: Finding,
}

impl Problem {
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

/// What is wrong with a directory or file that must be root's alone, and the mend; `None` where nothing is.
fn ownership_problem(path: &Path, stat: &Stat) -> Option<(String, String)> {
    let shown = path.display();
    if stat.uid != 0 {
        Some((
            format!(
                "`{shown}` belongs to the user id {}, and not to root",
                stat.uid
            ),
            format!("run `chown root {shown}`"),
        ))
    } else if stat.mode & 0o022 != 0 {
        Some((
            format!(
                "others than root may write to `{shown}` (mode {:04o})",
                stat.permissions()
            ),
            format!("run `chmod go-w {shown}`"),
        ))
    } else {
        None
    }
}

/// What is looked at: one account of one jail.
#[derive(Debug)]
struct Subject<'v> {
    view: &'v HostView,
    manifest: Manifest,
    lock: ConfinementRecord,
    user: String,
}

impl Subject<'_> {
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
        .all(|reason| !["account-gone", "group"].contains(&reason.code));
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
