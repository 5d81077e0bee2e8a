//! `metrics`: state of all jails for monitoring systems.

use std::path::Path;

use clap::Args;
use jailctl_session::cgroup;
use jailctl_session::shared_layout::{REFUSAL_SEPARATOR, RUN_REFUSED};

use super::check::count_differences;
use super::output::CommandOutput;
use super::target::manifests;
use crate::apply::session_control;
use crate::error::{Error, Result};
use crate::host::HostView;
use crate::layout::MANIFEST;
use crate::names::JailName;
use crate::plan;
use crate::resolve::ResolvedJail;
use crate::show::metrics::{JailMetrics, Refusals, text};

/// Arguments of `metrics`.
#[derive(Debug, Args)]
pub(crate) struct Metrics {
    /// Leave out the differences to the last build, which are found as by `check`.
    #[arg(long)]
    no_check: bool,
}

impl Metrics {
    pub(crate) fn run(self) -> Result<CommandOutput> {
        let view = HostView::new(Path::new("/"))?;
        let mut jails = Vec::new();
        for manifest in manifests(&[], &view)? {
            let name = &manifest.name;
            // A policy that cannot be read admits no session, and is a difference.
            let policy = session_control::policy(name, "read the metrics of");
            let limits = policy.ok().flatten().and_then(|policy| policy.limits);
            let limits = limits.unwrap_or_default();
            let usage = cgroup::usage(name.as_str(), &limits).map_err(|error| {
                Error::failed(format!("could not read the usage of the jail `{name}`"))
                    .why(error.to_string())
            })?;
            let record = view.stat(&ResolvedJail::state(name).join(MANIFEST))?;
            jails.push(JailMetrics {
                users: manifest.accounts.len(),
                usage,
                differences: if self.no_check {
                    None
                } else {
                    Some(count_differences(&manifest)?)
                },
                built: record.map(|stat| stat.mtime.0),
                name: manifest.name,
            });
        }
        Ok(CommandOutput {
            text: text(&jails, &refusals(&view)?, plan::interrupted(&view)?),
            ..CommandOutput::default()
        })
    }
}

/// Numbers of refused sessions since the last boot.
fn refusals(view: &HostView) -> Result<Vec<Refusals>> {
    let directory = Path::new(RUN_REFUSED);
    let mut found = Vec::new();
    for file in view.list(directory)?.unwrap_or_default() {
        let parts = file
            .to_str()
            .and_then(|name| name.split_once(REFUSAL_SEPARATOR));
        let Some((jail, reason)) = parts else {
            continue;
        };
        if let Some(stat) = view.lstat(&directory.join(&file))?
            && let Ok(jail) = JailName::parse(jail)
        {
            found.push(Refusals {
                jail,
                reason: reason.to_owned(),
                count: stat.size,
            });
        }
    }
    Ok(found)
}
