//! `schema`: prints the JSON Schema of specs.

use clap::Args;

use super::output::CommandOutput;
use crate::show::schema::{SchemaKind, schema};

/// Arguments of `schema`.
#[derive(Debug, Args)]
pub(crate) struct Schema {
    /// Print the schema of templates, which are partial specs.
    #[arg(long)]
    template: bool,
}

impl Schema {
    pub(crate) fn run(self) -> CommandOutput {
        let of = if self.template {
            SchemaKind::Template
        } else {
            SchemaKind::Spec
        };
        CommandOutput {
            text: format!("{:#}\n", schema(of)),
            ..CommandOutput::default()
        }
    }
}
