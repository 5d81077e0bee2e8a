//! Execution of programs of the host: absolute path, fixed environment, captured output, no shell.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::error::{Error, ErrorKind, Finding, Result};

/// A program of the host with arguments and input.
#[derive(Clone, Debug)]
pub struct Invocation {
    program: PathBuf,
    arguments: Vec<String>,
    input: Option<String>,
}

/// Result of a program.
#[derive(Debug)]
pub struct Output {
    /// Exit status; `None` if a signal ended it.
    pub code: Option<i32>,
    /// Standard output; bytes that are not UTF-8 are replaced.
    pub stdout: String,
    /// Standard error; bytes that are not UTF-8 are replaced.
    pub stderr: String,
}

impl Invocation {
    /// An invocation of `program`, an absolute path.
    pub fn new(program: impl Into<PathBuf>) -> Self {
        Self {
            program: program.into(),
            arguments: Vec::new(),
            input: None,
        }
    }

    /// Adds an argument.
    #[must_use]
    pub fn arg(mut self, argument: impl Into<String>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<I: IntoIterator<Item = S>, S: Into<String>>(mut self, arguments: I) -> Self {
        self.arguments.extend(arguments.into_iter().map(Into::into));
        self
    }

    /// Sets the text of standard input, which is empty otherwise. Secrets belong here: every user
    /// can read arguments.
    #[must_use]
    pub fn input(mut self, text: impl Into<String>) -> Self {
        self.input = Some(text.into());
        self
    }

    /// Runs the program and waits for its end.
    ///
    /// # Errors
    /// `Failed` if it cannot be started, or its output cannot be read.
    pub fn run(&self) -> Result<Output> {
        #[expect(
            clippy::disallowed_methods,
            reason = "the one place where host programs are started"
        )]
        let mut command = Command::new(&self.program);
        command
            .args(&self.arguments)
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .env("LC_ALL", "C")
            .current_dir("/")
            .stdin(if self.input.is_some() {
                Stdio::piped()
            } else {
                Stdio::null()
            })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let failed = |error: &std::io::Error| Error::io("run", &self.program, error);
        let mut child = command.spawn().map_err(|error| failed(&error))?;
        if let (Some(mut stdin), Some(text)) = (child.stdin.take(), &self.input) {
            // A program that does not read its input closes the pipe; its exit status is the
            // result.
            let _ = stdin.write_all(text.as_bytes());
        }
        let mut stderr = child.stderr.take();
        let reader = std::thread::spawn(move || {
            let mut bytes = Vec::new();
            if let Some(pipe) = &mut stderr {
                let _ = pipe.read_to_end(&mut bytes);
            }
            bytes
        });
        let mut stdout = Vec::new();
        if let Some(mut pipe) = child.stdout.take() {
            pipe.read_to_end(&mut stdout)
                .map_err(|error| failed(&error))?;
        }
        let status = child.wait().map_err(|error| failed(&error))?;
        let stderr = reader.join().unwrap_or_default();
        Ok(Output {
            code: status.code(),
            stdout: String::from_utf8_lossy(&stdout).into_owned(),
            stderr: String::from_utf8_lossy(&stderr).into_owned(),
        })
    }

    /// As [`Invocation::check`], for a tool that assigns an id: status 4 of groupadd(8) and
    /// useradd(8) means that another program took the id.
    ///
    /// # Errors
    /// `Busy` for status 4, else as [`Invocation::check`].
    pub fn check_id_free(&self, action: &str) -> Result<()> {
        const TAKEN: i32 = 4;
        let outcome = self.run()?;
        match outcome.code {
            Some(0) => Ok(()),
            Some(TAKEN) => {
                let mut error = outcome.into_error(action, &self.program);
                error.kind = ErrorKind::Busy;
                Err(error
                    .hint("another program creates accounts at the moment: run the command again"))
            }
            _ => Err(outcome.into_error(action, &self.program)),
        }
    }

    /// Runs the program. `action` completes "could not ...".
    ///
    /// # Errors
    /// `Failed` for every exit status but 0, with the output of the program.
    pub fn check(&self, action: &str) -> Result<Output> {
        let outcome = self.run()?;
        if outcome.code == Some(0) {
            return Ok(outcome);
        }
        Err(outcome.into_error(action, &self.program))
    }
}

impl Output {
    /// The error of a `program` that failed at `action`, with the last line of its output.
    pub fn into_error(&self, action: &str, program: &Path) -> Error {
        let ending = self.code.map_or_else(
            || "was killed by a signal".to_owned(),
            |code| format!("exited with {code}"),
        );
        let words: Vec<&str> = self
            .stderr
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty())
            .collect();
        let words = words[words.len().saturating_sub(4)..].join("; ");
        let words = if words.is_empty() {
            "it printed nothing".to_owned()
        } else {
            words
        };
        Error::new(
            ErrorKind::Failed,
            Finding::new(format!("could not {action}"))
                .why(format!("`{}` {ending}: {words}", program.display())),
        )
    }
}
