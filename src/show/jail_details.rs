//! All about one jail: what is recorded of it, and how the host stands to that now.

use std::fmt::Write as _;

use serde::Serialize;
use serde_json::Value;

use super::style::{Style, Styler};
use super::{bytes, count, time};
use crate::names::{JailName, JailPath};
use crate::spec::AccessMethod;

/// Whether something is still what it was at the build.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum FileState {
    /// It is.
    Unchanged,
    /// It says something else.
    Changed,
    /// It is not there any more.
    Gone,
}

/// The spec that a jail was built from.
#[derive(Debug, Serialize)]
pub struct Origin {
    /// Its file.
    pub path: String,
    /// How the file is now.
    pub state: FileState,
    /// The templates it names; `None` where the spec as built cannot be read any more.
    pub templates: Option<Vec<String>>,
    /// Ways in, as `sshd.allow` names them.
    pub access: Option<Vec<AccessMethod>>,
}

/// An account of a jail.
#[derive(Debug, Serialize)]
pub struct Account {
    /// Login name.
    pub name: String,
    /// User id.
    pub uid: u32,
    /// Home, inside the jail.
    pub home: JailPath,
    /// Login shell, inside the jail; `None` where it has none.
    pub shell: Option<String>,
    /// `open`, `closed`, `expires 2027-01-31`, or `gone`.
    pub state: String,
    /// Whether a password opens it.
    pub password: bool,
    /// The keys that open it.
    pub keys: Vec<Key>,
}

/// A key of an account.
#[derive(Debug, Serialize)]
pub struct Key {
    /// As `ssh-ed25519`.
    pub kind: String,
    /// As `ssh-keygen -l` prints it.
    pub fingerprint: String,
    /// The comment of its line.
    pub comment: String,
}

/// The snippet of a jail.
#[derive(Debug, Serialize)]
pub struct Snippet {
    /// Its file.
    pub path: String,
    /// How the file is now.
    pub state: FileState,
}

/// What a tree holds.
#[derive(Debug, Default, Serialize)]
pub struct Contents {
    /// All its paths.
    pub entries: usize,
    /// Regular files among them.
    pub files: usize,
    /// Directories.
    pub directories: usize,
    /// Symbolic links.
    pub links: usize,
    /// Devices.
    pub devices: usize,
    /// Bytes of the files.
    pub bytes: u64,
}

/// A jail.
#[derive(Debug, Serialize)]
pub struct Jail {
    /// Its name.
    pub name: JailName,
    /// Where it stands.
    pub root: String,
    /// Whether that is there.
    pub root_exists: bool,
    /// When it was built last, in seconds since the epoch.
    #[serde(serialize_with = "moment")]
    pub built: i64,
    /// What it was built from.
    pub spec: Origin,
    /// The group of its accounts; none where it never had any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// The group's id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gid: Option<u32>,
    /// Its accounts.
    pub accounts: Vec<Account>,
    /// Its sshd snippet, where it has a group.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub snippet: Option<Snippet>,
    /// Its tree.
    pub tree: Contents,
    /// Directories that belong to users.
    pub user_dirs: Vec<JailPath>,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "the shape that serde asks for"
)]
fn moment<S: serde::Serializer>(seconds: &i64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&time::rfc3339(*seconds))
}

/// `show --json`.
pub fn json(jail: &Jail) -> serde_json::Result<Value> {
    let mut value = serde_json::to_value(jail)?;
    if let Value::Object(object) = &mut value {
        object.insert("schema".to_owned(), Value::from(1));
    }
    Ok(value)
}

/// The jail as a page.
pub fn text(jail: &Jail, paint: Styler) -> String {
    let mut text = String::new();
    let out = &mut text;
    let wrong = |text: &str| paint.apply(Style::Warning, text);
    // Writing to a String cannot fail, here and below.
    let title = paint.apply(Style::Strong, &format!("{} at {}", jail.name, jail.root));
    let gone = if jail.root_exists {
        String::new()
    } else {
        wrong("  (gone: `jailctl build` makes it again)")
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
                wrong(&format!(
                    "(changed since: `jailctl plan {path}` shows what that means)"
                ))
            ),
            FileState::Gone => format!("{path}  {}", wrong("(gone, or not readable here)")),
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
                    wrong("(changed since: the next build writes it anew)")
                ),
                FileState::Gone => format!(
                    "{path}  {}",
                    wrong("(gone: nobody of this jail can log in; the next build writes it anew)")
                ),
            },
        );
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
        group.unwrap_or_else(|| "none, since it has no users".to_owned()),
    );
    for account in &jail.accounts {
        let shell = account.shell.as_deref().unwrap_or("none");
        let state = if account.state == "open" {
            account.state.clone()
        } else {
            wrong(&account.state)
        };
        line(
            "account",
            format!(
                "{} (uid {}), home {}, shell {shell}: {state}{}",
                account.name,
                account.uid,
                account.home,
                if account.password {
                    ", with a password"
                } else {
                    ""
                }
            ),
        );
        if account.keys.is_empty() && !account.password {
            line("", wrong("nothing opens it: it has no key and no password"));
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
