//! Restricting a session to the system calls of ordinary programs: a seccomp filter, seccomp(2), on
//! the calling process and its children.
//!
//! Capabilities and namespaces limit what a session may do; the filter limits how much of the
//! kernel it can reach. It refuses what container engines refuse, and what has no namespaces:
//! keyrings(7), vsock(7). It applies to sshd's process of the connection too, which is why
//! chroot(2), changes of ids and terminals are allowed: they need a capability that only that
//! process has.
//!
//! - [`calls`]: the deny list, as data. [`mod@program`]: the list as BPF.

mod calls;
mod program;

use rustix::io::Errno;

use self::calls::Column;
use self::program::{Abi, program};
use crate::{Error, syscalls};

/// ABIs of the architecture of this build, with their numbers of `linux/audit.h`. Empty where the
/// deny list has no column for it.
const ABIS: &[Abi] = if cfg!(target_arch = "x86_64") {
    &[
        Abi {
            arch: 0xc000_003e,
            column: Column::X86_64,
        },
        Abi {
            arch: 0x4000_0003,
            column: Column::I386,
        },
    ]
} else if cfg!(all(target_arch = "aarch64", target_endian = "little")) {
    &[
        Abi {
            arch: 0xc000_00b7,
            column: Column::Generic,
        },
        Abi {
            arch: 0x4000_0028,
            column: Column::Arm,
        },
    ]
} else if cfg!(target_arch = "riscv64") {
    &[Abi {
        arch: 0xc000_00f3,
        column: Column::Generic,
    }]
} else {
    &[]
};

/// Installs the filter. It cannot be removed; a later one can only refuse more.
///
/// The calling process has one thread, and no_new_privs or the capabilities of root.
///
/// # Errors
/// [`Error::Unsupported`] on a kernel without `CONFIG_SECCOMP_FILTER`, and on an architecture that
/// is not in the deny list; [`Error::System`].
pub(crate) fn restrict_system_calls() -> Result<(), Error> {
    let program = program(ABIS).filter(|_| !ABIS.is_empty());
    let Some(program) = program else {
        return Err(Error::Unsupported(
            "sessions cannot be restricted to safe system calls: jailctl does not know those of this processor".to_owned(),
        ));
    };
    match syscalls::filter_system_calls(&program) {
        // The kernel does not have the call, or no filters.
        Err(Errno::NOSYS | Errno::INVAL) => Err(Error::Unsupported(
            "sessions cannot be restricted to safe system calls: the kernel is built without `CONFIG_SECCOMP_FILTER`".to_owned(),
        )),
        done => done.map_err(Error::of("install the seccomp filter of the session")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A filter belongs to a thread.
    #[test]
    fn the_kernel_applies_the_filter() {
        let answers = std::thread::spawn(|| {
            rustix::thread::set_no_new_privs(true).expect("no_new_privs");
            restrict_system_calls().expect("a filter");
            let call = |number, argument: libc::c_long| {
                // SAFETY: calls that the filter refuses, so that the kernel does not use the
                // arguments.
                syscalls::check(unsafe { libc::syscall(number, argument, 0, 0, 0, 0) })
            };
            (
                call(libc::SYS_keyctl, 0),
                call(libc::SYS_unshare, libc::CLONE_NEWUSER.into()),
                call(libc::SYS_socket, libc::AF_VSOCK.into()),
                call(libc::SYS_getppid, 0).map(|_| ()),
            )
        });
        let expected = (
            Err(Errno::NOSYS),
            Err(Errno::PERM),
            Err(Errno::AFNOSUPPORT),
            Ok(()),
        );
        assert_eq!(answers.join().expect("a thread"), expected);
    }
}
