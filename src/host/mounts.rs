//! The mount table, as far as it stands in the way.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use super::view::HostView;
use crate::error::Result;

impl HostView {
    /// Every mount point at or below `path`, of whatever file system. proc(5), `/proc/pid/mountinfo`.
    pub fn mounts_below(&self, path: &Path) -> Result<Vec<PathBuf>> {
        let table = Self::new(Path::new("/"))?
            .read(Path::new("/proc/thread-self/mountinfo"), 64 << 20)?
            .unwrap_or_default();
        let path = self.display_path(path);
        let fields = table
            .split(|byte| *byte == b'\n')
            .filter_map(|line| line.split(|byte| *byte == b' ').nth(4));
        let points = fields.map(|field| PathBuf::from(OsString::from_vec(unescape(field))));
        Ok(points.filter(|point| point.starts_with(&path)).collect())
    }
}

/// `\040` and the like are octal.
fn unescape(field: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(field.len());
    let mut at = 0;
    while at < field.len() {
        let code = field
            .get(at + 1..at + 4)
            .and_then(|digits| std::str::from_utf8(digits).ok());
        match code.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(byte) if field[at] == b'\\' => {
                bytes.push(byte);
                at += 4;
            }
            _ => {
                bytes.push(field[at]);
                at += 1;
            }
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_with_spaces_are_seen() {
        assert_eq!(unescape(br"/srv/a\040b\134c\12"), b"/srv/a b\\c\\12");
    }
}
