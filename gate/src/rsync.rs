//! rsync(1): `rsync --server [--sender] OPTIONS . PATH…`.
//!
//! The tables have the options that clients of 3.1 to 3.4 send to a server, and no option with
//! which a server reads a configuration, writes a log, becomes a daemon or reads further options.

use crate::path;
use crate::policy::{Mode, Way};
use crate::refusal::{Refusal, quoted};

/// What is checked of an option.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// It has no value.
    Flag,
    /// It has a value that is no path.
    Value,
    /// Its value is a path to read.
    Source,
    /// Its value is a path to write.
    Target,
    /// It deletes or replaces files that exist.
    Deletes,
    /// It deletes the files that the sender sent.
    DeletesSent,
    /// It deletes or replaces files that exist, and its value is a path.
    DeletesIn,
}

const OPTIONS: &[(&str, Kind)] = &[
    ("append", Kind::Deletes),
    ("backup-dir", Kind::DeletesIn),
    ("block-size", Kind::Value),
    ("bwlimit", Kind::Value),
    ("checksum-choice", Kind::Value),
    ("checksum-seed", Kind::Value),
    ("compare-dest", Kind::Source),
    ("compress-choice", Kind::Value),
    ("compress-level", Kind::Value),
    ("compress-threads", Kind::Value),
    ("copy-dest", Kind::Source),
    ("copy-unsafe-links", Kind::Flag),
    ("delay-updates", Kind::Deletes),
    ("delete", Kind::Deletes),
    ("delete-after", Kind::Deletes),
    ("delete-before", Kind::Deletes),
    ("delete-delay", Kind::Deletes),
    ("delete-during", Kind::Deletes),
    ("delete-excluded", Kind::Deletes),
    ("delete-missing-args", Kind::Deletes),
    ("dirs", Kind::Flag),
    ("existing", Kind::Flag),
    ("fake-super", Kind::Flag),
    ("files-from", Kind::Source),
    ("force", Kind::Deletes),
    ("from0", Kind::Flag),
    ("fsync", Kind::Flag),
    ("fuzzy", Kind::Flag),
    ("group", Kind::Flag),
    ("groupmap", Kind::Value),
    ("hard-links", Kind::Flag),
    ("iconv", Kind::Value),
    ("ignore-errors", Kind::Flag),
    ("ignore-existing", Kind::Flag),
    ("ignore-missing-args", Kind::Flag),
    ("ignore-times", Kind::Flag),
    ("info", Kind::Value),
    ("inplace", Kind::Deletes),
    ("link-dest", Kind::Source),
    ("links", Kind::Flag),
    ("list-only", Kind::Flag),
    ("log-format", Kind::Value),
    ("max-alloc", Kind::Value),
    ("max-delete", Kind::Value),
    ("max-size", Kind::Value),
    ("min-size", Kind::Value),
    ("mkpath", Kind::Flag),
    ("modify-window", Kind::Value),
    ("msgs2stderr", Kind::Flag),
    ("munge-links", Kind::Flag),
    ("new-compress", Kind::Flag),
    ("no-W", Kind::Flag),
    ("no-implied-dirs", Kind::Flag),
    ("no-msgs2stderr", Kind::Flag),
    ("no-r", Kind::Flag),
    ("no-relative", Kind::Flag),
    ("no-specials", Kind::Flag),
    ("numeric-ids", Kind::Flag),
    ("old-compress", Kind::Flag),
    ("one-file-system", Kind::Flag),
    ("only-write-batch", Kind::Value),
    ("open-noatime", Kind::Flag),
    ("owner", Kind::Flag),
    ("partial", Kind::Flag),
    ("partial-dir", Kind::DeletesIn),
    ("perms", Kind::Flag),
    ("preallocate", Kind::Flag),
    ("recursive", Kind::Flag),
    ("remove-sent-files", Kind::DeletesSent),
    ("remove-source-files", Kind::DeletesSent),
    ("safe-links", Kind::Flag),
    ("size-only", Kind::Flag),
    ("skip-compress", Kind::Value),
    ("specials", Kind::Flag),
    ("stats", Kind::Flag),
    ("stderr", Kind::Value),
    ("stop-at", Kind::Value),
    ("suffix", Kind::Target),
    ("super", Kind::Flag),
    ("temp-dir", Kind::Target),
    ("timeout", Kind::Value),
    ("times", Kind::Flag),
    ("use-qsort", Kind::Flag),
    ("usermap", Kind::Value),
];
/// Letters of options without a value.
const LETTERS: &[u8] = b"ACDEHIJKLNOPRSUWXbcdgklmnopqrtuvxyz";
/// Letters with which links lead out of a directory.
const FOLLOW: &[u8] = b"KLk";

/// Arguments of rsync for those of the client.
///
/// # Errors
/// A refusal.
pub(crate) fn arguments(way: &Way, given: &[&[u8]]) -> Result<Vec<Vec<u8>>, Refusal> {
    let no_line = || Refusal::new("it is no line that rsync sends");
    let [b"--server", rest @ ..] = given else {
        return Err(no_line());
    };
    let mut all: Vec<Vec<u8>> = vec![b"--server".to_vec()];
    let mut rest = rest;
    let sends = rest.first() == Some(&b"--sender".as_slice());
    if sends {
        all.push(b"--sender".to_vec());
        rest = &rest[1..];
    }
    if sends && !way.mode.can_read() {
        return Err(Refusal::new("files may only be written"));
    }
    if !sends && way.mode == Mode::ReadOnly {
        return Err(Refusal::new("files may only be read"));
    }
    let paths = loop {
        match rest {
            [b".", paths @ ..] => break paths,
            [option, more @ ..] if option.starts_with(b"--") => {
                let taken = long(way, sends, option, more)?;
                all.extend(rest[..taken].iter().map(|word| word.to_vec()));
                rest = &rest[taken..];
            }
            [option, more @ ..] if option.starts_with(b"-") => {
                short(way, option)?;
                all.push(option.to_vec());
                rest = more;
            }
            _ => return Err(no_line()),
        }
    };
    if way.mode == Mode::AppendOnly && !sends {
        all.push(b"--ignore-existing".to_vec());
    }
    all.push(b".".to_vec());
    if paths.is_empty() || !sends && paths.len() > 1 {
        return Err(no_line());
    }
    for one in paths {
        path::argument(one, way.directory.as_deref())?;
        all.push(if one.is_empty() {
            b".".to_vec()
        } else {
            one.to_vec()
        });
    }
    Ok(all)
}

/// Checks a long option, with its value in the same or the next word. Returns the number of words.
fn long(way: &Way, sends: bool, option: &[u8], more: &[&[u8]]) -> Result<usize, Refusal> {
    let refused = || Refusal::new(format!("the option {} is not allowed", quoted(option)));
    let text = &option[2..];
    let (name, value) = match text.iter().position(|byte| *byte == b'=') {
        Some(at) => (&text[..at], Some(&text[at + 1..])),
        None => (text, None),
    };
    let known = OPTIONS.iter().find(|(known, _)| known.as_bytes() == name);
    let (_, kind) = known.ok_or_else(refused)?;
    let deletes = match kind {
        Kind::Deletes | Kind::DeletesIn => way.mode == Mode::AppendOnly,
        Kind::DeletesSent => sends && way.mode != Mode::ReadWrite,
        Kind::Flag | Kind::Value | Kind::Source | Kind::Target => false,
    };
    if deletes {
        return Err(refused());
    }
    if matches!(kind, Kind::Flag | Kind::Deletes | Kind::DeletesSent) {
        return if value.is_none() {
            Ok(1)
        } else {
            Err(refused())
        };
    }
    let (value, taken) = match (value, more) {
        (Some(value), _) => (value, 1),
        (None, [value, ..]) => (*value, 2),
        (None, []) => return Err(refused()),
    };
    if value.starts_with(b"-") && !(name == b"files-from" && value == b"-") {
        return Err(refused());
    }
    if name == b"suffix" && value.contains(&b'/') {
        return Err(refused());
    }
    if name == b"files-from" && value.contains(&b':') {
        return Err(refused());
    }
    if *kind != Kind::Value {
        path::below(value, way.directory.as_deref())?;
    }
    Ok(taken)
}

/// Checks a group of letters: `-logDtpre.iLsfxCIvu`. Behind `e` are the protocol's capabilities.
fn short(way: &Way, option: &[u8]) -> Result<(), Refusal> {
    let letters = &option[1..];
    if let [b'B' | b'@', number @ ..] = letters {
        let digits = number.strip_prefix(b"-").unwrap_or(number);
        if !digits.is_empty() && digits.iter().all(u8::is_ascii_digit) {
            return Ok(());
        }
    }
    for (at, letter) in letters.iter().enumerate() {
        if *letter == b'e' {
            let rest = &letters[at + 1..];
            let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'.';
            // Older clients than 3.0 send no capabilities, but then `e` neither.
            if rest.contains(&b'.') && rest.iter().all(is_plain) {
                return Ok(());
            }
            return Err(Refusal::new("it is no line that rsync sends"));
        }
        if *letter == b's' {
            return Err(Refusal::new(
                "arguments that are sent later cannot be checked: use `--no-secluded-args`, with older clients `--no-protect-args`",
            ));
        }
        let leads_out = way.directory.is_some() && FOLLOW.contains(letter);
        if leads_out || !LETTERS.contains(letter) {
            return Err(Refusal::new(format!(
                "the option {} is not allowed",
                quoted(&[b'-', *letter])
            )));
        }
    }
    if letters.is_empty() {
        return Err(Refusal::new("it is no line that rsync sends"));
    }
    Ok(())
}
