//! Requested programs with their closure: `elf` computes it, and this file adds it to the tree.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::reachable;
use super::tree::{Content, Entry, EntryKind, Reason, Tree, USR_MERGE_LINKS, merged};
use crate::elf::{self, ObjectKind};
use crate::error::{Error, ErrorKind, Finding, Result};
use crate::host::{FileKind, HostView};
use crate::names::JailPath;
use crate::span::{Span, Spanned};
use crate::spec::display::quote;
use crate::spec::{Dlopen, Spec};

/// A program or object that the jail is to have.
#[derive(Clone, Debug)]
pub(super) struct RequestedObject {
    /// Path of the object on the host.
    pub path: PathBuf,
    /// Reason why the jail needs it.
    pub why: Reason,
    /// Span of the value in the spec that names it, if one does.
    pub span: Option<Span>,
    /// Whether the file itself is in the tree already, and only its closure is missing.
    pub is_placed: bool,
}

/// Finds a program that `key` (`binaries` or `optional`) names, by name in the directories of
/// `$PATH` or by path. The inner error is a finding about it.
pub(super) fn locate(
    view: &HostView,
    key: &str,
    binary: &Spanned<String>,
) -> Result<std::result::Result<RequestedObject, Finding>> {
    let name = &binary.value;
    let by_path = name.starts_with('/');
    let path = if by_path {
        Some(PathBuf::from(name))
    } else {
        view.which(name)?
    };
    let found = match &path {
        Some(path) => view.stat(path)?,
        None => None,
    };
    let refuse = |why: &str, hint: &str| {
        Finding::new(format!(
            "could not take the program `{}` into the jail",
            name.escape_debug()
        ))
        .why(why.to_owned())
        .hint(hint.to_owned())
        .with_span(&binary.span, "")
    };
    let (Some(path), Some(stat)) = (path, found) else {
        let why = if by_path {
            "there is no such file on the host"
        } else {
            "the host has no program of that name"
        };
        return Ok(Err(refuse(
            why,
            "install the package that has it, or move it to `optional`",
        )));
    };
    if stat.kind() != FileKind::File {
        return Ok(Err(refuse("it is not a regular file", "name a program")));
    }
    if stat.mode & 0o111 == 0 {
        return Ok(Err(refuse(
            "it is not executable",
            "name a program; use `[[file]]` for other files",
        )));
    }
    if stat.mode & 0o4000 != 0 {
        return Ok(Err(refuse(
            "it is setuid: a jail has no setuid programs, and without that bit it would not work",
            "leave it out, and run it outside of the jail",
        )));
    }
    let why = Reason::Spec {
        place: binary.span.to_string(),
        says: format!("{key}: {name}"),
    };
    Ok(Ok(RequestedObject {
        path,
        why,
        span: Some(binary.span.clone()),
        is_placed: false,
    }))
}

/// Options of the closure of a jail's programs.
fn options(dlopen: Dlopen) -> elf::Options {
    let mut libraries = elf::implicit::nss_modules(super::base_files::NSSWITCH, &[]);
    libraries.extend(elf::implicit::loaded_by_glibc());
    elf::Options {
        libraries,
        dlopen: match dlopen {
            Dlopen::None => None,
            Dlopen::Required => Some(elf::Priority::Required),
            Dlopen::Recommended => Some(elf::Priority::Recommended),
            Dlopen::Suggested => Some(elf::Priority::Suggested),
        },
        ..elf::Options::default()
    }
}

/// Finds the programs of `optional` that would start. Adds a notice for each that would not.
pub(super) fn locate_optional(
    view: &HostView,
    spec: &Spec,
    notices: &mut Vec<String>,
) -> Result<Vec<RequestedObject>> {
    let mut found = Vec::new();
    for binary in &spec.optional {
        let mut left_out =
            |why: &str| notices.push(format!("`{}` is left out: {why}", quote(&binary.value)));
        let requested = match locate(view, "optional", binary)? {
            Ok(requested) => requested,
            Err(finding) => {
                left_out(finding.why.as_deref().unwrap_or(&finding.what));
                continue;
            }
        };
        // One by one, since a missing object in a closure of many programs cannot always be
        // attributed to one of them.
        let closure = elf::closure(
            view,
            std::slice::from_ref(&requested.path),
            &options(spec.dlopen),
        )?;
        match closure.missing.iter().find(|absent| absent.fatal) {
            None => found.push(requested),
            Some(absent) => left_out(&format!(
                "it needs `{}`, which the host lacks",
                quote(&absent.name.to_string_lossy())
            )),
        }
    }
    Ok(found)
}

/// Adds a notice about programs in a jail whose ways in run none: one was probably forgotten.
pub(super) fn notice_idle(spec: &Spec, notices: &mut Vec<String>) {
    let programs = spec.binaries.iter().chain(&spec.optional);
    if let Some(first) = programs.clone().next()
        && !spec.runs_programs()
    {
        let others = match programs.count() - 1 {
            0 => String::new(),
            others => format!(" and {others} more"),
        };
        notices.push(format!(
            "no user can run `{}`{others}: the jail does not allow `shell`",
            quote(&first.value)
        ));
    }
}

/// Adds the objects of `requested` with their closure. Returns the programs that need `/proc` to
/// find their libraries.
///
/// # Errors
/// [`ErrorKind::LibraryNotFound`] with all objects that are missing, if a program would not start
/// without them; [`ErrorKind::Failed`] if the host cannot be read.
pub(super) fn add(
    tree: &mut Tree,
    view: &HostView,
    requested: &[RequestedObject],
    dlopen: Dlopen,
    findings: &mut Vec<Finding>,
    notices: &mut Vec<String>,
) -> Result<Vec<JailPath>> {
    let mut by_path: BTreeMap<&Path, &RequestedObject> = BTreeMap::new();
    for one in requested {
        by_path.entry(&one.path).or_insert(one);
    }
    let paths: Vec<PathBuf> = by_path.keys().map(|path| path.to_path_buf()).collect();
    let closure = elf::closure(view, &paths, &options(dlopen))?;
    report_missing(&closure, &by_path, notices)?;
    let ends = link_targets(view, &by_path, &closure)?;
    for (path, object) in &closure.objects {
        let requested = by_path.get(path.as_path());
        if requested.is_some_and(|requested| requested.is_placed) || is_merged_link(path) {
            continue;
        }
        // Files below /usr are for all users; a check of each would take time.
        if requested.is_none()
            && !path.starts_with("/usr")
            && let Some(why) = reachable::objection(view, path, object)?
        {
            let shown = path.display().to_string();
            findings.push(
                Finding::new(format!(
                    "could not add `{}` to the jail",
                    shown.escape_debug()
                ))
                .why(why),
            );
            continue;
        }
        let mut why: Vec<Reason> = requested
            .map(|requested| requested.why.clone())
            .into_iter()
            .collect();
        why.extend(ends.get(path).into_iter().flatten().cloned());
        why.extend(object.reasons.iter().filter_map(reason));
        if let Err(finding) = add_one(tree, path, object, why) {
            findings.push(finding);
        }
    }
    for directory in &closure.directories {
        if let Err(finding) = merged(directory).and_then(|at| {
            tree.add_default(
                at,
                Entry::directory(0o755, Reason::rule("directory on the path of a library")),
            )
        }) {
            findings.push(finding);
        }
    }
    let programs = closure.needs_proc.iter();
    Ok(programs.filter_map(|path| merged(path).ok()).collect())
}

/// The targets of requested links, with their reasons: the spec requests the first link, and the
/// target is a dependency of the link.
fn link_targets(
    view: &HostView,
    by_path: &BTreeMap<&Path, &RequestedObject>,
    closure: &elf::Closure,
) -> Result<BTreeMap<PathBuf, Vec<Reason>>> {
    let mut ends: BTreeMap<PathBuf, Vec<Reason>> = BTreeMap::new();
    for (path, requested) in by_path {
        let object = closure.objects.get(*path);
        if object.is_some_and(|object| !matches!(object.kind, ObjectKind::Link { .. })) {
            continue;
        }
        let Some(resolved) = view.resolve_links(path)? else {
            continue;
        };
        let mut links = resolved.links.into_iter().map(|(link, _)| link);
        let why = match links.find(|link| !is_merged_link(link)) {
            None => requested.why.clone(),
            Some(link) => {
                let why = needed(&link, "where that link leads");
                if link != **path {
                    ends.entry(link).or_default().push(requested.why.clone());
                }
                why
            }
        };
        ends.entry(resolved.real).or_default().push(why);
    }
    Ok(ends)
}

/// Reports missing objects: an error if a program would not start without one, a notice otherwise.
fn report_missing(
    closure: &elf::Closure,
    by_path: &BTreeMap<&Path, &RequestedObject>,
    notices: &mut Vec<String>,
) -> Result<()> {
    let mut missing = Vec::new();
    for absent in &closure.missing {
        let why = absent
            .why
            .as_ref()
            .map(|why| format!(" ({why})"))
            .unwrap_or_default();
        let mut finding = Finding::new(format!(
            "could not find `{}`",
            absent.name.display().to_string().escape_debug()
        ))
        .why(format!("`{}` needs it{why}", absent.needed_by.display()))
        .hint("install the package that has it on the host");
        let requested = by_path.get(absent.needed_by.as_path());
        if let Some(span) = requested.and_then(|requested| requested.span.as_ref()) {
            finding = finding.with_span(span, "needed by this");
        }
        if absent.fatal && requested.is_none_or(|requested| !requested.is_placed) {
            missing.push(finding);
        } else {
            notices.push(finding.to_string());
        }
    }
    if missing.is_empty() {
        Ok(())
    } else {
        Err(Error {
            kind: ErrorKind::LibraryNotFound,
            findings: missing,
        })
    }
}

/// A reason of the closure as the manifest records it; `None` for an object that was requested,
/// which has the caller's reason.
fn reason(reason: &elf::Reason) -> Option<Reason> {
    Some(match reason {
        elf::Reason::Named => return None,
        elf::Reason::Needed { by, name } => needed(by, &name.to_string_lossy()),
        elf::Reason::Interpreter { of } => needed(of, "its interpreter"),
        elf::Reason::Env { of } => needed(of, "the program that env starts for it"),
        elf::Reason::SymlinkTo { to } => needed(to, "a link on the way to it"),
        elf::Reason::Dlopen { by, feature, .. } => needed(
            by,
            &format!(
                "loaded for {}",
                feature.as_deref().unwrap_or("a feature of it")
            ),
        ),
        elf::Reason::Implicit { why } => Reason::rule(why),
    })
}

/// The reason of an object that `by` needs under `name`.
fn needed(by: &Path, name: &str) -> Reason {
    Reason::Dependency {
        by: merged(by).map_or_else(|_| by.display().to_string(), |path| path.to_string()),
        name: name.to_owned(),
    }
}

/// Adds one object of a closure.
fn add_one(
    tree: &mut Tree,
    path: &Path,
    object: &elf::Object,
    why: Vec<Reason>,
) -> std::result::Result<(), Finding> {
    let (at, entry) = match &object.kind {
        ObjectKind::Link { target } => link(path, target, why)?,
        ObjectKind::Elf | ObjectKind::Script | ObjectKind::File => {
            let at = merged(path)?;
            let entry = Entry::host_file(path.to_owned(), object.stat.clone(), why);
            (at, entry)
        }
    };
    tree.add(at, entry)
}

/// The host's link at `path` as an entry of a jail, with its path there.
pub(super) fn link(
    path: &Path,
    target: &Path,
    why: Vec<Reason>,
) -> std::result::Result<(JailPath, Entry), Finding> {
    let at = merged(path)?;
    // On a host without merged /usr, a relative target can be relative to a directory at another
    // depth than in the jail.
    let leads = merged(&absolute(path, target))?;
    let as_it_is = at.link_target(target).ok();
    let text = if as_it_is
        .as_ref()
        .and_then(|to| merged(Path::new(to.as_str())).ok())
        .as_ref()
        == Some(&leads)
    {
        target.to_owned()
    } else {
        PathBuf::from(leads.as_str())
    };
    Ok((at, Entry::symlink(text, why)))
}

/// The path on the host that a link at `path` with this target names. Links above it are not
/// followed.
fn absolute(path: &Path, target: &Path) -> PathBuf {
    let mut whole = if target.is_absolute() {
        PathBuf::from("/")
    } else {
        path.parent().unwrap_or(Path::new("/")).to_owned()
    };
    for component in target.components() {
        match component {
            std::path::Component::ParentDir => {
                whole.pop();
            }
            std::path::Component::Normal(part) => whole.push(part),
            _ => {}
        }
    }
    whole
}

/// Whether the path is one of the links of a merged /usr, [`USR_MERGE_LINKS`], which every tree
/// has.
pub(super) fn is_merged_link(path: &Path) -> bool {
    path.parent() == Some(Path::new("/"))
        && path
            .file_name()
            .and_then(|name| name.to_str())
            .is_some_and(|name| USR_MERGE_LINKS.contains(&name))
}

/// Verifies that every requested program of a tree finds all that it needs to start in `inside`,
/// the tree as it would be live. An object that is missing on the host too is ignored: it was
/// reported when the tree was resolved.
///
/// # Errors
/// [`ErrorKind::LibraryNotFound`] with all missing objects; [`ErrorKind::Failed`] if the tree or
/// the host cannot be read.
pub fn verify_closure(tree: &Tree, inside: &HostView, host: &HostView) -> Result<()> {
    let by_itself =
        |why: &Reason| !matches!(why, Reason::Dependency { .. } | Reason::ParentDir { .. });
    let roots: Vec<PathBuf> = tree
        .iter()
        .filter(|(_, entry)| {
            matches!(entry.kind, EntryKind::File(_))
                && entry.owner.mode & 0o111 != 0
                && entry.why.iter().any(by_itself)
        })
        .map(|(path, _)| PathBuf::from(path.as_str()))
        .collect();
    let options = elf::Options {
        dlopen: None,
        ..elf::Options::default()
    };
    let closure = elf::closure(inside, &roots, &options)?;
    let mut missing = Vec::new();
    for absent in closure.missing.iter().filter(|absent| absent.fatal) {
        let place = absent
            .needed_by
            .to_str()
            .and_then(|path| JailPath::new(path).ok());
        let source = place.and_then(|path| match &tree.get(&path)?.kind {
            EntryKind::File(Content::Host { source, .. }) => Some(source.clone()),
            _ => None,
        });
        let there = match source {
            Some(source) => elf::closure(host, &[source], &options)?.missing,
            None => Vec::new(),
        };
        if there.iter().all(|other| other.name != absent.name) {
            missing.push(absent);
        }
    }
    let findings: Vec<Finding> = missing
        .into_iter()
        .map(|absent| {
            Finding::new(format!(
                "`{}` would not start in the new tree",
                absent.needed_by.display().to_string().escape_debug()
            ))
            .why(format!(
                "it would not find `{}` there",
                absent.name.to_string_lossy().escape_debug()
            ))
            .hint("nothing of the new tree was made live")
        })
        .collect();
    if findings.is_empty() {
        return Ok(());
    }
    Err(Error {
        kind: ErrorKind::LibraryNotFound,
        findings,
    })
}
