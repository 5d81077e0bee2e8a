//! Closure of some programs, and the settings that select it: every file, link and directory that
//! they need, each with its own needs and the reasons for including it.
//!
//! Paths and names that many objects share are stored once.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::cpu::Cpu;
pub use super::dlopen_note::Priority;
use super::implicit::ImplicitLibrary;
pub use super::missing::{Missing, MissingReason};
pub use super::search::FoundBy;
use crate::host::Stat;

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

/// Closure of some programs. Paths are absolute on the host, and free of links except for the last
/// component of a link itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Closure {
    /// Every file, and every symbolic link that resolving its paths follows, top-level links such
    /// as `/lib64` included.
    pub objects: BTreeMap<PathBuf, Object>,
    /// Directories that a path enters and leaves again by `..`: a copy must contain them even if
    /// they are otherwise empty.
    pub directories: BTreeSet<PathBuf>,
    /// Objects that were not found, sorted by the object that needs them.
    pub missing: Vec<Missing>,
    /// Programs that find a library by their own `$ORIGIN`, which their loader reads from
    /// /proc/self/exe: without /proc they do not start.
    pub needs_proc: Vec<PathBuf>,
    /// Whether some library is found by ld.so.cache alone, so that a copy of the tree needs a cache
    /// too. If the host has one, it is among the objects.
    pub needs_cache: bool,
}

/// One path of a closure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object {
    /// Kind of the file.
    pub kind: ObjectKind,
    /// Stat of the inode, links not followed.
    pub stat: Stat,
    /// Libraries that the object needs by name, in order. One name may occur with two files, where
    /// programs that search differently share the object.
    pub needed: Vec<Needed>,
    /// Path of the interpreter, as written in the object.
    pub interpreter: Option<PathBuf>,
    /// Reasons for including the path, the most direct first.
    pub reasons: Vec<Reason>,
}

/// Kind of a path of a closure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ObjectKind {
    /// An ELF program or library.
    Elf,
    /// A script: a file that starts with `#!`.
    Script,
    /// A symbolic link.
    Link {
        /// Text of the link.
        target: PathBuf,
    },
    /// Any other file: named by the caller, or read by a loader or by iconv(3).
    File,
}

/// A library that an object needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Needed {
    /// Name of the library, as written in the object.
    pub name: Arc<OsStr>,
    /// Path of the file, free of links: a key of [`Closure::objects`].
    pub path: Arc<Path>,
    /// Path by which the loader opens the file; `None` where it is always loaded already, for
    /// another object.
    pub opened: Option<Arc<Path>>,
    /// Rule by which the loader finds the file.
    pub via: Option<FoundBy>,
}

/// Reason for including a path in a closure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The caller named the path.
    Named,
    /// An object needs the library by name.
    Needed {
        /// Path of the object.
        by: Arc<Path>,
        /// Name of the library.
        name: Arc<OsStr>,
    },
    /// The file is the interpreter of a program or script.
    Interpreter {
        /// Path of the program or script.
        of: Arc<Path>,
    },
    /// env(1) starts the program for a script.
    Env {
        /// Path of the script.
        of: Arc<Path>,
    },
    /// Resolving the path of a file follows the link.
    SymlinkTo {
        /// Path of the file.
        to: Arc<Path>,
    },
    /// An object may load the library at run time, as its dlopen note declares.
    Dlopen {
        /// Path of the object.
        by: Arc<Path>,
        /// Feature that needs the library.
        feature: Option<String>,
        /// Priority of the library for that feature.
        priority: Priority,
    },
    /// Programs are known to load the file at run time.
    Implicit {
        /// Reason as a clause without a subject, such as `loaded for the service dns of
        /// nsswitch.conf`.
        why: String,
    },
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Named => f.write_str("named"),
            Self::Needed { by, name } => {
                write!(f, "{} needs {}", by.display(), name.display())
            }
            Self::Interpreter { of } => write!(f, "interpreter of {}", of.display()),
            Self::Env { of } => write!(f, "started by env for {}", of.display()),
            Self::SymlinkTo { to } => write!(f, "link on the way to {}", to.display()),
            Self::Dlopen {
                by,
                feature,
                priority,
            } => {
                let word = match priority {
                    Priority::Required => "required",
                    Priority::Recommended => "recommended",
                    Priority::Suggested => "suggested",
                };
                write!(f, "{} may load it ({word}", by.display())?;
                match feature {
                    Some(feature) => write!(f, ": {feature})"),
                    None => f.write_str(")"),
                }
            }
            Self::Implicit { why } => f.write_str(why),
        }
    }
}
