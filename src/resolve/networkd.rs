//! Whether systemd-networkd configures the interfaces of jails: systemd.network(5).

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use crate::error::Result;
use crate::host::{HostView, glob};

/// Directories of network files: of two files with one name the first is read.
const DIRECTORIES: [&str; 4] = [
    "/etc/systemd/network",
    "/run/systemd/network",
    "/usr/local/lib/systemd/network",
    "/usr/lib/systemd/network",
];
/// State of the interfaces that a running systemd-networkd knows.
const STATE: &str = "/run/systemd/netif/links";
/// Most bytes of a network file.
const LIMIT: u64 = 1 << 20;

/// The file by which systemd-networkd takes the interface `link` of a jail; `None` if none does, or
/// systemd-networkd does not run.
///
/// # Errors
/// [`crate::error::ErrorKind::Failed`] where a file cannot be read.
pub(super) fn file_for(view: &HostView, link: &str) -> Result<Option<PathBuf>> {
    if view.stat(Path::new(STATE))?.is_none() {
        return Ok(None);
    }
    let mut files = BTreeMap::new();
    for directory in DIRECTORIES.map(Path::new) {
        for name in view.list(directory)?.unwrap_or_default() {
            if Path::new(&name).extension() == Some(OsStr::new("network")) {
                let path = directory.join(&name);
                files.entry(name).or_insert(path);
            }
        }
    }
    // The first file that matches counts.
    for path in files.into_values() {
        let bytes = view.read(&path, LIMIT).unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes.unwrap_or_default()).into_owned();
        match takes(&text, link) {
            Some(true) => return Ok(Some(path)),
            Some(false) => return Ok(None),
            None => {}
        }
    }
    Ok(None)
}

/// Whether a file configures the interface, an Ethernet interface of this name; `None` if it does
/// not match it. A file with further conditions, such as an address, does not match.
fn takes(text: &str, link: &str) -> Option<bool> {
    let (mut section, mut has_match, mut is_unmanaged) = ("", false, false);
    for line in text.lines().map(str::trim) {
        if let Some(name) = line
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'))
        {
            section = name;
            has_match |= name == "Match";
            continue;
        }
        let Some((key, value)) = line.split_once('=') else {
            continue;
        };
        let value = value.trim();
        match (section, key.trim()) {
            ("Match", _) if line.starts_with(['#', ';']) || value.is_empty() => {}
            ("Match", "Name") if !matches(value, link) => return None,
            ("Match", "Type") if !matches(value, "ether") => return None,
            ("Match", "Kind") if !matches(value, "veth") => return None,
            ("Match", "Name" | "Type" | "Kind") => {}
            ("Match", _) => return None,
            ("Link", "Unmanaged") => is_unmanaged = matches!(value, "yes" | "true" | "1" | "on"),
            _ => {}
        }
    }
    has_match.then_some(!is_unmanaged)
}

/// Whether one of the patterns, separated by blanks, matches; a leading `!` negates all.
fn matches(patterns: &str, text: &str) -> bool {
    let (patterns, is_negated) = match patterns.strip_prefix('!') {
        Some(rest) => (rest, true),
        None => (patterns, false),
    };
    let mut patterns = patterns.split_whitespace();
    patterns.any(|pattern| glob::matches(pattern.as_bytes(), text.as_bytes())) != is_negated
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_for_all_ethernet_interfaces_take_those_of_jails() {
        for (text, taken) in [
            ("[Match]\nType=ether\n[Network]\nDHCP=yes\n", Some(true)),
            ("[Match]\nName=*\n", Some(true)),
            ("[Match]\nName=en* jail*\n", Some(true)),
            ("[Match]\nName=!en*\n", Some(true)),
            ("[Match]\nType=ether\nKind=!*\n", None),
            ("[Match]\nName=en* eth*\n", None),
            ("[Match]\nName=!jailctl*\n", None),
            ("[Match]\nType=wlan\n", None),
            ("[Match]\nMACAddress=02:00:00:00:00:01\n", None),
            (
                "[Match]\n#MACAddress=x\nName=jailctl*\n[Link]\nUnmanaged=yes\n",
                Some(false),
            ),
            ("[Network]\nDHCP=yes\n", None),
        ] {
            assert_eq!(takes(text, "jailctl2900"), taken, "{text}");
        }
    }
}
