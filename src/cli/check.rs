//! `check`: differences between the host and the records of jails.

use std::panic::resume_unwind;

use clap::Args;

use super::noop_cache::{NoopCache, store_index};
use super::options::RootOption;
use super::output::{CommandOutput, OutputOptions};
use super::spec_files::{HostTemplates, load_spec};
use super::spec_source::{spec_files_of_host, specs_gone};
use super::target::{spec_changed, targets};
use crate::error::Result;
use crate::host::{Host, HostView};
use crate::names::JailName;
use crate::plan::{Depth, Fleet, Manifest, RecordedDigests, RunningProcesses, drift};
use crate::show::drift::{Checked, json, text};

/// Arguments of `check`.
#[derive(Debug, Args)]
pub(crate) struct Check {
    /// Jails, by name or spec file [default: all jails].
    #[arg(value_name = "JAIL")]
    targets: Vec<String>,
    /// All jails, and all specs in /etc/jailctl/jails.d.
    #[arg(long, conflicts_with = "targets")]
    all: bool,
    /// Compare the content of all files, not only their metadata.
    #[arg(long)]
    deep: bool,
    #[command(flatten)]
    root: RootOption,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

impl Check {
    pub(crate) fn run(self, options: OutputOptions) -> Result<CommandOutput> {
        let view = self.root.view()?;
        let depth = if self.deep {
            Depth::Content
        } else {
            Depth::Metadata
        };
        let running = RunningProcesses::find(&view)?;
        let mut checked = Vec::new();
        let mut notices = Vec::new();
        for target in targets(&self.targets, &view)? {
            let jail = target.name();
            let known = NoopCache::new("check", jail, &[], &view)?;
            if let Some(known) = known.as_ref().filter(|known| known.exists(&view))
                && Fleet::is_without_conflict(&view, jail)?
                && let Some(before) = self.lookup(known, jail, &view)
            {
                notices.extend(before);
                checked.push(Checked {
                    jail: jail.clone(),
                    differences: Vec::new(),
                });
                continue;
            }
            let view = self.root.view()?.sharing_facts_of(&view);
            let view = view.with_access_log();
            let manifest = match Manifest::load(&view, jail)? {
                Some(manifest) => manifest,
                // Another run may have removed a jail since `targets` listed it; one that was named
                // must exist.
                None if self.targets.is_empty() => continue,
                None => return Err(target.not_found()),
            };
            let found = drift(&manifest, &HostTemplates(&view), depth, &view)?;
            let mut found_notices = found.notices;
            if spec_changed(&manifest, &view)? {
                found_notices.push(format!(
                    "`{}` has changed since `{}` was built; `jailctl plan` shows the effect",
                    manifest.spec, manifest.name
                ));
            }
            if let Some(known) = known.filter(|_| found.differences.is_empty()) {
                known.store(&view, &found_notices, &Host::new(&self.root.path()?)?);
            }
            notices.extend(found_notices);
            checked.push(Checked {
                jail: manifest.name,
                differences: found.differences,
            });
        }
        store_index(&view);
        if self.targets.is_empty() {
            notices.extend(specs_gone(&view)?);
        }
        if self.all {
            notices.extend(unbuilt_specs(&view)?);
        }
        for one in &mut checked {
            let its = running.outside.iter().filter(|(jail, _)| *jail == one.jail);
            one.differences.extend(its.map(|(_, found)| found.clone()));
            let its = running
                .outdated
                .iter()
                .filter(|(jail, _)| *jail == one.jail);
            notices.extend(its.map(|(_, notice)| notice.clone()));
        }
        let code = u8::from(checked.iter().any(|one| !one.differences.is_empty()));
        let text = if self.json {
            format!("{}\n", json(&checked, &notices))
        } else {
            text(&checked, options.paint)
        };
        CommandOutput {
            text,
            notices: if self.json { Vec::new() } else { notices },
            code,
            ..CommandOutput::default()
        }
        .with_interruption_notice(&view)
    }

    /// Notices of the last check of a jail, if nothing has changed since. With `--deep`, the
    /// content of all files is verified again.
    fn lookup(&self, known: &NoopCache, jail: &JailName, view: &HostView) -> Option<Vec<String>> {
        if !self.deep || !known.exists(view) {
            return known.lookup(view);
        }
        let (notices, digests) = std::thread::scope(|scope| {
            // The digests are one long read, and the lookup many short ones: done in parallel.
            let load = move || RecordedDigests::load(view, jail).ok().flatten();
            let loading = std::thread::Builder::new().spawn_scoped(scope, load);
            let notices = known.lookup(view);
            let digests = match loading {
                Ok(loading) => loading.join().unwrap_or_else(|panic| resume_unwind(panic)),
                Err(_) => load(),
            };
            (notices, digests)
        });
        // On any difference or error the full check reports what it is.
        let notices = notices?;
        let is_unchanged = digests?.verify(view).unwrap_or(false);
        is_unchanged.then_some(notices)
    }
}

/// Notices about specs of the host of which no jail was built, and those that cannot be read.
fn unbuilt_specs(view: &HostView) -> Result<Vec<String>> {
    let built = Manifest::names(view)?;
    let mut notices = Vec::new();
    for path in spec_files_of_host(view)? {
        let shown = path.display();
        match load_spec(&path, view) {
            Ok((spec, _)) => {
                let name = spec.name.value.as_str();
                if built.iter().all(|one| one.family_name() != name) {
                    notices.push(format!(
                        "`{shown}` has not been built; `jailctl plan {shown}` shows the effect"
                    ));
                }
            }
            Err(error) => notices.push(format!("`{shown}` cannot be built: {error}")),
        }
    }
    Ok(notices)
}
