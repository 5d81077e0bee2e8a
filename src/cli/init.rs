//! `init`: writes a commented starter spec.

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
    /// Name of the jail.
    name: String,
    /// Template to use; can be repeated [default: shell].
    #[arg(short, long = "template", value_name = "TEMPLATE")]
    templates: Vec<String>,
    /// File to write; `-` is standard output. Existing files are never overwritten [default:
    /// NAME.toml].
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

impl Init {
    pub(crate) fn run(mut self) -> Result<CommandOutput> {
        let name = JailName::new(&self.name).map_err(|why| {
            Finding::new(format!(
                "`{}` is not a valid jail name",
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
                "could not create `{}`",
                path.display().to_string().escape_debug()
            ))
            .why("it exists")
            .hint("choose another file with `--output`"));
        }
        let path = path.display();
        Ok(CommandOutput {
            text: format!(
                "{path} written; add a public key, then run:\n  jailctl plan {path}\n  jailctl build {path}\n"
            ),
            changed: true,
            ..CommandOutput::default()
        })
    }

    /// Text of the spec. It depends on the ways in of the templates.
    ///
    /// # Errors
    /// [`crate::error::ErrorKind::Spec`] if a template does not exist or is invalid.
    fn text(&self, name: &JailName, view: &HostView) -> Result<String> {
        let templates = HostTemplates(view);
        for template in &self.templates {
            if templates.get(template)?.is_none() {
                let known: Vec<String> = templates
                    .names()?
                    .iter()
                    .map(|name| format!("`{name}`"))
                    .collect();
                return Err(Finding::new(format!(
                    "could not find the template `{}`",
                    template.escape_debug()
                ))
                .hint(format!("templates: {}", known.join(", ")))
                .into());
            }
        }
        let mut starter = StarterSpec {
            name: name.clone(),
            templates: self.templates.clone(),
            shell: false,
        };
        // Without the placeholder key, so that only the templates can be invalid.
        let probe = starter.text().replace(&format!("\"{PLACEHOLDER}\","), "");
        let source = Arc::new(SourceText {
            name: format!("{name}.toml"),
            text: probe,
        });
        let spec = spec::load(&source, &templates)?;
        starter.shell = spec.access.value.contains(&AccessMethod::Shell);
        Ok(starter.text())
    }
}
