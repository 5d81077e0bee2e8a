//! Jobs of the host that run under the user id of an account without any login: cron(8), at(1),
//! systemd.
//!
//! Such a job has the root directory of the host, whatever jail the account is in. There are three
//! callers: `build` before it creates or adopts an account, `check` for the accounts of a jail,
//! `doctor` for one account.
//!
//! Reads files only, so that a run that found nothing can be cached; running processes are found by
//! [`crate::host::Process::is_outside`].

mod account_switch;
mod cron;
mod host_job;
mod spools;
mod units;

use std::cell::OnceCell;

use cron::CronTables;
use host_job::Account;
pub use host_job::HostJob;
pub(crate) use host_job::quoted;
use units::Units;

use crate::error::Result;
use crate::host::HostView;

/// The jobs of a host. Files that concern every account are read once, for the first one.
#[derive(Debug)]
pub struct ScheduledJobs<'v> {
    view: &'v HostView,
    shared: OnceCell<(CronTables, Units)>,
}

impl<'v> ScheduledJobs<'v> {
    /// The jobs of a host, of which nothing is read yet.
    pub fn new(view: &'v HostView) -> Self {
        Self {
            view,
            shared: OnceCell::new(),
        }
    }

    /// Finds the jobs that run as the account with this login name or user id. Finds none if the
    /// caller is not root: only root can read the spools.
    ///
    /// # Errors
    /// [`crate::error::ErrorKind::Failed`] where one of the places cannot be read.
    pub fn of_account(&self, name: &str, uid: u32) -> Result<Vec<HostJob>> {
        if !rustix::process::geteuid().is_root() {
            return Ok(Vec::new());
        }
        let (account, view) = (Account { name, uid }, self.view);
        let (tables, units) = self.shared()?;
        let mut jobs = spools::crontab(view, account)?;
        jobs.extend(spools::at_jobs(view, account)?);
        jobs.extend(spools::linger(view, account)?);
        jobs.extend(tables.jobs(view, account));
        jobs.extend(units.jobs(view, account));
        Ok(jobs)
    }

    fn shared(&self) -> Result<&(CronTables, Units)> {
        if let Some(shared) = self.shared.get() {
            return Ok(shared);
        }
        let shared = (CronTables::read(self.view)?, Units::read(self.view)?);
        Ok(self.shared.get_or_init(|| shared))
    }
}
