//! `who`: lists the users who are in jails.

use clap::Args;

use super::output::CommandOutput;
use super::target::targets;
use crate::error::Result;
use crate::host::{HostView, Login, UserEntry, need_root_for_logins};
use crate::names::JailName;
use crate::resolve::jail_of;
use crate::show::who::{WhoRow, json, table};

/// Arguments of `who`.
#[derive(Debug, Args)]
pub(crate) struct Who {
    /// Jails, by name or spec file [default: all jails].
    #[arg(value_name = "JAIL")]
    targets: Vec<String>,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

impl Who {
    pub(crate) fn run(self) -> Result<CommandOutput> {
        need_root_for_logins()?;
        let view = HostView::new(std::path::Path::new("/"))?;
        let rows = if self.targets.is_empty() {
            logins(None, &view)?
        } else {
            let targets = targets(&self.targets, &view)?;
            let mut names = Vec::new();
            for target in &targets {
                names.push(target.manifest(&view)?.name);
            }
            logins(Some(&names), &view)?
        };
        let text = if self.json {
            format!("{}\n", json(&rows))
        } else {
            table(&rows)
        };
        let mut report = CommandOutput {
            text,
            ..CommandOutput::default()
        };
        if rows.is_empty() && !self.json {
            report.notices.push("no user is in a jail".to_owned());
        }
        Ok(report)
    }
}

/// The open logins to the jails `names`, or to all jails.
///
/// # Errors
/// [`crate::error::ErrorKind::Failed`] if the account files or `/proc` cannot be read.
pub(super) fn logins(names: Option<&[JailName]>, view: &HostView) -> Result<Vec<WhoRow>> {
    let accounts = view.accounts()?;
    let jailed: Vec<(&UserEntry, JailName)> = (accounts.users.iter())
        .filter_map(|user| Some((user, jail_of(user)?)))
        .filter(|(_, jail)| names.is_none_or(|names| names.contains(jail)))
        .collect();
    let uids: Vec<u32> = jailed.iter().map(|(user, _)| user.uid).collect();
    let rows = Login::of_users(view, &uids)?.into_iter();
    let mut rows: Vec<WhoRow> = rows
        .filter_map(|login| {
            let (user, jail) = jailed.iter().find(|(user, _)| user.uid == login.uid)?;
            Some(WhoRow {
                jail: jail.clone(),
                user: user.name.clone(),
                login,
            })
        })
        .collect();
    rows.sort_by(|one, other| {
        let key = |row: &WhoRow| (row.jail.clone(), row.user.clone(), row.login.since);
        key(one).cmp(&key(other))
    });
    Ok(rows)
}
