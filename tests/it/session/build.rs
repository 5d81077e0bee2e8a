//! From the spec to sessions and back: errors of a build, contents of a plan, and a removal without
//! remains.

use super::{copy, harlequin};
use crate::support::{CANARY, Reach, Spec, host, host_with_module, install_module, look, reach};

#[disposable::test]
fn without_the_module_a_build_refuses() {
    let host = host();
    let key = host.key("harlequin");
    let mut spec = Spec::arkham(&key, &[]);
    spec.more.push_str("[namespaces]\n");
    let before = look(&host);
    let refused = spec.build(&host).exits(2);
    assert!(
        refused.stderr().contains("pam_jailctl.so` is missing"),
        "{refused:?}"
    );
    assert!(
        refused
            .stderr()
            .contains("hint: build and install it: cargo build --release --package jailctl-pam"),
        "{refused:?}"
    );
    assert!(refused.stderr().contains("[namespaces]"), "{refused:?}");
    assert_eq!(before.diff(&look(&host)), Vec::<String>::new());
    install_module(&host);
    spec.build(&host).ok();
}

#[disposable::test]
fn plan_prints_pam_lines_and_removal_deletes_them() {
    let host = host_with_module();
    let key = host.key("harlequin");
    let mut spec = Spec::arkham(&key, &[]);
    spec.more.push_str("[namespaces]\n");
    let before = look(&host);
    let planned = host.jailctl(["plan", &spec.put(&host)]).ok();
    for line in [
        "pam      /etc/pam.d/sshd",
        "+session [success=done ignore=ignore default=die] pam_jailctl.so",
        "sessions with namespaces and mounts of their own",
    ] {
        assert!(planned.stdout().contains(line), "{line}: {planned:?}");
    }
    assert_eq!(before.diff(&look(&host)), Vec::<String>::new());
    spec.build(&host).ok();
    assert_eq!(spec.build(&host).ok().text(), "arkham: nothing to do");
    let mut elba = spec.clone();
    elba.name = "elba";
    elba.users = vec![("selina", vec![key.public.trim().to_owned()])];
    elba.build(&host).ok();
    assert_eq!(
        host.read("/etc/pam.d/sshd").matches("pam_jailctl").count(),
        1
    );

    host.jailctl(["remove", "arkham", "--purge"]).ok();
    assert_eq!(
        host.read("/etc/pam.d/sshd").matches("pam_jailctl").count(),
        1
    );
    host.jailctl(["remove", "elba", "--purge"]).ok();
    let left = before.diff(&look(&host));
    assert!(
        left.iter().all(|line| line.contains(" /srv/jails:")),
        "{left:?}"
    );
}

#[disposable::test]
fn lines_that_somebody_took_out_come_back() {
    let (host, spec) = copy(&[], "");
    let with = host.read("/etc/pam.d/sshd");
    host.sh("sed -i /pam_jailctl/d /etc/pam.d/sshd").ok();
    spec.build(&host).ok();
    assert_eq!(host.read("/etc/pam.d/sshd"), with);
}

#[disposable::test]
fn plain_chroot_and_sessions_take_turns_only_when_nobody_is_in() {
    let host = host_with_module();
    let key = host.key("harlequin");
    let plain = Spec::arkham(&key, &["id"]).plain();
    plain.build(&host).ok();
    let harlequin = host.login("harlequin", &key);
    let _sshd = host.sshd();
    let mut own = plain.clone();
    own.is_plain = false;
    own.more.push_str("[namespaces]\n");
    for (spec, words) in [(&own, "3"), (&plain, "")] {
        let session = harlequin.session();
        let before = look(&host);
        let refused = spec.build(&host).exits(4);
        assert!(
            refused
                .stderr()
                .contains("could not change the sessions of the jail `arkham`"),
            "{refused:?}"
        );
        assert_eq!(before.diff(&look(&host)), Vec::<String>::new());
        drop(session);
        host.until("! pgrep -u harlequin >/dev/null");
        spec.build(&host).ok();
        assert_eq!(reach(&host, &harlequin), Reach::Jail);
        let number = harlequin.ssh("echo $$").ok();
        assert_eq!(number.text() == "3", words == "3", "{number:?}");
        assert_eq!(spec.build(&host).ok().text(), "arkham: nothing to do");
    }
    assert!(!host.has("/var/lib/jailctl/arkham/session"));
}

#[disposable::test]
fn a_build_that_fails_puts_the_stack_and_the_policy_back() {
    let host = host_with_module();
    let key = host.key("harlequin");
    let mut spec = Spec::arkham(&key, &[]);
    spec.more.push_str("[namespaces]\n");
    spec.put(&host);
    let before = look(&host);
    // sshd accepts no configuration at all: this is known only when the snippet is verified.
    host.write(
        "/etc/ssh/sshd_config.d/01-admin.conf",
        "Match Group jail-arkham\n    ChrootDirectory /somewhere\n",
    );
    let refused = host.jailctl(["build", &spec.path()]).exits(4);
    host.sh("rm /etc/ssh/sshd_config.d/01-admin.conf").ok();
    assert!(refused.stderr().contains("chrootdirectory"), "{refused:?}");
    assert_eq!(before.diff(&look(&host)), Vec::<String>::new());
}

#[disposable::test]
fn sshd_without_pam_is_refused() {
    let host = host_with_module();
    let key = host.key("harlequin");
    let mut spec = Spec::arkham(&key, &[]);
    spec.more.push_str("[namespaces]\n");
    host.write("/etc/ssh/sshd_config.d/01-admin.conf", "UsePAM no\n");
    let refused = spec.build(&host).exits(4);
    assert!(refused.stderr().contains("usepam"), "{refused:?}");
}

#[disposable::test]
fn directories_of_the_host_are_shown_as_asked() {
    let more = "[[mount]]\nsource = \"/opt/shown\"\ntarget = \"/www\"\n\n[[mount]]\nsource = \"/opt/shared\"\ntarget = \"/shared\"\noptions = [\"rw\", \"nosuid\", \"nodev\", \"noexec\"]\n\n\
                [[mount]]\nsource = \"tmpfs\"\ntarget = \"/scratch\"\n";
    let host = host_with_module();
    host.sh("mkdir -p /opt/shown/deep /opt/shared; echo x >/opt/shown/page; chmod 777 /opt/shown /opt/shared; mount -t tmpfs tmpfs /opt/shown/deep; cp /bin/true /opt/shared/program").ok();
    let key = host.key("harlequin");
    let mut spec = Spec::arkham(&key, &[]);
    spec.more.push_str(more);
    spec.build(&host).ok();
    let _sshd = host.sshd();
    let harlequin = harlequin(&host);
    assert_eq!(harlequin.ssh("cat /www/page").ok().text(), "x");
    // Read-only, with every mount below it on the host.
    for place in ["/www", "/www/deep"] {
        let refused = harlequin.ssh(&format!("echo x >{place}/mine")).fails();
        assert!(refused.stderr().contains("Read-only"), "{refused:?}");
    }
    harlequin
        .ssh("echo mine >/shared/mine; echo mine >/scratch/mine; cat /scratch/mine")
        .ok();
    assert_eq!(host.read("/opt/shared/mine"), "mine\n");
    harlequin.ssh("/shared/program").exits(126);
    assert!(
        host.sh("ls -A /srv/jails/arkham/www /srv/jails/arkham/shared /srv/jails/arkham/scratch")
            .ok()
            .stdout()
            .lines()
            .all(|line| line.is_empty() || line.ends_with(':'))
    );
    assert_eq!(reach(&host, &harlequin), Reach::Jail);
    host.jailctl(["remove", "arkham", "--purge"]).ok();
    assert_eq!(host.read("/opt/shown/page"), "x\n");
    assert!(host.read("/canary").contains(CANARY));
}

#[disposable::test]
fn what_the_kernel_shows_is_mounted_as_asked() {
    let more = "[[mount]]\nsource = \"sysfs\"\ntarget = \"/sys\"\n\n[[mount]]\nsource = \"proc\"\ntarget = \"/proc\"\noptions = [\"ro\", \"nosuid\", \"nodev\", \"noexec\"]\n\n\
                [[mount]]\nsource = \"tmpfs\"\ntarget = \"/tmp\"\noptions = [\"nosuid\", \"nodev\", \"noexec\", \"size=1M\", \"mode=1700\"]\n";
    let (host, _) = copy(&["stat", "df"], more);
    let _sshd = host.sshd();
    let harlequin = harlequin(&host);
    let options = harlequin
        .ssh("while read -r _ _ _ _ at options rest; do echo $at $options ${rest##* }; done </proc/self/mountinfo")
        .ok();
    for line in [
        "/sys ro,nosuid,nodev,noexec",
        "/proc ro,nosuid,nodev,noexec",
        "/tmp rw,nosuid,nodev,noexec",
    ] {
        assert!(options.stdout().contains(line), "{line}: {options:?}");
    }
    assert!(harlequin.ssh("ls /sys/kernel").ok().stdout().contains("mm"));
    assert_eq!(
        harlequin
            .ssh("echo $(stat -c %a /tmp; df --output=size /tmp)")
            .ok()
            .text(),
        "1700 1K-blocks 1024"
    );
    // The session has the network of the host here, and still processes of its own.
    assert_eq!(
        harlequin.ssh("ls /sys/class/net").ok().text(),
        host.sh("ls /sys/class/net").ok().text()
    );
    harlequin.ssh("cat /proc/1/comm").exits(1);
}

#[disposable::test]
fn what_cannot_be_mounted_is_refused_before_anything_is_touched() {
    let host = host_with_module();
    host.sh("mkdir -p /opt/real; ln -s real /opt/link; echo x >/opt/file")
        .ok();
    let key = host.key("harlequin");
    let before = look(&host);
    for (source, target, why) in [
        ("/opt/gone", "/www", "there is no such directory"),
        ("/opt/link", "/www", "there is a link in the path"),
        ("/opt/file", "/www", "it is not a directory"),
        ("/etc", "/www", "is a system directory"),
        ("/var/lib", "/www", "is or contains the records of jails"),
        ("/srv/jails", "/www", "it contains the root of the jail"),
        ("/proc", "/www", "`/proc`"),
        ("/opt/real", "/proc", "could not mount on `/proc`"),
        ("/opt/real", "/dev/shm", "would hide files of the jail"),
        ("/opt/real", "/home/harlequin/www", "home of `harlequin`"),
        ("/opt/real", "/home", "home of `harlequin`"),
        ("/opt/real", "/usr", "would hide files of the jail"),
    ] {
        let mut spec = Spec::arkham(&key, &[]);
        spec.more = format!(
            "[[mount]]
source = {source:?}
target = {target:?}
"
        );
        let refused = spec.build(&host).exits(2);
        assert!(refused.stderr().contains(why), "{why}: {refused:?}");
    }
    assert_eq!(before.diff(&look(&host)), Vec::<String>::new());
}

#[disposable::test]
fn a_jail_for_files_alone_has_a_session_without_a_network() {
    let host = host_with_module();
    let key = host.key("selina");
    let mut spec = Spec::dropbox(&key);
    spec.more.push_str("\n[namespaces]\n");
    spec.build(&host).ok();
    let _sshd = host.sshd();
    let selina = host.login("selina", &key);
    host.write("/root/letter", "Meow.\n");
    selina
        .sftp("put /root/letter /upload/letter\nget /upload/letter /root/back")
        .ok();
    assert_eq!(host.read("/root/back"), "Meow.\n");
    assert_eq!(reach(&host, &selina), Reach::Jail);
    let log = host.read(super::LOG);
    assert!(
        log.contains("user selina, from 127.0.0.1, own mnt pid uts ipc cgroup net, mounted"),
        "{log}"
    );
    assert!(!host.has("/srv/jails/dropbox/proc"));
}

/// The directory of a service that is stopped: sessions begin without it.
#[disposable::test]
fn an_optional_mount_may_be_missing() {
    let host = host_with_module();
    let _sshd = host.sshd();
    let key = host.key("harlequin");
    let mut spec = Spec::arkham(&key, &[]);
    spec.more
        .push_str("[[mount]]\nsource = \"/run/service\"\ntarget = \"/service\"\noptional = true\n");
    let built = spec.build(&host).ok();
    assert!(
        built.stderr().contains("`/run/service` is missing"),
        "{built:?}"
    );
    let harlequin = host.login("harlequin", &key);
    assert_eq!(harlequin.ssh("ls -A /service; echo in").ok().text(), "in");
    assert_eq!(reach(&host, &harlequin), Reach::Jail);
    host.sh("mkdir /run/service; echo x >/run/service/socket")
        .ok();
    assert_eq!(harlequin.ssh("ls /service").ok().text(), "socket");
    host.jailctl(["doctor", "harlequin"]).ok();
    // A link in its place is refused, as for every mount.
    host.sh("rm -r /run/service; ln -s /etc /run/service").ok();
    assert_eq!(reach(&host, &harlequin), Reach::Nothing);
    host.sh("rm /run/service").ok();
    host.jailctl(["doctor", "harlequin"]).ok();
    spec.more = spec.more.replace("optional = true\n", "");
    let refused = spec.build(&host).exits(2);
    assert!(
        refused.stderr().contains("`optional = true`"),
        "{refused:?}"
    );
}
