//! Output of verbs: text and JSON on standard output, notices and errors on standard error.

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use super::progress::Progress;
use super::terminal::wants_color;
use crate::error::{Error, ErrorKind, Finding, Result};
use crate::host::HostView;
use crate::names::JailName;
use crate::plan::{self, Step};
use crate::show::plan::progress as step_line;
use crate::show::style::Styler;
use crate::show::{diagnostic, error};

/// Output of a verb.
#[derive(Debug, Default)]
pub(crate) struct CommandOutput {
    /// Text for standard output.
    pub(crate) text: String,
    /// Notices for standard error.
    pub(crate) notices: Vec<String>,
    /// Exit status.
    pub(crate) code: u8,
    /// Whether the host was changed, so that a failure to print is [`ErrorKind::OutputFailed`].
    pub(crate) changed: bool,
    /// Error of a part of the work, while the rest succeeded.
    pub(crate) failed: Option<Error>,
}

impl CommandOutput {
    /// Adds a notice, and sets exit status 1, if an earlier run was interrupted: the output may
    /// then show an intermediate state.
    pub(crate) fn with_interruption_notice(mut self, view: &HostView) -> Result<Self> {
        if plan::interrupted(view)? {
            self.notices.push(
                "an earlier run of jailctl was interrupted; the next command that changes the host undoes or completes it"
                    .to_owned(),
            );
            self.code = self.code.max(ErrorKind::Negative as u8);
        }
        Ok(self)
    }
}

/// Options of the output.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OutputOptions {
    /// No notices.
    pub(crate) quiet: bool,
    /// Each step, and every path of a plan.
    pub(crate) verbose: bool,
    /// Whether standard output is a terminal.
    pub(crate) is_terminal: bool,
    /// Colours of standard output.
    pub(crate) paint: Styler,
}

impl OutputOptions {
    /// Prints a line on standard error, unless `quiet`.
    pub(crate) fn print_notice(self, line: &str) {
        if !self.quiet {
            // A closed standard error is no reason to fail.
            let _ = writeln!(std::io::stderr(), "{line}");
        }
    }

    /// Callback that prints each step if `verbose`, and otherwise shows it as progress on a
    /// terminal.
    pub(crate) fn step_logger(self) -> impl FnMut(&JailName, &Step) {
        let progress = self.progress();
        move |jail, step| {
            if let Some(line) = step_line(step) {
                let line = format!("{jail}: {line}");
                if self.verbose {
                    self.print_notice(&line);
                } else {
                    progress.set(line);
                }
            }
        }
    }

    /// Progress display for an operation that may take long.
    pub(crate) fn progress(self) -> Progress {
        Progress::new(self.quiet || self.verbose)
    }
}

/// Prints help and version on standard output, and usage errors on standard error.
pub(super) fn print_usage_error(error: &clap::Error) -> ExitCode {
    // A closed output is no reason to fail.
    let _ = error.print();
    let code = u8::try_from(error.exit_code()).unwrap_or(ErrorKind::Spec as u8);
    if code != 0 && wants_json() {
        let text = error.render().to_string();
        let what = text.lines().next().unwrap_or_default();
        let what = what.strip_prefix("error: ").unwrap_or(what);
        print_json_error(&Finding::new(what).into());
    }
    ExitCode::from(code)
}

/// Prints an error on standard error, and with `--json` also as JSON on standard output.
pub(super) fn print_error(mut error: Error) -> ExitCode {
    let lacks_rights =
        |why: &String| why.contains("permission denied") || why.contains("not permitted");
    if !rustix::process::geteuid().is_root()
        && error
            .findings
            .iter()
            .filter_map(|finding| finding.why.as_ref())
            .any(lacks_rights)
    {
        error = error.hint("run it as root, for example with sudo");
    }
    print_text_error(&error);
    if wants_json() && error.kind != ErrorKind::OutputFailed {
        print_json_error(&error);
    }
    ExitCode::from(error.kind as u8)
}

fn print_text_error(error: &Error) {
    let color = wants_color(&std::io::stderr());
    let _ = write!(std::io::stderr(), "{}", diagnostic::render(error, color));
}

fn print_json_error(error: &Error) {
    let _ = writeln!(std::io::stdout(), "{}", error::json(error));
}

/// Whether `--json` was given, also on a command line that clap refuses.
fn wants_json() -> bool {
    std::env::args_os()
        .take_while(|argument| argument != "--")
        .any(|argument| argument == "--json")
}

/// Prints `report` and returns the exit status. A closed pipe is not an error.
///
/// # Errors
/// [`ErrorKind::Failed`], or [`ErrorKind::OutputFailed`] if the host was changed, if standard
/// output cannot be written, for example on a full disk.
pub(super) fn print_output(report: &CommandOutput, options: OutputOptions) -> Result<u8> {
    for notice in &report.notices {
        options.print_notice(&format!("notice: {notice}"));
    }
    let mut stdout = std::io::stdout().lock();
    match stdout
        .write_all(report.text.as_bytes())
        .and_then(|()| stdout.flush())
    {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            let mut error = Error::io("write", Path::new("standard output"), &error);
            if report.changed {
                error.kind = ErrorKind::OutputFailed;
                error = error.hint("the operation succeeded; only its output could not be written");
            }
            Err(error)
        }
        _ => {
            if let Some(error) = &report.failed {
                print_text_error(error);
            }
            Ok(report.code)
        }
    }
}
