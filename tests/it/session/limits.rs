//! Limits of the sessions of a jail together, over real ssh, with the machine's own control groups:
//! each test has a group of its own in each hierarchy, the parent of those of its jails, and
//! deletes it.
#![expect(
    clippy::disallowed_methods,
    reason = "a directory on a real disk, beside the copy"
)]

use std::thread::sleep;
use std::time::{Duration, Instant};

use disposable::DisposableHost;
use disposable::harness::need_root;

use super::control_groups::Parent;
use super::fail_closed::closed;
use super::{LOG, compile, harlequin};
use crate::support::{Spec, host_with_module, log_and_module};

/// Disposable host with sshd running and the jail arkham, which has these limits.
pub(crate) fn limited(also: &[&'static str], limits: &str) -> (Parent, DisposableHost, Spec) {
    limit(host_with_module(), also, limits)
}

pub(crate) fn limit(
    host: DisposableHost,
    also: &[&'static str],
    limits: &str,
) -> (Parent, DisposableHost, Spec) {
    let parent = Parent::make();
    let key = host.key("harlequin");
    let mut spec = Spec::arkham(&key, also);
    spec.more += &["[limits]\n", &parent.line(), limits].concat();
    spec.build(&host).ok();
    (parent, host, spec)
}

#[disposable::test]
fn sessions_are_in_the_cgroups_of_their_jail() {
    let (parent, host, _) = limited(
        &["sleep"],
        "memory = \"256M\"\ncpu = \"50%\"\ncpu_weight = 50\ncpus = \"0\"\ntasks = 64\ndevices = []\nopen_files = 512\n",
    );
    let _sshd = host.sshd();
    let login = harlequin(&host);
    let mut first = login.start([], "echo up; read -r line; exit 3");
    first.hear("up");
    let mut second = login.start([], "ulimit -n; echo up; read -r line");
    assert_eq!(second.hear("up")[0], "512");
    assert_eq!(parent.read("arkham", "memory.limit_in_bytes"), "268435456");
    assert_eq!(parent.read("arkham", "cpu.cfs_quota_us"), "50000");
    assert_eq!(parent.read("arkham", "cpu.shares"), "512");
    assert_eq!(parent.read("arkham", "cpuset.cpus"), "0");
    assert_eq!(parent.read("arkham", "pids.max"), "64");
    assert!(
        parent
            .read("arkham", "devices.list")
            .starts_with("c 1:3 rw")
    );
    // Two processes of sshd and a shell, for each session.
    assert_eq!(parent.read("arkham", "pids.current"), "6");
    assert_eq!(first.finish(), 3);
    second.say("");
    second.finish();
    parent.until_empty();
    assert_eq!(host.sh("ls /run/jailctl/sessions/arkham").ok().text(), "");
}

/// systemd marks a host that it runs by a directory; the groups of this machine are those of v1, as
/// if systemd had been configured so at boot.
#[disposable::test]
fn v1_cgroups_are_created_beside_those_of_systemd() {
    let host = host_with_module();
    host.sh("mkdir -p /run/systemd/system").ok();
    let (parent, host, _) = limit(host, &[], "memory = \"256M\"\ntasks = 64\ndevices = []\n");
    let _sshd = host.sshd();
    let login = harlequin(&host);
    let mut inside = login.start([], "echo up; read -r line");
    inside.hear("up");
    assert_eq!(parent.read("arkham", "memory.limit_in_bytes"), "268435456");
    assert_eq!(parent.read("arkham", "pids.max"), "64");
    host.jailctl(["freeze", "arkham"]).ok();
    assert_eq!(parent.read("arkham", "freezer.state"), "FROZEN");
    host.jailctl(["kill", "arkham"]).ok();
    drop(inside);
    parent.until_empty();
}

/// Program that has `n` children at once, prints how many it could start, and ends them.
const FORKS: &str = r#"
    #include <stdio.h>
    #include <stdlib.h>
    #include <signal.h>
    #include <unistd.h>
    int main(int argc, char **argv) {
        int wanted = atoi(argv[1]), n = 0;
        for (; n < wanted; n++) {
            pid_t pid = fork();
            if (pid < 0) break;
            if (pid == 0) { pause(); _exit(0); }
        }
        printf("%d\n", n); fflush(stdout);
        signal(SIGTERM, SIG_IGN);
        kill(0, SIGTERM);
    }"#;

/// Fork bomb.
const BOMB: &str = "#include <unistd.h>\nint main(void) { for (;;) fork(); }";

/// Program that uses as many MiB as its argument, and prints this.
const HOG: &str = r#"
    #include <stdio.h>
    #include <stdlib.h>
    #include <string.h>
    int main(int argc, char **argv) {
        for (int n = atoi(argv[1]); n > 0; n--) {
            char *piece = malloc(1 << 20);
            if (!piece) return 3;
            memset(piece, n, 1 << 20);
        }
        puts("had it all");
    }"#;

#[disposable::test]
fn a_fork_bomb_stops_at_tasks() {
    let host = host_with_module();
    compile(&host, "forks", FORKS);
    compile(&host, "bomb", BOMB);
    let (parent, host, _) = limit(host, &["forks", "bomb"], "tasks = 32\n");
    let _sshd = host.sshd();
    let bob = host.plain_user("bob");
    let login = harlequin(&host);
    assert_eq!(
        bob.ssh("setsid -w forks 100").ok().text(),
        "100",
        "the control"
    );
    let had: u32 = login
        .ssh("exec forks 100")
        .ok()
        .text()
        .parse()
        .expect("a number");
    assert!((20..32).contains(&had), "{had}");

    let mut running = login.start([], "echo up; bomb & bomb & wait");
    running.hear("up");
    host.until(&format!(
        "[ $(<{}) = 32 ]",
        parent
            .group("arkham", "pids.max")
            .join("pids.current")
            .display()
    ));
    sleep(Duration::from_millis(500));
    assert_eq!(parent.read("arkham", "pids.current"), "32");
    bob.ssh("true").ok();
    drop(running);
    parent.until_empty();
}

#[disposable::test]
fn who_takes_too_much_memory_is_killed_in_his_jail_alone() {
    let host = host_with_module();
    compile(&host, "hog", HOG);
    let (parent, host, _) = limit(host, &["hog"], "memory = \"64M\"\n");
    let _sshd = host.sshd();
    let bob = host.plain_user("bob");
    let login = harlequin(&host);
    assert_eq!(bob.ssh("hog 200").ok().text(), "had it all", "the control");
    assert_eq!(login.ssh("hog 8").ok().text(), "had it all");
    let mut beside = bob.session();
    let mut running = login.start([], "hog 200; echo ended $?; read -r line");
    assert_eq!(running.hear("ended").last().expect("a line"), "ended 137");
    let killed = parent.read("arkham", "memory.oom_control");
    assert!(killed.contains("oom_kill 1"), "{killed}");
    assert_eq!(beside.run("echo here").1, "here");
    drop(running);
    parent.until_empty();
}

#[disposable::test]
fn a_busy_loop_gets_its_share_of_a_processor() {
    let (parent, host, _) = limited(&[], "cpu = \"20%\"\ncpu_weight = 10000\n");
    let _sshd = host.sshd();
    let login = harlequin(&host);
    let mut running = login.start([], "echo up; while :; do :; done & while :; do :; done");
    running.hear("up");
    let used = || -> f64 {
        let nanoseconds = parent.read("arkham", "cpuacct.usage");
        nanoseconds.parse::<f64>().expect("a number") / 1e9
    };
    sleep(Duration::from_millis(300));
    let share = || {
        let (began, before) = (Instant::now(), used());
        sleep(Duration::from_secs(10));
        (used() - before) / began.elapsed().as_secs_f64()
    };
    // Other load of the machine may leave less to the jail, and never more.
    let mut shares = Vec::new();
    while shares.len() < 5 && shares.iter().all(|share| *share < 0.19) {
        shares.push(share());
    }
    assert!(shares.iter().all(|share| *share <= 0.21), "{shares:?}");
    assert!(shares.iter().any(|share| *share >= 0.19), "{shares:?}");
    // Control: an unlimited loop is not slowed down by other load either.
    let control = host
        .sh("nice -n -20 timeout 2 bash -c 'while :; do :; done' || times")
        .ok();
    let used_by_control: f64 = control.lines()[1]
        .split(['m', 's'])
        .nth(1)
        .and_then(|seconds| seconds.parse().ok())
        .expect("user time of the children");
    assert!(used_by_control / 2.0 > 0.4, "{control:?}");
}

#[disposable::test]
fn no_more_sessions_than_may_be() {
    let (parent, host, _) = limited(&[], "max_sessions = 2\n");
    let _sshd = host.sshd();
    let bob = host.plain_user("bob");
    let login = harlequin(&host);
    let start = || {
        let mut running = login.start([], "echo up; read -r line");
        running.hear("up");
        running
    };
    let (first, second) = (start(), start());
    for _ in 0..2 {
        login.ssh("true").fails();
        login.sftp("pwd").fails();
        host.jailctl(["enter", "arkham", "--", "ls"]).exits(4);
    }
    let log = host.read(LOG);
    assert!(
        log.contains("the jail `arkham` has 2 sessions, and may have 2"),
        "{log}"
    );
    bob.ssh("true").ok();
    assert_eq!(first.finish(), 1);
    host.until("[ $(ls /run/jailctl/sessions/arkham | wc -l) = 1 ]");
    let third = start();
    login.ssh("true").fails();
    // A killed session is not counted any more, and its remains end: here sshd's processes, and
    // then also pid 1 of a session.
    host.sh("kill -KILL $(ls /run/jailctl/sessions/arkham)")
        .ok();
    parent.until_empty();
    drop((second, third));
    let (first, second) = (start(), start());
    host.sh("kill -KILL $(pgrep -x jailctl-keeper) $(ls /run/jailctl/sessions/arkham)")
        .ok();
    host.until("! pgrep -u harlequin >/dev/null");
    drop((first, second));
    drop((start(), start()));
    parent.until_empty();
}

#[disposable::test]
fn enter_counts_and_is_limited_as_ssh_is() {
    let (parent, host, _) = limited(
        &["sleep"],
        "tasks = 20\nmemory = \"64M\"\nopen_files = 100\n",
    );
    let mut inside = host.spawn([
        "jailctl",
        "enter",
        "arkham",
        "--",
        "bash",
        "-c",
        "ulimit -n; echo up; read -r line",
    ]);
    assert_eq!(inside.hear("up")[0], "100");
    // jailctl and bash; pid 1 of the session is outside.
    assert_eq!(parent.read("arkham", "pids.current"), "2");
    assert_eq!(parent.read("arkham", "memory.limit_in_bytes"), "67108864");
    assert_eq!(inside.finish(), 1);
    parent.until_empty();
}

#[disposable::test]
fn disks_are_read_and_written_as_fast_as_was_said() {
    need_root();
    // A real disk: files of the disposable host are in memory.
    let jails = std::env::current_exe()
        .expect("this program")
        .with_extension(format!("{}.jails", std::process::id()));
    std::fs::create_dir_all(&jails).expect("a directory on a disk");
    let host = DisposableHost::builder()
        .jailctl(env!("CARGO_BIN_EXE_jailctl"))
        .directory(&jails, "/srv/jails")
        .make();
    log_and_module(&host);
    let (parent, host, _) = limit(host, &["dd"], "io_write = \"2M\"\n");
    let _sshd = host.sshd();
    let login = harlequin(&host);
    let mut inside = login.start([], "echo up; read -r line");
    inside.hear("up");
    let before = Instant::now();
    login
        .ssh("dd if=/dev/zero of=big bs=128k count=32 oflag=direct")
        .ok();
    let written = before.elapsed().as_secs_f64();
    let limit = |what: &str| parent.read("arkham", &format!("blkio.throttle.{what}_bps_device"));
    let (write, read) = (limit("write"), limit("read"));
    drop(inside);
    host.jailctl(["remove", "arkham", "--purge", "--kill"]).ok();
    drop(host);
    let _ = std::fs::remove_dir_all(&jails);
    // 4 MiB at 2 MiB a second. Some disks are no faster without a limit, so the limit itself is
    // checked too.
    assert!(written > 1.5, "written in {written} s");
    assert!(write.ends_with(" 2097152"), "{write}");
    assert_eq!(read, "", "reading is not limited");
}

#[disposable::test]
fn a_device_that_is_not_named_cannot_be_opened() {
    let host = host_with_module();
    host.sh("mkdir /opt/nodes; mknod -m 666 /opt/nodes/zero c 1 5; mknod -m 666 /opt/nodes/tun c 10 200").ok();
    let mount = "[[mount]]\nsource = \"/opt/nodes\"\ntarget = \"/nodes\"\noptions = [\"rw\", \"dev\", \"nosuid\", \"noexec\"]\n";
    let (_parent, host, mut spec) = limit(host, &[], &format!("tasks = 64\n{mount}"));
    let _sshd = host.sshd();
    let login = harlequin(&host);
    let open = "exec 3<>/nodes/zero && exec 4<>/nodes/tun";
    login.ssh(open).ok();
    for (devices, is_allowed) in [
        ("[]", false),
        ("[\"/opt\"]", false),
        ("[\"/dev/net/tun\"]", true),
    ] {
        let before = spec.more.clone();
        spec.more = before.replace("tasks = 64", &format!("devices = {devices}"));
        let built = spec.build(&host);
        if devices.contains("opt") {
            built.exits(2);
            spec.more = before;
            continue;
        }
        built.ok();
        let opened = login.ssh(open);
        assert_eq!(opened.success(), is_allowed, "{devices}: {opened:?}");
        login
            .ssh("exec 3<>/nodes/zero && echo >/dev/null && read -rn1 byte </dev/urandom")
            .ok();
        login.ssh_pty("echo >/dev/tty").ok();
        spec.more = before;
    }
}

#[disposable::test]
fn an_unsupported_limit_is_refused_by_build() {
    let (_parent, host, mut spec) = limited(&[], "tasks = 64\n");
    let before = host.snapshot(["/etc", "/srv", "/var/lib/jailctl"]);
    let tasks = spec.more.clone();
    for (limits, breaks, fixes, said) in [
        (
            "tasks = 64",
            "umount /sys/fs/cgroup/pids",
            "mount -t cgroup -o pids pids /sys/fs/cgroup/pids",
            ["`limits.tasks`", "controller `pids`", "/sys/fs/cgroup/cpu`"],
        ),
        (
            "tasks = 64",
            "mount --bind -o ro /sys/fs/cgroup/pids /sys/fs/cgroup/pids",
            "umount /sys/fs/cgroup/pids",
            ["`limits.tasks`", "`/sys/fs/cgroup/pids`", "read-only"],
        ),
        (
            "net_cls_classid = 7",
            "true",
            "true",
            [
                "`limits.net_cls_classid`",
                "controller `net_cls`",
                "hint: it exists in v1 only",
            ],
        ),
        (
            "cpus = \"0,99\"",
            "true",
            "true",
            ["`limits.cpus`", "no processor 99", "cpuset.effective_cpus`"],
        ),
        (
            "io_read = \"1M\"",
            "true",
            "true",
            ["`limits.io_read`", "/srv/jails/arkham", "is not on a disk"],
        ),
        (
            "tasks = 64\ncgroup_parent = \"/nowhere\"",
            "true",
            "true",
            ["`limits.cgroup_parent`", "/nowhere`", "mkdir -p"],
        ),
    ] {
        spec.more = tasks.replace("tasks = 64", limits);
        if limits.contains("nowhere") {
            spec.more = spec.more.replacen("cgroup_parent", "# cgroup_parent", 1);
        }
        host.sh(breaks).ok();
        let path = spec.put(&host);
        let refused = host.jailctl(["build", &path]).exits(2);
        host.sh(fixes).ok();
        for word in said {
            assert!(refused.stderr().contains(word), "{word}: {refused:?}");
        }
    }
    assert_eq!(host.snapshot(["/etc", "/srv", "/var/lib/jailctl"]), before);
}

#[disposable::test]
fn without_its_limits_there_is_no_session() {
    let (parent, host, _) = limited(&[], "tasks = 64\n");
    let sshd = host.sshd();
    let bob = host.plain_user("bob");
    let policy = "/var/lib/jailctl/arkham/policy";
    let keep = format!("cp -a {policy} /root/policy; ");
    let fix = format!("rm -rf {policy}; cp -a /root/policy {policy}");
    for (how, fix, why) in [
        (
            "umount /sys/fs/cgroup/pids".to_owned(),
            "mount -t cgroup -o pids pids /sys/fs/cgroup/pids".to_owned(),
            "needs the control group controller `pids`",
        ),
        (
            "mount --bind -o ro /sys/fs/cgroup/pids /sys/fs/cgroup/pids".to_owned(),
            "umount /sys/fs/cgroup/pids".to_owned(),
            "read-only file system",
        ),
        (
            format!("{keep}sed -i 's/\"tasks\": 64/\"tasks\": 99999999/' {policy}"),
            fix.clone(),
            "could not write to",
        ),
        (
            format!("{keep}sed -i 's/\"parent\": .*/\"parent\": \"nowhere\"/' {policy}"),
            fix.clone(),
            "could not create the control group",
        ),
        (
            format!("{keep}sed -i 's/\"parent\": .*/\"parent\": \"..\\/..\\/etc\"/' {policy}"),
            fix,
            "not a plain path",
        ),
        (
            "mv /run/jailctl /run/jailctl2; ln -s /tmp /run/jailctl".to_owned(),
            "rm -r /run/jailctl; mv /run/jailctl2 /run/jailctl".to_owned(),
            "too many levels",
        ),
    ] {
        closed(&host, &sshd, &bob, &how, &fix, why);
    }
    parent.until_empty();
}
