//! Ways in of users: `allow` and `command` of the jail and of single users, commands of keys, and
//! the tables that limit single ways in.

use std::collections::{BTreeMap, BTreeSet};

use jailctl_gate::{Mode, Protocol};

use super::authorized_keys;
use super::findings::Findings;
use super::partial_spec::PartialSpec;
use super::typed_table::{Table, Value, spanned};
use super::types::{AccessMethod, Password, Spec, User};
use crate::error::Finding;
use crate::names::{JailPath, UserName};
use crate::span::{Span, Spanned};

/// Component of a path that is replaced by the name of the user.
const USER: &str = "%u";

/// Ways in of a user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Access {
    /// `allow`: sorted, without duplicates, never empty.
    pub methods: Spanned<Vec<AccessMethod>>,
    /// `command`: program and arguments of the way in `command`.
    pub command: Option<Spanned<Vec<String>>>,
}

/// `[rsync]` and the like: limits of one way in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WayLimits {
    /// The table's header.
    pub span: Span,
    /// `path`: directory inside the jail, with `%u`.
    pub directory: Option<Spanned<JailPath>>,
    /// `mode`.
    pub mode: Mode,
}

/// Server of the connections of a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Server {
    /// The login shell of the user.
    Shell,
    /// sshd itself, for sftp alone.
    InternalSftp,
    /// The gate, `jailctl-gate`.
    Gate,
    /// None: connections may only be forwarded.
    Nothing,
}

/// How sshd treats the connections of a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Login {
    /// Server of commands and subsystems.
    pub server: Server,
    /// Whether a line of `authorized_keys` has a command, for a user without a shell.
    pub has_key_commands: bool,
    /// Whether the client gets a terminal.
    pub terminal: bool,
    /// Whether connections are forwarded.
    pub forward: bool,
}

impl AccessMethod {
    /// The protocol of the gate for this way in; `None` for `shell` and `forward`.
    pub fn protocol(self) -> Option<Protocol> {
        Protocol::ALL
            .into_iter()
            .find(|protocol| protocol.as_str() == self.as_str())
    }

    /// Whether programs of the jail serve the way in, and not sshd alone.
    pub fn runs_programs(self) -> bool {
        !matches!(self, Self::Sftp | Self::Forward)
    }

    /// Whether the user chooses or the administrator wrote the program, which may need a network.
    fn runs_any_program(self) -> bool {
        matches!(self, Self::Shell | Self::Command)
    }

    /// Whether one of the ways in may run any program.
    pub(crate) fn can_need_network(access: &[Self]) -> bool {
        access.is_empty()
            || access.iter().any(|method| method.runs_any_program())
            || access == [Self::Forward]
    }
}

impl Login {
    fn new(methods: &[AccessMethod], has_key_commands: bool) -> Self {
        let has = |method| methods.contains(&method);
        let server = if has(AccessMethod::Shell) {
            Server::Shell
        } else if has_key_commands || methods.iter().any(|method| method.runs_programs()) {
            Server::Gate
        } else if has(AccessMethod::Sftp) {
            Server::InternalSftp
        } else {
            Server::Nothing
        };
        Self {
            server,
            has_key_commands: has_key_commands && server == Server::Gate,
            terminal: methods.iter().any(|method| method.runs_any_program()),
            forward: has(AccessMethod::Forward),
        }
    }
}

impl Access {
    /// How sshd treats users with these ways in, and without commands of keys.
    pub fn login(&self) -> Login {
        Login::new(&self.methods.value, false)
    }
}

impl Spec {
    /// Whether programs of the jail serve a way in.
    pub fn runs_programs(&self) -> bool {
        let is_served = |user: &User| matches!(user.login().server, Server::Shell | Server::Gate);
        self.access
            .value
            .iter()
            .any(|method| method.runs_programs())
            || self.users.iter().any(is_served)
    }
}

impl User {
    /// How sshd treats the connections of the user.
    pub fn login(&self) -> Login {
        Login::new(
            &self.access.methods.value,
            self.key_commands().any(|command| command.is_some()),
        )
    }

    /// Whether a way in is allowed.
    pub fn allows(&self, method: AccessMethod) -> bool {
        self.access.methods.value.contains(&method)
    }

    /// The lines of `authorized_keys`, with the result of `command` as their command where it is one.
    pub fn keys_with(&self, mut command: impl FnMut(Option<&str>) -> Option<String>) -> String {
        let mut text = String::new();
        for (line, own) in self.authorized_keys.iter().zip(self.key_commands()) {
            let replaced = command(own.as_deref())
                .and_then(|command| authorized_keys::with_command(&line.value, &command));
            text.push_str(&replaced.unwrap_or_else(|| line.value.clone()));
            text.push('\n');
        }
        text
    }

    /// For each line of `authorized_keys` its command, if it has one.
    pub fn key_commands(&self) -> impl Iterator<Item = Option<String>> + '_ {
        let lines = self.authorized_keys.iter();
        lines.map(|line| authorized_keys::command(&line.value))
    }
}

impl WayLimits {
    /// The directory for one user.
    pub fn directory_of(&self, user: &UserName) -> Option<JailPath> {
        let directory = &self.directory.as_ref()?.value;
        let parts = directory.as_str().split('/').map(|part| match part {
            USER => user.as_str(),
            other => other,
        });
        JailPath::new(&parts.collect::<Vec<_>>().join("/")).ok()
    }
}

/// Ways in of a table, if it has `allow`.
pub(crate) fn allow(table: &Table) -> Option<Spanned<Vec<AccessMethod>>> {
    let allow = table.entries.get("allow")?;
    let words: BTreeSet<AccessMethod> = table
        .texts("allow")
        .iter()
        .filter_map(|(word, _)| AccessMethod::new(word))
        .collect();
    Some(spanned(words.into_iter().collect(), &allow.span))
}

/// Program and arguments of a table's `command`.
pub(crate) fn command(table: &Table) -> Option<Spanned<Vec<String>>> {
    let node = table.entries.get("command")?;
    let words = table.texts("command").iter().map(|(word, _)| word.clone());
    Some(spanned(words.collect(), &node.span))
}

/// The tables that limit single ways in.
pub(crate) fn limits(spec: &Table) -> BTreeMap<AccessMethod, WayLimits> {
    let tables = Protocol::ALL.into_iter().filter_map(|protocol| {
        let node = spec.entries.get(protocol.as_str())?;
        let Value::Table(table) = &node.value else {
            return None;
        };
        let mode = table.text("mode").and_then(|(word, _)| Mode::new(word));
        let limits = WayLimits {
            span: node.span.clone(),
            directory: table.parsed("path", JailPath::new),
            mode: mode.unwrap_or_default(),
        };
        Some((AccessMethod::new(protocol.as_str())?, limits))
    });
    tables.collect()
}

/// Checks the ways in of all users.
pub(crate) fn check(parts: &PartialSpec, findings: &mut Findings) {
    check_access("sshd.allow", &parts.default_access, findings);
    for user in &parts.users {
        if user.access.methods.span != parts.default_access.methods.span
            || user.access.command != parts.default_access.command
        {
            check_access("user.allow", &user.access, findings);
        }
        check_keys(user, findings);
    }
    if let Some(command) = &parts.default_access.command
        && !parts.access.value.contains(&AccessMethod::Command)
    {
        findings.add(no_effect("sshd.command", "command", &command.span));
    }
    for (method, limits) in &parts.way_limits {
        let word = method.as_str();
        if !parts.access.value.contains(method) {
            if !parts.has_invalid_access {
                findings.add(no_effect(&format!("[{word}]"), word, &limits.span));
            }
            continue;
        }
        let with_shell = parts
            .users
            .iter()
            .find(|user| user.allows(*method) && user.allows(AccessMethod::Shell));
        if let Some(user) = with_shell {
            findings.add(
                Finding::new(format!("`[{word}]` cannot limit `{}`", user.name.value))
                    .why("a user with a shell runs all programs of the jail")
                    .with_span(&limits.span, "")
                    .hint(format!(
                        "leave `shell` out of `allow`, or delete the table `[{word}]`"
                    )),
            );
        }
    }
}

fn no_effect(key: &str, word: &str, span: &Span) -> Finding {
    Finding::new(format!("`{key}` has no effect in this jail"))
        .why(format!("no user has the way in `{word}`"))
        .with_span(span, "")
        .hint(format!(
            "delete it, or add \"{word}\" to `allow` below `[sshd]`"
        ))
}

/// Checks that the way in `command` has a command.
fn check_access(key: &str, access: &Access, findings: &mut Findings) {
    if access.methods.value.is_empty() {
        return;
    }
    let words = access.command.as_ref();
    let allows = access.methods.value.contains(&AccessMethod::Command);
    match words {
        Some(words) if key == "user.allow" && !allows => {
            findings.add(no_effect("user.command", "command", &words.span));
        }
        Some(words) if words.value.first().is_none_or(String::is_empty) => findings.add(
            Finding::new("a `command` is empty")
                .with_span(&words.span, "expected a program and its arguments")
                .hint("example: `command = [\"/usr/bin/menu\"]`"),
        ),
        None if allows => findings.add(
            Finding::new(format!("`{key}` includes `command`, but there is none"))
                .with_span(&access.methods.span, "")
                .hint("write the program and its arguments: `command = [\"/usr/bin/menu\"]`"),
        ),
        _ => {}
    }
}

/// Checks the commands of the keys of a user.
fn check_keys(user: &User, findings: &mut Findings) {
    if !user.login().has_key_commands {
        return;
    }
    for (line, command) in user.authorized_keys.iter().zip(user.key_commands()) {
        let Some(command) = command else { continue };
        let words = jailctl_gate::words::split(command.as_bytes(), user.home.value.as_str());
        let why = match words {
            Ok(words) if words.is_empty() => "it is empty".to_owned(),
            Ok(_) => continue,
            Err(refusal) => refusal.to_string(),
        };
        findings.add(
            Finding::new(format!(
                "the command of a key of `{}` cannot be run without a shell",
                user.name.value
            ))
            .why(why)
            .with_span(&line.span, "")
            .hint("write one program and its arguments, or put more into a script"),
        );
    }
    if user.password.value != Password::Locked {
        findings.add(
            Finding::new(format!("`{}` cannot have a password", user.name.value))
                .why("a key of this user has a command, which a login with a password would not be limited to")
                .with_span(&user.password.span, "")
                .hint("delete the password, or make two users"),
        );
    }
}
