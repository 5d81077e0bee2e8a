//! `update`: each jail built again from its spec as it was built, with what the host has now.

use std::collections::HashSet;
use std::path::Path;

use clap::Args;

use super::build::summary;
use super::spec_files::load_built;
use super::target::{manifests, spec_changed};
use super::{CommandOutput, OutputOptions, RootOption, WriteOptions};
use crate::apply::Transaction;
use crate::error::{Error, Result};
use crate::host::{Host, HostView, Package};
use crate::names::JailName;
use crate::plan::manifest::RecordKind;
use crate::plan::{self, Manifest, Origin, Plan};
use crate::spec::Spec;

/// Arguments of `update`.
#[derive(Debug, Args)]
pub(crate) struct Update {
    /// Jails, by name or spec file.
    #[arg(value_name = "JAIL", required_unless_present = "all")]
    targets: Vec<String>,
    /// All jails of the host.
    #[arg(long, conflicts_with = "targets")]
    all: bool,
    /// Only jails that contain a file of one of these packages, separated by commas.
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    packages: Vec<String>,
    #[command(flatten)]
    root: RootOption,
    #[command(flatten)]
    writing: WriteOptions,
}

impl Update {
    pub(crate) fn run(self, voice: OutputOptions) -> Result<CommandOutput> {
        let root = self.root.path()?;
        if self.writing.dry_run {
            let view = self.root.view()?;
            let mut plans = Vec::new();
            for part in transaction_groups(self.affected_jails(&view)?, &view)? {
                for (spec, origin) in jails(&part, &view)? {
                    let plan = plan::plan(&spec, origin, &view)?;
                    plan.refuse_vanished_root(&view)?;
                    if part.len() == 1 {
                        plan::ensure_whole_family(&plan, "update", "", &view)?;
                    }
                    plans.push(plan);
                }
            }
            return super::build::report(&plans, &[], self.writing.json, voice, 0)
                .with_interruption_notice(&view);
        }
        let host = Host::new(&root)?;
        let (_lock, mut notices) = self.writing.lock_and_recover(&host)?;
        let mut plans = Vec::new();
        let mut failed: Option<Error> = None;
        for part in transaction_groups(self.affected_jails(&host)?, &host)? {
            match self.update(&part, &host, voice, &mut notices) {
                Ok(updated) => plans.extend(updated),
                // The others are none the worse for it.
                Err(error) => {
                    let name = match part.as_slice() {
                        [alone] => alone.name.as_str(),
                        several => several.first().map_or("", |first| first.name.family_name()),
                    };
                    let error = error.hint(format!(
                        "the jail `{name}` is as it was; `jailctl check {name}` shows what has changed on the host"
                    ));
                    Error::merge(&mut failed, error);
                }
            }
        }
        let changed = plans.iter().any(|plan| !plan.steps.is_empty());
        if self.writing.json {
            // There is one object, whatever happens.
            notices.extend(failed.iter().map(ToString::to_string));
        }
        let mut report = if self.writing.json {
            super::build::report(&plans, &notices, true, voice, 0)
        } else {
            notices.extend(plans.iter().flat_map(|plan| plan.notices.iter().cloned()));
            CommandOutput {
                text: plans.iter().map(summary).collect(),
                notices,
                ..CommandOutput::default()
            }
        };
        report.changed = changed;
        match failed {
            Some(error) if plans.is_empty() => Err(error),
            Some(error) => {
                report.code = error.kind as u8;
                report.failed = Some(error);
                Ok(report)
            }
            None => Ok(report),
        }
    }

    /// Builds jails again, all of them or nothing.
    fn update(
        &self,
        part: &[Manifest],
        host: &Host,
        voice: OutputOptions,
        notices: &mut Vec<String>,
    ) -> Result<Vec<Plan>> {
        let jails = jails(part, host)?;
        for manifest in part {
            if spec_changed(manifest, host)? {
                notices.push(format!(
                    "`{}` is kept as it was built: `{}` has changed since, and `jailctl build` with it makes that so",
                    manifest.name, manifest.spec
                ));
            }
        }
        let options = self.writing.options();
        let names: Vec<&str> = part.iter().map(|manifest| manifest.name.as_str()).collect();
        let what = format!("update of {}", names.join(", "));
        let mut transaction = Transaction::new(host, &options, what);
        let mut plans = Vec::new();
        let build = || -> Result<()> {
            for (spec, origin) in jails {
                let plan = plan::plan(&spec, origin, host)?;
                plan.refuse_vanished_root(host)?;
                if part.len() == 1 {
                    plan::ensure_whole_family(&plan, "update", "", host)?;
                }
                transaction.apply(&plan, &mut voice.step_logger())?;
                plans.push(plan);
            }
            Ok(())
        };
        match build() {
            Ok(()) => notices.extend(transaction.finish(&mut voice.step_logger())?),
            Err(error) => return Err(transaction.roll_back(error)),
        }
        Ok(plans)
    }

    /// The jails that are named, less those that have nothing of the packages.
    fn affected_jails(&self, view: &HostView) -> Result<Vec<Manifest>> {
        let mut jails = manifests(&self.targets, view)?;
        if self.packages.is_empty() {
            return Ok(jails);
        }
        let mut files = HashSet::new();
        for package in &self.packages {
            let mut names = vec![package.clone()];
            while let Some(name) = names.pop() {
                match view.package(&name)? {
                    Package::Files(listed) => {
                        files.extend(listed.iter().map(|path| merged(path).to_owned()));
                    }
                    Package::MultiArch(each) => names.extend(each),
                    // It can just have been removed, and every jail may have been meant.
                    Package::Missing | Package::UnsupportedDatabase(_) => return Ok(jails),
                }
            }
        }
        jails.retain(|jail| {
            jail.entries.iter().any(|(path, record)| {
                let source = match &record.kind {
                    RecordKind::File { source, .. } => source.as_ref().map(|(path, _)| path),
                    _ => None,
                };
                files.contains(merged(Path::new(path.as_str())))
                    || source.is_some_and(|source| files.contains(merged(source)))
            })
        });
        Ok(jails)
    }
}

/// What is updated at once: each jail alone, but those of a family together where sshd would be
/// told something else of all of them.
fn transaction_groups(jails: Vec<Manifest>, view: &HostView) -> Result<Vec<Vec<Manifest>>> {
    let mut families: Vec<Vec<Manifest>> = Vec::new();
    for manifest in jails {
        let is_sibling = |family: &&mut Vec<Manifest>| {
            let first = family.first();
            first.is_some_and(|first| first.name.is_sibling(&manifest.name))
        };
        match families.iter_mut().find(is_sibling) {
            Some(family) => family.push(manifest),
            None => families.push(vec![manifest]),
        }
    }
    let mut parts = Vec::new();
    for family in families {
        if must_share_transaction(&family, view)? {
            parts.push(family);
        } else {
            parts.extend(family.into_iter().map(|manifest| vec![manifest]));
        }
    }
    Ok(parts)
}

/// Whether these are all jails of a family, built from one spec, and what sshd is told of them is
/// going to change.
fn must_share_transaction(family: &[Manifest], view: &HostView) -> Result<bool> {
    let [first, others @ ..] = family else {
        return Ok(false);
    };
    let there = Manifest::names(view)?;
    let is_here = |name: &JailName| family.iter().any(|manifest| manifest.name == *name);
    if others.is_empty()
        || there
            .iter()
            .any(|name| name.is_sibling(&first.name) && !is_here(name))
    {
        return Ok(false);
    }
    // What is wrong with it is told where it is updated.
    let Ok((spec, origin)) = load_built(first, view) else {
        return Ok(false);
    };
    for other in others {
        if plan::spec_as_built(view, &other.name)?.as_ref() != Some(&origin.text) {
            return Ok(false);
        }
    }
    let Ok(plan) = plan::plan(&spec, origin, view) else {
        return Ok(false);
    };
    Ok(plan::other_member_affected(&plan, view)?.is_some())
}

/// The specs of jails as they were built. The last of them is the one with which what they share
/// changes.
fn jails(part: &[Manifest], view: &HostView) -> Result<Vec<(Spec, Origin)>> {
    let mut jails = part
        .iter()
        .map(|manifest| load_built(manifest, view))
        .collect::<Result<Vec<_>>>()?;
    let last = jails.len().saturating_sub(1);
    for (spec, _) in &mut jails[..last] {
        if let Some(family) = &mut spec.family {
            family.is_last = false;
        }
    }
    Ok(jails)
}

/// The path as it is without /usr: lists of packages say `/bin/ls` where the file is `/usr/bin/ls`.
fn merged(path: &Path) -> &Path {
    path.strip_prefix("/usr")
        .or_else(|_| path.strip_prefix("/"))
        .unwrap_or(path)
}
