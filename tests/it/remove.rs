//! Removal of a jail: complete with `--purge`, without the files of its users otherwise.

use disposable::DisposableHost;

use crate::support::{Reach, Spec, arkham, host, look, reach};

/// Waits until sshd has cleaned up after a session that is over.
fn all_out(host: &DisposableHost) {
    host.until("! pgrep -u harlequin");
}

#[disposable::test]
fn purge_leaves_the_host_as_before_the_first_build() {
    let host = host();
    let _sshd = host.sshd();
    let key = host.key("harlequin");
    let spec = Spec::arkham(&key, &["id"]);
    spec.put(&host);
    let before = look(&host);
    spec.build(&host).ok();
    let harlequin = host.login("harlequin", &key);
    harlequin.ssh("echo mine >~/note").ok();
    all_out(&host);
    host.write("/var/mail/harlequin", "a letter\n");
    host.run(["chown", "harlequin:mail", "/var/mail/harlequin"])
        .ok();
    host.jailctl(["remove", "arkham", "--purge"]).ok();
    assert_eq!(before.diff(&look(&host)), Vec::<String>::new());
    assert!(!host.has("/var/lib/jailctl"));
    host.sh("! grep -r harlequin /etc/passwd /etc/shadow /etc/group /etc/gshadow /etc/subuid /etc/subgid").ok();
    assert_eq!(reach(&host, &harlequin), Reach::Nothing);
}

#[disposable::test]
fn homes_stay_without_purge() {
    let host = host();
    let (_, harlequin) = arkham(&host, &[]);
    let _sshd = host.sshd();
    harlequin.ssh("echo mine >~/note").ok();
    all_out(&host);
    let told = host.jailctl(["remove", "arkham"]).ok();
    let kept = "/srv/jails/arkham/home/harlequin";
    assert_eq!(host.read(&format!("{kept}/note")), "mine\n");
    assert!(
        told.stdout().contains(kept) || told.stderr().contains(kept),
        "{told:?}"
    );
    assert!(!host.has("/srv/jails/arkham/usr"));
    host.run(["getent", "passwd", "harlequin"]).fails();
    assert_eq!(reach(&host, &harlequin), Reach::Nothing);
    host.sh("! ls /etc/ssh/sshd_config.d/*-jailctl*").ok();
}

#[disposable::test]
fn a_jail_can_be_built_again_over_the_homes_it_left() {
    let host = host();
    let (spec, harlequin) = arkham(&host, &[]);
    let _sshd = host.sshd();
    harlequin.ssh("echo mine >~/note").ok();
    all_out(&host);
    host.jailctl(["remove", "arkham"]).ok();
    spec.build(&host).ok();
    assert_eq!(harlequin.ssh("cat ~/note").ok().text(), "mine");
    harlequin.ssh("echo again >~/note").ok();
}

#[disposable::test]
fn a_home_that_was_left_is_not_for_whoever_gets_its_number() {
    let host = host();
    let (spec, harlequin) = arkham(&host, &[]);
    let _sshd = host.sshd();
    harlequin.ssh("echo mine >~/note").ok();
    all_out(&host);
    let number = host.sh("id -u harlequin").ok().text().to_owned();
    host.jailctl(["remove", "arkham"]).ok();
    host.run(["useradd", "-m", "-u", &number, "bob"]).ok();
    let theft = "su bob -c 'cat /srv/jails/arkham/home/harlequin/note'";
    host.sh(theft).fails();
    // It may refuse to build over it; if it does not, the home is its user's again.
    if spec.build(&host).success() {
        assert_eq!(harlequin.ssh("cat ~/note").ok().text(), "mine");
    }
    host.sh(theft).fails();
}

#[disposable::test]
fn remove_refuses_while_somebody_is_in() {
    let host = host();
    let (_, harlequin) = arkham(&host, &[]);
    let _sshd = host.sshd();
    let mut shell = harlequin.session();
    shell.run("cd ~");
    let before = look(&host);
    host.jailctl(["remove", "arkham", "--purge"]).exits(4);
    assert_eq!(before.diff(&look(&host)), Vec::<String>::new());
    assert_eq!(shell.run("echo here").1, "here");
    host.jailctl(["remove", "arkham", "--purge", "--kill"]).ok();
    assert!(!host.has("/srv/jails/arkham"));
    host.sh("! pgrep -u harlequin").ok();
}

#[disposable::test]
fn no_depth_of_a_home_exhausts_descriptors() {
    let host = host();
    let (spec, _) = arkham(&host, &[]);
    let home = format!("{}/home/harlequin", spec.root());
    host.sh(&format!(
        "cd {home}; perl -e 'for (1..3000) {{ mkdir \"deep\" or die $!; chdir \"deep\" or die $! }}'; touch last; ulimit -n 64; jailctl remove arkham --purge"
    ))
    .ok();
    assert!(!host.has(&spec.root()));
}

#[disposable::test]
fn remove_does_not_go_through_a_mount() {
    let host = host();
    let (_, harlequin) = arkham(&host, &[]);
    host.sh(r"
        mkdir /root/precious /srv/jails/arkham/home/harlequin/mnt
        echo gold >/root/precious/ring
        mount --bind /root/precious /srv/jails/arkham/home/harlequin/mnt
    ")
        .ok();
    let refused = host.jailctl(["remove", "arkham", "--purge"]).exits(4);
    assert!(
        refused.stderr().contains("/home/harlequin/mnt"),
        "{refused:?}"
    );
    assert_eq!(host.read("/root/precious/ring"), "gold\n");
    let _sshd = host.sshd();
    assert!(reach(&host, &harlequin) <= Reach::Jail);
    all_out(&host);
    host.run(["umount", "/srv/jails/arkham/home/harlequin/mnt"])
        .ok();
    host.jailctl(["remove", "arkham", "--purge"]).ok();
    assert_eq!(host.read("/root/precious/ring"), "gold\n");
}

#[disposable::test]
fn two_jails_do_not_share_their_end() {
    let host = host();
    let (_, harlequin) = arkham(&host, &[]);
    let key = host.key("selina");
    Spec::dropbox(&key).build(&host).ok();
    let selina = host.login("selina", &key);
    let _sshd = host.sshd();
    host.jailctl(["remove", "dropbox", "--purge"]).ok();
    assert_eq!(reach(&host, &selina), Reach::Nothing);
    assert_eq!(reach(&host, &harlequin), Reach::Jail);
    harlequin.ssh("ls /usr/bin").ok();
}
