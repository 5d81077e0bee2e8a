//! Exchange of a live tree: a session inside the old tree cannot leave it, and keeps working.

use disposable::{DisposableHost, Login, Running};

use crate::support::{Spec, arkham, host, host_with_module};

/// Compiles the program that holds on to `/usr/bin` and climbs, and puts it where a spec can name
/// it.
fn compile(host: &DisposableHost) {
    host.write("/root/cwd_escape.c", include_str!("cwd_escape.c"));
    host.sh("gcc -static -O1 -o /usr/local/bin/holder /root/cwd_escape.c")
        .ok();
}

/// The program at work in a session.
fn hold(login: &Login<'_>) -> Running {
    let mut holder = login.start([], "/usr/local/bin/holder");
    holder.hear("holding");
    holder
}

/// Ends the program; how often it tried and how often it got out.
fn release(mut holder: Running) -> (u64, u64) {
    holder.say("");
    let told = holder.hear("tries").pop().expect("a line");
    let numbers: Vec<u64> = told
        .split(' ')
        .filter_map(|word| word.parse().ok())
        .collect();
    (numbers[0], numbers[1])
}

/// Builds the jail with one program more, and without it again.
fn exchange_twice(host: &DisposableHost, spec: &Spec) {
    let mut more = spec.clone();
    more.binaries.push("true");
    more.build(host).ok();
    spec.build(host).ok();
}

#[disposable::test]
fn a_session_in_what_is_exchanged_cannot_climb_out() {
    let host = host();
    compile(&host);
    let (spec, harlequin) = arkham(&host, &["holder"]);
    let _sshd = host.sshd();
    let first = hold(&harlequin);
    let mut later = Vec::new();
    for _ in 0..5 {
        exchange_twice(&host, &spec);
        later.push(hold(&harlequin));
    }
    let (tries, out) = release(first);
    assert!(tries > 100, "only {tries} tries");
    assert_eq!(out, 0, "of {tries} tries");
    for holder in later {
        assert_eq!(release(holder).1, 0);
    }
}

#[disposable::test]
fn the_climber_finds_a_canary_where_there_is_one() {
    let host = host();
    compile(&host);
    let bob = host.plain_user("bob");
    let _sshd = host.sshd();
    let (tries, out) = release(hold(&bob));
    assert_eq!(tries, out);
}

#[disposable::test]
fn a_session_goes_on_working_through_a_hundred_builds() {
    let host = host();
    let (spec, harlequin) = arkham(&host, &["true"]);
    let _sshd = host.sshd();
    let mut shell = harlequin.session();
    shell.run("cd /usr/bin");
    let mut less = spec.clone();
    less.binaries.retain(|name| *name != "true");
    for round in 0..50 {
        less.build(&host).ok();
        spec.build(&host).ok();
        // It starts programs, from its old working directory and from the new tree.
        let welcome = (0, "Welcome to Arkham.".to_owned());
        assert_eq!(shell.run("cat /welcome"), welcome, "{round}");
    }
    assert_eq!(
        shell.run("cd /usr/bin && ls -d true"),
        (0, "true".to_owned())
    );
    assert!(shell.alive());
}

#[disposable::test]
fn no_program_is_ever_missing_during_builds() {
    let host = host();
    let (spec, harlequin) = arkham(&host, &[]);
    let _sshd = host.sshd();
    let script = "echo begun; n=0; bad=0; while ! read -t 0; do /bin/cat /etc/passwd >/dev/null 2>&1 || bad=$((bad+1)); n=$((n+1)); done; echo ran $n failed $bad";
    let mut loop_ = harlequin.start([], script);
    loop_.hear("begun");
    for _ in 0..5 {
        exchange_twice(&host, &spec);
    }
    loop_.say("");
    let told = loop_.hear("ran").pop().expect("a line");
    assert!(told.ends_with("failed 0"), "{told}");
    assert!(!told.starts_with("ran 0 "), "{told}");
}

/// Processes that run files which an update replaced are named by it and by `check`, in a session
/// and in a plain chroot, and no others.
#[disposable::test]
fn processes_of_replaced_files_are_named() {
    let host = host_with_module();
    let [harlequin, ann] = ["harlequin", "ann"].map(|name| host.key(name));
    let arkham = Spec::arkham(&harlequin, &["sleep"]);
    let mut plain = Spec::arkham(&ann, &["sleep"]).plain();
    (plain.name, plain.users[0].0) = ("plain", "ann");
    for spec in [&arkham, &plain] {
        spec.build(&host).ok();
    }
    let _sshd = host.sshd();
    let sessions = [("harlequin", &harlequin), ("ann", &ann)].map(|(user, key)| {
        let mut session = host
            .login(user, key)
            .start([], "echo reached; exec sleep 300");
        session.hear("reached");
        session
    });
    host.until("[ $(pgrep -c -x sleep -u harlequin,ann) = 2 ]");
    let replace = |program: &str| {
        host.sh(&format!("printf x >>$(command -v {program})")).ok();
        host.jailctl(["update", "--all"]).ok()
    };
    let of = |jail: &str| format!("1 process of `{jail}` still runs files from before an update");
    let updated = replace("ls");
    assert!(!updated.stderr().contains("from before"), "{updated:?}");
    let updated = replace("sleep");
    // Once to find it out, once to remember it.
    for output in [
        updated,
        host.jailctl(["check"]).ok(),
        host.jailctl(["check"]).ok(),
    ] {
        for jail in ["arkham", "plain"] {
            assert!(output.stderr().contains(&of(jail)), "{jail}: {output:?}");
        }
        let hint = "`jailctl kill arkham` ends its sessions";
        assert!(output.stderr().contains(hint), "{output:?}");
    }
    for jail in ["arkham", "plain"] {
        host.jailctl(["kill", jail]).ok();
    }
    drop(sessions);
    let checked = host.jailctl(["check"]).ok();
    assert!(!checked.stderr().contains("from before"), "{checked:?}");
}
