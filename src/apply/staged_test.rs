//! Test of a staged tree before it is live.
//!
//! The tree is assembled in a mount namespace from the staged paths and those that stay. Every
//! program must find its libraries and files there, and every `[[test]]` must succeed as the jail's
//! first user. The mounts are invisible on the host, no test runs as root, and user directories are
//! empty: their files can neither help a test nor be damaged by one.
//!
//! Processes of the jail's users may run in the live tree at the same time, and in a plain chroot
//! they share the host's pids. So a test runs under a user id that no account and no process has
//! ([`HostView::unused_uid`](crate::host::HostView::unused_uid)), chosen for this test alone: by
//! kill(2) and ptrace(2) only root can signal, stop or trace it, or take its descriptors
//! (pidfd_getfd(2)). In the assembled tree that id has the first user's name, by a copy of
//! passwd(5) that is mounted there only, and owns the first user's files. The tree is below a tmpfs
//! that only root can search, as that of a session is: a directory descriptor that is passed out
//! all the same does not lead to the host.

use std::ffi::OsString;
use std::io::Read;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jailctl_session::exec::{Captured, ExecRequest as Start, ExitKind, capture};
use jailctl_session::{mount, private_mounts, private_processes};

use crate::error::{Error, Finding, Result};
use crate::host::{Dir, FileKind, Host, HostView, Ownership};
use crate::layout::{PUBLIC_DIR_MODE, PUBLIC_MODE, SESSION_PATH, STAGE};
use crate::resolve::{EntryKind, ResolvedJail, WantedAccount, verify_closure};
use crate::span::Spanned;

/// Time limit of a test.
const LIMIT: Duration = Duration::from_secs(60);
/// Number of lines of a failed test's output that are reported.
const OUTPUT_LINES: usize = 8;
/// Name of the assembled tree, below the tmpfs that only root can search.
const INSIDE: &str = "root";
/// Name of the copy of passwd(5), beside the tree.
const PASSWD_COPY: &str = "passwd";
/// Path of passwd(5), below the tree.
const PASSWD: &str = "etc/passwd";
/// Largest size of passwd(5) that is read, in bytes.
const PASSWD_LIMIT: u64 = 16 << 20;

/// The identity that a test runs as.
#[derive(Clone, Copy, Debug)]
struct Tester<'a> {
    /// The account whose name and group it has.
    account: &'a WantedAccount,
    /// A user id that nothing else has.
    uid: u32,
}

/// Tests the staged tree of `jail`.
///
/// # Errors
/// [`ErrorKind::Failed`](crate::error::ErrorKind::Failed) with every test that failed, or
/// [`ErrorKind::LibraryNotFound`](crate::error::ErrorKind::LibraryNotFound) for a program whose
/// libraries are not in the tree. Nothing of it is live then.
pub(super) fn test_staged_tree(host: &Host, jail: &ResolvedJail) -> Result<()> {
    let at = host.display_path(&jail.root);
    in_namespace(private_mounts(|| {
        assemble_root(&at, jail, None)?;
        verify_closure(&jail.tree, &HostView::new(&at.join(INSIDE))?, host)
    }))?;
    // The programs of a host in a directory may be for another architecture.
    if !host.is_live() {
        return Ok(());
    }
    let mut findings = Vec::new();
    for test in &jail.tests {
        let outcome = match jail.accounts.first() {
            Some(account) => {
                let uid = host.unused_uid()?;
                let tester = Tester { account, uid };
                in_namespace(private_processes(|| {
                    let root = assemble_root(&at, jail, Some(tester))?;
                    Ok(run(&root, tester, &test.value))
                }))?
            }
            None => Err("the jail has no account to run it".to_owned()),
        };
        findings.extend(test_failure(jail, test, outcome));
    }
    if findings.is_empty() {
        return Ok(());
    }
    Err(Error {
        kind: crate::error::ErrorKind::Failed,
        findings,
    })
}

fn in_namespace<T>(outcome: std::result::Result<Result<T>, jailctl_session::Error>) -> Result<T> {
    outcome.map_err(|error| unable(&error))?
}

fn unable(error: &jailctl_session::Error) -> Error {
    Error::failed("could not assemble the new tree for its test").why(error.to_string())
}

/// Mounts the tree, as it would be live, below a tmpfs over the root of the jail at `at`. `tester`
/// replaces the first user. Must be called in a private mount namespace.
fn assemble_root(at: &Path, jail: &ResolvedJail, tester: Option<Tester<'_>>) -> Result<Dir> {
    let here = Host::new(Path::new("/"))?;
    let gone = || Error::failed(format!("could not open `{}`", at.display())).why("it is gone");
    // Opened here, since a mount belongs to the namespace in which its descriptor was opened.
    let live = here.open_dir_nofollow(at)?.ok_or_else(gone)?;
    let stage = live.open_dir(Path::new(STAGE))?;
    let is_staged = |path: &Path| -> Result<bool> { Ok(stage.lstat(path)?.is_some()) };
    mount::tmpfs(at, 0o700).map_err(|error| unable(&error))?;
    let barrier = here.open_dir_nofollow(at)?.ok_or_else(gone)?;
    let root = barrier.create_dir(Path::new(INSIDE), Ownership::root(PUBLIC_DIR_MODE))?;
    let owner = |of: Ownership| match tester {
        Some(tester) if of.uid == tester.account.uid => Ownership {
            uid: tester.uid,
            ..of
        },
        _ => of,
    };
    for (path, entry) in jail.tree.iter() {
        let relative = path.relative();
        let is_top = crate::plan::EXCHANGED_DIRS.contains(&path.top());
        if is_top && path.parent().is_none_or(|parent| parent.as_str() != "/") {
            continue;
        }
        let from = if is_staged(relative)? { &stage } else { &live };
        match &entry.kind {
            EntryKind::Directory if is_top => {
                let target = root.create_dir(relative, Ownership::root(PUBLIC_DIR_MODE))?;
                let source = from.open_dir(relative)?;
                mount::bind(source.as_fd(), target.as_fd()).map_err(|error| unable(&error))?;
            }
            EntryKind::Directory => root.create_dir(relative, owner(entry.owner)).map(drop)?,
            EntryKind::Symlink(target) => root.create_symlink(relative, target)?,
            EntryKind::File(_) => {
                root.create_file(relative)?;
                let source = from.open_file(relative)?;
                let target = root.open_file(relative)?;
                mount::bind(source.as_fd(), target.as_fd()).map_err(|error| unable(&error))?;
            }
            EntryKind::Device { .. } => {}
        }
    }
    if let Some(tester) = tester {
        name_tester(&barrier, &root, tester)?;
    }
    // Opened again: a descriptor from before does not see the mounts below.
    here.open_dir_nofollow(&at.join(INSIDE))?.ok_or_else(gone)
}

/// Mounts a passwd(5) over that of the tree at `root` in which the tester's id has the account's
/// name.
fn name_tester(barrier: &Dir, root: &Dir, tester: Tester<'_>) -> Result<()> {
    let (copy, passwd) = (Path::new(PASSWD_COPY), Path::new(PASSWD));
    if root.lstat(passwd)?.is_none() {
        return Ok(());
    }
    let mut text = Vec::new();
    let failed = |error| Error::io("read", &root.display_path(passwd), &error);
    let file = root.open_file(passwd)?;
    file.take(PASSWD_LIMIT)
        .read_to_end(&mut text)
        .map_err(failed)?;
    let text = renumbered(&String::from_utf8_lossy(&text), tester);
    barrier.replace_file(copy, text.as_bytes(), Ownership::root(PUBLIC_MODE))?;
    let (source, target) = (barrier.open_file(copy)?, root.open_file(passwd)?);
    mount::bind(source.as_fd(), target.as_fd()).map_err(|error| unable(&error))
}

/// The text of passwd(5) with the tester's id in the line of its account.
fn renumbered(text: &str, tester: Tester<'_>) -> String {
    let line = |line: &str| {
        let mut fields: Vec<&str> = line.split(':').collect();
        let uid = tester.uid.to_string();
        if fields.first() == Some(&tester.account.name.as_str())
            && let Some(field) = fields.get_mut(2)
        {
            *field = &uid;
        }
        fields.join(":") + "\n"
    };
    text.lines().map(line).collect()
}

/// Runs a test. The error is the reason why it could not be started.
fn run(
    root: &Dir,
    tester: Tester<'_>,
    command: &[String],
) -> std::result::Result<Captured, String> {
    let account = tester.account;
    let Some((program, args)) = command.split_first() else {
        return Err("the command is empty".to_owned());
    };
    let Some(program) = find(root, program) else {
        return Err(format!(
            "the jail has no program `{}`",
            program.escape_debug()
        ));
    };
    let home = account.home.as_str();
    let env = [
        ("HOME", home),
        ("LOGNAME", &account.name),
        ("USER", &account.name),
        ("PATH", SESSION_PATH),
    ];
    let start = Start {
        root: root.as_fd(),
        uid: tester.uid,
        gid: account.gid,
        groups: &[account.gid],
        cwd: Path::new(home),
        program: &program,
        argv0: OsString::from(&command[0]),
        args: args.iter().map(OsString::from).collect(),
        env: env.map(|(key, value)| (key.into(), value.into())).into(),
    };
    capture(&start, LIMIT).map_err(|error| error.to_string())
}

/// The path of a program in the jail.
fn find(root: &Dir, program: &str) -> Option<PathBuf> {
    if program.starts_with('/') {
        return Some(PathBuf::from(program));
    }
    for directory in SESSION_PATH.split(':') {
        let path = Path::new(directory).join(program);
        let found = root.lstat(path.strip_prefix("/").unwrap_or(&path));
        // `/bin` is a link to a directory that was searched before it.
        if let Ok(Some(stat)) = found
            && matches!(stat.kind(), FileKind::File | FileKind::Symlink)
        {
            return Some(path);
        }
    }
    None
}

/// The finding about a test; `None` if it succeeded.
fn test_failure(
    jail: &ResolvedJail,
    test: &Spanned<Vec<String>>,
    outcome: std::result::Result<Captured, String>,
) -> Option<Finding> {
    let (why, output) = match outcome {
        Ok(Captured {
            ending: Some(ExitKind::Code(0)),
            ..
        }) => return None,
        Ok(Captured { ending, output }) => (
            match ending {
                Some(ExitKind::Code(code)) => format!("it exited with {code}"),
                Some(ExitKind::Signal(signal)) => format!("signal {signal} ended it"),
                None => format!("it did not end within {} seconds", LIMIT.as_secs()),
            },
            String::from_utf8_lossy(&output).into_owned(),
        ),
        Err(why) => (why, String::new()),
    };
    let mut finding = Finding::new(format!(
        "a test of the jail `{}` failed in its new tree",
        jail.name
    ))
    .why(why)
    .with_span(&test.span, "this test");
    let lines: Vec<&str> = output
        .lines()
        .filter(|line| !line.trim().is_empty())
        .collect();
    for line in &lines[lines.len().saturating_sub(OUTPUT_LINES)..] {
        finding = finding.hint(format!("its output: {}", line.escape_debug()));
    }
    Some(finding.hint("nothing of the new tree is live"))
}
