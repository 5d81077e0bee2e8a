//! Time of logins with a session and without one.

use disposable::{DisposableHost, Login};

use super::limits::limited;
use super::{copy, harlequin};
use crate::support::Spec;

/// Pairs of logins. The median of their differences is used, since other load of the machine
/// changes the extremes and not the middle.
const PAIRS: usize = 31;

/// Repetitions of a measurement that is too high: other load of the machine, such as the other
/// tests, only ever adds to it.
const TURNS: usize = 5;

/// Least of some measurements, repeated until one is below `most`.
fn least(most: f64, mut figure: impl FnMut() -> f64) -> f64 {
    let mut least = f64::INFINITY;
    for _ in 0..TURNS {
        least = figure().min(least);
        if least < most {
            break;
        }
    }
    least
}

/// Milliseconds that a login of the first kind takes longer than one of the second, at the median:
/// one of each in turn, timed inside.
#[track_caller]
fn longer(host: &DisposableHost, first: &Login<'_>, second: &Login<'_>) -> f64 {
    let quoted = |login: &Login<'_>| {
        let line = login.line([], "exit");
        let words: Vec<String> = line.iter().map(|word| format!("'{word}'")).collect();
        words.join(" ")
    };
    let script = format!(
        "for n in {{0..{PAIRS}}}; do a=${{EPOCHREALTIME/./}}; {}; b=${{EPOCHREALTIME/./}}; {}; c=${{EPOCHREALTIME/./}}; echo $((2 * b - a - c)); done",
        quoted(first),
        quoted(second)
    );
    let output = host.sh(&script).ok();
    // The first pair runs with cold caches.
    let mut differences: Vec<f64> = output.lines()[1..]
        .iter()
        .map(|line| line.parse().expect("microseconds"))
        .collect();
    differences.sort_by(f64::total_cmp);
    differences[differences.len() / 2] / 1000.0
}

#[disposable::test]
#[expect(clippy::print_stderr, reason = "the figures are what one wants to see")]
fn a_session_adds_less_than_ten_milliseconds_to_a_login() {
    let limits = "memory = \"256M\"\ntasks = 64\nmax_sessions = 4\n[network]\nmode = \"none\"\n";
    let (_groups, host, _) = limited(&[], limits);
    let key = host.key("selina");
    let mut plain = Spec::arkham(&key, &[]);
    plain.name = "elba";
    plain.users = vec![("selina", vec![key.public.trim().to_owned()])];
    plain.build(&host).ok();
    let _sshd = host.sshd();
    let selina = host.login("selina", &key);
    let added = least(10.0, || longer(&host, &harlequin(&host), &selina));
    eprintln!("a session with all of its own and its limits adds {added:.1} ms to a login");
    assert!(added < 10.0, "{added} ms");
}

/// Each login creates the network again, since the one before deleted it.
#[disposable::test]
#[expect(clippy::print_stderr, reason = "the figures are what one wants to see")]
fn a_new_network_adds_under_twenty_milliseconds() {
    let (host, spec) = copy(&[], "[network]\nmode = \"none\"\n");
    let key = host.key("selina");
    let mut private = spec.clone();
    private.name = "elba";
    private.users = vec![("selina", vec![key.public.trim().to_owned()])];
    private.more = private.more.replace("none", "private");
    private.build(&host).ok();
    let _sshd = host.sshd();
    let selina = host.login("selina", &key);
    let added = least(20.0, || longer(&host, &selina, &harlequin(&host)));
    eprintln!("making a network adds {added:.1} ms to a login with a loopback of its own");
    assert!(added < 20.0, "{added} ms");
}

#[disposable::test]
#[expect(clippy::print_stderr, reason = "the figures are what one wants to see")]
fn others_pay_less_than_fifty_microseconds() {
    let (host, _) = copy(&[], "");
    host.plain_user("bob");
    host.sh("sed -n '/jailctl: begin/,/jailctl: end/p' /etc/pam.d/sshd >/etc/pam.d/ours; \
             echo 'session required pam_permit.so' >>/etc/pam.d/ours; echo 'session required pam_permit.so' >/etc/pam.d/none").ok();
    host.write("/root/pam_bench.c", include_str!("pam_bench.c"));
    host.sh("gcc -O1 -o /usr/local/bin/calls /root/pam_bench.c -l:libpam.so.0")
        .ok();
    let call = |service: &str| -> f64 {
        let output = host.run(["calls", service, "bob"]).ok();
        output.text().parse().expect("microseconds")
    };
    // The same calls, with and without jailctl's lines in the PAM service.
    let added = least(50.0, || call("ours") - call("none"));
    eprintln!("an account without a jail pays {added:.1} microseconds");
    assert!(added < 50.0, "{added} microseconds");
}
