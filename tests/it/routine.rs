//! Routine jobs: who is in, locking, ending the sessions of one user, purging, specs by name.

use disposable::DisposableHost;
use serde_json::Value;

use crate::support::{Reach, Spec, arkham, host, host_with_module, look, reach};

#[track_caller]
fn json(host: &DisposableHost, words: &[&str]) -> Value {
    let line = ["jailctl"].into_iter().chain(words.iter().copied());
    let told = host.run(line).ok();
    serde_json::from_str(told.stdout()).unwrap_or_else(|error| panic!("{error}: {told:?}"))
}

/// Sees harlequin's session in `who`, `show` and `list`, whatever its processes call themselves.
fn seen(host: &DisposableHost) {
    let key = host.key("harlequin");
    Spec::arkham(&key, &["sleep"]).build(host).ok();
    let login = host.login("harlequin", &key);
    assert_eq!(
        json(host, &["who", "--json"])["logins"],
        Value::Array(Vec::new())
    );
    let mut running = login.start([], "echo up; exec -a 'sshd: root@pts/9' sleep 100");
    running.hear("up");
    let _other = host.plain_user("alice").session();
    let who = json(host, &["who", "--json", "arkham"]);
    let logins = who["logins"].as_array().expect("logins");
    assert_eq!(logins.len(), 1, "{who}");
    let one = &logins[0];
    assert_eq!(
        (&one["jail"], &one["user"]),
        (&"arkham".into(), &"harlequin".into())
    );
    assert_eq!(
        (&one["via"], &one["from"]),
        (&"sshd".into(), &"127.0.0.1".into()),
        "{who}"
    );
    let pid = one["pid"].as_i64().expect("a pid");
    let monitor = host
        .sh(&format!("stat -c %u /proc/{pid}; cat /proc/{pid}/comm"))
        .ok();
    assert!(monitor.stdout().starts_with("0\nsshd"), "{monitor:?}");
    let show = json(host, &["show", "--json", "arkham"]);
    assert_eq!(show["logins"], who["logins"]);
    let list = json(host, &["list", "--json"]);
    assert_eq!(list["jails"][0]["logins"], 1);
    let table = host.jailctl(["who"]).ok();
    assert!(
        table.stdout().contains("harlequin  127.0.0.1  20"),
        "{table:?}"
    );
}

#[disposable::test]
fn who_shows_logins_of_plain_chroots() {
    let host = host();
    let _sshd = host.sshd();
    seen(&host);
}

#[disposable::test]
fn who_shows_logins_of_sessions() {
    let host = host_with_module();
    let _sshd = host.sshd();
    seen(&host);
}

/// Every property of sessions is in `plan` and `show`, and a change of it is a line of the plan.
#[disposable::test]
fn sessions_are_shown_and_their_changes_planned() {
    let host = host_with_module();
    host.sh("mkdir -p /opt/www").ok();
    let key = host.key("harlequin");
    let mut spec = Spec::arkham(&key, &[]);
    let more =
        "[[mount]]\nsource = \"/opt/www\"\ntarget = \"/www\"\n\n[limits]\nopen_files = 128\n";
    spec.more.push_str(more);
    let path = spec.put(&host);
    let plan = host.jailctl(["plan", &path]).ok();
    for line in [
        "+namespaces: mnt pid uts ipc cgroup",
        "+network: host",
        "+mount /www: /opt/www (ro,nosuid,nodev,noexec)",
        "+limit open_files: 128",
    ] {
        assert!(plan.stdout().contains(line), "no {line:?} in {plan:?}");
    }
    spec.build(&host).ok();
    let show = json(&host, &["show", "--json", "arkham"]);
    assert_eq!(show["session"]["limits"]["open_files"], 128);
    assert_eq!(show["session"]["network"]["mode"], "host");
    let text = host.jailctl(["show", "arkham"]).ok();
    assert!(
        text.stdout().contains("mount /www: /opt/www (ro,"),
        "{text:?}"
    );
    spec.more = spec
        .more
        .replace(
            "target = \"/www\"\n",
            "target = \"/www\"\noptions = [\"rw\"]\n",
        )
        .replace("128", "256");
    spec.put(&host);
    let plan = host.jailctl(["plan", &path]).ok();
    for line in [
        "-mount /www: /opt/www (ro,nosuid,nodev,noexec)",
        "+mount /www: /opt/www (rw,nosuid,nodev,noexec)",
        "-limit open_files: 128",
        "+limit open_files: 256",
    ] {
        assert!(plan.stdout().contains(line), "no {line:?} in {plan:?}");
    }
    let plan = json(&host, &["plan", "--json", &path]);
    let diff = plan["jails"][0]["diff"]["after"].as_str().expect("a text");
    assert!(diff.contains("\nlimit open_files: 256\n"), "{diff}");
    let built = spec.build(&host).ok();
    assert!(built.stdout().contains("sessions changed"), "{built:?}");
}

#[disposable::test]
fn a_locked_user_stays_out_until_unlocked() {
    let host = host();
    let _sshd = host.sshd();
    let key = host.key("harlequin");
    let mut spec = Spec::arkham(&key, &["sleep"]);
    spec.users
        .push(("joker", vec![key.public.trim().to_owned()]));
    spec.build(&host).ok();
    let (harlequin, joker) = (host.login("harlequin", &key), host.login("joker", &key));
    let mut running = harlequin.start([], "echo up; exec sleep 100");
    running.hear("up");
    let before = look(&host);
    let locked = host.jailctl(["lock", "harlequin"]).ok();
    assert_eq!(locked.stdout(), "harlequin: locked\n");
    assert!(
        locked.stderr().contains("harlequin from 127.0.0.1 since")
            && locked.stderr().contains("lock --kill harlequin"),
        "{locked:?}"
    );
    host.sh("pgrep -u harlequin").ok();
    assert_eq!(reach(&host, &harlequin), Reach::Nothing);
    assert_eq!(reach(&host, &joker), Reach::Jail);
    // Builds keep it, and find nothing to do.
    let built = spec.build(&host).ok();
    assert!(built.stdout().contains("nothing to do"), "{built:?}");
    host.jailctl(["check"]).ok();
    spec.binaries.push("id");
    spec.build(&host).ok();
    host.jailctl(["update", "--all"]).ok();
    assert_eq!(reach(&host, &harlequin), Reach::Nothing);
    // Opened by hand, it is found and closed again.
    host.sh("usermod -e '' harlequin").ok();
    let check = host.jailctl(["check"]).exits(1);
    assert!(check.stdout().contains("it is locked"), "{check:?}");
    host.jailctl(["update", "arkham"]).ok();
    let doctor = host.jailctl(["doctor", "harlequin"]).exits(1);
    assert!(
        doctor.stdout().contains("jailctl unlock harlequin"),
        "{doctor:?}"
    );
    let show = host.jailctl(["show", "arkham"]).ok();
    assert!(show.stdout().contains(": locked"), "{show:?}");
    let again = host.jailctl(["lock", "--kill", "harlequin"]).ok();
    assert!(again.stdout().contains("ended"), "{again:?}");
    host.sh("! pgrep -u harlequin").ok();
    spec.binaries.pop();
    let unlocked = host.jailctl(["unlock", "harlequin"]).ok();
    assert_eq!(unlocked.stdout(), "harlequin: unlocked\n");
    assert_eq!(reach(&host, &harlequin), Reach::Jail);
    spec.build(&host).ok();
    let changed = before.diff(&look(&host));
    let is_record = |path: &String| !path.contains("/var/lib/jailctl") && !path.contains("/srv/");
    assert!(!changed.iter().any(is_record), "{changed:?}");
    host.jailctl(["lock", "nosuch"]).exits(2);
}

#[disposable::test]
fn the_sessions_of_one_user_are_ended() {
    let host = host();
    let _sshd = host.sshd();
    let key = host.key("harlequin");
    let mut spec = Spec::arkham(&key, &["sleep"]);
    spec.users
        .push(("joker", vec![key.public.trim().to_owned()]));
    spec.build(&host).ok();
    for user in ["harlequin", "joker"] {
        let login = host.login(user, &key);
        let mut running = login.start([], "echo up; sleep 100 & exec sleep 100");
        running.hear("up");
        std::mem::forget(running);
    }
    let killed = host.jailctl(["kill", "--user", "joker", "arkham"]).ok();
    assert!(killed.stdout().contains("arkham: joker: "), "{killed:?}");
    host.sh("! pgrep -u joker; pgrep -u harlequin").ok();
    host.jailctl(["kill", "--user", "bob", "arkham"]).exits(2);
    host.jailctl(["kill", "arkham"]).ok();
}

#[disposable::test]
fn purge_deletes_what_remove_has_left() {
    let host = host();
    let _sshd = host.sshd();
    let before = look(&host);
    let (spec, harlequin) = arkham(&host, &[]);
    harlequin.ssh("echo mine >~/note").ok();
    host.sh("install -o harlequin -m 600 /dev/null /var/mail/harlequin")
        .ok();
    host.until("! pgrep -u harlequin");
    let refused = host.jailctl(["purge", "arkham"]).exits(2);
    assert!(
        refused.stderr().contains("remove --purge arkham"),
        "{refused:?}"
    );
    host.jailctl(["remove", "arkham"]).ok();
    assert!(host.has("/srv/jails/arkham/home/harlequin/note"));
    let plan = host.jailctl(["purge", "--dry-run", "arkham"]).ok();
    assert!(plan.stdout().contains("the homes of harlequin"), "{plan:?}");
    let purged = host.jailctl(["purge", "--verbose", "arkham"]).ok();
    for absent in [
        "account harlequin",
        "/srv/jails/arkham",
        "/var/mail/harlequin",
    ] {
        assert!(purged.stdout().contains(absent), "{purged:?}");
    }
    assert_eq!(before.diff(&look(&host)), Vec::<String>::new());
    host.jailctl(["purge", "arkham"]).exits(2);

    // A removal with `--purge` ends with the same search, and says what stays elsewhere.
    spec.build(&host).ok();
    let removed = host.jailctl(["remove", "--purge", "arkham"]).ok();
    assert!(
        removed.stdout().contains("group jail-arkham"),
        "{removed:?}"
    );
    assert!(
        removed
            .stderr()
            .contains("the spec `/root/arkham.toml` stays"),
        "{removed:?}"
    );
    assert_eq!(before.diff(&look(&host)), Vec::<String>::new());
}

/// A root that a user has made up is not purged.
#[disposable::test]
fn a_root_of_a_user_is_not_purged() {
    let host = host();
    host.plain_user("mallory");
    host.sh("mkdir -p /home/mallory/x/.jailctl /victim
        echo '{\"jail\":\"x\",\"made\":[\"/victim\"],\"left\":[]}' >/home/mallory/x/.jailctl/jail
        chown -R mallory /home/mallory")
        .ok();
    host.jailctl(["purge", "/home/mallory/x"]).exits(4);
    assert!(host.has("/victim") && host.has("/home/mallory/x"));
}

#[disposable::test]
fn purge_killed_at_any_change_is_finished() {
    let host = host();
    let before = look(&host);
    let key = host.key("harlequin");
    let spec = Spec::arkham(&key, &[]);
    for call in ["unlinkat", "fsync"] {
        spec.build(&host).ok();
        host.sh("cd /srv/jails/arkham/home/harlequin; mkdir d; touch d/{1..9}")
            .ok();
        host.jailctl(["remove", "arkham"]).ok();
        let command = ["jailctl", "purge", "arkham"];
        let mut runs = (1..200).map(|n| host.kill_at(call, n, &command).code());
        let last = runs.find(|code| *code != 137).expect("no run completed");
        assert!([0, 2].contains(&last), "{call}: {last}");
        assert_eq!(before.diff(&look(&host)), Vec::<String>::new(), "{call}");
    }
}

#[disposable::test]
fn specs_are_built_by_name_from_directories_and_input() {
    let host = host();
    let key = host.key("harlequin");
    let spec = Spec::arkham(&key, &[]);
    host.sh("mkdir -p /etc/jailctl/jails.d").ok();
    let put = |name: &str, text: &str| host.write(&format!("/etc/jailctl/jails.d/{name}"), text);
    put("arkham.toml", &spec.text());
    put("files.toml", "name = \"files\"\nbinaries = [\"ls\"]\n");
    put("bad.toml", "name = \"bad\"\nbinarys = 5\n");
    // By the name of its file, and of one that was built elsewhere.
    let built = host.jailctl(["build", "arkham"]).ok();
    assert!(built.stdout().starts_with("arkham: built at"), "{built:?}");
    host.jailctl(["plan", "--exit-code", "arkham"]).ok();
    host.jailctl(["build", "nosuch"]).exits(2);
    // One that is bad does not stop the others.
    let all = host.jailctl(["build", "--all"]).exits(2);
    assert!(
        all.stdout().contains("arkham: nothing to do") && all.stdout().contains("files: built"),
        "{all:?}"
    );
    assert!(all.stderr().contains("bad.toml"), "{all:?}");
    host.jailctl(["plan", "--all"]).exits(2);
    host.sh("rm /etc/jailctl/jails.d/bad.toml").ok();
    let dir = host.jailctl(["build", "/etc/jailctl/jails.d"]).ok();
    assert_eq!(
        dir.stdout(),
        "arkham: nothing to do\nfiles: nothing to do\n"
    );
    // A spec that is gone is reported, and nothing is removed.
    host.sh("rm /etc/jailctl/jails.d/files.toml").ok();
    put("new.toml", "name = \"new\"\nbinaries = [\"ls\"]\n");
    for verb in ["build", "plan", "check"] {
        if verb == "check" {
            host.sh("rm -f /etc/jailctl/jails.d/new.toml; jailctl remove new")
                .ok();
            put("new.toml", "name = \"new\"\nbinaries = [\"ls\"]\n");
        }
        let told = host.jailctl([verb, "--all"]).ok();
        assert!(
            told.stderr()
                .contains("files.toml` of the jail `files` is gone"),
            "{verb}: {told:?}"
        );
        if verb == "check" {
            assert!(
                told.stderr().contains("new.toml` has not been built"),
                "{told:?}"
            );
        }
    }
    assert!(host.has("/srv/jails/files/usr/bin/ls"));
    // Standard input.
    let told = host
        .sh("printf 'name = \"piped\"\\nbinaries = [\"ls\"]\\n' | jailctl build -")
        .ok();
    assert!(told.stdout().contains("piped: built"), "{told:?}");
    host.jailctl(["update", "piped"]).ok();
    host.jailctl(["check", "piped"]).ok();
    host.jailctl(["show", "piped"]).ok();
    let refused = host.jailctl(["build", "piped"]).exits(2);
    assert!(refused.stderr().contains("standard input"), "{refused:?}");
}

#[disposable::test]
fn specs_are_validated_without_root_and_host() {
    let host = host();
    host.plain_user("bob");
    let before = look(&host);
    host.write(
        "/tmp/good.toml",
        "name = \"good\"\nbinaries = [\"nosuchprogram\"]\n",
    );
    host.write(
        "/tmp/bad.toml",
        "name = \"bad\"\nbinarys = 5\nroot = \"/\"\n",
    );
    host.sh("chmod 666 /tmp/*.toml").ok();
    let as_bob = |line: &str| {
        host.sh(&format!(
            "cd /tmp; setpriv --reuid bob --regid bob --clear-groups jailctl {line}"
        ))
    };
    let good = as_bob("validate good.toml").ok();
    assert_eq!(
        good.stdout(),
        "good.toml: valid, jail `good` with 0 users\n"
    );
    let bad = as_bob("validate --json good.toml bad.toml").exits(2);
    let told: Value = serde_json::from_str(bad.stdout()).expect("JSON");
    assert_eq!(told["valid"], false);
    assert_eq!(told["specs"][0]["valid"], true);
    let findings = told["specs"][1]["findings"].as_array().expect("findings");
    assert_eq!(findings.len(), 2, "{told}");
    as_bob("validate nowhere.toml").exits(2);
    as_bob("validate - <good.toml").ok();
    as_bob("validate /tmp").exits(2);
    assert_eq!(before.diff(&look(&host)), Vec::<String>::new());
}

/// What a move and a rename keep: ids, content and times of the files of harlequin.
fn files_of_user(host: &DisposableHost, home: &str) -> String {
    let list = format!("cd {home}; find . -printf '%P %U %G %m %T@ %l\\n' | sort; cat note");
    host.sh(&list).ok().stdout().to_owned()
}

#[disposable::test]
fn a_moved_jail_keeps_ids_homes_and_keys() {
    let host = host();
    let _sshd = host.sshd();
    let (spec, harlequin) = arkham(&host, &[]);
    host.write(
        "/root/beside.toml",
        "name = \"beside\"\nbinaries = [\"ls\"]\n",
    );
    host.jailctl(["build", "/root/beside.toml"]).ok();
    harlequin.ssh("echo mine >~/note").ok();
    host.until("! pgrep -u harlequin");
    let ids = host.sh("id harlequin").ok().stdout().to_owned();
    let files = files_of_user(&host, "/srv/jails/arkham/home/harlequin");
    for (to, status) in [
        ("/srv/jails/beside", 4),
        ("/srv/jails/arkham/x", 4),
        ("/etc", 2),
        ("/data/jails/ark", 4),
    ] {
        let before = look(&host);
        host.jailctl(["move", "arkham", to]).exits(status);
        assert_eq!(before.diff(&look(&host)), Vec::<String>::new(), "{to}");
    }
    let moved = host.jailctl(["move", "arkham", "/srv/data/jails/ark"]).ok();
    assert_eq!(
        moved.stdout(),
        "arkham: moved from /srv/jails/arkham to /srv/data/jails/ark\n"
    );
    assert_eq!(reach(&host, &harlequin), Reach::Jail);
    assert_eq!(harlequin.ssh("cat ~/note").ok().text(), "mine");
    host.until("! pgrep -u harlequin");
    assert_eq!(host.sh("id harlequin").ok().stdout(), ids);
    assert_eq!(
        files_of_user(&host, "/srv/data/jails/ark/home/harlequin"),
        files
    );
    let text = host.read(&spec.path());
    assert!(
        text.contains("\nroot = \"/srv/data/jails/ark\"\n"),
        "{text}"
    );
    let built = host.jailctl(["build", &spec.path()]).ok();
    assert!(built.stdout().contains("nothing to do"), "{built:?}");
    host.jailctl(["check"]).ok();
    host.jailctl(["move", "arkham", "/srv/jails/arkham"]).ok();
    assert_eq!(reach(&host, &harlequin), Reach::Jail);
    host.until("! pgrep -u harlequin");
    host.jailctl(["remove", "--purge", "arkham"]).ok();
    host.jailctl(["remove", "--purge", "beside"]).ok();
    host.sh("[ ! -e /srv/jails ] && [ ! -e /srv/data ]").ok();
}

#[disposable::test]
fn a_moved_jail_keeps_its_sessions_and_mounts() {
    let host = host_with_module();
    let _sshd = host.sshd();
    host.sh("mkdir -p /opt/www; echo page >/opt/www/page").ok();
    let key = host.key("harlequin");
    let mut spec = Spec::arkham(&key, &[]);
    spec.more
        .push_str("[[mount]]\nsource = \"/opt/www\"\ntarget = \"/www\"\n");
    spec.build(&host).ok();
    host.jailctl(["move", "arkham", "/srv/data/ark"]).ok();
    let harlequin = host.login("harlequin", &key);
    assert_eq!(harlequin.ssh("cat /www/page").ok().text(), "page");
    assert_eq!(reach(&host, &harlequin), Reach::Jail);
    host.jailctl(["check"]).ok();
}

/// Runs a verb killed at the first, second, … of each call until a run completes. After each kill
/// no login leaves the jail, and nothing of the user is lost.
fn killed(
    host: &DisposableHost,
    calls: &[&str],
    commands: [&[&str]; 2],
    homes: [&str; 2],
    files: &str,
) {
    for call in calls {
        for command in commands {
            let mut runs = 0;
            loop {
                runs += 1;
                assert!(runs < 400, "{call}: no run completed");
                let output = host.kill_at(call, runs, command);
                let kept = homes.iter().find(|home| host.has(home));
                let kept = kept.unwrap_or_else(|| panic!("{call} {runs}: no home"));
                assert_eq!(files_of_user(host, kept), files, "{call} {runs}");
                if output.code() != 137 && output.code() != 4 {
                    assert_eq!(output.code(), 0, "{call} {runs}: {output:?}");
                    break;
                }
            }
        }
        host.jailctl(["check"]).ok();
    }
}

#[disposable::test]
fn a_move_killed_at_any_change_is_undone_or_finished() {
    let host = host();
    arkham(&host, &[]);
    host.sh("echo mine >/srv/jails/arkham/home/harlequin/note")
        .ok();
    let homes = [
        "/srv/jails/arkham/home/harlequin",
        "/srv/data/ark/home/harlequin",
    ];
    let files = files_of_user(&host, homes[0]);
    killed(
        &host,
        &["renameat2", "mkdirat"],
        [
            &["jailctl", "move", "arkham", "/srv/data/ark"],
            &["jailctl", "move", "arkham", "/srv/jails/arkham"],
        ],
        homes,
        &files,
    );
}

#[disposable::test]
fn a_renamed_user_keeps_id_home_password_and_keys() {
    let host = host();
    let _sshd = host.sshd();
    let (mut spec, harlequin) = arkham(&host, &["sleep"]);
    harlequin.ssh("echo mine >~/note").ok();
    host.until("! pgrep -u harlequin");
    let password = |user: &str| {
        let entry = host.sh(&format!("getent shadow {user} | cut -d: -f2"));
        entry.ok().text().to_owned()
    };
    let before = password("harlequin");
    let uid = host.sh("id -u harlequin").ok().text().to_owned();
    let files = files_of_user(&host, "/srv/jails/arkham/home/harlequin");
    let keys = spec.users[0].1.clone();
    spec.users = vec![("quinzel", keys)];
    let text = spec.text().replacen(
        "name = \"quinzel\"",
        "name = \"quinzel\"\nwas = \"harlequin\"",
        1,
    );
    host.write(&spec.path(), &text);
    let mut running = harlequin.start([], "echo up; exec sleep 100");
    running.hear("up");
    let refused = host.jailctl(["build", &spec.path()]).exits(4);
    assert!(
        refused.stderr().contains("(sleep of harlequin)"),
        "{refused:?}"
    );
    host.jailctl(["kill", "arkham"]).ok();
    let plan = host.jailctl(["plan", &spec.path()]).ok();
    assert!(
        plan.stdout().contains("harlequin renamed to quinzel"),
        "{plan:?}"
    );
    host.jailctl(["build", &spec.path()]).ok();
    assert_eq!(host.sh("id -u quinzel").ok().text(), uid);
    host.sh("! getent passwd harlequin && ! getent shadow harlequin")
        .ok();
    assert_eq!(password("quinzel"), before);
    assert_eq!(
        files_of_user(&host, "/srv/jails/arkham/home/quinzel"),
        files
    );
    assert!(!host.has("/srv/jails/arkham/home/harlequin"));
    assert!(!host.has("/var/lib/jailctl/arkham/keys/harlequin"));
    let quinzel = harlequin.as_user("quinzel");
    assert_eq!(quinzel.ssh("cat ~/note").ok().text(), "mine");
    assert_eq!(reach(&host, &harlequin), Reach::Nothing);
    host.until("! pgrep -u quinzel");
    let built = host.jailctl(["build", &spec.path()]).ok();
    assert!(built.stdout().contains("nothing to do"), "{built:?}");
    host.jailctl(["check"]).ok();
    host.jailctl(["update", "arkham"]).ok();
}

#[disposable::test]
fn a_rename_killed_at_any_change_is_undone_or_finished() {
    let host = host();
    let (mut spec, _) = arkham(&host, &[]);
    host.sh("echo mine >/srv/jails/arkham/home/harlequin/note")
        .ok();
    let homes = [
        "/srv/jails/arkham/home/harlequin",
        "/srv/jails/arkham/home/quinzel",
    ];
    let files = files_of_user(&host, homes[0]);
    let keys = spec.users[0].1.clone();
    for (path, name, was) in [
        ("/root/there.toml", "quinzel", "harlequin"),
        ("/root/back.toml", "harlequin", "quinzel"),
    ] {
        spec.users = vec![(name, keys.clone())];
        let from = format!("name = {name:?}");
        let text = spec
            .text()
            .replacen(&from, &format!("{from}\nwas = {was:?}"), 1);
        host.write(path, &text);
    }
    killed(
        &host,
        &["renameat2", "rename"],
        [
            &["jailctl", "build", "--from-here", "/root/there.toml"],
            &["jailctl", "build", "--from-here", "/root/back.toml"],
        ],
        homes,
        &files,
    );
}
