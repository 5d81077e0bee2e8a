//! The deny list as a program of classic BPF, which the kernel runs before each system call:
//! seccomp(2), `Documentation/networking/filter.rst`.
//!
//! A binary search over ranges finds the number, with some eight comparisons for each call. Where
//! the verdict depends on the number alone, the program loads nothing else: from Linux 5.11 on the
//! kernel finds out when the filter is installed that such a call is always allowed, and does not
//! run the program for it at all.

use libc::{
    BPF_ABS, BPF_ALU, BPF_AND, BPF_JA, BPF_JEQ, BPF_JGE, BPF_JGT, BPF_JMP, BPF_JSET, BPF_K, BPF_LD,
    BPF_RET, BPF_W, sock_filter,
};

use super::calls::{Check, Column, Verdict, ranges};

/// ABI of the system calls of a process.
#[derive(Clone, Copy, Debug)]
pub(super) struct Abi {
    /// Value in `struct seccomp_data`: `AUDIT_ARCH_*` of `linux/audit.h`.
    pub(super) arch: u32,
    /// Column of its numbers.
    pub(super) column: Column,
}

/// Offsets in `struct seccomp_data`.
const NUMBER: u32 = 0;
const ARCH: u32 = 4;
const ARGUMENTS: u32 = 16;

/// CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID and NEWNET. clone(2) has no
/// CLONE_NEWTIME: its bit is part of the signal number there.
const NEW_NAMESPACES: u32 = 0x7e02_0000;
/// CLONE_VM, FS, FILES, SIGHAND, THREAD and SYSVSEM.
const THREAD_FLAGS: u32 = 0x0005_0f00;
/// PER_LINUX32 and UNAME26; 0 is PER_LINUX.
const DOMAINS: u32 = 0x0002_0008;
/// Argument of personality(2) that queries the domain and changes nothing.
const QUERY_DOMAIN: u32 = u32::MAX;
/// TIOCSTI and TIOCLINUX of `asm-generic/ioctls.h`.
const TYPING: [u32; 2] = [0x5412, 0x541c];
/// SYS_SOCKET and SYS_SOCKETPAIR of `linux/net.h`.
const CREATE_SOCKETS: [u32; 2] = [1, 8];

const UNIX: u32 = libc::AF_UNIX.cast_unsigned();
const INET: [u32; 2] = [
    libc::AF_INET.cast_unsigned(),
    libc::AF_INET6.cast_unsigned(),
];
const NETLINK: u32 = libc::AF_NETLINK.cast_unsigned();
/// Highest allowed type of sockets of an internet family: SOCK_STREAM, SOCK_DGRAM and SOCK_RAW.
/// Higher ones are of SCTP and DCCP.
const MOST_TYPE: u32 = 3;
/// Bits of the type of a socket that are no flags.
const TYPE_MASK: u32 = 0xf;
/// Protocols of an internet family: any, ICMP, TCP, UDP, ICMPv6, UDP-Lite, raw and MPTCP.
const INTERNET: [u32; 8] = [0, 1, 6, 17, 58, 136, 255, 262];
/// Protocols of netlink(7): NETLINK_ROUTE and NETLINK_SOCK_DIAG, with which programs query
/// addresses and sockets, and NETLINK_AUDIT, with which libpam and sshd log the beginning and the
/// end of the session in processes that have this filter too. The kernel refuses messages of
/// processes without CAP_AUDIT_WRITE with EPERM.
const NETLINKS: [u32; 3] = [0, 4, 9];

/// The program for a machine with these ABIs. System calls of any other ABI, and of unknown
/// numbers, fail with ENOSYS. `None` if a jump is too far for an instruction, which a test of all
/// tables excludes.
pub(super) fn program(abis: &[Abi]) -> Option<Vec<sock_filter>> {
    let mut program = vec![load(ARCH)];
    for abi in abis {
        let mut part = vec![load(NUMBER)];
        part.extend(search(&ranges(abi.column))?);
        // Too far for a conditional jump, which skips an unconditional one.
        program.push(jump(BPF_JEQ, abi.arch, 1, 0));
        program.push(instruction(
            BPF_JMP | BPF_JA,
            u32::try_from(part.len()).ok()?,
        ));
        program.extend(part);
    }
    program.push(errno(libc::ENOSYS));
    Some(program)
}

/// Instructions that search the loaded number in `ranges`, and end with its verdict.
fn search(ranges: &[(u32, Verdict)]) -> Option<Vec<sock_filter>> {
    if let [(_, verdict)] = ranges {
        return Some(verdict_code(*verdict));
    }
    let (below, above) = ranges.split_at(ranges.len() / 2);
    let first = above.first()?.0;
    let below = search(below)?;
    let mut code = vec![jump(BPF_JGE, first, u8::try_from(below.len()).ok()?, 0)];
    code.extend(below);
    code.extend(search(above)?);
    Some(code)
}

/// Instructions that end with a verdict.
fn verdict_code(verdict: Verdict) -> Vec<sock_filter> {
    match verdict {
        Verdict::Allow => vec![ALLOW],
        Verdict::Errno(number) => vec![errno(number)],
        Verdict::Arguments(check) => arguments(check),
    }
}

fn arguments(check: Check) -> Vec<sock_filter> {
    match check {
        Check::Clone => vec![
            load(low(0)),
            jump(BPF_JSET, NEW_NAMESPACES, 0, 1),
            errno(libc::EPERM),
            ALLOW,
        ],
        Check::Unshare => vec![
            load(high(0)),
            jump(BPF_JEQ, 0, 0, 2),
            load(low(0)),
            jump(BPF_JSET, !THREAD_FLAGS, 0, 1),
            errno(libc::EPERM),
            ALLOW,
        ],
        Check::Personality => vec![
            load(low(0)),
            jump(BPF_JEQ, QUERY_DOMAIN, 2, 0),
            jump(BPF_JSET, !DOMAINS, 0, 1),
            errno(libc::EPERM),
            ALLOW,
        ],
        Check::Ioctl => chain(
            load(low(1)),
            [when(&TYPING, vec![errno(libc::EPERM)])],
            ALLOW,
        ),
        Check::SocketCall => {
            let refused = vec![errno(libc::EAFNOSUPPORT)];
            chain(load(low(0)), [when(&CREATE_SOCKETS, refused)], ALLOW)
        }
        Check::SocketPair => {
            let other = errno(libc::EAFNOSUPPORT);
            chain(load(low(0)), [when(&[UNIX], vec![ALLOW])], other)
        }
        Check::Socket => {
            let other = errno(libc::EPROTONOSUPPORT);
            let netlink = chain(load(low(2)), [when(&NETLINKS, vec![ALLOW])], other);
            let mut internet = vec![
                load(low(1)),
                instruction(BPF_ALU | BPF_AND | BPF_K, TYPE_MASK),
                jump(BPF_JGT, MOST_TYPE, 0, 1),
                errno(libc::ESOCKTNOSUPPORT),
            ];
            internet.extend(chain(load(low(2)), [when(&INTERNET, vec![ALLOW])], other));
            let families = [
                when(&[UNIX], vec![ALLOW]),
                when(&INET, internet),
                when(&[NETLINK], netlink),
            ];
            chain(load(low(0)), families, errno(libc::EAFNOSUPPORT))
        }
    }
}

/// Instructions that load a value, compare it with the `cases`, and end with `otherwise`.
fn chain<const N: usize>(
    load: sock_filter,
    cases: [Vec<sock_filter>; N],
    otherwise: sock_filter,
) -> Vec<sock_filter> {
    let mut code = vec![load];
    code.extend(cases.into_iter().flatten());
    code.push(otherwise);
    code
}

/// Instructions that run `block`, which ends with a verdict, if the loaded value is one of
/// `values`, and continue after it otherwise.
fn when(values: &[u32], block: Vec<sock_filter>) -> Vec<sock_filter> {
    let mut code = Vec::new();
    for (index, value) in values.iter().enumerate() {
        let left = values.len() - 1 - index;
        let past = if left == 0 { block.len() } else { 0 };
        // All jumps are short enough for an instruction: a test runs all cases.
        code.push(jump(BPF_JEQ, *value, short(left), short(past)));
    }
    code.extend(block);
    code
}

fn short(distance: usize) -> u8 {
    u8::try_from(distance).unwrap_or(u8::MAX)
}

/// Offsets of the low and the high 32 bits of an argument, on a little-endian machine.
const fn low(argument: u32) -> u32 {
    ARGUMENTS + 8 * argument
}

const fn high(argument: u32) -> u32 {
    low(argument) + 4
}

const ALLOW: sock_filter = instruction(BPF_RET | BPF_K, libc::SECCOMP_RET_ALLOW);

/// Instruction that fails the call with `errno`.
const fn errno(number: i32) -> sock_filter {
    instruction(
        BPF_RET | BPF_K,
        libc::SECCOMP_RET_ERRNO | (number.cast_unsigned() & libc::SECCOMP_RET_DATA),
    )
}

/// Instruction that loads 32 bits of `struct seccomp_data`.
const fn load(offset: u32) -> sock_filter {
    instruction(BPF_LD | BPF_W | BPF_ABS, offset)
}

const fn instruction(code: u32, k: u32) -> sock_filter {
    conditional(code, k, 0, 0)
}

/// Jump that skips `yes` or `no` instructions.
const fn jump(test: u32, k: u32, yes: u8, no: u8) -> sock_filter {
    conditional(BPF_JMP | test | BPF_K, k, yes, no)
}

const fn conditional(code: u32, k: u32, jt: u8, jf: u8) -> sock_filter {
    sock_filter {
        // The code of an instruction has eight bits.
        code: (code & 0xff) as u16,
        jt,
        jf,
        k,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const X86_64: u32 = 0xc000_003e;
    const I386: u32 = 0x4000_0003;

    /// Runs the program on the data of a system call, as the interpreter of the kernel does.
    fn run(program: &[sock_filter], arch: u32, number: u32, arguments: [u64; 6]) -> u32 {
        let mut data = vec![number, arch, 0, 0];
        for argument in arguments {
            data.push(u32::try_from(argument & u64::from(u32::MAX)).expect("half"));
            data.push(u32::try_from(argument >> 32).expect("half"));
        }
        let (mut at, mut value) = (0_usize, 0_u32);
        loop {
            let step = program[at];
            let (code, k) = (u32::from(step.code), step.k);
            at += 1;
            let holds = match code & 0xf0 {
                BPF_JEQ => value == k,
                BPF_JGE => value >= k,
                BPF_JGT => value > k,
                _ => value & k != 0,
            };
            if code == BPF_LD | BPF_W | BPF_ABS {
                value = data[usize::try_from(k).expect("an offset") / 4];
            } else if code == BPF_ALU | BPF_AND | BPF_K {
                value &= k;
            } else if code == BPF_RET | BPF_K {
                return k;
            } else if code == BPF_JMP | BPF_JA {
                at += usize::try_from(k).expect("a distance");
            } else if holds {
                at += usize::from(step.jt);
            } else {
                at += usize::from(step.jf);
            }
        }
    }

    fn x86() -> Vec<sock_filter> {
        let abi = |arch, column| Abi { arch, column };
        program(&[abi(X86_64, Column::X86_64), abi(I386, Column::I386)]).expect("short jumps")
    }

    fn error(number: i32) -> u32 {
        libc::SECCOMP_RET_ERRNO | number.cast_unsigned()
    }

    const NOTHING: [u64; 6] = [0; 6];

    #[test]
    fn the_program_says_what_the_table_says() {
        for (arch, column) in [
            (X86_64, Column::X86_64),
            (I386, Column::I386),
            (0xc000_00b7, Column::Generic),
            (0x4000_0028, Column::Arm),
        ] {
            let program = program(&[Abi { arch, column }]).expect("short jumps");
            assert!(program.len() < 300, "{}", program.len());
            let ranges = ranges(column);
            for number in (0..600).chain([0x000f_0002, 0x4000_0001, u32::MAX]) {
                let range = ranges.iter().rev().find(|(first, _)| *first <= number);
                let expected = match range.expect("a range").1 {
                    Verdict::Allow => libc::SECCOMP_RET_ALLOW,
                    Verdict::Errno(number) => error(number),
                    Verdict::Arguments(_) => continue,
                };
                assert_eq!(
                    run(&program, arch, number, NOTHING),
                    expected,
                    "{number} {column:?}"
                );
            }
        }
    }

    #[test]
    fn another_abi_gets_nothing() {
        let program = x86();
        for number in [0, 1, 39, 60] {
            // Big-endian ARM, s390x, and x32, which is 64-bit x86 with a bit in the number.
            for arch in [0x8000_00b7, 0x8000_0016] {
                assert_eq!(run(&program, arch, number, NOTHING), error(libc::ENOSYS));
            }
            assert_eq!(
                run(&program, X86_64, number | 0x4000_0000, NOTHING),
                error(libc::ENOSYS)
            );
            assert_eq!(
                run(&program, X86_64, number, NOTHING),
                libc::SECCOMP_RET_ALLOW
            );
        }
    }

    /// Runs the filter on a call of 64-bit x86 and compares the verdict; `Ok` means allowed.
    #[track_caller]
    fn answers(number: u32, arguments: [u64; 3], expected: Result<(), i32>) {
        let [first, second, third] = arguments;
        let answer = run(&x86(), X86_64, number, [first, second, third, 0, 0, 0]);
        let expected = expected.map_or_else(error, |()| libc::SECCOMP_RET_ALLOW);
        assert_eq!(answer, expected, "{number} {arguments:x?}");
    }

    #[test]
    fn namespaces_are_refused_by_their_flags() {
        let (clone, unshare) = (56, 272);
        // fork, vfork, a thread, and a process with a pidfd.
        for flags in [0x11, 0x4111, 0x003d_0f00, 0x0120_1011] {
            answers(clone, [flags, 0, 0], Ok(()));
        }
        for bit in [17, 25, 26, 27, 28, 29, 30] {
            answers(clone, [0x11 | 1 << bit, 0, 0], Err(libc::EPERM));
            answers(unshare, [1 << bit, 0, 0], Err(libc::EPERM));
            answers(unshare, [0x200 | 1 << bit, 0, 0], Err(libc::EPERM));
        }
        answers(unshare, [0, 0, 0], Ok(()));
        answers(unshare, [0x0004_0600, 0, 0], Ok(()));
        answers(unshare, [0x80, 0, 0], Err(libc::EPERM));
        answers(unshare, [1 << 40, 0, 0], Err(libc::EPERM));
    }

    #[test]
    fn typing_into_a_terminal_is_refused_whatever_the_high_half() {
        let ioctl = 16;
        for request in [0x5412, 0x541c] {
            answers(ioctl, [0, request, 0], Err(libc::EPERM));
            // CVE-2019-10063.
            answers(ioctl, [0, 1 << 32 | request, 0], Err(libc::EPERM));
        }
        answers(ioctl, [0, 0x5413, 0], Ok(()));
        answers(ioctl, [0, 0x5401, 0x5412], Ok(()));
    }

    #[test]
    fn sockets_are_of_the_usual_families_and_protocols() {
        let (socket, socketpair) = (41, 53);
        let flags = 0x0008_0800;
        for usual in [
            [1, 1 | flags, 0],
            [1, 5, 0],
            [2, 1 | flags, 6],
            [2, 2, 17],
            [2, 2, 1],
            [10, 1, 0],
            [10, 2 | flags, 58],
            [2, 1, 262],
            [2, 3, 255],
            [16, 3, 0],
            [16, 3 | flags, 4],
            [16, 3, 9],
        ] {
            answers(socket, usual, Ok(()));
        }
        // AX.25, X.25, packet, RDS, PPPoX, LLC, CAN, TIPC, Bluetooth, ALG, NFC, vsock, KCM,
        // QIPCRTR, SMC, XDP, MCTP.
        for family in [
            3, 9, 17, 21, 24, 26, 29, 30, 31, 38, 39, 40, 41, 42, 43, 44, 45,
        ] {
            answers(socket, [family, 1, 0], Err(libc::EAFNOSUPPORT));
            answers(socket, [1 << 32 | family, 1, 0], Err(libc::EAFNOSUPPORT));
            answers(socketpair, [family, 1, 0], Err(libc::EAFNOSUPPORT));
        }
        for (family, kind, protocol, number) in [
            (16, 3, 2, libc::EPROTONOSUPPORT),
            (16, 3, 12, libc::EPROTONOSUPPORT),
            (16, 3, 16, libc::EPROTONOSUPPORT),
            (2, 1, 132, libc::EPROTONOSUPPORT),
            (10, 1, 256, libc::EPROTONOSUPPORT),
            (2, 5, 0, libc::ESOCKTNOSUPPORT),
            (10, 6 | flags, 0, libc::ESOCKTNOSUPPORT),
        ] {
            answers(socket, [family, kind, protocol], Err(number));
        }
        answers(socketpair, [1, 1 | flags, 0], Ok(()));
    }

    #[test]
    fn socketcall_creates_no_socket() {
        let program = x86();
        let call = |call| run(&program, I386, 102, [call, 0, 0, 0, 0, 0]);
        for makes in [1, 8] {
            assert_eq!(call(makes), error(libc::EAFNOSUPPORT));
        }
        for uses in [2, 3, 9, 17] {
            assert_eq!(call(uses), libc::SECCOMP_RET_ALLOW);
        }
    }

    #[test]
    fn personalities_that_change_memory_are_refused() {
        let personality = 135;
        for usual in [0, 8, 0x0002_0000, 0x0002_0008, 0xffff_ffff] {
            answers(personality, [usual, 0, 0], Ok(()));
        }
        for other in [0x0004_0000, 0x0040_0000, 0x0010_0000, 0x0200_0008, 1] {
            answers(personality, [other, 0, 0], Err(libc::EPERM));
        }
    }
}
