//! Names and paths as types: a value that breaks the rule of its type does not exist.

use std::borrow::Borrow;
use std::fmt;
use std::path::{Component, Path};

use serde::{Deserialize, Serialize};

use crate::layout::{GROUP_PATTERN, GROUP_PREFIX};

/// Reason why a text is no valid name or path: a fragment that completes "`x` ...".
pub type InvalidName = &'static str;

/// Name of a jail: `[a-z][a-z0-9_-]{0,26}`, so that the group `jail-<name>` fits the 32 characters
/// of useradd(8).
///
/// A spec with `%u` describes a family: a jail for each user, named `<family>.<user>`. Names in
/// specs have no `.`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct JailName(String);

impl JailName {
    /// Longest name, in characters.
    pub const MAX: usize = 27;

    /// Checks `text` against the rule for names in specs.
    ///
    /// # Errors
    /// The reason, if `text` breaks the rule.
    pub fn new(text: &str) -> Result<Self, InvalidName> {
        if text.is_empty() {
            return Err("is empty");
        }
        if text.len() > Self::MAX {
            return Err("is longer than 27 characters");
        }
        if !text.starts_with(|c: char| c.is_ascii_lowercase()) {
            return Err("does not start with a letter a-z");
        }
        if !text.bytes().all(is_name_byte) {
            return Err("has a character other than a-z, 0-9, `_` and `-`");
        }
        Ok(Self(text.to_owned()))
    }

    /// Name of an existing jail: a name of a spec, or `<family>.<user>`.
    ///
    /// # Errors
    /// The reason, if `text` is neither.
    pub fn parse(text: &str) -> Result<Self, InvalidName> {
        match text.split_once('.') {
            Some((family, user)) => Ok(Self::new(family)?.for_user(&UserName::new(user)?)),
            None => Self::new(text),
        }
    }

    /// Name of the jail of `user` in this family, or in the family of this member.
    #[must_use]
    pub fn for_user(&self, user: &UserName) -> Self {
        Self(format!("{}.{user}", self.family_name()))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Name of the family of a member, and the whole name of any other jail: the name of everything
    /// that members share.
    pub fn family_name(&self) -> &str {
        self.0.split('.').next().unwrap_or(&self.0)
    }

    /// Whether this is the name of a member of a family.
    pub fn is_member(&self) -> bool {
        self.0.contains('.')
    }

    /// Whether this is the name of another member of the family of `other`.
    pub fn is_sibling(&self, other: &Self) -> bool {
        self.is_member()
            && other.is_member()
            && self != other
            && self.family_name() == other.family_name()
    }

    /// Pattern of ssh_config(5) for the groups of all jails.
    pub fn groups() -> &'static str {
        GROUP_PATTERN
    }

    /// Primary group of the accounts of the jail, which its sshd snippet matches. All members of a
    /// family have the same group.
    pub fn group(&self) -> String {
        format!("{GROUP_PREFIX}{}", self.family_name())
    }
}

/// Name of a user: `[a-z_][a-z0-9_-]{0,31}`, as useradd(8) accepts it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct UserName(String);

impl UserName {
    /// Longest name, in characters, as in useradd(8).
    pub const MAX: usize = 32;

    /// Checks `text` against the rule.
    ///
    /// # Errors
    /// The reason, if `text` breaks the rule.
    pub fn new(text: &str) -> Result<Self, InvalidName> {
        if text.is_empty() {
            return Err("is empty");
        }
        if text.len() > Self::MAX {
            return Err("is longer than 32 characters");
        }
        if !text.starts_with(|c: char| c.is_ascii_lowercase() || c == '_') {
            return Err("does not start with a letter a-z or `_`");
        }
        if !text.bytes().all(is_name_byte) {
            return Err("has a character other than a-z, 0-9, `_` and `-`");
        }
        Ok(Self(text.to_owned()))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_' || byte == b'-'
}

/// Path inside a jail: absolute, UTF-8, without `.`, `..`, `//`, a slash at the end or control
/// characters.
///
/// It names an entry of the tree. It is never passed to the kernel as it is, only resolved below a
/// descriptor of the root of the jail.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct JailPath(String);

impl JailPath {
    /// Checks `text` against the rule. Nothing is normalised.
    ///
    /// # Errors
    /// The reason, if `text` breaks the rule.
    pub fn new(text: &str) -> Result<Self, InvalidName> {
        if text == "/" {
            return Ok(Self(text.to_owned()));
        }
        if !text.starts_with('/') {
            return Err("is not an absolute path");
        }
        if text.len() > 1024 {
            return Err("is longer than 1024 bytes");
        }
        if text.chars().any(char::is_control) {
            return Err("has a control character");
        }
        // By bytes, since a tree has thousands of paths.
        let mut parts = text.as_bytes()[1..].split(|byte| *byte == b'/');
        if parts.clone().any(<[u8]>::is_empty) {
            return Err("has an empty component (`//` or a `/` at the end)");
        }
        if parts.any(|part| part == b"." || part == b"..") {
            return Err("has a `.` or `..` component");
        }
        Ok(Self(text.to_owned()))
    }

    /// Root of the jail.
    pub fn root() -> Self {
        Self("/".to_owned())
    }

    /// The path as text, with its leading slash.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Path relative to the root of the jail, for calls that take a descriptor of the root:
    /// `usr/bin` for `/usr/bin`, `.` for `/`.
    pub fn relative(&self) -> &Path {
        let rest = &self.0[1..];
        Path::new(if rest.is_empty() { "." } else { rest })
    }

    /// Directory that contains this path; `None` for the root.
    pub fn parent(&self) -> Option<Self> {
        match self.0.rfind('/')? {
            0 if self.0.len() == 1 => None,
            0 => Some(Self::root()),
            at => Some(Self(self.0[..at].to_owned())),
        }
    }

    /// Last component; empty for the root.
    pub fn name(&self) -> &str {
        &self.0[self.0.rfind('/').map_or(0, |at| at + 1)..]
    }

    /// First component; empty for the root.
    pub fn top(&self) -> &str {
        self.0[1..].split('/').next().unwrap_or_default()
    }

    /// Path of `name` below this path; `name` is one component.
    ///
    /// # Errors
    /// The reason, if the result breaks the rule.
    pub fn join(&self, name: &str) -> Result<Self, InvalidName> {
        if self.0 == "/" {
            Self::new(&format!("/{name}"))
        } else {
            Self::new(&format!("{}/{name}", self.0))
        }
    }

    /// Whether this path is `other` or below it.
    pub fn starts_with(&self, other: &Self) -> bool {
        Path::new(&self.0).starts_with(&other.0)
    }

    /// Path inside the jail that a symbolic link at this path with the text `target` resolves to;
    /// `..` stops at the root, as in chroot(2).
    ///
    /// # Errors
    /// The reason, if the result breaks the rule.
    pub fn link_target(&self, target: &Path) -> Result<Self, InvalidName> {
        let mut parts: Vec<&str> = Vec::new();
        if !target.is_absolute() {
            parts.extend(self.0[1..].split('/'));
            parts.pop();
        }
        for component in target.components() {
            match component {
                Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
                Component::ParentDir => {
                    parts.pop();
                }
                Component::Normal(part) => parts.push(part.to_str().ok_or("is not UTF-8")?),
            }
        }
        Self::new(&format!("/{}", parts.join("/")))
    }
}

macro_rules! text_type {
    ($($name:ident by $check:ident),*) => {$(
        impl TryFrom<String> for $name {
            type Error = String;
            fn try_from(text: String) -> Result<Self, String> {
                Self::$check(&text).map_err(|why| format!("`{}` {why}", text.escape_debug()))
            }
        }
        impl From<$name> for String {
            fn from(value: $name) -> Self {
                value.0
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
    )*};
}
text_type!(JailName by parse, UserName by new, JailPath by new);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_their_rules() {
        for good in [
            "a",
            "arkham",
            "web-01",
            "x_y",
            "abcdefghijklmnopqrstuvwxyz0",
        ] {
            assert!(JailName::new(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "Arkham",
            "1st",
            "-x",
            "a b",
            "a\n",
            "a/b",
            "é",
            "abcdefghijklmnopqrstuvwxyz01",
        ] {
            assert!(JailName::new(bad).is_err(), "{bad:?}");
        }
        for bad in ["", "123", "Root", "a:b", "a\0", "-a", &"a".repeat(33)] {
            assert!(UserName::new(bad).is_err(), "{bad:?}");
        }
        assert!(UserName::new(&"a".repeat(32)).is_ok());
    }

    #[test]
    fn members_of_families_have_names_that_nobody_chooses() {
        let acme = JailName::new("acme").expect("a name");
        let alice = acme.for_user(&UserName::new("alice").expect("a name"));
        assert_eq!(alice.as_str(), "acme.alice");
        assert_eq!(JailName::parse("acme.alice"), Ok(alice.clone()));
        assert_eq!(JailName::parse("acme"), Ok(acme.clone()));
        assert!(JailName::new("acme.alice").is_err());
        assert_eq!((alice.family_name(), acme.family_name()), ("acme", "acme"));
        assert_eq!(alice.group(), "jail-acme");
        let bob = alice.for_user(&UserName::new("bob").expect("a name"));
        assert_eq!(bob.as_str(), "acme.bob");
        assert!(bob.is_sibling(&alice) && !bob.is_sibling(&bob) && !bob.is_sibling(&acme));
        for bad in [
            "acme.",
            ".alice",
            "acme..",
            "acme.a.b",
            "acme./",
            "acme.../x",
            "acme.Alice",
            "a/b.c",
            "acme.123",
        ] {
            assert!(JailName::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn jail_paths_are_plain() {
        for bad in [
            "", "usr", "/usr/", "//usr", "/a/../b", "/./a", "/a\n", "/a/..",
        ] {
            assert!(JailPath::new(bad).is_err(), "{bad:?}");
        }
        let path = JailPath::new("/usr/bin/ls").expect("valid");
        assert_eq!(path.top(), "usr");
        assert_eq!(path.name(), "ls");
        assert_eq!(path.parent().expect("parent").as_str(), "/usr/bin");
        assert_eq!(
            JailPath::new("/usr").expect("valid").parent(),
            Some(JailPath::root())
        );
        assert_eq!(JailPath::root().parent(), None);
        assert_eq!(path.relative(), Path::new("usr/bin/ls"));
    }

    #[test]
    fn link_targets_stay_inside() {
        let link = JailPath::new("/usr/lib/libx.so").expect("valid");
        let to = |target: &str| {
            link.link_target(Path::new(target))
                .expect("valid")
                .as_str()
                .to_owned()
        };
        assert_eq!(to("libx.so.1"), "/usr/lib/libx.so.1");
        assert_eq!(to("../../../../etc/x"), "/etc/x");
        assert_eq!(to("/etc/alternatives/x"), "/etc/alternatives/x");
    }
}
