//! Changes of snippets that the installed sshd needs: before sshd starts after its upgrade, with
//! nothing but the drop-ins changed.
//!
//! A snippet stays as it is while sshd accepts it and confines the accounts by it. Otherwise it is
//! written for the present sshd; and if that does not help, it is removed. Without it the accounts
//! cannot log in: the common drop-in closes their groups, and their login shells exist in the jail
//! only.

use std::path::Path;

use super::manifest::Manifest;
use super::sshd::{is_jail_file, setting_value};
use crate::error::Result;
use crate::host::HostView;
use crate::host::pam::Edit;
use crate::host::sshd::{Blocks, Config, ExpectedSettings, Sshd};
use crate::layout::{COMMON_SNIPPET, SSHD_CONFIG_DIR};
use crate::resolve::{SshdSnippet, common, snippet_of};
use crate::spec::Spec;

/// A jail, and the spec that it was built from.
pub type BuiltJail = (Manifest, Spec);

/// Change of a drop-in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnippetRepair {
    /// Change of the file.
    pub edit: Edit,
    /// Reason: what sshd makes of the present file.
    pub why: String,
}

/// Drop-ins by name.
type DropIns = Vec<(String, String)>;

/// Finds the changes by which sshd starts with the drop-ins of jailctl, and confines the accounts
/// of
/// `jails` by them. None where it does so already, and where it does not start without them either.
///
/// # Errors
/// [`crate::error::ErrorKind::Failed`] if sshd or its configuration cannot be found or read.
pub fn snippet_repairs(jails: &[BuiltJail], view: &HostView) -> Result<Vec<SnippetRepair>> {
    let config = Config::read(view)?;
    let daemon = Sshd::find(view)?;
    let (present, others): (DropIns, DropIns) =
        (config.drop_ins.iter().cloned()).partition(|(name, _)| is_jail_file(name));
    let blocks = config.blocks()?;
    if daemon.objection(&others, &blocks, &[])?.is_some() {
        return Ok(Vec::new());
    }
    let info = daemon.info(&config, Some(&others))?;
    let mut wanted: Vec<SshdSnippet> = Vec::new();
    for (manifest, spec) in jails {
        let snippet = snippet_of(spec, &info, &manifest.tree(), view)?;
        // The members of a family share it.
        if wanted.iter().all(|other| other.file != snippet.file) {
            wanted.push(snippet);
        }
    }
    // All accounts of a jail have one group, so that one of them stands for all.
    let expected: Vec<&ExpectedSettings> = (wanted.iter())
        .filter_map(|snippet| snippet.expected.first())
        .collect();
    let with =
        |ours: &[(String, String)]| -> DropIns { others.iter().chain(ours).cloned().collect() };
    let Some(objection) = daemon.objection(&with(&present), &blocks, &expected)? else {
        return Ok(Vec::new());
    };
    let mut chosen: DropIns = vec![(COMMON_SNIPPET.to_owned(), common(&info))];
    chosen.extend((wanted.iter()).map(|snippet| (snippet.file.clone(), snippet.text.clone())));
    // Those of jails whose spec cannot be read, or of none: as they are.
    let is_unknown = |(name, _): &&(String, String)| chosen.iter().all(|(own, _)| own != name);
    let unknown: DropIns = present.iter().filter(is_unknown).cloned().collect();
    chosen.extend(unknown);
    let is_same_root = |(name, text): &(String, String)| {
        let before = present.iter().find(|(other, _)| other == name);
        before.is_some_and(|(_, before)| {
            setting_value(before, "ChrootDirectory") == setting_value(text, "ChrootDirectory")
        })
    };
    // A file that was lost, or that leads to another root, is for a build to write.
    chosen.retain(is_same_root);
    if let Some(reason) = daemon.objection(&with(&chosen), &blocks, &expected)? {
        let all = Candidates {
            daemon: &daemon,
            blocks: &blocks,
            others: &others,
            wanted: &wanted,
        };
        return Ok(edits(&present, &all.accepted(chosen)?, &reason.to_string()));
    }
    Ok(edits(&present, &chosen, &objection.to_string()))
}

/// Drop-ins of which sshd does not accept all.
struct Candidates<'a> {
    daemon: &'a Sshd<'a>,
    blocks: &'a Blocks,
    others: &'a [(String, String)],
    wanted: &'a [SshdSnippet],
}

impl Candidates<'_> {
    /// Those of the drop-ins with each of which, and the common one, sshd starts and confines its
    /// jail.
    fn accepted(&self, candidates: DropIns) -> Result<DropIns> {
        let (common, snippets): (DropIns, DropIns) =
            (candidates.into_iter()).partition(|(name, _)| name == COMMON_SNIPPET);
        let mut accepted = DropIns::new();
        for candidate in common.into_iter().chain(snippets) {
            let expected: Vec<&ExpectedSettings> = (self.wanted.iter())
                .filter(|snippet| snippet.file == candidate.0)
                .filter_map(|snippet| snippet.expected.first())
                .collect();
            let tried: DropIns = (self.others.iter())
                .chain(accepted.iter().filter(|(name, _)| name == COMMON_SNIPPET))
                .chain([&candidate])
                .cloned()
                .collect();
            if self
                .daemon
                .objection(&tried, self.blocks, &expected)?
                .is_none()
            {
                accepted.push(candidate);
            }
        }
        Ok(accepted)
    }
}

/// The edits from drop-ins to others; a file that is not among the latter is deleted.
fn edits(from: &[(String, String)], to: &[(String, String)], why: &str) -> Vec<SnippetRepair> {
    let mut repairs = Vec::new();
    for (name, text) in from {
        let after = to.iter().find(|(other, _)| other == name);
        let after = after.map(|(_, after)| after.clone());
        if after.as_ref() != Some(text) {
            repairs.push(SnippetRepair {
                edit: Edit {
                    path: Path::new(SSHD_CONFIG_DIR).join(name),
                    from: Some(text.clone()),
                    to: after,
                },
                why: why.to_owned(),
            });
        }
    }
    repairs
}
