//! `list`: lists the jails of a host.

use clap::Args;

use super::options::RootOption;
use super::output::CommandOutput;
use super::who::logins;
use crate::error::Result;
use crate::host::{HostView, need_root_for_logins};
use crate::names::JailName;
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
        let lines = rows(&Manifest::names(&view)?, &view)?;
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

/// The rows of the jails `names` that exist, with the number of open logins where it is known.
pub(super) fn rows(names: &[JailName], view: &HostView) -> Result<Vec<ListRow>> {
    let can_see = view.is_live() && need_root_for_logins().is_ok();
    let logins = can_see.then(|| logins(Some(names), view)).transpose()?;
    let mut rows = Vec::new();
    for name in names {
        if let Some(manifest) = Manifest::load(view, name)? {
            let logins = logins.as_ref().map(|logins| {
                let its = logins.iter().filter(|login| login.jail == *name);
                its.count()
            });
            rows.push(ListRow::new(&manifest, logins));
        }
    }
    Ok(rows)
}
