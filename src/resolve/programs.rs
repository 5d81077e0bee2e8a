//! The programs that were asked for, and all that they need: `elf` finds it, this file gives it a place in the tree.

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
use crate::spec::{AccessMethod, Dlopen, Spec};

/// A program or object that the jail is to have.
#[derive(Clone, Debug)]
pub(super) struct RequestedObject {
    /// Its path on the host.
    pub path: PathBuf,
    /// Why.
    pub why: Reason,
    /// Where it was asked for.
    pub site: Option<Span>,
    /// Whether the file itself is in the tree already, and only what it needs is missing.
    pub is_placed: bool,
}

/// Finds a program that `key` (`binaries` or `optional`) names, by name or by path.
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
        .with_span(&binary.site, "")
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
            "name a program; other files come with `[[file]]`",
        )));
    }
    if stat.mode & 0o4000 != 0 {
        return Ok(Err(refuse(
            "it is setuid: a jail never holds one, and without that bit it would not work",
            "leave it out; what it does as root has to be done outside the jail",
        )));
    }
    let why = Reason::Spec {
        place: binary.site.to_string(),
        says: format!("{key}: {name}"),
    };
    Ok(Ok(RequestedObject {
        path,
        why,
        site: Some(binary.site.clone()),
        is_placed: false,
    }))
}

/// What a closure of a jail's programs takes along.
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

/// The programs of `optional` that can be had. Which cannot, and why, is a notice each.
pub(super) fn locate_optional(
    view: &HostView,
    spec: &Spec,
    notices: &mut Vec<String>,
) -> Result<Vec<RequestedObject>> {
    let mut found = Vec::new();
    for binary in &spec.optional {
        let mut left_out =
            |why: &str| notices.push(format!("`{}` is left out: {why}", quote(&binary.value)));
        let asked = match locate(view, "optional", binary)? {
            Ok(asked) => asked,
            Err(finding) => {
                left_out(finding.why.as_deref().unwrap_or(&finding.what));
                continue;
            }
        };
        // By itself, since what is missing in a closure of many cannot always be laid to one of them.
        let closure = elf::closure(
            view,
            std::slice::from_ref(&asked.path),
            &options(spec.dlopen),
        )?;
        match closure.missing.iter().find(|lack| lack.fatal) {
            None => found.push(asked),
            Some(lack) => left_out(&format!(
                "it needs `{}`, which the host lacks",
                quote(&lack.name.to_string_lossy())
            )),
        }
    }
    Ok(found)
}

/// Adds a notice about programs in a jail that does not allow `shell`: the way in was probably
/// forgotten.
pub(super) fn notice_idle(spec: &Spec, notices: &mut Vec<String>) {
    let programs = spec.binaries.iter().chain(&spec.optional);
    if let Some(first) = programs.clone().next()
        && !spec.doors.value.contains(&AccessMethod::Shell)
    {
        let others = match programs.count() - 1 {
            0 => String::new(),
            others => format!(" and {others} more"),
        };
        notices.push(format!(
            "`{}`{others} cannot be run by anybody: `shell` is no door of the jail",
            quote(&first.value)
        ));
    }
}

/// Adds what was asked for, with its closure, and gives the programs that need /proc to find it. An object that is found nowhere is an error of its own
/// kind, for all of them at once.
pub(super) fn add(
    tree: &mut Tree,
    view: &HostView,
    asked: &[RequestedObject],
    dlopen: Dlopen,
    findings: &mut Vec<Finding>,
    notices: &mut Vec<String>,
) -> Result<Vec<JailPath>> {
    let mut by_path: BTreeMap<&Path, &RequestedObject> = BTreeMap::new();
    for one in asked {
        by_path.entry(&one.path).or_insert(one);
    }
    let paths: Vec<PathBuf> = by_path.keys().map(|path| path.to_path_buf()).collect();
    let closure = elf::closure(view, &paths, &options(dlopen))?;
    report_missing(&closure, &by_path, notices)?;
    let ends = link_targets(view, &by_path, &closure)?;
    for (path, object) in &closure.objects {
        let asked = by_path.get(path.as_path());
        if asked.is_some_and(|asked| asked.is_placed) || is_merged_link(path) {
            continue;
        }
        // What lies below /usr is for everybody; to look at each file of it would take its time.
        if asked.is_none()
            && !path.starts_with("/usr")
            && let Some(why) = reachable::objection(view, path, object)?
        {
            let shown = path.display().to_string();
            findings.push(
                Finding::new(format!(
                    "could not take `{}` into the jail",
                    shown.escape_debug()
                ))
                .why(why),
            );
            continue;
        }
        let mut why: Vec<Reason> = asked.map(|asked| asked.why.clone()).into_iter().collect();
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
                Entry::directory(0o755, Reason::rule("a way to a library leads through it")),
            )
        }) {
            findings.push(finding);
        }
    }
    let programs = closure.needs_proc.iter();
    Ok(programs.filter_map(|path| merged(path).ok()).collect())
}

/// Where what was asked for ends, if links lead there, and why that is wanted: the first link is what was asked for, and the file follows from it.
fn link_targets(
    view: &HostView,
    by_path: &BTreeMap<&Path, &RequestedObject>,
    closure: &elf::Closure,
) -> Result<BTreeMap<PathBuf, Vec<Reason>>> {
    let mut ends: BTreeMap<PathBuf, Vec<Reason>> = BTreeMap::new();
    for (path, asked) in by_path {
        let object = closure.objects.get(*path);
        if object.is_some_and(|object| !matches!(object.kind, ObjectKind::Link { .. })) {
            continue;
        }
        let Some(passage) = view.resolve_links(path)? else {
            continue;
        };
        let mut links = passage.links.into_iter().map(|(link, _)| link);
        let why = match links.find(|link| !is_merged_link(link)) {
            None => asked.why.clone(),
            Some(link) => {
                let why = needed(&link, "where that link leads");
                if link != **path {
                    ends.entry(link).or_default().push(asked.why.clone());
                }
                why
            }
        };
        ends.entry(passage.real).or_default().push(why);
    }
    Ok(ends)
}

/// What is missing is an error where a program would not start without it, and a notice otherwise.
fn report_missing(
    closure: &elf::Closure,
    by_path: &BTreeMap<&Path, &RequestedObject>,
    notices: &mut Vec<String>,
) -> Result<()> {
    let mut missing = Vec::new();
    for lack in &closure.missing {
        let why = lack
            .why
            .as_ref()
            .map(|why| format!(" ({why})"))
            .unwrap_or_default();
        let mut finding = Finding::new(format!(
            "could not find `{}`",
            lack.name.display().to_string().escape_debug()
        ))
        .why(format!("`{}` needs it{why}", lack.needed_by.display()))
        .hint("install the package that has it on the host");
        let asked = by_path.get(lack.needed_by.as_path());
        if let Some(site) = asked.and_then(|asked| asked.site.as_ref()) {
            finding = finding.with_span(site, "needed by this");
        }
        if lack.fatal && asked.is_none_or(|asked| !asked.is_placed) {
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

/// A reason of the closure as the manifest keeps it; `None` where the caller's own reason says it already.
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

fn needed(by: &Path, name: &str) -> Reason {
    Reason::Dependency {
        by: merged(by).map_or_else(|_| by.display().to_string(), |path| path.to_string()),
        name: name.to_owned(),
    }
}

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

/// The host's link at `path` as it is in a jail, and its place there.
pub(super) fn link(
    path: &Path,
    target: &Path,
    why: Vec<Reason>,
) -> std::result::Result<(JailPath, Entry), Finding> {
    let at = merged(path)?;
    // Where the host's /usr is not merged, a relative text can count its directories from another depth than ours.
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

/// Where a link at `path` with this text leads on the host, links on the way not followed.
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

/// Whether the path is one of those links into /usr that every tree gets anyway.
pub(super) fn is_merged_link(path: &Path) -> bool {
    path.parent() == Some(Path::new("/"))
        && path
            .file_name()
            .and_then(|name| name.to_str())
            .is_some_and(|name| USR_MERGE_LINKS.contains(&name))
}

/// Proves that a tree holds together: that every program of it that was asked for by itself finds all it needs to start in `inside`, the tree as it
/// would be live. What starts no more on the host, where it comes from, is not held against the tree: that was said when it was resolved.
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
    let mut lacks = Vec::new();
    for lack in closure.missing.iter().filter(|lack| lack.fatal) {
        let place = lack
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
        if there.iter().all(|other| other.name != lack.name) {
            lacks.push(lack);
        }
    }
    let findings: Vec<Finding> = lacks
        .into_iter()
        .map(|lack| {
            Finding::new(format!(
                "`{}` would not start in the new tree",
                lack.needed_by.display().to_string().escape_debug()
            ))
            .why(format!(
                "it would not find `{}` there",
                lack.name.to_string_lossy().escape_debug()
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
