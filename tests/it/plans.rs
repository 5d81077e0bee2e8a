//! Plans: the page and the JSON object describe the build that follows, and build refuses exactly
//! the specs that plan refuses.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::support::{Spec, arkham, host, look};

/// The lines of one side of a diff that the other lacks.
fn only(one: &Value, other: &Value) -> BTreeSet<String> {
    let lines = |text: &Value| -> BTreeSet<String> {
        let text = text.as_str().expect("text");
        text.lines().map(str::to_owned).collect()
    };
    &lines(one) - &lines(other)
}

#[disposable::test]
fn the_page_the_json_and_the_build_tell_the_same_story() {
    let host = host();
    let (mut spec, _) = arkham(&host, &["id"]);
    spec.binaries.retain(|binary| *binary != "id");
    spec.binaries.push("head");
    let hash = host
        .run(["openssl", "passwd", "-6", "-salt", "gotham", "x"])
        .ok();
    spec.more = format!(
        "[[user]]\nname = \"joker\"\npassword = \"{}\"\n\n[[file]]\ntarget = \"/welcome\"\ncontent = \"Changed.\\n\"\n",
        hash.text()
    );
    let path = spec.put(&host);

    let page = host.jailctl(["plan", "--verbose", &path]).ok();
    let planned = host.jailctl(["plan", "--json", &path]).ok();
    assert_eq!(
        page.stdout(),
        host.jailctl(["build", "--dry-run", "--verbose", &path])
            .ok()
            .stdout()
    );
    assert_eq!(
        planned.stdout(),
        host.jailctl(["build", "--dry-run", "--json", &path])
            .ok()
            .stdout()
    );
    let built = host.jailctl(["build", "--json", &path]).ok();
    let object = |output: &disposable::Output| -> Value {
        serde_json::from_str(output.stdout()).expect("JSON")
    };
    let told = object(&built);
    assert_eq!(object(&planned)["jails"], told["jails"]);
    assert_eq!(told["changed"], Value::Bool(true));

    // Each path of the JSON is on the page with its sign, and no other.
    let jail = &told["jails"][0];
    let steps = jail["steps"].as_array().expect("steps");
    let changes = steps
        .iter()
        .find(|step| step["step"] == "tree")
        .expect("a step for the tree")["changes"]
        .as_array()
        .expect("changes");
    let named: BTreeSet<String> = changes
        .iter()
        .map(|change| {
            let sign = match change["action"].as_str().expect("an act") {
                "add" => '+',
                "change" => '~',
                "remove" => '-',
                other => panic!("{other}"),
            };
            format!("{sign} {}", change["path"].as_str().expect("a path"))
        })
        .collect();
    let shown: BTreeSet<String> = page
        .lines()
        .iter()
        .filter_map(|line| line.strip_prefix("      "))
        .filter(|line| line[1..].starts_with(" /"))
        .map(|line| {
            let line = line.split_once("  ").map_or(line, |(path, _)| path);
            let line = line.split(": ").next().unwrap_or(line);
            let line = line.split(" -> ").next().unwrap_or(line);
            line.trim_end_matches('/').to_owned()
        })
        .collect();
    assert_eq!(named, shown);
    for path in ["+ /usr/bin/head", "- /usr/bin/id", "~ /welcome"] {
        assert!(shown.contains(path), "{path} {shown:#?}");
    }

    // Each line of the snippet that comes or goes is one of the diff, and so are the accounts.
    let diff = &jail["diff"];
    let (gone, come) = (
        only(&diff["before"], &diff["after"]),
        only(&diff["after"], &diff["before"]),
    );
    let mut lines = 0;
    for line in page.lines() {
        let Some(rest) = line.strip_prefix("      ") else {
            continue;
        };
        let side = match rest.as_bytes()[0] {
            b'+' if !rest.starts_with("+ ") || rest.starts_with("+  ") => &come,
            b'-' if !rest.starts_with("- ") || rest.starts_with("-  ") => &gone,
            _ => continue,
        };
        assert!(side.contains(&rest[1..]), "{rest} {side:#?}");
        lines += 1;
    }
    assert!(lines > 0, "the snippet changes: {page:?}");
    for text in [page.stdout(), planned.stdout(), built.stdout()] {
        assert!(!text.contains("$6$"), "no secret is shown: {text}");
    }
    assert!(
        come.iter().any(|line| line.starts_with("account joker")),
        "{come:#?}"
    );
    let again = host.jailctl(["plan", "--json", &path]).ok();
    let again: Value = serde_json::from_str(again.stdout()).expect("JSON");
    assert_eq!(again["changed"], Value::Bool(false), "{again:#}");
    assert_eq!(again["jails"][0]["diff"]["before"], "");
}

#[disposable::test]
fn what_the_build_would_refuse_the_plan_refuses() {
    let host = host();
    let (spec, _) = arkham(&host, &[]);
    host.jailctl(["plan", "--exit-code", &spec.path()]).ok();
    let before = look(&host);
    // Each of these shuts the account out or unlocks it, and changes nothing else.
    for text in [
        "AllowUsers root\n",
        "DenyGroups jail-*\n",
        "Match Group jail-arkham\n    ChrootDirectory /srv\n",
    ] {
        host.write("/etc/ssh/sshd_config.d/00-admin.conf", text);
        let planned = host.jailctl(["plan", &spec.path()]).exits(4);
        let built = host.jailctl(["build", &spec.path()]).exits(4);
        assert_eq!(planned.stderr(), built.stderr(), "{text}");
        assert_eq!(planned.stdout(), "", "{text}");
        host.jailctl(["build", "--dry-run", &spec.path()]).exits(4);
        host.run(["rm", "/etc/ssh/sshd_config.d/00-admin.conf"])
            .ok();
    }
    host.jailctl(["plan", "--exit-code", &spec.path()]).ok();
    assert_eq!(before.diff(&look(&host)), Vec::<String>::new());
}

#[disposable::test]
fn a_bit_that_a_jail_does_not_have_is_told() {
    let host = host();
    host.sh("cp /usr/bin/id /usr/local/bin/informer; chgrp 50 /usr/local/bin/informer; chmod 2755 /usr/local/bin/informer")
        .ok();
    host.sh("mkdir -p /opt/tree; cp /usr/bin/id /opt/tree/tool; chmod 6755 /opt/tree/tool")
        .ok();
    let key = host.key("harlequin");
    let mut spec = Spec::arkham(&key, &["informer"]);
    spec.more.push_str("\n[[file]]\nsource = \"/opt/tree\"\n");
    let page = host.jailctl(["plan", &spec.put(&host)]).ok();
    for line in [
        "! `/usr/local/bin/informer` loses its setgid bit",
        "! `/opt/tree/tool` loses its setuid and setgid bit",
    ] {
        assert!(page.stdout().contains(line), "{page:?}");
    }
    let built = spec.build(&host).ok();
    assert!(built.stderr().contains("loses its setgid bit"), "{built:?}");
    assert_eq!(
        host.sh("find /srv/jails/arkham -perm /7000 -not -path '*/tmp'")
            .ok()
            .stdout(),
        ""
    );
}

#[disposable::test]
fn a_build_without_output_is_no_failed_build() {
    let host = host();
    let key = host.key("harlequin");
    let path = Spec::arkham(&key, &[]).put(&host);
    let sh = |line: &str| host.run(["bash", "-c", line]);
    // A query has changed nothing, and its exit status shows it.
    sh(&format!("jailctl plan {path} >/dev/full")).exits(4);
    for form in ["", "--json"] {
        let built = sh(&format!("jailctl build {form} {path} >/dev/full")).exits(6);
        assert!(
            built.stderr().contains("the operation succeeded"),
            "{built:?}"
        );
        sh(&format!("jailctl plan --exit-code {path} >/dev/null")).ok();
        // Nothing was left to do, so the host is as it was.
        sh(&format!("jailctl build {form} {path} >/dev/full")).exits(4);
        sh(&format!("jailctl remove {form} --purge arkham >/dev/full")).exits(6);
        assert!(!host.has("/srv/jails/arkham"));
    }
    sh(&format!(
        "jailctl build --output /root/tree {path} >/dev/full"
    ))
    .exits(6);
}

#[disposable::test]
fn with_json_an_error_is_json_too() {
    let host = host();
    let (spec, _) = arkham(&host, &[]);
    let mut bad = spec.clone();
    bad.binaries = vec!["bash", "nosuchprogram", "nosuchother"];
    bad.name = "bad";
    bad.users.clear();
    bad.put(&host);
    for (command, status, kind) in [
        (vec!["plan", "--json", "/root/bad.toml"], 2, "spec"),
        (vec!["build", "--json", "/root/bad.toml"], 2, "spec"),
        (vec!["build", "--json", "/nowhere.toml"], 2, "spec"),
        (vec!["remove", "--json", "nosuchjail"], 2, "spec"),
        (vec!["list", "--json", "--root", "/nowhere"], 2, "spec"),
        (vec!["deps", "--json", "nosuchprogram"], 2, "spec"),
        (vec!["plan", "--json"], 2, "spec"),
        (vec!["plan", "--json", "--nonsense"], 2, "spec"),
    ] {
        let mut line = vec!["jailctl"];
        line.extend(&command);
        let refused = host.run(line).exits(status);
        let told: Value = serde_json::from_str(refused.stdout())
            .unwrap_or_else(|error| panic!("{error}: {refused:?}"));
        assert_eq!(told["schema"], 1, "{told:#}");
        assert_eq!(told["error"]["status"], status, "{told:#}");
        assert_eq!(told["error"]["kind"], kind, "{told:#}");
        let first = &told["error"]["findings"][0]["what"];
        let first = first.as_str().expect("a sentence");
        assert!(!first.is_empty(), "{told:#}");
        assert!(
            refused.stderr().contains(first),
            "people read on: {refused:?}"
        );
    }
    let refused = host.jailctl(["plan", "--json", "/root/bad.toml"]).exits(2);
    let told: Value = serde_json::from_str(refused.stdout()).expect("JSON");
    let findings = told["error"]["findings"].as_array().expect("findings");
    assert_eq!(findings.len(), 2, "{told:#}");
    assert_eq!(findings[0]["location"]["source"], "/root/bad.toml");
    assert_eq!(findings[0]["location"]["line"], 2);
}
