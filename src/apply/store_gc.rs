//! What goes of the content store when a run ends.

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

/// Ends a run: what no jail beside one another needs any more goes, and the whole store with the last of it. `gone` is the jail that is just being
/// taken away. After a run that `failed`, its files are in the store and not in the index: the index is made anew.
pub(super) fn gc(host: &Host, holder: &Path, gone: Option<&JailName>, failed: bool) -> Result<()> {
    let at = holder.join(STORE);
    let Some(dir) = host.open_dir_nofollow(&at)? else {
        return delete_store(host, holder);
    };
    dir.remove_all(Path::new(STORE_NEW))?;
    let was_cut_short = failed || is_dirty(host, &at)?;
    let files = if was_cut_short {
        verified(&dir)?
    } else {
        Index::load(host, &at)?.into_files().collect()
    };
    let mut kept = Vec::with_capacity(files.len());
    let mut doubtful = Vec::new();
    for stored in files {
        let name = stored.key.file_name();
        // No other name: no tree has it. Other names prove nothing, since users may link what they see.
        match dir.stat_entry(&name)? {
            Some(stat) if stat.links == 1 || gone.is_some() || was_cut_short => {
                doubtful.push(stored);
            }
            Some(_) => kept.push(stored),
            None => {}
        }
    }
    let needed = if doubtful.is_empty() {
        Some(Needed::new())
    } else {
        needed(host, holder, gone)
    };
    let mut is_less = false;
    for stored in doubtful {
        let id = (stored.key.sha256, stored.key.owner, stored.key.mtime);
        if needed.as_ref().is_none_or(|needed| needed.contains(&id)) {
            kept.push(stored);
        } else {
            dir.remove_file_if_exists(Path::new(&stored.key.file_name()))?;
            is_less = true;
        }
    }
    if kept.is_empty() {
        drop(dir);
        return delete_store(host, holder);
    }
    if is_less || was_cut_short {
        let digests: HashSet<Digest> = kept.iter().map(|stored| stored.key.sha256).collect();
        let mut sources = SourceDigests::load(host, &at)?;
        sources.retain(|digest| digests.contains(digest));
        write(&dir, STORE_SOURCES, &sources.to_bytes())?;
        write_index(&dir, kept)?;
    }
    dir.remove_file_if_exists(Path::new(STORE_BUSY))
}

/// Ends a run that took nothing from the store.
pub(super) fn close_unused(host: &Host, holder: &Path) -> Result<()> {
    let at = holder.join(STORE);
    let Some(dir) = host.open_dir_nofollow(&at)? else {
        return delete_store(host, holder);
    };
    let mut names = dir.names()?.into_iter();
    let has_files = names.any(|name| {
        name.to_str()
            .is_some_and(|name| ContentKey::parse(name).is_some())
    });
    if !has_files || is_dirty(host, &at)? {
        return gc(host, holder, None, false);
    }
    dir.remove_all(Path::new(STORE_NEW))?;
    dir.remove_file_if_exists(Path::new(STORE_BUSY))
}

/// Removes a store in which nothing is left, and the directory that was made for it.
fn delete_store(host: &Host, holder: &Path) -> Result<()> {
    let Some(dir) = host.open_dir_nofollow(holder)? else {
        return Ok(());
    };
    dir.remove_all(Path::new(STORE))?;
    let private = Path::new(PRIVATE_DIR);
    match dir.try_open_dir(private)? {
        Some(empty) if empty.entries()?.is_empty() => dir.remove_dir(private),
        _ => Ok(()),
    }
}

/// Contents, owners and times of last change.
type Needed = HashSet<(Digest, Ownership, (i64, u32))>;

/// What the jails in `holder` are made of, now and before their last build; `None` where that cannot be known.
fn needed(host: &Host, holder: &Path, gone: Option<&JailName>) -> Option<Needed> {
    let mut needed = Needed::new();
    for name in Manifest::names(host).ok()? {
        if Some(&name) == gone {
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
            if manifest.root.parent() != Some(holder) {
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
