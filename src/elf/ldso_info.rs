//! What the bytes of a glibc loader tell about how it was built: which directories it searches, and which version of glibc it is of.

use std::ffi::OsStr;
use std::fs::File;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use memchr::{memmem, memrchr};

/// Most bytes of a loader that are looked at.
const MAX_BYTES: u64 = 4 << 20;

/// Most directories that a run of strings may name. Real ones are at most eight.
const MAX_DIRECTORIES: usize = 64;

/// What a loader tells.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct LdsoInfo {
    /// The version of glibc; 0.0 for one that is too old to tell.
    pub(super) version: Option<(u32, u32)>,
    /// The built-in directories, in order, without the slash at their end.
    pub(super) directories: Vec<PathBuf>,
}

/// Whether a file of this name is a loader of glibc's nearly always, so that what it tells is worth having when it is read.
pub(super) fn has_ldso_name(name: &OsStr) -> bool {
    let name = name.as_bytes();
    name.starts_with(b"ld")
        && !name.starts_with(b"ld-musl-")
        && name.windows(4).any(|part| part == b".so.")
}

/// Reads it out of a loader.
pub(super) fn read(file: &File, size: u64) -> Option<LdsoInfo> {
    let mut bytes = vec![0; usize::try_from(size.min(MAX_BYTES)).ok()?];
    file.read_exact_at(&mut bytes, 0).ok()?;
    Some(inspect(&bytes))
}

/// The version out of the text of `--version` (from glibc 2.33, so without it the loader is older), and `system_dirs` of elf/dl-load.c, which
/// is the one run of strings in a loader that begin and end with a slash.
fn inspect(bytes: &[u8]) -> LdsoInfo {
    let mut info = LdsoInfo {
        version: Some((0, 0)),
        directories: Vec::new(),
    };
    let mut run: Vec<PathBuf> = Vec::new();
    // Where the string after the last one of the run begins.
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

/// The version in the text that `--version` begins with: `ld.so (Debian GLIBC 2.36-9) stable release version 2.36.`
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
