//! A root with `%u`: one spec, one jail for each user, one snippet for all.

use disposable::{DisposableHost, Key, Login, Sshd};

use crate::support::{Reach, Spec, host, look, reach};

pub(crate) const SNIPPET: &str = "/etc/ssh/sshd_config.d/05-jailctl.all.conf";

/// The spec of a family, whose users have a shell.
pub(crate) fn acme(users: &[(&'static str, &Key)]) -> Spec {
    let of = |(name, key): &(&'static str, &Key)| (*name, vec![key.public.trim().to_owned()]);
    Spec {
        name: "acme",
        binaries: vec!["bash", "ls", "cat"],
        users: users.iter().map(of).collect(),
        more: String::new(),
        is_plain: false,
    }
}

/// Writes the spec into the copy.
pub(crate) fn put(spec: &Spec, host: &DisposableHost) -> String {
    let path = spec.path();
    host.write(&path, &format!("root = \"/srv/jails/%u\"\n{}", spec.text()));
    path
}

#[track_caller]
pub(crate) fn build(spec: &Spec, host: &DisposableHost) -> disposable::Output {
    host.jailctl(["build", &put(spec, host)])
}

/// A copy with alice and bob, each in a jail of their own.
struct Acme<'host> {
    spec: Spec,
    alice: Login<'host>,
    bob: Login<'host>,
    _sshd: Sshd<'host>,
}

fn built(host: &DisposableHost) -> Acme<'_> {
    let (alice, bob) = (host.key("alice"), host.key("bob"));
    let spec = acme(&[("alice", &alice), ("bob", &bob)]);
    build(&spec, host).ok();
    Acme {
        spec,
        alice: host.login("alice", &alice),
        bob: host.login("bob", &bob),
        _sshd: host.sshd(),
    }
}

#[disposable::test]
fn each_user_has_a_root_and_nobody_sees_the_others() {
    let host = host();
    let Acme {
        spec, alice, bob, ..
    } = built(&host);
    for (user, name, other) in [(&alice, "alice", "bob"), (&bob, "bob", "alice")] {
        assert_eq!(reach(&host, user), Reach::Jail);
        user.ssh(&format!("echo {name} >~/note")).ok();
        let homes = user.ssh("ls /home").ok();
        assert_eq!(homes.text(), name);
        let names = user.ssh("cat /etc/passwd").ok();
        assert!(
            names.stdout().contains(name) && !names.stdout().contains(other),
            "{names:?}"
        );
        assert_eq!(
            host.read(&format!("/srv/jails/{name}/home/{name}/note")),
            format!("{name}\n")
        );
    }
    let strange = host.login("alice", &host.key("stranger"));
    assert_eq!(reach(&host, &strange), Reach::Nothing);
    let as_bob = alice.as_user("bob");
    assert_eq!(reach(&host, &as_bob), Reach::Nothing, "another's key");

    let snippets = host.sh("ls /etc/ssh/sshd_config.d | grep jailctl").ok();
    assert_eq!(snippets.text(), "05-jailctl.all.conf\n05-jailctl.conf");
    let snippet = host.read(SNIPPET);
    for line in [
        "Match Group jail-acme",
        "    ChrootDirectory /srv/jails/%u",
        "    AuthorizedKeysFile /var/lib/jailctl/acme.%u/keys/%u",
    ] {
        assert!(snippet.lines().any(|one| one == line), "{line}: {snippet}");
    }
    assert_eq!(
        host.jailctl(["check"]).ok().stdout(),
        "acme.alice: unchanged\nacme.bob: unchanged\n"
    );
    let listed = host.jailctl(["list"]).ok();
    assert!(
        listed.stdout().contains("acme.alice") && listed.stdout().contains("/srv/jails/bob"),
        "{listed:?}"
    );

    let before = look(&host);
    for _ in 0..2 {
        assert_eq!(
            build(&spec, &host).ok().stdout(),
            "acme.alice: nothing to do\nacme.bob: nothing to do\n"
        );
    }
    assert_eq!(before.diff(&look(&host)), Vec::<String>::new());
}

#[disposable::test]
fn who_is_dropped_is_out_and_what_is_his_stays() {
    let host = host();
    let Acme {
        mut spec,
        alice,
        bob,
        ..
    } = built(&host);
    bob.ssh("echo mine >~/note").ok();
    host.until("! pgrep -u bob");
    let number = host.sh("id -u bob").ok().text().to_owned();
    let bobs = spec.users.pop().expect("bob");
    let path = put(&spec, &host);
    let plan = host.jailctl(["plan", &path]).ok();
    assert!(plan.stdout().contains("acme.bob"), "{plan:?}");
    let told = host.jailctl(["build", &path]).ok();
    assert!(told.stdout().contains("acme.bob: removed\n"), "{told:?}");
    assert!(
        told.stderr().contains("`/srv/jails/bob/home/bob` stays"),
        "{told:?}"
    );
    assert_eq!(reach(&host, &bob), Reach::Nothing);
    host.sh("id bob").fails();
    assert_eq!(host.read("/srv/jails/bob/home/bob/note"), "mine\n");
    assert_eq!(reach(&host, &alice), Reach::Jail);
    assert_eq!(
        host.jailctl(["check"]).ok().stdout(),
        "acme.alice: unchanged\n"
    );

    spec.users.push(bobs);
    build(&spec, &host).ok();
    assert_eq!(host.sh("id -u bob").ok().text(), number);
    assert_eq!(bob.ssh("cat ~/note").ok().text(), "mine");
}

#[disposable::test]
fn removing_the_last_jail_removes_the_snippet() {
    let host = host();
    let before = look(&host);
    let Acme {
        spec, alice, bob, ..
    } = built(&host);
    host.jailctl(["remove", "--purge", "acme.alice"]).ok();
    assert_eq!(reach(&host, &alice), Reach::Nothing);
    assert_eq!(reach(&host, &bob), Reach::Jail);
    assert_eq!(
        host.jailctl(["check"]).ok().stdout(),
        "acme.bob: unchanged\n"
    );
    build(&spec, &host).ok();
    assert_eq!(reach(&host, &alice), Reach::Jail);
    host.until("! pgrep -u alice; ! pgrep -u bob");

    let would = host
        .jailctl(["remove", "--purge", "--dry-run", "acme"])
        .ok();
    assert!(would.stdout().contains("jail-acme"), "{would:?}");
    let removed = host.jailctl(["remove", "--purge", "acme"]).ok();
    assert!(
        removed
            .stdout()
            .starts_with("acme.alice: removed\nacme.bob: removed\nlooked for, and not found: "),
        "{removed:?}"
    );
    assert!(!host.has(SNIPPET));
    host.sh("getent group jail-acme").fails();
    assert_eq!(before.diff(&look(&host)), Vec::<String>::new());
}

#[disposable::test]
fn one_member_that_cannot_be_built_leaves_all_as_they_were() {
    let host = host();
    let Acme {
        mut spec,
        alice,
        bob,
        ..
    } = built(&host);
    let look = || look(&host).without(|path| path.contains("/.jailctl/"));
    // What is wrong with carol's place is seen when alice's and bob's jails have changed.
    let own = acme(&[("alice", &host.key("key"))]);
    spec.binaries.push("id");
    spec.users.push(("carol", Vec::new()));
    for (script, why) in [
        (
            "mkdir /srv/jails/carol; touch /srv/jails/carol/treasure",
            "`treasure` is in it",
        ),
        (
            "mkdir /srv/carol; ln -s /srv/carol /srv/jails/carol",
            "it is a symbolic link",
        ),
        (
            "mkdir /srv/jails/carol; chmod 777 /srv/jails/carol",
            "others than root may write to it",
        ),
        (
            "jailctl build /root/beside.toml",
            "the jail `beside` has the root `/srv/jails/carol/x`",
        ),
    ] {
        let beside = own
            .text()
            .replace("acme", "beside")
            .replace("alice", "beside");
        host.write(
            "/root/beside.toml",
            &format!("root = \"/srv/jails/carol/x\"\n{beside}"),
        );
        host.sh(script).ok();
        let before = look();
        let refused = build(&spec, &host).exits(2);
        assert!(
            refused
                .stderr()
                .contains("could not use the root `/srv/jails/carol`")
                && refused.stderr().contains(why),
            "{why}: {refused:?}"
        );
        assert_eq!(before.diff(&look()), Vec::<String>::new(), "{why}");
        for user in [&alice, &bob] {
            assert_eq!(reach(&host, user), Reach::Jail);
            user.ssh("id").exits(127);
        }
        host.sh("if jailctl show beside >/dev/null 2>&1; then jailctl remove --purge beside; fi; rm -rf /srv/jails/carol /srv/carol").ok();
    }
    build(&spec, &host).ok();
    alice.ssh("id").ok();
    host.jailctl(["check"]).ok();
}

#[disposable::test]
fn a_family_build_that_dies_is_recovered() {
    let host = host();
    let Acme {
        mut spec,
        alice,
        bob,
        ..
    } = built(&host);
    spec.users.pop();
    let carol = host.key("carol");
    spec.users
        .push(("carol", vec![carol.public.trim().to_owned()]));
    spec.binaries.push("id");
    let path = put(&spec, &host);
    let mut died = 0;
    for call in ["fdatasync", "renameat2", "unlinkat"] {
        for n in [1, 2, 4, 6, 9, 13, 18] {
            let output = host.kill_at(call, n, &["jailctl", "build", &path]);
            if output.code() != 137 {
                break;
            }
            died += 1;
            for user in [&alice, &bob] {
                assert!(reach(&host, user) <= Reach::Jail);
            }
        }
    }
    assert!(died > 6, "it was killed {died} times");
    host.jailctl(["build", &path]).ok();
    assert_eq!(reach(&host, &bob), Reach::Nothing);
    alice.ssh("id").ok();
    host.login("carol", &carol).ssh("id").ok();
    assert_eq!(
        host.jailctl(["check"]).ok().stdout(),
        "acme.alice: unchanged\nacme.carol: unchanged\n"
    );
}

#[disposable::test]
fn one_jail_does_not_become_a_family() {
    let host = host();
    let key = host.key("alice");
    let spec = acme(&[("alice", &key)]);
    let mut plain = spec.clone();
    plain.name = "arkham";
    plain.users = vec![("harlequin", vec![key.public.trim().to_owned()])];
    plain.build(&host).ok();
    build(&spec, &host).ok();
    host.sshd();
    for user in ["harlequin", "alice"] {
        assert_eq!(reach(&host, &host.login(user, &key)), Reach::Jail);
    }
    let before = look(&host);
    for (name, each, says) in [
        (
            "acme",
            "",
            "could not make `acme` one jail for all of its users",
        ),
        (
            "arkham",
            "root = \"/srv/jails/%u\"\n",
            "could not make `arkham` a jail of each user",
        ),
    ] {
        let mut other = spec.clone();
        other.name = name;
        other.users = vec![("joker", Vec::new())];
        host.write("/root/other.toml", &format!("{each}{}", other.text()));
        let refused = host.jailctl(["build", "/root/other.toml"]).exits(2);
        assert!(refused.stderr().contains(says), "{refused:?}");
        assert!(
            refused.stderr().contains(&format!("jailctl remove {name}")),
            "{refused:?}"
        );
    }
    assert_eq!(before.diff(&look(&host)), Vec::<String>::new());
}

#[disposable::test]
fn verbs_without_a_name_list_or_take_all_jails() {
    let host = host();
    let Acme {
        spec, alice, bob, ..
    } = built(&host);
    let path = spec.path();
    for (verb, says) in [
        (
            vec!["why", "acme", "/bin/ls"],
            "choose one of `acme.alice` and `acme.bob`",
        ),
        (
            vec!["why", &path, "/bin/ls"],
            "choose one of `acme.alice` and `acme.bob`",
        ),
        (
            vec!["enter", "acme", "--", "ls"],
            "jailctl enter acme --user alice, or jailctl enter acme.alice",
        ),
    ] {
        let refused = host.run(["jailctl"].into_iter().chain(verb)).exits(2);
        assert!(refused.stderr().contains(says), "{refused:?}");
    }
    let family = host.jailctl(["show", "acme"]).ok();
    assert!(
        family.stdout().contains("/srv/jails/alice")
            && family.stderr().contains("jailctl show acme.alice"),
        "{family:?}"
    );
    let shown = host.jailctl(["show", "acme.bob"]).ok();
    assert!(shown.stdout().contains("/srv/jails/bob"), "{shown:?}");
    host.jailctl(["why", "acme.alice", "/bin/ls"]).ok();
    host.jailctl(["doctor", "bob"]).ok();
    for name in ["acme", "acme.bob"] {
        let home = host
            .jailctl(["enter", name, "--user", "bob", "--", "ls", "/home"])
            .ok();
        assert_eq!(home.text(), "bob");
    }
    let refused = host
        .jailctl(["build", &path, "--output", "/run/tree"])
        .exits(2);
    assert!(
        refused
            .stderr()
            .contains("`--output` writes the tree of one jail"),
        "{refused:?}"
    );
    assert!(!host.has("/run/tree"));

    let mut living = [
        alice.start([], "echo in; cat"),
        bob.start([], "echo in; cat"),
    ];
    for session in &mut living {
        session.hear("in");
    }
    let ended = host.jailctl(["kill", "acme"]).ok();
    assert_eq!(ended.lines().len(), 2, "{ended:?}");
    host.until("! pgrep -u alice; ! pgrep -u bob");
    host.sh("printf x >>/srv/jails/bob/etc/passwd").ok();
    let checked = host.jailctl(["check", "acme"]).exits(1);
    assert!(
        checked.stdout().contains("acme.alice: unchanged"),
        "{checked:?}"
    );
    assert!(checked.stdout().contains("/etc/passwd"), "{checked:?}");
    let updated = host.jailctl(["update", "acme"]).ok();
    assert!(
        updated
            .stdout()
            .contains("acme.alice: nothing to do\nacme.bob: built"),
        "{updated:?}"
    );
    host.jailctl(["check", "acme"]).ok();
}

/// The lines of a plan about a whole jail, without those about its parts, which are indented.
pub(crate) fn titles(plan: &str) -> String {
    let lines = plan.lines().filter(|line| !line.starts_with(' '));
    lines.flat_map(|line| [line, "\n"]).collect()
}

#[disposable::test]
fn a_plan_says_of_several_jails_what_the_build_then_does() {
    let host = host();
    let (alice, bob) = (host.key("alice"), host.key("bob"));
    let spec = acme(&[("alice", &alice), ("bob", &bob)]);
    let path = put(&spec, &host);
    let planned = host.jailctl(["plan", &path]).ok();
    let count = |what: &str| planned.stdout().matches(what).count();
    assert_eq!(count("jail-acme (gid"), 1, "{planned:?}");
    assert_eq!(count("+Match Group jail-acme"), 1, "{planned:?}");
    host.jailctl(["build", &path]).ok();
    for user in ["alice", "bob"] {
        let number = host.sh(&format!("id -u {user}")).ok();
        let number = format!("uid {}", number.text());
        assert!(planned.stdout().contains(&number), "{number}: {planned:?}");
    }
    let planned = host.jailctl(["plan", "--exit-code", &path]).ok();
    assert_eq!(
        titles(planned.stdout()),
        "acme.alice: nothing to do\nacme.bob: nothing to do\n"
    );
}

#[disposable::test]
fn members_roll_back_together_or_with_equal_snippets() {
    let host = host();
    let Acme {
        spec, alice, bob, ..
    } = built(&host);
    let (dave, eve) = (host.key("dave"), host.key("eve"));
    let mut old = spec.clone();
    old.users
        .push(("dave", vec![dave.public.trim().to_owned()]));
    build(&old, &host).ok();
    let mut new = spec.clone();
    new.binaries.push("id");
    new.users.push(("eve", vec![eve.public.trim().to_owned()]));
    new.users[1].1 = vec![eve.public.trim().to_owned()];
    build(&new, &host).ok();
    let (dave, eve) = (host.login("dave", &dave), host.login("eve", &eve));
    let new_bob = eve.as_user("bob");
    for _ in 0..2 {
        let would = host.jailctl(["rollback", "--dry-run", "acme"]).ok();
        assert!(would.stdout().contains("acme.dave"), "{would:?}");
        let told = host.jailctl(["rollback", "acme"]).ok();
        assert!(told.stdout().contains("acme.eve: removed\n"), "{told:?}");
        for (user, is_in) in [
            (&alice, true),
            (&bob, true),
            (&dave, true),
            (&eve, false),
            (&new_bob, false),
        ] {
            let expected = if is_in { Reach::Jail } else { Reach::Nothing };
            assert_eq!(reach(&host, user), expected);
        }
        alice.ssh("id").exits(127);
        host.jailctl(["check"]).ok();
        host.until("! pgrep -u alice; ! pgrep -u bob; ! pgrep -u dave");
        let told = host.jailctl(["rollback", "acme"]).ok();
        assert!(told.stdout().contains("acme.dave: removed\n"), "{told:?}");
        assert_eq!(reach(&host, &new_bob), Reach::Jail);
        alice.ssh("id").ok();
        host.jailctl(["check"]).ok();
        host.until("! pgrep -u alice; ! pgrep -u bob; ! pgrep -u eve");
    }

    host.jailctl(["rollback", "acme.bob"]).ok();
    assert_eq!(reach(&host, &bob), Reach::Jail);
    alice.ssh("id").ok();
    host.jailctl(["check"]).ok();
    // With a password the snippet is another, and it is everybody's.
    build(&spec, &host).ok();
    let mut open = spec.clone();
    open.more = "[[user]]\nname = \"joker\"\npassword = \"unchanged\"\n".to_owned();
    build(&open, &host).ok();
    assert!(host.read(SNIPPET).contains("PasswordAuthentication yes"));
    let before = look(&host);
    let refused = host.jailctl(["rollback", "acme.bob"]).exits(4);
    assert!(
        refused.stderr().contains("jailctl rollback acme"),
        "{refused:?}"
    );
    assert_eq!(before.diff(&look(&host)), Vec::<String>::new());
    host.jailctl(["rollback", "acme"]).ok();
    assert!(!host.read(SNIPPET).contains("PasswordAuthentication yes"));
    host.jailctl(["check"]).ok();
}

#[disposable::test]
fn a_further_group_goes_with_the_last_who_uses_it() {
    let host = host();
    let key = host.key("key");
    let mut spec = acme(&[]);
    let of = |user: &str| {
        let key = key.public.trim();
        format!(
            "[[user]]\nname = \"{user}\"\ngroups = [\"gallery\"]\nauthorized_keys = [\"{key}\"]\n"
        )
    };
    spec.more = of("alice") + &of("bob");
    build(&spec, &host).ok();
    host.sshd();
    let bob = host.login("bob", &key);
    // Whose build made the group is gone before the other.
    spec.more = of("bob");
    build(&spec, &host).ok();
    host.sh("id -nG bob | grep gallery").ok();
    assert_eq!(reach(&host, &bob), Reach::Jail);
    host.jailctl(["check"]).ok();
    host.until("! pgrep -u bob");
    host.jailctl(["remove", "acme"]).ok();
    for group in ["gallery", "jail-acme"] {
        host.run(["getent", "group", group]).fails();
    }
}
