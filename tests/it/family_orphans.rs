//! Users that left a family with files behind: their user id is reserved, and reused for the same
//! user only.

use disposable::{DisposableHost, Key};

use crate::family::{acme, build, put};
use crate::support::{Spec, host, look};

/// The spec of the family with these users.
fn of(users: &[&'static str], key: &Key) -> Spec {
    let users: Vec<_> = users.iter().map(|user| (*user, key)).collect();
    acme(&users)
}

#[track_caller]
fn number(host: &DisposableHost, user: &str) -> String {
    host.run(["id", "-u", user]).ok().text().to_owned()
}

/// Whether the home of `user` is that user's.
#[track_caller]
fn is_his(host: &DisposableHost, user: &str) {
    let home = format!("/srv/jails/{user}/home/{user}");
    let owner = host.run(["stat", "-c", "%u", &home]).ok();
    assert_eq!(owner.text(), number(host, user));
}

#[disposable::test]
fn a_dropped_users_id_is_reserved_and_reused() {
    let host = host();
    let key = host.key("key");
    let both = of(&["alice", "bob"], &key);
    build(&both, &host).ok();
    let (alices, bobs) = (number(&host, "alice"), number(&host, "bob"));
    build(&of(&["alice"], &key), &host).ok();
    host.sh("id bob").fails();

    // In each order of planning, and with or without bob in the spec again.
    let with_carol = of(&["alice", "carol"], &key);
    let planned = host.jailctl(["plan", &put(&with_carol, &host)]).ok();
    build(&with_carol, &host).ok();
    let carols = number(&host, "carol");
    assert_ne!(carols, bobs);
    let told = format!("carol (uid {carols})");
    assert!(planned.stdout().contains(&told), "{told}: {planned:?}");
    build(&of(&["alice", "dave", "bob", "eve"], &key), &host).ok();
    assert_eq!(number(&host, "bob"), bobs);
    let others = [number(&host, "dave"), number(&host, "eve")];
    assert!(
        !others.contains(&carols) && !others.contains(&bobs),
        "{others:?}"
    );

    // Nor after all of them are gone: nothing is recorded of any then.
    host.jailctl(["remove", "acme"]).ok();
    assert_eq!(host.jailctl(["list"]).ok().stdout(), "");
    build(&of(&["frank", "grace"], &key), &host).ok();
    let mut all = vec![
        alices.clone(),
        bobs.clone(),
        carols.clone(),
        number(&host, "frank"),
        number(&host, "grace"),
    ];
    all.extend(others);
    all.sort();
    all.dedup();
    assert_eq!(all.len(), 7, "{all:?}");
    build(&of(&["alice", "bob", "carol", "frank"], &key), &host).ok();
    for (user, before) in [("alice", &alices), ("bob", &bobs), ("carol", &carols)] {
        assert_eq!(number(&host, user), *before);
        is_his(&host, user);
    }

    // Purged files reserve no user id.
    host.jailctl(["remove", "--purge", "acme"]).ok();
    host.sh("rm -r /srv/jails").ok();
    build(&of(&["henry"], &key), &host).ok();
    assert_eq!(number(&host, "henry"), alices);
}

#[disposable::test]
fn a_uid_of_the_spec_is_kept() {
    let host = host();
    let key = host.key("key");
    build(&of(&["alice", "bob"], &key), &host).ok();
    let (alices, bobs) = (number(&host, "alice"), number(&host, "bob"));
    build(&of(&["alice"], &key), &host).ok();
    let before = look(&host);
    let given = |user: &str, uid: &str| format!("[[user]]\nname = \"{user}\"\nuid = {uid}\n");
    let mut spec = of(&["alice"], &key);
    spec.more = given("carol", &bobs);
    let path = put(&spec, &host);
    for verb in ["plan", "build"] {
        let refused = host.jailctl([verb, &path]).exits(2);
        for words in [
            format!("could not give `carol` the user id {bobs}"),
            "files that `bob` left have it".to_owned(),
        ] {
            assert!(refused.stderr().contains(&words), "{words}: {refused:?}");
        }
    }
    put(&of(&["alice"], &key), &host);
    assert_eq!(before.diff(&look(&host)), Vec::<String>::new());
    // The old user id may be set by hand.
    spec.more = given("bob", &bobs);
    build(&spec, &host).ok();
    is_his(&host, "bob");

    // Who comes first in the spec does not take what it gives to another.
    host.jailctl(["remove", "--purge", "acme"]).ok();
    let mut spec = of(&["dave"], &key);
    spec.more = given("eve", &alices);
    build(&spec, &host).ok();
    assert_eq!(number(&host, "eve"), alices);
    assert_ne!(number(&host, "dave"), alices);
}

#[disposable::test]
fn what_is_not_only_roots_says_nothing_of_numbers() {
    let host = host();
    let key = host.key("key");
    build(&of(&["alice"], &key), &host).ok();
    let alices: u32 = number(&host, "alice").parse().expect("a number");
    // As an attacker with an own directory there would write it; a file, a link and a jail
    // of another name are none of theirs either.
    let high = alices + 50;
    host.sh(&format!(
        r#"
        useradd --uid 4102 mallory
        cd /srv/jails; mkdir -p mallory/.jailctl mallory/home/mallory other/.jailctl other/home/mallory
        printf '{{"jail":"acme.mallory","made":[],"left":[{{"user":"mallory","uid":{high},"home":"/home/mallory"}}]}}' >mallory/.jailctl/jail
        sed s/acme.mallory/beta.other/ mallory/.jailctl/jail >other/.jailctl/jail
        chown -R mallory mallory; touch file; ln -s mallory link
        userdel mallory
        "#
    ))
    .ok();
    build(&of(&["alice", "bob"], &key), &host).ok();
    assert_eq!(number(&host, "bob"), (alices + 1).to_string());
}

#[disposable::test]
fn a_user_in_a_session_is_not_dropped() {
    let host = host();
    let key = host.key("key");
    let both = of(&["alice", "bob"], &key);
    build(&both, &host).ok();
    let _sshd = host.sshd();
    let bob = host.login("bob", &key);
    let alone = of(&["alice"], &key);
    let mut living = bob.start([], "echo in; cat");
    living.hear("in");
    let path = put(&alone, &host);
    let before = look(&host);
    for words in [
        vec!["plan", &path],
        vec!["build", "--dry-run", &path],
        vec!["build", &path],
    ] {
        let refused = host.run(["jailctl"].into_iter().chain(words)).exits(4);
        assert!(
            refused
                .stderr()
                .contains("could not remove the jail `acme.bob`: processes run in it")
                && refused
                    .stderr()
                    .contains("hint: end them: jailctl kill acme.bob\n")
                && !refused.stderr().contains("--kill"),
            "{refused:?}"
        );
    }
    let refused = host.jailctl(["remove", "acme.bob"]).exits(4);
    assert!(refused.stderr().contains("`--kill`"), "{refused:?}");
    assert_eq!(before.diff(&look(&host)), Vec::<String>::new());
    host.jailctl(["kill", "acme.bob"]).ok();
    let told = host.jailctl(["build", &path]).ok();
    assert!(told.stdout().contains("acme.bob: removed\n"), "{told:?}");
}

#[disposable::test]
fn two_specs_of_one_name_are_refused_in_one_call() {
    let host = host();
    let key = host.key("key");
    build(&of(&["alice"], &key), &host).ok();
    let mut plain = acme(&[("joker", &key)]);
    plain.name = "arkham";
    let plain = plain.put(&host);
    let path = put(&of(&["alice"], &key), &host);
    let text = host.read(&path);
    host.write("/root/other.toml", &text.replace("alice", "bob"));
    let text = host.read(&plain);
    host.write("/root/second.toml", &text.replace("joker", "bane"));
    let before = look(&host);
    for (name, first, second) in [
        ("acme", path.as_str(), "/root/other.toml"),
        ("arkham", plain.as_str(), "/root/second.toml"),
    ] {
        for verb in [vec!["plan"], vec!["build"], vec!["build", "--dry-run"]] {
            let words = verb.into_iter().chain([first, second]);
            let refused = host.run(["jailctl"].into_iter().chain(words)).exits(2);
            assert!(
                refused
                    .stderr()
                    .contains(&format!("two specs for the jail `{name}`"))
                    && refused
                        .stderr()
                        .contains(&format!("`{first}` and `{second}` have the same name")),
                "{refused:?}"
            );
        }
    }
    assert_eq!(before.diff(&look(&host)), Vec::<String>::new());
    host.jailctl(["build", &path, &plain]).ok();
}
