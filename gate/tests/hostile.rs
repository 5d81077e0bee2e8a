//! Command lines of clients against the gate: those of real clients pass, and hostile ones are
//! refused, whatever way in they try.

use jailctl_gate::policy::Command;
use jailctl_gate::{Launch, Mode, Policy, Protocol, Way, decide};

/// A policy with all protocols but `command`, each limited to `/data`.
fn policy(mode: impl Fn(Protocol) -> Mode) -> Policy {
    let ways = [
        (Protocol::Rsync, "/usr/bin/rsync"),
        (Protocol::Scp, "/usr/bin/scp"),
        (Protocol::Git, "/usr/bin/git"),
        (Protocol::Borg, "/usr/bin/borg"),
        (Protocol::Restic, "/usr/bin/rclone"),
        (Protocol::Sftp, "/usr/lib/openssh/sftp-server"),
    ];
    let way = |(protocol, program): (Protocol, &str)| Way {
        protocol,
        command: Command {
            program: program.to_owned(),
            arguments: Vec::new(),
        },
        directory: (protocol != Protocol::Sftp).then(|| "/data".to_owned()),
        mode: mode(protocol),
    };
    Policy {
        user: "ana".to_owned(),
        home: "/home/ana".to_owned(),
        umask: None,
        ways: ways.into_iter().map(way).collect(),
        keys: Vec::new(),
    }
}

fn open() -> Policy {
    policy(|_| Mode::ReadWrite)
}

fn run(policy: &Policy, line: &str) -> Option<String> {
    let launch = decide(policy, Some(line.as_bytes())).ok()?;
    Some(shown(&launch))
}

fn shown(launch: &Launch) -> String {
    let words = launch.arguments[1..].iter();
    let words = words.map(|word| String::from_utf8_lossy(word).into_owned());
    let all: Vec<String> = std::iter::once(launch.program.clone())
        .chain(words)
        .collect();
    all.join(" ")
}

/// Lines that real clients send.
const REAL: [&str; 17] = [
    // rsync 3.2.3, 3.2.7 and 3.4: push, pull, with deletion, to the home, a name with a space.
    "rsync --server -logDtpre.iLsfxC . /data/",
    "rsync --server -vlogDtpre.iLsfxCIvu --delete . /data/x/",
    "rsync --server --sender -vlogDtpre.iLsfxCIvu . /data/a /data/b",
    "rsync --server -logDtpre.iLsfxCIvu --partial-dir .rsync-partial --timeout=60 --log-format=%i . .",
    r"rsync --server -tre.LsfxCIvu --numeric-ids --link-dest ../old . /data/new",
    r"rsync --server --sender -logDtpre.iLsfxCIvu . /data/a\ b",
    "rsync --server --sender -re.iLsfxCIvu --files-from=- --from0 . /data/",
    "git-upload-pack '/data/x.git'",
    "git-receive-pack 'x.git'",
    "git upload-archive '/data/it'\\''s'",
    "borg serve --umask=077 --info",
    "borg serve --debug --debug-topic=repository",
    "scp -r -t /data/x",
    "scp -v -p -f -- /data/x /data/y",
    "rclone serve restic --stdio --b2-hard-delete repo",
    "serve restic --stdio --b2-hard-delete /data/repo",
    "/usr/lib/openssh/sftp-server -l INFO",
];

#[test]
fn lines_of_real_clients_pass() {
    let open = open();
    for line in REAL {
        let refused = line.contains("../old");
        assert_eq!(run(&open, line).is_none(), refused, "{line}");
    }
    for (line, expected) in [
        (
            r"rsync --server --sender -logDtpre.iLsfxCIvu . /data/a\ b",
            "/usr/bin/rsync --server --sender -logDtpre.iLsfxCIvu . /data/a b",
        ),
        (
            "git-upload-pack '/data/x.git'",
            "/usr/bin/git upload-pack /data/x.git",
        ),
        (
            "borg serve --umask=077 --info",
            "/usr/bin/borg serve --info --restrict-to-path /data",
        ),
        ("scp -r -t /data/x", "/usr/bin/scp -rt -- /data/x"),
        (
            "serve restic --stdio --b2-hard-delete repo",
            "/usr/bin/rclone serve restic --stdio -- repo",
        ),
        (
            "/usr/lib/openssh/sftp-server -l INFO -d /",
            "/usr/lib/openssh/sftp-server",
        ),
        ("internal-sftp", "/usr/lib/openssh/sftp-server"),
    ] {
        assert_eq!(run(&open, line).as_deref(), Some(expected), "{line}");
    }
}

#[test]
fn modes_limit_each_protocol() {
    let read = policy(|_| Mode::ReadOnly);
    let write = policy(|_| Mode::WriteOnly);
    let append = policy(|_| Mode::AppendOnly);
    for (policy, line, is_allowed) in [
        (&read, "rsync --server -re.iLsfxC . /data/", false),
        (&read, "rsync --server --sender -re.iLsfxC . /data/", true),
        (
            &read,
            "rsync --server --sender -re.iLsfxC --remove-source-files . /data/",
            false,
        ),
        (&read, "git-receive-pack '/data/x'", false),
        (&read, "git-upload-pack '/data/x'", true),
        (&read, "scp -t /data/x", false),
        (&read, "scp -f /data/x", true),
        (&write, "scp -f /data/x", false),
        (&write, "scp -t /data/x", true),
        (&write, "rsync --server --sender -re.iLsfxC . /data/", false),
        (&write, "rsync --server -re.iLsfxC . /data/", true),
        (&append, "rsync --server --sender -re.iLsfxC . /data/", true),
        (
            &append,
            "rsync --server --sender -re.iLsfxC --remove-source-files . /data/",
            false,
        ),
        (
            &append,
            "rsync --server -re.iLsfxC --remove-source-files . /data/",
            true,
        ),
    ] {
        assert_eq!(run(policy, line).is_some(), is_allowed, "{line}");
    }
    for option in [
        "--delete",
        "--delete-after",
        "--delete-missing-args",
        "--inplace",
        "--append",
        "--force",
        "--backup-dir=/data/x",
        "--partial-dir=/data/x",
        "--delay-updates",
    ] {
        let line = format!("rsync --server -re.iLsfxC {option} . /data/");
        assert_eq!(run(&append, &line), None, "{line}");
    }
    assert_eq!(
        run(&append, "rsync --server -re.iLsfxC . /data/").as_deref(),
        Some("/usr/bin/rsync --server -re.iLsfxC --ignore-existing . /data/")
    );
    assert_eq!(
        run(&append, "borg serve").as_deref(),
        Some("/usr/bin/borg serve --append-only --restrict-to-path /data")
    );
    assert_eq!(
        run(&append, "serve restic --stdio /data/x").as_deref(),
        Some("/usr/bin/rclone serve restic --stdio --append-only -- /data/x")
    );
}

/// Endings that a shell would interpret.
const ENDINGS: [&str; 22] = [
    ";id",
    "; id",
    "&id",
    "&& id",
    "|id",
    "|| id",
    " `id`",
    " $(id)",
    " ${IFS}id",
    "\nid",
    "\r\nid",
    "\n",
    " >/tmp/x",
    " </etc/passwd",
    " 2>&1",
    " *",
    " ?",
    " [a]",
    " {a,b}",
    " !x",
    " # x",
    " (id)",
];
/// Words that are no part of any line of a client.
const WORDS: [&str; 10] = [
    "--config=/data/x",
    "--daemon",
    "--rsh=id",
    "-e",
    "--rsync-path=id",
    "--upload-pack=id",
    "--exec=id",
    "-oProxyCommand=id",
    "-S/data/x",
    "--log-file=/data/x",
];
/// Lines of one way or another that are hostile as they are.
const WHOLE: [&str; 102] = [
    // No shell, and no other program.
    "",
    " ",
    "bash",
    "sh -c id",
    "/bin/sh",
    "exec sh",
    "id",
    "ls /",
    "cat /etc/passwd",
    "env",
    "env rsync --server . /data",
    "nice rsync --server . /data",
    "LANG=C rsync --server . /data",
    "LD_PRELOAD=/data/x.so borg serve",
    "sudo rsync --server . /data",
    "./rsync --server . /data",
    "/data/rsync --server . /data",
    "/usr/local/bin/rsync --server . /data",
    "RSYNC --server . /data",
    "rsync\u{a0}--server . /data",
    "'rsync --server . /data'",
    "rsync --server . '/data",
    "\\",
    "\"",
    "rsync --server . /data\\",
    "gate",
    "ways",
    "key 0",
    "-c id",
    "git-shell",
    "internal-sftp-x",
    "sftp",
    "ssh host",
    "scp a b:",
    "rsync a b:",
    "mosh-server new",
    // rsync: not a server, options of other roles, paths.
    "rsync",
    "rsync --daemon",
    "rsync --server",
    "rsync --server --daemon .",
    "rsync -a /data /x",
    "rsync --server --server . /data",
    "rsync --sender --server . /data",
    "rsync --server .",
    "rsync --server . /data /data",
    "rsync --server . -- --daemon",
    "rsync --server . --daemon",
    "rsync --server -e id . /data",
    "rsync --server -e.x;id . /data",
    "rsync --server -eid/x . /data",
    "rsync --server -s .",
    "rsync --server -logDtpres . /data",
    "rsync --server --secluded-args . /data",
    "rsync --server --protect-args . /data",
    "rsync --server --write-devices . /data",
    "rsync --server --copy-devices . /data",
    "rsync --server --no-munge-links . /data",
    "rsync --server -L . /data",
    "rsync --server -K . /data",
    "rsync --server -k . /data",
    "rsync --server -re.x . /",
    "rsync --server -re.x . /data/..",
    "rsync --server -re.x . ../x",
    "rsync --server -re.x . /database",
    "rsync --server -re.x . ~",
    "rsync --server --sender -re.x . /data /etc",
    "rsync --server --backup-dir=/x . /data",
    "rsync --server --backup-dir /x . /data",
    "rsync --server --backup-dir=--daemon . /data",
    "rsync --server --backup-dir --daemon . /data",
    "rsync --server --temp-dir=/data/../x . /data",
    "rsync --server --files-from=/etc/passwd . /data",
    "rsync --server --files-from=:/data/x . /data",
    "rsync --server --suffix=/x . /data",
    "rsync --server --delete=x . /data",
    "rsync --server --early-input=/data/x . /data",
    "rsync --server --password-file=/data/x . /data",
    "rsync --server --write-batch=/data/x . /data",
    "rsync --server - . /data",
    "rsync --server -- . /data",
    "rsync --server -B1x . /data",
    // git
    "git",
    "git log",
    "git-upload-pack",
    "git-upload-pack --strict '/data/x'",
    "git-upload-pack -h",
    "git-upload-pack '--upload-pack=id'",
    "git-upload-pack 'ext::id'/..",
    "git-upload-pack '/x'",
    "git-upload-pack '~/x'",
    "git -c core.pager=id upload-pack '/data'",
    "git-shell -c id",
    "git-upload-pack '/data/x' '/data/y'",
    "git --exec-path=/data upload-pack /data/x",
    // borg, restic, scp
    "borg",
    "borg --version",
    "borg serve --restrict-to-path /",
    "borg serve --umask=077 --rsh=id",
    "rclone lsd /data",
    "rclone serve http /data",
    "serve restic --stdio :sftp,ssh=id:/data",
    "serve restic --stdio --config=/data/x /data/y",
];

#[test]
fn hostile_lines_are_refused() {
    let open = open();
    let mut count = 0;
    let mut refused = |line: &str| {
        count += 1;
        assert_eq!(run(&open, line), None, "{line:?}");
    };
    for line in WHOLE {
        refused(line);
    }
    for line in REAL {
        for ending in ENDINGS {
            refused(&format!("{line}{ending}"));
        }
        // The sftp server gets no options of the client; behind `--` a path may have any name.
        if !line.contains("sftp-server") && !line.contains(" -f ") {
            for word in WORDS {
                refused(&format!("{line} {word}"));
            }
        }
    }
    assert!(count >= 300, "{count}");
}

#[test]
fn long_lines_are_taken_or_refused_as_a_whole() {
    let open = open();
    let many = format!(
        "rsync --server --sender -re.x .{}",
        " /data/x".repeat(12_000)
    );
    assert!(many.len() > 90_000);
    assert_eq!(
        run(&open, &many).map(|line| line.len() > 90_000),
        Some(true)
    );
    assert_eq!(run(&open, &format!("{many} /etc")), None);
    assert_eq!(run(&open, &many.repeat(2)), None);
    let refusal = decide(&open, Some(many.repeat(2).as_bytes())).expect_err("too long");
    let text = refusal.to_string();
    assert!(text.len() < 600 && !text.contains('\n'), "{text}");
}

#[test]
fn a_refusal_says_what_is_allowed_in_one_line() {
    let mut policy = policy(|_| Mode::AppendOnly);
    policy.ways.truncate(1);
    let refusal = decide(&policy, Some(b"ls\n\x1b[31m")).expect_err("refused");
    assert_eq!(
        refusal.to_string(),
        "`ls\\n\\x1b[31m`: it has more than one line; this account allows only rsync append-only in /data"
    );
    let refusal = decide(&policy, None).expect_err("refused");
    assert_eq!(
        refusal.to_string(),
        "there is no shell; this account allows only rsync append-only in /data"
    );
}

#[test]
fn a_command_takes_what_no_other_way_takes() {
    let mut policy = open();
    policy.ways.truncate(1);
    policy.ways.push(Way {
        protocol: Protocol::Command,
        command: Command {
            program: "/usr/bin/menu".to_owned(),
            arguments: vec!["--for".to_owned(), "ana; id".to_owned()],
        },
        directory: None,
        mode: Mode::ReadWrite,
    });
    for line in [None, Some("id; reboot"), Some("rsync --daemon"), Some("\n")] {
        let launch = decide(&policy, line.map(str::as_bytes)).expect("the command");
        assert_eq!(shown(&launch), "/usr/bin/menu --for ana; id");
        assert_eq!(launch.limits, None);
    }
    let line = b"rsync --server -re.x . /data";
    let launch = decide(&policy, Some(line)).expect("rsync");
    assert_eq!(launch.program, "/usr/bin/rsync");
}
