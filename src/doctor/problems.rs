//! Problems that `doctor` finds, and the list of their codes.

use std::path::Path;

use crate::error::Finding;
use crate::host::{HostView, OwnershipFlaw, Stat};
use crate::plan::Manifest;
use crate::plan::manifest::ConfinementRecord;

/// Defines [`ProblemCode`] from the list of codes, so that a code and its name are one line.
macro_rules! problem_codes {
    ($($(#[$doc:meta])* $code:ident = $name:literal,)*) => {
        /// Kind of a problem, for programs that read the JSON of `doctor`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
        pub enum ProblemCode {
            $($(#[$doc])* #[serde(rename = $name)] $code,)*
        }
    };
}

problem_codes! {
    /// nologin(5) closes the host to all users but root.
    Nologin = "nologin",
    /// The account does not exist.
    AccountGone = "account-gone",
    /// The account is closed: its spec does not have it, or a build was not finished.
    AccountClosed = "account-closed",
    /// The account expired by shadow(5).
    AccountExpired = "account-expired",
    /// The password has to be changed before a login, which no jail allows.
    PasswordStale = "password-stale",
    /// The primary group of the account is not the group of the jail.
    Group = "group",
    /// sshd refuses a directory of the path of the root, or the user may not enter the root.
    Root = "root",
    /// The file system of the root is mounted noexec.
    Noexec = "noexec",
    /// A program that sessions start does not start in the jail.
    Program = "program",
    /// The file of authorized keys does not exist.
    KeysGone = "keys-gone",
    /// The account has no key and no password.
    NoKey = "no-key",
    /// Lines of the authorized keys are no keys.
    KeyBroken = "key-broken",
    /// sshd refuses the file of authorized keys for its owner or mode.
    KeyFile = "key-file",
    /// sshd accepts no key of the account.
    KeyKind = "key-kind",
    /// The account is locked, and sshd refuses its keys without PAM.
    Locked = "locked",
    /// sshd requires more than a key or a password.
    Methods = "methods",
    /// The session policy cannot be read, or does not list the user.
    Policy = "policy",
    /// The mount point of sessions does not exist, or is not safe.
    SessionDir = "session-dir",
    /// The source of a mount does not exist.
    Mount = "mount",
    /// The PAM module does not exist.
    Module = "module",
    /// The PAM service of sshd does not call the PAM module.
    PamService = "pam-service",
    /// sshd does not use PAM.
    PamOff = "pam-off",
    /// The network of the jail differs from the session policy.
    Network = "network",
    /// The jail is frozen.
    Frozen = "frozen",
    /// sshd does not read a snippet.
    SnippetGone = "snippet-gone",
    /// A snippet differs from what was built.
    SnippetChanged = "snippet-changed",
    /// The configuration of sshd cannot be read or evaluated.
    SshdConfig = "sshd-config",
    /// sshd has other settings for the user than the jail needs.
    SshdSettings = "sshd-settings",
    /// sshd does not listen.
    SshdDown = "sshd-down",
    /// sshd has not read its configuration since the last build.
    SshdBehind = "sshd-behind",
    /// sshd has no subsystem `sftp`.
    Sftp = "sftp",
    /// A job of the host runs as the user outside of the jail.
    RunsOutside = "runs-outside",
    /// Processes of the user run outside of the jail.
    ProcessesOutside = "processes-outside",
    /// The host makes the login shells of jails usable outside of them.
    Shells = "shells",
    /// A program that changes accounts does not exist.
    Tool = "tool",
    /// An earlier run was interrupted.
    Interrupted = "interrupted",
    /// The kernel is too old.
    Kernel = "kernel",
    /// A user other than root can change a directory of jailctl.
    HostDir = "host-dir",
}

/// A problem, with its fix among the hints of the finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Kind of the problem.
    pub code: ProblemCode,
    /// Finding: the fault, its reason and its fix.
    pub finding: Finding,
}

impl Problem {
    /// A problem with the hint `fix`.
    pub(super) fn new(code: ProblemCode, what: impl Into<String>, fix: impl Into<String>) -> Self {
        Self {
            code,
            finding: Finding::new(what).hint(fix),
        }
    }

    /// Adds the reason.
    pub(super) fn why(mut self, why: impl Into<String>) -> Self {
        self.finding.why = Some(why.into());
        self
    }
}

/// Why a directory or file is not safe from users other than root, and the fix.
pub(super) struct OwnershipProblem {
    pub(super) why: String,
    pub(super) fix: String,
}

impl OwnershipProblem {
    /// The problem of the inode at `path` with this `stat`; `None` if only root can change it.
    pub(super) fn of(path: &Path, stat: &Stat) -> Option<Self> {
        let shown = path.display();
        Some(match OwnershipFlaw::of(stat)? {
            OwnershipFlaw::Owner(uid) => Self {
                why: format!("`{shown}` belongs to the user id {uid}, and not to root"),
                fix: format!("run `chown root {shown}`"),
            },
            OwnershipFlaw::Writable(mode) => Self {
                why: format!("others than root may write to `{shown}` (mode {mode:04o})"),
                fix: format!("run `chmod go-w {shown}`"),
            },
        })
    }
}

/// The account of a jail that is diagnosed.
#[derive(Debug)]
pub(super) struct Subject<'v> {
    pub(super) view: &'v HostView,
    pub(super) manifest: Manifest,
    pub(super) confinement: ConfinementRecord,
    /// Login name.
    pub(super) user: String,
}

impl Subject<'_> {
    /// Hint with the command that builds the jail again from its spec.
    pub(super) fn build(&self) -> String {
        format!("run `jailctl build {}`", self.manifest.spec)
    }
}
