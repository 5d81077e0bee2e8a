//! Running a program in a jail as one of its users, as sshd would, until it ends.
//!
//! `std::process::Command` forks, and a closure in the child (`pre_exec`) sets everything up before
//! std calls execve(2). The closure is the one `unsafe` block that matters, and it is easy to
//! review: `child` is a flat list of system calls. The alternative, a thread that sets itself up
//! and then spawns, needs no `unsafe` for the ids, but such a thread runs as the jailed user and is
//! part of a root process, with its memory and descriptors: other processes of the user could
//! signal it. And setsid(2) and the controlling terminal need the closure anyway.
//!
//! No code of the jail runs as root: after chroot(2) the child makes only system calls and looks up
//! no names (no NSS, no locale, no iconv, no dlopen(3): CVE-2019-14271, CVE-2025-32463), and the
//! first file of the jail that is executed or loaded is the program, by execve(2), after all
//! privileges are dropped.

mod capture;
mod child;
mod not_found_hint;

use std::ffi::{CString, OsStr, OsString};
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child as Process, Command, ExitStatus};

use rustix::fs::{FileType, fstat, stat};
use rustix::io::{Errno, fcntl_dupfd_cloexec};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open};

pub use self::capture::{Captured, capture};
use self::child::{Child, Step};
use crate::Error;
use crate::error::errno_of;
use crate::privileges::Ids;
use crate::pty::{Pty, RawMode, Relay, StdFds};
use crate::signals::SignalPipe;

/// Program, user and root directory of a [`run`].
#[derive(Debug, Clone)]
pub struct ExecRequest<'a> {
    /// Root directory of the jail, open; O_PATH suffices. Not the root of the caller.
    pub root: BorrowedFd<'a>,
    /// User id, not 0.
    pub uid: u32,
    /// Group id, not 0.
    pub gid: u32,
    /// All supplementary group ids, none of them 0.
    pub groups: &'a [u32],
    /// Working directory, an absolute path in the jail.
    pub cwd: &'a Path,
    /// Program, an absolute path in the jail.
    pub program: &'a Path,
    /// First argument, the name of the program; `-bash` starts bash as a login shell.
    pub argv0: OsString,
    /// Arguments after `argv0`.
    pub args: Vec<OsString>,
    /// The whole environment. Names are unique, not empty, and without `=`.
    pub env: Vec<(OsString, OsString)>,
}

/// Exit status of a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExitKind {
    /// Exit status.
    Code(i32),
    /// Number of the signal that killed it.
    Signal(i32),
}

/// Runs a program until it ends.
///
/// The program is started
/// - with the root of the jail as root directory and with `cwd` as working directory, which is
///   opened with the rights of the user and verified to be below the root (chroot(2), getcwd(2);
///   CVE-2024-21626);
/// - with real, effective, saved and file system ids of the user, exactly the given groups, every
///   capability set empty, the bounding set included, and no_new_privs set (capabilities(7)). Root,
///   the group of root, and ids of -1 are refused;
/// - with exactly the given environment and arguments, umask 022, default signals, in a new session
///   (setsid(2)) with a new session keyring (keyrings(7));
/// - with no open descriptors except 0, 1 and 2. Files and pipes there are passed unchanged. A
///   directory is refused: it would be a way out;
/// - never with a terminal of the caller, on any descriptor or as controlling terminal: a process
///   that has it can read its input and type into it (TIOCSTI, CVE-2017-5226). Where a standard
///   descriptor is a terminal, the program gets a new one, with the same modes and size, and bytes
///   are relayed between the two. Output is relayed unchanged: like ssh(1), this does not filter
///   escape sequences.
///
/// While the program runs, SIGHUP, SIGINT, SIGQUIT and SIGTERM to the caller are passed on to it;
/// if it still runs two seconds later it is killed. The same happens if the terminal of the caller
/// hangs up. Until then the terminal of the caller is in raw mode if it is standard input, and its
/// modes are restored in any case except SIGKILL. Signal dispositions belong to the process, so
/// calls in several threads wait for each other.
///
/// A program with neither `#!` nor an ELF header is run by /bin/sh of the jail, as execvp(3) does.
/// Its child processes may outlive it, as those of an ssh session may.
///
/// # Errors
/// [`Error::Refused`] for the values that are refused above; [`Error::Start`] if execve(2) fails;
/// [`Error::System`] for any other call. After an error the program is not running.
pub fn run(request: &ExecRequest<'_>) -> Result<ExitKind, Error> {
    let ids = Ids::new(request.uid, request.gid, request.groups)?;
    refuse_invalid_strings(request)?;
    refuse_own_root(request.root)?;
    let standard = StdFds::query()?;
    let pty = standard
        .terminal()
        .map(|terminal| Pty::new_like(terminal, ids.uid()))
        .transpose()?;

    let mut process = start(request, ids, |command| {
        attach_pty(command, standard, pty.as_ref())
    })?;
    let relayed = relay(&process, standard, pty);
    if relayed.is_err() {
        // No code would relay its output or wait for it any more.
        let _ = kill_process_group(Pid::from_child(&process), Signal::KILL);
    }
    let status = process
        .wait()
        .map_err(Error::of_std("wait for the program"))?;
    relayed.map(|()| status.into())
}

/// Relays bytes and signals until the program has ended. It is not waited for, so its pid is not
/// reused.
fn relay(process: &Process, standard: StdFds, pty: Option<Pty>) -> Result<(), Error> {
    let pid = Pid::from_child(process);
    let pidfd =
        pidfd_open(pid, PidfdFlags::empty()).map_err(Error::of("watch for the program's end"))?;
    // Not earlier: until the child has called execve(2) the user could stop it, and signals must be
    // able to interrupt the caller, which waits for that.
    let watch = SignalPipe::begin()?;
    // Dropped before the signal pipe: a signal that ends the caller finds the terminal restored.
    let _raw = standard.input().map(RawMode::begin).transpose()?;
    Relay::new(pid, pidfd, &watch, standard, pty).run()
}

#[expect(
    clippy::disallowed_methods,
    reason = "this is where the crate starts processes"
)]
fn start(
    request: &ExecRequest<'_>,
    ids: Ids,
    connect: impl FnOnce(&mut Command) -> Result<Option<OwnedFd>, Error>,
) -> Result<Process, Error> {
    let pipe = pipe_with(PipeFlags::CLOEXEC);
    let (failed_at, report) = pipe.map_err(Error::of("create a pipe"))?;

    let mut command = Command::new(request.program);
    command.arg0(&request.argv0).args(&request.args);
    command.env_clear().envs(request.env.iter().cloned());
    let terminal = connect(&mut command)?;
    let child = Child {
        root: duplicate(request.root)?,
        ids,
        cwd: CString::new(request.cwd.as_os_str().as_bytes()).map_err(|_| nul("directory"))?,
        terminal,
        report,
    };
    // SAFETY: the closure runs in the forked child, where only async-signal-safe calls are allowed.
    // `apply` makes system calls on values created before the fork: no allocation, no lock, no
    // panic (see `child`). It closes no descriptor that std still needs.
    unsafe { command.pre_exec(move || child.apply().map_err(io::Error::from)) };
    let spawned = command.spawn();
    // Closes the caller's end of the report, so that reading it does not block.
    drop(command);
    spawned.map_err(|error| {
        let mut byte = [0];
        let step = match rustix::io::read(&failed_at, &mut byte) {
            Ok(1) => Step::from_byte(byte[0]),
            _ => None,
        };
        explain(request, step, errno_of(&error))
    })
}

fn duplicate(fd: BorrowedFd<'_>) -> Result<OwnedFd, Error> {
    fcntl_dupfd_cloexec(fd, 3).map_err(Error::of("duplicate a descriptor"))
}

/// Connects the new terminal where the caller has one. Returns the controlling terminal.
fn attach_pty(
    command: &mut Command,
    standard: StdFds,
    pty: Option<&Pty>,
) -> Result<Option<OwnedFd>, Error> {
    let Some(pty) = pty else { return Ok(None) };
    if standard.is_terminal(0) {
        command.stdin(duplicate(pty.inner()?)?);
    }
    if standard.is_terminal(1) {
        command.stdout(duplicate(pty.inner()?)?);
    }
    if standard.is_terminal(2) {
        command.stderr(duplicate(pty.inner()?)?);
    }
    duplicate(pty.inner()?).map(Some)
}

fn explain(request: &ExecRequest<'_>, step: Option<(Step, &'static str)>, errno: Errno) -> Error {
    match step {
        None => Error::of("start a process")(errno),
        Some((Step::Exec, _)) => Error::Start {
            program: request.program.to_owned(),
            errno,
            hint: not_found_hint::hint(request.root, request.program, errno),
        },
        Some((Step::Directory | Step::VerifyDirectory, what)) => {
            Error::on(what, request.cwd, errno)
        }
        Some((_, what)) => Error::of(what)(errno),
    }
}

/// Refuses values that std refuses with a bare EINVAL, drops silently, or looks up in PATH.
fn refuse_invalid_strings(request: &ExecRequest<'_>) -> Result<(), Error> {
    let has_nul = |text: &OsStr| text.as_bytes().contains(&0);
    for (what, path) in [("program", request.program), ("directory", request.cwd)] {
        if has_nul(path.as_os_str()) {
            return Err(nul(what));
        }
        if !path.is_absolute() {
            return Err(Error::Refused(format!(
                "the {what} must be an absolute path inside the jail"
            )));
        }
    }
    if has_nul(&request.argv0) || request.args.iter().any(|arg| has_nul(arg)) {
        return Err(nul("argument"));
    }
    for (at, (name, value)) in request.env.iter().enumerate() {
        if has_nul(name) || has_nul(value) {
            return Err(nul("environment"));
        }
        let is_invalid = name.is_empty() || name.as_bytes().contains(&b'=');
        if is_invalid || request.env.iter().take(at).any(|(other, _)| other == name) {
            let name = name.to_string_lossy().escape_debug().to_string();
            return Err(Error::Refused(format!(
                "the environment has an invalid or second `{name}`"
            )));
        }
    }
    Ok(())
}

fn nul(what: &str) -> Error {
    Error::Refused(format!("the {what} contains a NUL"))
}

/// Refuses the root of the caller: chroot(2) to it would confine nothing.
fn refuse_own_root(root: BorrowedFd<'_>) -> Result<(), Error> {
    let failed = Error::of("query the jail's root");
    let jail = fstat(root).map_err(&failed)?;
    let host = stat("/").map_err(&failed)?;
    if FileType::from_raw_mode(jail.st_mode) != FileType::Directory {
        return Err(failed(Errno::NOTDIR));
    }
    if (jail.st_dev, jail.st_ino) == (host.st_dev, host.st_ino) {
        return Err(Error::Refused(
            "the root of the jail is the root of the host".to_owned(),
        ));
    }
    Ok(())
}

impl From<ExitStatus> for ExitKind {
    fn from(status: ExitStatus) -> Self {
        // wait(2): a status that is not an exit is a signal, since stops are not requested.
        status.code().map_or_else(
            || Self::Signal(status.signal().unwrap_or_default()),
            Self::Code,
        )
    }
}
