//! Adoption of existing accounts, and supplementary groups.

use disposable::DisposableHost;

use crate::support::{Reach, Spec, host, look, reach};

/// Of an account: passwd(5), password and expiry of shadow(5), its groups.
fn standing(host: &DisposableHost, user: &str) -> String {
    host.sh(&format!(
        "getent passwd {user}; getent shadow {user} | cut -d: -f2,8; id -Gn {user} | tr ' ' '\\n' | sort"
    ))
    .ok()
    .stdout()
    .to_owned()
}

/// The spec of arkham with bob in it, and a key of bob.
fn spec(host: &DisposableHost, more: &str) -> (Spec, disposable::Key) {
    host.sh("rm -f /run/keys/jailed*").ok();
    let key = host.key("jailed");
    let mut spec = Spec::arkham(&key, &["id"]);
    spec.users[0].0 = "bob";
    let text = spec
        .text()
        .replace("\nauthorized_keys", &format!("\n{more}\nauthorized_keys"));
    host.write(&spec.path(), &text);
    (spec, key)
}

/// bob, who has a password, an expiry, a supplementary group, and a file.
fn bob(host: &DisposableHost) -> disposable::Login<'_> {
    let bob = host.plain_user("bob");
    host.sh(
        "groupadd devs; usermod -aG devs,sudo -e 2999-12-31 bob; echo bob:secret | chpasswd
        echo diary >/home/bob/diary; chown bob:bob /home/bob/diary",
    )
    .ok();
    bob
}

#[disposable::test]
fn an_account_that_was_taken_over_gets_back_what_it_had() {
    let host = host();
    host.sshd();
    let free = bob(&host);
    let before = standing(&host, "bob");
    let home = host.snapshot(["/home"]);
    let (spec, key) = spec(&host, "adopt = true");
    let locked = host.login("bob", &key);
    assert_eq!(reach(&host, &free), Reach::Host);
    host.until("! pgrep -u bob");

    host.jailctl(["build", &spec.path()]).ok();
    assert_eq!(reach(&host, &locked), Reach::Jail);
    assert_eq!(reach(&host, &free), Reach::Nothing, "his own key");
    assert_eq!(locked.ssh("id -Gn").ok().text(), "jail-arkham");
    assert_eq!(locked.ssh("cat ~/diary").fails().stdout(), "");
    let shadow = host.sh("getent shadow bob").ok();
    assert!(shadow.text().starts_with("bob:*$"), "{shadow:?}");
    assert_eq!(home.diff(&host.snapshot(["/home"])), Vec::<String>::new());
    let again = host.jailctl(["build", &spec.path()]).ok();
    assert!(again.stdout().contains("nothing to do"), "{again:?}");
    let manifest = host.read("/var/lib/jailctl/arkham/manifest.json");
    assert!(!manifest.contains("$y$") && !manifest.contains("$6$"));

    host.until("! pgrep -u bob");
    host.jailctl(["remove", "arkham"]).ok();
    assert_eq!(standing(&host, "bob"), before);
    assert_eq!(home.diff(&host.snapshot(["/home"])), Vec::<String>::new());
    assert_eq!(reach(&host, &free), Reach::Host);
    assert_eq!(reach(&host, &locked), Reach::Nothing);
    host.sh("getent group jail-arkham").fails();
}

#[disposable::test]
fn an_account_that_leaves_the_spec_is_given_back() {
    let host = host();
    bob(&host);
    let before = standing(&host, "bob");
    let (mut spec, _) = spec(&host, "adopt = true\npassword = 'unchanged'");
    host.jailctl(["build", &spec.path()]).ok();
    let shadow = host.sh("getent shadow bob").ok();
    assert!(shadow.text().starts_with("bob:$"), "{shadow:?}");
    spec.users[0].0 = "harlequin";
    let plan = host.jailctl(["plan", &spec.put(&host)]).ok();
    assert!(plan.stdout().contains("bob: restored"), "{plan:?}");
    spec.build(&host).ok();
    assert_eq!(standing(&host, "bob"), before);
    let again = spec.build(&host).ok();
    assert!(again.stdout().contains("nothing to do"), "{again:?}");
}

#[disposable::test]
fn an_account_is_as_it_was_when_taking_it_over_fails() {
    let host = host();
    bob(&host);
    let (spec, _) = spec(&host, "adopt = true");
    host.write(
        "/etc/ssh/sshd_config.d/00-other.conf",
        "Match User bob\n    ChrootDirectory /tmp\n",
    );
    let before = (standing(&host, "bob"), look(&host));
    let refused = host.jailctl(["build", &spec.path()]).exits(4);
    assert!(
        refused.stderr().contains("ChrootDirectory")
            || refused.stderr().contains("chrootdirectory"),
        "{refused:?}"
    );
    assert_eq!(standing(&host, "bob"), before.0);
    let left = before.1.diff(&look(&host));
    let left: Vec<&String> = left
        .iter()
        .filter(|line| !line.contains("/etc/shadow"))
        .collect();
    assert_eq!(left, Vec::<&String>::new());
}

#[disposable::test]
fn only_accounts_of_people_that_nothing_runs_for_are_taken_over() {
    let host = host();
    bob(&host);
    let (spec, _) = spec(&host, "");
    let before = look(&host);
    let refused = host.jailctl(["build", &spec.path()]).exits(2);
    assert!(refused.stderr().contains("`adopt = true`"), "{refused:?}");

    let (spec, _) = self::spec(&host, "adopt = true");
    host.sh("mkdir -p /var/spool/cron/crontabs; echo '* * * * * id' >/var/spool/cron/crontabs/bob")
        .ok();
    let refused = host.jailctl(["build", &spec.path()]).exits(2);
    assert!(
        refused.stderr().contains("crontab -r -u bob"),
        "{refused:?}"
    );
    host.sh("rm /var/spool/cron/crontabs/bob").ok();

    let mut sleeping = host.spawn([
        "setpriv",
        "--reuid",
        "bob",
        "--clear-groups",
        "bash",
        "-c",
        "echo on; sleep 60",
    ]);
    sleeping.hear("on");
    let refused = host.jailctl(["build", &spec.path()]).exits(2);
    assert!(
        refused.stderr().contains("end the processes "),
        "{refused:?}"
    );
    host.sh("pkill -u bob; until ! pgrep -u bob; do sleep 0.01; done")
        .ok();

    host.sh("useradd --system gnome").ok();
    let text = host.read(&spec.path()).replace("\"bob\"", "\"gnome\"");
    host.write(&spec.path(), &text);
    let refused = host.jailctl(["build", &spec.path()]).exits(2);
    assert!(
        refused.stderr().contains("one of a system account"),
        "{refused:?}"
    );

    let text = host.read(&spec.path()).replace("\"gnome\"", "\"bob\"").replace(
        "adopt = true",
        "adopt = true\npassword = '$6$saltsalt$qFmFH.bQmmtXzyBY0s9v7Oicd2z4XSIecDzlB5KiA2/jctKu9YterLp8wwnSq.qc.eoxqOmSuNp2xS0ktL3nh/'",
    );
    host.write(&spec.path(), &text);
    host.jailctl(["build", &spec.path()]).exits(2);
    host.sh("userdel gnome; rm /root/arkham.toml").ok();
    assert_eq!(before.diff(&look(&host)), Vec::<String>::new());
}

#[disposable::test]
fn further_groups_are_made_joined_and_taken_away() {
    let host = host();
    host.sshd();
    host.sh("groupadd web; useradd -U alice").ok();
    let (spec, key) = spec(&host, "groups = ['web', 'crew']");
    host.jailctl(["build", &spec.path()]).ok();
    let bob = host.login("bob", &key);
    assert_eq!(bob.ssh("id -Gn").ok().text(), "jail-arkham web crew");
    assert_eq!(host.sh("id -Gn bob").ok().text(), "jail-arkham web crew");
    let again = host.jailctl(["build", &spec.path()]).ok();
    assert!(again.stdout().contains("nothing to do"), "{again:?}");

    // Groups added by hand, and groups no longer in the spec, are removed: a managed account is
    // the values of its spec.
    host.sh("groupadd guests; gpasswd -a bob guests; until ! pgrep -u bob; do sleep 0.01; done")
        .ok();
    let (spec, _) = self::spec(&host, "groups = ['crew']");
    host.jailctl(["build", &spec.path()]).ok();
    assert_eq!(host.sh("id -Gn bob").ok().text(), "jail-arkham crew");

    for (group, why) in [
        ("sudo", "is a privileged group of the host"),
        ("jail-arkham", "has the prefix of jail groups"),
        ("lpadmin", "it is a system group"),
        ("alice", "the primary group of `alice`"),
    ] {
        host.sh("getent group lpadmin || groupadd --system lpadmin")
            .ok();
        let (spec, _) = self::spec(&host, &format!("groups = ['{group}']"));
        let refused = host.jailctl(["build", &spec.path()]).exits(2);
        assert!(refused.stderr().contains(why), "{refused:?}");
    }
    host.jailctl(["remove", "arkham", "--purge"]).ok();
    host.sh(
        "getent group web; getent group guests; ! getent group crew; ! getent group jail-arkham",
    )
    .ok();
}

#[disposable::test]
fn accounts_below_root_option_are_adopted_and_restored() {
    let host = host();
    crate::builds::second_host(&host);
    host.sh("groupadd --prefix /root/other devs; useradd --prefix /root/other -U -G devs bob")
        .ok();
    let lines = || {
        host.sh("cd /root/other/etc; grep -h bob passwd group; grep bob shadow | cut -d: -f2,8")
            .ok()
            .stdout()
            .to_owned()
    };
    let before = lines();
    let (spec, _) = spec(&host, "adopt = true\ngroups = ['crew']");
    let text = host.read(&spec.path()).replace(", \"id\"", "");
    host.write(&spec.path(), &text);
    host.jailctl(["build", "--root", "/root/other", &spec.path()])
        .ok();
    let during = lines();
    assert!(
        during.contains("/jail/bin/bash") && during.contains("crew:x:"),
        "{during}"
    );
    assert!(!during.contains("devs"), "{during}");
    host.jailctl(["remove", "arkham", "--purge", "--root", "/root/other"])
        .ok();
    assert_eq!(lines(), before);
}
