//! `[[mount]]`: file systems that are mounted in sessions of a jail.

use super::findings::Findings;
use super::partial_spec::PartialSpec;
use super::path_rules;
use super::typed_table::Table;
use super::types::{MountSource, MountSpec};
use super::values::{OPTIONS, is_mount_point};
use crate::error::Finding;
use crate::names::JailPath;

/// Mount points of the tmpfs that each session has by default. `/dev` and kernel file systems are
/// never targets.
const SESSION_ONLY: [&str; 1] = ["/tmp"];

/// Options of tmpfs(5) with a value.
const TMPFS_ONLY: [&str; 2] = ["size", "mode"];

impl MountSpec {
    /// Whether the option is set, explicitly or by default.
    pub fn is(&self, option: &str) -> bool {
        self.options.iter().any(|given| given == option)
    }

    /// Value of the option.
    pub fn value(&self, option: &str) -> Option<&str> {
        self.options
            .iter()
            .filter_map(|given| given.split_once('='))
            .find_map(|(name, value)| (name == option).then_some(value))
    }
}

/// Converts one `[[mount]]`.
pub(crate) fn build(table: &Table) -> Option<MountSpec> {
    if table.has_errors("options") {
        return None;
    }
    let (source, span) = table.text("source")?;
    let source = MountSource::new(source, span);
    let given = table.texts("options").iter().map(|(text, _)| text.clone());
    let mut options: Vec<String> = given.collect();
    let writable = matches!(source, MountSource::Tmpfs | MountSource::Proc);
    for (default, other) in OPTIONS {
        if options
            .iter()
            .all(|given| given != default && given != other)
        {
            let is_writable = default == "ro" && writable;
            options.push(if is_writable { other } else { default }.to_owned());
        }
    }
    Some(MountSpec {
        span: table.span.clone(),
        source,
        target: table.parsed("target", JailPath::new)?,
        options,
        optional: table.boolean("optional") == Some(true),
    })
}

/// Adds a finding for each conflict between mounts, and between mounts and other values.
pub(crate) fn check(
    mounts: &[MountSpec],
    has_pid: bool,
    parts: &PartialSpec,
    findings: &mut Findings,
) {
    for (index, mount) in mounts.iter().enumerate() {
        if findings.is_full() {
            return;
        }
        let path = &mount.target.value;
        if mounts[..index]
            .iter()
            .any(|other| other.target.value == *path)
        {
            findings.add(
                Finding::new(format!("duplicate mount on `{path}`"))
                    .with_span(&mount.target.span, ""),
            );
        }
        user_paths(mount, parts, findings);
        covered(index, mounts, findings);
        options(mount, findings);
        optional(index, mounts, findings);
        kernel_mounts(mount, has_pid, findings);
        if let MountSource::Host(source) = &mount.source
            && parts
                .roots()
                .iter()
                .any(|root| root.starts_with(&source.value) || source.value.starts_with(root))
        {
            findings.add(
                Finding::new(format!(
                    "could not mount `{}` in the jail",
                    source.value.display()
                ))
                .why("it contains the root of the jail, or is below it")
                .with_span(&source.span, ""),
            );
        }
    }
}

/// Refuses mount points below or above directories of users: they could move the directory that is
/// mounted on, and no further session would start (CVE-2018-6954, CVE-2021-30465).
fn user_paths(mount: &MountSpec, parts: &PartialSpec, findings: &mut Findings) {
    let path = &mount.target.value;
    let lies_in = |outer: &JailPath| path_rules::within(path.as_str(), &[outer.as_str()]).is_some();
    let holds = |inner: &JailPath| path_rules::within(inner.as_str(), &[path.as_str()]).is_some();
    let mut refuse = |why: String, hint: &str| {
        findings.add(
            Finding::new(format!("could not mount on `{path}`"))
                .why(why)
                .with_span(&mount.target.span, "expected a root-owned directory")
                .hint(hint),
        );
    };
    for user in &parts.users {
        let home = &user.home.value;
        if lies_in(home) || holds(home) {
            refuse(
                format!("it overlaps with the home of `{}`", user.name.value),
                "mount it outside of the home, and create a symbolic link in the home",
            );
        }
    }
    for dir in &parts.dirs {
        let owned = &dir.path.value;
        if let Some(owner) = &dir.owner
            && (lies_in(owned) || holds(owned))
        {
            refuse(
                format!(
                    "it overlaps with `{owned}`, a directory of `{}`",
                    owner.value
                ),
                "mount it outside of that directory; mount points need no `[[dir]]`",
            );
        }
    }
}

/// Nested mounts: the outer mount comes first, and must have the mount point of the inner one,
/// which a new tmpfs has not.
fn covered(index: usize, mounts: &[MountSpec], findings: &mut Findings) {
    let mount = &mounts[index];
    let path = &mount.target.value;
    let lies_in = |outer: &str| {
        path.as_str() != outer && path_rules::within(path.as_str(), &[outer]).is_some()
    };
    let refused =
        || Finding::new(format!("could not mount on `{path}`")).with_span(&mount.target.span, "");
    if let Some(outer) = mounts[index..]
        .iter()
        .find(|outer| lies_in(outer.target.value.as_str()))
    {
        findings.add(
            refused()
                .why(format!(
                    "the later mount on `{}` would hide it",
                    outer.target.value
                ))
                .hint("move this `[[mount]]` below that one"),
        );
        return;
    }
    let is_own = |outer: &str| {
        mounts
            .iter()
            .all(|mount| mount.target.value.as_str() != outer)
    };
    let outer = mounts[..index]
        .iter()
        .filter(|outer| !matches!(outer.source, MountSource::Host(_)))
        .map(|outer| outer.target.value.as_str())
        .chain(SESSION_ONLY.into_iter().filter(|outer| is_own(outer)))
        .find(|outer| lies_in(outer));
    if let Some(outer) = outer {
        findings.add(
            refused()
                .why(format!("`{outer}` is a separate file system in each session, which has no such directory"))
                .hint("choose another path, such as `/www`"),
        );
    }
}

/// Refuses `optional` where nothing can be missing, and a mount inside of an optional one: without
/// that its mount point would be missing, and with it the session.
fn optional(index: usize, mounts: &[MountSpec], findings: &mut Findings) {
    let mount = &mounts[index];
    if mount.optional && !matches!(mount.source, MountSource::Host(_)) {
        findings.add(
            Finding::new("`optional` is only for directories of the host")
                .why("this file system is part of the kernel")
                .with_span(&mount.span, "in this `[[mount]]`"),
        );
    }
    let path = mount.target.value.as_str();
    let holds = |outer: &&MountSpec| {
        let outer = outer.target.value.as_str();
        path != outer && path_rules::within(path, &[outer]).is_some()
    };
    let mut before = mounts[..index].iter().filter(|outer| outer.optional);
    if let Some(outer) = before.find(holds) {
        findings.add(
            Finding::new(format!("could not mount on `{path}`"))
                .why(format!(
                    "it lies in `{}`, which is optional and may be missing",
                    outer.target.value
                ))
                .hint("mount it beside that one, or take `optional` out there")
                .with_span(&mount.target.span, ""),
        );
    }
}

fn options(mount: &MountSpec, findings: &mut Findings) {
    for (one, other) in OPTIONS {
        if mount.is(one) && mount.is(other) {
            findings.add(
                Finding::new(format!("`{one}` and `{other}` exclude each other"))
                    .with_span(&mount.span, "in this `[[mount]]`"),
            );
        }
    }
    for name in TMPFS_ONLY {
        let given = mount.options.iter().filter_map(|one| one.split_once('='));
        if given.filter(|(given, _)| *given == name).count() > 1 {
            findings.add(
                Finding::new(format!("duplicate option `{name}=`"))
                    .with_span(&mount.span, "in this `[[mount]]`"),
            );
        }
        if mount.value(name).is_some() && mount.source != MountSource::Tmpfs {
            findings.add(
                Finding::new(format!("`{name}=` is only an option of tmpfs"))
                    .with_span(&mount.span, "another source"),
            );
        }
    }
    if mount.source == MountSource::Sys && mount.is("rw") {
        findings.add(
            Finding::new("`sysfs` cannot be `rw`")
                .why("writing there changes the whole machine")
                .with_span(&mount.span, "in this `[[mount]]`"),
        );
    }
}

/// Checks that kernel file systems are mounted at their mount points, and nothing else there.
fn kernel_mounts(mount: &MountSpec, has_pid: bool, findings: &mut Findings) {
    let path = mount.target.value.as_str();
    match mount.source.mount_point() {
        Some(only) if only != path => findings.add(
            Finding::new(format!("wrong mount point `{path}`"))
                .why(format!("programs expect this file system at `{only}`"))
                .with_span(&mount.target.span, ""),
        ),
        None if is_mount_point(path) => findings.add(
            Finding::new(format!("could not mount on `{path}`"))
                .why("it is reserved for the kernel file system")
                .with_span(&mount.target.span, ""),
        ),
        _ => {}
    }
    if mount.source == MountSource::Proc && !has_pid {
        findings.add(
            Finding::new("`proc` would show the host's processes")
                .why("`namespaces.pid` is false")
                .with_span(&mount.span, "in this `[[mount]]`"),
        );
    }
}
