//! The content store: jails share files, and only root can change them.

use disposable::{DisposableHost, Key};

use crate::support::{Reach, Spec, host, look, reach};

const STORE: &str = "/srv/jails/.jailctl/store";

/// Another jail with the same programs as arkham.
fn elba(key: &Key, also: &[&'static str]) -> Spec {
    let mut spec = Spec::arkham(key, also);
    spec.name = "elba";
    spec.users = vec![("napoleon", vec![key.public.trim().to_owned()])];
    spec
}

/// Two jails, built one after the other.
fn two(host: &DisposableHost) -> (Spec, Spec) {
    let specs = (
        Spec::arkham(&host.key("harlequin"), &[]),
        elba(&host.key("napoleon"), &[]),
    );
    specs.0.build(host).ok();
    specs.1.build(host).ok();
    specs
}

fn inode(host: &DisposableHost, path: &str) -> String {
    host.run(["stat", "-c", "%i", path]).ok().text().to_owned()
}

/// The store's file with the content of a path.
fn stored(host: &DisposableHost, path: &str) -> String {
    let found = host
        .sh(&format!("find {STORE} -samefile {path}"))
        .ok()
        .text()
        .to_owned();
    assert!(found.starts_with(STORE), "{path} is not in the store");
    found
}

/// Whether each file of a jail's tree is one of the store's.
#[track_caller]
fn all_shared(host: &DisposableHost, spec: &Spec) {
    let alone = host
        .sh(&format!(
            "cd {}; find usr etc jail welcome -type f -printf '%i\\n' | sort -u >/run/tree; find {STORE} -type f -printf '%i\\n' | sort -u >/run/store; comm -23 /run/tree /run/store",
            spec.root()
        ))
        .ok();
    assert_eq!(alone.text(), "");
}

#[track_caller]
fn nothing_to_do(host: &DisposableHost, spec: &Spec) {
    let told = spec.build(host).ok();
    assert_eq!(told.text(), format!("{}: nothing to do", spec.name));
}

#[disposable::test]
fn jails_share_their_files_and_never_one_of_the_hosts() {
    let host = host();
    let (arkham, elba) = two(&host);
    for spec in [&arkham, &elba] {
        all_shared(&host, spec);
        nothing_to_do(&host, spec);
    }
    let (a, b) = (arkham.root(), elba.root());
    for path in ["usr/bin/bash", "etc/nsswitch.conf", "welcome"] {
        assert_eq!(
            inode(&host, &format!("{a}/{path}")),
            inode(&host, &format!("{b}/{path}")),
            "{path}"
        );
    }
    assert_ne!(
        inode(&host, &format!("{a}/etc/passwd")),
        inode(&host, &format!("{b}/etc/passwd"))
    );
    host.sh(r#"cmp /bin/bash /srv/jails/arkham/bin/bash; [ -z "$(find /srv/jails -samefile /bin/bash)" ]; [ "$(stat -c "%a %u %g" /srv/jails/.jailctl/store)" = "700 0 0" ]"#).ok();
}

#[disposable::test]
fn the_second_jail_reads_no_file_that_the_first_has_read() {
    let host = host();
    host.sh("sleep 2.1").ok();
    let spec = Spec::arkham(&host.key("harlequin"), &[]);
    spec.build(&host).ok();
    let elba = elba(&host.key("napoleon"), &[]);
    let path = elba.put(&host);
    let trace = host
        .sh(&format!(
            "strace -f -qq -e trace=read,copy_file_range,sendfile -P /usr/bin/bash -P /usr/bin/cat jailctl build {path} 2>&1"
        ))
        .ok();
    // The resolver reads what it must of a program; nothing reads all of it.
    let read: u64 = trace
        .lines()
        .iter()
        .filter_map(|line| line.rsplit("= ").next()?.parse::<u64>().ok())
        .sum();
    assert!(read < 20_000, "{read} bytes read: {trace:?}");
    all_shared(&host, &elba);
}

#[disposable::test]
fn unused_store_files_are_deleted() {
    let host = host();
    host.sh("mkdir /srv/jails").ok();
    let before = look(&host);
    let (arkham, mut elba) = two(&host);
    let with_id = {
        let mut spec = arkham.clone();
        spec.binaries.push("id");
        spec
    };
    with_id.build(&host).ok();
    let id = stored(&host, "/srv/jails/arkham/usr/bin/id");
    arkham.build(&host).ok();
    assert!(host.has(&id), "the previous tree has it");
    arkham.clone().build(&host).ok();
    elba.binaries.push("true");
    elba.build(&host).ok();
    let mut touched = arkham.clone();
    touched.binaries.push("false");
    touched.build(&host).ok();
    assert!(!host.has(&id), "no tree has it");
    host.jailctl(["remove", "arkham", "--purge"]).ok();
    all_shared(&host, &elba);
    nothing_to_do(&host, &elba);
    let bash = stored(&host, "/srv/jails/elba/usr/bin/bash");
    host.jailctl(["remove", "elba", "--purge"]).ok();
    assert!(!host.has(&bash));
    assert_eq!(before.diff(&look(&host)), Vec::<String>::new());
}

#[disposable::test]
fn a_users_own_links_keep_nothing_and_change_nothing() {
    let host = host();
    let before = look(&host);
    let (arkham, elba) = two(&host);
    // As a user could where the kernel does not forbid it.
    host.sh("echo 0 >/proc/sys/fs/protected_hardlinks 2>/dev/null || true; ln /srv/jails/arkham/usr/bin/* /srv/jails/arkham/home/harlequin/; ln /srv/jails/arkham/usr/bin/bash /srv/jails/arkham/tmp/bash")
        .ok();
    nothing_to_do(&host, &arkham);
    nothing_to_do(&host, &elba);
    let ls = stored(&host, "/srv/jails/elba/usr/bin/ls");
    host.jailctl(["remove", "elba", "--purge"]).ok();
    host.jailctl(["remove", "arkham"]).ok();
    assert!(!host.has(&ls) && !host.has("/srv/jails/.jailctl"));
    assert_eq!(
        host.sh("stat -c '%u %a' /srv/jails/arkham/home/harlequin/ls")
            .ok()
            .text(),
        "0 755",
        "the user's link stays as it was"
    );
    arkham.build(&host).ok();
    host.jailctl(["remove", "arkham", "--purge"]).ok();
    assert_eq!(before.diff(&look(&host)), Vec::<String>::new());
}

#[disposable::test]
fn an_edit_through_one_jail_is_found_and_mended_in_all() {
    let host = host();
    let (arkham, elba) = two(&host);
    let before = host.snapshot(["/srv/jails/elba/usr", "/srv/jails/arkham/usr"]);
    // One byte, with size and time as they were.
    host.sh("cd /srv/jails/arkham/usr/bin; touch -r ls /run/time; printf X | dd of=ls bs=1 seek=4321 conv=notrunc status=none; touch -r /run/time ls; ! cmp -s ls /bin/ls; ! cmp -s /srv/jails/elba/usr/bin/ls /bin/ls").ok();
    for spec in [&elba, &arkham] {
        let plan = host.jailctl(["plan", "--exit-code", &spec.path()]).exits(1);
        assert!(plan.stdout().contains("usr/bin/ls"), "{plan:?}");
        spec.build(&host).ok();
        host.sh(&format!("cmp {}/usr/bin/ls /bin/ls", spec.root()))
            .ok();
    }
    let after = host.snapshot(["/srv/jails/elba/usr", "/srv/jails/arkham/usr"]);
    assert_eq!(before.diff(&after), Vec::<String>::new());
    for spec in [&elba, &arkham] {
        all_shared(&host, spec);
        nothing_to_do(&host, spec);
    }
}

/// A build of elba that dies when arkham's files are in the store.
fn crash(host: &DisposableHost, elba: &Spec) {
    let path = elba.put(host);
    let died = host.kill_at("linkat", 9, &["jailctl", "build", &path]);
    assert_eq!(died.code(), 137, "{died:?}");
}

#[disposable::test]
fn after_a_crash_no_file_is_used_before_it_is_verified() {
    let host = host();
    let arkham = Spec::arkham(&host.key("harlequin"), &[]);
    arkham.build(&host).ok();
    let elba = elba(&host.key("napoleon"), &[]);
    for (damage, path) in [
        ("truncate -s 100", "usr/bin/ls"),
        ("truncate -s 0", "usr/bin/cat"),
        (
            "f() { dd if=/dev/zero of=\"$1\" bs=4096 seek=7 count=1 conv=notrunc status=none; }; f",
            "usr/bin/bash",
        ),
        ("rm", "usr/lib/x86_64-linux-gnu/libc.so.6"),
    ] {
        crash(&host, &elba);
        let file = stored(&host, &format!("/srv/jails/arkham/{path}"));
        // As after a lost write of the disk: no other record shows it.
        host.sh(&format!(
            "touch -r {file} /run/time; {damage} {file}; [ ! -e {file} ] || touch -r /run/time {file}"
        ))
        .ok();
        elba.build(&host).ok();
        host.sh(&format!("cmp /srv/jails/elba/{path} /{path}")).ok();
        arkham.build(&host).ok();
        host.sh(&format!("cmp /srv/jails/arkham/{path} /{path}"))
            .ok();
        all_shared(&host, &elba);
        for spec in [&elba, &arkham] {
            nothing_to_do(&host, spec);
        }
        host.jailctl(["remove", "elba", "--purge"]).ok();
    }
}

#[disposable::test]
fn store_files_of_an_interrupted_run_are_deleted() {
    let host = host();
    let arkham = Spec::arkham(&host.key("harlequin"), &[]);
    crash(&host, &arkham);
    assert!(host.has(&format!("{STORE}/new")));
    host.sh(&format!(
        "for file in {STORE}/new/*; do echo rotten >$file; done"
    ))
    .ok();
    arkham.build(&host).ok();
    host.sh(&format!("cmp /srv/jails/arkham/bin/bash /bin/bash; ! grep -rl rotten /srv/jails; [ ! -e {STORE}/new ]; [ ! -e {STORE}/busy ]")).ok();
    all_shared(&host, &arkham);
}

#[disposable::test]
fn a_store_whose_index_is_lost_or_cut_is_read_anew() {
    let host = host();
    let (arkham, mut elba) = two(&host);
    for damage in ["rm", "truncate -s -1", "truncate -s 10", "cp /bin/ls"] {
        host.sh(&format!("{damage} {STORE}/index")).ok();
        nothing_to_do(&host, &arkham);
        elba.binaries.push(if elba.binaries.contains(&"id") {
            "true"
        } else {
            "id"
        });
        elba.binaries.dedup();
        elba.build(&host).ok();
        for spec in [&arkham, &elba] {
            all_shared(&host, spec);
            nothing_to_do(&host, spec);
        }
    }
}

#[disposable::test]
fn where_a_file_can_have_no_further_name_it_is_copied() {
    let host = host();
    let arkham = Spec::arkham(&host.key("harlequin"), &[]);
    arkham.build(&host).ok();
    let elba = elba(&host.key("napoleon"), &[]);
    for error in ["EMLINK", "EXDEV", "EPERM"] {
        let path = elba.put(&host);
        host.sh(&format!(
            "strace -f -qq -o /dev/null -e trace=linkat -e inject=linkat:error={error} jailctl build {path}"
        ))
        .ok();
        host.sh("cmp /srv/jails/elba/bin/bash /bin/bash; [ $(stat -c '%h %a' /srv/jails/elba/usr/bin/bash | tr ' ' -) = 1-755 ]").ok();
        nothing_to_do(&host, &elba);
        let both = host.sh("cd /srv/jails; diff <(cd arkham/usr; find . -type f -printf '%p %m %U %G %s %T@\\n' | sort) <(cd elba/usr; find . -type f -printf '%p %m %U %G %s %T@\\n' | sort)").ok();
        assert_eq!(both.text(), "");
        host.jailctl(["remove", "elba", "--purge"]).ok();
    }
    // A first jail, too.
    host.jailctl(["remove", "arkham", "--purge"]).ok();
    let path = arkham.put(&host);
    host.sh(&format!(
        "strace -f -qq -o /dev/null -e trace=linkat -e inject=linkat:error=EMLINK jailctl build {path}"
    ))
    .ok();
    host.sh("cmp /srv/jails/arkham/bin/bash /bin/bash").ok();
    nothing_to_do(&host, &arkham);
}

#[disposable::test]
fn a_jail_on_a_file_system_of_its_own_shares_nothing() {
    let host = host();
    let arkham = Spec::arkham(&host.key("harlequin"), &[]);
    arkham.build(&host).ok();
    host.sh("mkdir /srv/jails/elba; mount -t tmpfs -o mode=755 own /srv/jails/elba")
        .ok();
    let mut elba = elba(&host.key("napoleon"), &[]);
    elba.build(&host).ok();
    host.sh("cmp /srv/jails/elba/bin/bash /bin/bash; [ $(stat -c %h /srv/jails/elba/usr/bin/bash) = 1 ]; [ ! -e /srv/jails/elba/.jailctl/store ]").ok();
    nothing_to_do(&host, &elba);
    for program in ["id", "tac"] {
        elba.binaries.push(program);
        elba.build(&host).ok();
    }
    // Names went with the tree of the time before the last; what has others is still known to be
    // right, and not read.
    let opens = host
        .sh("rm -rf /var/cache/jailctl; strace -f -qq -y -e trace=openat,openat2 jailctl check elba 2>&1")
        .ok();
    assert!(opens.text().contains("manifest.json"), "{opens:?}");
    assert!(
        !opens.text().contains("/srv/jails/elba/usr/bin/bash"),
        "{opens:?}"
    );
    nothing_to_do(&host, &elba);
    // A bind mount is another mount of the same file system: the numbers are the same, and links
    // cannot cross.
    host.jailctl(["remove", "elba", "--purge"]).fails();
    host.sh("umount /srv/jails/elba; mkdir -p /srv/jails/elba /srv/other; chmod 755 /srv/other; mount --bind /srv/other /srv/jails/elba").ok();
    // The homes of the root below the mount are missing here.
    host.jailctl(["build", &elba.path()]).exits(4);
    let again = host.jailctl(["build", "--recreate", &elba.path()]);
    again.ok();
    host.sh("cmp /srv/jails/elba/bin/bash /bin/bash").ok();
    nothing_to_do(&host, &elba);
}

#[disposable::test]
fn what_somebody_else_could_write_to_is_not_shared() {
    let host = host();
    let (arkham, _) = two(&host);
    // Whatever a spec can ask for: no shared inode is another's than root's, or for others to write
    // to.
    let open = host
        .sh(&format!(
            "find {STORE} -type f \\( ! -user root -o -perm /022 -o -perm /7000 \\)"
        ))
        .ok();
    assert_eq!(open.text(), "");
    let key = host.key("again");
    let login = host.login("harlequin", &key);
    let mut with_key = arkham.clone();
    with_key.users[0].1.push(key.public.trim().to_owned());
    with_key.build(&host).ok();
    let _sshd = host.sshd();
    assert_eq!(reach(&host, &login), Reach::Jail);
    for deed in [
        "echo x >>/usr/bin/ls",
        "echo x >>/bin/bash",
        "chmod 777 /usr/bin/ls",
        "echo x >/etc/passwd",
        "ls /.jailctl",
    ] {
        login.ssh(deed).fails();
    }
    nothing_to_do(&host, &with_key);
}

#[disposable::test]
fn jails_of_different_labels_share_nothing() {
    let host = host();
    let arkham = Spec::arkham(&host.key("harlequin"), &[]);
    arkham.build(&host).ok();
    host.sh("mkdir -m 755 /srv/jails/elba; python3 -c 'import os; os.setxattr(\"/srv/jails/elba\", \"security.selinux\", b\"system_u:object_r:other_t:s0\\0\")' || perl -e 'exit 1'").ok();
    let elba = elba(&host.key("napoleon"), &[]);
    elba.build(&host).ok();
    assert_ne!(
        inode(&host, "/srv/jails/arkham/usr/bin/bash"),
        inode(&host, "/srv/jails/elba/usr/bin/bash")
    );
    let label = host.sh("python3 -c 'import os; print(os.getxattr(\"/srv/jails/elba/usr/bin/bash\", \"security.selinux\"))'").ok();
    assert!(label.text().contains("other_t"), "{label:?}");
    all_shared(&host, &elba);
    nothing_to_do(&host, &elba);
}
