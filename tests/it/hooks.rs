//! Hooks of package managers and of sshd's unit, and the Debian package that calls them.

use disposable::DisposableHost;

use super::support::{Reach, arkham, host, host_with_module, reach};

/// Puts a program into the host that prints `text` and ends with `status`.
#[track_caller]
fn program(host: &DisposableHost, text: &str, status: u8) {
    host.write(
        "/usr/bin/gotham",
        &format!("#!/bin/bash\necho {text}\nexit {status}\n"),
    );
    host.sh("chmod 755 /usr/bin/gotham").ok();
}

/// An sshd in place of the host's that does not know the keyword in `/run/unknown`.
const OTHER_SSHD: &str = r#"#!/bin/bash
unknown=$(cat /run/unknown)
if grep -qiw "$unknown" /etc/ssh/sshd_config.d/*.conf; then
    echo "Bad configuration option: $unknown" >&2
    exit 255
fi
if [[ " $* " == *" -T "* ]]; then
    /usr/sbin/sshd.real "$@" | grep -viw "$unknown"
    exit "${PIPESTATUS[0]}"
fi
exec -a /usr/sbin/sshd /usr/sbin/sshd.real "$@"
"#;

#[disposable::test]
fn the_hook_updates_only_jails_whose_files_changed() {
    let host = host();
    let _sshd = host.sshd();
    program(&host, "one", 0);
    let (mut spec, login) = arkham(&host, &["gotham"]);
    spec.more.push_str("\n[[test]]\nrun = [\"gotham\"]\n");
    spec.build(&host).ok();
    host.sh("sleep 2").ok();
    let seen = host.jailctl(["hook", "packages"]).ok();
    assert_eq!(seen.stdout(), "");

    program(&host, "two", 0);
    let seen = host.jailctl(["hook", "packages"]).ok();
    assert_eq!(seen.stdout(), "jailctl: updated 1 jail (arkham): gotham\n");
    assert_eq!(login.ssh("gotham").ok().stdout(), "two\n");
    let traced = "strace -f -qq -e trace=flock,execve -o /run/trace jailctl hook packages; grep -c flock /run/trace";
    assert_eq!(
        host.sh(traced).stdout().trim(),
        "0",
        "the second run is quick"
    );

    // Files and libraries of no jail.
    host.sh("cp /bin/true /usr/bin/unrelated && cp /lib/x86_64-linux-gnu/libz.so.1 /usr/lib/x86_64-linux-gnu/libunrelated.so.1 && ldconfig")
        .ok();
    assert_eq!(host.sh(traced).stdout().trim(), "0", "no jail has them");

    program(&host, "three", 1);
    let seen = host.jailctl(["hook", "packages"]).ok();
    let kept = "jailctl: kept 1 jail as before the upgrade (arkham), `jailctl update` shows why\n";
    assert_eq!(seen.stdout(), kept);
    assert_eq!(login.ssh("gotham").ok().stdout(), "two\n");
    let again = host.jailctl(["hook", "packages"]).ok();
    assert_eq!(again.stdout(), kept);
    program(&host, "four", 0);
    host.jailctl(["hook", "packages"]).ok();
    assert_eq!(login.ssh("gotham").ok().stdout(), "four\n");
}

#[disposable::test]
fn sshd_starts_after_an_upgrade_that_refuses_snippets() {
    let host = host_with_module();
    let (_, login) = arkham(&host, &[]);
    host.sh("mv /usr/sbin/sshd /usr/sbin/sshd.real").ok();
    host.write("/usr/sbin/sshd", OTHER_SSHD);
    host.sh("chmod 755 /usr/sbin/sshd; mkdir -p /run/sshd; echo TrustedUserCAKeys >/run/unknown")
        .ok();
    let starts = "/usr/sbin/sshd -t";
    assert!(
        !host.sh(starts).success(),
        "the sshd of this test refuses them"
    );
    let seen = host.jailctl(["hook", "sshd"]).ok();
    assert!(
        seen.stdout().contains("sshd snippets were written again: "),
        "{seen:?}"
    );
    host.sh(starts).ok();
    let sshd = host.sshd();
    assert_eq!(reach(&host, &login), Reach::Jail);
    host.jailctl(["update", "--all"]).ok();
    host.jailctl(["check"]).ok();

    host.sh("echo ChrootDirectory >/run/unknown; touch /usr/sbin/sshd")
        .ok();
    let seen = host.jailctl(["hook", "sshd"]).ok();
    assert!(
        seen.stdout()
            .contains("without the accounts of jail-arkham, which cannot log in: "),
        "{seen:?}"
    );
    sshd.restart();
    assert_eq!(reach(&host, &login), Reach::Nothing);
    assert!(!host.jailctl(["check"]).success(), "the snippet is missing");

    host.sh("mv /usr/sbin/sshd.real /usr/sbin/sshd").ok();
    assert_eq!(host.jailctl(["hook", "sshd"]).ok().stdout(), "");
    host.jailctl(["update", "--all"]).ok();
    sshd.restart();
    assert_eq!(reach(&host, &login), Reach::Jail);
}

#[disposable::test]
fn a_removed_package_leaves_jails_closed_and_is_not_purged() {
    let host = host();
    let _sshd = host.sshd();
    let repository = env!("CARGO_MANIFEST_DIR");
    let binary = env!("CARGO_BIN_EXE_jailctl");
    host.sh(&format!(
        "mkdir /run/binaries && cp {binary} /run/binaries/jailctl \
         && cp $(dirname {binary})/deps/libpam_jailctl.so /run/binaries/ \
         && cd {repository} && git config --global --add safe.directory '*' \
         && package=$(COMPRESSION=none BINARIES=/run/binaries packaging/build deb 2>/dev/null) \
         && cp $package /run/jailctl.deb && dpkg -i /run/jailctl.deb"
    ))
    .ok();
    let (_, login) = arkham(&host, &[]);
    assert_eq!(reach(&host, &login), Reach::Jail);
    host.sh("dpkg --verify jailctl").ok();
    let seen = host.sh("dpkg -r jailctl 2>&1").ok();
    assert!(seen.stdout().contains("these jails stay"), "{seen:?}");
    assert_eq!(reach(&host, &login), Reach::Nothing);
    let seen = host.sh("dpkg -P jailctl 2>&1");
    assert!(!seen.success(), "there are records of a jail");
    assert!(
        seen.stdout().contains("the jail `arkham` exists"),
        "{seen:?}"
    );
    host.sh("dpkg -i /run/jailctl.deb").ok();
    assert_eq!(reach(&host, &login), Reach::Jail);
    host.sh("jailctl remove --purge arkham && dpkg -P jailctl")
        .ok();
    assert!(!host.has("/var/lib/jailctl"), "no record is left");
    assert!(!host.has("/etc/jailctl"), "no directory is left");
}
