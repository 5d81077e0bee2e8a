//! What the host runs for an account without a login: adoption, `check` and `doctor` (finding A2).

use disposable::{DisposableHost, Key, Output};

use crate::support::{Spec, host, host_with_module, install_module, look};

/// A jail for files alone with an account that the host has, to be taken over.
fn adopting(host: &DisposableHost, user: &'static str) -> (Spec, Key) {
    let key = host.key("jailed");
    let mut spec = Spec::dropbox(&key);
    spec.users[0].0 = user;
    "[sshd]\nallow = [\"sftp\"]\n".clone_into(&mut spec.more);
    let text = spec.text();
    let text = text.replace("\nauthorized_keys", "\nadopt = true\nauthorized_keys");
    host.write(&spec.path(), &text);
    (spec, key)
}

/// Puts each kind of job of the host there, for `user`; each writes nothing and is never run.
fn put_jobs(host: &DisposableHost, user: &str) {
    let script = r#"
        user=$1 uid=$(id -u "$1")
        mkdir -p /var/spool/cron/crontabs /var/spool/cron/atjobs /var/lib/systemd/linger /etc/cron.d
        mkdir -p /etc/systemd/system/multi-user.target.wants /etc/systemd/system/ssh-helper.service.d
        mkdir -p /usr/lib/systemd/system /run/systemd/system
        echo '* * * * * true' >/var/spool/cron/crontabs/$user
        echo true >/var/spool/cron/atjobs/a0000101c2f3d4; chown $uid /var/spool/cron/atjobs/a0000101c2f3d4
        touch /var/lib/systemd/linger/$user
        printf '# the jobs\nMAILTO=root\n@daily %s true\n0 4 * * * root true\n5 4 * * * %s true\n' $user $user >/etc/cron.d/report
        printf '0 4 * * * root true\n1 2 3 * * %s true\n' $user >>/etc/crontab
        printf '[Service]\nUser=%s\nExecStart=/bin/true\n' $user >/etc/systemd/system/named.service
        printf '[Service]\nUser=%s\nExecStart=/bin/true\n' $uid >/run/systemd/system/numbered.service
        printf '[Service]\nUser=%s\n' $user >/etc/systemd/system/ssh-helper.service.d/user.conf
        printf '[Service]\nUser=%%i\nExecStart=/bin/true\n' >/usr/lib/systemd/system/sync@.service
        ln -sf /usr/lib/systemd/system/sync@.service /etc/systemd/system/multi-user.target.wants/sync@$user.service
        mkdir -p /run/systemd/transient /etc/cron.daily /usr/lib/systemd/system/dropped.service.d
        printf '[Service]\nUser=%s\nExecStart=/bin/true\n' $user >/usr/lib/systemd/system/packaged.service
        printf '[Service]\nUser=%s\n' $user >/usr/lib/systemd/system/dropped.service.d/user.conf
        printf '[Service]\nUser=%s\nExecStart=/bin/true\n' $user >/run/systemd/transient/run-u7.service
        printf '0 4 * * * true %s\n5 4 * * * su %s -c true\n' $user $user >/var/spool/cron/crontabs/root
        printf '#!/bin/sh\ntrue; runuser -u %s -- true\nsudo -u root true\ncd / && sudo -n -u \\#%s true\n' $user $uid >/etc/cron.daily/report
        # Those of others are nobody's business, nor is what has no effect.
        printf '[Service]\nUser=%s\n' $user >/usr/lib/systemd/system/masked.service
        ln -sf /dev/null /etc/systemd/system/masked.service
        printf '[Service]\nUser=%s\n' $user >/usr/lib/systemd/system/overridden.service
        printf '[Service]\nUser=nobody\n' >/etc/systemd/system/overridden.service
        printf '[Service]\nUser=nobody\n' >/etc/systemd/system/other.service
        ln -sf /dev/null /etc/systemd/system/user@$uid.service
        echo '* * * * * nobody true' >/etc/cron.d/other
    "#;
    host.run(["bash", "-euc", script, "put", user]).ok();
}

/// A part of the name of each job that [`put_jobs`] puts there.
const JOBS: [&str; 14] = [
    "/var/spool/cron/crontabs/ann",
    "1 job of at(1) in `/var/spool/cron/atjobs`",
    "/var/lib/systemd/linger/ann",
    "lines 3, 5 of `/etc/cron.d/report`",
    "of `/etc/crontab`",
    "/etc/systemd/system/named.service",
    "/run/systemd/system/numbered.service",
    "/etc/systemd/system/ssh-helper.service.d/user.conf",
    "/etc/systemd/system/multi-user.target.wants/sync@ann.service",
    "/usr/lib/systemd/system/packaged.service",
    "/usr/lib/systemd/system/dropped.service.d/user.conf",
    "/run/systemd/transient/run-u7.service",
    "line 2 of `/var/spool/cron/crontabs/root`",
    "lines 2, 4 of `/etc/cron.daily/report`",
];

/// A crontab(1) and a systemctl(1) that the commands of hints find, where the copy has none.
fn tools(host: &DisposableHost) {
    host.sh(
        "command -v crontab || { printf '#!/bin/sh\\nrm /var/spool/cron/crontabs/$3\\n' >/usr/local/bin/crontab; chmod 755 /usr/local/bin/crontab; }
         command -v systemctl || { printf '#!/bin/sh\\n' >/usr/local/bin/systemctl; chmod 755 /usr/local/bin/systemctl; }",
    )
    .ok();
}

/// The commands of the hints that a run printed.
fn commands(output: &Output) -> Vec<String> {
    let lines = output.stderr().lines();
    let hints = lines.filter_map(|line| line.split_once("hint: "));
    let commands = hints.filter_map(|(_, hint)| hint.split_once(": "));
    commands.map(|(_, command)| command.to_owned()).collect()
}

#[disposable::test]
fn a2_an_account_that_the_host_runs_jobs_for_is_not_taken_over() {
    let host = host();
    host.sshd();
    host.plain_user("ann");
    tools(&host);
    let (spec, _) = adopting(&host, "ann");
    put_jobs(&host, "ann");
    let mut sleeping = host.spawn([
        "setpriv",
        "--reuid",
        "ann",
        "--clear-groups",
        "bash",
        "-c",
        "echo on; sleep 300",
    ]);
    sleeping.hear("on");
    let before = look(&host);
    let refused = host.jailctl(["build", &spec.path()]).exits(2);
    assert_eq!(before.diff(&look(&host)), Vec::<String>::new());
    for job in JOBS {
        assert!(refused.stderr().contains(job), "{job}: {refused:?}");
    }
    assert!(
        refused.stderr().contains("would run outside of the jail")
            && refused.stderr().contains("end the processes "),
        "{refused:?}"
    );
    for others in ["other", "nobody", "user@", "masked", "overridden"] {
        assert!(!refused.stderr().contains(others), "{refused:?}");
    }
    let planned = host.jailctl(["plan", &spec.path()]).exits(2);
    assert!(planned.stderr().contains("atjobs"), "{planned:?}");

    // Each hint is a command that works, and all of them are enough.
    let commands = commands(&refused);
    assert_eq!(commands.len(), JOBS.len() + 1, "{commands:?}");
    for command in &commands {
        host.run(["bash", "-c", command]);
    }
    host.until("! pgrep -u ann");
    host.jailctl(["build", &spec.path()]).ok();
    host.jailctl(["check"]).ok();
    host.jailctl(["doctor", "ann"]).ok();
    host.sh(
        "grep -q root /etc/crontab && grep -q root /etc/cron.d/report && test -e /etc/cron.d/other",
    )
    .ok();
}

#[disposable::test]
fn a2_a_new_account_does_not_come_by_jobs_that_wait_for_its_name_or_number() {
    let host = host();
    let key = host.key("selina");
    let spec = Spec::dropbox(&key);
    host.sh(
        "mkdir -p /etc/cron.d /var/spool/cron/atjobs
         echo '* * * * * selina true' >/etc/cron.d/left; echo true >/var/spool/cron/atjobs/a0000101c2f3d4",
    )
    .ok();
    let refused = spec.build(&host).exits(2);
    assert!(
        refused
            .stderr()
            .contains("could not create the account `selina`")
            && refused.stderr().contains("/etc/cron.d/left"),
        "{refused:?}"
    );
    host.sh("rm /etc/cron.d/left; chown 4242 /var/spool/cron/atjobs/*")
        .ok();
    let text = spec
        .text()
        .replace("\nauthorized_keys", "\nuid = 4242\nauthorized_keys");
    host.write(&spec.path(), &text);
    let refused = host.jailctl(["build", &spec.path()]).exits(2);
    assert!(refused.stderr().contains("at(1)"), "{refused:?}");
    host.sh("rm /var/spool/cron/atjobs/*").ok();
    host.jailctl(["build", &spec.path()]).ok();
}

#[disposable::test]
fn a2_check_and_doctor_look_again_at_what_runs_outside() {
    let host = host();
    host.sshd();
    let key = host.key("selina");
    let mut spec = Spec::dropbox(&key);
    spec.users[0].0 = "ann";
    spec.more = "[sshd]\nallow = [\"sftp\"]\n".to_owned();
    spec.build(&host).ok();
    let outside = || -> Vec<String> {
        let checked = host.jailctl(["check", "--json"]);
        let checked: serde_json::Value = serde_json::from_str(checked.stdout()).expect("JSON");
        let differences = checked["jails"][0]["differences"].as_array().cloned();
        let differences = differences.expect("differences");
        differences
            .iter()
            .map(|one| {
                assert_eq!(one["kind"], "outside", "{one}");
                assert_eq!(one["name"], "ann", "{one}");
                one["text"].as_str().expect("a text").to_owned()
            })
            .collect()
    };
    // Once to find it out, once to remember it.
    for _ in 0..2 {
        assert_eq!(outside(), Vec::<String>::new());
    }
    host.jailctl(["doctor", "ann"]).ok();

    put_jobs(&host, "ann");
    let found = outside();
    assert_eq!(found.len(), JOBS.len(), "{found:?}");
    for job in JOBS {
        assert!(found.iter().any(|text| text.contains(job)), "{job}");
    }
    let doctor = host.jailctl(["doctor", "ann"]).exits(1);
    assert!(doctor.stdout().contains("not confined"), "{doctor:?}");
    let rebuilt = spec.build(&host).ok();
    for job in JOBS {
        assert!(doctor.stdout().contains(job), "{job}: {doctor:?}");
        assert!(rebuilt.stderr().contains(job), "{job}: {rebuilt:?}");
    }
    host.sh(
        "rm -r /var/spool/cron /var/lib/systemd/linger /etc/cron.d/report /etc/crontab /run/systemd/system/numbered.service
         rm -r /etc/cron.daily/report /run/systemd/transient /usr/lib/systemd/system/packaged.service /usr/lib/systemd/system/dropped.service.d
         cd /etc/systemd/system; rm -r named.service ssh-helper.service.d multi-user.target.wants/sync@ann.service",
    )
    .ok();
    for _ in 0..2 {
        assert_eq!(outside(), Vec::<String>::new());
    }

    // A process is found by a run that remembers the last one, too; one in the jail is none.
    let mut sleeping = host.spawn([
        "setpriv",
        "--reuid",
        "ann",
        "--clear-groups",
        "bash",
        "-c",
        "echo on; sleep 300",
    ]);
    sleeping.hear("on");
    let found = outside();
    assert!(
        found.len() == 1 && found[0].contains("processes of it run outside of the jail"),
        "{found:?}"
    );
    let doctor = host.jailctl(["doctor", "ann", "--json"]).exits(1);
    assert!(doctor.stdout().contains("processes-outside"), "{doctor:?}");
    host.sh("pkill -KILL -u ann; until ! pgrep -u ann; do sleep 0.01; done")
        .ok();
    assert_eq!(outside(), Vec::<String>::new());
}

#[disposable::test]
fn a2_whoever_is_in_the_jail_is_not_outside() {
    let host = host();
    install_module(&host);
    host.sshd();
    let key = host.key("harlequin");
    let mut spec = Spec::arkham(&key, &[]);
    for more in ["", "[namespaces]\n"] {
        spec.more = more.to_owned();
        spec.build(&host).ok();
        let mut session = host.login("harlequin", &key).session();
        session.run("true");
        host.jailctl(["check"]).ok();
        host.jailctl(["doctor", "harlequin"]).ok();
        drop(session);
        host.until("! pgrep -u harlequin");
    }
}

#[disposable::test]
fn a2_a_writable_mount_of_a_home_of_the_host_is_refused() {
    let host = host_with_module();
    let key = host.key("mia");
    host.plain_user("ann");
    host.sh("usermod --home /data/people/ann ann; mkdir -p /home/mia/www /data/people/ann /data/people/mia /opt/shared; chmod 755 /data /data/people /data/people/*")
        .ok();
    let spec = |source: &str, options: &str, more: &str| {
        format!(
            "name = \"web\"\nbinaries = [\"bash\"]\n[[user]]\nname = \"mia\"\nauthorized_keys = [{0:?}]\n{more}\n\
             [[mount]]\nsource = {source:?}\ntarget = \"/www\"\noptions = [{options}]\n",
            key.public.trim()
        )
    };
    let plan = |text: &str| {
        host.write("/root/web.toml", text);
        host.jailctl(["plan", "/root/web.toml"])
    };
    for source in ["/home/mia", "/home/mia/www"] {
        let refused = plan(&spec(source, "\"rw\"", "")).exits(2);
        assert!(
            refused.stderr().contains("cannot be mounted `rw`")
                && refused.stderr().contains("/home/mia"),
            "{refused:?}"
        );
        plan(&spec(source, "\"ro\"", "")).ok();
    }
    plan(&spec("/opt/shared", "\"rw\"", "")).ok();
    plan(&spec("/data/people/ann", "\"rw\"", "")).ok();

    // The home that an account had before it was taken over, and stays that as long as it is in the
    // jail.
    let ann = "[[user]]\nname = \"ann\"\nadopt = true\nauthorized_keys = []\n";
    for source in ["/data/people/ann", "/data/people"] {
        let refused = plan(&spec(source, "\"rw\"", ann)).exits(2);
        assert!(refused.stderr().contains("`ann`"), "{refused:?}");
    }
    plan(&spec("/opt/shared", "\"rw\"", ann)).ok();
    host.jailctl(["build", "/root/web.toml"]).ok();
    plan(&spec("/data/people/ann", "\"rw\"", ann)).exits(2);

    // Behind a link.
    host.sh("rm -r /home/mia; ln -s /data/people/mia /home/mia")
        .ok();
    let refused = plan(&spec("/data/people/mia", "\"rw\"", ann)).exits(2);
    assert!(refused.stderr().contains("`mia`"), "{refused:?}");
}
