//! Ways into a jail are those that its spec names: report K0, and what `plan` prints of them.

use disposable::DisposableHost;

use crate::support::{Reach, Spec, host, host_with_module, reach};

/// The spec of arkham with the template `shell`, and what `more` adds.
fn with_template(host: &DisposableHost, key: &disposable::Key, more: &str) -> Spec {
    let mut spec = Spec::arkham(key, &[]);
    more.clone_into(&mut spec.more);
    let text = spec.text();
    let text = text.replacen('\n', "\ntemplates = [\"shell\"]\n", 1);
    host.write(&spec.path(), &text);
    spec
}

#[disposable::test]
fn k0_allow_in_a_spec_takes_away_what_a_template_opens() {
    let host = host();
    host.sshd();
    let key = host.key("harlequin");
    let login = host.login("harlequin", &key);
    let by_sftp = || login.sftp("pwd\n").stdout().contains("Remote working");
    let by_shell = || login.ssh("echo reached").stdout().contains("reached");
    let doors = || {
        let shown = host.jailctl(["show", "arkham", "--json"]).ok();
        let shown: serde_json::Value = serde_json::from_str(shown.stdout()).expect("JSON");
        shown["spec"]["access"].clone()
    };

    let spec = with_template(&host, &key, "");
    host.jailctl(["build", &spec.path()]).ok();
    assert!(by_shell() && by_sftp());
    assert_eq!(doors(), serde_json::json!(["shell", "sftp"]));

    with_template(&host, &key, "[sshd]\nallow = [\"sftp\"]\n");
    let plan = host.jailctl(["plan", &spec.path()]).ok();
    assert!(
        plan.stdout()
            .contains("ways in  sftp (before: shell, sftp)"),
        "{plan:?}"
    );
    host.jailctl(["build", &spec.path()]).ok();
    assert!(!by_shell() && by_sftp());
    assert_eq!(doors(), serde_json::json!(["sftp"]));
    host.jailctl(["check"]).ok();

    with_template(&host, &key, "[sshd]\nallow = [\"shell\"]\n");
    host.jailctl(["build", &spec.path()]).ok();
    assert!(by_shell() && !by_sftp());
    assert_eq!(doors(), serde_json::json!(["shell"]));

    with_template(&host, &key, "");
    host.jailctl(["build", &spec.path()]).ok();
    assert!(by_shell() && by_sftp());
}

#[disposable::test]
fn k0_an_sftp_jail_works_beside_a_shell_template() {
    let host = host();
    let key = host.key("harlequin");
    let spec = with_template(&host, &key, "[sshd]\numask = \"0027\"\n");
    let refused = host.jailctl(["plan", &spec.path()]).exits(2);
    assert!(
        refused.stderr().contains("allow = [\"sftp\"]"),
        "{refused:?}"
    );
    // The hint is followed, and that is all.
    with_template(
        &host,
        &key,
        "[sshd]\nallow = [\"sftp\"]\numask = \"0027\"\n",
    );
    host.jailctl(["plan", &spec.path()]).ok();
}

#[disposable::test]
fn k0_plan_prints_the_ways_in() {
    let host = host();
    let key = host.key("harlequin");
    let spec = with_template(&host, &key, "");
    let json = || -> serde_json::Value {
        let plan = host.jailctl(["plan", "--json", &spec.path()]).ok();
        serde_json::from_str(plan.stdout()).expect("JSON")
    };
    let jail = |plan: &serde_json::Value| plan["jails"][0].clone();
    let page = host.jailctl(["plan", &spec.path()]).ok();
    assert!(page.stdout().contains("+ ways in  shell, sftp"), "{page:?}");
    let plan = json();
    assert_eq!(jail(&plan)["ways_in"], serde_json::json!(["shell", "sftp"]));
    let after = jail(&plan)["diff"]["after"].as_str().map(str::to_owned);
    assert!(after.expect("a text").contains("ways in: shell, sftp\n"));
    // The notice of what a plain chroot with a shell lacks is printed by `plan` alone.
    let lacks = "a plain chroot with a shell";
    assert_eq!(page.stdout().matches(lacks).count(), 1, "{page:?}");
    assert_eq!(plan["warnings"].to_string().matches(lacks).count(), 1);

    let built = host.jailctl(["build", &spec.path()]).ok();
    assert!(!built.stderr().contains(lacks), "{built:?}");
    let page = host.jailctl(["plan", &spec.path()]).ok();
    assert!(page.stdout().contains("nothing to do"), "{page:?}");
    assert!(
        page.stdout().contains("    ways in  shell, sftp"),
        "{page:?}"
    );
    let after = jail(&json())["diff"]["after"].clone();
    assert_eq!(after, serde_json::json!(""));

    with_template(&host, &key, "[sshd]\nallow = [\"sftp\"]\n");
    let plan = json();
    let diff = |side: &str| jail(&plan)["diff"][side].as_str().map(str::to_owned);
    assert!(
        diff("before")
            .expect("a text")
            .contains("ways in: shell, sftp\n")
    );
    assert!(diff("after").expect("a text").contains("ways in: sftp\n"));
    assert_eq!(plan["warnings"].to_string().matches(lacks).count(), 0);
}

#[disposable::test]
fn k0_an_internal_sftp_that_no_line_can_close_is_said() {
    let host = host();
    let internal =
        disposable::sshd::CARELESS.replace("/usr/lib/openssh/sftp-server", "internal-sftp");
    host.sshd_with(&internal);
    let key = host.key("harlequin");
    let login = host.login("harlequin", &key);
    let spec = with_template(&host, &key, "[sshd]\nallow = [\"shell\"]\n");
    let built = host.jailctl(["build", &spec.path()]).ok();
    let is_open = login.sftp("pwd\n").stdout().contains("Remote working");
    let is_said = built.stderr().contains("the jail does not allow `sftp`");
    assert_eq!(is_open, is_said, "{built:?}");
    assert_eq!(reach(&host, &login), Reach::Jail);
}

#[disposable::test]
fn k0_mount_options_that_are_not_named_keep_their_safe_default() {
    let host = host_with_module();
    host.sshd();
    let key = host.key("harlequin");
    let login = host.login("harlequin", &key);
    host.sh("mkdir -p /opt/safe /opt/open; chmod 755 /opt/safe /opt/open")
        .ok();
    let mut spec = Spec::arkham(&key, &[]);
    spec.more = "[namespaces]\n[[mount]]\nsource = \"/opt/safe\"\ntarget = \"/safe\"\noptions = [\"rw\"]\n\
                 [[mount]]\nsource = \"/opt/open\"\ntarget = \"/open\"\noptions = [\"rw\", \"suid\", \"dev\", \"exec\"]\n"
        .to_owned();
    spec.build(&host).ok();
    let mounted = login.ssh("cat /proc/self/mountinfo").ok();
    let options = |target: &str| -> Vec<String> {
        let line = mounted
            .stdout()
            .lines()
            .find(|line| line.split(' ').nth(4).is_some_and(|at| at == target));
        let line = line.unwrap_or_else(|| panic!("{target} is mounted: {mounted:?}"));
        let options = line.split(' ').nth(5).expect("options");
        options.split(',').map(str::to_owned).collect()
    };
    let has = |target: &str| {
        let options = options(target);
        ["rw", "nosuid", "nodev", "noexec"].map(|one| options.iter().any(|option| option == one))
    };
    assert_eq!(has("/safe"), [true, true, true, true]);
    assert_eq!(has("/open"), [true, false, false, false]);
}

#[disposable::test]
fn k0_process_numbers_of_the_host_are_said_by_plan_and_build() {
    let host = host_with_module();
    let key = host.key("harlequin");
    let mut spec = Spec::arkham(&key, &[]);
    spec.more = "[namespaces]\npid = false\n".to_owned();
    let said = "`namespaces.pid` is false";
    let plan = host.jailctl(["plan", &spec.put(&host)]).ok();
    assert!(plan.stdout().contains(said), "{plan:?}");
    let built = spec.build(&host).ok();
    assert!(built.stderr().contains(said), "{built:?}");
    spec.more = "[namespaces]\n".to_owned();
    let built = spec.build(&host).ok();
    assert!(!built.stderr().contains(said), "{built:?}");
}
