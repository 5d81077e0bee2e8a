//! Settings that sshd has to have for a user.

/// Settings of one user that sshd has to have for every connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExpectedSettings {
    /// Login name.
    pub user: String,
    /// Groups of the user, the primary one first.
    pub groups: Vec<String>,
    /// Keyword in lower case, and value as `sshd -T` prints it.
    pub settings: Vec<(String, String)>,
    /// Whether jailctl's drop-in has a block for this user alone.
    pub has_own_block: bool,
}
