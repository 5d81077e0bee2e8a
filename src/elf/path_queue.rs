//! Remaining components of a path that is being resolved: those of the path itself, and before them
//! those of each link that was followed.

use std::borrow::Cow;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Components that remain to be resolved.
#[derive(Debug)]
pub(super) struct PathQueue<'p>(Vec<Cow<'p, [u8]>>);

impl<'p> PathQueue<'p> {
    /// Creates a queue of all components of a path.
    pub(super) fn new(path: &'p Path) -> Self {
        Self(vec![Cow::Borrowed(path.as_os_str().as_bytes())])
    }

    /// Inserts the text of a link before the remaining components.
    pub(super) fn push(&mut self, target: &Path) {
        self.0
            .push(Cow::Owned(target.as_os_str().as_bytes().to_vec()));
    }
}

impl<'p> Iterator for PathQueue<'p> {
    type Item = Cow<'p, [u8]>;

    /// Removes the next component. `.` and empty ones are skipped.
    fn next(&mut self) -> Option<Cow<'p, [u8]>> {
        while let Some(path) = self.0.last_mut() {
            let start = path.iter().position(|byte| *byte != b'/');
            let Some(start) = start else {
                self.0.pop();
                continue;
            };
            let length = path[start..].iter().position(|byte| *byte == b'/');
            let end = length.map_or(path.len(), |length| start + length);
            let part = match path {
                Cow::Borrowed(bytes) => {
                    let part = Cow::Borrowed(&bytes[start..end]);
                    *bytes = &bytes[end..];
                    part
                }
                Cow::Owned(bytes) => {
                    let rest = bytes.split_off(end);
                    let mut part = std::mem::replace(bytes, rest);
                    part.drain(..start);
                    Cow::Owned(part)
                }
            };
            if part.as_ref() != b"." {
                return Some(part);
            }
        }
        None
    }
}

/// Whether a path ends in a slash or a dot, and so must resolve to a directory.
pub(super) fn ends_in_directory(path: &Path) -> bool {
    let bytes = path.as_os_str().as_bytes();
    bytes.ends_with(b"/") || bytes.ends_with(b"/.")
}
