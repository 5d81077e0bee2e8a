//! Entries of passwd(5), shadow(5) and group(5), and the fields of new ones.

/// A line of passwd(5), with its line of shadow(5) where that could be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserEntry {
    /// Login name.
    pub name: String,
    /// User id.
    pub uid: u32,
    /// Primary group id.
    pub gid: u32,
    /// The comment field.
    pub gecos: String,
    /// Home directory.
    pub home: String,
    /// Login shell.
    pub shell: String,
    /// The encrypted password of shadow(5).
    pub password: Option<String>,
    /// The day the account expires of shadow(5), in days since the epoch.
    pub expires: Option<i64>,
    /// The day from which shadow(5) asks for a new password before anything else; 0 for at once.
    pub stale: Option<i64>,
}

/// A line of group(5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// Group name.
    pub name: String,
    /// Group id.
    pub gid: u32,
    /// Names of the supplementary members.
    pub members: Vec<String>,
}

/// Where an account belongs.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct AccountFields {
    /// Primary group id.
    pub gid: u32,
    /// Home directory.
    pub home: String,
    /// Login shell.
    pub shell: String,
    /// The comment field.
    pub gecos: String,
    /// Further groups, sorted.
    pub groups: Vec<String>,
}

/// What useradd(8) is to make. The account is made closed: no password works, and it has expired.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct NewAccount {
    /// Login name.
    pub name: String,
    /// User id.
    pub uid: u32,
    /// Primary group id.
    pub gid: u32,
    /// The comment field.
    pub gecos: String,
    /// Home directory, not made.
    pub home: String,
    /// Login shell.
    pub shell: String,
    /// Further groups.
    pub groups: Vec<String>,
}
