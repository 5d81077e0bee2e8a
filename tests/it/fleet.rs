//! Many jails on one host: the cost of a jail does not grow with the others, what is interrupted is
//! undone as a whole, and drop-ins of an older jailctl are taken over. `cargo bench --bench fleet`
//! measures times.

use disposable::{DisposableHost, Key};

use crate::support::{Reach, Spec, host, look, reach};

/// The drop-in with the settings of each jail.
const ALL: &str = "/etc/ssh/sshd_config.d/05-jailctl.all.conf";

/// Writes the specs of jails for files with these numbers; returns their paths.
fn specs(host: &DisposableHost, key: &Key, numbers: std::ops::Range<usize>) -> Vec<String> {
    let text = Spec::dropbox(key).text();
    numbers
        .map(|number| {
            let text = text.replace("dropbox", &format!("s{number}"));
            let path = format!("/root/s{number}.toml");
            host.write(&path, &text.replace("selina", &format!("u{number}")));
            path
        })
        .collect()
}

fn build(specs: &[String]) -> Vec<&str> {
    let words = ["jailctl", "-q", "build"].into_iter();
    words.chain(specs.iter().map(String::as_str)).collect()
}

/// System calls of a command, which must succeed, and of its children.
fn calls(host: &DisposableHost, command: &[&str]) -> usize {
    let mut line = vec!["strace", "-f", "-c", "-U", "name,calls", "-o", "/run/calls"];
    line.push("--");
    line.extend(command);
    host.run(line).ok();
    let text = host.read("/run/calls");
    let total = text
        .lines()
        .rev()
        .find_map(|line| line.trim().strip_prefix("total"));
    total
        .and_then(|count| count.trim().parse().ok())
        .expect("a total")
}

#[disposable::test]
fn a_jail_costs_the_same_beside_many_others() {
    let host = host();
    let key = host.key("fleet");
    let mut costs: Vec<Vec<(&str, usize)>> = Vec::new();
    for (built, count) in [(0, 10), (11, 40)] {
        let all = specs(&host, &key, 0..count + 1);
        let (all, more) = (&all[..count], &all[count..]);
        let made = calls(&host, &build(&all[built..])) / (count - built);
        // Changes of the last two seconds are not cached.
        host.sh("sleep 2.1").ok();
        host.run(build(all)).ok();
        host.jailctl(["check"]).ok();
        costs.push(vec![
            ("build", made),
            ("idle build", calls(&host, &build(all)) / count),
            ("check", calls(&host, &["jailctl", "check"]) / count),
            ("one more jail", calls(&host, &build(more))),
        ]);
    }
    let [few, many] = &costs[..] else {
        unreachable!("two numbers of jails");
    };
    for ((verb, few), (_, many)) in few.iter().zip(many) {
        // sshd reads group(5) for each Match line, and thus for each jail, once for a query and
        // twice for a connection.
        let of_sshd = if *verb == "one more jail" {
            300 * 30
        } else {
            0
        };
        assert!(
            many * 100 <= (few + of_sshd) * 115,
            "{verb}: {few} calls, then {many}: {costs:?}"
        );
    }
}

#[disposable::test]
fn a_build_of_many_that_dies_is_undone_whole() {
    let host = host();
    host.sshd();
    let paths = specs(&host, &host.key("fleet"), 0..20);
    let before = look(&host);
    for (call, n) in [("mkdirat", 40), ("renameat2", 40), ("fsync", 40)] {
        let output = host.kill_at(call, n, &build(&paths));
        assert!(
            host.has("/var/lib/jailctl/.journal"),
            "{call} {n}: {output:?}"
        );
        let put_right = host.jailctl(["update", "--all"]).ok();
        assert!(put_right.stderr().contains("undone"), "{put_right:?}");
        assert_eq!(
            before.diff(&look(&host)),
            Vec::<String>::new(),
            "{call} {n}"
        );
    }
    host.run(build(&paths)).ok();
    host.jailctl(["check"]).ok();
}

#[disposable::test]
fn drop_ins_of_an_older_jailctl_are_taken_over() {
    let host = host();
    let _sshd = host.sshd();
    let key = host.key("fleet");
    let paths = specs(&host, &key, 0..3);
    host.run(build(&paths)).ok();
    // An older one wrote a file for each jail.
    host.sh(&format!(
        "cd /etc/ssh/sshd_config.d; for n in 0 1 2; do
            {{ echo \"Match Group jail-s$n\"; grep -A2 \"^Match Group jail-s$n$\" {ALL} | tail -n 2
               echo '    ForceCommand internal-sftp'; }} >05-jailctl-s$n.conf
        done; rm {ALL}; kill -HUP $(cat /run/sshd.pid); sleep 0.5"
    ))
    .ok();
    let selina = host.login("u1", &key);
    assert_eq!(reach(&host, &selina), Reach::Jail);
    host.jailctl(["update", "s1"]).ok();
    host.sh("cd /etc/ssh/sshd_config.d; [ -e 05-jailctl-s0.conf ]; ! [ -e 05-jailctl-s1.conf ]")
        .ok();
    assert!(host.read(ALL).contains("jail-s1") && !host.read(ALL).contains("jail-s0"));
    for user in ["u0", "u1", "u2"] {
        assert_eq!(reach(&host, &host.login(user, &key)), Reach::Jail, "{user}");
    }
    host.jailctl(["update", "--all"]).ok();
    host.sh("! ls /etc/ssh/sshd_config.d/05-jailctl-*").ok();
    host.jailctl(["check"]).ok();
    for user in ["u0", "u1", "u2"] {
        assert_eq!(reach(&host, &host.login(user, &key)), Reach::Jail, "{user}");
    }
}
