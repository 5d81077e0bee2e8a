//! The answer: every file, link and directory that some programs need, each with what it needs itself and why it is there.
//!
//! Paths and names that many objects share are there once.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use super::dlopen_note::Priority;
pub use super::missing::{Missing, MissingReason};
pub use super::search::FoundBy;
use crate::host::Stat;

/// All that some programs need. Paths are absolute on the host, and free of links but for the last component of a link itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Closure {
    /// Every file, and every symbolic link on a way to one, top-level ones like `/lib64` included.
    pub objects: BTreeMap<PathBuf, Object>,
    /// Directories that a way enters and leaves again by `..`: they must be there even if nothing else is in them.
    pub directories: BTreeSet<PathBuf>,
    /// What was not found, by who needs it.
    pub missing: Vec<Missing>,
    /// Programs that find a library by `$ORIGIN` of their own, which their loader learns from /proc/self/exe: without /proc they do not start.
    pub needs_proc: Vec<PathBuf>,
    /// A library lies where only ld.so.cache leads, so a copy of the tree needs one too. Where the host has one, it is among the objects.
    pub needs_cache: bool,
}

/// One path of a closure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object {
    /// What it is.
    pub kind: ObjectKind,
    /// Its inode, links not followed.
    pub stat: Stat,
    /// The libraries that it asks for by name, in order. One name may stand for two files, where programs that search differently share the object.
    pub needed: Vec<Needed>,
    /// The interpreter that it names, as written.
    pub interpreter: Option<PathBuf>,
    /// Why it is there, the most direct first.
    pub reasons: Vec<Reason>,
}

/// What a path of a closure is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ObjectKind {
    /// A program or library.
    Elf,
    /// A file with `#!`.
    Script,
    /// A symbolic link.
    Link {
        /// Its text.
        target: PathBuf,
    },
    /// Any other file: named by the caller, or read by a loader or by iconv(3).
    File,
}

/// A library that an object asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Needed {
    /// As written in the object.
    pub name: Arc<OsStr>,
    /// The file, free of links: a key of [`Closure::objects`].
    pub path: Arc<Path>,
    /// The path by which the loader opens it; `None` where it is always there already, opened for another.
    pub opened: Option<Arc<Path>>,
    /// What leads the loader there.
    pub via: Option<FoundBy>,
}

/// Why a path is in a closure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The caller named it.
    Named,
    /// An object asks for it by name.
    Needed {
        /// The object.
        by: Arc<Path>,
        /// The name.
        name: Arc<OsStr>,
    },
    /// It is the interpreter of a program or script.
    Interpreter {
        /// The program or script.
        of: Arc<Path>,
    },
    /// env(1) starts it for a script.
    Env {
        /// The script.
        of: Arc<Path>,
    },
    /// It is a link on the way to a file.
    SymlinkTo {
        /// The file.
        to: Arc<Path>,
    },
    /// An object may load it while it runs, and says so in a note.
    Dlopen {
        /// The object.
        by: Arc<Path>,
        /// What for.
        feature: Option<String>,
        /// How much it matters.
        priority: Priority,
    },
    /// It is known to be loaded while programs run, and why.
    Implicit {
        /// In a sentence without a subject, as `loaded for the service dns of nsswitch.conf`.
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
