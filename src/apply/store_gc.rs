//! Deletion of files of the content store that no jail needs.

use std::collections::HashSet;
use std::path::Path;

use super::store::{is_dirty, verified, write, write_index};
use crate::error::Result;
use crate::host::{Digest, Host, Ownership};
use crate::layout::{
    MANIFEST, PREVIOUS_RECORDS, PRIVATE_DIR, STORE, STORE_BUSY, STORE_NEW, STORE_SOURCES,
};
use crate::names::JailName;
use crate::plan::Manifest;
use crate::plan::manifest::RecordKind;
use crate::plan::store_index::{ContentKey, Index, SourceDigests};
use crate::resolve::ResolvedJail;

/// Deletes the files of the store in `jails_dir` that no jail needs, and the store with the last
/// one.
///
/// `removed` is the jail that is being removed. After a run that `failed`, its files are in the
/// store and not in the index, so the index is written again from the verified files.
///
/// # Errors
/// [`ErrorKind::Failed`](crate::error::ErrorKind::Failed) where the store cannot be read or
/// written. It stays dirty then, and the next run verifies it.
pub(super) fn gc(
    host: &Host,
    jails_dir: &Path,
    removed: Option<&JailName>,
    failed: bool,
) -> Result<()> {
    let at = jails_dir.join(STORE);
    let Some(dir) = host.open_dir_nofollow(&at)? else {
        return delete_store(host, jails_dir);
    };
    dir.remove_all(Path::new(STORE_NEW))?;
    let is_unsafe = failed || is_dirty(host, &at)?;
    let files = if is_unsafe {
        verified(&dir)?
    } else {
        Index::load(host, &at)?.into_files().collect()
    };
    let mut kept = Vec::with_capacity(files.len());
    let mut candidates = Vec::new();
    for stored in files {
        let name = stored.key.file_name();
        // Without other links no tree has it. Other links prove nothing, since users may link what
        // they can read.
        match dir.stat_entry(&name)? {
            Some(stat) if stat.links == 1 || removed.is_some() || is_unsafe => {
                candidates.push(stored);
            }
            Some(_) => kept.push(stored),
            None => {}
        }
    }
    let needed = if candidates.is_empty() {
        Some(Needed::new())
    } else {
        needed(host, jails_dir, removed)
    };
    let mut has_deleted = false;
    for stored in candidates {
        let id = (stored.key.sha256, stored.key.owner, stored.key.mtime);
        if needed.as_ref().is_none_or(|needed| needed.contains(&id)) {
            kept.push(stored);
        } else {
            dir.remove_file_if_exists(Path::new(&stored.key.file_name()))?;
            has_deleted = true;
        }
    }
    if kept.is_empty() {
        drop(dir);
        return delete_store(host, jails_dir);
    }
    if has_deleted || is_unsafe {
        let digests: HashSet<Digest> = kept.iter().map(|stored| stored.key.sha256).collect();
        let mut sources = SourceDigests::load(host, &at)?;
        sources.retain(|digest| digests.contains(digest));
        write(&dir, STORE_SOURCES, &sources.to_bytes())?;
        write_index(&dir, kept)?;
    }
    dir.remove_file_if_exists(Path::new(STORE_BUSY))
}

/// Closes the store after a run that replaced no tree, so that no file has become unused.
///
/// # Errors
/// As [`gc`].
pub(super) fn close_unused(host: &Host, jails_dir: &Path) -> Result<()> {
    let at = jails_dir.join(STORE);
    let Some(dir) = host.open_dir_nofollow(&at)? else {
        return delete_store(host, jails_dir);
    };
    let mut names = dir.names()?.into_iter();
    let has_files = names.any(|name| {
        name.to_str()
            .is_some_and(|name| ContentKey::parse(name).is_some())
    });
    if !has_files || is_dirty(host, &at)? {
        return gc(host, jails_dir, None, false);
    }
    dir.remove_all(Path::new(STORE_NEW))?;
    dir.remove_file_if_exists(Path::new(STORE_BUSY))
}

/// Deletes an empty store, and the private directory that was created for it.
fn delete_store(host: &Host, jails_dir: &Path) -> Result<()> {
    let Some(dir) = host.open_dir_nofollow(jails_dir)? else {
        return Ok(());
    };
    dir.remove_all(Path::new(STORE))?;
    let private = Path::new(PRIVATE_DIR);
    match dir.try_open_dir(private)? {
        Some(empty) if empty.entries()?.is_empty() => dir.remove_dir(private),
        _ => Ok(()),
    }
}

/// Digests, owners and mtimes of files.
type Needed = HashSet<(Digest, Ownership, (i64, u32))>;

/// The files of the current and previous builds of the jails in `jails_dir`, without those of
/// `removed`; `None` where a manifest cannot be read.
fn needed(host: &Host, jails_dir: &Path, removed: Option<&JailName>) -> Option<Needed> {
    let mut needed = Needed::new();
    for name in Manifest::names(host).ok()? {
        if Some(&name) == removed {
            continue;
        }
        let state = ResolvedJail::state(&name);
        for path in [
            state.join(MANIFEST),
            state.join(PREVIOUS_RECORDS).join(MANIFEST),
        ] {
            let Some(manifest) = Manifest::load_at(host, &path).ok()? else {
                continue;
            };
            if manifest.root.parent() != Some(jails_dir) {
                break;
            }
            for record in manifest.entries.into_values() {
                if let RecordKind::File { sha256, stat, .. } = record.kind {
                    needed.insert((sha256, record.owner, stat.mtime));
                }
            }
        }
    }
    Some(needed)
}
