//! Login shells of jailed accounts: their links in the jail, and leaks that would make them usable
//! outside: the directory of these shells on the host, or an entry for one of them in shells(5).

use std::path::Path;

use super::scheduled_jobs::quoted;
use super::tree::{Entry, EntryKind, Reason, Tree};
use crate::error::{Error, ErrorKind, Finding, Result};
use crate::host::{FileKind, HostView};
use crate::layout::{JAIL_DIR, JAIL_ROOT};
use crate::names::JailPath;
use crate::spec::Spec;

/// Most bytes of a file of shells(5).
const LIMIT: u64 = 1 << 20;
/// Files of shells(5) of administrators and of vendors.
const LISTS: [&str; 2] = ["/etc/shells", "/usr/etc/shells"];

/// One file of the host that makes a login shell usable outside of its jail.
#[derive(Clone, Debug)]
pub struct ShellLeak {
    /// Path on the host.
    pub path: String,
    /// Why it is a leak: fits after "`path`: ".
    pub text: String,
    /// Command that removes it.
    pub clean: String,
}

/// Refuses to build while there is a leak.
///
/// # Errors
/// [`ErrorKind::Failed`] with a finding for each leak.
pub(super) fn refuse_leaks(view: &HostView) -> Result<()> {
    let leaks = leaks(view)?.into_iter();
    let finding = |leak: ShellLeak| {
        Finding::new(format!("could not use `{}`", leak.path))
            .why(leak.text)
            .hint(leak.clean)
    };
    let findings: Vec<Finding> = leaks.map(finding).collect();
    if findings.is_empty() {
        return Ok(());
    }
    Err(Error {
        kind: ErrorKind::Failed,
        findings,
    })
}

/// Finds the leaks of the host.
///
/// With a shell below [`JAIL_DIR`] in shells(5), su(1) accepts `--shell` from a user who knows
/// the password of the account, and starts a shell of the host; services with pam_shells(8) accept
/// the account.
///
/// # Errors
/// [`ErrorKind::Failed`] where a file cannot be read.
pub fn leaks(view: &HostView) -> Result<Vec<ShellLeak>> {
    let mut leaks = Vec::new();
    if view.lstat(Path::new(JAIL_DIR))?.is_some() {
        leaks.push(ShellLeak {
            path: view.display_path(Path::new(JAIL_DIR)).display().to_string(),
            text: "it exists on the host, and the login shells of jailed accounts must exist in jails only".to_owned(),
            clean: format!("rename or remove `{JAIL_DIR}`"),
        });
    }
    for list in LISTS.map(Path::new) {
        let is_file = |stat: crate::host::Stat| stat.kind() == FileKind::File;
        if !view.stat(list)?.is_some_and(is_file) {
            continue;
        }
        let text = view.read(list, LIMIT)?.unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let below = format!("{JAIL_DIR}/");
        let shell = text
            .lines()
            .map(str::trim)
            .find(|line| line.starts_with(&below));
        if let Some(shell) = shell {
            let shown = view.display_path(list);
            leaks.push(ShellLeak {
                path: shown.display().to_string(),
                text: format!(
                    "it lists `{}`, so that `su --shell` and services with pam_shells accept jailed accounts outside of their jail",
                    shell.escape_debug()
                ),
                clean: format!("remove the line: sed -i '\\|^[[:space:]]*{below}|d' {}", quoted(&shown)),
            });
        }
    }
    Ok(leaks)
}

/// Adds the link [`JAIL_ROOT`], to which home directories in the host's passwd(5) resolve.
pub(super) fn add_link_to_root(tree: &mut Tree) -> Result<()> {
    let at =
        JailPath::new(JAIL_ROOT).map_err(|why| Finding::new(format!("`{JAIL_ROOT}` {why}")))?;
    let why = Reason::rule("homes in the passwd of the host are below this link");
    tree.add(at, Entry::symlink("..", vec![why]))?;
    Ok(())
}

/// Adds each login shell below [`JAIL_DIR`], the path that is in the host's passwd(5).
pub(super) fn add_links(tree: &mut Tree, spec: &Spec, findings: &mut Vec<Finding>) -> Result<()> {
    for user in &spec.users {
        let Some(shell) = &user.shell else { continue };
        let runs = tree.follow(&shell.value).is_some_and(|(_, entry)| {
            matches!(entry.kind, EntryKind::File(_)) && entry.owner.mode & 0o111 != 0
        });
        if !runs {
            findings.push(
                Finding::new(format!("the jail has no program `{}`", shell.value))
                    .why(format!("it is the shell of `{}`", user.name.value))
                    .hint("add it to `binaries`")
                    .with_span(&shell.span, "this shell"),
            );
            continue;
        }
        let depth = shell.value.as_str().matches('/').count();
        let target = format!("{}{}", "../".repeat(depth), &shell.value.as_str()[1..]);
        let at = JailPath::new(&format!("{JAIL_DIR}{}", shell.value))
            .map_err(|why| Finding::new(format!("`{JAIL_DIR}{}` {why}", shell.value)))?;
        tree.add(
            at,
            Entry::symlink(
                target,
                vec![Reason::rule(
                    "the login shell, by its path in the passwd of the host",
                )],
            ),
        )?;
    }
    Ok(())
}
