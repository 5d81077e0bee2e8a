//! `freeze`, `thaw` and `kill`: suspend, resume and terminate the sessions of a jail.

use std::fmt::Write as _;
use std::path::Path;

use clap::Args;

use super::output::CommandOutput;
use super::target::manifests;
use crate::apply::session_control;
use crate::error::{Error, Result};
use crate::host::Host;
use crate::plan::Manifest;
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
}

/// Jail, or all jails of a family.
#[derive(Debug, Args)]
struct Jail {
    /// Jail, by name or spec file.
    #[arg(value_name = "JAIL")]
    target: String,
}

impl Jail {
    /// Does `deed` to each jail that is meant, and says what came of it. Where there are several,
    /// the others are none the worse for one that cannot have it.
    fn each(&self, deed: impl Fn(&Host, &Manifest) -> Result<String>) -> Result<CommandOutput> {
        let host = Host::new(Path::new("/"))?;
        let mut report = CommandOutput::default();
        for manifest in manifests(std::slice::from_ref(&self.target), &host)? {
            match deed(&host, &manifest) {
                Ok(said) => {
                    report.changed = true;
                    let _ = writeln!(report.text, "{}: {said}", manifest.name);
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
            let went_on = session_control::thaw(host, &manifest.name)?;
            let said = if went_on { "thawed" } else { "nobody is in it" };
            Ok(said.to_owned())
        })
    }
}

impl Kill {
    pub(crate) fn run(self) -> Result<CommandOutput> {
        self.jail.each(|host, manifest| {
            Ok(match session_control::kill(host, manifest)? {
                0 => "nobody is in it".to_owned(),
                ended => format!("{} ended", count(ended, "process", "processes")),
            })
        })
    }
}
