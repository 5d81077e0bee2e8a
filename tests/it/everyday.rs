//! Common administration mistakes, none of which breaks a jail.

use crate::support::{Reach, Spec, arkham, host, look, reach};

#[disposable::test]
fn a_copied_spec_whose_name_was_forgotten_takes_no_jail() {
    let host = host();
    let (spec, harlequin) = arkham(&host, &[]);
    let _sshd = host.sshd();
    let mut copy = spec.clone();
    copy.users = vec![("bob", vec![host.key("bob").public.trim().to_owned()])];
    host.write("/root/newcust.toml", &copy.text());
    let before = look(&host);
    for verb in ["build", "plan"] {
        let refused = host.jailctl([verb, "/root/newcust.toml"]).exits(2);
        assert!(
            refused
                .stderr()
                .contains("it was built from `/root/arkham.toml`")
                && refused.stderr().contains("--from-here"),
            "{refused:?}"
        );
    }
    assert_eq!(before.diff(&look(&host)), Vec::<String>::new());
    assert_eq!(reach(&host, &harlequin), Reach::Jail);

    // A copy with the same content, a file that was moved and another name for the file are no
    // mistakes.
    host.write("/root/same.toml", &spec.text());
    host.jailctl(["build", "/root/same.toml"]).ok();
    host.run(["ln", "-s", "/root/same.toml", "/root/other.toml"])
        .ok();
    host.jailctl(["build", "/root/other.toml"]).ok();
    host.run(["rm", "/root/other.toml", "/root/same.toml"]).ok();
    host.jailctl(["build", "/root/arkham.toml"]).ok();
    // Meant, it is done.
    host.jailctl(["build", "--from-here", "/root/newcust.toml"])
        .ok();
    host.run(["getent", "passwd", "bob"]).ok();
    assert_eq!(reach(&host, &harlequin), Reach::Nothing);
}

#[disposable::test]
fn a_copied_spec_of_a_family_takes_no_jail_of_it() {
    let host = host();
    let text = |user: &str| {
        format!("name = \"acme\"\nroot = \"/srv/jails/%u\"\n[[user]]\nname = \"{user}\"\n")
    };
    host.write("/root/acme.toml", &text("alice"));
    host.jailctl(["build", "/root/acme.toml"]).ok();
    host.write("/root/copy.toml", &text("bob"));
    let refused = host.jailctl(["build", "/root/copy.toml"]).exits(2);
    assert!(refused.stderr().contains("/root/acme.toml"), "{refused:?}");
    host.run(["getent", "passwd", "alice"]).ok();
}

#[disposable::test]
fn a_root_whose_disk_is_not_mounted_is_not_made_anew() {
    let host = host();
    let key = host.key("harlequin");
    let spec = Spec::arkham(&key, &[]);
    host.sh("mkdir /data /run/disk; mount --bind /run/disk /data; mkdir /data/jails")
        .ok();
    let text = spec.text().replacen(
        "name = \"arkham\"",
        "name = \"arkham\"\nroot = \"/data/jails/arkham\"",
        1,
    );
    host.write("/root/arkham.toml", &text);
    host.jailctl(["build", "/root/arkham.toml"]).ok();
    let _sshd = host.sshd();
    let harlequin = host.login("harlequin", &key);
    harlequin.ssh("echo mine >~/note").ok();
    host.run(["umount", "/data"]).ok();
    let before = look(&host);
    for line in [
        "build /root/arkham.toml",
        "plan /root/arkham.toml",
        "update arkham",
        "update --all",
        "update --dry-run --all",
    ] {
        let refused = host.sh(&format!("jailctl {line}")).exits(4);
        for words in [
            "`/data/jails/arkham` is gone",
            "`/home/harlequin`",
            "mount the disk",
        ] {
            assert!(refused.stderr().contains(words), "{line:?}: {refused:?}");
        }
    }
    assert_eq!(before.diff(&look(&host)), Vec::<String>::new());
    assert_eq!(reach(&host, &harlequin), Reach::Nothing);
    let check = host.jailctl(["check", "arkham"]).exits(1);
    assert!(
        check.stdout().contains("/data/jails/arkham: it is gone"),
        "{check:?}"
    );
    assert_eq!(check.stdout().lines().count(), 2, "{check:?}");

    host.run(["mount", "--bind", "/run/disk", "/data"]).ok();
    host.jailctl(["check", "arkham"]).ok();
    assert_eq!(harlequin.ssh("cat ~/note").ok().text(), "mine");
    host.run(["umount", "/data"]).ok();
    host.jailctl(["update", "--recreate", "arkham"]).ok();
    assert_eq!(harlequin.ssh("ls ~").ok().text(), "");
    host.sh("rm -r /data/jails/arkham/home/harlequin").ok();
    let refused = host.jailctl(["update", "arkham"]).exits(4);
    assert!(
        refused
            .stderr()
            .contains("the homes of all its users are gone"),
        "{refused:?}"
    );
    host.jailctl(["build", "--recreate", "/root/arkham.toml"])
        .ok();
    host.sh("rm -r /data/jails").ok();
    let removed = host.jailctl(["remove", "arkham"]).ok();
    assert!(
        removed.stderr().contains("`/home/harlequin`")
            && removed.stderr().contains("are not in `/data/jails/arkham`")
            && !removed.stderr().contains("is kept"),
        "{removed:?}"
    );
}

/// The root itself is a mount point: without its disk it is an empty directory.
#[disposable::test]
fn an_empty_mount_point_is_not_filled() {
    let host = host();
    let key = host.key("harlequin");
    let spec = Spec::arkham(&key, &[]);
    host.sh("mkdir -p /srv/jails/arkham /run/disk; mount --bind /run/disk /srv/jails/arkham")
        .ok();
    spec.build(&host).ok();
    host.run(["umount", "/srv/jails/arkham"]).ok();
    let refused = host.jailctl(["update", "--all"]).exits(4);
    assert!(refused.stderr().contains("is empty"), "{refused:?}");
    let check = host.jailctl(["check"]).exits(1);
    assert!(check.stdout().contains("it is empty"), "{check:?}");
    assert_eq!(check.stdout().lines().count(), 2, "{check:?}");
    host.jailctl(["build", "--recreate", &spec.path()]).ok();
}

/// Wrong owners and modes of what only root can have changed, and what check says of each.
#[disposable::test]
fn wrong_owners_of_keys_and_homes_are_found_and_repaired() {
    let host = host();
    let _sshd = host.sshd();
    let (spec, harlequin) = arkham(&host, &["chmod"]);
    let keys = "/var/lib/jailctl/arkham/keys";
    let home = "/srv/jails/arkham/home/harlequin";
    for (breaks, says) in [
        (
            format!("chown harlequin {keys}/harlequin"),
            "harlequin: the file belongs to",
        ),
        (
            format!("chmod 666 {keys}/harlequin"),
            "harlequin: the mode of the file is 0666",
        ),
        (
            format!("chown harlequin {keys}"),
            "others than root can change the directory",
        ),
        (
            format!("chmod 700 {keys}"),
            "their user may not pass the directory",
        ),
        (
            format!("chown root {home}"),
            "/home/harlequin: it belongs to 0:",
        ),
        (
            format!("chgrp root {home}"),
            "/home/harlequin: it belongs to",
        ),
        (
            format!("chmod 0 {home}"),
            "/home/harlequin: its mode is 0000",
        ),
    ] {
        host.sh(&breaks).ok();
        let check = host.jailctl(["check"]).exits(1);
        assert!(check.stdout().contains(says), "{breaks}: {check:?}");
        if breaks.contains(home) {
            let doctor = host.jailctl(["doctor", "harlequin"]);
            assert!(doctor.stderr().contains(home), "{breaks}: {doctor:?}");
        }
        spec.build(&host).ok();
        host.jailctl(["check"]).ok();
    }
    // Its user may set any mode by which it can be entered, and a build leaves it.
    harlequin.ssh("chmod 701 ~").ok();
    host.jailctl(["check"]).ok();
    spec.build(&host).ok();
    assert_eq!(host.sh(&format!("stat -c %a {home}")).ok().text(), "701");
}

/// A spec that cannot be built any more hides no other difference.
#[disposable::test]
fn one_finding_of_check_hides_no_other() {
    let host = host();
    let key = host.key("harlequin");
    let mut spec = Spec::arkham(&key, &[]);
    spec.more
        .push_str("[[file]]\ntarget = \"/note\"\nsource = \"/opt/note\"\n");
    host.sh("echo note >/opt/note").ok();
    spec.build(&host).ok();
    host.sh("rm /opt/note; usermod -s /bin/sh harlequin; printf x >>/usr/bin/ls
        chown harlequin /var/lib/jailctl/arkham/keys/harlequin
        echo '#' >>/etc/ssh/sshd_config.d/05-jailctl.all.conf; chmod 4755 /srv/jails/arkham/usr/bin/cat")
        .ok();
    let check = host.jailctl(["check"]).exits(1);
    for says in [
        "`/opt/note`",
        "its shell is `/bin/sh`",
        "`/usr/bin/ls` was changed on the host",
        "the file belongs to",
        "05-jailctl.all.conf: it was changed",
        "/usr/bin/cat: its mode is 4755",
    ] {
        assert!(check.stdout().contains(says), "no {says:?} in {check:?}");
    }
    host.sh("chmod 0777 /srv/jails/arkham").ok();
    let check = host.jailctl(["check"]).exits(1);
    assert!(check.stdout().contains("its shell is"), "{check:?}");
}

#[disposable::test]
fn a_package_that_no_jail_uses_is_named() {
    let host = host();
    arkham(&host, &[]);
    let typo = host
        .jailctl(["update", "--packages", "corutils", "--all"])
        .ok();
    assert!(
        typo.stderr().contains("no package `corutils` is installed"),
        "{typo:?}"
    );
    let unused = host
        .jailctl(["update", "--packages", "mount", "--all"])
        .ok();
    assert!(
        unused.stderr().contains("no jail has a file of `mount`"),
        "{unused:?}"
    );
    assert_eq!(unused.stdout(), "");
    let used = host
        .jailctl(["update", "--packages", "mount,coreutils", "--all"])
        .ok();
    assert_eq!(used.stdout(), "arkham: nothing to do\n");
    assert_eq!(used.stderr(), "");
}

#[disposable::test]
fn processes_that_refuse_a_removal_are_named() {
    let host = host();
    let _sshd = host.sshd();
    let (_, harlequin) = arkham(&host, &["sleep"]);
    let mut running = harlequin.start([], "echo up; exec sleep 100");
    running.hear("up");
    let refused = host.jailctl(["remove", "arkham"]).exits(4);
    assert!(
        refused.stderr().contains("(sleep of harlequin)"),
        "{refused:?}"
    );
}

#[disposable::test]
fn secrets_in_specs_are_not_for_others() {
    let host = host();
    host.jailctl(["init", "--output", "/root/new.toml", "new"])
        .ok();
    assert_eq!(host.sh("stat -c %a /root/new.toml").ok().text(), "600");
    let key = host.key("harlequin");
    let spec = Spec::arkham(&key, &[]);
    let text = spec.text().replacen(
        "name = \"harlequin\"",
        "name = \"harlequin\"\npassword = \"$6$abcdefgh$abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdef\"",
        1,
    );
    host.write("/root/arkham.toml", &text);
    host.sh("chmod 644 /root/arkham.toml").ok();
    for verb in ["plan", "build"] {
        let told = host.jailctl([verb, "/root/arkham.toml"]).ok();
        assert!(
            told.stderr().contains("other users can read it"),
            "{verb}: {told:?}"
        );
        assert!(!told.stderr().contains("$6$"), "{told:?}");
    }
    host.sh("chmod 600 /root/arkham.toml").ok();
    let told = host.jailctl(["build", "/root/arkham.toml"]).ok();
    assert!(!told.stderr().contains("other users"), "{told:?}");
}

#[disposable::test]
fn git_shell_alone_is_a_shell() {
    let host = host();
    let _sshd = host.sshd();
    let key = host.key("harlequin");
    let mut spec = Spec::arkham(&key, &[]);
    spec.binaries = vec!["git", "/usr/bin/git-shell"];
    spec.build(&host).ok();
    let refused = host.login("harlequin", &key).ssh("ls");
    assert!(
        refused.stderr().contains("unrecognized command"),
        "{refused:?}"
    );
}
