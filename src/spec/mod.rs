//! TOML text to [`Spec`]. Reports every finding at once, with its span. Files are read only through
//! [`Templates`].
//!
//! [`source()`] decodes bytes, [`load`] runs five stages: `parse` (TOML with spans), `typed_table`
//! (against [`schema`]), `template` (merge), `lower` (to the types below) and `validate` (values
//! against each other).

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

/// Way into a jail: a kind of connection that sshd accepts.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum AccessMethod {
    /// A login shell, with or without a terminal, and commands.
    Shell,
    /// File transfer by sftp.
    Sftp,
    /// Connections that sshd forwards into the network of the session: `ssh -L`, `-D` and `-W`.
    Forward,
}

impl AccessMethod {
    /// Parses a value of `sshd.allow`.
    pub fn new(word: &str) -> Option<Self> {
        match word {
            "shell" => Some(Self::Shell),
            "sftp" => Some(Self::Sftp),
            "forward" => Some(Self::Forward),
            _ => None,
        }
    }

    /// Name in `sshd.allow`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Shell => "shell",
            Self::Sftp => "sftp",
            Self::Forward => "forward",
        }
    }

    /// Whether sftp is allowed and shell is not: sshd then serves sftp itself, and no program of
    /// the jail runs.
    pub fn is_sftp_only(access: &[Self]) -> bool {
        access.contains(&Self::Sftp) && !access.contains(&Self::Shell)
    }
}

/// Lowest priority of dlopen notes whose libraries are included. Later variants include earlier
/// ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dlopen {
    /// No libraries of dlopen notes.
    None,
    /// Libraries of the priority `required`.
    Required,
    /// Libraries of the priority `recommended` or higher.
    Recommended,
    /// Libraries of all priorities.
    Suggested,
}

/// Day, in days since 1970-01-01 as in shadow(5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Day(pub i64);

/// `[sshd] start_dir`, `umask` and `sftp_log`: settings of the sftp server in sshd.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SftpSpec {
    /// `start_dir`: directory of the jail.
    pub start_dir: Option<Spanned<JailPath>>,
    /// `umask`, as written.
    pub umask: Option<Spanned<String>>,
    /// Span of `sftp_log`, if it is true: transfers are logged on the host.
    pub log: Option<Span>,
}

/// Validated spec of a jail, with its templates merged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spec {
    /// `name`.
    pub name: Spanned<JailName>,
    /// `root`, or `/srv/jails/<name>` with the span of `name`. With the component `%u` the spec
    /// describes one jail per user.
    pub root: Spanned<PathBuf>,
    /// Family of the jail, if its spec described one jail per user.
    pub family: Option<Family>,
    /// `templates`, in order.
    pub templates: Vec<Spanned<String>>,
    /// `binaries` of the templates and the file: names on the host's PATH or absolute paths.
    pub binaries: Vec<Spanned<String>>,
    /// `optional`, without programs that are in `binaries`.
    pub optional: Vec<Spanned<String>>,
    /// `packages`.
    pub packages: Vec<Spanned<String>>,
    /// `dlopen`.
    pub dlopen: Dlopen,
    /// `[[user]]`.
    pub users: Vec<User>,
    /// `[sshd] allow`: sorted, without duplicates, never empty. The default is sftp, and shell if a
    /// user has a `shell` or `binaries` contain one; the span is then that of the shell, or of
    /// `name`.
    pub doors: Spanned<Vec<AccessMethod>>,
    /// Settings of sftp; empty unless the jail allows sftp and not shell.
    pub sftp: SftpSpec,
    /// `[[file]]`.
    pub files: Vec<FileSpec>,
    /// `[[dir]]`.
    pub dirs: Vec<DirSpec>,
    /// `[namespaces]`, `[network]`, `[limits]`, `[[mount]]` and `sftp_log`; `None` if the spec has
    /// none of them.
    pub session: Option<SessionSpec>,
    /// `plain_chroot`, or `namespaces.mnt = false`: sessions are not isolated even if that is the
    /// default.
    pub plain_chroot: bool,
    /// `[[test]]`: commands with their arguments, never empty. A spec with a test has a user to run
    /// it.
    pub tests: Vec<Spanned<Vec<String>>>,
}

/// `[[user]]`: one account of the jail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// Span of the table's header.
    pub site: Span,
    /// `name`.
    pub name: Spanned<UserName>,
    /// `shell`, a path inside the jail; by default the first shell in `binaries`. `None` if the
    /// jail does not allow shell.
    pub shell: Option<Spanned<JailPath>>,
    /// `home`, a path inside the jail, or `/home/<name>`.
    pub home: Spanned<JailPath>,
    /// `authorized_keys`: lines in the AUTHORIZED_KEYS FILE FORMAT of sshd(8).
    pub authorized_keys: Vec<Spanned<String>>,
    /// `password`.
    pub password: Spanned<Password>,
    /// `uid`, if given.
    pub uid: Option<Spanned<u32>>,
    /// `skel`: host directory that is copied into a new home.
    pub skel: Option<Spanned<PathBuf>>,
    /// `expires`: the account is expired from the start of this day, in UTC.
    pub expires: Option<Spanned<Day>>,
    /// `groups`: supplementary groups, created if the host lacks them.
    pub groups: Vec<Spanned<String>>,
    /// `adopt`: an account that jailctl did not create is taken over, and restored later.
    pub adopt: bool,
}

/// `password` of a user.
#[derive(Clone, PartialEq, Eq)]
pub enum Password {
    /// `"locked"`: no password works; keys do.
    Locked,
    /// `"unchanged"`: jailctl does not change the password; a new account has none.
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

/// `[[file]]`: a file or tree of the host, or text from the spec.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileSpec {
    /// Span of the table's header.
    pub site: Span,
    /// `target`; by default the path of `source`.
    pub target: Spanned<JailPath>,
    /// Content of the file or tree.
    pub body: FileBody,
    /// `mode`, if given. The default is 0644 for text, and the mode of the source without the bits
    /// that are never copied.
    pub mode: Option<Spanned<u32>>,
}

/// Content of a `[[file]]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FileBody {
    /// `source`: a path on the host.
    Source(Spanned<PathBuf>),
    /// `content`: text from the spec.
    Content(Spanned<String>),
}

/// `[[dir]]`: a directory that is created if it does not exist.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirSpec {
    /// Span of the table's header.
    pub site: Span,
    /// `path`.
    pub path: Spanned<JailPath>,
    /// `owner`: a user of the jail; `None` is root.
    pub owner: Option<Spanned<UserName>>,
    /// `mode`, by default 0755.
    pub mode: u32,
}

/// Parses and validates the spec `source`, with its templates merged below it. [`BuiltIn`] has the
/// built-in templates. Spans refer to copies of the texts in which secrets are redacted.
///
/// # Errors
/// [`ErrorKind::Spec`] with every finding, those of `source` in the order of its lines; errors of
/// `templates`.
pub fn load(source: &Arc<SourceText>, templates: &dyn Templates) -> Result<Spec> {
    load_as(LayerKind::Spec, source, templates)
}

/// Parses a spec from the records of a jail: as [`load`], but also accepts the names that keys and
/// values had in earlier builds.
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
    // A text that is not TOML, or lacks a template, is incomplete: findings about missing parts
    // would be misleading.
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

/// Parses one text. Returns the checked table, and whether all of the text could be parsed.
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

/// The template `name`, which a spec names at `site`; `None`, and a finding, if it cannot be read.
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
            None => finding.with_span(site, "named here"),
            Some(_) => finding,
        });
    }
    None
}

fn unknown_template(name: &str, site: &Span, templates: &dyn Templates) -> Finding {
    let finding = Finding::new(format!("could not find the template `{name}`"));
    // Errors of the template directory are of no interest here: the template does not exist.
    let names = templates.names().unwrap_or_default();
    let names = || names.iter().map(String::as_str);
    match display::suggest(name, names()) {
        Some(meant) => finding.with_span(site, format!("did you mean `{meant}`?")),
        None => finding.with_span(site, "").hint(format!(
            "available templates: {}",
            display::list(names(), "and")
        )),
    }
}
