//! Interrupted runs: the next command that writes undoes or finishes them and reports it; commands
//! that only read report it and change nothing.

use disposable::DisposableHost;

use crate::support::{Reach, Spec, arkham, host, host_with_module, look, reach};

const JOURNAL: &str = "/var/lib/jailctl/.journal";

/// Kills a command at its first call of this kind after which the journal contains `text`. The next
/// try repairs what earlier tries left.
fn leave_a_journal(host: &DisposableHost, call: &str, text: &str, command: &[&str]) {
    for n in 1..100 {
        let output = host.kill_at(call, n, command);
        assert_eq!(output.code(), 137, "{output:?}");
        if host.has(JOURNAL) && host.read(JOURNAL).contains(text) {
            return;
        }
    }
    panic!("{call}: no journal was left");
}

/// Runs that fail or are undone are in the log, one line each, with the jail and the reason.
#[disposable::test]
fn runs_that_fail_are_lines_of_the_system_log() {
    let host = host_with_module();
    let (spec, _) = arkham(&host, &["id"]);
    let logs = |expected: [&str; 2]| {
        host.until("grep -q jailctl /run/syslog");
        let text = host.read("/run/syslog");
        let lines: Vec<&str> = text
            .lines()
            .filter(|line| line.contains("jailctl["))
            .collect();
        let is_expected = |line: &&str| expected.iter().all(|part| line.contains(part));
        assert_eq!(lines.len(), 1, "{lines:?}");
        assert!(lines.iter().all(is_expected), "{expected:?} in {lines:?}");
        host.write("/run/syslog", "");
    };
    host.write("/run/syslog", "");
    let mut tested = spec.clone();
    // The tests run in a tree that changes.
    tested.binaries.push("true");
    tested
        .more
        .push_str("[[test]]\nrun = [\"bash\", \"-c\", \"exit 7\"]\n");
    assert!(!tested.build(&host).success());
    logs(["build of arkham failed: ", "7"]);
    host.write("/root/bad.toml", "name = \"bad\"\nbinarie = []\n");
    host.jailctl(["build", "/root/bad.toml"]).exits(2);
    logs(["build of /root/bad.toml failed: ", "binarie"]);
    host.sh("mv $(command -v id) /root/id").ok();
    assert!(!host.jailctl(["update", "--all"]).success());
    logs(["update of arkham failed: ", "id"]);

    let mut more = spec.clone();
    more.binaries = vec!["bash", "ls", "cat", "true"];
    let path = more.put(&host);
    leave_a_journal(&host, "renameat2", "Undo", &["jailctl", "build", &path]);
    host.write("/run/syslog", "");
    host.sh("jailctl update --all || true").ok();
    let text = host.read("/run/syslog");
    assert!(
        text.contains("the build of arkham was interrupted; it is undone now"),
        "{text}"
    );
}

#[disposable::test]
fn reading_verbs_report_an_interrupted_run() {
    let host = host();
    let (mut spec, harlequin) = arkham(&host, &[]);
    host.sshd();
    spec.binaries.push("id");
    let path = spec.put(&host);
    leave_a_journal(&host, "renameat2", "Undo", &["jailctl", "build", &path]);
    let before = look(&host);
    for verb in [
        vec!["list"],
        vec!["plan", &path],
        vec!["check"],
        vec!["show", "arkham"],
    ] {
        let mut command = vec!["jailctl"];
        command.extend(&verb);
        let told = host.run(command).exits(1);
        assert!(
            told.stderr()
                .contains("an earlier run of jailctl was interrupted"),
            "{told:?}"
        );
    }
    assert_eq!(before.diff(&look(&host)), Vec::<String>::new());

    // Any command that writes puts it right first, whatever it is about.
    let key = host.key("selina");
    let other = Spec::dropbox(&key).build(&host).ok();
    assert!(
        other
            .stderr()
            .contains("the build of arkham was interrupted; it is undone now"),
        "{other:?}"
    );
    assert!(!host.has(JOURNAL));
    harlequin.ssh("id").fails();
    assert_eq!(
        harlequin.ssh("cat /welcome").ok().text(),
        "Welcome to Arkham."
    );
    host.jailctl(["list"]).ok();
}

#[disposable::test]
fn a_removal_that_died_is_finished_by_whoever_writes_next() {
    let host = host();
    let key = host.key("selina");
    let dropbox = Spec::dropbox(&key);
    dropbox.put(&host);
    let before = look(&host);
    let (_, harlequin) = arkham(&host, &[]);
    host.sshd();
    leave_a_journal(
        &host,
        "unlinkat",
        "Commit",
        &["jailctl", "remove", "--purge", "arkham"],
    );
    assert!(reach(&host, &harlequin) <= Reach::Jail);
    host.sh("rm /root/arkham.toml").ok();
    let told = dropbox.build(&host).ok();
    assert!(
        told.stderr()
            .contains("the removal of arkham was interrupted; it is finished now"),
        "{told:?}"
    );
    assert_eq!(reach(&host, &harlequin), Reach::Nothing);
    host.jailctl(["remove", "--purge", "dropbox"]).ok();
    assert_eq!(before.diff(&look(&host)), Vec::<String>::new());
}

#[disposable::test]
fn a_newer_or_damaged_journal_stops_writing_verbs() {
    let host = host();
    let (spec, harlequin) = arkham(&host, &[]);
    host.sshd();
    for (text, says) in [
        (
            "{\"Begin\":{\"format\":2,\"what\":\"build of arkham\"}}\n",
            "its format is 2",
        ),
        (
            "{\"Begin\":{\"format\":1,\"what\":\"build of arkham\"}}\n{\"Undo\":{\"Nonsense\":1}}\n",
            "line 2",
        ),
        ("not a journal\n", "line 1"),
    ] {
        host.write(JOURNAL, text);
        let before = look(&host);
        let refused = spec.build(&host).exits(4);
        assert!(
            refused.stderr().contains(says) && refused.stderr().contains(JOURNAL),
            "{refused:?}"
        );
        assert_eq!(before.diff(&look(&host)), Vec::<String>::new());
        harlequin.ssh("true").ok();
    }
    // What was not whole on the disk was never acted upon.
    for text in [
        "",
        "{\"Begin\":{\"for",
        "{\"Begin\":{\"format\":1,\"what\":\"build of arkham\"}}\n{\"Undo\":{\"Exp",
    ] {
        host.write(JOURNAL, text);
        spec.build(&host).ok();
        assert!(!host.has(JOURNAL), "{text}");
    }
}

#[disposable::test]
fn undo_keeps_a_home_with_files() {
    let host = host();
    host.sshd();
    let key = host.key("harlequin");
    let spec = Spec::arkham(&key, &[]);
    // The last thing that a build does for an account is to open it; here that fails for the second
    // of two, when the first is open.
    let mut two = spec.clone();
    two.users
        .push(("joker", vec![key.public.trim().to_owned()]));
    host.sh(r#"
        mv /usr/sbin/usermod /usr/sbin/usermod.real
        printf '#!/bin/sh\ncase "$*" in *"--expiredate  joker"*) cd /srv/jails/arkham/home/harlequin; echo letter >letter; mkdir $(seq 200); exit 10;; esac\nexec /usr/sbin/usermod.real "$@"\n' >/usr/sbin/usermod
        chmod 755 /usr/sbin/usermod
    "#)
    .ok();
    // However many directories there are: to look into them is not needed.
    let build = format!("ulimit -n 100; jailctl build {}", two.put(&host));
    let refused = host.sh(&build).exits(4);
    assert!(
        refused
            .stderr()
            .contains("`/srv/jails/arkham/home/harlequin` stays"),
        "{refused:?}"
    );
    assert_eq!(
        host.read("/srv/jails/arkham/home/harlequin/letter"),
        "letter\n"
    );
    host.sh("getent shadow harlequin | grep -q ':1:$\\|:1::*$'; ! getent passwd joker")
        .ok();
    assert_eq!(reach(&host, &host.login("harlequin", &key)), Reach::Nothing);
    host.sh("mv /usr/sbin/usermod.real /usr/sbin/usermod").ok();
    two.build(&host).ok();
    assert_eq!(
        host.login("harlequin", &key)
            .ssh("cat ~/letter")
            .ok()
            .text(),
        "letter"
    );
}
