//! Key `sftp_log`: records of sftp transfers in the host's log, from a jail that has no log of its
//! own.

use disposable::{DisposableHost, Login};

use super::LOG;
use crate::support::{Reach, Spec, host_with_module, look, reach};

fn dropbox<'h>(host: &'h DisposableHost, more: &str) -> (Spec, Login<'h>) {
    let key = host.key("selina");
    let spec = with(Spec::dropbox(&key), more);
    spec.build(host).ok();
    (spec, host.login("selina", &key))
}

fn with(mut spec: Spec, line: &str) -> Spec {
    spec.more = spec
        .more
        .replacen("[sshd]\n", &format!("[sshd]\n{line}"), 1);
    spec
}

/// Lines that sshd's own sftp server wrote.
fn transfers(host: &DisposableHost) -> Vec<String> {
    let log = host.read(LOG);
    let ours = log.lines().filter(|line| line.contains("internal-sftp"));
    ours.map(str::to_owned).collect()
}

#[disposable::test]
fn transfers_are_in_the_hosts_log() {
    let host = host_with_module();
    let (spec, selina) = dropbox(&host, "sftp_log = true\n");
    assert_eq!(spec.build(&host).ok().text(), "dropbox: nothing to do");
    let _sshd = host.sshd();
    host.write("/root/letter", "Meow.\n");
    selina
        .sftp("put /root/letter /upload/letter\nrm /upload/letter")
        .ok();
    host.until(&format!("grep -q 'session closed for local user' {LOG}"));
    let said = transfers(&host);
    for words in [
        "session opened for local user selina from [127.0.0.1]",
        "open \"/upload/letter\" flags WRITE,CREATE,TRUNCATE mode 0644",
        "close \"/upload/letter\" bytes read 0 written 6",
        "remove name \"/upload/letter\"",
    ] {
        assert!(
            said.iter().any(|line| line.contains(words)),
            "{words}: {said:?}"
        );
    }
    // 10 is AUTHPRIV and 6 is INFO, as syslog(3) encodes the two.
    assert!(said.iter().all(|line| line.starts_with("<86>")), "{said:?}");
    assert_eq!(reach(&host, &selina), Reach::Jail);
    // The host has an empty file there.
    assert_eq!(
        host.sh("stat -c '%F %s %U %a' /srv/jails/dropbox/dev/log")
            .ok()
            .text(),
        "regular empty file 0 root 644"
    );
}

#[disposable::test]
fn without_log_nothing_is_said() {
    let host = host_with_module();
    let (_, selina) = dropbox(&host, "");
    let _sshd = host.sshd();
    selina.sftp("ls /upload").ok();
    assert_eq!(transfers(&host), Vec::<String>::new());
    assert!(!host.has("/srv/jails/dropbox/dev/log"));
}

#[disposable::test]
fn the_log_socket_is_found_through_a_link() {
    let host = host_with_module();
    host.sh("mkdir /dev/journal; mv /dev/log /dev/journal/dev-log; ln -s journal/dev-log /dev/log")
        .ok();
    let (spec, selina) = dropbox(&host, "sftp_log = true\n");
    let sshd = host.sshd();
    selina.sftp("ls /upload").ok();
    host.until(&format!("grep -q 'internal-sftp.*session closed' {LOG}"));
    host.sh("rm /dev/log").ok();
    assert_eq!(reach(&host, &selina), Reach::Nothing);
    // No log contains the reason, except for that of sshd.
    assert!(
        sshd.log().contains("fatal: PAM: pam_open_session()")
            || sshd.log().contains("Access denied")
            || sshd.log().contains("No such file"),
        "{}",
        sshd.log()
    );
    let planned = host.jailctl(["plan", &spec.path()]).ok();
    assert!(
        format!("{planned:?}").contains("the host has no log at `/dev/log` now"),
        "{planned:?}"
    );
    for fix in ["mkdir /dev/log", ": >/dev/log"] {
        host.sh(fix).ok();
        assert_eq!(reach(&host, &selina), Reach::Nothing);
        host.sh("rm -r /dev/log").ok();
    }
    host.sh("ln -s journal/dev-log /dev/log").ok();
    assert_eq!(reach(&host, &selina), Reach::Jail);
}

#[disposable::test]
fn a_log_makes_a_session_of_a_plain_chroot_and_back() {
    let host = host_with_module();
    let before = look(&host);
    let key = host.key("selina");
    let plain = Spec::dropbox(&key);
    plain.build(&host).ok();
    let stack = host.read("/etc/pam.d/sshd");
    with(plain.clone(), "sftp_log = true\n").build(&host).ok();
    let selina = host.login("selina", &key);
    let _sshd = host.sshd();
    selina.sftp("ls /upload").ok();
    host.until("! pgrep -u selina >/dev/null");
    assert!(!transfers(&host).is_empty());
    plain.build(&host).ok();
    assert_eq!(host.read("/etc/pam.d/sshd"), stack);
    assert!(!host.has("/srv/jails/dropbox/dev/log"));
    assert_eq!(reach(&host, &selina), Reach::Jail);
    host.jailctl(["remove", "dropbox", "--purge"]).ok();
    let left = before.diff(&look(&host));
    assert!(
        left.iter().all(|line| line.contains(" /srv/jails:")),
        "{left:?}"
    );
}
