//! `update`: each jail is built again from its recorded spec, with the current files of the host.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use clap::Args;

use super::spec_files::load_built;
use super::target::{manifests, spec_changed};
use super::transact::{Transactions, show_plans};
use super::{CommandOutput, OutputOptions, RootOption, WriteOptions};
use crate::error::{Error, Result};
use crate::host::{Host, HostView, Package};
use crate::names::JailName;
use crate::plan::manifest::RecordKind;
use crate::plan::{self, Manifest, Plan, PostponedSessions};
use crate::span::SourceText;
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
    /// Create jails again whose root is gone, with empty homes.
    #[arg(long)]
    recreate: bool,
    #[command(flatten)]
    root: RootOption,
    #[command(flatten)]
    writing: WriteOptions,
}

impl Update {
    pub(crate) fn run(self, output: OutputOptions) -> Result<CommandOutput> {
        let root = self.root.path()?;
        if self.writing.dry_run {
            let view = self.root.view()?;
            let (mut plans, mut notices) = (Vec::new(), Vec::new());
            let affected = self.affected_jails(&view, &mut notices)?;
            for group in transaction_groups(affected, &view)? {
                let jails = specs_as_built(&group, &view)?;
                let postponed = postponed_sessions(&jails, &view)?;
                for (spec, origin) in jails {
                    let alone = group.len() == 1;
                    plans.push(self.plan(&spec, origin, alone, &postponed, &view)?);
                }
            }
            let mut shown = show_plans(&plans, &notices, self.writing.json, output);
            if !self.writing.json {
                shown.notices = notices;
            }
            return shown.with_interruption_notice(&view);
        }
        let host = Host::new(&root)?;
        let mut transactions = Transactions::begin(&host, &self.writing, output)?;
        let mut failed: Option<Error> = None;
        let mut notices = Vec::new();
        let jails = self.affected_jails(&host, &mut notices)?;
        for notice in notices {
            transactions.notice(notice);
        }
        for group in transaction_groups(jails, &host)? {
            // The other jails are updated all the same.
            if let Err(error) = self.update_group(&group, &host, &mut transactions) {
                transactions.log_failure(&update_of(&group), &error);
                let name = match group.as_slice() {
                    [alone] => alone.name.as_str(),
                    several => several.first().map_or("", |first| first.name.family_name()),
                };
                let error = error.hint(format!(
                    "the jail `{name}` is as it was; `jailctl check {name}` shows what has changed on the host"
                ));
                Error::merge(&mut failed, error);
            }
        }
        if let Some(error) = &failed
            && self.writing.json
        {
            // Standard output has one JSON object, also where something failed.
            transactions.notice(error.to_string());
        }
        let is_empty = transactions.is_empty();
        let mut report = transactions.report();
        match failed {
            Some(error) if is_empty => Err(error),
            Some(error) => {
                report.code = error.kind as u8;
                report.failed = Some(error);
                Ok(report)
            }
            None => Ok(report),
        }
    }

    /// The named jails, or all; with `--packages` those that have a file of one of the packages.
    /// Adds notices about packages of which no jail has a file.
    fn affected_jails(&self, view: &HostView, notices: &mut Vec<String>) -> Result<Vec<Manifest>> {
        let mut jails = manifests(&self.targets, view)?;
        if self.packages.is_empty() {
            return Ok(jails);
        }
        let files: HashSet<&Path> = jails.iter().flat_map(files_of).collect();
        let mut changed = HashSet::new();
        let mut is_any = false;
        for package in &self.packages {
            let mut names = vec![package.clone()];
            while let Some(name) = names.pop() {
                match view.package(&name)? {
                    Package::Files(listed) => {
                        let of_jails = listed.iter().filter_map(|path| files.get(merged(path)));
                        changed.extend(of_jails.copied());
                    }
                    Package::MultiArch(each) => names.extend(each),
                    // It may just have been removed: any jail may have its files.
                    Package::Missing => {
                        is_any = true;
                        notices.push(format!(
                            "no package `{}` is installed: all jails are updated, since it may have been removed",
                            name.escape_debug()
                        ));
                    }
                    Package::UnsupportedDatabase(_) => is_any = true,
                }
            }
        }
        if changed.is_empty() && !is_any {
            notices.push(format!(
                "no jail has a file of `{}`",
                self.packages.join("`, `").escape_debug()
            ));
        }
        let changed: HashSet<PathBuf> = changed.into_iter().map(Path::to_owned).collect();
        jails.retain(|jail| is_any || files_of(jail).any(|file| changed.contains(file)));
        Ok(jails)
    }

    /// Builds jails again in one transaction.
    fn update_group(
        &self,
        group: &[Manifest],
        host: &Host,
        transactions: &mut Transactions<'_>,
    ) -> Result<()> {
        let jails = specs_as_built(group, host)?;
        let postponed = postponed_sessions(&jails, host)?;
        for manifest in group {
            if spec_changed(manifest, host)? {
                transactions.notice(format!(
                    "`{}` is updated from its recorded spec: `{}` has changed since, and `jailctl build` applies it",
                    manifest.name, manifest.spec
                ));
            }
        }
        transactions.run(update_of(group), |applier| {
            let mut jails = jails.into_iter();
            jails.try_for_each(|(spec, origin)| {
                let alone = group.len() == 1;
                applier.apply(self.plan(&spec, origin, alone, &postponed, host)?)
            })
        })
    }

    /// Plans the update of a jail, `alone` or with all others of its family.
    fn plan(
        &self,
        spec: &Spec,
        origin: SourceText,
        alone: bool,
        postponed: &PostponedSessions,
        view: &HostView,
    ) -> Result<Plan> {
        let plan = plan_update(spec, origin, alone, postponed, view)?;
        if !self.recreate {
            plan.refuse_vanished_root(view)?;
        }
        Ok(plan)
    }
}

/// Name of the run in messages: "update of arkham".
fn update_of(group: &[Manifest]) -> String {
    let names = group.iter().map(|manifest| manifest.name.as_str());
    format!("update of {}", names.collect::<Vec<_>>().join(", "))
}

/// Plans the update of a jail, `alone` or with all others of its family.
fn plan_update(
    spec: &Spec,
    origin: SourceText,
    alone: bool,
    postponed: &PostponedSessions,
    view: &HostView,
) -> Result<Plan> {
    let plan = postponed.build_plan(spec, origin, view)?;
    if alone {
        plan::ensure_whole_family(&plan, "update", "", view)?;
    }
    Ok(plan)
}

/// Whether the sessions of the jails of one transaction are postponed.
fn postponed_sessions(jails: &[(Spec, SourceText)], view: &HostView) -> Result<PostponedSessions> {
    match jails.first() {
        Some((spec, _)) => PostponedSessions::find(spec, view),
        None => Ok(PostponedSessions::default()),
    }
}

/// The jails of each transaction: one jail, or all jails of a family where their common snippet
/// changes.
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
    let mut groups = Vec::new();
    for family in families {
        if must_share_transaction(&family, view)? {
            groups.push(family);
        } else {
            groups.extend(family.into_iter().map(|manifest| vec![manifest]));
        }
    }
    Ok(groups)
}

/// Whether these are all jails of a family, built from one spec, whose common snippet changes.
fn must_share_transaction(family: &[Manifest], view: &HostView) -> Result<bool> {
    let [first, others @ ..] = family else {
        return Ok(false);
    };
    let built = Manifest::names(view)?;
    let is_listed = |name: &JailName| family.iter().any(|manifest| manifest.name == *name);
    if others.is_empty()
        || built
            .iter()
            .any(|name| name.is_sibling(&first.name) && !is_listed(name))
    {
        return Ok(false);
    }
    // Its errors are reported by its own transaction.
    let Ok((spec, origin)) = load_built(first, view) else {
        return Ok(false);
    };
    for other in others {
        if plan::spec_as_built(view, &other.name)?.as_ref() != Some(&origin.text) {
            return Ok(false);
        }
    }
    let postponed = PostponedSessions::find(&spec, view)?;
    let Ok(plan) = postponed.build_plan(&spec, origin, view) else {
        return Ok(false);
    };
    Ok(plan::other_member_affected(&plan, view)?.is_some())
}

/// The specs of jails as they were built. The common snippet changes with the last of them.
fn specs_as_built(group: &[Manifest], view: &HostView) -> Result<Vec<(Spec, SourceText)>> {
    let mut jails = group
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

/// The files of a jail without `/usr`, and the files of the host that they were copied from.
/// Directories belong to many packages.
fn files_of(jail: &Manifest) -> impl Iterator<Item = &Path> {
    let entries = jail.entries.iter();
    let entries = entries.filter(|(path, record)| match record.kind {
        RecordKind::Directory => false,
        // Links such as `/bin` stand for directories.
        RecordKind::Symlink { .. } => path.relative().components().count() > 1,
        RecordKind::File { .. } | RecordKind::Device { .. } => true,
    });
    entries.flat_map(|(path, record)| {
        let source = match &record.kind {
            RecordKind::File { source, .. } => source.as_ref().map(|(path, _)| merged(path)),
            _ => None,
        };
        std::iter::once(merged(Path::new(path.as_str()))).chain(source)
    })
}

/// A path without `/usr`: package lists contain `/bin/ls` where the file is `/usr/bin/ls`.
fn merged(path: &Path) -> &Path {
    path.strip_prefix("/usr")
        .or_else(|_| path.strip_prefix("/"))
        .unwrap_or(path)
}
