//! Parsers of single values: sizes, lists of CPUs, devices, ports, and sources and options of
//! mounts.

use std::path::PathBuf;

use jailctl_session::network::Port;

use super::display::list;
use super::types::MountSource;
use super::violation::Violation;
use crate::span::{Span, Spanned};

/// Number of CPUs that no kernel exceeds.
const MOST_CPUS: u32 = 8192;
/// Devices with write access to memory or ports of the machine, which is equivalent to root.
const POWERS: [&str; 4] = ["/dev/mem", "/dev/kmem", "/dev/port", "/dev/kmsg"];

/// Sources other than host directories: names of fstab(5), with the only mount point of those that
/// have one.
const KINDS: [(&str, MountSource, Option<&str>); 3] = [
    ("tmpfs", MountSource::Tmpfs, None),
    ("proc", MountSource::Proc, Some("/proc")),
    ("sysfs", MountSource::Sys, Some("/sys")),
];

/// Pairs of options, see mount(8): the default, and its opposite, which a spec has to give
/// explicitly.
pub(crate) const OPTIONS: [(&str, &str); 4] = [
    ("ro", "rw"),
    ("nosuid", "suid"),
    ("nodev", "dev"),
    ("noexec", "exec"),
];

impl MountSource {
    /// Parses `source`: one of [`KINDS`], or a host path.
    pub(crate) fn new(text: &str, span: &Span) -> Self {
        KINDS
            .into_iter()
            .find(|(name, _, _)| *name == text)
            .map_or_else(
                || {
                    Self::Host(Spanned {
                        value: PathBuf::from(text),
                        span: span.clone(),
                    })
                },
                |(_, kind, _)| kind,
            )
    }

    /// The only mount point of this source, if it has one.
    pub(crate) fn mount_point(&self) -> Option<&'static str> {
        KINDS
            .into_iter()
            .find_map(|(_, kind, path)| path.filter(|_| kind == *self))
    }
}

/// Whether `text` is one of [`KINDS`].
pub(crate) fn is_kind(text: &str) -> bool {
    KINDS.iter().any(|(name, _, _)| *name == text)
}

/// Whether `text` is the only mount point of one of [`KINDS`].
pub(crate) fn is_mount_point(text: &str) -> bool {
    KINDS.iter().any(|(_, _, path)| *path == Some(text))
}

/// Checks an option of a `[[mount]]`.
pub(crate) fn option(text: &str) -> Result<(), Violation> {
    let known = || OPTIONS.iter().flat_map(|(one, other)| [*one, *other]);
    if known().any(|option| option == text) {
        return Ok(());
    }
    match text.split_once('=') {
        Some(("size", value)) if is_share(value) => Ok(()),
        Some(("size", value)) => size(value).map(drop),
        Some(("mode", value)) if is_mode(value) => Ok(()),
        Some(("mode", _)) => Err(Violation::form("is not three or four octal digits")),
        _ => Err(Violation::form(format!(
            "is none of {}",
            list(known().chain(["size=", "mode="]), "and")
        ))),
    }
}

/// Whether `text` is a percentage of memory: `1%` to `100%`.
fn is_share(text: &str) -> bool {
    let number = text.strip_suffix('%').map(str::parse::<u8>);
    matches!(number, Some(Ok(1..=100))) && !text.starts_with('+')
}

fn is_mode(text: &str) -> bool {
    (3..=4).contains(&text.len())
        && text.bytes().all(|byte| (b'0'..=b'7').contains(&byte))
        && (text.len() == 3 || text.starts_with(['0', '1']))
}

/// Parses `tcp/80` or `udp/53`.
pub(crate) fn port(text: &str) -> Option<Port> {
    let (protocol, number) = text.split_once('/')?;
    let is_plain = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    let number = number
        .parse()
        .ok()
        .filter(|number| *number > 0 && is_plain)?;
    match protocol {
        "tcp" => Some(Port::Tcp(number)),
        "udp" => Some(Port::Udp(number)),
        _ => None,
    }
}

/// Parses a number of bytes: digits, and `K`, `M`, `G` or `T` for powers of 1024. Not 0.
pub(crate) fn size(text: &str) -> Result<u64, Violation> {
    let form = || Violation::form("is not a number with `K`, `M`, `G` or `T`");
    let digits = text.trim_end_matches(['K', 'M', 'G', 'T']);
    let power = match &text[digits.len()..] {
        "" => 0,
        "K" => 10,
        "M" => 20,
        "G" => 30,
        "T" => 40,
        _ => return Err(form()),
    };
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(form());
    }
    // An exabyte: more is certainly a mistake.
    let most = 1_u64 << (60 - power);
    match digits.parse::<u64>() {
        Ok(0) => Err(Violation::form("is zero")),
        Ok(number) if number <= most => Ok(number << power),
        _ => Err(Violation::form("is too large")),
    }
}

pub(crate) fn size_or_none(text: &str) -> Option<u64> {
    if text == "0" {
        return Some(0);
    }
    size(text).ok()
}

/// Parses a percentage.
pub(crate) fn percent(text: &str) -> Result<u16, Violation> {
    match text.strip_suffix('%').map(str::parse) {
        Some(Ok(percent @ 1..)) if !text.starts_with('+') => Ok(percent),
        _ => Err("is not a number from 1 to 65535 with `%`".into()),
    }
}

/// Checks a list of CPUs.
pub(crate) fn cpus(text: &str) -> Result<(), Violation> {
    let number = |text: &str| {
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse::<u32>()
            .ok()
            .filter(|number| digits && *number < MOST_CPUS)
    };
    for part in text.split(',') {
        let (from, to) = part.split_once('-').unwrap_or((part, part));
        match (number(from), number(to)) {
            (Some(from), Some(to)) if from <= to => {}
            (Some(_), Some(_)) => return Err("has a range that ends before it begins".into()),
            _ => return Err("has a part that is neither a number nor a range".into()),
        }
    }
    Ok(())
}

/// Checks a device that a jail may use.
pub(crate) fn device(text: &str) -> Result<(), Violation> {
    let below = text.strip_prefix("/dev/").ok_or("is not below `/dev`")?;
    plain(below)?;
    if POWERS.contains(&text) {
        return Err(Violation::new("gives control over the machine"));
    }
    Ok(())
}

/// Path of a control group, without the leading `/`.
pub(crate) fn control_group(text: &str) -> Result<&str, Violation> {
    let below = text.strip_prefix('/').ok_or("does not begin with `/`")?;
    plain(below)?;
    Ok(below)
}

fn plain(path: &str) -> Result<(), Violation> {
    let letter = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    if path.len() > 255 {
        return Err("is longer than 255 characters".into());
    }
    if path
        .split('/')
        .any(|part| matches!(part, "" | "." | "..") || !part.bytes().all(letter))
    {
        return Err("has an invalid component".into());
    }
    Ok(())
}
