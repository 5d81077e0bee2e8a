//! borg(1): `borg serve`.

use crate::policy::{Mode, Way};
use crate::refusal::{Refusal, quoted};

/// Options of clients, which change messages only.
const FLAGS: [&[u8]; 9] = [
    b"--critical",
    b"--error",
    b"--warning",
    b"--info",
    b"--debug",
    b"--verbose",
    b"-v",
    b"--log-json",
    b"--append-only",
];
/// Options of clients with a value.
const VALUES: [&[u8]; 3] = [b"--umask=", b"--debug-topic=", b"--lock-wait="];

/// Arguments of borg for those of the client.
///
/// # Errors
/// A refusal.
pub(crate) fn arguments(way: &Way, given: &[&[u8]]) -> Result<Vec<Vec<u8>>, Refusal> {
    let [b"serve", options @ ..] = given else {
        return Err(Refusal::new("it is no line that borg sends"));
    };
    let mut all = vec![b"serve".to_vec()];
    for option in options {
        let is_value = |name: &&&[u8]| {
            let value = option.strip_prefix(**name).unwrap_or_default();
            let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"._-".contains(byte);
            !value.is_empty() && value.iter().all(is_plain)
        };
        // The umask is that of the policy.
        if option.starts_with(b"--umask=") {
            continue;
        }
        if !FLAGS.contains(option) && VALUES.iter().find(is_value).is_none() {
            return Err(Refusal::new(format!(
                "the option {} is not allowed",
                quoted(option)
            )));
        }
        all.push(option.to_vec());
    }
    if way.mode == Mode::AppendOnly && !all.iter().any(|one| one == b"--append-only") {
        all.push(b"--append-only".to_vec());
    }
    if let Some(directory) = &way.directory {
        all.extend([
            b"--restrict-to-path".to_vec(),
            directory.clone().into_bytes(),
        ]);
    }
    Ok(all)
}
