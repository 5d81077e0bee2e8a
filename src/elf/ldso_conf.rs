//! ld.so.conf: directories that ldconfig(8) would search, for a host that has no ld.so.cache yet.
//!
//! glibc: `parse_conf` of elf/ldconfig.c. `include` takes glob(7) patterns, relative to the file
//! that contains the line.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::host::{HostView, glob};

/// Most bytes of one file.
const MAX_FILE_BYTES: u64 = 1 << 20;
/// Most files that are read, each counted as often as it is included.
const MAX_FILES: usize = 1000;
/// Most bytes of all files.
const MAX_BYTES: usize = 4 << 20;
/// Longest pattern in bytes, its zero byte included, as in path_resolution(7).
const MAX_PATTERN: usize = 4096;
/// Most paths that are compared with patterns; a long pattern counts more than once.
const MAX_MATCHES: usize = 16384;
/// Most directories that are named.
const MAX_DIRECTORIES: usize = 4096;

/// Directories of `/etc/ld.so.conf` and all files that it includes, in order, each once.
///
/// # Errors
///
/// [`ErrorKind::Failed`](crate::error::ErrorKind::Failed): a file could not be read, or the files
/// exceed one of the limits above.
pub(super) fn directories(view: &HostView) -> Result<Vec<PathBuf>> {
    const START: &str = "/etc/ld.so.conf";
    let mut reader = Reader {
        view,
        open: Vec::new(),
        files: MAX_FILES,
        bytes: MAX_BYTES,
        matches: MAX_MATCHES,
        seen: HashSet::new(),
        found: Vec::new(),
    };
    match reader.read(Path::new(START)) {
        Ok(()) => Ok(reader.found),
        Err(Stop::Error(error)) => Err(error),
        Err(Stop::TooMuch(why)) => {
            let shown = view.display_path(Path::new(START));
            let what = format!("could not follow `{}`", shown.display());
            Err(Error::failed(what).why(why))
        }
    }
}

/// Reason to stop reading.
enum Stop {
    Error(Error),
    TooMuch(String),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

fn too_much<T>(what: &str, limit: usize, of: &str) -> std::result::Result<T, Stop> {
    Err(Stop::TooMuch(format!("it {what} more than {limit} {of}")))
}

/// Directories found so far, and what remains of the limits.
struct Reader<'v> {
    view: &'v HostView,
    /// Files that include the current one.
    open: Vec<PathBuf>,
    files: usize,
    bytes: usize,
    matches: usize,
    seen: HashSet<PathBuf>,
    found: Vec<PathBuf>,
}

impl Reader<'_> {
    fn read(&mut self, path: &Path) -> std::result::Result<(), Stop> {
        if self.open.iter().any(|outer| outer == path) {
            return Ok(());
        }
        let Some(files) = self.files.checked_sub(1) else {
            return too_much("includes", MAX_FILES, "files");
        };
        self.files = files;
        let Some(text) = self.view.read(path, MAX_FILE_BYTES)? else {
            return Ok(());
        };
        let Some(bytes) = self.bytes.checked_sub(text.len()) else {
            return too_much("includes", MAX_BYTES, "bytes");
        };
        self.bytes = bytes;
        self.open.push(path.to_owned());
        for line in text.split(|byte| *byte == b'\n') {
            let line = line.split(|byte| *byte == b'#').next().unwrap_or(line);
            let line = line.trim_ascii();
            if let Some(patterns) = keyword(line, b"include") {
                for pattern in patterns
                    .split(u8::is_ascii_whitespace)
                    .filter(|pattern| !pattern.is_empty())
                {
                    let base = path.parent().unwrap_or(Path::new("/"));
                    for included in self.glob(&base.join(OsStr::from_bytes(pattern)))? {
                        self.read(&included)?;
                    }
                }
                continue;
            }
            if keyword(&line.to_ascii_lowercase(), b"hwcap").is_some() {
                continue;
            }
            // libc5's `directory=type`.
            let name = line.split(|byte| *byte == b'=').next().unwrap_or(line);
            let directory = PathBuf::from(OsStr::from_bytes(name.trim_ascii_end()));
            if directory.is_absolute() && self.seen.insert(directory.clone()) {
                self.found.push(directory);
            }
            if self.found.len() > MAX_DIRECTORIES {
                return too_much("names", MAX_DIRECTORIES, "directories");
            }
        }
        self.open.pop();
        Ok(())
    }

    /// Counts one comparison, whether it matches or not: a directory may be large and be listed
    /// repeatedly.
    fn count_match(&mut self, part: &[u8]) -> std::result::Result<(), Stop> {
        let cost = 1 + part.len() / 64;
        let Some(matches) = self.matches.checked_sub(cost) else {
            return too_much("has patterns for", MAX_MATCHES, "paths");
        };
        self.matches = matches;
        Ok(())
    }

    /// Paths that match a pattern, sorted. Every component may be a pattern.
    fn glob(&mut self, pattern: &Path) -> std::result::Result<Vec<PathBuf>, Stop> {
        let mut paths = vec![PathBuf::from("/")];
        if pattern.as_os_str().len() >= MAX_PATTERN {
            return Ok(Vec::new());
        }
        for part in pattern.iter().skip(1) {
            let part = part.as_bytes();
            let mut next = Vec::new();
            for path in paths {
                self.count_match(part)?;
                if !part.iter().any(|byte| matches!(byte, b'*' | b'?' | b'[')) {
                    next.push(path.join(OsStr::from_bytes(part)));
                    continue;
                }
                for name in self.view.list(&path)?.unwrap_or_default() {
                    self.count_match(part)?;
                    if glob::matches(part, name.as_bytes()) {
                        next.push(path.join(name));
                    }
                }
            }
            paths = next;
        }
        Ok(paths)
    }
}

fn keyword<'a>(line: &'a [u8], word: &[u8]) -> Option<&'a [u8]> {
    line.strip_prefix(word)
        .filter(|rest| rest.first().is_some_and(u8::is_ascii_whitespace))
}
