//! The progress line: shown on a terminal when work takes long, removed at the end, and never
//! written to a file or pipe.

use crate::support::{Spec, host};

/// Runs a command on a terminal and gives all that came out of it.
const ON_A_TERMINAL: &str = "script -qec \"$1\" /dev/null </dev/null";

#[disposable::test]
fn long_work_shows_a_sign_of_life_that_goes_away() {
    let host = host();
    // An sshd that takes its time makes every build a long one.
    host.sh(r#"
        mv /usr/sbin/sshd /usr/sbin/sshd.real
        printf '#!/bin/sh\nsleep 0.5\nexec /usr/sbin/sshd.real "$@"\n' >/usr/sbin/sshd
        chmod 755 /usr/sbin/sshd
    "#)
        .ok();
    let key = host.key("harlequin");
    let path = Spec::arkham(&key, &[]).put(&host);
    let on_terminal = |environment: &str, line: &str| {
        let script = format!("export TERM=xterm {environment}; {ON_A_TERMINAL}");
        host.run(["bash", "-c", &script, "bash", line])
            .ok()
            .stdout()
            .to_owned()
    };
    let build = format!("jailctl build {path}");
    let remove = "jailctl remove --purge arkham";

    let shown = on_terminal("", &build);
    assert!(
        shown.contains("arkham: resolving programs and libraries"),
        "{shown:?}"
    );
    assert!(
        shown.contains("arkham: verifying and installing"),
        "{shown:?}"
    );
    assert!(shown.contains("\u{1b}[32m"), "in colour: {shown:?}");
    let end = shown.rfind("\u{1b}[2K").or_else(|| shown.rfind("\u{1b}[K"));
    let end = end.expect("the line is cleared");
    assert!(
        shown[end..].contains("arkham: built at"),
        "and then: {shown:?}"
    );
    assert!(!shown[end..].contains("looking"), "{shown:?}");

    // What is done at once needs no sign of life.
    let again = on_terminal("", &build);
    assert_eq!(again.trim(), "arkham: nothing to do", "{again:?}");

    on_terminal("", remove);
    let plain = on_terminal("NO_COLOR=1", &build);
    assert!(plain.contains("arkham: verifying"), "{plain:?}");
    assert!(!plain.contains("\u{1b}[3"), "without colour: {plain:?}");

    on_terminal("", remove);
    for (environment, line) in [
        ("", format!("jailctl --quiet build {path}")),
        ("TERM=dumb", build.clone()),
        ("", format!("{build} 2>/root/said")),
    ] {
        let silent = on_terminal(environment, &line);
        assert!(!silent.contains("looking at"), "{line} {silent:?}");
        assert!(silent.contains("arkham: built at"), "{line} {silent:?}");
        on_terminal("", remove);
    }
    assert!(!host.read("/root/said").contains("looking at"));
}

#[disposable::test]
fn colour_is_for_terminals_alone() {
    let host = host();
    let key = host.key("harlequin");
    let path = Spec::arkham(&key, &[]).put(&host);
    let line = format!("jailctl plan {path}");
    let on_terminal = |environment: &str| {
        let script = format!("export TERM=xterm {environment}; {ON_A_TERMINAL}");
        host.run(["bash", "-c", &script, "bash", &line])
            .ok()
            .stdout()
            .to_owned()
    };
    assert!(on_terminal("").contains("\u{1b}[32m+\u{1b}[0m"));
    assert!(!on_terminal("NO_COLOR=1").contains('\u{1b}'));
    assert!(
        !host
            .jailctl(["plan", &path])
            .ok()
            .stdout()
            .contains('\u{1b}')
    );
}
