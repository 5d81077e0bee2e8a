//! The gate: the login shell of accounts without the way in `shell`, the programs that it starts,
//! and its policies.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use jailctl_gate::policy::{BY_KEY, BY_REQUEST, Command, DIRECTORY};
use jailctl_gate::{Policy, Protocol, Way};

use super::files::has_directory;
use super::programs::{self, RequestedObject};
use super::tree::{EntryKind, Reason, Tree, merged};
use super::types::WantedAccount;
use crate::error::{Finding, Result};
use crate::host::HostView;
use crate::layout::{GATE, SESSION_PATH};
use crate::names::JailPath;
use crate::span::{Span, Spanned};
use crate::spec::{AccessMethod, Server, Spec, User};

/// The program, which the build script of this crate compiled.
static PROGRAM: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/gate"));

/// The sftp servers of distributions, for a host whose sshd serves sftp itself.
const SFTP_SERVERS: [&str; 4] = [
    "/usr/lib/openssh/sftp-server",
    "/usr/libexec/openssh/sftp-server",
    "/usr/lib/ssh/sftp-server",
    "/usr/libexec/sftp-server",
];
/// Commands of git's clients, which a shell looks up by these names.
const GIT_COMMANDS: [&str; 3] = ["git-upload-pack", "git-receive-pack", "git-upload-archive"];

/// Programs of the ways in of a jail, on the host.
#[derive(Debug, Default)]
pub(super) struct Servers {
    programs: BTreeMap<Protocol, RequestedObject>,
    /// Further programs of users with a shell.
    others: Vec<RequestedObject>,
}

/// Text of the authorized keys of a user. If one of them has a command, sshd is to start the gate
/// for each by a command of its own.
pub(super) fn authorized_keys(user: &User) -> String {
    let mut number = 0;
    let is_gate = user.login().has_key_commands;
    user.keys_with(|command| match command {
        _ if !is_gate => None,
        None => Some(BY_REQUEST.to_owned()),
        Some(_) => {
            number += 1;
            Some(format!("{BY_KEY}{}", number - 1))
        }
    })
}

impl Servers {
    /// Finds the programs. A program that the host lacks is a finding.
    ///
    /// # Errors
    /// [`crate::error::ErrorKind::Failed`] if the host cannot be read.
    pub(super) fn locate(
        spec: &Spec,
        view: &HostView,
        sftp: Option<&str>,
        findings: &mut Vec<Finding>,
    ) -> Result<Self> {
        let mut servers = Self::default();
        let span = &spec.access.span;
        let needs_sftp = spec.users.iter().any(is_gated_sftp);
        let allowed = spec.access.value.iter();
        let mut protocols: Vec<Protocol> = allowed
            .filter_map(|method| method.protocol())
            .filter(|protocol| *protocol != Protocol::Sftp)
            .collect();
        protocols.extend(needs_sftp.then_some(Protocol::Sftp));
        for protocol in protocols {
            let name = match protocol {
                Protocol::Scp | Protocol::Rsync | Protocol::Git | Protocol::Borg => {
                    protocol.as_str().to_owned()
                }
                Protocol::Restic => "rclone".to_owned(),
                Protocol::Sftp => sftp_server(view, sftp)?,
                Protocol::Command => continue,
            };
            if let Some(found) = locate(view, &name, protocol, span, findings)? {
                servers.programs.insert(protocol, found);
            }
        }
        let needs_names =
            |user: &User| user.allows(AccessMethod::Git) && user.allows(AccessMethod::Shell);
        if spec.users.iter().any(needs_names) {
            for name in GIT_COMMANDS {
                servers
                    .others
                    .extend(locate(view, name, Protocol::Git, span, findings)?);
            }
        }
        Ok(servers)
    }

    /// The programs to add to the tree.
    pub(super) fn requested(&self) -> impl Iterator<Item = RequestedObject> {
        self.programs.values().chain(&self.others).cloned()
    }

    /// Adds the gate and the policies of its accounts. What they name and the tree lacks is a
    /// finding.
    ///
    /// # Errors
    /// [`crate::error::ErrorKind::Spec`] if the spec has another file in the place of the gate.
    pub(super) fn add_gate(
        &self,
        tree: &mut Tree,
        spec: &Spec,
        accounts: &[WantedAccount],
        findings: &mut Vec<Finding>,
    ) -> Result<()> {
        let path =
            |text: &str| JailPath::new(text).map_err(|why| Finding::new(format!("`{text}` {why}")));
        for (user, account) in spec.users.iter().zip(accounts) {
            if user.login().server != Server::Gate {
                continue;
            }
            let policy = self.policy(tree, spec, user, findings);
            let program = super::tree::Entry::generated(
                Cow::Borrowed(PROGRAM),
                0o755,
                Reason::rule("the login shell of accounts without a shell"),
            );
            tree.add(path(GATE)?, program)?;
            let why = Reason::Spec {
                place: user.access.methods.span.to_string(),
                says: format!("ways in of {}", user.name.value),
            };
            let text = super::tree::Entry::text(policy.to_text(), 0o644, why);
            tree.add(path(&format!("{DIRECTORY}/{}", account.uid))?, text)?;
        }
        Ok(())
    }

    fn policy(&self, tree: &Tree, spec: &Spec, user: &User, findings: &mut Vec<Finding>) -> Policy {
        let umask = spec.sftp.umask.as_ref();
        let mut policy = Policy {
            user: user.name.value.as_str().to_owned(),
            home: user.home.value.as_str().to_owned(),
            umask: umask.and_then(|umask| u32::from_str_radix(&umask.value, 8).ok()),
            ways: Vec::new(),
            keys: Vec::new(),
        };
        for method in &user.access.methods.value {
            let Some(protocol) = method.protocol() else {
                continue;
            };
            let limits = spec.way_limits.get(method);
            let directory = limits.and_then(|limits| limits.directory_of(&user.name.value));
            if let (Some(directory), Some(limits)) = (&directory, limits)
                && !has_directory(tree, spec, directory)
            {
                let span = limits
                    .directory
                    .as_ref()
                    .map_or(&limits.span, |one| &one.span);
                findings.push(
                    Finding::new(format!("the jail has no directory `{directory}`"))
                        .why(format!("the way in `{}` is limited to it", method.as_str()))
                        .hint("create it with a `[[dir]]`, or name an existing one")
                        .with_span(span, ""),
                );
            }
            let mode = limits.map(|limits| limits.mode).unwrap_or_default();
            let command = match (protocol, &user.access.command) {
                (Protocol::Command, Some(command)) => {
                    resolve(tree, &command.value, user, &command.span, findings)
                }
                (Protocol::Command, None) => continue,
                (Protocol::Sftp, _) => self.sftp(spec, mode),
                _ => self.command(protocol),
            };
            policy.ways.push(Way {
                protocol,
                command,
                directory: directory.map(|path| path.as_str().to_owned()),
                mode,
            });
        }
        if user.login().has_key_commands {
            for (line, command) in user.authorized_keys.iter().zip(user.key_commands()) {
                let Some(command) = command else { continue };
                let home = user.home.value.as_str();
                let words = jailctl_gate::words::split(command.as_bytes(), home);
                let words = words.unwrap_or_default().into_iter();
                let words: Vec<String> = words
                    .map(|word| String::from_utf8_lossy(&word).into_owned())
                    .collect();
                let internal = words.first().is_some_and(|word| word == "internal-sftp");
                policy.keys.push(if internal {
                    let mut command = self.command(Protocol::Sftp);
                    command.arguments = words[1..].to_vec();
                    command
                } else {
                    resolve(tree, &words, user, &line.span, findings)
                });
            }
        }
        policy
    }

    /// The program of a protocol, at its path in the jail.
    fn command(&self, protocol: Protocol) -> Command {
        let program = self.programs.get(&protocol);
        let at = program.and_then(|program| merged(&program.path).ok());
        Command {
            program: at.map(|at| at.as_str().to_owned()).unwrap_or_default(),
            arguments: Vec::new(),
        }
    }

    /// The sftp server with its options: sftp-server(8).
    fn sftp(&self, spec: &Spec, mode: jailctl_gate::Mode) -> Command {
        let mut command = self.command(Protocol::Sftp);
        let mut add = |words: &[&str]| {
            let words = words.iter().map(ToString::to_string);
            command.arguments.extend(words);
        };
        if let Some(start) = &spec.sftp.start_dir {
            add(&["-d", start.value.as_str()]);
        }
        if spec.sftp.log.is_some() {
            add(&["-f", "AUTHPRIV", "-l", "INFO"]);
        }
        if !mode.can_write() {
            add(&["-R"]);
        }
        command
    }
}

/// Whether the gate starts the sftp server for the user.
fn is_gated_sftp(user: &User) -> bool {
    let is_key = |command: Option<String>| {
        command.is_some_and(|command| command.starts_with("internal-sftp"))
    };
    user.login().server == Server::Gate
        && (user.allows(AccessMethod::Sftp) || user.key_commands().any(is_key))
}

/// The sftp server of the host: that of its sshd, or a usual one.
fn sftp_server(view: &HostView, configured: Option<&str>) -> Result<String> {
    if let Some(path) = configured.filter(|path| path.starts_with('/')) {
        return Ok(path.to_owned());
    }
    for path in SFTP_SERVERS {
        if view.stat(Path::new(path))?.is_some() {
            return Ok(path.to_owned());
        }
    }
    Ok(SFTP_SERVERS[0].to_owned())
}

/// Finds the program of a protocol on the host.
fn locate(
    view: &HostView,
    name: &str,
    protocol: Protocol,
    span: &Span,
    findings: &mut Vec<Finding>,
) -> Result<Option<RequestedObject>> {
    let binary = Spanned {
        value: name.to_owned(),
        span: span.clone(),
    };
    match programs::locate(view, "allow", &binary)? {
        Ok(mut found) => {
            found.why = Reason::Spec {
                place: span.to_string(),
                says: format!("allow: {}", protocol.as_str()),
            };
            Ok(Some(found))
        }
        Err(finding) => {
            let missing = Finding::new(format!(
                "could not find the program of the way in `{}`",
                protocol.as_str()
            ));
            findings.push(
                missing
                    .why(finding.why.unwrap_or(finding.what))
                    .hint(format!("install the package that has `{name}` on the host"))
                    .with_span(span, ""),
            );
            Ok(None)
        }
    }
}

/// A command of the administrator: its program is a path, or a name in the directories of a
/// session's `PATH`. A program that the jail lacks is a finding.
fn resolve(
    tree: &Tree,
    words: &[String],
    user: &User,
    span: &Span,
    findings: &mut Vec<Finding>,
) -> Command {
    let (name, arguments) = words
        .split_first()
        .map_or(("", words), |(name, rest)| (name.as_str(), rest));
    let candidates: Vec<PathBuf> = if name.starts_with('/') {
        vec![PathBuf::from(name)]
    } else {
        let directories = SESSION_PATH.split(':');
        directories.map(|one| Path::new(one).join(name)).collect()
    };
    let runs = |path: &PathBuf| {
        let path = merged(path).ok()?;
        let (_, entry) = tree.follow(&path)?;
        let is_program = matches!(entry.kind, EntryKind::File(_)) && entry.owner.mode & 0o111 != 0;
        is_program.then(|| path.as_str().to_owned())
    };
    let found = candidates.iter().find_map(runs);
    if found.is_none() {
        findings.push(
            Finding::new(format!("the jail has no program `{}`", name.escape_debug()))
                .why(format!("it is a command of `{}`", user.name.value))
                .hint("add it to `binaries`")
                .with_span(span, ""),
        );
    }
    Command {
        program: found.unwrap_or_default(),
        arguments: arguments.to_vec(),
    }
}
