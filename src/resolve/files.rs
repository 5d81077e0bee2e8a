//! Files and directories that the spec names: `[[file]]`, `[[dir]]`, homes and their skeletons.

use std::path::{Path, PathBuf};

use super::programs::RequestedObject;
use super::tree::{Content, Entry, EntryKind, Reason, Tree};
use super::types::ResolvedAccounts;
use crate::error::{Error, ErrorKind, Finding, Result};
use crate::host::{Control, FileKind, HostView, Lookup, Ownership, Stat, TreeEntry, skeleton};
use crate::names::JailPath;
use crate::span::Span;
use crate::spec::{FileBody, FileSpec, Spec, path_rules};

/// Adds every `[[file]]`. Programs and shared objects among them are added to `requested`, for
/// their closure.
pub(super) fn add_files(
    tree: &mut Tree,
    view: &HostView,
    spec: &Spec,
    requested: &mut Vec<RequestedObject>,
    findings: &mut Vec<Finding>,
) {
    for file in &spec.files {
        let place = |says: String| Reason::Spec {
            place: file.target.span.to_string(),
            says,
        };
        let added = match &file.body {
            FileBody::Content(text) => {
                let mode = file.mode.as_ref().map_or(0o644, |mode| mode.value);
                let entry = Entry::text(
                    text.value.clone(),
                    mode,
                    place(format!("file: {}", file.target.value)),
                );
                tree.add(file.target.value.clone(), entry)
                    .map_err(Error::from)
            }
            FileBody::Source(source) => {
                let why = place(format!("file: {}", source.value.display()));
                add_source(
                    tree,
                    view,
                    file,
                    &source.value,
                    &source.span,
                    &why,
                    requested,
                )
            }
        };
        if let Err(error) = added {
            for finding in error.findings {
                findings.push(if finding.span.is_some() {
                    finding
                } else {
                    finding.with_span(&file.span, "required here")
                });
            }
        }
    }
}

/// Adds the file or tree of the host at `source`, with its reason `why`.
fn add_source(
    tree: &mut Tree,
    view: &HostView,
    file: &FileSpec,
    source: &Path,
    span: &Span,
    why: &Reason,
    requested: &mut Vec<RequestedObject>,
) -> Result<()> {
    let refuse = |path: &Path, reason: &str| {
        Error::new(
            ErrorKind::Spec,
            Finding::new(format!(
                "could not add `{}` to the jail",
                path.display().to_string().escape_debug()
            ))
            .why(reason.to_owned())
            .with_span(span, "required here"),
        )
    };
    let located = match view.locate(source)? {
        Lookup::Found(located) => located,
        Lookup::Missing => return Err(refuse(source, "there is no such file on the host")),
        Lookup::Refused { at, writer } => {
            let mut error = refuse(source, &Lookup::refusal(&at, &writer));
            for finding in &mut error.findings {
                finding.hints.push(
                    "name the file itself, in directories that only root can write to".to_owned(),
                );
            }
            return Err(error);
        }
    };
    let stat = &located.stat;
    // The path of the spec was checked; targets of links and entries of trees are known only here.
    let copyable = |path: &Path| {
        path_rules::copyable(path)
            .map_err(|objection| refuse(path, &format!("it {}", objection.why)))
    };
    copyable(&located.real)?;
    let mode = file.mode.as_ref().map(|mode| mode.value);
    let allowed = |path: &Path, stat: &Stat, control: Control| {
        if let Some(why) = control.objection(stat) {
            return Err(refuse(path, &why));
        }
        match mode {
            Some(mode) if stat.kind() == FileKind::File && control.opens(stat, mode) => {
                let why = format!(
                    "`mode` would let users read it who may not on the host (mode {:04o}), and it is not root-owned in directories that only root can write to",
                    stat.permissions()
                );
                Err(refuse(path, &why))
            }
            _ => Ok(()),
        }
    };
    allowed(&located.real, stat, located.control)?;
    let target = &path_rules::merged(&file.target.value);
    match stat.kind() {
        FileKind::File => {
            add_file(
                tree,
                &located.real,
                stat,
                target.clone(),
                mode,
                why,
                requested,
            )?;
        }
        FileKind::Directory => {
            let owner = stat.uid;
            tree.add(
                target.clone(),
                Entry::directory(stat.mode & 0o755 | 0o500, why.clone()),
            )?;
            for entry in view.tree(&located)? {
                let TreeEntry {
                    path,
                    stat,
                    control,
                    target: text,
                } = entry;
                let below = path.strip_prefix(&located.real).unwrap_or(&path);
                let Some(below) = below.to_str() else {
                    return Err(refuse(&path, "its name is not UTF-8"));
                };
                copyable(&path)?;
                let at = JailPath::new(&format!("{}/{below}", target.as_str()))
                    .map_err(|why| refuse(&path, &format!("its path {why}")))?;
                let at = path_rules::merged(&at);
                path_rules::target(&at).map_err(|objection| {
                    refuse(&path, &format!("its path `{at}` {}", objection.why))
                })?;
                match stat.kind() {
                    FileKind::Directory => {
                        allowed(&path, &stat, control)?;
                        tree.add(at, Entry::directory(stat.mode & 0o755 | 0o500, why.clone()))?;
                    }
                    FileKind::Symlink => {
                        let text = text.unwrap_or_default();
                        tree.add(at, Entry::symlink(text, vec![why.clone()]))?;
                    }
                    FileKind::File => {
                        // Another user put the file into the tree, and its owner may not read it
                        // either.
                        if stat.uid != owner && stat.mode & 0o004 == 0 {
                            return Err(refuse(
                                &path,
                                "it is neither owned by the owner of the tree nor world-readable",
                            ));
                        }
                        allowed(&path, &stat, control)?;
                        add_file(tree, &path, &stat, at, mode, why, requested)?;
                    }
                    FileKind::Special => {
                        return Err(refuse(&path, "it is a device, pipe or socket"));
                    }
                }
            }
        }
        FileKind::Symlink | FileKind::Special => {
            return Err(refuse(&located.real, "it is a device, pipe or socket"));
        }
    }
    Ok(())
}

/// Adds one file of the host, and requests its closure if it may be a program or shared object.
fn add_file(
    tree: &mut Tree,
    source: &Path,
    stat: &Stat,
    target: JailPath,
    mode: Option<u32>,
    why: &Reason,
    requested: &mut Vec<RequestedObject>,
) -> Result<()> {
    let mut entry = Entry::host_file(source.to_owned(), stat.clone(), vec![why.clone()]);
    if let Some(mode) = mode {
        entry.owner.mode = mode;
    }
    // Plug-ins and programs in a tree need their libraries as `binaries` do.
    let name = target.name();
    if stat.mode & 0o111 != 0 || name.contains(".so") {
        requested.push(RequestedObject {
            path: source.to_owned(),
            why: why.clone(),
            span: None,
            is_placed: true,
        });
    }
    Ok(tree.add(target, entry)?)
}

/// Adds `[[dir]]` and homes.
pub(super) fn add_user_dirs(
    tree: &mut Tree,
    spec: &Spec,
    resolved: &ResolvedAccounts,
    findings: &mut Vec<Finding>,
) {
    let accounts = &resolved.accounts;
    for dir in &spec.dirs {
        let why = Reason::Spec {
            place: dir.span.to_string(),
            says: format!("dir: {}", dir.path.value),
        };
        let owner = dir.owner.as_ref().and_then(|owner| {
            accounts
                .iter()
                .find(|account| account.name == owner.value.as_str())
        });
        let group = dir
            .group
            .as_ref()
            .and_then(|group| resolved.gid(&group.value));
        let owner = Ownership {
            uid: owner.map_or(0, |account| account.uid),
            gid: group.or(owner.map(|account| account.gid)).unwrap_or(0),
            mode: dir.mode,
        };
        let entry = match dir.writer() {
            Some(_) => Entry::place(owner, why),
            None => Entry {
                owner,
                ..Entry::directory(dir.mode, why)
            },
        };
        if let Err(finding) = tree.add(dir.path.value.clone(), entry) {
            findings.push(finding.with_span(&dir.span, "required here"));
        }
    }
    for (account, user) in accounts.iter().zip(&spec.users) {
        let why = Reason::Spec {
            place: user.span.to_string(),
            says: format!("user: {}", account.name),
        };
        let entry = Entry::place(
            Ownership {
                uid: account.uid,
                gid: account.gid,
                mode: 0o700,
            },
            why,
        );
        if let Err(finding) = tree.add(account.home.clone(), entry) {
            findings.push(finding.with_span(&user.home.span, "the home of this user"));
        }
    }
}

/// Adds `/tmp` with mode 1777.
pub(super) fn add_tmp(tree: &mut Tree) -> Result<()> {
    let tmp = JailPath::new("/tmp").map_err(|why| Error::failed(format!("`/tmp` {why}")))?;
    Ok(tree.add_default(
        tmp,
        Entry::place(Ownership::root(0o1777), Reason::rule("temporary files")),
    )?)
}

/// Checks `skel` of each user, before a home is created from it.
pub(super) fn check_skeletons(
    view: &HostView,
    spec: &Spec,
    findings: &mut Vec<Finding>,
) -> Result<()> {
    for user in &spec.users {
        let Some(skel) = &user.skel else { continue };
        let mut refuse = |path: &Path, reason: &str| {
            findings.push(
                Finding::new(format!(
                    "could not use the skeleton `{}`",
                    path.display().to_string().escape_debug()
                ))
                .why(reason.to_owned())
                .with_span(&skel.span, "required here"),
            );
        };
        let skeleton = match skeleton(view, &skel.value)? {
            Ok(skeleton) => skeleton,
            Err(why) => {
                refuse(&skel.value, &why);
                continue;
            }
        };
        for path in
            std::iter::once(&skeleton.real).chain(skeleton.entries.iter().map(|entry| &entry.path))
        {
            if let Err(objection) = path_rules::copyable(path) {
                refuse(path, &format!("it {}", objection.why));
            }
        }
        for (path, why) in &skeleton.objections {
            refuse(path, why);
        }
    }
    Ok(())
}

/// Skeleton directories for the homes of the spec's users: login name and path on the host.
pub(super) fn skeletons(spec: &Spec) -> Vec<(String, PathBuf)> {
    let users = spec.users.iter();
    users
        .filter_map(|user| {
            let skeleton = user.skel.as_ref()?;
            Some((user.name.value.as_str().to_owned(), skeleton.value.clone()))
        })
        .collect()
}

/// Checks that the start directory of sftp exists: sftp would start in the root without a message.
pub(super) fn check_start_dir(tree: &Tree, spec: &Spec, findings: &mut Vec<Finding>) {
    let Some(start) = &spec.sftp.start_dir else {
        return;
    };
    if !has_directory(tree, spec, &start.value) {
        findings.push(
            Finding::new(format!("the jail has no directory `{}`", start.value))
                .why("sftp starts there")
                .hint("create it with a `[[dir]]`, or name an existing one")
                .with_span(&start.span, ""),
        );
    }
}

/// Whether the jail has a directory, or may have it in a `[[mount]]`, whose content is that of the
/// host.
pub(super) fn has_directory(tree: &Tree, spec: &Spec, path: &JailPath) -> bool {
    let mut mounts = spec.session.iter().flat_map(|session| &session.mounts);
    let is_in = |target: &JailPath| Path::new(path.as_str()).starts_with(target.as_str());
    *path == JailPath::root()
        || tree
            .follow(path)
            .is_some_and(|(_, entry)| entry.kind == EntryKind::Directory)
        || mounts.any(|mount| is_in(&mount.target.value))
}

/// Returns a notice for each file that is setuid, setgid or sticky on the host: no file of a jail
/// has one of these bits.
pub(super) fn stripped_bits(tree: &Tree) -> Vec<String> {
    let bits = |mode: u32| {
        [(0o4000, "setuid"), (0o2000, "setgid"), (0o1000, "sticky")]
            .into_iter()
            .filter(move |(bit, _)| mode & bit != 0)
            .map(|(_, name)| name)
            .collect::<Vec<_>>()
            .join(" and ")
    };
    tree.iter()
        .filter_map(|(path, entry)| match &entry.kind {
            EntryKind::File(Content::Host { stat, .. }) if stat.mode & 0o7000 != 0 => {
                Some(format!(
                    "`{path}` loses its {} bit in the jail: no file of a jail has it",
                    bits(stat.mode)
                ))
            }
            _ => None,
        })
        .collect()
}
