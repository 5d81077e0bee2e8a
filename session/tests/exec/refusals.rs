//! Refused requests, failures and their messages, and exit statuses.

use std::fs::{self, File, Permissions};
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use jailctl_session::Error;
use jailctl_session::exec::{ExecRequest, run};

use crate::jail::{Jail, State};

/// A valid request for `root`.
fn entry(root: &File) -> ExecRequest<'_> {
    ExecRequest {
        root: root.as_fd(),
        uid: 64_001,
        gid: 64_001,
        groups: &[],
        cwd: Path::new("/"),
        program: Path::new("/bin/probe"),
        argv0: "probe".into(),
        args: vec!["exit".into()],
        env: Vec::new(),
    }
}

fn refused(entry: &ExecRequest<'_>) -> String {
    match run(entry) {
        Err(Error::Refused(why)) => why,
        other => panic!("{entry:?}: {other:?}"),
    }
}

/// Standard error of the process that calls `run`, which exits with the status for an error.
fn error_output(command: &mut Command) -> String {
    let output = command.output().expect("an output");
    assert_eq!(output.status.code(), Some(125), "{output:?}");
    String::from_utf8_lossy(&output.stderr).trim().to_owned()
}

/// Waits until the caller has a handler for SIGTERM: bit 14 of the caught signals.
fn wait_for_handler(pid: u32) {
    let since = Instant::now();
    let caught = || {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("a process");
        let mask = status
            .lines()
            .find_map(|line| line.strip_prefix("SigCgt:\t"));
        u64::from_str_radix(mask.expect("a mask"), 16).expect("a mask")
    };
    while caught() & (1 << 14) == 0 {
        assert!(since.elapsed() < Duration::from_secs(20));
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[disposable::test]
fn root_is_never_entered_as() {
    let root = File::open(std::env::temp_dir()).unwrap();
    let good = entry(&root);
    refused(&ExecRequest {
        uid: 0,
        ..good.clone()
    });
    refused(&ExecRequest {
        gid: 0,
        ..good.clone()
    });
    refused(&ExecRequest {
        groups: &[64_001, 0],
        ..good.clone()
    });
    refused(&ExecRequest {
        uid: u32::MAX,
        ..good
    });
}

#[disposable::test]
fn invalid_strings_and_the_root_of_the_host_are_refused() {
    let root = File::open(std::env::temp_dir()).unwrap();
    let good = entry(&root);
    let relative = Path::new("bin/probe");
    let why = refused(&ExecRequest {
        program: relative,
        ..good.clone()
    });
    assert!(why.contains("absolute"), "{why}");
    refused(&ExecRequest {
        cwd: relative,
        ..good.clone()
    });
    refused(&ExecRequest {
        cwd: Path::new("/a\0b"),
        ..good.clone()
    });
    refused(&ExecRequest {
        args: vec!["a\0b".into()],
        ..good.clone()
    });
    for env in [
        vec![("", "x")],
        vec![("A=B", "x")],
        vec![("A", "x\0")],
        vec![("A", "1"), ("A", "2")],
    ] {
        let env = env.into_iter().map(|(n, v)| (n.into(), v.into())).collect();
        refused(&ExecRequest {
            env,
            ..good.clone()
        });
    }
    let host = File::open("/").unwrap();
    assert_eq!(
        refused(&entry(&host)),
        "the root of the jail is the root of the host"
    );
    let file = File::open("/dev/null").unwrap();
    assert_eq!(
        run(&entry(&file)).unwrap_err().to_string(),
        "could not query the jail's root: not a directory"
    );
}

#[disposable::test]
fn exit_statuses_are_returned() {
    let jail = Jail::new("endings");
    let status = |words: &[&str]| jail.enter(words).output().unwrap().status.code();
    assert_eq!(status(&["exit", "0"]), Some(0));
    assert_eq!(status(&["exit", "42"]), Some(42));
    assert_eq!(status(&["kill", "9"]), Some(128 + 9));
    assert_eq!(status(&["kill", "15"]), Some(128 + 15));
}

#[disposable::test]
fn start_errors_have_reasons() {
    let jail = Jail::new("start");
    let write = |name: &str, text: &[u8]| {
        let path = jail.0.join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(path, Permissions::from_mode(0o755)).unwrap();
    };
    let start = |program: &str| {
        let mut enter = jail.enter(&[]);
        error_output(enter.env("ENTRY_PROGRAM", program))
    };
    assert_eq!(
        start("/bin/x"),
        "could not start `/bin/x` in the jail: no such file or directory"
    );
    write("bin/script", b"#!/usr/bin/python3 -E\n");
    assert_eq!(
        start("/bin/script"),
        "could not start `/bin/script` in the jail: no such file or directory \
         (the file is there, but not its interpreter `/usr/bin/python3`)"
    );
    write("bin/dynamic", &fs::read("/proc/self/exe").unwrap());
    assert_eq!(
        start("/bin/dynamic"),
        "could not start `/bin/dynamic` in the jail: no such file or directory \
         (the file is there, but not the loader that it names as its ELF interpreter)"
    );
    write("bin/text", b"echo hello\n");
    assert_eq!(
        start("/bin/text"),
        "could not start `/bin/text` in the jail: no such file or directory \
         (the file has no `#!` line, and there is no /bin/sh to read it)"
    );
    fs::write(jail.0.join("bin/data"), "data").unwrap();
    assert_eq!(
        start("/bin/data"),
        "could not start `/bin/data` in the jail: permission denied"
    );
    assert_eq!(
        start("/bin/\u{1b}]0;x"),
        "could not start `/bin/\\u{1b}]0;x` in the jail: no such file or directory"
    );
}

#[disposable::test]
fn the_working_directory_is_entered_with_the_users_rights() {
    let jail = Jail::new("cwd");
    let enter = |cwd: &str| error_output(jail.enter(&["state"]).env("ENTRY_CWD", cwd));
    assert_eq!(
        enter("/root"),
        "could not enter the directory `/root`: permission denied"
    );
    assert_eq!(
        enter("/home/nobody"),
        "could not enter the directory `/home/nobody`: no such file or directory"
    );
    assert_eq!(
        enter("/bin/probe"),
        "could not enter the directory `/bin/probe`: not a directory"
    );
}

#[disposable::test]
fn a_directory_as_standard_descriptor_is_refused_and_files_are_passed() {
    let jail = Jail::new("stdio");
    let mut enter = jail.enter(&["state"]);
    enter.stdin(File::open("/etc").unwrap());
    let said = error_output(&mut enter);
    assert!(
        said.contains("standard descriptor is a directory"),
        "{said}"
    );

    let file = jail.0.join("input");
    fs::write(&file, "from a file\n").unwrap();
    let mut enter = jail.enter(&["echo"]);
    let output = enter.stdin(File::open(file).unwrap()).output().unwrap();
    let inside = State::of(&output);
    assert_eq!(inside.one("got"), "from a file");
    assert_eq!(inside.one("end"), "1");
}

#[disposable::test]
fn a_signal_to_the_caller_ends_the_program_at_last() {
    let jail = Jail::new("stubborn");
    for (word, ending) in [("sleep", 128 + 15), ("stubborn", 128 + 9)] {
        let mut enter = jail.enter(&[word]);
        let mut running = enter.stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = std::io::BufReader::new(running.stdout.take().unwrap());
        let program = loop {
            let mut line = String::new();
            std::io::BufRead::read_line(&mut lines, &mut line).unwrap();
            assert_ne!(line, "", "the program has ended");
            if let Some(pid) = line.trim().strip_prefix("pid=") {
                break pid.to_owned();
            }
        };
        wait_for_handler(running.id());
        let since = Instant::now();
        let pid = rustix::process::Pid::from_child(&running);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        assert_eq!(running.wait().unwrap().code(), Some(ending), "{word}");
        assert!(since.elapsed() < Duration::from_secs(10));
        assert!(!Path::new("/proc").join(program).exists());
    }
}
