//! `why`: reasons for paths of a jail.

use std::path::Path;

use clap::Args;

use super::options::RootOption;
use super::output::{CommandOutput, OutputOptions};
use super::target::{Target, ambiguous};
use crate::error::{Error, ErrorKind, Finding, Result};
use crate::names::JailPath;
use crate::plan::why::Reasons;
use crate::resolve;
use crate::show::why::{Answer, PathInfo, json, text};

/// Arguments of `why`.
#[derive(Debug, Args)]
pub(crate) struct Why {
    /// Jail by name, or a spec file: explains a jail that has not been built.
    #[arg(value_name = "JAIL")]
    target: String,
    /// Paths inside the jail, or below its root on the host.
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<String>,
    #[command(flatten)]
    root: RootOption,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

impl Why {
    /// Prints the reasons. Exit status 1 if a path is not in the jail.
    pub(crate) fn run(self, options: OutputOptions) -> Result<CommandOutput> {
        let view = self.root.view()?;
        let target = Target::new(&self.target, &view)?;
        let (root, manifest, tree);
        let (reasons, paths) = if let Target::Spec(spec) = &target {
            if spec.is_family() {
                let names = spec.members().into_iter().map(|spec| spec.name.value);
                return Err(ambiguous(target.name(), &names.collect::<Vec<_>>()));
            }
            tree = resolve::resolve_tree(spec, &view)?.0;
            root = spec.root.value.clone();
            (Reasons::resolved(&tree), PathInfo::of_tree(&tree))
        } else {
            manifest = target.manifest(&view)?;
            root = manifest.root.clone();
            (
                Reasons::recorded(&manifest),
                PathInfo::of_manifest(&manifest),
            )
        };
        let mut answers = Vec::new();
        let mut report = CommandOutput::default();
        for word in &self.paths {
            let path = jail_path(word, &root)?;
            let answer = Answer::new(&path, &reasons, &paths);
            if !answer.exists {
                report.code = ErrorKind::Negative as u8;
                report.notices.push(format!(
                    "`{path}` is not in the jail `{}`: nothing requires it",
                    target.name()
                ));
            }
            answers.push(answer);
        }
        report.text = if self.json {
            format!("{}\n", json(target.name(), &answers))
        } else {
            text(&answers, options.verbose, options.paint)
        };
        Ok(report)
    }
}

/// Path inside the jail of an argument, which may be a path below the root on the host.
fn jail_path(word: &str, root: &Path) -> Result<JailPath> {
    let inside = Path::new(word).strip_prefix(root);
    let text = match inside {
        Ok(below) => format!("/{}", below.display()),
        Err(_) if word.starts_with('/') => word.to_owned(),
        Err(_) => format!("/{word}"),
    };
    let text = if text.len() > 1 {
        text.trim_end_matches('/')
    } else {
        &text
    };
    JailPath::new(text).map_err(|why| {
        Error::from(
            Finding::new(format!("`{}` is not a valid path", word.escape_debug()))
                .why(format!("it {why}")),
        )
    })
}
