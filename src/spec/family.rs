//! One spec for a jail of each user: what `%u` in its root means.

use std::path::{Path, PathBuf};

use super::{Password, Spec};
use crate::error::{Finding, Result};
use crate::names::{JailName, UserName};

/// What stands for a user's name in a root, as in sshd_config(5); always a whole component.
pub(crate) const USER_TOKEN: &str = "%u";

/// What a jail shares with the others of its family, whose sshd snippet is one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Family {
    /// The roots of all of them, with `%u`.
    pub root: PathBuf,
    /// Whether any of the users has a password.
    pub passwords: bool,
    /// The user ids that the spec gives to any of the users.
    pub uids: Vec<u32>,
    /// Whether no other is built after it along with it.
    pub is_last: bool,
}

impl Family {
    /// The root of the jail of `user`.
    pub fn root_of(&self, user: &UserName) -> PathBuf {
        expand(&self.root, user)
    }

    /// The directory that has an entry for each user.
    pub fn parent_dir(&self) -> PathBuf {
        self.root
            .iter()
            .take_while(|part| *part != USER_TOKEN)
            .collect()
    }
}

impl Spec {
    /// Whether it stands for a jail of each user, and not for one.
    pub fn is_family(&self) -> bool {
        is_pattern(&self.root.value)
    }

    /// The specs of the jails that it stands for: its own, or one for each user.
    pub fn members(&self) -> Vec<Self> {
        if !self.is_family() {
            return vec![self.clone()];
        }
        let last = self.users.len().saturating_sub(1);
        let users = self.users.iter().enumerate();
        users
            .map(|(index, user)| self.of_user(&user.name.value, index == last))
            .collect()
    }

    /// The spec of the jail `name` of those that it stands for, to be built without the others.
    pub fn member(self, name: &JailName) -> Result<Self> {
        if !self.is_family() && self.name.value == *name {
            return Ok(self);
        }
        let mut users = self.users.iter().map(|user| &user.name.value);
        match users.find(|user| self.is_family() && self.name.value.for_user(user) == *name) {
            Some(user) => Ok(self.of_user(user, true)),
            None => Err(
                Finding::new(format!("the spec does not stand for a jail `{name}`"))
                    .why("it has another name, or its root or its users are others")
                    .hint("build the jail from its spec file once")
                    .into(),
            ),
        }
    }

    /// The user ids that it gives.
    pub fn uids(&self) -> Vec<u32> {
        let uids = self.users.iter().filter_map(|user| user.uid.as_ref());
        uids.map(|uid| uid.value).collect()
    }

    /// What it means for one user: his account, the directories that are his or nobody's, and all else.
    fn of_user(&self, user: &UserName, is_last: bool) -> Self {
        let mut spec = self.clone();
        spec.name.value = self.name.value.for_user(user);
        spec.root.value = expand(&self.root.value, user);
        spec.users.retain(|one| one.name.value == *user);
        spec.dirs
            .retain(|dir| dir.owner.as_ref().is_none_or(|owner| owner.value == *user));
        let passwords = |user: &super::User| user.password.value != Password::Locked;
        spec.family = Some(Family {
            root: self.root.value.clone(),
            passwords: self.users.iter().any(passwords),
            uids: self.uids(),
            is_last,
        });
        spec
    }
}

/// Whether a root stands for one of each user.
pub(crate) fn is_pattern(root: &Path) -> bool {
    root.iter().any(|part| part == USER_TOKEN)
}

/// The root of one user's jail.
pub(crate) fn expand(root: &Path, user: &UserName) -> PathBuf {
    let part = |part| {
        if part == USER_TOKEN {
            user.as_str().as_ref()
        } else {
            part
        }
    };
    root.iter().map(part).collect()
}
