//! Queries of sshd itself, in a private mount namespace, so that a new snippet is in the directory
//! of Include while the real one stays.

use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use super::config::{Blocks, Config};
use super::connect;
use super::expected_settings::ExpectedSettings;
use super::kinds::kinds_of_users;
use super::match_line::ConnSpec;
use super::offline::RootedFiles;
use super::pattern::matches;
use crate::error::{Error, Finding, Result};
use crate::host::command::{Invocation, Output};
use crate::host::derived_facts::Input;
use crate::host::pam::SSHD;
use crate::host::stat::Stat;
use crate::host::view::HostView;
use crate::layout::SSHD_CONFIG_DIR;

/// Paths of sshd, in the order of the search.
const PROGRAMS: [&str; 3] = ["/usr/sbin/sshd", "/usr/local/sbin/sshd", "/usr/bin/sshd"];
/// Time that sshd gets to listen again after a reload.
const RELOAD_LIMIT: Duration = Duration::from_secs(10);

/// Properties of the sshd of a host. Recorded until one of the files in `stamp` changes.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct SshdInfo {
    /// Every keyword that sshd accepts, in lower case.
    pub keywords: BTreeSet<String>,
    /// Program of the subsystem `sftp`, without arguments: a path, or `internal-sftp`.
    pub sftp: Option<String>,
    /// Path of the process id file.
    pub pid_file: Option<PathBuf>,
    /// PAM service: `PAMServiceName` of sshd_config(5); `None` with `UsePAM no`.
    #[serde(default)]
    pub pam_service: Option<String>,
    /// Program and configuration files from which this was read, with their stat.
    pub stamp: BTreeMap<PathBuf, Option<Stat>>,
}

/// Function that connects to an sshd with the configuration that is being verified.
type Connect = fn(&HostView, &Path) -> Result<connect::Login>;

/// Output of `sshd -T`: keyword in lower case, and value.
pub type Settings = Vec<(String, String)>;

/// The sshd of a host.
#[derive(Debug)]
pub struct Sshd<'h> {
    view: &'h HostView,
    program: PathBuf,
}

impl<'h> Sshd<'h> {
    /// Finds sshd, always that of the running system, also for a host in a directory: its sshd may
    /// be of another architecture.
    ///
    /// # Errors
    /// `Failed` if there is no sshd.
    pub fn find(view: &'h HostView) -> Result<Self> {
        for program in PROGRAMS {
            if view
                .on_live_host(|live| live.stat(Path::new(program)))?
                .is_some()
            {
                return Ok(Self {
                    view,
                    program: PathBuf::from(program),
                });
            }
        }
        Err(Error::failed("could not find sshd")
            .why("the confinement of jailed users is verified with it")
            .hint("install openssh-server, or build only a tree with `--output DIR`"))
    }

    /// Stat of every file on which the answers of sshd depend, without the drop-ins `but`.
    ///
    /// # Errors
    /// `Failed` if a path cannot be read.
    pub fn inputs(&self, config: &Config, but: &[&str]) -> Result<BTreeMap<PathBuf, Option<Stat>>> {
        let program = self.view.on_live_host(|live| live.stat(&self.program))?;
        let mut stamp = BTreeMap::from([(self.program.clone(), program)]);
        let is_left_out = |path: &Path| {
            but.iter()
                .any(|name| path == Path::new(SSHD_CONFIG_DIR).join(name))
        };
        for (path, _) in config.files.iter().filter(|(path, _)| !is_left_out(path)) {
            stamp.insert(path.clone(), self.view.stat(path)?);
        }
        Ok(stamp)
    }

    /// The properties of sshd, queried if a file has changed since they were. They are recorded for
    /// the files of [`Sshd::inputs`].
    ///
    /// # Errors
    /// `Failed` if sshd does not accept its configuration: nothing can be verified then.
    pub fn info(&self, config: &Config, but: &[&str]) -> Result<Arc<SshdInfo>> {
        self.view.derived(|| {
            let mut inputs = config.inputs.clone();
            // The sshd of a host in a directory is that of the running system.
            if self.view.is_live() {
                inputs.push(Input::now(self.view, &self.program, false)?);
            }
            Ok((self.query_info(config, but)?, inputs))
        })
    }

    fn query_info(&self, config: &Config, but: &[&str]) -> Result<SshdInfo> {
        let question = vec![
            "-T".to_owned(),
            "-C".to_owned(),
            // Without the full specification, sshd refuses to answer if a Match block uses a
            // missing property.
            connection("root", &ConnSpec::default()),
        ];
        let outcome = self.run_queries(None, vec![question], None)?.0.remove(0);
        if outcome.code != Some(0) {
            return Err(outcome
                .into_error("use the current configuration of sshd", &self.program)
                .hint("fix it first: `sshd -t` prints the line; nothing was changed"));
        }
        let settings = settings(&outcome.stdout);
        let first = |key: &str| {
            settings
                .iter()
                .find(|(known, _)| known == key)
                .map(|(_, value)| value.as_str())
        };
        let sftp = settings
            .iter()
            .filter(|(key, _)| key == "subsystem")
            .find_map(|(_, value)| {
                let mut words = value.split_whitespace();
                (words.next() == Some("sftp"))
                    .then(|| words.next().map(str::to_owned))
                    .flatten()
            });
        Ok(SshdInfo {
            keywords: settings.iter().map(|(key, _)| key.clone()).collect(),
            sftp,
            pid_file: first("pidfile")
                .filter(|path| *path != "none")
                .map(PathBuf::from),
            pam_service: (first("usepam") == Some("yes"))
                .then(|| first("pamservicename").unwrap_or(SSHD).to_owned()),
            stamp: self.inputs(config, but)?,
        })
    }

    /// Verifies that sshd, with `drop_ins` in place of those it has, accepts its configuration and
    /// has the expected settings for each user, whichever of the Match blocks `blocks` apply to a
    /// connection; that each of them may log in at all; and that a real connection gets as far as a
    /// refused login. Returns notices: why no connection could be made.
    ///
    /// Of users whom the configuration does not tell apart, sshd is queried about one (decision
    /// 0028).
    ///
    /// # Errors
    /// `Failed`, with a finding for each setting that differs. Nothing on the host is changed.
    pub fn verify(
        &self,
        drop_ins: &[(String, String)],
        blocks: &Blocks,
        expected: &[ExpectedSettings],
    ) -> Result<Vec<String>> {
        let kinds = kinds_of_users(self.view, blocks, expected)?;
        let mut questions = vec![vec!["-t".to_owned()]];
        let asked = kinds.iter().flat_map(|kind| {
            let user = &kind.users[0].user;
            kind.samples
                .iter()
                .map(move |sample| connection(user, sample))
        });
        questions.extend(asked.map(|shown| vec!["-T".to_owned(), "-C".to_owned(), shown]));
        let connect = self.view.is_live().then_some(connect::login as Connect);
        let (answers, login) = self.run_queries(Some(drop_ins), questions, connect)?;
        let mut answers = answers.into_iter();
        let syntax = answers
            .next()
            .ok_or_else(|| Error::failed("could not query sshd"))?;
        if syntax.code != Some(0) {
            return Err(syntax
                .into_error("verify the sshd snippet", &self.program)
                .hint("nothing was changed"));
        }
        let mut findings = Vec::new();
        for kind in &kinds {
            let (first, others) = (kind.users[0], &kind.users[1..]);
            for (sample, answer) in kind.samples.iter().zip(answers.by_ref()) {
                let shown = connection(&first.user, sample);
                if answer.code != Some(0) {
                    return Err(answer.into_error(
                        &format!("verify the sshd snippet for `{shown}`"),
                        &self.program,
                    ));
                }
                let found = settings(&answer.stdout);
                compare(first, &found, &shown, &mut findings);
                for other in others {
                    refusals(
                        other,
                        &found,
                        &connection(&other.user, sample),
                        &mut findings,
                    );
                }
            }
        }
        if findings.is_empty() {
            login.map_or(Ok(Vec::new()), |login| login.notices(&self.program))
        } else {
            Err(Error {
                kind: crate::error::ErrorKind::Failed,
                findings,
            })
        }
    }

    /// Settings of one user for each connection specification; `sshd -t` is run first.
    ///
    /// # Errors
    /// `Failed` if sshd refuses its configuration or a query.
    pub fn effective(&self, user: &str, samples: &[ConnSpec]) -> Result<Vec<(String, Settings)>> {
        let connections: Vec<String> = samples
            .iter()
            .map(|sample| connection(user, sample))
            .collect();
        let asked = connections
            .iter()
            .map(|shown| vec!["-T".to_owned(), "-C".to_owned(), shown.clone()]);
        let questions = std::iter::once(vec!["-t".to_owned()]).chain(asked);
        let (answers, _) = self.run_queries(None, questions.collect(), None)?;
        if let Some(refusal) = answers.iter().find(|answer| answer.code != Some(0)) {
            return Err(refusal
                .into_error("use the current configuration of sshd", &self.program)
                .hint("`sshd -t` prints the line; sshd would not start with it"));
        }
        let answers = answers.iter().skip(1);
        Ok(connections
            .into_iter()
            .zip(answers.map(|answer| settings(&answer.stdout)))
            .collect())
    }

    /// Runs sshd once for each query, in a namespace with the configuration of the host, with other
    /// drop-ins if given. If sshd answers all of them without an error, `connect` follows.
    fn run_queries(
        &self,
        drop_ins: Option<&[(String, String)]>,
        questions: Vec<Vec<String>>,
        connect: Option<Connect>,
    ) -> Result<(Vec<Output>, Option<connect::Login>)> {
        let view = self.view;
        let rooted = if view.is_live() {
            None
        } else {
            Some(RootedFiles::open(view)?)
        };
        jailctl_session::private_mounts(|| -> Result<(Vec<Output>, Option<connect::Login>)> {
            let failed = |error: jailctl_session::Error| {
                Error::failed("could not prepare the verification of sshd").why(error.to_string())
            };
            let mut program = Invocation::new(&self.program);
            if let Some(rooted) = rooted {
                rooted.attach()?;
            }
            let live = HostView::new(Path::new("/"))?;
            // sshd(8) refuses to start without it; it does not exist if no sshd runs yet.
            if live.stat(Path::new("/run/sshd"))?.is_none() {
                jailctl_session::mount::tmpfs(Path::new("/run"), 0o755).map_err(failed)?;
                let host = crate::host::Host::new(Path::new("/"))?;
                host.ensure_root_dir(Path::new("/run/sshd"), crate::host::Ownership::root(0o755))?;
            }
            if let Some(drop_ins) = drop_ins {
                let target = Path::new(SSHD_CONFIG_DIR);
                jailctl_session::mount::tmpfs(target, 0o755).map_err(failed)?;
                let host = crate::host::Host::new(Path::new("/"))?;
                let candidate =
                    host.ensure_root_dir(target, crate::host::Ownership::root(0o755))?;
                for (name, text) in drop_ins {
                    candidate.replace_file(
                        Path::new(name),
                        text.as_bytes(),
                        crate::host::Ownership::root(0o600),
                    )?;
                }
            }
            if !view.is_live() && !has_host_key(&live)? {
                let key = "/mnt/key";
                let keygen = Invocation::new("/usr/bin/ssh-keygen")
                    .args(["-q", "-t", "ed25519", "-N", "", "-f", key]);
                keygen.check("create a host key for the verification")?;
                program = program.args(["-h", key]);
            }
            let answers = questions
                .into_iter()
                .map(|question| program.clone().args(question).run())
                .collect::<Result<Vec<Output>>>()?;
            let is_answered = answers.iter().all(|answer| answer.code == Some(0));
            let login = match connect.filter(|_| is_answered) {
                Some(connect) => Some(connect(&live, &self.program)?),
                None => None,
            };
            Ok((answers, login))
        })
        .map_err(|error| {
            Error::failed("could not create a private mount namespace").why(error.to_string())
        })?
    }

    /// Sends SIGHUP to the running sshd, and waits until it listens again. An sshd that does not
    /// run, or that is started for each connection, reads its configuration at its next start.
    ///
    /// # Errors
    /// `Failed` if sshd does not listen again in time.
    pub fn reload(&self, pid_file: Option<&Path>) -> Result<Reload> {
        let Some(pid_file) = pid_file else {
            return Ok(Reload::NotRunning);
        };
        let Some((pid, handle)) = self.running(pid_file)? else {
            return Ok(Reload::NotRunning);
        };
        let ready = Invocation::new(&self.program).arg("-t").run()?;
        if ready.code != Some(0) {
            return Err(ready
                .into_error("reload sshd", &self.program)
                .hint("it would not have started again, and still runs as before"));
        }
        let before = self.view.stat(pid_file)?;
        pidfd_send_signal(&handle, Signal::HUP).map_err(|errno| {
            Error::failed(format!("could not reload sshd (process {pid})"))
                .why(crate::error::os_error_text(&errno.into()))
        })?;
        // sshd removes the file before it restarts, and writes it when it listens.
        let deadline = Instant::now() + RELOAD_LIMIT;
        loop {
            let now = self.view.stat(pid_file)?;
            if now.is_some() && now != before && self.running(pid_file)?.is_some() {
                return Ok(Reload::Done);
            }
            if Instant::now() > deadline {
                return Err(
                    Error::failed(format!("could not reload sshd (process {pid})"))
                        .why("it does not listen again after the reload")
                        .hint("see its log, and start it"),
                );
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// The process of sshd in a process id file, if it is one.
    fn running(&self, pid_file: &Path) -> Result<Option<(i32, OwnedFd)>> {
        let Some(text) = self.view.read(pid_file, 64)? else {
            return Ok(None);
        };
        let number: Option<i32> = String::from_utf8_lossy(&text).trim().parse().ok();
        let Some(pid) = number.and_then(Pid::from_raw) else {
            return Ok(None);
        };
        // The pidfd first: after it, the process id cannot be that of another process unnoticed.
        let Ok(handle) = pidfd_open(pid, PidfdFlags::empty()) else {
            return Ok(None);
        };
        let exe = PathBuf::from(format!("/proc/{}/exe", pid.as_raw_nonzero()));
        let Ok(program) = rustix::fs::readlink(&exe, Vec::new()) else {
            return Ok(None);
        };
        let program = program.to_string_lossy().into_owned();
        // An upgraded sshd still runs from a deleted file.
        let same = Path::new(program.trim_end_matches(" (deleted)")).file_name()
            == self.program.file_name();
        Ok(same.then(|| (pid.as_raw_nonzero().get(), handle)))
    }
}

/// Result of a reload of sshd.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reload {
    /// sshd has read its configuration.
    Done,
    /// No sshd runs that would have to.
    NotRunning,
}

fn has_host_key(live: &HostView) -> Result<bool> {
    let names = live.list(Path::new("/etc/ssh"))?.unwrap_or_default();
    Ok(names
        .iter()
        .filter_map(|name| name.to_str())
        .any(|name| name.starts_with("ssh_host_") && name.ends_with("_key")))
}

/// Argument of `sshd -T -C`.
pub(super) fn connection(user: &str, sample: &ConnSpec) -> String {
    format!(
        "user={user},host={},addr={},laddr={},lport={},rdomain={}",
        sample.host, sample.address, sample.local_address, sample.local_port, sample.rdomain,
    )
}

/// Lines of `sshd -T`. Keywords are printed in lower case before OpenSSH 10.5 and in mixed case
/// since.
fn settings(text: &str) -> Vec<(String, String)> {
    text.lines()
        .filter_map(|line| line.split_once(' '))
        .map(|(key, value)| (key.to_ascii_lowercase(), value.trim().to_owned()))
        .collect()
}

impl ExpectedSettings {
    /// Findings for the settings `found` of the connection `shown` that differ from the expected
    /// ones, or that refuse the user.
    pub fn diff(&self, found: &[(String, String)], shown: &str) -> Vec<Finding> {
        let mut findings = Vec::new();
        compare(self, found, shown, &mut findings);
        findings
    }
}

fn compare(
    expected: &ExpectedSettings,
    found: &[(String, String)],
    shown: &str,
    findings: &mut Vec<Finding>,
) {
    for (key, value) in &expected.settings {
        let have: Vec<&str> = found
            .iter()
            .filter(|(known, _)| known == key)
            .map(|(_, value)| value.as_str())
            .collect();
        if have.len() != 1 || !have[0].eq_ignore_ascii_case(value) {
            let have = if have.is_empty() {
                "nothing".to_owned()
            } else {
                format!("`{}`", have.join(" "))
            };
            findings.push(
                Finding::new(format!("sshd would not confine `{}`", expected.user))
                    .why(format!("for `{shown}` its `{key}` is {have} and not `{value}`"))
                    .hint(format!("an earlier Match block sets it: look for `{key}` in /etc/ssh/sshd_config and {SSHD_CONFIG_DIR}")),
            );
        }
    }
    refusals(expected, found, shown, findings);
}

/// Adds a finding for each setting of `found` that refuses the login of the user.
fn refusals(
    expected: &ExpectedSettings,
    found: &[(String, String)],
    shown: &str,
    findings: &mut Vec<Finding>,
) {
    let list = |key: &str| -> Vec<&str> {
        found
            .iter()
            .filter(|(known, _)| known == key)
            .flat_map(|(_, value)| value.split_whitespace())
            .collect()
    };
    let is_user = |pattern: &&str| {
        matches(
            pattern.split('@').next().unwrap_or_default(),
            &expected.user,
        )
    };
    let is_group = |pattern: &&str| expected.groups.iter().any(|group| matches(pattern, group));
    let (allow_users, allow_groups) = (list("allowusers"), list("allowgroups"));
    let shut_out = [
        ("DenyUsers", list("denyusers").iter().any(is_user)),
        ("DenyGroups", list("denygroups").iter().any(is_group)),
        (
            "AllowUsers",
            !allow_users.is_empty() && !allow_users.iter().any(is_user),
        ),
        (
            "AllowGroups",
            !allow_groups.is_empty() && !allow_groups.iter().any(is_group),
        ),
    ];
    for (keyword, _) in shut_out.iter().filter(|(_, is_out)| *is_out) {
        findings.push(
            Finding::new(format!(
                "sshd would refuse the login of `{}`",
                expected.user
            ))
            .why(format!(
                "`{keyword}` of its configuration excludes the account for `{shown}`"
            ))
            .hint(match *keyword {
                "AllowUsers" => format!("add `{}` to it", expected.user),
                "AllowGroups" => format!(
                    "add `{}` to it",
                    expected.groups.first().map_or("", String::as_str)
                ),
                _ => "remove the pattern that matches from it".to_owned(),
            }),
        );
    }
}
