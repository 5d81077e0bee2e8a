//! `enter`: a shell in the jail from the terminal, as its user and never as root.

use crate::support::{CANARY, Spec, arkham, host};

#[disposable::test]
fn enter_is_the_user_and_sees_the_jail_alone() {
    let host = host();
    let (_, _) = arkham(&host, &["id"]);
    let seen = host.jailctl(["enter", "arkham", "--", "id"]).ok();
    assert!(seen.stdout().starts_with("uid="), "{seen:?}");
    assert!(seen.stdout().contains("(harlequin)"), "{seen:?}");
    assert!(!seen.stdout().contains("uid=0"), "{seen:?}");
    let seen = host.jailctl([
        "enter",
        "arkham",
        "--",
        "bash",
        "-c",
        "pwd; ls /; cat /canary",
    ]);
    assert!(seen.stdout().starts_with("/home/harlequin\n"), "{seen:?}");
    assert!(!seen.stdout().contains(CANARY));
    assert!(seen.stderr().contains("/canary"), "{seen:?}");
}

#[disposable::test]
fn enter_hands_status_input_and_nothing_of_roots_environment() {
    let host = host();
    let (_, _) = arkham(&host, &["env"]);
    host.jailctl(["enter", "arkham", "--", "bash", "-c", "exit 7"])
        .exits(7);
    host.jailctl(["enter", "arkham", "--", "bash", "-c", "kill -TERM $$"])
        .exits(143);
    let echo = host
        .sh("echo over the wall | jailctl enter arkham -- cat")
        .ok();
    assert_eq!(echo.text(), "over the wall");
    let seen = host
        .sh("SECRET=of-root LD_PRELOAD= jailctl enter arkham -- env")
        .ok();
    for word in ["SECRET", "LD_PRELOAD", "SUDO", "SSH_"] {
        assert!(!seen.stdout().contains(word), "{seen:?}");
    }
    assert!(seen.stdout().contains("HOME=/home/harlequin\n"), "{seen:?}");
}

#[disposable::test]
fn enter_gives_a_login_shell_a_terminal_of_its_own() {
    let host = host();
    let (_, _) = arkham(&host, &["tty", "stty"]);
    let seen = host.sh("printf 'echo $0; [ -t 0 ] && echo a terminal\\nexit 3\\n' | script -qec 'jailctl enter arkham' /dev/null || echo status $?");
    assert!(seen.stdout().contains("-bash\r\n"), "{seen:?}");
    assert!(seen.stdout().contains("\na terminal\r\n"), "{seen:?}");
    assert!(seen.stdout().contains("status 3"), "{seen:?}");
}

#[disposable::test]
fn enter_refuses_root_strangers_and_programs_that_are_not_there() {
    let host = host();
    let key = host.key("selina");
    let (_, _) = arkham(&host, &[]);
    for user in ["root", "bob", "0"] {
        let refused = host
            .jailctl(["enter", "arkham", "--user", user, "--", "ls"])
            .exits(2);
        assert!(refused.stderr().contains("harlequin"), "{refused:?}");
    }
    let refused = host.jailctl(["enter", "arkham", "--", "vi"]).exits(2);
    assert!(
        refused.stderr().contains("could not find `vi`"),
        "{refused:?}"
    );
    host.jailctl(["enter", "blackgate"]).exits(2);
    Spec::dropbox(&key).build(&host).ok();
    let refused = host.jailctl(["enter", "dropbox"]).exits(2);
    assert!(
        refused.stderr().contains("does not include `shell`"),
        "{refused:?}"
    );
}

#[disposable::test]
fn enter_has_the_groups_and_the_beginning_of_a_login() {
    let host = host();
    let key = host.key("harlequin");
    let spec = Spec::arkham(&key, &["id"]);
    let groups = "name = \"harlequin\"\ngroups = [\"web\"]\n";
    let text = spec.text().replace("name = \"harlequin\"\n", groups);
    host.write(&spec.path(), &text);
    host.jailctl(["build", &spec.path()]).ok();
    let _sshd = host.sshd();
    let harlequin = host.login("harlequin", &key);
    let both = |line: &str| {
        let by_ssh = harlequin.ssh(line).ok().text().to_owned();
        let by_enter = host.jailctl(["enter", "arkham", "--", "bash", "-c", line]);
        assert_eq!(by_enter.ok().text(), by_ssh, "{line}");
        by_ssh
    };
    assert_eq!(both("id -G").split(' ').count(), 2);
    assert_eq!(both("pwd"), "/home/harlequin");
    // A user who locks the own home locks no other user out of the jail.
    host.sh("chmod 0 /srv/jails/arkham/home/harlequin").ok();
    assert_eq!(both("pwd"), "/");
}
