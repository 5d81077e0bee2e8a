//! Every PAM service of the host but sshd's refuses jailed accounts, and no other account notices.

use disposable::DisposableHost;

use crate::support::{Reach, Spec, arkham, host, look, reach};

/// A service whose account and session lines grant everything.
const GRANTING: &str = "account required pam_permit.so\nsession required pam_permit.so\n";

/// Compiles `serve`, which asks PAM as services do.
fn install_serve(host: &DisposableHost) {
    host.write("/root/serve.c", include_str!("serve.c"));
    host.sh("gcc -O1 -o /usr/local/bin/serve /root/serve.c -l:libpam.so.0")
        .ok();
}

/// Whether `service` accepts `user`.
fn accepts(host: &DisposableHost, service: &str, user: &str) -> bool {
    host.run(["/usr/local/bin/serve", service, user]).success()
}

/// Services of all kinds: of other packages, of the distribution alone, parts of others, without
/// own lines, with jumps.
fn put_services(host: &DisposableHost) {
    for (path, text) in [
        (
            "/etc/pam.d/greeter",
            "account include parts\nsession include parts\n",
        ),
        ("/etc/pam.d/parts", GRANTING),
        ("/usr/lib/pam.d/vendored", GRANTING),
        ("/etc/pam.d/bare", "auth required pam_permit.so\n"),
        (
            "/etc/pam.d/counted",
            "account [success=1 default=ignore] pam_succeed_if.so quiet uid >= 0\n\
             account requisite pam_deny.so\n\
             account required pam_permit.so\n\
             session required pam_permit.so\n",
        ),
        (
            "/etc/pam.d/closed",
            "account required pam_deny.so\nsession required pam_deny.so\n",
        ),
        ("/etc/pam.d/greeter.dpkg-old", GRANTING),
    ] {
        host.run(["install", "-D", "-m", "644", "/dev/null", path])
            .ok();
        host.write(path, text);
    }
}

#[disposable::test]
fn a2_every_service_of_the_host_refuses_jailed_accounts() {
    let host = host();
    install_serve(&host);
    put_services(&host);
    host.plain_user("plain");
    let services = [
        "greeter",
        "vendored",
        "bare",
        "counted",
        "closed",
        "no-such-service",
        "su",
        "su-l",
        "login",
    ];
    let of_plain = || services.map(|service| accepts(&host, service, "plain"));
    let before = (look(&host), of_plain());
    assert_eq!(before.1.map(u8::from), [1, 1, 1, 1, 0, 1, 1, 1, 1]);
    let parts = [
        "parts",
        "closed",
        "common-account",
        "passwd",
        "greeter.dpkg-old",
    ];
    let texts = || parts.map(|name| host.read(&format!("/etc/pam.d/{name}")));
    let untouched = texts();

    let (spec, harlequin) = arkham(&host, &[]);
    let _sshd = host.sshd();
    let refuses = |service: &str| assert!(!accepts(&host, service, "harlequin"), "{service}");
    services.into_iter().for_each(refuses);
    assert_eq!(of_plain(), before.1);
    assert_eq!(texts(), untouched);
    // A session alone, as runuser(1) and sudo(8) begin one.
    for (user, is_granted) in [("plain", true), ("harlequin", false)] {
        let output = host.run(["/usr/local/bin/serve", "runuser", user, "session"]);
        assert_eq!(output.success(), is_granted, "{user}");
    }
    assert_eq!(reach(&host, &harlequin), Reach::Jail);
    host.jailctl(["check"]).ok();

    // A package that comes later, one that changes its service, and one that goes.
    host.write("/etc/pam.d/later", GRANTING);
    let check = host.jailctl(["check"]).exits(1);
    assert!(check.stdout().contains("/etc/pam.d/later"), "{check:?}");
    host.jailctl(["update", "--all"]).ok();
    refuses("later");
    host.write(
        "/usr/lib/pam.d/vendored",
        &GRANTING.replace("pam_permit", "pam_deny"),
    );
    assert!(
        !accepts(&host, "vendored", "plain"),
        "it is as the vendor's"
    );
    host.write("/usr/lib/pam.d/vendored", GRANTING);
    host.jailctl(["check"]).ok();
    host.run(["rm", "/usr/lib/pam.d/vendored", "/etc/pam.d/later"])
        .ok();
    let check = host.jailctl(["check"]).exits(1);
    assert!(check.stdout().contains("/etc/pam.d/vendored"), "{check:?}");
    spec.build(&host).ok();
    assert!(!host.has("/etc/pam.d/vendored"));
    host.write("/usr/lib/pam.d/vendored", GRANTING);
    host.jailctl(["update", "--all"]).ok();
    refuses("vendored");

    host.jailctl(["remove", "arkham", "--purge"]).ok();
    assert_eq!(before.0.diff(&look(&host)), Vec::<String>::new());
    assert_eq!(of_plain(), before.1);
}

/// What sshd's service includes, and `other` for what it lacks, refuses no jailed account.
#[disposable::test]
fn a2_the_services_that_sshd_uses_admit_jailed_accounts() {
    let host = host();
    install_serve(&host);
    let plain = host.plain_user("plain");
    let _sshd = host.sshd();
    let key = host.key("harlequin");
    let (spec, harlequin) = (Spec::arkham(&key, &[]), host.login("harlequin", &key));
    host.write("/etc/pam.d/remote", GRANTING);
    for (text, of_vendor) in [
        // The session lines are those of `other`.
        ("auth include remote\naccount include remote\n", false),
        ("@include remote\n", true),
    ] {
        let path = if of_vendor {
            "/usr/lib/pam.d/sshd"
        } else {
            "/etc/pam.d/sshd"
        };
        host.run(["rm", "-f", "/etc/pam.d/sshd"]).ok();
        host.write(path, text);
        let before = look(&host);
        spec.build(&host).ok();
        assert_eq!(reach(&host, &harlequin), Reach::Jail, "{text}");
        assert_eq!(reach(&host, &plain), Reach::Host, "{text}");
        let is_other_open = accepts(&host, "no-such-service", "harlequin");
        assert!(!is_other_open, "its account lines refuse: {text}");
        host.jailctl(["check"]).ok();
        host.jailctl(["remove", "arkham", "--purge"]).ok();
        assert_eq!(before.diff(&look(&host)), Vec::<String>::new(), "{text}");
        assert_eq!(reach(&host, &plain), Reach::Host, "{text}");
    }
}

/// The lines that the build of commit e2caa1b wrote into sshd's service, and the service that it
/// created for OpenSSH 9.8 and later.
#[disposable::test]
fn again_the_lines_of_an_earlier_build_are_taken_out() {
    let host = host();
    let bare = host.read("/etc/pam.d/sshd");
    let block = "# jailctl: begin. For accounts that live in a jail; everybody else skips these lines.\n\
                 session [success=ignore default=2] pam_succeed_if.so quiet shell =~ /jail/*\n\
                 session required pam_limits.so\n\
                 session [success=done default=die] pam_jailctl.so\n\
                 # jailctl: end\n";
    let motd = bare
        .find("session    optional     pam_motd.so")
        .expect("a line");
    let (before, after) = bare.split_at(motd);
    let service = "# Written by jailctl: sshd's stack for accounts that live in a jail. What authenticates and admits them is as in /etc/pam.d/sshd.\n\
                   @include common-auth\nsession required pam_jailctl.so\n";
    let put = || {
        host.write("/etc/pam.d/sshd", &format!("{before}{block}{after}"));
        host.write("/etc/pam.d/jailctl", service);
    };
    put();
    let (_, harlequin) = arkham(&host, &[]);
    let _sshd = host.sshd();
    let text = host.read("/etc/pam.d/sshd");
    assert!(text.ends_with(&format!("# jailctl: end\n{bare}")), "{text}");
    assert!(!host.has("/etc/pam.d/jailctl"));
    assert_eq!(reach(&host, &harlequin), Reach::Jail);

    // Found and taken out of a jail that exists, and at the removal of the last jail.
    put();
    let check = host.jailctl(["check"]).exits(1);
    for path in ["/etc/pam.d/sshd", "/etc/pam.d/jailctl"] {
        assert!(check.stdout().contains(path), "{check:?}");
    }
    host.jailctl(["update", "--all"]).ok();
    assert_eq!(host.read("/etc/pam.d/sshd"), text);
    put();
    host.jailctl(["remove", "arkham", "--purge"]).ok();
    assert_eq!(host.read("/etc/pam.d/sshd"), bare);
    assert!(!host.has("/etc/pam.d/jailctl"));
}
