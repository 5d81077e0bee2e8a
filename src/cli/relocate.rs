//! `move`: moves the root of a jail on its file system.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;

use super::spec_files::{HostTemplates, LIMIT, load_built};
use super::target::Target;
use super::transact::{Transactions, show_plans};
use super::{CommandOutput, OutputOptions, RootOption, WriteOptions};
use crate::error::{Error, Finding, Result};
use crate::host::{Host, HostView};
use crate::plan::{self, Manifest, Plan, SpecEdit, move_root};
use crate::span::SourceText;
use crate::spec::{self, Spec};

/// Arguments of `move`.
#[derive(Debug, Args)]
pub(crate) struct Move {
    /// Jail, by name or spec file.
    #[arg(value_name = "JAIL")]
    target: String,
    /// New root: a path on the same file system that does not exist.
    #[arg(value_name = "ROOT")]
    to: PathBuf,
    #[command(flatten)]
    root: RootOption,
    #[command(flatten)]
    writing: WriteOptions,
}

/// A move as planned: the spec with the new root, and the rename.
struct Planned {
    spec: Spec,
    origin: SourceText,
    from: PathBuf,
    plan: Plan,
    /// Path of a spec file whose `root` is not edited.
    unedited: Option<String>,
}

impl Move {
    pub(crate) fn run(self, output: OutputOptions) -> Result<CommandOutput> {
        let path = self.root.path()?;
        if self.writing.dry_run {
            let planned = self.plan(&HostView::new(&path)?)?;
            let plans: Vec<Plan> = planned.map(|planned| planned.plan).into_iter().collect();
            return Ok(show_plans(&plans, &[], self.writing.json, output));
        }
        let host = Host::new(&path)?;
        let mut transactions = Transactions::begin(&host, &self.writing, output)?;
        let Some(planned) = self.plan(&host)? else {
            let mut report = transactions.report();
            if !self.writing.json {
                report.text = format!("{}: it is at {} already\n", self.target, self.to.display());
            }
            return Ok(report);
        };
        let (name, from) = (planned.plan.name.clone(), planned.from.clone());
        let to = planned.plan.root.clone();
        if let Some(spec) = &planned.unedited {
            transactions.notice(format!(
                "set `root = \"{}\"` in `{spec}`, which has changed since the build",
                to.display()
            ));
        }
        transactions.run(format!("move of {name}"), |applier| {
            applier.apply(planned.plan)?;
            let plan = plan::build_moved(&planned.spec, planned.origin, &from, &host)?;
            applier.apply(plan)
        })?;
        let mut report = transactions.report();
        if !self.writing.json {
            report.text = format!(
                "{name}: moved from {} to {}\n",
                from.display(),
                to.display()
            );
        }
        Ok(report)
    }

    /// Plans the move; `None` if the root is there already.
    fn plan(&self, view: &HostView) -> Result<Option<Planned>> {
        let manifest = Target::new(&self.target, view)?.manifest(view)?;
        let to =
            std::path::absolute(&self.to).map_err(|error| Error::io("find", &self.to, &error))?;
        if manifest.root == to {
            return Ok(None);
        }
        if manifest.name.is_member() {
            return Err(Finding::new(format!("could not move the jail `{}`", manifest.name))
                .why("the root of each jail of a family follows from their spec")
                .hint("remove the family without `--purge`, move the roots, set `root` in the spec and build it")
                .into());
        }
        let (built, recorded) = load_built(&manifest, view)?;
        let text = with_root(&built, &recorded.text, &to)?;
        let spec = parse(&recorded.name, &text, view)?;
        let (edit, unedited) = edit_of_file(&manifest, &recorded.text, &text, view)?;
        let plan = move_root(&manifest, &spec, edit, view)?;
        Ok(Some(Planned {
            spec,
            origin: SourceText {
                name: recorded.name,
                text,
            },
            from: manifest.root,
            plan,
            unedited,
        }))
    }
}

/// Parses an edited spec.
fn parse(name: &str, text: &str, view: &HostView) -> Result<Spec> {
    let source = Arc::new(SourceText {
        name: name.to_owned(),
        text: text.to_owned(),
    });
    spec::load_recorded(&source, &HostTemplates(view))
}

/// The text of a spec with another root: the value is replaced, or a line added after `name`.
fn with_root(spec: &Spec, text: &str, to: &Path) -> Result<String> {
    let quoted = toml::Value::String(to.display().to_string()).to_string();
    let has_root = spec.root.span != spec.name.span;
    let (range, new) = if has_root {
        (spec.root.span.range.clone(), quoted)
    } else {
        let end = spec.name.span.range.end;
        let line_end = text.get(end..).and_then(|rest| rest.find('\n'));
        let at = line_end.map_or(text.len(), |length| end + length);
        (at..at, format!("\nroot = {quoted}"))
    };
    let edited = text
        .get(..range.start)
        .zip(text.get(range.end..))
        .map(|(before, after)| format!("{before}{new}{after}"));
    edited.ok_or_else(|| Error::failed("could not edit the spec").why("its text has changed"))
}

/// The edit of the spec file, if it is as it was built; otherwise its path, if it exists.
fn edit_of_file(
    manifest: &Manifest,
    recorded: &str,
    text: &str,
    view: &HostView,
) -> Result<(Option<SpecEdit>, Option<String>)> {
    let path = PathBuf::from(&manifest.spec);
    if !path.is_absolute() || !view.is_live() {
        return Ok((None, None));
    }
    let Some(now) = view.read(&path, LIMIT)? else {
        return Ok((None, None));
    };
    if now == text.as_bytes() {
        return Ok((None, None));
    }
    if now != recorded.as_bytes() {
        return Ok((None, Some(manifest.spec.clone())));
    }
    let edit = SpecEdit {
        path,
        from: recorded.to_owned(),
        to: text.to_owned(),
    };
    Ok((Some(edit), None))
}
