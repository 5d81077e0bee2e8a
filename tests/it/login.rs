//! Logins of jailed users: every way in that the spec allows works as on any host, and no file of
//! the host is visible.

use disposable::login::Scp;

use crate::support::{Reach, Spec, arkham, host, reach};

#[disposable::test]
fn the_user_has_his_name_in_the_jail() {
    let host = host();
    let (_, harlequin) = arkham(&host, &["id"]);
    let _sshd = host.sshd();
    let identity = harlequin.ssh("id").ok();
    assert!(identity.text().contains("(harlequin)"), "{identity:?}");
    assert!(identity.text().contains("(jail-arkham)"), "{identity:?}");
    harlequin.ssh("echo hello >~/note").ok();
    let listing = harlequin.ssh("ls -l ~").ok();
    let note = listing.lines()[1].split_whitespace().collect::<Vec<_>>();
    assert_eq!(note[2..4], ["harlequin", "jail-arkham"], "{listing:?}");
    assert_eq!(harlequin.ssh("pwd").ok().text(), "/home/harlequin");
}

#[disposable::test]
fn commands_and_terminals_work() {
    let host = host();
    let (_, harlequin) = arkham(&host, &["tty"]);
    let _sshd = host.sshd();
    assert_eq!(
        harlequin.ssh("cat /welcome").ok().text(),
        "Welcome to Arkham."
    );
    harlequin.ssh("exit 7").exits(7);
    let output = harlequin
        .ssh_pty("[ -t 0 ] && [ -t 1 ] && echo a terminal")
        .ok();
    assert_eq!(output.text(), "a terminal");
    harlequin.ssh("[ -t 0 ]").fails();
    let mut shell = harlequin.session();
    assert_eq!(shell.run("cd /usr/bin; echo $PWD").1, "/usr/bin");
    assert_eq!(shell.run("echo x >/dev/null; echo $?").1, "0");
}

#[disposable::test]
fn files_go_both_ways_by_every_client() {
    let host = host();
    let (_, harlequin) = arkham(&host, &["scp", "rsync"]);
    let _sshd = host.sshd();
    host.write("/root/letter", "Dear Mistah J.\n");
    harlequin
        .sftp("put /root/letter one\nget one /root/one")
        .ok();
    harlequin.scp(Scp::Sftp, "/root/letter", ":two").ok();
    harlequin.scp(Scp::Sftp, ":two", "/root/two").ok();
    harlequin.scp(Scp::Legacy, "/root/letter", ":three").ok();
    harlequin.scp(Scp::Legacy, ":three", "/root/three").ok();
    harlequin.rsync("/root/letter", ":four").ok();
    harlequin.rsync(":four", "/root/four").ok();
    for file in ["one", "two", "three", "four"] {
        assert_eq!(host.read(&format!("/root/{file}")), "Dear Mistah J.\n");
    }
}

#[disposable::test]
fn nothing_of_the_host_is_there() {
    let host = host();
    let (_, harlequin) = arkham(&host, &[]);
    let bob = host.plain_user("bob");
    let _sshd = host.sshd();
    assert_eq!(reach(&host, &harlequin), Reach::Jail);
    assert_eq!(reach(&host, &bob), Reach::Host, "the check finds a canary");

    let root = harlequin.ssh("ls -a /").ok();
    for name in ["root", "boot", "srv", "canary", "var", "opt"] {
        assert!(!root.lines().contains(&name), "{name} in {root:?}");
    }
    let shadow = harlequin.ssh("cat /etc/shadow").exits(1);
    assert!(shadow.stderr().contains("No such file"), "{shadow:?}");
    harlequin.ssh("vi").exits(127);
    harlequin.ssh("/usr/bin/passwd").exits(127);
    let accounts = harlequin.ssh("cat /etc/passwd /etc/group").ok();
    assert!(!accounts.stdout().contains("bob"), "{accounts:?}");
}

#[disposable::test]
fn programs_and_their_directories_cannot_be_changed_from_inside() {
    let host = host();
    let (spec, harlequin) = arkham(&host, &["rm", "mv", "touch", "chmod"]);
    let _sshd = host.sshd();
    let before = host
        .snapshot([spec.root().as_str()])
        .without(|path| path.contains("/home"));
    harlequin.ssh("touch ~/mine; chmod 777 ~/mine").ok();
    for attempt in [
        "rm -f /usr/bin/ls",
        "mv /usr /usr2",
        "mv /etc /home/harlequin/etc",
        "touch /etc/ld.so.preload",
        "echo x >/etc/passwd",
        "echo x >>/usr/bin/ls",
        "touch /x",
        "touch /dev/x",
        "touch /.jailctl/x",
        "ls /.jailctl",
        "chmod 777 /home",
        "mv /home/harlequin /home/other",
    ] {
        harlequin.ssh(attempt).fails();
    }
    let after = host
        .snapshot([spec.root().as_str()])
        .without(|path| path.contains("/home"));
    assert_eq!(before.diff(&after), Vec::<String>::new());
}

#[disposable::test]
fn nothing_in_a_jail_gives_power() {
    let host = host();
    let (spec, _) = arkham(&host, &[]);
    let root = spec.root();
    let odd = host
        .sh(&format!(
            "find {root} -xdev -path '{root}/.jailctl' -prune -o \\( -perm /7022 -o ! -user root -o ! -group root \\) ! -type l -printf '%y %m %u %P\\n'"
        ))
        .ok();
    for line in odd.lines() {
        let words: Vec<&str> = line.split(' ').collect();
        let home = words[2] == "harlequin" && words[3].starts_with("home/harlequin");
        let device = words[0] == "c" && words[3].starts_with("dev/") && words[1] == "666";
        let tmp = words[3] == "tmp" && words[1] == "1777";
        assert!(home || device || tmp, "{line}");
    }
    let home = format!("{root}/home/harlequin");
    assert_eq!(
        host.sh(&format!("stat -c '%a %U' {home}")).ok().text(),
        "700 harlequin"
    );
    assert_eq!(host.sh(&format!("getcap -r {root}")).ok().text(), "");
}

#[disposable::test]
fn cve_2019_3463_dropbox_moves_files_and_runs_nothing() {
    let host = host();
    let key = host.key("selina");
    Spec::dropbox(&key).build(&host).ok();
    let selina = host.login("selina", &key);
    let _sshd = host.sshd();
    host.write("/root/letter", "Meow.\n");
    selina
        .sftp("put /root/letter /upload/letter\nget /upload/letter /root/back")
        .ok();
    assert_eq!(host.read("/root/back"), "Meow.\n");
    selina.scp(Scp::Sftp, "/root/letter", ":/upload/again").ok();
    for elsewhere in ["/letter", "/etc/letter", "/usr/letter", "/../letter"] {
        selina
            .sftp(&format!("put /root/letter {elsewhere}"))
            .fails();
    }
    selina.sftp("get /etc/shadow /root/loot").fails();
    selina.sftp("mkdir /upload/d\nrename /upload/d /d").fails();

    for command in ["true", "/bin/sh", "echo out", "internal-sftp -d /"] {
        let output = selina.ssh(command).fails();
        assert!(!output.stdout().contains("out"), "{output:?}");
    }
    let output = selina.ssh_pty("echo out").fails();
    assert!(!output.stdout().contains("out"), "{output:?}");
    selina
        .scp(Scp::Legacy, "/root/letter", ":/upload/legacy")
        .fails();
    assert_eq!(reach(&host, &selina), Reach::Jail);
    let terminal = crate::support::effective(&host, "selina");
    assert!(terminal.contains(&"permittty no".to_owned()));
    assert!(terminal.contains(&"forcecommand internal-sftp".to_owned()));
}

#[disposable::test]
fn keys_of_the_spec_are_the_only_ones() {
    let host = host();
    let (_, harlequin) = arkham(&host, &[]);
    let _sshd = host.sshd_with(disposable::sshd::CARELESS);
    let own = host.key("smuggled");
    harlequin
        .sftp(&format!(
            "-mkdir .ssh\nchmod 700 .ssh\nput {0}.pub .ssh/authorized_keys\nchmod 600 .ssh/authorized_keys\nput {0}.pub .ssh/authorized_keys2",
            own.path
        ))
        .ok();
    let smuggled = host.login("harlequin", &own);
    assert_eq!(reach(&host, &smuggled), Reach::Nothing);

    // The same file opens the account of one who is not jailed.
    let bob = host.plain_user("bob");
    bob.sftp(&format!("put {}.pub .ssh/authorized_keys", own.path))
        .ok();
    host.login("bob", &own).ssh("true").ok();
}

#[disposable::test]
fn a_jailed_user_cannot_use_the_name_of_another() {
    let host = host();
    let (_, harlequin) = arkham(&host, &[]);
    host.plain_user("bob");
    let _sshd = host.sshd();
    for other in ["bob", "root", "daemon"] {
        assert_eq!(reach(&host, &harlequin.as_user(other)), Reach::Nothing);
    }
}
