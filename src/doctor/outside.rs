//! Checks for processes and jobs of the user outside of the jail, and for logins without it.

use super::problems::{Problem, ProblemCode, Subject};
use crate::error::Result;
use crate::host::{HostView, Process};
use crate::resolve::scheduled_jobs::ScheduledJobs;
use crate::resolve::shells;

/// Most process ids in one message.
const NAMED: usize = 16;

/// Each job of the host that runs as the user, the processes of the user outside of every jail, and
/// settings of the host that make the login shells of jailed accounts usable there.
pub(super) fn problems(case: &Subject<'_>) -> Result<Vec<Problem>> {
    let (view, user) = (case.view, &case.user);
    let mut reasons = shell_leaks(view)?;
    let accounts = view.accounts()?;
    let Some(uid) = accounts.user(user).map(|found| found.uid) else {
        return Ok(reasons);
    };
    for job in ScheduledJobs::new(view).of_account(user, uid)? {
        let what = format!("{} runs as `{user}` outside of the jail", job.what);
        reasons.push(
            Problem::new(
                ProblemCode::RunsOutside,
                what,
                format!("run `{}`", job.clean),
            )
            .why("the host runs it without a login"),
        );
    }
    let mut processes = Process::of_users(view, &[uid])?;
    processes.retain(Process::is_outside);
    if !processes.is_empty() {
        let numbers = processes.iter().take(NAMED);
        let numbers: Vec<String> = numbers.map(|process| process.pid.to_string()).collect();
        let what = format!(
            "processes of `{user}` run outside of the jail: {}",
            numbers.join(", ")
        );
        let fix = format!("find out what started them, and run `pkill -KILL -U {uid}`");
        reasons.push(
            Problem::new(ProblemCode::ProcessesOutside, what, fix)
                .why("their root directory is the root of the host"),
        );
    }
    Ok(reasons)
}

/// Settings of the host that make the login shells of jailed accounts usable without a jail.
pub(super) fn shell_leaks(view: &HostView) -> Result<Vec<Problem>> {
    let leaks = shells::leaks(view)?.into_iter();
    let reason = |leak: shells::ShellLeak| {
        let what = format!("`{}` lets jailed accounts out of their jails", leak.path);
        Problem::new(ProblemCode::Shells, what, leak.clean).why(leak.text)
    };
    Ok(leaks.map(reason).collect())
}
