//! Checks of the specs of a run before it begins: two of one name, a jail of another spec file,
//! secrets that others can read.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use super::family::members;
use super::spec_source::SpecSource;
use crate::error::{Error, ErrorKind, Finding, Result};
use crate::host::HostView;
use crate::names::JailName;
use crate::plan::{self, Manifest};
use crate::span::SourceText;
use crate::spec::{Password, Spec, User};

/// A spec that was read, with its source.
pub(crate) type Loaded = (SpecSource, Spec, Arc<SourceText>);

/// Reads and validates the specs of one transaction. Refuses a spec whose name one of them or of
/// `seen` has: the second would undo the changes of the first, and delete its users. `seen` has the
/// names of the specs of a run, with their sources, and those of this call afterwards.
///
/// # Errors
/// As [`SpecSource::load`].
pub(crate) fn load_specs(
    sources: &[SpecSource],
    seen: &mut BTreeMap<JailName, String>,
    host: &HostView,
) -> Result<Vec<Loaded>> {
    let mut specs: Vec<Loaded> = Vec::new();
    for source in sources {
        let (spec, text) = source.load(host)?;
        let name = &spec.name;
        if let Some(first) = seen.get(&name.value) {
            return Err(
                Finding::new(format!("two specs for the jail `{}`", name.value))
                    .why(format!(
                        "`{first}` and `{}` have the same name, and the second would undo the first",
                        source.shown()
                    ))
                    .hint("pass only one of them, or give each a different `name`")
                    .with_span(&name.span, "this name")
                    .into(),
            );
        }
        seen.insert(name.value.clone(), source.shown());
        specs.push((source.clone(), spec, text));
    }
    Ok(specs)
}

/// Refuses specs whose jail was built from another file: a copy in which `name` was not changed
/// would take over that jail, and delete the accounts that the copy does not name. Moved files, and
/// copies with the same text, are accepted.
///
/// # Errors
/// [`ErrorKind::Spec`] with a finding for each such spec.
pub(crate) fn refuse_other_files(specs: &[Loaded], host: &HostView) -> Result<()> {
    let running = HostView::new(Path::new("/"))?;
    let mut findings = Vec::new();
    for (source, spec, text) in specs {
        let here = source.path()?;
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
            // One that was built from standard input has no file.
            let recorded = Manifest::spec_of(host, &name)?.filter(|from| from.is_absolute());
            let Some(built_from) = recorded.filter(|from| Some(from) != here.as_ref()) else {
                continue;
            };
            let inode = |path: &Path| -> Result<_> {
                Ok(running.stat(path)?.map(|stat| (stat.dev, stat.ino)))
            };
            let is_there = inode(&built_from)?;
            let of_source = here.as_deref().map(inode).transpose()?.flatten();
            let has_moved = is_there.is_none() || is_there == of_source;
            let is_same = plan::spec_as_built(host, &name)?.as_deref() == Some(&*text.text);
            if has_moved || is_same {
                continue;
            }
            let shown = built_from.display().to_string();
            findings.push(
                Finding::new(format!("could not build the jail `{}` from `{}`", spec.name.value, source.shown()))
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

/// Notices where users other than root and the owner can read the file of a spec that contains a
/// password hash.
pub(crate) fn readable_secrets(specs: &[Loaded]) -> Result<Vec<String>> {
    let running = HostView::new(Path::new("/"))?;
    let has_hash = |user: &User| matches!(user.password.value, Password::Hash(_));
    let mut notices = Vec::new();
    for (source, spec, _) in specs {
        let Some(path) = source.path()? else { continue };
        if !spec.users.iter().any(has_hash) {
            continue;
        }
        let is_readable = running.stat(&path)?.is_some_and(|stat| {
            stat.permissions() & 0o004 != 0 || stat.permissions() & 0o040 != 0 && stat.gid != 0
        });
        if is_readable {
            let shown = source.shown();
            notices.push(format!(
                "`{shown}` has a password hash, and other users can read it: chmod 600 {shown}"
            ));
        }
    }
    Ok(notices)
}
