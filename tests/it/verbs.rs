//! The command line: exit statuses of the verbs; verbs that read do not write.

use crate::support::{Spec, arkham, host, look};

#[disposable::test]
fn a_bad_spec_is_refused_and_the_host_untouched() {
    let host = host();
    host.plain_user("bob");
    let key = host.key("harlequin");
    let good = Spec::arkham(&key, &[]).text();
    let user = "[[user]]\nname = \"harlequin\"\n";
    // What is put in the place of what, and what the answer has to name.
    let cases: &[(&str, &str, &str)] = &[
        ("binaries", "binarys", "binaries"),
        ("name = \"arkham\"", "name = \"../etc\"", "name"),
        ("name = \"arkham\"", "name = \"arkham\\nMatch all\"", "name"),
        ("name = \"arkham\"", "name = 5", "name"),
        (
            "name = \"arkham\"",
            "name = \"arkham\"\nroot = \"/\"",
            "root",
        ),
        (
            "name = \"arkham\"",
            "name = \"arkham\"\nroot = \"/etc/jail\"",
            "root",
        ),
        (
            "name = \"arkham\"",
            "name = \"arkham\"\nroot = \"/srv/../etc\"",
            "root",
        ),
        (
            "name = \"arkham\"",
            "name = \"arkham\"\nroot = \"/srv/a b\"",
            "root",
        ),
        ("name = \"harlequin\"", "name = \"root\"", "user[0]"),
        ("name = \"harlequin\"", "name = \"har:lequin\"", "user[0]"),
        (
            "name = \"harlequin\"",
            "name = \"harlequin\"\nuid = 0",
            "uid",
        ),
        (
            "name = \"harlequin\"",
            "name = \"harlequin\"\nshell = \"/bin/zsh\"",
            "/bin/zsh",
        ),
        (
            "name = \"harlequin\"",
            "name = \"harlequin\"\nhome = \"/home/../etc\"",
            "home",
        ),
        (
            "name = \"harlequin\"",
            "name = \"harlequin\"\npassword = \"secret\"",
            "password",
        ),
        ("\"cat\"", "\"cat\", \"nosuchprogram\"", "nosuchprogram"),
        ("\"cat\"", "\"cat\", \"passwd\"", "passwd"),
        ("\"cat\"", "\"cat\", \"../bin/id\"", "../bin/id"),
        (
            "ssh-ed25519 ",
            "command=\\\"x\\\" nonsense ",
            "authorized_keys",
        ),
        ("ssh-ed25519 ", "x\\nssh-ed25519 ", "authorized_keys"),
        ("/welcome", "/etc/passwd", "/etc/passwd"),
        ("/welcome", "/home/harlequin/x", "/home/harlequin/x"),
        ("/welcome", "/a/../x", "/a/../x"),
        ("/welcome", "/proc/x", "/proc/x"),
        ("content = ", "mode = \"4755\"\ncontent = ", "mode"),
        ("content = ", "mode = \"0666\"\ncontent = ", "mode"),
        ("content = ", "mode = 755\ncontent = ", "mode"),
        (
            "content = \"Welcome to Arkham.\\n\"",
            "source = \"/etc/shadow\"",
            "/etc/shadow",
        ),
        (
            "content = \"Welcome to Arkham.\\n\"",
            "source = \"/dev/sda\"",
            "/dev/sda",
        ),
        (
            "content = \"Welcome to Arkham.\\n\"",
            "source = \"/nowhere\"",
            "/nowhere",
        ),
        (
            user,
            "[[user]]\nname = \"harlequin\"\n\n[[user]]\nname = \"harlequin\"\n",
            "harlequin",
        ),
        ("[[file]]", "[nonsense]\nx = 1\n[[file]]", "nonsense"),
        ("[[file]]", "[[file]", "arkham.toml"),
        (
            "[[file]]",
            "[sshd]\nallow = [\"telnet\"]\n[[file]]",
            "telnet",
        ),
    ];
    let before = look(&host);
    for (from, to, named) in cases {
        let text = good.replacen(from, to, 1);
        assert_ne!(text, good, "{from}");
        host.write("/root/arkham.toml", &text);
        for verb in ["plan", "build"] {
            let refused = host.jailctl([verb, "/root/arkham.toml"]);
            assert_eq!(refused.code(), 2, "{verb}, {to}: {refused:?}");
            assert!(
                refused.stderr().contains(named),
                "{verb}, {to}: {refused:?}"
            );
            assert!(
                refused.stderr().lines().count() <= 24,
                "one screen: {refused:?}"
            );
            assert_eq!(refused.stdout(), "", "{verb}, {to}");
        }
    }
    assert_eq!(before.diff(&look(&host)), Vec::<String>::new());
}

#[disposable::test]
fn a_spec_that_others_can_write_is_refused() {
    let host = host();
    let key = host.key("harlequin");
    let path = Spec::arkham(&key, &[]).put(&host);
    let before = look(&host);
    host.run(["chmod", "666", &path]).ok();
    host.jailctl(["build", &path]).exits(2);
    host.sh(&format!("chmod 644 {path}; chown 1000 {path}"))
        .ok();
    host.jailctl(["build", &path]).exits(2);
    assert_eq!(before.diff(&look(&host)), Vec::<String>::new());
}

#[disposable::test]
fn what_the_host_already_has_is_not_taken_over() {
    let host = host();
    host.plain_user("harlequin");
    let key = host.key("jailed");
    let before = look(&host);
    let refused = Spec::arkham(&key, &[]).build(&host).fails();
    assert!([2, 4].contains(&refused.code()), "{refused:?}");
    assert!(refused.stderr().contains("exists"), "{refused:?}");
    assert_eq!(before.diff(&look(&host)), Vec::<String>::new());
}

#[disposable::test]
fn usage_is_status_2_and_help_is_not() {
    let host = host();
    host.jailctl([]).exits(2);
    host.jailctl(["frobnicate"]).exits(2);
    host.jailctl(["build"]).exits(2);
    host.jailctl(["build", "/nowhere.toml"]).exits(2);
    host.jailctl(["remove", "nosuchjail"]).exits(2);
    host.jailctl(["--help"]).ok();
    host.jailctl(["--version"]).ok();
}

#[disposable::test]
fn a_missing_library_is_status_3() {
    let host = host();
    host.write("/root/a.c", "int a(void) { return 1; }\n");
    host.write("/root/b.c", "int a(void); int main(void) { return a(); }\n");
    host.sh(r"
        cd /root
        gcc -shared -o libarkham.so a.c
        gcc -o /usr/local/bin/inmate b.c -L. -larkham
        rm libarkham.so
    ")
        .ok();
    let key = host.key("harlequin");
    let spec = Spec::arkham(&key, &["inmate"]);
    spec.put(&host);
    let before = look(&host);
    let refused = spec.build(&host).exits(3);
    assert!(refused.stderr().contains("libarkham.so"), "{refused:?}");
    assert!(refused.stderr().contains("inmate"), "{refused:?}");
    assert_eq!(before.diff(&look(&host)), Vec::<String>::new());
}

#[disposable::test]
fn a_held_lock_is_status_5() {
    let host = host();
    let (spec, _) = arkham(&host, &[]);
    let mut other = spec.clone();
    other.binaries.push("true");
    other.put(&host);
    let before = look(&host);
    host.run([
        "flock",
        "/run/jailctl/lock",
        "jailctl",
        "build",
        &spec.path(),
    ])
    .exits(5);
    host.run(["flock", "/run/jailctl/lock", "jailctl", "remove", "arkham"])
        .exits(5);
    assert_eq!(before.diff(&look(&host)), Vec::<String>::new());
}

#[disposable::test]
fn two_builds_at_once_are_one_after_the_other() {
    let host = host();
    let key = host.key("harlequin");
    let path = Spec::arkham(&key, &[]).put(&host);
    host.sh(&format!(
        "pids=(); for i in 1 2 3 4; do jailctl build --lock-timeout 30 {path} & pids+=($!); done; for pid in ${{pids[@]}}; do wait $pid; done"
    ))
    .ok();
    let _sshd = host.sshd();
    host.login("harlequin", &key).ssh("ls /").ok();
    assert_eq!(host.sh("grep -c harlequin /etc/passwd").ok().text(), "1");
}

#[disposable::test]
fn verbs_that_look_write_nothing() {
    let host = host();
    let (spec, _) = arkham(&host, &[]);
    let mut more = spec.clone();
    more.binaries.push("id");
    let path = more.put(&host);
    let before = look(&host);
    for verb in [
        vec!["plan", &path],
        vec!["plan", "--json", &path],
        vec!["build", "--dry-run", &path],
        vec!["list"],
        vec!["show", "arkham"],
        vec!["doctor"],
        vec!["doctor", "harlequin"],
        vec!["why", "arkham", "/bin/ls"],
        vec!["why", &path, "/bin/id"],
    ] {
        let mut command = vec!["jailctl"];
        command.extend(&verb);
        let (output, changes) = host.trace_writes(&command);
        assert!(output.code() <= 1, "{output:?}");
        for change in changes {
            for place in ["/etc", "/srv", "/var", "/home"] {
                assert!(!change.is_below(place), "{verb:?}: {change:?}");
            }
        }
    }
    assert_eq!(before.diff(&look(&host)), Vec::<String>::new());
}

#[disposable::test]
fn plan_tells_by_its_status_whether_there_are_changes() {
    let host = host();
    let (mut spec, _) = arkham(&host, &[]);
    host.jailctl(["plan", "--exit-code", &spec.path()]).ok();
    spec.binaries.push("id");
    let planned = host
        .jailctl(["plan", "--exit-code", &spec.put(&host)])
        .exits(1);
    assert!(planned.stdout().contains("/usr/bin/id"), "{planned:?}");
    host.jailctl(["plan", &spec.path()]).ok();
}

#[disposable::test]
fn a_full_or_closed_output_is_no_panic() {
    let host = host();
    let (spec, _) = arkham(&host, &[]);
    for output in [">/dev/full", ">&-"] {
        for verb in [
            format!("plan {}", spec.path()),
            "list".to_owned(),
            "--help".to_owned(),
        ] {
            let ended = host.run(["bash", "-c", &format!("jailctl {verb} {output}")]);
            assert!(ended.code() < 100, "{verb} {output}: {ended:?}");
            assert!(
                !ended.stderr().contains("panicked"),
                "{verb} {output}: {ended:?}"
            );
        }
    }
}
