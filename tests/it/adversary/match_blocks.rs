//! Match blocks of others that come first: whatever their criteria are and however they are
//! written, what sshd would do is seen before and after.

use super::super::support::{arkham, host};

/// Where the blocks of others are.
const THEIRS: &str = "/etc/ssh/sshd_config.d/01-theirs.conf";

/// Lines that hold for some connections only, each hidden from a reader who splits at blanks or
/// asks about the first address of a list.
const LINES: [&str; 10] = [
    // Those of the finding.
    "Match Address=127.0.1.0/24",
    "Match Group=jail-arkham Address=127.0.1.0/24",
    "Match Address 127.0.0.0/8,!127.0.0.0/24",
    "Match Address !127.0.0.0/24,127.0.*",
    // More of their kind.
    "Match User harlequin LocalPort=2222",
    "match=\"RDomain\" vrf*",
    "Match Host !localhost,*.example",
    "Match LocalAddress=192.168.0.0/16 # of the office",
    "Match Address 2001:db8::/32 Group *,!root",
    "Match User h*\nInclude /etc/ssh/more.conf\nMatch User nobody",
];

#[disposable::test]
fn b5_match_lines_are_read_as_sshd_reads_them() {
    let host = host();
    let (spec, _) = arkham(&host, &[]);
    host.run(["mkdir", "-p", "/srv/other"]).ok();
    let settings = "    ChrootDirectory /srv/other\n    ForceCommand internal-sftp\n";
    host.write(
        "/etc/ssh/more.conf",
        &format!("Match LocalPort 2223\n{settings}"),
    );
    for line in LINES {
        host.write(THEIRS, &format!("{line}\n{settings}"));
        let found = host.jailctl(["check", "arkham"]).exits(1);
        assert!(
            found.stdout().contains("`chrootdirectory` is `/srv/other`"),
            "{line}: {found:?}"
        );
        let refused = spec.build(&host).exits(4);
        assert!(
            refused
                .stderr()
                .contains("`chrootdirectory` is `/srv/other`"),
            "{line}: {refused:?}"
        );
    }
    // A block for another user affects no jailed account.
    host.write(
        THEIRS,
        &format!("Match User ann Address=127.0.1.0/24\n{settings}"),
    );
    spec.build(&host).ok();
    host.jailctl(["check", "arkham"]).ok();
}

#[disposable::test]
fn b5_a_match_line_that_cannot_be_read_is_refused() {
    let host = host();
    let (spec, _) = arkham(&host, &[]);
    // sshd takes it: whom it is for depends on the number of an interface.
    host.write(
        THEIRS,
        "# theirs\nMatch Address=fe80::1%lo\n    PermitTTY no\n",
    );
    host.sh("mkdir -p /run/sshd; sshd -t").ok();
    let refused = spec.build(&host).exits(4);
    let named = format!("line 2 of {THEIRS} cannot be evaluated");
    assert!(refused.stderr().contains(&named), "{refused:?}");
    let found = host.jailctl(["check", "arkham"]).exits(1);
    assert!(found.stdout().contains(&named), "{found:?}");
    // It does not prevent the removal of the jail.
    host.jailctl(["remove", "arkham"]).ok();
}
