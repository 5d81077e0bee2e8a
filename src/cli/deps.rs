//! `deps`: dependencies of programs, libraries and scripts.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};

use super::options::RootOption;
use super::output::CommandOutput;
use crate::elf::{Options, Priority, Resolver, implicit};
use crate::error::{Error, ErrorKind, Finding, Result};
use crate::host::{FileKind, HostView};
use crate::show;

/// Maximum size of nsswitch.conf, in bytes.
const NSSWITCH: u64 = 1 << 20;

/// Arguments of `deps`.
#[derive(Debug, Args)]
pub(crate) struct Deps {
    #[command(flatten)]
    root: RootOption,
    #[command(flatten)]
    form: OutputFormat,
    /// Include libraries of dlopen notes with this priority or a higher one.
    #[arg(long, value_name = "PRIORITY", default_value = "recommended")]
    dlopen: Dlopen,
    /// Include libraries that programs load implicitly: modules of nsswitch.conf, libraries that
    /// libc loads.
    #[arg(long)]
    implicit: bool,
    /// Include modules that iconv(3) loads for the character set NAME; can be repeated.
    #[arg(long, value_name = "NAME")]
    charset: Vec<String>,
    /// Programs, libraries or scripts: paths (inside DIR with `--root`), or names of programs in
    /// /usr/local/sbin, /usr/local/bin, /usr/sbin, /usr/bin, /sbin and /bin.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
}

/// Format of the output; by default one path per line.
#[derive(Debug, Args)]
#[group(multiple = false)]
struct OutputFormat {
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
    /// Print a tree for each file.
    #[arg(long)]
    tree: bool,
    /// Print a graph for dot(1).
    #[arg(long)]
    dot: bool,
    /// Print why the library NAME is needed, from each file down to it.
    #[arg(long, value_name = "NAME")]
    why: Option<String>,
}

/// Values of `--dlopen`.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Dlopen {
    Required,
    Recommended,
    Suggested,
    None,
}

impl Deps {
    /// Prints the dependencies. Exit status 3 if something is missing, 1 if nothing needs the
    /// library of `--why`.
    pub(crate) fn run(self) -> Result<CommandOutput> {
        let view = HostView::new(&self.root.path()?)?;
        let mut roots = Vec::new();
        let mut errors: Option<Error> = None;
        for file in &self.files {
            match locate(&view, file) {
                Ok(path) => roots.push(path),
                Err(error) => Error::merge(&mut errors, error),
            }
        }
        let mut options = Options {
            dlopen: match self.dlopen {
                Dlopen::Required => Some(Priority::Required),
                Dlopen::Recommended => Some(Priority::Recommended),
                Dlopen::Suggested => Some(Priority::Suggested),
                Dlopen::None => None,
            },
            charsets: self.charset,
            ..Options::default()
        };
        if self.implicit {
            let text = view.read(Path::new("/etc/nsswitch.conf"), NSSWITCH)?;
            let text = String::from_utf8_lossy(text.as_deref().unwrap_or_default()).into_owned();
            options.libraries = implicit::nss_modules(&text, &[]);
            options.libraries.extend(implicit::loaded_by_glibc());
        }
        let mut resolver = Resolver::new(&view, &options);
        if let Err(error) = resolver.add_all(&roots) {
            Error::merge(&mut errors, error);
        }
        if let Some(errors) = errors {
            return Err(errors);
        }
        let closure = resolver.finish()?;
        let mut report = CommandOutput {
            notices: show::deps::missing(&closure),
            ..CommandOutput::default()
        };
        report.notices.extend(show::deps::notices(&closure));
        if !closure.missing.is_empty() {
            report.code = ErrorKind::LibraryNotFound as u8;
        }
        report.text = if self.form.json {
            show::deps::json(&closure)
        } else if self.form.tree {
            show::deps::tree(&closure)
        } else if self.form.dot {
            show::deps::dot(&closure)
        } else if let Some(name) = &self.form.why {
            let text = show::deps::why(&closure, name);
            if text.is_empty() {
                report
                    .notices
                    .push(format!("nothing needs `{}`", name.escape_debug()));
                report.code = report.code.max(ErrorKind::Negative as u8);
            }
            text
        } else {
            show::deps::list(&closure)
        };
        // The process is about to exit: the kernel frees the memory faster.
        std::mem::forget(closure);
        Ok(report)
    }
}

/// Path on the host of an argument. Relative paths are relative to the working directory, or with
/// `--root` to DIR. A name without a slash that is not a file there is searched on the PATH.
fn locate(view: &HostView, file: &Path) -> Result<PathBuf> {
    if file.is_absolute() {
        return Ok(file.to_owned());
    }
    let path = if view.is_live() {
        std::path::absolute(file).map_err(|error| Error::io("find", file, &error))?
    } else {
        Path::new("/").join(file)
    };
    let bare = file.file_name() == Some(file.as_os_str());
    let here = view.lstat(&path)?;
    if !bare || here.is_some_and(|stat| stat.kind() != FileKind::Directory) {
        return Ok(path);
    }
    let found = match file.to_str() {
        Some(name) => view.which(name)?,
        None => None,
    };
    found.ok_or_else(|| {
        let name = file.display().to_string();
        Finding::new(format!("could not find `{}`", name.escape_debug()))
            .why("no such file here, and no such program on the PATH of root")
            .into()
    })
}
