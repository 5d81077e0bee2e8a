//! `freeze`, `thaw` and `kill`: the sessions of a jail stopped, let go on, or ended.

use std::path::Path;

use clap::Args;

use super::Report;
use super::target::Target;
use crate::apply::hold;
use crate::error::Result;
use crate::host::Host;
use crate::names::JailName;
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

/// The one jail.
#[derive(Debug, Args)]
struct Jail {
    /// The jail's name, or its spec file.
    #[arg(value_name = "JAIL")]
    target: String,
}

impl Jail {
    fn open(&self) -> Result<(Host, Manifest)> {
        let host = Host::new(Path::new("/"))?;
        let manifest = Target::new(&self.target, &host)?.manifest(&host)?;
        Ok((host, manifest))
    }
}

impl Freeze {
    pub(crate) fn run(self) -> Result<Report> {
        let (host, manifest) = self.jail.open()?;
        hold::freeze(&host, &manifest.name)?;
        Ok(done(&manifest.name, "frozen"))
    }
}

impl Thaw {
    pub(crate) fn run(self) -> Result<Report> {
        let (host, manifest) = self.jail.open()?;
        let said = if hold::thaw(&host, &manifest.name)? {
            "thawed"
        } else {
            "nobody is in it"
        };
        Ok(done(&manifest.name, said))
    }
}

impl Kill {
    pub(crate) fn run(self) -> Result<Report> {
        let (host, manifest) = self.jail.open()?;
        let said = match hold::kill(&host, &manifest)? {
            0 => "nobody is in it".to_owned(),
            ended => format!("{} ended", count(ended, "process", "processes")),
        };
        Ok(done(&manifest.name, &said))
    }
}

fn done(name: &JailName, said: &str) -> Report {
    Report {
        text: format!("{name}: {said}\n"),
        changed: true,
        ..Report::default()
    }
}
