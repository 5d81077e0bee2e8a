//! Rebuilding: no change without a change of the spec, and otherwise exactly the changes of the
//! spec.

use serde_json::Value;

use crate::support::{Reach, Spec, arkham, effective, host, look, reach};

#[disposable::test]
fn a_second_build_writes_nothing() {
    let host = host();
    let (spec, _) = arkham(&host, &["id"]);
    let _sshd = host.sshd();
    let pid = host.read("/run/sshd.pid");
    // What changed just now is not remembered: the next build would write that down.
    host.sh("sleep 3").ok();
    spec.build(&host).ok();
    let before = look(&host);
    let (output, changes) = host.trace_writes(&["jailctl", "build", &spec.path()]);
    output.ok();
    assert!(!changes.is_empty(), "the trace sees something");
    for change in changes {
        for place in ["/etc", "/srv", "/var"] {
            assert!(!change.is_below(place), "{change:?}");
        }
    }
    assert_eq!(before.diff(&look(&host)), Vec::<String>::new());
    assert_eq!(pid, host.read("/run/sshd.pid"));

    let told = host.jailctl(["build", "--json", &spec.path()]).ok();
    let told: Value = serde_json::from_str(told.stdout()).expect("JSON");
    assert_eq!(told["changed"], Value::Bool(false), "{told:#}");
}

#[disposable::test]
fn a_program_comes_and_goes_with_the_spec() {
    let host = host();
    let (mut spec, harlequin) = arkham(&host, &[]);
    let _sshd = host.sshd();
    let before = look(&host);
    harlequin.ssh("id").exits(127);
    spec.binaries.push("id");
    spec.build(&host).ok();
    assert_eq!(harlequin.ssh("id -un").ok().text(), "harlequin");
    spec.binaries.pop();
    spec.build(&host).ok();
    harlequin.ssh("id").exits(127);
    let public = |path: &str| path.contains(".jailctl/") || path.starts_with("/var/lib/jailctl");
    assert_eq!(
        before.without(public).diff(&look(&host).without(public)),
        Vec::<String>::new()
    );
}

#[disposable::test]
fn a_user_comes_and_goes_with_the_spec() {
    let host = host();
    let (mut spec, harlequin) = arkham(&host, &[]);
    let _sshd = host.sshd();
    let key = host.key("joker");
    let joker = host.login("joker", &key);
    spec.users
        .push(("joker", vec![key.public.trim().to_owned()]));
    spec.build(&host).ok();
    assert_eq!(reach(&host, &joker), Reach::Jail);
    // Homes are each user's own.
    joker.ssh("ls /home/harlequin").fails();
    spec.users.pop();
    spec.build(&host).ok();
    assert_eq!(reach(&host, &joker), Reach::Nothing);
    assert_eq!(reach(&host, &harlequin), Reach::Jail);
}

#[disposable::test]
fn a_key_comes_and_goes_with_the_spec() {
    let host = host();
    let (mut spec, harlequin) = arkham(&host, &[]);
    let _sshd = host.sshd();
    let key = host.key("second");
    let second = host.login("harlequin", &key);
    assert_eq!(reach(&host, &second), Reach::Nothing);
    spec.users[0].1.push(key.public.trim().to_owned());
    spec.build(&host).ok();
    assert_eq!(reach(&host, &second), Reach::Jail);
    spec.users[0].1.remove(0);
    spec.build(&host).ok();
    assert_eq!(reach(&host, &second), Reach::Jail);
    assert_eq!(reach(&host, &harlequin), Reach::Nothing);
}

#[disposable::test]
fn beside_a_broken_configuration_nothing_goes_live() {
    let host = host();
    let bob = host.plain_user("bob");
    let _sshd = host.sshd();
    let key = host.key("harlequin");
    let spec = Spec::arkham(&key, &[]);
    spec.put(&host);
    let theirs = "/etc/ssh/sshd_config.d/60-theirs.conf";
    host.write(theirs, "NoSuchKeyword yes\n");
    let before = look(&host);
    let refused = spec.build(&host).exits(4);
    assert!(refused.stderr().contains("60-theirs.conf"), "{refused:?}");
    assert_eq!(before.diff(&look(&host)), Vec::<String>::new());
    assert_eq!(reach(&host, &host.login("harlequin", &key)), Reach::Nothing);
    bob.ssh("true").ok();
    host.run(["rm", theirs]).ok();
    spec.build(&host).ok();
    assert_eq!(reach(&host, &host.login("harlequin", &key)), Reach::Jail);
}

#[disposable::test]
fn a_conflicting_snippet_is_found_before_the_jail_is_live() {
    let host = host();
    let _sshd = host.sshd();
    let key = host.key("harlequin");
    let spec = Spec::arkham(&key, &[]);
    spec.put(&host);
    for text in [
        "Match all\n    AllowTcpForwarding yes\n",
        "Match all\n    ChrootDirectory none\n",
        "Match Address 127.0.0.1\n    PermitTunnel yes\n",
        "Match User harlequin\n    AuthorizedKeysFile .ssh/authorized_keys\n",
        "AllowUsers bob\n",
    ] {
        host.write("/etc/ssh/sshd_config.d/00-theirs.conf", text);
        let before = look(&host);
        let refused = spec.build(&host);
        assert_eq!(refused.code(), 4, "{text}: {refused:?}");
        assert_eq!(before.diff(&look(&host)), Vec::<String>::new(), "{text}");
    }
}

#[disposable::test]
fn nobody_elses_settings_change() {
    let host = host();
    let bob = host.plain_user("bob");
    let sshd = host.sshd();
    let before = ["bob", "root"].map(|user| effective(&host, user));
    let mut shell = bob.session();
    arkham(&host, &[]);
    assert_eq!(before, ["bob", "root"].map(|user| effective(&host, user)));
    assert_eq!(shell.run("id -un").1, "bob", "sessions survive the reload");
    bob.ssh("true").ok();
    assert!(sshd.log().contains("Received SIGHUP"));
}

#[disposable::test]
fn an_edit_in_the_jail_is_mended() {
    let host = host();
    let (spec, harlequin) = arkham(&host, &[]);
    let _sshd = host.sshd();
    let before = host.snapshot(["/srv/jails/arkham/usr", "/srv/jails/arkham/etc"]);
    host.sh("cd /srv/jails/arkham; rm usr/bin/ls; echo x >etc/extra; chmod 777 etc; rm etc/passwd")
        .ok();
    spec.build(&host).ok();
    let after = host.snapshot(["/srv/jails/arkham/usr", "/srv/jails/arkham/etc"]);
    assert_eq!(before.diff(&after), Vec::<String>::new());
    harlequin.ssh("ls /").ok();
}
