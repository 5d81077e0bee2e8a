//! A jailed account gets its chroot or no session, whatever the sshd configuration around it is,
//! and whenever jailctl dies.

use std::collections::HashSet;

use disposable::sshd::CARELESS;
use disposable::{DisposableHost, Login, Sshd};

use crate::support::{Reach, Spec, arkham, host, look, reach, said};

/// The careless configuration with the sftp server that needs no program: the one that would run
/// without the jail's shell.
fn careless_internal() -> String {
    CARELESS.replace("/usr/lib/openssh/sftp-server", "internal-sftp")
}

/// Both jails built under a careless sshd, and their logins.
fn both_jails(host: &DisposableHost) -> (Sshd<'_>, [Login<'_>; 2]) {
    let sshd = host.sshd_with(&careless_internal());
    let (_, harlequin) = arkham(host, &[]);
    let key = host.key("selina");
    Spec::dropbox(&key).build(host).ok();
    let logins = [harlequin, host.login("selina", &key)];
    for login in &logins {
        assert_eq!(reach(host, login), Reach::Jail, "{}", login.user);
    }
    (sshd, logins)
}

#[disposable::test]
fn without_the_snippet_nobody_comes_in() {
    let host = host();
    let (sshd, logins) = both_jails(&host);
    for lost in ["*-jailctl.all.conf", "*-jailctl.conf"] {
        host.sh(&format!("rm /etc/ssh/sshd_config.d/{lost}")).ok();
        sshd.restart();
        for login in &logins {
            assert_eq!(reach(&host, login), Reach::Nothing, "{lost} {}", login.user);
        }
    }
    for login in &logins {
        // Not even with the key where sshd looks for it by default.
        let home = format!("/home/{}", login.user);
        host.sh(&format!(
            "mkdir -p {home}/.ssh; cp /run/keys/{0}.pub {home}/.ssh/authorized_keys; chown -R {0}: {home}; chmod 700 {home}",
            login.user
        ))
        .ok();
        assert_eq!(reach(&host, login), Reach::Nothing, "{}", login.user);
    }
}

#[disposable::test]
fn another_file_that_takes_the_chroot_away_shuts_them_out() {
    let host = host();
    let (sshd, logins) = both_jails(&host);
    for text in [
        "Match all\n    ChrootDirectory none\n",
        "ChrootDirectory none\nMatch User *\n    ChrootDirectory none\n    ForceCommand none\n",
        "Match Group *\n    ChrootDirectory none\n    AuthorizedKeysFile /run/keys/%u.pub\n",
    ] {
        host.write("/etc/ssh/sshd_config.d/00-everybody.conf", text);
        sshd.restart();
        for login in &logins {
            assert_eq!(
                reach(&host, login),
                Reach::Nothing,
                "{}: {text}",
                login.user
            );
        }
    }
    host.sh("rm /etc/ssh/sshd_config.d/00-everybody.conf").ok();
    sshd.restart();
    for login in &logins {
        assert_eq!(reach(&host, login), Reach::Jail, "{}", login.user);
    }
}

#[disposable::test]
fn an_edit_of_groups_lets_nobody_out() {
    let host = host();
    let (_, logins) = both_jails(&host);
    for login in &logins {
        host.run(["usermod", "-G", "users", &login.user]).ok();
        assert_eq!(reach(&host, login), Reach::Jail, "{}", login.user);
        host.run(["usermod", "-g", "users", "-G", "", &login.user])
            .ok();
        assert_eq!(reach(&host, login), Reach::Nothing, "{}", login.user);
    }
}

#[disposable::test]
fn the_hosts_own_doors_are_closed_too() {
    let host = host();
    let (_, logins) = both_jails(&host);
    host.plain_user("bob");
    // A terminal shows what is typed, so the word is not typed as it is.
    let typed = "echo rea''ched; cat /canary; exit";
    let tries = |user: &str| {
        [
            format!("su {user} -c \"{typed}\""),
            format!("su - {user} -c \"{typed}\""),
            format!("runuser -l {user} -c \"{typed}\""),
            format!("echo \"{typed}\" | script -qec 'login -f {user}' /dev/null"),
        ]
    };
    for login in &logins {
        for attempt in tries(&login.user) {
            let output = host.run(["bash", "-c", &attempt]);
            assert_eq!(said(output.stdout()), Reach::Nothing, "{output:?}");
        }
    }
    for attempt in tries("bob") {
        let output = host.run(["bash", "-c", &attempt]);
        assert_eq!(
            said(output.stdout()),
            Reach::Host,
            "the control: {output:?}"
        );
    }
}

#[disposable::test]
fn a_jail_that_is_gone_lets_nobody_in() {
    let host = host();
    let (_, logins) = both_jails(&host);
    host.sh("mv /srv/jails /srv/elsewhere").ok();
    for login in &logins {
        assert_eq!(reach(&host, login), Reach::Nothing, "{}", login.user);
    }
}

/// Runs a verb again and again, killed at the first, second, ... of `calls`, until a run completes,
/// and so finds all that a run before it left. In each state no login leaves its jail, and sshd
/// could start. Gives the status of the run that completed.
fn killed_at_each(host: &DisposableHost, calls: &str, verb: &[&str], login: &Login<'_>) -> i32 {
    let mut command = vec!["jailctl"];
    command.extend(verb);
    let mut tried = HashSet::new();
    let mut last = None;
    for n in 1..500 {
        let output = host.kill_at(calls, n, &command);
        // What decides a login. A state that was tried is not tried again.
        let state = host.sh(&format!(
            "getent passwd {0} || true; grep ^{0} /etc/shadow || true; head -n 99 /etc/ssh/sshd_config.d/* /var/lib/jailctl/*/keys/* 2>/dev/null || true
            stat -c '%n %a' /srv/jails/* || true; grep -c SIGHUP /run/sshd.log || true",
            login.user
        ));
        if tried.insert(state.stdout().to_owned()) {
            let seen = reach(host, login);
            assert!(seen <= Reach::Jail, "{calls} {n}: {output:?} {state:?}");
            host.sh("mkdir -p /run/sshd; sshd -t").ok();
        }
        last = Some(format!("{output:?}"));
        let killed = output.code() == 137 || output.code() == 4;
        if !killed {
            return output.code();
        }
    }
    panic!("{calls}: no run completed: {last:?}");
}

/// Kills a build at each of `calls`, then sees that the jail is as if nothing had happened.
fn build_killed_at(calls: &[&str]) {
    for call in calls {
        let host = host();
        let bob = host.plain_user("bob");
        host.sshd_with(&careless_internal());
        let key = host.key("harlequin");
        let path = Spec::arkham(&key, &[]).put(&host);
        let harlequin = host.login("harlequin", &key);
        let status = killed_at_each(&host, call, &["build", &path], &harlequin);
        assert_eq!(status, 0, "after {call}");
        assert_eq!(reach(&host, &harlequin), Reach::Jail, "after {call}");
        assert_eq!(reach(&host, &bob), Reach::Host, "after {call}");
        host.jailctl(["plan", "--exit-code", &path]).ok();
    }
}

/// As [`look`]. A tool of shadow's that is killed leaves its locks, which name a process that is
/// gone, and a file that it had not renamed yet; its next run takes them away.
fn look_after_kill(host: &DisposableHost) -> disposable::Snapshot {
    look(host).without(|path| {
        let below = path.strip_prefix("/etc/").unwrap_or_default();
        let ending = below.rsplit('.').next().unwrap_or_default();
        let is_number = ending.bytes().all(|byte| byte.is_ascii_digit());
        !below.contains('/') && (ending == "lock" || is_number || below.ends_with('+'))
    })
}

/// Kills a removal at each of `calls`, then sees that nothing is left.
fn remove_killed_at(calls: &[&str]) {
    for call in calls {
        let host = host();
        host.sshd_with(&careless_internal());
        let key = host.key("harlequin");
        let spec = Spec::arkham(&key, &[]);
        spec.put(&host);
        let before = look_after_kill(&host);
        spec.build(&host).ok();
        let harlequin = host.login("harlequin", &key);
        let status = killed_at_each(&host, call, &["remove", "arkham", "--purge"], &harlequin);
        assert!([0, 2].contains(&status), "after {call}: {status}");
        assert_eq!(reach(&host, &harlequin), Reach::Nothing, "after {call}");
        assert_eq!(
            before.diff(&look_after_kill(&host)),
            Vec::<String>::new(),
            "after {call}"
        );
    }
}

#[disposable::test]
fn killed_before_any_change_of_names_build_lets_nobody_out() {
    build_killed_at(&[
        "renameat2",
        "renameat",
        "rename",
        "linkat",
        "symlinkat",
        "mkdirat",
    ]);
}

#[disposable::test]
fn killed_before_any_write_build_lets_nobody_out() {
    build_killed_at(&["write", "fsync", "fdatasync", "fchown"]);
}

#[disposable::test]
fn killed_beside_any_helper_build_lets_nobody_out() {
    build_killed_at(&["?vfork,?clone,clone3", "wait4,waitid", "unlinkat", "kill"]);
}

/// Kills an update at each of `calls`, then sees that the jail follows the host.
#[disposable::test]
fn killed_before_any_step_update_lets_nobody_out() {
    for call in ["renameat2", "linkat", "fsync", "unlinkat", "write"] {
        let host = host();
        host.sshd_with(&careless_internal());
        let (_, harlequin) = arkham(&host, &[]);
        host.sh("printf moved >>/usr/bin/cat").ok();
        let status = killed_at_each(&host, call, &["update", "arkham"], &harlequin);
        assert_eq!(status, 0, "after {call}");
        assert_eq!(reach(&host, &harlequin), Reach::Jail, "after {call}");
        host.sh("cmp /usr/bin/cat /srv/jails/arkham/usr/bin/cat")
            .ok();
        host.jailctl(["check"]).ok();
    }
}

#[disposable::test]
fn killed_before_any_step_remove_lets_nobody_out() {
    remove_killed_at(&[
        "unlinkat",
        "renameat2",
        "fsync",
        "write",
        "?vfork,?clone,clone3",
        "wait4,waitid",
    ]);
}
