//! The words of the flow as types: a value that must obey a rule cannot be made otherwise.

use std::borrow::Borrow;
use std::fmt;
use std::path::{Component, Path};

use serde::{Deserialize, Serialize};

use crate::layout::{GROUP_PATTERN, GROUP_PREFIX};

/// Why a string is not a name or a path of the kind asked for: a sentence fragment that fits after "`x` ".
pub type InvalidName = &'static str;

/// A jail's name: `[a-z][a-z0-9_-]{0,26}`, so that the group `jail-<name>` fits the 32 characters of useradd(8).
///
/// Where one spec stands for a jail of each user, each has the name `<family>.<user>`: the family's is what people choose, and no such name has a `.`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct JailName(String);

impl JailName {
    /// Longest name allowed.
    pub const MAX: usize = 27;

    /// Checks `text` against the rule for names that people choose.
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

    /// The name of a jail that is there: one that somebody chose, or `<family>.<user>`.
    pub fn parse(text: &str) -> Result<Self, InvalidName> {
        match text.split_once('.') {
            Some((family, user)) => Ok(Self::new(family)?.for_user(&UserName::new(user)?)),
            None => Self::new(text),
        }
    }

    /// The name of the jail that `user` has in this family, or in the family of this jail.
    #[must_use]
    pub fn for_user(&self, user: &UserName) -> Self {
        Self(format!("{}.{user}", self.family_name()))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The family's part of a member's name, and any other name whole: what names that which members share.
    pub fn family_name(&self) -> &str {
        self.0.split('.').next().unwrap_or(&self.0)
    }

    /// Whether it is the name of a member of a family.
    pub fn is_member(&self) -> bool {
        self.0.contains('.')
    }

    /// Whether it is another member of the family that `other` is a member of.
    pub fn is_sibling(&self, other: &Self) -> bool {
        self.is_member()
            && other.is_member()
            && self != other
            && self.family_name() == other.family_name()
    }

    /// The pattern of ssh_config(5) for the groups of all jails.
    pub fn groups() -> &'static str {
        GROUP_PATTERN
    }

    /// The primary group of the jail's accounts, which its sshd snippet matches. The members of a family share it.
    pub fn group(&self) -> String {
        format!("{GROUP_PREFIX}{}", self.family_name())
    }
}

/// A user's name: `[a-z_][a-z0-9_-]{0,31}` and not only digits.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct UserName(String);

impl UserName {
    /// Longest name allowed, as in useradd(8).
    pub const MAX: usize = 32;

    /// Checks `text` against the rule.
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

/// A path inside a jail: absolute, UTF-8, without `.`, `..`, `//`, a trailing slash or control characters.
///
/// It names a place of the tree; it is never handed to the kernel as it is, only resolved under a descriptor of the jail's root.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct JailPath(String);

impl JailPath {
    /// Checks `text` against the rule. Paths are taken as written: nothing is normalised.
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
        // By bytes: a tree has thousands of paths.
        let mut parts = text.as_bytes()[1..].split(|byte| *byte == b'/');
        if parts.clone().any(<[u8]>::is_empty) {
            return Err("has an empty component (`//` or a `/` at the end)");
        }
        if parts.any(|part| part == b"." || part == b"..") {
            return Err("has a `.` or `..` component");
        }
        Ok(Self(text.to_owned()))
    }

    /// The jail's root itself.
    pub fn root() -> Self {
        Self("/".to_owned())
    }

    /// The path as text, with its leading slash.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The path relative to the jail's root, for calls that take a descriptor of it: `/usr/bin` gives `usr/bin`, `/` gives `.`.
    pub fn relative(&self) -> &Path {
        let rest = &self.0[1..];
        Path::new(if rest.is_empty() { "." } else { rest })
    }

    /// The directory that holds this path; `None` for the root.
    pub fn parent(&self) -> Option<Self> {
        match self.0.rfind('/')? {
            0 if self.0.len() == 1 => None,
            0 => Some(Self::root()),
            at => Some(Self(self.0[..at].to_owned())),
        }
    }

    /// The last component; empty for the root.
    pub fn name(&self) -> &str {
        &self.0[self.0.rfind('/').map_or(0, |at| at + 1)..]
    }

    /// The first component; empty for the root.
    pub fn top(&self) -> &str {
        self.0[1..].split('/').next().unwrap_or_default()
    }

    /// `name`, which must be one component that the rule allows, below this path.
    pub fn join(&self, name: &str) -> Result<Self, InvalidName> {
        if self.0 == "/" {
            Self::new(&format!("/{name}"))
        } else {
            Self::new(&format!("{}/{name}", self.0))
        }
    }

    /// Whether this path is `other` or lies below it.
    pub fn starts_with(&self, other: &Self) -> bool {
        Path::new(&self.0).starts_with(&other.0)
    }

    /// Where `target`, as a symbolic link at this path says it, leads inside the jail; `..` stops at the root, as in chroot(2).
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
