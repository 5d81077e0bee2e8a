//! Proof before a tree goes live: put together in namespaces of its own, out of what is staged and what stays, every program must find what it
//! needs in there, and every `[[test]]` must succeed as the jail's first user.
//!
//! Nothing of it shows on the host, nothing runs as root, and places of users are empty in there: what they hold can neither help a test nor be
//! harmed by one.

use std::ffi::OsString;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jailctl_session::enter::{Captured, Ending, Entry as Start, capture};
use jailctl_session::{mount, private_mounts, private_processes};

use super::tree::STAGE;
use crate::error::{Error, Finding, Result};
use crate::host::{Dir, FileKind, Host, Ownership, View};
use crate::resolve::{EntryKind, ResolvedJail, prove};
use crate::site::Sited;

/// Where programs are looked for in a jail.
const PATH: &str = "/usr/local/bin:/usr/bin:/bin";
/// How long a test may take.
const LIMIT: Duration = Duration::from_secs(60);
/// Lines of a test's output that are told.
const TOLD: usize = 8;

/// Proves what is staged of `jail`.
pub(super) fn prove_staged(host: &Host, jail: &ResolvedJail) -> Result<()> {
    let at = host.shown(&jail.root);
    apart(private_mounts(|| {
        put_together(&at, jail)?;
        prove(&jail.tree, &View::new(&at)?, host)
    }))?;
    // Programs of a host in a directory may be of another machine.
    if !host.is_live() {
        return Ok(());
    }
    let mut findings = Vec::new();
    for test in &jail.tests {
        let outcome = apart(private_processes(|| {
            let root = put_together(&at, jail)?;
            Ok(run(&root, jail, &test.value))
        }))?;
        findings.extend(objection(jail, test, outcome));
    }
    if findings.is_empty() {
        return Ok(());
    }
    Err(Error {
        kind: crate::error::Kind::Failed,
        findings,
    })
}

fn apart<T>(outcome: std::result::Result<Result<T>, jailctl_session::Error>) -> Result<T> {
    outcome.map_err(|error| unable(&error))?
}

fn unable(error: &jailctl_session::Error) -> Error {
    Error::failed("could not put the new tree together to try it").why(error.to_string())
}

/// Mounts the tree, as it would be live, over the root of the jail at `at`. Only for a mount namespace of one's own.
fn put_together(at: &Path, jail: &ResolvedJail) -> Result<Dir> {
    let here = Host::new(Path::new("/"))?;
    let gone = || Error::failed(format!("could not open `{}`", at.display())).why("it is gone");
    // Opened here, since a mount is taken from the namespace that its descriptor was opened in.
    let live = here.open_root(at)?.ok_or_else(gone)?;
    let stage = live.open_dir(Path::new(STAGE))?;
    let is_staged = |path: &Path| -> Result<bool> { Ok(stage.lstat(path)?.is_some()) };
    mount::tmpfs(at, 0o755).map_err(|error| unable(&error))?;
    let root = here.open_root(at)?.ok_or_else(gone)?;
    for (path, entry) in jail.tree.iter() {
        let relative = path.relative();
        let is_top = crate::plan::SWAPPED.contains(&path.top());
        if is_top && path.parent().is_none_or(|parent| parent.as_str() != "/") {
            continue;
        }
        let from = if is_staged(relative)? { &stage } else { &live };
        match &entry.kind {
            EntryKind::Directory if is_top => {
                let target = root.make_dir(relative, Ownership::root(0o755))?;
                let source = from.open_dir(relative)?;
                mount::bind(source.as_fd(), target.as_fd()).map_err(|error| unable(&error))?;
            }
            EntryKind::Directory => root.make_dir(relative, entry.owner).map(drop)?,
            EntryKind::Symlink(target) => root.make_link(relative, target)?,
            EntryKind::File(_) => {
                root.make_file(relative)?;
                let source = from.open_file(relative)?;
                let target = root.open_file(relative)?;
                mount::bind(source.as_fd(), target.as_fd()).map_err(|error| unable(&error))?;
            }
            EntryKind::Device { .. } => {}
        }
    }
    // Opened anew: what is mounted below shows in it.
    here.open_root(at)?.ok_or_else(gone)
}

/// Runs a test as the jail's first user; the inner error says why it could not even be started.
fn run(root: &Dir, jail: &ResolvedJail, words: &[String]) -> std::result::Result<Captured, String> {
    let (Some(account), Some((program, args))) = (jail.accounts.first(), words.split_first())
    else {
        return Err("there is nobody to run it, or nothing to run".to_owned());
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
        ("PATH", PATH),
    ];
    let start = Start {
        root: root.as_fd(),
        uid: account.uid,
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
    for directory in PATH.split(':') {
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
fn objection(
    jail: &ResolvedJail,
    test: &Sited<Vec<String>>,
    outcome: std::result::Result<Captured, String>,
) -> Option<Finding> {
    let (why, output) = match outcome {
        Ok(Captured {
            ending: Some(Ending::Code(0)),
            ..
        }) => return None,
        Ok(Captured { ending, output }) => (
            match ending {
                Some(Ending::Code(code)) => format!("it exited with {code}"),
                Some(Ending::Signal(signal)) => format!("signal {signal} ended it"),
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
    .at(&test.site, "this test");
    let lines: Vec<&str> = output
        .lines()
        .filter(|line| !line.trim().is_empty())
        .collect();
    for line in &lines[lines.len().saturating_sub(TOLD)..] {
        finding = finding.hint(format!("it said: {}", line.escape_debug()));
    }
    Some(finding.hint("nothing of the new tree was made live"))
}
