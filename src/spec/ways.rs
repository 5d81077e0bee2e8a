//! Ways in of specs: `allow` and `command` of the jail and of single users, commands of keys, and
//! the tables that limit single ways in.

use std::collections::{BTreeMap, BTreeSet};

use jailctl_gate::{Mode, Protocol};

use super::access::{Access, AccessMethod, Login, Server, WayLimits};
use super::authorized_keys;
use super::findings::Findings;
use super::partial_spec::PartialSpec;
use super::typed_table::{Table, Value, spanned};
use super::types::{Password, Spec, User};
use crate::error::Finding;
use crate::names::JailPath;
use crate::span::{Span, Spanned};

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

    /// The lines of `authorized_keys`, with the result of `command` as their command, if it returns
    /// one for the command of the line.
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
