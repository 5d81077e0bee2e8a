//! Count of refused sessions since the last boot: a file for each jail and reason in
//! `/run/jailctl/refused`, with one byte for each refusal. An append needs no lock, and the size is
//! the count.

use std::io::Write as _;
use std::path::Path;

use rustix::fs::{Mode, OFlags, mkdir, openat};
use rustix::io::Errno;

use crate::Error;
use crate::open_nofollow::open_dir;
use crate::shared_layout::{REFUSAL_SEPARATOR, RUN, RUN_MODE, RUN_REFUSED};

impl Error {
    /// The reason of a refused session in one word, for counters.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Refused(_) => "refused",
            Self::Unsupported(_) => "unsupported",
            Self::Busy(_) => "busy",
            Self::Damaged(_) => "damaged",
            Self::System { .. } | Self::Start { .. } => "system",
        }
    }
}

/// Counts a refused session of a jail. An error only makes the count too low.
pub fn count_refusal(jail: &str, reason: &str) {
    let _ = append(jail, reason);
}

fn append(jail: &str, reason: &str) -> Result<(), Error> {
    let directory = Path::new(RUN_REFUSED);
    for (path, mode) in [(Path::new(RUN), RUN_MODE), (directory, 0o700)] {
        match mkdir(path, Mode::from_raw_mode(mode)) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(errno) => return Err(Error::on("create", path, errno)),
        }
    }
    let failed = |errno| Error::on("count the refusal in", directory, errno);
    let opened = open_dir(None, directory).map_err(failed)?;
    let flags =
        OFlags::WRONLY | OFlags::APPEND | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let name = format!("{jail}{REFUSAL_SEPARATOR}{reason}");
    let file = openat(opened, name, flags, Mode::RUSR | Mode::WUSR).map_err(failed)?;
    std::fs::File::from(file)
        .write_all(b".")
        .map_err(Error::of_std("count the refusal"))
}
