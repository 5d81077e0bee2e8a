//! Changes between plain chroot and sessions during a login, when neither a user id nor a root
//! directory identifies its process yet.

use disposable::{DisposableHost, Key, Login};

use super::harlequin;
use crate::support::{Reach, Spec, host, host_with_module, install_module, look, reach};

/// The same jail with sessions that have namespaces.
fn own(plain: &Spec) -> Spec {
    let mut own = plain.clone();
    own.is_plain = false;
    own.more.push_str("[namespaces]\n");
    own
}

/// Builds the jail arkham as a plain chroot.
fn plain_arkham<'host>(host: &'host DisposableHost, also: &[&'static str]) -> (Spec, Login<'host>) {
    let key = host.key("harlequin");
    let spec = Spec::arkham(&key, also).plain();
    spec.build(host).ok();
    (spec, host.login("harlequin", &key))
}

/// Spec of a family.
fn acme(words: &str, users: &[(&str, &Key)]) -> String {
    let each = users.iter().map(|(name, key)| {
        let line = key.public.trim();
        format!("[[user]]\nname = \"{name}\"\nauthorized_keys = [\"{line}\"]\n")
    });
    let users = each.collect::<String>();
    format!("name = \"acme\"\nroot = \"/srv/jails/%u\"\n{words}\n{users}")
}

/// Delays every login in PAM until `/run/go` exists, and creates `/run/in-pam` when one waits.
/// Returns the service file without the delay.
fn slow_down(host: &DisposableHost) -> String {
    let stack = host.read("/etc/pam.d/sshd");
    host.write(
        "/run/slow",
        "#!/bin/sh\ntouch /run/in-pam; while [ ! -e /run/go ]; do sleep 0.05; done\n",
    );
    host.sh("chmod 755 /run/slow").ok();
    let line = "\nsession optional pam_exec.so /run/slow\nsession";
    host.write("/etc/pam.d/sshd", &stack.replacen("\nsession", line, 1));
    stack
}

/// Between PAM's account check and chroot(2) sshd's process has user id 0 and the root directory of
/// the host.
#[disposable::test]
fn a_login_in_progress_counts_as_a_session() {
    let host = host_with_module();
    let (plain, harlequin) = plain_arkham(&host, &["sleep"]);
    let _sshd = host.sshd();
    let stack = slow_down(&host);
    let mut coming = harlequin.start([], "echo reached; sleep 100");
    host.until("[ -e /run/in-pam ]");
    let refused = own(&plain).build(&host).exits(4);
    assert!(
        refused
            .stderr()
            .contains("could not change the sessions of the jail `arkham`"),
        "{refused:?}"
    );
    host.sh("touch /run/go").ok();
    coming.hear("reached");
    own(&plain).build(&host).exits(4);
    host.sh("pkill -u harlequin").ok();
    drop(coming);
    host.until("! pgrep -u harlequin >/dev/null && ! pgrep -f 'harlequin [[]priv' >/dev/null");
    host.write("/etc/pam.d/sshd", &stack);
    own(&plain).build(&host).ok();
    assert_eq!(reach(&host, &harlequin), Reach::Jail);
}

#[disposable::test]
fn dropping_a_user_during_login_does_not_block() {
    let host = host_with_module();
    let (alice, bob) = (host.key("alice"), host.key("bob"));
    let build = |users: &[(&str, &Key)]| {
        let text = acme("binaries = [\"bash\", \"sleep\"]", users);
        host.write("/root/acme.toml", &text);
        host.jailctl(["build", "/root/acme.toml"])
    };
    build(&[("alice", &alice), ("bob", &bob)]).ok();
    let _sshd = host.sshd();
    let stack = slow_down(&host);
    let mut coming = host.login("bob", &bob).start([], "echo reached; sleep 100");
    host.until("[ -e /run/in-pam ]");
    let refused = build(&[("alice", &alice)]).exits(4);
    assert!(refused.stderr().contains("`acme.bob`"), "{refused:?}");
    host.sh("touch /run/go").ok();
    coming.hear("reached");
    host.write("/etc/pam.d/sshd", &stack);
    host.jailctl(["check", "acme"]).ok();
    host.jailctl(["kill", "acme.bob"]).ok();
    build(&[("alice", &alice)]).ok();
    host.jailctl(["check", "acme"]).ok();
}

/// sshd uses the configuration of the time when the connection was made, until the user has
/// authenticated.
#[disposable::test]
fn earlier_connections_stay_in_their_kind_of_session() {
    let host = host_with_module();
    let (plain, _) = plain_arkham(&host, &["sleep"]);
    let sshd = host.sshd();
    host.write(
        "/run/ask",
        "#!/bin/sh\nwhile [ ! -e /run/go ]; do sleep 0.05; done; echo secret\n",
    );
    let key = host.key("harlequin-slow").path.clone();
    let mut spec = plain.clone();
    spec.users[0]
        .1
        .push(host.read(&format!("{key}.pub")).trim().to_owned());
    spec.build(&host).ok();
    host.sh(&format!(
        "chmod 755 /run/ask; ssh-keygen -q -p -N secret -f {key}"
    ))
    .ok();
    for next in [own(&spec), spec.clone()] {
        host.sh("rm -f /run/go; : >/run/sshd.log").ok();
        let mut late = host.spawn([
            "sh",
            "-c",
            &format!(
                "SSH_ASKPASS=/run/ask SSH_ASKPASS_REQUIRE=force ssh -i {key} -o IdentitiesOnly=yes -o StrictHostKeyChecking=no \
                 -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR harlequin@127.0.0.1 'echo reached' 2>&1; echo over"
            ),
        ]);
        host.until("pgrep -f 'harlequin [[]net' >/dev/null");
        next.build(&host).ok();
        host.sh("touch /run/go").ok();
        let heard = late.hear("over").join("\n");
        assert!(!heard.contains("reached"), "{heard} {}", sshd.log());
        host.until("! pgrep -u harlequin >/dev/null");
        assert_eq!(reach(&host, &harlequin(&host)), Reach::Jail);
    }
}

/// With `--no-reload` sshd keeps its old configuration, but uses the new PAM service.
#[disposable::test]
fn before_the_reload_the_root_cannot_be_entered() {
    let host = host_with_module();
    let (plain, _) = plain_arkham(&host, &[]);
    let sshd = host.sshd();
    let spec = own(&plain).put(&host);
    host.jailctl(["build", "--no-reload", &spec]).ok();
    assert_eq!(reach(&host, &harlequin(&host)), Reach::Nothing);
    let why = "bad ownership or modes for chroot directory";
    assert!(sshd.log().contains(why), "{}", sshd.log());
    sshd.restart();
    assert_eq!(reach(&host, &harlequin(&host)), Reach::Jail);
}

/// The content of a family can change without its spec: by a template of the host, or of a new
/// version of jailctl.
#[disposable::test]
fn an_update_tells_sshd_of_a_whole_family_or_of_none() {
    let host = host_with_module();
    let (alice, bob) = (host.key("alice"), host.key("bob"));
    let template = |more: &str| {
        let text = format!("binaries = [\"bash\", \"ls\", \"cat\", \"sleep\"]\n{more}");
        host.write("/etc/jailctl/templates/mine.toml", &text);
    };
    template("[namespaces]\n");
    let users = [("alice", &alice), ("bob", &bob)];
    host.write("/root/acme.toml", &acme("templates = [\"mine\"]", &users));
    host.jailctl(["build", "/root/acme.toml"]).ok();
    let _sshd = host.sshd();
    let (alice, bob) = (host.login("alice", &alice), host.login("bob", &bob));
    let session = bob.session();
    template("plain_chroot = true\n");
    // The index of the store is not trusted after a failed run, and the files are read again.
    let look = || {
        look(&host)
            .without(|path| path.starts_with("/srv/jails/.jailctl/store/") && !path.contains('-'))
    };
    let before = look();
    let alone = host.jailctl(["update", "acme.alice"]).exits(4);
    assert!(alone.stderr().contains("jailctl update acme"), "{alone:?}");
    let alone = host.jailctl(["update", "--dry-run", "acme.alice"]).exits(4);
    assert!(
        alone.stderr().contains("it shares with `acme.bob`"),
        "{alone:?}"
    );
    for targets in ["acme", "--all"] {
        let refused = host.jailctl(["update", targets]).exits(4);
        assert!(
            refused.stderr().contains("could not change the sessions"),
            "{refused:?}"
        );
    }
    assert_eq!(before.diff(&look()), Vec::<String>::new());
    drop(session);
    host.until("! pgrep -u bob >/dev/null");
    host.jailctl(["update", "acme"]).ok();
    for login in [&alice, &bob] {
        assert_eq!(reach(&host, login), Reach::Jail);
        assert!(login.ssh("echo $$").ok().text() != "3", "a plain chroot");
    }
    host.jailctl(["check", "acme"]).ok();
    let again = host.jailctl(["update", "--all"]).ok();
    assert!(again.stdout().contains("nothing to do"), "{again:?}");
}

/// The module is installed while users are in plain chroots: their jails wait, and all others get
/// sessions.
#[disposable::test]
fn sessions_by_default_wait_until_no_user_is_in() {
    let host = host();
    let [harlequin, ann, alice] = ["harlequin", "ann", "alice"].map(|name| host.key(name));
    let arkham = Spec::arkham(&harlequin, &["sleep"]);
    let mut quiet = Spec::arkham(&ann, &[]);
    (quiet.name, quiet.users[0].0) = ("quiet", "ann");
    let _sshd = host.sshd();
    arkham.build(&host).ok();
    quiet.build(&host).ok();
    let text = acme(
        "binaries = [\"bash\", \"sleep\"]",
        &[("alice", &alice), ("bob", &ann)],
    );
    host.write("/root/acme.toml", &text);
    host.jailctl(["build", "/root/acme.toml"]).ok();
    let sessions = [("harlequin", &harlequin), ("alice", &alice)].map(|(user, key)| {
        let mut session = host
            .login(user, key)
            .start([], "echo reached; exec sleep 300");
        session.hear("reached");
        session
    });
    install_module(&host);
    let has_sessions = || {
        ["arkham", "quiet", "acme.alice", "acme.bob"]
            .map(|jail| host.has(&format!("/var/lib/jailctl/{jail}/policy")))
    };
    let updated = host.jailctl(["update", "--all"]).ok();
    for jail in ["arkham", "acme"] {
        let notice = format!("`{jail}` stays a plain chroot");
        assert!(updated.stderr().contains(&notice), "{updated:?}");
    }
    assert!(
        updated.stderr().contains("`jailctl kill arkham`"),
        "{updated:?}"
    );
    assert_eq!(has_sessions(), [false, true, false, false]);
    let built = arkham.build(&host).ok();
    assert!(built.stderr().contains("stays a plain chroot"), "{built:?}");
    let check = host.jailctl(["check", "arkham"]).exits(1);
    assert!(check.stdout().contains("stays a plain chroot"), "{check:?}");
    host.run(["pgrep", "-u", "harlequin", "sleep"]).ok();
    for jail in ["arkham", "acme"] {
        host.jailctl(["kill", jail]).ok();
    }
    drop(sessions);
    let updated = host.jailctl(["update", "--all"]).ok();
    assert!(!updated.stderr().contains("plain chroot"), "{updated:?}");
    assert_eq!(has_sessions(), [true; 4]);
    host.jailctl(["check"]).ok();
    assert_eq!(reach(&host, &host.login("alice", &alice)), Reach::Jail);
}
