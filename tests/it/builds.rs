//! Several builds in a row, builds for another host, dry runs, and builds that fail.

use disposable::DisposableHost;

use crate::support::{Reach, Spec, arkham, host, look, reach};

#[disposable::test]
fn several_specs_are_built_as_one() {
    let host = host();
    let key = host.key("key");
    let (arkham, dropbox) = (Spec::arkham(&key, &[]), Spec::dropbox(&key));
    host.sshd();
    let paths = [arkham.put(&host), dropbox.put(&host)];
    host.jailctl(["build", &paths[0], &paths[1]]).ok();
    host.sh(
        "[ $(id -u harlequin) != $(id -u selina) ] && [ $(id -g harlequin) != $(id -g selina) ]",
    )
    .ok();
    for user in ["harlequin", "selina"] {
        let login = host.login(user, &key);
        assert_eq!(reach(&host, &login), Reach::Jail, "{user}");
    }
}

#[disposable::test]
fn when_the_last_of_several_specs_fails_the_first_is_undone() {
    let host = host();
    let key = host.key("key");
    host.plain_user("selina");
    host.sshd();
    let paths = [
        Spec::arkham(&key, &[]).put(&host),
        Spec::dropbox(&key).put(&host),
    ];
    let before = look(&host);
    let refused = host.jailctl(["build", &paths[0], &paths[1]]).exits(2);
    assert!(refused.stderr().contains("`selina`"), "{refused:?}");
    assert_eq!(before.diff(&look(&host)), Vec::<String>::new());
    assert_eq!(reach(&host, &host.login("harlequin", &key)), Reach::Nothing);
}

#[disposable::test]
fn a_tree_alone_needs_no_account_and_runs() {
    let host = host();
    let key = host.key("key");
    let path = Spec::arkham(&key, &[]).put(&host);
    let before = look(&host);
    host.jailctl(["build", &path, "--output", "/root/tree"])
        .ok();
    assert_eq!(before.diff(&look(&host)), Vec::<String>::new());
    let seen = host
        .sh("chroot --userspec=65534:65534 /root/tree /bin/bash -c 'cat /welcome; ls /'")
        .ok();
    assert!(
        seen.stdout().starts_with("Welcome to Arkham.\n"),
        "{seen:?}"
    );
    assert!(!seen.stdout().contains("canary"));
    host.jailctl(["build", &path, "--output", "/root/tree"])
        .exits(4);
    host.jailctl(["build", &path, "--output", "/root/again"])
        .ok();
    let listing = "-printf '%P %y %m %U:%G %s %l\\n' | sort";
    let lists = host.sh(&format!(
        "cd /root/tree; find . {listing}; echo ==; cd ../again; find . {listing}"
    ));
    let lists = lists.ok();
    let (one, other) = lists.stdout().split_once("==\n").expect("two lists");
    assert_eq!(one, other);
}

/// A directory that holds as much of a host as a jail needs.
pub(crate) fn second_host(host: &DisposableHost) {
    host.sh(r"
        mkdir -p /root/other; cd /root/other
        mkdir -p etc/ssh/sshd_config.d usr/bin usr/sbin usr/lib/openssh usr/lib64 var/lib run srv
        ln -s usr/bin bin; ln -s usr/sbin sbin; ln -s usr/lib lib; ln -s usr/lib64 lib64
        cp -a /etc/passwd /etc/group /etc/shadow /etc/gshadow /etc/login.defs /etc/ld.so.cache etc/
        cp /etc/ssh/sshd_config etc/ssh/
        for program in bash sh ls cat; do cp -L /usr/bin/$program usr/bin/; done
        cp /usr/lib/openssh/sftp-server usr/lib/openssh/
        for file in $(ldd /usr/bin/bash /usr/bin/ls /usr/bin/cat /usr/bin/sh /usr/lib/openssh/sftp-server | tr '\t' ' ' | grep -o ' /lib[^ ]*' | sort -u); do
            mkdir -p .$(dirname $file); cp -L $file .$file
        done
    ")
    .ok();
}

#[disposable::test]
fn root_option_changes_only_the_other_host() {
    let host = host();
    second_host(&host);
    let key = host.key("key");
    let path = Spec::arkham(&key, &[]).put(&host);
    let before = look(&host);
    let other = host.snapshot(["/root/other"]);
    host.jailctl(["build", &path, "--root", "/root/other"]).ok();
    assert_eq!(before.diff(&look(&host)), Vec::<String>::new());
    host.sh("grep -q '^harlequin:.*:/jail/bin/bash$' /root/other/etc/passwd")
        .ok();
    host.sh(
        "grep -q '^Match Group jail-arkham$' /root/other/etc/ssh/sshd_config.d/*-jailctl.all.conf",
    )
    .ok();
    assert!(host.has("/root/other/srv/jails/arkham/usr/bin/ls"));
    assert!(host.has("/root/other/var/lib/jailctl/arkham/manifest.json"));
    let list = host.jailctl(["list", "--root", "/root/other"]).ok();
    assert!(list.stdout().contains("harlequin"), "{list:?}");
    assert_eq!(host.jailctl(["list"]).ok().stdout(), "");
    let again = host.jailctl(["build", &path, "--root", "/root/other"]).ok();
    assert!(again.stdout().contains("nothing to do"), "{again:?}");
    host.jailctl(["remove", "arkham", "--purge", "--root", "/root/other"])
        .ok();
    let left = other.diff(&host.snapshot(["/root/other"]));
    let left: Vec<&String> = left
        .iter()
        .filter(|line| {
            let shadows_own = [
                "passwd-",
                "group-",
                "shadow-",
                "gshadow-",
                ".pwd.lock",
                "/run/jailctl",
            ];
            !shadows_own.iter().any(|name| line.contains(name))
        })
        .collect();
    assert_eq!(left, Vec::<&String>::new());
}

#[disposable::test]
fn a_full_disk_leaves_the_host_as_it_was() {
    let host = host();
    let key = host.key("key");
    let path = Spec::arkham(&key, &[]).put(&host);
    host.sh("mkdir /srv/jails; mount -t tmpfs -o size=2m,mode=755 small /srv/jails")
        .ok();
    let before = look(&host);
    let failed = host.jailctl(["build", &path]).exits(4);
    assert!(
        failed.stderr().contains("no space left on device"),
        "{failed:?}"
    );
    assert!(
        failed.stderr().contains("`/srv/jails/arkham/"),
        "{failed:?}"
    );
    assert_eq!(before.diff(&look(&host)), Vec::<String>::new());
}

/// Makes each of jailctl's own calls of `call` fail in turn with `error`, until a run completes.
///
/// Without following children: a tool of shadow's whose disk fails is shadow's matter, and its own
/// undoing needs the calls too.
fn failing_in_turn(
    host: &DisposableHost,
    call: &str,
    error: &str,
    path: &str,
    mut after: impl FnMut(),
) -> usize {
    // Where each file has its own call, every seventh.
    let step = if matches!(call, "copy_file_range" | "utimensat") {
        7
    } else {
        1
    };
    for n in (1..200).step_by(step) {
        let inject = format!("inject={call}:error={error}:when={n}");
        let output = host.run([
            "strace",
            "-o",
            "/dev/null",
            "-e",
            &inject,
            "jailctl",
            "build",
            path,
        ]);
        if output.code() == 0 {
            return n / step;
        }
        assert_eq!(output.code(), 4, "{call} {n}: {output:?}");
        let said = output.stderr();
        assert!(said.starts_with("error: could not "), "{call} {n}: {said}");
        assert!(!said.contains("while rolling back"), "{call} {n}: {said}");
        after();
    }
    panic!("{call}: no run completed");
}

#[disposable::test]
fn a_first_build_failing_at_any_call_is_undone() {
    let calls = [
        ("mkdirat", "ENOSPC"),
        ("fchown", "EPERM"),
        ("fchmod", "EPERM"),
        ("symlinkat", "EACCES"),
        ("mknodat", "EPERM"),
        ("renameat2", "EIO"),
        ("fsync", "EIO"),
        ("syncfs", "EIO"),
        ("utimensat", "EROFS"),
        ("copy_file_range", "EDQUOT"),
    ];
    let mut failures = 0;
    for (call, error) in calls {
        let host = host();
        host.sshd();
        let key = host.key("key");
        let path = Spec::arkham(&key, &[]).put(&host);
        let before = look(&host);
        failures += failing_in_turn(&host, call, error, &path, || {
            assert_eq!(before.diff(&look(&host)), Vec::<String>::new(), "{call}");
        });
        assert_eq!(
            reach(&host, &host.login("harlequin", &key)),
            Reach::Jail,
            "{call}"
        );
    }
    assert!(failures > 50, "only {failures} failures were tried");
}

#[disposable::test]
fn a_rebuild_failing_at_any_call_keeps_the_jail() {
    for (call, error) in [
        ("renameat2", "EIO"),
        ("linkat", "EIO"),
        ("fsync", "EIO"),
        ("unlinkat", "EPERM"),
    ] {
        let host = host();
        host.sshd();
        let (mut spec, harlequin) = arkham(&host, &[]);
        spec.binaries.push("id");
        let path = spec.put(&host);
        let changes = host.jailctl(["plan", &path]).ok().stdout().to_owned();
        failing_in_turn(&host, call, error, &path, || {
            assert_eq!(
                harlequin.ssh("ls /welcome").ok().text(),
                "/welcome",
                "{call}"
            );
            assert_eq!(
                host.jailctl(["plan", &path]).ok().stdout(),
                changes,
                "{call}"
            );
        });
        assert_eq!(harlequin.ssh("id -un").ok().text(), "harlequin", "{call}");
    }
}

#[disposable::test]
fn an_unmanaged_path_in_the_way_is_kept() {
    let host = host();
    let (mut spec, _) = arkham(&host, &[]);
    host.sh("mkdir /srv/jails/arkham/data; echo years of work >/srv/jails/arkham/data/thesis")
        .ok();
    spec.more
        .push_str("\n[[file]]\ntarget = \"/data\"\ncontent = \"x\"\n");
    let before = look(&host);
    let refused = spec.build(&host).exits(4);
    assert!(refused.stderr().contains("`/data`"), "{refused:?}");
    assert!(
        refused.stderr().contains("a directory exists there"),
        "{refused:?}"
    );
    assert_eq!(before.diff(&look(&host)), Vec::<String>::new());
}

#[disposable::test]
fn a_mount_in_the_tree_is_refused() {
    let host = host();
    host.write(
        "/etc/ssh/sshd_config.d/90-port.conf",
        "Match LocalPort 2222\nX11Forwarding no\n",
    );
    let (mut spec, _) = arkham(&host, &[]);
    host.sh("mkdir /root/docs; mount --bind /root/docs /srv/jails/arkham/usr/lib64")
        .ok();
    spec.binaries.push("id");
    let refused = spec.build(&host).exits(4);
    assert!(
        refused
            .stderr()
            .contains("umount /srv/jails/arkham/usr/lib64"),
        "{refused:?}"
    );
}
