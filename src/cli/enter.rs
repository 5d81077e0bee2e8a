//! `enter`: runs a program in a jail as one of its users.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::Args;
use jailctl_session::exec::{ExecRequest, ExitKind, run};
use jailctl_session::open::{self, Session, Utmp};
use jailctl_session::policy::Policy;

use super::output::CommandOutput;
use super::target::{Target, few, members};
use crate::error::{Error, ErrorKind, Finding, Result};
use crate::host::{FileKind, Host, HostView, Stat};
use crate::layout::{JAIL_DIR, SESSION_PATH};
use crate::names::{JailName, UserName};
use crate::plan::Manifest;
use crate::plan::manifest::AccountRecord;

/// Arguments of `enter`.
#[derive(Debug, Args)]
pub(crate) struct Enter {
    /// Jail, by name or spec file.
    #[arg(value_name = "JAIL")]
    target: String,
    /// User of the jail [default: the first one].
    #[arg(long, value_name = "USER")]
    user: Option<String>,
    /// Program of the jail, and its arguments [default: a login shell].
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

impl Enter {
    pub(crate) fn run(self) -> Result<CommandOutput> {
        let host = Host::new(Path::new("/"))?;
        let manifest = self.jail(&host)?;
        let name = manifest.name.clone();
        let (account, gid) = self.account(&manifest)?;
        let root = host.open_dir_nofollow(&manifest.root)?.ok_or_else(|| {
            Error::failed(format!("could not open `{}`", manifest.root.display()))
                .why("it does not exist")
        })?;
        let inside = HostView::new(&manifest.root)?;
        let shell = shell(&host, account)?;
        let (program, argv0, args) = if let Some((program, args)) = self.command.split_first() {
            (
                find(&inside, program, &name)?,
                program.clone(),
                args.to_vec(),
            )
        } else {
            let shell = shell.clone().ok_or_else(|| no_shell(account))?;
            let mut argv0 = OsString::from("-");
            argv0.push(shell.file_name().unwrap_or_default());
            (find(&inside, shell.as_os_str(), &name)?, argv0, Vec::new())
        };
        let home = Path::new(account.home.as_str());
        let groups = groups(&host, account, gid)?;
        let has_home = inside
            .stat(home)?
            .is_some_and(|stat| is_accessible(&stat, account.uid, &groups));
        // As with sshd: from here on this process is in the session.
        let session = Policy::load(name.as_str())
            .and_then(|policy| {
                policy
                    .map(|policy| {
                        // Sessions cannot call keyctl(2), so the keyring of the caller is left
                        // here.
                        open::new_session_keyring(account.uid, gid)?;
                        open::open(&policy, &account.name, Utmp::None)
                    })
                    .transpose()
            })
            .map_err(|error| refused(&name, &error))?;
        let entry = ExecRequest {
            root: session.as_ref().map_or(root.as_fd(), Session::root),
            uid: account.uid,
            gid,
            groups: &groups,
            cwd: if has_home { home } else { Path::new("/") },
            program: &program,
            argv0,
            args,
            env: environment(account, shell.as_deref()),
        };
        let code = match run(&entry).map_err(|error| refused(&name, &error))? {
            ExitKind::Code(code) => u8::try_from(code).unwrap_or(255),
            ExitKind::Signal(signal) => u8::try_from(128 + signal).unwrap_or(255),
        };
        Ok(CommandOutput {
            code,
            ..CommandOutput::default()
        })
    }

    /// Manifest of the jail; for a family, of the jail of the user.
    fn jail(&self, host: &Host) -> Result<Manifest> {
        let target = Target::new(&self.target, host)?;
        if let Some(user) = &self.user
            && let Ok(user) = UserName::new(user)
            && !target.name().is_member()
            && let Some(manifest) = Manifest::load(host, &target.name().for_user(&user))?
        {
            return Ok(manifest);
        }
        let members = members(target.name(), host)?;
        let Some(first) = members.first() else {
            return target.manifest(host);
        };
        let name = target.name();
        let users: Vec<&str> = (members.iter())
            .filter_map(|member| member.as_str().split_once('.').map(|(_, user)| user))
            .collect();
        let user = users.first().copied().unwrap_or_default();
        Err(
            Finding::new(format!("could not choose a jail of the family `{name}`"))
                .why(format!("it has a jail for each of {}", few(&users)))
                .hint(format!(
                    "name the user, or the jail: jailctl enter {name} --user {user}, or jailctl enter {first}"
                ))
                .into(),
        )
    }

    /// Account, and the id of its group.
    fn account<'m>(&self, manifest: &'m Manifest) -> Result<(&'m AccountRecord, u32)> {
        let known: Vec<&str> = manifest
            .accounts
            .iter()
            .map(|account| account.name.as_str())
            .collect();
        let found = match &self.user {
            Some(user) => manifest
                .accounts
                .iter()
                .find(|account| account.name == *user),
            None => manifest.accounts.first(),
        };
        found.zip(manifest.gid()).ok_or_else(|| {
            let what = match &self.user {
                Some(user) => format!(
                    "could not enter the jail `{}` as `{}`",
                    manifest.name,
                    user.escape_debug()
                ),
                None => format!("could not enter the jail `{}`", manifest.name),
            };
            let why = if known.is_empty() {
                "it has no users, and jails cannot be entered as root".to_owned()
            } else {
                format!("users of the jail: `{}`", known.join("`, `"))
            };
            Finding::new(what).why(why).into()
        })
    }
}

/// Group ids of a login, starting with the group of the jail.
fn groups(view: &HostView, account: &AccountRecord, gid: u32) -> Result<Vec<u32>> {
    let accounts = view.accounts()?;
    let further = accounts
        .groups
        .iter()
        .filter(|group| group.gid != gid && group.members.contains(&account.name));
    Ok([gid]
        .into_iter()
        .chain(further.map(|group| group.gid))
        .collect())
}

/// Whether the user has access to the directory. Users can revoke their own access to their home;
/// sshd then starts in `/`.
fn is_accessible(stat: &Stat, uid: u32, groups: &[u32]) -> bool {
    let may = match stat {
        Stat { uid: owner, .. } if *owner == uid => 0o100,
        Stat { gid, .. } if groups.contains(gid) => 0o010,
        _ => 0o001,
    };
    stat.kind() == FileKind::Directory && stat.mode & may != 0
}

/// Login shell, a path in the jail; `None` if the jail does not allow shell.
fn shell(view: &HostView, account: &AccountRecord) -> Result<Option<PathBuf>> {
    let accounts = view.accounts()?;
    let shell = accounts
        .user(&account.name)
        .and_then(|found| found.shell.strip_prefix(JAIL_DIR).map(PathBuf::from));
    let is_none = |shell: &PathBuf| shell == Path::new("/none") || shell == Path::new("/gate");
    Ok(shell.filter(|shell| !is_none(shell)))
}

fn no_shell(account: &AccountRecord) -> Error {
    Finding::new(format!("could not start a shell for `{}`", account.name))
        .why("`sshd.allow` of the jail does not include `shell`")
        .hint("pass a program of the jail: `jailctl enter JAIL -- PROGRAM`")
        .into()
}

/// Path of the program in the jail: absolute paths as given, names on [`SESSION_PATH`].
fn find(inside: &HostView, program: &std::ffi::OsStr, name: &JailName) -> Result<PathBuf> {
    let is_file = |stat: &Stat| stat.kind() == FileKind::File;
    if let Some(path) = inside.find_in_path(SESSION_PATH, program.as_ref(), is_file)? {
        return Ok(path);
    }
    Err(Finding::new(format!(
        "could not find `{}` in the jail `{name}`",
        program.display().to_string().escape_debug()
    ))
    .hint("add it to `binaries` of the spec, and run `jailctl build`")
    .into())
}

/// Environment of a session, as set by sshd. Only TERM and LANG are taken from the environment of
/// the caller.
fn environment(account: &AccountRecord, shell: Option<&Path>) -> Vec<(OsString, OsString)> {
    let mut environment: Vec<(OsString, OsString)> = [
        ("HOME", account.home.as_str()),
        ("LOGNAME", &account.name),
        ("USER", &account.name),
        ("PATH", SESSION_PATH),
    ]
    .map(|(key, value)| (key.into(), value.into()))
    .into();
    if let Some(shell) = shell {
        environment.push(("SHELL".into(), shell.as_os_str().to_owned()));
    }
    for key in ["TERM", "LANG"] {
        let plain = |value: &OsString| value.to_str().is_some_and(is_plain);
        environment.extend(
            std::env::var_os(key)
                .filter(plain)
                .map(|value| (key.into(), value)),
        );
    }
    environment
}

fn is_plain(text: &str) -> bool {
    text.len() < 64
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "-+._@".contains(c))
}

fn refused(name: &JailName, error: &jailctl_session::Error) -> Error {
    Error::new(
        ErrorKind::Failed,
        Finding::new(format!("could not enter the jail `{name}`")).why(error.to_string()),
    )
}
