//! `rollback`: the jail as before its last changing build, whatever the host has by now.

use crate::support::{Spec, arkham, host};

#[disposable::test]
fn a_build_is_taken_back_and_that_too() {
    let host = host();
    host.sshd();
    let (spec, harlequin) = arkham(&host, &[]);
    let none = host.jailctl(["rollback", "arkham"]).exits(4);
    assert!(
        none.stderr().contains("there is no previous build"),
        "{none:?}"
    );
    let key = host.key("joker");
    let mut new = spec.clone();
    new.binaries.push("id");
    new.users
        .push(("joker", vec![key.public.trim().to_owned()]));
    new.more = new.more.replace("Welcome to", "Forget");
    new.build(&host).ok();
    let joker = host.login("joker", &key);
    assert_eq!(
        joker.ssh("id -un; cat /welcome").ok().text(),
        "joker\nForget Arkham."
    );
    joker.ssh("echo mine >~/letter").ok();

    host.jailctl(["rollback", "arkham"]).ok();
    joker.ssh("true").fails();
    harlequin.ssh("id").fails();
    assert_eq!(
        harlequin.ssh("cat /welcome").ok().text(),
        "Welcome to Arkham."
    );
    assert_eq!(
        host.jailctl(["check", "arkham"]).ok().stdout(),
        "arkham: unchanged\n"
    );
    assert_eq!(host.read("/srv/jails/arkham/home/joker/letter"), "mine\n");

    host.jailctl(["rollback", "arkham"]).ok();
    assert_eq!(
        joker.ssh("id -un; cat /welcome ~/letter").ok().text(),
        "joker\nForget Arkham.\nmine"
    );
    host.jailctl(["plan", "--exit-code", &new.path()]).ok();
}

#[disposable::test]
fn files_that_the_host_no_longer_has_come_back() {
    let host = host();
    host.sshd();
    host.sh(
        "printf '#!/bin/bash\\necho one\\n' >/usr/local/bin/tool; chmod 755 /usr/local/bin/tool",
    )
    .ok();
    let (_, harlequin) = arkham(&host, &["tool"]);
    assert_eq!(harlequin.ssh("tool").ok().text(), "one");
    host.sh("printf '#!/bin/bash\\necho two\\n' >/usr/local/bin/tool")
        .ok();
    host.jailctl(["update", "arkham"]).ok();
    assert_eq!(harlequin.ssh("tool").ok().text(), "two");
    host.sh("rm /usr/local/bin/tool").ok();
    host.jailctl(["rollback", "arkham"]).ok();
    assert_eq!(harlequin.ssh("tool").ok().text(), "one");
    // Of what the host has moved on from, check speaks.
    host.jailctl(["check", "arkham"]).exits(1);
}

#[disposable::test]
fn a_build_that_fails_takes_nothing_from_rollback() {
    let host = host();
    host.sshd();
    let tool = |says: &str| {
        let write = format!("printf '#!/bin/bash\\necho {says}\\n' >/usr/local/bin/tool");
        host.sh(&format!("{write}; chmod 755 /usr/local/bin/tool"))
            .ok();
    };
    // On a file system of its own: no store has the files too.
    host.sh("mkdir -p /srv/jails/arkham; mount -t tmpfs -o mode=755 own /srv/jails/arkham")
        .ok();
    tool("one");
    let (mut spec, harlequin) = arkham(&host, &["tool"]);
    tool("two");
    host.jailctl(["update", "arkham"]).ok();
    tool("three");
    // The second jail of this build fails when all of the first is done but what cannot be undone.
    let mut elba = spec.clone();
    elba.name = "elba";
    elba.users = vec![("napoleon", vec![])];
    elba.more += "\n[[test]]\nrun = [\"ls\", \"/nowhere\"]\n";
    spec.binaries.push("id");
    let failed = host.jailctl(["build", &spec.put(&host), &elba.put(&host)]);
    let failed = failed.fails();
    assert!(failed.stderr().contains("/nowhere"), "{failed:?}");
    assert_eq!(harlequin.ssh("tool").ok().text(), "two");
    host.jailctl(["rollback", "arkham"]).ok();
    assert_eq!(harlequin.ssh("tool").ok().text(), "one");
}

#[disposable::test]
fn a_rollback_killed_anywhere_leaves_the_old_or_the_new() {
    let host = host();
    host.sshd();
    let (mut spec, harlequin) = arkham(&host, &[]);
    spec.binaries.push("id");
    spec.build(&host).ok();
    for call in ["renameat2", "fsync,fdatasync,syncfs"] {
        for n in 1..200 {
            let output = host.kill_at(call, n, &["jailctl", "rollback", "arkham"]);
            assert_eq!(
                harlequin.ssh("cat /welcome").ok().text(),
                "Welcome to Arkham.",
                "{call} {n}"
            );
            if output.code() != 137 {
                output.ok();
                break;
            }
            let told = host.jailctl(["list"]);
            assert!(told.code() <= 1, "{told:?}");
            Spec::build(&spec, &host).ok();
            harlequin.ssh("id").ok();
            host.jailctl(["check"]).ok();
        }
    }
}
