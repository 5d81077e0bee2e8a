//! Details of one jail: its records, and how the host differs from them.

use std::fmt::Write as _;

use serde::Serialize;
use serde_json::Value;

use super::style::{Style, Styler};
use super::who::{WhoRow, login_json};
use super::{bytes, count, time};
use crate::names::{JailName, JailPath};
use crate::spec::AccessMethod;

/// State of a file compared with the last build.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum FileState {
    /// Content as built.
    Unchanged,
    /// Content differs.
    Changed,
    /// File does not exist, or cannot be read.
    Gone,
}

/// Spec that a jail was built from.
#[derive(Debug, Serialize)]
pub struct Origin {
    /// Path of the spec file.
    pub path: String,
    /// State of the spec file.
    pub state: FileState,
    /// Templates of the recorded spec; `None` if this version cannot read it.
    pub templates: Option<Vec<String>>,
    /// Ways in, with the names in `sshd.allow`.
    pub access: Option<Vec<AccessMethod>>,
}

/// Account of a jail.
#[derive(Debug, Serialize)]
pub struct Account {
    /// Login name.
    pub name: String,
    /// User id.
    pub uid: u32,
    /// Home directory, inside the jail.
    pub home: JailPath,
    /// Login shell, inside the jail; `None` if it has none.
    pub shell: Option<String>,
    /// `open`, `closed`, `locked`, `expires 2027-01-31`, or `gone`.
    pub state: String,
    /// Whether it has a password.
    pub password: bool,
    /// Public keys.
    pub keys: Vec<Key>,
}

/// Public key of an account.
#[derive(Debug, Serialize)]
pub struct Key {
    /// Key type, such as `ssh-ed25519`.
    pub kind: String,
    /// Fingerprint, as printed by `ssh-keygen -l`.
    pub fingerprint: String,
    /// Comment of the key.
    pub comment: String,
}

/// sshd snippet of a jail.
#[derive(Debug, Serialize)]
pub struct Snippet {
    /// Path of the snippet.
    pub path: String,
    /// State of the snippet.
    pub state: FileState,
}

/// Numbers of entries of a tree.
#[derive(Debug, Default, Serialize)]
pub struct Contents {
    /// All entries.
    pub entries: usize,
    /// Regular files.
    pub files: usize,
    /// Directories.
    pub directories: usize,
    /// Symbolic links.
    pub links: usize,
    /// Devices.
    pub devices: usize,
    /// Size of the regular files, in bytes.
    pub bytes: u64,
}

/// Details of a jail.
#[derive(Debug, Serialize)]
pub struct Jail {
    /// Name of the jail.
    pub name: JailName,
    /// Root directory on the host.
    pub root: String,
    /// Whether the root directory exists.
    pub root_exists: bool,
    /// Time of the last build, in seconds since the epoch.
    #[serde(serialize_with = "serialize_time")]
    pub built: i64,
    /// Spec of the last build.
    pub spec: Origin,
    /// Group of the accounts; `None` if the jail never had any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Id of the group.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gid: Option<u32>,
    /// Accounts of the jail.
    pub accounts: Vec<Account>,
    /// sshd snippet, if the jail has a group.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub snippet: Option<Snippet>,
    /// Namespaces, network, mounts and limits of its sessions; null for a plain chroot.
    pub session: Value,
    /// Lines about its sessions.
    #[serde(skip)]
    pub session_lines: Vec<String>,
    /// Whether its sessions are frozen.
    pub frozen: bool,
    /// Open logins; `None` where they are not known: on another host, or without root.
    #[serde(skip)]
    pub logins: Option<Vec<WhoRow>>,
    /// Entries of the tree.
    pub tree: Contents,
    /// Directories that are owned by users.
    pub user_dirs: Vec<JailPath>,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "signature required by serde"
)]
fn serialize_time<S: serde::Serializer>(seconds: &i64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&time::rfc3339(*seconds))
}

/// Output of `show --json`.
///
/// # Errors
/// If the value cannot be serialized.
pub fn json(jail: &Jail) -> serde_json::Result<Value> {
    let mut value = serde_json::to_value(jail)?;
    if let Value::Object(object) = &mut value {
        object.insert("schema".to_owned(), Value::from(1));
        let logins = jail.logins.as_ref();
        let logins = logins.map(|logins| logins.iter().map(login_json).collect::<Vec<_>>());
        object.insert("logins".to_owned(), Value::from(logins));
    }
    Ok(value)
}

/// Output of `show`.
pub fn text(jail: &Jail, paint: Styler) -> String {
    let mut text = String::new();
    let out = &mut text;
    let warning = |text: &str| paint.apply(Style::Warning, text);
    // Writing to a String cannot fail, here and below.
    let title = paint.apply(Style::Strong, &format!("{} at {}", jail.name, jail.root));
    let gone = if jail.root_exists {
        String::new()
    } else {
        warning("  (missing; `jailctl build` creates it again)")
    };
    let _ = writeln!(out, "{title}{gone}");
    let mut line = |key: &str, value: String| {
        let _ = writeln!(out, "  {key:<10} {value}");
    };
    line("built", time::human(jail.built));
    let path = &jail.spec.path;
    line(
        "spec",
        match jail.spec.state {
            FileState::Unchanged => path.clone(),
            FileState::Changed => format!(
                "{path}  {}",
                warning(&format!(
                    "(changed since the build; see `jailctl plan {path}`)"
                ))
            ),
            FileState::Gone => format!("{path}  {}", warning("(missing or not readable)")),
        },
    );
    if let Some(templates) = &jail.spec.templates {
        line("templates", list(templates.iter().cloned()));
    }
    if let Some(access) = &jail.spec.access {
        line(
            "access",
            list(access.iter().map(|method| method.as_str().to_owned())),
        );
    }
    if let Some(Snippet { path, state }) = &jail.snippet {
        line(
            "sshd",
            match state {
                FileState::Unchanged => path.clone(),
                FileState::Changed => format!(
                    "{path}  {}",
                    warning("(changed since the build; the next build restores it)")
                ),
                FileState::Gone => format!(
                    "{path}  {}",
                    warning(
                        "(missing: no user of this jail can log in; the next build restores it)"
                    )
                ),
            },
        );
    }
    let mut sessions = jail.session_lines.iter();
    match sessions.next() {
        None => line("sessions", "plain chroot".to_owned()),
        Some(first) => {
            line("sessions", first.clone());
            for more in sessions {
                line("", more.clone());
            }
        }
    }
    if jail.frozen {
        line(
            "frozen",
            warning(&format!("until `jailctl thaw {}`", jail.name)),
        );
    }
    if let Some(logins) = &jail.logins {
        for login in logins {
            line("logged in", login.line());
        }
    }
    let tree = &jail.tree;
    line(
        "tree",
        format!(
            "{}: {} of {}, {}, {}, {}",
            count(tree.entries, "entry", "entries"),
            count(tree.files, "file", "files"),
            bytes(tree.bytes),
            count(tree.directories, "directory", "directories"),
            count(tree.links, "link", "links"),
            count(tree.devices, "device", "devices"),
        ),
    );
    line(
        "user dirs",
        list(jail.user_dirs.iter().map(ToString::to_string)),
    );
    let group = jail.group.as_ref().zip(jail.gid);
    let group = group.map(|(name, gid)| format!("{name} (gid {gid})"));
    line(
        "group",
        group.unwrap_or_else(|| "none (no users)".to_owned()),
    );
    for account in &jail.accounts {
        let shell = account.shell.as_deref().unwrap_or("none");
        let state = if account.state == "open" {
            account.state.clone()
        } else {
            warning(&account.state)
        };
        line(
            "account",
            format!(
                "{} (uid {}), home {}, shell {shell}: {state}{}",
                account.name,
                account.uid,
                account.home,
                if account.password {
                    ", has a password"
                } else {
                    ""
                }
            ),
        );
        if account.keys.is_empty() && !account.password {
            line("", warning("cannot log in: no key and no password"));
        }
        for key in &account.keys {
            line(
                "",
                format!("{} {} {}", key.fingerprint, key.kind, key.comment)
                    .trim_end()
                    .to_owned(),
            );
        }
    }
    text
}

fn list(words: impl Iterator<Item = String>) -> String {
    let words: Vec<String> = words.collect();
    if words.is_empty() {
        "none".to_owned()
    } else {
        words.join(", ")
    }
}
