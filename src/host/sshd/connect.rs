//! A real connection to sshd with the configuration that is being verified, as far as a login that is refused.
//!
//! `sshd -t` and `sshd -T` say nothing of what only happens when somebody connects: OpenSSH 10.0 accepts a configuration of more than 256 KiB, and then ends
//! every connection after KEXINIT. So ssh(1) starts `sshd -i` as its ProxyCommand, which talks over pipes: no port is bound, and nobody else can connect.

use std::path::Path;

use crate::error::{Error, Result};
use crate::host::command::{Invocation, Output};
use crate::host::view::HostView;

/// The client, from openssh-client.
const CLIENT: &str = "/usr/bin/ssh";
/// timeout(1), from coreutils.
const TIMEOUT: &str = "/usr/bin/timeout";
/// How long all of it may take, in seconds.
const SECONDS: &str = "20";
/// A name that no account has.
const NOBODY: &str = "jailctl-nobody";

/// How far a connection came.
#[derive(Debug)]
pub(super) enum Login {
    /// The key exchange was done, and the login was refused.
    Refused,
    /// The client and sshd have no algorithm in common.
    NoAlgorithm(String),
    /// Neither can be run here: which program is missing.
    NoClient(&'static str),
    /// It ended before.
    Ended(Output),
}

/// Connects to `sshd`, an absolute path, as somebody who does not exist, with the configuration that it finds in this mount namespace.
pub(super) fn login(view: &HostView, sshd: &Path) -> Result<Login> {
    for program in [CLIENT, TIMEOUT] {
        if view.stat(Path::new(program))?.is_none() {
            return Ok(Login::NoClient(program));
        }
    }
    // Nothing of it is for the log: it is no attempt to break in.
    let command = format!("ProxyCommand={} -i -o LogLevel=QUIET", sshd.display());
    let options = [
        command.as_str(),
        "BatchMode=yes",
        "PreferredAuthentications=none",
        "PubkeyAuthentication=no",
        "IdentityAgent=none",
        "StrictHostKeyChecking=no",
        "UserKnownHostsFile=/dev/null",
        "GlobalKnownHostsFile=/dev/null",
        "ControlPath=none",
        "LogLevel=ERROR",
    ];
    let outcome = Invocation::new(TIMEOUT)
        .args(["-k", "2", SECONDS, CLIENT, "-F", "/dev/null", "-T"])
        .args(options.iter().flat_map(|option| ["-o", option]))
        .args(["-l", NOBODY, "localhost", "true"])
        .run()?;
    Ok(if outcome.stderr.contains("Permission denied") {
        Login::Refused
    } else if let Some(line) = outcome
        .stderr
        .lines()
        .find(|line| line.starts_with("Unable to negotiate"))
    {
        Login::NoAlgorithm(line.trim().to_owned())
    } else {
        Login::Ended(outcome)
    })
}

impl Login {
    /// What an admin should know of the connection to the sshd at `sshd`.
    ///
    /// # Errors
    /// It did not come as far as a refused login: nobody could log in with this configuration.
    pub(super) fn notices(self, sshd: &Path) -> Result<Vec<String>> {
        let unproven = "that sshd lets anybody in with its new configuration was not tried";
        match self {
            Self::Refused => Ok(Vec::new()),
            Self::NoAlgorithm(why) => Ok(vec![format!("{unproven}: {why}")]),
            Self::NoClient(program) => Ok(vec![format!("{unproven}: there is no `{program}`")]),
            Self::Ended(outcome) => {
                let said = outcome.stderr.trim().replace(['\n', '\r'], "; ");
                let ended = match outcome.code {
                    Some(124 | 137) => format!("it did not end within {SECONDS} seconds"),
                    _ if said.is_empty() => "it ended without a word".to_owned(),
                    _ => said,
                };
                Err(Error::failed("sshd would let nobody in")
                    .why(format!(
                        "a connection to `{} -i` with the new configuration did not come as far as a login: {ended}",
                        sshd.display()
                    ))
                    .hint("nothing of it was made live; see whether the configuration as it is now lets you in before you close this session"))
            }
        }
    }
}
