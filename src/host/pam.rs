//! The PAM service of sshd as text: pam.conf(5).
//!
//! Jailed accounts leave the session stack of the service before the modules of the host run for
//! them: pam_systemd(8) would start a user manager outside of the jail, pam_mkhomedir(8) would
//! create a home there. The lines for this are the first session lines of the service, so that they
//! are within no jump of the administrator's lines, and no such jump skips them.

use std::path::{Path, PathBuf};

use super::stat::FileKind;
use super::view::HostView;
use crate::error::{Error, Result};
use crate::layout::{PAM_MODULE, PAM_MODULE_DIRS, PAM_SERVICE_DIRS, SHELL_PATTERN};

/// Service that sshd uses, unless its configuration has another (`PAMServiceName`, from OpenSSH
/// 9.8).
pub const SSHD: &str = "sshd";

/// Module that every installation of Linux-PAM has, and that the block uses.
const GUARD: &str = "pam_succeed_if.so";
/// Module that sets the limits of limits.conf(5).
const LIMITS: &str = "pam_limits.so";

const BEGIN: &str =
    "# jailctl: begin. For accounts that live in a jail; everybody else skips these lines.";
const END: &str = "# jailctl: end";
/// End of each line of the block, a comment to libpam.
const MARK: &str = " # jailctl";
/// Modules of the service that run for jailed accounts too: login user id of the audit trail,
/// session keyring, SELinux context, audit of terminals.
const PASSED_ON: [&str; 4] = [
    "pam_loginuid.so",
    "pam_keyinit.so",
    "pam_selinux.so",
    "pam_tty_audit.so",
];
/// Largest service file that is read, in bytes.
const LIMIT: u64 = 1 << 20;

/// Services by which the host itself would run programs as a jailed account: jobs, shells, and the
/// user manager of systemd.
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
/// The line of the block in these services. An error of pam_succeed_if(8) itself refuses no
/// account.
fn refusal_line() -> String {
    format!(
        "account [success=ignore auth_err=die default=ignore] {GUARD} quiet shell !~ {SHELL_PATTERN}"
    )
}

/// A change of a file of the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edit {
    /// Path of the file.
    pub path: PathBuf,
    /// Text before the change; `None` if the file does not exist.
    pub from: Option<String>,
    /// Text after the change; `None` to delete the file.
    pub to: Option<String>,
}

impl Edit {
    /// Whether the service refuses jailed accounts after the change.
    pub fn adds_refusal(&self) -> bool {
        let after = self.to.as_deref();
        after.is_some_and(|text| text.contains(&refusal_line()))
    }

    /// Whether the change adds or removes the block by which a service refuses jailed accounts.
    pub fn is_refusal(&self) -> bool {
        [&self.from, &self.to]
            .into_iter()
            .flatten()
            .any(|text| text.contains(&refusal_line()))
    }
}

/// PAM modules of a host on which the block depends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Modules {
    /// Directory of the modules of libpam.
    pub directory: PathBuf,
    /// Whether [`PAM_MODULE`] is installed.
    pub has_ours: bool,
    /// Whether pam_limits(8) is installed.
    has_limits: bool,
}

impl Modules {
    /// Finds the modules; `None` if libpam is not installed.
    ///
    /// # Errors
    /// `Failed` if a path cannot be read.
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

/// A service of PAM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// Path of the service file in the directory of the administrator.
    pub path: PathBuf,
    /// Text of that file; `None` if it does not exist.
    text: Option<String>,
    /// Text of the file of the distribution, which libpam reads if the administrator has none.
    vendor: Option<String>,
}

impl Service {
    /// Reads the service `name`; `None` if the host has none of that name.
    ///
    /// # Errors
    /// `Failed` if a file cannot be read or is not UTF-8.
    pub fn read(view: &HostView, name: &str) -> Result<Option<Self>> {
        let text = |directory: &str| text(view, &Path::new(directory).join(name));
        let path = Path::new(PAM_SERVICE_DIRS[0]).join(name);
        let service = Self {
            // A link stays one: its target is changed.
            path: view
                .resolve_links(&path)?
                .map_or(path, |resolved| resolved.real),
            text: text(PAM_SERVICE_DIRS[0])?,
            vendor: text(PAM_SERVICE_DIRS[1])?,
        };
        Ok(Some(service).filter(|service| service.text.is_some() || service.vendor.is_some()))
    }

    /// Change that adds the block to the service; `None` if it has the block.
    pub fn with_block(&self, modules: &Modules) -> Option<Edit> {
        let text = self.text.as_ref().or(self.vendor.as_ref())?;
        self.edit(Some(with_block(text, modules)))
    }

    /// Change by which the service refuses jailed accounts; `None` if it does.
    fn with_refusal(&self) -> Option<Edit> {
        let text = self.text.as_ref().or(self.vendor.as_ref())?;
        self.edit(Some(with_refusal(text)))
    }

    /// Change that removes the block, and with it a copy of the service of the distribution that
    /// was created for the block; `None` if there is no block.
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

    /// Whether the file of the service has lines that call [`PAM_MODULE`].
    pub fn calls_module(&self) -> bool {
        let mut lines = self.text.iter().flat_map(|text| text.lines());
        lines.any(|line| !line.starts_with('#') && line.contains(PAM_MODULE))
    }
}

/// Changes by which the other services of the host refuse jailed accounts: a program that cron(8),
/// atd(8), su(1) or login(1) runs as such an account would be outside of its jail. `sshd` is the
/// service of sshd, which has a block of its own.
///
/// # Errors
/// As [`Service::read`].
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

/// Changes that remove the block from every service.
///
/// # Errors
/// As [`Service::read`].
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

/// Adds the change of a file once: two names can be links to one file.
fn add(edit: Option<Edit>, edits: &mut Vec<Edit>) {
    edits.extend(edit.filter(|edit| edits.iter().all(|other| other.path != edit.path)));
}

/// Whether an entry of a directory of services can be one: the directory can contain other files,
/// and libpam opens only the services that programs name.
fn is_service(view: &HostView, path: &Path) -> bool {
    let resolved = view.resolve_links(path).ok().flatten();
    resolved.is_some_and(|resolved| {
        resolved.stat.kind() == FileKind::File && resolved.stat.size <= LIMIT
    })
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

/// Text of a service with the block as its first lines, whether it was there or not.
///
/// Each line of the block ends the stack of a jailed account at once if it fails, and the last one
/// ends it on success: no line after the block runs for such an account. For other accounts the
/// first line skips the whole block.
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

/// Text of a service with the block that refuses jailed accounts as its first lines, whether it was
/// there or not.
fn with_refusal(text: &str) -> String {
    let bare = without_block(text);
    format!("{BEGIN}\n{}{MARK}\n{END}\n{bare}", refusal_line())
}

/// Text of a service without the block, and otherwise unchanged. A line that an administrator wrote
/// into the block stays.
fn without_block(text: &str) -> String {
    let is_ours = |line: &&str| {
        let line = line.trim_end();
        line == BEGIN || line == END || line.ends_with(MARK)
    };
    text.split_inclusive('\n')
        .filter(|line| !is_ours(line))
        .collect()
}

/// Lines of a service without comments, lines that end in a backslash joined with the next.
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
