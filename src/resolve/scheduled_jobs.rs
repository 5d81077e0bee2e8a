//! Jobs of the host that run under the user id of an account without any login: cron(8), at(1),
//! systemd.
//!
//! Such a job has the root directory of the host, whatever jail the account is in. `CHECKS` has
//! one function for each kind of job. There are three callers: `build` before it creates or adopts
//! an account, `check` for the accounts of a jail, `doctor` for one account.
//!
//! Reads files only, so that a run that found nothing can be cached; running processes are found by
//! [`crate::host::Process::outside`].

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use crate::error::Result;
use crate::host::{FileKind, HostView};

/// Most bytes of a table of cron(8) or of a unit file.
const LIMIT: u64 = 4 << 20;
/// Directories with one table of cron(8) for each user: Debian, SUSE, Red Hat and Arch, Alpine.
const CRONTABS: [&str; 4] = [
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
/// Table of cron(8) with a column for the user: crontab(5).
const SYSTEM_CRONTAB: &str = "/etc/crontab";
/// Directory of tables with a column for the user.
const SYSTEM_CRONTABS: &str = "/etc/cron.d";
/// Directories of an administrator's units, in the order of systemd.unit(5).
const UNITS: [&str; 3] = [
    "/etc/systemd/system",
    "/run/systemd/system",
    "/usr/local/lib/systemd/system",
];
/// Directories of the units of packages, which are read only for template units whose instances
/// [`UNITS`] enable.
const VENDOR_UNITS: [&str; 2] = ["/usr/lib/systemd/system", "/lib/systemd/system"];
/// Suffixes of units that start processes and can have `User=`: systemd.exec(5).
const UNIT_SUFFIXES: [&str; 4] = [".service", ".socket", ".mount", ".swap"];
/// Directories beside a unit with links to the units that it pulls in: systemd.unit(5).
const PULLED_IN: [&str; 3] = [".wants", ".requires", ".upholds"];

/// A job of the host that runs as an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostJob {
    /// The job with its file: "the crontab `/var/spool/cron/crontabs/ann`".
    pub what: String,
    /// The command that removes it.
    pub clean: String,
}

/// Account whose jobs are to be found.
#[derive(Clone, Copy, Debug)]
struct Account<'a> {
    /// Login name.
    name: &'a str,
    /// User id.
    uid: u32,
}

/// Finds the jobs of one kind.
type Check = fn(&HostView, Account<'_>) -> Result<Vec<HostJob>>;

/// One function for each kind of job.
const CHECKS: [Check; 5] = [crontabs, at_jobs, linger, system_crontabs, units];

impl HostJob {
    /// The job as a notice about an account that is in a jail.
    pub fn notice(&self, user: &str) -> String {
        format!(
            "`{user}`: {} runs outside of the jail; remove it: {}",
            self.what, self.clean
        )
    }
}

/// Finds the jobs of the host that run as the account with this login name or user id. Finds none
/// if the caller is not root: only root can read the spools.
///
/// # Errors
/// [`crate::error::ErrorKind::Failed`] where one of the places cannot be read.
pub fn of_account(view: &HostView, name: &str, uid: u32) -> Result<Vec<HostJob>> {
    if !rustix::process::geteuid().is_root() {
        return Ok(Vec::new());
    }
    let account = Account { name, uid };
    let mut jobs = Vec::new();
    for check in CHECKS {
        jobs.extend(check(view, account)?);
    }
    Ok(jobs)
}

fn crontabs(view: &HostView, account: Account<'_>) -> Result<Vec<HostJob>> {
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

fn at_jobs(view: &HostView, account: Account<'_>) -> Result<Vec<HostJob>> {
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

fn linger(view: &HostView, account: Account<'_>) -> Result<Vec<HostJob>> {
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

fn system_crontabs(view: &HostView, account: Account<'_>) -> Result<Vec<HostJob>> {
    let mut tables = vec![PathBuf::from(SYSTEM_CRONTAB)];
    for name in view.list(Path::new(SYSTEM_CRONTABS))?.unwrap_or_default() {
        if name.to_str().is_none_or(|name| !is_backup(name)) {
            tables.push(Path::new(SYSTEM_CRONTABS).join(name));
        }
    }
    let mut jobs = Vec::new();
    for table in tables {
        let Some(text) = text(view, &table)? else {
            continue;
        };
        let lines = text.lines().enumerate();
        let lines = lines.filter(|(_, line)| cron_user(line) == Some(account.name));
        let numbers: Vec<usize> = lines.map(|(index, _)| index + 1).collect();
        if numbers.is_empty() {
            continue;
        }
        let shown = view.display_path(&table);
        let of = |end: &str, separator: &str| {
            let parts: Vec<String> = numbers.iter().map(|line| format!("{line}{end}")).collect();
            parts.join(separator)
        };
        let line = if numbers.len() == 1 { "line" } else { "lines" };
        jobs.push(HostJob {
            what: format!("{line} {} of `{}`", of("", ", "), shown.display()),
            clean: format!("sed -i '{}' {}", of("d", ";"), quoted(&shown)),
        });
    }
    Ok(jobs)
}

/// Whether a table has a name that the crons of Debian and Red Hat both ignore.
fn is_backup(name: &str) -> bool {
    let ends = ["~", ".rpmsave", ".rpmorig", ".rpmnew"];
    name.starts_with(['.', '#'])
        || ends.iter().any(|end| name.ends_with(end))
        || name.contains(".dpkg-")
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

fn units(view: &HostView, account: Account<'_>) -> Result<Vec<HostJob>> {
    let mut jobs = Vec::new();
    for directory in UNITS.map(Path::new) {
        for name in view.list(directory)?.unwrap_or_default() {
            let Some(name) = name.to_str() else { continue };
            let path = directory.join(name);
            if let Some(unit) = name.strip_suffix(".d") {
                for conf in view.list(&path)?.unwrap_or_default() {
                    let is_conf = Path::new(&conf).extension() == Some(OsStr::new("conf"));
                    let conf = path.join(conf);
                    if is_conf && runs_as(view, &conf, unit, account)? {
                        jobs.push(of_unit(view, unit, &conf));
                    }
                }
            } else if PULLED_IN.iter().any(|suffix| name.ends_with(suffix)) {
                for unit in view.list(&path)?.unwrap_or_default() {
                    let Some(unit) = unit.to_str() else { continue };
                    if is_instance_for(view, unit, account)? {
                        let link = view.display_path(&path.join(unit));
                        jobs.push(HostJob {
                            what: format!("the unit `{unit}` by `{}`", link.display()),
                            clean: format!(
                                "systemctl stop {unit}; rm {}; systemctl daemon-reload",
                                quoted(&link)
                            ),
                        });
                    }
                }
            } else if is_unit(name) && runs_as(view, &path, name, account)? {
                jobs.push(of_unit(view, name, &path));
            }
        }
    }
    Ok(jobs)
}

fn of_unit(view: &HostView, unit: &str, file: &Path) -> HostJob {
    let shown = view.display_path(file);
    HostJob {
        what: format!("the unit `{unit}` by `{}`", shown.display()),
        clean: format!(
            "systemctl disable --now {unit}; rm -f {}; systemctl daemon-reload",
            quoted(&shown)
        ),
    }
}

fn is_unit(name: &str) -> bool {
    UNIT_SUFFIXES.iter().any(|suffix| name.ends_with(suffix))
}

/// The instance in the name of a unit: `bob` in `syncthing@bob.service`.
fn instance(unit: &str) -> Option<&str> {
    let (_, rest) = unit.split_once('@')?;
    let (instance, _) = rest.rsplit_once('.')?;
    Some(instance).filter(|instance| !instance.is_empty())
}

/// Whether `unit` is an instance for the account of a template unit that runs as its instance.
fn is_instance_for(view: &HostView, unit: &str, account: Account<'_>) -> Result<bool> {
    let (true, Some(instance)) = (is_unit(unit), instance(unit)) else {
        return Ok(false);
    };
    let template = unit.replacen(&format!("@{instance}."), "@.", 1);
    for directory in UNITS.iter().chain(&VENDOR_UNITS) {
        let file = Path::new(directory).join(&template);
        if runs_as(view, &file, unit, account)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether the file makes the unit of this name run as the account.
fn runs_as(view: &HostView, file: &Path, unit: &str, account: Account<'_>) -> Result<bool> {
    let Some(text) = text(view, file)? else {
        return Ok(false);
    };
    let Some(user) = unit_user(&text) else {
        return Ok(false);
    };
    let is_instance = || {
        // systemd-escape(1) escapes `-`.
        let escaped = account.name.replace('-', "\\x2d");
        instance(unit).is_some_and(|instance| instance == account.name || instance == escaped)
    };
    Ok(match user {
        "%i" | "%I" | "%j" => is_instance(),
        user => user == account.name || user == account.uid.to_string(),
    })
}

/// The value of the last `User=` in a unit file or drop-in; `None` if there is none, or if it is
/// empty. See systemd.syntax(7).
fn unit_user(text: &str) -> Option<&str> {
    let mut user = None;
    let mut is_continued = false;
    for line in text.lines() {
        let line = line.trim();
        if line.starts_with(['#', ';']) {
            continue;
        }
        if !is_continued
            && let Some((key, value)) = line.split_once('=')
            && key.trim_end() == "User"
        {
            user = Some(value.trim()).filter(|value| !value.is_empty());
        }
        is_continued = line.ends_with('\\');
    }
    user
}

/// The text of a regular file; `None` where there is no such file, and for a masked unit, which is
/// a link to `/dev/null`.
fn text(view: &HostView, path: &Path) -> Result<Option<String>> {
    let stat = view.stat(path)?;
    if stat.is_none_or(|stat| stat.kind() != FileKind::File) {
        return Ok(None);
    }
    let bytes = view.read(path, LIMIT)?;
    Ok(bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
}

/// A path quoted as one word of sh(1).
pub(crate) fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-@+:".contains(c);
    if text.chars().all(is_plain) {
        text
    } else {
        format!("'{}'", text.replace('\'', "'\\''"))
    }
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

    #[test]
    fn the_last_user_of_a_unit_holds() {
        for (text, user) in [
            ("[Service]\nUser=ann\n", Some("ann")),
            ("[Service]\n User = ann \n", Some("ann")),
            ("User=ann\nUser=bob", Some("bob")),
            ("User=ann\nUser=", None),
            ("#User=ann\n;User=bob", None),
            ("ExecStart=/bin/x \\\nUser=ann\nGroup=x", None),
            ("SocketUser=ann", None),
        ] {
            assert_eq!(unit_user(text), user, "{text}");
        }
        assert_eq!(instance("syncthing@bob.service"), Some("bob"));
        assert_eq!(instance("syncthing@.service"), None);
        assert_eq!(instance("cron.service"), None);
    }

    #[test]
    fn words_of_sh_are_quoted_where_they_need_it() {
        assert_eq!(quoted(Path::new("/etc/cron.d/a-b")), "/etc/cron.d/a-b");
        assert_eq!(quoted(Path::new("/x/it's $x")), "'/x/it'\\''s $x'");
    }
}
