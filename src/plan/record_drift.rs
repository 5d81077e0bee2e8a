//! Differences that need no plan: where the spec as built cannot be planned on the host any more,
//! its error must not hide what else has changed.

use super::accounts::key_flaw;
use super::difference::{Drift, Kind};
use super::expiry::is_closed;
use super::locks::locked_users;
use super::manifest::{Manifest, RecordKind};
use super::sshd::snippet;
use crate::error::Result;
use crate::host::{Digest, HostView};
use crate::layout::SHELL_PREFIX;
use crate::resolve::home_in_jail;
use crate::spec::Spec;

/// Adds the differences of files of the host, of accounts, keys and the snippet from the records.
/// `spec` is the one that the jail was built from, if it can be read.
///
/// # Errors
/// [`crate::error::ErrorKind::Failed`] if the host cannot be read.
pub(super) fn add(
    drift: &mut Drift,
    manifest: &Manifest,
    spec: Option<&Spec>,
    view: &HostView,
) -> Result<()> {
    sources(drift, manifest, view)?;
    accounts(drift, manifest, view)?;
    keys(drift, manifest, spec, view)?;
    if let Some(confinement) = &manifest.confinement {
        let found = snippet(view, &manifest.name)?;
        let text = match &found.text {
            None => Some("it is gone"),
            Some(text) if Digest::of(text.as_bytes()) != confinement.snippet.1 => {
                Some("it was changed")
            }
            Some(_) if !found.is_as_written && !found.is_older => Some("it was changed"),
            Some(_) => None,
        };
        if let Some(text) = text {
            drift.add(Kind::Sshd, found.path.display().to_string(), text);
        }
    }
    Ok(())
}

/// Files of the host that were copied and differ from the copies.
fn sources(drift: &mut Drift, manifest: &Manifest, view: &HostView) -> Result<()> {
    for (path, record) in &manifest.entries {
        let RecordKind::File {
            source: Some((source, then)),
            sha256,
            ..
        } = &record.kind
        else {
            continue;
        };
        let shown = source.display();
        let text = match view.stat(source)? {
            None => format!("`{shown}` is gone from the host"),
            Some(now) if then.is_same(&now) => continue,
            Some(now) => {
                let is_same = then.size == now.size && then.mtime == now.mtime && {
                    let mut file = view.open(source)?;
                    crate::host::digest(&mut file, source)? == *sha256
                };
                if is_same {
                    continue;
                }
                format!("`{shown}` was changed on the host")
            }
        };
        // The comparison of the root may have named the path for another reason.
        if drift
            .differences
            .iter()
            .all(|one| one.name != path.as_str())
        {
            drift.add(Kind::File, path.as_str(), text);
        }
    }
    Ok(())
}

/// The group and the accounts of the jail.
fn accounts(drift: &mut Drift, manifest: &Manifest, view: &HostView) -> Result<()> {
    let known = view.accounts()?;
    let locked = locked_users(view, &manifest.name)?;
    if let Some(confinement) = &manifest.confinement {
        let (name, gid) = &confinement.group;
        match known.group(name) {
            None => drift.add(Kind::Group, name, "it is gone"),
            Some(found) if found.gid != *gid => {
                drift.add(Kind::Group, name, format!("its id is {}", found.gid));
            }
            Some(_) => {}
        }
    }
    for record in &manifest.accounts {
        let Some(found) = known.user(&record.name) else {
            drift.add(Kind::Account, &record.name, "it is gone");
            continue;
        };
        let home = home_in_jail(&found.home);
        let is_locked = locked.contains(&record.name);
        let differs = [
            (
                found.uid != record.uid,
                format!("its user id is {}", found.uid),
            ),
            (
                manifest.gid().is_some_and(|gid| found.gid != gid),
                format!("its group is {}", found.gid),
            ),
            (
                home != record.home.as_str(),
                format!("its home is `{}`", found.home.escape_debug()),
            ),
            (
                !found.shell.starts_with(SHELL_PREFIX),
                format!("its shell is `{}`", found.shell.escape_debug()),
            ),
            (
                is_closed(found.expires) && !is_locked,
                "it is closed".to_owned(),
            ),
            (
                !is_closed(found.expires) && is_locked,
                "it is locked, and open all the same".to_owned(),
            ),
        ];
        let texts: Vec<String> = differs
            .into_iter()
            .filter_map(|(differs, text)| differs.then_some(text))
            .collect();
        if !texts.is_empty() {
            drift.add(Kind::Account, &record.name, texts.join(", "));
        }
    }
    Ok(())
}

/// The authorized keys of the accounts.
fn keys(
    drift: &mut Drift,
    manifest: &Manifest,
    spec: Option<&Spec>,
    view: &HostView,
) -> Result<()> {
    let locked = locked_users(view, &manifest.name)?;
    for record in &manifest.accounts {
        if locked.contains(&record.name) {
            continue;
        }
        let mut users = spec.into_iter().flat_map(|spec| &spec.users);
        let user = users.find(|user| user.name.value.as_str() == record.name);
        let wanted = user.map(|user| -> String {
            let lines = user.authorized_keys.iter();
            lines.flat_map(|key| [key.value.as_str(), "\n"]).collect()
        });
        if let Some(flaw) = key_flaw(&manifest.name, &record.name, wanted.as_deref(), view)? {
            drift.add(Kind::Keys, &record.name, flaw);
        }
    }
    Ok(())
}
