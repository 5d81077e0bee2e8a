//! The few system calls that neither std nor rustix offers, each behind a safe function.
//!
//! All are called between fork(2) and execve(2): they allocate nothing, lock nothing and call nothing that
//! signal-safety(7) does not list. `libc::syscall` adds nothing but `errno`.

use std::io;

use libc::{c_int, c_long, c_uint, c_ulong};
use rustix::io::Errno;

use crate::error::errno_of;

/// Marks every descriptor above 2 close-on-exec, whoever opened it and however: close_range(2), Linux 5.11.
///
/// Marked rather than closed, because std reports a failed execve(2) through a descriptor of its own.
pub(crate) fn close_all_on_exec() -> Result<(), Errno> {
    let (first, last): (c_uint, c_uint) = (3, c_uint::MAX);
    let flags: c_uint = libc::CLOSE_RANGE_CLOEXEC;
    // SAFETY: three integers. Nothing is closed before execve(2), so no descriptor that Rust owns becomes invalid.
    answer(unsafe { libc::syscall(libc::SYS_close_range, first, last, flags) }).map(drop)
}

/// Leaves the session keyring of whoever called us for a new, empty one: keyctl(2).
///
/// Whoever has a process of the session "possesses" the keys in its keyring, whatever his uid (keyrings(7)): an administrator's
/// would pass to the jailed program. Where the kernel has no keyrings, or a filter denies them to us, it has none to give.
pub(crate) fn own_keyring() -> Result<(), Errno> {
    const JOIN_SESSION_KEYRING: c_int = 1;
    let nameless: c_ulong = 0;
    // SAFETY: the name is a null pointer, which asks for an anonymous keyring.
    let joined = answer(unsafe { libc::syscall(libc::SYS_keyctl, JOIN_SESSION_KEYRING, nameless) });
    match joined {
        Ok(_) | Err(Errno::NOSYS | Errno::PERM) => Ok(()),
        Err(errno) => Err(errno),
    }
}

/// Whether the working directory can be reached from the root directory.
///
/// The kernel writes "(unreachable)" before the path where it cannot (getcwd(2)). glibc's getcwd(3) hides that and walks; so
/// the call itself. A path longer than PATH_MAX is an error.
pub(crate) fn cwd_is_below_root() -> Result<bool, Errno> {
    let mut path = [0_u8; libc::PATH_MAX as usize];
    // SAFETY: the kernel writes at most `path.len()` bytes into `path`, which outlives the call.
    answer(unsafe { libc::syscall(libc::SYS_getcwd, path.as_mut_ptr(), path.len()) })?;
    Ok(path[0] == b'/')
}

/// Every signal at its default disposition, none blocked.
///
/// Handlers end with execve(2), but an ignored or blocked signal stays so (signal(7)): a session under nohup(1) would never hang up.
pub(crate) fn default_signals() -> Result<(), Errno> {
    // The kernel's sigaction: a handler, flags, a restorer, a mask. All zero is SIG_DFL on every architecture.
    let default = [0_u64; 8];
    for signal in 1_i32..=64 {
        let mask_size = size_of::<u64>();
        // SAFETY: the kernel reads its structure, which is shorter, from `default` and writes nothing. SIG_DFL installs no code.
        // By the call itself, because signal(3) will not touch two signals of the C library's, which can be inherited as ignored too.
        let set = unsafe {
            libc::syscall(
                libc::SYS_rt_sigaction,
                signal,
                default.as_ptr(),
                std::ptr::null_mut::<u64>(),
                mask_size,
            )
        };
        match answer(set) {
            Ok(_) => {}
            Err(Errno::INVAL) if signal == libc::SIGKILL || signal == libc::SIGSTOP => {}
            Err(errno) => return Err(errno),
        }
    }
    let mut none = std::mem::MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: sigemptyset(3) initialises the set before sigprocmask(2) reads it; the old mask is not asked for. One thread is left
    // after fork(2), so the mask is the process's.
    let done = unsafe {
        libc::sigemptyset(none.as_mut_ptr());
        libc::sigprocmask(libc::SIG_SETMASK, none.as_ptr(), std::ptr::null_mut())
    };
    answer(c_long::from(done)).map(drop)
}

/// As the C library answers: minus one, and the reason in `errno`.
pub(crate) fn answer(returned: c_long) -> Result<c_long, Errno> {
    if returned == -1 {
        Err(errno_of(&io::Error::last_os_error()))
    } else {
        Ok(returned)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::private_mounts;

    #[test]
    fn a_directory_above_the_root_is_not_below_it() {
        if !rustix::process::geteuid().is_root() {
            return;
        }
        // The thread has a root and a working directory of its own.
        private_mounts(|| {
            rustix::process::chdir("/proc").unwrap();
            assert_eq!(cwd_is_below_root(), Ok(true));
            rustix::process::chroot("/proc/self").unwrap();
            assert_eq!(cwd_is_below_root(), Ok(false));
        })
        .unwrap();
    }
}
