//! Templates: those of the host, and each of the built-in ones at work.

use crate::support::{Spec, host, look};

#[test]
fn a_template_of_the_host_wins_and_is_named_as_the_reason() {
    let Some(host) = host() else { return };
    host.sshd();
    let key = host.key("harlequin");
    let spec = Spec::arkham(&key, &[]);
    let text = |templates: &str| format!("templates = [{templates}]\n{}", spec.text());
    host.write(
        "/etc/jailctl/templates/shell.toml",
        "# ours\nbinaries = ['head']\n[[file]]\ntarget = '/etc/profile'\ncontent = '''\nHOUSE=ours\n'''\n",
    );
    host.write("/etc/jailctl/templates/tools.toml", "binaries = ['wc']\n");
    host.write(&spec.path(), &text("'shell', 'tools'"));
    host.jailctl(["build", &spec.path()]).ok();
    let harlequin = host.login("harlequin", &key);
    assert_eq!(
        harlequin
            .ssh("head -n1 /etc/profile; wc -l </etc/profile")
            .ok()
            .stdout(),
        "HOUSE=ours\n1\n"
    );
    let manifest = host.read("/var/lib/jailctl/arkham/manifest.json");
    for place in [
        "/etc/jailctl/templates/shell.toml:2",
        "/etc/jailctl/templates/shell.toml:4",
        "/etc/jailctl/templates/tools.toml:1",
    ] {
        assert!(manifest.contains(place), "{place}");
    }

    // A template is worth as much as a spec: whoever writes it becomes root.
    let before = look(&host);
    host.write(&spec.path(), &text("'shell', 'tols'"));
    let refused = host.jailctl(["build", &spec.path()]).exits(2);
    assert!(
        refused.stderr().contains("did you mean `tools`?"),
        "{refused:?}"
    );
    host.write(&spec.path(), &text("'shell', 'tools'"));
    for (spoil, mend, why) in [
        (
            "chmod g+w /etc/jailctl/templates/tools.toml",
            "chmod g-w /etc/jailctl/templates/tools.toml",
            "others may write to it (mode 0664)",
        ),
        (
            "chown daemon /etc/jailctl/templates/tools.toml",
            "chown root /etc/jailctl/templates/tools.toml",
            "it belongs to the user id 1",
        ),
        (
            "chmod o+w /etc/jailctl/templates",
            "chmod o-w /etc/jailctl/templates",
            "of the directory `/etc/jailctl/templates`, others may write to it",
        ),
    ] {
        host.sh(spoil).ok();
        let refused = host.jailctl(["build", &spec.path()]).exits(2);
        assert!(refused.stderr().contains(why), "{refused:?}");
        assert!(refused.stderr().contains("asked for here"), "{refused:?}");
        host.sh(mend).ok();
    }
    host.sh("printf '\\xff' >/etc/jailctl/templates/tools.toml")
        .ok();
    host.jailctl(["build", &spec.path()]).exits(2);
    host.write("/etc/jailctl/templates/tools.toml", "binaries = ['wc']\n");
    assert_eq!(before.diff(&look(&host)), Vec::<String>::new());
}

#[test]
fn the_templates_of_a_host_in_a_directory_are_its_own() {
    let Some(host) = host() else { return };
    crate::builds::second_host(&host);
    let key = host.key("harlequin");
    let spec = Spec::arkham(&key, &[]);
    let build = || host.jailctl(["build", "--root", "/root/other", &spec.path()]);
    host.write(
        "/etc/jailctl/templates/house.toml",
        "[[file]]\ntarget = '/house'\ncontent = 'the running one'\n",
    );
    host.write(
        &spec.path(),
        &format!("templates = ['house']\n{}", spec.text()),
    );
    let refused = build().exits(2);
    assert!(
        refused.stderr().contains("there is no template `house`"),
        "{refused:?}"
    );
    host.write(
        "/root/other/etc/jailctl/templates/house.toml",
        "[[file]]\ntarget = '/house'\ncontent = 'the other one'\n",
    );
    build().ok();
    assert_eq!(
        host.read("/root/other/srv/jails/arkham/house"),
        "the other one"
    );
}
