//! Time of a login to a jail with this build, compared with an earlier one: pairs of logins in
//! turn.
//!
//! `BASE=DIR cargo bench --bench login`, as root. `DIR` has the `jailctl` and `libpam_jailctl.so`
//! of the earlier build, both built with `--release`. Two disposable hosts have a plain chroot and
//! a session jail each, one of either build. The exit status is 0 if a login takes at most 3 ms
//! longer at the median. The differences include the clients, which are the same.
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a measurement prints, and has nothing to clean up"
)]

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use disposable::{DisposableHost, Key, Login};

/// Pairs of logins of each kind.
const PAIRS: usize = 101;

/// Milliseconds that a login may take longer than with the earlier build, at the median.
const LIMIT: f64 = 3.0;

fn main() -> ExitCode {
    let Some(base) = std::env::var_os("BASE").map(PathBuf::from) else {
        eprintln!("skipped: `BASE` names no directory with an earlier build");
        return ExitCode::SUCCESS;
    };
    if let Err(reason) = disposable::available() {
        eprintln!("skipped: {reason}");
        return ExitCode::SUCCESS;
    }
    let built = Path::new(env!("CARGO_BIN_EXE_jailctl")).parent().unwrap();
    let status = Command::new(env!("CARGO"))
        .args(["build", "--release", "--package", "jailctl-pam"])
        .status();
    assert!(status.unwrap().success());
    let (earlier, present) = (host(&base), host(built));
    let (_earlier_sshd, _present_sshd) = (earlier.0.sshd(), present.0.sshd());
    let mut is_kept = true;
    for (user, kind) in [
        ("bob", "no jail"),
        ("pia", "plain chroot"),
        ("sam", "session"),
    ] {
        let (before, now) = (login(&earlier, user), login(&present, user));
        let (was, is, differences): (Vec<_>, Vec<_>, Vec<_>) = pairs(&before, &now);
        let difference = median(differences);
        println!(
            "{kind}: a login takes {:.1} ms, {:.1} ms with the earlier build; the difference is {difference:+.1} ms at the median of {PAIRS} pairs",
            median(is),
            median(was),
        );
        is_kept &= difference <= LIMIT;
    }
    if is_kept {
        ExitCode::SUCCESS
    } else {
        println!("a login takes more than {LIMIT} ms longer");
        ExitCode::FAILURE
    }
}

/// Host with the jails of the build in `directory`, and the key of its users.
fn host(directory: &Path) -> (DisposableHost, Key) {
    let program = directory.join("jailctl");
    let host = DisposableHost::builder()
        .jailctl(program.to_str().unwrap())
        .make();
    host.sh(&format!(
        "install -m 644 {}/libpam_jailctl.so $(dirname $(find /usr/lib -name pam_succeed_if.so))/pam_jailctl.so",
        directory.display()
    ))
    .ok();
    let bob = host.plain_user("bob");
    let key = host.key("jails");
    drop(bob);
    host.sh("cat /run/keys/jails.pub >>~bob/.ssh/authorized_keys")
        .ok();
    // The earlier build has no key `plain_chroot`; its default is a plain chroot.
    let plain = if host
        .sh("jailctl schema")
        .ok()
        .text()
        .contains("plain_chroot")
    {
        "plain_chroot = true\n"
    } else {
        ""
    };
    let spec = |name: &str, user: &str, head: &str, tables: &str| {
        let text = format!(
            "name = \"{name}\"\nbinaries = [\"bash\"]\n{head}[[user]]\nname = \"{user}\"\nauthorized_keys = [\"{}\"]\n{tables}",
            key.public.trim()
        );
        let path = format!("/root/{name}.toml");
        host.write(&path, &text);
        host.jailctl(["build", &path]).ok();
    };
    spec("elba", "pia", plain, "");
    spec("arkham", "sam", "", "[namespaces]\n");
    (host, key)
}

fn login<'host>((host, key): &'host (DisposableHost, Key), user: &str) -> Login<'host> {
    host.login(user, key)
}

/// Durations of the logins of each build, and the difference of each pair, in milliseconds.
fn pairs(before: &Login<'_>, now: &Login<'_>) -> (Vec<f64>, Vec<f64>, Vec<f64>) {
    let time = |login: &Login<'_>| {
        let start = Instant::now();
        login.ssh("exit").ok();
        milliseconds(start.elapsed())
    };
    for login in [before, now] {
        time(login);
    }
    let (mut was, mut is, mut differences) = (Vec::new(), Vec::new(), Vec::new());
    for turn in 0..PAIRS {
        // Each build is the first of every other pair.
        let (first, second) = if turn % 2 == 0 {
            (before, now)
        } else {
            (now, before)
        };
        let (a, b) = (time(first), time(second));
        let (old, new) = if turn % 2 == 0 { (a, b) } else { (b, a) };
        was.push(old);
        is.push(new);
        differences.push(new - old);
    }
    (was, is, differences)
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
