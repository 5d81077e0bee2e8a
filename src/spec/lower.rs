//! Converts the merged table to the types of a [`super::Spec`], with the defaults of the schema.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::access::{Access, AccessMethod};
use super::constraint::{dir_mode, mode};
use super::display::quote;
use super::findings::Findings;
use super::partial_spec::{PartialSpec, program};
use super::typed_table::{Table, Value, spanned};
use super::types::{
    Day, DirSpec, Dlopen, FileBody, FileSpec, PackageDependencies, Password, SftpSpec, User,
};
use super::violation::{Hint, Violation};
use super::ways;
use super::{password, session};
use crate::error::Finding;
use crate::layout::JAILS_DIR;
use crate::names::{JailName, JailPath, UserName};
use crate::span::{Span, Spanned};

/// Names of shells in the order of preference for the default shell.
const SHELLS: &[&str] = &[
    "bash",
    "sh",
    "zsh",
    "dash",
    "ksh",
    "mksh",
    "fish",
    "ash",
    "rbash",
    "tcsh",
    "csh",
    // The last: an account for git only, which has no other.
    "git-shell",
];

/// Converts the merged table `spec`.
pub(crate) fn build(spec: &Table, findings: &mut Findings) -> PartialSpec {
    let name = spec.parsed("name", JailName::new);
    let root = match spec.text("root") {
        Some((text, span)) => Some(spanned(PathBuf::from(text), span)),
        None if spec.has_errors("root") => None,
        None => name
            .as_ref()
            .map(|name| spanned(Path::new(JAILS_DIR).join(name.value.as_str()), &name.span)),
    };
    let binaries = dedup(spec.texts("binaries"));
    let (default_access, has_invalid_access) = default_access(spec, &binaries);
    let users: Vec<User> = spec
        .tables("user")
        .iter()
        .filter_map(|table| user(table, &default_access, &binaries))
        .collect();
    let access = all_access(&default_access, &users);
    let session = session::build(spec, &access.value, findings);
    PartialSpec {
        name,
        root,
        templates: dedup(spec.texts("templates")),
        has_invalid_users: spec.has_errors("user") || users.len() < spec.tables("user").len(),
        users,
        plain_chroot: session::is_plain(spec, session.as_ref(), findings),
        session,
        access,
        default_access,
        way_limits: ways::limits(spec),
        has_invalid_access,
        sftp: sftp(spec),
        has_invalid_binaries: spec.has_errors("binaries"),
        optional: dedup(spec.texts("optional"))
            .into_iter()
            .filter(|one| binaries.iter().all(|binary| binary.value != one.value))
            .collect(),
        packages: dedup(spec.texts("packages")),
        package_dependencies: match spec.text("package_dependencies").map(|(word, _)| word) {
            Some("none") => PackageDependencies::None,
            Some("recommended") => PackageDependencies::Recommended,
            _ => PackageDependencies::Required,
        },
        dlopen: match spec.text("dlopen").map(|(word, _)| word) {
            Some("none") => Dlopen::None,
            Some("required") => Dlopen::Required,
            Some("suggested") => Dlopen::Suggested,
            _ => Dlopen::Recommended,
        },
        binaries,
        files: spec
            .tables("file")
            .iter()
            .filter_map(|table| file(table, findings))
            .collect(),
        dirs: spec.tables("dir").iter().filter_map(dir).collect(),
        tests: spec.tables("test").iter().filter_map(test).collect(),
    }
}

fn dedup(texts: &[(String, Span)]) -> Vec<Spanned<String>> {
    let mut seen = BTreeSet::new();
    texts
        .iter()
        .filter(|(text, _)| seen.insert(text))
        .map(|(text, span)| spanned(text.clone(), span))
        .collect()
}

/// Preferred shell in `binaries`.
fn first_shell(binaries: &[Spanned<String>]) -> Option<&Spanned<String>> {
    SHELLS.iter().find_map(|shell| {
        binaries
            .iter()
            .find(|binary| program(&binary.value) == *shell)
    })
}

/// Ways in of all users together.
fn all_access(default: &Access, users: &[User]) -> Spanned<Vec<AccessMethod>> {
    let all: BTreeSet<AccessMethod> = match users {
        [] => default.methods.value.iter().copied().collect(),
        users => users
            .iter()
            .flat_map(|user| user.access.methods.value.iter().copied())
            .collect(),
    };
    spanned(all.into_iter().collect(), &default.methods.span)
}

/// Ways in of users without `allow`, and whether some were refused.
fn default_access(spec: &Table, binaries: &[Spanned<String>]) -> (Access, bool) {
    let sshd = match spec.entries.get("sshd").map(|node| &node.value) {
        Some(Value::Table(table)) => Some(table),
        _ => None,
    };
    let command = sshd.and_then(ways::command);
    let access = |methods| Access { methods, command };
    if let Some((table, allow)) = sshd.and_then(|table| Some((table, ways::allow(table)?))) {
        return (access(allow), table.has_errors("allow"));
    }
    let names_shell = |table: &Table| table.text("shell").map(|(_, span)| span.clone());
    let shell = spec
        .tables("user")
        .iter()
        .find_map(names_shell)
        .or_else(|| first_shell(binaries).map(|binary| binary.span.clone()));
    let methods = if let Some(span) = shell {
        spanned(vec![AccessMethod::Shell, AccessMethod::Sftp], &span)
    } else {
        let name = spec.entries.get("name").map(|node| &node.span);
        spanned(vec![AccessMethod::Sftp], name.unwrap_or(&spec.span))
    };
    (access(methods), spec.has_errors("sshd"))
}

fn sftp(spec: &Table) -> SftpSpec {
    let Some(Value::Table(sshd)) = spec.entries.get("sshd").map(|node| &node.value) else {
        return SftpSpec::default();
    };
    SftpSpec {
        start_dir: sshd.parsed("start_dir", JailPath::new),
        umask: sshd
            .text("umask")
            .map(|(text, span)| spanned(text.to_owned(), span)),
        log: sshd
            .flag("sftp_log")
            .filter(|(log, _)| *log)
            .map(|(_, span)| span.clone()),
    }
}

fn user(table: &Table, default: &Access, binaries: &[Spanned<String>]) -> Option<User> {
    let name = table.parsed("name", UserName::new)?;
    let home = match table.parsed("home", JailPath::new) {
        Some(home) => home,
        None if table.has_errors("home") => return None,
        None => spanned(
            JailPath::new(&format!("/home/{}", name.value)).ok()?,
            &name.span,
        ),
    };
    if table.has_errors("allow") || table.has_errors("command") {
        return None;
    }
    let access = Access {
        methods: ways::allow(table).unwrap_or_else(|| default.methods.clone()),
        command: ways::command(table).or_else(|| default.command.clone()),
    };
    let shell = if access.methods.value.contains(&AccessMethod::Shell) {
        match table.parsed("shell", JailPath::new) {
            None if table.has_errors("shell") => return None,
            None => default_shell(binaries),
            given => given,
        }
    } else {
        None
    };
    let password = match table.text("password") {
        Some((text, span)) => spanned(password::parse(text).ok()?, span),
        None if table.has_errors("password") => return None,
        None => spanned(Password::Locked, &table.span),
    };
    let uid = match table.entries.get("uid") {
        None => None,
        Some(node) => match node.value {
            Value::Integer(uid) => Some(spanned(u32::try_from(uid).ok()?, &node.span)),
            _ => return None,
        },
    };
    let expires = match table.entries.get("expires") {
        None => None,
        Some(node) => match node.value {
            Value::Day(day) => Some(spanned(Day(day), &node.span)),
            _ => return None,
        },
    };
    Some(User {
        span: table.span.clone(),
        name,
        access,
        shell,
        home,
        authorized_keys: dedup(table.texts("authorized_keys")),
        password,
        uid,
        skel: table.parsed("skel", |text| Ok::<_, ()>(PathBuf::from(text))),
        expires,
        groups: dedup(table.texts("groups")),
        was: table.parsed("was", UserName::new),
        adopt: table.boolean("adopt").unwrap_or(false),
    })
}

/// Default shell: the path in the jail of the preferred shell in `binaries`.
fn default_shell(binaries: &[Spanned<String>]) -> Option<Spanned<JailPath>> {
    let binary = first_shell(binaries)?;
    let path = if binary.value.starts_with('/') {
        JailPath::new(&binary.value)
    } else {
        JailPath::new(&format!("/bin/{}", binary.value))
    };
    path.ok().map(|path| spanned(path, &binary.span))
}

fn file(table: &Table, findings: &mut Findings) -> Option<FileSpec> {
    let source = table.text("source");
    let content = table.text("content");
    let given = |key: &str| table.entries.contains_key(key);
    let problem = match (given("source"), given("content")) {
        (true, true) => Some("has both `source` and `content`"),
        (false, false) => Some("has neither `source` nor `content`"),
        (false, true) if !given("target") => Some("has `content` but no `target`"),
        _ => None,
    };
    if let Some(problem) = problem {
        findings.add(
            Finding::new(format!("a `[[file]]` {problem}"))
                .with_span(&table.span, problem)
                .hint("`source` is a host path to copy, `content` is text, `target` is the path in the jail"),
        );
        return None;
    }
    let target = match (table.parsed("target", JailPath::new), source) {
        (Some(target), _) => target,
        (None, Some((path, span))) if !given("target") => {
            let path = JailPath::new(path).ok()?;
            if let Err(Violation { why, hint }) = super::path_rules::target(&path) {
                let mut finding = Finding::new(format!(
                    "`{}` is not a valid target of a `[[file]]`",
                    quote(path.as_str())
                ))
                .why(format!("it {why}"))
                .with_span(span, why)
                .hint("the default `target` is the path of `source`: add a `target`");
                if let Hint::Own(hint) = hint {
                    finding.hints.push(hint.into_owned());
                }
                findings.add(finding);
                return None;
            }
            spanned(path, span)
        }
        _ => return None,
    };
    let body = match (source, content) {
        (Some((path, span)), _) => FileBody::Source(spanned(PathBuf::from(path), span)),
        (None, Some((text, span))) => FileBody::Content(spanned(text.to_owned(), span)),
        (None, None) => return None,
    };
    Some(FileSpec {
        span: table.span.clone(),
        target,
        body,
        mode: table.parsed("mode", mode),
    })
}

fn dir(table: &Table) -> Option<DirSpec> {
    Some(DirSpec {
        span: table.span.clone(),
        path: table.parsed("path", JailPath::new)?,
        owner: table.parsed("owner", UserName::new),
        mode: match (table.parsed("mode", dir_mode), table.text("group")) {
            // A refused group is a finding already.
            (Some(_), _) if table.has_errors("group") => 0o755,
            (Some(mode), _) => mode.value,
            (None, Some(_)) => 0o2775,
            (None, None) => 0o755,
        },
        group: table
            .text("group")
            .map(|(group, span)| spanned(group.to_owned(), span)),
    })
}

/// Command of a `[[test]]`. Repeated arguments are kept.
fn test(table: &Table) -> Option<Spanned<Vec<String>>> {
    let run = table.entries.get("run")?;
    if table.has_errors("run") {
        return None;
    }
    let arguments = table.texts("run").iter().map(|(text, _)| text.clone());
    Some(spanned(arguments.collect(), &run.span))
}
