//! The program of the gate: `jailctl-gate -c ways`, as sshd(8) starts a login shell.
#![expect(
    clippy::disallowed_methods,
    reason = "it gets the request from the environment, and runs with the rights of the user"
)]

mod limits;
mod log;
mod syscalls;

use std::env;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::Write as _;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitCode};

use jailctl_gate::policy::{BY_KEY, BY_REQUEST, DIRECTORY};
use jailctl_gate::{Launch, Policy, Refusal, decide, request};

/// Command line of the client, as sshd(8) sets it for a forced command.
const REQUEST: &str = "SSH_ORIGINAL_COMMAND";
/// Variables that programs get. The client may set any other, if sshd accepts it.
const ENVIRONMENT: [&str; 12] = [
    "HOME",
    "LANG",
    "LOGNAME",
    "PATH",
    "SHELL",
    "SSH_CLIENT",
    "SSH_CONNECTION",
    "SSH_TTY",
    "TERM",
    "TMPDIR",
    "TZ",
    "USER",
];
/// Exit status of a refusal, as of a program that cannot be executed.
const REFUSED: u8 = 126;

fn main() -> ExitCode {
    let refusal = match gate() {
        Ok(never) => match never {},
        Err(refusal) => refusal,
    };
    let user = syscalls::user_id();
    log::refused(user, &refusal);
    // The client may be gone.
    let _ = writeln!(std::io::stderr(), "jailctl: {refusal}");
    ExitCode::from(REFUSED)
}

/// Becomes the program of the request.
fn gate() -> Result<std::convert::Infallible, Refusal> {
    let arguments: Vec<OsString> = env::args_os().skip(1).collect();
    let [option, argument] = arguments.as_slice() else {
        return Err(Refusal::new("this account has no shell"));
    };
    let argument = argument.to_str().filter(|_| option == "-c");
    let policy = policy()?;
    let line = env::var_os(REQUEST);
    let launch = match argument {
        Some(BY_REQUEST) => decide(&policy, line.as_deref().map(OsStr::as_bytes))?,
        Some(argument) if argument.starts_with(BY_KEY) => {
            request::of_key(&policy, &argument[BY_KEY.len()..])?
        }
        _ => return Err(Refusal::new("this account has no shell")),
    };
    Err(start(&policy, &launch, line))
}

/// The policy of the account.
fn policy() -> Result<Policy, Refusal> {
    let path = format!("{DIRECTORY}/{}", syscalls::user_id());
    let refused =
        |why: String| Refusal::new(format!("the policy of this account cannot be used: {why}"));
    let text = fs::read_to_string(path).map_err(|error| refused(error.to_string()))?;
    Policy::parse(&text).map_err(refused)
}

/// Replaces the process by the program. Returns the reason if that fails.
fn start(policy: &Policy, launch: &Launch, line: Option<OsString>) -> Refusal {
    let failed = |what: &str, error: std::io::Error| {
        Refusal::new(format!(
            "could not {what} `{}`: {error}",
            launch.program.escape_debug()
        ))
    };
    if let Some(umask) = policy.umask {
        syscalls::umask(umask);
    }
    let mut command = Command::new(&launch.program);
    let arguments = launch
        .arguments
        .iter()
        .map(|one| OsString::from_vec(one.clone()));
    let mut arguments = arguments.collect::<Vec<_>>().into_iter();
    if let Some(name) = arguments.next() {
        command.arg0(name);
    }
    command.args(arguments).env_clear();
    command.envs(environment());
    command.envs(launch.environment.iter().copied());
    // For a command of the administrator, as for a forced command of sshd.
    if let Some(line) = line.filter(|_| launch.limits.is_none()) {
        command.env(REQUEST, line);
    }
    if let Err(error) = env::set_current_dir(&launch.directory) {
        return Refusal::new(format!(
            "could not enter `{}`: {error}",
            launch.directory.escape_debug()
        ));
    }
    if let Some(limits) = &launch.limits
        && let Err(error) = limits::apply(limits, &launch.program)
    {
        return failed("limit", error);
    }
    failed("start", command.exec())
}

/// The variables of the process that programs get.
fn environment() -> impl Iterator<Item = (OsString, OsString)> {
    env::vars_os().filter(|(name, value)| {
        let name = name.as_bytes();
        let is_version = |value: &[u8]| {
            let number = value.strip_prefix(b"version=").unwrap_or_default();
            !number.is_empty() && number.iter().all(u8::is_ascii_digit)
        };
        ENVIRONMENT.iter().any(|known| known.as_bytes() == name)
            || name.starts_with(b"LC_")
            || name == b"GIT_PROTOCOL" && is_version(value.as_bytes())
    })
}
