//! The PAM service by which sshd begins sessions, as text: see pam.conf(5).
//!
//! Jailed accounts leave the service's session stack before anything of the host's runs for them: pam_systemd(8) would start a manager of the user's
//! outside of the jail, pam_mkhomedir(8) would make a home there. The lines that do this are the first session lines of the service, so that no
//! jump of a line of the administrator's is made longer or shorter by them, and no such jump passes over them.

use std::path::{Path, PathBuf};

use super::stat::FileKind;
use super::view::HostView;
use crate::error::{Error, Result};
use crate::layout::{PAM_MODULE, PAM_MODULE_DIRS, PAM_SERVICE_DIRS, SHELL_PATTERN};

/// The service that sshd asks, unless its configuration names another (`PAMServiceName`, from OpenSSH 9.8).
pub const SSHD: &str = "sshd";

/// A module that every installation of Linux-PAM has, and that the block uses.
const GUARD: &str = "pam_succeed_if.so";
/// The module that sets the limits of limits.conf(5).
const LIMITS: &str = "pam_limits.so";

const BEGIN: &str =
    "# jailctl: begin. For accounts that live in a jail; everybody else skips these lines.";
const END: &str = "# jailctl: end";
/// The end of each line of the block, a comment to libpam.
const MARK: &str = " # jailctl";
/// Modules of the service that hold for jailed accounts too: the login user id of the audit trail, the session keyring, the SELinux context, the audit of
/// terminals.
const PASSED_ON: [&str; 4] = [
    "pam_loginuid.so",
    "pam_keyinit.so",
    "pam_selinux.so",
    "pam_tty_audit.so",
];
/// A service is text; one above this size is not.
const LIMIT: u64 = 1 << 20;

/// Services by which the host itself would run something as a jailed account: jobs, shells, and systemd's manager of a user.
const REFUSING: [&str; 16] = [
    "atd",
    "cockpit",
    "cron",
    "crond",
    "gdm-password",
    "lightdm",
    "login",
    "proftpd",
    "remote",
    "sddm",
    "su",
    "su-l",
    "systemd-user",
    "vsftpd",
    "xdm",
    "xrdp-sesman",
];
/// The line of the block in these services. An error of pam_succeed_if(8) itself refuses no account.
fn refusal_line() -> String {
    format!(
        "account [success=ignore auth_err=die default=ignore] {GUARD} quiet shell !~ {SHELL_PATTERN}"
    )
}

/// A change of a file of the host's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edit {
    /// The file.
    pub path: PathBuf,
    /// Its text as it is; `None` where it is not there.
    pub from: Option<String>,
    /// As it is to be; `None` where it is to go.
    pub to: Option<String>,
}

impl Edit {
    /// Whether it is about the block by which a service refuses jailed accounts.
    pub fn is_refusal(&self) -> bool {
        [&self.from, &self.to]
            .into_iter()
            .flatten()
            .any(|text| text.contains(&refusal_line()))
    }
}

/// The modules that a host has, as far as the block depends on them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Modules {
    /// The directory of libpam's modules.
    pub directory: PathBuf,
    /// Whether [`PAM_MODULE`] is in it.
    pub has_ours: bool,
    /// Whether pam_limits(8) is.
    has_limits: bool,
}

impl Modules {
    /// Looks for them; `None` where libpam is not installed.
    pub fn find(view: &HostView) -> Result<Option<Self>> {
        for directory in PAM_MODULE_DIRS.map(Path::new) {
            if view.stat(&directory.join(GUARD))?.is_some() {
                return Ok(Some(Self {
                    directory: directory.to_owned(),
                    has_ours: view.stat(&directory.join(PAM_MODULE))?.is_some(),
                    has_limits: view.stat(&directory.join(LIMITS))?.is_some(),
                }));
            }
        }
        Ok(None)
    }
}

/// The service that sshd asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// Its file in the administrator's directory.
    pub path: PathBuf,
    /// The text of that file; `None` where it is not there.
    text: Option<String>,
    /// The text of the distribution's, which libpam reads where the administrator has none.
    vendor: Option<String>,
}

impl Service {
    /// Reads the service `name`; `None` where the host has none of that name.
    pub fn read(view: &HostView, name: &str) -> Result<Option<Self>> {
        let text = |directory: &str| text(view, &Path::new(directory).join(name));
        let path = Path::new(PAM_SERVICE_DIRS[0]).join(name);
        let service = Self {
            // A link stays one: what it leads to is changed.
            path: view
                .resolve_links(&path)?
                .map_or(path, |passage| passage.real),
            text: text(PAM_SERVICE_DIRS[0])?,
            vendor: text(PAM_SERVICE_DIRS[1])?,
        };
        Ok(Some(service).filter(|service| service.text.is_some() || service.vendor.is_some()))
    }

    /// The change that gives the service the block in its place; `None` where it has it.
    pub fn with_block(&self, modules: &Modules) -> Option<Edit> {
        let text = self.text.as_ref().or(self.vendor.as_ref())?;
        self.edit(Some(with_block(text, modules)))
    }

    /// The change by which the service refuses jailed accounts; `None` where it does.
    fn with_refusal(&self) -> Option<Edit> {
        let text = self.text.as_ref().or(self.vendor.as_ref())?;
        self.edit(Some(with_refusal(text)))
    }

    /// The change that takes the block away, and with it a copy of the distribution's service that was made for it; `None` where there is none.
    fn without_block(&self) -> Option<Edit> {
        let text = self.text.as_ref()?;
        let bare = without_block(text);
        if bare == *text {
            return None;
        }
        let is_copy = self.vendor.as_ref() == Some(&bare);
        self.edit(Some(bare).filter(|_| !is_copy))
    }

    fn edit(&self, to: Option<String>) -> Option<Edit> {
        (self.text != to).then(|| Edit {
            path: self.path.clone(),
            from: self.text.clone(),
            to,
        })
    }

    /// Whether the service's file has lines that call [`PAM_MODULE`].
    pub fn calls_module(&self) -> bool {
        let mut lines = self.text.iter().flat_map(|text| text.lines());
        lines.any(|line| !line.starts_with('#') && line.contains(PAM_MODULE))
    }
}

/// The changes by which the host's other services refuse jailed accounts: whatever cron(8), atd(8), su(1) or login(1) ran as such an account would be outside of
/// its jail. `sshd` is the service that sshd asks, which has a block of its own.
pub fn refusals(view: &HostView, sshd: &str) -> Result<Vec<Edit>> {
    let mut edits = Vec::new();
    for name in REFUSING.iter().filter(|name| **name != sshd) {
        let service = Service::read(view, name)?;
        add(
            service.and_then(|service| service.with_refusal()),
            &mut edits,
        );
    }
    Ok(edits)
}

/// The changes that take the block away wherever it is.
pub fn without_blocks(view: &HostView) -> Result<Vec<Edit>> {
    let mut edits = Vec::new();
    for name in view
        .list(Path::new(PAM_SERVICE_DIRS[0]))?
        .unwrap_or_default()
    {
        if let Some(name) = name.to_str()
            && is_service(view, &Path::new(PAM_SERVICE_DIRS[0]).join(name))
            && let Some(service) = Service::read(view, name)?
        {
            add(service.without_block(), &mut edits);
        }
    }
    Ok(edits)
}

/// Adds the change of a file, once: two names may lead to one file.
fn add(edit: Option<Edit>, edits: &mut Vec<Edit>) {
    edits.extend(edit.filter(|edit| edits.iter().all(|other| other.path != edit.path)));
}

/// Whether something in a directory of services can be one: anything may lie there, and libpam opens only what is asked for.
fn is_service(view: &HostView, path: &Path) -> bool {
    let passage = view.resolve_links(path).ok().flatten();
    passage
        .is_some_and(|passage| passage.stat.kind() == FileKind::File && passage.stat.size <= LIMIT)
}

fn text(view: &HostView, path: &Path) -> Result<Option<String>> {
    let Some(bytes) = view.read(path, LIMIT)? else {
        return Ok(None);
    };
    String::from_utf8(bytes).map(Some).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        Error::failed(format!(
            "could not use the PAM service `{}`",
            path.display()
        ))
        .why(format!("its text is not UTF-8, at byte {at}"))
        .hint("write it again as UTF-8: `iconv -f latin1 -t utf-8`")
    })
}

/// The text of a service with the block as its first lines, whether it was there or not.
///
/// Each line of the block ends the stack of a jailed account at once if it fails, and the last one ends it where all went well: nothing of what follows is
/// called for such an account. Everybody else passes over the whole block by its first line.
fn with_block(text: &str, modules: &Modules) -> String {
    let bare = without_block(text);
    let mut lines: Vec<String> = logical_lines(&bare)
        .iter()
        .filter(|line| is_passed_on(line))
        .map(|line| strict(line))
        .collect();
    if modules.has_limits {
        lines.push(format!("session requisite {LIMITS}"));
    }
    lines.push(if modules.has_ours {
        // To somebody without a jail it says PAM_IGNORE: should an administrator's line come to stand in the block, nobody ends here by mistake.
        format!("session [success=done ignore=ignore default=die] {PAM_MODULE}")
    } else {
        // For a jailed account alone, likewise.
        format!("session [success=done default=ignore] {GUARD} quiet shell =~ {SHELL_PATTERN}")
    });
    let guard = format!(
        "session [success=ignore default={}] {GUARD} quiet shell =~ {SHELL_PATTERN}",
        lines.len()
    );
    let mut with = format!("{BEGIN}\n");
    for line in std::iter::once(&guard).chain(&lines) {
        with.push_str(line);
        with.push_str(MARK);
        with.push('\n');
    }
    with.push_str(END);
    with.push('\n');
    with.push_str(&bare);
    with
}

/// The text of a service with the block that refuses jailed accounts as its first lines, whether it was there or not.
fn with_refusal(text: &str) -> String {
    let bare = without_block(text);
    format!("{BEGIN}\n{}{MARK}\n{END}\n{bare}", refusal_line())
}

/// The text of a service without the block, and otherwise as it is. What an administrator wrote into the block stays.
fn without_block(text: &str) -> String {
    let is_ours = |line: &&str| {
        let line = line.trim_end();
        line == BEGIN || line == END || line.ends_with(MARK)
    };
    text.split_inclusive('\n')
        .filter(|line| !is_ours(line))
        .collect()
}

/// The lines of a service, those that end in a backslash joined with the next, without comments.
fn logical_lines(text: &str) -> Vec<String> {
    let mut lines = Vec::new();
    let mut open = String::new();
    for line in text.lines() {
        let line = line.split('#').next().unwrap_or_default().trim();
        let (part, goes_on) = match line.strip_suffix('\\') {
            Some(part) => (part, true),
            None => (line, false),
        };
        open.push_str(part);
        if goes_on {
            open.push(' ');
        } else {
            lines.push(std::mem::take(&mut open));
        }
    }
    lines.push(open);
    lines
}

/// Whether a line of the service holds for jailed accounts too.
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

    #[test]
    fn the_block_comes_before_all_session_lines_and_goes_without_a_trace() {
        let with = with_block(DEBIAN, &modules(true));
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
        assert_eq!(with_block(&with, &modules(true)), with);
    }

    #[test]
    fn without_the_module_a_jailed_account_leaves_the_stack_all_the_same() {
        let with = with_block("session optional pam_systemd.so\n", &modules(false));
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
        let with = with_block(text, &modules(true));
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
        let with = with_block(DEBIAN, &modules(true));
        let edited = with.replacen(END, "session required pam_mine.so\n# jailctl: end", 1);
        assert_eq!(
            without_block(&edited),
            format!("session required pam_mine.so\n{DEBIAN}")
        );
        let cut = with.replacen(&format!("{END}\n"), "", 1);
        assert_eq!(without_block(&cut), DEBIAN);
    }

    #[test]
    fn other_services_refuse_before_all_their_account_lines() {
        let cron = "@include common-auth\naccount required pam_access.so\n";
        let with = with_refusal(cron);
        let line = "account [success=ignore auth_err=die default=ignore] pam_succeed_if.so quiet \
                    shell !~ /jail/* # jailctl";
        assert_eq!(with, format!("{BEGIN}\n{line}\n{END}\n{cron}"));
        assert_eq!(with_refusal(&with), with);
        assert_eq!(without_block(&with), cron);
    }

    #[test]
    fn a_copy_of_the_distributions_service_goes_with_the_block() {
        let service = |text: Option<String>| Service {
            path: "/etc/pam.d/sshd".into(),
            text,
            vendor: Some(DEBIAN.to_owned()),
        };
        let edit = service(None).with_block(&modules(true)).expect("a change");
        assert_eq!(edit.from, None);
        let after = service(edit.to.clone());
        assert_eq!(after.with_block(&modules(true)), None);
        let back = after.without_block().expect("a change");
        assert_eq!((back.from, back.to), (edit.to, None));
    }
}
