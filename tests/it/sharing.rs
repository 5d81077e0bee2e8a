//! Directories that users of a jail share, and owners that are not those of the spec.

use crate::support::host;

#[disposable::test]
fn users_share_a_directory_and_its_owner_is_mended() {
    let host = host();
    host.sshd();
    let keys = ["ana", "ben"].map(|name| host.key(name));
    let spec = |more: &str| {
        format!(
            "name = 'team'\n[[user]]\nname = 'ana'\nauthorized_keys = [{:?}]\n\
             [[user]]\nname = 'ben'\nauthorized_keys = [{:?}]\n\
             [[dir]]\npath = '/shared'\ngroup = 'jail-team'\n{more}\
             [[dir]]\npath = '/own'\nowner = 'ana'\n\
             [sshd]\nallow = ['sftp', 'rsync']\nstart_dir = '/shared'\numask = '0002'\n",
            keys[0].public.trim(),
            keys[1].public.trim()
        )
    };
    host.write("/root/team.toml", &spec(""));
    host.jailctl(["build", "/root/team.toml"]).ok();
    host.sh("echo text >/root/file; chmod 664 /root/file").ok();
    let (ana, ben) = (host.login("ana", &keys[0]), host.login("ben", &keys[1]));
    ana.sftp("put /root/file one\n").ok();
    ben.rsync("/root/file", ":/shared/two").ok();
    let look = "cd /srv/jails/team; stat -c '%a %U %G' shared shared/one shared/two";
    assert_eq!(
        host.sh(look).ok().lines(),
        [
            "2775 root jail-team",
            "664 ana jail-team",
            "664 ben jail-team"
        ]
    );
    // Each changes and deletes what the other made.
    ben.sftp("put /root/file one\nrm one\n").ok();
    ana.sftp("put /root/file two\nrm two\n").ok();
    host.jailctl(["check", "team"]).ok();

    // Owners that a restore or a `chown -R` leaves are found, and repaired for the directory alone.
    for spoil in [
        "chown root:root shared own home/ana",
        "chmod 0755 shared; chmod 0000 own; chown ben home/ana",
    ] {
        host.sh(&format!("cd /srv/jails/team; touch own/file; {spoil}"))
            .ok();
        let found = host.jailctl(["check", "team"]).exits(1);
        for path in ["/shared", "/own", "/home/ana"] {
            assert!(found.stdout().contains(path), "{path}: {found:?}");
        }
        host.jailctl(["build", "/root/team.toml"]).ok();
        host.jailctl(["check", "team"]).ok();
        let look = "cd /srv/jails/team; stat -c '%a %U %G' shared own home/ana";
        assert_eq!(
            host.sh(look).ok().lines(),
            [
                "2775 root jail-team",
                "755 ana jail-team",
                "700 ana jail-team"
            ]
        );
    }
    // A user's own mode is left alone.
    host.sh("chmod 0755 /srv/jails/team/home/ana").ok();
    host.jailctl(["check", "team"]).ok();

    host.write("/root/team.toml", &spec("mode = '2770'\n"));
    host.jailctl(["build", "/root/team.toml"]).ok();
    assert_eq!(
        host.sh("stat -c %a /srv/jails/team/shared").ok().text(),
        "2770"
    );
    host.jailctl(["remove", "--purge", "team"]).ok();
    assert!(!host.has("/srv/jails/team"));
}
