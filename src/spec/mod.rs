//! TOML text to [`Spec`]: parsed with spans, templates merged, meaning checked, every finding at once. Reads no file but through the loader it is given.

use std::path::PathBuf;

use crate::names::{JailName, JailPath, UserName};
use crate::site::{Site, Sited};

/// A door: one way into a jail.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Door {
    /// A login shell, with or without a terminal, and commands.
    Shell,
    /// File transfer by sftp.
    Sftp,
}

/// What a jail is to be, checked: the file's own lines with its templates below them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spec {
    /// `name`.
    pub name: Sited<JailName>,
    /// `root`, or `/srv/jails/<name>`; the site is that of `name` then.
    pub root: Sited<PathBuf>,
    /// `templates`, in order.
    pub templates: Vec<Sited<String>>,
    /// `binaries` of the templates and the file: names on the host's path or absolute paths.
    pub binaries: Vec<Sited<String>>,
    /// `[[user]]`.
    pub users: Vec<User>,
    /// `[sshd] allow`: sorted, without doubles, never empty. Defaults to sftp, and shell where a template or the file says so.
    pub doors: Sited<Vec<Door>>,
    /// `[[file]]`.
    pub files: Vec<FileSpec>,
    /// `[[dir]]`.
    pub dirs: Vec<DirSpec>,
}

/// `[[user]]`: one account that lives in the jail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// The table's header.
    pub site: Site,
    /// `name`.
    pub name: Sited<UserName>,
    /// `shell`, a path inside the jail; `None` where the shell is no door.
    pub shell: Option<Sited<JailPath>>,
    /// `home`, a path inside the jail, or `/home/<name>`.
    pub home: Sited<JailPath>,
    /// `authorized_keys`, each one line of AUTHORIZED_KEYS FILE FORMAT in sshd(8).
    pub authorized_keys: Vec<Sited<String>>,
    /// `password`.
    pub password: Sited<Password>,
    /// `uid`, where given.
    pub uid: Option<Sited<u32>>,
    /// `skel`: a host directory whose content a new home starts with.
    pub skel: Option<Sited<PathBuf>>,
}

/// `password` of a user.
#[derive(Clone, PartialEq, Eq)]
pub enum Password {
    /// `"locked"`: none works; keys do.
    Locked,
    /// `"keep"`: whatever the account has, set by others; a new account has none.
    Keep,
    /// A crypt(5) hash.
    Hash(String),
}

impl std::fmt::Debug for Password {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Locked => "Locked",
            Self::Keep => "Keep",
            Self::Hash(_) => "Hash(…)",
        })
    }
}

/// `[[file]]`: a file or tree of the host's, or text given in the spec.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileSpec {
    /// The table's header.
    pub site: Site,
    /// `target`; where only `source` is given, the same path.
    pub target: Sited<JailPath>,
    /// What it holds.
    pub body: FileBody,
    /// `mode`, where given; otherwise 0644 for text, and that of the source less what is never copied.
    pub mode: Option<Sited<u32>>,
}

/// What a `[[file]]` holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FileBody {
    /// `source`: a path on the host.
    Source(Sited<PathBuf>),
    /// `content`: text given in the spec.
    Content(Sited<String>),
}

/// `[[dir]]`: a directory made if it is missing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirSpec {
    /// The table's header.
    pub site: Site,
    /// `path`.
    pub path: Sited<JailPath>,
    /// `owner`: a user of the jail; `None` is root.
    pub owner: Option<Sited<UserName>>,
    /// `mode`, by default 0755.
    pub mode: u32,
}
