//! The argument SPEC of `build` and `plan`: a spec file, a directory of spec files, the name of a
//! jail, or `-` for standard input; and `--all`, the specs of the host.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::family::members;
use super::spec_files::{HostTemplates, is_spec_path, load_spec, read_standard_input};
use crate::error::{Error, Finding, Result};
use crate::host::{FileKind, HostView};
use crate::layout::SPECS_DIR;
use crate::names::JailName;
use crate::plan::Manifest;
use crate::span::SourceText;
use crate::spec::{self, Spec};

/// Name that the records have for a spec of standard input.
pub(crate) const STDIN: &str = "-";
/// Suffix of spec files in a directory.
const SUFFIX: &str = "toml";

/// Specs on the command line of `build` and `plan`.
#[derive(Debug, clap::Args)]
pub(crate) struct SpecArguments {
    /// Spec files, directories of spec files, names of built jails, or `-` for standard input.
    #[arg(required_unless_present = "all", value_name = "SPEC")]
    specs: Vec<String>,
    /// All specs in /etc/jailctl/jails.d.
    #[arg(long, conflicts_with = "specs")]
    all: bool,
}

/// A source of a spec.
#[derive(Clone, Debug)]
pub(crate) enum SpecSource {
    /// A file.
    File(PathBuf),
    /// Text of standard input.
    Stdin(Arc<SourceText>),
}

/// Specs that are built in one transaction.
#[derive(Clone, Debug)]
pub(crate) struct SpecGroup(pub(crate) Vec<SpecSource>);

impl SpecArguments {
    /// The transactions of the arguments: named specs are one; each spec of a directory is one of
    /// its own, so that an error of one does not stop the others.
    ///
    /// # Errors
    /// [`crate::error::ErrorKind::Spec`] for a name without a spec file, and a directory without
    /// one.
    pub(crate) fn groups(&self, host: &HostView) -> Result<Vec<SpecGroup>> {
        if self.all {
            let dir = host.display_path(Path::new(SPECS_DIR));
            return each_alone(&dir);
        }
        let mut named = Vec::new();
        let mut groups = Vec::new();
        for word in &self.specs {
            if word == STDIN {
                named.push(SpecSource::Stdin(read_standard_input()?));
            } else if let Some(dir) = directory(word)? {
                groups.extend(each_alone(&dir)?);
            } else if is_spec_path(word) {
                named.push(SpecSource::File(word.into()));
            } else {
                named.push(SpecSource::File(spec_of_jail(word, host)?));
            }
        }
        if !named.is_empty() {
            groups.insert(0, SpecGroup(named));
        }
        Ok(groups)
    }

    /// Notices about jails whose spec file in the directory of `--all` is gone. No verb removes
    /// such a jail by itself.
    pub(crate) fn notices(&self, host: &HostView) -> Result<Vec<String>> {
        if self.all {
            specs_gone(host)
        } else {
            Ok(Vec::new())
        }
    }

    /// The only spec, for `--output`; `None` for several.
    pub(crate) fn single(&self, host: &HostView) -> Result<Option<SpecSource>> {
        let groups = self.groups(host)?;
        Ok(match groups.as_slice() {
            [SpecGroup(sources)] => match sources.as_slice() {
                [source] => Some(source.clone()),
                _ => None,
            },
            _ => None,
        })
    }
}

impl SpecSource {
    /// Reads and validates the spec, with the templates of `host`.
    ///
    /// # Errors
    /// As [`load_spec`].
    pub(crate) fn load(&self, host: &HostView) -> Result<(Spec, Arc<SourceText>)> {
        match self {
            Self::File(path) => load_spec(path, host),
            Self::Stdin(source) => Ok((spec::load(source, &HostTemplates(host))?, source.clone())),
        }
    }

    /// Path or name for messages.
    pub(crate) fn shown(&self) -> String {
        match self {
            Self::File(path) => path.display().to_string().escape_debug().to_string(),
            Self::Stdin(_) => "standard input".to_owned(),
        }
    }

    /// Absolute path of the file; `None` for standard input.
    pub(crate) fn path(&self) -> Result<Option<PathBuf>> {
        match self {
            Self::Stdin(_) => Ok(None),
            Self::File(path) => std::path::absolute(path)
                .map(Some)
                .map_err(|error| Error::io("find", path, &error)),
        }
    }

    /// The origin that the records of a jail have, with this text.
    pub(crate) fn origin(&self, text: &str) -> Result<SourceText> {
        let path = self.path()?;
        Ok(SourceText {
            name: path.map_or_else(|| STDIN.to_owned(), |path| path.display().to_string()),
            text: text.to_owned(),
        })
    }
}

/// Notices about jails that were built from a spec in [`SPECS_DIR`] which is gone.
pub(crate) fn specs_gone(host: &HostView) -> Result<Vec<String>> {
    let dir = host.display_path(Path::new(SPECS_DIR));
    let running = HostView::new(Path::new("/"))?;
    let mut seen = HashSet::new();
    let mut notices = Vec::new();
    for name in Manifest::names(host)? {
        if !seen.insert(name.family_name().to_owned()) {
            continue;
        }
        let spec = Manifest::spec_of(host, &name)?.filter(|spec| spec.starts_with(&dir));
        if let Some(spec) = spec
            && running.lstat(&spec)?.is_none()
        {
            let name = name.family_name();
            notices.push(format!(
                "the spec `{}` of the jail `{name}` is gone: `jailctl remove {name}` removes the jail, which stays otherwise",
                spec.display()
            ));
        }
    }
    Ok(notices)
}

/// The directory that `word` names, if it is one and no name of a jail.
fn directory(word: &str) -> Result<Option<PathBuf>> {
    let path = Path::new(word);
    let absolute = std::path::absolute(path).map_err(|error| Error::io("find", path, &error))?;
    let is_name = !word.contains('/') && JailName::parse(word).is_ok();
    let found = HostView::new(Path::new("/"))?.stat(&absolute)?;
    let is_dir = found.is_some_and(|stat| stat.kind() == FileKind::Directory);
    Ok((is_dir && !is_name).then(|| path.to_owned()))
}

/// The spec files in [`SPECS_DIR`], by name.
pub(super) fn spec_files_of_host(host: &HostView) -> Result<Vec<PathBuf>> {
    spec_files_in(&host.display_path(Path::new(SPECS_DIR)))
}

/// The spec files of a directory, by name.
pub(super) fn spec_files_in(dir: &Path) -> Result<Vec<PathBuf>> {
    let absolute = std::path::absolute(dir).map_err(|error| Error::io("find", dir, &error))?;
    let names = HostView::new(Path::new("/"))?.list(&absolute)?;
    let mut paths: Vec<PathBuf> = (names.unwrap_or_default().into_iter())
        .map(|name| dir.join(name))
        .filter(|path| path.extension().is_some_and(|suffix| suffix == SUFFIX))
        .collect();
    paths.sort();
    Ok(paths)
}

/// Each spec file of a directory as a group of its own, by name.
fn each_alone(dir: &Path) -> Result<Vec<SpecGroup>> {
    let paths = spec_files_in(dir)?;
    if paths.is_empty() {
        return Err(Finding::new(format!(
            "could not find a spec in `{}`",
            dir.display().to_string().escape_debug()
        ))
        .why("no file in it ends in `.toml`")
        .hint("`jailctl init NAME` writes a starter spec")
        .into());
    }
    let alone = |path| SpecGroup(vec![SpecSource::File(path)]);
    Ok(paths.into_iter().map(alone).collect())
}

/// The spec file of the jail or family `word`: the one that it was built from, or the one of its
/// name in [`SPECS_DIR`].
pub(super) fn spec_of_jail(word: &str, host: &HostView) -> Result<PathBuf> {
    let refuse = |why: String| {
        Finding::new(format!(
            "could not find the spec of `{}`",
            word.escape_debug()
        ))
        .why(why)
    };
    let name = JailName::parse(word).map_err(|why| {
        refuse(format!("it {why}")).hint("name a spec file, which ends in `.toml`, or a jail")
    })?;
    let member = members(&name, host)?.into_iter().next();
    let recorded = Manifest::spec_of(host, member.as_ref().unwrap_or(&name))?;
    let running = HostView::new(Path::new("/"))?;
    let usual = host
        .display_path(Path::new(SPECS_DIR))
        .join(format!("{}.{SUFFIX}", name.family_name()));
    for path in recorded.iter().chain([&usual]) {
        if path.is_absolute() && running.stat(path)?.is_some() {
            return Ok(path.clone());
        }
    }
    let usual = usual.display();
    Err(match recorded {
        Some(recorded) if recorded.is_absolute() => refuse(format!(
            "the jail was built from `{}`, which is gone, and there is no `{usual}`",
            recorded.display()
        ))
        .hint(format!(
            "`jailctl update {name}` builds it from its recorded spec"
        )),
        Some(_) => refuse("the jail was built from standard input".to_owned()).hint(format!(
            "`jailctl update {name}` builds it from its recorded spec"
        )),
        None => refuse(format!("no such jail was built, and there is no `{usual}`"))
            .hint("name a spec file, which ends in `.toml`"),
    }
    .into())
}
