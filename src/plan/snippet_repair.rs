//! Changes of the drop-ins that the installed sshd needs: before sshd starts after its upgrade,
//! with nothing but the drop-ins changed.
//!
//! The settings of a jail stay as they are while sshd accepts them and confines the accounts by
//! them. Otherwise they are written for the present sshd; and if that does not help, they are
//! removed. Without them the accounts cannot log in: the common drop-in closes their groups, and
//! their login shells exist in the jail only.

use std::path::Path;

use super::manifest::Manifest;
use super::sshd::is_jail_file;
use crate::error::Result;
use crate::host::HostView;
use crate::host::pam::Edit;
use crate::host::sshd::{Blocks, Config, ExpectedSettings, Sshd};
use crate::layout::{COMMON_SNIPPET, JAILS_SNIPPET, SSHD_CONFIG_DIR};
use crate::resolve::{JailBlocks, SshdSnippet, common, snippet_of};
use crate::spec::Spec;

/// A jail, and the spec that it was built from.
pub type BuiltJail = (Manifest, Spec);

/// Changes of the drop-ins of jailctl.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SnippetRepairs {
    /// Changes of files.
    pub edits: Vec<Edit>,
    /// Groups whose settings are removed, so that their accounts cannot log in.
    pub closed: Vec<String>,
    /// Reason: what sshd makes of the present files.
    pub why: String,
}

impl std::fmt::Display for SnippetRepairs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("sshd snippets were written again")?;
        if !self.closed.is_empty() {
            let groups = self.closed.join(", ");
            write!(f, ", without the accounts of {groups}, which cannot log in")?;
        }
        write!(f, ": {}", self.why)
    }
}

/// Drop-ins by name.
type DropIns = Vec<(String, String)>;

/// The jails of a group: its name, and the snippet for the present sshd.
type GroupSnippet = (String, SshdSnippet);

/// Finds the changes by which sshd starts with the drop-ins of jailctl, and confines the accounts
/// of
/// `jails` by them. None where it does so already, and where it does not start without them either.
///
/// # Errors
/// [`crate::error::ErrorKind::Failed`] if sshd or its configuration cannot be found or read.
pub fn snippet_repairs(jails: &[BuiltJail], view: &HostView) -> Result<SnippetRepairs> {
    let config = Config::read(view)?;
    let daemon = Sshd::find(view)?;
    let (present, others): (DropIns, DropIns) =
        (config.drop_ins.iter().cloned()).partition(|(name, _)| is_jail_file(name));
    let blocks = config.blocks()?;
    if daemon.objection(&others, &blocks, &[])?.is_some() {
        return Ok(SnippetRepairs::default());
    }
    let info = daemon.info_with(&config, &others)?;
    let mut wanted: Vec<GroupSnippet> = Vec::new();
    for (manifest, spec) in jails {
        let group = manifest.name.group();
        // The members of a family share it.
        if wanted.iter().all(|(other, _)| *other != group) {
            wanted.push((group, snippet_of(spec, &info, &manifest.tree(), view)?));
        }
    }
    let trial = Trial {
        daemon: &daemon,
        blocks: &blocks,
        others: &others,
        common: common(&info),
        wanted: &wanted,
    };
    let all: Vec<&str> = wanted.iter().map(|(group, _)| group.as_str()).collect();
    let Some(objection) = trial.objection(&present, &all)? else {
        return Ok(SnippetRepairs::default());
    };
    let found = present.iter().find(|(name, _)| name == JAILS_SNIPPET);
    let found = JailBlocks::parse(found.map_or("", |(_, text)| text));
    let mut chosen = JailBlocks::default();
    let mut closed = Vec::new();
    for group in found.groups() {
        let Some(settings) = found.get(group) else {
            continue;
        };
        let new = wanted.iter().find(|(other, _)| other == group);
        // Settings that lead to another root are for a build to write.
        let is_same_root = |snippet: &SshdSnippet| root(&snippet.settings) == root(settings);
        match new {
            Some((_, snippet)) if is_same_root(snippet) => {
                chosen.set(group, snippet.settings.clone());
            }
            // Those of jails whose spec cannot be read: as they are.
            None => chosen.set(group, settings.clone()),
            Some(_) => closed.push(group.to_owned()),
        }
    }
    let drop_ins = trial.drop_ins(&chosen);
    let open: Vec<&str> = all
        .into_iter()
        .filter(|group| chosen.get(group).is_some())
        .collect();
    let (drop_ins, why) = match trial.objection(&drop_ins, &open)? {
        None => (drop_ins, objection),
        Some(reason) => (trial.accepted(&chosen, &mut closed)?, reason),
    };
    Ok(SnippetRepairs {
        edits: edits(&present, &drop_ins),
        closed,
        why,
    })
}

/// The root of a jail in its settings.
fn root(settings: &[(String, String)]) -> Option<&str> {
    let mut settings = settings.iter();
    settings.find_map(|(key, value)| (key == "ChrootDirectory").then_some(value.as_str()))
}

/// Drop-ins that sshd is queried about.
struct Trial<'a> {
    daemon: &'a Sshd<'a>,
    blocks: &'a Blocks,
    /// Drop-ins of others.
    others: &'a [(String, String)],
    /// Text of the common drop-in.
    common: String,
    wanted: &'a [GroupSnippet],
}

impl Trial<'_> {
    /// The drop-ins with the settings of jails.
    fn drop_ins(&self, jails: &JailBlocks) -> DropIns {
        let mut drop_ins = vec![(COMMON_SNIPPET.to_owned(), self.common.clone())];
        if !jails.is_empty() {
            drop_ins.push((JAILS_SNIPPET.to_owned(), jails.to_text()));
        }
        drop_ins
    }

    /// The reason why sshd would not start with these drop-ins of jailctl, or not confine the
    /// accounts of `groups`. Accounts of a group with the same settings are confined alike: one
    /// stands for all.
    fn objection(&self, ours: &[(String, String)], groups: &[&str]) -> Result<Option<String>> {
        let drop_ins: DropIns = self.others.iter().chain(ours).cloned().collect();
        let mut expected: Vec<&ExpectedSettings> = Vec::new();
        let asked = (self.wanted.iter()).filter(|(group, _)| groups.contains(&group.as_str()));
        for (_, snippet) in asked {
            let first = expected.len();
            for account in &snippet.expected {
                let mut known = expected[first..].iter();
                if known.all(|other| other.settings != account.settings) {
                    expected.push(account);
                }
            }
        }
        let objection = self.daemon.objection(&drop_ins, self.blocks, &expected)?;
        Ok(objection.map(|finding| finding.to_string()))
    }

    /// The drop-ins with those of the settings with which sshd starts and confines the accounts;
    /// adds the groups of the others to `closed`.
    fn accepted(&self, jails: &JailBlocks, closed: &mut Vec<String>) -> Result<DropIns> {
        let mut accepted = JailBlocks::default();
        for group in jails.groups() {
            let Some(settings) = jails.get(group) else {
                continue;
            };
            let mut alone = JailBlocks::default();
            alone.set(group, settings.clone());
            if self.objection(&self.drop_ins(&alone), &[group])?.is_none() {
                accepted.set(group, settings.clone());
            } else {
                closed.push(group.to_owned());
            }
        }
        let drop_ins = self.drop_ins(&accepted);
        Ok(if self.objection(&drop_ins, &[])?.is_none() {
            drop_ins
        } else {
            closed.extend(accepted.groups().map(str::to_owned));
            Vec::new()
        })
    }
}

/// The edits from drop-ins to others; a file that is not among the latter is deleted.
fn edits(from: &[(String, String)], to: &[(String, String)]) -> Vec<Edit> {
    let text_of = |files: &[(String, String)], name: &str| {
        let mut files = files.iter();
        files.find_map(|(other, text)| (other == name).then(|| text.clone()))
    };
    let names = from.iter().chain(to).map(|(name, _)| name.as_str());
    let mut edits: Vec<Edit> = Vec::new();
    for name in names {
        let edit = Edit {
            path: Path::new(SSHD_CONFIG_DIR).join(name),
            from: text_of(from, name),
            to: text_of(to, name),
        };
        if edit.from != edit.to && !edits.contains(&edit) {
            edits.push(edit);
        }
    }
    edits
}
