//! Starts a program inside a jail as one of its users, as sshd would, and stays with it until it ends.
//!
//! How: `std::process::Command` forks, and a closure that is run in the child (`pre_exec`) takes the child to its place before
//! std calls execve(2). The closure is the one `unsafe` block that matters, and it is easy to judge: [`child`] is a flat list of
//! system calls. The other way, a thread that takes itself to the place and then spawns, needs no `unsafe` for the ids, but it is a part of
//! root's process, with root's memory and descriptors, that runs as the jailed user: his other processes could signal it. And setsid(2) and
//! the controlling terminal need the closure all the same.
//!
//! No code of the jail runs as root: after chroot(2) the child makes system calls only, no names are looked up (no NSS, no
//! locale, no iconv, no dlopen(3): CVE-2019-14271, CVE-2025-32463), and the first file of the jail that is run or loaded is the program, by
//! execve(2), when everything is given up.

mod capture;
mod child;
mod enoent;

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

/// A program, where it shall run, and as whom.
#[derive(Debug, Clone)]
pub struct ExecRequest<'a> {
    /// The jail's root directory, open; O_PATH is enough. Not the caller's own root.
    pub root: BorrowedFd<'a>,
    /// Not 0.
    pub uid: u32,
    /// Not 0.
    pub gid: u32,
    /// The supplementary groups: these and no others. Not 0.
    pub groups: &'a [u32],
    /// The working directory, an absolute path inside the jail.
    pub cwd: &'a Path,
    /// The program, an absolute path inside the jail.
    pub program: &'a Path,
    /// What the program sees as its own name; `-bash` makes a login shell of bash.
    pub argv0: OsString,
    /// The arguments after `argv0`.
    pub args: Vec<OsString>,
    /// The whole environment. Each name once, not empty, without `=`.
    pub env: Vec<(OsString, OsString)>,
}

/// How the program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExitKind {
    /// It exited with this status.
    Code(i32),
    /// This signal killed it.
    Signal(i32),
}

/// Starts the program and returns when it has ended.
///
/// The program begins
/// - with the jail as its root directory and `cwd` as its working directory, which is reached with the user's rights and is
///   certain to lie inside (chroot(2), getcwd(2); CVE-2024-21626);
/// - with real, effective, saved and file system ids of the user, exactly the given groups, every capability set empty, the bounding
///   set included, and no_new_privs set (capabilities(7)). Root, root's group, and ids of -1 are refused;
/// - with exactly the given environment and arguments, umask 022, default signals, in a session of its own (setsid(2)) with a session
///   keyring of its own (keyrings(7));
/// - with no open descriptor but 0, 1 and 2. Files and pipes there are passed as they are. A directory there is refused: it would be a
///   way out;
/// - never with a terminal of the caller's, on any descriptor or as controlling terminal: who has it can read its keys and type into it
///   (TIOCSTI, CVE-2017-5226). Where a standard descriptor is a terminal, the program gets a new one, with the same modes and size, and
///   bytes are carried between the two. Output is carried as it is: like ssh(1), this does not filter escape sequences.
///
/// While the program runs, SIGHUP, SIGINT, SIGQUIT and SIGTERM to the caller are passed on to it; if it is still there two seconds later
/// it is killed. The same happens if the caller's terminal hangs up. The caller's terminal is in raw mode meanwhile if it is standard input,
/// and has its modes back whatever happens, SIGKILL excepted. Since signals belong to the process, calls in several threads wait for each other.
///
/// A program with neither `#!` nor an ELF header is given to the jail's /bin/sh, as execvp(3) does. Its later processes may outlive the
/// program, as those of an ssh session may.
pub fn run(entry: &ExecRequest<'_>) -> Result<ExitKind, Error> {
    let ids = Ids::new(entry.uid, entry.gid, entry.groups)?;
    refuse_bad_words(entry)?;
    refuse_own_root(entry.root)?;
    let standard = StdFds::look()?;
    let pty = standard
        .terminal()
        .map(|terminal| Pty::like(terminal, ids.uid()))
        .transpose()?;

    let mut process = start(entry, ids, |command| {
        attach_pty(command, standard, pty.as_ref())
    })?;
    let attended = attend(&process, standard, pty);
    if attended.is_err() {
        // Nobody would see to it any more.
        let _ = kill_process_group(Pid::from_child(&process), Signal::KILL);
    }
    let status = process
        .wait()
        .map_err(Error::of_std("wait for the program"))?;
    attended.map(|()| status.into())
}

/// Carries bytes and signals until the program has ended. It is not yet waited for: until then its number stays its own.
fn attend(process: &Process, standard: StdFds, pty: Option<Pty>) -> Result<(), Error> {
    let pid = Pid::from_child(process);
    let pidfd =
        pidfd_open(pid, PidfdFlags::empty()).map_err(Error::of("watch for the program's end"))?;
    // Only now: until the child has called execve(2) the user could stop it, and the caller must be able to interrupt the wait for that.
    let watch = SignalPipe::begin()?;
    // Dropped before the watch ends: a signal that ends the caller finds the terminal restored.
    let _raw = standard.input().map(RawMode::begin).transpose()?;
    Relay::new(pid, pidfd, &watch, standard, pty).run()
}

#[expect(
    clippy::disallowed_methods,
    reason = "this is where the crate starts processes"
)]
fn start(
    entry: &ExecRequest<'_>,
    ids: Ids,
    wire: impl FnOnce(&mut Command) -> Result<Option<OwnedFd>, Error>,
) -> Result<Process, Error> {
    let pipe = pipe_with(PipeFlags::CLOEXEC);
    let (failed_at, report) = pipe.map_err(Error::of("make a pipe"))?;

    let mut command = Command::new(entry.program);
    command.arg0(&entry.argv0).args(&entry.args);
    command.env_clear().envs(entry.env.iter().cloned());
    let terminal = wire(&mut command)?;
    let child = Child {
        root: copy(entry.root)?,
        ids,
        cwd: CString::new(entry.cwd.as_os_str().as_bytes()).map_err(|_| nul("directory"))?,
        terminal,
        report,
    };
    // SAFETY: the closure runs in the forked child, where only what is async-signal-safe may be called. `go` makes system calls on values
    // made before the fork: no allocation, no lock, no panic (see `child`). It closes no descriptor that std still needs.
    unsafe { command.pre_exec(move || child.go().map_err(io::Error::from)) };
    let spawned = command.spawn();
    // With it goes the caller's end of the report, so that to read it does not wait.
    drop(command);
    spawned.map_err(|error| {
        let mut byte = [0];
        let step = match rustix::io::read(&failed_at, &mut byte) {
            Ok(1) => Step::from_byte(byte[0]),
            _ => None,
        };
        explain(entry, step, errno_of(&error))
    })
}

fn copy(fd: BorrowedFd<'_>) -> Result<OwnedFd, Error> {
    fcntl_dupfd_cloexec(fd, 3).map_err(Error::of("copy a descriptor"))
}

/// Puts the new terminal where the caller's is. Gives what becomes the controlling terminal.
fn attach_pty(
    command: &mut Command,
    standard: StdFds,
    pty: Option<&Pty>,
) -> Result<Option<OwnedFd>, Error> {
    let Some(pty) = pty else { return Ok(None) };
    if standard.is_terminal(0) {
        command.stdin(copy(pty.inner()?)?);
    }
    if standard.is_terminal(1) {
        command.stdout(copy(pty.inner()?)?);
    }
    if standard.is_terminal(2) {
        command.stderr(copy(pty.inner()?)?);
    }
    copy(pty.inner()?).map(Some)
}

fn explain(entry: &ExecRequest<'_>, step: Option<(Step, &'static str)>, errno: Errno) -> Error {
    match step {
        None => Error::of("start a process")(errno),
        Some((Step::Exec, _)) => Error::Start {
            program: entry.program.to_owned(),
            errno,
            hint: enoent::hint(entry.root, entry.program, errno),
        },
        Some((Step::Directory | Step::Inside, what)) => Error::on(what, entry.cwd, errno),
        Some((_, what)) => Error::of(what)(errno),
    }
}

/// What std would refuse with a bare EINVAL, sort out in silence, or look for on PATH.
fn refuse_bad_words(entry: &ExecRequest<'_>) -> Result<(), Error> {
    let has_nul = |word: &OsStr| word.as_bytes().contains(&0);
    for (what, path) in [("program", entry.program), ("directory", entry.cwd)] {
        if has_nul(path.as_os_str()) {
            return Err(nul(what));
        }
        if !path.is_absolute() {
            return Err(Error::Refused(format!(
                "the {what} must be an absolute path inside the jail"
            )));
        }
    }
    if has_nul(&entry.argv0) || entry.args.iter().any(|arg| has_nul(arg)) {
        return Err(nul("argument"));
    }
    for (at, (name, value)) in entry.env.iter().enumerate() {
        if has_nul(name) || has_nul(value) {
            return Err(nul("environment"));
        }
        let bad = name.is_empty() || name.as_bytes().contains(&b'=');
        if bad || entry.env.iter().take(at).any(|(other, _)| other == name) {
            let name = name.to_string_lossy().escape_debug().to_string();
            return Err(Error::Refused(format!(
                "the environment has a bad or second `{name}`"
            )));
        }
    }
    Ok(())
}

fn nul(what: &str) -> Error {
    Error::Refused(format!("the {what} has a NUL in it"))
}

/// chroot(2) into the caller's own root would be no jail at all.
fn refuse_own_root(root: BorrowedFd<'_>) -> Result<(), Error> {
    let look = Error::of("look at the jail's root");
    let there = fstat(root).map_err(&look)?;
    let here = stat("/").map_err(&look)?;
    if FileType::from_raw_mode(there.st_mode) != FileType::Directory {
        return Err(look(Errno::NOTDIR));
    }
    if (there.st_dev, there.st_ino) == (here.st_dev, here.st_ino) {
        return Err(Error::Refused("the jail's root is the host's".to_owned()));
    }
    Ok(())
}

impl From<ExitStatus> for ExitKind {
    fn from(status: ExitStatus) -> Self {
        // wait(2): a status that is not an exit's is a signal's, as stops are not asked for.
        status.code().map_or_else(
            || Self::Signal(status.signal().unwrap_or_default()),
            Self::Code,
        )
    }
}
