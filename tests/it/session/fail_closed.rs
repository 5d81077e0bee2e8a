//! Failures at the start of a session: the jailed user gets none, the log contains the reason, and
//! no other user is affected.

use disposable::{DisposableHost, Login, Sshd};

use super::{LOG, copy, harlequin};
use crate::support::{Reach, reach};

const POLICY: &str = "/var/lib/jailctl/arkham/policy";

/// Checks that the jailed user logs in; not after `break_it`, when bob still does; and again after
/// `fix`. The log, or else that of sshd, contains `why`.
#[track_caller]
pub(super) fn closed(
    host: &DisposableHost,
    sshd: &Sshd<'_>,
    bob: &Login<'_>,
    break_it: &str,
    fix: &str,
    why: &str,
) {
    let harlequin = harlequin(host);
    assert_eq!(reach(host, &harlequin), Reach::Jail, "before `{break_it}`");
    host.sh(break_it).ok();
    host.sh(&format!(": >{LOG}; : >/run/sshd.log")).ok();
    assert_eq!(
        reach(host, &harlequin),
        Reach::Nothing,
        "after `{break_it}`"
    );
    let seen = harlequin.ssh_pty("echo reached").fails();
    assert!(
        !seen.stdout().contains("reached"),
        "after `{break_it}`: {seen:?}"
    );
    bob.ssh("true").ok();
    let said = format!("{}{}", host.read(LOG), sshd.log());
    assert!(said.contains(why), "`{why}` after `{break_it}`: {said}");
    host.until("! pgrep -u harlequin >/dev/null");
    host.sh(fix).ok();
    assert_eq!(reach(host, &harlequin), Reach::Jail, "after `{fix}`");
}

#[disposable::test]
fn without_a_sound_policy_there_is_no_session() {
    let (host, _) = copy(&[], "");
    let sshd = host.sshd();
    let bob = host.plain_user("bob");
    let keep = format!("cp -a {POLICY} /root/policy; ");
    let fix = format!("rm -rf {POLICY}; cp -a /root/policy {POLICY}");
    for (how, why) in [
        (format!("rm {POLICY}"), "no such file"),
        (format!("truncate -s 300 {POLICY}"), "it is damaged"),
        (format!(": >{POLICY}"), "it is damaged"),
        (
            format!("head -c 999 /dev/urandom >{POLICY}"),
            "could not read the policy",
        ),
        (
            format!("sed -i 's/\"format\": 1/\"format\": 2/' {POLICY}"),
            "it has format 2, this version reads 1",
        ),
        (
            format!("sed -i 's/\"ipc\"/\"seccomp\"/' {POLICY}"),
            "it is damaged",
        ),
        (
            format!("sed -i s/harlequin/selina/ {POLICY}"),
            "does not name the user",
        ),
        (
            format!("sed -i 's/\"jail\": \"arkham\"/\"jail\": \"elba\"/' {POLICY}"),
            "it belongs to another jail",
        ),
        (
            format!("chmod 640 {POLICY}"),
            "it is not a regular file of root with mode 0600",
        ),
        (
            format!("chown bob {POLICY}"),
            "it is not a regular file of root with mode 0600",
        ),
        (
            format!("mv {POLICY} /root/elsewhere; ln -s /root/elsewhere {POLICY}"),
            "symbolic link",
        ),
        (
            format!("rm {POLICY}; mkfifo -m 600 {POLICY}"),
            "it is not a regular file of root with mode 0600",
        ),
    ] {
        closed(&host, &sshd, &bob, &format!("{keep}{how}"), &fix, why);
    }
}

#[disposable::test]
fn doctor_tells_why_no_session_begins() {
    let (host, _) = copy(&[], "[[mount]]\nsource = \"/opt\"\ntarget = \"/opt\"\n");
    let _sshd = host.sshd();
    let module = "$(find /usr/lib -name pam_jailctl.so)";
    for (breaks, why) in [
        (format!("truncate -s 300 {POLICY}"), "it is damaged"),
        (
            format!("sed -i s/harlequin/selina/ {POLICY}"),
            "its policy does not name `harlequin`",
        ),
        (
            "sed -i /pam_jailctl/d /etc/pam.d/sshd".to_owned(),
            "the PAM service of sshd does not call `pam_jailctl.so`",
        ),
        (
            "rmdir /var/lib/jailctl/arkham/session".to_owned(),
            "`/var/lib/jailctl/arkham/session` is gone",
        ),
    ] {
        host.sh(&breaks).ok();
        let output = host.jailctl(["doctor", "harlequin"]).exits(1);
        assert!(output.stdout().contains(why), "{breaks}: {output:?}");
        // The hint of the message.
        host.jailctl(["build", "/root/arkham.toml"]).ok();
        host.jailctl(["doctor", "harlequin"]).ok();
    }
    for (breaks, fix, why) in [
        (
            "chmod o+w /var/lib/jailctl/arkham/session",
            "chmod go-w /var/lib/jailctl/arkham/session",
            "others than root may write to `/var/lib/jailctl/arkham/session`",
        ),
        (
            "cd /var/lib/jailctl/arkham; rmdir session; touch session",
            "rm /var/lib/jailctl/arkham/session; jailctl build /root/arkham.toml",
            "`/var/lib/jailctl/arkham/session` is no directory",
        ),
        ("mv /opt /opt2", "mv /opt2 /opt", "it is gone"),
        (
            "mv /opt /opt2; ln -s opt2 /opt",
            "rm /opt; mv /opt2 /opt",
            "it is no directory",
        ),
        (
            "echo 'UsePAM no' >/etc/ssh/sshd_config.d/00-no-pam.conf",
            "rm /etc/ssh/sshd_config.d/00-no-pam.conf",
            "`UsePAM` is `no`",
        ),
    ] {
        host.sh(breaks).ok();
        let output = host.jailctl(["doctor", "harlequin"]).exits(1);
        assert!(output.stdout().contains(why), "{breaks}: {output:?}");
        host.sh(fix).ok();
        host.jailctl(["doctor", "harlequin"]).ok();
    }
    host.sh(&format!("rm {module}")).ok();
    let output = host.jailctl(["doctor", "harlequin"]).exits(1);
    assert!(output.stdout().contains("-> restore `"), "{output:?}");
}

#[disposable::test]
fn without_its_module_or_its_lines_there_is_no_session() {
    let (host, _) = copy(&[], "");
    let sshd = host.sshd();
    let bob = host.plain_user("bob");
    // Without PAM sshd takes a `!` for an account that is locked for keys too.
    host.sh("usermod -p '*' bob").ok();
    let module = host
        .sh("find /usr/lib -name pam_jailctl.so")
        .ok()
        .text()
        .to_owned();
    let nothing_there = "/var/lib/jailctl/arkham/session/root";
    for (how, fix, why) in [
        (format!("mv {module} /root/"), format!("mv /root/pam_jailctl.so {module}"), "pam_jailctl.so"),
        (format!("cp {module} /root/; echo damaged >{module}"), format!("mv /root/pam_jailctl.so {module}"), "pam_jailctl.so"),
        ("cp /etc/pam.d/sshd /root/; sed -i /pam_jailctl/d /etc/pam.d/sshd".to_owned(), "cp /root/sshd /etc/pam.d/".to_owned(), nothing_there),
        ("echo 'UsePAM no' >/etc/ssh/sshd_config.d/00-no-pam.conf; kill -HUP $(</run/sshd.pid); sleep 0.5".to_owned(), "rm /etc/ssh/sshd_config.d/00-no-pam.conf; kill -HUP $(</run/sshd.pid); sleep 0.5".to_owned(), nothing_there),
    ] {
        closed(&host, &sshd, &bob, &how, &fix, why);
    }
}

#[disposable::test]
fn without_what_it_shows_there_is_no_session() {
    let (host, _) = copy(&[], "[[mount]]\nsource = \"/opt\"\ntarget = \"/opt\"\n");
    let sshd = host.sshd();
    let bob = host.plain_user("bob");
    let root = "/srv/jails/arkham";
    for (how, fix, why) in [
        (
            "mv /opt /opt2".to_owned(),
            "mv /opt2 /opt".to_owned(),
            "could not mount `/opt`",
        ),
        (
            "mv /opt /opt2; ln -s opt2 /opt".to_owned(),
            "rm /opt; mv /opt2 /opt".to_owned(),
            "could not mount `/opt`",
        ),
        (
            format!("rmdir {root}/opt; ln -s /etc {root}/opt"),
            format!("rm {root}/opt; mkdir {root}/opt"),
            "could not mount on `/opt`",
        ),
        (
            format!("chmod o+w {root}"),
            format!("chmod o-w {root}"),
            "can be changed by users other than root",
        ),
        (
            "rmdir /var/lib/jailctl/arkham/session".to_owned(),
            "mkdir -m 700 /var/lib/jailctl/arkham/session".to_owned(),
            "could not open",
        ),
    ] {
        closed(&host, &sshd, &bob, &how, &fix, why);
    }
}

#[disposable::test]
fn without_a_namespace_there_is_no_session() {
    let (host, _) = copy(&[], "user = true\n\n[network]\nmode = \"none\"\n");
    let sshd = host.sshd();
    let bob = host.plain_user("bob");
    let harlequin = harlequin(&host);
    sshd.stop();
    // The limits of namespaces(7) are those of a user namespace, and so sshd gets one in which they
    // can be set.
    host.write(
        "/root/apart.sh",
        "echo 0 >/proc/sys/net/ipv4/ip_unprivileged_port_start; rm -f /run/sshd.pid\nunshare --user --mount bash -c 'until read -r _ </proc/self/gid_map; do sleep 0.01; done; exec /usr/sbin/sshd -E /run/sshd.log' &\n\
         until [ \"$(readlink /proc/$!/ns/user)\" != \"$(readlink /proc/self/ns/user)\" ]; do sleep 0.01; done\n\
         echo 0 0 65536 >/proc/$!/uid_map\necho 0 0 65536 >/proc/$!/gid_map\nuntil [ -s /run/sshd.pid ]; do sleep 0.01; done\n",
    );
    host.sh("bash /root/apart.sh </dev/null >/dev/null 2>&1")
        .ok();
    let limit = |kind: &str, number: &str| {
        host.sh(&format!("nsenter -t $(</run/sshd.pid) --user bash -c 'echo {number} >/proc/sys/user/max_{kind}_namespaces'")).ok();
    };
    assert_eq!(
        reach(&host, &harlequin),
        Reach::Jail,
        "the control: {}{}",
        host.read(LOG),
        sshd.log()
    );
    for kind in ["mnt", "pid", "uts", "ipc", "cgroup", "net", "user"] {
        host.until("! pgrep -u harlequin >/dev/null && ! pgrep -x jailctl-keeper >/dev/null");
        limit(kind, "0");
        host.sh(&format!(": >{LOG}")).ok();
        assert_eq!(reach(&host, &harlequin), Reach::Nothing, "{kind}");
        bob.ssh("true").ok();
        let log = host.read(LOG);
        let why = if kind == "user" {
            "could not create the session's user namespace: no space left"
        } else {
            "could not create the session's namespaces: no space left"
        };
        assert!(log.contains(why), "{kind}: {log}");
        limit(kind, "1000");
        assert_eq!(reach(&host, &harlequin), Reach::Jail, "{kind}");
    }
    host.sh("kill $(</run/sshd.pid)").ok();
}
