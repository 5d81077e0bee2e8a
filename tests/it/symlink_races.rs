//! Races: a user exchanges directories for links, from a held descriptor and a working directory,
//! while root builds and removes. No file outside changes its owner.

use disposable::{DisposableHost, Snapshot};

use crate::support::{arkham, host};

/// What nothing may touch: files and directories of several owners and modes, next to the jails and
/// on root's own ground.
fn canary(host: &DisposableHost) {
    host.sh(r"
        for place in /srv/canary /root/canary; do
            mkdir -p $place/bait/inner/deep $place/private
            for i in $(seq 20); do echo gold $i >$place/bait/$i; echo more $i >$place/bait/inner/deep/$i; done
            echo secret >$place/private/ring; chmod 600 $place/private/ring; chmod 700 $place/private
            chown -R daemon:games $place/bait/inner; chmod 4755 $place/bait/1; chmod 2775 $place/bait/inner
            ln $place/private/ring $place/bait/hard; ln -s /etc/passwd $place/bait/soft
        done")
        .ok();
}

/// Whether a line is one of a canary's.
fn is_gold(line: &str) -> bool {
    line.starts_with("gold ") || line.starts_with("more ") || line == "secret"
}

fn look(host: &DisposableHost) -> Snapshot {
    host.snapshot(["/srv/canary", "/root/canary"])
}

/// Fills a home with everything that has led tools of root's astray.
fn trap(host: &DisposableHost, home: &str) {
    host.sh(&format!(
        r#"
        cd {home}
        mkdir -p bait/inner open/inner
        for i in $(seq 20); do echo bait >bait/$i; echo bait >open/inner/$i; done
        ln -s /srv/canary/bait hook
        ln -s /root/canary/bait open/link
        ln -s ../../../../../../../../srv/canary up
        ln -s /proc/self/root/srv/canary magic
        mkfifo pipe
        perl -e 'for (1..1500) {{ mkdir "deep" or die $!; chdir "deep" or die $! }}'
        chown -hR harlequin: .
        "#
    ))
    .ok();
}

#[disposable::test]
fn a_directory_exchanged_for_a_link_leads_nowhere() {
    let host = host();
    canary(&host);
    let (mut spec, _) = arkham(&host, &[]);
    let home = format!("{}/home/harlequin", spec.root());
    trap(&host, &home);
    host.write("/run/symlink_swapper.c", include_str!("symlink_swapper.c"));
    host.sh("gcc -O2 -o /run/exchanger /run/symlink_swapper.c")
        .ok();
    let before = look(&host);
    let start = format!(
        "cd {home}; exec setpriv --reuid harlequin --regid jail-arkham --clear-groups /run/exchanger"
    );
    let mut user = host.spawn(["bash", "-c", &start]);
    user.hear("exchanging");
    let mut baits = 0;
    for round in 0..50 {
        // A program comes and goes, so that the tree is exchanged each time; and the user's place
        // gets its owner again.
        spec.binaries.truncate(3);
        if round % 2 == 0 {
            spec.binaries.push("true");
        }
        // A session that begins at this moment reads every file that it reaches.
        let read = "cat bait/* bait/inner/* bait/inner/deep/* open/inner/*; echo over";
        let mut inside = host.spawn(["jailctl", "enter", "arkham", "--", "bash", "-c", read]);
        spec.build(&host).ok();
        let heard = inside.hear("over");
        assert!(!heard.iter().any(|line| is_gold(line)), "{heard:?}");
        baits += heard.iter().filter(|line| *line == "bait").count();
        assert_eq!(inside.finish(), 0);
        match round % 10 {
            4 => {
                host.sh("printf x >>/usr/bin/cat").ok();
                host.jailctl(["update", "arkham"]).ok();
            }
            9 => drop(host.jailctl(["rollback", "arkham"]).ok()),
            _ => {}
        }
    }
    assert_ne!(baits, 0, "what was laid out was read");
    assert_eq!(before.diff(&look(&host)), Vec::<String>::new());
    // Nor has anything of it come to where the user can read it.
    let gold = |place: &str| {
        // What vanishes while it is looked at is an error of grep's, and none here.
        let search = format!("grep -rlsEx 'gold [0-9]+|more [0-9]+' {place} || :");
        host.sh(&search).ok().text().to_owned()
    };
    assert_ne!(gold("/srv/canary"), "", "the control");
    assert_eq!(gold(&spec.root()), "");
    assert!(user.alive(), "it exchanged to the end");
    // A removal may fail because of the changes; it deletes nothing but the jail.
    host.jailctl(["remove", "arkham", "--purge", "--kill"]);
    assert_eq!(before.diff(&look(&host)), Vec::<String>::new());
    drop(user);
    if host.has(&spec.root()) {
        host.jailctl(["remove", "arkham", "--purge"]).ok();
    }
    assert!(!host.has(&spec.root()));
    assert_eq!(before.diff(&look(&host)), Vec::<String>::new());
}

#[disposable::test]
fn a_mount_in_a_home_is_neither_read_nor_emptied() {
    let host = host();
    canary(&host);
    let (mut spec, _) = arkham(&host, &[]);
    let home = format!("{}/home/harlequin", spec.root());
    host.sh(&format!(
        "mkdir {home}/mnt; mount --bind /srv/canary {home}/mnt"
    ))
    .ok();
    let before = look(&host);
    spec.binaries.push("true");
    spec.build(&host).ok();
    assert_eq!(before.diff(&look(&host)), Vec::<String>::new());
    let refused = host.jailctl(["remove", "arkham", "--purge"]).exits(4);
    assert!(refused.stderr().contains("/mnt"), "{refused:?}");
    assert_eq!(before.diff(&look(&host)), Vec::<String>::new());
    host.sh(&format!("umount {home}/mnt")).ok();
    host.jailctl(["remove", "arkham", "--purge"]).ok();
    assert!(!host.has(&spec.root()));
    assert_eq!(before.diff(&look(&host)), Vec::<String>::new());
}
