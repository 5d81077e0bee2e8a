//! User ids in the session's user namespace: those of root and of the jail, and no others.

use disposable::login::Scp;

use super::{LOG, copy, harlequin};
use crate::support::{Reach, Spec, reach};

const USER: &str = "user = true\n";

#[disposable::test]
fn ids_that_are_not_the_jails_do_not_exist() {
    let (host, _) = copy(&["stat", "touch", "chgrp", "unshare"], USER);
    let _sshd = host.sshd();
    let bob = host.plain_user("bob");
    let harlequin = harlequin(&host);
    // A file of bob, visible to both.
    host.sh("install -o bob -g bob -m 644 /dev/null /srv/jails/arkham/home/harlequin/of-bob; cp -a /srv/jails/arkham/home/harlequin/of-bob /tmp/").ok();
    let number = host.sh("id -u bob").ok().text().to_owned();
    assert_eq!(
        bob.ssh("stat -c %u /tmp/of-bob").ok().text(),
        number,
        "the control"
    );
    assert_eq!(harlequin.ssh("stat -c %u of-bob").ok().text(), "65534");
    assert_eq!(
        harlequin.ssh("stat -c '%u %g' /bin/bash").ok().text(),
        "0 0"
    );
    let own = host.sh("id -u harlequin").ok().text().to_owned();
    let map = |login: &disposable::Login<'_>| {
        let text = login.ssh("cat /proc/self/uid_map").ok();
        let lines = text
            .lines()
            .into_iter()
            .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "));
        lines.collect::<Vec<_>>()
    };
    assert_eq!(map(&bob), ["0 0 4294967295"]);
    assert_eq!(
        map(&harlequin),
        ["0 0 1".to_owned(), format!("{own} {own} 1")]
    );
    let gids = harlequin
        .ssh("while read -r a b c; do echo $a $b $c; done </proc/self/gid_map")
        .ok();
    let group = host
        .sh("getent group jail-arkham | cut -d: -f3")
        .ok()
        .text()
        .to_owned();
    assert_eq!(
        gids.lines(),
        [
            "0 0 1".to_owned(),
            "5 5 1".to_owned(),
            format!("{group} {group} 1")
        ]
    );
    // Another namespace than that of the host.
    let name = "stat -L -c %i /proc/self/ns/user";
    assert_ne!(harlequin.ssh(name).ok().text(), bob.ssh(name).ok().text());
    assert_eq!(bob.ssh(name).ok().text(), host.sh(name).ok().text());
    // No capability in it either, and no way to create another one.
    let status = harlequin.ssh("while read -r line; do case $line in Cap*|NoNew*) echo $line;; esac; done </proc/self/status").ok();
    for name in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
        assert!(
            status
                .stdout()
                .contains(&format!("{name}: 0000000000000000")),
            "{status:?}"
        );
    }
    assert!(status.stdout().contains("NoNewPrivs: 1"), "{status:?}");
    harlequin.ssh("unshare --user true").fails();
    bob.ssh("unshare --user true").ok();
}

#[disposable::test]
fn everything_that_sshd_does_works_with_them() {
    let (host, spec) = copy(
        &["scp", "rsync", "tty", "sleep", "setsid", "id"],
        &format!("{USER}\n[network]\nmode = \"private\"\n"),
    );
    assert_eq!(spec.build(&host).ok().text(), "arkham: nothing to do");
    let _sshd = host.sshd();
    let harlequin = harlequin(&host);
    assert_eq!(harlequin.ssh_pty("tty").ok().text(), "/dev/pts/0");
    harlequin.ssh("exit 7").exits(7);
    host.write("/root/letter", "Dear Mistah J.\n");
    harlequin
        .sftp("put /root/letter one\nget one /root/one")
        .ok();
    harlequin.scp(Scp::Legacy, "/root/letter", ":two").ok();
    harlequin.rsync("/root/letter", ":three").ok();
    assert_eq!(host.read("/root/one"), "Dear Mistah J.\n");
    assert_eq!(
        host.sh("stat -c %U /srv/jails/arkham/home/harlequin/three")
            .ok()
            .text(),
        "harlequin"
    );
    let mut running = harlequin.start(["-tt"], "tty; read -r line");
    running.hear("/dev/pts/0");
    host.until("[ $(who | grep -c 'harlequin jail/') = 1 ]");
    drop(running);
    host.until("[ -z \"$(who)\" ]");
    assert_eq!(harlequin.ssh("trap '' HUP TERM; setsid sleep 12345 </dev/null >/dev/null 2>&1 & sleep 0.2; echo left").ok().text(), "left");
    host.until("! pgrep -u harlequin >/dev/null && ! pgrep -x jailctl-keeper >/dev/null");
    assert_eq!(reach(&host, &harlequin), Reach::Jail);
    let by_ssh = harlequin.ssh("id; echo $(</proc/self/uid_map)").ok();
    let by_enter = host
        .jailctl([
            "enter",
            "arkham",
            "--",
            "bash",
            "-c",
            "id; echo $(</proc/self/uid_map)",
        ])
        .ok();
    assert_eq!(by_ssh.stdout(), by_enter.stdout());
    assert!(
        host.read(LOG)
            .contains("own mnt pid uts ipc cgroup net user, mounted"),
        "{}",
        host.read(LOG)
    );
}

#[disposable::test]
fn a_jail_for_files_alone_has_them_too() {
    let host = crate::support::host_with_module();
    let key = host.key("selina");
    let mut spec = Spec::dropbox(&key);
    spec.more.push_str("\n[namespaces]\nuser = true\n");
    spec.build(&host).ok();
    let _sshd = host.sshd();
    let selina = host.login("selina", &key);
    host.write("/root/letter", "Meow.\n");
    selina
        .sftp("put /root/letter /upload/letter\nget /upload/letter /root/back")
        .ok();
    assert_eq!(host.read("/root/back"), "Meow.\n");
    assert_eq!(
        host.sh("stat -c %U /srv/jails/dropbox/upload/letter")
            .ok()
            .text(),
        "selina"
    );
}
