//! What a host's monitoring sees: entries of the journal with their fields, and metrics.

use super::support::{arkham, host_with_module};

/// A listener in place of systemd-journald, which writes each datagram to `/run/journal`.
const JOURNAL: &str = "use Socket; mkdir '/run/systemd'; mkdir '/run/systemd/journal'; $s = '/run/systemd/journal/socket'; unlink $s; \
    socket(S, AF_UNIX, SOCK_DGRAM, 0) or die; bind(S, sockaddr_un($s)) or die; chmod 0666, $s; \
    open(L, '>>', '/run/journal'); select(L); $| = 1; if (fork) { exit } while (recv(S, $m, 65536, 0) || 1) { print \"$m--\\n\" }";

#[disposable::test]
fn the_journal_has_fields_for_builds_and_sessions() {
    let host = host_with_module();
    let _sshd = host.sshd();
    host.write("/root/journal.pl", JOURNAL);
    host.sh("perl /root/journal.pl </dev/null >/dev/null 2>&1")
        .ok();
    let (mut spec, login) = arkham(&host, &[]);
    login.ssh("true").ok();
    spec.binaries.push("id");
    spec.more
        .push_str("\n[[test]]\nrun = [\"ls\", \"/nowhere\"]\n");
    spec.build(&host).fails();
    host.sh(
        "cp /var/lib/jailctl/arkham/policy /run/policy; echo '{' >/var/lib/jailctl/arkham/policy",
    )
    .ok();
    login.ssh("true").fails();
    login.ssh("true").fails();
    let entries = host.read("/run/journal");
    for (id, text) in [
        (
            "8536943e5bdf4e0a945b286708a5977f",
            "MESSAGE=jail arkham changed: ",
        ),
        (
            "189113229ba44f31885951d921f76214",
            "session opened: jail arkham, user harlequin",
        ),
        (
            "9c25b687a0534f7681aa02b2959ddf3d",
            "session closed: jail arkham",
        ),
        (
            "4024108c9659449ea5b5a54664f66271",
            "MESSAGE=build of arkham failed: ",
        ),
        ("7cdd1e9ac3ae472e8a87ae8ecaf9b348", "no session: "),
    ] {
        let entry = (entries.split("--\n"))
            .find(|entry| entry.contains(&format!("MESSAGE_ID={id}\n")))
            .unwrap_or_else(|| panic!("no entry {id} in {entries}"));
        assert!(entry.contains(text), "{text} is not in {entry}");
        assert!(entry.contains("JAILCTL_JAIL=arkham\n"), "{entry}");
        let is_session = entry.contains("pam_jailctl(sshd:session): ");
        assert_eq!(
            entry.contains("JAILCTL_USER=harlequin\n"),
            is_session,
            "{entry}"
        );
    }

    let metrics = host.jailctl(["metrics"]).ok();
    for line in [
        "jailctl_jails 1",
        "jailctl_users{jail=\"arkham\"} 1",
        "jailctl_differences{jail=\"arkham\"} 1",
        "jailctl_refused_sessions_total{jail=\"arkham\",reason=\"damaged\"} 2",
        "# EOF",
    ] {
        assert!(metrics.lines().contains(&line), "{line}: {metrics:?}");
    }
    host.sh("cp /run/policy /var/lib/jailctl/arkham/policy")
        .ok();
    let metrics = host.jailctl(["metrics"]).ok();
    let line = "jailctl_differences{jail=\"arkham\"} 0";
    assert!(metrics.lines().contains(&line), "{metrics:?}");
    login.ssh("true").ok();
}
