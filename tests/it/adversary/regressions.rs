//! What held in the review, and what is near it: sshd's other ways to prove who one is, programs of
//! the host that start a shell, a second sshd, names of users as parts of roots. Each has a
//! control: an ordinary account that the same attempt lets in.

use disposable::sshd::CARELESS;
use disposable::{DisposableHost, Login};

use crate::support::{Reach, Spec, host, look, reach, said};

/// The password of each account here.
const PASSWORD: &str = "secret";

/// Two jailed accounts, harlequin with a shell and selina with sftp alone, and the ordinary
/// account bob, all with a password that was set on the host.
struct Accounts<'host> {
    /// The jailed ones.
    jailed: [Login<'host>; 2],
    /// The control.
    bob: Login<'host>,
}

/// Makes these accounts, below an sshd with `config` as its main file.
fn accounts<'host>(host: &'host DisposableHost, config: &str) -> Accounts<'host> {
    host.sshd_with(config);
    let bob = host.plain_user("bob");
    let keys = ["harlequin", "selina"].map(|name| host.key(name));
    Spec::arkham(&keys[0], &[]).build(host).ok();
    Spec::dropbox(&keys[1]).build(host).ok();
    for name in ["bob", "harlequin", "selina"] {
        host.sh(&format!("echo {name}:{PASSWORD} | chpasswd")).ok();
    }
    let logins = [("harlequin", &keys[0]), ("selina", &keys[1])];
    Accounts {
        jailed: logins.map(|(name, key)| host.login(name, key)),
        bob,
    }
}

/// Tries each account with `attempt`: only the control gets in.
#[track_caller]
fn only_bob(accounts: &Accounts<'_>, attempt: impl Fn(&str) -> Reach) {
    for login in &accounts.jailed {
        assert_eq!(attempt(&login.user), Reach::Nothing, "{}", login.user);
    }
    assert_eq!(attempt("bob"), Reach::Host, "the control");
    // The jails themselves work at this time.
    for login in &accounts.jailed {
        assert_eq!(login.sftp("pwd\n").code(), 0, "{}", login.user);
    }
}

/// ssh as `user` with these options and no other key, and sftp, whichever comes farther.
fn ssh(host: &DisposableHost, user: &str, options: &str) -> Reach {
    let common = format!(
        "-F/dev/null -oStrictHostKeyChecking=no -oUserKnownHostsFile=/dev/null -oConnectTimeout=10 {options}"
    );
    let shell = host.sh(&format!(
        "setsid ssh {common} {user}@127.0.0.1 'echo reached; cat /canary' </dev/null 2>/run/ssh.err"
    ));
    host.sh("rm -f /run/loot").ok();
    let sftp = host.sh(&format!(
        "printf 'pwd\\n-get /canary /run/loot\\n' >/run/batch; setsid sftp -b /run/batch {common} {user}@127.0.0.1 </dev/null"
    ));
    let by_sftp = if host.has("/run/loot") {
        Reach::Host
    } else if sftp.stdout().contains("Remote working directory") {
        Reach::Jail
    } else {
        Reach::Nothing
    };
    said(shell.stdout()).max(by_sftp)
}

/// The options that offer one key and nothing else.
fn with_key(key: &str) -> String {
    format!("-oIdentitiesOnly=yes -oPreferredAuthentications=publickey -i {key}")
}

#[disposable::test]
fn held_a_certificate_of_an_authority_that_the_host_trusts() {
    let host = host();
    host.sh("mkdir -p /run/keys; ssh-keygen -q -t ed25519 -N '' -f /run/keys/ca")
        .ok();
    let config = format!("{CARELESS}TrustedUserCAKeys /run/keys/ca.pub\n");
    let accounts = accounts(&host, &config);
    only_bob(&accounts, |user| {
        host.sh(&format!(
            "cd /run/keys; rm -f held*; ssh-keygen -q -t ed25519 -N '' -f held
             ssh-keygen -q -s ca -I held -n {user},root held.pub"
        ))
        .ok();
        ssh(&host, user, &with_key("/run/keys/held"))
    });
}

#[disposable::test]
fn held_keys_that_a_command_of_root_prints() {
    let host = host();
    let config = format!(
        "{CARELESS}AuthorizedKeysCommand /usr/local/sbin/keys\nAuthorizedKeysCommandUser root\n\
         AuthorizedPrincipalsCommand /usr/local/sbin/keys\nAuthorizedPrincipalsCommandUser root\n"
    );
    let key = host.key("held");
    host.write("/usr/local/sbin/keys", "#!/bin/sh\ncat /run/held.pub\n");
    host.sh("cp /run/keys/held.pub /run/held.pub; chmod 755 /usr/local/sbin/keys")
        .ok();
    let accounts = accounts(&host, &config);
    only_bob(&accounts, |user| ssh(&host, user, &with_key(&key.path)));
}

#[disposable::test]
fn held_keys_in_the_home_of_the_host_without_strict_modes() {
    let host = host();
    let key = host.key("held");
    let config = format!("{CARELESS}StrictModes no\n");
    let accounts = accounts(&host, &config);
    for user in ["bob", "harlequin", "selina"] {
        host.sh(&format!(
            "mkdir -p /home/{user}/.ssh; cp /run/keys/held.pub /home/{user}/.ssh/authorized_keys; chmod -R 777 /home/{user}"
        ))
        .ok();
    }
    only_bob(&accounts, |user| ssh(&host, user, &with_key(&key.path)));
}

#[disposable::test]
fn held_a_password_by_either_method() {
    let host = host();
    let config = CARELESS.replace(
        "KbdInteractiveAuthentication no",
        "KbdInteractiveAuthentication yes\nPasswordAuthentication yes",
    );
    let accounts = accounts(&host, &config);
    host.write("/root/askpass", &format!("#!/bin/sh\necho {PASSWORD}\n"));
    host.sh("chmod 755 /root/askpass").ok();
    for method in ["keyboard-interactive", "password"] {
        only_bob(&accounts, |user| {
            let options = format!(
                "-oPubkeyAuthentication=no -oPreferredAuthentications={method} -oNumberOfPasswordPrompts=1"
            );
            let line = format!(
                "SSH_ASKPASS=/root/askpass SSH_ASKPASS_REQUIRE=force setsid ssh -F/dev/null -oStrictHostKeyChecking=no \
                 -oUserKnownHostsFile=/dev/null {options} {user}@127.0.0.1 'echo reached; cat /canary' </dev/null"
            );
            said(host.sh(&line).stdout())
        });
    }
}

#[disposable::test]
fn held_a_host_that_vouches_for_its_users() {
    let host = host();
    let config = format!(
        "{CARELESS}HostbasedAuthentication yes\nHostbasedUsesNameFromPacketOnly yes\nIgnoreRhosts yes\n"
    );
    let accounts = accounts(&host, &config);
    host.sh(
        "name=$(hostname); echo \"127.0.0.1 localhost $name\" >>/etc/hosts
         { echo localhost; echo $name; } >/etc/ssh/shosts.equiv
         for one in localhost $name; do echo \"$one $(cut -d' ' -f1,2 /etc/ssh/ssh_host_ed25519_key.pub)\"; done >/etc/ssh/ssh_known_hosts
         printf 'EnableSSHKeysign yes\\nHostbasedAuthentication yes\\n' >/etc/ssh/ssh_config",
    )
    .ok();
    // The host key vouches for each user under the same name: the account has to be there on the
    // client's side too.
    only_bob(&accounts, |user| {
        let line = format!(
            "cd /; setpriv --reuid $(id -u {user}) --regid $(id -g {user}) --clear-groups env HOME=/nonexistent \
             ssh -F/dev/null -oStrictHostKeyChecking=no -oUserKnownHostsFile=/dev/null -oEnableSSHKeysign=yes -oHostbasedAuthentication=yes \
             -oPreferredAuthentications=hostbased {user}@127.0.0.1 'echo reached; cat /canary' </dev/null"
        );
        said(host.sh(&line).stdout())
    });
}

#[disposable::test]
fn held_programs_of_the_host_that_start_a_shell_for_a_password() {
    let host = host();
    let accounts = accounts(&host, CARELESS);
    host.run(["useradd", "--create-home", "--shell", "/bin/bash", "carl"])
        .ok();
    // A terminal shows what is typed, so the word is not typed as it is.
    let typed = "echo rea''ched; cat /canary; exit";
    let mut attempts: Vec<(&str, String)> = vec![
        ("su", format!("su USER -c \"{typed}\"")),
        ("su", format!("su - USER -c \"{typed}\"")),
        ("su", format!("su -s /bin/bash USER -c \"{typed}\"")),
        ("su", format!("su -m USER -c \"{typed}\"")),
    ];
    if host.sh("command -v sudo").code() == 0 {
        host.write("/etc/sudoers.d/held", "carl ALL=(ALL) NOPASSWD: ALL\n");
        attempts.push(("sudo", format!("sudo -n -i -u USER bash -c \"{typed}\"")));
    }
    for (program, attempt) in &attempts {
        only_bob(&accounts, |user| {
            // From an ordinary account, which has to give the password; sudo trusts carl.
            let line = attempt.replace("USER", user);
            host.write("/run/attempt", &format!("{line}\n"));
            let output = host.sh(&format!(
                "chmod 644 /run/attempt; echo {PASSWORD} | setpriv --reuid carl --regid carl --init-groups bash /run/attempt 2>&1"
            ));
            let reach = said(output.stdout());
            assert!(
                reach == Reach::Host || !output.stdout().is_empty(),
                "{program} says why: {output:?}"
            );
            reach
        });
    }
    // login(1) belongs to root; it asks for the password itself.
    only_bob(&accounts, |user| {
        let line = format!(
            "(sleep 1; echo {PASSWORD}; sleep 1; echo \"{typed}\"; sleep 1) | script -qec 'login {user}' /dev/null"
        );
        said(host.run(["bash", "-c", &line]).stdout())
    });
}

/// Starts a second sshd on port 2222 with `config`, tries every account, and ends it.
fn second_sshd(host: &DisposableHost, config: &str, key: impl Fn(&str) -> String) -> Vec<Reach> {
    host.write(
        "/root/second",
        &format!(
            "Port 2222\nListenAddress 127.0.0.1\nPidFile /run/second.pid\nHostKey /etc/ssh/ssh_host_ed25519_key\n{config}"
        ),
    );
    host.sh("rm -f /run/second.pid; /usr/sbin/sshd -f /root/second -E /run/second.log; until [ -s /run/second.pid ]; do sleep 0.01; done")
        .ok();
    let users = ["harlequin", "selina", "bob"];
    let reached = users.map(|user| {
        let options = format!("-oPort=2222 {}", with_key(&key(user)));
        ssh(host, user, &options)
    });
    host.sh("kill $(cat /run/second.pid)").ok();
    reached.to_vec()
}

#[disposable::test]
fn c7_a_second_sshd_with_another_configuration_lets_no_jailed_account_in() {
    let host = host();
    let accounts = accounts(&host, CARELESS);
    // Where each configuration looks for keys, everybody has one.
    host.sh("mkdir -p /run/all; cp /run/keys/*.pub /run/all; chmod -R a+rX /run/all")
        .ok();
    for user in ["harlequin", "selina"] {
        host.sh(&format!(
            "mkdir -p /home/{user}/.ssh; cp /run/keys/{user}.pub /home/{user}/.ssh/authorized_keys; chown -R {user}: /home/{user}; chmod 700 /home/{user}"
        ))
        .ok();
    }
    let keys = "AuthorizedKeysFile /run/all/%u.pub\n";
    for (config, bob) in [
        (
            format!("{keys}UsePAM yes\nSubsystem sftp internal-sftp\n"),
            Reach::Host,
        ),
        (
            format!("{keys}UsePAM no\nSubsystem sftp internal-sftp\n"),
            Reach::Host,
        ),
        (
            format!("{keys}UsePAM yes\nSubsystem sftp /usr/lib/openssh/sftp-server\n"),
            Reach::Host,
        ),
        (
            "UsePAM yes\nStrictModes no\nSubsystem sftp internal-sftp\n".to_owned(),
            Reach::Host,
        ),
        (
            format!("{keys}UsePAM yes\nSubsystem sftp internal-sftp\nForceCommand internal-sftp\n"),
            Reach::Host,
        ),
        (
            format!(
                "{keys}UsePAM yes\nSubsystem sftp internal-sftp\nForceCommand internal-sftp\nChrootDirectory %h\n"
            ),
            Reach::Nothing,
        ),
    ] {
        let reached = second_sshd(&host, &config, |user| format!("/run/keys/{user}"));
        assert_eq!(reached, [Reach::Nothing, Reach::Nothing, bob], "{config}");
    }
    for login in &accounts.jailed {
        assert_eq!(reach(&host, login), Reach::Jail);
    }
    assert_eq!(reach(&host, &accounts.bob), Reach::Host);
}

#[disposable::test]
fn c6_a_shell_of_jails_in_the_hosts_list_is_named_and_refused() {
    let host = host();
    host.sshd();
    let key = host.key("harlequin");
    let spec = Spec::arkham(&key, &[]);
    spec.build(&host).ok();
    for _ in 0..2 {
        host.jailctl(["check"]).ok();
    }
    host.jailctl(["doctor"]).ok();
    let before = host.read("/etc/shells");
    host.write("/etc/shells", &format!("{before}/jail/bin/bash\n"));
    let checked = host.jailctl(["check"]).exits(1);
    assert!(checked.stdout().contains("/etc/shells"), "{checked:?}");
    for arguments in [&["doctor"][..], &["doctor", "harlequin"]] {
        let mut line = vec!["jailctl"];
        line.extend(arguments);
        let doctor = host.run(line).exits(1);
        assert!(doctor.stdout().contains("/jail/bin/bash"), "{doctor:?}");
    }
    let refused = spec.build(&host).exits(4);
    let hint = refused
        .stderr()
        .lines()
        .find_map(|line| line.split_once("hint: remove the line: "));
    let (_, command) = hint.unwrap_or_else(|| panic!("a command: {refused:?}"));
    host.sh(command).ok();
    assert_eq!(host.read("/etc/shells"), before);
    host.jailctl(["check"]).ok();
    spec.build(&host).ok();

    host.sh("mkdir /jail").ok();
    let checked = host.jailctl(["check"]).exits(1);
    assert!(checked.stdout().contains("/jail"), "{checked:?}");
    host.jailctl(["doctor", "harlequin"]).exits(1);
    host.jailctl(["doctor"]).exits(1);
}

#[disposable::test]
fn held_names_of_users_as_parts_of_roots() {
    let host = host();
    let key = host.key("any");
    host.sh("mkdir -p /srv/jails /var/lib/jailctl").ok();
    let before = look(&host);
    let plan = |root: &str, user: &str| {
        let public = key.public.trim();
        host.write(
            "/root/family.toml",
            &format!(
                "name = \"family\"\nroot = \"{root}/%u\"\n[[user]]\nname = \"{user}\"\nauthorized_keys = [{public:?}]\n[sshd]\nallow = [\"sftp\"]\n"
            ),
        );
        host.jailctl(["build", "/root/family.toml"])
    };
    for (root, user) in [
        ("/var/lib", "jailctl"),
        ("/var/lib", "root"),
        ("/var", "run"),
        ("/var", "tmp"),
        ("/var", "lib"),
        ("", "run"),
        ("", "tmp"),
        ("", "etc"),
        ("", "usr"),
        ("/srv", "jails"),
        ("/srv", "root"),
        ("/usr", "lib"),
    ] {
        let refused = plan(root, user);
        assert!(
            [2, 4].contains(&refused.code()),
            "{root} {user}: {refused:?}"
        );
    }
    assert_eq!(before.diff(&look(&host)), Vec::<String>::new());
    // The control: such a root is fine for another name.
    plan("/srv", "ann").ok();
}
