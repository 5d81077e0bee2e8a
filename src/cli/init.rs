//! `init`: a commented spec to start from.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;

use super::output::CommandOutput;
use super::spec_files::HostTemplates;
use crate::error::{Error, Finding, Result};
use crate::host::{HostView, create_new_file};
use crate::names::JailName;
use crate::show::starter_spec::{PLACEHOLDER, StarterSpec};
use crate::span::SourceText;
use crate::spec::{self, AccessMethod, Templates};

/// Arguments of `init`.
#[derive(Debug, Args)]
pub(crate) struct Init {
    /// The name of the jail that is to be.
    name: String,
    /// A template to start from; can be given several times. `shell` if none is.
    #[arg(short, long = "template", value_name = "TEMPLATE")]
    templates: Vec<String>,
    /// Where to write it, and not to NAME.toml; `-` is standard output. A file that exists is never touched.
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

impl Init {
    pub(crate) fn run(mut self) -> Result<CommandOutput> {
        let name = JailName::new(&self.name).map_err(|why| {
            Finding::new(format!(
                "`{}` is not the name of a jail",
                self.name.escape_debug()
            ))
            .why(format!("it {why}"))
        })?;
        if self.templates.is_empty() {
            self.templates.push("shell".to_owned());
        }
        let view = HostView::new(Path::new("/"))?;
        let text = self.text(&name, &view)?;
        let path = self
            .output
            .unwrap_or_else(|| PathBuf::from(format!("{name}.toml")));
        if path == Path::new("-") {
            return Ok(CommandOutput {
                text,
                ..CommandOutput::default()
            });
        }
        if !create_new_file(&path, &text)? {
            return Err(Error::failed(format!(
                "could not make `{}`",
                path.display().to_string().escape_debug()
            ))
            .why("it exists, and is never written over")
            .hint("give another place with `--output`"));
        }
        let path = path.display();
        Ok(CommandOutput {
            text: format!(
                "{path}: written. Put a key into it, then:\n  jailctl plan {path}\n  jailctl build {path}\n"
            ),
            changed: true,
            ..CommandOutput::default()
        })
    }

    /// The spec, after a look at what its templates open: what they bring themselves need not be said again.
    fn text(&self, name: &JailName, view: &HostView) -> Result<String> {
        let templates = HostTemplates(view);
        for wanted in &self.templates {
            if templates.get(wanted)?.is_none() {
                let known: Vec<String> = templates
                    .names()?
                    .iter()
                    .map(|name| format!("`{name}`"))
                    .collect();
                return Err(Finding::new(format!(
                    "there is no template `{}`",
                    wanted.escape_debug()
                ))
                .hint(format!("the templates are {}", known.join(", ")))
                .into());
            }
        }
        let mut draft = StarterSpec {
            name: name.clone(),
            templates: self.templates.clone(),
            shell: false,
        };
        // Without its key, so that only what the templates say can be wrong.
        let probe = draft.text().replace(&format!("\"{PLACEHOLDER}\","), "");
        let source = Arc::new(SourceText {
            name: format!("{name}.toml"),
            text: probe,
        });
        let spec = spec::load(&source, &templates)?;
        draft.shell = spec.doors.value.contains(&AccessMethod::Shell);
        Ok(draft.text())
    }
}
