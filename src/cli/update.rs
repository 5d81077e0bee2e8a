//! `update`: each jail built again from its spec as it was built, with what the host has now.

use std::collections::HashSet;
use std::path::Path;

use clap::Args;

use super::build::summary;
use super::specs::load_built;
use super::target::{has_moved, manifests};
use super::{Report, RootOption, Voice, Writing};
use crate::apply::Transaction;
use crate::error::{Error, Result};
use crate::host::{Host, Package, View};
use crate::plan::manifest::RecordKind;
use crate::plan::{self, Manifest, Plan};

/// Arguments of `update`.
#[derive(Debug, Args)]
pub(crate) struct Update {
    /// Names of jails, or their spec files.
    #[arg(value_name = "JAIL", required_unless_present = "all")]
    targets: Vec<String>,
    /// All jails of the host.
    #[arg(long, conflicts_with = "targets")]
    all: bool,
    /// Only jails that have a file of one of these packages, separated by commas.
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    packages: Vec<String>,
    #[command(flatten)]
    root: RootOption,
    #[command(flatten)]
    writing: Writing,
}

impl Update {
    pub(crate) fn run(self, voice: Voice) -> Result<Report> {
        let root = self.root.path()?;
        if self.writing.dry_run {
            let view = self.root.view()?;
            let mut plans = Vec::new();
            for manifest in self.touched(&view)? {
                let (spec, origin) = load_built(&manifest, &view)?;
                plans.push(plan::plan(&spec, origin, &view)?);
            }
            return super::build::report(&plans, &[], self.writing.json, voice, 0).heeding(&view);
        }
        let host = Host::new(&root)?;
        let (_lock, mut notices) = self.writing.begin(&host)?;
        let mut plans = Vec::new();
        let mut failed: Option<Error> = None;
        for manifest in self.touched(&host)? {
            match self.update(&manifest, &host, voice, &mut notices) {
                Ok(plan) => plans.push(plan),
                // The others are none the worse for it.
                Err(error) => {
                    let error = error.hint(format!(
                        "the jail `{}` is as it was; `jailctl check {0}` shows what has changed on the host",
                        manifest.name
                    ));
                    match &mut failed {
                        Some(failed) => failed.findings.extend(error.findings),
                        None => failed = Some(error),
                    }
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
            Report {
                text: plans.iter().map(summary).collect(),
                notices,
                ..Report::default()
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

    /// Builds one jail again, all of it or nothing.
    fn update(
        &self,
        manifest: &Manifest,
        host: &Host,
        voice: Voice,
        notices: &mut Vec<String>,
    ) -> Result<Plan> {
        let (spec, origin) = load_built(manifest, host)?;
        if has_moved(manifest, host)? {
            notices.push(format!(
                "`{}` is kept as it was built: `{}` has changed since, and `jailctl build` with it makes that so",
                manifest.name, manifest.spec
            ));
        }
        let plan = plan::plan(&spec, origin, host)?;
        let options = self.writing.options();
        let what = format!("update of {}", manifest.name);
        let mut transaction = Transaction::new(host, &options, what);
        match transaction.carry_out(&plan, &mut voice.watch()) {
            Ok(()) => notices.extend(transaction.finish(&mut voice.watch())?),
            Err(error) => return Err(transaction.roll_back(error)),
        }
        Ok(plan)
    }

    /// The jails that are named, less those that have nothing of the packages.
    fn touched(&self, view: &View) -> Result<Vec<Manifest>> {
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
                    Package::Several(each) => names.extend(each),
                    // It can just have been removed, and every jail may have been meant.
                    Package::Missing | Package::Unreadable(_) => return Ok(jails),
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

/// The path as it is without /usr: lists of packages say `/bin/ls` where the file is `/usr/bin/ls`.
fn merged(path: &Path) -> &Path {
    path.strip_prefix("/usr")
        .or_else(|_| path.strip_prefix("/"))
        .unwrap_or(path)
}
