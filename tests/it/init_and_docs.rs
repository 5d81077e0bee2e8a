//! A spec from `init`, completions in bash, manual pages.

use jailctl::spec::{BuiltIn, Templates};

use crate::support::{host, look};

/// What `init` leaves for the admin to fill in.
const PLACEHOLDER: &str = "ssh-ed25519 PUT-THE-LINE-OF-A-.pub-FILE-HERE";

#[disposable::test]
fn each_template_with_a_key_is_a_valid_spec() {
    let host = host();
    let key = host.key("key");
    let _sshd = host.sshd();
    let names = BuiltIn.names().expect("the templates");
    assert!(names.len() >= 2, "{names:?}");
    for (index, template) in names.iter().enumerate() {
        let name = format!("jail{index}");
        let path = format!("/root/{name}.toml");
        let written = host.jailctl(["init", &name, "--template", template]).ok();
        assert!(
            written
                .stdout()
                .contains(&format!("jailctl plan {name}.toml")),
            "{written:?}"
        );
        // Without a key there is one finding, in the line where the key goes.
        let refused = host.jailctl(["plan", &path]).exits(2);
        assert!(
            refused.stderr().contains(PLACEHOLDER),
            "{template} {refused:?}"
        );
        assert_eq!(
            refused.stderr().matches("error").count(),
            1,
            "{template} {refused:?}"
        );
        let text = host.read(&path).replace(PLACEHOLDER, key.public.trim());
        host.write(&path, &text);
        let planned = host.jailctl(["plan", "--exit-code", &path]);
        // What the template names may be missing on this machine; what is written may not be wrong.
        if planned.code() == 2 && planned.stderr().contains("the host has no program") {
            continue;
        }
        let planned = planned.exits(1);
        assert_eq!(planned.stderr(), "", "{template} {planned:?}");
        if !["sftp", "shell"].contains(&template.as_str()) {
            continue;
        }
        host.jailctl(["build", &path]).ok();
        let login = host.login(&name, &key);
        login.sftp("pwd\n").ok();
        host.jailctl(["remove", "--purge", &name]).ok();
    }
}

#[disposable::test]
fn init_never_writes_over_and_leaves_nothing_half() {
    let host = host();
    host.jailctl(["init", "arkham"]).ok();
    host.sh("[ $(stat -c %a-%U arkham.toml) = 600-root ]").ok();
    host.write("/root/arkham.toml", "mine");
    let before = look(&host);
    let refused = host.jailctl(["init", "arkham"]).exits(4);
    assert!(refused.stderr().contains("it exists"), "{refused:?}");
    assert_eq!(host.read("/root/arkham.toml"), "mine");
    host.sh("ln -s /etc/passwd /root/link.toml").ok();
    host.jailctl(["init", "link"]).exits(4);
    let shown = host
        .jailctl(["init", "gotham", "--output", "-", "--template", "sftp"])
        .ok();
    assert!(
        shown.stdout().contains("templates = [\"sftp\"]"),
        "{shown:?}"
    );
    assert!(!host.has("/root/gotham.toml"));
    host.jailctl(["init", "gotham", "--output", "-", "--template", "nosuch"])
        .exits(2);
    host.jailctl(["init", "Gotham"]).exits(2);
    host.jailctl(["init", "gotham", "--output", "/nowhere/gotham.toml"])
        .exits(4);
    host.jailctl(["init", "gotham", "--output", "/dev/full"])
        .exits(4);
    host.sh("mkdir /root/small; mount -t tmpfs -o size=4k,nr_inodes=8 none /root/small; head -c 4096 /dev/zero >/root/small/x || :").ok();
    host.jailctl(["init", "gotham", "--output", "/root/small/gotham.toml"])
        .exits(4);
    assert!(!host.has("/root/small/gotham.toml"));
    assert_eq!(before.diff(&look(&host)), Vec::<String>::new());
}

#[disposable::test]
fn bash_completes_verbs_options_and_jails() {
    let host = host();
    crate::support::arkham(&host, &[]);
    let complete = |words: &str, line: &str| {
        let script = format!(
            r#"
            source <(jailctl completions bash)
            COMP_WORDS=({words}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); COMP_LINE="{line}"
            function=$(complete -p jailctl | grep -o -- '-F [^ ]*' | cut -d' ' -f2)
            "$function" jailctl "${{COMP_WORDS[COMP_CWORD]}}" "${{COMP_WORDS[COMP_CWORD - 1]}}"
            printf '%s\n' "${{COMPREPLY[@]}}"
            "#
        );
        host.run(["bash", "-c", &script]).ok().lines().join(" ")
    };
    assert_eq!(complete("jailctl sho", "jailctl sho"), "show");
    assert_eq!(
        complete("jailctl build --dr", "jailctl build --dr"),
        "--dry-run"
    );
    for verb in ["show", "why", "enter", "remove"] {
        let line = format!("jailctl {verb} a");
        assert!(
            complete(&line, &line)
                .split(' ')
                .any(|word| word == "arkham"),
            "{verb}"
        );
        assert!(
            complete(&line, &line)
                .split(' ')
                .any(|word| word == "arkham.toml"),
            "{verb}"
        );
    }
    for shell in ["zsh", "fish"] {
        assert!(
            host.jailctl(["completions", shell])
                .ok()
                .stdout()
                .contains("jailctl")
        );
    }
    host.jailctl(["completions", "tcsh"]).exits(2);
}

#[disposable::test]
fn manual_pages_are_those_that_are_shipped() {
    let host = host();
    let page = host.jailctl(["man"]).ok();
    assert!(page.stdout().contains(".TH jailctl 8"), "{page:?}");
    let page = host.jailctl(["man", "build"]).ok();
    assert!(page.stdout().contains(".TH jailctl-build 8"), "{page:?}");
    let refused = host.jailctl(["man", "biuld"]).exits(2);
    assert!(refused.stderr().contains("`build`"), "{refused:?}");
}
