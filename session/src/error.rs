//! Errors: a few kinds, each with the call that failed, its path, and the error of the kernel.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use rustix::io::Errno;

/// Error of this crate.
///
/// Displayed as one line in lower case without a full stop. Paths are escaped: a name chosen by a
/// jailed user cannot move the cursor of the terminal that shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// The request is refused: by this crate before any effect, by systemd, or by nft(8).
    Refused(String),
    /// The kernel or the configuration of the host does not support the request.
    Unsupported(String),
    /// Other processes did not end or release a lock in time. The request may be repeated.
    Busy(String),
    /// A file of jailctl is not as jailctl writes it.
    Damaged(String),
    /// A system call failed.
    System {
        /// Action that failed: completes "could not …".
        what: &'static str,
        /// Path of the call, if it has one.
        path: Option<PathBuf>,
        /// Error of the call.
        errno: Errno,
    },
    /// The process was set up, but execve(2) failed.
    Start {
        /// Path of the program in the jail.
        program: PathBuf,
        /// Error of execve(2).
        errno: Errno,
        /// Explanation that the errno does not contain, if there is one.
        hint: Option<String>,
    },
}

impl Error {
    pub(crate) fn on(what: &'static str, path: &Path, errno: Errno) -> Self {
        Self::System {
            what,
            path: Some(path.to_owned()),
            errno,
        }
    }

    /// For `map_err`: error of a call without a path.
    pub(crate) fn of(what: &'static str) -> impl Fn(Errno) -> Self {
        move |errno| Self::System {
            what,
            path: None,
            errno,
        }
    }

    /// For `map_err` on calls of std.
    pub(crate) fn of_std(what: &'static str) -> impl Fn(io::Error) -> Self {
        move |error| Self::of(what)(errno_of(&error))
    }

    /// Error number of the kernel, if a call failed.
    pub fn errno(&self) -> Option<Errno> {
        match self {
            Self::Refused(_) | Self::Unsupported(_) | Self::Busy(_) | Self::Damaged(_) => None,
            Self::System { errno, .. } | Self::Start { errno, .. } => Some(*errno),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(why) | Self::Unsupported(why) | Self::Busy(why) | Self::Damaged(why) => {
                f.write_str(why)
            }
            Self::System { what, path, errno } => {
                write!(f, "could not {what}")?;
                if let Some(path) = path {
                    write!(f, " `{}`", escaped(path))?;
                }
                write!(f, ": {}", errno_text(*errno))
            }
            Self::Start {
                program,
                errno,
                hint,
            } => {
                let (program, errno) = (escaped(program), errno_text(*errno));
                write!(f, "could not start `{program}` in the jail: {errno}")?;
                hint.iter().try_for_each(|hint| write!(f, " ({hint})"))
            }
        }
    }
}

impl std::error::Error for Error {}

/// std keeps the error number of the kernel; errors of std itself (a NUL in a path) are EINVAL.
pub(crate) fn errno_of(error: &io::Error) -> Errno {
    Errno::from_io_error(error).unwrap_or(Errno::INVAL)
}

/// The path without control or invisible characters.
pub(crate) fn escaped(path: &Path) -> String {
    path.to_string_lossy().escape_debug().to_string()
}

/// "no such file or directory" instead of "No such file or directory (os error 2)".
pub(crate) fn errno_text(errno: Errno) -> String {
    let full = io::Error::from(errno).to_string();
    let text = full.split(" (os error").next().unwrap_or(&full);
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| {
        first.to_lowercase().chain(letters).collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_one_plain_line() {
        let start = Error::Start {
            program: "/bin/\u{1b}[2Jx".into(),
            errno: Errno::NOENT,
            hint: None,
        };
        assert_eq!(
            start.to_string(),
            "could not start `/bin/\\u{1b}[2Jx` in the jail: no such file or directory"
        );
        let system = Error::on("mount on", Path::new("/mnt"), Errno::PERM);
        assert_eq!(
            system.to_string(),
            "could not mount on `/mnt`: operation not permitted"
        );
    }
}
