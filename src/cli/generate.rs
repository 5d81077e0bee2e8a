//! `man` and `completions`: the manual pages and the shells' help with typing, made from the command line itself.

use std::fmt::Write;

use clap::{Args, ValueEnum};

use super::{CommandOutput, command};
use crate::error::{Error, ErrorKind, Finding, Result};

/// A shell that completions are made for.
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
    /// The shell that is to read them: `source <(jailctl completions bash)`.
    shell: Shell,
}

/// Arguments of `man`.
#[derive(Debug, Args)]
pub(crate) struct Man {
    /// Print the page of this verb, and not that of jailctl itself: `jailctl man build | man -l -`.
    verb: Option<String>,
}

impl Completions {
    pub(crate) fn run(self) -> CommandOutput {
        CommandOutput {
            text: completions(self.shell),
            ..CommandOutput::default()
        }
    }
}

impl Man {
    pub(crate) fn run(self) -> Result<CommandOutput> {
        let page = page(self.verb.as_deref())?.ok_or_else(|| {
            let verbs: Vec<String> = verbs().map(|verb| format!("`{verb}`")).collect();
            let verb = self.verb.unwrap_or_default();
            Finding::new(format!("there is no verb `{}`", verb.escape_debug()))
                .hint(format!("the verbs are {}", verbs.join(", ")))
        })?;
        Ok(CommandOutput {
            text: page,
            ..CommandOutput::default()
        })
    }
}

/// The names of all verbs.
pub fn verbs() -> impl Iterator<Item = String> {
    let names: Vec<String> = command()
        .get_subcommands()
        .map(|verb| verb.get_name().to_owned())
        .collect();
    names.into_iter()
}

/// What a shell has to read to complete jailctl's command lines; with bash, names of jails and spec files too.
pub fn completions(shell: Shell) -> String {
    let mut command = command();
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

/// What completes the verbs whose first word names a jail.
fn targets(command: &clap::Command) -> String {
    let verbs: Vec<&str> = command
        .get_subcommands()
        .filter(|verb| {
            let named = verb
                .get_positionals()
                .next()
                .and_then(clap::Arg::get_value_names);
            named.is_some_and(|names| names.iter().any(|name| *name == "JAIL"))
        })
        .map(clap::Command::get_name)
        .collect();
    format!(
        r#"
# The jails of this host, which only root may see, and spec files.
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

/// The manual page of jailctl or of one of its verbs, in man(7); `None` where there is no such verb.
pub fn page(verb: Option<&str>) -> Result<Option<String>> {
    let mut whole = command();
    whole.build();
    let (name, command) = match verb {
        None => ("jailctl".to_owned(), whole),
        Some(verb) => match whole.find_subcommand(verb) {
            Some(command) => (format!("jailctl-{verb}"), command.clone()),
            None => return Ok(None),
        },
    };
    let usage = command.clone().render_usage().to_string();
    // clap keeps names for as long as the program runs; one page is made, or each once.
    let command = command.name(&*name.clone().leak()).display_name(name);
    let mut text = Vec::new();
    clap_mangen::Man::new(command)
        .section("8")
        .date("")
        .manual("System administration")
        .render(&mut text)
        .map_err(|error| Error::failed("could not make the page").why(error.to_string()))?;
    let mut page = String::new();
    // Each section is a line of its own, and what is below it.
    for section in String::from_utf8_lossy(&text).split_inclusive("\n.SH ") {
        match section.lines().next() {
            Some("SYNOPSIS") => page.push_str(&synopsis(&usage)),
            Some("VERSION") => {
                page.push_str(&(exit_status_section(verb == Some("enter")) + section));
            }
            _ => page.push_str(section),
        }
    }
    Ok(Some(page))
}

/// How it is called, as `--help` says it: clap_mangen leaves out the values of options.
fn synopsis(usage: &str) -> String {
    let usage = usage.strip_prefix("Usage: ").unwrap_or(usage);
    format!("SYNOPSIS\n{}\n.SH ", usage.trim().replace('-', "\\-"))
}

/// What the exit status says, of a verb that `runs` a program too.
fn exit_status_section(runs: bool) -> String {
    let mut text = "\"EXIT STATUS\"\n.TP\n0\nDone, or nothing to do\n".to_owned();
    for (kind, about) in [
        (
            ErrorKind::Negative,
            "The answer is no: drift, findings, changes with \\-\\-exit\\-code, nobody who needs what \\-\\-why asks about",
        ),
        (
            ErrorKind::Spec,
            "Usage, a bad spec, or a program that the host lacks",
        ),
        (
            ErrorKind::LibraryNotFound,
            "A library that a program needs was not found",
        ),
        (
            ErrorKind::Failed,
            "It could not be done, and the host is as it was",
        ),
        (
            ErrorKind::Busy,
            "Another jailctl is at work, or somebody else took an id meanwhile",
        ),
        (
            ErrorKind::OutputFailed,
            "Done, and the word of it could not be delivered",
        ),
    ] {
        // Writing to a String cannot fail.
        let _ = writeln!(text, ".TP\n{}\n{about}", kind as u8);
    }
    if runs {
        text.push_str(".PP\nOnce the program runs, the exit status is the program's own, or 128 and the number of the signal that ended it.\n");
    }
    text + ".SH "
}
