//! Ways in, as types: what a user may do, and how sshd treats the connections.

use jailctl_gate::{Mode, Protocol};

use crate::names::{JailPath, UserName};
use crate::span::{Span, Spanned};

/// Component of a path that is replaced by the name of the user.
const USER: &str = "%u";

/// Way into a jail: a kind of connection that sshd accepts.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum AccessMethod {
    /// A login shell, with or without a terminal, and commands.
    Shell,
    /// File transfer by sftp.
    Sftp,
    /// Connections that sshd forwards into the network of the session: `ssh -L`, `-D` and `-W`.
    Forward,
    /// The older protocol of scp(1): `scp -O`.
    Scp,
    /// rsync(1).
    Rsync,
    /// git(1): clone, fetch and push.
    Git,
    /// borg(1).
    Borg,
    /// restic(1), by `rclone serve restic`.
    Restic,
    /// One command.
    Command,
}

impl AccessMethod {
    /// All ways in.
    const ALL: [Self; 9] = [
        Self::Shell,
        Self::Sftp,
        Self::Forward,
        Self::Scp,
        Self::Rsync,
        Self::Git,
        Self::Borg,
        Self::Restic,
        Self::Command,
    ];

    /// Parses a value of `sshd.allow`.
    pub fn new(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|method| method.as_str() == word)
    }

    /// Name in `sshd.allow`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Shell => "shell",
            Self::Sftp => "sftp",
            Self::Forward => "forward",
            Self::Scp => "scp",
            Self::Rsync => "rsync",
            Self::Git => "git",
            Self::Borg => "borg",
            Self::Restic => "restic",
            Self::Command => "command",
        }
    }
}

/// Ways in of a user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Access {
    /// `allow`: sorted, without duplicates, never empty.
    pub methods: Spanned<Vec<AccessMethod>>,
    /// `command`: program and arguments of the way in `command`.
    pub command: Option<Spanned<Vec<String>>>,
}

/// `[rsync]` and the like: limits of one way in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WayLimits {
    /// The table's header.
    pub span: Span,
    /// `path`: directory inside the jail, with `%u`.
    pub directory: Option<Spanned<JailPath>>,
    /// `mode`.
    pub mode: Mode,
}

/// Server of the connections of a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Server {
    /// The login shell of the user.
    Shell,
    /// sshd itself, for sftp alone.
    InternalSftp,
    /// The gate, `jailctl-gate`.
    Gate,
    /// None: connections may only be forwarded.
    Nothing,
}

/// How sshd treats the connections of a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Login {
    /// Server of commands and subsystems.
    pub server: Server,
    /// Whether a line of `authorized_keys` has a command, for a user without a shell.
    pub has_key_commands: bool,
    /// Whether the client gets a terminal.
    pub terminal: bool,
    /// Whether connections are forwarded.
    pub forward: bool,
}

impl AccessMethod {
    /// The protocol of the gate for this way in; `None` for `shell` and `forward`.
    pub fn protocol(self) -> Option<Protocol> {
        Protocol::ALL
            .into_iter()
            .find(|protocol| protocol.as_str() == self.as_str())
    }

    /// Whether programs of the jail serve the way in, and not sshd alone.
    pub fn runs_programs(self) -> bool {
        !matches!(self, Self::Sftp | Self::Forward)
    }

    /// Whether the user chooses or the administrator wrote the program, which may need a network.
    fn runs_any_program(self) -> bool {
        matches!(self, Self::Shell | Self::Command)
    }

    /// Whether one of the ways in may run any program.
    pub(crate) fn can_need_network(access: &[Self]) -> bool {
        access.is_empty()
            || access.iter().any(|method| method.runs_any_program())
            || access == [Self::Forward]
    }
}

impl Login {
    /// The login of a user with these ways in.
    pub(crate) fn new(methods: &[AccessMethod], has_key_commands: bool) -> Self {
        let has = |method| methods.contains(&method);
        let server = if has(AccessMethod::Shell) {
            Server::Shell
        } else if has_key_commands || methods.iter().any(|method| method.runs_programs()) {
            Server::Gate
        } else if has(AccessMethod::Sftp) {
            Server::InternalSftp
        } else {
            Server::Nothing
        };
        Self {
            server,
            has_key_commands: has_key_commands && server == Server::Gate,
            terminal: methods.iter().any(|method| method.runs_any_program()),
            forward: has(AccessMethod::Forward),
        }
    }
}

impl Access {
    /// How sshd treats users with these ways in, and without commands of keys.
    pub fn login(&self) -> Login {
        Login::new(&self.methods.value, false)
    }
}

impl WayLimits {
    /// The directory for one user.
    pub fn directory_of(&self, user: &UserName) -> Option<JailPath> {
        let directory = &self.directory.as_ref()?.value;
        let parts = directory.as_str().split('/').map(|part| match part {
            USER => user.as_str(),
            other => other,
        });
        JailPath::new(&parts.collect::<Vec<_>>().join("/")).ok()
    }
}
