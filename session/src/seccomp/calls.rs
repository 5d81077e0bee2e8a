//! The deny list of the seccomp filter of a session, as data: the verdict on each system call, and
//! its number on each system call interface (ABI).
//!
//! Sources of the numbers: `arch/x86/entry/syscalls/syscall_{64,32}.tbl`,
//! `arch/arm64/tools/syscall_{64,32}.tbl` and `scripts/syscall.tbl` of Linux 6.18. From 403 on a
//! number is the same on all ABIs here.

/// Number of a system call that an ABI does not have.
pub(super) const NONE: u32 = u32::MAX;

/// Highest system call number of Linux 6.18, `file_setattr(2)`. Higher ones fail with ENOSYS, as on
/// a kernel without them: a later Linux adds no calls to a session before they have been reviewed.
/// C libraries and language runtimes fall back to older calls.
pub(super) const LAST_KNOWN: u32 = 469;

/// Verdict on a system call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The kernel executes it.
    Allow,
    /// It fails with this `errno`.
    Errno(i32),
    /// The verdict depends on its arguments.
    Arguments(Check),
}

/// Arguments that are allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Check {
    /// clone(2): no new namespaces.
    Clone,
    /// unshare(2): only flags about threads of one process.
    Unshare,
    /// personality(2): the two execution domains that container engines allow, and the query.
    Personality,
    /// ioctl(2): neither TIOCSTI nor TIOCLINUX, which type into a terminal (CVE-2017-5226). The
    /// kernel uses the low 32 bits alone (CVE-2019-10063).
    Ioctl,
    /// socket(2): the families and protocols of [`super::program`](mod@super::program).
    Socket,
    /// socketpair(2): unix(7) alone.
    SocketPair,
    /// socketcall(2) of 32-bit x86: creates no sockets, since a filter cannot read the family,
    /// which is in memory.
    SocketCall,
}

/// Numbers on the ABIs of [`Column`], in its order.
type Numbers = [u32; 4];

/// ABI whose numbers the table has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Column {
    /// 64-bit x86.
    X86_64,
    /// 32-bit x86, which a 64-bit process can call too (`int $0x80`).
    I386,
    /// Generic numbers: 64-bit ARM and RISC-V.
    Generic,
    /// 32-bit ARM (EABI).
    Arm,
}

/// Verdict as of a kernel without the call; programs then fall back to another one.
const ABSENT: Verdict = Verdict::Errno(libc::ENOSYS);
/// Verdict as of a kernel that denies permission.
const REFUSED: Verdict = Verdict::Errno(libc::EPERM);

/// The deny list. Calls that are not in it and not above [`LAST_KNOWN`] are allowed.
#[rustfmt::skip]
const CALLS: [(&str, Verdict, Numbers); 57] = [
    // io_uring executes most system calls without any filter, and had many privilege escalations.
    ("io_uring_setup", ABSENT, [425, 425, 425, 425]),
    ("io_uring_enter", ABSENT, [426, 426, 426, 426]),
    ("io_uring_register", ABSENT, [427, 427, 427, 427]),
    // keyrings(7) have no namespaces: all sessions of a user id share its keyring.
    ("add_key", ABSENT, [248, 286, 217, 309]),
    ("request_key", ABSENT, [249, 287, 218, 310]),
    ("keyctl", ABSENT, [250, 288, 219, 311]),
    // Its flags are in memory, which a filter cannot read; C libraries fall back to clone(2).
    ("clone3", ABSENT, [435, 435, 435, 435]),
    // Calls that stop the kernel in the middle of an operation, or inspect it.
    ("userfaultfd", REFUSED, [323, 374, 282, 388]),
    ("perf_event_open", REFUSED, [298, 336, 241, 364]),
    ("bpf", REFUSED, [321, 357, 280, 386]),
    ("kcmp", REFUSED, [312, 349, 272, 378]),
    ("fanotify_init", REFUSED, [300, 338, 262, 367]),
    ("vmsplice", REFUSED, [278, 316, 75, 343]),
    ("move_pages", REFUSED, [279, 317, 239, 344]),
    ("migrate_pages", REFUSED, [256, 294, 238, 400]),
    ("lookup_dcookie", REFUSED, [212, 253, 18, 249]),
    ("syslog", REFUSED, [103, 103, 116, 103]),
    // Namespaces and mounts.
    ("setns", REFUSED, [308, 346, 268, 375]),
    ("mount", REFUSED, [165, 21, 40, 21]),
    ("umount", REFUSED, [NONE, 22, NONE, NONE]),
    ("umount2", REFUSED, [166, 52, 39, 52]),
    ("pivot_root", REFUSED, [155, 217, 41, 218]),
    ("open_tree", REFUSED, [428, 428, 428, 428]),
    ("move_mount", REFUSED, [429, 429, 429, 429]),
    ("fsopen", REFUSED, [430, 430, 430, 430]),
    ("fsconfig", REFUSED, [431, 431, 431, 431]),
    ("fsmount", REFUSED, [432, 432, 432, 432]),
    ("fspick", REFUSED, [433, 433, 433, 433]),
    ("mount_setattr", REFUSED, [442, 442, 442, 442]),
    ("open_tree_attr", REFUSED, [467, 467, 467, 467]),
    // Opens a file by its handle, whatever directory it is in (the "shocker" escape of 2014).
    ("open_by_handle_at", REFUSED, [304, 342, 265, 371]),
    // Administration of the machine.
    ("kexec_load", REFUSED, [246, 283, 104, 347]),
    ("kexec_file_load", REFUSED, [320, NONE, 294, 401]),
    ("create_module", REFUSED, [174, 127, NONE, NONE]),
    ("init_module", REFUSED, [175, 128, 105, 128]),
    ("finit_module", REFUSED, [313, 350, 273, 379]),
    ("delete_module", REFUSED, [176, 129, 106, 129]),
    ("get_kernel_syms", REFUSED, [177, 130, NONE, NONE]),
    ("query_module", REFUSED, [178, 167, NONE, NONE]),
    ("swapon", REFUSED, [167, 87, 224, 87]),
    ("swapoff", REFUSED, [168, 115, 225, 115]),
    ("acct", REFUSED, [163, 51, 89, 51]),
    ("quotactl", REFUSED, [179, 131, 60, 131]),
    ("quotactl_fd", REFUSED, [443, 443, 443, 443]),
    ("reboot", REFUSED, [169, 88, 142, 88]),
    ("iopl", REFUSED, [172, 110, NONE, NONE]),
    ("ioperm", REFUSED, [173, 101, NONE, NONE]),
    ("vm86", REFUSED, [NONE, 166, NONE, NONE]),
    ("vm86old", REFUSED, [NONE, 113, NONE, NONE]),
    ("sysfs", REFUSED, [139, 135, NONE, 135]),
    // Verdicts that depend on arguments.
    ("clone", Verdict::Arguments(Check::Clone), [56, 120, 220, 120]),
    ("unshare", Verdict::Arguments(Check::Unshare), [272, 310, 97, 337]),
    ("personality", Verdict::Arguments(Check::Personality), [135, 136, 92, 136]),
    ("ioctl", Verdict::Arguments(Check::Ioctl), [16, 54, 29, 54]),
    ("socket", Verdict::Arguments(Check::Socket), [41, 359, 198, 281]),
    ("socketpair", Verdict::Arguments(Check::SocketPair), [53, 360, 199, 288]),
    ("socketcall", Verdict::Arguments(Check::SocketCall), [NONE, 102, NONE, NONE]),
];

/// System calls of 32-bit ARM above [`LAST_KNOWN`] that are always allowed: breakpoints, cache
/// maintenance and the thread pointer (`__ARM_NR_BASE` of `arch/arm/include/uapi/asm/unistd.h`).
const ARM_PRIVATE: std::ops::RangeInclusive<u32> = 0x000f_0001..=0x000f_0006;

/// Verdicts on the numbers of one ABI, as ranges in ascending order: the first number of each,
/// which lasts up to the next one. The first range begins at 0.
pub(super) fn ranges(column: Column) -> Vec<(u32, Verdict)> {
    let mut points: Vec<(u32, Verdict)> = CALLS
        .iter()
        .map(|(_, verdict, numbers)| (numbers[column as usize], *verdict))
        .filter(|(number, _)| *number != NONE)
        .collect();
    points.sort_unstable_by_key(|(number, _)| *number);
    let mut ranges: Vec<(u32, Verdict)> = Vec::new();
    let mut put = |first: u32, verdict: Verdict| match ranges.last_mut() {
        Some(last) if last.0 == first => last.1 = verdict,
        Some(last) if last.1 == verdict => {}
        _ => ranges.push((first, verdict)),
    };
    put(0, Verdict::Allow);
    for (number, verdict) in points {
        put(number, verdict);
        put(number + 1, Verdict::Allow);
    }
    put(LAST_KNOWN + 1, ABSENT);
    if column == Column::Arm {
        put(*ARM_PRIVATE.start(), Verdict::Allow);
        put(ARM_PRIVATE.end() + 1, ABSENT);
    }
    ranges
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(column: Column, number: u32) -> Verdict {
        let ranges = ranges(column);
        let last = ranges.iter().rev().find(|(first, _)| *first <= number);
        last.expect("the first begins at 0").1
    }

    #[test]
    fn each_number_has_the_verdict_of_its_call_and_no_two_calls_have_one_number() {
        for column in [Column::X86_64, Column::I386, Column::Generic, Column::Arm] {
            let numbers: Vec<u32> = (CALLS.iter())
                .map(|(_, _, numbers)| numbers[column as usize])
                .filter(|number| *number != NONE)
                .collect();
            let mut once = numbers.clone();
            once.sort_unstable();
            once.dedup();
            assert_eq!(once.len(), numbers.len(), "{column:?}");
            for (name, expected, numbers) in CALLS {
                let number = numbers[column as usize];
                if number != NONE {
                    assert_eq!(verdict(column, number), expected, "{name} {column:?}");
                }
            }
            let denied = (0..=LAST_KNOWN)
                .filter(|number| verdict(column, *number) != Verdict::Allow)
                .count();
            assert_eq!(denied, once.len(), "{column:?}");
            for number in [LAST_KNOWN + 1, 0x3fff_ffff, u32::MAX] {
                assert_eq!(verdict(column, number), ABSENT, "{number} {column:?}");
            }
        }
        assert_eq!(verdict(Column::Arm, 0x000f_0002), Verdict::Allow);
        assert_eq!(verdict(Column::Arm, 0x000f_0007), ABSENT);
    }

    /// Numbers of the C library on the architecture of this build.
    #[test]
    fn the_numbers_are_those_of_the_c_library() {
        let column = if cfg!(target_arch = "x86_64") {
            Column::X86_64
        } else {
            Column::Generic
        };
        let known = [
            ("add_key", libc::SYS_add_key),
            ("bpf", libc::SYS_bpf),
            ("clone", libc::SYS_clone),
            ("clone3", libc::SYS_clone3),
            ("delete_module", libc::SYS_delete_module),
            ("fanotify_init", libc::SYS_fanotify_init),
            ("finit_module", libc::SYS_finit_module),
            ("fsopen", libc::SYS_fsopen),
            ("init_module", libc::SYS_init_module),
            ("io_uring_setup", libc::SYS_io_uring_setup),
            ("ioctl", libc::SYS_ioctl),
            ("kcmp", libc::SYS_kcmp),
            ("kexec_load", libc::SYS_kexec_load),
            ("keyctl", libc::SYS_keyctl),
            ("mount", libc::SYS_mount),
            ("mount_setattr", libc::SYS_mount_setattr),
            ("move_pages", libc::SYS_move_pages),
            ("open_by_handle_at", libc::SYS_open_by_handle_at),
            ("perf_event_open", libc::SYS_perf_event_open),
            ("personality", libc::SYS_personality),
            ("pivot_root", libc::SYS_pivot_root),
            ("quotactl", libc::SYS_quotactl),
            ("request_key", libc::SYS_request_key),
            ("setns", libc::SYS_setns),
            ("socket", libc::SYS_socket),
            ("socketpair", libc::SYS_socketpair),
            ("swapon", libc::SYS_swapon),
            ("umount2", libc::SYS_umount2),
            ("unshare", libc::SYS_unshare),
            ("userfaultfd", libc::SYS_userfaultfd),
            ("vmsplice", libc::SYS_vmsplice),
        ];
        for (name, number) in known {
            let row = CALLS.iter().find(|(known, ..)| *known == name);
            let (_, _, numbers) = row.expect(name);
            assert_eq!(i64::from(numbers[column as usize]), number, "{name}");
        }
    }
}
