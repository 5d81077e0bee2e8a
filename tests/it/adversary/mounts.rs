//! Refused targets of a `[[mount]]`: a user other than root could move the directory that is
//! mounted on, where there is none in a session, where a build exchanges what is around it, and in
//! a jail with a directory that is outside of it.

use disposable::{DisposableHost, Key};

use crate::session::{compile, harlequin};
use crate::support::{CANARY, Spec, host_with_module};

/// A copy with directories that may be mounted, and harlequin's key.
fn host() -> (DisposableHost, Key) {
    let host = host_with_module();
    let key = host.key("harlequin");
    host.sh("mkdir -p /opt/real /opt/other/sub /opt/open/sub /opt/theirs/sub /opt/deep/open/sub; chmod 777 /opt/open /opt/deep/open; chown 4242 /opt/theirs")
        .ok();
    (host, key)
}

fn mount(source: &str, target: &str) -> String {
    format!(
        "[[mount]]\nsource = {source:?}\ntarget = {target:?}\noptions = [\"rw\", \"nosuid\", \"nodev\", \"noexec\"]\n\n"
    )
}

/// A spec with these tables is refused for this reason, and nothing is built.
#[track_caller]
fn refused((host, key): (&DisposableHost, &Key), more: &str, why: &str) {
    let mut spec = Spec::arkham(key, &[]);
    more.clone_into(&mut spec.more);
    let refused = spec.build(host).exits(2);
    assert!(refused.stderr().contains(why), "{why}: {refused:?}");
    assert!(!host.has(&spec.root()));
}

#[disposable::test]
fn b7_nothing_is_mounted_where_a_user_could_move_the_place() {
    let (host, key) = host();
    let dir = |path: &str, rest: &str| format!("[[dir]]\npath = {path:?}\n{rest}\n\n");
    let owned = dir("/upload", "owner = \"harlequin\"");
    for target in ["/upload", "/upload/a", "/upload/a/x"] {
        refused(
            (&host, &key),
            &(owned.clone() + &mount("/opt/real", target)),
            "`/upload`, a directory of `harlequin`",
        );
    }
    let inner = dir("/srv/upload", "owner = \"harlequin\"");
    refused(
        (&host, &key),
        &(inner + &mount("/opt/real", "/srv")),
        "`/srv/upload`, a directory of `harlequin`",
    );
    refused(
        (&host, &key),
        &mount("/opt/real", "/home/harlequin/x"),
        "the home of `harlequin`",
    );
    // In what is mounted from the host.
    for (outer, target, why) in [
        ("/opt/open", "/data/sub", "it lies in `/opt/open`"),
        ("/opt/theirs", "/data/sub", "it lies in `/opt/theirs`"),
        ("/opt/deep", "/data/open/sub", "it lies in `/opt/deep/open`"),
        (
            "/opt/real",
            "/data/sub",
            "`/opt/real/sub` is not a directory",
        ),
    ] {
        let both = mount(outer, "/data") + &mount("/opt/other", target);
        refused((&host, &key), &both, why);
    }
    refused(
        (&host, &key),
        &(mount("/opt/other", "/data/sub") + &mount("/opt/other", "/data")),
        "would hide it",
    );
    // Where the outer one is root's from end to end, the inner one is there.
    let mut spec = Spec::arkham(&key, &[]);
    spec.more = mount("/opt/other", "/data") + &mount("/opt/real", "/data/sub");
    spec.build(&host).ok();
    host.write("/opt/real/file", "shown\n");
    let _sshd = host.sshd();
    assert_eq!(
        harlequin(&host).ssh("cat /data/sub/file").ok().text(),
        "shown"
    );
}

#[disposable::test]
fn c4_nothing_is_mounted_in_a_file_system_that_is_empty_in_each_session() {
    let (host, key) = host();
    refused(
        (&host, &key),
        &mount("/opt/real", "/tmp/x"),
        "`/tmp` is a separate file system in each session",
    );
    refused(
        (&host, &key),
        &mount("/opt/real", "/dev/shm/x"),
        "would hide files of the jail",
    );
    let memory = "[[mount]]\nsource = \"tmpfs\"\ntarget = \"/scratch\"\n\n".to_owned();
    refused(
        (&host, &key),
        &(memory.clone() + &mount("/opt/real", "/scratch/a/x")),
        "`/scratch` is a separate file system in each session",
    );
    // The places themselves may be.
    let mut spec = Spec::arkham(&key, &[]);
    spec.more = memory + &mount("/opt/other", "/tmp");
    spec.build(&host).ok();
    let _sshd = host.sshd();
    assert_eq!(harlequin(&host).ssh("ls /tmp").ok().text(), "sub");
}

#[disposable::test]
fn c9_nothing_is_mounted_in_what_a_build_exchanges() {
    let (host, key) = host();
    for (target, place) in [
        ("/usr/share/x", "/usr"),
        ("/usr/local", "/usr"),
        ("/etc/x", "/etc"),
        ("/bin/x", "/bin"),
        ("/lib/modules", "/lib"),
    ] {
        let why = format!("is below `{place}`, which a build exchanges as a whole");
        refused((&host, &key), &mount("/opt/real", target), &why);
    }
    refused(
        (&host, &key),
        &mount("/opt/real", "/dev/x"),
        "would hide files of the jail",
    );
}

#[disposable::test]
fn c8_no_session_sees_a_directory_of_a_plain_chroot() {
    let (host, key) = host();
    compile(&host, "passer", include_str!("../session/fd_passing.c"));
    let selina = host.key("selina");
    let mut plain = Spec::arkham(&selina, &["passer"]).plain();
    plain.name = "elba";
    plain.users[0].0 = "selina";
    plain.build(&host).ok();
    let shows = |source: &str| {
        let mut spec = Spec::arkham(&key, &["passer"]);
        spec.more = mount(source, "/shared");
        spec
    };
    for source in ["/srv/jails/elba", "/srv/jails/elba/home/selina"] {
        let refused = shows(source).build(&host).exits(2);
        let why = "overlaps with the root of the jail `elba`, a plain chroot";
        assert!(refused.stderr().contains(why), "{refused:?}");
    }
    // With sessions it may be shown, and a directory that is passed in is no way out.
    let mut sessions = plain.clone();
    sessions.is_plain = false;
    sessions.more.push_str("[namespaces]\n");
    sessions.build(&host).ok();
    let spec = shows("/srv/jails/elba/home/selina");
    spec.build(&host).ok();
    host.sh("chmod 755 /srv/jails/elba/home/selina").ok();
    let _sshd = host.sshd();
    let selina = host.login("selina", &selina);
    let mut giver = selina.start([], "umask 0; passer send /home/selina/socket /");
    giver.hear("waits");
    let taken = harlequin(&host).ssh("passer take /shared/socket");
    assert_eq!(taken.ok().text(), "in");
    assert_eq!(host.read("/canary").trim(), CANARY);
    drop(giver);
    // Nor does it become a plain chroot while it is shown.
    let refused = plain.build(&host).exits(2);
    assert!(
        refused.stderr().contains("sessions of `arkham` see it"),
        "{refused:?}"
    );
}
