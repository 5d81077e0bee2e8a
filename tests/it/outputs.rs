//! Complete outputs of real runs: exit status, standard output and standard error. Changes are
//! reviewed by a person.
//!
//! `INSTA_UPDATE=always cargo test --test it outputs` writes them again. Values that differ between
//! machines (sizes, counts, versions, ids of accounts) are replaced.

use disposable::{DisposableHost, Output};

use crate::support::{Spec, arkham, have_essential_services, have_user_managers, host};

/// Patterns of values that differ between machines and runs, with their replacements.
const VARIABLE: &[(&str, &str)] = &[
    (r"hint: (verbs|templates): .*", "hint: $1: [list]"),
    (r"\b(user|process) id \d+", "$1 id [number]"),
    (r"\b\d+ (paths?)\b", "[n] $1"),
    (r"\d+(\.\d+)? (B|KiB|MiB|GiB)\b", "[size]"),
    (
        r"\b\d+ (added|changed|removed|entries|files|directories|links|devices|more reasons?)\b",
        "[n] $1",
    ),
    (r"\b(uid|gid) \d+", "$1 [id]"),
    (r"user@\d+\.service", "user@[id].service"),
    (r"\d{4}-\d\d-\d\d \d\d:\d\d UTC", "[moment]"),
    (r"SHA256:[A-Za-z0-9+/]{43}", "SHA256:[fingerprint]"),
    (r"AAAA[A-Za-z0-9+/=]{40,}", "AAAA[key]"),
    (r"\.so(\.\d+)+", ".so.[version]"),
    (r"x86_64-linux-gnu|aarch64-linux-gnu", "[triplet]"),
    (r"ld-linux-[a-z0-9_-]+", "ld-linux"),
    (
        r"processes run in it: \d+ \(\S+ of \w+\)(, \d+ \(\S+ of \w+\))*",
        "processes run in it: [pids]",
    ),
    (r"jailctl \d+\.\d+\.\d+", "jailctl [version]"),
    (
        r"(?m)^(NAME +USERS +ACCESS +IN +ENTRIES +SIZE +ROOT|\w+ +\w+ +[\w,]+ +\d+ +\d+ +\[size\] +/srv/\w+/\w+)$",
        "[line of the table]",
    ),
];

#[track_caller]
fn check(name: &str, line: &str, output: &Output) {
    let text = format!(
        "$ {line}\nstatus {}\n--- stdout\n{}--- stderr\n{}",
        output.code(),
        output.stdout(),
        output.stderr()
    );
    let mut settings = insta::Settings::clone_current();
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.set_snapshot_path("outputs");
    for &(pattern, stand_in) in VARIABLE {
        settings.add_filter(pattern, stand_in);
    }
    settings.bind(|| insta::assert_snapshot!(name, text));
}

/// Runs a line of bash and compares its output with the snapshot `name`.
#[track_caller]
fn run(host: &DisposableHost, name: &str, line: &str) {
    let output = host.run(["bash", "-c", line]);
    check(name, line, &output);
}

/// Spec of a jail with short outputs.
fn small(host: &DisposableHost) -> Spec {
    let key = host.key("harlequin");
    let mut spec = Spec::arkham(&key, &[]);
    spec.more = format!("[sshd]\nallow = [\"shell\"]\n\n{}", spec.more);
    spec
}

#[disposable::test]
fn a_jail_comes_changes_and_goes() {
    let host = host();
    have_user_managers(&host);
    have_essential_services(&host);
    let _sshd = host.sshd();
    let mut spec = small(&host);
    spec.put(&host);
    run(&host, "plan-new", "jailctl plan arkham.toml");
    run(&host, "build-new", "jailctl build arkham.toml");
    run(&host, "build-again", "jailctl build arkham.toml");
    run(
        &host,
        "plan-nothing",
        "jailctl plan --exit-code arkham.toml",
    );
    run(&host, "list", "jailctl list");
    run(&host, "show", "jailctl show arkham");
    run(
        &host,
        "why-library",
        "jailctl why arkham $(ls /srv/jails/arkham/usr/lib/*/libtinfo.so.? | head -1)",
    );
    run(&host, "why-link", "jailctl why arkham /bin/ls /bin");
    run(
        &host,
        "why-user",
        "jailctl why arkham /home/harlequin/diary",
    );
    run(&host, "why-nothing", "jailctl why arkham /usr/bin/vi");
    run(&host, "enter", "jailctl enter arkham -- ls /");
    run(&host, "enter-no-program", "jailctl enter arkham -- vi");
    run(&host, "doctor-fine", "jailctl doctor harlequin");

    let key = host.key("joker");
    spec.users = vec![("joker", vec![key.public.trim().to_owned()])];
    spec.binaries = vec!["bash", "ls", "head"];
    spec.more = "[[file]]\ntarget = \"/welcome\"\ncontent = \"Changed.\\n\"\n".to_owned();
    spec.put(&host);
    run(
        &host,
        "plan-changes",
        "jailctl plan --exit-code arkham.toml",
    );
    run(&host, "show-spec-changed", "jailctl show arkham");
    run(
        &host,
        "build-verbose",
        "jailctl build --verbose arkham.toml",
    );

    host.sh("usermod --expiredate 1 joker; chmod g+w /srv/jails")
        .ok();
    run(&host, "doctor-two-reasons", "jailctl doctor joker");
    host.sh("chmod g-w /srv/jails; usermod --expiredate '' joker")
        .ok();

    let mut session = host.login("joker", &key).session();
    session.run("true");
    run(
        &host,
        "remove-while-somebody-is-in",
        "jailctl remove arkham",
    );
    drop(session);
    host.until("[ -z \"$(pgrep -u joker)\" ]");
    run(&host, "remove-dry-run", "jailctl remove --dry-run arkham");
    run(&host, "remove", "jailctl remove arkham");
    run(&host, "list-nothing", "jailctl list");
}

#[disposable::test]
fn what_is_refused_says_what_to_do() {
    let host = host();
    have_user_managers(&host);
    have_essential_services(&host);
    let spec = small(&host);
    let path = spec.put(&host);
    let text = spec.text();
    let with = |from: &str, to: &str| {
        let changed = text.replacen(from, to, 1);
        assert_ne!(changed, text, "{from}");
        host.write(&path, &changed);
    };
    run(&host, "no-such-spec", "jailctl build nowhere.toml");
    with("binaries", "binarys");
    run(&host, "spec-slip", "jailctl build arkham.toml");
    with("\"cat\"", "\"cat\", \"nosuchprogram\", \"passwd\"");
    run(&host, "spec-programs", "jailctl plan arkham.toml");
    with("[[file]]", "[[file]");
    run(&host, "spec-broken", "jailctl plan arkham.toml");
    host.write(&path, &text);
    host.run(["chmod", "666", &path]).ok();
    run(&host, "spec-writable", "jailctl build arkham.toml");
    host.run(["chmod", "644", &path]).ok();
    host.run(["useradd", "harlequin"]).ok();
    run(&host, "account-exists", "jailctl build arkham.toml");
    host.run(["userdel", "harlequin"]).ok();
    host.sh("chmod g+w /srv").ok();
    run(&host, "root-writable", "jailctl build arkham.toml");
    host.sh("chmod g-w /srv").ok();
    host.write("/etc/ssh/sshd_config.d/00-admin.conf", "AllowUsers root\n");
    run(&host, "sshd-shuts-out", "jailctl build arkham.toml");
    host.write("/etc/ssh/sshd_config.d/00-admin.conf", "Nonsense yes\n");
    run(&host, "sshd-broken", "jailctl build arkham.toml");
    run(&host, "doctor-host", "jailctl doctor");
    host.sh("rm /etc/ssh/sshd_config.d/00-admin.conf").ok();
    host.sh("sed -i 's/^Include/#Include/' /etc/ssh/sshd_config")
        .ok();
    run(&host, "sshd-without-include", "jailctl plan arkham.toml");
    host.sh("sed -i 's/^#Include/Include/' /etc/ssh/sshd_config; mkdir /jail")
        .ok();
    run(&host, "shells-on-the-host", "jailctl plan arkham.toml");
    host.sh("rmdir /jail").ok();
    host.jailctl(["build", &path]).ok();
    run(
        &host,
        "locked",
        "flock /run/jailctl/lock jailctl build arkham.toml",
    );
    run(
        &host,
        "full-output",
        "echo '#' >>arkham.toml; jailctl build arkham.toml >/dev/full",
    );
    run(
        &host,
        "not-root",
        "install -m 755 $(command -v jailctl) /tmp/jailctl; setpriv --reuid 65534 --clear-groups /tmp/jailctl show arkham",
    );
    run(&host, "error-json", "jailctl show --json nosuchjail");
    run(&host, "no-such-jail", "jailctl remove nosuchjail");
    run(&host, "doctor-stranger", "jailctl doctor root");
    run(&host, "usage", "jailctl build");
    run(&host, "no-such-verb", "jailctl biuld arkham.toml");
    run(&host, "man-no-such-verb", "jailctl man biuld");
    run(
        &host,
        "init",
        "jailctl init gotham --template sftp && cat gotham.toml",
    );
    run(&host, "init-exists", "jailctl init gotham");
    run(
        &host,
        "init-no-template",
        "jailctl init metropolis --template php7",
    );
    run(&host, "plan-init", "jailctl plan gotham.toml");
    host.write("/root/a.c", "int a(void) { return 1; }\n");
    host.write("/root/b.c", "int a(void); int main(void) { return a(); }\n");
    host.sh(
        "gcc -shared -o liblost.so a.c; gcc -o /usr/local/bin/lost b.c -L. -llost; rm liblost.so",
    )
    .ok();
    run(
        &host,
        "missing-library",
        "sed -i 's/\"cat\"/\"cat\", \"lost\"/' arkham.toml; jailctl build arkham.toml",
    );
}

#[disposable::test]
fn there_are_thirty_of_them() {
    #[expect(clippy::disallowed_methods, reason = "the snapshots as they are")]
    let files = std::fs::read_dir("tests/it/outputs").expect("the snapshots");
    assert!(files.count() >= 30, "at least thirty whole outputs");
}

#[disposable::test]
fn a_page_is_short_however_many_paths_there_are() {
    let host = host();
    have_user_managers(&host);
    have_essential_services(&host);
    let (mut spec, _) = arkham(&host, &[]);
    spec.binaries
        .extend(["/usr/bin/git", "vim", "less", "date"]);
    let page = host.jailctl(["plan", &spec.put(&host)]).ok();
    assert!(page.lines().len() < 60, "{page:?}");
    let all = host.jailctl(["plan", "--verbose", &spec.path()]).ok();
    assert!(all.lines().len() > 500, "{all:?}");
}
