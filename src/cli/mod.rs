//! The command line: clap types and dispatch. Each verb has its own file; printing is in `output`.

mod build;
mod check;
mod deps;
mod doctor;
mod enter;
mod family;
pub mod generate;
mod init;
mod list;
mod lock;
mod noop_cache;
mod options;
mod output;
mod progress;
mod purge;
mod relocate;
mod remove;
mod rollback;
mod schema;
mod sessions;
mod show;
mod spec_checks;
mod spec_files;
mod spec_source;
mod stats;
mod target;
mod terminal;
mod transact;
mod update;
mod validate;
mod who;
mod why;

use std::io::IsTerminal;
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

use crate::show::style::Styler;
use output::{print_error, print_output, print_usage_error};
use terminal::wants_color;

pub(crate) use options::{RootOption, WriteOptions};
pub(crate) use output::{CommandOutput, OutputOptions};

/// Chroot jails for SSH and SFTP users, from one declarative file.
#[derive(Debug, Parser)]
#[command(
    name = "jailctl",
    version,
    propagate_version = true,
    disable_help_subcommand = true
)]
struct Arguments {
    /// Do not print notices.
    #[arg(short, long, global = true)]
    quiet: bool,
    /// Print each step as it is executed, and every path of a plan.
    #[arg(short, long, global = true)]
    verbose: bool,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Write a starter spec.
    Init(init::Init),
    /// Build or change jails so that they match their specs.
    Build(build::Build),
    /// Show what build would change.
    Plan(build::PlanSpecs),
    /// Check specs without root and without a host, for example in CI.
    Validate(validate::Validate),
    /// Show what has changed on the host since jails were built.
    Check(check::Check),
    /// Rebuild jails from their recorded specs, for example after a host upgrade.
    Update(update::Update),
    /// Restore the state of a jail before the last build that changed it.
    Rollback(rollback::Rollback),
    /// List the jails of this host.
    List(list::List),
    /// Show the details of a jail.
    Show(show::Show),
    /// List the users who are in jails: since when, and from where.
    Who(who::Who),
    /// Explain why files are in a jail.
    Why(why::Why),
    /// Diagnose why a user of a jail cannot log in, or whether the host can have jails.
    Doctor(doctor::Doctor),
    /// Remove a jail.
    Remove(remove::Remove),
    /// Move the root of a jail on its file system, with homes, ids and keys.
    Move(relocate::Move),
    /// Delete what remove without --purge has left of a jail.
    Purge(purge::Purge),
    /// Close the account of a user at once, until it is unlocked.
    Lock(lock::Lock),
    /// Open the account of a locked user again.
    Unlock(lock::Unlock),
    /// List what programs need to run: libraries, interpreters and symbolic links.
    Deps(deps::Deps),
    /// Run a program in a jail as one of its users.
    Enter(enter::Enter),
    /// Show resource usage of the sessions of jails.
    Stats(stats::Stats),
    /// Suspend all processes in the sessions of a jail.
    Freeze(sessions::Freeze),
    /// Resume a frozen jail.
    Thaw(sessions::Thaw),
    /// Terminate the sessions of a jail.
    Kill(sessions::Kill),
    /// Print the JSON Schema of specs, for editors.
    Schema(schema::Schema),
    /// Print a completion script for a shell.
    Completions(generate::Completions),
    /// Print a manual page.
    Man(generate::Man),
}

/// Definition of the command line, from which manual pages and completions are generated.
pub fn command() -> clap::Command {
    Arguments::command()
}

/// Parses the command line, runs the verb, prints its output, and returns the exit status.
pub fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => return print_usage_error(&error),
    };
    let options = OutputOptions {
        quiet: arguments.quiet,
        verbose: arguments.verbose,
        is_terminal: std::io::stdout().is_terminal(),
        paint: Styler {
            on: wants_color(&std::io::stdout()),
        },
    };
    let outcome = match arguments.verb {
        Verb::Build(verb) => verb.run(options),
        Verb::Plan(verb) => verb.run(options),
        Verb::Validate(verb) => verb.run(),
        Verb::Check(verb) => verb.run(options),
        Verb::Update(verb) => verb.run(options),
        Verb::Rollback(verb) => verb.run(options),
        Verb::List(verb) => verb.run(),
        Verb::Show(verb) => verb.run(options),
        Verb::Who(verb) => verb.run(),
        Verb::Why(verb) => verb.run(options),
        Verb::Doctor(verb) => verb.run(options),
        Verb::Remove(verb) => verb.run(options),
        Verb::Move(verb) => verb.run(options),
        Verb::Purge(verb) => verb.run(options),
        Verb::Lock(verb) => verb.run(options),
        Verb::Unlock(verb) => verb.run(options),
        Verb::Deps(verb) => verb.run(),
        Verb::Enter(verb) => verb.run(),
        Verb::Stats(verb) => verb.run(options),
        Verb::Freeze(verb) => verb.run(),
        Verb::Thaw(verb) => verb.run(),
        Verb::Kill(verb) => verb.run(),
        Verb::Schema(verb) => Ok(verb.run()),
        Verb::Init(verb) => verb.run(),
        Verb::Completions(verb) => Ok(verb.run(command())),
        Verb::Man(verb) => verb.run(command()),
    };
    match outcome.and_then(|report| print_output(&report, options)) {
        Ok(code) => ExitCode::from(code),
        Err(error) => print_error(error),
    }
}
