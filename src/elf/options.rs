//! Settings of a closure.

use super::cpu::Cpu;
use super::dlopen_note::Priority;
use super::implicit::ImplicitLibrary;

/// Settings of a closure: what it includes beyond the files that objects need to start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Least priority of the libraries from dlopen notes that the closure includes; `None` for no
    /// such libraries.
    pub dlopen: Option<Priority>,
    /// Libraries that every program of a glibc host may load, with the reason: see
    /// [`implicit`](super::implicit). Suggested ones count only where `dlopen` includes them.
    pub libraries: Vec<ImplicitLibrary>,
    /// Character sets that every program of a glibc host may convert with iconv(3): see
    /// [`gconv`](super::gconv).
    pub charsets: Vec<String>,
    /// Processor that the programs will run on.
    pub cpu: Cpu,
}

impl Default for Options {
    /// Libraries of recommended priority and above, no others, the processor of the running system.
    fn default() -> Self {
        Self {
            dlopen: Some(Priority::Recommended),
            libraries: Vec::new(),
            charsets: Vec::new(),
            cpu: Cpu::running(),
        }
    }
}
