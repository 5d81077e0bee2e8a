//! Constants that a glibc loader was built with, extracted from its bytes: its directories and its
//! version.

use std::ffi::OsStr;
use std::fs::File;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use memchr::{memmem, memrchr};

/// Most bytes of a loader that are read.
const MAX_BYTES: u64 = 4 << 20;

/// Most directories that a run of strings may name. Real runs have at most eight.
const MAX_DIRECTORIES: usize = 64;

/// Constants that a loader was built with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct LdsoInfo {
    /// Version of glibc; 0.0 if it is too old to contain one.
    pub(super) version: Option<(u32, u32)>,
    /// Built-in directories, in order, without the slash at the end.
    pub(super) directories: Vec<PathBuf>,
}

/// Whether a file name is nearly always that of a glibc loader, so that its constants are extracted
/// when it is read.
pub(super) fn has_ldso_name(name: &OsStr) -> bool {
    let name = name.as_bytes();
    name.starts_with(b"ld")
        && !name.starts_with(b"ld-musl-")
        && name.windows(4).any(|part| part == b".so.")
}

/// Extracts the constants from a loader.
pub(super) fn read(file: &File, size: u64) -> Option<LdsoInfo> {
    let mut bytes = vec![0; usize::try_from(size.min(MAX_BYTES)).ok()?];
    file.read_exact_at(&mut bytes, 0).ok()?;
    Some(inspect(&bytes))
}

/// Extracts the version from the text of `--version` (from glibc 2.33; a loader without it is
/// older), and the directories from `system_dirs` of elf/dl-load.c, the only run of strings in a
/// loader that begin and end with a slash.
fn inspect(bytes: &[u8]) -> LdsoInfo {
    let mut info = LdsoInfo {
        version: Some((0, 0)),
        directories: Vec::new(),
    };
    let mut run: Vec<PathBuf> = Vec::new();
    // Offset of the string after the last one of the run.
    let mut next = 0;
    for at in memmem::find_iter(bytes, b"/\0") {
        let start = memrchr(0, &bytes[..at]).map_or(0, |before| before + 1);
        let text = &bytes[start..at];
        if text.len() < 2 || text[0] != b'/' || !text.iter().all(u8::is_ascii_graphic) {
            continue;
        }
        if start != next {
            run.clear();
        }
        next = at + 2;
        if run.len() == MAX_DIRECTORIES {
            continue;
        }
        run.push(PathBuf::from(OsStr::from_bytes(text)));
        if run.len() > info.directories.len() {
            info.directories.clone_from(&run);
        }
    }
    for at in memmem::find_iter(bytes, b"\0ld.so ") {
        info.version = parse_version(&bytes[at + 1..]).or(info.version);
    }
    info
}

/// Version in the first line of `--version`: `ld.so (Debian GLIBC 2.36-9) stable release version
/// 2.36.`
fn parse_version(text: &[u8]) -> Option<(u32, u32)> {
    const RELEASE: &[u8] = b" release version ";
    if !text.starts_with(b"ld.so ") {
        return None;
    }
    let text = text.split(|byte| *byte == 0).next()?;
    let mut windows = text.windows(RELEASE.len());
    let at = windows.position(|window| window == RELEASE)?;
    let number = |text: &[u8]| std::str::from_utf8(text).ok()?.parse::<u32>().ok();
    let mut parts = text[at + RELEASE.len()..].split(|byte| !byte.is_ascii_digit());
    Some((number(parts.next()?)?, number(parts.next()?)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loader_tells_its_directories_and_version() {
        let bytes = b"\x7fELF\0/x\0/lib/x86_64-linux-gnu/\0/usr/lib/x86_64-linux-gnu/\0/lib/\0/usr/lib/\0\0/y/\0ld.so (Debian GLIBC 2.36-9) stable release version 2.36.\nCopyright\0";
        let info = inspect(bytes);
        assert_eq!(info.version, Some((2, 36)));
        assert_eq!(
            info.directories,
            [
                "/lib/x86_64-linux-gnu",
                "/usr/lib/x86_64-linux-gnu",
                "/lib",
                "/usr/lib"
            ]
            .map(PathBuf::from)
        );
        assert_eq!(inspect(b"").version, Some((0, 0)));
    }
}
