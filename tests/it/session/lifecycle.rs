//! Lifetime of a session: all services of sshd work in it, utmp and wtmp of the host stay correct,
//! and all of it ends with the connection.

use std::collections::BTreeMap;

use disposable::DisposableHost;
use disposable::login::Scp;

use super::limits::limited;
use super::{LOG, copy, harlequin};

#[disposable::test]
fn every_client_and_every_kind_of_channel_works() {
    let (host, _) = copy(&["scp", "rsync", "tty", "stty", "sleep"], "");
    let _sshd = host.sshd();
    let harlequin = harlequin(&host);
    harlequin.ssh("exit 7").exits(7);
    harlequin.ssh("kill -TERM $$").exits(255);
    assert_eq!(harlequin.ssh_pty("tty").ok().text(), "/dev/pts/0");
    host.write("/root/letter", "Dear Mistah J.\n");
    harlequin
        .sftp("put /root/letter one\nget one /root/one")
        .ok();
    harlequin.scp(Scp::Sftp, "/root/letter", ":two").ok();
    harlequin.scp(Scp::Legacy, ":two", "/root/two").ok();
    harlequin.rsync("/root/letter", ":four").ok();
    harlequin.rsync(":four", "/root/four").ok();
    for file in ["one", "two", "four"] {
        assert_eq!(host.read(&format!("/root/{file}")), "Dear Mistah J.\n");
    }
}

#[disposable::test]
fn channels_of_one_connection_share_a_session() {
    let (host, _) = copy(&["tty", "ps"], "");
    let _sshd = host.sshd();
    let harlequin = harlequin(&host);
    let control = "-oControlPath=/run/control";
    let mut first = harlequin.start(
        ["-oControlMaster=yes", control, "-tt"],
        "echo shared >/tmp/shared; tty; read -r line",
    );
    first.hear("/dev/pts/0");
    let mut second = harlequin.start([control, "-tt"], "tty; cat /tmp/shared; read -r line");
    second.hear("/dev/pts/1");
    second.hear("shared");
    host.until("[ $(who | grep -c 'harlequin jail/') = 2 ]");
    // Another connection is another session.
    harlequin.ssh("cat /tmp/shared").fails();
}

#[disposable::test]
fn windows_change_their_size_and_keys_are_signals() {
    let (host, _) = copy(&["stty", "sleep"], "");
    let _sshd = host.sshd();
    let harlequin = harlequin(&host);
    let line = harlequin.line(
        ["-tt"],
        "trap 'stty size; exit' WINCH; stty size; while :; do sleep 0.05; done",
    );
    let line: Vec<String> = line
        .iter()
        .map(|word| format!("'{}'", word.replace('\'', r"'\''")))
        .collect();
    let outer = format!(
        "stty cols 77 rows 33; (sleep 1; stty -F /dev/tty cols 99) & {}",
        line.join(" ")
    );
    let seen = host.run(["script", "-qec", &outer, "/dev/null"]).ok();
    let sizes: Vec<&str> = seen
        .lines()
        .iter()
        .map(|line| line.trim().trim_start_matches("^@"))
        .collect();
    assert_eq!(sizes, ["33 77", "33 99"], "{seen:?}");

    let mut running = harlequin.start(
        ["-tt"],
        "trap 'echo interrupted; exit' INT; echo ready; while :; do sleep 0.05; done",
    );
    running.hear("ready");
    running.say("\u{3}");
    running.hear("interrupted");
}

#[disposable::test]
fn what_is_left_behind_ends_with_the_connection() {
    let (host, _) = copy(&["sleep", "setsid"], "");
    let _sshd = host.sshd();
    let bob = host.plain_user("bob");
    let harlequin = harlequin(&host);
    let leave =
        "trap '' HUP TERM; setsid sleep 12345 </dev/null >/dev/null 2>&1 & sleep 0.2; echo left";
    for login in [&harlequin, &bob] {
        assert_eq!(login.ssh(leave).ok().text(), "left");
    }
    host.until("! pgrep -u harlequin >/dev/null");
    assert_eq!(
        host.sh("pgrep -u bob -c sleep").ok().text(),
        "1",
        "the control"
    );

    // Whatever ends the connection: here the death of sshd's process.
    let mut running = harlequin.start(
        [],
        "trap '' HUP TERM; setsid sleep 12345 </dev/null >/dev/null 2>&1 & echo up; read -r line",
    );
    running.hear("up");
    host.sh("kill -KILL $(pgrep -f 'sshd: harlequin \\[priv\\]' -u root -o)")
        .ok();
    host.until("! pgrep -u harlequin >/dev/null");
}

#[disposable::test]
fn the_hosts_books_of_logins_stay_right() {
    let (host, _) = copy(&["tty"], "");
    let _sshd = host.sshd();
    let bob = host.plain_user("bob");
    let harlequin = harlequin(&host);
    let mut plain = bob.start(["-tt"], "tty; read -r line");
    plain.hear("/dev/pts/");
    let mut jailed: Vec<_> = (0..2)
        .map(|_| {
            let mut running = harlequin.start(["-tt"], "tty; read -r line");
            running.hear("/dev/pts/0");
            running
        })
        .collect();
    let who = || -> Vec<String> {
        let who = host.sh("who").ok();
        let words = who.lines().into_iter().map(|line| {
            line.split_whitespace()
                .take(2)
                .collect::<Vec<_>>()
                .join(" ")
        });
        words.collect()
    };
    host.until("[ $(who | grep -c 'harlequin jail/') = 2 ]");
    let seen = who();
    assert!(seen.contains(&"bob pts/0".to_owned()), "{seen:?}");
    assert_eq!(
        seen.iter().collect::<std::collections::BTreeSet<_>>().len(),
        3,
        "{seen:?}"
    );
    drop(jailed.pop());
    host.until("[ $(who | grep -c 'harlequin jail/') = 1 ]");
    assert!(who().contains(&"bob pts/0".to_owned()), "{:?}", who());
    drop(jailed);
    drop(plain);
    host.until("[ -z \"$(who)\" ]");
    // A second later, since last(1) ignores a logout in the same second.
    host.sh("sleep 1.1").ok();
    let last = host.sh("last").ok();
    assert_eq!(
        last.stdout().matches("harlequi jail/").count(),
        2,
        "{last:?}"
    );
    assert!(!last.stdout().contains("still"), "{last:?}");
}

#[disposable::test]
fn the_hosts_messages_and_variables_stay_outside() {
    let (host, _) = copy(&["env"], "");
    let _sshd = host.sshd();
    let bob = host.plain_user("bob");
    let harlequin = harlequin(&host);
    host.write("/etc/motd", "Welcome to the host\n");
    host.write("/var/mail/harlequin", "From joker\n\nHa.\n");
    let greeted = |login: &disposable::Login<'_>| {
        let line = login.line(["-tt"], "");
        let words: Vec<&str> = line
            .iter()
            .map(String::as_str)
            .filter(|word| !word.is_empty())
            .collect();
        host.run_with_input(words, "exit\n").stdout().to_owned()
    };
    let kernel = host.run(["uname", "-r"]).text().to_owned();
    let seen = greeted(&harlequin);
    for text in [&kernel, "Welcome to the host", "mail"] {
        assert!(!seen.contains(text), "{text}: {seen}");
    }
    let seen = greeted(&bob);
    assert!(
        seen.contains(&kernel) && seen.contains("Welcome to the host"),
        "the control: {seen}"
    );
    let variables = harlequin.ssh("env").ok();
    for name in ["XDG_", "DBUS_", "MAIL="] {
        assert!(!variables.stdout().contains(name), "{variables:?}");
    }
}

#[disposable::test]
fn the_log_tells_of_each_session() {
    let (host, _) = copy(&[], "");
    let _sshd = host.sshd();
    harlequin(&host).ssh("true").ok();
    host.until(&format!("grep -q 'session closed: jail' {LOG}"));
    let log = host.read(LOG);
    let ours: Vec<&str> = log
        .lines()
        .filter(|line| line.contains("pam_jailctl"))
        .collect();
    assert_eq!(ours.len(), 2, "{ours:?}");
    assert!(ours[0].ends_with("session opened: jail arkham, user harlequin, from 127.0.0.1, own mnt pid uts ipc cgroup, mounted /tmp /dev/shm /dev/pts /proc"), "{ours:?}");
    assert!(
        ours[1].ends_with("session closed: jail arkham, user harlequin, from 127.0.0.1"),
        "{ours:?}"
    );
}

#[disposable::test]
fn enter_gives_the_same_session() {
    let (host, _) = copy(&["grep", "ls", "tty"], "");
    let _sshd = host.sshd();
    // Expected differences: numbers of mounts, and the way in which the two were created.
    let look = "grep -E '^(Uid|Gid|Groups|Cap|NoNewPrivs|Seccomp|Umask)' /proc/self/status; while read -r a b c root at rest; do echo $root $at; done </proc/self/mountinfo; \
                echo $HOSTNAME $HOME $PWD $USER; ls / /dev /dev/pts /proc/self/fd; cat /proc/self/cgroup; echo $$ >/dev/null";
    let by_ssh = harlequin(&host).ssh(look).ok();
    let by_enter = host
        .jailctl(["enter", "arkham", "--", "bash", "-c", look])
        .ok();
    assert_eq!(by_enter.stdout(), by_ssh.stdout());
    let terminal = host
        .run([
            "script",
            "-qec",
            "jailctl enter arkham -- bash -c 'tty; ls -A /proc/self/fd'",
            "/dev/null",
        ])
        .ok();
    assert!(
        terminal.lines()[0].trim().ends_with("/dev/pts/0"),
        "{terminal:?}"
    );
    host.until("! pgrep -u harlequin >/dev/null && ! pgrep jailctl >/dev/null");
}

/// Counts in which a leak would show.
fn count(host: &DisposableHost) -> BTreeMap<String, String> {
    let counted = host
        .sh(r"
            echo mounts $(wc -l </proc/self/mountinfo)
            set -- /proc/[0-9]*; echo processes $#
            for kind in mnt pid uts ipc cgroup net; do
                echo $kind $(for at in /proc/[0-9]*/ns/$kind; do readlink $at || :; done | sort -u | wc -l)
            done
            echo descriptors $(ls /proc/$(</run/sshd.pid)/fd | wc -l)
            echo terminals $(ls /dev/pts | wc -l)
            echo who $(who | wc -l)
        ")
        .ok();
    counted
        .lines()
        .iter()
        .filter_map(|line| line.split_once(' '))
        .map(|(name, number)| (name.to_owned(), number.to_owned()))
        .collect()
}

#[disposable::test]
fn many_logins_leave_nothing() {
    let (groups, host, _) = limited(&[], "tasks = 1000\nmax_sessions = 100\n");
    host.write(
        "/etc/ssh/sshd_config.d/90-many.conf",
        "MaxStartups 200:30:300\n",
    );
    let _sshd = host.sshd();
    let line = harlequin(&host).line([], "true");
    let line: Vec<String> = line.iter().map(|word| format!("'{word}'")).collect();
    let line = line.join(" ");
    host.sh(&line).ok();
    let settled = "[ -z \"$(pgrep -f 'sshd: harlequi[n]'; pgrep -x jailctl-keeper)\" ]";
    host.until(settled);
    let before = count(&host);
    for _ in 0..4 {
        host.sh(&format!("for n in {{1..50}}; do {line}; done"))
            .ok();
    }
    host.sh(&format!("pids=; for n in {{1..50}}; do {line} & pids=\"$pids $!\"; done; for pid in $pids; do wait $pid; done")).ok();
    host.until(settled);
    assert_eq!(count(&host), before);
    groups.until_empty();
}
