//! `man` and `completions`: manual pages and shell completions, generated from the command line
//! definition.

use std::fmt::Write;
use std::io;

use clap::{Args, Command, ValueEnum};
use clap_mangen::Man as Page;

use super::output::CommandOutput;
use crate::error::{Error, ErrorKind, Finding, Result};

/// Shell with completions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Shell {
    /// bash(1)
    Bash,
    /// zsh(1)
    Zsh,
    /// fish(1)
    Fish,
}

/// Arguments of `completions`.
#[derive(Debug, Args)]
pub(crate) struct Completions {
    /// Shell: `source <(jailctl completions bash)`.
    shell: Shell,
}

/// Arguments of `man`.
#[derive(Debug, Args)]
pub(crate) struct Man {
    /// Print the page of VERB instead of that of jailctl: `jailctl man build | man -l -`.
    verb: Option<String>,
}

impl Completions {
    pub(crate) fn run(self, command: Command) -> CommandOutput {
        CommandOutput {
            text: completions(command, self.shell),
            ..CommandOutput::default()
        }
    }
}

impl Man {
    pub(crate) fn run(self, command: Command) -> Result<CommandOutput> {
        let verbs: Vec<String> = verbs(&command).collect();
        let page = page(command, self.verb.as_deref())?.ok_or_else(|| {
            let verbs: Vec<String> = verbs.iter().map(|verb| format!("`{verb}`")).collect();
            let verb = self.verb.unwrap_or_default();
            Finding::new(format!("unknown verb `{}`", verb.escape_debug()))
                .hint(format!("verbs: {}", verbs.join(", ")))
        })?;
        Ok(CommandOutput {
            text: page,
            ..CommandOutput::default()
        })
    }
}

/// Names of all verbs.
pub fn verbs(command: &Command) -> impl Iterator<Item = String> {
    let verbs = command.get_subcommands();
    verbs.map(|verb| verb.get_name().to_owned())
}

/// Completion script for `shell`; bash also completes names of jails and spec files.
pub fn completions(mut command: Command, shell: Shell) -> String {
    let mut text = Vec::new();
    let generator = match shell {
        Shell::Bash => clap_complete::Shell::Bash,
        Shell::Zsh => clap_complete::Shell::Zsh,
        Shell::Fish => clap_complete::Shell::Fish,
    };
    clap_complete::generate(generator, &mut command, "jailctl", &mut text);
    let mut text = String::from_utf8_lossy(&text).into_owned();
    if shell == Shell::Bash {
        text.push_str(&targets(&command));
    }
    text
}

/// Completion function for the verbs whose first argument names a jail.
fn targets(command: &Command) -> String {
    let verbs: Vec<&str> = command
        .get_subcommands()
        .filter(|verb| {
            let named = verb
                .get_positionals()
                .next()
                .and_then(clap::Arg::get_value_names);
            named.is_some_and(|names| names.iter().any(|name| *name == "JAIL"))
        })
        .map(Command::get_name)
        .collect();
    format!(
        r#"
# Jails of this host, which only root can list, and spec files.
_jailctl_targets() {{
    _jailctl "$@"
    case "${{COMP_WORDS[1]}}" in
        {})
            if [[ $2 != -* && $3 == "${{COMP_WORDS[1]}}" ]]; then
                local jails
                jails="$(jailctl list 2>/dev/null | awk 'NR > 1 {{ print $1 }}')"
                COMPREPLY=( $(compgen -W "$jails" -- "$2") $(compgen -f -X '!*.toml' -- "$2") $(compgen -d -- "$2") )
            fi
            ;;
    esac
}}

complete -F _jailctl_targets -o nosort -o bashdefault -o default jailctl
"#,
        verbs.join("|")
    )
}

/// The manual page of jailctl or of one of its verbs, in man(7); `None` if there is no such verb.
///
/// # Errors
/// [`ErrorKind::Failed`] if the page cannot be rendered.
pub fn page(mut command: Command, verb: Option<&str>) -> Result<Option<String>> {
    command.build();
    let (name, command) = match verb {
        None => ("jailctl".to_owned(), command),
        Some(verb) => match command.find_subcommand(verb) {
            Some(command) => (format!("jailctl-{verb}"), command.clone()),
            None => return Ok(None),
        },
    };
    let usage = command.clone().render_usage().to_string();
    let has_verbs = command.has_subcommands();
    // clap keeps names for as long as the program runs; each page is made at most once.
    let command = command.name(&*name.clone().leak()).display_name(name);
    let man = Page::new(command)
        .section("8")
        .date("")
        .manual("System administration");
    let mut page = String::from(PREAMBLE);
    add_section(&mut page, |out| man.render_title(out))?;
    add_section(&mut page, |out| man.render_name_section(out))?;
    page.push_str(&synopsis(&usage));
    add_section(&mut page, |out| man.render_description_section(out))?;
    add_section(&mut page, |out| man.render_options_section(out))?;
    if has_verbs {
        add_section(&mut page, |out| man.render_subcommands_section(out))?;
    }
    page.push_str(&exit_status_section(verb == Some("enter")));
    add_section(&mut page, |out| man.render_version_section(out))?;
    Ok(Some(page))
}

/// Definition of the apostrophe, with which roff starts each section that it renders.
const PREAMBLE: &str = ".ie \\n(.g .ds Aq \\(aq\n.el .ds Aq '\n";

/// Adds what `render` writes to `page`, without the preamble.
fn add_section(
    page: &mut String,
    render: impl FnOnce(&mut dyn io::Write) -> io::Result<()>,
) -> Result<()> {
    let mut section = Vec::new();
    render(&mut section)
        .map_err(|error| Error::failed("could not create the page").why(error.to_string()))?;
    let section = String::from_utf8_lossy(&section);
    page.push_str(section.strip_prefix(PREAMBLE).unwrap_or(&section));
    Ok(())
}

/// The usage line of `--help`: clap_mangen omits the values of options.
fn synopsis(usage: &str) -> String {
    let usage = usage.strip_prefix("Usage: ").unwrap_or(usage);
    format!(".SH SYNOPSIS\n{}\n", usage.trim().replace('-', "\\-"))
}

/// Exit statuses; `runs` for a verb that also runs a program.
fn exit_status_section(runs: bool) -> String {
    let mut text =
        ".SH \"EXIT STATUS\"\n.TP\n0\nSuccess, also if there was nothing to do\n".to_owned();
    for (kind, about) in [
        (
            ErrorKind::Negative,
            "Differences or problems were found; changes with \\-\\-exit\\-code; no match of \\-\\-why",
        ),
        (
            ErrorKind::Spec,
            "Usage error, invalid spec, or a program that the host lacks",
        ),
        (
            ErrorKind::LibraryNotFound,
            "A library that a program needs was not found",
        ),
        (
            ErrorKind::Failed,
            "The operation failed. It is undone, unless the message says what is left",
        ),
        (
            ErrorKind::Busy,
            "Another jailctl is running, or another program took an id at the same time",
        ),
        (
            ErrorKind::OutputFailed,
            "Success, but the output could not be written",
        ),
    ] {
        // Writing to a String cannot fail.
        let _ = writeln!(text, ".TP\n{}\n{about}", kind as u8);
    }
    if runs {
        text.push_str(".PP\nOnce the program runs, the exit status is that of the program, or 128 plus the number of the signal that terminated it.\n");
    }
    text
}
