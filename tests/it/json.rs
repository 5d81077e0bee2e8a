//! `--json`: the output of each verb is valid under its schema in `packaging/schema/output`.

use std::collections::BTreeSet;

use disposable::{DisposableHost, Output};
use serde_json::Value;

use crate::support::{Spec, arkham, host};

#[expect(clippy::disallowed_methods, reason = "the schemas as they are")]
fn validator(name: &str) -> jsonschema::Validator {
    let text = std::fs::read_to_string(format!("packaging/schema/output/{name}.json"))
        .unwrap_or_else(|error| panic!("{name}: {error}"));
    let schema: Value = serde_json::from_str(&text).expect("JSON");
    jsonschema::options()
        .should_validate_formats(true)
        .build(&schema)
        .expect("a schema")
}

/// What of an output does not obey.
fn objections(name: &str, output: &Output) -> Vec<String> {
    let told: Value =
        serde_json::from_str(output.stdout()).unwrap_or_else(|error| panic!("{error}: {output:?}"));
    validator(name)
        .iter_errors(&told)
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect()
}

/// A jail with one of each: a password, an expiry, data, a setgid program.
fn variety(host: &DisposableHost) -> Spec {
    let key = host.key("joker");
    host.sh("cp /usr/bin/id /usr/local/bin/informer; chgrp 50 /usr/local/bin/informer; chmod 2755 /usr/local/bin/informer")
        .ok();
    let hash = host
        .run(["openssl", "passwd", "-6", "-salt", "gotham", "x"])
        .ok();
    let mut spec = Spec::arkham(&key, &["informer", "less", "/usr/bin/git"]);
    spec.name = "gotham";
    spec.users = vec![("joker", vec![key.public.trim().to_owned()])];
    let penguin = format!(
        "\n[[user]]\nname = \"penguin\"\npassword = \"{}\"\nexpires = 2999-01-01\n",
        hash.text()
    );
    spec.more.push_str(&penguin);
    spec
}

#[disposable::test]
fn what_every_verb_prints_obeys_its_schema() {
    let host = host();
    arkham(&host, &[]);
    variety(&host).put(&host);
    host.write("/root/bad.toml", "name = \"bad\"\nbinarys = 5\n");
    host.sh("usermod --expiredate 1 harlequin; echo '#' >>/root/arkham.toml")
        .ok();
    let mut seen = BTreeSet::new();
    for (schema, status, words) in [
        ("list", 0, "list"),
        ("plan", 0, "plan /root/gotham.toml"),
        (
            "plan",
            1,
            "plan --exit-code /root/gotham.toml /root/arkham.toml",
        ),
        ("plan", 0, "build --dry-run /root/gotham.toml"),
        ("plan", 0, "build /root/gotham.toml"),
        ("plan", 0, "build /root/gotham.toml"),
        ("tree", 0, "build --output /root/tree /root/gotham.toml"),
        ("list", 0, "list"),
        ("show", 0, "show arkham"),
        ("show", 0, "show gotham"),
        (
            "why",
            0,
            "why arkham / /bin /bin/ls /dev/null /home/harlequin/x /.jailctl/jail /etc/passwd /usr/lib",
        ),
        (
            "why",
            1,
            "why gotham /usr/bin/git /usr/share/git-core /nowhere",
        ),
        ("why", 0, "why /root/gotham.toml /usr/bin/less"),
        ("doctor", 0, "doctor"),
        ("doctor", 1, "doctor harlequin"),
        ("doctor", 1, "doctor penguin"),
        ("stats", 0, "stats arkham"),
        ("stats", 0, "stats"),
        ("who", 0, "who"),
        ("validate", 0, "validate /root/gotham.toml"),
        ("validate", 2, "validate /root/gotham.toml /root/bad.toml"),
        ("plan", 0, "lock joker"),
        ("show", 0, "show gotham"),
        ("plan", 0, "unlock --dry-run joker"),
        ("plan", 0, "unlock joker"),
        ("check", 1, "check"),
        ("check", 0, "check gotham"),
        ("plan", 0, "update --dry-run gotham"),
        ("plan", 0, "update gotham"),
        ("plan", 0, "rollback gotham"),
        ("deps", 0, "deps /usr/bin/git /usr/bin/ldd sh"),
        ("plan", 0, "move gotham /srv/elsewhere"),
        ("plan", 0, "remove --dry-run gotham"),
        ("plan", 0, "remove gotham"),
        ("plan", 0, "purge /srv/elsewhere"),
        ("error", 2, "plan /root/bad.toml"),
        ("error", 2, "build /nowhere.toml"),
        ("error", 4, "build --output /root/tree /root/arkham.toml"),
        ("error", 2, "show nosuchjail"),
        ("error", 2, "why nosuchjail /bin"),
        ("error", 2, "doctor nobody"),
        ("error", 2, "deps nosuchprogram"),
        ("error", 2, "remove nosuchjail"),
        ("error", 2, "list --nonsense"),
        ("error", 2, "list --root /nowhere"),
    ] {
        let (verb, rest) = words.split_once(' ').unwrap_or((words, ""));
        seen.insert(verb);
        let mut command = vec!["jailctl", verb, "--json"];
        command.extend(rest.split_whitespace());
        let output = host.run(command).exits(status);
        assert_eq!(
            objections(schema, &output),
            Vec::<String>::new(),
            "{output:?}"
        );
        assert!(!output.stdout().contains("$6$"), "a secret: {output:?}");
        if schema == "error" {
            assert!(!output.stderr().is_empty(), "people read on: {output:?}");
        }
    }

    // Whatever has `--json` is above.
    let command = jailctl::cli::command();
    for verb in command.get_subcommands() {
        let has_json = verb
            .get_arguments()
            .any(|argument| argument.get_id() == "json");
        assert!(
            !has_json || seen.contains(verb.get_name()),
            "{} has no schema",
            verb.get_name()
        );
    }
}

#[disposable::test]
fn a_schema_refuses_what_it_does_not_know() {
    let told = serde_json::json!({ "schema": 1, "jails": [] });
    assert!(validator("list").is_valid(&told));
    for wrong in [
        serde_json::json!({ "schema": 2, "jails": [] }),
        serde_json::json!({ "schema": 1 }),
        serde_json::json!({ "schema": 1, "jails": [], "more": 1 }),
        serde_json::json!({ "schema": 1, "jails": [{ "name": "arkham" }] }),
    ] {
        assert!(!validator("list").is_valid(&wrong), "{wrong}");
    }
}
