//! `stats`: resource usage of the sessions of jails, once or periodically.

use std::io::Write as _;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use clap::Args;
use jailctl_session::cgroup;

use super::output::{CommandOutput, OutputOptions};
use super::target::manifests;
use crate::apply::session_control;
use crate::error::{Error, Result};
use crate::host::HostView;
use crate::names::JailName;
use crate::show::stats::{StatsRow, json, table};

/// Arguments of `stats`.
#[derive(Debug, Args)]
pub(crate) struct Stats {
    /// Jails, by name or spec file [default: all jails with limits].
    #[arg(value_name = "JAIL")]
    targets: Vec<String>,
    /// Repeat every SECONDS until interrupted, with the CPU usage since the last sample.
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, default_missing_value = "2", value_parser = clap::value_parser!(u32).range(1..=86_400))]
    watch: Option<u32>,
    /// Print one JSON object; with --watch, one per line.
    #[arg(long)]
    json: bool,
}

impl Stats {
    pub(crate) fn run(self, options: OutputOptions) -> Result<CommandOutput> {
        let view = HostView::new(Path::new("/"))?;
        let Some(seconds) = self.watch else {
            let (samples, notices) = self.sample(&view, None)?;
            let text = if self.json {
                format!("{:#}\n", json(&samples))
            } else {
                table(&samples)
            };
            return CommandOutput {
                text,
                notices: if self.json { Vec::new() } else { notices },
                ..CommandOutput::default()
            }
            .with_interruption_notice(&view);
        };
        let mut before: Option<(Instant, Vec<StatsRow>)> = None;
        loop {
            let (samples, notices) = self.sample(&view, before.as_ref())?;
            let text = if self.json {
                format!("{}\n", json(&samples))
            } else if options.is_terminal {
                // Cursor to the top left, and screen erased.
                format!("\u{1b}[H\u{1b}[J{}", table(&samples))
            } else {
                format!("{}\n", table(&samples))
            };
            if before.is_none() && !self.json {
                for notice in &notices {
                    options.print_notice(&format!("notice: {notice}"));
                }
            }
            let mut stdout = std::io::stdout().lock();
            match stdout
                .write_all(text.as_bytes())
                .and_then(|()| stdout.flush())
            {
                Ok(()) => {}
                // The reader closed the pipe.
                Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => {
                    return Ok(CommandOutput::default());
                }
                Err(error) => return Err(Error::io("write", Path::new("standard output"), &error)),
            }
            before = Some((Instant::now(), samples));
            sleep(Duration::from_secs(u64::from(seconds)));
        }
    }

    /// Takes a sample, with the CPU usage since `before`. Returns the samples and notices.
    fn sample(
        &self,
        view: &HostView,
        before: Option<&(Instant, Vec<StatsRow>)>,
    ) -> Result<(Vec<StatsRow>, Vec<String>)> {
        let mut samples = Vec::new();
        let mut notices = Vec::new();
        for manifest in manifests(&self.targets, view)? {
            let policy = session_control::policy(&manifest.name, "read the usage of")?;
            let limited = policy.and_then(|policy| Some((policy.limits.clone()?, policy)));
            let Some((limits, policy)) = limited else {
                if !self.targets.is_empty() {
                    notices.push(format!(
                        "`{}` has no statistics: its spec has no `[limits]`",
                        manifest.name
                    ));
                }
                continue;
            };
            let usage = cgroup::usage(&policy.jail, &limits).map_err(|error| {
                Error::failed(format!(
                    "could not read the usage of the jail `{}`",
                    manifest.name
                ))
                .why(error.to_string())
            })?;
            let share = before.and_then(|(when, samples)| {
                let last = of(samples, &manifest.name)?.usage.cpu?;
                let used = Duration::from_micros(usage.cpu?.checked_sub(last)?);
                Some(used.as_secs_f64() / when.elapsed().as_secs_f64() * 100.0)
            });
            samples.push(StatsRow {
                name: manifest.name,
                limits,
                usage,
                share,
            });
        }
        if samples.is_empty() && notices.is_empty() {
            notices.push("no jail of this host has `[limits]`".to_owned());
        }
        Ok((samples, notices))
    }
}

fn of<'s>(samples: &'s [StatsRow], name: &JailName) -> Option<&'s StatsRow> {
    samples.iter().find(|sample| sample.name == *name)
}
