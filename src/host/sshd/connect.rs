//! A connection to sshd with the configuration that is being verified, up to a refused login.
//!
//! `sshd -t` and `sshd -T` do not show errors that occur in connections only: OpenSSH 10.0 accepts
//! a configuration of more than 256 KiB, and then ends every connection after KEXINIT. So ssh(1)
//! starts `sshd -i` as its ProxyCommand, which uses pipes: no port is bound, and no other client
//! can connect.

use std::path::Path;

use crate::error::{Error, Result};
use crate::host::command::{Invocation, Output};
use crate::host::view::HostView;

/// The client, from openssh-client.
const CLIENT: &str = "/usr/bin/ssh";
/// timeout(1), from coreutils.
const TIMEOUT: &str = "/usr/bin/timeout";
/// Time limit of the connection, in seconds.
const SECONDS: &str = "20";
/// Login name that no account has.
const NOBODY: &str = "jailctl-nobody";

/// Result of a connection.
#[derive(Debug)]
pub(super) enum Login {
    /// The key exchange was completed, and the login was refused.
    Refused,
    /// The client and sshd have no algorithm in common.
    NoAlgorithm(String),
    /// A program that is needed does not exist.
    NoClient(&'static str),
    /// The connection ended before the login.
    Ended(Output),
}

/// Connects to `sshd`, an absolute path, with a login name that does not exist, and with the
/// configuration in this mount namespace.
///
/// # Errors
/// `Failed` if the client cannot be run.
pub(super) fn login(view: &HostView, sshd: &Path) -> Result<Login> {
    for program in [CLIENT, TIMEOUT] {
        if view.stat(Path::new(program))?.is_none() {
            return Ok(Login::NoClient(program));
        }
    }
    // Nothing is logged: the connection is no attack.
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
    /// Notices about the connection to the sshd at `sshd`.
    ///
    /// # Errors
    /// `Failed` if the connection ended before a refused login: no user could log in with this
    /// configuration.
    pub(super) fn notices(self, sshd: &Path) -> Result<Vec<String>> {
        let unproven = "no login with the new configuration of sshd was tried";
        match self {
            Self::Refused => Ok(Vec::new()),
            Self::NoAlgorithm(why) => Ok(vec![format!("{unproven}: {why}")]),
            Self::NoClient(program) => Ok(vec![format!("{unproven}: there is no `{program}`")]),
            Self::Ended(outcome) => {
                let output = outcome.stderr.trim().replace(['\n', '\r'], "; ");
                let ended = match outcome.code {
                    Some(124 | 137) => format!("it did not end within {SECONDS} seconds"),
                    _ if output.is_empty() => "it ended without a message".to_owned(),
                    _ => output,
                };
                Err(Error::failed("sshd would refuse every login")
                    .why(format!(
                        "a connection to `{} -i` with the new configuration did not get as far as a login: {ended}",
                        sshd.display()
                    ))
                    .hint("nothing was changed; check that you can log in with the current configuration before you close this session"))
            }
        }
    }
}
