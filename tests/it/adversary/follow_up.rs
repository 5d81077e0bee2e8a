//! What a second reader found in the answers to the review: files that were lost or edited, modules
//! that came and went, ids that others have.

use crate::support::{
    Reach, Spec, arkham, have_user_managers, host, host_with_module, install_module, look, reach,
};

#[disposable::test]
fn again_nothing_is_forwarded_when_the_common_file_is_lost() {
    let host = host();
    let sshd = host.sshd_with(disposable::sshd::CARELESS);
    let (_, harlequin) = arkham(&host, &["sleep"]);
    let key = host.key("selina");
    Spec::dropbox(&key).build(&host).ok();
    host.run(["rm", "/etc/ssh/sshd_config.d/05-jailctl.conf"])
        .ok();
    sshd.restart();
    let token = host.spawn([
        "perl",
        "-MIO::Socket::INET",
        "-e",
        "$s = IO::Socket::INET->new(Listen => 9, LocalAddr => '127.0.0.1:9999', ReuseAddr => 1); print \"up\\n\"; $| = 1; print {$c} \"token\\n\" while $c = $s->accept",
    ]);
    let control = host.plain_user("ursula");
    for (login, is_open) in [
        (&control, true),
        (&harlequin, false),
        (&host.login("selina", &key), false),
    ] {
        let line = login.line(["-N", "-L", "5555:127.0.0.1:9999"], "");
        let words: Vec<&str> = line.iter().map(String::as_str).collect();
        let forward = host.spawn(words);
        let seen = host.sh("for _ in 1 2 3 4 5 6 7 8 9 10; do sleep 0.2; timeout 1 bash -c 'read -r line </dev/tcp/127.0.0.1/5555 && echo $line' 2>/dev/null && break; done; true");
        assert_eq!(
            seen.stdout().contains("token"),
            is_open,
            "{}: {seen:?}",
            login.user
        );
        drop(forward);
    }
    drop(token);
}

#[disposable::test]
fn again_sessions_do_not_become_a_plain_chroot_when_the_module_is_gone() {
    let host = host_with_module();
    let (spec, harlequin) = arkham(&host, &[]);
    let _sshd = host.sshd();
    host.sh("rm $(find /usr/lib -name pam_jailctl.so)").ok();
    let before = look(&host);
    for line in ["update arkham", "build /root/arkham.toml"] {
        let refused = host.sh(&format!("jailctl {line}")).exits(2);
        assert!(
            refused.stderr().contains("pam_jailctl.so` is missing"),
            "{refused:?}"
        );
    }
    assert_eq!(before.diff(&look(&host)), Vec::<String>::new());
    assert_eq!(reach(&host, &harlequin), Reach::Nothing);
    spec.plain().build(&host).ok();
    assert_eq!(reach(&host, &harlequin), Reach::Jail);
}

#[disposable::test]
fn again_a_group_that_is_called_as_those_of_jails_is_seen_at_each_run() {
    let host = host();
    let (spec, _) = arkham(&host, &[]);
    host.sh("groupadd jail-admins; useradd -G jail-admins ursula")
        .ok();
    let refused = spec.build(&host).exits(4);
    let words = "groupmod -n NAME jail-admins";
    assert!(refused.stderr().contains(words), "{refused:?}");
    let check = host.jailctl(["check", "arkham"]).exits(1);
    assert!(check.stdout().contains("jail-admins"), "{check:?}");
}

#[disposable::test]
fn again_a_line_within_the_block_costs_nobody_the_rest_of_the_stack() {
    let host = host();
    let ursula = host.plain_user("ursula");
    arkham(&host, &[]);
    let _sshd = host.sshd();
    host.write(
        "/run/mark",
        "#!/bin/sh\necho \"$PAM_USER\" >>/run/ran\nexit 0\n",
    );
    host.sh("chmod 755 /run/mark; echo 'session optional pam_exec.so quiet /run/mark' >>/etc/pam.d/sshd")
        .ok();
    for has_module in [false, true] {
        if has_module {
            install_module(&host);
            host.jailctl(["update", "arkham"]).ok();
        }
        host.sh("sed -i '0,/pam_limits.so/s//&\\nsession optional pam_umask.so/; /pam_umask/s/ # jailctl//' /etc/pam.d/sshd; : >/run/ran")
            .ok();
        ursula.ssh("true").ok();
        assert!(host.read("/run/ran").contains("ursula"), "{has_module}");
    }
}

#[disposable::test]
fn again_services_that_are_odd_are_left_as_they_are() {
    let host = host();
    let odd = b"# caf\xe9\n";
    let su = host.read("/etc/pam.d/su");
    host.sh("printf '# caf\\351\\n' >>/etc/pam.d/su").ok();
    let spec = Spec::arkham(&host.key("harlequin"), &[]);
    let before = look(&host);
    let refused = spec.build(&host).exits(4);
    assert!(
        refused.stderr().contains("`/etc/pam.d/su`") && refused.stderr().contains("not UTF-8"),
        "{refused:?}"
    );
    assert_eq!(
        before.diff(&look(&host)),
        Vec::<String>::new(),
        "{}",
        odd.len()
    );
    host.write("/etc/pam.d/su", &su);
    host.sh("cd /etc/pam.d; mkdir old; mkfifo pipe; ln -s loop loop; mv su /etc/su.pam; ln -s /etc/su.pam su")
        .ok();
    let before = look(&host);
    spec.build(&host).ok();
    let real = host.read("/etc/su.pam");
    assert!(real.starts_with("# jailctl: begin"), "{real}");
    host.sh("[ -L /etc/pam.d/su ]").ok();
    host.jailctl(["remove", "arkham", "--purge"]).ok();
    assert_eq!(before.diff(&look(&host)), Vec::<String>::new());
}

#[disposable::test]
fn again_no_mask_outlives_its_account() {
    let host = host();
    have_user_managers(&host);
    let (spec, _) = arkham(&host, &[]);
    host.run(["userdel", "harlequin"]).ok();
    host.jailctl(["remove", "arkham", "--purge"]).ok();
    let masks = || {
        host.sh("ls /etc/systemd/system | grep -c '^user@' || true")
            .ok()
            .text()
            .to_owned()
    };
    assert_eq!(masks(), "0");
    spec.build(&host).ok();
    host.sh(
        "userdel harlequin; useradd -M -u $(stat -c %u /srv/jails/arkham/home/harlequin) other",
    )
    .ok();
    host.sh("userdel other; useradd -M other").ok();
    spec.build(&host).ok();
    assert_eq!(masks(), "1");
}

#[disposable::test]
fn again_an_account_whose_id_another_has_is_not_taken_over() {
    let host = host();
    host.sh("useradd -m bob; useradd -o -u $(id -u bob) twin")
        .ok();
    host.write(
        "/root/arkham.toml",
        "name = \"arkham\"\n[[user]]\nname = \"bob\"\nadopt = true\n",
    );
    let refused = host.jailctl(["build", "/root/arkham.toml"]).exits(2);
    assert!(
        refused.stderr().contains("`twin` has its user id"),
        "{refused:?}"
    );
}

#[disposable::test]
fn again_what_jails_share_stays_while_one_of_them_is_recorded() {
    let host = host();
    arkham(&host, &[]);
    let key = host.key("selina");
    Spec::dropbox(&key).build(&host).ok();
    host.sh("mv /etc/ssh/sshd_config.d/05-jailctl.all.conf /root")
        .ok();
    host.jailctl(["remove", "dropbox", "--purge"]).ok();
    let service = host.read("/etc/pam.d/sshd");
    assert!(service.starts_with("# jailctl: begin"), "{service}");
    assert!(host.has("/etc/ssh/sshd_config.d/05-jailctl.conf"));
}
