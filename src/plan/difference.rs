//! Differences between a jail as it was built and the host.

use serde::Serialize;

/// Subject of a difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A path of the jail.
    File,
    /// The root itself.
    Root,
    /// An account.
    Account,
    /// The jail's group.
    Group,
    /// An account's authorized keys.
    Keys,
    /// A drop-in of sshd, or the settings that result from it.
    Sshd,
    /// The policy of its sessions.
    Session,
    /// The jail's network while it is in use: its rules, and forwarding of other packets.
    Network,
    /// A file or package that the host no longer has.
    Host,
    /// A process or job of an account outside of the jail.
    Outside,
}

/// One difference between a jail as built and the host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// Subject of the difference.
    pub kind: Kind,
    /// Name of the path, account or file.
    pub name: String,
    /// Text of the difference: fits after "`name`: ".
    pub text: String,
}

/// Differences in one jail.
#[derive(Clone, Debug)]
pub struct Drift {
    /// Differences, in the order of the steps that would fix them.
    pub differences: Vec<Difference>,
    /// Notices for the administrator.
    pub notices: Vec<String>,
}

impl Drift {
    pub(super) fn add(&mut self, kind: Kind, name: impl Into<String>, text: impl Into<String>) {
        self.differences.push(Difference {
            kind,
            name: name.into(),
            text: text.into(),
        });
    }
}
