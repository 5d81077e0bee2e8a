//! Proof before a tree goes live: put together in namespaces of its own, out of what is staged and what stays, every program must find what it
//! needs in there, and every `[[test]]` must succeed as the jail's first user.
//!
//! Nothing of it shows on the host, nothing runs as root, and places of users are empty in there: what they hold can neither help a test nor be
//! harmed by one.
//!
//! Processes of the jail's users may live in the old tree meanwhile, and in a plain chroot they share the host's pids. So a test does not run under the
//! first user's id, but under one that nobody has, chosen for this test alone ([`View::spare_uid`](crate::host::HostView::unused_uid)): by kill(2) and
//! ptrace(2) nobody but root can then signal, stop or trace it, or take its descriptors (pidfd_getfd(2)). In the test's tree that id has the first user's
//! name, by a copy of passwd(5) that is mounted there only, and what is the first user's is that id's. The tree hangs below a tmpfs that only root may
//! pass, as that of a session does: a directory that is handed out all the same does not lead up to the host.

use std::ffi::OsString;
use std::io::Read;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jailctl_session::exec::{Captured, ExecRequest as Start, ExitKind, capture};
use jailctl_session::{mount, private_mounts, private_processes};

use crate::error::{Error, Finding, Result};
use crate::host::{Dir, FileKind, Host, HostView, Ownership};
use crate::layout::{SESSION_PATH, STAGE};
use crate::resolve::{EntryKind, ResolvedJail, WantedAccount, verify_closure};
use crate::span::Spanned;

/// How long a test may take.
const LIMIT: Duration = Duration::from_secs(60);
/// Lines of a test's output that are told.
const TOLD: usize = 8;
/// The tree, below the tmpfs that only root may pass.
const INSIDE: &str = "root";
/// The copy of passwd(5), beside it.
const NAMES: &str = "passwd";
/// Where names of users are, below the tree.
const PASSWD: &str = "etc/passwd";
/// Bytes that are read of it.
const NAMES_LIMIT: u64 = 16 << 20;

/// Whom a test runs as.
#[derive(Clone, Copy, Debug)]
struct Tester<'a> {
    /// The account whose name and groups it has.
    account: &'a WantedAccount,
    /// The id that nobody else has.
    uid: u32,
}

/// Proves what is staged of `jail`.
pub(super) fn test_staged_tree(host: &Host, jail: &ResolvedJail) -> Result<()> {
    let at = host.display_path(&jail.root);
    in_namespace(private_mounts(|| {
        assemble_root(&at, jail, None)?;
        verify_closure(&jail.tree, &HostView::new(&at.join(INSIDE))?, host)
    }))?;
    // Programs of a host in a directory may be of another machine.
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
            None => Err("there is nobody to run it".to_owned()),
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
    Error::failed("could not put the new tree together to try it").why(error.to_string())
}

/// Mounts the tree, as it would be live, below a tmpfs over the root of the jail at `at`, with `tester` for the first user. Only for a mount namespace of
/// one's own.
fn assemble_root(at: &Path, jail: &ResolvedJail, tester: Option<Tester<'_>>) -> Result<Dir> {
    let here = Host::new(Path::new("/"))?;
    let gone = || Error::failed(format!("could not open `{}`", at.display())).why("it is gone");
    // Opened here, since a mount is taken from the namespace that its descriptor was opened in.
    let live = here.open_dir_nofollow(at)?.ok_or_else(gone)?;
    let stage = live.open_dir(Path::new(STAGE))?;
    let is_staged = |path: &Path| -> Result<bool> { Ok(stage.lstat(path)?.is_some()) };
    mount::tmpfs(at, 0o700).map_err(|error| unable(&error))?;
    let barrier = here.open_dir_nofollow(at)?.ok_or_else(gone)?;
    let root = barrier.create_dir(Path::new(INSIDE), Ownership::root(0o755))?;
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
                let target = root.create_dir(relative, Ownership::root(0o755))?;
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
        name(&barrier, &root, tester)?;
    }
    // Opened anew: what is mounted below shows in it.
    here.open_dir_nofollow(&at.join(INSIDE))?.ok_or_else(gone)
}

/// Gives the account's name to the id of `tester`, in the tree at `root` and nowhere else.
fn name(barrier: &Dir, root: &Dir, tester: Tester<'_>) -> Result<()> {
    let (copy, passwd) = (Path::new(NAMES), Path::new(PASSWD));
    if root.lstat(passwd)?.is_none() {
        return Ok(());
    }
    let mut text = Vec::new();
    let failed = |error| Error::io("read", &root.display_path(passwd), &error);
    let file = root.open_file(passwd)?;
    file.take(NAMES_LIMIT)
        .read_to_end(&mut text)
        .map_err(failed)?;
    let text = renumbered(&String::from_utf8_lossy(&text), tester);
    barrier.replace_file(copy, text.as_bytes(), Ownership::root(0o644))?;
    let (source, target) = (barrier.open_file(copy)?, root.open_file(passwd)?);
    mount::bind(source.as_fd(), target.as_fd()).map_err(|error| unable(&error))
}

/// passwd(5) with the id of `tester` in the line of the account.
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

/// Runs a test; the inner error says why it could not even be started.
fn run(root: &Dir, tester: Tester<'_>, words: &[String]) -> std::result::Result<Captured, String> {
    let account = tester.account;
    let Some((program, args)) = words.split_first() else {
        return Err("there is nothing to run".to_owned());
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
        argv0: OsString::from(&words[0]),
        args: args.iter().map(OsString::from).collect(),
        env: env.map(|(key, value)| (key.into(), value.into())).into(),
    };
    capture(&start, LIMIT).map_err(|error| error.to_string())
}

/// Where a program is in the jail.
fn find(root: &Dir, program: &str) -> Option<PathBuf> {
    if program.starts_with('/') {
        return Some(PathBuf::from(program));
    }
    for directory in SESSION_PATH.split(':') {
        let path = Path::new(directory).join(program);
        let found = root.lstat(path.strip_prefix("/").unwrap_or(&path));
        // `/bin` is a link; the directory that it leads to comes before it.
        if let Ok(Some(stat)) = found
            && matches!(stat.kind(), FileKind::File | FileKind::Symlink)
        {
            return Some(path);
        }
    }
    None
}

/// What is wrong with a test's outcome, if anything.
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
    .with_span(&test.site, "this test");
    let lines: Vec<&str> = output
        .lines()
        .filter(|line| !line.trim().is_empty())
        .collect();
    for line in &lines[lines.len().saturating_sub(TOLD)..] {
        finding = finding.hint(format!("it said: {}", line.escape_debug()));
    }
    Some(finding.hint("nothing of the new tree was made live"))
}
