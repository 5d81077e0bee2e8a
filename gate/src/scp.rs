//! scp(1) with `-O`: `scp -t TARGET` receives, `scp -f SOURCE…` sends.

use crate::path;
use crate::policy::{Mode, Way};
use crate::refusal::{Refusal, quoted};

/// Letters of options that clients send; `t` and `f` are the direction.
const LETTERS: &[u8] = b"rpdvqtf";

/// Arguments of scp for those of the client.
///
/// # Errors
/// A refusal.
pub(crate) fn arguments(way: &Way, given: &[&[u8]]) -> Result<Vec<Vec<u8>>, Refusal> {
    let mut letters = Vec::new();
    let mut paths = given;
    while let [first, rest @ ..] = paths {
        let Some(options) = first
            .strip_prefix(b"-")
            .filter(|letters| !letters.is_empty())
        else {
            break;
        };
        paths = rest;
        if *first == b"--" {
            break;
        }
        if let Some(other) = options.iter().find(|letter| !LETTERS.contains(letter)) {
            return Err(Refusal::new(format!(
                "the option {} is not allowed",
                quoted(&[b'-', *other])
            )));
        }
        letters.extend_from_slice(options);
    }
    match (letters.contains(&b't'), letters.contains(&b'f'), paths) {
        (true, false, [_]) if way.mode == Mode::ReadOnly => {
            return Err(Refusal::new("files may only be read"));
        }
        (true, false, [_]) => {}
        (false, true, [_, ..]) if !way.mode.can_read() => {
            return Err(Refusal::new("files may only be written"));
        }
        (false, true, [_, ..]) => {}
        _ => return Err(Refusal::new("it is no line that scp sends")),
    }
    for one in paths {
        path::below(one, way.directory.as_deref())?;
    }
    let mut all = vec![[b"-", letters.as_slice()].concat(), b"--".to_vec()];
    all.extend(paths.iter().map(|path| path.to_vec()));
    Ok(all)
}
