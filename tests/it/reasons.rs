//! `why` and `show`: every file of every shipped jail has a reason that ends in a line of a spec
//! or rule, and the details of a jail are correct.

use std::path::Path;

use disposable::DisposableHost;
use serde_json::Value;

use crate::support::{Spec, arkham, host};

/// The specs of `jails/`, put into the copy.
fn shipped(host: &DisposableHost) -> Vec<String> {
    let mut paths = Vec::new();
    for entry in walkdir::WalkDir::new("jails")
        .min_depth(1)
        .max_depth(1)
        .sort_by_file_name()
    {
        let entry = entry.expect("a readable directory");
        let name = entry.file_name().to_str().expect("a plain name").to_owned();
        #[expect(clippy::disallowed_methods, reason = "the shipped specs as they are")]
        let text = std::fs::read_to_string(entry.path()).expect("a readable spec");
        let path = format!("/root/{name}");
        host.write(&path, &text);
        paths.push(path);
    }
    assert!(paths.len() >= 3, "{paths:?}");
    paths
}

/// `why --json` of many paths.
fn ask(host: &DisposableHost, jail: &str, paths: &[&str]) -> Vec<Value> {
    let mut answers = Vec::new();
    for part in paths.chunks(500) {
        let mut command = vec!["jailctl", "why", "--json", jail];
        command.extend(part);
        let told = host.run(command).ok();
        let told: Value = serde_json::from_str(told.stdout()).expect("JSON");
        answers.extend(told["paths"].as_array().expect("answers").iter().cloned());
    }
    assert_eq!(answers.len(), paths.len());
    answers
}

/// Whether an answer follows each of its reasons back to what needs no other.
fn is_answered(answer: &Value) -> bool {
    let chains = answer["reasons"].as_array().expect("reasons");
    answer["exists"] == true
        && !chains.is_empty()
        && chains.iter().all(|chain| {
            let chain = chain.as_array().expect("a chain");
            let kind = chain[0]["why"]["kind"].as_str().expect("a kind");
            ["spec", "builtin"].contains(&kind)
        })
}

#[disposable::test]
fn every_file_of_every_shipped_jail_has_a_reason() {
    let host = host();
    for path in shipped(&host) {
        let name = Path::new(&path)
            .file_stem()
            .expect("a name")
            .to_str()
            .expect("text");
        let foreseen = host.jailctl(["plan", "--json", &path]).ok();
        let foreseen: Value = serde_json::from_str(foreseen.stdout()).expect("JSON");
        let steps = foreseen["jails"][0]["steps"].as_array().expect("steps");
        let tree = steps
            .iter()
            .find(|step| step["step"] == "tree")
            .expect("a tree");
        let paths: Vec<&str> = tree["changes"]
            .as_array()
            .expect("changes")
            .iter()
            .map(|change| change["path"].as_str().expect("a path"))
            .collect();
        for answer in ask(&host, &path, &paths) {
            assert!(is_answered(&answer), "{path}: {answer:#}");
        }

        host.jailctl(["build", &path]).ok();
        let root = format!("/srv/jails/{name}");
        let found = host
            .sh(&format!(
                "cd {root}; find . -mindepth 1 -path ./.jailctl -prune -o -print | cut -c2-"
            ))
            .ok();
        let found = found.lines();
        assert!(found.len() > 5, "{found:?}");
        for answer in ask(&host, name, &found) {
            assert!(is_answered(&answer), "{name}: {answer:#}");
        }
    }
}

#[disposable::test]
fn why_prints_the_chain_from_spec_to_file() {
    let host = host();
    let key = host.key("harlequin");
    let mut spec = Spec::arkham(&key, &["/usr/bin/git"]);
    spec.binaries.retain(|binary| *binary != "bash");
    spec.more = "templates = [\"shell\"]\n".to_owned();
    let text = format!("{}{}", spec.more, spec.text().replace(&spec.more, ""));
    host.write("/root/arkham.toml", &text);
    host.jailctl(["build", "/root/arkham.toml"]).ok();

    // By hand: bash is of the template, its library is one that readelf names, and the terminals
    // are for that library.
    let library = host
        .sh("readelf -d /usr/bin/bash | grep -o 'libtinfo[^]]*'")
        .ok();
    let library = library.text();
    let file = host
        .sh(&format!(
            "readlink -f $(ldconfig -p | grep -o '/.*/{library}$')"
        ))
        .ok();
    let file = file.text().replacen(
        "/lib/",
        "/usr/lib/",
        usize::from(!file.text().starts_with("/usr")),
    );
    let told = host.jailctl(["why", "arkham", &file]).ok();
    let lines = told.lines();
    assert!(
        lines[1].starts_with("  because template shell:"),
        "{told:?}"
    );
    assert!(lines[1].contains("`binaries: bash`"), "{told:?}");
    assert!(lines[2].ends_with("/usr/bin/bash"), "{told:?}");
    assert_eq!(
        lines[3].trim(),
        format!("{file}  needed as {library}"),
        "{told:?}"
    );

    // Each line of the spec that is named contains the value it is named for.
    let told = host.jailctl(["why", "arkham", "/bin/ls"]).ok();
    let place = told.lines()[1]
        .split_whitespace()
        .nth(1)
        .expect("a place")
        .trim_end_matches(':')
        .to_owned();
    let (path, number) = place.split_once(':').expect("a line");
    assert_eq!(path, "/root/arkham.toml");
    let line = host.sh(&format!("sed -n {number}p {path}")).ok();
    assert!(line.stdout().contains("\"ls\""), "{line:?} {told:?}");

    // Data has the rule and who called for it.
    let told = host
        .jailctl(["why", "arkham", "/usr/lib/git-core/git-remote-http"])
        .ok();
    assert!(
        told.stdout().contains(": `binaries: /usr/bin/git`"),
        "{told:?}"
    );
    assert!(told.stdout().contains("\n    /usr/bin/git\n"), "{told:?}");
    assert!(told.stdout().contains("by the rule git"), "{told:?}");

    // As the host names it, what is jailctl's own, what is a user's, and what is not there.
    let same = host
        .jailctl(["why", "arkham", "/srv/jails/arkham/bin/ls"])
        .ok();
    assert_eq!(
        same.stdout(),
        host.jailctl(["why", "arkham", "/bin/ls"]).ok().stdout()
    );
    host.jailctl(["why", "arkham", "/.jailctl/jail"]).ok();
    host.sh("echo >/srv/jails/arkham/home/harlequin/diary").ok();
    let diary = host
        .jailctl(["why", "arkham", "/home/harlequin/diary"])
        .ok();
    assert!(
        diary.stdout().contains("a directory of a user"),
        "{diary:?}"
    );
    assert!(diary.stdout().contains("user: harlequin"), "{diary:?}");
    let none = host.jailctl(["why", "arkham", "/usr/bin/vi"]).exits(1);
    assert!(none.stderr().contains("nothing requires it"), "{none:?}");
    host.jailctl(["why", "arkham", "/usr/../etc"]).exits(2);
    host.jailctl(["why", "nosuchjail", "/bin/ls"]).exits(2);
}

#[disposable::test]
fn show_tells_what_is_and_what_is_no_longer_so() {
    let host = host();
    let (spec, _) = arkham(&host, &[]);
    let show = |jail: &str| -> Value {
        let told = host.jailctl(["show", "--json", jail]).ok();
        serde_json::from_str(told.stdout()).expect("JSON")
    };
    let told = show("arkham");
    assert_eq!(told, show(&spec.path()), "by its spec, the same");
    assert_eq!(told["root"], "/srv/jails/arkham");
    assert_eq!(told["spec"]["state"], "unchanged");
    assert_eq!(told["spec"]["access"], serde_json::json!(["shell", "sftp"]));
    assert_eq!(told["snippet"]["state"], "unchanged");
    let account = &told["accounts"][0];
    let passwd = host.sh("getent passwd harlequin | cut -d: -f3").ok();
    assert_eq!(account["uid"].to_string(), passwd.text());
    assert_eq!(account["shell"], "/bin/bash");
    assert_eq!(account["state"], "open");
    let key = host
        .sh("ssh-keygen -lf /run/keys/harlequin.pub | cut -d' ' -f2")
        .ok();
    assert_eq!(account["keys"][0]["fingerprint"], key.text());
    let files = host
        .sh("cd /srv/jails/arkham; find . -path ./.jailctl -prune -o -type f -print | wc -l")
        .ok();
    assert_eq!(told["tree"]["files"].to_string(), files.text());
    let built = told["built"].as_str().expect("a moment");
    let age = host
        .sh(&format!("echo $(($(date +%s) - $(date -d {built} +%s)))"))
        .ok();
    assert!(
        age.text().parse::<i64>().expect("seconds") < 60,
        "{built} {age:?}"
    );
    let page = host.jailctl(["show", "arkham"]).ok();
    for word in [key.text(), "harlequin", "/srv/jails/arkham", "open"] {
        assert!(page.stdout().contains(word), "{word} {page:?}");
    }

    host.sh("usermod --expiredate 2999-12-31 harlequin").ok();
    assert_eq!(show("arkham")["accounts"][0]["state"], "expires 2999-12-31");
    host.sh("usermod --expiredate 1 harlequin").ok();
    assert_eq!(show("arkham")["accounts"][0]["state"], "closed");
    host.sh("echo '# more' >>/root/arkham.toml; echo '# more' >>/etc/ssh/sshd_config.d/05-jailctl.all.conf").ok();
    let told = show("arkham");
    assert_eq!(told["spec"]["state"], "changed");
    assert_eq!(told["snippet"]["state"], "changed");
    host.sh("rm /root/arkham.toml /etc/ssh/sshd_config.d/05-jailctl.all.conf")
        .ok();
    let told = show("arkham");
    assert_eq!(told["spec"]["state"], "gone");
    assert_eq!(told["snippet"]["state"], "gone");
    let page = host.jailctl(["show", "arkham"]).ok();
    assert!(
        page.stdout().contains("no user of this jail can log in"),
        "{page:?}"
    );
    host.jailctl(["show", "nosuchjail"]).exits(2);
}
