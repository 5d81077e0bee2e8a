//! `check`: what is no longer as it was built.

use std::panic::resume_unwind;

use clap::Args;

use super::noop_cache::NoopCache;
use super::options::RootOption;
use super::output::{CommandOutput, OutputOptions};
use super::spec_files::HostTemplates;
use super::target::{spec_changed, targets};
use crate::error::Result;
use crate::host::{Host, HostView};
use crate::names::JailName;
use crate::plan::{Depth, Manifest, RecordedDigests, drift, processes_outside};
use crate::show::drift::{Checked, json, text};

/// Arguments of `check`.
#[derive(Debug, Args)]
pub(crate) struct Check {
    /// Names of jails, or their spec files; all jails of the host otherwise.
    #[arg(value_name = "JAIL")]
    targets: Vec<String>,
    /// Read every byte of every file, also of those whose facts say that nothing has changed them.
    #[arg(long)]
    deep: bool,
    #[command(flatten)]
    root: RootOption,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

impl Check {
    pub(crate) fn run(self, voice: OutputOptions) -> Result<CommandOutput> {
        let view = self.root.view()?;
        let depth = if self.deep {
            Depth::Content
        } else {
            Depth::Metadata
        };
        let outside = processes_outside(&view)?;
        let mut checked = Vec::new();
        let mut notices = Vec::new();
        for target in targets(&self.targets, &view)? {
            let jail = target.name();
            let known = NoopCache::new("check", jail, &[], &view)?;
            if let Some(before) = known
                .as_ref()
                .and_then(|known| self.recall(known, jail, &view))
            {
                notices.extend(before);
                checked.push(Checked {
                    jail: jail.clone(),
                    differences: Vec::new(),
                });
                continue;
            }
            let view = self.root.view()?.with_access_log();
            let manifest = match Manifest::load(&view, jail)? {
                Some(manifest) => manifest,
                // One that was named must be there; of all, another run may just have removed one.
                None if self.targets.is_empty() => continue,
                None => return Err(target.not_found()),
            };
            let found = drift(&manifest, &HostTemplates(&view), depth, &view)?;
            let mut said = found.notices;
            if spec_changed(&manifest, &view)? {
                said.push(format!(
                    "`{}` has changed since `{}` was built from it: `jailctl plan` with it shows what that means",
                    manifest.spec, manifest.name
                ));
            }
            if let Some(known) = known.filter(|_| found.differences.is_empty()) {
                known.store(&view, &said, &Host::new(&self.root.path()?)?);
            }
            notices.extend(said);
            checked.push(Checked {
                jail: manifest.name,
                differences: found.differences,
            });
        }
        for one in &mut checked {
            let its = outside.iter().filter(|(jail, _)| *jail == one.jail);
            one.differences.extend(its.map(|(_, found)| found.clone()));
        }
        let code = u8::from(checked.iter().any(|one| !one.differences.is_empty()));
        let text = if self.json {
            format!("{}\n", json(&checked, &notices))
        } else {
            text(&checked, voice.paint)
        };
        CommandOutput {
            text,
            notices: if self.json { Vec::new() } else { notices },
            code,
            ..CommandOutput::default()
        }
        .with_interruption_notice(&view)
    }

    /// What was said of a jail the last time, if nothing has changed since. Where more than facts is asked for, all bytes of its files are read
    /// again, whatever is known of them.
    fn recall(&self, known: &NoopCache, jail: &JailName, view: &HostView) -> Option<Vec<String>> {
        if !self.deep || !known.exists(view) {
            return known.lookup(view);
        }
        let (said, contents) = std::thread::scope(|scope| {
            // Beside the looks, which come in pieces, this is one long one.
            let load = move || RecordedDigests::load(view, jail).ok().flatten();
            let loading = std::thread::Builder::new().spawn_scoped(scope, load);
            let said = known.lookup(view);
            let contents = match loading {
                Ok(loading) => loading.join().unwrap_or_else(|panic| resume_unwind(panic)),
                Err(_) => load(),
            };
            (said, contents)
        });
        // Whoever finds less than all right, or cannot look, leaves it to the whole check to say what it is.
        let said = said?;
        let is_whole = contents?.verify(view).unwrap_or(false);
        is_whole.then_some(said)
    }
}
