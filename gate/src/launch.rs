//! What the gate starts.

use crate::policy::Way;

/// A program to start, as it was decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Launch {
    /// Path in the jail.
    pub program: String,
    /// Arguments with the name of the program.
    pub arguments: Vec<Vec<u8>>,
    /// Working directory.
    pub directory: String,
    /// Environment that it gets in addition to that of every program.
    pub environment: Vec<(&'static str, &'static str)>,
    /// Limits on files; `None` for a command that the administrator wrote.
    pub limits: Option<Limits>,
}

/// Limits on files, for landlock(7).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Directory to which reading and writing is limited; `None` for the whole jail.
    pub directory: Option<String>,
    /// Whether files may be changed.
    pub can_write: bool,
}

impl Launch {
    /// The program of `way` with further `arguments`.
    pub(crate) fn of_way(way: &Way, home: &str, arguments: Vec<Vec<u8>>) -> Self {
        let name = way.command.program.rsplit('/').next().unwrap_or_default();
        let mut all = vec![name.as_bytes().to_vec()];
        all.extend(
            way.command
                .arguments
                .iter()
                .map(|one| one.clone().into_bytes()),
        );
        all.extend(arguments);
        Self {
            program: way.command.program.clone(),
            arguments: all,
            directory: way.directory.clone().unwrap_or_else(|| home.to_owned()),
            environment: Vec::new(),
            limits: Some(Limits {
                directory: way.directory.clone(),
                can_write: way.mode.can_write(),
            }),
        }
    }
}
