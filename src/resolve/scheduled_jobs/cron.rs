//! Tables and scripts of root for cron(8): lines with a column for the user, and commands that
//! switch to another account.

use std::path::{Path, PathBuf};

use super::account_switch::accounts_of;
use super::host_job::{Account, HostJob, quoted, text};
use super::spools::CRONTABS;
use crate::error::Result;
use crate::host::{HostView, is_backup_name};

/// Table of cron(8) with a column for the user: crontab(5).
const SYSTEM_CRONTAB: &str = "/etc/crontab";
/// Directory of tables with a column for the user.
const SYSTEM_CRONTABS: &str = "/etc/cron.d";
/// Table of anacron(8), whose commands run as root.
const ANACRONTAB: &str = "/etc/anacrontab";
/// Directories of scripts that run-parts(8) runs as root: Debian and Red Hat, Alpine.
const SCRIPTS: [&str; 9] = [
    "/etc/cron.hourly",
    "/etc/cron.daily",
    "/etc/cron.weekly",
    "/etc/cron.monthly",
    "/etc/periodic/15min",
    "/etc/periodic/hourly",
    "/etc/periodic/daily",
    "/etc/periodic/weekly",
    "/etc/periodic/monthly",
];

/// The lines of root's tables and scripts that run something as an account.
#[derive(Debug)]
pub(super) struct CronTables(Vec<Table>);

/// Lines of one file.
#[derive(Debug)]
struct Table {
    path: PathBuf,
    /// Number of a line, and the name or number of the account.
    lines: Vec<(usize, String)>,
}

impl CronTables {
    /// Reads the tables and scripts.
    ///
    /// # Errors
    /// [`crate::error::ErrorKind::Failed`] where one of them cannot be read.
    pub(super) fn read(view: &HostView) -> Result<Self> {
        let mut files = vec![(PathBuf::from(SYSTEM_CRONTAB), true)];
        let mut add_all = |directory: &str, has_users: bool| -> Result<()> {
            for name in view.list(Path::new(directory))?.unwrap_or_default() {
                if name.to_str().is_none_or(|name| !is_backup_name(name)) {
                    files.push((Path::new(directory).join(name), has_users));
                }
            }
            Ok(())
        };
        add_all(SYSTEM_CRONTABS, true)?;
        for directory in SCRIPTS {
            add_all(directory, false)?;
        }
        let of_root = CRONTABS.map(|directory| Path::new(directory).join("root"));
        files.extend(of_root.map(|path| (path, false)));
        files.push((PathBuf::from(ANACRONTAB), false));
        let mut tables = Vec::new();
        for (path, has_users) in files {
            let Some(text) = text(view, &path)? else {
                continue;
            };
            let lines = lines(&text, has_users);
            if !lines.is_empty() {
                tables.push(Table { path, lines });
            }
        }
        Ok(Self(tables))
    }

    /// The lines that run something as the account.
    pub(super) fn jobs(&self, view: &HostView, account: Account<'_>) -> Vec<HostJob> {
        let mut jobs = Vec::new();
        for table in &self.0 {
            let lines = table.lines.iter();
            let lines = lines.filter(|(_, name)| account.is_named_by(name));
            let mut numbers: Vec<usize> = lines.map(|(number, _)| *number).collect();
            numbers.dedup();
            if numbers.is_empty() {
                continue;
            }
            let shown = view.display_path(&table.path);
            let of = |end: &str, separator: &str| {
                let parts: Vec<String> =
                    numbers.iter().map(|line| format!("{line}{end}")).collect();
                parts.join(separator)
            };
            let line = if numbers.len() == 1 { "line" } else { "lines" };
            jobs.push(HostJob {
                what: format!("{line} {} of `{}`", of("", ", "), shown.display()),
                clean: format!("sed -i '{}' {}", of("d", ";"), quoted(&shown)),
            });
        }
        jobs
    }
}

/// The lines of a text that run something as an account, with its name or number.
fn lines(text: &str, has_users: bool) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let user = cron_user(line).filter(|_| has_users).map(str::to_owned);
        let accounts = user.into_iter().chain(accounts_of(line));
        found.extend(accounts.map(|account| (index + 1, account)));
    }
    found
}

/// The user in a line of a table with a column for the user; `None` for a comment and a setting,
/// such as `MAILTO=root`. See crontab(5).
fn cron_user(line: &str) -> Option<&str> {
    let line = line.trim_start();
    let first = line.chars().next()?;
    if first.is_ascii_alphabetic() || ['#', '_', '"', '\''].contains(&first) {
        return None;
    }
    // `@daily user command`, or five columns for the time.
    let before = if first == '@' { 1 } else { 5 };
    line.split_whitespace().nth(before)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_user_of_a_line_of_cron_is_its_sixth_column_or_its_second() {
        for (line, user) in [
            ("*/5 * * * * ann /usr/bin/true", Some("ann")),
            ("\t0 4\t* * mon  bob  /bin/x -u ann", Some("bob")),
            ("@reboot ann x", Some("ann")),
            ("# * * * * * ann x", None),
            ("MAILTO=ann", None),
            ("A = * * * * ann x", None),
            ("\"B\" = 1 2 3 4 ann x", None),
            ("* * * * *", None),
            ("", None),
        ] {
            assert_eq!(cron_user(line), user, "{line}");
        }
    }
}
