//! The command line: what was typed becomes a call, what comes back becomes text and an exit status. Each verb is a file of its own.

mod build;
mod check;
mod deps;
mod doctor;
mod enter;
pub mod generate;
mod init;
mod list;
mod noop_cache;
mod progress;
mod remove;
mod rollback;
mod schema;
mod sessions;
mod show;
mod spec_files;
mod stats;
mod target;
mod transact;
mod update;
mod why;

use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::{CommandFactory, Parser, Subcommand};

use progress::Progress;

use crate::apply::{Options, recover};
use crate::error::{Error, ErrorKind, Finding, Result};
use crate::host::{Host, HostView, Lock, Lookup};
use crate::names::JailName;
use crate::plan::{self, Step};
use crate::show::plan::progress as step_line;
use crate::show::style::Styler;
use crate::show::{diagnostic, error};

/// Chroot jails for SSH and SFTP users, from one declarative file.
#[derive(Debug, Parser)]
#[command(
    name = "jailctl",
    version,
    propagate_version = true,
    disable_help_subcommand = true
)]
struct Arguments {
    /// Say less: no notices on standard error.
    #[arg(short, long, global = true)]
    quiet: bool,
    /// Say more: each step as it is taken, every path of a plan.
    #[arg(short, long, global = true)]
    verbose: bool,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Write a spec to start from.
    Init(init::Init),
    /// Make the host match a spec.
    Build(build::Build),
    /// Show what build would do.
    Plan(build::PlanSpecs),
    /// Show what is no longer as it was built.
    Check(check::Check),
    /// Build jails anew as their specs were, after the host has changed.
    Update(update::Update),
    /// Make a jail what it was before the last build that changed it.
    Rollback(rollback::Rollback),
    /// List the jails of this host.
    List(list::List),
    /// Show all about one jail.
    Show(show::Show),
    /// Say why files are in a jail.
    Why(why::Why),
    /// Say why a user of a jail cannot log in, or whether this host is fit for jails.
    Doctor(doctor::Doctor),
    /// Take a jail away.
    Remove(remove::Remove),
    /// Show what programs need: libraries, interpreters and links.
    Deps(deps::Deps),
    /// Run a program in a jail, as one of its users.
    Enter(enter::Enter),
    /// Show what the sessions of jails use.
    Stats(stats::Stats),
    /// Stop all that runs in the sessions of a jail.
    Freeze(sessions::Freeze),
    /// Let a jail that was frozen go on.
    Thaw(sessions::Thaw),
    /// End the sessions of a jail.
    Kill(sessions::Kill),
    /// Print the JSON Schema of specs, for editors.
    Schema(schema::Schema),
    /// Print what a shell reads to complete command lines.
    Completions(generate::Completions),
    /// Print a manual page.
    Man(generate::Man),
}

/// What a verb gives back: text for standard output, notices for standard error, and the exit status.
#[derive(Debug, Default)]
pub(crate) struct CommandOutput {
    pub(crate) text: String,
    pub(crate) notices: Vec<String>,
    pub(crate) code: u8,
    /// Whether the host was changed: whatever goes wrong after that, it is not as it was.
    pub(crate) changed: bool,
    /// What went wrong with some of what was asked for, while the rest was done.
    pub(crate) failed: Option<Error>,
}

impl CommandOutput {
    /// Says so, also by the exit status, if an earlier run was interrupted: what was read is not what it should be.
    pub(crate) fn with_interruption_notice(mut self, view: &HostView) -> Result<Self> {
        if plan::interrupted(view)? {
            self.notices.push(
                "an earlier run of jailctl was interrupted: the next command that writes undoes or finishes it"
                    .to_owned(),
            );
            self.code = self.code.max(ErrorKind::Negative as u8);
        }
        Ok(self)
    }
}

/// How much to say.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OutputOptions {
    pub(crate) quiet: bool,
    pub(crate) verbose: bool,
    /// Whether standard output is a terminal.
    pub(crate) is_terminal: bool,
    /// For standard output.
    pub(crate) paint: Styler,
}

impl OutputOptions {
    /// Says a line to whoever watches.
    pub(crate) fn print_notice(self, line: &str) {
        if !self.quiet {
            // Nobody is helped by failing because standard error is closed.
            let _ = writeln!(std::io::stderr(), "{line}");
        }
    }

    /// Says each step, if that was asked for, or shows it at a terminal where it takes a while.
    pub(crate) fn step_logger(self) -> impl FnMut(&JailName, &Step) {
        let progress = self.progress();
        move |jail, step| {
            if let Some(line) = step_line(step) {
                let line = format!("{jail}: {line}");
                if self.verbose {
                    self.print_notice(&line);
                } else {
                    progress.say(line);
                }
            }
        }
    }

    /// A sign of life for work that may take a while.
    pub(crate) fn progress(self) -> Progress {
        Progress::new(self)
    }
}

/// The command line as data: what the manual pages and completions in `packaging/` are made from.
pub fn command() -> clap::Command {
    Arguments::command()
}

/// Runs the command.
pub fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => return print_usage_error(&error),
    };
    let voice = OutputOptions {
        quiet: arguments.quiet,
        verbose: arguments.verbose,
        is_terminal: std::io::stdout().is_terminal(),
        paint: Styler {
            on: wants_color(&std::io::stdout()),
        },
    };
    let outcome = match arguments.verb {
        Verb::Build(verb) => verb.run(voice),
        Verb::Plan(verb) => verb.run(voice),
        Verb::Check(verb) => verb.run(voice),
        Verb::Update(verb) => verb.run(voice),
        Verb::Rollback(verb) => verb.run(voice),
        Verb::List(verb) => verb.run(),
        Verb::Show(verb) => verb.run(voice),
        Verb::Why(verb) => verb.run(voice),
        Verb::Doctor(verb) => verb.run(voice),
        Verb::Remove(verb) => verb.run(voice),
        Verb::Deps(verb) => verb.run(),
        Verb::Enter(verb) => verb.run(),
        Verb::Stats(verb) => verb.run(voice),
        Verb::Freeze(verb) => verb.run(),
        Verb::Thaw(verb) => verb.run(),
        Verb::Kill(verb) => verb.run(),
        Verb::Schema(verb) => Ok(verb.run()),
        Verb::Init(verb) => verb.run(),
        Verb::Completions(verb) => Ok(verb.run()),
        Verb::Man(verb) => verb.run(),
    };
    match outcome.and_then(|report| print_output(&report, voice)) {
        Ok(code) => ExitCode::from(code),
        Err(error) => print_error(error),
    }
}

/// What clap says: help and the version to standard output, everything else to standard error.
fn print_usage_error(error: &clap::Error) -> ExitCode {
    // A closed output is no reason to fail.
    let _ = error.print();
    let code = u8::try_from(error.exit_code()).unwrap_or(ErrorKind::Spec as u8);
    if code != 0 && wants_json() {
        let said = error.render().to_string();
        let what = said.lines().next().unwrap_or_default();
        let what = what.strip_prefix("error: ").unwrap_or(what);
        print_json_error(&Finding::new(what).into());
    }
    ExitCode::from(code)
}

/// Says what went wrong, to people on standard error, and where JSON was asked for also to programs on standard output.
fn print_error(mut error: Error) -> ExitCode {
    let lacks_rights =
        |why: &String| why.contains("permission denied") || why.contains("not permitted");
    if !rustix::process::geteuid().is_root()
        && error
            .findings
            .iter()
            .filter_map(|finding| finding.why.as_ref())
            .any(lacks_rights)
    {
        error = error.hint("only root may do this: run it with sudo");
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

/// Whether JSON was asked for, also on a command line that clap refuses.
fn wants_json() -> bool {
    std::env::args_os()
        .take_while(|argument| argument != "--")
        .any(|argument| argument == "--json")
}

/// Whether a stream is a terminal whose owner has nothing against colour.
fn wants_color(stream: &impl IsTerminal) -> bool {
    stream.is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// Writes a report. A reader that went away is no error; a full disk is.
fn print_output(report: &CommandOutput, voice: OutputOptions) -> Result<u8> {
    for notice in &report.notices {
        voice.print_notice(&format!("notice: {notice}"));
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
                error =
                    error.hint("all that was asked for has been done; only the word of it is lost");
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

/// The options of verbs that write.
#[derive(Debug, clap::Args)]
pub(crate) struct WriteOptions {
    /// Show what would be done, and do nothing.
    #[arg(short = 'n', long)]
    pub(crate) dry_run: bool,
    /// Print one JSON object.
    #[arg(long)]
    pub(crate) json: bool,
    /// Leave it to somebody else to make sshd read its configuration.
    #[arg(long)]
    no_reload: bool,
    /// How long to wait for another jailctl to end.
    #[arg(long, value_name = "SECONDS", default_value_t = 0)]
    wait: u64,
}

impl WriteOptions {
    /// Takes the host's lock, and puts right what an earlier run has left. Gives the lock, and what an admin should know of that.
    pub(crate) fn lock_and_recover(&self, host: &Host) -> Result<(Lock, Vec<String>)> {
        let lock = host.lock(Duration::from_secs(self.wait))?;
        let said = recover(host, &self.options())?;
        Ok((lock, said))
    }

    pub(crate) fn options(&self) -> Options {
        Options {
            no_reload: self.no_reload,
        }
    }
}

/// The `--root` option.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct RootOption {
    /// Take the directory DIR for the host: its programs, accounts, sshd configuration and records.
    #[arg(long, value_name = "DIR")]
    pub(crate) root: Option<PathBuf>,
}

impl RootOption {
    /// The host, to read from.
    pub(crate) fn view(&self) -> Result<HostView> {
        HostView::new(&self.path()?)
    }

    /// The host's root directory, absolute and free of links. A link that others than root could have put
    /// there is not followed: it would choose the host that is changed.
    pub(crate) fn path(&self) -> Result<PathBuf> {
        let Some(root) = &self.root else {
            return Ok(PathBuf::from("/"));
        };
        let absolute =
            std::path::absolute(root).map_err(|error| Error::io("find", root, &error))?;
        let refuse = |why: String| {
            let shown = root.display().to_string();
            Finding::new(format!(
                "could not use `{}` as a host",
                shown.escape_debug()
            ))
            .why(why)
        };
        match HostView::new(Path::new("/"))?.locate(&absolute)? {
            Lookup::Found(located) => Ok(located.real),
            Lookup::Missing => Err(refuse("there is no such directory".to_owned()).into()),
            Lookup::Refused { at, stranger } => Err(refuse(Lookup::refusal(&at, &stranger))
                .hint("name the directory itself")
                .into()),
        }
    }
}
