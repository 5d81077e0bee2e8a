//! Rules for data of programs: each program is named alone in a spec and does one real task.

use crate::support::{Spec, arkham, certify, host, serve_tls, type_into};

#[disposable::test]
fn pagers_and_colours_know_the_terminal() {
    let host = host();
    let (_, harlequin) = arkham(&host, &["less", "tput"]);
    let _sshd = host.sshd();
    let setup = "for i in {1..200}; do echo \"line $i.\"; done >~/long";
    harlequin.ssh(setup).ok();
    let page = type_into(&host, &harlequin, "less long", " q").ok();
    assert!(!page.stdout().contains("not fully functional"), "{page:?}");
    assert!(page.stdout().contains("line 1."), "{page:?}");
    assert!(page.stdout().contains("\u{1b}["), "{page:?}");
    assert!(!page.stdout().contains("line 200."), "it pages: {page:?}");
    for terminal in [
        "xterm",
        "xterm-256color",
        "screen-256color",
        "tmux-256color",
        "linux",
    ] {
        let red = harlequin.ssh(&format!("TERM={terminal} tput setaf 1")).ok();
        assert_eq!(red.stdout(), "\u{1b}[31m", "{terminal}");
    }
    harlequin.ssh("TERM=enigma tput setaf 1").fails();
}

#[disposable::test]
fn editors_edit() {
    let host = host();
    let (_, harlequin) = arkham(&host, &["nano", "vim"]);
    let _sshd = host.sshd();
    // Text, control-O and return to save, control-X to leave.
    type_into(&host, &harlequin, "nano note", "riddle\\017\\r\\030").ok();
    assert_eq!(harlequin.ssh("cat note").ok().text(), "riddle");
    let vim = type_into(
        &host,
        &harlequin,
        "vim -c 'syntax on' -c 'normal Awho' -c wq -c cq note",
        "",
    )
    .ok();
    assert!(!vim.stdout().contains("E484"), "{vim:?}");
    assert_eq!(harlequin.ssh("cat note").ok().text(), "riddlewho");
    let kind = "vim -es -c 'set nocp' -c 'filetype on' -c 'e x.rs' -c 'verbose set ft?' -c 'qa!'";
    let said = harlequin.ssh(kind);
    assert!(
        format!("{said:?}").contains("filetype=rust"),
        "vim knows kinds of files: {said:?}"
    );
}

#[disposable::test]
fn kinds_of_files_are_recognised() {
    let host = host();
    let (_, harlequin) = arkham(&host, &["file"]);
    let _sshd = host.sshd();
    let picture = r"printf '\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x20\0\0\0\x10\x08\x06\0\0\0' >x";
    harlequin.ssh(picture).ok();
    let said = harlequin.ssh("file x; file /usr/bin/bash").ok();
    assert!(
        said.stdout().contains("PNG image data, 32 x 16"),
        "{said:?}"
    );
    assert!(said.stdout().contains("ELF 64-bit"), "{said:?}");
}

#[disposable::test]
fn time_zones_have_names() {
    let host = host();
    host.run([
        "ln",
        "-sf",
        "/usr/share/zoneinfo/Asia/Tokyo",
        "/etc/localtime",
    ])
    .ok();
    let (_, harlequin) = arkham(&host, &["date"]);
    let _sshd = host.sshd();
    let at = "date -d '2026-07-01 12:00 UTC' +'%H:%M %Z'";
    for (setting, shown) in [
        ("", "21:00 JST"),
        ("TZ=Europe/Berlin", "14:00 CEST"),
        ("TZ=America/New_York", "08:00 EDT"),
        ("TZ=UTC", "12:00 UTC"),
    ] {
        assert_eq!(harlequin.ssh(&format!("{setting} {at}")).ok().text(), shown);
    }
}

#[disposable::test]
fn names_in_utf_8_are_shown_as_they_are() {
    let host = host();
    let (_, harlequin) = arkham(&host, &[]);
    let _sshd = host.sshd();
    harlequin.ssh("echo >~/Zoë").ok();
    let shown = harlequin.ssh_pty("LC_ALL=C.UTF-8 ls").ok();
    assert_eq!(shown.text(), "Zoë");
    let escaped = harlequin.ssh_pty("LC_ALL=C ls").ok();
    assert!(!escaped.stdout().contains("Zoë"), "{escaped:?}");
    let length = "export LC_ALL=C.UTF-8; name=Zoë; echo ${#name}";
    let said = harlequin.ssh(length).ok();
    assert_eq!((said.text(), said.stderr()), ("3", ""));
}

#[disposable::test]
fn git_commits_and_clones() {
    let host = host();
    // As git's own installation has it: one program under many names.
    let names = "git-add git-commit git-clone git-upload-pack git-pack-objects git-index-pack";
    host.sh(&format!(
        "cd /usr/lib/git-core; for name in {names}; do ln -f git $name; done"
    ))
    .ok();
    let (spec, harlequin) = arkham(&host, &["/usr/bin/git"]);
    let _sshd = host.sshd();
    let work = "set -e
        git init -q one; cd one; echo x >x; git add x
        git -c user.name=h -c user.email=h@gotham commit -q -m 'a riddle'
        git clone -q file://$PWD ../two
        cd ../two; git pull -q --rebase; git log --format=%s
        git -c alias.greet='!echo hello' greet";
    let said = harlequin.ssh(work).ok();
    assert_eq!(said.lines(), ["a riddle", "hello"], "{said:?}");
    // Helpers are looked for by their file names, and have libraries of their own.
    let remote = harlequin.ssh("git ls-remote http://localhost:9/x").fails();
    assert!(remote.stderr().contains("unable to access"), "{remote:?}");
    let root = spec.root();
    assert!(!host.has(&format!("{root}/usr/bin/perl")));
    let one = format!("cd {root}/usr/lib/git-core; readlink {names}");
    assert_eq!(host.sh(&one).ok().lines(), ["git"; 6]);
}

#[disposable::test]
fn programs_trust_whom_the_host_trusts() {
    let host = host();
    certify(&host);
    let (_, harlequin) = arkham(&host, &["curl"]);
    let _sshd = host.sshd();
    let _friend = serve_tls(&host, "friend", "8443");
    let _stranger = serve_tls(&host, "stranger", "8444");
    let page = harlequin.ssh("curl -sS https://localhost:8443/").ok();
    assert!(page.stdout().contains("s_server"), "{page:?}");
    // 60: the certificate is not trusted. 77 would be: there are none to compare with.
    harlequin.ssh("curl -sS https://localhost:8444/").exits(60);
    let names = harlequin.ssh("cat /etc/resolv.conf /etc/services").ok();
    let theirs = host.sh("cat /etc/resolv.conf /etc/services").ok();
    assert_eq!(names.stdout(), theirs.stdout());
}

#[disposable::test]
fn a_stub_for_names_is_copied_as_a_file() {
    let host = host();
    host.sh("mkdir -p /run/systemd/resolve
        echo 'nameserver 127.0.0.53' >/run/systemd/resolve/stub-resolv.conf
        rm -f /etc/resolv.conf
        ln -s ../run/systemd/resolve/stub-resolv.conf /etc/resolv.conf")
        .ok();
    let (spec, _) = arkham(&host, &["ssh"]);
    let copy = format!("{}/etc/resolv.conf", spec.root());
    assert_eq!(host.read(&copy), "nameserver 127.0.0.53\n");
    host.run(["test", "-L", &copy]).fails();
}

#[disposable::test]
fn what_is_added_is_accounted_for_and_stays() {
    let host = host();
    let (spec, _) = arkham(&host, &["less", "date", "curl", "file"]);
    let manifest = host.read("/var/lib/jailctl/arkham/manifest.json");
    let manifest: serde_json::Value = serde_json::from_str(&manifest).expect("JSON");
    let entries = manifest["entries"].as_object().expect("entries by path");
    for (path, entry) in entries {
        let why = entry["why"].as_array().expect("reasons");
        assert!(!why.is_empty(), "{path}");
    }
    for (path, rule, cause) in [
        ("/usr/lib/terminfo/x/xterm-256color", "terminals", "bash"),
        ("/usr/lib/locale/C.utf8/LC_CTYPE", "c-utf-8", "libc.so.6"),
        ("/usr/share/zoneinfo/Europe/Berlin", "time-zones", "date"),
        (
            "/etc/ssl/certs/ca-certificates.crt",
            "certificates",
            "libssl.so.3",
        ),
        ("/usr/lib/file/magic.mgc", "magic", "libmagic.so.1"),
    ] {
        let why = entries[path]["why"].as_array().expect("reasons");
        let is_said = why.iter().any(|why| {
            let by = why["by"].as_str().unwrap_or_default();
            why["kind"] == "data" && why["rule"] == rule && by.ends_with(&format!("/{cause}"))
        });
        assert!(is_said, "{path}: {why:?}");
    }
    let before = host.snapshot([spec.root().as_str()]);
    let again = spec.build(&host).ok();
    assert!(again.stdout().contains("nothing to do"), "{again:?}");
    let after = host.snapshot([spec.root().as_str()]);
    assert_eq!(before.diff(&after), Vec::<String>::new());
}

#[disposable::test]
fn the_spec_wins_and_jails_without_programs_get_nothing() {
    let host = host();
    let key = host.key("selina");
    let dropbox = Spec::dropbox(&key);
    dropbox.build(&host).ok();
    assert!(!host.has(&format!("{}/usr", dropbox.root())));

    host.run(["chmod", "640", "/etc/nanorc"]).ok();
    let mut spec = Spec::arkham(&host.key("harlequin"), &["nano", "curl"]);
    spec.more += "\n[[file]]\ntarget = \"/etc/services\"\ncontent = \"mine\\n\"\n\
        \n[[file]]\ntarget = \"/usr/share/nano\"\ncontent = \"a file\\n\"\n";
    spec.build(&host).ok();
    let root = spec.root();
    assert_eq!(host.read(&format!("{root}/etc/services")), "mine\n");
    assert_eq!(host.read(&format!("{root}/usr/share/nano")), "a file\n");
    assert!(
        !host.has(&format!("{root}/etc/nanorc")),
        "not all may read it"
    );
}
