//! Drift: differences from the last build are found by `check`, named, and fixed by the next build;
//! changes of the host are followed by `update`.

use disposable::{DisposableHost, Output};

use crate::support::{Spec, arkham, host, look};

#[track_caller]
fn check(host: &DisposableHost) -> Output {
    host.jailctl(["check"])
}

/// Breaks a part of arkham; `check` names it, and `build` repairs it.
#[track_caller]
fn found_and_mended(host: &DisposableHost, spec: &Spec, breaks: &str, names: &[&str]) {
    host.sh(breaks).ok();
    let found = check(host).exits(1).stdout().to_owned();
    for name in names {
        assert!(found.contains(name), "{breaks}: no {name:?} in\n{found}");
    }
    let json = host.jailctl(["check", "--json", "arkham"]).exits(1);
    assert!(json.stdout().contains("\"clean\":false"), "{json:?}");
    spec.build(host).ok();
    assert_eq!(check(host).ok().stdout(), "arkham: unchanged\n", "{breaks}");
}

/// Possible differences in arkham, and the text of `check` for each.
fn kinds() -> Vec<(String, Vec<&'static str>)> {
    let jail = "/srv/jails/arkham";
    vec![
        (
            format!("rm {jail}/usr/bin/ls"),
            vec!["/usr/bin/ls: it is missing"],
        ),
        (
            format!("chmod 4755 {jail}/usr/bin/cat"),
            vec!["/usr/bin/cat: its mode is 4755"],
        ),
        (
            format!("chown 4242 {jail}/usr/bin/cat"),
            vec!["/usr/bin/cat: it belongs to 4242:0"],
        ),
        (
            format!("ln -sfn /etc/shadow {jail}/bin"),
            vec!["/bin: it leads to `/etc/shadow`"],
        ),
        (
            format!("echo extra >{jail}/usr/lib/extra; mkdir -p {jail}/etc/more"),
            vec!["/usr/lib/extra: the spec does not name it", "/etc/more"],
        ),
        (
            format!("touch \"$(printf '{jail}/usr/bin/\\001')\""),
            vec!["/usr/bin: `\\u{1}` was put into it"],
        ),
        (
            format!("echo evil::0:0::/:/bin/bash >>{jail}/etc/passwd"),
            vec!["/etc/passwd: its content was changed in the jail"],
        ),
        (format!("chmod 0700 {jail}"), vec!["it is not root-owned"]),
        (
            "usermod -s /bin/sh harlequin".to_owned(),
            vec!["harlequin: its shell is `/bin/sh`"],
        ),
        (
            "usermod -g users -G games harlequin".to_owned(),
            vec![
                "harlequin: its group is 100",
                "its supplementary groups are `games`",
            ],
        ),
        (
            "usermod -e 1 harlequin".to_owned(),
            vec!["harlequin: it is closed"],
        ),
        (
            "echo harlequin:secret | chpasswd".to_owned(),
            vec!["harlequin: its password was changed"],
        ),
        (
            "echo ssh-ed25519 AAAA >/var/lib/jailctl/arkham/keys/harlequin".to_owned(),
            vec!["harlequin: they were changed"],
        ),
        (
            "echo '#' >>/etc/ssh/sshd_config.d/*-jailctl.all.conf".to_owned(),
            vec!["jailctl.all.conf: the settings of the jail were changed"],
        ),
        (
            "rm /etc/ssh/sshd_config.d/*-jailctl.all.conf".to_owned(),
            vec!["jailctl.all.conf: the settings of the jail are gone"],
        ),
    ]
}

#[disposable::test]
fn each_kind_of_drift_is_found_and_mended() {
    let host = host();
    host.sshd();
    let (spec, harlequin) = arkham(&host, &[]);
    assert_eq!(check(&host).ok().stdout(), "arkham: unchanged\n");
    for (breaks, names) in kinds() {
        found_and_mended(&host, &spec, &breaks, &names);
    }
    assert_eq!(harlequin.ssh("ls /welcome").ok().text(), "/welcome");
}

/// Waits two seconds, so that a run that finds nothing to do keeps its access log, and asserts that
/// it did.
#[track_caller]
fn remembered(host: &DisposableHost, spec: &Spec) {
    let path = spec.put(host);
    host.sh("rm -rf /var/cache/jailctl; sleep 3").ok();
    let built = host.jailctl(["build", &path]).ok();
    assert!(built.stdout().contains("nothing to do"), "{built:?}");
    check(host).ok();
    host.sh("ls /var/cache/jailctl/arkham.build /var/cache/jailctl/arkham.check")
        .ok();
}

#[disposable::test]
fn each_kind_of_drift_invalidates_the_noop_cache() {
    let host = host();
    let (spec, _) = arkham(&host, &[]);
    for (breaks, names) in kinds() {
        remembered(&host, &spec);
        found_and_mended(&host, &spec, &breaks, &names);
    }
}

#[disposable::test]
fn source_changes_invalidate_the_noop_cache() {
    let host = host();
    host.sh("mkdir -p /etc/jailctl/templates; echo 'binaries = [\"id\"]' >/etc/jailctl/templates/own.toml")
        .ok();
    let (mut spec, _) = arkham(&host, &["vim"]);
    spec.more = format!("templates = [\"own\"]\n{}", spec.more);
    let text = spec.text();
    let (head, tail) = text.split_once("\n\n[[user]]").expect("a user");
    let text = format!("{head}\ntemplates = [\"own\"]\n\n[[user]]{tail}").replacen(
        "templates = [\"own\"]\n[[file]]",
        "[[file]]",
        1,
    );
    host.write(&spec.path(), &text);
    let build = || host.jailctl(["build", &spec.path()]).ok();
    build();
    let jail = "/srv/jails/arkham";
    for (changes, shows) in [
        ("printf x >>/usr/bin/ls", "cmp /usr/bin/ls J/usr/bin/ls"),
        (
            "cp /usr/bin/id /usr/local/bin/cat",
            "test -e J/usr/local/bin/cat",
        ),
        (
            "touch /usr/share/vim/vim90/new.vim",
            "test -e J/usr/share/vim/vim90/new.vim",
        ),
        (
            "echo 'binaries = [\"id\", \"tac\"]' >/etc/jailctl/templates/own.toml",
            "test -e J/usr/bin/tac",
        ),
        (
            "mkdir /etc/jailctl/rules.d; printf '[[rule]]\nname = \"own\"\nreason = \"a file\"\nprograms = [\"cat\"]\nadd = [\"/usr/share/own\"]\n' >/etc/jailctl/rules.d/own.toml; echo own >/usr/share/own",
            "test -e J/usr/share/own",
        ),
        (
            "ln -sfn ../usr/share/zoneinfo/Asia/Tokyo /etc/localtime",
            "cmp /etc/localtime J/etc/localtime",
        ),
    ] {
        host.sh("rm -rf /var/cache/jailctl; sleep 3").ok();
        assert!(build().stdout().contains("nothing to do"));
        host.sh("ls /var/cache/jailctl/arkham.build").ok();
        host.sh(changes).ok();
        let built = build();
        assert!(built.stdout().contains("built at"), "{changes}: {built:?}");
        host.sh(&shows.replace('J', jail)).ok();
    }
}

#[disposable::test]
fn a_cached_noop_prints_the_same_without_records() {
    let host = host();
    let (spec, _) = arkham(&host, &[]);
    let path = spec.put(&host);
    host.sh("echo left >/srv/jails/arkham/thesis; sleep 3").ok();
    let build = format!("jailctl build {path}");
    let first = host.sh(&build).ok();
    let traced = format!("strace -f -y -e trace=openat,openat2 -o /run/opens {build}");
    let second = host.sh(&traced).ok();
    assert_eq!(first.stdout(), second.stdout());
    assert_eq!(first.stderr(), second.stderr());
    let opens = host.read("/run/opens");
    assert!(opens.contains("arkham.build"), "{opens}");
    assert!(!opens.contains("manifest.json"), "{opens}");
    // A damaged memory is none.
    host.sh("truncate -s 1000 /var/cache/jailctl/arkham.build")
        .ok();
    assert_eq!(first.stdout(), host.sh(&build).ok().stdout());
    host.jailctl(["remove", "arkham"]).ok();
    host.sh("ls /var/cache/jailctl").exits(2);
}

#[disposable::test]
fn records_of_a_newer_jailctl_are_not_read() {
    let host = host();
    let (spec, _) = arkham(&host, &[]);
    host.sh("sed -i '1s/\"format\":1,/\"format\":2,/' /var/lib/jailctl/arkham/manifest.json")
        .ok();
    let path = spec.put(&host);
    for command in [&["check", "--deep"][..], &["check"], &["build", &path]] {
        let mut whole = vec!["jailctl"];
        whole.extend(command);
        let refused = host.run(whole).exits(4);
        let why = "its format is 2, and this jailctl knows those up to 1";
        assert!(refused.stderr().contains(why), "{refused:?}");
    }
}

#[disposable::test]
fn what_others_could_have_written_is_no_memory() {
    let host = host();
    let (spec, _) = arkham(&host, &[]);
    host.plain_user("bob");
    remembered(&host, &spec);
    // By the format: the header, no output, and no access.
    let forge = "head -c 80 arkham.check >forged; printf '\\2\\0\\0\\0[]\\0\\0\\0\\0' >>forged; mv forged arkham.check";
    host.sh(&format!(
        "cd /var/cache/jailctl; {forge}; printf x >>/srv/jails/arkham/usr/bin/ls"
    ))
    .ok();
    assert_eq!(check(&host).ok().text(), "arkham: unchanged", "the control");
    for power in [
        "chown bob .",
        "chown root .; chmod 777 .",
        "chmod 700 .; chown bob arkham.check",
    ] {
        host.sh(&format!("cd /var/cache/jailctl; {power}")).ok();
        check(&host).exits(1);
    }
}

#[disposable::test]
fn what_sshd_would_really_do_is_part_of_the_check() {
    let host = host();
    let _ = arkham(&host, &[]);
    host.write(
        "/etc/ssh/sshd_config.d/00-first.conf",
        "Match Group jail-arkham\n    ChrootDirectory none\n",
    );
    let found = check(&host).exits(1);
    assert!(
        found.stdout().contains("its `chrootdirectory` is `none`"),
        "{found:?}"
    );
    host.sh("rm /etc/ssh/sshd_config.d/00-first.conf").ok();
    check(&host).ok();
}

#[disposable::test]
fn what_sshd_includes_by_any_pattern_is_part_of_the_check() {
    let host = host();
    host.sh("mkdir /etc/ssh/one.d /etc/ssh/two.d; sed -i '1i Include [o]ne.d/a.conf\\nInclude /etc/ssh/tw?.d/b.conf' /etc/ssh/sshd_config")
        .ok();
    let _ = arkham(&host, &[]);
    for file in ["/etc/ssh/one.d/a.conf", "/etc/ssh/two.d/b.conf"] {
        check(&host).ok();
        host.write(
            file,
            "Match Group jail-arkham\n    ChrootDirectory none\nMatch all\n",
        );
        let found = check(&host).exits(1);
        assert!(
            found.stdout().contains("`chrootdirectory` is `none`"),
            "{found:?}"
        );
        host.sh(&format!("rm {file}")).ok();
    }
}

#[disposable::test]
fn unmanaged_files_in_the_root_are_reported_and_kept() {
    let host = host();
    let (spec, _) = arkham(&host, &["id"]);
    host.sh("mkdir /srv/jails/arkham/data; echo years of work >/srv/jails/arkham/data/thesis")
        .ok();
    let found = check(&host).exits(1);
    assert!(
        found.stdout().contains("/data: the spec does not name it"),
        "{found:?}"
    );
    spec.build(&host).ok();
    host.jailctl(["remove", "arkham"]).ok();
    assert_eq!(
        host.read("/srv/jails/arkham/data/thesis"),
        "years of work\n"
    );
}

#[disposable::test]
fn one_flipped_byte_is_found_every_time() {
    let host = host();
    let (spec, _) = arkham(&host, &["grep", "sed", "tar"]);
    let root = spec.root();
    let listed = host
        .sh(&format!(
            "cd {root} && find usr etc -type f -size +0 -printf '%p %s\\n' | sort"
        ))
        .ok();
    let files: Vec<(&str, usize)> = listed
        .lines()
        .into_iter()
        .filter_map(|line| line.split_once(' '))
        .map(|(path, size)| (path, size.parse().expect("a size")))
        .collect();
    for run in 0..30_usize {
        let (path, size) = files[run * 7 % files.len()];
        // Spread over files and places in them, and the same in every run of the test.
        let at = run.wrapping_mul(2_654_435_761) % size;
        host.sh(&format!(
            r#"cd {root}; when=$(stat -c %y {path}); byte=$(od -An -tu1 -j{at} -N1 {path})
            printf "\\$(printf %o $((byte ^ 1 << {run} % 8)))" | dd of={path} bs=1 seek={at} conv=notrunc status=none; touch -d "$when" {path}"#
        ))
        .ok();
        let line = format!("  /{path}: its content was changed in the jail\n");
        for verb in [&["check"][..], &["check", "--deep"]] {
            let mut command = vec!["jailctl"];
            command.extend(verb);
            let found = host.run(command).exits(1);
            assert!(
                found.stdout().contains(&line),
                "{run}: {path} {at}: {found:?}"
            );
        }
        spec.build(&host).ok();
    }
    check(&host).ok();
}

/// The jail that an upgrade has nothing to do with.
fn look_at(host: &DisposableHost) -> disposable::Snapshot {
    host.snapshot(["/srv/jails/blackgate", "/var/lib/jailctl/blackgate"])
}

#[disposable::test]
fn a_replaced_library_is_followed_while_its_program_runs() {
    let host = host();
    host.sshd();
    // A program with a library of its own, as a package would install them.
    host.sh(r#"
        mkdir -p /opt/tool && cd /opt/tool
        printf 'const char *said(void) { return "one"; }' >lib.c
        printf '#include <stdio.h>\nconst char *said(void); int main(void) { puts(said()); }' >tool.c
        gcc -shared -fPIC -Wl,-soname,libsaid.so.1 -o /usr/lib/x86_64-linux-gnu/libsaid.so.1.0 lib.c
        ln -s libsaid.so.1.0 /usr/lib/x86_64-linux-gnu/libsaid.so.1
        gcc -o /usr/local/bin/tool tool.c /usr/lib/x86_64-linux-gnu/libsaid.so.1.0
        printf 'const char *said(void) { return "two"; }' >lib.c
        gcc -shared -fPIC -Wl,-soname,libsaid.so.1 -o libsaid.so.1.1 lib.c
        ldconfig
    "#)
    .ok();
    let (_, harlequin) = arkham(&host, &["tool"]);
    let key = host.key("other");
    let mut other = Spec::arkham(&key, &[]);
    other.name = "blackgate";
    other.users[0].0 = "joker";
    other.build(&host).ok();
    assert_eq!(harlequin.ssh("tool").ok().text(), "one");
    let untouched = look_at(&host);
    // The upgrade: a new minor version, the old file gone, the soname's link led elsewhere.
    host.sh(r"
        cd /usr/lib/x86_64-linux-gnu && cp /opt/tool/libsaid.so.1.1 . && ln -sfn libsaid.so.1.1 libsaid.so.1 && rm libsaid.so.1.0
        printf '/usr/lib/x86_64-linux-gnu/libsaid.so.1\n/usr/lib/x86_64-linux-gnu/libsaid.so.1.1\n' >/var/lib/dpkg/info/libsaid1.list
        printf '\nPackage: libsaid1\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1.1\n\n' >>/var/lib/dpkg/status
        ldconfig
    ")
    .ok();
    let found = host.jailctl(["check", "arkham"]).exits(1);
    for said in [
        "libsaid.so.1.1: the host's programs need it now",
        "libsaid.so.1: it leads to",
    ] {
        assert!(found.stdout().contains(said), "{said} in {found:?}");
    }
    // A session that runs the program over and over sees one or the other, and never neither.
    let mut watched = harlequin.start(
        [],
        "for i in {1..200}; do tool || echo stopped; done; echo end",
    );
    let updated = host
        .jailctl(["update", "--all", "--packages", "libsaid1"])
        .ok();
    assert!(updated.stdout().starts_with("arkham: built"), "{updated:?}");
    assert!(!updated.stdout().contains("blackgate"), "{updated:?}");
    let seen = watched.hear("end");
    assert!(
        seen.iter()
            .take(200)
            .all(|line| line == "one" || line == "two"),
        "{seen:?}"
    );
    assert_eq!(seen.len(), 201);
    assert_eq!(harlequin.ssh("tool").ok().text(), "two");
    assert_eq!(untouched.diff(&look_at(&host)), Vec::<String>::new());
    host.jailctl(["check"]).ok();
    assert_eq!(
        host.jailctl(["update", "--all"]).ok().stdout(),
        "arkham: nothing to do\nblackgate: nothing to do\n"
    );
}

#[disposable::test]
fn a_failed_update_leaves_the_jail_unchanged() {
    let host = host();
    host.sshd();
    let (_, harlequin) = arkham(&host, &["tac"]);
    host.sh("rm /usr/bin/tac").ok();
    let found = check(&host).exits(1);
    assert!(
        found.stdout().contains("no program of that name"),
        "{found:?}"
    );
    let before = look(&host);
    let refused = host.jailctl(["update", "arkham"]).exits(2);
    assert!(
        refused.stderr().contains("the jail `arkham` is as it was"),
        "{refused:?}"
    );
    assert_eq!(before.diff(&look(&host)), Vec::<String>::new());
    assert_eq!(harlequin.ssh("echo works | tac").ok().text(), "works");
}
