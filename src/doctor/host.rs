//! Checks of a host: whether it can have jails.

use std::path::Path;

use super::outside;
use super::problems::{OwnershipProblem, Problem, ProblemCode};
use crate::error::Result;
use crate::host::sshd::{Config, Sshd};
use crate::host::{FileKind, HostView};
use crate::layout::{JAILS_DIR, STATE};
use crate::plan::{OWN_DROP_INS, interrupted};

/// Tools of shadow that change accounts.
const TOOLS: [&str; 6] = [
    "chpasswd", "groupadd", "groupdel", "useradd", "userdel", "usermod",
];
/// First kernel with every call that is used: openat2(2) and renameat2(2) are older, private mounts
/// of the files of sshd are not.
const KERNEL: (u32, u32) = (5, 11);

/// Every problem that keeps the host from having jails, or from having them safely.
///
/// # Errors
/// `Failed` if the host cannot be read.
pub fn problems(view: &HostView) -> Result<Vec<Problem>> {
    let mut reasons = Vec::new();
    if view.is_live() {
        reasons.extend(kernel()?);
    }
    for tool in TOOLS {
        let path = Path::new("/usr/sbin").join(tool);
        if view.stat(&path)?.is_none() {
            reasons.push(
                Problem::new(
                    ProblemCode::Tool,
                    format!("there is no `{}`", path.display()),
                    "install the package that contains it: passwd, shadow or shadow-utils",
                )
                .why("it creates, changes or deletes accounts"),
            );
        }
    }
    reasons.extend(outside::shell_leaks(view)?);
    for place in [JAILS_DIR, STATE] {
        reasons.extend(check_path(view, Path::new(place))?);
    }
    if interrupted(view)? {
        reasons.push(
            Problem::new(
                ProblemCode::Interrupted,
                "an earlier run was interrupted",
                "run any verb that writes, for example `jailctl build`: it undoes the earlier run first",
            )
            .why("its changes are incomplete"),
        );
    }
    let sshd = Config::read(view).and_then(|config| Sshd::find(view)?.info(&config, &OWN_DROP_INS));
    match sshd {
        Ok(facts) if facts.sftp.is_none() => reasons.push(
            Problem::new(
                ProblemCode::Sftp,
                "sshd has no subsystem `sftp`",
                "add `Subsystem sftp internal-sftp` to /etc/ssh/sshd_config",
            )
            .why("jails with a shell have no sftp then"),
        ),
        Ok(_) => {}
        Err(error) => reasons.extend(error.findings.into_iter().map(|finding| Problem {
            code: ProblemCode::SshdConfig,
            finding,
        })),
    }
    Ok(reasons)
}

fn kernel() -> Result<Option<Problem>> {
    let proc = HostView::new(Path::new("/proc"))?;
    let release = proc
        .read(Path::new("/sys/kernel/osrelease"), 4096)?
        .unwrap_or_default();
    let release = String::from_utf8_lossy(&release).trim().to_owned();
    let mut numbers = release
        .split(['.', '-'])
        .map_while(|part| part.parse::<u32>().ok());
    let version = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    Ok((version < KERNEL).then(|| {
        Problem::new(
            ProblemCode::Kernel,
            format!("the kernel is {release}"),
            "boot a newer kernel",
        )
        .why(format!("jailctl needs {}.{} or later", KERNEL.0, KERNEL.1))
    }))
}

/// The first directory of `path` that a user other than root can change, as far as the path exists.
fn check_path(view: &HostView, path: &Path) -> Result<Option<Problem>> {
    view.find_component(path, |directory, stat| {
        let shown = directory.display();
        let OwnershipProblem { why, fix } = match stat.kind() {
            FileKind::Directory => OwnershipProblem::of(directory, stat)?,
            _ => OwnershipProblem {
                why: format!("`{shown}` is not a directory"),
                fix: format!("make it one, or give jails another root than `{JAILS_DIR}`"),
            },
        };
        let what = format!("jails are not safe below `{shown}`");
        Some(Problem::new(ProblemCode::HostDir, what, fix).why(why))
    })
}
