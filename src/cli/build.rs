//! `build` and `plan`: both make the same plans, which one applies and the other shows.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::Args;

use super::noop_cache::{NoopCache, store_index};
use super::progress::Progress;
use super::spec_checks::{Loaded, load_specs, readable_secrets, refuse_other_files};
use super::spec_source::{SpecArguments, SpecGroup, SpecSource};
use super::target::members;
use super::transact::{Applier, Transactions, show_plans};
use super::{CommandOutput, OutputOptions, RootOption, WriteOptions};
use crate::apply;
use crate::error::{Error, ErrorKind, Finding, Result};
use crate::host::{Host, HostView};
use crate::names::JailName;
use crate::plan::{self, Fleet, Plan, PostponedSessions, RemoveOptions};
use crate::resolve;
use crate::show;
use crate::spec::Spec;

/// Free ids that are skipped in later attempts, while another program creates accounts.
const ID_GAPS: [u32; 3] = [16, 256, 4096];

/// Options that allow what is refused otherwise.
#[derive(Clone, Copy, Debug, Args)]
struct Consent {
    /// Accept SPEC in place of another file that its jail was built from.
    #[arg(long)]
    from_here: bool,
    /// Create a jail again whose root is gone, with empty homes.
    #[arg(long)]
    recreate: bool,
}

/// Arguments of `plan`.
#[derive(Debug, Args)]
pub(crate) struct PlanSpecs {
    #[command(flatten)]
    specs: SpecArguments,
    #[command(flatten)]
    root: RootOption,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
    /// Exit with 1 if there are changes, and with 0 if there are none.
    #[arg(long)]
    exit_code: bool,
    #[command(flatten)]
    consent: Consent,
}

/// Arguments of `build`.
#[derive(Debug, Args)]
pub(crate) struct Build {
    #[command(flatten)]
    specs: SpecArguments,
    #[command(flatten)]
    root: RootOption,
    /// Write only the tree, to DIR, which must be new or empty: no accounts, no sshd, no records.
    #[arg(long, value_name = "DIR", conflicts_with_all = ["root", "dry_run", "no_reload", "lock_timeout"])]
    output: Option<PathBuf>,
    #[command(flatten)]
    consent: Consent,
    #[command(flatten)]
    writing: WriteOptions,
}

impl PlanSpecs {
    pub(crate) fn run(self, output: OutputOptions) -> Result<CommandOutput> {
        let view = self.root.view()?;
        view.refuse_unsafe_accounts()?;
        let progress = output.progress();
        let mut planned = Planned::default();
        let groups = self.specs.groups(&view)?;
        for SpecGroup(sources) in &groups {
            // The others are planned all the same.
            if let Err(error) = self.plan_group(sources, &view, &mut planned, &progress) {
                Error::merge(&mut planned.failed, error);
            }
        }
        drop(progress);
        let Planned {
            plans,
            secrets,
            failed,
            ..
        } = planned;
        if plans.is_empty()
            && let Some(error) = failed
        {
            return Err(error);
        }
        let changes = plans.iter().any(Plan::is_change);
        let code = match &failed {
            Some(error) => error.kind as u8,
            None => u8::from(self.exit_code && changes),
        };
        let mut notices = self.specs.notices(&view)?;
        notices.extend(secrets);
        let mut warnings: Vec<String> = plans.iter().filter_map(Plan::exposure).collect();
        warnings.extend(notices.iter().cloned());
        warnings.extend(failed.iter().map(ToString::to_string));
        let shown = CommandOutput {
            code,
            failed,
            notices: if self.json { Vec::new() } else { notices },
            ..show_plans(&plans, &warnings, self.json, output)
        };
        shown.with_interruption_notice(&view)
    }

    /// Plans the specs of one transaction, after those that are planned.
    fn plan_group(
        &self,
        sources: &[SpecSource],
        view: &HostView,
        planned: &mut Planned,
        progress: &Progress,
    ) -> Result<()> {
        let specs = load_specs(sources, &mut planned.seen, view)?;
        if !self.consent.from_here {
            refuse_other_files(&specs, view)?;
        }
        let secrets = readable_secrets(&specs)?;
        let plans = plans(&specs, &planned.plans, self.root.view()?, progress)?;
        for plan in &plans {
            if !self.consent.recreate {
                plan.refuse_vanished_root(view)?;
            }
            progress.set(format!("{}: querying sshd", plan.name));
            plan.preflight(view)?;
        }
        planned.secrets.extend(secrets);
        planned.plans.extend(plans);
        Ok(())
    }
}

/// The plans of `plan` so far.
#[derive(Default)]
struct Planned {
    seen: BTreeMap<JailName, String>,
    plans: Vec<Plan>,
    secrets: Vec<String>,
    failed: Option<Error>,
}

impl Build {
    pub(crate) fn run(self, output: OutputOptions) -> Result<CommandOutput> {
        if let Some(target) = &self.output {
            return self.write_tree_only(target, output);
        }
        let root = self.root.path()?;
        if self.writing.dry_run {
            let plan = PlanSpecs {
                specs: self.specs,
                root: self.root,
                json: self.writing.json,
                exit_code: false,
                consent: self.consent,
            };
            return plan.run(output);
        }
        let host = Host::new(&root)?;
        let groups = self.specs.groups(&host)?;
        // Errors of the specs are reported before the lock: bad specs leave no trace at all.
        let mut loaded: Vec<Vec<Loaded>> = Vec::new();
        let mut seen = BTreeMap::new();
        let mut failed: Option<Error> = None;
        for SpecGroup(sources) in &groups {
            match load_specs(sources, &mut seen, &host) {
                Ok(specs) => loaded.push(specs),
                Err(error) => {
                    let files: Vec<String> = sources.iter().map(SpecSource::shown).collect();
                    host.log(&format!("build of {} failed: {error}", files.join(", ")));
                    Error::merge(&mut failed, error);
                }
            }
        }
        if loaded.is_empty()
            && let Some(error) = failed
        {
            return Err(error);
        }
        let mut transactions = Transactions::begin(&host, &self.writing, output)?;
        for notice in self.specs.notices(&host)? {
            transactions.notice(notice);
        }
        for specs in &loaded {
            for notice in readable_secrets(specs)? {
                transactions.notice(notice);
            }
            if let Err(error) = self.build_group(specs, &host, &mut transactions, output) {
                Error::merge(&mut failed, error);
            }
        }
        if let Some(error) = &failed
            && self.writing.json
            && groups.len() > 1
        {
            // Standard output has one JSON object, also where something failed.
            transactions.notice(error.to_string());
        }
        match failed {
            Some(error) if groups.len() == 1 => Err(error),
            Some(error) => {
                let mut report = transactions.report();
                report.code = error.kind as u8;
                report.failed = Some(error);
                Ok(report)
            }
            None => Ok(transactions.report()),
        }
    }

    /// Builds all jails of the specs in one transaction, again where another program takes an id.
    fn build_group(
        &self,
        specs: &[Loaded],
        host: &Host,
        transactions: &mut Transactions<'_>,
        output: OutputOptions,
    ) -> Result<()> {
        let mut outcome = self.build_once(specs, host, 0, transactions, output);
        for gap in ID_GAPS {
            match &outcome {
                // Another program creates accounts at this moment, and took an id first. With one
                // finding, everything is undone.
                Err(error) if error.kind == ErrorKind::Busy && error.findings.len() == 1 => {
                    outcome = self.build_once(specs, host, gap, transactions, output);
                }
                _ => break,
            }
        }
        outcome.inspect_err(|error| transactions.log_failure(&build_of(specs), error))?;
        store_index(host);
        Ok(())
    }

    /// Builds all jails of the specs in one transaction, skipping `id_gap` free ids for accounts
    /// that are created.
    fn build_once(
        &self,
        specs: &[Loaded],
        host: &Host,
        id_gap: u32,
        transactions: &mut Transactions<'_>,
        output: OutputOptions,
    ) -> Result<()> {
        transactions.run(build_of(specs), |applier| {
            specs
                .iter()
                .try_for_each(|loaded| self.build_spec(loaded, host, id_gap, applier, output))
        })
    }

    /// Builds the jails of one spec.
    fn build_spec(
        &self,
        loaded: &Loaded,
        host: &Host,
        id_gap: u32,
        applier: &mut Applier<'_, '_>,
        output: OutputOptions,
    ) -> Result<()> {
        let (origin, spec, source) = loaded;
        let refuse_other_file = || {
            if self.consent.from_here {
                return Ok(());
            }
            refuse_other_files(std::slice::from_ref(loaded), host)
        };
        if spec.is_family() {
            refuse_other_file()?;
        }
        // Users that the spec no longer names are out of their jails before the family's snippet
        // changes.
        for plan in plan_dropped_users(spec, host)? {
            applier.apply(plan)?;
        }
        if let Some(plan) = plan::rename_users(spec, host)? {
            refuse_other_file()?;
            applier.apply(plan)?;
        }
        let postponed = PostponedSessions::find(spec, host)?;
        for jail in spec.members() {
            let name = &jail.name.value;
            let recorded = origin.origin(&source.text)?;
            let cache = NoopCache::new("build", name, &[&recorded.name, &recorded.text], host)?
                // JSON reports the plan, which is not cached.
                .filter(|_| !self.writing.json);
            let known = cache.as_ref().filter(|cache| cache.exists(host));
            if let Some(known) = known
                && Fleet::is_without_conflict(host, name)?
                && let Some(notices) = known.lookup(host)
            {
                applier.skip(name, notices);
                continue;
            }
            // A cached run was one from this file.
            if !spec.is_family() {
                refuse_other_file()?;
            }
            let progress = output.progress();
            progress.set(format!("{name}: resolving programs and libraries"));
            let view = self.root.view()?.sharing_facts_of(host);
            let view = view.with_id_gap(id_gap).with_access_log();
            // Loaded again, so that the access log has the templates too.
            let (spec, now) = origin.load(&view)?;
            let mut jails = spec.members().into_iter();
            let jail = match jails.find(|jail| jail.name.value == *name) {
                Some(jail) => jail,
                None => spec.member(name)?,
            };
            let plan = postponed.build_plan(&jail, origin.origin(&now.text)?, &view)?;
            drop(progress);
            if !self.consent.recreate {
                plan.refuse_vanished_root(host)?;
            }
            let is_noop = plan.steps.is_empty() && now.text == source.text;
            let notices = plan.notices.clone();
            applier.apply(plan)?;
            if let Some(cache) = cache.filter(|_| is_noop) {
                cache.store(&view, &notices, host);
            }
        }
        Ok(())
    }

    fn write_tree_only(&self, target: &Path, output: OutputOptions) -> Result<CommandOutput> {
        let view = HostView::new(Path::new("/"))?;
        let source = self.specs.single(&view)?.ok_or_else(|| {
            Finding::new("`--output` writes the tree of one spec").why("more than one was named")
        })?;
        let (spec, _) = source.load(&view)?;
        if spec.is_family() {
            return Err(Finding::new("`--output` writes the tree of one jail")
                .why("with `%u` in its root the spec stands for a jail of each user")
                .hint("give it a root without `%u`, or build it")
                .with_span(&spec.root.span, "a jail of each user")
                .into());
        }
        let progress = output.progress();
        progress.set(format!(
            "{}: resolving programs and libraries",
            spec.name.value
        ));
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

/// Name of the run in messages: "build of arkham".
fn build_of(specs: &[Loaded]) -> String {
    let names = specs.iter().map(|(_, spec, _)| spec.name.value.as_str());
    format!("build of {}", names.collect::<Vec<_>>().join(", "))
}

/// Plans the specs, after the plans `earlier`.
fn plans(
    specs: &[Loaded],
    earlier: &[Plan],
    mut view: HostView,
    progress: &Progress,
) -> Result<Vec<Plan>> {
    for plan in earlier {
        let (accounts, groups) = plan.created_ids();
        view.assume_accounts(accounts, groups);
    }
    let mut plans: Vec<Plan> = Vec::new();
    for (source, spec, text) in specs {
        plans.extend(plan_dropped_users(spec, &view)?);
        if let Some(mut plan) = plan::rename_users(spec, &view)? {
            // A plan reads the host, on which the users have their former names.
            plan.notices.push(
                "the build plans all else that changes when the users are renamed".to_owned(),
            );
            plans.push(plan);
            continue;
        }
        let postponed = PostponedSessions::find(spec, &view)?;
        for jail in spec.members() {
            progress.set(format!(
                "{}: resolving programs and libraries",
                jail.name.value
            ));
            let mut plan = postponed.build_plan(&jail, source.origin(&text.text)?, &view)?;
            plan.drop_steps_done_by(earlier);
            plan.drop_steps_done_by(&plans);
            let (accounts, groups) = plan.created_ids();
            view.assume_accounts(accounts, groups);
            plans.push(plan);
        }
    }
    Ok(plans)
}

/// The removal of the jails of users that the spec of a family no longer names. Their files stay,
/// as those of a user of any jail do.
pub(super) fn plan_dropped_users(spec: &Spec, view: &HostView) -> Result<Vec<Plan>> {
    if !spec.is_family() {
        return Ok(Vec::new());
    }
    let named: Vec<JailName> = (spec.members().into_iter())
        .map(|jail| jail.name.value)
        .collect();
    let options = RemoveOptions {
        dropped: true,
        ..RemoveOptions::default()
    };
    let mut plans = Vec::new();
    for name in members(&spec.name.value, view)? {
        if !named.contains(&name) {
            plans.extend(plan::removal(&name, &[], options, view)?);
        }
    }
    Ok(plans)
}
