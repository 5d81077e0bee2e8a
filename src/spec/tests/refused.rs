//! Complete outputs for invalid specs: each snapshot contains the spec and its findings.

use super::super::constraint::ValueType;
use super::super::display::visible;
use super::*;
use crate::show::diagnostic::render;

/// Compares the output for `spec` with the snapshot `name`.
fn refused(name: &str, spec: &str) {
    let error = load_text(spec).expect_err(name);
    let shown = render(&error, false);
    let settings = {
        let mut settings = insta::Settings::clone_current();
        settings.set_prepend_module_to_snapshot(false);
        settings.set_omit_expression(true);
        settings
    };
    settings.bind(|| {
        let spec: String = spec
            .trim_end()
            .chars()
            .map(|c| if c == '\n' { c.to_string() } else { visible(c) })
            .collect();
        insta::assert_snapshot!(name, format!("{spec}\n{}\n{shown}", "-".repeat(60)));
    });
}

#[test]
fn texts_that_are_not_toml() {
    for (name, spec) in [
        ("empty", ""),
        (
            "value-without-quotes",
            "name = arkham\nbinaries = bash, ls\n",
        ),
        ("value-missing", "name = \"a\"\nroot =\n"),
        (
            "string-not-closed",
            "name = \"arkham\nroot = \"/srv/jails/x\"\nbinarys = []\n",
        ),
        (
            "string-of-lines-not-closed",
            "name = 'a'\n[[file]]\ntarget = '/x'\ncontent = '''\nhello\n[[user]]\nname = 'u'\n",
        ),
        (
            "array-not-closed",
            "name = 'a'\nbinaries = ['ls',\n  'cat'\n[[user]]\nname = 'u'\n",
        ),
        (
            "array-without-comma",
            "name = 'a'\nbinaries = ['ls' 'cat']\n",
        ),
        ("header-not-closed", "name = 'a'\n[[user]\nname = 'u'\n"),
        ("equals-missing", "name 'a'\nroot: '/srv/a'\n"),
        (
            "key-twice",
            "name = 'a'\nname = 'b'\n[sshd]\nallow = ['sftp']\n[sshd]\nallow = ['sftp']\n",
        ),
        (
            "mode-as-number",
            "name = 'a'\n[[dir]]\npath = '/x'\nmode = 0755\n[[dir]]\npath = '/y'\nmode = 755\n",
        ),
        (
            "escape-unknown",
            "name = 'a'\n[[file]]\ntarget = '/x'\ncontent = \"\\d\"\n",
        ),
        ("typographic-quotes", "name = “arkham”\n"),
        ("too-deep", &format!("name = {}\n", "[".repeat(200))),
        (
            "hidden-in-comment",
            "name = 'a' # \u{202e}txet neddih\n# bell \u{7}\n",
        ),
    ] {
        refused(name, spec);
    }
}

#[test]
fn keys_that_are_not_there() {
    for (name, spec) in [
        (
            "slips",
            "nmae = 'a'\nbinarys = ['ls']\n[[users]]\nname = 'u'\n[sshd]\nallowed = ['sftp']\n",
        ),
        (
            "key-of-another-table",
            "name = 'a'\nallow = ['sftp']\n[[user]]\nname = 'u'\nbinaries = ['ls']\n",
        ),
        (
            "key-unheard-of",
            "name = 'a'\n[[dir]]\npath = '/x'\nquota = '1G'\n",
        ),
        (
            "required",
            "binaries = ['ls']\n[[user]]\nshell = '/bin/sh'\n[[dir]]\nmode = '0755'\n",
        ),
        (
            "table-for-tables",
            "name = 'a'\nsshd = ['sftp']\n[user]\nname = 'u'\n",
        ),
        (
            "types",
            "name = 5\nbinaries = 'ls'\ntemplates = [1, 'sftp']\n[[user]]\nname = 'u'\nuid = '4101'\n",
        ),
    ] {
        refused(name, spec);
    }
}

#[test]
fn values_that_break_their_rule() {
    for (name, spec) in [
        (
            "names",
            "name = 'Arkham Asylum'\n[[user]]\nname = 'harley quinn'\n[[user]]\nname = '1'\n[[user]]\nname = 'root'\n",
        ),
        (
            "name-too-long",
            "name = 'a-name-that-goes-on-and-on-and-on'\n",
        ),
        ("name-with-escapes", "name = \"a\\u001b[2Jb\\nc\"\n"),
        ("root-slash", "name = 'a'\nroot = '/'\n"),
        ("root-etc", "name = 'a'\nroot = '/etc/jails/a'\n"),
        ("root-home", "name = 'a'\nroot = '/home'\n"),
        ("root-dots", "name = 'a'\nroot = '/srv/jails/../../etc'\n"),
        ("root-of-each-user", "name = 'a'\nroot = '/srv/jails/%u'\n"),
        (
            "root-of-users",
            "name = 'a'\nroot = '/var/%u'\n[[user]]\nname = 'spool'\n[[user]]\nname = 'u'\n[[user]]\nname = 'www'\n",
        ),
        (
            "root-with-more-than-a-user",
            "name = 'a'\nroot = '/srv/jails/x%u'\n[[user]]\nname = 'u'\n",
        ),
        (
            "places-in-jails-of-users",
            "name = 'a'\nroot = '/srv/jails/%u'\n[[user]]\nname = 'u'\n[[user]]\nname = 'v'\n[[dir]]\npath = '/up'\nowner = 'u'\n[[dir]]\npath = '/up'\nowner = 'v'\n[[file]]\ntarget = '/home/v/x'\ncontent = ''\n",
        ),
        (
            "root-with-newline",
            "name = 'a'\nroot = \"/srv/a\\nChrootDirectory /\"\n",
        ),
        (
            "binaries",
            "name = 'a'\nbinaries = ['ls -l', './x', '', '/proc/1/exe', 'bin/ls']\n",
        ),
        (
            "door-into-the-hosts-network",
            "name = 'a'\nbinaries = ['bash']\n[sshd]\nallow = ['shell', 'forward']\n[namespaces]\n",
        ),
        ("doors", "name = 'a'\n[sshd]\nallow = ['sfpt', 'telnet']\n"),
        (
            "uid",
            "name = 'a'\n[[user]]\nname = 'u'\nuid = 0\n[[user]]\nname = 'v'\nuid = 70000\n",
        ),
        (
            "modes",
            "name = 'a'\n[[dir]]\npath = '/x'\nmode = '1777'\n[[dir]]\npath = '/y'\nmode = '0775'\n[[dir]]\npath = '/z'\nmode = 'rwx'\n",
        ),
        (
            "mounts",
            "name = 'a'\n[[mount]]\nsource = '/etc'\ntarget = '/usr'\noptions = ['rw', 'bind']\n[[mount]]\nsource = 'tmpfs'\ntarget = '/dev/shm'\n[network]\nmode = 'hosts'\n",
        ),
        (
            "ports",
            "name = 'a'\n[network]\nallow_in = ['tcp/80', '80', 'tcp/0', 'tcp/65536', 'tcp/+8', 'sctp/80', 'udp/']\n",
        ),
        (
            "mount-options",
            "name = 'a'\n[[mount]]\nsource = 'tmpfs'\ntarget = '/x'\noptions = ['size=much', 'mode=9', 'mode=7777', 'size=101%']\n",
        ),
        (
            "packages",
            "name = 'a'\npackages = ['git core', '-x', 'libc6 (amd64)']\n",
        ),
        ("dlopen", "name = 'a'\ndlopen = 'recomended'\n"),
        (
            "package-dependencies",
            "name = 'a'\npackage_dependencies = 'all'\n",
        ),
        (
            "shell-not-absolute",
            "name = 'a'\nbinaries = ['bash']\n[[user]]\nname = 'u'\nshell = 'bash'\n",
        ),
        (
            "text-with-escapes",
            "name = 'a'\nbinaries = ['sh']\n[[user]]\nname = 'u'\n[[file]]\ntarget = '/motd'\ncontent = \"\\u001b[2J\"\n[[test]]\nrun = ['sh', '-c', \"id\\u0000\"]\n",
        ),
        (
            "groups",
            "name = 'a'\n[[user]]\nname = 'u'\ngroups = ['sudo', 'jail-b', 'Web']\n",
        ),
        (
            "days",
            "name = 'a'\n[[user]]\nname = 'u'\nexpires = '2027-01-31'\n[[user]]\nname = 'v'\nexpires = 1970-01-01\n[[user]]\nname = 'w'\nexpires = 2027-01-31T12:00:00Z\n",
        ),
        (
            "sftp-options",
            "name = 'a'\n[sshd]\nstart_dir = '/up load'\numask = '0700'\n",
        ),
        (
            "modes-of-dirs",
            "name = 'a'\n[[dir]]\npath = '/x'\ngroup = 'docker'\nmode = '4775'\n[[dir]]\npath = '/y'\nmode = '0777'\n",
        ),
        (
            "limits-of-ways",
            "name = 'a'\n[sshd]\nallow = ['rsync', 'git']\n[rsync]\npath = 'backup'\nmode = 'append'\n[git]\npath = '/git/%u.git'\nmode = 'append-only'\n",
        ),
        (
            "password-in-the-clear",
            "name = 'a'\n[[user]]\nname = 'u'\npassword = 'hunter2'\n",
        ),
        (
            "password-cut",
            "name = 'a'\n[[user]]\nname = 'u'\npassword = '$6$salt'\n[[user]]\nname = 'v'\npassword = 'lokced'\n[[user]]\nname = 'w'\npassword = '!'\n",
        ),
        (
            "key-private",
            "name = 'a'\n[[user]]\nname = 'u'\nauthorized_keys = [\"\"\"\n-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAAMwAAAAtzc2gtZW\n-----END OPENSSH PRIVATE KEY-----\n\"\"\"]\n",
        ),
        (
            "keys-of-all-kinds",
            "name = 'a'\n[[user]]\nname = 'u'\nauthorized_keys = [\n  'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKLW/9v1NuUyultBVkZJNjz2vNi4eV8V',\n  '/root/.ssh/id_ed25519.pub',\n  'environment=\"X=1\" ssh-ed25519 AAAA',\n  'command=\"/bin/sh\" ssh-ed25519 AAAA',\n  'command=\"\" ssh-ed25519 AAAA',\n  'ssh-dss AAAA',\n  'ssh-ed25591 AAAA',\n]\n",
        ),
        (
            "targets",
            "name = 'a'\n[[file]]\ntarget = '/etc/ld.so.preload'\ncontent = ''\n[[file]]\ntarget = '/bin'\ncontent = ''\n[[file]]\ntarget = '/dev/null'\ncontent = ''\n[[file]]\ntarget = '/etc/passwd'\ncontent = ''\n",
        ),
        (
            "sources",
            "name = 'a'\n[[file]]\nsource = '/etc/shadow'\n[[file]]\nsource = '/etc/ssh/ssh_host_rsa_key'\n[[file]]\nsource = '/etc'\n[[file]]\nsource = '/etc/vim/'\n",
        ),
        (
            "dirs",
            "name = 'a'\n[[dir]]\npath = '/etc/x'\n[[dir]]\npath = '/'\n[[dir]]\npath = 'upload'\n",
        ),
        (
            "limits",
            "name = 'a'\n[limits]\nmemory = '256MB'\nswap = '-1'\ncpu = '0.5'\ncpus = '2-1'\ntasks = 0\nio_read = '99999999999T'\n",
        ),
        (
            "limits-by-name",
            "name = 'a'\n[limits]\ndevices = ['/dev/mem', '/etc/../dev/sda']\ncgroup_parent = '../..'\n",
        ),
        (
            "homes",
            "name = 'a'\n[[user]]\nname = 'u'\nhome = '/'\n[[user]]\nname = 'v'\nhome = '/usr/v'\n",
        ),
    ] {
        refused(name, spec);
    }
}

#[test]
fn values_that_do_not_fit_together() {
    for (name, spec) in [
        (
            "users-twice",
            "name = 'a'\n[[user]]\nname = 'u'\nuid = 4101\n[[user]]\nname = 'u'\nuid = 4101\n[[user]]\nname = 'v'\nhome = '/home/u'\n[[user]]\nname = 'w'\nhome = '/home/u/w'\n",
        ),
        (
            "owner-unknown",
            "name = 'a'\n[[user]]\nname = 'harlequin'\n[[dir]]\npath = '/x'\nowner = 'harlequn'\n[[dir]]\npath = '/y'\nowner = 'joker'\n",
        ),
        (
            "owner-without-users",
            "name = 'a'\n[[dir]]\npath = '/x'\nowner = 'u'\n",
        ),
        (
            "tests",
            "name = 'a'\nbinaries = ['ls']\n[[test]]\nrun = ['ls', '/']\n[[test]]\nrun = []\n[[test]]\nrun = ['']\n",
        ),
        (
            "places-twice",
            "name = 'a'\n[[file]]\ntarget = '/bin/x'\ncontent = ''\n[[file]]\ntarget = '/usr/bin/x'\ncontent = ''\n[[dir]]\npath = '/d'\n[[dir]]\npath = '/d'\n[[file]]\ntarget = '/d'\ncontent = ''\n",
        ),
        (
            "places-of-users",
            "name = 'a'\n[[user]]\nname = 'u'\n[[dir]]\npath = '/up'\nowner = 'u'\n[[dir]]\npath = '/up/in'\n[[dir]]\npath = '/home/u'\n[[file]]\ntarget = '/up/readme'\ncontent = ''\n[[file]]\ntarget = '/home/u/.ssh'\ncontent = ''\n[[file]]\nsource = '/home'\n",
        ),
        (
            "shell-not-listed",
            "name = 'a'\nbinaries = ['bahs', 'ls']\n[[user]]\nname = 'u'\nshell = '/bin/bash'\n",
        ),
        (
            "shell-none",
            "name = 'a'\nbinaries = ['ls']\n[[user]]\nname = 'u'\n[sshd]\nallow = ['shell']\n",
        ),
        (
            "sftp-options-beside-a-shell",
            "name = 'a'\nbinaries = ['bash']\n[sshd]\nstart_dir = '/upload'\numask = '0027'\nsftp_log = true\n",
        ),
        (
            "rules-without-a-network",
            "name = 'a'\n[network]\nmode = 'host'\nallow_in = ['tcp/80']\nallow_out = []\n",
        ),
        (
            "a-network-without-processes",
            "name = 'a'\n[network]\nmode = 'private'\n[namespaces]\npid = false\n",
        ),
        (
            "mounts-of-kinds",
            "name = 'a'\nbinaries = ['bash']\n[namespaces]\npid = false\n[[mount]]\nsource = 'proc'\ntarget = '/proc'\n[[mount]]\nsource = 'sysfs'\ntarget = '/devices'\noptions = ['rw']\n\
             [[mount]]\nsource = '/opt'\ntarget = '/sys'\noptions = ['size=1M', 'ro', 'rw']\n[[mount]]\nsource = 'tmpfs'\ntarget = '/memory'\noptions = ['size=1M', 'size=10%', 'mode=0700']\n",
        ),
        (
            "log-in-a-plain-chroot",
            "name = 'a'\n[sshd]\nsftp_log = true\n[namespaces]\nmnt = false\npid = false\nuts = false\nipc = false\ncgroup = false\n[network]\nmode = 'host'\n",
        ),
        (
            "adopt-with-a-password",
            "name = 'a'\n[[user]]\nname = 'u'\nadopt = true\npassword = '$6$saltsalt$qFmFH.bQmmtXzyBY0s9v7Oicd2z4XSIecDzlB5KiA2/jctKu9YterLp8wwnSq.qc.eoxqOmSuNp2xS0ktL3nh/'\n",
        ),
        ("limits-together", "name = 'a'\n[limits]\nswap = '0'\n"),
        (
            "limits-without-mounts",
            "name = 'a'\n[limits]\ntasks = 64\n[namespaces]\npid = false\nuts = false\nipc = false\ncgroup = false\nmnt = false\n",
        ),
        (
            "memory-that-outlives-its-limit",
            "name = 'a'\n[limits]\nmemory = '64M'\n[namespaces]\nipc = false\n",
        ),
        ("memory-too-little", "name = 'a'\n[limits]\nmemory = '1M'\n"),
        ("no-door", "name = 'a'\n[sshd]\nallow = []\n"),
        (
            "no-door-for-a-user",
            "name = 'a'\n[[user]]\nname = 'u'\nallow = []\n",
        ),
        (
            "ways-without-effect",
            "name = 'a'\nbinaries = ['bash']\n[sshd]\nallow = ['shell', 'rsync']\ncommand = ['menu']\n[rsync]\nmode = 'append-only'\n[git]\npath = '/git'\n[[user]]\nname = 'u'\n[[user]]\nname = 'v'\ncommand = ['menu']\n",
        ),
        (
            "ways-without-a-command",
            "name = 'a'\n[sshd]\nallow = ['command']\n[[user]]\nname = 'u'\ncommand = ['']\n[[user]]\nname = 'v'\n",
        ),
        (
            "dirs-with-groups",
            "name = 'a'\n[[user]]\nname = 'u'\ngroups = ['web']\n[[dir]]\npath = '/x'\ngroup = 'jail-b'\n[[dir]]\npath = '/y'\nmode = '2770'\n[[dir]]\npath = '/z'\ngroup = 'web'\n[[dir]]\npath = '/z/in'\n",
        ),
        (
            "keys-with-commands",
            "name = 'a'\n[[user]]\nname = 'u'\npassword = 'unchanged'\nauthorized_keys = [\n  'command=\"ls | wc\" ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKLW/9v1NuUyultBVkZJNjz2vNi4eV8Vq20GZ01ZeKPs',\n]\n",
        ),
        (
            "file-half",
            "name = 'a'\n[[file]]\ntarget = '/x'\n[[file]]\nsource = '/x'\ncontent = ''\n[[file]]\ncontent = ''\n[[file]]\nsource = '/etc/passwd'\n",
        ),
        (
            "template-unknown",
            "name = 'a'\ntemplates = ['shel']\n[[user]]\nname = 'u'\nshell = '/bin/bash'\n",
        ),
        (
            "template-unheard-of",
            "name = 'a'\ntemplates = ['jupyter', '../x']\n",
        ),
        (
            "many",
            &(0..30)
                .map(|n| format!("key{n} = 1"))
                .collect::<Vec<_>>()
                .join("\n"),
        ),
    ] {
        refused(name, spec);
    }
}

#[test]
fn every_rule_has_a_spec_that_breaks_it() {
    let directory =
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/spec/tests/snapshots");
    #[expect(clippy::disallowed_methods, reason = "the snapshots as they are")]
    let shown: String = std::fs::read_dir(directory)
        .expect("a directory")
        .map(|file| std::fs::read_to_string(file.expect("a file").path()).expect("a snapshot"))
        .collect();
    let mut rules = 0;
    for key in super::super::schema::KEYS {
        let (ValueType::Text(rule) | ValueType::Texts(rule)) = key.shape else {
            continue;
        };
        let refusal = format!("is not {}", rule.description());
        assert!(shown.contains(&refusal), "{}: {refusal}", key.path);
        rules += 1;
    }
    assert!(rules > 20, "only {rules} rules");
}
