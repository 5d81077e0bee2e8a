//! Nothing of the host's runs or writes for a jailed account: not by sshd's PAM service, not by
//! systemd, not by the name of the home in passwd(5).

use disposable::{DisposableHost, Login};

use crate::support::{Reach, Spec, arkham, have_user_managers, host, install_module, look, reach};

/// An ordinary account with a key, in the group `nomotd`.
fn ordinary(host: &DisposableHost) -> Login<'_> {
    let key = host.key("plain");
    host.sh(
        "groupadd nomotd; useradd -m -s /bin/bash -G nomotd plain; install -d -m 700 -o plain /home/plain/.ssh; \
         install -m 600 -o plain /run/keys/plain.pub /home/plain/.ssh/authorized_keys",
    )
    .ok();
    host.login("plain", &key)
}

/// Lets a line of a PAM stack write its number and the user's name into `/run/ran`.
fn marked(number: u32) -> String {
    format!("session optional pam_exec.so quiet /run/mark {number}\n")
}

/// Puts numbered lines between those of sshd's session stack, and `between` before the numbered
/// line 3. Gives the file's text.
fn mark_stack(host: &DisposableHost, between: &str) -> String {
    host.write(
        "/run/mark",
        "#!/bin/sh\n[ \"$PAM_TYPE\" = open_session ] && echo \"$1 $PAM_USER\" >>/run/ran\nexit 0\n",
    );
    host.sh("chmod 755 /run/mark; touch /run/ran").ok();
    let text = host.read("/etc/pam.d/sshd");
    let text = text.replacen(
        "@include common-session\n",
        &format!(
            "{}@include common-session\n{}{between}{}",
            marked(1),
            marked(2),
            marked(3)
        ),
        1,
    ) + &marked(4);
    host.write("/etc/pam.d/sshd", &text);
    text
}

/// The numbers of the lines that ran for `login` at one login.
fn ran(host: &DisposableHost, login: &Login<'_>) -> String {
    host.write("/run/ran", "");
    login.ssh("true");
    let ran = host.read("/run/ran");
    let mine = ran.lines().filter_map(|line| line.split_once(' '));
    let mine = mine.filter(|(_, user)| *user == login.user);
    mine.map(|(number, _)| number).collect()
}

#[disposable::test]
fn a1_no_session_module_of_the_host_runs_for_a_jailed_account() {
    let host = host();
    mark_stack(&host, "");
    let ordinary = ordinary(&host);
    let (spec, harlequin) = arkham(&host, &[]);
    let _sshd = host.sshd();
    assert_eq!(ran(&host, &ordinary), "1234");
    assert_eq!(ran(&host, &harlequin), "", "a plain chroot, no module");
    assert_eq!(reach(&host, &harlequin), Reach::Jail);
    install_module(&host);
    spec.clone().plain().build(&host).ok();
    assert_eq!(ran(&host, &harlequin), "", "a plain chroot");
    assert_eq!(reach(&host, &harlequin), Reach::Jail);
    spec.build(&host).ok();
    assert_eq!(ran(&host, &harlequin), "", "a session");
    assert_eq!(reach(&host, &harlequin), Reach::Jail);
    assert_eq!(ran(&host, &ordinary), "1234");
}

/// Jumps in the stack of an administrator's, as `hosts.md` has them: each counts lines after it,
/// and none of ours is among those.
#[disposable::test]
fn a1_lines_of_ours_shift_nobodys_jumps() {
    let host = host();
    install_module(&host);
    let ordinary = ordinary(&host);
    let original = host.read("/etc/pam.d/sshd");
    let _sshd = host.sshd();
    let key = host.key("harlequin");
    let harlequin = host.login("harlequin", &key);
    for (between, expected) in [
        (
            "session [success=1 default=ignore] pam_succeed_if.so quiet user ingroup nomotd\n",
            "124",
        ),
        (
            "session [default=1 success=ignore] pam_succeed_if.so quiet user = root\n",
            "124",
        ),
        (
            "session [success=ok default=1] pam_succeed_if.so quiet user = plain\n",
            "1234",
        ),
    ] {
        let text = mark_stack(&host, between);
        assert_eq!(ran(&host, &ordinary), expected, "before: {between}");
        Spec::arkham(&key, &[]).build(&host).ok();
        assert_eq!(ran(&host, &ordinary), expected, "with a jail: {between}");
        assert_eq!(ran(&host, &harlequin), "", "{between}");
        assert_eq!(reach(&host, &harlequin), Reach::Jail, "{between}");
        host.jailctl(["check", "arkham"]).ok();
        host.jailctl(["remove", "arkham", "--purge"]).ok();
        assert_eq!(host.read("/etc/pam.d/sshd"), text, "{between}");
        assert_eq!(ran(&host, &ordinary), expected, "after: {between}");
        host.write("/etc/pam.d/sshd", &original);
    }
}

#[disposable::test]
fn a1_the_user_manager_of_a_jailed_account_is_masked_while_it_is_jailed() {
    let host = host();
    have_user_managers(&host);
    let before = look(&host);
    let (spec, harlequin) = arkham(&host, &[]);
    let uid = host.sh("id -u harlequin").ok().text().to_owned();
    let unit = format!("/etc/systemd/system/user@{uid}.service");
    let masked = format!("[ -f {unit} ] && [ ! -s {unit} ]");
    host.sh(&masked).ok();
    host.run(["rm", &unit]).ok();
    let check = host.jailctl(["check", "arkham"]).exits(1);
    assert!(check.stdout().contains(&unit), "{check:?}");
    host.jailctl(["update", "arkham"]).ok();
    host.sh(&masked).ok();
    let _sshd = host.sshd();
    assert_eq!(reach(&host, &harlequin), Reach::Jail);
    host.jailctl(["remove", "arkham", "--purge"]).ok();
    assert_eq!(before.diff(&look(&host)), Vec::<String>::new());

    // What an administrator has masked stays masked, and a unit that is there is not taken away.
    host.run(["ln", "-s", "/dev/null", &unit]).ok();
    spec.build(&host).ok();
    host.jailctl(["remove", "arkham", "--purge"]).ok();
    assert_eq!(
        host.sh(&format!("readlink {unit}")).ok().text(),
        "/dev/null"
    );
    host.sh(&format!("rm {unit}; echo '[Service]' >{unit}"))
        .ok();
    let refused = spec.build(&host).exits(4);
    assert!(refused.stderr().contains(&unit), "{refused:?}");
}

#[disposable::test]
fn a2_the_home_of_a_jailed_account_is_no_place_of_the_host() {
    let host = host();
    install_module(&host);
    let key = host.key("ann");
    host.sh("useradd -m -s /bin/bash ann; mkdir /home/ann/.config; echo mine >/home/ann/.forward; chown -R ann: /home/ann")
        .ok();
    let before = host.sh("getent passwd ann").ok().text().to_owned();
    let text = |how: &str| {
        format!(
            "name = \"asylum\"\n{how}\n[[user]]\nname = \"ann\"\nadopt = true\nauthorized_keys = [\"{}\"]\n",
            key.public.trim()
        )
    };
    let _sshd = host.sshd();
    let ann = host.login("ann", &key);
    for how in [
        "",
        "binaries = [\"bash\"]\nplain_chroot = true",
        "binaries = [\"bash\"]",
    ] {
        host.write("/root/asylum.toml", &text(how));
        host.jailctl(["build", "/root/asylum.toml"]).ok();
        let home = host
            .sh("getent passwd ann | cut -d: -f6")
            .ok()
            .text()
            .to_owned();
        assert_eq!(home, "/jail/root/home/ann", "{how}");
        assert!(!host.has("/jail"), "{how}");
        let seen = ann.sftp("pwd\n").ok();
        assert!(
            seen.stdout().contains("directory: /home/ann"),
            "{how}: {seen:?}"
        );
        if how.contains("bash") {
            let seen = ann.ssh("echo $HOME; pwd; echo x >~/note").ok();
            assert_eq!(seen.text(), "/home/ann\n/home/ann", "{how}");
            assert!(host.has("/srv/jails/asylum/home/ann/note"), "{how}");
        }
        assert!(!host.has("/home/ann/note"), "{how}");
        host.jailctl(["check", "asylum"]).ok();
    }
    host.jailctl(["remove", "asylum", "--purge"]).ok();
    assert_eq!(host.sh("getent passwd ann").ok().text(), before);
    assert_eq!(host.read("/home/ann/.forward"), "mine\n");
}

/// A module that makes homes (`hosts.md` N) is not called, whichever way the jail is.
#[disposable::test]
fn a1_no_home_is_made_on_the_host_at_a_login() {
    let host = host();
    host.sh("echo 'session optional pam_mkhomedir.so' >>/etc/pam.d/common-session")
        .ok();
    let (_, harlequin) = arkham(&host, &[]);
    let _sshd = host.sshd();
    assert_eq!(reach(&host, &harlequin), Reach::Jail);
    assert!(!host.has("/home/harlequin") && !host.has("/jail"));
}

/// The host's other services refuse jailed accounts before any module of theirs runs, and no other
/// accounts.
#[disposable::test]
fn a2_no_service_of_the_host_runs_anything_as_a_jailed_account() {
    let host = host();
    host.write(
        "/run/mark",
        "#!/bin/sh\n[ \"$PAM_TYPE\" = open_session ] && echo \"$PAM_SERVICE $PAM_USER\" >>/run/ran\nexit 0\n",
    );
    host.sh("chmod 755 /run/mark").ok();
    // As a stock Debian has them: jobs, shells, and systemd's manager of a user.
    for name in ["cron", "atd", "systemd-user"] {
        host.write(
            &format!("/etc/pam.d/{name}"),
            "@include common-auth\n@include common-account\n@include common-session-noninteractive\n",
        );
    }
    for name in ["common-session", "common-session-noninteractive"] {
        let path = format!("/etc/pam.d/{name}");
        let text = host.read(&path) + "session optional pam_exec.so quiet /run/mark\n";
        host.write(&path, &text);
    }
    let ordinary = ordinary(&host);
    let before = look(&host);
    let (_, harlequin) = arkham(&host, &[]);
    host.write("/root/serve.c", include_str!("serve.c"));
    host.sh("gcc -O1 -o /usr/local/bin/serve /root/serve.c -l:libpam.so.0")
        .ok();
    for service in ["su", "su-l", "login", "cron", "atd", "systemd-user"] {
        for login in [&ordinary, &harlequin] {
            host.write("/run/ran", "");
            let is_let_in = host
                .run(["/usr/local/bin/serve", service, &login.user])
                .success();
            let ran = host.read("/run/ran");
            assert_eq!(is_let_in, login.user == "plain", "{service} {}", login.user);
            assert_eq!(ran.contains(&login.user), is_let_in, "{service}: {ran}");
        }
        let text = host.read(&format!("/etc/pam.d/{service}"));
        assert!(text.starts_with("# jailctl: begin"), "{service}: {text}");
    }
    host.run(["rm", "/etc/pam.d/cron"]).ok();
    host.write("/etc/pam.d/cron", "@include common-account\n");
    let check = host.jailctl(["check", "arkham"]).exits(1);
    assert!(check.stdout().contains("/etc/pam.d/cron"), "{check:?}");
    host.jailctl(["update", "arkham"]).ok();
    host.write(
        "/etc/pam.d/cron",
        "@include common-auth\n@include common-account\n@include common-session-noninteractive\n",
    );
    host.jailctl(["remove", "arkham", "--purge"]).ok();
    assert_eq!(before.diff(&look(&host)), Vec::<String>::new());
}
