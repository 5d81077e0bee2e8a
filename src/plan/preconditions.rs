//! Conditions of a build: the root is not one of another jail, has no files of others, no mounts,
//! and is not mounted in sessions where that would open a way out.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::compare::EXCHANGED_DIRS;
use super::fleet::Fleet;
use super::manifest::{Manifest, OriginalAccount};
use crate::error::{Error, ErrorKind, Finding, Result};
use crate::host::{HostView, Inventory, Stat};
use crate::layout::{POLICY, PRIVATE_DIR};
use crate::names::{JailName, JailPath};
use crate::resolve::{Entry, EntryKind, Marker, ResolvedJail};
use crate::spec::{MountSource, Spec};

/// Checks that the root is not inside of the root of another jail or around it, that the jail does
/// not move, and that it is not both one jail and a family.
///
/// # Errors
/// [`ErrorKind::Spec`] with one finding; [`ErrorKind::Failed`] if records cannot be read.
pub(super) fn check_root_conflicts(
    spec: &Spec,
    manifest: Option<&Manifest>,
    view: &HostView,
) -> Result<()> {
    let root = &spec.root.value;
    let name = &spec.name.value;
    let fleet = Fleet::of(view)?;
    let fleet = fleet.jails();
    check_family_name(spec, fleet.namesake(name))?;
    if let Some(manifest) = manifest.filter(|manifest| manifest.root != *root) {
        return Err(Finding::new(format!(
            "could not move the jail `{}` to `{}`",
            manifest.name,
            root.display()
        ))
        .why(format!("its root is `{}`", manifest.root.display()))
        .hint(format!(
            "to move it, run `jailctl move {} {}`",
            manifest.name,
            root.display()
        ))
        .with_span(&spec.root.span, "this root")
        .into());
    }
    check_not_shown(spec, &fleet)?;
    let Some((other, theirs)) = fleet.overlapping(root, name) else {
        return Ok(());
    };
    Err(
        Finding::new(format!("could not use the root `{}`", root.display()))
            .why(format!(
                "the jail `{other}` has the root `{}`",
                theirs.display()
            ))
            .hint("choose another root, neither inside of that one nor around it")
            .with_span(&spec.root.span, "this root")
            .into(),
    )
}

/// Checks that sessions mount no directory of a jail that is a plain chroot. A user in the plain
/// chroot could pass a descriptor of the directory to a user in the session, by a socket in that
/// directory: outside of its mount namespace nothing stops `..` before the host's root directory.
fn check_not_shown(spec: &Spec, fleet: &Fleet) -> Result<()> {
    let mounts = spec.session.iter().flat_map(|session| &session.mounts);
    for mount in mounts {
        let MountSource::Host(source) = &mount.source else {
            continue;
        };
        if let Some(other) = fleet.plain_overlapping(&source.value, &spec.name.value) {
            return Err(
                cannot_be_shown(&source.value, &format!("the jail `{other}`"))
                    .hint("give that jail sessions too: add `[namespaces]` to its spec, and build it first")
                    .with_span(&source.span, "required here")
                    .into(),
            );
        }
    }
    Ok(())
}

/// Checks the reverse of [`check_not_shown`]: that a jail which becomes a plain chroot has no
/// directory that sessions of other jails mount.
///
/// # Errors
/// [`ErrorKind::Spec`] with one finding; [`ErrorKind::Failed`] if records cannot be read.
pub(super) fn check_not_mounted_elsewhere(spec: &Spec, view: &HostView) -> Result<()> {
    let name = &spec.name.value;
    let was_plain = view.stat(&ResolvedJail::state(name))?.is_some() && is_plain(view, name)?;
    if spec.session.is_some() || was_plain {
        return Ok(());
    }
    let fleet = Fleet::of(view)?;
    let fleet = fleet.jails();
    let Some((other, source)) = fleet.mounting(&spec.root.value, name) else {
        return Ok(());
    };
    Err(cannot_be_shown(source, "this jail")
        .hint(format!(
            "add `[namespaces]` to this spec; or remove the `[[mount]]` from the spec of `{other}`, and build that first"
        ))
        .with_span(&spec.root.span, format!("sessions of `{other}` see it"))
        .into())
}

/// The finding for a mount that overlaps with a plain chroot.
fn cannot_be_shown(source: &Path, jail: &str) -> Finding {
    Finding::new(format!(
        "could not mount `{}` in sessions",
        source.display().to_string().escape_debug()
    ))
    .why(format!(
        "it overlaps with the root of {jail}, a plain chroot: a user there could pass a directory from which `..` leads to the host"
    ))
}

/// Whether a jail that was built is a plain chroot.
fn is_plain(view: &HostView, name: &JailName) -> Result<bool> {
    let policy = view.stat(&ResolvedJail::state(name).join(POLICY))?;
    Ok(policy.is_none())
}

/// Checks that one jail and a family do not have the same name: their group and snippet would be
/// the same.
fn check_family_name(spec: &Spec, other: Option<&JailName>) -> Result<()> {
    let name = &spec.name.value;
    let Some(other) = other else { return Ok(()) };
    let shared = name.family_name();
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
            "choose another name, or run `jailctl remove {shared}` first; homes stay"
        ))
        .with_span(&spec.root.span, "this root")
        .into())
}

/// Refuses mounts in exchanged directories: a mount would move with its directory, and prevent the
/// next build.
///
/// # Errors
/// [`ErrorKind::Failed`] with the mount.
pub(super) fn check_no_mounts(root: &Path, view: &HostView) -> Result<()> {
    for mount in view.mounts_below(root)? {
        let shown = view.display_path(root);
        let below = mount.strip_prefix(&shown).unwrap_or(&mount);
        if EXCHANGED_DIRS.iter().any(|top| below.starts_with(top)) {
            return Err(
                Error::failed(format!("could not build the jail at `{}`", root.display()))
                    .why(format!("something is mounted at `{}`", mount.display()))
                    .hint(format!("unmount it first: umount {}", mount.display())),
            );
        }
    }
    Ok(())
}

/// Refuses a writable mount of a directory that the host uses as the home of an account of the
/// jail: the host runs files there (units of systemd's user manager, `~/.forward`, `~/.ssh/rc`),
/// with the host's root directory.
///
/// Such homes are those of adopted accounts, in `before`, and `/home/NAME` of each account, which
/// programs assume without passwd(5). Inodes are compared, so that a home behind a link or a bind
/// mount is found.
///
/// # Errors
/// [`ErrorKind::Spec`] with a finding for each mount; [`ErrorKind::Failed`] if the host cannot be
/// read.
pub(super) fn check_homes(
    spec: &Spec,
    before: &BTreeMap<String, OriginalAccount>,
    view: &HostView,
) -> Result<()> {
    let mounts = spec.session.iter().flat_map(|session| &session.mounts);
    let mounts = mounts.filter(|mount| !mount.is("ro"));
    let mut findings = Vec::new();
    for mount in mounts {
        let MountSource::Host(source) = &mount.source else {
            continue;
        };
        for user in &spec.users {
            let name = user.name.value.as_str();
            let usual = PathBuf::from(format!("/home/{name}"));
            let own = before
                .get(name)
                .map(|had| PathBuf::from(&had.belonging.home));
            let own = own.filter(|own| *own != usual);
            for home in own.into_iter().chain([usual]) {
                let Some(how) = meeting(&source.value, &home, view)? else {
                    continue;
                };
                findings.push(
                    Finding::new(format!(
                        "`{}` cannot be mounted `rw`",
                        source.value.display()
                    ))
                    .why(format!(
                        "it {how} `{}`, which the host uses as the home of `{name}`: it may run files of `{name}` there outside of the jail",
                        home.display()
                    ))
                    .hint("mount it `ro`, or move the shared files to a directory outside of the home")
                    .with_span(&source.span, "this directory"),
                );
            }
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

/// The relation of a directory of the host to a home: "is", "holds" or "lies in"; `None` if there
/// is none.
fn meeting(source: &Path, home: &Path, view: &HostView) -> Result<Option<&'static str>> {
    if home == Path::new("/") {
        return Ok(None);
    }
    if source == home {
        return Ok(Some("is"));
    }
    if home.starts_with(source) {
        return Ok(Some("holds"));
    }
    if source.starts_with(home) {
        return Ok(Some("lies in"));
    }
    let Some(found) = view.resolve_links(home)? else {
        return Ok(None);
    };
    let is_at = |path: &Path, stat: &Stat| -> Result<bool> {
        let there = view.stat(path)?;
        Ok(there.is_some_and(|there| (there.dev, there.ino) == (stat.dev, stat.ino)))
    };
    if is_at(source, &found.stat)? {
        return Ok(Some("is"));
    }
    let above = |path: &Path| -> Vec<PathBuf> {
        let above = path.ancestors().skip(1);
        above
            .filter(|path| *path != Path::new("/"))
            .map(Path::to_owned)
            .collect()
    };
    for path in above(source) {
        if is_at(&path, &found.stat)? {
            return Ok(Some("lies in"));
        }
    }
    let Some(stat) = view.stat(source)? else {
        return Ok(None);
    };
    for path in above(&found.real) {
        if is_at(&path, &stat)? {
            return Ok(Some("holds"));
        }
    }
    Ok(None)
}

/// Paths in the root that jailctl did not create, outside of user directories. They are left alone,
/// since an administrator created them.
pub(super) fn unmanaged_paths(
    wanted: &ResolvedJail,
    manifest: Option<&Manifest>,
    inventory: &Inventory,
) -> Result<Vec<String>> {
    let tree = &wanted.tree;
    let is_loose = |path: &JailPath, entry: &Entry| {
        entry.kind == EntryKind::Directory
            && !entry.user_owned
            && !EXCHANGED_DIRS.contains(&path.top())
    };
    let known = |path: &JailPath| {
        let holds = |place: &JailPath| Path::new(place.as_str()).starts_with(path.as_str());
        let recorded = manifest.is_some_and(|manifest| {
            // A directory above a user directory is needed as long as that exists.
            manifest.entries.contains_key(path) || manifest.user_dirs.iter().any(holds)
        });
        recorded || tree.get(path).is_some()
    };
    let root = JailPath::root();
    let directories = tree
        .iter()
        .filter(|(path, entry)| is_loose(path, entry))
        .map(|(path, _)| path)
        .chain([&root]);
    let mut unmanaged = Vec::new();
    for directory in directories {
        for name in inventory.names(directory)? {
            let is_ours = *directory == root
                && (name == PRIVATE_DIR
                    || name == "lost+found"
                    || EXCHANGED_DIRS.contains(&name.as_str()));
            let path = directory.join(&name).ok();
            if !is_ours && !path.as_ref().is_some_and(known) {
                unmanaged.push(format!(
                    "{}/{name}",
                    directory.as_str().trim_end_matches('/')
                ));
            }
        }
    }
    Ok(unmanaged)
}

/// Checks that the root is new, empty or has the marker of the jail.
///
/// # Errors
/// [`ErrorKind::Spec`] with one finding; [`ErrorKind::Failed`] if the root cannot be read.
pub(super) fn check_root_is_managed(
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
                .with_span(&spec.root.span, "this root")
                .into());
        }
        None => {}
    }
    let unmanaged: Vec<String> = inventory
        .top()?
        .into_iter()
        // Only root can have created the private directory; without the marker in it, a run was
        // interrupted before any other step.
        .filter(|name| name != "lost+found" && name != PRIVATE_DIR)
        .collect();
    if unmanaged.is_empty() {
        return Ok(());
    }
    Err(Finding::new(format!("could not use the root `{root}`"))
        .why(format!(
            "it exists, jailctl did not make it, and `{}` is in it",
            unmanaged[0].escape_debug()
        ))
        .hint("choose another root, or move away what is there")
        .with_span(&spec.root.span, "this root")
        .into())
}
