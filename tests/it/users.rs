//! Users of a jail: their files, and the state after they leave it.

use crate::support::{Reach, Spec, arkham, host, reach};

#[disposable::test]
fn users_of_one_jail_do_not_read_one_another() {
    let host = host();
    host.sshd();
    let (one, other) = (host.key("one"), host.key("other"));
    let mut spec = Spec::arkham(&one, &[]);
    spec.users
        .push(("joker", vec![other.public.trim().to_owned()]));
    spec.build(&host).ok();
    let (harlequin, joker) = (host.login("harlequin", &one), host.login("joker", &other));
    harlequin.ssh("umask 000; echo mine >~/diary").ok();
    joker.ssh("cat /home/harlequin/diary").fails();
    assert_eq!(
        joker
            .ssh("ls -ld /home/harlequin")
            .ok()
            .text()
            .split(' ')
            .nth(2),
        Some("harlequin")
    );
    assert_eq!(harlequin.ssh("cat ~/diary").ok().text(), "mine");
    assert_eq!(
        reach(&host, &host.login("joker", &one)),
        Reach::Nothing,
        "another's key"
    );
}

#[disposable::test]
fn a_dropped_user_is_out_and_the_id_reserved() {
    let host = host();
    host.sshd();
    let key = host.key("key");
    let mut spec = Spec::arkham(&key, &[]);
    spec.users
        .push(("joker", vec![key.public.trim().to_owned()]));
    spec.build(&host).ok();
    let joker = host.login("joker", &key);
    joker.ssh("echo a joke >~/note").ok();
    host.until("! pgrep -u joker");
    let number = host.sh("id -u joker").ok().text().to_owned();
    spec.users.pop();
    spec.users
        .push(("penguin", vec![key.public.trim().to_owned()]));
    spec.build(&host).ok();
    assert_eq!(reach(&host, &joker), Reach::Nothing);
    host.sh("id joker").fails();
    assert_ne!(host.sh("id -u penguin").ok().text(), number);
    let penguin = host.login("penguin", &key);
    penguin.ssh("cat /home/joker/note").fails();
    spec.users
        .push(("joker", vec![key.public.trim().to_owned()]));
    spec.build(&host).ok();
    assert_eq!(host.sh("id -u joker").ok().text(), number);
    assert_eq!(joker.ssh("cat ~/note").ok().text(), "a joke");
}

#[disposable::test]
fn an_expiry_that_the_admin_set_stays() {
    let host = host();
    let (spec, _) = arkham(&host, &[]);
    host.run(["usermod", "--expiredate", "2999-12-31", "harlequin"])
        .ok();
    let again = spec.build(&host).ok();
    assert!(again.stdout().contains("nothing to do"), "{again:?}");
}

#[disposable::test]
fn a_password_opens_the_account_and_shows_nowhere() {
    let host = host();
    host.sshd();
    let key = host.key("key");
    let spec = Spec::arkham(&key, &[]);
    let hash = "$6$saltsalt$qFmFH.bQmmtXzyBY0s9v7Oicd2z4XSIecDzlB5KiA2/jctKu9YterLp8wwnSq.qc.eoxqOmSuNp2xS0ktL3nh/";
    let path = "/root/arkham.toml";
    host.write(
        path,
        &spec.text().replace(
            "\nauthorized_keys",
            &format!("\npassword = {hash:?}\nauthorized_keys"),
        ),
    );
    let mut said = String::new();
    for verb in [
        &["plan", path][..],
        &["plan", "--json", path],
        &["build", "-v", path],
        &["list", "--json"],
    ] {
        let mut command = vec!["jailctl"];
        command.extend(verb);
        let output = host.run(command).ok();
        said.push_str(output.stdout());
        said.push_str(output.stderr());
    }
    assert!(!said.contains("saltsalt"), "{said}");
    assert!(
        !host
            .read("/var/lib/jailctl/arkham/manifest.json")
            .contains("saltsalt")
    );
    assert!(
        host.sh("getent shadow harlequin")
            .ok()
            .stdout()
            .contains(hash)
    );
    assert!(
        host.jailctl(["build", path])
            .ok()
            .stdout()
            .contains("nothing to do")
    );
    host.write("/root/askpass", "#!/bin/sh\necho password\n");
    let login = host.sh(
        "chmod 755 /root/askpass; SSH_ASKPASS=/root/askpass SSH_ASKPASS_REQUIRE=force setsid ssh -o StrictHostKeyChecking=no \
         -o UserKnownHostsFile=/dev/null -o PreferredAuthentications=password harlequin@127.0.0.1 'ls /welcome' </dev/null",
    );
    assert!(login.stdout().contains("/welcome"), "{login:?}");
}

#[disposable::test]
fn a_skeleton_is_copied_once_and_belongs_to_the_user() {
    let host = host();
    host.sshd();
    let key = host.key("key");
    let mut spec = Spec::arkham(&key, &["stat"]);
    host.sh("mkdir -p /root/skel/.config; echo hello >/root/skel/.config/greeting; chmod 600 /root/skel/.config/greeting").ok();
    host.sh("mkdir /root/linked; ln -s /etc/shadow /root/linked/key")
        .ok();
    let with = |spec: &Spec, skel: &str| {
        spec.text().replace(
            "\nauthorized_keys",
            &format!("\nskel = {skel:?}\nauthorized_keys"),
        )
    };
    host.write(&spec.path(), &with(&spec, "/root/linked"));
    let refused = host.jailctl(["build", &spec.path()]).exits(2);
    assert!(refused.stderr().contains("/root/linked/key"), "{refused:?}");
    // What is in it becomes the user's own, so that it may hold no secret.
    host.write(&spec.path(), &with(&spec, "/root/skel"));
    let refused = host.jailctl(["build", &spec.path()]).exits(2);
    assert!(
        refused
            .stderr()
            .contains("not all users may read it (mode 0600)"),
        "{refused:?}"
    );
    host.sh("chmod 604 /root/skel/.config/greeting").ok();
    host.jailctl(["build", &spec.path()]).ok();
    let harlequin = host.login("harlequin", &key);
    assert_eq!(
        harlequin
            .ssh("cat ~/.config/greeting; stat -c '%U %a' ~/.config/greeting ~/.config")
            .ok()
            .stdout(),
        "hello\nharlequin 604\nharlequin 755\n"
    );
    harlequin.ssh("echo changed >~/.config/greeting").ok();
    spec.binaries.push("id");
    host.write(&spec.path(), &with(&spec, "/root/skel"));
    host.jailctl(["build", &spec.path()]).ok();
    assert_eq!(
        harlequin.ssh("cat ~/.config/greeting").ok().text(),
        "changed"
    );
}

#[disposable::test]
fn an_account_that_was_moved_to_another_group_is_brought_back() {
    let host = host();
    host.sshd();
    let (spec, harlequin) = arkham(&host, &[]);
    host.run(["usermod", "--gid", "users", "harlequin"]).ok();
    assert_eq!(reach(&host, &harlequin), Reach::Nothing);
    spec.build(&host).ok();
    assert_eq!(reach(&host, &harlequin), Reach::Jail);
}

#[disposable::test]
fn a_shell_that_was_changed_is_mended() {
    let host = host();
    host.sshd();
    let (spec, harlequin) = arkham(&host, &[]);
    host.run(["usermod", "--shell", "/bin/bash", "harlequin"])
        .ok();
    spec.build(&host).ok();
    host.sh("getent passwd harlequin | grep -q ':/jail/bin/bash$'")
        .ok();
    assert_eq!(reach(&host, &harlequin), Reach::Jail);
}

#[disposable::test]
fn without_users_no_group_and_no_sshd_query() {
    let host = host();
    let key = host.key("key");
    let mut spec = Spec::arkham(&key, &[]);
    let people = std::mem::take(&mut spec.users);
    let looked = ["/etc/passwd", "/etc/group", "/etc/shadow", "/etc/ssh"];
    let before = host.snapshot(looked);
    host.sh("mv /usr/sbin/sshd /usr/sbin/sshd.away").ok();
    spec.build(&host).ok();
    host.jailctl(["check", "arkham"]).ok();
    let again = spec.build(&host).ok();
    assert_eq!(again.text(), "arkham: nothing to do");
    let shown = host.jailctl(["show", "arkham"]).ok();
    assert!(shown.text().contains("none (no users)"), "{shown:?}");
    let refused = host.jailctl(["enter", "arkham"]).exits(2);
    assert!(refused.stderr().contains("it has no user"), "{refused:?}");
    host.sh("mv /usr/sbin/sshd.away /usr/sbin/sshd").ok();
    assert_eq!(before.diff(&host.snapshot(looked)), Vec::<String>::new());

    host.sshd();
    // The first user brings both, and they stay for the files left behind.
    spec.users = people;
    spec.build(&host).ok();
    let harlequin = host.login("harlequin", &key);
    assert_eq!(reach(&host, &harlequin), Reach::Jail);
    spec.users.clear();
    spec.build(&host).ok();
    assert_eq!(reach(&host, &harlequin), Reach::Nothing);
    host.sh("getent group jail-arkham").ok();
    host.jailctl(["check", "arkham"]).ok();
    host.jailctl(["rollback", "arkham"]).ok();
    assert_eq!(reach(&host, &harlequin), Reach::Jail);
    host.jailctl(["check", "arkham"]).ok();
    host.jailctl(["remove", "arkham", "--purge"]).ok();
    assert_eq!(before.diff(&host.snapshot(looked)), Vec::<String>::new());
}
