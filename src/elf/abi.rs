//! Machines and calling conventions: the objects that fit into one process, and the loader path and
//! library directories of each machine.
//!
//! Sources: `elf_machine_matches_host` and dl-cache.h of glibc's sysdeps, the ABI list of the glibc
//! wiki, Debian's multiarch tuples, musl's `LDSO_ARCH`.

/// `EM_386`.
pub const I386: u16 = 3;
/// `EM_MIPS`.
pub const MIPS: u16 = 8;
/// `EM_PPC`.
pub const POWER: u16 = 20;
/// `EM_PPC64`.
pub const POWER64: u16 = 21;
/// `EM_S390`.
pub const S390: u16 = 22;
/// `EM_ARM`.
pub const ARM: u16 = 40;
/// `EM_SPARCV9`.
pub const SPARC64: u16 = 43;
/// `EM_X86_64`.
pub const X86_64: u16 = 62;
/// `EM_AARCH64`.
pub const AARCH64: u16 = 183;
/// `EM_RISCV`.
pub const RISCV: u16 = 243;
/// `EM_LOONGARCH`.
pub const LOONGARCH: u16 = 258;

/// `EF_ARM_ABI_FLOAT_HARD`.
const ARM_HARD_FLOAT: u32 = 0x400;

/// Machine and calling convention of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Abi {
    /// Class: 64-bit if true, 32-bit if false.
    pub wide: bool,
    /// Byte order: little-endian if true.
    pub little: bool,
    /// Machine: `e_machine`.
    pub machine: u16,
    /// Bits of `e_flags` by which loaders distinguish variants of the machine.
    pub variant: u32,
}

/// Constants that a loader of one machine is built with.
#[derive(Clone, Copy, Debug)]
pub struct AbiPaths {
    /// Path of glibc's loader.
    pub loader: &'static str,
    /// Debian's multiarch tuple of the machine.
    pub tuple: &'static str,
    /// Directory of libraries below `/` and `/usr` on other distributions.
    pub directory: &'static str,
    /// Flags of the ld.so.cache entries that are for this machine; an entry with the first ends a
    /// search.
    pub cache_flags: &'static [u32],
    /// musl's name of the machine.
    pub musl: &'static str,
}

impl Abi {
    /// Creates the ABI from fields of an ELF header: class, byte order, `e_machine` and `e_flags`.
    pub fn new(wide: bool, little: bool, machine: u16, flags: u32) -> Self {
        let mask = match machine {
            ARM => ARM_HARD_FLOAT | 0x200,
            RISCV => 0x6,
            LOONGARCH => 0x7,
            POWER64 => 0x3,
            MIPS => 0x20,
            _ => 0,
        };
        Self {
            wide,
            little,
            machine,
            variant: flags & mask,
        }
    }

    /// Whether a loader for `self` accepts an object for `other`. If not, the loader continues its
    /// search.
    pub fn accepts(self, other: Self) -> bool {
        let same = self.wide == other.wide && self.machine == other.machine;
        same && match self.machine {
            RISCV | LOONGARCH | MIPS => self.variant == other.variant,
            POWER64 => self.variant == other.variant || self.variant == 0 || other.variant == 0,
            _ => true,
        }
    }

    /// `DT_SONAME` of the virtual object that the kernel maps into every process: vdso(7).
    pub fn vdso(self) -> &'static str {
        match (self.machine, self.wide) {
            (I386, _) => "linux-gate.so.1",
            (S390 | POWER64, true) => "linux-vdso64.so.1",
            (S390 | POWER, _) => "linux-vdso32.so.1",
            _ => "linux-vdso.so.1",
        }
    }

    /// Whether `char` is signed, as the psABI of the machine defines it.
    pub fn has_signed_char(self) -> bool {
        matches!(self.machine, X86_64 | I386 | MIPS | SPARC64 | LOONGARCH)
    }

    /// Paths and names of the machine. `None` for machines that have no Linux userland with shared
    /// libraries known here.
    pub fn paths(self) -> Option<AbiPaths> {
        let paths = |loader, tuple, directory, cache_flags, musl| AbiPaths {
            loader,
            tuple,
            directory,
            cache_flags,
            musl,
        };
        Some(match (self.machine, self.wide, self.little) {
            (X86_64, true, _) => paths(
                "/lib64/ld-linux-x86-64.so.2",
                "x86_64-linux-gnu",
                "lib64",
                &[0x303],
                "x86_64",
            ),
            (X86_64, false, _) => paths(
                "/libx32/ld-linux-x32.so.2",
                "x86_64-linux-gnux32",
                "libx32",
                &[0x803],
                "x32",
            ),
            (I386, ..) => paths(
                "/lib/ld-linux.so.2",
                "i386-linux-gnu",
                "lib",
                &[0x3, 0x1],
                "i386",
            ),
            (AARCH64, _, true) => paths(
                "/lib/ld-linux-aarch64.so.1",
                "aarch64-linux-gnu",
                "lib64",
                &[0xa03],
                "aarch64",
            ),
            (AARCH64, _, false) => paths(
                "/lib/ld-linux-aarch64_be.so.1",
                "aarch64_be-linux-gnu",
                "lib64",
                &[0xa03],
                "aarch64_be",
            ),
            (ARM, ..) if self.variant & ARM_HARD_FLOAT != 0 => paths(
                "/lib/ld-linux-armhf.so.3",
                "arm-linux-gnueabihf",
                "lib",
                &[0x903, 0x3],
                "armhf",
            ),
            (ARM, ..) => paths(
                "/lib/ld-linux.so.3",
                "arm-linux-gnueabi",
                "lib",
                &[0xb03, 0x3],
                "arm",
            ),
            (RISCV, true, _) if self.variant == 0 => paths(
                "/lib/ld-linux-riscv64-lp64.so.1",
                "riscv64-linux-gnu",
                "lib64/lp64",
                &[0xf03],
                "riscv64-sf",
            ),
            (RISCV, true, _) => paths(
                "/lib/ld-linux-riscv64-lp64d.so.1",
                "riscv64-linux-gnu",
                "lib64/lp64d",
                &[0x1003],
                "riscv64",
            ),
            (S390, true, _) => paths(
                "/lib/ld64.so.1",
                "s390x-linux-gnu",
                "lib64",
                &[0x403],
                "s390x",
            ),
            (S390, false, _) => paths("/lib/ld.so.1", "s390-linux-gnu", "lib", &[0x3, 0x1], "s390"),
            (POWER64, _, true) => paths(
                "/lib64/ld64.so.2",
                "powerpc64le-linux-gnu",
                "lib64",
                &[0x503],
                "powerpc64le",
            ),
            (POWER64, _, false) => paths(
                "/lib64/ld64.so.1",
                "powerpc64-linux-gnu",
                "lib64",
                &[0x503],
                "powerpc64",
            ),
            (POWER, ..) => paths(
                "/lib/ld.so.1",
                "powerpc-linux-gnu",
                "lib",
                &[0x3, 0x1],
                "powerpc",
            ),
            (SPARC64, ..) => paths(
                "/lib64/ld-linux.so.2",
                "sparc64-linux-gnu",
                "lib64",
                &[0x103],
                "sparc64",
            ),
            (MIPS, true, true) => paths(
                "/lib64/ld.so.1",
                "mips64el-linux-gnuabi64",
                "lib64",
                &[0x703],
                "mips64el",
            ),
            (MIPS, false, true) => paths(
                "/lib/ld.so.1",
                "mipsel-linux-gnu",
                "lib",
                &[0x3, 0x1],
                "mipsel",
            ),
            (LOONGARCH, true, _) if self.variant == 1 => paths(
                "/lib64/ld-linux-loongarch-lp64s.so.1",
                "loongarch64-linux-gnusf",
                "lib64/sf",
                &[0x1103],
                "loongarch64-sf",
            ),
            (LOONGARCH, true, _) => paths(
                "/lib64/ld-linux-loongarch-lp64d.so.1",
                "loongarch64-linux-gnu",
                "lib64",
                &[0x1203],
                "loongarch64",
            ),
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_of_one_machine_go_together() {
        let x32 = Abi::new(false, true, X86_64, 0);
        let amd64 = Abi::new(true, true, X86_64, 0);
        assert!(amd64.accepts(amd64) && !amd64.accepts(x32));
        let double = Abi::new(true, true, RISCV, 0x5);
        assert!(!double.accepts(Abi::new(true, true, RISCV, 0x1)));
        let hard = Abi::new(false, true, ARM, 0x0500_0400);
        assert!(hard.accepts(Abi::new(false, true, ARM, 0x0500_0000)));
        assert_eq!(hard.paths().map(|paths| paths.musl), Some("armhf"));
    }
}
