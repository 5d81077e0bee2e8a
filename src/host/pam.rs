//! The stacks of PAM by which sshd begins sessions of jailed accounts, as text. See pam.d(5).
//!
//! From OpenSSH 9.8 a snippet names a stack ([`SERVICE`]), and jailed accounts have one of their own, made of sshd's. Before that three lines of ours
//! stand in sshd's.

use std::path::{Path, PathBuf};

use super::View;
use crate::error::Result;

/// sshd's stack.
pub const STACK: &str = "/etc/pam.d/sshd";
/// What a snippet calls the stack of jailed accounts.
pub const SERVICE: &str = "jailctl";
/// That stack.
pub const OWN: &str = "/etc/pam.d/jailctl";
/// The module's file name.
pub const MODULE: &str = "pam_jailctl.so";

/// Where distributions keep modules; libpam looks in one of them.
const MODULES: [&str; 8] = [
    "/usr/lib/x86_64-linux-gnu/security",
    "/usr/lib/aarch64-linux-gnu/security",
    "/usr/lib64/security",
    "/usr/lib/security",
    "/lib/x86_64-linux-gnu/security",
    "/lib/aarch64-linux-gnu/security",
    "/lib64/security",
    "/lib/security",
];
/// A module that every installation of Linux-PAM has, and that our lines use.
const GUARD: &str = "pam_succeed_if.so";

const BEGIN: &str =
    "# jailctl: begin. For accounts that live in a jail; everybody else skips these lines.";
const END: &str = "# jailctl: end";
/// Jailed accounts leave the stack with the last line: what would follow is the host's, its message of the day among them.
const LINES: [&str; 3] = [
    "session [success=ignore default=2] pam_succeed_if.so quiet shell =~ /jail/*",
    "session required pam_limits.so",
    "session [success=done default=die] pam_jailctl.so",
];
/// How our own stack begins.
const HEAD: &str = "# Written by jailctl: sshd's stack for accounts that live in a jail. What authenticates and admits them is as in /etc/pam.d/sshd.\n";
/// What a session has before ours, where sshd's stack has it: the audit trail's login, a keyring, a label.
const KEPT: [&str; 3] = ["pam_loginuid.so", "pam_keyinit.so", "pam_selinux.so"];
/// What it has at the end.
const LAST: [&str; 2] = [
    "session required pam_limits.so",
    "session required pam_jailctl.so",
];
/// What shows the host to whoever logs in: our lines come before the first of these.
const SHOWS_THE_HOST: [&str; 3] = ["pam_motd.so", "pam_lastlog.so", "pam_mail.so"];

/// A change of a stack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edit {
    /// The file.
    pub path: PathBuf,
    /// Its text as it is; `None` where it is not there.
    pub from: Option<String>,
    /// As it is to be; `None` where it is to go.
    pub to: Option<String>,
}

/// The stack of jailed accounts, where sshd's is `text`: the same but for sessions, of which it has what is not the host's.
pub fn own_stack(text: &str) -> String {
    let bare = without_lines(text);
    let is_kept = |line: &&str| {
        let words = line.split_whitespace().collect::<Vec<_>>();
        match words.first().map(|word| word.trim_start_matches('-')) {
            Some("auth" | "account" | "password") => true,
            Some("@include") => !line.contains("session"),
            Some("session") => KEPT.iter().any(|module| line.contains(module)),
            _ => false,
        }
    };
    let kept = bare.lines().map(str::trim).filter(is_kept);
    let lines = kept.chain(LAST).flat_map(|line| [line, "\n"]);
    std::iter::once(HEAD).chain(lines).collect()
}

/// Whether the text is a stack of ours.
pub fn is_own(text: &str) -> bool {
    text.starts_with(HEAD)
}

/// The directory of libpam's modules, and whether ours is there; `None` where libpam is not.
pub fn modules(view: &View) -> Result<Option<(PathBuf, bool)>> {
    for directory in MODULES.map(Path::new) {
        if view.stat(&directory.join(GUARD))?.is_some() {
            let ours = view.stat(&directory.join(MODULE))?.is_some();
            return Ok(Some((directory.to_owned(), ours)));
        }
    }
    Ok(None)
}

/// The stack `text` with our lines in their place, whether they were there or not.
pub fn with_lines(text: &str) -> String {
    let bare = without_lines(text);
    let lines: Vec<&str> = bare.lines().collect();
    let is_session = |line: &&str| {
        let line = line.trim_start();
        line.trim_start_matches('-').starts_with("session")
    };
    let shows = |line: &&str| SHOWS_THE_HOST.iter().any(|module| line.contains(module));
    let at = lines
        .iter()
        .position(|line| is_session(line) && shows(line))
        .unwrap_or(lines.len());
    let (before, after) = lines.split_at(at);
    let mut with: Vec<&str> = before.to_vec();
    with.push(BEGIN);
    with.extend(LINES);
    with.push(END);
    with.extend(after);
    with.iter().flat_map(|line| [line, "\n"]).collect()
}

/// The stack `text` without our lines, and otherwise as it is.
pub fn without_lines(text: &str) -> String {
    let mut kept = String::new();
    let mut ours = false;
    for line in text.split_inclusive('\n') {
        match line.trim_end() {
            BEGIN => ours = true,
            END if ours => ours = false,
            // Without its end, the block is what we know of it and no more: what an administrator wrote there stays.
            other if ours && LINES.contains(&other) => {}
            _ => {
                ours = false;
                kept.push_str(line);
            }
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEBIAN: &str = "\
auth include common-auth
session required pam_loginuid.so
# motd
session    optional     pam_motd.so  motd=/run/motd.dynamic
session    optional     pam_motd.so noupdate
session required pam_limits.so
";

    #[test]
    fn the_lines_come_before_what_shows_the_host() {
        let with = with_lines(DEBIAN);
        let at = |text: &str| with.find(text).expect(text);
        assert!(at("pam_loginuid") < at(BEGIN));
        assert!(at(BEGIN) < at(LINES[0]) && at(LINES[2]) < at(END));
        assert!(at(END) < at("motd=/run"));
        assert_eq!(without_lines(&with), DEBIAN);
        assert_eq!(with_lines(&with), with);
    }

    #[test]
    fn the_lines_come_last_where_nothing_does() {
        let with = with_lines("session required pam_unix.so");
        assert!(with.starts_with("session required pam_unix.so\n# jailctl: begin"));
        assert!(with.ends_with(&format!("{END}\n")));
    }

    #[test]
    fn a_stack_of_our_own_is_sshds_without_the_hosts_sessions() {
        let debian = "auth required pam_faillock.so\n@include common-auth\naccount  required     pam_nologin.so\n@include common-account\n\
            session [success=ok ignore=ignore module_unknown=ignore default=bad]        pam_selinux.so close\nsession    required     pam_loginuid.so\n\
            session    optional     pam_keyinit.so force revoke\n@include common-session\nsession    optional     pam_motd.so noupdate\n\
            session    required     pam_env.so\n@include common-password\n";
        let own = own_stack(&with_lines(debian));
        assert_eq!(
            own,
            format!(
                "{HEAD}auth required pam_faillock.so\n@include common-auth\naccount  required     pam_nologin.so\n@include common-account\n\
                session [success=ok ignore=ignore module_unknown=ignore default=bad]        pam_selinux.so close\nsession    required     pam_loginuid.so\n\
                session    optional     pam_keyinit.so force revoke\n@include common-password\nsession required pam_limits.so\nsession required pam_jailctl.so\n"
            )
        );
        assert!(is_own(&own) && !is_own(debian));
        // As Fedora has it.
        let own = own_stack(
            "auth       substack     password-auth\n-session   optional     pam_reauthorize.so prepare\nsession    include      password-auth\nsession    include      postlogin\n",
        );
        assert_eq!(
            own,
            format!(
                "{HEAD}auth       substack     password-auth\n{}\n{}\n",
                LAST[0], LAST[1]
            )
        );
    }

    #[test]
    fn what_an_administrator_wrote_stays() {
        let with = with_lines(DEBIAN);
        for (from, to) in [
            (END, ""),
            (LINES[2], "session required pam_mine.so"),
            (LINES[0], ""),
            (
                "\n# jailctl: end",
                "\nsession required pam_mine.so\n# jailctl: end",
            ),
        ] {
            let edited = with.replacen(from, to, 1);
            assert_ne!(edited, with);
            let bare = without_lines(&edited);
            for line in DEBIAN.lines() {
                assert!(bare.contains(line), "{bare}");
            }
            assert_eq!(bare.contains("pam_mine"), to.contains("pam_mine"), "{bare}");
        }
    }
}
