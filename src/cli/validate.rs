//! `validate`: checks specs without root, and without the host that they are for.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use serde_json::json;

use super::options::RootOption;
use super::output::CommandOutput;
use super::spec_files::{HostTemplates, LIMIT, read_standard_input};
use super::spec_source::{STDIN, spec_files_in};
use crate::error::{Error, ErrorKind, Finding, Result};
use crate::host::{FileKind, HostView};
use crate::show::count;
use crate::show::error::findings;
use crate::span::SourceText;
use crate::spec::{self, Spec};

/// Arguments of `validate`.
#[derive(Debug, Args)]
pub(crate) struct Validate {
    /// Spec files, directories of spec files, or `-` for standard input.
    #[arg(required = true, value_name = "SPEC")]
    specs: Vec<PathBuf>,
    #[command(flatten)]
    root: RootOption,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

impl Validate {
    /// Prints whether each spec is valid. Exit status 2 if one is not.
    pub(crate) fn run(self) -> Result<CommandOutput> {
        let view = self.root.view()?;
        let mut report = CommandOutput::default();
        let mut specs = Vec::new();
        for path in files(&self.specs)? {
            let shown = path.display().to_string();
            let outcome =
                source(&path).and_then(|source| spec::load(&source, &HostTemplates(&view)));
            match outcome {
                Ok(spec) => {
                    if !self.json {
                        report.text.push_str(&line(&shown, &spec));
                    }
                    specs.push(json!({
                        "path": shown, "name": spec.name.value, "valid": true, "findings": [],
                    }));
                }
                Err(error) => {
                    specs.push(json!({
                        "path": shown, "name": null, "valid": false, "findings": findings(&error),
                    }));
                    Error::merge(&mut report.failed, error);
                }
            }
        }
        if let Some(error) = &report.failed {
            report.code = error.kind as u8;
        }
        if self.json {
            let valid = report.failed.is_none();
            report.text = format!(
                "{}\n",
                json!({ "schema": 1, "valid": valid, "specs": specs })
            );
        }
        Ok(report)
    }
}

/// The line about a valid spec.
fn line(path: &str, spec: &Spec) -> String {
    let what = if spec.is_family() { "family" } else { "jail" };
    format!(
        "{path}: valid, {what} `{}` with {}\n",
        spec.name.value,
        count(spec.users.len(), "user", "users")
    )
}

/// The files of the arguments: those of directories that end in `.toml`.
fn files(arguments: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let running = HostView::new(Path::new("/"))?;
    let mut files = Vec::new();
    for path in arguments {
        let absolute =
            std::path::absolute(path).map_err(|error| Error::io("find", path, &error))?;
        let stat = running.stat(&absolute)?;
        if path == Path::new(STDIN) || stat.is_none_or(|stat| stat.kind() != FileKind::Directory) {
            files.push(path.clone());
            continue;
        }
        files.extend(spec_files_in(path)?);
    }
    Ok(files)
}

/// Text of a spec. Nothing is done with it, so anybody may have written the file.
fn source(path: &Path) -> Result<Arc<SourceText>> {
    if path == Path::new(STDIN) {
        return read_standard_input();
    }
    let absolute = std::path::absolute(path).map_err(|error| Error::io("find", path, &error))?;
    let shown = path.display().to_string();
    let bytes = HostView::new(Path::new("/"))?
        .read(&absolute, LIMIT)
        .map_err(|mut error| {
            error.kind = ErrorKind::Spec;
            error
        })?;
    let bytes = bytes.ok_or_else(|| {
        Finding::new(format!(
            "could not read the spec `{}`",
            shown.escape_debug()
        ))
        .why("no such file")
    })?;
    spec::source(&shown, bytes)
}
