//! Reads spec and template files. Files that users other than root and the caller can write are
//! refused.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::family::members;
use crate::error::{Error, ErrorKind, Finding, Result};
use crate::host::HostView;
use crate::layout::TEMPLATES_DIR;
use crate::plan::{self, Manifest};
use crate::span::SourceText;
use crate::spec::{self, BuiltIn, Password, Spec, Templates, User};

/// Number of bytes that are read of a spec: one more than accepted.
pub(crate) const LIMIT: u64 = spec::MAX as u64 + 1;
/// Suffix of template files.
const SUFFIX: &str = ".toml";

/// Reads and validates the spec at `path` of the running system, with the templates of `host`.
///
/// # Errors
/// [`ErrorKind::Spec`] if the spec is invalid, does not exist, or can be written by untrusted
/// users, who would become root by it.
pub(crate) fn load_spec(path: &Path, host: &HostView) -> Result<(Spec, Arc<SourceText>)> {
    let view = HostView::new(Path::new("/"))?;
    let absolute = std::path::absolute(path).map_err(|error| Error::io("find", path, &error))?;
    let file = TrustedFile {
        kind: "spec",
        shown: path,
    };
    let source = file.read(&view, &absolute)?.ok_or_else(|| {
        file.refuse("no such file")
            .hint("`jailctl init NAME` writes a starter spec")
    })?;
    let spec = spec::load(&source, &HostTemplates(host))?;
    Ok((spec, source))
}

/// Reads and validates the specs of one run. Refuses two specs of one name: the second would undo
/// the changes of the first, and delete its users.
///
/// # Errors
/// As [`load_spec`].
pub(crate) fn load_specs(
    paths: &[PathBuf],
    host: &HostView,
) -> Result<Vec<(Spec, Arc<SourceText>)>> {
    let mut specs: Vec<(Spec, Arc<SourceText>)> = Vec::new();
    for path in paths {
        let (spec, source) = load_spec(path, host)?;
        let name = &spec.name;
        let other = specs.iter().zip(paths);
        let mut other = other.filter(|((other, _), _)| other.name.value == name.value);
        if let Some((_, first)) = other.next() {
            return Err(
                Finding::new(format!("two specs for the jail `{}`", name.value))
                    .why(format!(
                        "`{}` and `{}` have the same name, and the second would undo the first",
                        first.display().to_string().escape_debug(),
                        path.display().to_string().escape_debug()
                    ))
                    .hint("pass only one of them, or give each a different `name`")
                    .with_span(&name.span, "this name")
                    .into(),
            );
        }
        specs.push((spec, source));
    }
    Ok(specs)
}

/// Refuses specs whose jail was built from another file: a copy in which `name` was not changed
/// would take over that jail, and delete the accounts that the copy does not name. Moved files, and
/// copies with the same text, are accepted.
///
/// # Errors
/// [`ErrorKind::Spec`] with a finding for each such spec.
pub(crate) fn refuse_other_files(
    paths: &[PathBuf],
    specs: &[(Spec, Arc<SourceText>)],
    host: &HostView,
) -> Result<()> {
    let running = HostView::new(Path::new("/"))?;
    let mut findings = Vec::new();
    for (path, (spec, source)) in paths.iter().zip(specs) {
        let here = std::path::absolute(path).map_err(|error| Error::io("find", path, &error))?;
        // All jails of a family are built from one file.
        let jails = if spec.is_family() {
            members(&spec.name.value, host)?
                .into_iter()
                .take(1)
                .collect()
        } else {
            vec![spec.name.value.clone()]
        };
        for name in jails {
            let Some(built_from) = Manifest::spec_of(host, &name)?.filter(|from| *from != here)
            else {
                continue;
            };
            let inode = |path: &Path| -> Result<_> {
                Ok(running.stat(path)?.map(|stat| (stat.dev, stat.ino)))
            };
            let is_there = inode(&built_from)?;
            let has_moved = is_there.is_none() || is_there == inode(&here)?;
            let is_same = plan::spec_as_built(host, &name)?.as_deref() == Some(&*source.text);
            if has_moved || is_same {
                continue;
            }
            let shown = built_from.display().to_string();
            findings.push(
                Finding::new(format!("could not build the jail `{}` from `{}`", spec.name.value, path.display()))
                    .why(format!("it was built from `{}`, which is another file and still exists", shown.escape_debug()))
                    .with_span(&spec.name.span, "this name")
                    .hint("for a new jail, choose another `name`")
                    .hint("to replace the other file, pass `--from-here`: accounts that this spec does not name are deleted"),
            );
            break;
        }
    }
    if findings.is_empty() {
        return Ok(());
    }
    Err(Error {
        kind: ErrorKind::Spec,
        findings,
    })
}

/// A notice where users other than root and the owner can read the file of a spec that contains a
/// password hash.
pub(crate) fn readable_secrets(path: &Path, spec: &Spec) -> Result<Option<String>> {
    let has_hash = |user: &User| matches!(user.password.value, Password::Hash(_));
    if !spec.users.iter().any(has_hash) {
        return Ok(None);
    }
    let absolute = std::path::absolute(path).map_err(|error| Error::io("find", path, &error))?;
    let stat = HostView::new(Path::new("/"))?.stat(&absolute)?;
    let is_readable = stat.is_some_and(|stat| {
        stat.permissions() & 0o004 != 0 || stat.permissions() & 0o040 != 0 && stat.gid != 0
    });
    let shown = path.display().to_string();
    let shown = shown.escape_debug();
    Ok(is_readable.then(|| {
        format!("`{shown}` has a password hash, and other users can read it: chmod 600 {shown}")
    }))
}

/// Recorded spec of a jail, parsed with the present templates of `host`, and its text.
///
/// # Errors
/// [`ErrorKind::Failed`] if the records have no spec, [`ErrorKind::Spec`] if it is invalid now.
pub(crate) fn load_built(manifest: &Manifest, host: &HostView) -> Result<(Spec, SourceText)> {
    let text = plan::spec_as_built(host, &manifest.name)?.ok_or_else(|| {
        Error::failed(format!(
            "could not read the recorded spec of the jail `{}`",
            manifest.name
        ))
        .why("its records contain no spec")
        .hint("build the jail from its spec file with `jailctl build`")
    })?;
    let source = spec::source(&manifest.spec, text.clone().into_bytes())?;
    let spec = spec::load_recorded(&source, &HostTemplates(host))?.member(&manifest.name)?;
    let origin = SourceText {
        name: manifest.spec.clone(),
        text,
    };
    Ok((spec, origin))
}

/// Templates of a host: files in [`TEMPLATES_DIR`], and the built-in ones.
#[derive(Debug)]
pub(crate) struct HostTemplates<'v>(pub(crate) &'v HostView);

impl Templates for HostTemplates<'_> {
    fn get(&self, name: &str) -> Result<Option<Arc<SourceText>>> {
        let path = Path::new(TEMPLATES_DIR).join(format!("{name}{SUFFIX}"));
        let file = TrustedFile {
            kind: "template",
            shown: &self.0.display_path(&path),
        };
        match file.read(self.0, &path)? {
            None => BuiltIn.get(name),
            found => Ok(found),
        }
    }

    fn names(&self) -> Result<Vec<String>> {
        let mut names = BuiltIn.names()?;
        for file in self.0.list(Path::new(TEMPLATES_DIR))?.unwrap_or_default() {
            let name = file.to_str().and_then(|file| file.strip_suffix(SUFFIX));
            names.extend(name.map(str::to_owned));
        }
        names.sort();
        names.dedup();
        Ok(names)
    }
}

/// File that only root and the caller may write.
struct TrustedFile<'p> {
    kind: &'static str,
    shown: &'p Path,
}

impl TrustedFile<'_> {
    fn refuse(&self, why: &str) -> Finding {
        Finding::new(format!(
            "could not read the {} `{}`",
            self.kind,
            self.shown.display().to_string().escape_debug()
        ))
        .why(why)
    }

    /// Reads the file. Returns `None` if it does not exist.
    ///
    /// # Errors
    /// [`ErrorKind::Spec`] if untrusted users can write the file or replace a component of its
    /// path.
    fn read(&self, view: &HostView, path: &Path) -> Result<Option<Arc<SourceText>>> {
        let read = view.read_trusted(path, LIMIT).map_err(|mut error| {
            error.kind = ErrorKind::Spec;
            error
        })?;
        let bytes = match read {
            None => return Ok(None),
            Some(Ok(bytes)) => bytes,
            Some(Err(writer)) => {
                let kind = self.kind;
                let hint = match &writer.path {
                    None => format!(
                        "a {kind} controls what root does, so only root may write it: run `{}`",
                        writer.fix_command(self.shown)
                    ),
                    Some(_) => format!(
                        "a {kind} controls what root does: put it into a root-owned directory such as `/etc/jailctl`"
                    ),
                };
                return Err(self.refuse(&writer.to_string()).hint(hint).into());
            }
        };
        spec::source(&self.shown.display().to_string(), bytes).map(Some)
    }
}
