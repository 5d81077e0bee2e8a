//! `stats`, `freeze`, `thaw` and `kill` on real sessions, with the freezer of v1 and with the
//! groups of v2.

use disposable::DisposableHost;
use serde_json::Value;

use super::control_groups::Parent;
use super::limits::{limit, limited};
use super::{LOG, compile, harlequin, network};
use crate::support::{Spec, host_with_module};

/// Entry of arkham in `stats --json`.
fn stats(host: &DisposableHost) -> Value {
    let output = host.jailctl(["stats", "--json", "arkham"]).ok();
    let output: Value = serde_json::from_str(output.stdout()).expect("JSON");
    output["jails"][0].clone()
}

/// Whether this host has no hierarchy but that of v2.
const V2_ALONE: &str = "for at in $(awk '$9 == \"cgroup\" || $8 == \"cgroup\" {print $5}' /proc/self/mountinfo); do umount $at; done; \
                        ! grep -q ' - cgroup ' /proc/self/mountinfo";

#[disposable::test]
fn what_is_used_is_shown() {
    let (_parent, host, _) = limited(
        &["sleep", "dd"],
        "memory = \"64M\"\ntasks = 40\ncpu = \"20%\"\nmax_sessions = 3\n",
    );
    let _sshd = host.sshd();
    let empty = stats(&host);
    assert_eq!(
        (&empty["sessions"], &empty["tasks"]),
        (&0.into(), &Value::Null)
    );
    let login = harlequin(&host);
    let mut first = login.start([], "echo up; read -r line");
    first.hear("up");
    let mut second = login.start([], "dd if=/dev/zero of=/tmp/x bs=1M count=20 2>/dev/null; echo up; n=0; while ((n++ < 300000)); do :; done; echo done; read -r line");
    second.hear("done");
    let seen = stats(&host);
    let number = |name: &str| {
        seen[name]
            .as_u64()
            .unwrap_or_else(|| panic!("{name}: {seen}"))
    };
    assert_eq!((number("sessions"), number("tasks")), (2, 6), "{seen}");
    assert!((20 << 20..64 << 20).contains(&number("memory")), "{seen}");
    assert!(number("memory_peak") >= number("memory"), "{seen}");
    assert!(
        number("cpu_us") > 200_000 && number("throttled") > 0,
        "{seen}"
    );
    assert!(number("throttled_us") > 200_000, "{seen}");
    assert_eq!(number("oom_kills"), 0);
    assert_eq!(seen["limits"]["tasks"], 40);
    let table = host.jailctl(["stats"]).ok();
    let row = table.lines()[1];
    assert!(
        row.starts_with("arkham") && row.contains(" 2/3 ") && row.contains(" 6/40 "),
        "{row}"
    );

    let watched = host.sh("jailctl stats --watch 1 --json | head -3").ok();
    assert_eq!(watched.lines().len(), 3);
    second.say("");
    second.finish();
    let mut busy = login.start([], "echo up; while :; do :; done");
    busy.hear("up");
    let watched = host.sh("jailctl stats --watch 1 | head -8").ok();
    let last = watched
        .lines()
        .into_iter()
        .rfind(|line| line.starts_with("arkham"))
        .expect("a row");
    let share = last.split_whitespace().find(|word| word.ends_with("%/20%"));
    let share: u32 = share
        .and_then(|word| word.split('%').next()?.parse().ok())
        .expect(last);
    assert!((12..=28).contains(&share), "{last}");
}

/// Freezes, thaws and kills sessions with the hierarchies of the host; `parent` has the groups.
fn held(parent: &Parent, host: &DisposableHost) {
    let login = harlequin(host);
    let bob = host.plain_user("bob");
    host.jailctl(["freeze", "arkham"]).exits(4);
    assert_eq!(
        host.jailctl(["thaw", "arkham"]).ok().text(),
        "arkham: it has no session"
    );
    assert_eq!(
        host.jailctl(["kill", "arkham"]).ok().text(),
        "arkham: it has no session"
    );

    let ticking = "echo up; while :; do echo tick >>ticks; sleep 0.02; done";
    let mut running = login.start([], ticking);
    running.hear("up");
    let ticks = "stat -c %s /srv/jails/arkham/home/harlequin/ticks";
    let grows = || {
        host.sh(&format!(
            "a=$({ticks}); sleep 0.5; b=$({ticks}); echo $((b > a))"
        ))
        .ok()
        .text()
            == "1"
    };
    host.until(&format!("[ $({ticks}) -gt 10 ]"));
    assert!(grows());
    assert_eq!(
        host.jailctl(["freeze", "arkham"]).ok().text(),
        "arkham: frozen"
    );
    assert!(!grows());
    assert_eq!(stats(host)["frozen"], true);
    assert!(
        host.jailctl(["stats"])
            .ok()
            .stdout()
            .contains("arkham (frozen)")
    );
    // No session of the jail starts while it is frozen; those of others do.
    login.ssh("true").fails();
    bob.ssh("true").ok();
    let log = host.read(LOG);
    assert!(log.contains("the jail `arkham` is frozen"), "{log}");
    assert!(log.contains("jail arkham frozen"), "{log}");
    let doctor = host.jailctl(["doctor", "harlequin"]).exits(1);
    assert!(
        doctor.stdout().contains("the jail is frozen")
            && doctor.stdout().contains("jailctl thaw arkham"),
        "{doctor:?}"
    );
    let entered = host.jailctl(["enter", "arkham", "--", "ls"]).exits(4);
    assert!(
        entered.stderr().contains("jailctl thaw arkham"),
        "{entered:?}"
    );
    host.jailctl(["thaw", "arkham"]).ok();
    assert!(grows());
    login.ssh("true").ok();

    // Frozen processes end too, and a process that keeps forking does not escape.
    for frozen in [false, true] {
        let mut forking = login.start([], "echo up; while :; do (exit) & done");
        forking.hear("up");
        if frozen {
            host.jailctl(["freeze", "arkham"]).ok();
        }
        let said = host.jailctl(["kill", "arkham"]).ok();
        assert!(said.text().ends_with("processes ended"), "{said:?}");
        host.until("! pgrep -u harlequin >/dev/null");
        parent.until_empty();
        bob.ssh("true").ok();
    }
    drop(running);

    let mut running = login.start([], ticking);
    running.hear("up");
    host.jailctl(["freeze", "arkham"]).ok();
    host.jailctl(["remove", "arkham"]).exits(4);
    host.jailctl(["remove", "--kill", "arkham"]).ok();
    assert_eq!(parent.left(), Vec::<std::path::PathBuf>::new());
    assert!(!host.has("/run/jailctl/sessions/arkham"));
}

#[disposable::test]
fn a_jail_is_frozen_thawed_and_ended() {
    let (parent, host, _) = limited(&["sleep"], "tasks = 100\n");
    let _sshd = host.sshd();
    held(&parent, &host);
}

#[disposable::test]
fn freeze_thaw_and_kill_with_cgroup_v2_alone() {
    let (parent, host, mut spec) = limited(&["sleep"], "tasks = 100\n");
    let _sshd = host.sshd();
    host.sh(V2_ALONE).ok();
    // On a machine that has `pids` in v1, v2 does not have it.
    harlequin(&host).ssh("true").fails();
    let path = spec.put(&host);
    let refused = host.jailctl(["build", &path]).exits(2);
    assert!(
        refused.stderr().contains("controller `pids`"),
        "{refused:?}"
    );
    spec.more = spec.more.replace("tasks = 100", "max_sessions = 10");
    spec.build(&host).ok();
    held(&parent, &host);
}

#[disposable::test]
fn a_jail_without_groups_is_told_so_and_can_be_ended() {
    let (host, _) = super::copy(&["sleep"], "");
    let _sshd = host.sshd();
    let refused = host.jailctl(["freeze", "arkham"]).exits(4);
    assert!(
        refused.stderr().contains("give its spec `[limits]`"),
        "{refused:?}"
    );
    let seen = host.jailctl(["stats", "arkham"]).ok();
    assert!(seen.stderr().contains("has no `[limits]`"), "{seen:?}");
    let mut running = harlequin(&host).start([], "echo up; read -r line");
    running.hear("up");
    let said = host.jailctl(["kill", "arkham"]).ok();
    assert!(said.text().contains("ended"), "{said:?}");
    host.until("! pgrep -u harlequin >/dev/null");
}

/// Program that has as many children as its argument, and keeps running with them.
const MANY: &str = r#"
    #include <stdio.h>
    #include <stdlib.h>
    #include <unistd.h>
    int main(int argc, char **argv) {
        for (int n = atoi(argv[1]); n > 0; n--)
            if (fork() == 0) { pause(); _exit(0); }
        puts("up"); fflush(stdout); pause();
    }"#;

#[disposable::test]
fn a_crowd_is_ended_as_one_is() {
    let host = host_with_module();
    compile(&host, "many", MANY);
    let (parent, host, _) = limit(host, &["many"], "max_sessions = 2\n");
    let _sshd = host.sshd();
    let mut running = harlequin(&host).start([], "many 4000");
    running.hear("up");
    host.jailctl(["kill", "arkham"]).ok();
    host.until("! pgrep -u harlequin >/dev/null");
    drop(running);
    parent.until_empty();
}

#[disposable::test]
fn whoever_is_frozen_at_the_door_keeps_no_other_jails_shut() {
    let (host, mut spec) = network::copy("[network]\nmode = \"private\"\n");
    let parent = Parent::make();
    spec.more += &["[limits]\n", &parent.line(), "tasks = 64\n"].concat();
    spec.build(&host).ok();
    let key = host.key("selina");
    let mut elba = Spec::arkham(&key, &[]);
    elba.name = "elba";
    elba.users = vec![("selina", vec![key.public.trim().to_owned()])];
    elba.more += "[network]\nmode = \"private\"\n";
    elba.build(&host).ok();
    let _sshd = host.sshd();
    let selina = host.login("selina", &key);
    let login = harlequin(&host);
    // The first session waits while it loads its rules, under the lock of all networks.
    host.sh("cd /usr/sbin; mv nft nft.real; printf '#!/bin/sh\\nif [ -e /run/slow ]; then rm /run/slow; touch /run/waits; sleep 2; fi; exec /usr/sbin/nft.real \"$@\"\\n' >nft; chmod 755 nft")
        .ok();
    host.sh("touch /run/slow").ok();
    let first = login.start([], "read -r line");
    host.until("[ -e /run/waits ]");
    // A session may be in the network or not: both are fine.
    host.jailctl(["freeze", "arkham"]);
    selina.ssh("true").ok();
    host.jailctl(["thaw", "arkham"]).ok();
    drop(first);
    // Under systemd pid 1 of a session can be stopped with that lock too: none is, since freeze
    // waits for the holder of the lock.
    let mut second = login.start([], "echo in; read -r line");
    second.hear("in");
    let lock = "flock /run/jailctl/net/.lock";
    host.sh(&format!(
        "{lock} bash -c 'touch /run/held; sleep 1; rm /run/held' & until [ -e /run/held ]; do sleep 0.01; done; jailctl freeze arkham && [ ! -e /run/held ]"
    ))
    .ok();
    assert_eq!(stats(&host)["frozen"], true);
    host.jailctl(["thaw", "arkham"]).ok();
    // A process that never releases the lock does not keep a jail from being frozen.
    let mut holder = host.spawn([
        "bash",
        "-c",
        &format!("{lock} bash -c 'echo held; read -r line'"),
    ]);
    holder.hear("held");
    host.jailctl(["freeze", "arkham"]).ok();
    assert_eq!(stats(&host)["frozen"], true);
    holder.finish();
    host.jailctl(["thaw", "arkham"]).ok();
    drop(second);
    host.until("! pgrep -x jailctl-keeper >/dev/null");
    parent.until_empty();
}
