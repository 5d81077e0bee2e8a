//! The argument JAIL of verbs: the name of a jail, or a spec file.

use std::path::Path;

pub(crate) use super::family::members;
use super::spec_files::{LIMIT, is_spec_path, load_spec};
use crate::error::{Error, Finding, Result};
use crate::host::HostView;
use crate::names::JailName;
use crate::plan::{Manifest, spec_as_built};
use crate::spec::Spec;
use crate::spec::display::list;

/// Jail of a command line.
#[derive(Debug)]
pub(crate) enum Target {
    /// Name of a jail.
    Name(JailName),
    /// Spec of a jail.
    Spec(Box<Spec>),
}

impl Target {
    /// Parses `word`: a path or a name that ends in `.toml` is a spec file of the running system.
    ///
    /// # Errors
    /// [`crate::error::ErrorKind::Spec`] if it is neither a valid name nor a valid spec.
    pub(crate) fn new(word: &str, host: &HostView) -> Result<Self> {
        if is_spec_path(word) {
            let (spec, _) = load_spec(Path::new(word), host)?;
            return Ok(Self::Spec(Box::new(spec)));
        }
        JailName::parse(word).map(Self::Name).map_err(|why| {
            Finding::new(format!("`{}` is not a jail name", word.escape_debug()))
                .why(format!("it {why}"))
                .hint("pass a name from `jailctl list`, or a spec file")
                .into()
        })
    }

    /// Name of the jail.
    pub(crate) fn name(&self) -> &JailName {
        match self {
            Self::Name(name) => name,
            Self::Spec(spec) => &spec.name.value,
        }
    }

    /// Names of the jails: all jails of a family.
    pub(crate) fn jails(&self, view: &HostView) -> Result<Vec<JailName>> {
        let members = members(self.name(), view)?;
        Ok(if members.is_empty() {
            vec![self.name().clone()]
        } else {
            members
        })
    }

    /// Manifest of the jail.
    ///
    /// # Errors
    /// [`crate::error::ErrorKind::Spec`] if it was not built, or if the name is that of a family.
    pub(crate) fn manifest(&self, view: &HostView) -> Result<Manifest> {
        match Manifest::load(view, self.name())? {
            Some(manifest) => Ok(manifest),
            None => match &members(self.name(), view)?[..] {
                [] => Err(self.not_found()),
                members => Err(ambiguous(self.name(), members)),
            },
        }
    }

    /// Error about a jail that is not on this host.
    pub(crate) fn not_found(&self) -> Error {
        let finding = Finding::new(format!("could not find the jail `{}`", self.name()))
            .why("this host has no records of it");
        match self {
            Self::Name(_) => finding.hint("`jailctl list` lists the jails of this host"),
            Self::Spec(_) => finding.hint(
                "it has not been built; `jailctl plan` with its spec shows what build would change",
            ),
        }
        .into()
    }
}

/// Most names of a long list that a message has.
const FEW: usize = 5;

/// Error about the name of a family where a jail is expected.
pub(crate) fn ambiguous(name: &JailName, members: &[JailName]) -> Error {
    let names: Vec<&str> = members.iter().map(JailName::as_str).collect();
    Finding::new(format!("`{name}` is a family of jails"))
        .why("expected a single jail")
        .hint(format!("choose one of {}", few(&names)))
        .into()
}

/// The first of some names, and the number of the others: "`a`, `b` and 7 more".
pub(crate) fn few(names: &[&str]) -> String {
    if names.len() <= FEW {
        return list(names.iter().copied(), "and");
    }
    let first: Vec<String> = names[..FEW]
        .iter()
        .map(|name| format!("`{name}`"))
        .collect();
    format!("{} and {} more", first.join(", "), names.len() - FEW)
}

/// Manifests of the jails in `words`, or of all jails if `words` is empty.
///
/// # Errors
/// [`crate::error::ErrorKind::Spec`] if a jail is unknown.
pub(crate) fn manifests(words: &[String], view: &HostView) -> Result<Vec<Manifest>> {
    let mut all = Vec::new();
    for target in targets(words, view)? {
        match Manifest::load(view, target.name())? {
            Some(manifest) => all.push(manifest),
            // Another run may have removed a jail since `targets` listed it; one that was named
            // must exist.
            None if words.is_empty() => {}
            None => return Err(target.not_found()),
        }
    }
    Ok(all)
}

/// Jails in `words`, or all jails if `words` is empty.
///
/// # Errors
/// As [`Target::new`].
pub(crate) fn targets(words: &[String], view: &HostView) -> Result<Vec<Target>> {
    if words.is_empty() {
        let names = Manifest::names(view)?.into_iter();
        return Ok(names.map(Target::Name).collect());
    }
    let mut targets = Vec::new();
    for word in words {
        let target = Target::new(word, view)?;
        match members(target.name(), view)? {
            members if members.is_empty() => targets.push(target),
            members => targets.extend(members.into_iter().map(Target::Name)),
        }
    }
    Ok(targets)
}

/// Whether the spec file of a jail has changed since the last build. A missing file counts as
/// unchanged.
pub(crate) fn spec_changed(manifest: &Manifest, view: &HostView) -> Result<bool> {
    if !Path::new(&manifest.spec).is_absolute() {
        return Ok(false);
    }
    let now = view
        .on_live_host(|live| live.read(Path::new(&manifest.spec), LIMIT))
        .ok()
        .flatten();
    let built = spec_as_built(view, &manifest.name)?;
    Ok(now.is_some_and(|now| built.is_none_or(|built| now != built.as_bytes())))
}
