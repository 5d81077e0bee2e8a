//! Finding B4: the owner of the directory that root passes to `--root`.

use disposable::DisposableHost;

use crate::support::{Spec, host, look};

/// Where the other host is.
const OTHER: &str = "/root/other";

/// A password that anybody may know.
const HASH: &str = "$6$saltsalt$qFmFH.bQmmtXzyBY0s9v7Oicd2z4XSIecDzlB5KiA2/jctKu9YterLp8wwnSq.qc.eoxqOmSuNp2xS0ktL3nh/";

/// A copy with a host in a directory, where bob has an account, a password and groups, as on
/// the running one.
fn two_hosts() -> DisposableHost {
    let host = host();
    host.plain_user("bob");
    host.sh(
        "groupadd devs; groupadd crew; usermod -aG devs,crew bob; echo bob:secret | chpasswd; gpasswd -A bob devs
        echo bob:100000:65536 >/etc/subuid; echo bob:100000:65536 >/etc/subgid",
    )
    .ok();
    crate::builds::second_host(&host);
    host.sh("mkdir /root/other/etc/default; cp -a /etc/default/useradd /root/other/etc/default; cp -a /etc/subuid /etc/subgid /root/other/etc")
        .ok();
    host
}

/// The text of arkham's spec with these `[[user]]` tables.
fn text(users: &str) -> String {
    format!("name = \"arkham\"\nbinaries = [\"bash\", \"ls\", \"cat\"]\n{users}")
}

/// Of a host at `root`: each account file, with its owner and mode. The backups of shadow's tools
/// are not looked at.
fn accounts(host: &DisposableHost, root: &str) -> String {
    let script = format!(
        "cd {root}/etc; for file in passwd group shadow gshadow subuid subgid; do
            echo \"== $file $(stat -c '%a %u:%g' $file)\"; cat $file
        done"
    );
    host.sh(&script).ok().stdout().to_owned()
}

#[disposable::test]
fn b4_accounts_of_a_directory_become_what_shadow_makes_of_them() {
    let host = two_hosts();
    host.sh("rm -f /run/keys/key*").ok();
    let key = host.key("key");
    let keys = format!("authorized_keys = [{:?}]\n", key.public.trim());
    let spec = "/root/arkham.toml";
    assert_eq!(accounts(&host, ""), accounts(&host, OTHER));
    let start = accounts(&host, "");
    let user = |name: &str, more: &str| format!("[[user]]\nname = {name:?}\n{more}\n{keys}");
    let acts = [
        // Made: an account with a password that ends, one with groups beside. Taken over: bob.
        user(
            "harlequin",
            &format!("password = {HASH:?}\nexpires = 2999-12-31"),
        ) + &user("joker", "groups = ['crew']")
            + &user("bob", "adopt = true"),
        // Other groups, no end, another password.
        user("harlequin", "groups = ['crew']")
            + &user("joker", "groups = ['guests']")
            + &user(
                "bob",
                "adopt = true\npassword = 'unchanged'\ngroups = ['crew']",
            ),
        // One fewer, bob given back.
        user("harlequin", "expires = 2999-12-31"),
    ];
    for (act, users) in acts.iter().enumerate() {
        host.write(spec, &text(users));
        host.jailctl(["build", spec]).ok();
        host.jailctl(["build", spec, "--root", OTHER]).ok();
        let live = accounts(&host, "");
        assert_eq!(live, accounts(&host, OTHER), "{act}");
        assert_ne!(live, start, "{act}");
    }
    host.jailctl(["remove", "arkham", "--purge"]).ok();
    host.jailctl(["remove", "arkham", "--purge", "--root", OTHER])
        .ok();
    assert_eq!(accounts(&host, ""), accounts(&host, OTHER));
    // No tool of shadow's was there, which would have left a backup.
    host.sh("test -e /etc/passwd-; ! ls /root/other/etc/*- 2>/dev/null")
        .ok();
}

#[disposable::test]
fn b4_no_code_of_a_directory_runs_as_root() {
    let host = two_hosts();
    let key = host.key("key");
    let keys = format!("authorized_keys = [{:?}]\n", key.public.trim());
    host.write(
        "/root/evil.c",
        "#include <fcntl.h>\n#include <unistd.h>\n\
        __attribute__((constructor)) static void loaded(void) { close(open(\"/b4-was-loaded\", O_CREAT | O_WRONLY, 0600)); }\n",
    );
    host.sh(
        "cd /root; gcc -shared -fPIC -Wl,-soname,libnss_evil.so.2 -o evil.so evil.c
        lib=$(dirname $(ldd /usr/bin/bash | grep -o '/lib[^ ]*libc.so.6'))
        cp evil.so other$lib/libnss_evil.so.2; cp evil.so /home/bob/evil.so
        for database in passwd group shadow gshadow initgroups; do echo \"$database: evil files\"; done >other/etc/nsswitch.conf
        # The library is one that a program finds there which has changed root.
        cp $(which getent) other/usr/bin/
        for file in $(ldd /usr/bin/getent | grep -o ' /lib[^ ]*'); do cp -L $file other$file; done
        chroot other getent passwd bob; rm other/b4-was-loaded
        echo /home/bob/evil.so >other/etc/ld.so.preload",
    )
    .ok();
    let spec = "/root/arkham.toml";
    let users = format!(
        "[[user]]\nname = 'harlequin'\npassword = '{HASH}'\n{keys}\n[[user]]\nname = 'bob'\nadopt = true\ngroups = ['crew']\n{keys}"
    );
    host.write(spec, &text(&users));
    let running = look(&host);
    host.jailctl(["plan", spec, "--root", OTHER]).ok();
    host.jailctl(["build", spec, "--root", OTHER]).ok();
    host.jailctl(["check", "--root", OTHER]).ok();
    host.jailctl(["remove", "arkham", "--purge", "--root", OTHER])
        .ok();
    let loaded = host.sh("ls /b4-was-loaded /root/other/b4-was-loaded 2>/dev/null || true");
    assert_eq!(loaded.ok().text(), "");
    assert_eq!(running.diff(&look(&host)), Vec::<String>::new());
}

#[disposable::test]
fn b4_links_of_a_directory_do_not_lead_out_of_it() {
    let host = two_hosts();
    let key = host.key("key");
    let path = Spec::arkham(&key, &[]).put(&host);
    // By the link, the same path is a copy inside and the running host's files outside.
    host.sh(
        "rm -rf /tmp/x; mkdir /tmp/x; ln -s /etc /tmp/x/etc; ln -s /etc/passwd /tmp/x/passwd
        cd /root/other; mkdir -p tmp/x; cp -a etc tmp/x/etc; cp -a etc/passwd tmp/x/passwd",
    )
    .ok();
    for (spoil, mend, words) in [
        (
            "mv etc was; ln -s /tmp/x/etc etc",
            "rm etc; mv was etc",
            &["`/root/other/etc`", "it is a symbolic link"][..],
        ),
        (
            "mv etc/passwd was; ln -s /tmp/x/passwd etc/passwd; chown bob etc/group",
            "rm etc/passwd; mv was etc/passwd; chown root etc/group",
            &[
                "`/root/other/etc/passwd`",
                "it is a symbolic link",
                "`/root/other/etc/group`",
                "it belongs to the user id",
            ],
        ),
        (
            "chown bob etc",
            "chown root etc",
            &["`/root/other/etc`", "it belongs to the user id"],
        ),
        (
            "chmod g+w etc/gshadow",
            "chmod g-w etc/gshadow",
            &[
                "`/root/other/etc/gshadow`",
                "others than root may write to it",
            ],
        ),
        (
            "mv etc/shadow was; mkfifo etc/shadow",
            "rm etc/shadow; mv was etc/shadow",
            &["`/root/other/etc/shadow`", "it is not a regular file"],
        ),
    ] {
        host.sh(&format!("cd /root/other; {spoil}")).ok();
        let before = host.snapshot(["/etc", OTHER]);
        for verb in ["plan", "build"] {
            let refused = host.jailctl([verb, &path, "--root", OTHER]).exits(4);
            for word in words {
                assert!(refused.stderr().contains(word), "{word}: {refused:?}");
            }
        }
        let after = host.snapshot(["/etc", OTHER]);
        assert_eq!(before.diff(&after), Vec::<String>::new(), "{spoil}");
        host.sh(&format!("cd /root/other; {mend}")).ok();
    }
    host.jailctl(["build", &path, "--root", OTHER]).ok();
    host.sh("grep -q ^harlequin: /root/other/etc/passwd; ! grep -q ^harlequin: /etc/passwd /tmp/x/etc/passwd")
        .ok();
}

#[disposable::test]
fn b4_whoever_changes_the_accounts_of_a_directory_is_waited_for() {
    let host = two_hosts();
    let key = host.key("key");
    let path = Spec::arkham(&key, &[]).put(&host);
    host.write("/root/over.new", "");
    // As lckpwdf(3) locks it.
    let mut holder = host.spawn([
        "perl",
        "-e",
        "use Fcntl; open(L, '>', '/root/other/etc/.pwd.lock') or die; my $l = pack('s s l! l! i', F_WRLCK, SEEK_SET, 0, 0, 0);
        fcntl(L, F_SETLK, $l) or die; $| = 1; print \"held\\n\"; sleep 3; print \"over\\n\"; rename('/root/over.new', '/root/over'); close(L); sleep 60",
    ]);
    holder.hear("held");
    host.jailctl(["build", &path, "--root", OTHER]).ok();
    assert!(host.has("/root/over"), "it did not wait");
}
