//! Features of the processor by which a loader chooses subdirectories.
//!
//! glibc's `sysdeps/x86_64/dl-hwcaps-subdirs.c` and its siblings, and for versions before 2.37 the
//! legacy subdirectories of `_dl_important_hwcaps`. For objects of another architecture the
//! processor is assumed to be the least one of that architecture: the libraries found then run on
//! all.

use std::io::Read;
use std::path::Path;

use super::abi::{AARCH64, ARM, Abi, I386, POWER64, S390, X86_64};
use crate::host::HostView;

/// Bytes of /proc/cpuinfo that hold the first processor. The kernel generates every processor's
/// part again for each reader.
const CPUINFO: u64 = 8192;

/// A processor, as `/proc/cpuinfo` describes it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cpu {
    /// Machine of the running system; 0 if it is unknown.
    machine: u16,
    intel: bool,
    flags: Vec<String>,
}

/// Kinds of subdirectories that a version of glibc searches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct HwcapsRules {
    /// `glibc-hwcaps/`: from 2.33.
    pub named: bool,
    /// Legacy subdirectories, `tls/` and that of the platform: before 2.37.
    pub legacy: bool,
}

impl Cpu {
    /// Returns the processor of the running system; the least one of its kind if /proc cannot be
    /// read.
    pub fn running() -> Self {
        let mut text = Vec::new();
        if let Ok(view) = HostView::new(Path::new("/"))
            && let Ok(file) = view.open(Path::new("/proc/cpuinfo"))
        {
            // A read error leaves fewer features, which is safe.
            let _ = file.take(CPUINFO).read_to_end(&mut text);
        }
        Self::parse(std::env::consts::ARCH, &String::from_utf8_lossy(&text))
    }

    /// Parses `/proc/cpuinfo` of a system whose programs are for `architecture`, a value of
    /// [`std::env::consts::ARCH`].
    pub fn parse(architecture: &str, text: &str) -> Self {
        let machine = match architecture {
            "x86_64" => X86_64,
            "s390x" => S390,
            "powerpc64" => POWER64,
            _ => 0,
        };
        let mut cpu = Self {
            machine,
            ..Self::default()
        };
        for line in text.lines() {
            let Some((key, value)) = line.split_once(':') else {
                continue;
            };
            match key.trim() {
                "vendor_id" => cpu.intel = value.trim() == "GenuineIntel",
                "flags" | "features" => {
                    cpu.flags = value.split_whitespace().map(str::to_owned).collect();
                    break;
                }
                "cpu" => {
                    cpu.flags = value.split_whitespace().map(str::to_owned).collect();
                    break;
                }
                _ => {}
            }
        }
        cpu
    }

    fn has(&self, flags: &str) -> bool {
        flags
            .split(' ')
            .all(|flag| self.flags.iter().any(|own| own == flag))
    }

    /// Usable subdirectories of `glibc-hwcaps` for objects of `abi`, best first.
    pub fn hwcaps_levels(&self, abi: Abi) -> Vec<&'static str> {
        // Each level with the flags that it needs beyond those of the level before, least first.
        let ladder: &[(&str, &str)] = match abi.machine {
            _ if abi.machine != self.machine || !abi.wide => &[],
            X86_64 => &[
                ("x86-64-v2", "cx16 lahf_lm popcnt pni ssse3 sse4_1 sse4_2"),
                ("x86-64-v3", "avx avx2 bmi1 bmi2 f16c fma abm movbe"),
                ("x86-64-v4", "avx512f avx512bw avx512cd avx512dq avx512vl"),
            ],
            S390 => &[
                ("z13", "vx"),
                ("z14", "vxd vxe gs"),
                ("z15", "vxe2 vxp"),
                ("z16", "vxp2"),
            ],
            POWER64 if abi.little => return self.power(),
            _ => &[],
        };
        let mut levels: Vec<&str> = ladder
            .iter()
            .take_while(|(_, needs)| self.has(needs))
            .map(|(name, _)| *name)
            .collect();
        levels.reverse();
        levels
    }

    fn power(&self) -> Vec<&'static str> {
        let is = |model: &str| self.flags.iter().any(|flag| flag.starts_with(model));
        if is("POWER10") || is("POWER11") {
            vec!["power10", "power9"]
        } else if is("POWER9") {
            vec!["power9"]
        } else {
            Vec::new()
        }
    }

    /// Value of `$PLATFORM`: `AT_PLATFORM` of the kernel, or glibc's replacement for it.
    pub fn platform(&self, abi: Abi) -> Option<&'static str> {
        match (abi.machine, abi.wide) {
            (X86_64, true) if self.is_xeon_phi(abi) => Some("xeon_phi"),
            (X86_64, true) if self.is_haswell(abi) => Some("haswell"),
            (X86_64, true) => Some("x86_64"),
            (X86_64, false) => Some("x86_64"),
            (I386, _) => Some("i686"),
            (AARCH64, _) if abi.little => Some("aarch64"),
            (AARCH64, _) => Some("aarch64_be"),
            (ARM, _) => Some("v7l"),
            _ => None,
        }
    }

    // The three platforms of `init_cpu_features` in `sysdeps/x86/cpu-features.c`.

    fn is_intel(&self, abi: Abi, flags: &str) -> bool {
        abi.machine == self.machine && self.intel && self.has(flags)
    }

    fn is_haswell(&self, abi: Abi) -> bool {
        self.is_intel(abi, "avx2 fma bmi1 bmi2 abm movbe popcnt")
    }

    fn is_xeon_phi(&self, abi: Abi) -> bool {
        self.is_intel(abi, "avx512cd avx512er avx512pf")
    }

    fn has_avx512_1(&self, abi: Abi) -> bool {
        self.is_intel(abi, "avx512cd avx512bw avx512dq avx512vl") && !self.has("avx512er")
    }

    /// Subdirectories that are searched before a directory itself, best first.
    pub fn hwcaps_subdirs(&self, abi: Abi, rules: HwcapsRules) -> Vec<String> {
        let mut all = Vec::new();
        if rules.named {
            all.extend(
                self.hwcaps_levels(abi)
                    .into_iter()
                    .map(|level| format!("glibc-hwcaps/{level}")),
            );
        }
        if rules.legacy {
            all.extend(self.legacy_subdirs(abi));
        }
        all
    }

    /// Bits of the legacy ld.so.cache entries that are usable: hwcaps, platform and `tls`.
    ///
    /// ldconfig adds the numbers of subdirectories, so that `x86_64/x86_64` has the bit of
    /// `avx512_1`.
    pub fn legacy_hwcap_bits(&self, abi: Abi) -> u64 {
        const TLS: u64 = 1 << 63;
        const FIRST_PLATFORM: u32 = 48;
        match (abi.machine, abi.wide) {
            (X86_64, wide) => {
                let platform = match self.platform(abi) {
                    Some("haswell") if wide => 1 << (FIRST_PLATFORM + 2),
                    Some("xeon_phi") if wide => 1 << (FIRST_PLATFORM + 3),
                    _ => 0,
                };
                let avx512_1 = u64::from(wide && self.has_avx512_1(abi)) << 2;
                TLS | platform | avx512_1 | 1 << 1
            }
            (I386, _) => TLS | 1 << (FIRST_PLATFORM + 1) | 1,
            _ => TLS,
        }
    }

    /// Every selection from `tls`, the platform and the hwcaps, in the order of a number whose bits
    /// are the selection and which counts down.
    fn legacy_subdirs(&self, abi: Abi) -> Vec<String> {
        let mut names = vec!["tls"];
        names.extend(self.platform(abi));
        match (abi.machine, abi.wide) {
            (X86_64, _) => {
                if self.has_avx512_1(abi) {
                    names.push("avx512_1");
                }
                names.push("x86_64");
            }
            (I386, _) => names.push("sse2"),
            _ => {}
        }
        let count = names.len();
        let mut all: Vec<String> = (1..1_u32 << count)
            .rev()
            .map(|choice| {
                let chosen = names
                    .iter()
                    .enumerate()
                    .filter(|(at, _)| choice & (1 << (count - 1 - at)) != 0);
                chosen.map(|(_, name)| *name).collect::<Vec<_>>().join("/")
            })
            .collect();
        all.dedup();
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wide(machine: u16) -> Abi {
        Abi::new(true, true, machine, 0)
    }

    #[test]
    fn levels_need_all_below_them() {
        let cpu = Cpu::parse(
            "x86_64",
            "vendor_id : AuthenticAMD\nflags : cx16 lahf_lm popcnt pni ssse3 sse4_1 sse4_2 avx512f avx512bw avx512cd avx512dq avx512vl\n",
        );
        assert_eq!(cpu.hwcaps_levels(wide(X86_64)), ["x86-64-v2"]);
        assert_eq!(Cpu::default().hwcaps_levels(wide(X86_64)), [""; 0]);
        let foreign = wide(AARCH64);
        assert!(cpu.hwcaps_levels(foreign).is_empty());
        assert_eq!(cpu.platform(foreign), Some("aarch64"));
    }

    #[test]
    fn legacy_bits_are_those_that_ld_so_gives_the_processor() {
        let bits = |vendor: &str, flags: &str| {
            let text = format!("vendor_id : {vendor}\nflags : {flags}\n");
            Cpu::parse("x86_64", &text).legacy_hwcap_bits(wide(X86_64))
        };
        let least = 1 << 63 | 1 << 1;
        let haswell = "avx2 fma bmi1 bmi2 abm movbe popcnt";
        let server = format!("{haswell} avx512cd avx512bw avx512dq avx512vl");
        let phi = format!("{haswell} avx512cd avx512er avx512pf");
        assert_eq!(bits("GenuineIntel", "sse2"), least);
        assert_eq!(bits("GenuineIntel", haswell), least | 1 << 50);
        assert_eq!(bits("GenuineIntel", &server), least | 1 << 50 | 1 << 2);
        assert_eq!(bits("GenuineIntel", &phi), least | 1 << 51);
        assert_eq!(bits("AuthenticAMD", &server), least);
    }

    #[test]
    fn legacy_subdirectories_come_in_the_order_of_ld_so() {
        let rules = HwcapsRules {
            named: true,
            legacy: true,
        };
        assert_eq!(
            Cpu::parse("x86_64", "flags : x").hwcaps_subdirs(wide(X86_64), rules),
            [
                "tls/x86_64/x86_64",
                "tls/x86_64",
                "tls",
                "x86_64/x86_64",
                "x86_64"
            ]
        );
    }
}
