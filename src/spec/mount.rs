//! `[[mount]]`: what sessions of a jail see mounted in it.

use std::path::PathBuf;

use super::constraint::Violation;
use super::display::list;
use super::findings::Findings;
use super::limits::size;
use super::lower::{PartialSpec, sited, typed};
use super::path_rules;
use super::typed_table::Table;
use crate::error::Finding;
use crate::names::JailPath;
use crate::span::{Span, Spanned};

/// `[[mount]]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MountSpec {
    /// The table's header.
    pub site: Span,
    /// `source`.
    pub source: MountSource,
    /// `target`.
    pub target: Spanned<JailPath>,
    /// `options`, each one that [`option`] accepts, and the defaults of those not named: of each
    /// pair of opposites there is one.
    pub options: Vec<String>,
}

/// What is mounted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MountSource {
    /// A directory of the host.
    Host(Spanned<PathBuf>),
    /// `tmpfs`: memory.
    Tmpfs,
    /// `proc`: the session's processes.
    Proc,
    /// `sysfs`: the kernel's devices.
    Sys,
}

/// What is no directory of the host, under the names of fstab(5), with where it belongs if that is one place.
const KINDS: [(&str, MountSource, Option<&str>); 3] = [
    ("tmpfs", MountSource::Tmpfs, None),
    ("proc", MountSource::Proc, Some("/proc")),
    ("sysfs", MountSource::Sys, Some("/sys")),
];

/// Options that hold or do not: the default first, then its opposite, which a spec has to name, as
/// with mount(8).
const OPTIONS: [(&str, &str); 4] = [
    ("ro", "rw"),
    ("nosuid", "suid"),
    ("nodev", "dev"),
    ("noexec", "exec"),
];

/// Where a session has a tmpfs unless a `[[mount]]` says otherwise. Those below `/dev` and what the kernel shows are no targets in any case.
const SESSION_ONLY: [&str; 1] = ["/tmp"];

/// Options of tmpfs(5) with a value.
const TMPFS_ONLY: [&str; 2] = ["size", "mode"];

impl MountSource {
    /// What `text` calls it; a path of the host if none of [`KINDS`].
    fn new(text: &str, site: &Span) -> Self {
        KINDS
            .into_iter()
            .find(|(name, _, _)| *name == text)
            .map_or_else(
                || Self::Host(sited(PathBuf::from(text), site)),
                |(_, kind, _)| kind,
            )
    }

    /// The one place where it belongs, if there is one.
    fn place(&self) -> Option<&'static str> {
        KINDS
            .into_iter()
            .find_map(|(_, kind, place)| place.filter(|_| kind == *self))
    }
}

/// Whether `text` is a source that is no path.
pub(crate) fn is_kind(text: &str) -> bool {
    KINDS.iter().any(|(name, _, _)| *name == text)
}

/// Whether something belongs at `text` that cannot be mounted elsewhere.
pub(crate) fn is_place(text: &str) -> bool {
    KINDS.iter().any(|(_, _, place)| *place == Some(text))
}

impl MountSpec {
    /// Whether the option of this name holds: one that is given, or a default whose opposite is not given.
    pub fn is(&self, option: &str) -> bool {
        self.options.iter().any(|given| given == option)
    }

    /// The value of the option of this name.
    pub fn value(&self, option: &str) -> Option<&str> {
        self.options
            .iter()
            .filter_map(|given| given.split_once('='))
            .find_map(|(name, value)| (name == option).then_some(value))
    }
}

/// A table of the merged tree.
pub(crate) fn build(table: &Table) -> Option<MountSpec> {
    if table.has_errors("options") {
        return None;
    }
    let (source, site) = table.text("source")?;
    let source = MountSource::new(source, site);
    let given = table.texts("options").iter().map(|(text, _)| text.clone());
    let mut options: Vec<String> = given.collect();
    let writable = matches!(source, MountSource::Tmpfs | MountSource::Proc);
    for (default, other) in OPTIONS {
        if options
            .iter()
            .all(|given| given != default && given != other)
        {
            let is_writable = default == "ro" && writable;
            options.push(if is_writable { other } else { default }.to_owned());
        }
    }
    Some(MountSpec {
        site: table.site.clone(),
        source,
        target: typed(table, "target", JailPath::new)?,
        options,
    })
}

/// Adds what is wrong among the mounts, and between them and the rest, to `findings`.
pub(crate) fn check(
    mounts: &[MountSpec],
    has_pid: bool,
    parts: &PartialSpec,
    findings: &mut Findings,
) {
    for (index, mount) in mounts.iter().enumerate() {
        if findings.is_full() {
            return;
        }
        let path = &mount.target.value;
        if mounts[..index]
            .iter()
            .any(|other| other.target.value == *path)
        {
            findings.add(
                Finding::new(format!("`{path}` is mounted on twice"))
                    .with_span(&mount.target.site, ""),
            );
        }
        user_paths(mount, parts, findings);
        covered(index, mounts, findings);
        options(mount, findings);
        place(mount, has_pid, findings);
        if let MountSource::Host(source) = &mount.source
            && parts
                .roots()
                .iter()
                .any(|root| root.starts_with(&source.value) || source.value.starts_with(root))
        {
            findings.add(
                Finding::new(format!(
                    "`{}` cannot be shown in the jail",
                    source.value.display()
                ))
                .why("it holds the jail's root, or lies in it")
                .with_span(&source.site, ""),
            );
        }
    }
}

/// A directory in which others than root make names is no place to mount in, or over: they could move the directory that is mounted on, and from then on
/// no session would begin (CVE-2018-6954, CVE-2021-30465).
fn user_paths(mount: &MountSpec, parts: &PartialSpec, findings: &mut Findings) {
    let path = &mount.target.value;
    let lies_in = |outer: &JailPath| path_rules::within(path.as_str(), &[outer.as_str()]).is_some();
    let holds = |inner: &JailPath| path_rules::within(inner.as_str(), &[path.as_str()]).is_some();
    let mut refuse = |why: String, hint: &str| {
        findings.add(
            Finding::new(format!("`{path}` cannot be mounted on"))
                .why(why)
                .with_span(&mount.target.site, "a place that is root's is wanted")
                .hint(hint),
        );
    };
    for user in &parts.users {
        let home = &user.home.value;
        if lies_in(home) || holds(home) {
            refuse(
                format!("it is, holds or lies in the home of `{}`", user.name.value),
                "mount it beside the home, and put a link into the home",
            );
        }
    }
    for dir in &parts.dirs {
        let place = &dir.path.value;
        if let Some(owner) = &dir.owner
            && (lies_in(place) || holds(place))
        {
            refuse(
                format!(
                    "it is, holds or lies in `{place}`, a directory of `{}`",
                    owner.value
                ),
                "mount it beside that directory; what is mounted on is made without a `[[dir]]`",
            );
        }
    }
}

/// A mount in another one: the outer one comes first, and has the directory that the inner one is mounted on, which a file system in memory has not.
fn covered(index: usize, mounts: &[MountSpec], findings: &mut Findings) {
    let mount = &mounts[index];
    let path = &mount.target.value;
    let lies_in = |outer: &str| {
        path.as_str() != outer && path_rules::within(path.as_str(), &[outer]).is_some()
    };
    let refused =
        || Finding::new(format!("`{path}` cannot be mounted on")).with_span(&mount.target.site, "");
    if let Some(outer) = mounts[index..]
        .iter()
        .find(|outer| lies_in(outer.target.value.as_str()))
    {
        findings.add(
            refused()
                .why(format!(
                    "what is mounted on `{}` after it would cover it",
                    outer.target.value
                ))
                .hint("move this `[[mount]]` below that one"),
        );
        return;
    }
    let is_own = |outer: &str| {
        mounts
            .iter()
            .all(|mount| mount.target.value.as_str() != outer)
    };
    let outer = mounts[..index]
        .iter()
        .filter(|outer| !matches!(outer.source, MountSource::Host(_)))
        .map(|outer| outer.target.value.as_str())
        .chain(SESSION_ONLY.into_iter().filter(|outer| is_own(outer)))
        .find(|outer| lies_in(outer));
    if let Some(outer) = outer {
        findings.add(
            refused()
                .why(format!("each session has a file system of its own at `{outer}`, in which there is no such directory"))
                .hint("choose a place of its own, as `/www`"),
        );
    }
}

fn options(mount: &MountSpec, findings: &mut Findings) {
    for (one, other) in OPTIONS {
        if mount.is(one) && mount.is(other) {
            findings.add(
                Finding::new(format!("`{one}` and `{other}` cannot both be"))
                    .with_span(&mount.site, "in this `[[mount]]`"),
            );
        }
    }
    for name in TMPFS_ONLY {
        let given = mount.options.iter().filter_map(|one| one.split_once('='));
        if given.filter(|(given, _)| *given == name).count() > 1 {
            findings.add(
                Finding::new(format!("`{name}=` is given twice"))
                    .with_span(&mount.site, "in this `[[mount]]`"),
            );
        }
        if mount.value(name).is_some() && mount.source != MountSource::Tmpfs {
            findings.add(
                Finding::new(format!("`{name}=` is an option of tmpfs"))
                    .with_span(&mount.site, "of another source"),
            );
        }
    }
    if mount.source == MountSource::Sys && mount.is("rw") {
        findings.add(
            Finding::new("`sysfs` cannot be `rw`")
                .why("what is written there changes the whole machine")
                .with_span(&mount.site, "in this `[[mount]]`"),
        );
    }
}

/// What the kernel shows belongs to one place, and nothing else does.
fn place(mount: &MountSpec, has_pid: bool, findings: &mut Findings) {
    let path = mount.target.value.as_str();
    match mount.source.place() {
        Some(place) if place != path => findings.add(
            Finding::new(format!("`{path}` is not the place for this"))
                .why(format!("programs look for it at `{place}` only"))
                .with_span(&mount.target.site, ""),
        ),
        None if is_place(path) => findings.add(
            Finding::new(format!("`{path}` covers what jailctl made"))
                .why("it is the kernel's place")
                .with_span(&mount.target.site, ""),
        ),
        _ => {}
    }
    if mount.source == MountSource::Proc && !has_pid {
        findings.add(
            Finding::new("`proc` would show the host's processes")
                .why("`namespaces.pid` is false, so sessions have none of their own")
                .with_span(&mount.site, "in this `[[mount]]`"),
        );
    }
}

/// Whether `text` is an option of a `[[mount]]`.
pub(crate) fn option(text: &str) -> Result<(), Violation> {
    let known = || OPTIONS.iter().flat_map(|(one, other)| [*one, *other]);
    if known().any(|option| option == text) {
        return Ok(());
    }
    match text.split_once('=') {
        Some(("size", value)) if is_share(value) => Ok(()),
        Some(("size", value)) => size(value).map(drop),
        Some(("mode", value)) if is_mode(value) => Ok(()),
        Some(("mode", _)) => Err(Violation::form("is not three or four octal digits")),
        _ => Err(Violation::form(format!(
            "is none of {}",
            list(known().chain(["size=", "mode="]), "and")
        ))),
    }
}

/// A share of the machine's memory: `1%` to `100%`.
fn is_share(text: &str) -> bool {
    let number = text.strip_suffix('%').map(str::parse::<u8>);
    matches!(number, Some(Ok(1..=100))) && !text.starts_with('+')
}

fn is_mode(text: &str) -> bool {
    (3..=4).contains(&text.len())
        && text.bytes().all(|byte| (b'0'..=b'7').contains(&byte))
        && (text.len() == 3 || text.starts_with(['0', '1']))
}
