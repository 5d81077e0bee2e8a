//! `doctor`: each fault that breaks a working login is found by `doctor`, and no other is; once it
//! is fixed, the login works and `doctor` finds nothing.

use disposable::{DisposableHost, Login, Sshd};
use serde_json::Value;

use crate::support::{Spec, arkham, host};

/// One way to break a login.
struct Case {
    /// What breaks it, in bash.
    harm: &'static str,
    /// What puts it right.
    mend: &'static str,
    /// The code of the reason.
    code: &'static str,
    /// A word of the reason.
    word: &'static str,
    /// Whether sshd has to read its configuration for it.
    restart: bool,
}

const fn case(
    harm: &'static str,
    mend: &'static str,
    code: &'static str,
    word: &'static str,
) -> Case {
    Case {
        harm,
        mend,
        code,
        word,
        restart: false,
    }
}

/// A problem of sshd's configuration.
const fn config(
    harm: &'static str,
    mend: &'static str,
    code: &'static str,
    word: &'static str,
) -> Case {
    Case {
        restart: true,
        ..case(harm, mend, code, word)
    }
}

/// Codes of the problems that `doctor` reports, and its whole output.
#[track_caller]
fn codes(host: &DisposableHost, user: &str) -> (Vec<String>, String) {
    let told = host.jailctl(["doctor", "--json", user]);
    let told: Value = serde_json::from_str(told.stdout()).unwrap_or_else(|_| panic!("{told:?}"));
    let reasons = told["problems"].as_array().expect("problems");
    let mut codes: Vec<String> = reasons
        .iter()
        .map(|reason| {
            assert!(
                !reason["fix"].as_array().expect("fixes").is_empty(),
                "{told:#}"
            );
            reason["code"].as_str().expect("a code").to_owned()
        })
        .collect();
    codes.dedup();
    (codes, format!("{told:#}"))
}

/// Breaks the host in one way after the other, and fixes it each time.
#[track_caller]
fn walk(host: &DisposableHost, sshd: &Sshd<'_>, login: &Login<'_>, cases: &[Case]) {
    let user = login.user.as_str();
    let fine = |case: &str| {
        login.ssh("true").ok();
        let told = host.jailctl(["doctor", user]).ok();
        assert!(
            told.stdout().contains("no problems found"),
            "{case}: {told:?}"
        );
    };
    fine("at first");
    for case in cases {
        host.sh(case.harm).ok();
        if case.restart {
            sshd.restart();
        }
        let refused = login.ssh("true");
        assert!(!refused.success(), "{}: a client gets in", case.harm);
        let (codes, told) = codes(host, user);
        assert_eq!(codes, [case.code], "{}: {told}", case.harm);
        assert!(told.contains(case.word), "{}: {told}", case.harm);
        let page = host.jailctl(["doctor", user]).exits(1);
        assert!(page.stdout().contains("    -> "), "{page:?}");
        host.sh(case.mend).ok();
        if case.restart {
            sshd.restart();
        }
        fine(case.mend);
    }
}

#[disposable::test]
fn what_the_accounts_keep_out_the_doctor_names() {
    let host = host();
    let sshd = host.sshd();
    let (_, harlequin) = arkham(&host, &[]);
    walk(
        &host,
        &sshd,
        &harlequin,
        &[
            case(
                "echo closed >/etc/nologin",
                "rm /etc/nologin",
                "nologin",
                "/etc/nologin",
            ),
            case(
                "userdel harlequin",
                "jailctl build /root/arkham.toml",
                "account-gone",
                "jailctl build /root/arkham.toml",
            ),
            case(
                "usermod --expiredate 1 harlequin",
                "jailctl build /root/arkham.toml",
                "account-closed",
                "closed",
            ),
            case(
                "usermod --expiredate 2020-02-29 harlequin",
                "usermod --expiredate '' harlequin",
                "account-expired",
                "2020-02-29",
            ),
            case(
                "chage --lastday 0 harlequin",
                "chage --lastday -1 --maxdays -1 harlequin",
                "password-stale",
                "chage",
            ),
            case(
                "chage --lastday 2020-01-01 --maxdays 90 harlequin",
                "chage --lastday -1 --maxdays -1 harlequin",
                "password-stale",
                "chage",
            ),
            case(
                "usermod -g users harlequin",
                "jailctl build /root/arkham.toml",
                "group",
                "jail-arkham",
            ),
            case(
                "cp /etc/group /root/group; sed -i '/^jail-arkham:/d' /etc/group",
                "cp /root/group /etc/group",
                "group",
                "there is no group",
            ),
        ],
    );
    let stranger = host.jailctl(["doctor", "root"]).exits(2);
    assert!(
        stranger.stderr().contains("is not a user of a jail"),
        "{stranger:?}"
    );
}

#[disposable::test]
fn what_the_jail_lacks_the_doctor_names() {
    let host = host();
    let sshd = host.sshd();
    let (_, harlequin) = arkham(&host, &[]);
    walk(
        &host,
        &sshd,
        &harlequin,
        &[
            case(
                "chmod g+w /srv",
                "chmod g-w /srv",
                "root",
                "chmod go-w /srv",
            ),
            case(
                "chown 1 /srv/jails/arkham",
                "chown 0 /srv/jails/arkham",
                "root",
                "chown root /srv/jails/arkham",
            ),
            case(
                "mv /srv/jails/arkham /srv/jails/away",
                "mv /srv/jails/away /srv/jails/arkham",
                "root",
                "is gone",
            ),
            case(
                "chmod 0700 /srv/jails/arkham",
                "chmod 0755 /srv/jails/arkham",
                "root",
                "may enter",
            ),
            case(
                "mount --bind /srv/jails/arkham /srv/jails/arkham; mount -o remount,bind,noexec /srv/jails/arkham",
                "umount /srv/jails/arkham",
                "noexec",
                "noexec",
            ),
            case(
                "cd /srv/jails/arkham/usr/bin; mv bash away",
                "cd /srv/jails/arkham/usr/bin; mv away bash",
                "program",
                "/jail/bin/bash",
            ),
            case(
                "cd /srv/jails/arkham/usr/bin; chmod 0700 bash",
                "cd /srv/jails/arkham/usr/bin; chmod 0755 bash",
                "program",
                "0700",
            ),
            case(
                "chmod 0700 /srv/jails/arkham/usr/bin",
                "chmod 0755 /srv/jails/arkham/usr/bin",
                "program",
                "/usr/bin",
            ),
            case(
                "cd /srv/jails/arkham; mv lib64/ld-linux-x86-64.so.2 lib64/away",
                "cd /srv/jails/arkham; mv lib64/away lib64/ld-linux-x86-64.so.2",
                "program",
                "ld-linux",
            ),
            case(
                "cd /srv/jails/arkham; mkdir away; mv $(find usr/lib -name 'libtinfo*') away/",
                "cd /srv/jails/arkham; mv away/* usr/lib/x86_64-linux-gnu/; rmdir away",
                "program",
                "libtinfo",
            ),
            case(
                "chmod 0600 /srv/jails/arkham$(readlink -f /lib/x86_64-linux-gnu/libc.so.6 | sed 's#^/lib#/usr/lib#')",
                "chmod 0755 /srv/jails/arkham$(readlink -f /lib/x86_64-linux-gnu/libc.so.6 | sed 's#^/lib#/usr/lib#')",
                "program",
                "libc",
            ),
        ],
    );
    // sftp is a way in of its own: a shell still works, a transfer does not.
    let server = "/srv/jails/arkham/usr/lib/openssh/sftp-server";
    harlequin.sftp("pwd\n").ok();
    host.sh(&format!("mv {server} {server}.away")).ok();
    harlequin.sftp("pwd\n").fails();
    let (found, told) = codes(&host, "harlequin");
    assert_eq!(found, ["program"], "{told}");
    assert!(told.contains("the sftp server"), "{told}");
}

#[disposable::test]
fn what_is_wrong_with_keys_the_doctor_names() {
    let host = host();
    let sshd = host.sshd();
    let (_, harlequin) = arkham(&host, &[]);
    walk(
        &host,
        &sshd,
        &harlequin,
        &[
            case(
                "cd /var/lib/jailctl/arkham/keys; mv harlequin away",
                "cd /var/lib/jailctl/arkham/keys; mv away harlequin",
                "keys-gone",
                "/var/lib/jailctl/arkham/keys/harlequin",
            ),
            case(
                "cd /var/lib/jailctl/arkham/keys; cp -p harlequin /root/keys; : >harlequin",
                "jailctl build /root/arkham.toml",
                "no-key",
                "authorized_keys",
            ),
            case(
                "cd /var/lib/jailctl/arkham/keys; sed -i 's/AAAA/AAA/' harlequin",
                "jailctl build /root/arkham.toml",
                "key-broken",
                "no key",
            ),
            case(
                "chmod 0600 /var/lib/jailctl/arkham/keys/harlequin",
                "chmod 0644 /var/lib/jailctl/arkham/keys/harlequin",
                "key-file",
                "chmod a+r",
            ),
            case(
                "chmod 0664 /var/lib/jailctl/arkham/keys/harlequin",
                "chmod 0644 /var/lib/jailctl/arkham/keys/harlequin",
                "key-file",
                "chmod go-w",
            ),
            case(
                "chmod 0700 /var/lib/jailctl/arkham/keys",
                "chmod 0711 /var/lib/jailctl/arkham/keys",
                "key-file",
                "chmod a+x /var/lib/jailctl/arkham/keys",
            ),
            case(
                "chmod 0700 /var/lib/jailctl",
                "chmod 0711 /var/lib/jailctl",
                "key-file",
                "chmod a+x /var/lib/jailctl",
            ),
            case(
                "chown 1 /var/lib/jailctl/arkham/keys/harlequin",
                "chown 0 /var/lib/jailctl/arkham/keys/harlequin",
                "key-file",
                "chown root",
            ),
            config(
                "echo 'PubkeyAcceptedAlgorithms rsa-sha2-512' >/etc/ssh/sshd_config.d/00-admin.conf",
                "rm /etc/ssh/sshd_config.d/00-admin.conf",
                "key-kind",
                "ssh-ed25519",
            ),
            config(
                "echo 'AuthenticationMethods publickey,password' >/etc/ssh/sshd_config.d/00-admin.conf",
                "rm /etc/ssh/sshd_config.d/00-admin.conf",
                "methods",
                "publickey,password",
            ),
            config(
                "sed -i 's/^UsePAM yes/UsePAM no/' /etc/ssh/sshd_config; usermod --lock harlequin",
                "sed -i 's/^UsePAM no/UsePAM yes/' /etc/ssh/sshd_config; usermod --unlock harlequin || jailctl build /root/arkham.toml",
                "locked",
                "UsePAM",
            ),
        ],
    );
}

#[disposable::test]
fn what_sshd_makes_of_it_the_doctor_names() {
    let host = host();
    let sshd = host.sshd();
    let (_, harlequin) = arkham(&host, &[]);
    walk(
        &host,
        &sshd,
        &harlequin,
        &[
            config(
                "mv /etc/ssh/sshd_config.d/05-jailctl.all.conf /root/",
                "mv /root/05-jailctl.all.conf /etc/ssh/sshd_config.d/",
                "snippet-gone",
                "05-jailctl.all.conf",
            ),
            config(
                "sed -i 's/AuthorizedKeysFile .*/AuthorizedKeysFile none/' /etc/ssh/sshd_config.d/05-jailctl.all.conf",
                "jailctl build /root/arkham.toml",
                "snippet-changed",
                "05-jailctl.all.conf",
            ),
            config(
                "echo 'AllowUsers root' >/etc/ssh/sshd_config.d/00-admin.conf",
                "rm /etc/ssh/sshd_config.d/00-admin.conf",
                "sshd-settings",
                "AllowUsers",
            ),
            config(
                "echo 'DenyUsers har*' >/etc/ssh/sshd_config.d/00-admin.conf",
                "rm /etc/ssh/sshd_config.d/00-admin.conf",
                "sshd-settings",
                "DenyUsers",
            ),
            config(
                "echo 'AllowGroups root' >/etc/ssh/sshd_config.d/00-admin.conf",
                "rm /etc/ssh/sshd_config.d/00-admin.conf",
                "sshd-settings",
                "AllowGroups",
            ),
            config(
                "echo 'DenyGroups jail-*' >/etc/ssh/sshd_config.d/00-admin.conf",
                "rm /etc/ssh/sshd_config.d/00-admin.conf",
                "sshd-settings",
                "DenyGroups",
            ),
            config(
                "printf 'Match User harlequin\n    AuthorizedKeysFile none\n' >/etc/ssh/sshd_config.d/00-admin.conf",
                "rm /etc/ssh/sshd_config.d/00-admin.conf",
                "sshd-settings",
                "authorizedkeysfile",
            ),
            config(
                "printf 'Match Address 127.0.0.0/8\n    PubkeyAuthentication no\n' >/etc/ssh/sshd_config.d/00-admin.conf",
                "rm /etc/ssh/sshd_config.d/00-admin.conf",
                "sshd-settings",
                "pubkeyauthentication",
            ),
        ],
    );

    // One that runs with what it read before the snippet was there.
    host.sh("mv /etc/ssh/sshd_config.d/05-jailctl.all.conf /root/")
        .ok();
    sshd.restart();
    host.sh("sleep 0.02; mv /root/05-jailctl.all.conf /etc/ssh/sshd_config.d/")
        .ok();
    harlequin.ssh("true").fails();
    let (found, told) = codes(&host, "harlequin");
    assert_eq!(found, ["sshd-behind"], "{told}");
    sshd.restart();
    harlequin.ssh("true").ok();
    host.jailctl(["doctor", "harlequin"]).ok();

    sshd.stop();
    harlequin.ssh("true").fails();
    let (found, told) = codes(&host, "harlequin");
    assert_eq!(found, ["sshd-down"], "{told}");

    host.sh("echo Nonsense yes >/etc/ssh/sshd_config.d/00-admin.conf")
        .ok();
    let (found, told) = codes(&host, "harlequin");
    assert_eq!(found, ["sshd-config"], "{told}");
    assert!(told.contains("Nonsense"), "{told}");
}

#[disposable::test]
fn a_user_of_files_alone_gets_the_same_care() {
    let host = host();
    let _sshd = host.sshd();
    let key = host.key("selina");
    Spec::dropbox(&key).build(&host).ok();
    let selina = host.login("selina", &key);
    selina.sftp("pwd\n").ok();
    host.jailctl(["doctor", "selina"]).ok();
    for (harm, code) in [
        ("chmod g+w /srv/jails", "root"),
        ("usermod --expiredate 1 selina", "account-closed"),
    ] {
        host.sh(harm).ok();
        selina.sftp("pwd\n").fails();
        let (found, told) = codes(&host, "selina");
        assert_eq!(found, [code], "{told}");
        host.sh("chmod g-w /srv/jails; usermod --expiredate '' selina")
            .ok();
        host.jailctl(["doctor", "selina"]).ok();
    }
}

#[disposable::test]
fn an_unfit_host_is_reported_as_by_build() {
    let host = host();
    let key = host.key("harlequin");
    let path = Spec::arkham(&key, &[]).put(&host);
    let doctor = || {
        let told = host.jailctl(["doctor", "--json"]);
        let told: Value = serde_json::from_str(told.stdout()).expect("JSON");
        let reasons = told["problems"].as_array().expect("problems").clone();
        reasons
            .iter()
            .map(|reason| reason["code"].as_str().expect("a code").to_owned())
            .collect::<Vec<_>>()
    };
    host.jailctl(["doctor"]).ok();
    for (harm, mend, code) in [
        ("mkdir /jail", "rmdir /jail", "shells"),
        (
            "mv /usr/sbin/useradd /usr/sbin/away",
            "mv /usr/sbin/away /usr/sbin/useradd",
            "tool",
        ),
        ("chmod g+w /srv", "chmod g-w /srv", "host-dir"),
        (
            "sed -i 's/^Include/#Include/' /etc/ssh/sshd_config",
            "sed -i 's/^#Include/Include/' /etc/ssh/sshd_config",
            "sshd-config",
        ),
        (
            "echo Nonsense yes >/etc/ssh/sshd_config.d/00-admin.conf",
            "rm /etc/ssh/sshd_config.d/00-admin.conf",
            "sshd-config",
        ),
        (
            "mv /usr/sbin/sshd /usr/sbin/away",
            "mv /usr/sbin/away /usr/sbin/sshd",
            "sshd-config",
        ),
    ] {
        host.sh(harm).ok();
        assert_eq!(doctor(), [code], "{harm}");
        host.jailctl(["doctor"]).exits(1);
        let built = host.jailctl(["build", &path]);
        assert!([2, 4].contains(&built.code()), "{harm}: {built:?}");
        host.sh(mend).ok();
        host.jailctl(["doctor"]).ok();
    }
    host.jailctl(["build", &path]).ok();
}
