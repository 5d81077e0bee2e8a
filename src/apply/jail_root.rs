//! The root of a jail: its creation, its marker, and the exchange of its tree.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::context::StepContext;
use super::journal::undo_record::Undo;
use super::stage::{self, WrittenFiles};
use super::store::Store;
use super::{exchange, staged_test};
use crate::error::Result;
use crate::host::{Dir, Host, Ownership};
use crate::layout::{MARKER, PREVIOUS_RECORDS, PREVIOUS_TREE, PRIVATE_FILE_MODE, PUBLIC_DIR_MODE};
use crate::names::JailName;
use crate::plan::{Change, Manifest};
use crate::resolve::{Marker, ResolvedJail};

/// Creates the root with its parents and marker, or makes an existing one root-owned with mode
/// 0755.
pub(super) fn create(host: &Host, jail: &JailName, root: &Path) -> Result<()> {
    let mut missing: Vec<PathBuf> = Vec::new();
    for directory in root.ancestors() {
        if host.lstat(directory)?.is_some() {
            break;
        }
        missing.push(directory.to_owned());
    }
    missing.reverse();
    let marker = Marker::read(host, root)?;
    let dir = host.ensure_root_dir(root, Ownership::root(PUBLIC_DIR_MODE))?;
    dir.set_owner(Ownership::root(PUBLIC_DIR_MODE))?;
    stage::private_dir(&dir)?;
    let marker = marker.unwrap_or(Marker {
        jail: jail.clone(),
        made: missing,
        left: Vec::new(),
    });
    write_marker(&dir, &marker)
}

/// Stages the changed paths of a tree, tests the result, and exchanges it with the live tree.
pub(super) fn write_tree(
    context: &mut StepContext<'_, '_>,
    jail: &ResolvedJail,
    changes: &[Change],
    recorded: Option<&Manifest>,
) -> Result<()> {
    let root = context.open_root()?;
    stage::private_dir(&root)?;
    // Both are deleted after the commit, when it is too late to report that they cannot be.
    root.check_removable(Path::new(PREVIOUS_TREE))?;
    if let Some(state) = context.host.open_dir_nofollow(&context.state())? {
        state.check_removable(Path::new(PREVIOUS_RECORDS))?;
    }
    let staged = stage::stage(context.host, &root, jail, changes, recorded)?;
    staged_test::test_staged_tree(context.host, jail)?;
    context.journal_undo(vec![Undo::ReverseMoves(staged.moves.clone())])?;
    exchange::make(&staged.moves, &root)?;
    root.sync()?;
    context.written = WrittenFiles {
        files: staged.files,
        stats: staged.store.map_or(Ok(HashMap::new()), Store::close)?,
    };
    Ok(())
}

/// Writes the marker of a root.
pub(super) fn write_marker(root: &Dir, marker: &Marker) -> Result<()> {
    root.replace_file(
        Path::new(MARKER),
        &marker.to_json()?,
        Ownership::root(PRIVATE_FILE_MODE),
    )
}
