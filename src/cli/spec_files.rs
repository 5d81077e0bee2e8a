//! Reads spec and template files. Files that users other than root and the caller can write are
//! refused.

use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;

use crate::error::{Error, ErrorKind, Finding, Result};
use crate::host::HostView;
use crate::layout::TEMPLATES_DIR;
use crate::plan::{self, Manifest};
use crate::span::SourceText;
use crate::spec::{self, BuiltIn, Spec, Templates};

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

/// Whether a word of the command line is the path of a spec file, and no name of a jail.
pub(crate) fn is_spec_path(word: &str) -> bool {
    word.contains('/')
        || Path::new(word)
            .extension()
            .is_some_and(|extension| extension == "toml")
}

/// Reads a spec from standard input.
///
/// # Errors
/// [`ErrorKind::Spec`] if it is too large, or not UTF-8; [`ErrorKind::Failed`] if it cannot be
/// read.
pub(crate) fn read_standard_input() -> Result<Arc<SourceText>> {
    let mut bytes = Vec::new();
    std::io::stdin()
        .lock()
        .take(LIMIT)
        .read_to_end(&mut bytes)
        .map_err(|error| Error::io("read", Path::new("standard input"), &error))?;
    spec::source("standard input", bytes)
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
