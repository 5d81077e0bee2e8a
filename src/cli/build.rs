//! `build` and `plan`: the same way up to the plan, then one carries it out and the other shows it.

use clap::Args;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::noop_cache::NoopCache;
use super::progress::Progress;
use super::spec_files::{load_spec, load_specs, refuse_other_files};
use super::target::members;
use super::{CommandOutput, OutputOptions, RootOption, WriteOptions};
use crate::apply::{self, Transaction};
use crate::error::{Error, ErrorKind, Finding, Result};
use crate::host::{Host, HostView};
use crate::names::JailName;
use crate::plan::{self, Origin, Plan, RemoveOptions};
use crate::resolve;
use crate::show;
use crate::span::SourceText;
use crate::spec::Spec;

/// How many ids are left to others from one attempt to the next, while somebody else makes
/// accounts.
const ID_GAPS: [u32; 3] = [16, 256, 4096];

/// What is refused unless it is meant.
#[derive(Clone, Copy, Debug, Args)]
struct Consent {
    /// Accept SPEC although its jail was built from another file.
    #[arg(long)]
    from_here: bool,
    /// Create a jail again whose root is missing, homes included.
    #[arg(long)]
    recreate: bool,
}

/// What is planned for one or more specs.
#[derive(Debug, Args)]
pub(crate) struct Show {
    /// Spec files.
    #[arg(required = true, value_name = "SPEC")]
    specs: Vec<PathBuf>,
    #[command(flatten)]
    root: RootOption,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
    /// Exit with status 1 if there are changes.
    #[arg(long)]
    exit_code: bool,
    #[command(flatten)]
    consent: Consent,
}

/// Arguments of `build`.
#[derive(Debug, Args)]
pub(crate) struct Build {
    /// Spec files.
    #[arg(required = true, value_name = "SPEC")]
    specs: Vec<PathBuf>,
    #[command(flatten)]
    root: RootOption,
    /// Write only the tree to DIR, which must not exist or be empty: no accounts, no sshd, no
    /// records.
    #[arg(long, value_name = "DIR", conflicts_with_all = ["root", "dry_run", "no_reload", "lock_timeout"])]
    output: Option<PathBuf>,
    #[command(flatten)]
    consent: Consent,
    #[command(flatten)]
    writing: WriteOptions,
}

impl Show {
    pub(crate) fn run(self, voice: OutputOptions) -> Result<CommandOutput> {
        let view = self.root.view()?;
        view.refuse_unsafe_accounts()?;
        let progress = voice.progress();
        let specs = load_specs(&self.specs, &view)?;
        if !self.consent.from_here {
            refuse_other_files(&self.specs, &specs, &view)?;
        }
        let plans = plans(&self.specs, specs, self.root.view()?, &progress)?;
        for plan in &plans {
            if !self.consent.recreate {
                plan.refuse_vanished_root(&view)?;
            }
            progress.set(format!("{}: asking sshd", plan.name));
            plan.preflight(&view)?;
        }
        drop(progress);
        let changes = plans.iter().any(Plan::is_change);
        let code = u8::from(self.exit_code && changes);
        let exposures: Vec<String> = plans.iter().filter_map(Plan::exposure).collect();
        report(&plans, &exposures, self.json, voice, code).with_interruption_notice(&view)
    }
}

impl Build {
    pub(crate) fn run(self, voice: OutputOptions) -> Result<CommandOutput> {
        if let Some(target) = &self.output {
            return self.write_tree_only(target, voice);
        }
        let root = self.root.path()?;
        if self.writing.dry_run {
            let show = Show {
                specs: self.specs,
                root: self.root,
                json: self.writing.json,
                exit_code: false,
                consent: self.consent,
            };
            return show.run(voice);
        }
        let host = Host::new(&root)?;
        // What can be refused is refused before the lock: a bad spec leaves no trace at all.
        let specs = load_specs(&self.specs, &host)?;
        let (_lock, notices) = self.writing.lock_and_recover(&host)?;
        let attempt = |spacing| self.build_once(&specs, &host, spacing, &notices, voice);
        let mut outcome = attempt(0);
        for spacing in ID_GAPS {
            match &outcome {
                // Somebody else makes accounts just now, and was quicker. With one finding, all is
                // undone.
                Err(error) if error.kind == ErrorKind::Busy && error.findings.len() == 1 => {
                    outcome = attempt(spacing);
                }
                _ => break,
            }
        }
        outcome
    }

    /// Builds, leaving `spacing` ids to others where accounts are made.
    fn build_once(
        &self,
        specs: &[(Spec, Arc<SourceText>)],
        host: &Host,
        spacing: u32,
        notices: &[String],
        voice: OutputOptions,
    ) -> Result<CommandOutput> {
        let mut notices = notices.to_vec();
        let options = self.writing.options();
        let names: Vec<&str> = specs
            .iter()
            .map(|(spec, _)| spec.name.value.as_str())
            .collect();
        let what = format!("build of {}", names.join(", "));
        let mut transaction = Transaction::new(host, &options, what);
        let mut text = String::new();
        let mut plans = Vec::new();
        let mut said = Vec::new();
        for (path, loaded) in self.specs.iter().zip(specs) {
            let (spec, source) = loaded;
            let refuse_other_file = || -> Result<()> {
                if self.consent.from_here {
                    return Ok(());
                }
                let (paths, specs) = (std::slice::from_ref(path), std::slice::from_ref(loaded));
                refuse_other_files(paths, specs, host)
            };
            let mut build = || -> Result<()> {
                if spec.is_family() {
                    refuse_other_file()?;
                }
                // Nobody who leaves is to be in his jail while what sshd is told changes.
                for plan in plan_dropped_users(spec, host)? {
                    transaction.apply(&plan, &mut voice.step_logger())?;
                    text.push_str(&summary(&plan));
                    said.extend(plan.notices.iter().cloned());
                    plans.push(plan);
                }
                for jail in spec.members() {
                    let name = &jail.name.value;
                    let origin = origin(path, &source.text)?;
                    let known = NoopCache::new("build", name, &[&origin.name, &origin.text], host)?
                        // A plan is what is asked for there.
                        .filter(|_| !self.writing.json);
                    if let Some(before) = known.as_ref().and_then(|known| known.lookup(host)) {
                        text.push_str(&nothing_to_do(name));
                        said.extend(before);
                        continue;
                    }
                    // A run that is remembered was one from this file.
                    if !spec.is_family() {
                        refuse_other_file()?;
                    }
                    let progress = voice.progress();
                    progress.set(format!("{name}: looking at what it needs"));
                    let view = self.root.view()?.with_id_gap(spacing).with_access_log();
                    // Once more, so that templates are among what is looked at.
                    let (spec, now) = load_spec(path, &view)?;
                    let mut jails = spec.members().into_iter();
                    let jail = match jails.find(|jail| jail.name.value == *name) {
                        Some(jail) => jail,
                        None => spec.member(name)?,
                    };
                    let plan = plan::plan(&jail, self::origin(path, &now.text)?, &view)?;
                    drop(progress);
                    if !self.consent.recreate {
                        plan.refuse_vanished_root(host)?;
                    }
                    transaction.apply(&plan, &mut voice.step_logger())?;
                    let is_same = plan.steps.is_empty() && now.text == source.text;
                    if let Some(known) = known.filter(|_| is_same) {
                        known.store(&view, &plan.notices, host);
                    }
                    text.push_str(&summary(&plan));
                    said.extend(plan.notices.iter().cloned());
                    plans.push(plan);
                }
                Ok(())
            };
            if let Err(error) = build() {
                return Err(transaction.roll_back(error));
            }
        }
        notices.extend(transaction.finish(&mut voice.step_logger())?);
        let changed = plans.iter().any(|plan| !plan.steps.is_empty());
        if self.writing.json {
            return Ok(CommandOutput {
                changed,
                ..report(&plans, &notices, true, voice, 0)
            });
        }
        // What the jails of a family have in common each of them says.
        for one in said {
            if !notices.contains(&one) {
                notices.push(one);
            }
        }
        Ok(CommandOutput {
            text,
            notices,
            changed,
            ..CommandOutput::default()
        })
    }

    fn write_tree_only(&self, target: &Path, voice: OutputOptions) -> Result<CommandOutput> {
        let [path] = self.specs.as_slice() else {
            return Err(Finding::new("`--output` makes the tree of one spec")
                .why("more than one was named")
                .into());
        };
        let view = HostView::new(Path::new("/"))?;
        let (spec, _) = load_spec(path, &view)?;
        if spec.is_family() {
            return Err(Finding::new("`--output` makes the tree of one jail")
                .why("with `%u` in its root the spec stands for a jail of each user")
                .hint("give it a root without `%u`, or build it")
                .with_span(&spec.root.site, "a jail of each user")
                .into());
        }
        let progress = voice.progress();
        progress.set(format!("{}: looking at what it needs", spec.name.value));
        let (tree, notices) = resolve::resolve_tree(&spec, &view)?;
        let target =
            std::path::absolute(target).map_err(|error| Error::io("find", target, &error))?;
        progress.set(format!("{}: writing the tree", spec.name.value));
        apply::write_tree_only(&view, &tree, &target)?;
        drop(progress);
        let text = if self.writing.json {
            format!(
                "{}\n",
                serde_json::json!({ "schema": 1, "changed": true, "output": target, "entries": tree.len(), "warnings": notices })
            )
        } else {
            format!(
                "{}: {} in {}\n",
                spec.name.value,
                show::count(tree.len(), "entry", "entries"),
                target.display()
            )
        };
        Ok(CommandOutput {
            text,
            notices,
            changed: true,
            ..CommandOutput::default()
        })
    }
}

fn nothing_to_do(jail: &JailName) -> String {
    format!("{jail}: nothing to do\n")
}

/// One line for what was done to a jail.
pub(super) fn summary(plan: &Plan) -> String {
    if plan.removal.is_some() {
        return format!("{}: removed\n", plan.name);
    }
    if !plan.is_change() {
        return nothing_to_do(&plan.name);
    }
    let entries = plan
        .target
        .as_ref()
        .map_or(0, |wanted| wanted.jail.tree.len());
    let users: Vec<&str> = plan
        .target
        .iter()
        .flat_map(|wanted| &wanted.jail.accounts)
        .map(|account| account.name.as_str())
        .collect();
    format!(
        "{}: built at {}: {}, {}{}\n",
        plan.name,
        plan.root.display(),
        show::count(entries, "entry", "entries"),
        show::count(users.len(), "user", "users"),
        if users.is_empty() {
            String::new()
        } else {
            format!(" ({})", users.join(", "))
        },
    )
}

fn plans(
    paths: &[PathBuf],
    specs: Vec<(Spec, Arc<SourceText>)>,
    mut view: HostView,
    progress: &Progress,
) -> Result<Vec<Plan>> {
    let mut plans: Vec<Plan> = Vec::new();
    for (path, (spec, source)) in paths.iter().zip(specs) {
        plans.extend(plan_dropped_users(&spec, &view)?);
        for jail in spec.members() {
            progress.set(format!("{}: looking at what it needs", jail.name.value));
            let mut plan = plan::plan(&jail, origin(path, &source.text)?, &view)?;
            plan.drop_steps_done_by(&plans);
            let (accounts, groups) = plan.created_ids();
            view.assume_accounts(accounts, groups);
            plans.push(plan);
        }
    }
    Ok(plans)
}

/// What takes the jails away of users whom the spec of a family no longer names. What they put
/// there stays, as with a user of any jail.
pub(super) fn plan_dropped_users(spec: &Spec, view: &HostView) -> Result<Vec<Plan>> {
    if !spec.is_family() {
        return Ok(Vec::new());
    }
    let staying: Vec<JailName> = (spec.members().into_iter())
        .map(|jail| jail.name.value)
        .collect();
    let how = RemoveOptions {
        dropped: true,
        ..RemoveOptions::default()
    };
    let mut plans = Vec::new();
    for name in members(&spec.name.value, view)? {
        if !staying.contains(&name) {
            plans.extend(plan::removal(&name, &[], how, view)?);
        }
    }
    Ok(plans)
}

fn origin(path: &Path, text: &str) -> Result<Origin> {
    let absolute = std::path::absolute(path).map_err(|error| Error::io("find", path, &error))?;
    Ok(Origin {
        name: absolute.display().to_string(),
        text: text.to_owned(),
    })
}

pub(super) fn report(
    plans: &[Plan],
    notices: &[String],
    json: bool,
    voice: OutputOptions,
    code: u8,
) -> CommandOutput {
    let plans: Vec<&Plan> = plans.iter().collect();
    let text = if json {
        format!("{}\n", show::plan::json(&plans, notices))
    } else {
        plans
            .iter()
            .map(|plan| show::plan::text(plan, voice.verbose, voice.paint))
            .collect()
    };
    CommandOutput {
        text,
        code,
        ..CommandOutput::default()
    }
}
