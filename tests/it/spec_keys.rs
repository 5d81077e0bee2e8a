//! Effects of single keys of a spec, observed from the client, the account and the tree.

use disposable::Key;

use crate::support::{Reach, Spec, effective, host, look, reach};

/// The spec of arkham with `lines` of the user's and others before the first table.
fn with(spec: &Spec, top: &str, user: &str) -> String {
    let text = spec
        .text()
        .replace("\nauthorized_keys", &format!("\n{user}\nauthorized_keys"));
    format!("{top}\n{text}")
}

fn arkham(key: &Key) -> Spec {
    Spec::arkham(key, &[])
}

#[disposable::test]
fn optional_programs_come_along_where_the_host_has_them() {
    let host = host();
    host.sshd();
    let key = host.key("harlequin");
    let spec = arkham(&key);
    host.write("/root/a.c", "int a(void) { return 1; }\n");
    host.write("/root/b.c", "int a(void); int main(void) { return a(); }\n");
    host.sh("cd /root; gcc -shared -o libgone.so a.c; gcc -o /usr/local/bin/broken b.c -L. -lgone; rm libgone.so")
        .ok();
    let text = with(
        &spec,
        "optional = ['wc', 'frobnicate', 'broken', 'su', 'ls']",
        "",
    );
    host.write(&spec.path(), &text);
    let built = host.jailctl(["build", &spec.path()]).ok();
    for notice in [
        "notice: `frobnicate` is left out: the host has no program of that name",
        "notice: `broken` is left out: it needs `libgone.so`, which the host lacks",
        "notice: `su` is left out: it is setuid",
    ] {
        assert!(built.stderr().contains(notice), "{notice}: {built:?}");
    }
    let harlequin = host.login("harlequin", &key);
    assert_eq!(harlequin.ssh("wc -c </welcome").ok().text(), "19");
    for name in ["frobnicate", "broken", "su"] {
        harlequin.ssh(name).exits(127);
    }
    // A program that the host gets later is copied by the next build.
    host.sh("cp /usr/bin/head /usr/local/bin/frobnicate").ok();
    host.jailctl(["build", &spec.path()]).ok();
    harlequin.ssh("frobnicate -n1 /welcome").ok();
}

#[disposable::test]
fn dlopen_notes_are_followed_by_the_specs_priority() {
    let host = host();
    let key = host.key("harlequin");
    let spec = arkham(&key);
    let note = |word: &str| {
        format!(
            r#"
            .section .note.dlopen,"a",@note
            .balign 4
            .long 4, 2f-1f, 0x407c0c0a
            .asciz "FDO"
            1: .asciz "[{{\"soname\":[\"lib{word}.so\"],\"priority\":\"{word}\"}}]"
            2: .balign 4
            "#
        )
    };
    let words = ["required", "recommended", "suggested"];
    let mut notes = String::new();
    for word in words {
        host.write(&format!("/root/{word}.c"), "int x;\n");
        host.sh(&format!(
            "cd /root; gcc -shared -Wl,-soname,lib{word}.so -o /usr/local/lib/lib{word}.so {word}.c; ldconfig"
        ))
        .ok();
        notes.push_str(&note(word));
    }
    host.write("/root/notes.s", &notes);
    host.write("/root/wishes.c", "int main(void) { return 0; }\n");
    host.sh("cd /root; gcc -o /usr/local/bin/wishes wishes.c notes.s")
        .ok();
    for (dlopen, brought) in [
        ("none", &words[..0]),
        ("required", &words[..1]),
        ("recommended", &words[..2]),
        ("suggested", &words[..]),
    ] {
        let text = with(
            &spec,
            &format!("dlopen = '{dlopen}'\noptional = ['wishes']"),
            "",
        );
        host.write(&spec.path(), &text);
        host.jailctl(["build", &spec.path()]).ok();
        for word in words {
            let path = format!("/srv/jails/arkham/usr/local/lib/lib{word}.so");
            assert_eq!(host.has(&path), brought.contains(&word), "{dlopen}: {word}");
        }
    }
}

#[disposable::test]
fn an_account_is_closed_from_the_day_that_the_spec_says() {
    let host = host();
    host.sshd();
    let key = host.key("harlequin");
    let spec = arkham(&key);
    let harlequin = host.login("harlequin", &key);
    let build = |expires: &str| {
        host.write(&spec.path(), &with(&spec, "", expires));
        host.jailctl(["build", &spec.path()]).ok()
    };
    let shadow = || {
        let line = host.sh("getent shadow harlequin").ok();
        line.text().split(':').nth(7).expect("a field").to_owned()
    };
    let plan = {
        host.write(&spec.path(), &with(&spec, "", "expires = 2999-12-31"));
        host.jailctl(["plan", &spec.path()]).ok()
    };
    assert!(
        plan.stdout().contains("may log in before 2999-12-31"),
        "{plan:?}"
    );
    build("expires = 2999-12-31");
    assert_eq!(shadow(), "376199");
    assert_eq!(reach(&host, &harlequin), Reach::Jail);
    let again = build("expires = 2999-12-31");
    assert!(again.stdout().contains("nothing to do"), "{again:?}");

    let closed = build("expires = 2020-02-29");
    let notice = "notice: `harlequin` cannot log in: the account expired on 2020-02-29";
    assert!(closed.stderr().contains(notice), "{closed:?}");
    assert_eq!(reach(&host, &harlequin), Reach::Nothing);

    // What the spec gave goes with the line; what the admin gives stays.
    build("");
    assert_eq!(shadow(), "");
    assert_eq!(reach(&host, &harlequin), Reach::Jail);
    build("expires = 2999-12-31");
    host.run(["usermod", "--expiredate", "2999-01-01", "harlequin"])
        .ok();
    build("");
    assert_eq!(shadow(), "375835");
}

#[disposable::test]
fn sftp_starts_in_the_specs_directory_with_its_umask() {
    let host = host();
    host.sshd();
    let key = host.key("selina");
    let mut spec = Spec::dropbox(&key);
    spec.build(&host).ok();
    let selina = host.login("selina", &key);
    let begins = || selina.sftp("pwd").ok().stdout().to_owned();
    assert!(begins().contains("directory: /home/selina"), "{}", begins());
    spec.more = spec.more.replace(
        "[sshd]\n",
        "[sshd]\nstart_dir = \"/upload\"\numask = \"0077\"\n",
    );
    let built = spec.build(&host).ok();
    assert!(begins().contains("directory: /upload"), "{built:?}");
    host.write("/root/letter", "Meow.\n");
    selina.sftp("put /root/letter").ok();
    assert_eq!(
        host.sh("stat -c '%a %U' /srv/jails/dropbox/upload/letter")
            .ok()
            .text(),
        "600 selina"
    );
    let forced = "forcecommand internal-sftp -d /upload -u 0077".to_owned();
    assert!(effective(&host, "selina").contains(&forced));

    spec.more = spec
        .more
        .replace("start_dir = \"/upload\"", "start_dir = \"/uplaod\"");
    let before = look(&host);
    let refused = spec.build(&host).exits(2);
    assert!(
        refused
            .stderr()
            .contains("the jail has no directory `/uplaod`"),
        "{refused:?}"
    );
    host.sh("rm /root/dropbox.toml").ok();
    assert_eq!(before.diff(&look(&host)), Vec::<String>::new());
}

#[disposable::test]
fn who_cannot_log_in_and_what_cannot_be_run_is_said() {
    let host = host();
    let key = host.key("selina");
    let mut spec = Spec::dropbox(&key);
    spec.binaries = vec!["ls", "cat"];
    spec.users.push(("isis", Vec::new()));
    let built = spec.build(&host).ok();
    for notice in [
        "notice: `isis` cannot log in yet: the account has no `authorized_keys` and no password",
        "notice: no user can run `ls` and 1 more: the jail does not allow `shell`",
    ] {
        assert!(built.stderr().contains(notice), "{built:?}");
    }
    assert!(!built.stderr().contains("selina"), "{built:?}");
}

#[disposable::test]
fn a_spec_that_others_can_replace_is_refused() {
    let host = host();
    let key = host.key("harlequin");
    host.plain_user("bob");
    let text = arkham(&key).text();
    let before = look(&host);
    for (prepare, directory) in [
        ("mkdir -m 777 /srv/specs", "/srv/specs"),
        (
            "install -d -g bob -m 775 /srv/team/specs",
            "/srv/team/specs",
        ),
        (
            "install -d -o bob /srv/bobs; mkdir /srv/bobs/specs",
            "/srv/bobs/specs",
        ),
    ] {
        host.sh(prepare).ok();
        let path = format!("{directory}/arkham.toml");
        host.write(&path, &text);
        let refused = host.jailctl(["build", &path]).exits(2);
        let place = directory.trim_end_matches("/specs");
        assert!(
            refused
                .stderr()
                .contains(&format!("of the directory `{place}"))
                && refused.stderr().contains("hint: "),
            "{refused:?}"
        );
    }
    host.sh("rm -r /srv/specs /srv/team /srv/bobs").ok();
    assert_eq!(before.diff(&look(&host)), Vec::<String>::new());
    // In a sticky directory only its owner can replace it.
    host.write("/tmp/arkham.toml", &text);
    host.jailctl(["build", "/tmp/arkham.toml"]).ok();
}

#[disposable::test]
fn nobody_is_told_to_take_a_home_from_its_owner() {
    let host = host();
    let key = host.key("harlequin");
    host.plain_user("bob");
    for (root, advice) in [
        ("/home/bob/jails/arkham", "outside of home directories"),
        ("/srv/www/arkham", "chown root /srv/www"),
    ] {
        host.sh("install -d -o www-data /srv/www").ok();
        host.write(
            "/root/arkham.toml",
            &format!("root = {root:?}\n{}", arkham(&key).text()),
        );
        let refused = host.jailctl(["build", "/root/arkham.toml"]).exits(2);
        assert!(refused.stderr().contains(advice), "{refused:?}");
        assert_eq!(
            refused.stderr().contains("chown"),
            advice.contains("chown"),
            "{refused:?}"
        );
    }
}

#[disposable::test]
fn a_package_comes_with_its_files_and_without_its_documents() {
    let host = host();
    host.sshd();
    let key = host.key("harlequin");
    let spec = arkham(&key);
    let build = |packages: &str| {
        let text = with(&spec, &format!("packages = {packages}"), "");
        host.write(&spec.path(), &text);
        host.jailctl(["build", &spec.path()])
    };
    build("['nano', 'netbase']").ok();
    let harlequin = host.login("harlequin", &key);
    harlequin.ssh("nano --version").ok();
    harlequin
        .ssh("ls /usr/share/nano/c.nanorc /etc/nanorc /etc/protocols /etc/ethertypes")
        .ok();
    harlequin.ssh("ls /usr/share/doc /usr/share/man").fails();
    let again = host.jailctl(["build", &spec.path()]).ok();
    assert!(again.stdout().contains("nothing to do"), "{again:?}");
    let why = host
        .jailctl(["why", "arkham", "/usr/share/nano/c.nanorc"])
        .ok();
    assert!(why.stdout().contains("packages: nano"), "{why:?}");

    // What it holds of power stays behind.
    let built = build("['passwd']").ok();
    assert!(
        built
            .stderr()
            .contains("of the package `passwd` loses the setuid or setgid bit"),
        "{built:?}"
    );
    harlequin
        .ssh("[ -x /usr/bin/passwd ] && [ ! -u /usr/bin/passwd ]")
        .ok();
    harlequin.ssh("ls /usr/share/nano").fails();

    for (package, why) in [
        ("frobnicate", "the host has no package of that name"),
        ("nano:riscv64", "the host has no package of that name"),
    ] {
        let refused = build(&format!("['{package}']")).exits(2);
        assert!(refused.stderr().contains(why), "{refused:?}");
    }

    // Held: it is installed all the same.
    let set_state = |from: &str, to: &str| {
        host.sh(&format!(
            "sed -i '/^Package: nano$/,/^$/s/{from}/{to}/' /var/lib/dpkg/status"
        ))
        .ok();
    };
    set_state("install ok installed", "hold ok installed");
    build("['nano']").ok();
    set_state("hold ok installed", "install ok half-configured");
    let built = build("['nano']").ok();
    assert!(
        built.stderr().contains("`nano` is half-configured"),
        "{built:?}"
    );
    set_state("install ok half-configured", "install ok installed");

    // Half removed, as by `apt remove`: its list of files is still there.
    host.sh("sed -i '/^Package: nano$/,/^$/s/install ok installed/deinstall ok config-files/' /var/lib/dpkg/status")
        .ok();
    build("['nano']").exits(2);
}

#[disposable::test]
fn a_package_is_included_with_those_that_it_depends_on() {
    let host = host();
    host.sshd();
    let key = host.key("harlequin");
    let spec = arkham(&key);
    let write = |lines: &str| {
        let text = with(&spec, &format!("packages = ['git']\n{lines}"), "");
        host.write(&spec.path(), &text);
    };
    let dependencies = || {
        let plan = host.jailctl(["plan", "--json", &spec.path()]).ok();
        let plan: serde_json::Value = serde_json::from_str(plan.stdout()).expect("JSON");
        let package = &plan["jails"][0]["packages"][0];
        assert_eq!(package["name"], "git");
        assert!(package["files"].as_u64() > Some(100), "{package}");
        let list = package["dependencies"].as_array().expect("a list").clone();
        let names = list.iter().filter_map(serde_json::Value::as_str);
        names
            .map(|text| text.split(' ').next().unwrap_or_default().to_owned())
            .collect::<Vec<_>>()
    };
    write("package_dependencies = 'none'");
    assert!(dependencies().is_empty());
    write("");
    let required = dependencies();
    for name in ["git-man", "perl", "libc6", "liberror-perl"] {
        assert!(
            required.iter().any(|one| one == name),
            "{name}: {required:?}"
        );
    }
    for name in ["dpkg", "less"] {
        assert!(
            required.iter().all(|one| one != name),
            "{name}: {required:?}"
        );
    }
    write("package_dependencies = 'recommended'");
    assert!(dependencies().iter().any(|one| one == "less"));

    write("");
    host.sh("echo '# ours' >>/etc/perl/Net/libnet.cfg").ok();
    let plan = host.jailctl(["plan", &spec.path()]).ok();
    assert!(
        plan.stdout().contains("package  git 1:") && plan.stdout().contains("dependencies: "),
        "{plan:?}"
    );
    assert!(
        plan.stdout()
            .contains("`/etc/perl/Net/libnet.cfg` of the package `git` was changed on the host"),
        "{plan:?}"
    );
    let built = host.jailctl(["build", &spec.path()]).ok();
    assert!(!built.stderr().contains("git-man"), "{built:?}");
    let why = host
        .jailctl(["why", "arkham", "/usr/share/perl5/Error.pm"])
        .ok();
    assert!(
        why.stdout()
            .contains("packages: git depends on liberror-perl "),
        "{why:?}"
    );
    // A module of Perl that a package of git brings does its work.
    let harlequin = host.login("harlequin", &key);
    harlequin.ssh("perl -MError -e 'print 1'").ok();
}

#[disposable::test]
fn an_account_is_what_its_lines_say() {
    let host = host();
    host.sshd();
    let key = host.key("harlequin");
    let spec = Spec::arkham(&key, &["id", "sh"]);
    let lines = "uid = 4101\nhome = '/srv/people/h'\nshell = '/bin/sh'\npassword = 'unchanged'";
    host.write(&spec.path(), &with(&spec, "", lines));
    host.jailctl(["build", &spec.path()]).ok();
    let harlequin = host.login("harlequin", &key);
    assert_eq!(
        harlequin.ssh("id -u; pwd; echo $SHELL").ok().stdout(),
        "4101\n/srv/people/h\n/jail/bin/sh\n"
    );
    // A password that the admin sets is the admin's.
    host.sh("echo harlequin:secret | chpasswd").ok();
    let shadow = || host.sh("getent shadow harlequin").ok().stdout().to_owned();
    let before = shadow();
    let again = host.jailctl(["build", &spec.path()]).ok();
    assert!(again.stdout().contains("nothing to do"), "{again:?}");
    assert_eq!(shadow(), before);

    // Neither a number nor a user is given to two.
    host.sh("useradd --uid 4102 bob").ok();
    let before = look(&host);
    for (name, user, lines, why) in [
        ("blackgate", "joker", "uid = 4102", "another account has it"),
        (
            "blackgate",
            "harlequin",
            "",
            "it belongs to the jail `arkham`",
        ),
        (
            "arkham",
            "harlequin",
            "uid = 4103",
            "it has 4101 already, as its files do",
        ),
    ] {
        let mut other = arkham(&key);
        other.name = name;
        other.users[0].0 = user;
        host.write("/root/other.toml", &with(&other, "", lines));
        let refused = host
            .jailctl(["build", "--from-here", "/root/other.toml"])
            .exits(2);
        assert!(refused.stderr().contains(why), "{refused:?}");
    }
    host.sh("rm /root/other.toml").ok();
    assert_eq!(before.diff(&look(&host)), Vec::<String>::new());
}
