//! System calls that neither std nor rustix offers, each as a safe function.
//!
//! Those that are called between fork(2) and execve(2) allocate nothing, lock nothing and call
//! nothing that signal-safety(7) does not list. `libc::syscall` adds nothing but `errno`.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use libc::{c_int, c_long, c_uint, c_ulong};
use rustix::io::{Errno, retry_on_intr};
use rustix::mount::MountAttrFlags;
use rustix::process::{Pid, WaitOptions, waitpid};
use rustix::thread::{UnshareFlags, unshare_unsafe};

use crate::error::errno_of;

/// Marks every descriptor above 2 close-on-exec, however it was opened: close_range(2), Linux 5.11.
///
/// Marked rather than closed, because std reports a failed execve(2) through a descriptor of its
/// own.
pub(crate) fn close_all_on_exec() -> Result<(), Errno> {
    let (first, last): (c_uint, c_uint) = (3, c_uint::MAX);
    let flags: c_uint = libc::CLOSE_RANGE_CLOEXEC;
    // SAFETY: three integers. Nothing is closed before execve(2), so no descriptor that Rust owns
    // becomes invalid.
    check(unsafe { libc::syscall(libc::SYS_close_range, first, last, flags) }).map(drop)
}

/// Waits for the end of a forked child whose exit status is 0 or an errno, and returns that errno.
/// `ECHILD` stands for an end by a signal.
pub(crate) fn wait_for_child(pid: libc::pid_t) -> Result<(), Errno> {
    let ended = retry_on_intr(|| waitpid(Pid::from_raw(pid), WaitOptions::empty()))?;
    match ended.and_then(|(_, status)| status.exit_status()) {
        Some(0) => Ok(()),
        code => Err(Errno::from_raw_os_error(code.unwrap_or(libc::ECHILD))),
    }
}

/// Replaces the inherited session keyring by a new, empty one: keyctl(2).
///
/// A process in a session "possesses" the keys of its keyring, whatever its uid (keyrings(7)):
/// those of an administrator would pass to the jailed program. Where the kernel has no keyrings, or
/// a filter denies them, there is none to inherit.
pub(crate) fn new_session_keyring() -> Result<(), Errno> {
    const JOIN_SESSION_KEYRING: c_int = 1;
    let nameless: c_ulong = 0;
    // SAFETY: the name is a null pointer, which means an anonymous keyring.
    let joined = check(unsafe { libc::syscall(libc::SYS_keyctl, JOIN_SESSION_KEYRING, nameless) });
    match joined {
        Ok(_) | Err(Errno::NOSYS | Errno::PERM) => Ok(()),
        Err(errno) => Err(errno),
    }
}

/// Keeps the calling process and its children from connecting to abstract sockets of other
/// processes, where the kernel can: landlock(7), from Linux 6.12 on.
///
/// All processes of a network namespace share the names of abstract sockets, so in that of the host
/// they connect sessions. Needs no_new_privs or CAP_SYS_ADMIN.
pub(crate) fn landlock_scope() -> Result<(), Errno> {
    const VERSION: c_uint = 1;
    const FIRST_WITH_SCOPES: c_long = 6;
    const ABSTRACT_UNIX_SOCKET: u64 = 1;
    let none = std::ptr::null::<u64>();
    // SAFETY: queries a version, without a structure.
    let version =
        check(unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, none, 0_usize, VERSION) });
    match version {
        Ok(version) if version >= FIRST_WITH_SCOPES => {}
        Ok(_) | Err(Errno::NOSYS | Errno::OPNOTSUPP) => return Ok(()),
        Err(errno) => return Err(errno),
    }
    // Handled accesses to files and to the network, and the scopes.
    let attributes = [0, 0, ABSTRACT_UNIX_SOCKET];
    let nothing: c_uint = 0;
    // SAFETY: the kernel reads three words from `attributes`, which outlive the call.
    let ruleset = check(unsafe {
        libc::syscall(
            libc::SYS_landlock_create_ruleset,
            attributes.as_ptr(),
            size_of_val(&attributes),
            nothing,
        )
    })?;
    let ruleset = RawFd::try_from(ruleset).map_err(|_| Errno::BADF)?;
    // SAFETY: the kernel has just returned it, and no other value owns it.
    let ruleset = unsafe { OwnedFd::from_raw_fd(ruleset) };
    // SAFETY: a descriptor that is open during the call, and no flags.
    check(unsafe {
        libc::syscall(
            libc::SYS_landlock_restrict_self,
            ruleset.as_raw_fd(),
            nothing,
        )
    })
    .map(drop)
}

/// Installs `program` as a filter for the system calls of the calling thread and its children:
/// seccomp(2). Needs no_new_privs or CAP_SYS_ADMIN.
pub(crate) fn filter_system_calls(program: &[libc::sock_filter]) -> Result<(), Errno> {
    let nothing: c_uint = 0;
    let program = libc::sock_fprog {
        len: u16::try_from(program.len()).map_err(|_| Errno::TOOBIG)?,
        filter: program.as_ptr().cast_mut(),
    };
    // SAFETY: the kernel copies `len` instructions from `filter`, which outlive the call, and
    // writes nothing.
    check(unsafe {
        libc::syscall(
            libc::SYS_seccomp,
            libc::SECCOMP_SET_MODE_FILTER,
            nothing,
            &raw const program,
        )
    })
    .map(drop)
}

/// Whether the working directory is below the root directory.
///
/// Otherwise the kernel returns a path that begins with "(unreachable)" (getcwd(2)). getcwd(3) of
/// glibc hides that and walks, so this makes the system call itself. A path longer than PATH_MAX is
/// an error.
pub(crate) fn cwd_is_below_root() -> Result<bool, Errno> {
    let mut path = [0_u8; libc::PATH_MAX as usize];
    // SAFETY: the kernel writes at most `path.len()` bytes into `path`, which outlives the call.
    check(unsafe { libc::syscall(libc::SYS_getcwd, path.as_mut_ptr(), path.len()) })?;
    Ok(path[0] == b'/')
}

/// Sets every signal to its default disposition, and blocks none.
///
/// Handlers end with execve(2), but an ignored or blocked signal stays so (signal(7)): a session
/// under nohup(1) would never hang up.
pub(crate) fn default_signals() -> Result<(), Errno> {
    // The kernel's sigaction: handler, flags, restorer, mask. Zero is SIG_DFL on every
    // architecture.
    let default = [0_u64; 8];
    for signal in 1_i32..=64 {
        let mask_size = size_of::<u64>();
        // SAFETY: the kernel reads its structure, which is shorter, from `default` and writes
        // nothing. SIG_DFL installs no code. By the system call, because signal(3) refuses two
        // signals of the C library, which can be inherited as ignored too.
        let set = unsafe {
            libc::syscall(
                libc::SYS_rt_sigaction,
                signal,
                default.as_ptr(),
                std::ptr::null_mut::<u64>(),
                mask_size,
            )
        };
        match check(set) {
            Ok(_) => {}
            Err(Errno::INVAL) if signal == libc::SIGKILL || signal == libc::SIGSTOP => {}
            Err(errno) => return Err(errno),
        }
    }
    let mut none = std::mem::MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: sigemptyset(3) initialises the set before sigprocmask(2) reads it; the old mask is
    // not requested. One thread is left after fork(2), so the mask is that of the process.
    let done = unsafe {
        libc::sigemptyset(none.as_mut_ptr());
        libc::sigprocmask(libc::SIG_SETMASK, none.as_ptr(), std::ptr::null_mut())
    };
    check(c_long::from(done)).map(drop)
}

/// Adds `attributes` to a detached mount and all mounts below it: mount_setattr(2), Linux 5.12.
pub(crate) fn restrict_mounts(
    tree: BorrowedFd<'_>,
    attributes: MountAttrFlags,
) -> Result<(), Errno> {
    // struct mount_attr of mount_setattr(2): attributes to set, attributes to clear, propagation,
    // user namespace.
    let attributes = [u64::from(attributes.bits()), 0, 0, 0];
    let flags = libc::AT_EMPTY_PATH | libc::AT_RECURSIVE;
    // SAFETY: the kernel reads an empty path and `attributes`, whose size is an argument, and
    // writes nothing.
    check(unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            tree.as_raw_fd(),
            c"".as_ptr(),
            flags,
            attributes.as_ptr(),
            size_of_val(&attributes),
        )
    })
    .map(drop)
}

/// Brings up the loopback of a new network namespace: netdevice(7).
pub(crate) fn loopback_up() -> Result<(), Errno> {
    // SAFETY: three integers.
    let socket = unsafe { libc::socket(libc::AF_INET, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0) };
    check(c_long::from(socket))?;
    // SAFETY: the descriptor is new, and no other value owns it.
    let socket = unsafe { OwnedFd::from_raw_fd(socket) };
    // SAFETY: zero is valid for a request: a name of no length, and a union of integers.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(c"lo".to_bytes()) {
        *to = from.cast_signed();
    }
    let up = libc::IFF_UP | libc::IFF_RUNNING;
    request.ifr_ifru.ifru_flags = i16::try_from(up).unwrap_or(0);
    // SAFETY: SIOCSIFFLAGS reads an ifreq, which outlives the call.
    let done = unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS, &raw const request) };
    check(c_long::from(done)).map(drop)
}

/// Moves the caller into new namespaces, if it is the only thread of its process: unshare(2).
///
/// Another thread would stay in the old ones.
pub(crate) fn unshare_all(flags: UnshareFlags) -> Result<(), Errno> {
    let single_thread = UnshareFlags::from_bits_retain(libc::CLONE_THREAD.cast_unsigned());
    // SAFETY: CLONE_FILES, with which a descriptor can mean different files in two threads, is not
    // among the flags, and there is one thread: the kernel refuses CLONE_THREAD otherwise.
    unsafe { unshare_unsafe(flags | single_thread) }
}

/// Closes every descriptor from 0 on that is not in `keep`, which is sorted: close_range(2).
///
/// # Safety
/// The caller no longer uses the closed descriptors, and drops no value that owns one.
pub(crate) unsafe fn close_fds_except(keep: &[RawFd]) -> Result<(), Errno> {
    let close = |first: c_uint, last: c_uint| {
        if first > last {
            return Ok(());
        }
        // SAFETY: three integers; the caller guarantees that the descriptors are not used.
        check(unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) }).map(drop)
    };
    let mut first: c_uint = 0;
    for fd in keep {
        let fd = fd.cast_unsigned();
        if fd > first {
            close(first, fd - 1)?;
        }
        first = fd + 1;
    }
    close(first, c_uint::MAX)
}

/// Kills all other processes of the caller's pid namespace, if the caller is its pid 1.
///
/// The kernel does so as well after the end of pid 1; this is for callers that wait for it before.
pub(crate) fn kill_pid_namespace() {
    if rustix::process::getpid() == rustix::process::Pid::INIT {
        // SAFETY: two integers. -1 means all processes that the caller can see, except itself:
        // kill(2). There may be none.
        unsafe { libc::kill(-1, libc::SIGKILL) };
    }
}

/// Sends SIGKILL to every process that the caller may signal, except itself and pid 1 of its pid
/// namespace: kill(2) with the pid -1.
///
/// The caller has dropped every capability: with CAP_KILL this kills the host.
pub(crate) fn kill_all_reached() -> Result<(), Errno> {
    // SAFETY: two integers.
    check(c_long::from(unsafe { libc::kill(-1, libc::SIGKILL) })).map(drop)
}

/// Lets the kernel reap the children: SIGCHLD is ignored (wait(2)).
pub(crate) fn ignore_children() -> Result<(), Errno> {
    // SAFETY: SIG_IGN installs no code.
    let before = unsafe { libc::signal(libc::SIGCHLD, libc::SIG_IGN) };
    if before == libc::SIG_ERR {
        return Err(errno_of(&io::Error::last_os_error()));
    }
    Ok(())
}

/// Result of a call of the C library: -1 means an error, with its number in `errno`.
pub(crate) fn check(returned: c_long) -> Result<c_long, Errno> {
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
    #[ignore = "needs root; `tests/run` runs it"]
    fn a_directory_above_the_root_is_not_below_it() {
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
