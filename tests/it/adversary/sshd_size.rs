//! sshd's configuration with many jails: what they share is written once, its size is bounded, and
//! a real connection shows that sshd lets anybody in.

use super::super::support::{Reach, Spec, arkham, host, look, reach};

/// What all jails share.
const COMMON: &str = "/etc/ssh/sshd_config.d/05-jailctl.conf";
/// What each jail has of its own.
const OWN: &str = "/etc/ssh/sshd_config.d/05-jailctl.all.conf";

#[disposable::test]
fn what_all_jails_share_is_written_once() {
    let host = host();
    let before = look(&host);
    let key = host.key("harlequin");
    let arkham = Spec::arkham(&key, &[]);
    let dropbox = Spec::dropbox(&key);
    let planned = host.jailctl(["plan", &arkham.put(&host)]).ok();
    for line in [
        "+ sshd     /etc/ssh/sshd_config.d/05-jailctl.conf",
        "+Match Group jail-*",
        "+    PermitTunnel no",
    ] {
        assert!(planned.stdout().contains(line), "{line}: {planned:?}");
    }
    arkham.build(&host).ok();
    let alone = host.read(OWN);
    assert!(alone.len() < 700 && alone.lines().count() <= 14, "{alone}");
    dropbox.build(&host).ok();
    let both = host.read(OWN);
    assert!(both.len() < alone.len() + 300, "{both}");
    let _sshd = host.sshd();
    let (harlequin, selina) = (host.login("harlequin", &key), host.login("selina", &key));
    assert_eq!(reach(&host, &harlequin), Reach::Jail);
    assert_eq!(reach(&host, &selina), Reach::Jail);
    let bob = host.plain_user("bob");
    bob.ssh("true").ok();

    // Deleted or changed: `check` and `doctor` report it, and a build restores it.
    for (change, code) in [
        ("rm", "snippet-gone"),
        (
            "sed -i 's/PermitTunnel no/PermitTunnel yes/'",
            "snippet-changed",
        ),
    ] {
        host.sh(&format!("{change} {COMMON}")).ok();
        let found = host.jailctl(["check", "arkham"]).exits(1);
        assert!(found.stdout().contains(COMMON), "{found:?}");
        let found = host.jailctl(["doctor", "--json", "harlequin"]).exits(1);
        assert!(
            found.stdout().contains(code) && found.stdout().contains(COMMON),
            "{found:?}"
        );
        host.jailctl(["build", &arkham.path()]).ok();
        host.jailctl(["check"]).ok();
    }
    // Without the jail's own records none of its users can log in.
    host.sh(&format!(
        "mv {OWN} /root/; kill -HUP $(cat /run/sshd.pid); sleep 0.5"
    ))
    .ok();
    assert_eq!(reach(&host, &harlequin), Reach::Nothing);
    host.sh(&format!(
        "mv /root/05-jailctl.all.conf {OWN}; kill -HUP $(cat /run/sshd.pid); sleep 0.5"
    ))
    .ok();
    assert_eq!(reach(&host, &harlequin), Reach::Jail);

    host.jailctl(["remove", "--purge", "arkham"]).ok();
    assert!(host.has(COMMON));
    assert_eq!(reach(&host, &selina), Reach::Jail);
    let planned = host
        .jailctl(["remove", "--purge", "--dry-run", "dropbox"])
        .ok();
    assert!(
        planned
            .stdout()
            .contains("- sshd     /etc/ssh/sshd_config.d/05-jailctl.conf"),
        "{planned:?}"
    );
    host.jailctl(["remove", "--purge", "dropbox"]).ok();
    assert!(!host.has(COMMON));
    let left = before
        .diff(&look(&host))
        .into_iter()
        .filter(|line| line.contains("sshd_config"));
    assert_eq!(left.collect::<Vec<_>>(), Vec::<String>::new());
}

#[disposable::test]
fn what_all_jails_share_binds_nobody_else() {
    let host = host();
    let key = host.key("harlequin");
    let spec = Spec::arkham(&key, &[]);
    host.sh("useradd joe; groupadd -U joe jail-keepers || { groupadd jail-keepers; usermod -aG jail-keepers joe; }").ok();
    let refused = spec.build(&host).exits(4);
    assert!(
        refused
            .stderr()
            .contains("`joe`, which is no account of a jail, is a member of `jail-keepers`"),
        "{refused:?}"
    );
    host.sh("groupmod -n keepers jail-keepers").ok();
    host.write(COMMON, "PermitTTY yes\n");
    let refused = spec.build(&host).exits(4);
    assert!(
        refused.stderr().contains("jailctl did not write it"),
        "{refused:?}"
    );
    assert_eq!(host.read(COMMON), "PermitTTY yes\n");
    host.run(["rm", COMMON]).ok();
    spec.build(&host).ok();
}

#[disposable::test]
fn a_configuration_near_the_limit_of_sshd_is_refused() {
    let host = host();
    let (spec, harlequin) = arkham(&host, &[]);
    let _sshd = host.sshd();
    let others = "/etc/ssh/sshd_config.d/99-others.conf";
    host.write(
        others,
        &"# blanks at the start of a line do not count\n".repeat(6000),
    );
    let dropbox = Spec::dropbox(&host.key("selina"));
    let looked = || look(&host).without(|path| path.contains("/.jailctl/"));
    let before = looked();
    let refused = dropbox.build(&host).exits(4);
    for part in ["would be too large", "of them jailctl's", "262144", "`%u`"] {
        assert!(refused.stderr().contains(part), "{part}: {refused:?}");
    }
    assert_eq!(before.diff(&looked()), Vec::<String>::new());
    assert_eq!(reach(&host, &harlequin), Reach::Jail);
    let found = host.jailctl(["check", "arkham"]).exits(1);
    assert!(found.stdout().contains("would be too large"), "{found:?}");
    // Blanks do not count.
    host.write(others, &format!("{}# x\n", " ".repeat(80)).repeat(6000));
    dropbox.build(&host).ok();
    // What is too large already may become smaller.
    host.write(
        others,
        &"# blanks at the start of a line do not count\n".repeat(6000),
    );
    host.write(
        OWN,
        &format!("{}{}", host.read(OWN), "# older\n".repeat(100)),
    );
    spec.build(&host).ok();
}

#[disposable::test]
fn a_verification_ends_with_a_real_connection() {
    let host = host();
    let _ = arkham(&host, &[]);
    let dropbox = Spec::dropbox(&host.key("selina"));
    host.sh("mv /usr/bin/ssh /usr/bin/ssh.real").ok();
    let client = "#!/bin/sh\necho \"$@\" >/root/asked\necho Connection closed by UNKNOWN port 65535 >&2\nexit 255\n";
    host.write("/usr/bin/ssh", client);
    host.run(["chmod", "755", "/usr/bin/ssh"]).ok();
    let refused = dropbox.build(&host).exits(4);
    for part in [
        "sshd would refuse every login",
        "Connection closed by UNKNOWN",
    ] {
        assert!(refused.stderr().contains(part), "{part}: {refused:?}");
    }
    assert!(host.read("/root/asked").contains("/sshd -i "));
    assert!(!host.read(OWN).contains("jail-dropbox"));
    host.run(["rm", "/usr/bin/ssh"]).ok();
    let built = dropbox.build(&host).ok();
    let told = built.stdout().to_owned() + built.stderr();
    assert!(told.contains("there is no `/usr/bin/ssh`"), "{told}");
    // With one it gets as far as a login, and there is no notice.
    host.sh("mv /usr/bin/ssh.real /usr/bin/ssh; echo '# changed' >>/etc/ssh/sshd_config.d/05-jailctl.all.conf").ok();
    let built = host.jailctl(["build", &dropbox.path()]).ok();
    assert!(!built.stderr().contains("was tried"), "{built:?}");
}
