//! Hostile specs: too large, too deep, not UTF-8, secrets in wrong places. No panic, no long run
//! time, no leak of secrets.

use std::time::Duration;

use proptest::prelude::*;

use super::super::display::is_hidden;
use super::*;
use crate::show::diagnostic::render;

/// Loads and renders a spec; checks that the output is short and has no hidden characters.
fn refuse(spec: &str) -> String {
    match load_text(spec) {
        Ok(_) => String::new(),
        Err(error) => {
            let shown = render(&error, false);
            assert!(!error.findings.is_empty());
            assert!(error.findings.len() <= 100);
            assert!(shown.lines().count() <= 60, "{shown}");
            assert!(
                shown.chars().all(|c| c == '\n' || !is_hidden(c)),
                "{shown:?}"
            );
            shown
        }
    }
}

/// CPU time of this thread: wall clock time depends on other processes.
fn on_processor() -> Duration {
    #[expect(clippy::disallowed_methods, reason = "the kernel's own count")]
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").expect("the kernel's count");
    let spent = text.split(' ').next().and_then(|word| word.parse().ok());
    Duration::from_nanos(spent.expect("a number of nanoseconds"))
}

#[test]
fn bombs_are_refused_soon() {
    let mib = super::super::MAX;
    let lines = |line: &str| line.repeat(mib / line.len());
    let numbered =
        |make: fn(usize) -> String, count: usize| (0..count).map(make).collect::<String>();
    for bomb in [
        format!("a={}", "[".repeat(mib - 2)),
        format!("binaries={}", "[".repeat(mib - 10)),
        format!("a={}", "{a=".repeat(mib / 4)),
        format!("[{}a]", "a.".repeat(mib / 2 - 2)),
        "[".repeat(mib),
        "a.".repeat(mib / 2),
        "=".repeat(mib),
        "\"".repeat(mib),
        "'".repeat(mib),
        "\r".repeat(mib),
        "\n".repeat(mib),
        "\u{202e}".repeat(mib / 3),
        "\u{202e}\n".repeat(mib / 4),
        "#".repeat(mib),
        "a".repeat(mib),
        "$".repeat(mib),
        lines("password=\n"),
        lines("PRIVATE KEY-----"),
        lines("a=1\n"),
        lines("a.b.c=1\n"),
        lines("[a.b.c.d.e.f.g.h.i.j]\n"),
        lines("[[user]]\n"),
        lines("[[user]]\nname='u'\n"),
        lines("[[user]]\nx=\n"),
        lines("[[dir]]\npath='/d'\n"),
        lines("user=[\n"),
        numbered(|n| format!("k{n}=1\n"), 80_000),
        numbered(|n| format!("nam{n}=1\n"), 80_000),
        format!(
            "name='a'\nuser=[{}]",
            numbered(|n| format!("{{name='u{n}'}},"), 45_000)
        ),
        format!(
            "name='a'\nuser=[{}]\nfile=[{}]",
            numbered(|n| format!("{{name='u{n}',home='/h/{n}'}},"), 14_000),
            numbered(|n| format!("{{target='/f/{n}',content=''}},"), 14_000)
        ),
        format!(
            "name='a'\nbinaries=[{}]",
            numbered(|n| format!("'b{n}',"), 100_000)
        ),
        format!("name='a'\nbinaries=[{}]", "'x',".repeat(mib / 4 - 10)),
        format!("name='{}'", "a".repeat(mib - 10)),
        format!(
            "name='a'\n[[user]]\nname='u'\nauthorized_keys=['{}']",
            "a".repeat(mib - 100)
        ),
        format!(
            "name='a'\n[[user]]\nname='u'\nauthorized_keys=['{}']",
            ",\"".repeat(mib / 2 - 50)
        ),
        format!(
            "name='a'\n[[file]]\ncontent=''\ntarget='{}'",
            "/a".repeat(mib / 2 - 50)
        ),
        "a=1\n".repeat(mib),
    ] {
        let begun = on_processor();
        refuse(&bomb);
        let took = on_processor().saturating_sub(begun);
        let start: String = bomb.chars().take(40).collect();
        // Far more than it takes, even in a slow build; work that grows with the square would take
        // minutes.
        assert!(took < Duration::from_secs(8), "{start:?} took {took:?}");
    }
}

#[test]
fn files_that_are_no_text_are_refused() {
    let refused = |bytes: &[u8]| {
        let error = source("evil\u{1b}.toml", bytes.to_vec()).expect_err("no text");
        render(&error, false)
    };
    insta::assert_snapshot!(refused(b"name = \"a\"\nroot = \"/srv/\xff\xfe\"\n"), @r#"
    error: `evil\u{1b}.toml` is not UTF-8: it has the byte 0xff at offset 24
     --> evil\u{1b}.toml:2:14
      |
    2 | root = "/srv/��"
      |              ^ not UTF-8 from here
      |
      = hint: save the file as UTF-8 without a byte order mark
    "#);
    insta::assert_snapshot!(refused(b"\xff\xfen\0a\0m\0e\0"), @r#"
    error: `evil\u{1b}.toml` is not UTF-8: it has the byte 0xff at offset 0
     --> evil\u{1b}.toml:1:1
      |
    1 | ��n␀a␀m␀e␀
      | ^ not UTF-8 from here
      |
      = hint: save the file as UTF-8 without a byte order mark
    "#);
    insta::assert_snapshot!(refused(&vec![b'#'; super::super::MAX + 1]), @r#"
    error: `evil\u{1b}.toml` is too large: specs and templates are limited to 1 MiB
    hint: put long texts into files, and use `source` instead of `content`
    "#);
    assert!(source("x", vec![b'#'; super::super::MAX]).is_ok());
}

const PASSWORD: &str = "Tr0ub4dor&3";
const HASH: &str = "$6$saltsalt$qFmFH.bQmmtXzyBY0s9v7Oicd2z4XSIecDzlB5KiA2/jctKu9YterLp8wwnSq.qc.eoxqOmSuNp2xS0ktL3nh/";
const KEY: &str = "b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAAMwAAAAtzc2gtZW";

#[test]
fn secrets_are_never_shown() {
    let pem =
        format!("-----BEGIN OPENSSH PRIVATE KEY-----\\n{KEY}\\n-----END OPENSSH PRIVATE KEY-----");
    for lines in [
        format!("[[user]]\nname='u'\npassword='{PASSWORD}'"),
        format!("[[user]]\nname='u'\npassword=\"{PASSWORD}"),
        format!("[[user]]\nname='u'\npassword={PASSWORD}"),
        format!("[[user]]\nname='u'\npassword=['{PASSWORD}']"),
        format!("[[user]]\nname='u'\npassword={{ x = '{PASSWORD}' }}"),
        format!("[[user]]\nname='u'\npasword='{PASSWORD}'"),
        format!("[[user]]\nname='u'\npasswd='{PASSWORD}'"),
        format!("[[user]]\nname='u'\nPassword='{PASSWORD}'"),
        format!("[[user]]\nname='u'\n\"pass\\u0077ord\"='{PASSWORD}'"),
        format!("[[user]]\nname='u'\npassword='''\n{PASSWORD}'''"),
        format!("[[user]]\nname='u'\npassword='''\n{PASSWORD}"),
        format!("user=[{{name='U', password='{PASSWORD}', oops=1}}]"),
        format!("user=[{{name='U', password='{HASH}', oops=1}}]"),
        format!("[[user]]\nname='u'\nshell='{HASH}'"),
        format!("[[user]]\nname='u'\nuid=1 # {HASH}"),
        format!("[[user]]\nname='u'\npassword='{HASH} '"),
        format!("password='{PASSWORD}'"),
        format!("[[user]]\nname='u'\nauthorized_keys=[\"{pem}\"]"),
        format!("[[user]]\nname='u'\nauthorized_keys=\"{pem}\""),
        format!(
            "[[user]]\nname='u'\nauthorized_keys=['''{}''']",
            pem.replace("\\n", "\n")
        ),
        format!("[[user]]\nname=\"{pem}\""),
        pem.replace("\\n", "\n"),
    ] {
        let error = load_text(&format!("name='a'\n{lines}\n")).expect_err(&lines);
        for said in [
            render(&error, false),
            render(&error, true),
            error.to_string(),
            format!("{error:?}"),
        ] {
            for secret in [PASSWORD, HASH, KEY] {
                assert!(!said.contains(secret), "{lines}\n{said}");
            }
        }
    }
}

#[test]
fn a_hash_is_kept_but_not_in_any_text() {
    let spec = load_text(&format!(
        "name='a'\n[[user]]\nname='u'\npassword='{HASH}'\n"
    ))
    .expect("good");
    assert_eq!(
        spec.users[0].password.value,
        Password::Hash(HASH.to_owned())
    );
    assert!(!format!("{spec:?}").contains(HASH));
    assert!(!spec.name.span.source.text.contains(HASH));
    assert_eq!(spec.users[0].password.span.to_string(), "test.toml:4");
}

/// Fragments of specs, valid and invalid.
const PIECES: &[&str] = &[
    "name",
    "root",
    "=",
    "\"",
    "'",
    "'''",
    "\"\"\"",
    "[",
    "]",
    "[[",
    "]]",
    "{",
    "}",
    ",",
    ".",
    "\n",
    "\r\n",
    "#",
    "\\",
    "\\u202e",
    "user",
    "[[user]]\n",
    "[sshd]\n",
    "[[file]]\n",
    "[[dir]]\n",
    "name = \"a\"\n",
    "password = ",
    "\"$6$a$b\"",
    "/",
    "..",
    "%u",
    "é",
    "\u{202e}",
    "\u{1b}",
    "1",
    "-",
    "true",
    "2027-01-31",
    "allow",
    "[\"shell\"]",
    "content",
    "target",
    "templates = [\"shell\"]\n",
    "binaries = [\"bash\"]\n",
    "ssh-ed25519 AAAA",
    " ",
    "\t",
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_text_makes_it_panic(text in any::<String>()) {
        refuse(&text);
    }

    #[test]
    fn no_text_of_pieces_makes_it_panic(pieces in prop::collection::vec(prop::sample::select(PIECES), 0..40)) {
        refuse(&pieces.concat());
    }

    #[test]
    fn no_slip_in_a_good_spec_makes_it_panic(at in 0..ARKHAM.len(), length in 0..40_usize, piece in prop::sample::select(PIECES)) {
        let bytes = ARKHAM.as_bytes();
        let end = (at + length).min(bytes.len());
        let broken = [&bytes[..at], piece.as_bytes(), &bytes[end..]].concat();
        if let Ok(source) = source("x", broken) {
            refuse(&source.text);
        }
    }

    #[test]
    fn no_password_is_shown(password in "[!-~]{8,20}", before in prop::sample::select(PIECES), after in prop::sample::select(PIECES)) {
        prop_assume!(!password.contains(['"', '\\', '\'']));
        let shown = refuse(&format!("name='A'\n[[user]]\nname='u'\npassword = \"{password}\"{after}\n{before}\n"));
        prop_assert!(!shown.contains(&password), "{}", shown);
    }
}
