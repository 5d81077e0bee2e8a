//! restic(1) with the backend `rclone`: `rclone serve restic --stdio`.

use crate::path;
use crate::policy::{Mode, Way};
use crate::refusal::{Refusal, quoted};

/// The words of a line without the name of the program.
pub(crate) fn whole<'p, 'w>(
    first: &[u8],
    arguments: &'w [&'w [u8]],
    way: &'p Way,
) -> Option<(&'p Way, &'w [&'w [u8]])> {
    (first == b"serve" && arguments.first() == Some(&b"restic".as_slice()))
        .then_some((way, arguments))
}

/// Arguments of rclone for those of the client, with or without `serve`.
///
/// # Errors
/// A refusal.
pub(crate) fn arguments(way: &Way, given: &[&[u8]]) -> Result<Vec<Vec<u8>>, Refusal> {
    let given = given.strip_prefix(&[b"serve".as_slice()]).unwrap_or(given);
    let [b"restic", rest @ ..] = given else {
        return Err(Refusal::new("it is no line that restic sends"));
    };
    let (options, paths): (Vec<&[u8]>, Vec<&[u8]>) =
        rest.iter().partition(|word| word.starts_with(b"-"));
    let known: [&[u8]; 3] = [b"--stdio", b"--b2-hard-delete", b"--append-only"];
    if let Some(other) = options.iter().find(|option| !known.contains(option)) {
        return Err(Refusal::new(format!(
            "the option {} is not allowed",
            quoted(other)
        )));
    }
    let [repository] = paths.as_slice() else {
        return Err(Refusal::new("it names no repository"));
    };
    // `remote:` and `:backend,option=…:` would be another place, or a command.
    if repository.contains(&b':') {
        return Err(Refusal::new("the repository is not a path"));
    }
    path::argument(repository, way.directory.as_deref())?;
    let mut all: Vec<Vec<u8>> = vec![b"serve".to_vec(), b"restic".to_vec(), b"--stdio".to_vec()];
    if way.mode == Mode::AppendOnly || options.contains(&b"--append-only".as_slice()) {
        all.push(b"--append-only".to_vec());
    }
    all.extend([b"--".to_vec(), repository.to_vec()]);
    Ok(all)
}
