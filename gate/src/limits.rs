//! Limits on files for the started program: landlock(7).

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use jailctl_gate::launch::Limits;

use crate::syscalls::{EXECUTE, OF_FILES, READ, Ruleset, WRITE};

/// Directories of the jail that root owns, with programs and their data.
const SYSTEM: [&str; 3] = ["/usr", "/etc", "/opt"];
/// Directories with programs that a program itself starts, and with its loader.
const HELPERS: [&str; 6] = [
    "/usr/lib",
    "/usr/lib32",
    "/usr/lib64",
    "/usr/libexec",
    "/usr/local/lib",
    "/usr/local/libexec",
];
/// File systems of the kernel. Devices are written to as their modes permit.
const KERNEL: [&str; 3] = ["/dev", "/proc", "/sys"];
/// Flag of open(2) for a descriptor that only names a file.
const O_PATH: i32 = 0o10_000_000;

/// Limits the process to what `limits` permits, with the execution of `program`, of what it has
/// below `/usr/lib` and the like, and for a script of all below `/usr`: not of a shell for a command
/// in a repository's configuration. Without landlock(7) nothing changes.
pub(crate) fn apply(limits: &Limits, program: &str) -> io::Result<()> {
    let Some(rules) = Ruleset::new(EXECUTE | READ | WRITE)? else {
        return Ok(());
    };
    rules.allow(&open(program)?, EXECUTE | READ & OF_FILES)?;
    for (directories, allowed) in [(SYSTEM, READ), (KERNEL, READ | 1 << 1)] {
        for directory in directories {
            allow(&rules, Path::new(directory), allowed)?;
        }
    }
    let mut start = [0_u8; 2];
    let is_script = File::open(program)?.read_exact(&mut start).is_ok() && start == *b"#!";
    let programs: &[&str] = if is_script { &["/usr"] } else { &HELPERS };
    for directory in programs {
        allow(&rules, Path::new(directory), EXECUTE)?;
    }
    let writes = if limits.can_write { WRITE } else { 0 };
    match &limits.directory {
        Some(directory) => rules.allow(&open(directory)?, READ | writes)?,
        None => rules.allow(&open("/")?, READ | writes)?,
    }
    rules.apply()
}

/// Allows accesses below a directory, if the jail has it.
fn allow(rules: &Ruleset, directory: &Path, allowed: u64) -> io::Result<()> {
    match open(directory) {
        Ok(file) => rules.allow(&file, allowed),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

fn open(path: impl AsRef<Path>) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .custom_flags(O_PATH)
        .open(path)
}
