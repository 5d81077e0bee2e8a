//! Findings B6, P and V: processes that fork all the time, zombies, and connections that are still
//! authenticating are ended, too.

use std::time::{Duration, Instant};

use disposable::{DisposableHost, Login, Output};

use crate::session::{compile, harlequin};
use crate::support::{Reach, Spec, host, host_with_module, log_and_module, reach};

const HOPPER: &str = include_str!("hopper.c");
/// Within this time a command that ends a jail's processes has to end, at the number of processes
/// that the tests have.
const LIMIT: Duration = Duration::from_secs(5);

/// How many processes hop.
const HOPPERS: usize = 40;

/// Runs `command`, and returns its output and its duration.
fn timed(host: &DisposableHost, command: &[&str]) -> (Output, Duration) {
    let began = Instant::now();
    let output = host.run(command.iter().copied());
    (output, began.elapsed())
}

/// Processes of harlequin's, each of which forks and ends, for a minute and bounded by `ulimit -u`.
fn hop(login: &Login<'_>) -> disposable::Running {
    let command = format!("ulimit -u 60; hopper {HOPPERS} 60; sleep 60");
    let mut hopping = login.start([], &command);
    hopping.hear("up");
    hopping
}

/// The jail arkham with the hopper in it.
fn built(host: &DisposableHost, more: &str) -> Spec {
    host.sshd();
    compile(host, "hopper", HOPPER);
    let key = host.key("harlequin");
    let mut spec = Spec::arkham(&key, &["hopper", "sleep"]);
    spec.more.push_str(more);
    spec.build(host).ok();
    spec
}

/// Removes the jail under forking processes; none of them is left.
fn remove_under_hoppers(host: &DisposableHost) {
    let uid = host.sh("id -u harlequin").ok().text().to_owned();
    let _hopping = hop(&harlequin(host));
    let (removed, took) = timed(host, &["jailctl", "remove", "arkham", "--kill", "--purge"]);
    removed.ok();
    assert!(took < LIMIT, "{took:?}");
    host.sh(&format!(
        "! ps -e -o stat=,uid= | grep -v ^Z | grep -w {uid}"
    ))
    .ok();
    assert!(!host.has("/srv/jails/arkham"));
}

#[disposable::test]
fn b6_remove_ends_whoever_forks_in_a_plain_chroot() {
    let host = host();
    built(&host, "");
    remove_under_hoppers(&host);
}

#[disposable::test]
fn b6_remove_ends_whoever_forks_in_a_session() {
    let host = host_with_module();
    built(&host, "[namespaces]\npid = false\n");
    remove_under_hoppers(&host);
}

/// A process that forks and exits has another id at each reading, and still counts.
#[disposable::test]
fn b6_remove_without_kill_finds_whoever_forks() {
    let host = host();
    built(&host, "");
    harlequin(&host).ssh("hopper 1 60").ok();
    host.until("! pgrep -f 'harlequin [[]priv' >/dev/null");
    for _ in 0..20 {
        host.jailctl(["remove", "arkham"]).exits(4);
    }
    host.jailctl(["remove", "arkham", "--kill"]).ok();
}

#[disposable::test]
fn b6_kill_ends_whoever_forks_and_leaves_the_account_open() {
    let host = host();
    built(&host, "");
    let _other = host.plain_user("alice").session();
    for _ in 0..3 {
        let _hopping = hop(&harlequin(&host));
        let (killed, took) = timed(&host, &["jailctl", "kill", "arkham"]);
        assert!(killed.ok().stdout().contains("ended"));
        assert!(took < LIMIT, "{took:?}");
        host.sh("! pgrep -u harlequin").ok();
        host.sh("pgrep -u alice").ok();
    }
    assert_eq!(reach(&host, &harlequin(&host)), Reach::Jail);
}

/// Users who log in again during the kill do not delay it without bound, and the processes left are
/// reported.
#[disposable::test]
fn b6_kill_is_over_in_time_where_users_come_back() {
    let host = host();
    built(&host, "");
    let line = harlequin(&host).line([], "sleep 60");
    let mut clients = Vec::new();
    for _ in 0..6 {
        let again = ["bash", "-c", "while :; do \"$@\"; done", "again"];
        let words = again.into_iter().chain(line.iter().map(String::as_str));
        clients.push(host.spawn(words));
    }
    host.until("[ $(pgrep -c -u harlequin -x sleep) -ge 4 ]");
    let (killed, took) = timed(&host, &["jailctl", "kill", "arkham"]);
    assert!(took < LIMIT + Duration::from_secs(5), "{took:?}");
    if !killed.success() {
        assert!(
            killed.exits(4).stderr().contains("these are left after"),
            "nobody is named"
        );
    }
}

/// The one who ends them can be neither stopped nor ended by them: they try.
#[disposable::test]
fn b6_whoever_kills_everybody_is_ended_all_the_same() {
    let host = host();
    let mut spec = built(&host, "");
    let source = "#include <signal.h>\n#include <stdlib.h>\n#include <stdio.h>\n#include <time.h>\n#include <unistd.h>\n\
        int main(int c, char **v) { time_t end = time(0) + 60; puts(\"up\"); fflush(stdout); sleep(1); signal(SIGCHLD, SIG_IGN); \
        if (fork() == 0) while (time(0) < end) kill(-1, atoi(v[1])); return 0; }";
    compile(&host, "shooter", source);
    spec.binaries.push("shooter");
    spec.build(&host).ok();
    for signal in ["19", "9"] {
        let mut shooting = harlequin(&host).start([], &format!("shooter {signal}"));
        shooting.hear("up");
        std::thread::sleep(Duration::from_secs(2));
        let (killed, took) = timed(&host, &["jailctl", "kill", "arkham"]);
        killed.ok();
        assert!(took < LIMIT, "{took:?}");
        host.sh("! pgrep -u harlequin").ok();
    }
}

/// The user id of a jailed user is taken for one signal to all of its processes only if no account
/// of the host has it as well.
#[disposable::test]
fn b6_a_shared_user_id_is_killed_process_by_process() {
    let host = host();
    built(&host, "");
    let kill = || {
        let mut shell = harlequin(&host).session();
        shell.run("cd ~");
        let traced = "strace -f -qq -e trace=setresuid,kill -o /run/calls jailctl kill arkham";
        host.sh(traced).ok();
        host.sh("! pgrep -u harlequin").ok();
        host.sh("grep -c 'kill(-1, SIGKILL)' /run/calls || :")
            .ok()
            .text()
            .to_owned()
    };
    host.sh("useradd --non-unique --uid $(id -u harlequin) --no-create-home twin")
        .ok();
    assert_eq!(kill(), "0");
    host.sh("sed -i /^twin:/d /etc/passwd /etc/shadow").ok();
    assert_ne!(kill(), "0");
}

/// Freezing is over in time too, and what is frozen can be ended.
#[disposable::test]
fn b6_freeze_stops_whoever_forks() {
    let host = host_with_module();
    built(&host, "[limits]\ntasks = 100\n");
    let _hopping = hop(&harlequin(&host));
    let (frozen, took) = timed(&host, &["jailctl", "freeze", "arkham"]);
    frozen.ok();
    assert!(took < LIMIT, "{took:?}");
    let pids = || host.sh("pgrep -u harlequin").ok().stdout().to_owned();
    assert_eq!(pids(), pids());
    let (killed, took) = timed(&host, &["jailctl", "kill", "arkham"]);
    killed.ok();
    assert!(took < LIMIT, "{took:?}");
}

/// Runs everything below in pid namespaces whose first process reaps no child, as in a container
/// whose first program is no init.
const NEVER_REAPS: &str = r#"
    perl -e 'use POSIX (); if (fork == 0) { exec "unshare", "--pid", "--fork", "--mount-proc", "--kill-child",
        "perl", "-e", q(open(F, ">", "/run/first"); print F "here\n"; close F; sleep 1000) }' </dev/null >/dev/null 2>&1 &
    until [ -s /run/first ]; do sleep 0.01; done
    for stat in /proc/[0-9]*/stat; do
        read -r line <$stat 2>/dev/null || continue
        case $line in *'(perl)'*) pid=${line%% *}; [ "$(readlink /proc/$pid/ns/pid)" = "$(readlink /proc/self/ns/pid)" ] || echo $pid >/run/first.pid ;; esac
    done
    [ -s /run/first.pid ]
"#;

/// A script in that namespace.
fn inside(host: &DisposableHost, script: &str) -> Output {
    host.run([
        "bash",
        "-c",
        "exec nsenter --target $(cat /run/first.pid) --pid --mount bash -ec \"$1\"",
        "inside",
        script,
    ])
}

fn zombies(more: &str) {
    let host = host();
    log_and_module(&host);
    let key = host.key("harlequin");
    let mut spec = Spec::arkham(&key, &["sleep"]);
    spec.more.push_str(more);
    spec.build(&host).ok();
    host.sh(NEVER_REAPS).ok();
    inside(
        &host,
        "mkdir -p /run/sshd; /usr/sbin/sshd -E /run/sshd.log; until [ -s /run/sshd.pid ]; do sleep 0.01; done",
    )
    .ok();
    let login = host.login("harlequin", &key);
    login.ssh("echo in").ok();
    // One whose client goes away, and one whose process of sshd's is ended.
    let mut gone = login.start([], "echo up; exec sleep 100");
    gone.hear("up");
    drop(gone);
    let mut ended = login.start([], "echo up; exec sleep 100");
    ended.hear("up");
    inside(&host, "kill -KILL $(pgrep -f 'harlequin \\[priv\\]')").ok();
    let uid = host.sh("id -u harlequin").ok().text().to_owned();
    let zombie = format!("ps -e -o stat=,uid= | grep '^Z.* {uid}'");
    host.until(&zombie);
    // In a plain chroot a program without a terminal outlives its connection.
    inside(&host, &format!("pkill -KILL -u {uid} || :; until ! ps -e -o stat=,uid= | grep '^[^Z].* {uid}'; do sleep 0.05; done")).ok();
    let killed = inside(&host, "jailctl kill arkham").ok();
    assert!(killed.stdout().contains("it has no session"), "{killed:?}");
    inside(&host, "jailctl remove arkham --purge").ok();
    host.sh(&zombie).ok();
    // A keeper has ended, as far as the kernel lets the first process of a pid namespace end while
    // a zombie has a pid there.
    inside(
        &host,
        "for pid in $(pgrep jailctl-keeper); do [ -z \"$(ls /proc/$pid/fd)\" ]; ! readlink /proc/$pid/root; done",
    )
    .ok();
}

#[disposable::test]
fn p_a_zombie_is_nobody_in_a_plain_chroot() {
    zombies("");
}

#[disposable::test]
fn p_a_zombie_is_nobody_in_a_session() {
    zombies("[namespaces]\n");
}

/// Titles of sshd's process for a connection after authentication, and how it is started so
/// that it does: the words differ between versions, and a title is cut to the room that the
/// arguments and the environment leave.
const TITLES: [(&str, &str); 3] = [
    ("[priv]", "/usr/sbin/sshd -E /run/sshd.log"),
    ("[went]", "/opt/s/sshd -E /run/sshd.log"),
    ("(cut)", "env -i /opt/s/sshd"),
];

/// Holds an authenticated connection in PAM, with each of the titles, and runs `action` on the jail
/// in that state.
fn on_the_way_in(action: impl Fn(&DisposableHost, &Spec)) {
    for (title, start) in TITLES {
        let host = host_with_module();
        let key = host.key("harlequin");
        let spec = Spec::arkham(&key, &["sleep"]).plain();
        spec.build(&host).ok();
        host.sh("mkdir -p /run/sshd /opt/s; sed 's/%s \\[priv\\]/%s [went]/' /usr/sbin/sshd >/opt/s/sshd; chmod 755 /opt/s/sshd; cmp -s /usr/sbin/sshd /opt/s/sshd && exit 1; ssh-keygen -A >/dev/null")
            .ok();
        host.sh("sed -i '0,/^session/s//session optional pam_exec.so quiet \\/usr\\/bin\\/sleep 4\\nsession/' /etc/pam.d/sshd")
            .ok();
        host.sh(&format!(
            "{start}; until [ -s /run/sshd.pid ]; do sleep 0.01; done"
        ))
        .ok();
        let harlequin = harlequin(&host);
        let coming = harlequin.start([], "sleep 100");
        host.until("pgrep -x sleep >/dev/null");
        let titles = host.sh("ps -e -o args= | grep ^sshd:").ok();
        let shows = titles.stdout().contains("harlequin [");
        assert_eq!(shows, title != "(cut)", "{titles:?}");
        assert!(titles.stdout().contains(title) || !shows, "{titles:?}");
        action(&host, &spec);
        drop(coming);
    }
}

#[disposable::test]
fn v_remove_is_refused_while_somebody_is_on_the_way_in() {
    on_the_way_in(|host, _| {
        let refused = host.jailctl(["remove", "arkham"]).exits(4);
        assert!(
            refused.stderr().contains("processes run in it"),
            "{refused:?}"
        );
        host.jailctl(["remove", "arkham", "--kill", "--purge"]).ok();
        host.until("! ps -e -o uid=,args= | grep '^ *0 sshd: harle'");
        assert_eq!(reach(host, &harlequin(host)), Reach::Nothing);
    });
}

#[disposable::test]
fn v_kill_ends_whoever_is_on_the_way_in() {
    on_the_way_in(|host, _| {
        let killed = host.jailctl(["kill", "arkham"]).ok();
        assert!(killed.stdout().contains("ended"), "{killed:?}");
        host.until("! ps -e -o uid=,args= | grep '^ *0 sshd: harle'");
        host.sh("! pgrep -u harlequin").ok();
    });
}

#[disposable::test]
fn v_a_change_to_sessions_waits_for_logins() {
    on_the_way_in(|host, plain| {
        let mut own = plain.clone();
        own.is_plain = false;
        own.more.push_str("[namespaces]\n");
        let refused = own.build(host).exits(4);
        assert!(
            refused.stderr().contains("could not change the sessions"),
            "{refused:?}"
        );
    });
}

#[disposable::test]
fn v_whoever_is_dropped_on_the_way_in_keeps_the_account() {
    on_the_way_in(|host, spec| {
        let mut without = spec.clone();
        without.users = vec![("ivy", Vec::new())];
        let refused = without.build(host).exits(4);
        assert!(refused.stderr().contains("it has processes"), "{refused:?}");
        host.run(["getent", "passwd", "harlequin"]).ok();
    });
}
