//! `schema`: what a spec may be, for programs.

use clap::Args;

use super::Report;
use crate::show::schema::{Of, schema};

/// Arguments of `schema`.
#[derive(Debug, Args)]
pub(crate) struct Schema {
    /// That of templates, which are partial specs.
    #[arg(long)]
    template: bool,
}

impl Schema {
    pub(crate) fn run(self) -> Report {
        let of = if self.template {
            Of::Template
        } else {
            Of::Spec
        };
        Report {
            text: format!("{:#}\n", schema(of)),
            ..Report::default()
        }
    }
}
