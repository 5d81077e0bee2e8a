//! Reading specs and templates of files: only what nobody but root, or whoever called, could have written.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::target::members;
use crate::error::{Error, ErrorKind, Finding, Result};
use crate::host::HostView;
use crate::layout::TEMPLATES_DIR;
use crate::plan::{self, Manifest};
use crate::span::SourceText;
use crate::spec::{self, BuiltIn, Spec, Templates};

/// What is read of a spec at most: one byte more than is accepted.
pub(crate) const LIMIT: u64 = spec::MAX as u64 + 1;
/// What follows a template's name there.
const SUFFIX: &str = ".toml";

/// Reads and checks the spec at `path` of the running system, with the templates of `host`. One that others than root can write is refused: whoever
/// writes it becomes root.
pub(crate) fn load_spec(path: &Path, host: &HostView) -> Result<(Spec, Arc<SourceText>)> {
    let view = HostView::new(Path::new("/"))?;
    let absolute = std::path::absolute(path).map_err(|error| Error::io("find", path, &error))?;
    let file = TrustedFile {
        kind: "spec",
        shown: path,
    };
    let source = file.read(&view, &absolute)?.ok_or_else(|| {
        file.refuse("there is no such file")
            .hint("`jailctl init NAME` writes one to start from")
    })?;
    let spec = spec::load(&source, &HostTemplates(host))?;
    Ok((spec, source))
}

/// As [`load_spec`], of several that are for one run. No two may have one name: the later would undo what the earlier says, and drop its users.
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
            return Err(Finding::new(format!(
                "two of the specs are for the jail `{}`",
                name.value
            ))
            .why(format!(
                "`{}` and `{}` have one name, and the second would undo the first",
                first.display().to_string().escape_debug(),
                path.display().to_string().escape_debug()
            ))
            .hint("name one of them, or give each a `name` of its own")
            .with_span(&name.site, "this name")
            .into());
        }
        specs.push((spec, source));
    }
    Ok(specs)
}

/// Refuses specs that another spec file has built the jail of: a copy whose `name` was forgotten would take that jail, and delete the accounts that the copy
/// does not name. A file that was moved, or a copy with the same text, is taken.
///
/// # Errors
/// Every such spec, as findings of the kind [`crate::error::ErrorKind::Spec`].
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
                    .why(format!("it was built from `{}`, which is another file and is still there", shown.escape_debug()))
                    .with_span(&spec.name.site, "this name")
                    .hint("give a jail of its own another `name`")
                    .hint("if this file is to take the other's place, say `--from-here`: users whom it does not name lose their accounts"),
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

/// The spec that a jail was built from, as text and as what it means with the templates of `host` as they are now.
pub(crate) fn load_built(manifest: &Manifest, host: &HostView) -> Result<(Spec, SourceText)> {
    let text = plan::spec_as_built(host, &manifest.name)?.ok_or_else(|| {
        Error::failed(format!(
            "could not read the spec of the jail `{}`",
            manifest.name
        ))
        .why("its records have none")
        .hint("build the jail from its spec file once")
    })?;
    let source = spec::source(&manifest.spec, text.clone().into_bytes())?;
    let spec = spec::load(&source, &HostTemplates(host))?.member(&manifest.name)?;
    let origin = SourceText {
        name: manifest.spec.clone(),
        text,
    };
    Ok((spec, origin))
}

/// The templates of a host: those of its administrator, and the built-in ones.
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

/// A file to read, and what to call it.
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

    /// Its text, if nobody could have written it who may not; `None` where there is no such file.
    fn read(&self, view: &HostView, path: &Path) -> Result<Option<Arc<SourceText>>> {
        let read = view.read_trusted(path, LIMIT).map_err(|mut error| {
            error.kind = ErrorKind::Spec;
            error
        })?;
        let bytes = match read {
            None => return Ok(None),
            Some(Ok(bytes)) => bytes,
            Some(Err(stranger)) => {
                let kind = self.kind;
                let hint = match &stranger.on_the_way {
                    None => format!(
                        "who writes a {kind} decides what root does: run `{}`",
                        stranger.fix_command(self.shown)
                    ),
                    Some(_) => format!(
                        "who can replace a {kind} decides what root does: keep it in a directory of root's, as `/etc/jailctl`"
                    ),
                };
                return Err(self.refuse(&stranger.to_string()).hint(hint).into());
            }
        };
        spec::source(&self.shown.display().to_string(), bytes).map(Some)
    }
}
