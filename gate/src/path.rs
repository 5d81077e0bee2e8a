//! Paths of a request.

use crate::refusal::{Refusal, quoted};

/// Checks a path that a program gets as an argument of its own: it is no option, and below
/// `directory` if there is one, by its components. Relative paths are relative to it.
///
/// # Errors
/// A refusal.
pub(crate) fn argument(path: &[u8], directory: Option<&str>) -> Result<(), Refusal> {
    if path.starts_with(b"-") {
        return Err(Refusal::new(format!(
            "{} is an option that is not allowed here",
            quoted(path)
        )));
    }
    below(path, directory)
}

/// Checks that a path is below `directory`, if there is one.
///
/// # Errors
/// A refusal.
pub(crate) fn below(path: &[u8], directory: Option<&str>) -> Result<(), Refusal> {
    let Some(directory) = directory else {
        return Ok(());
    };
    let outside = || {
        Refusal::new(format!(
            "{} is outside of `{directory}`, the directory of this account",
            quoted(path)
        ))
    };
    if path.split(|byte| *byte == b'/').any(|part| part == b"..") {
        return Err(outside());
    }
    if !path.starts_with(b"/") {
        return Ok(());
    }
    let parts = |path| {
        let parts = <[u8]>::split(path, |byte| *byte == b'/');
        parts.filter(|part| !part.is_empty() && *part != b".")
    };
    let mut of_path = parts(path);
    if parts(directory.as_bytes()).all(|part| of_path.next() == Some(part)) {
        Ok(())
    } else {
        Err(outside())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_below_a_directory_are_told_by_their_components() {
        for path in ["/a/b", "/a/b/", "//a/./b//c", "x", "./x/y", "", "/a/b/..c"] {
            assert_eq!(below(path.as_bytes(), Some("/a/b")), Ok(()), "{path}");
        }
        for path in [
            "/",
            "/a",
            "/a/bc",
            "/a/b/../c",
            "..",
            "x/../..",
            "/a//c",
            "/../a/b",
        ] {
            assert!(below(path.as_bytes(), Some("/a/b")).is_err(), "{path}");
        }
        assert_eq!(below(b"/x/..", None), Ok(()));
        assert!(argument(b"--x", None).is_err());
    }
}
