//! Entries of passwd(5), shadow(5) and group(5), and the fields of new ones.

/// Entry of passwd(5), with its entry of shadow(5) if that is readable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserEntry {
    /// Login name.
    pub name: String,
    /// User id.
    pub uid: u32,
    /// Primary group id.
    pub gid: u32,
    /// Comment field.
    pub gecos: String,
    /// Home directory.
    pub home: String,
    /// Login shell.
    pub shell: String,
    /// Encrypted password of shadow(5).
    pub password: Option<String>,
    /// Expiry date of shadow(5), in days since 1970-01-01.
    pub expires: Option<i64>,
    /// Day from which shadow(5) requires a new password at login, in days since 1970-01-01; 0 for
    /// the next login.
    pub password_expires: Option<i64>,
}

/// Entry of group(5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// Group name.
    pub name: String,
    /// Group id.
    pub gid: u32,
    /// Names of the supplementary members.
    pub members: Vec<String>,
}

/// Fields of an account that a build can change.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct AccountFields {
    /// Primary group id.
    pub gid: u32,
    /// Home directory.
    pub home: String,
    /// Login shell.
    pub shell: String,
    /// Comment field.
    pub gecos: String,
    /// Supplementary groups, sorted.
    pub groups: Vec<String>,
}

/// Account that useradd(8) is to create. It is created closed: no password matches, and it has
/// expired.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct NewAccount {
    /// Login name.
    pub name: String,
    /// User id.
    pub uid: u32,
    /// Primary group id.
    pub gid: u32,
    /// Comment field.
    pub gecos: String,
    /// Home directory; it is not created.
    pub home: String,
    /// Login shell.
    pub shell: String,
    /// Supplementary groups.
    pub groups: Vec<String>,
}
