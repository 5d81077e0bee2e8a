//! Whether a jail may stand, or go on standing, where its spec puts it, given what else there is: other jails, strangers in the root, mounts.

use std::path::Path;

use super::{Manifest, SWAPPED};
use crate::error::{Error, Finding, Result};
use crate::host::{Inventory, View};
use crate::names::{JailName, JailPath};
use crate::resolve::{Entry, EntryKind, Marker, PRIVATE, ResolvedJail};
use crate::spec::Spec;

/// Two jails must not stand in one another, and one does not move, nor become a jail of each user or such jails one.
pub(super) fn neighbours(spec: &Spec, manifest: Option<&Manifest>, view: &View) -> Result<()> {
    let root = &spec.root.value;
    let names = Manifest::names(view)?;
    one_or_each(spec, &names)?;
    if let Some(manifest) = manifest.filter(|manifest| manifest.root != *root) {
        return Err(Finding::new(format!(
            "could not move the jail `{}` to `{}`",
            manifest.name,
            root.display()
        ))
        .why(format!("it stands at `{}`", manifest.root.display()))
        .hint("remove the jail first, or leave its root as it is")
        .at(&spec.root.site, "this root")
        .into());
    }
    for name in names {
        if name == spec.name.value {
            continue;
        }
        let Some(other) = Manifest::root_of(view, &name)? else {
            continue;
        };
        if root.starts_with(&other) || other.starts_with(root) {
            return Err(
                Finding::new(format!("could not use the root `{}`", root.display()))
                    .why(format!("the jail `{name}` stands at `{}`", other.display()))
                    .hint("jails stand beside one another: choose another root")
                    .at(&spec.root.site, "this root")
                    .into(),
            );
        }
    }
    Ok(())
}

/// A jail for all users and jails of each cannot have one name: their group and snippet would be the same.
fn one_or_each(spec: &Spec, names: &[JailName]) -> Result<()> {
    let name = &spec.name.value;
    let other = (names.iter())
        .find(|other| other.shared() == name.shared() && other.is_member() != name.is_member());
    let Some(other) = other else { return Ok(()) };
    let shared = name.shared();
    let (what, why) = if name.is_member() {
        (
            "a jail of each user",
            format!("`{other}` is one jail for all of its users"),
        )
    } else {
        (
            "one jail for all of its users",
            format!("`{other}` is the jail of one user"),
        )
    };
    Err(Finding::new(format!("could not make `{shared}` {what}"))
        .why(why)
        .hint(format!(
            "choose another name, or remove what is there first: `jailctl remove {shared}` leaves what users put into it where it is"
        ))
        .at(&spec.root.site, "this root")
        .into())
}

/// What is mounted in a directory that is exchanged would go along, and be in the way of the next build.
pub(super) fn mounts(root: &Path, view: &View) -> Result<()> {
    for mount in view.mounts_below(root)? {
        let shown = view.shown(root);
        let below = mount.strip_prefix(&shown).unwrap_or(&mount);
        if SWAPPED.iter().any(|top| below.starts_with(top)) {
            return Err(
                Error::failed(format!("could not build the jail at `{}`", root.display()))
                    .why(format!("something is mounted at `{}`", mount.display()))
                    .hint(format!("unmount it first: umount {}", mount.display())),
            );
        }
    }
    Ok(())
}

/// What is in the directories of a jail's root beside what jailctl makes, and not below a user's place: left alone, since an admin put it there.
pub(super) fn strangers(
    wanted: &ResolvedJail,
    manifest: Option<&Manifest>,
    inventory: &Inventory,
) -> Result<Vec<String>> {
    let tree = &wanted.tree;
    let is_loose = |path: &JailPath, entry: &Entry| {
        entry.kind == EntryKind::Directory && !entry.kept && !SWAPPED.contains(&path.top())
    };
    let known = |path: &JailPath| {
        let holds = |place: &JailPath| Path::new(place.as_str()).starts_with(path.as_str());
        let recorded = manifest.is_some_and(|manifest| {
            // What holds a place that a user left is needed as long as that stays.
            manifest.entries.contains_key(path) || manifest.places.iter().any(holds)
        });
        recorded || tree.get(path).is_some()
    };
    let root = JailPath::root();
    let directories = tree
        .iter()
        .filter(|(path, entry)| is_loose(path, entry))
        .map(|(path, _)| path)
        .chain([&root]);
    let mut strangers = Vec::new();
    for directory in directories {
        for name in inventory.names(directory)? {
            let is_ours = *directory == root
                && (name == PRIVATE || name == "lost+found" || SWAPPED.contains(&name.as_str()));
            let path = directory.join(&name).ok();
            if !is_ours && !path.as_ref().is_some_and(known) {
                strangers.push(format!(
                    "{}/{name}",
                    directory.as_str().trim_end_matches('/')
                ));
            }
        }
    }
    Ok(strangers)
}

/// A root is new, empty or ours.
pub(super) fn root(
    spec: &Spec,
    marker: Option<&Marker>,
    inventory: Option<&Inventory>,
) -> Result<()> {
    let Some(inventory) = inventory else {
        return Ok(());
    };
    let root = spec.root.value.display();
    match marker.map(|marker| &marker.jail) {
        Some(name) if *name == spec.name.value => return Ok(()),
        Some(other) => {
            return Err(Finding::new(format!("could not use the root `{root}`"))
                .why(format!("it belongs to the jail `{other}`"))
                .hint("choose another root")
                .at(&spec.root.site, "this root")
                .into());
        }
        None => {}
    }
    let strangers: Vec<String> = inventory
        .top()?
        .into_iter()
        // Only root can have made our private directory; without the note in it a run was cut short before anything else.
        .filter(|name| name != "lost+found" && name != PRIVATE)
        .collect();
    if strangers.is_empty() {
        return Ok(());
    }
    Err(Finding::new(format!("could not use the root `{root}`"))
        .why(format!(
            "it exists, jailctl did not make it, and `{}` is in it",
            strangers[0].escape_debug()
        ))
        .hint("choose another root, or move away what is there")
        .at(&spec.root.site, "this root")
        .into())
}
