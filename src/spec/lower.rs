//! The merged tree becomes the parts of a [`Spec`]. What a part lacks is filled with the defaults of the table of keys.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::constraint::{Hint, Violation, mode};
use super::display::quote;
use super::family::{expand, is_pattern};
use super::findings::Findings;
use super::typed_table::{Table, Value};
use super::{
    AccessMethod, Day, DirSpec, Dlopen, FileBody, FileSpec, Password, SessionSpec, SftpSpec, Spec,
    User, password, session,
};
use crate::error::Finding;
use crate::layout::JAILS_DIR;
use crate::names::{JailName, JailPath, UserName};
use crate::span::{Span, Spanned};

/// Names of shells, the one that is preferred first.
const SHELLS: &[&str] = &[
    "bash", "sh", "zsh", "dash", "ksh", "mksh", "fish", "ash", "rbash", "tcsh", "csh",
];

/// As much of a [`Spec`] as could be made, so that what there is can be checked.
#[derive(Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "what was refused of several keys, each for itself"
)]
pub(crate) struct PartialSpec {
    name: Option<Spanned<JailName>>,
    pub(crate) root: Option<Spanned<PathBuf>>,
    templates: Vec<Spanned<String>>,
    pub(crate) binaries: Vec<Spanned<String>>,
    optional: Vec<Spanned<String>>,
    packages: Vec<Spanned<String>>,
    dlopen: Dlopen,
    /// Whether some of `binaries` were refused.
    pub(crate) lacks_binaries: bool,
    pub(crate) users: Vec<User>,
    /// Whether a user is left out of `users` because of what was found before.
    pub(crate) lacks_users: bool,
    pub(crate) doors: Spanned<Vec<AccessMethod>>,
    /// Whether some of `doors` were refused.
    pub(crate) lacks_doors: bool,
    pub(crate) sftp: SftpSpec,
    pub(crate) files: Vec<FileSpec>,
    pub(crate) dirs: Vec<DirSpec>,
    pub(crate) session: Option<SessionSpec>,
    plain_chroot: bool,
    pub(crate) tests: Vec<Spanned<Vec<String>>>,
}

impl PartialSpec {
    /// The roots of the jails that it stands for, as far as they could be made.
    pub(crate) fn roots(&self) -> Vec<PathBuf> {
        match &self.root {
            Some(root) if is_pattern(&root.value) => {
                let users = self.users.iter();
                let roots = users.map(|user| expand(&root.value, &user.name.value));
                roots.collect()
            }
            root => root.iter().map(|root| root.value.clone()).collect(),
        }
    }

    /// The spec; `None` if the name or root was refused.
    pub(crate) fn into_spec(self) -> Option<Spec> {
        Some(Spec {
            name: self.name?,
            root: self.root?,
            family: None,
            templates: self.templates,
            binaries: self.binaries,
            optional: self.optional,
            packages: self.packages,
            dlopen: self.dlopen,
            users: self.users,
            doors: self.doors,
            sftp: self.sftp,
            files: self.files,
            dirs: self.dirs,
            session: self.session,
            plain_chroot: self.plain_chroot,
            tests: self.tests,
        })
    }
}

/// Makes the parts of the merged tree `spec`.
pub(crate) fn build(spec: &Table, findings: &mut Findings) -> PartialSpec {
    let name = typed(spec, "name", JailName::new);
    let root = match spec.text("root") {
        Some((text, site)) => Some(sited(PathBuf::from(text), site)),
        None if spec.has_errors("root") => None,
        None => name
            .as_ref()
            .map(|name| sited(Path::new(JAILS_DIR).join(name.value.as_str()), &name.site)),
    };
    let binaries = dedup(spec.texts("binaries"));
    let (doors, lacks_doors) = access_methods(spec, &binaries);
    let users: Vec<User> = spec
        .tables("user")
        .iter()
        .filter_map(|table| user(table, &doors.value, &binaries))
        .collect();
    let session = session::build(spec, &doors.value, findings);
    PartialSpec {
        name,
        root,
        templates: dedup(spec.texts("templates")),
        lacks_users: spec.has_errors("user") || users.len() < spec.tables("user").len(),
        users,
        plain_chroot: session::is_plain(spec, session.as_ref(), findings),
        session,
        doors,
        lacks_doors,
        sftp: sftp(spec),
        lacks_binaries: spec.has_errors("binaries"),
        optional: dedup(spec.texts("optional"))
            .into_iter()
            .filter(|one| binaries.iter().all(|binary| binary.value != one.value))
            .collect(),
        packages: dedup(spec.texts("packages")),
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

pub(crate) fn sited<T>(value: T, site: &Span) -> Spanned<T> {
    Spanned {
        value,
        site: site.clone(),
    }
}

/// The text of `key` as the type that its rule stands for.
pub(crate) fn typed<T, E>(
    table: &Table,
    key: &str,
    make: impl Fn(&str) -> Result<T, E>,
) -> Option<Spanned<T>> {
    let (text, site) = table.text(key)?;
    make(text).ok().map(|value| sited(value, site))
}

fn dedup(texts: &[(String, Span)]) -> Vec<Spanned<String>> {
    let mut seen = BTreeSet::new();
    texts
        .iter()
        .filter(|(text, _)| seen.insert(text))
        .map(|(text, site)| sited(text.clone(), site))
        .collect()
}

/// The last component of a program's name or path.
pub(crate) fn program(binary: &str) -> &str {
    binary.rsplit('/').next().unwrap_or(binary)
}

/// The shell that `binaries` offer, and where they name it.
fn first_shell(binaries: &[Spanned<String>]) -> Option<&Spanned<String>> {
    SHELLS.iter().find_map(|shell| {
        binaries
            .iter()
            .find(|binary| program(&binary.value) == *shell)
    })
}

/// The doors, and whether some were refused.
fn access_methods(
    spec: &Table,
    binaries: &[Spanned<String>],
) -> (Spanned<Vec<AccessMethod>>, bool) {
    let sshd = spec.entries.get("sshd");
    if let Some(Value::Table(table)) = sshd.map(|node| &node.value)
        && let Some(allow) = table.entries.get("allow")
    {
        let words: BTreeSet<AccessMethod> = table
            .texts("allow")
            .iter()
            .filter_map(|(word, _)| AccessMethod::new(word))
            .collect();
        let doors = sited(words.into_iter().collect(), &allow.site);
        return (doors, table.has_errors("allow"));
    }
    let names_shell = |table: &Table| table.text("shell").map(|(_, site)| site.clone());
    let shell = spec
        .tables("user")
        .iter()
        .find_map(names_shell)
        .or_else(|| first_shell(binaries).map(|binary| binary.site.clone()));
    let doors = if let Some(site) = shell {
        sited(vec![AccessMethod::Shell, AccessMethod::Sftp], &site)
    } else {
        let name = spec.entries.get("name").map(|node| &node.site);
        sited(vec![AccessMethod::Sftp], name.unwrap_or(&spec.site))
    };
    (doors, spec.has_errors("sshd"))
}

fn sftp(spec: &Table) -> SftpSpec {
    let Some(Value::Table(sshd)) = spec.entries.get("sshd").map(|node| &node.value) else {
        return SftpSpec::default();
    };
    SftpSpec {
        start_dir: typed(sshd, "start_dir", JailPath::new),
        umask: sshd
            .text("umask")
            .map(|(text, site)| sited(text.to_owned(), site)),
        log: sshd
            .flag("log")
            .filter(|(log, _)| *log)
            .map(|(_, site)| site.clone()),
    }
}

fn user(table: &Table, doors: &[AccessMethod], binaries: &[Spanned<String>]) -> Option<User> {
    let name = typed(table, "name", UserName::new)?;
    let home = match typed(table, "home", JailPath::new) {
        Some(home) => home,
        None if table.has_errors("home") => return None,
        None => sited(
            JailPath::new(&format!("/home/{}", name.value)).ok()?,
            &name.site,
        ),
    };
    let shell = if doors.contains(&AccessMethod::Shell) {
        match typed(table, "shell", JailPath::new) {
            None if table.has_errors("shell") => return None,
            None => default_shell(binaries),
            given => given,
        }
    } else {
        None
    };
    let password = match table.text("password") {
        Some((text, site)) => sited(password::parse(text).ok()?, site),
        None if table.has_errors("password") => return None,
        None => sited(Password::Locked, &table.site),
    };
    let uid = match table.entries.get("uid") {
        None => None,
        Some(node) => match node.value {
            Value::Integer(uid) => Some(sited(u32::try_from(uid).ok()?, &node.site)),
            _ => return None,
        },
    };
    let expires = match table.entries.get("expires") {
        None => None,
        Some(node) => match node.value {
            Value::Day(day) => Some(sited(Day(day), &node.site)),
            _ => return None,
        },
    };
    Some(User {
        site: table.site.clone(),
        name,
        shell,
        home,
        authorized_keys: dedup(table.texts("authorized_keys")),
        password,
        uid,
        skel: typed(table, "skel", |text| Ok::<_, ()>(PathBuf::from(text))),
        expires,
        groups: dedup(table.texts("groups")),
        adopt: table.boolean("adopt").unwrap_or(false),
    })
}

/// The shell of a user who names none: where the first shell among the binaries will be found in the jail.
fn default_shell(binaries: &[Spanned<String>]) -> Option<Spanned<JailPath>> {
    let binary = first_shell(binaries)?;
    let path = if binary.value.starts_with('/') {
        JailPath::new(&binary.value)
    } else {
        JailPath::new(&format!("/bin/{}", binary.value))
    };
    path.ok().map(|path| sited(path, &binary.site))
}

fn file(table: &Table, findings: &mut Findings) -> Option<FileSpec> {
    let source = table.text("source");
    let content = table.text("content");
    let given = |key: &str| table.entries.contains_key(key);
    let complaint = match (given("source"), given("content")) {
        (true, true) => Some("has both `source` and `content`"),
        (false, false) => Some("has neither `source` nor `content`"),
        (false, true) if !given("target") => Some("has `content` but no `target`"),
        _ => None,
    };
    if let Some(complaint) = complaint {
        findings.add(
            Finding::new(format!("a `[[file]]` {complaint}"))
                .with_span(&table.site, complaint)
                .hint("`source` is a path to copy from the host, `content` is the text itself, and `target` is where it goes"),
        );
        return None;
    }
    let target = match (typed(table, "target", JailPath::new), source) {
        (Some(target), _) => target,
        (None, Some((path, site))) if !given("target") => {
            let path = JailPath::new(path).ok()?;
            if let Err(Violation { why, hint }) = super::path_rules::target(&path) {
                let mut finding = Finding::new(format!(
                    "`{}` is not a place for a `[[file]]`",
                    quote(path.as_str())
                ))
                .why(format!("it {why}"))
                .with_span(site, why)
                .hint("without `target` a file goes to the path of its source; give it a `target`");
                if let Hint::Own(hint) = hint {
                    finding.hints.push(hint.into_owned());
                }
                findings.add(finding);
                return None;
            }
            sited(path, site)
        }
        _ => return None,
    };
    let body = match (source, content) {
        (Some((path, site)), _) => FileBody::Source(sited(PathBuf::from(path), site)),
        (None, Some((text, site))) => FileBody::Content(sited(text.to_owned(), site)),
        (None, None) => return None,
    };
    Some(FileSpec {
        site: table.site.clone(),
        target,
        body,
        mode: typed(table, "mode", mode),
    })
}

fn dir(table: &Table) -> Option<DirSpec> {
    Some(DirSpec {
        site: table.site.clone(),
        path: typed(table, "path", JailPath::new)?,
        owner: typed(table, "owner", UserName::new),
        mode: typed(table, "mode", mode).map_or(0o755, |mode| mode.value),
    })
}

/// A command as it was given: the same argument twice is meant.
fn test(table: &Table) -> Option<Spanned<Vec<String>>> {
    let run = table.entries.get("run")?;
    if table.has_errors("run") {
        return None;
    }
    let arguments = table.texts("run").iter().map(|(text, _)| text.clone());
    Some(sited(arguments.collect(), &run.site))
}
