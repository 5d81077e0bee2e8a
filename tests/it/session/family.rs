//! Families whose sessions have namespaces: each session is in the jail of its user, with the
//! settings of that jail.

use disposable::{DisposableHost, Login};

use super::LOG;
use super::control_groups::Parent;
use crate::support::{Reach, host_with_module, look, reach};

/// Writes the spec of the jails of alice and bob, and builds them.
fn build(host: &DisposableHost, more: &str) -> disposable::Output {
    let mut text =
        "name = \"acme\"\nroot = \"/srv/jails/%u\"\nbinaries = [\"bash\", \"ls\", \"cat\"]\n"
            .to_owned();
    if more.is_empty() {
        text += "plain_chroot = true\n";
    }
    for user in ["alice", "bob"] {
        let key = host.read(&format!("/run/keys/{user}.pub"));
        let table = "[[user]]\nname = \"USER\"\nauthorized_keys = [\"KEY\"]\n";
        text += &table.replace("USER", user).replace("KEY", key.trim());
    }
    host.write("/root/acme.toml", &(text + more));
    host.jailctl(["build", "-v", "/root/acme.toml"])
}

fn logins(host: &DisposableHost) -> [Login<'_>; 2] {
    ["alice", "bob"].map(|user| host.login(user, &host.key(user)))
}

fn settle(host: &DisposableHost) {
    host.until("! pgrep -u alice >/dev/null && ! pgrep -u bob >/dev/null");
}

#[disposable::test]
fn each_session_is_in_the_jail_of_its_user() {
    let host = host_with_module();
    let before = look(&host);
    let users = logins(&host);
    let parent = Parent::make();
    build(
        &host,
        &["[namespaces]\n[limits]\ntasks = 64\n", &parent.line()].concat(),
    )
    .ok();
    let _sshd = host.sshd();
    let snippet = host.read("/etc/ssh/sshd_config.d/05-jailctl.all.conf");
    assert!(
        snippet.contains("ChrootDirectory /var/lib/jailctl/acme.%u/session/root\n"),
        "{snippet}"
    );
    for (user, name) in users.iter().zip(["alice", "bob"]) {
        assert_eq!(reach(&host, user), Reach::Jail);
        let seen = user.ssh("echo $$ $HOSTNAME; ls /home; echo x >~/note").ok();
        assert_eq!(seen.text(), format!("3 acme\n{name}"));
        assert!(host.has(&format!("/srv/jails/{name}/home/{name}/note")));
    }
    settle(&host);
    assert!(
        host.read(LOG)
            .contains("session opened: jail acme, user bob")
    );

    let mut bob = users[1].start([], "echo up; read -r line");
    bob.hear("up");
    let used = host.jailctl(["stats", "acme"]).ok();
    let line = |name: &str| {
        used.lines()
            .into_iter()
            .find(|line| line.starts_with(name))
            .map(str::to_owned)
    };
    assert!(
        line("acme.alice").is_some() && line("acme.bob").is_some(),
        "{used:?}"
    );
    let counted = "find /run/jailctl/sessions -type f | cut -d/ -f5";
    assert_eq!(host.sh(counted).ok().text(), "acme.bob");
    // One of them is logged in, and the other has no processes to freeze.
    let frozen = host.jailctl(["freeze", "acme"]).exits(4);
    assert_eq!(frozen.text(), "acme.bob: frozen");
    assert!(
        frozen
            .stderr()
            .contains("could not freeze the jail `acme.alice`"),
        "{frozen:?}"
    );
    host.jailctl(["thaw", "acme"]).ok();
    bob.say("");
    assert_eq!(bob.finish(), 0);
    let inside = host
        .jailctl(["enter", "acme.bob", "--", "ls", "/home"])
        .ok();
    assert_eq!(inside.text(), "bob");
    settle(&host);

    // The policy is alice's: without it she cannot log in, and bob can.
    host.sh("mv /var/lib/jailctl/acme.alice/policy /root/").ok();
    assert_eq!(reach(&host, &users[0]), Reach::Nothing);
    assert_eq!(reach(&host, &users[1]), Reach::Jail);
    let checked = host.jailctl(["check", "acme"]).exits(1);
    assert!(
        checked
            .stdout()
            .contains("its policy was changed or is missing"),
        "{checked:?}"
    );
    host.jailctl(["build", "/root/acme.toml"]).ok();
    assert_eq!(reach(&host, &users[0]), Reach::Jail);
    host.jailctl(["check", "acme"]).ok();
    settle(&host);
    host.jailctl(["remove", "--purge", "acme"]).ok();
    assert_eq!(before.diff(&look(&host)), Vec::<String>::new());
}

#[disposable::test]
fn all_members_are_closed_before_plain_chroot_and_sessions_take_turns() {
    let host = host_with_module();
    let look = || look(&host).without(|path| path.contains("/.jailctl/"));
    let [alice, bob] = logins(&host);
    build(&host, "").ok();
    let _sshd = host.sshd();
    for (more, words) in [("[namespaces]\n", true), ("", false)] {
        // The last jail of the family has a session; its turn comes after those of the others.
        let session = bob.session();
        let before = look();
        let refused = build(&host, more).exits(4);
        assert!(
            refused
                .stderr()
                .contains("could not change the sessions of the jail `acme.bob`"),
            "{refused:?}"
        );
        assert_eq!(before.diff(&look()), Vec::<String>::new());
        assert_eq!(reach(&host, &alice), Reach::Jail);
        drop(session);
        settle(&host);
        let output = build(&host, more).ok();
        let steps = output.stderr();
        let at = |words: &str| {
            steps
                .find(words)
                .unwrap_or_else(|| panic!("{words}: {steps}"))
        };
        assert!(at("bob: disabled") < at("05-jailctl.all.conf"), "{steps}");
        for user in [&alice, &bob] {
            assert_eq!(reach(&host, user), Reach::Jail);
            assert_eq!(user.ssh("echo $$").ok().text() == "3", words);
        }
        settle(&host);
        host.jailctl(["check", "acme"]).ok();
        assert_eq!(
            build(&host, more).ok().text(),
            "acme.alice: nothing to do\nacme.bob: nothing to do"
        );
    }
    assert!(host.read("/etc/pam.d/sshd").starts_with("# jailctl: begin"));
    assert!(!host.has("/var/lib/jailctl/acme.bob/session"));
}

#[disposable::test]
fn forwarding_begins_after_the_networks_of_all_and_ends_before() {
    let host = host_with_module();
    let [alice, bob] = logins(&host);
    let of_host = "[network]\nmode = \"host\"\n";
    let own = "[sshd]\nallow = [\"shell\", \"forward\"]\n[network]\nmode = \"none\"\n";
    build(&host, of_host).ok();
    let _sshd = host.sshd();
    for (more, is_own) in [(own, true), (of_host, false)] {
        let output = build(&host, more).ok();
        let steps = output.stderr();
        let installed = steps
            .find("installing 05-jailctl.all.conf")
            .expect("it changes");
        let policies: Vec<_> = steps.match_indices("sessions with").collect();
        assert_eq!(policies.len(), 2, "{steps}");
        for (at, _) in policies {
            assert_eq!(at < installed, is_own, "{steps}");
        }
        for user in [&alice, &bob] {
            assert_eq!(user.ssh("echo in").ok().text(), "in");
            let through = user.ssh_with(["-W127.0.0.1:22"], "");
            assert!(!through.stdout().contains("SSH-"), "{through:?}");
        }
        host.jailctl(["check", "acme"]).ok();
    }
}

#[disposable::test]
fn each_has_a_network_of_its_own() {
    let host = host_with_module();
    let users = logins(&host);
    build(
        &host,
        "[network]\nmode = \"private\"\nallow_out = [\"tcp/443\"]\n",
    )
    .ok();
    let _sshd = host.sshd();
    let rules = host.sh("nft list ruleset").ok().stdout().to_owned();
    let mut sessions = users.map(|user| user.start([], "echo up; read -r line"));
    for session in &mut sessions {
        session.hear("up");
    }
    let tables = host.sh("nft list tables").ok();
    for name in ["acme.alice", "acme.bob"] {
        let table = format!("table ip jailctl-{name}");
        assert!(tables.lines().contains(&table.as_str()), "{tables:?}");
    }
    let links = host.sh("ip -o link | grep -c jailctl").ok();
    assert_eq!(links.text(), "2", "{links:?}");
    for mut session in sessions {
        session.say("");
        assert_eq!(session.finish(), 0);
    }
    host.until("! pgrep -x jailctl-keeper >/dev/null");
    assert_eq!(host.sh("nft list ruleset").ok().stdout(), rules);
    host.jailctl(["check", "acme"]).ok();
}
