//! `purge`: deletes what `remove` without `--purge` has left of a jail.

use std::path::Path;

use clap::Args;

use super::spec_files::is_spec_path;
use super::spec_files::load_spec;
use super::transact::{Transactions, show_plans};
use super::{CommandOutput, OutputOptions, RootOption, WriteOptions};
use crate::error::{Error, Finding, Result};
use crate::host::{Host, HostView};
use crate::names::JailName;
use crate::plan::{LeftRoot, Manifest, Plan, TraceSubject, Traces, purge};
use crate::show::count;

/// Arguments of `purge`.
#[derive(Debug, Args)]
pub(crate) struct Purge {
    /// Removed jail or family, by name, spec file, or root directory.
    #[arg(value_name = "JAIL")]
    target: String,
    #[command(flatten)]
    root: RootOption,
    #[command(flatten)]
    writing: WriteOptions,
}

impl Purge {
    pub(crate) fn run(self, output: OutputOptions) -> Result<CommandOutput> {
        let path = self.root.path()?;
        if self.writing.dry_run {
            let view = HostView::new(&path)?;
            let plans: Vec<Plan> = (self.roots(&view)?.iter())
                .map(|left| purge(left, &view))
                .collect::<Result<_>>()?;
            return Ok(show_plans(&plans, &[], self.writing.json, output));
        }
        let host = Host::new(&path)?;
        let mut transactions = Transactions::begin(&host, &self.writing, output)?;
        let roots = match self.roots(&host) {
            Ok(roots) => roots,
            // The recovery of an interrupted run may have purged it.
            Err(error) => return transactions.recovery_report().ok_or(error),
        };
        let subjects: Vec<TraceSubject> = roots.iter().map(TraceSubject::of_left).collect();
        let what = format!("purge of {}", self.target);
        transactions.run(what, |applier| {
            (roots.iter()).try_for_each(|left| applier.apply(purge(left, &host)?))
        })?;
        with_proof(transactions, &subjects, &host, self.writing.json, output)
    }

    /// The roots that the argument names.
    fn roots(&self, view: &HostView) -> Result<Vec<LeftRoot>> {
        let word = self.target.as_str();
        let refuse = |why: String| {
            Finding::new(format!(
                "could not find what is left of `{}`",
                word.escape_debug()
            ))
            .why(why)
        };
        let path = Path::new(word);
        let is_spec = path.extension().is_some_and(|suffix| suffix == "toml");
        let roots: Vec<LeftRoot> = if !is_spec_path(word) {
            let name = JailName::parse(word).map_err(|why| refuse(format!("it {why}")))?;
            if Manifest::load(view, &name)?.is_some() {
                return Err(refuse("the jail is built".to_owned())
                    .hint(format!(
                        "`jailctl remove --purge {name}` removes it with all data"
                    ))
                    .into());
            }
            LeftRoot::of_name(&name, view)?
        } else if is_spec {
            let (spec, _) = load_spec(path, view)?;
            let mut found = Vec::new();
            for jail in spec.members() {
                let left = LeftRoot::at(&jail.root.value, view)?;
                found.extend(left.filter(|left| left.marker.jail == jail.name.value));
            }
            found
        } else {
            let root =
                std::path::absolute(path).map_err(|error| Error::io("find", path, &error))?;
            LeftRoot::at(&root, view)?.into_iter().collect()
        };
        if roots.is_empty() {
            return Err(refuse("there is no root with its marker".to_owned())
                .hint("name the directory that was its root: jailctl purge /srv/jails/NAME")
                .into());
        }
        Ok(roots)
    }
}

/// The line about absent traces: accounts and groups by name, and the number of paths, or every
/// path.
fn proof(absent: &[String], all: bool) -> String {
    let (paths, mut names): (Vec<String>, Vec<String>) =
        (absent.iter().cloned()).partition(|one| one.starts_with('/'));
    if all || paths.len() <= 1 {
        names.extend(paths);
    } else {
        names.push(format!(
            "{} (`--verbose` lists them)",
            count(paths.len(), "path", "paths")
        ));
    }
    format!("looked for, and not found: {}\n", names.join(", "))
}

/// The report of removals with the result of a search for traces of the jails.
pub(super) fn with_proof(
    mut transactions: Transactions<'_>,
    subjects: &[TraceSubject],
    view: &HostView,
    is_json: bool,
    output: OutputOptions,
) -> Result<CommandOutput> {
    let mut all = Traces::default();
    for subject in subjects {
        let traces = subject.search(view)?;
        all.absent.extend(traces.absent);
        all.left.extend(traces.left);
        all.elsewhere.extend(traces.elsewhere);
    }
    all.absent.sort();
    all.absent.dedup();
    all.elsewhere.dedup();
    for left in all.left {
        transactions.notice(format!("`{left}` is left"));
    }
    for elsewhere in all.elsewhere {
        transactions.notice(elsewhere);
    }
    let mut report = transactions.report();
    if !is_json && !all.absent.is_empty() {
        report.text.push_str(&proof(&all.absent, output.verbose));
    }
    Ok(report)
}
