//! `hook`: what package managers and systemd run. A hook reports in one line and in the system log,
//! and never makes its caller fail because of a jail.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::sleep;
use std::time::Duration;

use clap::{Args, ValueEnum};

use super::noop_cache::{PackageCache, SshdCache};
use super::spec_files::load_built;
use super::target::manifests;
use super::transact::Transactions;
use super::update::Update;
use super::{CommandOutput, OutputOptions, WriteOptions};
use crate::apply::repair_snippets;
use crate::error::Result;
use crate::host::sshd::{Config, Sshd};
use crate::host::{Event, Host, HostView, Stat};
use crate::plan::{self, ChangeKind, Manifest, Plan};
use crate::show;

/// Time after which a later change of a file that has just been written shows in its ctime.
const TIMESTAMP_GRANULARITY: Duration = Duration::from_millis(60);
/// Most jails and files that a line names.
const NAMED: usize = 3;

/// Event of the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum HostEvent {
    /// Packages were changed: update the jails whose files are different on the host.
    Packages,
    /// sshd is about to start: write its snippets for the installed sshd, or remove those with
    /// which it would not start or not confine the accounts.
    Sshd,
}

/// Arguments of `hook`.
#[derive(Debug, Args)]
pub(crate) struct Hook {
    /// Event.
    event: HostEvent,
    /// Wait up to SECONDS for another jailctl to finish.
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    lock_timeout: u64,
}

impl Hook {
    pub(crate) fn run(self, output: OutputOptions) -> Result<CommandOutput> {
        let view = HostView::new(Path::new("/"))?;
        if Manifest::names(&view)?.is_empty() {
            return Ok(CommandOutput::default());
        }
        match self.event {
            HostEvent::Packages => self.packages(&view, output),
            HostEvent::Sshd => self.sshd(&view),
        }
    }

    /// Updates the jails that would be different if they were built now.
    fn packages(&self, view: &HostView, output: OutputOptions) -> Result<CommandOutput> {
        let cache = PackageCache::new(view)?;
        if let Some(kept) = cache.lookup(view) {
            return Ok(report(&[], &kept));
        }
        let host = Host::new(Path::new("/"))?;
        // Without the lock of the host: most packages concern no jail.
        let (logged, affected) = affected_jails(view)?;
        if affected.is_empty() {
            cache.store(&logged, Vec::new(), &host);
            return Ok(CommandOutput::default());
        }
        let options = WriteOptions::with_lock_timeout(self.lock_timeout);
        let update = Update::of_all(WriteOptions::with_lock_timeout(self.lock_timeout));
        let quiet = OutputOptions {
            quiet: true,
            verbose: false,
            ..output
        };
        let mut transactions = match Transactions::begin(&host, &options, quiet) {
            Ok(transactions) => transactions,
            Err(error) => {
                let text = format!("jails were not updated: {error}");
                host.log(Event::ChangeFailed, &[], &text);
                let text = format!("jailctl: jails were not updated: {error}\n");
                return Ok(CommandOutput {
                    text,
                    ..CommandOutput::default()
                });
            }
        };
        transactions.keep_plans();
        let failed = update.update_jails(affected, &host, &mut transactions)?;
        let kept: Vec<String> = failed.into_iter().map(|(name, _)| name).collect();
        let text = report(transactions.plans(), &kept);
        // The next run is quick: what was just written is old enough by then to be compared.
        sleep(TIMESTAMP_GRANULARITY);
        let (logged, left) = affected_jails(view)?;
        let is_kept = |manifest: &Manifest| {
            let name = &manifest.name;
            kept.iter()
                .any(|kept| kept == name.as_str() || kept == name.family_name())
        };
        if left.iter().all(is_kept) {
            cache.store(&logged, kept, &host);
        }
        Ok(text)
    }

    /// Repairs the snippets for the sshd that is about to start.
    fn sshd(&self, view: &HostView) -> Result<CommandOutput> {
        let cache = SshdCache::new(&sshd_inputs()?);
        if cache.matches(view) {
            return Ok(CommandOutput::default());
        }
        let host = Host::new(Path::new("/"))?;
        let _lock = host.lock(Duration::from_secs(self.lock_timeout))?;
        let mut jails = Vec::new();
        for manifest in manifests(&[], view)? {
            if manifest.confinement.is_none() {
                continue;
            }
            match load_built(&manifest, view) {
                Ok((spec, _)) => jails.push((manifest, spec)),
                // Its snippet is removed if sshd does not start with it.
                Err(error) => {
                    let text = format!("jail {}: {error}", manifest.name);
                    host.log(Event::ChangeFailed, &[manifest.name.as_str()], &text);
                }
            }
        }
        let repairs = plan::snippet_repairs(&jails, view)?;
        repair_snippets(&host, &repairs)?;
        SshdCache::new(&sshd_inputs()?).store(&host);
        let text = if repairs.edits.is_empty() {
            String::new()
        } else {
            format!("jailctl: {repairs}\n")
        };
        Ok(CommandOutput {
            text,
            changed: !repairs.edits.is_empty(),
            ..CommandOutput::default()
        })
    }
}

/// Stat of the program and of the configuration files of sshd, as they are now.
fn sshd_inputs() -> Result<BTreeMap<PathBuf, Option<Stat>>> {
    let view = HostView::new(Path::new("/"))?;
    let config = Config::read(&view)?;
    Sshd::find(&view)?.inputs(&config, &[])
}

/// The jails that a build would change now, or could not plan, and the view with the accesses by
/// which that was found.
fn affected_jails(view: &HostView) -> Result<(HostView, Vec<Manifest>)> {
    let jails = manifests(&[], view)?;
    let logged = PackageCache::view(jails.iter().map(|manifest| manifest.root.clone()))?;
    let mut affected = Vec::new();
    for name in Manifest::names(&logged)? {
        let Some(manifest) = Manifest::load(&logged, &name)? else {
            continue;
        };
        let plan = load_built(&manifest, &logged)
            .and_then(|(spec, origin)| plan::build_plan(&spec, origin, &logged));
        if plan.map_or(true, |plan| !plan.steps.is_empty()) {
            affected.push(manifest);
        }
    }
    Ok((logged, affected))
}

/// The line about the jails that plans have changed, and about those that were kept as they are;
/// empty if there are none.
fn report(plans: &[Arc<Plan>], kept: &[String]) -> CommandOutput {
    let changed: Vec<&Arc<Plan>> = plans.iter().filter(|plan| plan.is_change()).collect();
    let mut parts = Vec::new();
    if !changed.is_empty() {
        let names: Vec<&str> = changed.iter().map(|plan| plan.name.as_str()).collect();
        let mut files: Vec<&str> = (changed.iter())
            .flat_map(|plan| plan.changes.iter())
            .filter(|change| change.act != ChangeKind::Remove)
            .map(|change| change.path.name())
            .collect();
        files.sort_unstable();
        files.dedup();
        let files = if files.is_empty() {
            String::new()
        } else {
            format!(": {}", some_of(&files))
        };
        parts.push(format!(
            "updated {} ({}){files}",
            show::count(names.len(), "jail", "jails"),
            some_of(&names)
        ));
    }
    if !kept.is_empty() {
        let names: Vec<&str> = kept.iter().map(String::as_str).collect();
        parts.push(format!(
            "kept {} as before the upgrade ({}), `jailctl update` shows why",
            show::count(names.len(), "jail", "jails"),
            some_of(&names)
        ));
    }
    let text = if parts.is_empty() {
        String::new()
    } else {
        format!("jailctl: {}\n", parts.join("; "))
    };
    CommandOutput {
        text,
        changed: !changed.is_empty(),
        ..CommandOutput::default()
    }
}

/// The first names of a list, and the number of the others.
fn some_of(names: &[&str]) -> String {
    let first = names.iter().take(NAMED).copied().collect::<Vec<_>>();
    match names.len().saturating_sub(NAMED) {
        0 => first.join(", "),
        more => format!("{} and {more} more", first.join(", ")),
    }
}
