//! From the command line of a client to a program, or to a refusal.

use crate::launch::Launch;
use crate::policy::{Command, Policy, Protocol, Way};
use crate::refusal::{Refusal, quoted};
use crate::{borg, git, restic, rsync, scp, words};

/// Longest command line, in bytes: the kernel's limit of one string (`MAX_ARG_STRLEN`, execve(2)).
const LONGEST: usize = 1 << 17;

/// Decides what `policy` permits for `line`, the command line of the client; `None` for a client
/// that asks for a shell.
///
/// # Errors
/// A refusal, if no way in of the policy takes the line.
pub fn decide(policy: &Policy, line: Option<&[u8]>) -> Result<Launch, Refusal> {
    let fallback = policy
        .ways
        .iter()
        .find(|way| way.protocol == Protocol::Command)
        .map(|way| launch_command(&way.command, &policy.home));
    let refused = match line {
        None => Refusal::new("there is no shell"),
        Some(line) => match by_protocol(policy, line) {
            Ok(launch) => return Ok(launch),
            Err(refusal) => refusal,
        },
    };
    fallback.ok_or_else(|| {
        let line = line.map(|line| format!("{}: ", quoted(line)));
        Refusal::new(format!(
            "{}{refused}; this account allows {}",
            line.unwrap_or_default(),
            allowed(policy)
        ))
    })
}

/// The command of the key with this number.
///
/// # Errors
/// A refusal if the policy has no such key.
pub fn of_key(policy: &Policy, number: &str) -> Result<Launch, Refusal> {
    let key = number
        .parse()
        .ok()
        .and_then(|at: usize| policy.keys.get(at));
    key.map(|command| launch_command(command, &policy.home))
        .ok_or_else(|| Refusal::new("the policy of this account has no such key"))
}

/// A command of the administrator, which gets no argument of the client.
fn launch_command(command: &Command, home: &str) -> Launch {
    let way = Way {
        protocol: Protocol::Command,
        command: command.clone(),
        directory: None,
        mode: crate::Mode::ReadWrite,
    };
    Launch {
        limits: None,
        ..Launch::of_way(&way, home, Vec::new())
    }
}

fn by_protocol(policy: &Policy, line: &[u8]) -> Result<Launch, Refusal> {
    if line.len() > LONGEST {
        return Err(Refusal::new("it is too long"));
    }
    let words = words::split(line, &policy.home)?;
    let words: Vec<&[u8]> = words.iter().map(Vec::as_slice).collect();
    let Some((first, arguments)) = words.split_first() else {
        return Err(Refusal::new("there is no shell"));
    };
    let Some((way, arguments)) = find(policy, first, arguments) else {
        return Err(Refusal::new("it is not allowed"));
    };
    let mut launch = match way.protocol {
        Protocol::Rsync => rsync::arguments(way, arguments)
            .map(|arguments| Launch::of_way(way, &policy.home, arguments)),
        Protocol::Scp => scp::arguments(way, arguments)
            .map(|arguments| Launch::of_way(way, &policy.home, arguments)),
        Protocol::Git => git::arguments(way, first, arguments)
            .map(|(arguments, can_write)| git::launch(way, &policy.home, arguments, can_write)),
        Protocol::Borg => borg::arguments(way, arguments)
            .map(|arguments| Launch::of_way(way, &policy.home, arguments)),
        Protocol::Restic => restic::arguments(way, arguments)
            .map(|arguments| Launch::of_way(way, &policy.home, arguments)),
        // The options of the server are those of the policy.
        Protocol::Sftp => Ok(Launch::of_way(way, &policy.home, Vec::new())),
        Protocol::Command => Err(Refusal::new("it is not allowed")),
    }?;
    if way.protocol == Protocol::Borg {
        // A directory of the user would be searched for modules.
        launch.environment.push(("PYTHONNOUSERSITE", "1"));
    }
    Ok(launch)
}

/// The way in that a line with these words means, and the words behind the name of its program.
fn find<'p, 'w>(
    policy: &'p Policy,
    first: &[u8],
    arguments: &'w [&'w [u8]],
) -> Option<(&'p Way, &'w [&'w [u8]])> {
    policy.ways.iter().find_map(|way| {
        let program = way.command.program.as_bytes();
        let is_called = |name: &[u8]| first == name || first == program;
        let is_it = match way.protocol {
            Protocol::Rsync => is_called(b"rsync"),
            Protocol::Scp => is_called(b"scp"),
            Protocol::Borg => is_called(b"borg"),
            Protocol::Git => git::is_called(first, program),
            // A client whose `rclone.program` is ssh alone sends the arguments.
            Protocol::Restic if first == b"serve" => return restic::whole(first, arguments, way),
            Protocol::Restic => is_called(b"rclone"),
            // sshd sends the line of its `Subsystem`.
            Protocol::Sftp => {
                let name = first.rsplit(|byte| *byte == b'/').next();
                matches!(name, Some(b"sftp-server" | b"internal-sftp"))
            }
            Protocol::Command => false,
        };
        is_it.then_some((way, arguments))
    })
}

/// The ways in of a policy, for the user.
fn allowed(policy: &Policy) -> String {
    let describe = |way: &Way| {
        let mut text = way.protocol.as_str().to_owned();
        if way.mode != crate::Mode::ReadWrite {
            text = format!("{text} {}", way.mode.as_str());
        }
        match &way.directory {
            Some(directory) => format!("{text} in {directory}"),
            None => text,
        }
    };
    let ways: Vec<String> = policy.ways.iter().map(describe).collect();
    if ways.is_empty() {
        return "nothing".to_owned();
    }
    format!("only {}", ways.join(", "))
}
