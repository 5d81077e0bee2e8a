//! Isolation between sessions: processes, keys and descriptors of others are out of reach. An
//! unjailed user makes each probe too, and succeeds.

use disposable::{DisposableHost, Login, Running};

use super::{compile, harlequin};
use crate::support::{Spec, host_with_module};

/// Two jails with sessions and `more`: arkham of the user harlequin, and elba of selina; bob is in
/// no jail.
struct Two<'host> {
    harlequin: Login<'host>,
    selina: Login<'host>,
    bob: Login<'host>,
}

fn host() -> DisposableHost {
    let host = host_with_module();
    compile(&host, "grip", include_str!("reach_probe.c"));
    host
}

fn two<'host>(host: &'host DisposableHost, more: &str) -> Two<'host> {
    for (name, user) in [("arkham", "harlequin"), ("elba", "selina")] {
        let key = host.key(user);
        let mut spec = Spec::arkham(&key, &["grip", "ipcs"]);
        spec.name = name;
        spec.users = vec![(user, vec![key.public.trim().to_owned()])];
        spec.more.push_str(more);
        spec.build(host).ok();
    }
    let path = "/run/keys/selina".to_owned();
    let public = host.read("/run/keys/selina.pub");
    Two {
        harlequin: harlequin(host),
        selina: host.login("selina", &disposable::Key { path, public }),
        bob: host.plain_user("bob"),
    }
}

/// Command line that runs as the user outside of any session.
fn outside(user: &str, command: &str) -> String {
    format!("setpriv --reuid {user} --regid $(id -g {user}) --clear-groups {command}")
}

fn start(login: &Login<'_>, command: &str, mark: &str) -> (Running, String) {
    let mut running = login.start([], command);
    let said = running.hear(mark).concat();
    (running, said)
}

#[disposable::test]
fn processes_outside_cannot_be_traced_or_signalled() {
    let host = host();
    let two = two(&host, "[namespaces]\n");
    let _sshd = host.sshd();
    // One process outside, one in another session of the user, and one in another jail.
    host.sh(&format!(
        "{} </dev/null >/dev/null 2>&1 & sleep 0.2",
        outside("harlequin", "sleep 1000")
    ))
    .ok();
    let (_other, _) = start(&two.harlequin, "echo up; read -r line", "up");
    let (_third, _) = start(&two.selina, "echo up; read -r line", "up");
    let pid = host
        .sh("pgrep -u harlequin -x sleep")
        .ok()
        .text()
        .to_owned();
    for action in ["trace", "signal"] {
        let line = format!("/usr/local/bin/grip {action} {pid}");
        let control = host.sh(&outside("harlequin", &line)).ok();
        assert_eq!(
            control.text(),
            if action == "trace" {
                "traced"
            } else {
                "reached"
            },
            "the control"
        );
        assert_eq!(two.harlequin.ssh(&line).ok().text(), "refused");
    }
    // Of all process ids, only sshd's process of this connection belongs to the user.
    let control = host
        .sh(&outside("harlequin", "/usr/local/bin/grip signal all"))
        .ok();
    let reached = |text: &str| text.parse::<u32>().expect("a number");
    assert!(reached(control.text()) >= 3, "{control:?}");
    assert!(reached(two.harlequin.ssh("grip signal all").ok().text()) <= 2);
}

#[disposable::test]
fn a_handle_of_a_process_is_worth_nothing_in_another_session() {
    let host = host();
    let two = two(&host, "[network]\nmode = \"private\"\n");
    let _sshd = host.sshd();
    // The same user, in two sessions of one jail, which share its network: so the descriptor can be
    // passed.
    for (login, fate) in [(&two.bob, "killed"), (&two.harlequin, "refused")] {
        let (_giver, _) = start(login, "grip send handle", "waits");
        assert_eq!(login.ssh("grip take handle").ok().text(), fate, "{fate}");
    }
}

#[disposable::test]
fn networks_of_jails_pass_nothing_to_each_other() {
    let host = host();
    let two = two(&host, "[network]\nmode = \"private\"\n");
    let _sshd = host.sshd();
    let (_giver, _) = start(&two.selina, "grip send selina", "waits");
    assert_eq!(two.harlequin.ssh("grip take selina").ok().text(), "nobody");
    assert_eq!(two.bob.ssh("grip take selina").ok().text(), "nobody");
    // Within the jail the descriptor is passed, but cannot be used.
    assert_eq!(two.selina.ssh("grip take selina").ok().text(), "refused");
    let (_giver, _) = start(&two.bob, "grip send bob", "waits");
    assert_eq!(two.harlequin.ssh("grip take bob").ok().text(), "nobody");
    assert_eq!(
        two.bob.ssh("grip take bob").ok().text(),
        "killed",
        "the control"
    );
}

/// Whether the kernel keeps abstract sockets of others from a session: landlock(7), from Linux 6.12
/// on.
pub(super) fn scopes_abstract_sockets(host: &DisposableHost) -> bool {
    let release = host.read("/proc/sys/kernel/osrelease");
    let mut numbers = release.split(['.', '-']).map(str::parse::<u32>);
    let mut number = || numbers.next().and_then(Result::ok).unwrap_or_default();
    (number(), number()) >= (6, 12)
}

#[disposable::test]
fn nothing_is_handed_to_another_jail_in_the_hosts_network() {
    let host = host();
    let two = two(&host, "[namespaces]\n");
    let _sshd = host.sshd();
    let (_giver, _) = start(&two.selina, "grip send selina", "waits");
    // Passed descriptors cannot be used in any case: processes of another jail cannot be signalled.
    let fate = if scopes_abstract_sockets(&host) {
        "nobody"
    } else {
        "refused"
    };
    assert_eq!(two.harlequin.ssh("grip take selina").ok().text(), fate);
    let (_giver, _) = start(&two.bob, "grip send bob", "waits");
    assert_eq!(two.harlequin.ssh("grip take bob").ok().text(), fate);
    assert_eq!(
        two.bob.ssh("grip take bob").ok().text(),
        "killed",
        "the control"
    );
    // Within a session it is as on any host.
    let both = "coproc { grip send own; }; read -ru ${COPROC[0]} line; grip take own";
    assert_eq!(two.selina.ssh(both).ok().text(), "killed");
}

#[disposable::test]
fn keys_of_others_are_refused() {
    let host = host();
    let two = two(&host, "[namespaces]\n");
    let _sshd = host.sshd();
    // A session cannot create keys.
    let (_keeper, made) = start(&two.selina, "grip make of-selina", "made");
    assert_eq!(made, "-1 -1 made");
    let (_keeper, made) = start(
        &two.bob,
        "grip make of-bob & sleep 0.3; grip find of-bob; wait",
        "secret",
    );
    assert!(made.contains("secret"), "{made}");
    let number = made.split(' ').next().expect("a number");
    assert!(number.parse::<u32>().is_ok(), "{made}");
    for command in [format!("grip read {number}"), "grip find of-bob".to_owned()] {
        assert_eq!(two.harlequin.ssh(&command).ok().text(), "refused");
    }
}

#[disposable::test]
fn keys_of_whoever_started_sshd_stay_outside() {
    let host = host();
    let two = two(&host, "[namespaces]\n");
    // A PAM service without pam_keyinit, as on other systems; sshd with a root-owned session
    // keyring.
    host.sh("sed -i /pam_keyinit/d /etc/pam.d/sshd").ok();
    let sshd = host.sshd();
    sshd.stop();
    host.write("/root/keyed.py", "import ctypes, os\nlibc = ctypes.CDLL(None, use_errno=True)\nlibc.syscall(250, 1, 0)\n\
        key = libc.syscall(248, b'user', b'of-root', b'secret', 6, -3)\nassert key > 0\nlibc.syscall(250, 5, key, 0x3f3f3f3f)\nos.execv('/usr/sbin/sshd', ['/usr/sbin/sshd', '-E', '/run/sshd.log'])\n");
    host.sh("rm -f /run/sshd.pid; python3 /root/keyed.py; until [ -s /run/sshd.pid ]; do sleep 0.01; done").ok();
    assert_eq!(
        two.bob.ssh("grip find of-root").ok().text(),
        "secret",
        "the control"
    );
    assert_eq!(
        two.harlequin.ssh("grip find of-root").ok().text(),
        "refused"
    );
    host.sh("kill $(</run/sshd.pid)").ok();
}

#[disposable::test]
fn queues_and_semaphores_of_the_host_are_not_there() {
    let host = host();
    let two = two(&host, "[namespaces]\n");
    let _sshd = host.sshd();
    host.sh("ipcmk -Q -p 0666; ipcmk -S 3 -p 0666").ok();
    for kind in ["-q", "-s"] {
        let lines = |login: &Login<'_>| {
            let listing = login.ssh(&format!("ipcs {kind}")).ok();
            listing
                .lines()
                .iter()
                .filter(|line| line.starts_with("0x"))
                .count()
        };
        assert_eq!((lines(&two.harlequin), lines(&two.bob)), (0, 1), "{kind}");
    }
}
