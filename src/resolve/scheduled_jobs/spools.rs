//! Files of one account in the spools of cron(8), at(1) and systemd-logind(8).

use std::path::Path;

use super::host_job::{Account, HostJob, quoted};
use crate::error::Result;
use crate::host::{FileKind, HostView};

/// Directories with one table of cron(8) for each user: Debian, SUSE, Red Hat and Arch, Alpine.
pub(super) const CRONTABS: [&str; 4] = [
    "/var/spool/cron/crontabs",
    "/var/spool/cron/tabs",
    "/var/spool/cron",
    "/etc/crontabs",
];
/// Queues of at(1), whose files are owned by the user of the job: Debian, Red Hat, SUSE.
const AT_QUEUES: [&str; 3] = [
    "/var/spool/cron/atjobs",
    "/var/spool/at",
    "/var/spool/atjobs",
];
/// Directory with a file for each user whose manager systemd starts at boot: see loginctl(1),
/// `enable-linger`.
const LINGER: &str = "/var/lib/systemd/linger";

/// The crontab of the account.
pub(super) fn crontab(view: &HostView, account: Account<'_>) -> Result<Vec<HostJob>> {
    let mut jobs = Vec::new();
    for directory in CRONTABS {
        let table = Path::new(directory).join(account.name);
        let stat = view.lstat(&table)?;
        if stat.is_none_or(|stat| stat.kind() == FileKind::Directory) {
            continue;
        }
        let clean = if view.is_live() {
            format!("crontab -r -u {}", account.name)
        } else {
            format!("rm {}", quoted(&view.display_path(&table)))
        };
        jobs.push(HostJob {
            what: format!("the crontab `{}`", view.display_path(&table).display()),
            clean,
        });
    }
    Ok(jobs)
}

/// The jobs of at(1) of the account.
pub(super) fn at_jobs(view: &HostView, account: Account<'_>) -> Result<Vec<HostJob>> {
    let mut jobs = Vec::new();
    for queue in AT_QUEUES {
        let mut count = 0;
        for name in view.list(Path::new(queue))?.unwrap_or_default() {
            let stat = view.lstat(&Path::new(queue).join(&name))?;
            let is_job =
                stat.is_some_and(|stat| stat.kind() == FileKind::File && stat.uid == account.uid);
            count += usize::from(is_job);
        }
        if count > 0 {
            let shown = view.display_path(Path::new(queue));
            let jobs_of = if count == 1 { "job" } else { "jobs" };
            jobs.push(HostJob {
                what: format!("{count} {jobs_of} of at(1) in `{}`", shown.display()),
                clean: format!(
                    "find {} -maxdepth 1 -type f -uid {} -delete",
                    quoted(&shown),
                    account.uid
                ),
            });
        }
    }
    Ok(jobs)
}

/// The file by which the user manager of the account starts at boot.
pub(super) fn linger(view: &HostView, account: Account<'_>) -> Result<Vec<HostJob>> {
    let file = Path::new(LINGER).join(account.name);
    if view.lstat(&file)?.is_none() {
        return Ok(Vec::new());
    }
    let shown = view.display_path(&file);
    Ok(vec![HostJob {
        what: format!(
            "the manager of systemd that starts at boot by `{}`",
            shown.display()
        ),
        clean: format!("rm {}", quoted(&shown)),
    }])
}
