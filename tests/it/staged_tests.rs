//! Tests of a staged tree: it becomes live only if its programs find their libraries and its tests
//! succeed, as the user and in a root directory of their own.

use crate::support::{Spec, arkham, host, look};

fn with_test(spec: &Spec, run: &str) -> Spec {
    let mut spec = spec.clone();
    spec.more = format!("{}\n[[test]]\nrun = {run}\n", spec.more);
    spec
}

#[disposable::test]
fn a_test_runs_as_the_user_in_the_new_tree() {
    let host = host();
    host.sshd();
    let (spec, harlequin) = arkham(&host, &[]);
    harlequin.ssh("echo mine >~/diary").ok();
    let script = r#"set -e; test "$(id -un)" = harlequin; test ! -e /canary; test ! -e ~/diary; test $$ = 1; echo x >~/new; ls /welcome; true </dev/null; test -z "$SSH_CONNECTION""#;
    let mut new = with_test(&spec, &format!("[\"bash\", \"-c\", {script:?}]"));
    new.binaries.push("id");
    new.build(&host).ok();
    assert_eq!(
        harlequin.ssh("id -un; ls ~").ok().text(),
        "harlequin\ndiary"
    );
    let again = new.build(&host).ok();
    assert!(again.stdout().contains("nothing to do"), "{again:?}");
    assert_eq!(
        host.sh("grep -c jails /proc/self/mountinfo || true")
            .stdout(),
        "0\n"
    );
}

#[disposable::test]
fn a_test_that_fails_leaves_the_old_tree_live() {
    let host = host();
    host.sshd();
    let (spec, harlequin) = arkham(&host, &[]);
    spec.put(&host);
    // The store verifies its files again after a failed run.
    let look = |host| {
        look(host)
            .without(|path| path.starts_with("/srv/jails/.jailctl/store/") && !path.contains('-'))
    };
    let before = look(&host);
    for (run, says) in [
        (
            r#"["bash", "-c", "echo the reason >&2; exit 3"]"#,
            "it exited with 3",
        ),
        (
            r#"["bash", "-c", "kill -SEGV $$; kill -KILL $$; exit 1"]"#,
            "it exited with 1",
        ),
        (r#"["vi"]"#, "the jail has no program `vi`"),
        (r#"["/usr/bin/nothing"]"#, "/usr/bin/nothing"),
    ] {
        let mut new = with_test(&spec, run);
        new.binaries.push("id");
        let refused = new.build(&host).exits(4);
        assert!(refused.stderr().contains(says), "{run}: {refused:?}");
        assert!(
            refused.stderr().contains("[[test]]") || refused.stderr().contains("this test"),
            "{refused:?}"
        );
        spec.put(&host);
        assert_eq!(before.diff(&look(&host)), Vec::<String>::new(), "{run}");
        harlequin.ssh("id").fails();
    }
}

#[disposable::test]
fn nothing_of_a_test_outlives_it() {
    let host = host();
    let (spec, _) = arkham(&host, &["sleep"]);
    let new = with_test(&spec, r#"["bash", "-c", "sleep 7000 & disown; exit 0"]"#);
    let mut new = new;
    new.binaries.push("id");
    new.build(&host).ok();
    assert_eq!(host.sh("pgrep -x sleep || echo none").stdout(), "none\n");
}

#[disposable::test]
fn a_library_known_to_ldso_cache_alone_is_found() {
    let host = host();
    // Found on the host by a line of ld.so.conf, and in no directory that the loader knows by
    // itself.
    host.sh(r"
        mkdir -p /opt/odd /root/src && cd /root/src
        echo 'int odd(void) { return 0; }' >odd.c; echo 'int odd(void); int main(void) { return odd(); }' >tool.c
        gcc -shared -fPIC -Wl,-soname,libodd.so.1 -o /opt/odd/libodd.so.1 odd.c
        gcc -o /usr/local/bin/oddtool tool.c /opt/odd/libodd.so.1
        echo /opt/odd >/etc/ld.so.conf.d/odd.conf; ldconfig; oddtool
    ")
    .ok();
    let key = host.key("harlequin");
    let spec = Spec::arkham(&key, &["oddtool"]);
    host.sshd();
    spec.build(&host).ok();
    host.login("harlequin", &key).ssh("oddtool").ok();
    host.jailctl(["check", "arkham"]).ok();
}

#[disposable::test]
fn a_script_without_interpreter_stops_no_build() {
    let host = host();
    let (mut spec, harlequin) = arkham(&host, &[]);
    host.sshd();
    host.sh(r"
        mkdir -p /opt/tree; printf '#!/usr/local/bin/python\n' >/opt/tree/old; printf '#!/bin/bash\necho new\n' >/opt/tree/new
        chmod 755 /opt/tree/*")
        .ok();
    spec.more
        .push_str("\n[[file]]\nsource = \"/opt/tree\"\ntarget = \"/opt/tree\"\n");
    let built = spec.build(&host).ok();
    assert!(
        built.stderr().contains("/usr/local/bin/python"),
        "{built:?}"
    );
    assert_eq!(harlequin.ssh("/opt/tree/new").ok().text(), "new");
}
