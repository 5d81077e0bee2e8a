//! Objects that a session does not see. An unjailed user makes each probe too, and sees the host.

use disposable::{DisposableHost, Login, Probe, Running};

use super::cross_session::scopes_abstract_sockets;
use super::{compile, harlequin};
use crate::support::{Spec, host_with_module};

/// Programs that inspect the system; they are the host's, so both users have them.
const EYES: [&str; 5] = ["ps", "ipcs", "hostname", "kill", "passer"];

fn eyes(more: &str) -> (DisposableHost, Spec) {
    let host = host_with_module();
    compile(&host, "passer", include_str!("fd_passing.c"));
    let key = host.key("harlequin");
    let mut spec = Spec::arkham(&key, &EYES);
    spec.more.push_str("[namespaces]\n");
    spec.more.push_str(more);
    spec.build(&host).ok();
    (host, spec)
}

fn probe(host: &DisposableHost) -> Probe<'_> {
    Probe {
        jailed: harlequin(host),
        plain: host.plain_user("bob"),
    }
}

#[disposable::test]
fn processes_of_the_host_are_not_there() {
    let (host, _) = eyes("");
    let sshd = host.sshd();
    let probe = probe(&host);
    let seen = probe.both(|login| {
        login
            .ssh("ps -e -o args=")
            .ok()
            .stdout()
            .contains("[listener]")
    });
    assert_eq!((seen.jailed, seen.plain), (false, true));
    // By number, as a process that does not see it would try.
    let known = probe.both(|login| {
        let pid = sshd.pid();
        !(login.ssh(&format!("kill -0 {pid}")).fails().stderr()).contains("No such process")
    });
    assert_eq!((known.jailed, known.plain), (false, true));
    let numbers = probe.jailed.ssh("ps -e -o pid=").ok();
    assert!(numbers.lines().len() < 5, "{numbers:?}");
    assert_eq!(probe.jailed.ssh("echo $$").ok().text(), "3");
}

#[disposable::test]
fn other_sessions_of_the_same_user_are_out_of_reach() {
    let (host, _) = eyes("");
    let _sshd = host.sshd();
    let probe = probe(&host);
    for (login, sees) in [(&probe.jailed, false), (&probe.plain, true)] {
        let mut first = login.session();
        first.run("(exec -a lying-in-wait bash -c 'read -t 1000 line; :') </dev/zero &");
        let listing = login.ssh("ps -e -o args=").ok();
        assert_eq!(
            listing.stdout().contains("lying-in-wait"),
            sees,
            "{listing:?}"
        );
    }
}

#[disposable::test]
fn the_host_has_another_name() {
    let (host, _) = eyes("");
    let _sshd = host.sshd();
    let name = probe(&host).both(|login| login.ssh("hostname").ok().text().to_owned());
    assert_eq!(
        (name.jailed.as_str(), name.plain.as_str()),
        ("arkham", "gotham")
    );
}

#[disposable::test]
fn shared_memory_of_the_host_is_not_there() {
    let (host, _) = eyes("");
    let _sshd = host.sshd();
    host.sh("ipcmk -M 4321 -p 0666").ok();
    host.sh("echo >/dev/shm/of-the-host; chmod 666 /dev/shm/of-the-host")
        .ok();
    let probe = probe(&host);
    let segments = probe.both(|login| login.ssh("ipcs -m").ok().stdout().contains("4321"));
    assert_eq!((segments.jailed, segments.plain), (false, true));
    let files = probe.both(|login| login.ssh("cat /dev/shm/of-the-host").success());
    assert_eq!((files.jailed, files.plain), (false, true));
}

#[disposable::test]
fn without_a_network_there_is_a_loopback_and_nothing_on_it() {
    let (host, _) = eyes("[network]\nmode = \"none\"\n");
    let _sshd = host.sshd();
    host.sh("ip link add wayne0 type veth peer name wayne1 && ip link set wayne0 up")
        .ok();
    let probe = probe(&host);
    let interfaces = probe.both(|login| {
        login
            .ssh("cat /proc/net/dev")
            .ok()
            .stdout()
            .contains("wayne0")
    });
    assert_eq!((interfaces.jailed, interfaces.plain), (false, true));
    let services = probe.both(|login| login.ssh("exec 3<>/dev/tcp/127.0.0.1/22").success());
    assert_eq!((services.jailed, services.plain), (false, true));
    let loopback = probe.jailed.ssh("exec 3<>/dev/tcp/127.0.0.1/9").fails();
    assert!(
        loopback.stderr().contains("Connection refused"),
        "it is up: {loopback:?}"
    );

    let mut listener = host.spawn(["passer", "send", "@wayne", "/"]);
    listener.hear("waits");
    let sockets = probe.both(|login| login.ssh("passer try @wayne").ok().text() == "answered");
    assert_eq!((sockets.jailed, sockets.plain), (false, true));
}

#[disposable::test]
fn mounts_of_host_and_session_are_separate() {
    let (host, _) = eyes("");
    let _sshd = host.sshd();
    let before = host.read("/proc/self/mountinfo").lines().count();
    let probe = probe(&host);
    let mut session = probe.jailed.session();
    let (_, own) = session.run("cat /proc/self/mountinfo");
    let places: Vec<&str> = own
        .lines()
        .filter_map(|line| line.split(' ').nth(4))
        .collect();
    assert_eq!(places, ["/", "/tmp", "/dev/shm", "/dev/pts", "/proc"]);
    assert_eq!(host.read("/proc/self/mountinfo").lines().count(), before);
    let plain = probe.plain.ssh("cat /proc/self/mountinfo").ok();
    assert!(plain.stdout().contains(" /sys "), "{plain:?}");
    // Files that the session writes in its own directories exist nowhere else.
    session.run("echo x >/tmp/mine; echo x >/dev/shm/mine");
    assert_eq!(
        host.sh("ls -A /srv/jails/arkham/tmp /srv/jails/arkham/dev/shm /dev/shm")
            .ok()
            .stdout()
            .matches("mine")
            .count(),
        0
    );
    probe.jailed.ssh("ls /tmp/mine").fails();
    assert_eq!(session.run("cat /tmp/mine").1, "x");
}

#[disposable::test]
fn the_hosts_control_groups_have_no_names() {
    let (host, _) = eyes("");
    let sshd = host.sshd();
    // Shared with the machine by every disposable host, so the name is of this test alone and is
    // deleted at the end.
    let group = format!("jailctl-test-{}", std::process::id());
    let made = host.sh(&format!(
        "for at in /sys/fs/cgroup/pids /sys/fs/cgroup; do [ -w $at/cgroup.procs ] && break; done; mkdir $at/{group} && echo {} >$at/{group}/cgroup.procs && echo $at/{group}",
        sshd.pid()
    )).ok();
    let probe = probe(&host);
    let seen = probe.both(|login| {
        login
            .ssh("cat /proc/self/cgroup")
            .ok()
            .stdout()
            .contains(&group)
    });
    sshd.stop();
    host.sh(&format!(
        "until rmdir {} 2>/dev/null; do sleep 0.05; done",
        made.text()
    ))
    .ok();
    assert_eq!((seen.jailed, seen.plain), (false, true));
}

/// Starts a process that passes a descriptor of its working directory.
fn giver(login: &Login<'_>, address: &str) -> Running {
    let mut giver = login.start([], &format!("passer send {address} /"));
    giver.hear("waits");
    giver
}

#[disposable::test]
fn a_directory_handed_from_session_to_session_leads_nowhere() {
    let (host, _) = eyes("");
    let _sshd = host.sshd();
    let probe = probe(&host);
    // Two sessions of one user, by a socket in the home directory.
    let _giver = giver(&probe.jailed, "/home/harlequin/socket");
    assert_eq!(
        probe
            .jailed
            .ssh("passer take /home/harlequin/socket")
            .ok()
            .text(),
        "in"
    );

    // Two jails, by an abstract socket: the network is the host's. Newer kernels separate those.
    let key = host.key("selina");
    let mut elba = Spec::arkham(&key, &EYES);
    elba.name = "elba";
    elba.users = vec![("selina", vec![key.public.trim().to_owned()])];
    elba.more.push_str("[namespaces]\n");
    elba.build(&host).ok();
    let selina = host.login("selina", &key);
    let _giver = giver(&selina, "@elba");
    let seen = if scopes_abstract_sockets(&host) {
        "nobody"
    } else {
        "in"
    };
    assert_eq!(probe.jailed.ssh("passer take @elba").ok().text(), seen);
}

#[disposable::test]
fn the_ways_that_a_handed_directory_would_lead_are_real() {
    let host = host_with_module();
    compile(&host, "passer", include_str!("fd_passing.c"));
    let mut logins = Vec::new();
    for (name, user) in [("arkham", "harlequin"), ("elba", "selina")] {
        let key = host.key(user);
        let mut spec = Spec::arkham(&key, &EYES).plain();
        spec.name = name;
        spec.users = vec![(user, vec![key.public.trim().to_owned()])];
        spec.build(&host).ok();
        logins.push(host.login(user, &key));
    }
    let _sshd = host.sshd();
    // From one plain chroot into another.
    let _giver = giver(&logins[1], "@elba");
    assert_eq!(logins[0].ssh("passer take @elba").ok().text(), "out");

    // From one mount namespace into another, where only chroot(2) separates the jail from the host.
    let naive = |words: &[&'static str]| {
        let mut line = vec![
            "unshare",
            "--mount",
            "chroot",
            "--userspec=harlequin:jail-arkham",
        ];
        line.extend(["/srv/jails/arkham", "/usr/local/bin/passer"]);
        line.extend(words);
        line
    };
    let socket = "/home/harlequin/socket";
    let mut giver = host.spawn(naive(&["send", socket, "/"]));
    giver.hear("waits");
    assert_eq!(host.run(naive(&["take", socket])).ok().text(), "out");
}
