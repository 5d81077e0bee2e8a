//! Libraries, interpreters and character sets that a closure lacks, and the reasons.

use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;

/// Object that was not found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// Name of the library or character set, or path of the interpreter.
    pub name: OsString,
    /// Path of the object that needs it.
    pub needed_by: PathBuf,
    /// Reason, where it is more than the absence of the object.
    pub why: Option<MissingReason>,
    /// The program does not start without it. Otherwise the program starts, and fails when it uses
    /// the object.
    pub fatal: bool,
}

/// Reason why an object is missing, beyond its absence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MissingReason {
    /// The search ended at a file that the loader refuses.
    Unloadable {
        /// Path of the file.
        path: PathBuf,
        /// Fault of the file, as a sentence.
        why: String,
    },
    /// The search passed a file that it could not open.
    Unopened {
        /// Path of the file.
        path: PathBuf,
        /// Error of opening it.
        why: String,
    },
    /// `/etc/ld.so.cache` is damaged.
    DamagedCache,
    /// The path is relative to the working directory of the program.
    RelativePath,
    /// A search path has elements that are relative to the working directory of the program.
    RelativeSearchPath,
    /// A token such as `$PLATFORM` in the name has no value.
    UnknownToken,
    /// The process has as many objects as it may have.
    TooManyObjects(usize),
    /// The searches for the process looked into as many directories as they may.
    TooManySteps(usize),
    /// The dlopen note of an object names a feature that needs the library.
    DlopenFeature(String),
    /// A program or script has an interpreter, which does not exist.
    Interpreter,
    /// A program or script has an interpreter with an empty name.
    UnnamedInterpreter,
    /// The path of the interpreter resolves to something that is no regular file.
    UnusableInterpreter(String),
    /// The interpreter has no execute permission.
    InterpreterNotExecutable,
    /// The first line of a script is longer than the kernel reads.
    LongFirstLine,
    /// The first line of a script ends in a carriage return.
    CarriageReturn,
    /// Scripts interpret scripts deeper than the kernel follows.
    NestedScripts,
    /// No directory of the path has the program that env(1) starts.
    NotOnPath,
    /// iconv(3) uses the file, for this purpose.
    Gconv(&'static str),
    /// iconv(3) has no module for the character set.
    UnknownCharset,
}

impl fmt::Display for MissingReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text: &str = match self {
            Self::Unloadable { path, why } => {
                let path = path.display().to_string();
                return write!(f, "`{}` is found first, and {why}", path.escape_debug());
            }
            Self::Unopened { path, why } => {
                let path = path.display().to_string();
                return write!(f, "`{}`: {why}", path.escape_debug());
            }
            Self::TooManyObjects(limit) => {
                return write!(f, "the program loads more than {limit} objects");
            }
            Self::TooManySteps(limit) => {
                return write!(f, "the search takes more than {limit} steps");
            }
            Self::DlopenFeature(feature) => {
                return write!(f, "it is loaded at run time, for {feature}");
            }
            Self::UnusableInterpreter(why) => why,
            Self::Gconv(purpose) => purpose,
            Self::DamagedCache => "`/etc/ld.so.cache` is damaged; ldconfig(8) creates it again",
            Self::RelativePath => "it is relative to the directory that the program is started in",
            Self::RelativeSearchPath => {
                "a search path has elements that are relative to the directory that the program \
                 is started in"
            }
            Self::UnknownToken => "a token in it has no value",
            Self::Interpreter => "it is the interpreter",
            Self::UnnamedInterpreter => "the name of the interpreter is empty",
            Self::InterpreterNotExecutable => "it is the interpreter, and may not be executed",
            Self::LongFirstLine => {
                "the first line is longer than the 255 bytes that the kernel reads"
            }
            Self::CarriageReturn => {
                "the first line ends in a carriage return, as files from other systems have it"
            }
            Self::NestedScripts => "scripts interpret scripts deeper than the kernel follows",
            Self::NotOnPath => "env(1) finds no such program on the path",
            Self::UnknownCharset => "iconv(3) has no module for this character set",
        };
        f.write_str(text)
    }
}
