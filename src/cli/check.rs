//! `check`: what is no longer as it was built.

use clap::Args;

use super::specs::OfHost;
use super::target::{has_moved, manifests};
use super::{Report, RootOption, Voice};
use crate::error::Result;
use crate::plan::{Depth, drift};
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
    pub(crate) fn run(self, voice: Voice) -> Result<Report> {
        let view = self.root.view()?;
        let depth = if self.deep {
            Depth::Bytes
        } else {
            Depth::Facts
        };
        let mut checked = Vec::new();
        let mut notices = Vec::new();
        for manifest in manifests(&self.targets, &view)? {
            let found = drift(&manifest, &OfHost(&view), depth, &view)?;
            notices.extend(found.notices);
            if has_moved(&manifest, &view)? {
                notices.push(format!(
                    "`{}` has changed since `{}` was built from it: `jailctl plan` with it shows what that means",
                    manifest.spec, manifest.name
                ));
            }
            checked.push(Checked {
                jail: manifest.name,
                differences: found.differences,
            });
        }
        let code = u8::from(checked.iter().any(|one| !one.differences.is_empty()));
        let text = if self.json {
            format!("{}\n", json(&checked, &notices))
        } else {
            text(&checked, voice.paint)
        };
        Report {
            text,
            notices: if self.json { Vec::new() } else { notices },
            code,
            ..Report::default()
        }
        .heeding(&view)
    }
}
