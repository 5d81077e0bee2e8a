//! A family on a host that is not the running one: `--root`.

use crate::family::{SNIPPET, acme, put, titles};
use crate::support::{host, look};

#[disposable::test]
fn a_family_below_root_option() {
    const OTHER: &str = "/root/other";
    let host = host();
    crate::builds::second_host(&host);
    // There alone: ids chosen by the running host's accounts would be seen.
    host.sh("useradd --prefix /root/other --uid 1500 -U lucius")
        .ok();
    let key = host.key("key");
    let mut spec = acme(&[("alice", &key), ("bob", &key)]);
    let path = put(&spec, &host);
    let running = look(&host);
    let other = || {
        let all = host.snapshot([OTHER]);
        all.without(|path| {
            let names = ["passwd-", "group-", "shadow-", "gshadow-", ".pwd.lock"];
            names.iter().any(|name| path.ends_with(name)) || path.contains("/run/jailctl")
        })
    };
    let before = other();
    let there = |words: &[&str]| {
        host.run(
            ["jailctl"]
                .iter()
                .chain(words)
                .chain(&["--root", OTHER])
                .copied(),
        )
    };
    let number = |user: &str| {
        let line = host.sh(&format!("grep '^{user}:' {OTHER}/etc/passwd")).ok();
        line.text().split(':').nth(2).expect("an id").to_owned()
    };

    let planned = there(&["plan", &path]).ok();
    there(&["plan", "--exit-code", &path]).exits(1);
    assert_eq!(before.diff(&other()), Vec::<String>::new());
    let count = |what: &str| planned.stdout().matches(what).count();
    assert_eq!(count("jail-acme (gid"), 1, "{planned:?}");
    assert_eq!(count("+Match Group jail-acme"), 1, "{planned:?}");
    there(&["build", &path]).ok();
    for (user, uid) in [("alice", "1501"), ("bob", "1502")] {
        assert_eq!(number(user), uid);
        let told = format!("{user} (uid {uid})");
        assert!(planned.stdout().contains(&told), "{told}: {planned:?}");
        let root = format!("{OTHER}/srv/jails/{user}");
        assert_eq!(host.sh(&format!("ls {root}/home")).ok().text(), user);
        let owner = host.run(["stat", "-c", "%u", &format!("{root}/home/{user}")]);
        assert_eq!(owner.ok().text(), uid);
        assert!(host.has(&format!("{OTHER}/var/lib/jailctl/acme.{user}/keys/{user}")));
    }
    // The snippet is for the time when that host runs: its paths do not contain the directory.
    let snippet = host.read(&format!("{OTHER}{SNIPPET}"));
    for line in [
        "    ChrootDirectory /srv/jails/%u",
        "    AuthorizedKeysFile /var/lib/jailctl/acme.%u/keys/%u",
    ] {
        assert!(snippet.lines().any(|one| one == line), "{line}: {snippet}");
    }
    assert!(!snippet.contains(OTHER), "{snippet}");
    let intact = "acme.alice: unchanged\nacme.bob: unchanged\n";
    assert_eq!(there(&["check"]).ok().stdout(), intact);
    assert_eq!(there(&["check", "acme"]).ok().stdout(), intact);
    let nothing = "acme.alice: nothing to do\nacme.bob: nothing to do\n";
    assert_eq!(there(&["build", &path]).ok().stdout(), nothing);
    assert_eq!(
        titles(there(&["plan", "--exit-code", &path]).ok().stdout()),
        nothing
    );
    let shown = there(&["show", "acme.bob"]).ok();
    assert!(shown.stdout().contains("/srv/jails/bob"), "{shown:?}");

    // Drift of one member is reported for that member, and fixed there.
    host.sh(&format!("printf x >>{OTHER}/srv/jails/bob/etc/passwd"))
        .ok();
    let checked = there(&["check", "acme"]).exits(1);
    assert!(
        checked
            .stdout()
            .starts_with("acme.alice: unchanged\nacme.bob: 1 difference"),
        "{checked:?}"
    );
    let updated = there(&["update", "acme"]).ok();
    assert!(
        updated
            .stdout()
            .starts_with("acme.alice: nothing to do\nacme.bob: built"),
        "{updated:?}"
    );

    // One who is dropped, and is there again.
    let bobs = number("bob");
    host.write(&format!("{OTHER}/srv/jails/bob/home/bob/note"), "mine\n");
    spec.users.pop();
    put(&spec, &host);
    let told = there(&["build", &path]).ok();
    assert!(
        told.stdout().contains("acme.bob: removed\n")
            && told.stderr().contains("`/srv/jails/bob/home/bob` stays"),
        "{told:?}"
    );
    host.sh(&format!("grep '^bob:' {OTHER}/etc/passwd")).fails();
    assert_eq!(there(&["check"]).ok().stdout(), "acme.alice: unchanged\n");
    there(&["rollback", "acme"]).ok();
    assert_eq!(number("bob"), bobs);
    let note = host.read(&format!("{OTHER}/srv/jails/bob/home/bob/note"));
    assert_eq!(note, "mine\n");
    assert_eq!(there(&["check"]).ok().stdout(), intact);

    let removed = there(&["remove", "--purge", "acme"]).ok();
    assert!(
        removed.stdout().starts_with(
            "acme.alice: removed\nacme.bob: removed\nlooked for, and not found: account alice, "
        ),
        "{removed:?}"
    );
    assert_eq!(before.diff(&other()), Vec::<String>::new());
    assert_eq!(running.diff(&look(&host)), Vec::<String>::new());
    assert_eq!(host.jailctl(["list"]).ok().stdout(), "");
}
