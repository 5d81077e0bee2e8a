//! Ways in without a shell, with the real clients: scp, rsync, git, one command, keys with
//! commands, and sftp beside them.

use disposable::login::Scp;
use disposable::{DisposableHost, Key, Login};

use crate::support::{effective, host, host_with_module};

/// A copy with sshd, and a jail `depot` of these lines with the user selina, who has `key`.
#[track_caller]
fn depot<'host>(host: &'host DisposableHost, key: &Key, lines: &str) -> Login<'host> {
    let text = format!(
        "name = 'depot'\n[[user]]\nname = 'selina'\nauthorized_keys = [{:?}]\n{lines}",
        key.public.trim()
    );
    host.write("/root/depot.toml", &text);
    host.jailctl(["build", "/root/depot.toml"]).ok();
    host.login("selina", key)
}

/// The way in to rsync, git, scp and sftp at once.
const ALL: &str = "[[dir]]\npath = '/data'\nowner = 'selina'\n[sshd]\nallow = ['rsync', 'git', 'scp', 'sftp']\numask = '0027'\n\
    [rsync]\npath = '/data'\n[scp]\npath = '/data'\n[git]\npath = '/data'\n";

/// Uses every way in; returns those that worked.
fn used(host: &DisposableHost, selina: &Login<'_>) -> Vec<&'static str> {
    host.sh("rm -rf /root/out; mkdir -p /root/out /root/in; echo text >/root/in/file")
        .ok();
    let mut worked = Vec::new();
    let mut note = |name, status: bool| worked.extend(status.then_some(name));
    let is_there = |path: &str| host.has(path);
    note(
        "rsync",
        selina.rsync("/root/in/", ":/data/rsync").success()
            && selina
                .rsync(":/data/rsync/file", "/root/out/rsync")
                .success()
            && is_there("/root/out/rsync"),
    );
    note(
        "scp",
        selina
            .scp(Scp::Legacy, "/root/in/file", ":/data/scp")
            .success()
            && selina
                .scp(Scp::Legacy, ":/data/scp", "/root/out/scp")
                .success()
            && is_there("/root/out/scp"),
    );
    let sftp = "put /root/in/file /data/sftp\nget /data/sftp /root/out/sftp\n";
    note(
        "sftp",
        selina.sftp(sftp).success() && is_there("/root/out/sftp"),
    );
    note("shell", selina.ssh("echo ok").stdout().contains("ok"));
    worked
}

#[disposable::test]
fn each_way_in_works_and_nothing_else() {
    let host = host();
    host.sshd_with(disposable::sshd::CARELESS);
    let key = host.key("selina");
    let selina = depot(&host, &key, ALL);
    assert_eq!(used(&host, &selina), ["rsync", "scp", "sftp"]);
    let mode = "stat -c %a /srv/jails/depot/data/scp /srv/jails/depot/data/sftp";
    assert_eq!(host.sh(mode).ok().stdout(), "640\n640\n");
    let refused = selina.ssh("id");
    assert_eq!(
        refused.stderr(),
        "jailctl: `id`: it is not allowed; this account allows only sftp, scp in /data, rsync in /data, git in /data\n"
    );
    assert_eq!((refused.stdout(), refused.code()), ("", 126));
    assert!(selina.ssh("").stderr().contains("there is no shell"));
    // Outside of its directory, by its arguments and by a link.
    host.sh(
        "cd /srv/jails/depot; echo secret >home/selina/secret; chown selina home/selina/secret; ln -s /home/selina data/home",
    )
    .ok();
    for from in [
        ":/home/selina/secret",
        ":/data/../home/selina/secret",
        ":/data/home/secret",
        ":home/secret",
    ] {
        assert!(!selina.rsync(from, "/root/out/").success(), "{from}");
        assert!(
            !selina.scp(Scp::Legacy, from, "/root/out/").success(),
            "{from}"
        );
    }
    assert!(!host.has("/root/out/secret"));

    hostile(&host, &selina);

    // With sshd's own server of sftp.
    let config =
        disposable::sshd::CARELESS.replace("/usr/lib/openssh/sftp-server", "internal-sftp");
    host.write("/etc/ssh/sshd_config", &config);
    host.sh("kill -HUP $(cat /run/sshd.pid)").ok();
    let selina = depot(
        &host,
        &key,
        &ALL.replace("'sftp'", "'command'")
            .replace("umask = '0027'", "command = ['git', '--version']"),
    );
    assert_eq!(used(&host, &selina), ["rsync", "scp"]);
    assert!(selina.ssh("id").stdout().starts_with("git version"));
    host.jailctl(["check", "depot"]).ok();
    host.jailctl(["doctor", "selina"]).ok();
    host.jailctl(["remove", "--purge", "depot"]).ok();
    assert!(!host.has("/srv/jails/depot"));
}

/// Lines that must not run anything: each would create `/data/loot`.
fn hostile(host: &DisposableHost, selina: &Login<'_>) {
    let long = format!(
        "rsync --server . /data/{}; touch /data/loot",
        "x".repeat(100_000)
    );
    let lines = [
        "rsync --server . /data; touch /data/loot",
        "rsync --server . $(touch /data/loot)",
        "rsync --server . `touch /data/loot`",
        "rsync --server . /data\ntouch /data/loot",
        "rsync --server --log-file=/data/loot -e.LsfxC . /data",
        "rsync --server --daemon --config=/data/loot .",
        "git-upload-pack --upload-pack='touch /data/loot' /data",
        "scp -t /data -S 'touch /data/loot'",
        "scp -f /data >/data/loot",
        "touch /data/loot",
        &long,
    ];
    for line in lines {
        let refused = selina.ssh(line);
        let short = &line[..line.len().min(80)];
        assert_eq!(refused.code(), 126, "{short}: {refused:?}");
        assert_eq!(refused.stderr().lines().count(), 1, "{short}");
    }
    let path = selina.ssh("git-upload-pack 'ext::touch /data/loot'");
    assert!(
        path.stderr().contains("not appear to be a git repository"),
        "{path:?}"
    );
    // sshd of this copy accepts any variable.
    for variable in [
        "SSH_ORIGINAL_COMMAND=touch /data/loot",
        "LD_PRELOAD=/data/loot.so",
        "GIT_PROTOCOL=version=2;touch /data/loot",
        "BASH_ENV=/data/loot",
    ] {
        let option = format!("-oSetEnv={variable}");
        selina.ssh_with([option.as_str()], "touch /data/loot");
    }
    assert!(!host.has("/srv/jails/depot/data/loot"));
}

#[disposable::test]
fn rsync_adds_and_never_changes() {
    let host = host();
    host.sshd();
    let key = host.key("selina");
    let lines = "[[dir]]\npath = '/backup/selina'\nowner = 'selina'\n[sshd]\nallow = ['rsync']\n\
        [rsync]\npath = '/backup/%u'\nmode = 'append-only'\n";
    let selina = depot(&host, &key, lines);
    let root = "/srv/jails/depot";
    for shell in ["sh", "bash", "dash"] {
        assert!(!host.has(&format!("{root}/usr/bin/{shell}")));
    }
    let kept = format!("{root}/backup/selina");
    host.sh("mkdir -p /root/in/dir; cd /root/in; echo one >a; echo one >dir/b; echo one >c")
        .ok();
    selina.rsync("/root/in/", ":").ok();
    let look = || {
        host.sh(&format!(
            "cd {kept} && find . -type f | sort | xargs tail -n +1"
        ))
        .ok()
    };
    let before = look();
    assert!(before.stdout().contains("./dir/b"), "{before:?}");
    // Other content, a directory in the place of a file and a file in that of a directory.
    host.sh("cd /root/in; echo two >a; rm -r dir; echo two >dir; rm c; mkdir c; echo two >c/d")
        .ok();
    selina.rsync("/root/in/", ":");
    assert_eq!(look().stdout(), before.stdout());
    let ssh = selina.line([], "");
    let ssh = ssh[..ssh.len() - 2].join(" ");
    for option in [
        "--delete",
        "--inplace",
        "--remove-source-files",
        "--backup",
        "--partial-dir=c",
    ] {
        let line = [
            "rsync",
            "-r",
            option,
            "-e",
            &ssh,
            "/root/in/",
            "selina@127.0.0.1:",
        ];
        let output = host.run(line);
        let refused = output.stderr().contains("is not allowed");
        let is_harmless = ["--backup", "--remove-source-files"].contains(&option);
        assert_eq!(refused, !is_harmless, "{output:?}");
        host.sh("mkdir -p /root/in/c; echo two >/root/in/c/d; echo two >/root/in/a")
            .ok();
    }
    assert_eq!(look().stdout(), before.stdout());
    host.sh("mkdir /root/in/new; echo two >/root/in/new/e").ok();
    selina.rsync("/root/in/new", ":").ok();
    selina.rsync(":new/e", "/root/restored").ok();
    assert_eq!(host.read("/root/restored"), "two\n");
}

#[disposable::test]
fn git_reads_writes_and_runs_no_hook_of_a_user() {
    let host = host();
    host.sshd();
    let key = host.key("selina");
    let lines = "[[dir]]\npath = '/git'\nowner = 'selina'\n[sshd]\nallow = ['git', 'sftp']\n[git]\npath = '/git'\n";
    let selina = depot(&host, &key, lines);
    let ssh = selina.line([], "");
    let ssh = ssh[..ssh.len() - 2].join(" ");
    let git = |script: &str| {
        host.sh(&format!(
            "export GIT_SSH_COMMAND='{ssh}' HOME=/root GIT_CONFIG_NOSYSTEM=1; cd /root; {script}"
        ))
    };
    git("git init -q --bare /srv/jails/depot/git/x.git && chown -R selina: /srv/jails/depot/git/x.git")
        .ok();
    let url = "selina@127.0.0.1:x.git";
    git(&format!(
        "git clone -q {url} one 2>/dev/null && cd one && git config user.name s && git config user.email s@x && \
         echo text >file && git add file && git commit -qm one && git push -q origin HEAD:main"
    ))
    .ok();
    git(&format!("git clone -q -b main {url} two && cat two/file")).ok();
    git(&format!("git archive --remote={url} main | tar -t")).ok();
    // A hook that a user uploads is a program of the user.
    host.write("/root/hook", "#!/bin/sh\n: >/git/loot\n");
    selina
        .sftp("put /root/hook /git/x.git/hooks/post-receive\nchmod 755 /git/x.git/hooks/post-receive\n")
        .ok();
    let config = "/srv/jails/depot/git/x.git/config";
    host.sh(&format!("printf '[core]\\nalternateRefsCommand = : >/git/loot;\\n' >>{config}; mkdir -p /srv/jails/depot/git/y.git/objects; echo /git/y.git/objects >/srv/jails/depot/git/x.git/objects/info/alternates"))
        .ok();
    git("cd one && git commit -q --allow-empty -m two && git push origin HEAD:main 2>&1").ok();
    assert!(!host.has("/srv/jails/depot/git/loot"));
    let selina = depot(&host, &key, &format!("{lines}mode = 'read-only'\n"));
    git(&format!("rm -rf two; git clone -q -b main {url} two")).ok();
    let refused =
        git("cd one && git commit -q --allow-empty -m three && git push origin HEAD:main");
    assert!(
        refused.stderr().contains("repositories may only be read"),
        "{refused:?}"
    );
    assert!(!selina.ssh("git-upload-pack /etc").success());
}

#[disposable::test]
fn users_of_one_jail_have_their_own_ways_in() {
    let host = host_with_module();
    host.sshd();
    let keys = ["ana", "ben", "cem", "dora", "other"].map(|name| host.key(name));
    let public = |at: usize| keys[at].public.trim().to_owned();
    let text = format!(
        "name = 'depot'\nbinaries = ['bash', 'cat', 'id']\n\
         [[user]]\nname = 'ana'\nauthorized_keys = ['{}']\n\
         [[user]]\nname = 'ben'\nauthorized_keys = ['{}']\nallow = ['rsync']\n\
         [[user]]\nname = 'cem'\nauthorized_keys = ['{}']\nallow = ['sftp']\n\
         [[user]]\nname = 'dora'\nauthorized_keys = ['{}', 'restrict,command=\"cat /motd\" {}']\nallow = ['rsync']\n\
         [[file]]\ntarget = '/motd'\ncontent = \"hello\\n\"\n",
        public(0),
        public(1),
        public(2),
        public(3),
        public(4)
    );
    host.write("/root/depot.toml", &text);
    host.jailctl(["build", "/root/depot.toml"]).ok();
    let worked = |user: &str, key: &Key| {
        let login = host.login(user, key);
        let ssh = login.ssh("id -un").stdout() == format!("{user}\n");
        host.sh("mkdir -p /root/in; echo text >/root/in/file").ok();
        let rsync = login.rsync("/root/in/", ":in").success();
        let sftp = login.sftp("ls /\n").success();
        (ssh, rsync, sftp)
    };
    // A shell runs every program of the jail.
    assert_eq!(worked("ana", &keys[0]), (true, true, true));
    assert_eq!(worked("ben", &keys[1]), (false, true, false));
    assert_eq!(worked("cem", &keys[2]), (false, false, true));
    assert_eq!(worked("dora", &keys[3]), (false, true, false));
    for (user, force) in [
        ("ana", "none"),
        ("ben", "ways"),
        ("cem", "internal-sftp"),
        ("dora", "none"),
    ] {
        let line = format!("forcecommand {force}");
        assert!(effective(&host, user).contains(&line), "{user}");
    }
    // The key with a command gets it whatever the client sends; the other cannot ask for it.
    let forced = host.login("dora", &keys[4]);
    for line in ["id", "rsync --server . /", ""] {
        assert_eq!(forced.ssh(line).stdout(), "hello\n", "{line}");
    }
    assert!(!forced.sftp("ls /\n").success());
    let dora = host.login("dora", &keys[3]);
    for line in ["key 0", "cat /motd", "ways"] {
        assert_eq!(dora.ssh(line).stdout(), "", "{line}");
    }
    assert!(dora.ssh("key 0").stderr().contains("allows only rsync"));
    host.jailctl(["check", "depot"]).ok();
    for user in ["ana", "ben", "cem", "dora"] {
        host.jailctl(["doctor", user]).ok();
    }
    // Neither su nor login finds the gate outside of the jail.
    let su = host.run(["su", "ben", "-c", "id"]);
    assert!(!su.success() && su.stdout().is_empty(), "{su:?}");
    // Without its policy the gate refuses everything.
    host.sh("rm /srv/jails/depot/jail/ways/*").ok();
    assert_eq!(worked("ben", &keys[1]), (false, false, false));
    let refused = host.login("ben", &keys[1]).ssh("rsync --server . /");
    assert!(
        refused
            .stderr()
            .contains("the policy of this account cannot be used")
    );
}
