//! git(1): `git-upload-pack`, `git-receive-pack` and `git-upload-archive` with a directory.

use crate::launch::{Launch, Limits};
use crate::path;
use crate::policy::{Mode, Way};
use crate::refusal::Refusal;

/// Commands that clients send.
const READ: [&[u8]; 2] = [b"upload-pack", b"upload-archive"];
const WRITE: &[u8] = b"receive-pack";

/// Whether a line with this first word is one of git's: `git` or `git-upload-pack`.
pub(crate) fn is_called(first: &[u8], program: &[u8]) -> bool {
    first == b"git" || first == program || first.starts_with(b"git-")
}

/// Arguments of git for those of the client, and whether the command writes.
///
/// # Errors
/// A refusal.
pub(crate) fn arguments(
    way: &Way,
    first: &[u8],
    given: &[&[u8]],
) -> Result<(Vec<Vec<u8>>, bool), Refusal> {
    let (command, paths) = match (first.strip_prefix(b"git-"), given) {
        (Some(command), paths) => (command, paths),
        (None, [command, paths @ ..]) => (*command, paths),
        (None, []) => (b"".as_slice(), given),
    };
    let [directory] = paths else {
        return Err(Refusal::new("it is no line that git sends"));
    };
    let can_write = command == WRITE;
    if !can_write && !READ.contains(&command) {
        return Err(Refusal::new("it is no line that git sends"));
    }
    if can_write && way.mode == Mode::ReadOnly {
        return Err(Refusal::new("repositories may only be read"));
    }
    path::argument(directory, way.directory.as_deref())?;
    // git itself resolves a `~`, by its quotes not one of the shell.
    if way.directory.is_some() && directory.starts_with(b"~") {
        return Err(Refusal::new("name the repository by its path"));
    }
    Ok((vec![command.to_vec(), directory.to_vec()], can_write))
}

/// The program of `way` with the arguments, which writes only if `can_write`.
pub(crate) fn launch(way: &Way, home: &str, arguments: Vec<Vec<u8>>, can_write: bool) -> Launch {
    Launch {
        limits: Some(Limits {
            directory: way.directory.clone(),
            can_write,
        }),
        ..Launch::of_way(way, home, arguments)
    }
}
