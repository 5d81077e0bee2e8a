//! A root directory with the probe in it, and the process that calls `run`.

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::io::Write;
use std::os::fd::AsFd;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;

use disposable::harness::need_root;
use jailctl_session::exec::{ExecRequest, ExitKind, run};
use jailctl_session::mount::bind;
use jailctl_session::private_mounts;
use rustix::fs::{Mode, OFlags};

/// Ids that no account has: nothing here may depend on a name.
pub(crate) const UID: u32 = 64_001;
pub(crate) const GID: u32 = 64_002;
pub(crate) const GROUPS: [u32; 2] = [64_003, 64_004];

/// A root directory; removed on drop.
pub(crate) struct Jail(pub(crate) PathBuf);

impl Jail {
    /// Creates the directory. Without root the calling test ends as ignored.
    pub(crate) fn new(name: &str) -> Self {
        need_root();
        let pid = std::process::id();
        let root = std::env::temp_dir().join(format!("jailctl-enter-{name}-{pid}"));
        let jail = Self(root);
        for dir in ["bin", "dev", "proc", "home/user", "root"] {
            fs::create_dir_all(jail.0.join(dir)).expect("a directory");
        }
        chown(jail.0.join("home/user"), Some(UID), Some(GID)).expect("an owner");
        fs::set_permissions(jail.0.join("root"), Permissions::from_mode(0o700)).expect("a mode");
        // By another process: a file that this one writes is open for a moment in the children of
        // other tests, too, and could not be executed (execve(2), ETXTBSY).
        let mut install = Command::new("install")
            .args(["-m", "755", "/dev/stdin"])
            .arg(jail.0.join("bin/probe"))
            .stdin(Stdio::piped())
            .spawn()
            .expect("install");
        let mut input = install.stdin.take().expect("its input");
        input.write_all(probe()).expect("the probe");
        drop(input);
        assert!(install.wait().expect("its end").success());
        jail
    }

    /// The command that runs the probe with the arguments `words`.
    pub(crate) fn enter(&self, words: &[&str]) -> Command {
        let mut command = again();
        command.env("ENTRY_ROOT", &self.0);
        command.env("ENTRY_WORDS", words.join("\n"));
        command
    }

    /// State that the probe prints.
    pub(crate) fn state(&self) -> State {
        State::of(&self.enter(&["state"]).output().expect("an output"))
    }
}

impl Drop for Jail {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// This test program, as the process that calls `run`: see `main`.
pub(crate) fn again() -> Command {
    Command::new(std::env::current_exe().expect("this program"))
}

/// Compiled once for each run of the tests.
fn probe() -> &'static [u8] {
    static PROBE: OnceLock<Vec<u8>> = OnceLock::new();
    PROBE.get_or_init(|| {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/exec/probe.c");
        let pid = std::process::id();
        let binary = std::env::temp_dir().join(format!("jailctl-probe-{pid}"));
        let mut gcc = Command::new("gcc");
        gcc.args(["-static", "-O1", "-Wall", "-o"]);
        let done = gcc.arg(&binary).arg(source).status().expect("gcc");
        assert!(done.success());
        let bytes = fs::read(&binary).expect("the probe");
        fs::remove_file(&binary).expect("a file to remove");
        bytes
    })
}

/// Lines of the probe, by name.
#[derive(Debug)]
pub(crate) struct State(BTreeMap<String, Vec<String>>);

impl State {
    pub(crate) fn of(output: &Output) -> Self {
        assert!(output.status.success(), "{output:?}");
        Self::parse(&String::from_utf8_lossy(&output.stdout))
    }

    pub(crate) fn parse(text: &str) -> Self {
        let mut lines = BTreeMap::<String, Vec<String>>::new();
        for (name, value) in text.lines().filter_map(|line| line.split_once('=')) {
            lines
                .entry(name.to_owned())
                .or_default()
                .push(value.to_owned());
        }
        Self(lines)
    }

    pub(crate) fn all(&self, name: &str) -> Vec<&str> {
        let values = self.0.get(name).into_iter().flatten();
        values.map(String::as_str).collect()
    }

    pub(crate) fn one(&self, name: &str) -> &str {
        match *self.all(name) {
            [one] => one,
            ref others => panic!("{name} is there {} times: {self:?}", others.len()),
        }
    }
}

/// The process that the tests start, with the request in its environment; `root` is `ENTRY_ROOT`.
/// Exits with the status of the program, 128 and the number for a signal, and 125 for an error.
#[expect(clippy::exit, reason = "it replaces a program")]
pub(crate) fn stand_in(root: &str) {
    let leaks = std::env::var("ENTRY_LEAKS").is_ok_and(|value| value == "yes");
    let opened = ["/", "/etc", "/etc/passwd"].map(|name| {
        let flags = OFlags::RDONLY;
        leaks.then(|| rustix::fs::open(name, flags, Mode::empty()).expect("an open file"))
    });
    let proc = std::env::var("ENTRY_PROC").is_ok();
    let result = private_mounts(|| {
        if proc {
            bind(Path::new("/proc"), &*Path::new(root).join("proc")).expect("a mount");
            bind(Path::new("/dev"), &*Path::new(root).join("dev")).expect("a mount");
        }
        run_request(Path::new(root))
    });
    drop(opened);
    match result.expect("a namespace") {
        Ok(ExitKind::Code(code)) => std::process::exit(code),
        Ok(ExitKind::Signal(signal)) => std::process::exit(128 + signal),
        Err(error) => {
            eprintln!("{error}");
            std::process::exit(125);
        }
    }
}

fn run_request(root: &Path) -> Result<ExitKind, jailctl_session::Error> {
    let variable = |name: &str, or: &str| std::env::var(name).unwrap_or_else(|_| or.to_owned());
    // O_PATH suffices.
    let root = rustix::fs::open(root, OFlags::PATH | OFlags::CLOEXEC, Mode::empty());
    let root = root.expect("a root");
    run(&ExecRequest {
        root: root.as_fd(),
        uid: UID,
        gid: GID,
        groups: &GROUPS,
        cwd: Path::new(&variable("ENTRY_CWD", "/home/user")),
        program: Path::new(&variable("ENTRY_PROGRAM", "/bin/probe")),
        argv0: "-probe".into(),
        args: variable("ENTRY_WORDS", "")
            .lines()
            .map(Into::into)
            .collect(),
        env: vec![
            ("HOME".into(), "/home/user".into()),
            ("EMPTY".into(), "".into()),
        ],
    })
}
