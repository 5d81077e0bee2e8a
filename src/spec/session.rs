//! `[namespaces]`, `[network]` and `[[mount]]`: what each session of a jail has of its own. A spec with none of these tables has a plain chroot.

use std::path::PathBuf;

use super::build::{Parts, sited, typed};
use super::findings::Findings;
use super::text::list;
use super::tree::{Table, Value};
use super::{Door, places};
use crate::error::Finding;
use crate::names::JailPath;
use crate::site::{Site, Sited};

/// The word for a `[[mount]]` of nothing but memory, as in fstab(5).
pub(crate) const TMPFS: &str = "tmpfs";

/// What each session has of its own. A mount namespace is always one of them.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "the keys of a table, independent of each other"
)]
pub struct SessionSpec {
    /// The first of the tables.
    pub site: Site,
    /// `namespaces.pid`.
    pub pid: bool,
    /// `namespaces.uts`.
    pub uts: bool,
    /// `namespaces.ipc`.
    pub ipc: bool,
    /// `namespaces.cgroup`.
    pub cgroup: bool,
    /// `network.mode`: whether there is nothing but a loopback.
    pub offline: bool,
    /// `[[mount]]`.
    pub mounts: Vec<MountSpec>,
}

/// `[[mount]]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MountSpec {
    /// The table's header.
    pub site: Site,
    /// `source`: a directory of the host; `None` for memory.
    pub source: Option<Sited<PathBuf>>,
    /// `target`.
    pub target: Sited<JailPath>,
    /// `options`, each of [`OPTIONS`].
    pub options: Vec<String>,
}

/// Options of a `[[mount]]`: the default first, then its opposite.
pub(crate) const OPTIONS: [(&str, &str); 4] = [
    ("ro", "rw"),
    ("nosuid", "suid"),
    ("nodev", "dev"),
    ("noexec", "exec"),
];

impl MountSpec {
    /// Whether the option of this name holds. Without `options` all four do; a list stands for itself, as with mount(8).
    pub fn is(&self, option: &str) -> bool {
        self.options.iter().any(|given| given == option)
    }
}

/// The part of the merged tree; `None` if a session has nothing of its own.
pub(crate) fn build(spec: &Table, doors: &[Door], findings: &mut Findings) -> Option<SessionSpec> {
    let tables = ["namespaces", "network", "mount"];
    let site = tables
        .iter()
        .filter_map(|key| Some(&spec.entries.get(key)?.site))
        .min_by_key(|site| site.position())?;
    let table = |key| match spec.entries.get(key).map(|node| &node.value) {
        Some(Value::Table(table)) => Some(table),
        _ => None,
    };
    let namespaces = table("namespaces");
    let own = |key| namespaces.and_then(|table| table.flag(key));
    let is_own = |key| own(key).is_none_or(|(yes, _)| yes);
    let mode = table("network").and_then(|table| table.text("mode"));
    let session = SessionSpec {
        site: site.clone(),
        pid: is_own("pid"),
        uts: is_own("uts"),
        ipc: is_own("ipc"),
        cgroup: is_own("cgroup"),
        offline: mode.map_or(doors == [Door::Sftp], |(mode, _)| mode == "none"),
        mounts: spec.tables("mount").iter().filter_map(mount).collect(),
    };
    if let Some((false, site)) = own("mnt") {
        if ["pid", "uts", "ipc", "cgroup"]
            .iter()
            .any(|key| is_own(key))
            || mode.is_some_and(|(mode, _)| mode != "host")
            || spec.entries.contains_key("mount")
        {
            findings.add(
                Finding::new("`namespaces.mnt` cannot be false in this jail")
                    .why("it is by its mounts that a session is held in all the rest")
                    .at(site, "")
                    .hint("take the line out; or, for a plain chroot, make `pid`, `uts`, `ipc` and `cgroup` false too, with the host's network and no `[[mount]]`"),
            );
        }
        return None;
    }
    Some(session)
}

fn mount(table: &Table) -> Option<MountSpec> {
    if table.is_bad("options") {
        return None;
    }
    let (source, site) = table.text("source")?;
    let given = table.texts("options").iter().map(|(text, _)| text.clone());
    let options = if table.entries.contains_key("options") {
        given.collect()
    } else if source == TMPFS {
        ["rw", "nosuid", "nodev", "noexec"]
            .map(str::to_owned)
            .into()
    } else {
        OPTIONS.map(|(default, _)| default.to_owned()).into()
    };
    Some(MountSpec {
        site: table.site.clone(),
        source: (source != TMPFS).then(|| sited(PathBuf::from(source), site)),
        target: typed(table, "target", JailPath::new)?,
        options,
    })
}

/// Adds what is wrong among the mounts, and between them and the rest, to `findings`.
pub(crate) fn check(parts: &Parts, findings: &mut Findings) {
    let Some(session) = &parts.session else {
        return;
    };
    for (index, mount) in session.mounts.iter().enumerate() {
        if findings.is_full() {
            return;
        }
        let path = &mount.target.value;
        if session.mounts[..index]
            .iter()
            .any(|other| other.target.value == *path)
        {
            findings.add(
                Finding::new(format!("`{path}` is mounted on twice")).at(&mount.target.site, ""),
            );
        }
        for user in &parts.users {
            let home = &user.home.value;
            if places::within(home.as_str(), &[path.as_str()]).is_some()
                || places::within(path.as_str(), &[home.as_str()]).is_some()
            {
                findings.add(
                    Finding::new(format!("`{path}` cannot be mounted on"))
                        .why(format!(
                            "it is, holds or lies in the home of `{}`",
                            user.name.value
                        ))
                        .at(&mount.target.site, "a place that is root's is wanted")
                        .hint("mount it beside the home, and put a link into the home"),
                );
            }
        }
        for (one, other) in OPTIONS {
            if mount.is(one) && mount.is(other) {
                findings.add(
                    Finding::new(format!("`{one}` and `{other}` cannot both be"))
                        .at(&mount.site, "in this `[[mount]]`"),
                );
            }
        }
        if let Some(source) = &mount.source
            && (parts.root.as_ref()).is_some_and(|root| {
                root.value.starts_with(&source.value) || source.value.starts_with(&root.value)
            })
        {
            findings.add(
                Finding::new(format!(
                    "`{}` cannot be shown in the jail",
                    source.value.display()
                ))
                .why("it holds the jail's root, or lies in it")
                .at(&source.site, ""),
            );
        }
    }
}

/// Whether `text` is an option of a `[[mount]]`; if not, which there are.
pub(crate) fn option(text: &str) -> Result<(), String> {
    let known = || OPTIONS.iter().flat_map(|(one, other)| [*one, *other]);
    if known().any(|option| option == text) {
        return Ok(());
    }
    Err(format!("is none of {}", list(known(), "and")))
}
