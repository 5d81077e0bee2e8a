//! Families: specs with `%u` in `root`, which describe one jail per user.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::access::Login;
use super::types::{Family, Password, Spec, User};
use crate::error::{Finding, Result};
use crate::names::{JailName, UserName};

/// Token for the user name in a root, as in sshd_config(5); always a whole component.
pub(crate) const USER_TOKEN: &str = "%u";

impl Family {
    /// Root of the jail of `user`.
    pub fn root_of(&self, user: &UserName) -> PathBuf {
        expand(&self.root, user)
    }

    /// Directory that contains one directory per user.
    pub fn parent_dir(&self) -> PathBuf {
        self.root
            .iter()
            .take_while(|part| *part != USER_TOKEN)
            .collect()
    }
}

impl Spec {
    /// Whether the spec describes one jail per user.
    pub fn is_family(&self) -> bool {
        is_pattern(&self.root.value)
    }

    /// Specs of all jails: the spec itself, or one per user.
    pub fn members(&self) -> Vec<Self> {
        if !self.is_family() {
            return vec![self.clone()];
        }
        let last = self.users.len().saturating_sub(1);
        let own_logins = self.own_logins();
        let users = self.users.iter().enumerate();
        users
            .map(|(index, user)| self.of_user(&user.name.value, &own_logins, index == last))
            .collect()
    }

    /// Spec of the jail `name`, to be built without the others.
    ///
    /// # Errors
    /// [`crate::error::ErrorKind::Spec`] if the spec does not describe that jail.
    pub fn member(self, name: &JailName) -> Result<Self> {
        if !self.is_family() && self.name.value == *name {
            return Ok(self);
        }
        let mut users = self.users.iter().map(|user| &user.name.value);
        match users.find(|user| self.is_family() && self.name.value.for_user(user) == *name) {
            Some(user) => Ok(self.of_user(user, &self.own_logins(), true)),
            None => Err(
                Finding::new(format!("the spec does not describe the jail `{name}`"))
                    .why("its name, its root or its users differ")
                    .hint("build the jail from its spec file with `jailctl build`")
                    .into(),
            ),
        }
    }

    /// User ids that the spec sets.
    pub fn uids(&self) -> Vec<u32> {
        let uids = self.users.iter().filter_map(|user| user.uid.as_ref());
        uids.map(|uid| uid.value).collect()
    }

    /// Spec of the jail of `user`: without the accounts and directories of other users.
    fn of_user(
        &self,
        user: &UserName,
        own_logins: &Arc<[(UserName, Login)]>,
        is_last: bool,
    ) -> Self {
        let mut spec = self.clone();
        spec.name.value = self.name.value.for_user(user);
        spec.root.value = expand(&self.root.value, user);
        spec.users.retain(|one| one.name.value == *user);
        spec.dirs
            .retain(|dir| dir.owner.as_ref().is_none_or(|owner| owner.value == *user));
        let passwords = |user: &User| user.password.value != Password::Locked;
        spec.family = Some(Family {
            root: self.root.value.clone(),
            passwords: self.users.iter().any(passwords),
            uids: self.uids(),
            own_logins: own_logins.clone(),
            is_last,
        });
        spec
    }

    /// Users whom sshd treats differently than `[sshd] allow` says.
    pub fn own_logins(&self) -> Arc<[(UserName, Login)]> {
        if let Some(family) = &self.family {
            return family.own_logins.clone();
        }
        let default = self.default_access.login();
        let logins = self
            .users
            .iter()
            .map(|user| (&user.name.value, user.login()));
        let own = logins.filter(|(_, login)| *login != default);
        own.map(|(user, login)| (user.clone(), login)).collect()
    }
}

/// Whether `root` contains `%u`.
pub(crate) fn is_pattern(root: &Path) -> bool {
    root.iter().any(|part| part == USER_TOKEN)
}

/// `root` with `%u` replaced by the name of `user`.
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
