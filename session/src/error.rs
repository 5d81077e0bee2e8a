//! What can go wrong here: few kinds, each with what was tried, on what, and the kernel's answer.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use rustix::io::Errno;

/// Why a process could not be put in its place.
///
/// Displayed as one line in lower case without a full stop. Paths are shown escaped: a name chosen by a
/// jailed user cannot move the cursor of the terminal that shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// What was asked for is never done; nothing has happened.
    Refused(String),
    /// A system call failed.
    System {
        /// What was tried: completes the sentence "could not …".
        what: &'static str,
        /// On which path, where there is one.
        path: Option<PathBuf>,
        /// The kernel's answer.
        errno: Errno,
    },
    /// Everything was in place, but the program could not be started.
    Start {
        /// The program's path inside the jail.
        program: PathBuf,
        /// The kernel's answer.
        errno: Errno,
        /// What the kernel's answer leaves out, as far as it could be found.
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

    /// For `map_err`: the failure of a call that has no path.
    pub(crate) fn of(what: &'static str) -> impl Fn(Errno) -> Self {
        move |errno| Self::System {
            what,
            path: None,
            errno,
        }
    }

    /// For `map_err` on what std does for us.
    pub(crate) fn of_std(what: &'static str) -> impl Fn(io::Error) -> Self {
        move |error| Self::of(what)(errno_of(&error))
    }

    /// The kernel's answer, where there was one.
    pub fn errno(&self) -> Option<Errno> {
        match self {
            Self::Refused(_) => None,
            Self::System { errno, .. } | Self::Start { errno, .. } => Some(*errno),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(why) => f.write_str(why),
            Self::System { what, path, errno } => {
                write!(f, "could not {what}")?;
                if let Some(path) = path {
                    write!(f, " `{}`", shown(path))?;
                }
                write!(f, ": {}", words(*errno))
            }
            Self::Start {
                program,
                errno,
                hint,
            } => {
                let (program, errno) = (shown(program), words(*errno));
                write!(f, "could not start `{program}` in the jail: {errno}")?;
                hint.iter().try_for_each(|hint| write!(f, " ({hint})"))
            }
        }
    }
}

impl std::error::Error for Error {}

/// std keeps the kernel's number for whatever the kernel refused; what std itself refuses (a NUL in a path) is EINVAL.
pub(crate) fn errno_of(error: &io::Error) -> Errno {
    Errno::from_io_error(error).unwrap_or(Errno::INVAL)
}

/// The path without control or invisible characters.
pub(crate) fn shown(path: &Path) -> String {
    path.to_string_lossy().escape_debug().to_string()
}

/// "no such file or directory" rather than "No such file or directory (os error 2)".
pub(crate) fn words(errno: Errno) -> String {
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
