//! Checks of sessions of the jail: what the process of sshd for a connection reads first.

use jailctl_session::policy::{Mount, Policy, Source};
use jailctl_session::{cgroup, network};

use super::problems::{OwnershipProblem, Problem, ProblemCode, Subject};
use crate::error::{Error, Result};
use crate::host::FileKind;
use crate::host::pam::{Modules, SSHD, Service};
use crate::layout::{PAM_MODULE, SESSION_DIR};
use crate::resolve::{ResolvedJail, interferences};

pub(super) fn problems(case: &Subject<'_>) -> Result<Vec<Problem>> {
    if !case.view.is_live() {
        return Ok(Vec::new());
    }
    let name = &case.manifest.name;
    let refused = |code, why: String| {
        Problem::new(code, "sessions of the jail do not start", case.build()).why(why)
    };
    let policy = match Policy::load(name.as_str()) {
        Ok(Some(policy)) => policy,
        Ok(None) => return Ok(Vec::new()),
        Err(error) => return Ok(vec![refused(ProblemCode::Policy, error.to_string())]),
    };
    let mut reasons = Vec::new();
    if !policy.users.contains(&case.user) {
        let why = format!("its policy does not name `{}`", case.user);
        reasons.push(refused(ProblemCode::Policy, why));
    }
    reasons.extend(session_root(case)?);
    for mount in &policy.mounts {
        reasons.extend(source(case, mount)?);
    }
    if let Some(modules) = Modules::find(case.view)?.filter(|modules| !modules.has_ours) {
        let at = modules.directory.join(PAM_MODULE);
        let mut reason = refused(ProblemCode::Module, format!("`{}` is gone", at.display()));
        reason.finding.hints = vec![format!("restore `{}`", at.display())];
        reasons.push(reason);
    }
    if !calls_module(case)? {
        let why = format!("the PAM service of sshd does not call `{PAM_MODULE}`");
        reasons.push(refused(ProblemCode::PamService, why));
    }
    if let Some(network) = &policy.network {
        let faults = network::faults(name.as_str(), network).map_err(|error| {
            Error::failed(format!("could not read the network of the jail `{name}`"))
                .why(error.to_string())
        })?;
        reasons.extend(faults.iter().map(|fault| {
            let what = "the network of the jail differs from its policy";
            Problem::new(ProblemCode::Network, what, case.build()).why(fault.to_string())
        }));
        let stopped = interferences(&network.link, case.view)?.into_iter();
        reasons.extend(stopped.map(|one| Problem::new(ProblemCode::Network, one.what, one.fix)));
    }
    let limits = policy.limits.as_ref();
    let frozen = limits.map(|limits| cgroup::is_frozen(&policy.jail, limits));
    let frozen = frozen.transpose().map_err(|error| {
        Error::failed(format!("could not read the state of the jail `{name}`"))
            .why(error.to_string())
    })?;
    if frozen == Some(true) {
        let fix = format!("run `jailctl thaw {name}`");
        reasons.push(
            Problem::new(ProblemCode::Frozen, "the jail is frozen", fix)
                .why("its processes are stopped, and no session begins"),
        );
    }
    Ok(reasons)
}

/// Checks the mount point of sessions.
fn session_root(case: &Subject<'_>) -> Result<Option<Problem>> {
    let path = ResolvedJail::state(&case.manifest.name).join(SESSION_DIR);
    let shown = path.display();
    let (what, fix) = match case.view.lstat(&path)? {
        None => (format!("`{shown}` is gone"), case.build()),
        Some(stat) if stat.kind() != FileKind::Directory => (
            format!("`{shown}` is no directory"),
            format!("move it away, and {}", case.build()),
        ),
        Some(stat) => match OwnershipProblem::of(&path, &stat) {
            Some(found) => (found.why, found.fix),
            None => return Ok(None),
        },
    };
    Ok(Some(Problem::new(ProblemCode::SessionDir, what, fix)))
}

/// Checks the source directory of a mount.
fn source(case: &Subject<'_>, mount: &Mount) -> Result<Option<Problem>> {
    let Source::Bind(path) = &mount.source else {
        return Ok(None);
    };
    let why = match case.view.lstat(path)? {
        None if mount.optional => return Ok(None),
        None => "it is gone",
        Some(stat) if stat.kind() != FileKind::Directory => "it is no directory",
        Some(_) => return Ok(None),
    };
    let what = format!(
        "`{}` cannot be mounted on `{}`",
        path.display(),
        mount.target.display()
    );
    let fix =
        "restore the directory, or set `optional = true` in its `[[mount]]` and build the jail";
    Ok(Some(Problem::new(ProblemCode::Mount, what, fix).why(why)))
}

/// The problem of an sshd that does not use PAM, and so not the module.
pub(super) fn without_pam(case: &Subject<'_>, usepam: Option<&str>) -> Option<Problem> {
    let policy = Policy::load(case.manifest.name.as_str());
    if usepam != Some("no") || !case.view.is_live() || matches!(policy, Ok(None)) {
        return None;
    }
    let fix = "set `UsePAM yes` in sshd's configuration, and reload sshd";
    let reason = Problem::new(
        ProblemCode::PamOff,
        "sessions of the jail do not start",
        fix,
    );
    Some(reason.why(format!(
        "`UsePAM` is `no`: sshd does not load `{PAM_MODULE}`"
    )))
}

/// Whether the PAM service that sshd used at the last build calls the module.
fn calls_module(case: &Subject<'_>) -> Result<bool> {
    let confinement = case.manifest.confinement.as_ref();
    let name = confinement.and_then(|confinement| confinement.sshd.pam_service.as_deref());
    let service = Service::read(case.view, name.unwrap_or(SSHD))?;
    Ok(service.is_some_and(|service| service.calls_module()))
}
