//! State of a program that `run` starts. Each test has a control: the same probe started without
//! `run` finds the opposite.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::process::{Command, Stdio};

use disposable::harness::ignore;

use crate::jail::{GID, Jail, State, UID, again};

/// State of the probe when the caller starts it directly.
fn control(jail: &Jail) -> State {
    let probe = jail.0.join("bin/probe");
    State::of(
        &Command::new(probe)
            .arg("state")
            .output()
            .expect("an output"),
    )
}

/// Real, effective, saved and file system id as the probe prints them.
fn four(id: u32) -> String {
    format!("{id} {id} {id} {id}")
}

#[disposable::test]
fn ids_groups_and_capabilities_are_the_users_for_good() {
    let jail = Jail::new("ids");
    // A caller with unusual ids, groups and capabilities.
    let mut caller = Command::new("setpriv");
    caller.args(["--inh-caps=+net_raw", "--ambient-caps=+net_raw"]);
    let enter = jail.enter(&["state"]);
    caller.arg(enter.get_program()).args(enter.get_args());
    for (name, value) in enter.get_envs() {
        caller.env(name, value.unwrap());
    }
    let inside = State::of(&caller.output().unwrap());
    assert_eq!(inside.one("uids"), four(UID));
    assert_eq!(inside.one("gids"), four(GID));
    assert_eq!(inside.all("group"), ["64003", "64004"]);
    assert_eq!(inside.one("root_again"), "0");
    for set in ["permitted", "effective", "inheritable"] {
        assert_eq!(inside.one(set), "000000000", "{set}");
    }
    assert_eq!(inside.one("bounding"), "0");
    assert_eq!(inside.one("ambient"), "0");
    assert_eq!(inside.one("no_new_privs"), "1");

    let outside = control(&jail);
    assert_eq!(outside.one("uids"), "0 0 0 0");
    assert_eq!(outside.one("root_again"), "1");
    assert_ne!(outside.one("effective"), "000000000");
    assert_ne!(outside.one("bounding"), "0");
    assert_eq!(outside.one("no_new_privs"), "0");
}

#[disposable::test]
fn a_setuid_program_in_the_jail_gives_nothing() {
    use std::os::unix::fs::PermissionsExt;
    let jail = Jail::new("setuid");
    let setuid = fs::Permissions::from_mode(0o6755);
    fs::set_permissions(jail.0.join("bin/probe"), setuid).unwrap();
    let inside = jail.state();
    assert_eq!(inside.one("uids"), four(UID));
    assert_eq!(inside.one("gids"), four(GID));
}

#[disposable::test]
fn arguments_and_environment_are_as_given() {
    let jail = Jail::new("words");
    let mut enter = jail.enter(&["state", "", "two words", "$HOME"]);
    let inside = State::of(&enter.env("LD_PRELOAD", "").output().unwrap());
    assert_eq!(
        inside.all("arg"),
        ["-probe", "state", "", "two words", "$HOME"]
    );
    let mut env = inside.all("env");
    env.sort_unstable();
    assert_eq!(env, ["EMPTY=", "HOME=/home/user"]);
    assert!(control(&jail).all("env").len() > 2);
}

#[disposable::test]
fn the_root_is_the_jail_and_the_working_directory_lies_in_it() {
    let jail = Jail::new("root");
    let inside = jail.state();
    let root = fs::metadata(&jail.0).unwrap();
    let root = format!("{} {}", root.dev(), root.ino());
    assert_eq!(inside.one("root"), root);
    assert_eq!(inside.one("above_root"), root);
    assert_eq!(inside.one("cwd"), "/home/user");
    assert_ne!(control(&jail).one("root"), root);

    // An absolute link of the user is resolved in the jail.
    fs::create_dir(jail.0.join("etc")).unwrap();
    std::os::unix::fs::symlink("/../../../etc", jail.0.join("home/user/out")).unwrap();
    let mut enter = jail.enter(&["state"]);
    let output = enter.env("ENTRY_CWD", "/home/user/out").output().unwrap();
    assert_eq!(State::of(&output).one("cwd"), "/etc");
}

#[disposable::test]
fn cve_2024_21626_no_descriptor_leaks() {
    let jail = Jail::new("leaks");
    // A caller that has directories of the host open, without close-on-exec.
    let mut enter = jail.enter(&["state"]);
    let inside = State::of(&enter.env("ENTRY_LEAKS", "yes").output().unwrap());
    assert_eq!(inside.all("fd"), ["0", "1", "2"]);

    // The control: descriptors that a plain child of such a caller inherits.
    let leak = Command::new("sh")
        .args(["-c", "exec 7</etc \"$0\" state"])
        .arg(jail.0.join("bin/probe"))
        .output();
    assert!(State::of(&leak.unwrap()).all("fd").contains(&"7"));
}

#[disposable::test]
fn cve_2024_21626_no_way_out_through_proc() {
    let jail = Jail::new("proc");
    // The attack itself: a working directory that is a descriptor of the caller, through /proc of
    // the jail.
    for descriptor in 3..12 {
        let mut enter = jail.enter(&["state"]);
        enter.env("ENTRY_LEAKS", "yes").env("ENTRY_PROC", "yes");
        enter.env("ENTRY_CWD", format!("/proc/self/fd/{descriptor}"));
        let output = enter.output().unwrap();
        assert_eq!(output.status.code(), Some(125), "{output:?}");
        let error = String::from_utf8_lossy(&output.stderr);
        let refused = error.contains("could not enter the directory `/proc/self/fd/");
        assert!(refused, "{error}");
    }
}

#[disposable::test]
fn the_session_is_new_and_signals_and_umask_are_default() {
    let jail = Jail::new("session");
    let careless = |program: &Command| {
        let mut env = Command::new("env");
        env.arg("--default-signal");
        env.args(["--ignore-signal=HUP,USR1,PIPE", "--block-signal=USR2"]);
        env.args(["sh", "-c", "umask 0; exec \"$@\"", "sh"]);
        env.arg(program.get_program()).args(program.get_args());
        for (name, value) in program.get_envs() {
            env.env(name, value.unwrap());
        }
        State::of(&env.stdin(Stdio::null()).output().unwrap())
    };
    let inside = careless(&jail.enter(&["state"]));
    assert_eq!(inside.one("sid"), inside.one("pid"));
    assert_eq!(inside.one("pgid"), inside.one("pid"));
    assert_eq!(inside.all("blocked"), [""; 0]);
    assert_eq!(inside.all("not_default"), [""; 0]);
    assert_eq!(inside.one("umask"), "22");
    assert_eq!(inside.all("tty"), [""; 0]);

    let mut probe = Command::new(jail.0.join("bin/probe"));
    let outside = careless(probe.arg("state"));
    assert_ne!(outside.one("sid"), outside.one("pid"));
    assert_eq!(outside.all("blocked"), ["12"]);
    // 32 and 33 can be among them: posix_spawn(3) leaves the signals of the C library ignored.
    assert_eq!(outside.all("not_default")[..3], ["1", "10", "13"]);
    assert_eq!(outside.one("umask"), "0");
}

#[disposable::test]
fn the_session_keyring_is_not_the_callers() {
    let jail = Jail::new("keyring");
    // A caller with a session keyring: the probe creates one, and becomes the caller.
    let with_keyring = |program: &Command| {
        let mut probe = Command::new(jail.0.join("bin/probe"));
        probe.args(["join".as_ref(), program.get_program()]);
        probe.args(program.get_args());
        for (name, value) in program.get_envs() {
            probe.env(name, value.unwrap());
        }
        State::of(&probe.output().unwrap())
    };
    let mut probe = Command::new(jail.0.join("bin/probe"));
    let outside = with_keyring(probe.arg("state"));
    if outside.one("joined") == "-1" {
        ignore("the kernel has no keyrings");
    }
    assert_eq!(outside.one("keyring"), outside.one("joined"));
    let inside = with_keyring(&jail.enter(&["state"]));
    assert_ne!(inside.one("keyring"), inside.one("joined"));
}

/// Between chroot and execve the child opens no file but the working directory, and runs nothing:
/// seen by strace.
#[disposable::test]
fn cve_2019_14271_nothing_of_the_jail_is_loaded_as_root() {
    let jail = Jail::new("strace");
    let log = jail.0.join("strace.log");
    let mut strace = Command::new("strace");
    let again = again();
    strace.args(["-f", "-o"]).arg(&log).arg(again.get_program());
    strace.args(again.get_args()).env("ENTRY_ROOT", &jail.0);
    strace.env("ENTRY_WORDS", "exit\n7");
    let Ok(output) = strace.output() else {
        ignore("needs strace");
    };
    assert_eq!(output.status.code(), Some(7), "{output:?}");
    let log = fs::read_to_string(log).unwrap();
    let at = log.find("chroot(\".\"").expect("a chroot");
    let start = log[..at].rfind('\n').map_or(0, |newline| newline + 1);
    let pid = log[start..].split(' ').next().unwrap();
    let calls: Vec<_> = log[start..]
        .lines()
        .filter_map(|line| line.strip_prefix(pid))
        .map(str::trim_start)
        .collect();
    let exec = calls.iter().position(|call| call.starts_with("execve("));
    let before = &calls[1..exec.expect("an execve")];
    let name = |call: &str| call.split(['(', ' ']).next().unwrap_or_default().to_owned();
    let mut names: Vec<_> = before.iter().map(|call| name(call)).collect();
    // In some builds std checks a descriptor before it closes it.
    names.retain(|name| name != "fcntl");
    names.dedup();
    assert_eq!(
        names,
        [
            "umask",
            "prctl",
            "setgroups",
            "setresgid",
            "setresuid",
            "prctl",
            "capset",
            "getuid",
            "geteuid",
            "getgid",
            "getegid",
            "setresuid",
            "setresgid",
            "keyctl",
            "openat2",
            "fchdir",
            "getcwd",
            "close",
            "write",
        ],
        "{before:#?}"
    );
    let first = calls[exec.unwrap()];
    assert!(
        first.starts_with("execve(\"/bin/probe\""),
        "the first file of the jail that is loaded: {first}"
    );
}
