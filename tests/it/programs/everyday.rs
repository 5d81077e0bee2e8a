//! Everyday checks of a jail whose spec names programs and nothing else. Jailkit, lddtree, dracut
//! and a copy of ldd's list pass 11 to 14 of these 24.

use disposable::{DisposableHost, Login};

use crate::support::{Spec, arkham, certify, host, serve_tls, type_into};

/// Programs of an account for work on web sites, and usual commands.
const PROGRAMS: &str = "bash sh ls cat cp mv rm mkdir rmdir ln chmod touch head tail cut sort uniq wc tr tee date echo printf env id whoami pwd sleep true false \
    test du df stat basename dirname readlink realpath seq md5sum sha256sum grep egrep sed awk find xargs diff clear tput more less nano vim vi tar gzip gunzip \
    zcat bzip2 xz zip unzip rsync scp sftp ssh git git-upload-pack git-receive-pack curl file";

/// Name, command, and a part of its output if it works. Standard error is part of the output.
const COMMANDS: [(&str, &str, &str); 20] = [
    ("a shell and ls", "cd / && ls", "usr"),
    ("the accounts", "cat /etc/passwd", "harlequin:x:"),
    ("who one is", "id -un && id -gn", "harlequin\njail-arkham"),
    ("nothing", "echo x >/dev/null && echo kept", "kept"),
    (
        "an ordinary user reads",
        "head -c 4 /usr/bin/ls | tail -c 3",
        "ELF",
    ),
    ("sh", "printf 'echo $((6*7))\\n' >s && sh s", "42"),
    (
        "egrep",
        "egrep -o 'har(l)e' /etc/passwd | head -n 1",
        "harle",
    ),
    (
        "gunzip",
        "echo packed | gzip >p.gz && gunzip -c p.gz && zcat p.gz",
        "packed\npacked",
    ),
    ("awk", "awk 'BEGIN { print 6*7 }'", "42"),
    (
        "tar",
        "mkdir -p t && echo x >t/x && tar -cJf t.tar.xz t && tar -tf t.tar.xz",
        "t/x",
    ),
    (
        "sort and sums",
        "printf 'b\\na\\n' | sort | sha256sum",
        "911169ddaaf1",
    ),
    (
        "packers",
        "echo y >y; bzip2 -k y && xz -k y && zip -q y.zip y && unzip -t y.zip",
        "No errors",
    ),
    ("tput", "TERM=xterm-256color tput colors", "256"),
    ("tmux's terminal", "TERM=tmux-256color tput colors", "256"),
    (
        "git",
        "git init -q one && cd one && git -c user.name=h -c user.email=h commit -q --allow-empty -m x && git clone -q file://$PWD ../two && git -C ../two log --format=%s",
        "x",
    ),
    (
        "rsync",
        "mkdir -p r/a && echo z >r/a/z && rsync -a r/ s2/ && cat s2/a/z",
        "z",
    ),
    ("ssh", "ssh -G gotham", "hostname gotham"),
    (
        "file",
        r"printf '\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x20\0\0\0\x10\x08\x06\0\0\0' >i; file i",
        "PNG image data, 32 x 16",
    ),
    ("https", "curl -sS https://localhost:8443/", "s_server"),
    (
        "time zones",
        "TZ=Europe/Berlin date -d '2026-07-01 12:00 UTC' +%H:%M%Z",
        "14:00CEST",
    ),
];

/// Names of the checks that fail.
fn failures(host: &DisposableHost, user: &Login<'_>) -> Vec<&'static str> {
    let mut failed = Vec::new();
    for (name, command, says) in COMMANDS {
        let said = user.ssh(&format!("{{ {command}; }} 2>&1"));
        if !said.success() || !said.stdout().contains(says) {
            failed.push(name);
        }
    }
    if !user.sftp("pwd").success() {
        failed.push("sftp");
    }
    let terminal = |name, command: &str, keys: &str, says: &str| {
        let said = type_into(host, user, command, keys);
        let works = said.stdout().contains(says) && said.stdout().contains("\u{1b}[");
        (!works).then_some(name)
    };
    std::thread::scope(|scope| {
        let checks = [
            ("nano", "nano n && cat n", "riddle\\017\\r\\030", "riddle"),
            ("vim", "vim v && cat v", "ienigma\\033:wq\\r", "enigma"),
            ("less", "less /etc/passwd", " q", "harlequin"),
        ]
        .map(|(name, command, keys, says)| {
            scope.spawn(move || terminal(name, command, keys, says))
        });
        for check in checks {
            failed.extend(check.join().expect("the check ends"));
        }
    });
    failed
}

/// Overrides every rule of jailctl with an empty one.
fn without_rules(host: &DisposableHost) {
    let mut none = String::new();
    for line in include_str!("../../../src/resolve/rules/builtin.toml").lines() {
        if line.starts_with("name = ") {
            none.push_str("[[rule]]\n");
            none.push_str(line);
            none.push('\n');
        }
    }
    host.write("/etc/jailctl/rules.d/none.toml", &none);
}

#[disposable::test]
#[expect(clippy::print_stderr, reason = "the score is to be seen")]
fn named_programs_pass_24_of_24_everyday_checks() {
    let host = host();
    certify(&host);
    let _server = serve_tls(&host, "friend", "8443");
    let programs: Vec<&str> = PROGRAMS.split_whitespace().collect();
    let (spec, harlequin) = arkham(&host, &programs);
    let _sshd = host.sshd();
    let failed = failures(&host, &harlequin);
    let count = COMMANDS.len() + 4;
    eprintln!("everyday checks: {} of {count}", count - failed.len());
    assert_eq!((count, failed), (24, Vec::new()));

    // Without rules the checks fail, which also proves that they can fail.
    without_rules(&host);
    let spec = Spec {
        more: String::new(),
        ..spec
    };
    spec.build(&host).ok();
    let failed = failures(&host, &harlequin);
    eprintln!("without the rules: {} of {count}", count - failed.len());
    for name in [
        "tput",
        "tmux's terminal",
        "nano",
        "file",
        "https",
        "time zones",
    ] {
        assert!(failed.contains(&name), "{name} is not in {failed:?}");
    }
}
