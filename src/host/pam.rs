//! sshd's stack of PAM, as text: whether our lines are in it, and what it is with and without them. See pam.d(5).

use std::path::{Path, PathBuf};

use super::View;
use crate::error::Result;

/// sshd's stack.
pub const STACK: &str = "/etc/pam.d/sshd";
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
/// What shows the host to whoever logs in: our lines come before the first of these.
const SHOWS_THE_HOST: [&str; 3] = ["pam_motd.so", "pam_lastlog.so", "pam_mail.so"];

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
