//! Findings A5 and C3: sources and configuration in directories where a host user can exchange
//! them.

use disposable::DisposableHost;

use crate::support::{Spec, host, look};

/// The content of a file that only root may read.
const SECRET: &str = "the token of root";

/// A copy with the account joe, and with a secret file of root.
fn host_of_joe() -> DisposableHost {
    let host = host();
    host.plain_user("joe");
    host.sh(&format!(
        "mkdir -m 700 /root/secret; echo '{SECRET}' >/root/secret/key; chmod 600 /root/secret/key
        chmod 755 /home/joe"
    ))
    .ok();
    host
}

/// A spec that takes `source`, with further lines.
fn taking(host: &DisposableHost, source: &str, more: &str) -> Spec {
    host.sh("rm -f /run/keys/harlequin*").ok();
    let key = host.key("harlequin");
    let mut spec = Spec::arkham(&key, &[]);
    // A file is not exchanged for a directory.
    let target = if source.ends_with("site") {
        "/srv/tree"
    } else {
        "/srv/taken"
    };
    spec.more = format!("[[file]]\nsource = {source:?}\ntarget = {target:?}\n{more}\n");
    spec
}

/// Sees that a build is refused with these words, changes nothing and takes no secret along.
#[track_caller]
fn is_refused(host: &DisposableHost, spec: &Spec, words: &[&str]) {
    let path = spec.put(host);
    let before = look(host);
    let refused = host.jailctl(["build", &path]).exits(2);
    for word in words {
        assert!(refused.stderr().contains(word), "{word}: {refused:?}");
    }
    assert_eq!(before.diff(&look(host)), Vec::<String>::new());
    let found = host.sh(&format!("grep -rls '{SECRET}' /srv/jails || true"));
    assert_eq!(found.ok().text(), "");
}

#[disposable::test]
fn a5_a_source_that_somebody_else_can_exchange_brings_no_secret_along() {
    let host = host_of_joe();
    host.sh(
        "cd /home/joe; mkdir site private; echo page >site/page; chown -R joe site
        # Links of joe's, also one where the directory is root's, and root's own in a place of joe's.
        ln -s /root/secret/key conf; ln -s /root/secret dir; chown -h joe conf dir
        ln -s /root/secret/key roots; ln -s /home/joe/roots /root/chain
        ln -s /root/secret/key /srv/pub; chown -h joe /srv/pub
        su joe -c 'ln -s /root/secret/key /tmp/conf'
        # As joe could where fs.protected_hardlinks is 0.
        ln /root/secret/key hard; chmod 604 /root/secret/key; ln /root/secret/key site/hard
        # A directory of root's with a file that everybody could read who came there.
        chmod 700 private; cp /root/secret/key private; chmod 644 private/key; su joe -c 'mv private mine'
        # A secret that root put there.
        mkdir twice; cp /root/secret/key twice; chmod 600 twice/key; chown joe twice",
    )
    .ok();
    let cases = [
        ("/home/joe/conf", "put `/home/joe/conf` there"),
        ("/home/joe/dir/key", "put `/home/joe/dir` there"),
        ("/home/joe/roots", "put `/home/joe/roots` there"),
        ("/root/chain", "put `/home/joe/roots` there"),
        ("/srv/pub", "the link `/srv/pub` belongs to the user id"),
        ("/tmp/conf", "put `/tmp/conf` there"),
        ("/home/joe/hard", "3 names (hard links)"),
        ("/home/joe/site", "`/home/joe/site/hard`"),
        ("/home/joe/mine", "nor readable by all users"),
        ("/home/joe/mine/key", "put `/home/joe/mine` there"),
        ("/home/joe/twice", "`/home/joe/twice/key`"),
        ("/home/joe/twice/key", "neither that user's nor readable"),
    ];
    // Each is a finding of its own, with `mode` and without it.
    for mode in ["", "mode = \"0644\""] {
        for cases in cases.chunks(4) {
            let mut spec = taking(&host, "/home/joe/dir", mode);
            let table = |(n, (source, _)): (usize, &(&str, &str))| {
                format!("[[file]]\nsource = {source:?}\ntarget = \"/srv/{n}\"\n{mode}\n")
            };
            let tables: Vec<String> = cases.iter().enumerate().map(table).collect();
            spec.more += &tables.concat();
            let words: Vec<&str> = cases.iter().map(|(_, words)| *words).collect();
            is_refused(&host, &spec, &words);
        }
    }
}

#[disposable::test]
fn a5_sources_that_are_what_they_seem_are_taken() {
    let host = host_of_joe();
    host.sh(
        "cd /home/joe; mkdir -p site/sub; echo page >site/sub/page; ln -s sub/page site/link
        echo mine >site/mine; chmod 600 site/mine; chown -R -h joe site
        echo open >public; ln -s /home/joe/site /home/joe/site.link
        # Root's own links, and a file of root's with two names, where nobody else writes.
        ln -s /root/secret /root/link; ln /root/secret/key /root/again; ln -s link/key /root/chain
        ln -s ../root/chain /srv/chain; echo here >/tmp/here",
    )
    .ok();
    let build = |source: &str, more: &str| {
        taking(&host, source, more).build(&host).ok();
        let taken = "cd /srv/jails/arkham/srv; stat -c '%a %U' *";
        host.sh(taken).ok().text().to_owned()
    };
    let content = || host.read("/srv/jails/arkham/srv/taken");
    for source in ["/srv/chain", "/root/again", "/root/link/key"] {
        assert_eq!(build(source, ""), "600 root", "{source}");
        // Root may open what is root's.
        assert_eq!(build(source, "mode = \"0644\""), "644 root", "{source}");
        assert_eq!(content().trim(), SECRET, "{source}");
    }
    for (source, mode, says) in [
        ("/home/joe/public", "644 root", "open"),
        ("/home/joe/site/mine", "600 root", "mine"),
        ("/tmp/here", "644 root", "here"),
    ] {
        assert_eq!(build(source, ""), mode, "{source}");
        assert_eq!(content().trim(), says, "{source}");
    }
    build("/home/joe/site", "");
    let tree =
        host.sh("cd /srv/jails/arkham/srv/tree; cat sub/page mine; readlink link; stat -c %a mine");
    assert_eq!(tree.ok().text(), "page\nmine\nsub/page\n600");
}

#[disposable::test]
fn a5_a_mode_does_not_open_what_was_closed() {
    let host = host_of_joe();
    host.sh(
        "cd /home/joe; echo mine >mine; mkdir site; cp mine site/; chmod 600 mine site/mine; chown -R joe mine site
        cp mine /root/joes; chown joe /root/joes; chmod 640 /root/joes",
    )
    .ok();
    for (source, mode) in [
        ("/home/joe/mine", "0644"),
        ("/home/joe/mine", "0640"),
        ("/home/joe/site", "0604"),
        ("/root/joes", "0644"),
    ] {
        let spec = taking(&host, source, &format!("mode = {mode:?}"));
        is_refused(&host, &spec, &["`mode` would let users read it"]);
    }
    for (source, mode) in [
        ("/home/joe/mine", "0700"),
        ("/home/joe/site", "0600"),
        ("/root/joes", "0640"),
    ] {
        let spec = taking(&host, source, &format!("mode = {mode:?}"));
        spec.build(&host).ok();
    }
    // The caller of sudo(8) may open its own files.
    let path = taking(&host, "/home/joe/mine", "mode = \"0644\"").put(&host);
    host.sh(&format!("SUDO_UID=$(id -u joe) jailctl build {path}"))
        .ok();
    let taken = host.read("/srv/jails/arkham/srv/taken");
    assert_eq!(taken.trim(), "mine");
}

#[disposable::test]
fn a5_a_users_program_brings_nothing_along_that_is_closed_to_him() {
    let host = host_of_joe();
    host.sh(&format!(
        "printf '#!/bin/sh\\n# {SECRET}\\n' >/root/secret/run; chmod 755 /root/secret/run
        mkdir -p /home/joe/site /root/site; cd /home/joe; ln -s /root/secret/run i
        printf '#!/root/secret/run\\n' >site/one; printf '#!/home/joe/i\\n' >site/two; chmod 755 site/*
        chown -R -h joe site i; cp site/one /root/site/",
    ))
    .ok();
    let spec = taking(&host, "/home/joe/site", "");
    is_refused(
        &host,
        &spec,
        &["`/root/secret/run`", "it is not world-readable"],
    );
    // Root's own script may need root's own program.
    taking(&host, "/root/site", "").build(&host).ok();
    assert!(host.has("/srv/jails/arkham/root/secret/run"));
}

#[disposable::test]
fn a5_a_skeleton_holds_only_what_everybody_may_read() {
    let host = host_of_joe();
    let key = host.key("harlequin");
    let spec = |skel: &str| {
        let mut spec = Spec::arkham(&key, &[]);
        let keys = &spec.users.remove(0).1;
        spec.more = format!(
            "[[user]]\nname = \"harlequin\"\nskel = {skel:?}\nauthorized_keys = {keys:?}\n"
        );
        spec
    };
    host.sh(
        "cd /home/joe; mkdir private good; cp /root/secret/key private; chmod 644 private/key; chmod 700 private
        ln -s /root/secret skel; chown -h joe skel; su joe -c 'mv private mine'
        mkdir linked; chmod 604 /root/secret/key; ln /root/secret/key linked/key; chown joe linked good
        mkdir /root/open; cp /root/secret/key /root/open; chmod 640 /root/open/key
        mkdir -p /root/skel/sub; echo hello >/root/skel/sub/greeting; ln -s skel /root/skel.link",
    )
    .ok();
    for (skel, words) in [
        ("/home/joe/skel", &["put `/home/joe/skel` there"][..]),
        ("/home/joe/mine", &["not all users may read it (mode 0700)"]),
        ("/home/joe/linked", &["hard links"]),
        ("/root/secret", &["not all users may read it (mode 0700)"]),
        (
            "/root/open",
            &["/root/open/key", "not all users may read it (mode 0640)"],
        ),
    ] {
        is_refused(&host, &spec(skel), words);
    }
    spec("/root/skel.link").build(&host).ok();
    let home = "cd /srv/jails/arkham/home/harlequin; stat -c '%n %a %U' sub sub/greeting; cat sub/greeting";
    assert_eq!(
        host.sh(home).ok().text(),
        "sub 755 harlequin\nsub/greeting 644 harlequin\nhello"
    );
}

#[disposable::test]
fn c3_nobody_chooses_by_a_link_which_of_roots_files_is_obeyed() {
    let host = host_of_joe();
    host.sh("rm -f /run/keys/harlequin*").ok();
    let key = host.key("harlequin");
    let plain = Spec::arkham(&key, &[]);
    let path = plain.put(&host);
    host.sh(&format!(
        "mkdir /srv/pub /root/specs; cp {path} /root/specs/ok.toml; cp {path} /tmp/ok.toml
        ln -s {path} /srv/pub/m.toml; ln -s /root/specs /home/joe/d; chown -h joe /srv/pub/m.toml /home/joe/d
        su joe -c 'ln -s {path} /tmp/joes.toml'; ln {path} /tmp/hard.toml
        ln -s {path} /srv/roots.toml; mkdir -p /etc/jailctl/templates /etc/jailctl/rules.d"
    ))
    .ok();
    let before = look(&host);
    for (spec, words) in [
        (
            "/srv/pub/m.toml",
            "of the link `/srv/pub/m.toml`, it belongs to",
        ),
        (
            "/home/joe/d/ok.toml",
            "of the directory `/home/joe`, it belongs",
        ),
        ("/tmp/joes.toml", "of the directory `/tmp`"),
        ("/tmp/hard.toml", "of the directory `/tmp`"),
    ] {
        for verb in ["plan", "build"] {
            let refused = host.jailctl([verb, spec]).exits(2);
            assert!(refused.stderr().contains(words), "{words}: {refused:?}");
        }
    }
    assert_eq!(before.diff(&look(&host)), Vec::<String>::new());
    host.sh("rm /tmp/hard.toml").ok();
    for spec in [&path, "/srv/roots.toml", "/tmp/ok.toml"] {
        host.jailctl(["build", spec]).ok();
    }
    // The caller of sudo(8) has specs of its own, and links to them.
    host.sh(&format!(
        "cp {path} /home/joe/mine.toml; ln -s mine.toml /home/joe/link.toml; chown -h joe /home/joe/*.toml
        SUDO_UID=$(id -u joe) jailctl build /home/joe/link.toml"
    ))
    .ok();

    // Templates and rules are obeyed as specs are.
    for place in ["templates/house.toml", "rules.d/house.toml"] {
        let text = if place.starts_with("rules") {
            "[[rule]]\nname = 'house'\nwhen = { package = 'bash' }\nadd = ['/etc/hostname']\n"
        } else {
            "binaries = ['wc']\n"
        };
        host.write("/root/house.toml", text);
        host.sh(&format!(
            "ln -sfn /root/house.toml /etc/jailctl/{place}; chown -h joe /etc/jailctl/{place}"
        ))
        .ok();
        host.write(
            "/root/other.toml",
            &format!("templates = ['house']\n{}", plain.text()),
        );
        let spec = if place.starts_with("rules") {
            path.as_str()
        } else {
            "/root/other.toml"
        };
        let refused = host.jailctl(["build", spec]).exits(2);
        let words = format!("of the link `/etc/jailctl/{place}`");
        assert!(refused.stderr().contains(&words), "{refused:?}");
        host.sh(&format!("chown -h root /etc/jailctl/{place}")).ok();
        let followed = host.jailctl(["plan", spec]);
        assert!(!followed.stderr().contains("of the link"), "{followed:?}");
        host.sh(&format!("rm /etc/jailctl/{place}")).ok();
    }
}

#[disposable::test]
fn c3_output_and_root_follow_no_link_of_somebody_elses() {
    let host = host_of_joe();
    crate::builds::second_host(&host);
    let key = host.key("harlequin");
    let path = Spec::arkham(&key, &[]).put(&host);
    host.sh(
        "mkdir -m 700 /root/empty; cd /home/joe; ln -s /root/empty out; ln -s /root d; ln -s /root/other host; chown -h joe out d host
        ln -s /root/empty /root/out; ln -s other /root/host",
    )
    .ok();
    for output in ["/home/joe/out", "/home/joe/out/new", "/home/joe/d/new"] {
        let refused = host.jailctl(["build", &path, "--output", output]).exits(4);
        assert!(
            refused.stderr().contains("could have put `/home/joe/"),
            "{refused:?}"
        );
        let refused = host
            .jailctl(["init", "x", "--output", &format!("{output}/x.toml")])
            .exits(4);
        assert!(
            refused.stderr().contains("could have put `/home/joe/"),
            "{refused:?}"
        );
    }
    assert_eq!(
        host.sh("stat -c %a /root/empty; ls -A /root/empty; ls -d /root/new 2>&1 || true")
            .ok()
            .text(),
        "700\nls: cannot access '/root/new': No such file or directory"
    );
    for root in ["/home/joe/host", "/home/joe/d/other"] {
        for verb in ["plan", "build"] {
            let refused = host.jailctl([verb, &path, "--root", root]).exits(2);
            assert!(
                refused.stderr().contains("could have put `/home/joe/"),
                "{refused:?}"
            );
        }
    }
    host.jailctl(["build", &path, "--output", "/root/out"]).ok();
    assert!(host.has("/root/empty/usr/bin/ls"));
    host.jailctl(["build", &path, "--output", "/home/joe/a/b"])
        .ok();
    assert!(host.has("/home/joe/a/b/usr/bin/ls"));
    host.jailctl(["init", "x", "--output", "/home/joe/x.toml"])
        .ok();
    host.jailctl(["build", &path, "--root", "/root/host"]).ok();
    assert!(host.has("/root/other/srv/jails/arkham/usr/bin/ls"));
}
