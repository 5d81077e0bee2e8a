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
    host.jailctl(["build", "--recreate", "/root/arkham.toml"])
        .ok();
    assert_eq!(harlequin.ssh("ls ~").ok().text(), "");
}
