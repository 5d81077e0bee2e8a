//! What a session may ask of the kernel, and what of the kernel's it may use up: system calls,
//! cores, socket buffers, descriptors, keyrings.

use std::collections::BTreeMap;

use disposable::{DisposableHost, Login};

use crate::session::limits::limit;
use crate::session::{LOG, compile, copy, harlequin};
use crate::support::{Spec, host_with_module, type_into};

/// What the kernel answers to the calls of `pam_bench.c`, by their names.
#[track_caller]
fn answers(said: &str) -> BTreeMap<String, String> {
    let pairs = said.lines().filter_map(|line| line.split_once(' '));
    let answers: BTreeMap<_, _> = pairs
        .map(|(name, answer)| (name.to_owned(), answer.to_owned()))
        .collect();
    assert!(answers.len() > 40, "{said}");
    answers
}

/// A host with the probe in the jail arkham; `more` is added to its spec.
fn probed(more: &str) -> DisposableHost {
    let host = host_with_module();
    compile(&host, "calls", include_str!("calls.c"));
    let key = host.key("harlequin");
    let mut spec = Spec::arkham(&key, &["calls"]);
    spec.more.push_str("[namespaces]\n");
    spec.more.push_str(more);
    spec.build(&host).ok();
    host
}

/// System calls that a session is refused, with the errno; outside each succeeds.
const CLOSED: [(&str, &str); 31] = [
    ("io_uring_setup", "ENOSYS"),
    ("add_key", "ENOSYS"),
    ("request_key", "ENOSYS"),
    ("keyctl_user", "ENOSYS"),
    ("keyctl_session", "ENOSYS"),
    ("clone3", "ENOSYS"),
    ("userfaultfd", "EPERM"),
    ("perf_event_open", "EPERM"),
    ("kcmp", "EPERM"),
    ("fanotify_init", "EPERM"),
    ("vmsplice", "EPERM"),
    ("move_pages", "EPERM"),
    ("setns", "EPERM"),
    ("open_tree", "EPERM"),
    ("mount", "EPERM"),
    ("unshare_user", "EPERM"),
    ("clone_user", "EPERM"),
    ("personality_no_randomisation", "EPERM"),
    ("personality_exec", "EPERM"),
    ("tiocsti", "EPERM"),
    ("tiocsti_high", "EPERM"),
    ("vsock", "EAFNOSUPPORT"),
    ("vsock_high", "EAFNOSUPPORT"),
    ("netlink_usersock", "EPROTONOSUPPORT"),
    ("netlink_netfilter", "EPROTONOSUPPORT"),
    ("netlink_uevent", "EPROTONOSUPPORT"),
    ("netlink_generic", "EPROTONOSUPPORT"),
    ("i386_keyctl", "ENOSYS"),
    ("i386_vsock", "EAFNOSUPPORT"),
    ("i386_socketcall", "EAFNOSUPPORT"),
    ("i386_unshare", "EPERM"),
];

/// Those that the host, too, has not or gives to root only: what they are answered in a
/// session.
const CLOSED_ANYWAY: [(&str, &str); 9] = [
    ("open_by_handle_at", "EPERM"),
    ("bpf", "EPERM"),
    ("init_module", "EPERM"),
    ("kexec_load", "EPERM"),
    ("swapon", "EPERM"),
    ("acct", "EPERM"),
    ("quotactl", "EPERM"),
    ("packet", "EAFNOSUPPORT"),
    ("alg", "EAFNOSUPPORT"),
];

/// Those that are as on the host.
const OPEN: [&str; 12] = [
    "unshare_files",
    "clone_child",
    "personality_ask",
    "tiocgwinsz",
    "unix_stream",
    "unix_pair",
    "tcp",
    "udp6",
    "netlink_route",
    "audit_message",
    "i386_getpid",
    "x32_getpid",
];

/// Calls that this machine has not for anybody, by how its kernel was built.
fn is_here(name: &str) -> bool {
    cfg!(target_arch = "x86_64") || !(name.starts_with("i386") || name.starts_with("x32"))
}

#[disposable::test]
fn c2_rare_system_calls_are_answered_in_the_kernels_place() {
    let host = probed("");
    let _sshd = host.sshd();
    let outside = answers(host.plain_user("bob").ssh("calls").ok().stdout());
    let inside = answers(harlequin(&host).ssh("calls").ok().stdout());
    let entered = answers(
        host.jailctl(["enter", "arkham", "--", "calls"])
            .ok()
            .stdout(),
    );
    for (name, errno) in CLOSED.into_iter().filter(|(name, _)| is_here(name)) {
        assert_eq!(outside[name], "ok", "the control: {name}");
        assert_eq!(inside[name], errno, "{name}");
    }
    for (name, errno) in CLOSED_ANYWAY {
        assert_ne!(outside[name], "ok", "the control: {name}");
        assert_eq!(inside[name], errno, "{name}");
    }
    for name in OPEN.into_iter().filter(|name| is_here(name)) {
        assert_eq!(inside[name], outside[name], "{name}");
    }
    assert_eq!(inside["audit_message"], "EPERM");
    assert_eq!(inside["beyond"], "ENOSYS");
    assert_eq!(entered, inside, "enter gives the same");
}

#[disposable::test]
fn c1_no_socket_leads_to_the_machine_below_in_any_kind_of_session() {
    for more in [
        "[network]\nmode = \"none\"\n",
        "user = true\n",
        "pid = false\nipc = false\n",
    ] {
        let host = probed(more);
        let _sshd = host.sshd();
        let outside = answers(host.plain_user("bob").ssh("calls").ok().stdout());
        let inside = answers(harlequin(&host).ssh("calls").ok().stdout());
        for name in ["vsock", "vsock_high", "i386_vsock"] {
            if is_here(name) {
                assert_eq!(outside[name], "ok", "the control: {name}, {more}");
                assert_eq!(inside[name], "EAFNOSUPPORT", "{name}, {more}");
            }
        }
    }
}

/// A static 32-bit program without a C library: it prints a line and exits.
const THIRTY_TWO: &str = r#"
    static long call(long number, long first, long second, long third) {
        long answer;
        __asm__ volatile("int $0x80" : "=a"(answer) : "a"(number), "b"(first), "c"(second), "d"(third) : "memory");
        return answer;
    }
    void _start(void) { call(4, 1, (long)"thirty-two\n", 11); call(1, 7, 0, 0); }"#;

#[disposable::test]
fn c2_ordinary_programs_work_under_the_filter() {
    let host = host_with_module();
    let mut tools = vec![
        "vim", "tmux", "gdb", "strace", "sleep", "python3", "node", "tty", "stty",
    ];
    let has_32_bits = cfg!(target_arch = "x86_64");
    if has_32_bits {
        host.write("/root/thirty.c", THIRTY_TWO);
        host.sh("gcc -m32 -static -nostdlib -fno-pie -no-pie -fno-stack-protector -O1 -o /usr/local/bin/thirty /root/thirty.c")
            .ok();
        tools.push("thirty");
    }
    let mut spec = Spec::arkham(&host.key("harlequin"), &tools);
    spec.more.push_str("[network]\nmode = \"none\"\n");
    let text = format!(
        "templates = [\"git\", \"python\", \"node\"]\n{}",
        spec.text()
    );
    host.write(&spec.path(), &text);
    host.jailctl(["build", &spec.path()]).ok();
    let _sshd = host.sshd();
    let user = harlequin(&host);
    for (command, says) in [
        (
            "exec 3<>/dev/null; echo {1..3} | cat; : & wait; echo $?",
            "1 2 3\n0",
        ),
        (
            "python3 -c 'import subprocess as s, threading as t, multiprocessing as m, socket, asyncio\n\
             r = []\nw = [t.Thread(target=r.append, args=(1,)) for _ in range(8)]\n[x.start() for x in w]; [x.join() for x in w]\n\
             p = m.Process(target=print, args=(\"forked\",)); p.start(); p.join()\n\
             socket.socketpair(); socket.getaddrinfo(\"127.0.0.1\", 80); asyncio.run(asyncio.sleep(0))\n\
             print(len(r), s.run([\"cat\"], input=b\"piped\", capture_output=True).stdout)'",
            "forked\n8 b'piped'",
        ),
        (
            "node -e 'const c = require(\"child_process\"), f = require(\"fs\"), w = require(\"worker_threads\");\
             f.promises.writeFile(\"/tmp/n\", \"written\").then(() => f.promises.readFile(\"/tmp/n\", \"utf8\")).then((text) => {\
             console.log(text, c.execFileSync(\"cat\", {input: \"piped\"}).toString());\
             new w.Worker(\"require(\\\"worker_threads\\\").parentPort.postMessage(7)\", {eval: true}).on(\"message\", console.log) })'",
            "written piped\n7",
        ),
        (
            "cd /tmp && git init -q g && cd g && git -c user.name=h -c user.email=h commit -q --allow-empty -m made && git gc -q && git log --format=%s",
            "made",
        ),
        (
            "cd /tmp && printf one >v && vim -es -u NONE -c 's/one/two/' -c wq v; cat v",
            "two",
        ),
        (
            "strace -f -o /tmp/s -e trace=execve bash -c 'cat </dev/null' && cat /tmp/s | while read -r line; do case $line in *execve*bin/cat*) echo seen;; esac; done",
            "seen",
        ),
        (
            "gdb -nx -q -batch -ex starti -ex 'print $pc != 0' -ex kill --args sleep 1 2>/dev/null | while read -r line; do case $line in *'= 1') echo traced;; esac; done",
            "traced",
        ),
        (
            "tmux -L x -f /dev/null new-session -d 'echo in tmux >/tmp/t; sleep 1'; for n in {1..50}; do [ -s /tmp/t ] && break; sleep 0.1; done; cat /tmp/t",
            "in tmux",
        ),
    ] {
        let said = user.ssh(&format!(
            "export HOME=/tmp LANG=C.UTF-8 TERM=xterm; {command}"
        ));
        assert_eq!(said.text(), says, "{command}: {said:?}");
    }
    if has_32_bits {
        let said = user.ssh("thirty").exits(7);
        assert_eq!(said.text(), "thirty-two", "{said:?}");
    }
    let said = type_into(&host, &user, "bash -i", "tty; stty size\\rexit\\r");
    assert!(said.stdout().contains("/dev/pts/"), "{said:?}");
}

/// The limit of a core of the process that runs `command`, as proc(5) has it: soft, and hard.
fn core_limit(text: &str) -> String {
    let line = text.lines().find(|line| line.starts_with("Max core"));
    let line = line.unwrap_or_else(|| panic!("no limit of cores: {text}"));
    let words: Vec<&str> = line.split_whitespace().collect();
    words[4..6].join(" ")
}

#[disposable::test]
fn b3_no_core_of_a_session_is_dumped_or_given_to_a_program_of_the_hosts() {
    let (host, mut spec) = copy(&[], "");
    let _sshd = host.sshd();
    let user = harlequin(&host);
    let limit = |login: &Login<'_>| core_limit(login.ssh("cat /proc/self/limits").ok().stdout());
    assert!(
        limit(&host.plain_user("bob")).ends_with(" unlimited"),
        "the control"
    );
    // With 1, and no other number, the kernel starts no program for cores.
    assert_eq!(limit(&user), "1 1");
    let entered = host.jailctl(["enter", "arkham", "--", "cat", "/proc/self/limits"]);
    assert_eq!(core_limit(entered.ok().stdout()), "1 1");
    user.ssh("ulimit -c unlimited").fails();
    // sshd's own process of the connection, which runs as the user.
    let mut session = user.session();
    session.run("echo up");
    let parent = "for at in $(pgrep -u harlequin sshd); do cat /proc/$at/limits; done";
    assert_eq!(core_limit(host.sh(parent).ok().stdout()), "1 1");
    drop(session);

    spec.more.push_str("[limits]\ncore_size = \"64M\"\n");
    host.sh("jailctl kill arkham").ok();
    spec.build(&host).ok();
    assert_eq!(limit(&user), "67108864 67108864");
}

/// The MiB that a program of `hold.c` held, and in how many pairs of sockets.
fn held(login: &Login<'_>, what: &str) -> (u32, u32) {
    let said = login.ssh(&format!("hold {what}"));
    let words: Vec<&str> = said.text().split(' ').collect();
    let number = |at: usize| words.get(at).and_then(|word| word.parse().ok());
    // A process that was killed for its memory prints nothing.
    (number(0).unwrap_or(0), number(3).unwrap_or(0))
}

#[disposable::test]
fn b2_buffers_of_sockets_count_as_memory() {
    let host = host_with_module();
    compile(&host, "hold", include_str!("hold.c"));
    let limits = "memory = \"32M\"\n[network]\nmode = \"none\"\n";
    let (parent, host, _) = limit(host, &["hold"], limits);
    let _sshd = host.sshd();
    let bob = host.plain_user("bob");
    let user = harlequin(&host);
    for what in ["tcp 100 65536", "udp 100 8192"] {
        let outside = held(&bob, what);
        assert!(
            outside.0 > 64 && outside.1 == 100,
            "the control: {outside:?}"
        );
        let inside = held(&user, what);
        assert!(inside.0 <= 32, "{what}: {inside:?}");
    }
    // Descriptors without a limit are as many as there are open files, unless the spec sets another
    // number.
    assert_eq!(user.ssh("ulimit -n; ulimit -Hn").ok().lines(), ["1024"; 2]);
    let (_, sockets) = held(&user, "netlink 2000 1");
    assert!((900..1024).contains(&sockets), "{sockets}");
    parent.until_empty();
}

#[disposable::test]
fn c5_sshds_process_that_is_the_users_holds_nothing_of_roots_to_write_or_to_leave_by() {
    let host = host_with_module();
    let (parent, host, _) = limit(host, &[], "memory = \"64M\"\nmax_sessions = 4\n");
    let _sshd = host.sshd();
    let user = harlequin(&host);
    let mut session = user.session();
    session.run("echo up");
    let list = "for at in $(pgrep -u harlequin sshd); do for fd in /proc/$at/fd/*; do
        flags=$(sed -n 's/^flags:[^0-9]*//p' /proc/$at/fdinfo/${fd##*/})
        echo \"$((0$flags & 3)) $(stat -Lc %F $fd) $(readlink $fd)\"; done; done";
    let listed = host.sh(list).ok();
    let lines = listed.lines();
    assert!(lines.len() > 4, "{listed:?}");
    for line in &lines {
        let is_root =
            line.contains("directory /") || line.contains("cgroup") || line.contains("/tasks");
        assert!(!is_root, "{line}: {listed:?}");
        let is_entry = line.contains("/run/jailctl");
        assert!(!is_entry || line.starts_with("0 "), "writable: {line}");
    }
    // By the one that is read-only the session is counted, and it still is.
    assert_eq!(
        host.sh("ls /run/jailctl/sessions/arkham | wc -l")
            .ok()
            .text(),
        "1"
    );
    drop(session);
    parent.until_empty();
}

#[disposable::test]
fn c2_no_key_of_the_same_user_id_is_reached_from_a_session() {
    let host = host_with_module();
    compile(&host, "grip", include_str!("../session/reach_probe.c"));
    let key = host.key("harlequin");
    let mut spec = Spec::arkham(&key, &["grip"]);
    spec.more.push_str("[namespaces]\n");
    spec.build(&host).ok();
    let _sshd = host.sshd();
    let user = harlequin(&host);
    // A process of hers outside of the jail, with a key in the keyring of her user id, which is one
    // for all her processes.
    let outside = "setpriv --reuid harlequin --regid $(id -g harlequin) --clear-groups";
    let mut keeper = host.spawn(["bash", "-c", &format!("{outside} grip make of-hers")]);
    let made = keeper.hear("made").concat();
    let number = made.split(' ').nth(1).expect("a number");
    let control = host.sh(&format!("{outside} grip read {number}")).ok();
    assert_eq!(control.text(), "secret", "the control");
    assert_eq!(
        user.ssh(&format!("grip read {number}")).ok().text(),
        "refused"
    );
    let mut second = user.start([], "grip make of-hers");
    assert_eq!(second.hear("made").concat(), "-1 -1 made");
    let entered = host.jailctl(["enter", "arkham", "--", "grip", "read", number]);
    assert_eq!(entered.ok().text(), "refused");
}

#[disposable::test]
fn logins_wait_for_a_register_that_is_busy() {
    let host = host_with_module();
    let (parent, host, _) = limit(host, &[], "max_sessions = 9\n");
    let _sshd = host.sshd();
    let user = harlequin(&host);
    // The register exists during a session.
    let mut first = user.start([], "echo up; read -r line");
    first.hear("up");
    let mut busy = host.spawn([
        "flock",
        "/run/jailctl/sessions/arkham",
        "bash",
        "-c",
        "echo locked; sleep 4",
    ]);
    busy.hear("locked");
    let before = std::time::Instant::now();
    user.ssh("true").ok();
    assert!(before.elapsed().as_secs() >= 2, "it was locked");
    let log = host.read(LOG);
    assert!(!log.contains("no session"), "{log}");
    drop(first);
    parent.until_empty();
}
