//! The marked lines of jailctl in a PAM service, as text.
//!
//! Jailed accounts leave the session stack of sshd's service before the modules of the host run for
//! them: pam_systemd(8) would start a user manager outside of the jail, pam_mkhomedir(8) would
//! create a home there. The lines for this are the first session lines of the service, so that they
//! are within no jump of the administrator's lines, and no such jump skips them.

use super::lines::{Facility, logical_lines};
use super::modules::{GUARD, LIMITS, Modules};
use crate::layout::{PAM_MODULE, PAM_SERVICE_DIRS, SHELL_PATTERN};

const BEGIN: &str = "# jailctl: begin. Lines for jailed accounts; all other accounts skip them.";
const END: &str = "# jailctl: end";
/// End of each line of the block, a comment to libpam.
const MARK: &str = " # jailctl";
/// First line of the blocks of earlier builds.
const FORMER_BEGIN: &str =
    "# jailctl: begin. For accounts that live in a jail; everybody else skips these lines.";
/// Lines of the block of earlier builds that had no mark.
const FORMER_LINES: [&str; 3] = [
    "session [success=ignore default=2] pam_succeed_if.so quiet shell =~ /jail/*",
    "session required pam_limits.so",
    "session [success=done default=die] pam_jailctl.so",
];
/// First line of the service `jailctl` of earlier builds.
const FORMER_SERVICE_HEAD: &str =
    "# Written by jailctl: sshd's stack for accounts that live in a jail.";
/// Modules of the service that run for jailed accounts too: login user id of the audit trail,
/// session keyring, SELinux context, audit of terminals.
const PASSED_ON: [&str; 4] = [
    "pam_loginuid.so",
    "pam_keyinit.so",
    "pam_selinux.so",
    "pam_tty_audit.so",
];

/// Text of a service that is `base` with the block as its first lines. `source` is the text whose
/// modules are passed on to jailed accounts; both are without a block. `has_session`: whether
/// `base` has session lines.
///
/// Each line of the block ends the stack of a jailed account at once if it fails, and the last one
/// ends it on success: no line after the block runs for such an account. For other accounts the
/// first line skips the whole block.
pub(super) fn with_block(base: &str, source: &str, modules: &Modules, has_session: bool) -> String {
    let mut lines: Vec<String> = logical_lines(source)
        .iter()
        .filter(|line| is_passed_on(line))
        .map(|line| strict(line))
        .collect();
    if modules.has_limits {
        lines.push(format!("session requisite {LIMITS}"));
    }
    lines.push(if modules.has_ours {
        // For an account without a jail the module returns PAM_IGNORE: if a line of the
        // administrator is put into the block, no such account ends here by mistake.
        format!("session [success=done ignore=ignore default=die] {PAM_MODULE}")
    } else {
        // For a jailed account only, too.
        format!("session [success=done default=ignore] {GUARD} quiet shell =~ {SHELL_PATTERN}")
    });
    let guard = format!(
        "session [success=ignore default={}] {GUARD} quiet shell =~ {SHELL_PATTERN}",
        lines.len()
    );
    lines.insert(0, guard);
    if !has_session {
        // libpam would take them from this service for all accounts if the block were not there.
        lines.push("session include other".to_owned());
    }
    with_lines(&lines, base)
}

/// Text of a service that is `base` with the block that refuses jailed accounts, in each of
/// `facilities`, as its first lines.
pub(super) fn with_refusal(base: &str, facilities: &[Facility]) -> String {
    let lines = facilities.iter().map(|facility| refusal_line(*facility));
    with_lines(&lines.collect::<Vec<_>>(), base)
}

/// The line that refuses jailed accounts. An error of pam_succeed_if(8) itself refuses no account.
fn refusal_line(facility: Facility) -> String {
    format!(
        "{} [success=ignore auth_err=die default=ignore] {GUARD} quiet shell !~ {SHELL_PATTERN}",
        facility.keyword()
    )
}

/// Whether a text has a block that refuses jailed accounts.
pub(super) fn is_refusal(text: &str) -> bool {
    let mut lines = Facility::ALL.into_iter().map(refusal_line);
    lines.any(|line| text.contains(&line))
}

fn with_lines(lines: &[String], base: &str) -> String {
    let mut with = format!("{BEGIN}\n");
    for line in lines {
        with.push_str(line);
        with.push_str(MARK);
        with.push('\n');
    }
    with.push_str(END);
    with.push('\n');
    with.push_str(base);
    with
}

/// Text of a service without the block, and otherwise unchanged. A line that an administrator wrote
/// into the block stays.
pub(super) fn without_block(text: &str) -> String {
    let mut is_former = false;
    let mut bare = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        let content = line.trim_end();
        match content {
            BEGIN => {}
            FORMER_BEGIN => is_former = true,
            END => is_former = false,
            _ if content.ends_with(MARK) => {}
            _ if is_former && FORMER_LINES.contains(&content) => {}
            _ => {
                is_former = false;
                bare.push_str(line);
            }
        }
    }
    bare
}

/// Whether a text has a block of an earlier build.
pub(super) fn is_former(text: &str) -> bool {
    text.lines().any(|line| line.trim_end() == FORMER_BEGIN)
}

/// Whether a text is that of the service `jailctl` which earlier builds created.
pub(super) fn is_former_service(text: &str) -> bool {
    text.starts_with(FORMER_SERVICE_HEAD)
}

/// Text of a service of the administrator that is the one of the distribution, also after that has
/// changed: it includes its lines.
pub(super) fn vendor_lines(name: &str) -> String {
    let line = |facility: Facility| {
        format!(
            "{} include {}/{name}\n",
            facility.keyword(),
            PAM_SERVICE_DIRS[1]
        )
    };
    Facility::ALL.into_iter().map(line).collect()
}

/// Whether a line of the service runs for jailed accounts too.
fn is_passed_on(line: &str) -> bool {
    let mut words = line.split_whitespace();
    words.next().map(|word| word.trim_start_matches('-')) == Some("session")
        && words.any(|word| {
            let name = word.rsplit('/').next();
            name.is_some_and(|name| PASSED_ON.contains(&name))
        })
}

/// The line with a control by which a failure ends the stack at once.
fn strict(line: &str) -> String {
    let words = line.split_whitespace().map(|word| match word {
        "required" => "requisite",
        word => word,
    });
    let line = words.collect::<Vec<_>>().join(" ");
    line.replace("default=bad", "default=die")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::PAM_MODULE_DIRS;

    const DEBIAN: &str = "\
@include common-auth
account  required     pam_nologin.so
session [success=ok ignore=ignore module_unknown=ignore default=bad]        pam_selinux.so close
session    required     pam_loginuid.so
session    optional     pam_keyinit.so force revoke
@include common-session
session    optional     pam_motd.so noupdate
session    required     pam_limits.so
";

    fn modules(has_ours: bool) -> Modules {
        Modules {
            directory: PAM_MODULE_DIRS[0].into(),
            has_ours,
            has_limits: true,
        }
    }

    fn of_sshd(text: &str, has_ours: bool) -> String {
        let bare = without_block(text);
        with_block(&bare, &bare, &modules(has_ours), true)
    }

    #[test]
    fn the_block_comes_before_all_session_lines_and_goes_without_a_trace() {
        let with = of_sshd(DEBIAN, true);
        let expected = format!(
            "{BEGIN}\n\
session [success=ignore default=5] pam_succeed_if.so quiet shell =~ /jail/* # jailctl\n\
session [success=ok ignore=ignore module_unknown=ignore default=die] pam_selinux.so close # jailctl\n\
session requisite pam_loginuid.so # jailctl\n\
session optional pam_keyinit.so force revoke # jailctl\n\
session requisite pam_limits.so # jailctl\n\
session [success=done ignore=ignore default=die] pam_jailctl.so # jailctl\n\
{END}\n{DEBIAN}"
        );
        assert_eq!(with, expected);
        assert_eq!(without_block(&with), DEBIAN);
        assert_eq!(of_sshd(&with, true), with);
    }

    #[test]
    fn without_the_module_a_jailed_account_leaves_the_stack_all_the_same() {
        let with = of_sshd("session optional pam_systemd.so\n", false);
        let lines: Vec<&str> = with.lines().collect();
        assert_eq!(
            lines,
            [
                BEGIN,
                "session [success=ignore default=2] pam_succeed_if.so quiet shell =~ /jail/* # jailctl",
                "session requisite pam_limits.so # jailctl",
                "session [success=done default=ignore] pam_succeed_if.so quiet shell =~ /jail/* # jailctl",
                END,
                "session optional pam_systemd.so",
            ]
        );
    }

    #[test]
    fn lines_that_go_on_are_read_as_one() {
        let text = "session \\\n  required pam_loginuid.so\n-session optional pam_tty_audit.so enable=* # all\n";
        let with = of_sshd(text, true);
        assert!(
            with.contains("\nsession requisite pam_loginuid.so # jailctl\n"),
            "{with}"
        );
        assert!(
            with.contains("\n-session optional pam_tty_audit.so enable=* # jailctl\n"),
            "{with}"
        );
        assert_eq!(without_block(&with), text);
    }

    #[test]
    fn what_an_administrator_wrote_into_the_block_stays() {
        let with = of_sshd(DEBIAN, true);
        let edited = with.replacen(END, "session required pam_mine.so\n# jailctl: end", 1);
        assert_eq!(
            without_block(&edited),
            format!("session required pam_mine.so\n{DEBIAN}")
        );
        let cut = with.replacen(&format!("{END}\n"), "", 1);
        assert_eq!(without_block(&cut), DEBIAN);
    }

    #[test]
    fn a_refusal_precedes_all_lines_of_its_facilities() {
        let cron = "@include common-auth\naccount required pam_access.so\n";
        let line = |facility: &str| {
            format!(
                "{facility} [success=ignore auth_err=die default=ignore] pam_succeed_if.so quiet \
                 shell !~ /jail/* # jailctl"
            )
        };
        let with = with_refusal(cron, &[Facility::Account, Facility::Session]);
        let (account, session) = (line("account"), line("session"));
        assert_eq!(
            with,
            format!("{BEGIN}\n{account}\n{session}\n{END}\n{cron}")
        );
        assert!(is_refusal(&with) && !is_refusal(&of_sshd(DEBIAN, true)));
        assert_eq!(without_block(&with), cron);
    }

    #[test]
    fn the_unmarked_lines_of_earlier_builds_are_removed() {
        let before = "session required pam_limits.so\nsession optional pam_mail.so\n";
        let block = format!("{FORMER_BEGIN}\n{}\n{END}\n", FORMER_LINES.join("\n"));
        assert_eq!(without_block(&format!("{block}{before}")), before);
        assert_eq!(without_block(&format!("{before}{block}")), before);
        // What an administrator wrote after the block lost its end is not of the block.
        let cut = format!(
            "{FORMER_BEGIN}\n{}\nsession optional pam_mine.so\n{before}",
            FORMER_LINES[0]
        );
        assert_eq!(
            without_block(&cut),
            format!("session optional pam_mine.so\n{before}")
        );
    }
}
