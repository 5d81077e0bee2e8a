//! `list`: lists the jails of a host.

use clap::Args;

use super::options::RootOption;
use super::output::CommandOutput;
use crate::error::Result;
use crate::plan::Manifest;
use crate::show::jail_list::{ListRow, json, table};

/// Arguments of `list`.
#[derive(Debug, Args)]
pub(crate) struct List {
    #[command(flatten)]
    root: RootOption,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

impl List {
    pub(crate) fn run(self) -> Result<CommandOutput> {
        let view = self.root.view()?;
        let mut lines = Vec::new();
        for name in Manifest::names(&view)? {
            lines.extend(Manifest::load(&view, &name)?.as_ref().map(ListRow::new));
        }
        let text = if self.json {
            format!("{}\n", json(&lines))
        } else {
            table(&lines)
        };
        let mut report = CommandOutput {
            text,
            ..CommandOutput::default()
        };
        if lines.is_empty() && !self.json {
            report.notices.push(
                "this host has no jails; `jailctl init NAME` writes a starter spec".to_owned(),
            );
        }
        report.with_interruption_notice(&view)
    }
}
