//! `freeze`, `thaw` and `kill`: suspend, resume and terminate the sessions of a jail.

use std::fmt::Write as _;
use std::path::Path;

use clap::Args;

use super::output::CommandOutput;
use super::target::manifests;
use crate::apply::session_control;
use crate::error::{Error, Finding, Result};
use crate::host::Host;
use crate::plan::Manifest;
use crate::resolve::is_managed;
use crate::show::count;

/// Arguments of `freeze`.
#[derive(Debug, Args)]
pub(crate) struct Freeze {
    #[command(flatten)]
    jail: Jail,
}

/// Arguments of `thaw`.
#[derive(Debug, Args)]
pub(crate) struct Thaw {
    #[command(flatten)]
    jail: Jail,
}

/// Arguments of `kill`.
#[derive(Debug, Args)]
pub(crate) struct Kill {
    #[command(flatten)]
    jail: Jail,
    /// Terminate the sessions of this user of the jail only.
    #[arg(long, value_name = "USER")]
    user: Option<String>,
}

/// Jail, or all jails of a family.
#[derive(Debug, Args)]
struct Jail {
    /// Jail, by name or spec file.
    #[arg(value_name = "JAIL")]
    target: String,
}

impl Jail {
    /// Applies `action` to each jail, and reports its result. An error does not stop the others.
    fn each(&self, action: impl Fn(&Host, &Manifest) -> Result<String>) -> Result<CommandOutput> {
        let host = Host::new(Path::new("/"))?;
        let mut report = CommandOutput::default();
        for manifest in manifests(std::slice::from_ref(&self.target), &host)? {
            match action(&host, &manifest) {
                Ok(result) => {
                    report.changed = true;
                    let _ = writeln!(report.text, "{}: {result}", manifest.name);
                }
                Err(error) => Error::merge(&mut report.failed, error),
            }
        }
        match report.failed.take() {
            Some(error) if report.text.is_empty() => Err(error),
            Some(error) => {
                report.code = error.kind as u8;
                report.failed = Some(error);
                Ok(report)
            }
            None => Ok(report),
        }
    }
}

impl Freeze {
    pub(crate) fn run(self) -> Result<CommandOutput> {
        self.jail.each(|host, manifest| {
            session_control::freeze(host, &manifest.name)?;
            Ok("frozen".to_owned())
        })
    }
}

impl Thaw {
    pub(crate) fn run(self) -> Result<CommandOutput> {
        self.jail.each(|host, manifest| {
            let was_thawed = session_control::thaw(host, &manifest.name)?;
            let result = if was_thawed {
                "thawed"
            } else {
                "it has no session"
            };
            Ok(result.to_owned())
        })
    }
}

impl Kill {
    pub(crate) fn run(self) -> Result<CommandOutput> {
        let result = |ended: usize| match ended {
            0 => "it has no session".to_owned(),
            ended => format!("{} ended", count(ended, "process", "processes")),
        };
        let Some(user) = &self.user else {
            return self
                .jail
                .each(|host, manifest| Ok(result(session_control::kill(host, manifest)?)));
        };
        let host = Host::new(Path::new("/"))?;
        let accounts = host.accounts()?;
        let mut jails = manifests(std::slice::from_ref(&self.jail.target), &host)?;
        jails.retain(|manifest| manifest.account(user).is_some());
        let found = accounts.user(user);
        for manifest in &jails {
            if let Some(found) = found.filter(|one| is_managed(one, &manifest.name, manifest.gid()))
            {
                let ended = session_control::kill_user(&host, manifest, found)?;
                return Ok(CommandOutput {
                    text: format!("{}: {user}: {}\n", manifest.name, result(ended)),
                    changed: true,
                    ..CommandOutput::default()
                });
            }
        }
        Err(Finding::new(format!(
            "`{}` is not a user of the jail `{}`",
            user.escape_debug(),
            self.jail.target.escape_debug()
        ))
        .hint("`jailctl list` lists the jails with their users")
        .into())
    }
}
