//! Templates of the host, and each built-in template.

use disposable::login::Scp;

use crate::support::{Spec, host, look};

#[disposable::test]
fn a_host_template_wins_and_is_the_reason() {
    let host = host();
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

    // A template is as powerful as a spec: a user who can write it becomes root.
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
        assert!(refused.stderr().contains("named here"), "{refused:?}");
        host.sh(mend).ok();
    }
    host.sh("printf '\\xff' >/etc/jailctl/templates/tools.toml")
        .ok();
    host.jailctl(["build", &spec.path()]).exits(2);
    host.write("/etc/jailctl/templates/tools.toml", "binaries = ['wc']\n");
    assert_eq!(before.diff(&look(&host)), Vec::<String>::new());
}

#[disposable::test]
fn the_templates_of_a_host_in_a_directory_are_its_own() {
    let host = host();
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
        refused
            .stderr()
            .contains("could not find the template `house`"),
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

/// A copy with a jail of these templates, and its user's login.
#[track_caller]
fn jail<'host>(
    host: &'host disposable::DisposableHost,
    templates: &str,
) -> disposable::Login<'host> {
    host.sshd();
    let key = host.key("harlequin");
    let text = format!(
        "name = 'arkham'\ntemplates = [{templates}]\n[[user]]\nname = 'harlequin'\nauthorized_keys = [{:?}]\n",
        key.public.trim()
    );
    host.write("/root/arkham.toml", &text);
    host.jailctl(["build", "/root/arkham.toml"]).ok();
    host.login("harlequin", &key)
}

#[disposable::test]
fn the_templates_for_files_move_files() {
    let host = host();
    let user = jail(&host, "'sftp'");
    host.write("/root/letter", "Dear Mistah J.\n");
    user.sftp("put /root/letter one\nget one /root/one").ok();
    user.ssh("true").fails();
    let user = jail_again(&host, &user, "'scp'");
    user.scp(Scp::Legacy, "/root/letter", ":two").ok();
    user.scp(Scp::Legacy, ":two", "/root/two").ok();
    user.scp(Scp::Sftp, ":two", "/root/three").ok();
    user.ssh("rsync --version").fails();
    let user = jail_again(&host, &user, "'rsync'");
    user.rsync("/root/letter", ":four").ok();
    user.rsync(":four", "/root/four").ok();
    for file in ["one", "two", "three", "four"] {
        assert_eq!(host.read(&format!("/root/{file}")), "Dear Mistah J.\n");
    }
}

/// The same jail and login with other templates.
#[track_caller]
fn jail_again<'host>(
    host: &'host disposable::DisposableHost,
    user: &disposable::Login<'host>,
    templates: &str,
) -> disposable::Login<'host> {
    let text = host.read("/root/arkham.toml");
    let rest = text.split_once("[[user]]").expect("a user").1;
    host.write(
        "/root/arkham.toml",
        &format!("name = 'arkham'\ntemplates = [{templates}]\n[[user]]{rest}"),
    );
    host.jailctl(["build", "/root/arkham.toml"]).ok();
    user.as_user("harlequin")
}

#[disposable::test]
fn the_template_for_git_keeps_repositories() {
    let host = host();
    let user = jail(&host, "'git'");
    user.ssh("git init -q --bare work.git").ok();
    let ssh = user.line([], "");
    let ssh = ssh[..ssh.len() - 2].join(" ");
    host.sh(&format!(
        "export GIT_SSH_COMMAND='{ssh}' HOME=/root
        git config --global user.name J; git config --global user.email j@gotham
        cd /root; git clone -q harlequin@127.0.0.1:work.git work; cd work; echo ha >joke; git add joke; git commit -qm joke; git push -q origin HEAD:main
        cd /root; git clone -q -b main harlequin@127.0.0.1:work.git again; cat again/joke"
    ))
    .ok();
    assert_eq!(
        user.ssh("git -C work.git log --format=%s main").ok().text(),
        "joke"
    );
}

/// Builds a jail of these templates and compares the output of each command there.
#[track_caller]
fn works(templates: &str, commands: &[(&str, &str)]) {
    let host = host();
    let user = jail(&host, templates);
    for (command, says) in commands {
        let output = user.ssh(command).ok();
        assert!(output.stdout().contains(says), "{command}: {output:?}");
    }
}

#[disposable::test]
fn the_templates_for_work_bring_their_programs() {
    works(
        "'shell', 'editors', 'network'",
        &[
            ("nano --version", "GNU nano"),
            ("vim --version", "Vi IMproved"),
            ("less --version", "less"),
            ("curl --version", "https"),
            ("ssh -V 2>&1", "OpenSSH"),
            ("getent hosts localhost", "localhost"),
        ],
    );
}

#[disposable::test]
fn the_templates_for_languages_bring_their_libraries() {
    works(
        "'shell', 'python', 'perl', 'php'",
        &[
            (
                "python3 -c 'import json, ssl, sqlite3; print(json.dumps({1: 2}))'",
                "{\"1\": 2}",
            ),
            ("perl -MData::Dumper -e 'print Dumper(7)'", "$VAR1 = 7"),
            (
                "php -r 'echo json_encode([1]), extension_loaded(\"posix\") ? \"+posix\" : \"\";'",
                "[1]+posix",
            ),
        ],
    );
}

#[disposable::test]
fn the_template_for_node_brings_node() {
    works(
        "'shell', 'node'",
        &[("node -p '[1, 2].map(n => n * 2).join()'", "2,4")],
    );
}
