//! Keeps a session to the system calls that ordinary programs make: a seccomp filter, seccomp(2), on the calling process and whatever it starts.
//!
//! Capabilities and namespaces say what a session may do; this says how much of the kernel it may talk to. What it closes is what container engines close, and
//! what has no namespaces: keyrings(7), vsock(7). It holds for sshd's process of the connection too, which is why chroot(2), ids and terminals are
//! open: they need a capability that only that process has.
//!
//! - `calls`: the deny list, as data. `program`: the same as BPF.

mod calls;
mod program;

use rustix::io::Errno;

use self::calls::Column;
use self::program::{Abi, program};
use crate::{Error, syscalls};

/// The ABIs of the machines that this is compiled for; their numbers are those of `linux/audit.h`. None where the deny list has no column for it.
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

/// Installs the filter. It stays, for this process and whatever it starts; a later one can only take more away.
///
/// The calling process has one thread, and no_new_privs or root's capabilities. An error is a kernel without `CONFIG_SECCOMP_FILTER`, or a machine whose
/// system calls are not known here.
pub(crate) fn restrict_system_calls() -> Result<(), Error> {
    let program = program(ABIS).filter(|_| !ABIS.is_empty());
    let Some(program) = program else {
        return Err(Error::Refused(
            "the system calls of this machine's processor are not known here, so that none can be kept from a session".to_owned(),
        ));
    };
    match syscalls::filter_system_calls(&program) {
        // The kernel has no such call, or no filters.
        Err(Errno::NOSYS | Errno::INVAL) => Err(Error::Refused(
            "the kernel cannot keep system calls from a session: it is built without `CONFIG_SECCOMP_FILTER`".to_owned(),
        )),
        done => done.map_err(Error::of("keep rare system calls from the session")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A filter is a thread's own.
    #[test]
    fn the_kernel_takes_the_filter_and_obeys_it() {
        let answers = std::thread::spawn(|| {
            rustix::thread::set_no_new_privs(true).expect("no_new_privs");
            restrict_system_calls().expect("a filter");
            let call = |number, argument: libc::c_long| {
                // SAFETY: calls that the filter answers, so that the kernel does not look at the arguments.
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
