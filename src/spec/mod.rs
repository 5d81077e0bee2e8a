//! TOML text to [`Spec`]: parsed with spans, templates merged, meaning checked, every finding at once. Reads no file but through the loader it is given.

//!
//! [`source`] makes text of bytes, [`load`] makes a [`Spec`] of text: `syntax` parses, `tree` holds the result against the table in [`schema`], `template` puts the
//! layers together, `build` makes the types below, `check` looks at what the values mean together.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use crate::error::{Error, ErrorKind, Finding, Result};
use crate::names::{JailName, JailPath, UserName};
use crate::span::{SourceText, Span, Spanned};

mod authorized_keys;
pub mod constraint;
mod date;
pub mod display;
mod family;
mod findings;
mod limits;
mod lower;
mod mount;
mod network;
mod parse;
mod password;
pub mod path_rules;
mod redact;
mod renamed;
mod reserved_names;
pub mod schema;
mod session;
mod template;
mod typed_table;
mod validate;

pub use authorized_keys::{Fingerprint, fingerprint};
pub use family::Family;
pub use limits::LimitsSpec;
pub use mount::{MountSource, MountSpec};
pub use network::{NetworkSpec, PrivateNetwork};
pub(crate) use parse::{Document, parse};
pub use parse::{MAX, source};
pub use renamed::rename_limits;
pub use session::SessionSpec;
pub use template::{BuiltIn, Templates};

#[cfg(test)]
mod tests;

use findings::Findings;
use template::Layer;
use typed_table::{LayerKind, Table};

/// A door: one way into a jail.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum AccessMethod {
    /// A login shell, with or without a terminal, and commands.
    Shell,
    /// File transfer by sftp.
    Sftp,
    /// Connections by way of sshd into the jail's own network: `ssh -L`, `-D` and `-W`.
    Forward,
}

impl AccessMethod {
    /// The door that `sshd.allow` calls `word`.
    pub fn new(word: &str) -> Option<Self> {
        match word {
            "shell" => Some(Self::Shell),
            "sftp" => Some(Self::Sftp),
            "forward" => Some(Self::Forward),
            _ => None,
        }
    }

    /// What `sshd.allow` calls it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Shell => "shell",
            Self::Sftp => "sftp",
            Self::Forward => "forward",
        }
    }

    /// Whether sftp is the only door through which files or commands come, so that sshd serves it and nothing of the jail's runs.
    pub fn is_sftp_only(doors: &[Self]) -> bool {
        doors.contains(&Self::Sftp) && !doors.contains(&Self::Shell)
    }
}

/// Which of the libraries that programs say they may load at run time come along: those of this word and of the words before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dlopen {
    /// None of them.
    None,
    /// Those without which they do not work.
    Required,
    /// Those that most use, too.
    Recommended,
    /// All of them.
    Suggested,
}

/// A day, in days since 1970-01-01 as shadow(5) counts them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Day(pub i64);

/// `[sshd] start_dir`, `umask` and `sftp_log`: how sshd itself serves sftp, where that is the only door.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SftpSpec {
    /// `start_dir`: a directory of the jail.
    pub start_dir: Option<Spanned<JailPath>>,
    /// `umask`, as written.
    pub umask: Option<Spanned<String>>,
    /// `sftp_log`, where it is true: transfers are written to the host's log.
    pub log: Option<Span>,
}

/// What a jail is to be, checked: the file's own lines with its templates below them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spec {
    /// `name`.
    pub name: Spanned<JailName>,
    /// `root`, or `/srv/jails/<name>`; the site is that of `name` then. With `%u` as a component the spec stands for a jail of each user.
    pub root: Spanned<PathBuf>,
    /// What it shares with others, where it is that of one of these jails.
    pub family: Option<Family>,
    /// `templates`, in order.
    pub templates: Vec<Spanned<String>>,
    /// `binaries` of the templates and the file: names on the host's path or absolute paths.
    pub binaries: Vec<Spanned<String>>,
    /// `optional`, less what `binaries` have.
    pub optional: Vec<Spanned<String>>,
    /// `packages`.
    pub packages: Vec<Spanned<String>>,
    /// `dlopen`.
    pub dlopen: Dlopen,
    /// `[[user]]`.
    pub users: Vec<User>,
    /// `[sshd] allow`: sorted, without doubles, never empty. Without that line sftp, and shell where a user names one or `binaries` hold one; the site is then theirs, or that of `name`.
    pub doors: Spanned<Vec<AccessMethod>>,
    /// How sftp is served; empty where it is not the only door.
    pub sftp: SftpSpec,
    /// `[[file]]`.
    pub files: Vec<FileSpec>,
    /// `[[dir]]`.
    pub dirs: Vec<DirSpec>,
    /// `[namespaces]`, `[network]` and `[[mount]]`; `None` where the spec has none of them.
    pub session: Option<SessionSpec>,
    /// `plain_chroot`, or `namespaces.mnt = false`: there are no sessions, wherever they would be the default.
    pub plain_chroot: bool,
    /// `[[test]]`: each a command and its arguments, never empty. Where there is one, there is a user to run it.
    pub tests: Vec<Spanned<Vec<String>>>,
}

/// `[[user]]`: one account that lives in the jail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// The table's header.
    pub site: Span,
    /// `name`.
    pub name: Spanned<UserName>,
    /// `shell`, a path inside the jail; where not given that of the first shell among `binaries`; `None` where the shell is no door, even if given.
    pub shell: Option<Spanned<JailPath>>,
    /// `home`, a path inside the jail, or `/home/<name>`.
    pub home: Spanned<JailPath>,
    /// `authorized_keys`, each one line of AUTHORIZED_KEYS FILE FORMAT in sshd(8).
    pub authorized_keys: Vec<Spanned<String>>,
    /// `password`.
    pub password: Spanned<Password>,
    /// `uid`, where given.
    pub uid: Option<Spanned<u32>>,
    /// `skel`: a host directory whose content a new home starts with.
    pub skel: Option<Spanned<PathBuf>>,
    /// `expires`: the day from whose beginning, in UTC, the account is closed.
    pub expires: Option<Spanned<Day>>,
    /// `groups`: further groups, made where the host has none of the name.
    pub groups: Vec<Spanned<String>>,
    /// `adopt`: an account of that name that jailctl did not make is taken over, and given back later.
    pub adopt: bool,
}

/// `password` of a user.
#[derive(Clone, PartialEq, Eq)]
pub enum Password {
    /// `"locked"`: none works; keys do.
    Locked,
    /// `"unchanged"`: the password that the account has, set by others; a new account has none.
    Unchanged,
    /// A crypt(5) hash.
    Hash(String),
}

impl std::fmt::Debug for Password {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Locked => "Locked",
            Self::Unchanged => "Unchanged",
            Self::Hash(_) => "Hash(…)",
        })
    }
}

/// `[[file]]`: a file or tree of the host's, or text given in the spec.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileSpec {
    /// The table's header.
    pub site: Span,
    /// `target`; where only `source` is given, the same path.
    pub target: Spanned<JailPath>,
    /// What it holds.
    pub body: FileBody,
    /// `mode`, where given; otherwise 0644 for text, and that of the source less what is never copied.
    pub mode: Option<Spanned<u32>>,
}

/// What a `[[file]]` holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FileBody {
    /// `source`: a path on the host.
    Source(Spanned<PathBuf>),
    /// `content`: text given in the spec.
    Content(Spanned<String>),
}

/// `[[dir]]`: a directory made if it is missing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirSpec {
    /// The table's header.
    pub site: Span,
    /// `path`.
    pub path: Spanned<JailPath>,
    /// `owner`: a user of the jail; `None` is root.
    pub owner: Option<Spanned<UserName>>,
    /// `mode`, by default 0755.
    pub mode: u32,
}

/// Reads `source` as a spec, with the templates it names below it; [`BuiltIn`] has those that every jailctl has.
///
/// Fails with every finding at once, those of `source` in the order of its lines. Sites point into copies of the texts in which secrets are blotted out.
pub fn load(source: &Arc<SourceText>, templates: &dyn Templates) -> Result<Spec> {
    load_as(LayerKind::Spec, source, templates)
}

/// Reads a spec from the records of a jail: as [`load`], and with the names that keys and values had in earlier builds.
///
/// # Errors
/// As [`load`].
pub fn load_recorded(source: &Arc<SourceText>, templates: &dyn Templates) -> Result<Spec> {
    load_as(LayerKind::RecordedSpec, source, templates)
}

fn load_as(
    kind: LayerKind<'_>,
    source: &Arc<SourceText>,
    templates: &dyn Templates,
) -> Result<Spec> {
    let mut findings = Findings::default();
    let (file, mut whole) = layer(source, kind, &mut findings)?;
    whole &= !file.has_errors("templates");
    let mut below: Option<Table> = None;
    let mut seen = BTreeSet::new();
    for (name, site) in file.texts("templates") {
        if !seen.insert(name) {
            continue;
        }
        let Some(source) = template(name, site, templates, &mut findings) else {
            whole = false;
            continue;
        };
        let (table, complete) = layer(&source, LayerKind::Template(name), &mut findings)?;
        whole &= complete;
        below = Some(match below {
            Some(lower) => template::merge(lower, table, Layer::Template),
            None => table,
        });
    }
    let merged = match below {
        Some(lower) => template::merge(lower, file, Layer::Spec),
        None => file,
    };
    // Of a text that is no TOML, or without one of its templates, parts are missing; what follows from their absence would only confuse.
    if whole {
        let parts = lower::build(&merged, &mut findings);
        validate::check(&parts, &mut findings);
        if findings.is_empty()
            && let Some(spec) = parts.into_spec()
        {
            return Ok(spec);
        }
    }
    Err(Error {
        kind: ErrorKind::Spec,
        findings: findings.into_sorted(&source.name),
    })
}

/// One text as a checked tree, and whether it was whole.
fn layer(
    source: &Arc<SourceText>,
    kind: LayerKind<'_>,
    findings: &mut Findings,
) -> Result<(Table, bool)> {
    let document = parse::parse(source)?;
    let table = typed_table::check(&document, kind, findings);
    let whole = document.findings.is_empty();
    for finding in document.findings {
        findings.add(finding);
    }
    Ok((table, whole))
}

/// The template that a spec names at `site`; `None`, and a finding, where it cannot be had.
fn template(
    name: &str,
    site: &Span,
    templates: &dyn Templates,
    findings: &mut Findings,
) -> Option<Arc<SourceText>> {
    let error = match templates.get(name) {
        Ok(Some(source)) => return Some(source),
        Ok(None) => unknown_template(name, site, templates).into(),
        Err(error) => error,
    };
    for finding in error.findings {
        findings.add(match finding.site {
            None => finding.with_span(site, "asked for here"),
            Some(_) => finding,
        });
    }
    None
}

fn unknown_template(name: &str, site: &Span, templates: &dyn Templates) -> Finding {
    let finding = Finding::new(format!("there is no template `{name}`"));
    // Whatever is wrong with the directory of templates, the one that was asked for is not there.
    let names = templates.names().unwrap_or_default();
    let names = || names.iter().map(String::as_str);
    match display::suggest(name, names()) {
        Some(meant) => finding.with_span(site, format!("did you mean `{meant}`?")),
        None => finding
            .with_span(site, "")
            .hint(format!("there are {}", display::list(names(), "and"))),
    }
}
