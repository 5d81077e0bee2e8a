//! Search paths of an object: the directories of `DT_RPATH` and `DT_RUNPATH`, with the dynamic
//! string tokens `$ORIGIN`, `$LIB` and `$PLATFORM` expanded.
//!
//! glibc: `_dl_dst_substitute` and `fillin_rpath` of elf/dl-load.c. musl: `fixup_rpath` of
//! ldso/dynlink.c.

use std::collections::HashSet;
use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

/// Values of the tokens.
#[derive(Clone, Copy, Debug)]
pub struct Tokens<'a> {
    /// Value of `$ORIGIN`: the directory of the object.
    pub origin: &'a Path,
    /// Value of `$LIB`.
    pub lib: Option<&'a str>,
    /// Value of `$PLATFORM`.
    pub platform: Option<&'a str>,
}

/// Expands the tokens of a text. `None` if one of them has no value: glibc then discards the
/// element.
pub fn expand(text: &[u8], tokens: &Tokens<'_>) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.iter().position(|byte| *byte == b'$') {
        out.extend(&rest[..at]);
        rest = &rest[at + 1..];
        let origin = tokens.origin.as_os_str().as_bytes();
        let known = [
            ("ORIGIN", Some(origin)),
            ("PLATFORM", tokens.platform.map(str::as_bytes)),
            ("LIB", tokens.lib.map(str::as_bytes)),
        ];
        let found = known
            .into_iter()
            .find_map(|(name, value)| Some((token_length(rest, name)?, value)));
        match found {
            Some((length, value)) => {
                out.extend(value?);
                rest = &rest[length..];
            }
            None => out.push(b'$'),
        }
    }
    out.extend(rest);
    Some(out)
}

/// Whether a text contains `$ORIGIN`.
pub fn has_origin(text: &[u8]) -> bool {
    let mut tokens = text.split(|byte| *byte == b'$').skip(1);
    tokens.any(|rest| token_length(rest, "ORIGIN").is_some())
}

/// Length of the token `name` at the start of `text`, its braces included.
fn token_length(text: &[u8], name: &str) -> Option<usize> {
    let (braced, inner) = match text.strip_prefix(b"{") {
        Some(inner) => (true, inner),
        None => (false, text),
    };
    let after = inner.strip_prefix(name.as_bytes())?;
    match (braced, after.first()) {
        (true, Some(b'}')) => Some(name.len() + 2),
        (true, _) => None,
        (false, Some(next)) if next.is_ascii_alphanumeric() || *next == b'_' => None,
        (false, _) => Some(name.len()),
    }
}

/// Directories of a search path by glibc's rules: separated by colons, tokens expanded, each once.
///
/// Elements that are empty or relative mean the working directory of the process. It is not known
/// in advance, and in a jail the user chooses it: such elements are left out, and the second value
/// is true if there were any.
pub fn glibc_directories(path: &[u8], tokens: &Tokens<'_>) -> (Vec<PathBuf>, bool) {
    let mut directories: Vec<PathBuf> = Vec::new();
    let mut seen = HashSet::new();
    let mut relative = false;
    if path.is_empty() {
        return (directories, relative);
    }
    for element in path.split(|byte| *byte == b':') {
        let Some(expanded) = expand(element, tokens) else {
            continue;
        };
        if expanded.is_empty() && !element.is_empty() {
            continue;
        }
        if expanded.first() != Some(&b'/') {
            relative = true;
            continue;
        }
        let mut directory = expanded;
        while directory.len() > 1 && directory.ends_with(b"/") {
            directory.pop();
        }
        if seen.insert(directory.clone()) {
            directories.push(PathBuf::from(OsString::from_vec(directory)));
        }
    }
    (directories, relative)
}

/// Search path with tokens expanded by musl's rules. `None` if it contains a token other than
/// `$ORIGIN`, for then musl ignores the whole path.
pub fn musl_path(path: &[u8], origin: &Path) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(path.len());
    let mut rest = path;
    while let Some(at) = rest.iter().position(|byte| *byte == b'$') {
        out.extend(&rest[..at]);
        out.extend(origin.as_os_str().as_bytes());
        rest = &rest[at..];
        rest = rest
            .strip_prefix(b"$ORIGIN")
            .or_else(|| rest.strip_prefix(b"${ORIGIN}"))?;
    }
    out.extend(rest);
    Some(out)
}

/// Absolute directories of a search path by musl's rules: separated by colons or newlines, empty
/// elements skipped, each once. The second value is true if there were relative elements.
pub fn musl_directories(path: &[u8]) -> (Vec<PathBuf>, bool) {
    let mut relative = false;
    let mut seen = HashSet::new();
    let directories = path
        .split(|byte| matches!(byte, b':' | b'\n'))
        .filter(|element| !element.is_empty() && seen.insert(*element))
        .map(|element| PathBuf::from(OsString::from_vec(element.to_vec())))
        .filter(|directory| {
            relative |= directory.is_relative();
            directory.is_absolute()
        })
        .collect();
    (directories, relative)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn glibc(path: &str) -> Vec<String> {
        let tokens = Tokens {
            origin: Path::new("/o"),
            lib: Some("lib64"),
            platform: None,
        };
        let (directories, _) = glibc_directories(path.as_bytes(), &tokens);
        directories
            .iter()
            .map(|path| path.display().to_string())
            .collect()
    }

    #[test]
    fn tokens_are_put_in_with_and_without_braces() {
        assert_eq!(
            glibc("$ORIGIN/../$LIB:${ORIGIN}x:/a$LIB"),
            ["/o/../lib64", "/ox", "/alib64"]
        );
        assert_eq!(
            glibc("/$ORIGINAL:/${ORIGIN:/$UNKNOWN"),
            ["/$ORIGINAL", "/${ORIGIN", "/$UNKNOWN"]
        );
        assert_eq!(glibc("/x/$PLATFORM:/y"), ["/y"]);
        assert_eq!(glibc("/a/:/a:/a//"), ["/a"]);
        assert_eq!(glibc(":lib:/a:"), ["/a"]);
    }

    #[test]
    fn musl_knows_the_origin_only() {
        assert_eq!(
            musl_path(b"$ORIGIN/a:${ORIGIN}", Path::new("/o")).as_deref(),
            Some(b"/o/a:/o".as_slice())
        );
        assert_eq!(musl_path(b"$LIB/a", Path::new("/o")), None);
    }
}
