//! What the word after a verb can mean: the name of a jail, or a spec file.

use std::path::Path;

use super::spec_files::{LIMIT, load_spec};
use crate::error::{Error, Finding, Result};
use crate::host::HostView;
use crate::names::JailName;
use crate::plan::{Manifest, spec_as_built};
use crate::spec::Spec;
use crate::spec::display::list;

/// A jail, as it was named.
#[derive(Debug)]
pub(crate) enum Target {
    /// By its name.
    Name(JailName),
    /// By the spec in a file.
    Spec(Box<Spec>),
}

impl Target {
    /// What `word` means. With a slash or `.toml` at its end it is a file of the running system.
    pub(crate) fn new(word: &str, host: &HostView) -> Result<Self> {
        if word.contains('/')
            || Path::new(word)
                .extension()
                .is_some_and(|extension| extension == "toml")
        {
            let (spec, _) = load_spec(Path::new(word), host)?;
            return Ok(Self::Spec(Box::new(spec)));
        }
        JailName::parse(word).map(Self::Name).map_err(|why| {
            Finding::new(format!(
                "`{}` is not the name of a jail",
                word.escape_debug()
            ))
            .why(format!("it {why}"))
            .hint("name a jail of `jailctl list`, or a spec file")
            .into()
        })
    }

    /// The jail's name.
    pub(crate) fn name(&self) -> &JailName {
        match self {
            Self::Name(name) => name,
            Self::Spec(spec) => &spec.name.value,
        }
    }

    /// The jails that are meant: a family's name stands for all of its jails.
    pub(crate) fn jails(&self, view: &HostView) -> Result<Vec<JailName>> {
        let members = members(self.name(), view)?;
        Ok(if members.is_empty() {
            vec![self.name().clone()]
        } else {
            members
        })
    }

    /// What was built of the one jail that is meant; an error where nothing was, or where there are several.
    pub(crate) fn manifest(&self, view: &HostView) -> Result<Manifest> {
        match Manifest::load(view, self.name())? {
            Some(manifest) => Ok(manifest),
            None => match &members(self.name(), view)?[..] {
                [] => Err(self.not_found()),
                members => Err(ambiguous(self.name(), members)),
            },
        }
    }

    /// The error of a verb that was given no jail of this host.
    pub(crate) fn not_found(&self) -> Error {
        let finding = Finding::new(format!("there is no jail `{}`", self.name()))
            .why("nothing is recorded under that name");
        match self {
            Self::Name(_) => finding.hint("`jailctl list` shows the jails of this host"),
            Self::Spec(_) => finding.hint(
                "it has not been built: `jailctl plan` with its spec shows what build would do",
            ),
        }
        .into()
    }
}

/// The jails of the family `name` that were built.
pub(crate) fn members(name: &JailName, view: &HostView) -> Result<Vec<JailName>> {
    let mut names = Manifest::names(view)?;
    names.retain(|one| one.is_member() && one.family_name() == name.as_str());
    Ok(names)
}

/// The error of a verb about one jail that was given a family of them.
pub(crate) fn ambiguous(name: &JailName, members: &[JailName]) -> Error {
    let names = members.iter().map(JailName::as_str);
    Finding::new(format!("`{name}` is a jail of each of its users"))
        .why("only one jail can be meant here")
        .hint(format!("name one: {}", list(names, "or")))
        .into()
}

/// The manifests of the jails that are named, or of all jails where none is.
pub(crate) fn manifests(words: &[String], view: &HostView) -> Result<Vec<Manifest>> {
    let mut all = Vec::new();
    for target in targets(words, view)? {
        match Manifest::load(view, target.name())? {
            Some(manifest) => all.push(manifest),
            // One that was named must be there; of all, another run may just have removed one.
            None if words.is_empty() => {}
            None => return Err(target.not_found()),
        }
    }
    Ok(all)
}

/// The jails that are named, or all where none is.
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

/// Whether the file that a jail was built from says something else by now. One that is gone says nothing.
pub(crate) fn spec_changed(manifest: &Manifest, view: &HostView) -> Result<bool> {
    let now = view
        .on_live_host(|live| live.read(Path::new(&manifest.spec), LIMIT))
        .ok()
        .flatten();
    let built = spec_as_built(view, &manifest.name)?;
    Ok(now.is_some_and(|now| built.is_none_or(|built| now != built.as_bytes())))
}
