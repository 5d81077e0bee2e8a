//! Types of a validated [`Spec`].

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use jailctl_session::cgroup::Limits;
use jailctl_session::network::Port;

use super::access::{Access, AccessMethod, Login, WayLimits};
use crate::names::{JailName, JailPath, UserName};
use crate::span::{Span, Spanned};

/// Lowest priority of dlopen notes whose libraries are included. Later variants include earlier
/// ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dlopen {
    /// No libraries of dlopen notes.
    None,
    /// Libraries of the priority `required`.
    Required,
    /// Libraries of the priority `recommended` or higher.
    Recommended,
    /// Libraries of all priorities.
    Suggested,
}

/// Packages that are included with those of `packages`. Later variants include earlier ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PackageDependencies {
    /// No other packages.
    None,
    /// Packages that they require, and so on.
    Required,
    /// Packages that they recommend too.
    Recommended,
}

/// Day, in days since 1970-01-01 as in shadow(5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Day(pub i64);

/// `[sshd] start_dir`, `umask` and `sftp_log`: settings of the sftp server in sshd.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SftpSpec {
    /// `start_dir`: directory of the jail.
    pub start_dir: Option<Spanned<JailPath>>,
    /// `umask`, as written.
    pub umask: Option<Spanned<String>>,
    /// Span of `sftp_log`, if it is true: transfers are logged on the host.
    pub log: Option<Span>,
}

/// Validated spec of a jail, with its templates merged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spec {
    /// `name`.
    pub name: Spanned<JailName>,
    /// `root`, or `/srv/jails/<name>` with the span of `name`. With the component `%u` the spec
    /// describes one jail per user.
    pub root: Spanned<PathBuf>,
    /// Family of the jail, if its spec described one jail per user.
    pub family: Option<Family>,
    /// `templates`, in order.
    pub templates: Vec<Spanned<String>>,
    /// `binaries` of the templates and the file: names on the host's PATH or absolute paths.
    pub binaries: Vec<Spanned<String>>,
    /// `optional`, without programs that are in `binaries`.
    pub optional: Vec<Spanned<String>>,
    /// `packages`.
    pub packages: Vec<Spanned<String>>,
    /// `package_dependencies`.
    pub package_dependencies: PackageDependencies,
    /// `dlopen`.
    pub dlopen: Dlopen,
    /// `[[user]]`.
    pub users: Vec<User>,
    /// Ways in of all users together; without users `[sshd] allow`. Sorted, without duplicates,
    /// never empty. The span is that of `[sshd] allow`.
    pub access: Spanned<Vec<AccessMethod>>,
    /// `[sshd] allow` and `command`. The default is sftp, and shell if a user has a `shell` or
    /// `binaries` contain one; the span is then that of the shell, or of `name`.
    pub default_access: Access,
    /// Limits of single ways in.
    pub way_limits: BTreeMap<AccessMethod, WayLimits>,
    /// Settings of sftp; empty unless a user has sftp and no shell.
    pub sftp: SftpSpec,
    /// `[[file]]`.
    pub files: Vec<FileSpec>,
    /// `[[dir]]`.
    pub dirs: Vec<DirSpec>,
    /// `[namespaces]`, `[network]`, `[limits]`, `[[mount]]` and `sftp_log`; `None` if the spec has
    /// none of them.
    pub session: Option<SessionSpec>,
    /// `plain_chroot`, or `namespaces.mnt = false`: sessions are not isolated even if that is the
    /// default.
    pub plain_chroot: bool,
    /// `[[test]]`: commands with their arguments, never empty. A spec with a test has a user to run
    /// it.
    pub tests: Vec<Spanned<Vec<String>>>,
}

/// `[[user]]`: one account of the jail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// Span of the table's header.
    pub span: Span,
    /// `name`.
    pub name: Spanned<UserName>,
    /// `allow` and `command`, or those of the jail.
    pub access: Access,
    /// `shell`, a path inside the jail; by default the first shell in `binaries`. `None` if the
    /// user may not use `shell`.
    pub shell: Option<Spanned<JailPath>>,
    /// `home`, a path inside the jail, or `/home/<name>`.
    pub home: Spanned<JailPath>,
    /// `authorized_keys`: lines in the AUTHORIZED_KEYS FILE FORMAT of sshd(8).
    pub authorized_keys: Vec<Spanned<String>>,
    /// `password`.
    pub password: Spanned<Password>,
    /// `uid`, if given.
    pub uid: Option<Spanned<u32>>,
    /// `skel`: host directory that is copied into a new home.
    pub skel: Option<Spanned<PathBuf>>,
    /// `expires`: the account is expired from the start of this day, in UTC.
    pub expires: Option<Spanned<Day>>,
    /// `groups`: supplementary groups, created if the host lacks them.
    pub groups: Vec<Spanned<String>>,
    /// `was`: former login name, of an account that is renamed.
    pub was: Option<Spanned<UserName>>,
    /// `adopt`: an account that jailctl did not create is taken over, and restored later.
    pub adopt: bool,
}

/// `password` of a user.
#[derive(Clone, PartialEq, Eq)]
pub enum Password {
    /// `"locked"`: no password works; keys do.
    Locked,
    /// `"unchanged"`: jailctl does not change the password; a new account has none.
    Unchanged,
    /// A crypt(5) hash.
    Hash(String),
}

impl std::fmt::Debug for Password {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Locked => "Locked",
            Self::Unchanged => "Unchanged",
            Self::Hash(_) => "Hash(…)",
        })
    }
}

/// `[[file]]`: a file or tree of the host, or text from the spec.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileSpec {
    /// Span of the table's header.
    pub span: Span,
    /// `target`; by default the path of `source`.
    pub target: Spanned<JailPath>,
    /// Content of the file or tree.
    pub body: FileBody,
    /// `mode`, if given. The default is 0644 for text, and the mode of the source without the bits
    /// that are never copied.
    pub mode: Option<Spanned<u32>>,
}

/// Content of a `[[file]]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FileBody {
    /// `source`: a path on the host.
    Source(Spanned<PathBuf>),
    /// `content`: text from the spec.
    Content(Spanned<String>),
}

impl DirSpec {
    /// User or group whose files a build leaves alone; `None` for a directory of root alone.
    pub fn writer(&self) -> Option<&str> {
        let group = self.group.as_ref().filter(|_| self.mode & 0o020 != 0);
        let owner = self.owner.as_ref().map(|owner| owner.value.as_str());
        owner.or(group.map(|group| group.value.as_str()))
    }
}

/// `[[dir]]`: a directory that is created if it does not exist.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirSpec {
    /// Span of the table's header.
    pub span: Span,
    /// `path`.
    pub path: Spanned<JailPath>,
    /// `owner`: a user of the jail; `None` is root.
    pub owner: Option<Spanned<UserName>>,
    /// `group`: that of the jail, or of a user; `None` is the primary group of the owner.
    pub group: Option<Spanned<String>>,
    /// `mode`, by default 0755, and 2775 with `group`.
    pub mode: u32,
}

/// Isolation of sessions. A mount namespace is always part of it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "the keys of a table, independent of each other"
)]
pub struct SessionSpec {
    /// Span of the first of the tables, or of `sshd.sftp_log`.
    pub span: Span,
    /// `namespaces.pid`.
    pub pid: bool,
    /// `namespaces.uts`.
    pub uts: bool,
    /// `namespaces.ipc`.
    pub ipc: bool,
    /// `namespaces.cgroup`.
    pub cgroup: bool,
    /// `namespaces.user`.
    pub user: bool,
    /// `[network]`.
    pub network: NetworkSpec,
    /// `sshd.sftp_log`: whether sessions can write to the log of the host.
    pub log: bool,
    /// `[[mount]]`.
    pub mounts: Vec<MountSpec>,
    /// `[limits]`.
    pub limits: Option<LimitsSpec>,
}

/// `network.mode` with its ports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NetworkSpec {
    /// Network of the host.
    Host,
    /// Network namespace per session, with only a loopback interface.
    None,
    /// Network namespace per jail, which its sessions share.
    Private(PrivateNetwork),
}

/// Private network of a jail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrivateNetwork {
    /// Span of the key that selects it.
    pub span: Span,
    /// `allow_in`, without duplicates.
    pub allow_in: Vec<Spanned<Port>>,
    /// `allow_out`, without duplicates.
    pub allow_out: Vec<Spanned<Port>>,
}

/// `[[mount]]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MountSpec {
    /// The table's header.
    pub span: Span,
    /// `source`.
    pub source: MountSource,
    /// `target`.
    pub target: Spanned<JailPath>,
    /// `options`, with defaults: exactly one of each pair of opposites.
    pub options: Vec<String>,
    /// `optional`: sessions begin without it while the source is missing.
    pub optional: bool,
}

/// Source of a mount.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MountSource {
    /// Directory of the host.
    Host(Spanned<PathBuf>),
    /// `tmpfs`: memory.
    Tmpfs,
    /// `proc`: processes of the session.
    Proc,
    /// `sysfs`: devices of the kernel.
    Sys,
}

/// `[limits]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LimitsSpec {
    /// The table's header.
    pub span: Span,
    /// Values in the form of session policies.
    pub values: Limits,
    /// Spans of the values, by key.
    pub spans: BTreeMap<&'static str, Span>,
}

/// Properties that the jails of a family share. They have one sshd snippet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Family {
    /// `root` with `%u`.
    pub root: PathBuf,
    /// Whether any user has a password.
    pub passwords: bool,
    /// User ids that the spec sets.
    pub uids: Vec<u32>,
    /// Users whom sshd treats differently than `[sshd] allow` says.
    pub own_logins: Arc<[(UserName, Login)]>,
    /// Whether this jail is the last of the family in the same run.
    pub is_last: bool,
}
