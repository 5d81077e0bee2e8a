//! System calls that std does not offer, each as a safe function.
#![expect(unsafe_code, reason = "calls of the C library")]

use std::ffi::{c_int, c_long, c_ulong};
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

unsafe extern "C" {
    safe fn getuid() -> u32;
    #[link_name = "umask"]
    safe fn set_umask(mask: u32) -> u32;
    fn prctl(option: c_int, ...) -> c_int;
    fn syscall(number: c_long, ...) -> c_long;
}

/// Numbers that all architectures share: landlock(7).
const CREATE_RULESET: c_long = 444;
const ADD_RULE: c_long = 445;
const RESTRICT_SELF: c_long = 446;

/// Accesses of landlock(7) to files: those of a directory and below, of version 2.
pub(crate) const EXECUTE: u64 = 1;
pub(crate) const READ: u64 = 1 << 2 | 1 << 3;
pub(crate) const WRITE: u64 = 1 << 1 | ((1 << 14) - 1) & !((1 << 4) - 1);
/// Accesses that rules for files other than directories may have.
pub(crate) const OF_FILES: u64 = 1 | 1 << 1 | 1 << 2;

/// The real user id of the process.
pub(crate) fn user_id() -> u32 {
    getuid()
}

/// Sets the file mode creation mask.
pub(crate) fn umask(mask: u32) {
    set_umask(mask);
}

/// Rules for landlock(7) under construction.
pub(crate) struct Ruleset(OwnedFd);

impl Ruleset {
    /// A ruleset that denies `handled`. `None` if the kernel lacks version 2, without which files
    /// could not be renamed between directories.
    pub(crate) fn new(handled: u64) -> io::Result<Option<Self>> {
        const VERSION: c_ulong = 1;
        let none = std::ptr::null::<u64>();
        // SAFETY: queries a version, without a structure.
        let version = unsafe { syscall(CREATE_RULESET, none, 0_usize, VERSION) };
        if version < 2 {
            return Ok(None);
        }
        let attributes = [handled];
        let nothing: c_ulong = 0;
        // SAFETY: the kernel reads one word from `attributes`, which outlives the call.
        let ruleset = unsafe {
            syscall(
                CREATE_RULESET,
                attributes.as_ptr(),
                size_of_val(&attributes),
                nothing,
            )
        };
        let ruleset = RawFd::try_from(checked(ruleset)?).map_err(io::Error::other)?;
        // SAFETY: the kernel has just returned it, and no other value owns it.
        Ok(Some(Self(unsafe { OwnedFd::from_raw_fd(ruleset) })))
    }

    /// Allows `allowed` for an open file or directory, and below it.
    pub(crate) fn allow(&self, file: &File, allowed: u64) -> io::Result<()> {
        /// struct landlock_path_beneath_attr.
        #[repr(C, packed)]
        struct PathBeneath {
            allowed: u64,
            parent: i32,
        }
        const PATH_BENEATH: c_ulong = 1;
        let rule = PathBeneath {
            allowed,
            parent: file.as_raw_fd(),
        };
        let nothing: c_ulong = 0;
        // SAFETY: the kernel reads the structure, which outlives the call.
        let added = unsafe {
            syscall(
                ADD_RULE,
                c_long::from(self.0.as_raw_fd()),
                PATH_BENEATH,
                &raw const rule,
                nothing,
            )
        };
        checked(added).map(drop)
    }

    /// Applies the rules to the process and what it starts. It gains no privilege after that.
    pub(crate) fn apply(self) -> io::Result<()> {
        const SET_NO_NEW_PRIVS: c_int = 38;
        let (yes, nothing): (c_ulong, c_ulong) = (1, 0);
        // SAFETY: integers.
        let set = unsafe { prctl(SET_NO_NEW_PRIVS, yes, nothing, nothing, nothing) };
        checked(c_long::from(set))?;
        // SAFETY: a descriptor that is open during the call, and no flags.
        let applied = unsafe { syscall(RESTRICT_SELF, c_long::from(self.0.as_raw_fd()), nothing) };
        checked(applied).map(drop)
    }
}

/// Result of a call of the C library: -1 means an error, with its number in `errno`.
fn checked(returned: c_long) -> io::Result<c_long> {
    if returned == -1 {
        Err(io::Error::last_os_error())
    } else {
        Ok(returned)
    }
}
