//! Programs in use over ssh, with files, settings and languages of the user.

use disposable::Login;

use super::programs;
use crate::support::{Spec, arkham, certify, host, host_with_module, serve_tls, type_into};

/// Output of each task of a user over ssh, and its exit status.
fn all_tasks(user: &Login<'_>) -> String {
    let script = r#"
        set -f; cd /tmp; export HOME=/tmp TERM=xterm-256color LANG=C.UTF-8
        while read -a words; do
            [[ -n ${words[0]:-} && ${words[0]} != [#-]* ]] || continue
            rm -rf /tmp/*; mkdir rmdir; : >rm >unlink >shred
            echo "== ${words[*]}"
            timeout 20 "${words[@]}" </dev/null 2>&1
            echo "status $?"
        done </data/tasks"#;
    let said = user.ssh(script).ok();
    said.stdout().to_owned()
}

#[disposable::test]
fn every_nameable_program_works_over_ssh() {
    let host = host();
    host.sh(include_str!("data.sh")).ok();
    host.write("/data/tasks", include_str!("tasks.txt"));
    let programs = programs(&host);
    let key = host.key("harlequin");
    let mut spec = Spec::arkham(&key, &[]);
    spec.binaries = programs
        .iter()
        .map(|path| -> &'static str { path.clone().leak() })
        .collect();
    spec.more = "[[file]]\nsource = \"/data\"\n".to_owned();
    let _sshd = host.sshd();
    let built = spec.build(&host).ok();
    // One notice and no other: all other programs of the spec have what they need.
    let notices: Vec<&str> = built.stderr().lines().collect();
    assert_eq!(notices.len(), 1, "{built:?}");
    assert!(
        notices[0].contains("`/usr/bin/ssh-agent` loses its setgid bit"),
        "{built:?}"
    );
    let harlequin = host.login("harlequin", &key);
    let bob = host.plain_user("bob");
    let jailed = all_tasks(&harlequin)
        .replace("harlequin", "bob")
        .replace("jail-arkham", "bob")
        // The store of the jails has a name for each file, too.
        .replace("-rw-r--r-- 2 root", "-rw-r--r-- 1 root");
    let free = all_tasks(&bob);
    let ids = |text: &str, user: &str| {
        let id = host.sh(&format!("id -u {user}; id -g {user}")).ok();
        let lines = id.lines();
        text.replace(&format!("={}(", lines[0]), "=UID(")
            .replace(&format!("={}(", lines[1]), "=GID(")
    };
    let (jailed, free) = (ids(&jailed, "harlequin"), ids(&free, "bob"));
    let split = |text: &str| text.split("== ").map(str::to_owned).collect::<Vec<_>>();
    let (jailed, free) = (split(&jailed), split(&free));
    assert_eq!(jailed.len(), free.len());
    // The login user is in /proc, and in a host file that no jail contains.
    let differ: Vec<_> = jailed
        .iter()
        .zip(&free)
        .filter(|(jailed, free)| jailed != free && !free.starts_with("logname"))
        .collect();
    assert!(differ.is_empty(), "{differ:#?}");
    assert!(jailed.len() > 160, "{}", jailed.len());
}

#[disposable::test]
fn a_session_speaks_the_language_that_its_client_asks_for() {
    let host = host();
    host.sh("localedef -i de_DE -f UTF-8 de_DE.UTF-8").ok();
    let (spec, harlequin) = arkham(&host, &["date", "sort", "perl"]);
    let _sshd = host.sshd();
    let ask = |settings: &[&str], command: &str| {
        let mut line = harlequin.line([], command);
        for setting in settings {
            line.insert(1, format!("-oSetEnv={setting}"));
        }
        host.run(line.iter().map(String::as_str)).ok()
    };
    let german = ["LANG=de_DE.UTF-8 LC_ALL=de_DE.UTF-8"];
    let day = ask(
        &german,
        "date -d 2026-11-24 +%A; printf 'z\\nä\\na\\n' | sort; perl -e 1",
    );
    assert_eq!(
        (day.lines(), day.stderr()),
        (vec!["Dienstag", "a", "ä", "z"], "")
    );
    let plain = ask(
        &["LANG=C.UTF-8"],
        "date -d 2026-11-24 +%A; printf 'z\\nä\\na\\n' | sort",
    );
    assert_eq!(plain.lines(), ["Tuesday", "a", "z", "ä"]);
    // A locale that the host does not have has the same result as on the host.
    let klingon = ask(&["LANG=tlh.UTF-8"], "date -d 2026-11-24 +%A");
    assert_eq!((klingon.text(), klingon.stderr()), ("Tuesday", ""));

    // Above the limit nothing is copied, and a notice is printed.
    host.sh("truncate -s 20M /usr/lib/locale/locale-archive")
        .ok();
    let built = spec.build(&host).ok();
    assert!(
        built.stderr().contains(
            "the locales of the host are left out: they have 21 MB on this host, and the limit is 16 MB"
        ),
        "{built:?}"
    );
    assert!(!host.has(&format!("{}/usr/lib/locale/locale-archive", spec.root())));
}

#[disposable::test]
fn a_terminal_that_nobody_knows_is_taken_for_an_xterm() {
    let host = host();
    let key = host.key("harlequin");
    let mut spec = Spec::arkham(&key, &["less"]);
    spec.more = String::new();
    let text = format!("templates = [\"shell\"]\n{}", spec.text());
    host.write(&spec.path(), &text);
    host.jailctl(["build", &spec.path()]).ok();
    let harlequin = host.login("harlequin", &key);
    let _sshd = host.sshd();
    let mut line = harlequin.line(["-tt"], "");
    line.pop();
    let script = "(sleep 1; printf 'echo $TERM $LANG; ls -d /u*; echo Zoë >f; cat f; less f\\rq'; sleep 1; printf '\\rexit\\r') | TERM=$0 LANG=C.UTF-8 \"$@\"";
    for (terminal, becomes) in [
        ("enigma-9000", "xterm-256color"),
        ("screen-256color", "screen-256color"),
        ("../../etc/passwd", "xterm-256color"),
    ] {
        let mut all = vec!["bash", "-c", script, terminal];
        all.extend(line.iter().map(String::as_str));
        let said = host.run(all);
        let text = said.stdout();
        assert!(text.contains(&format!("{becomes} C.UTF-8")), "{said:?}");
        assert!(text.contains("\u{1b}[01;34m/usr"), "in colour: {said:?}");
        assert!(
            text.matches("Zoë").count() >= 3,
            "typed, shown and paged: {said:?}"
        );
        assert!(
            !text.contains("not fully functional") && !text.contains("<C3>"),
            "{said:?}"
        );
    }
}

#[disposable::test]
fn settings_of_a_users_own_work_and_history_is_kept() {
    let host = host();
    let (_, harlequin) = arkham(&host, &["vim", "/usr/bin/git", "nano"]);
    let _sshd = host.sshd();
    harlequin
        .ssh(
            "printf 'alias greet=\"echo hello from me\"\\n' >.bash_profile; printf 'set number\\n' >.vimrc
            printf '[user]\\nname = Harley\\nemail = h@gotham\\n' >.gitconfig; printf 'set tabsize 3\\n' >.nanorc",
        )
        .ok();
    let said = type_into(
        &host,
        &harlequin,
        "bash -il",
        "greet\\rgit var GIT_AUTHOR_IDENT\\rexit\\r",
    );
    assert!(said.stdout().contains("hello from me"), "{said:?}");
    assert!(said.stdout().contains("Harley <h@gotham>"), "{said:?}");
    let kept = harlequin.ssh("cat .bash_history").ok();
    assert!(kept.stdout().contains("git var"), "{kept:?}");
    for word in ["cannot set", "no name", "warning", "cannot find"] {
        assert!(!said.stdout().to_lowercase().contains(word), "{said:?}");
    }
    // git starts the editor of the jail, and shows its pages in less.
    let commit = type_into(
        &host,
        &harlequin,
        "bash -c 'git init -q g && cd g && git commit --allow-empty; git log --format=%B'",
        "a riddle\\017\\r\\030q",
    );
    assert!(!commit.stdout().contains("cannot run"), "{commit:?}");
    assert_eq!(
        harlequin.ssh("git -C g log --format=%s").ok().text(),
        "a riddle"
    );
    // `git add -p` needs no perl.
    let work = "cd g; echo one >f; git add f; git commit -qm f; echo two >>f; echo y | git add -p; git diff --cached --stat";
    let added = harlequin.ssh(work).ok();
    assert!(added.stdout().contains("1 insertion(+)"), "{added:?}");
}

#[disposable::test]
fn git_goes_over_ssh_and_https_in_and_out() {
    let host = host();
    certify(&host);
    host.sh(
        "mkdir /run/www; cd /run/www; git init -q --bare r.git; git init -q /run/w; cd /run/w
        git -c user.name=e -c user.email=e commit -q --allow-empty -m 'by https'
        git push -q /run/www/r.git HEAD:master; git -C /run/www/r.git update-server-info",
    )
    .ok();
    let _friend = serve_tls(&host, "friend", "8443");
    let _stranger = serve_tls(&host, "stranger", "8444");
    let (_, harlequin) = arkham(&host, &["git", "ssh"]);
    let _sshd = host.sshd();
    let clone = "GIT_SMART_HTTP=0 git clone -q https://localhost:8443/r.git https && git -C https log --format=%s";
    let cloned = harlequin.ssh(clone).ok();
    assert_eq!(cloned.text(), "by https", "{cloned:?}");
    let refused = harlequin
        .ssh("git ls-remote https://localhost:8444/r.git")
        .fails();
    assert!(refused.stderr().contains("certificate"), "{refused:?}");

    // Seen from outside, the jail is the server; from inside, it is the client.
    let mut ssh = harlequin.line([], "");
    ssh.truncate(ssh.len() - 2);
    let ssh = format!("GIT_SSH_COMMAND='{}'", ssh.join(" "));
    host.sh(&format!(
        "export {ssh}; cd /run; git clone -q harlequin@127.0.0.1:https there; cd there
        git -c user.name=e -c user.email=e commit -q --allow-empty -m 'by ssh'; git push -q origin HEAD:refs/heads/new"
    ))
    .ok();
    assert_eq!(
        harlequin
            .ssh("git -C https log -1 --format=%s new")
            .ok()
            .text(),
        "by ssh"
    );
    harlequin
        .sftp("put /run/keys/harlequin key\nchmod 600 key")
        .ok();
    let inside = "export GIT_SSH_COMMAND='ssh -i key -o StrictHostKeyChecking=no -o LogLevel=ERROR'
        git clone -q harlequin@127.0.0.1:https again && git -C again log -1 --format=%s origin/new";
    assert_eq!(harlequin.ssh(inside).ok().text(), "by ssh");
}

#[disposable::test]
fn what_has_rights_on_the_host_has_none_in_a_jail() {
    let host = host();
    let (spec, harlequin) = arkham(&host, &["ssh-agent", "ssh-add", "ssh-keygen"]);
    let _sshd = host.sshd();
    let mode = host
        .run([
            "stat",
            "-c",
            "%A",
            &format!("{}/usr/bin/ssh-agent", spec.root()),
        ])
        .ok();
    assert_eq!(mode.text(), "-rwxr-xr-x");
    let work = "eval $(ssh-agent) >/dev/null; ssh-keygen -q -t ed25519 -N '' -C riddle -f key && ssh-add -q key && ssh-add -l; ssh-agent -k >/dev/null";
    let said = harlequin.ssh(work).ok();
    assert!(said.stdout().contains("riddle (ED25519)"), "{said:?}");
    let mut spec = Spec::arkham(&host.key("h2"), &["/usr/lib/openssh/ssh-keysign"]);
    spec.name = "other";
    let refused = spec.build(&host).exits(2);
    assert!(refused.stderr().contains("it is setuid"), "{refused:?}");
}

#[disposable::test]
fn what_a_chroot_cannot_give_is_said_before_somebody_misses_it() {
    let host = host_with_module();
    let mut spec = Spec::arkham(&host.key("harlequin"), &["ps", "free", "script"]).plain();
    let plan = host.jailctl(["plan", &spec.put(&host)]).ok();
    let said = format!("{}{}", plan.stdout(), plan.stderr());
    for notice in [
        "`/usr/bin/free` and `/usr/bin/ps` need `/proc`, which the jail does not have",
        "`/usr/bin/script` needs `/dev/ptmx`",
    ] {
        assert!(said.contains(notice), "{notice}: {said}");
    }
    spec.is_plain = false;
    spec.more = "[namespaces]\n".to_owned();
    let plan = host.jailctl(["plan", &spec.put(&host)]).ok();
    let said = format!("{}{}", plan.stdout(), plan.stderr());
    assert!(
        !said.contains("which the jail does not have"),
        "sessions have both: {said}"
    );
}

#[disposable::test]
fn programs_with_origin_paths_are_reported_before_a_build() {
    let host = host_with_module();
    let app = "/usr/local/app";
    host.write("/root/lib.c", "int answer(void) { return 42; }\n");
    host.write(
        "/root/main.c",
        "int answer(void); int main(void) { return answer() - 42; }\n",
    );
    host.sh(&format!(
        "mkdir -p {app}/bin {app}/lib && gcc -shared -fPIC -Wl,-soname,libapp.so -o {app}/lib/libapp.so lib.c
        gcc -o {app}/bin/app main.c -L{app}/lib -lapp -Wl,-rpath,'$ORIGIN/../lib'"
    ))
    .ok();
    let notice = "`/usr/local/app/bin/app` needs `/proc`, which the jail does not have";
    let key = host.key("harlequin");
    let mut spec = Spec::arkham(&key, &["/usr/local/app/bin/app"]).plain();
    let built = spec.build(&host).ok();
    assert!(built.stderr().contains(notice), "{built:?}");
    let _sshd = host.sshd();
    let harlequin = host.login("harlequin", &key);
    let lost = harlequin.ssh("/usr/local/app/bin/app").exits(127);
    assert!(lost.stderr().contains("libapp.so"), "{lost:?}");
    spec.is_plain = false;
    spec.more = "[namespaces]\n".to_owned();
    let built = spec.build(&host).ok();
    assert!(!built.stderr().contains(notice), "{built:?}");
    harlequin.ssh("/usr/local/app/bin/app").ok();
    let deps = host.jailctl(["deps", &format!("{app}/bin/app")]).ok();
    assert!(
        deps.stderr().contains("does not start without /proc"),
        "{deps:?}"
    );
}

#[disposable::test]
fn host_rules_add_replace_and_are_checked() {
    let host = host();
    let site = "/etc/jailctl/rules.d/site.toml";
    host.write(
        "/usr/local/share/riddles",
        "What has keys and opens nothing?\n",
    );
    host.write(
        site,
        "[[rule]]\nname = \"riddles\"\nreason = \"what cat recites\"\nprograms = [\"cat\"]\nadd = [\"/usr/local/share/riddles\"]\nhelpers = [\"wc\"]\n\
         \n[[rule]]\nname = \"time-zone\"\n",
    );
    let (spec, harlequin) = arkham(&host, &[]);
    let _sshd = host.sshd();
    let said = harlequin.ssh("wc -l /usr/local/share/riddles").ok();
    assert_eq!(said.text(), "1 /usr/local/share/riddles");
    assert!(!host.has(&format!("{}/usr/share/zoneinfo", spec.root())));
    let why = host
        .jailctl(["why", "arkham", "/usr/local/share/riddles"])
        .ok();
    for part in ["what cat recites", "riddles", "/usr/bin/cat", "binaries"] {
        assert!(why.stdout().contains(part), "{part}: {why:?}");
    }

    host.run(["chmod", "666", site]).ok();
    let refused = spec.build(&host).exits(2);
    assert!(refused.stderr().contains(site), "{refused:?}");
    assert!(refused.stderr().contains("chmod go-w"), "{refused:?}");
    host.sh(&format!("chmod 644 {site}; chown daemon {site}"))
        .ok();
    let refused = spec.build(&host).exits(2);
    assert!(refused.stderr().contains("chown root"), "{refused:?}");
    host.sh(&format!(
        "chown root {site}; chmod 777 /etc/jailctl/rules.d"
    ))
    .ok();
    let refused = spec.build(&host).exits(2);
    assert!(
        refused
            .stderr()
            .contains("of the directory `/etc/jailctl/rules.d`"),
        "{refused:?}"
    );
    host.run(["chmod", "755", "/etc/jailctl/rules.d"]).ok();

    host.write(
        site,
        "[[rule]]\nname = \"a\"\nreason = \"x\"\nprogram = [\"x\"]\nadd = [\"/\"]\n",
    );
    host.write(
        "/etc/jailctl/rules.d/two.toml",
        "[[rule]]\nname = \"nothing\"\n[[rule]]\nname = \"nothing\"\n",
    );
    let refused = spec.build(&host).exits(2);
    for part in [
        "site.toml:4",
        "did you mean `programs`?",
        "site.toml:5",
        "the whole host",
        "two rules are called `nothing`",
        "the rule `nothing` adds nothing",
    ] {
        assert!(refused.stderr().contains(part), "{part}: {refused:?}");
    }
    assert_eq!(
        harlequin.ssh("cat /welcome").ok().text(),
        "Welcome to Arkham."
    );
}
