//! The harness itself: a copy is like the machine, apart from it, and leaves nothing.
#![expect(
    clippy::disallowed_methods,
    reason = "the rule is the product's; these tests look at the machine"
)]

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use disposable::DisposableHost;
use disposable::harness::need_root;
use disposable::login::Scp;

fn main() -> ExitCode {
    disposable::harness::run()
}

/// What the machine has that a copy could leave behind.
fn machine() -> [String; 3] {
    let read = |path| fs::read_to_string(path).expect("readable");
    [
        read("/proc/self/mountinfo"),
        read("/etc/passwd"),
        read("/proc/sys/kernel/hostname"),
    ]
}

#[disposable::test]
fn an_account_made_inside_is_not_outside() {
    need_root();
    let before = machine();
    let host = DisposableHost::new();
    host.sh("useradd --create-home pamela; echo changed >>/etc/motd")
        .ok();
    assert!(host.read("/etc/passwd").contains("pamela"));
    assert!(host.has("/home/pamela"));
    assert_eq!(before, machine());
    assert_eq!(host.sh("hostname").ok().text(), "gotham");
}

#[disposable::test]
fn a_plain_user_comes_in_by_every_client() {
    need_root();
    let host = DisposableHost::new();
    let bob = host.plain_user("bob");
    let sshd = host.sshd();

    assert_eq!(bob.ssh("id -un; exit 7").exits(7).text(), "bob");
    assert!(bob.ssh_pty("tty").ok().text().starts_with("/dev/pts/"));
    bob.ssh("tty").fails();

    host.write("/root/letter", "Dear Bob\n");
    bob.sftp("put /root/letter one\nget one /root/back").ok();
    assert_eq!(host.read("/root/back"), "Dear Bob\n");
    bob.scp(Scp::Sftp, "/root/letter", ":two").ok();
    bob.scp(Scp::Legacy, ":two", "/root/three").ok();
    bob.rsync("/root/three", ":four").ok();
    assert_eq!(bob.ssh("cat one two four").ok().lines().len(), 3);

    let mut shell = bob.session();
    assert_eq!(shell.run("cd /usr; pwd"), (0, "/usr".to_owned()));
    assert_eq!(shell.run("pwd; false"), (1, "/usr".to_owned()));
    sshd.restart();
    assert_eq!(
        shell.run("echo still here").1,
        "still here",
        "a session outlives the listener"
    );

    bob.as_user("root").ssh("true").fails();
    assert!(sshd.log().contains("Accepted publickey for bob"));
}

#[disposable::test]
fn two_copies_do_not_see_each_other() {
    need_root();
    let one = DisposableHost::new();
    let other = DisposableHost::builder().hostname("metropolis").make();
    let (bob, clark) = (one.plain_user("bob"), other.plain_user("clark"));
    let _listeners = (one.sshd(), other.sshd());
    assert_eq!(bob.ssh("hostname").ok().text(), "gotham");
    assert_eq!(clark.ssh("hostname").ok().text(), "metropolis");
    assert!(!one.read("/etc/passwd").contains("clark"));
    one.write("/srv/here", "");
    assert!(!other.has("/srv/here"));
}

/// A process's number and when it started; `None` where it has ended, waited for or not.
fn start(process: &Path) -> Option<String> {
    let stat = fs::read_to_string(process.join("stat")).ok()?;
    let (pid, rest) = stat.split_once(' ')?;
    let after_name = rest.rsplit_once(") ")?.1;
    let fields: Vec<&str> = after_name.split(' ').collect();
    (fields[0] != "Z").then(|| format!("{pid} {}", fields[19]))
}

#[disposable::test]
fn nothing_is_left() {
    need_root();
    let before = machine();
    let host = DisposableHost::new();
    let _sshd = host.sshd();
    host.sh("setsid sleep 1234.5 >/dev/null 2>&1 & disown").ok();
    let mut running = host.spawn(["sh", "-c", "echo up; exec sleep 2345.6"]);
    running.hear("up");
    let names = host.sh("readlink /proc/self/ns/mnt").ok();
    // The number of a namespace is given to the next one at once, so processes are identified by
    // their own number and start.
    let inside: Vec<String> = fs::read_dir("/proc")
        .expect("proc")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| {
            fs::read_link(path.join("ns/mnt")).is_ok_and(|link| link.to_str() == Some(names.text()))
        })
        .filter_map(|path| start(&path))
        .collect();
    assert!(!inside.is_empty(), "the check itself sees a living copy");
    drop(host);
    // nsenter is outside the copy's processes, and ends when it sees the command's end.
    assert_eq!(running.finish(), 128 + 9);
    for process in &inside {
        let pid = process.split(' ').next().expect("a number");
        assert_ne!(start(&Path::new("/proc").join(pid)).as_ref(), Some(process));
    }
    assert_eq!(before, machine());
}

#[disposable::test]
fn killing_a_running_command_kills_it_inside() {
    need_root();
    let host = DisposableHost::new();
    let mut running = host.spawn(["bash", "-c", "echo $$; exec sleep 3456.7"]);
    let pid = running.hear("").remove(0);
    host.sh(&format!("kill -0 {pid}")).ok();
    drop(running);
    host.until(&format!("! kill -0 {pid} 2>/dev/null"));
}

#[disposable::test]
fn a_command_that_hangs_fails_its_test() {
    need_root();
    let host = DisposableHost::builder()
        .limit(Duration::from_millis(200))
        .make();
    let begin = Instant::now();
    let hung = catch_unwind(AssertUnwindSafe(|| host.sh("sleep 4567.8")));
    assert!(hung.is_err());
    assert!(begin.elapsed() < Duration::from_secs(5));
}

#[disposable::test]
fn a_copy_is_made_in_less_than_a_second() {
    need_root();
    let quickest = (0..3)
        .map(|_| {
            let begin = Instant::now();
            DisposableHost::new().sh("true").ok();
            begin.elapsed()
        })
        .min()
        .expect("three");
    assert!(quickest < Duration::from_secs(1), "{quickest:?}");
}

#[disposable::test]
fn a_trace_tells_what_was_written() {
    need_root();
    let host = DisposableHost::new();
    let (output, changes) = host.trace_writes(&[
        "bash",
        "-c",
        "cat /etc/passwd >/dev/null; mkdir /srv/a; cd /srv/a; echo x >b; mv b c; chmod 600 c; echo done",
    ]);
    assert_eq!(output.ok().text(), "done");
    assert!(changes.iter().all(|change| !change.is_below("/etc")));
    for (call, path) in [
        ("mkdir", "/srv/a"),
        ("open", "/srv/a/b"),
        ("write", "/srv/a/b"),
        ("rename", "/srv/a/c"),
        ("chmod", "/srv/a/c"),
    ] {
        assert!(
            changes
                .iter()
                .any(|change| change.call.contains(call) && change.is_below(path)),
            "{call} {path} in {changes:#?}"
        );
    }
}

#[disposable::test]
fn death_comes_at_the_call_asked_for() {
    need_root();
    let host = DisposableHost::new();
    let made = || host.sh("ls /srv; rm -rf /srv/*").ok().text().to_owned();
    host.kill_at("mkdir", 2, &["mkdir", "/srv/a", "/srv/b", "/srv/c"])
        .exits(137);
    assert_eq!(made(), "a");
    host.kill_at("mkdir", 4, &["mkdir", "/srv/a", "/srv/b", "/srv/c"])
        .ok();
    assert_eq!(made(), "a\nb\nc");
}

#[disposable::test]
fn snapshots_differ_by_what_changed() {
    need_root();
    let host = DisposableHost::new();
    host.sh("cd /srv; mkdir d; echo 1 >d/text; ln -s a link; touch 'odd  name'")
        .ok();
    let before = host.snapshot(["/srv", "/nowhere"]);
    assert_eq!(
        before.paths(),
        [
            "/srv",
            "/srv/d",
            "/srv/d/text",
            "/srv/link",
            "/srv/odd  name"
        ]
    );
    host.sh("touch /srv/d/text").ok();
    assert_eq!(before, host.snapshot(["/srv"]));
    host.sh("cd /srv; echo 2 >d/text; ln -sf b link; chmod 700 d; rm odd*; touch new")
        .ok();
    let changed: Vec<String> = before
        .diff(&host.snapshot(["/srv"]))
        .iter()
        .map(|line| line.split(':').next().expect("a path").to_owned())
        .collect();
    assert_eq!(
        changed,
        [
            "- /srv/odd  name",
            "~ /srv/d",
            "~ /srv/d/text",
            "~ /srv/link",
            "+ /srv/new",
        ]
    );
}

/// The example of the crate's documentation.
#[disposable::test]
fn the_documented_example_holds() {
    need_root();
    let host = DisposableHost::new();
    let bob = host.plain_user("bob");
    let sshd = host.sshd();
    assert_eq!(bob.ssh("id -un").ok().stdout(), "bob\n");
    assert_eq!(host.sh("who | wc -l").ok().text(), "0");
    assert!(sshd.log().contains("Accepted publickey for bob"));
}
