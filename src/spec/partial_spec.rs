//! Specs whose values are partly invalid.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::access::{Access, AccessMethod, WayLimits};
use super::family::{expand, is_pattern};
use super::types::{
    DirSpec, Dlopen, FileSpec, PackageDependencies, SessionSpec, SftpSpec, Spec, User,
};
use crate::names::JailName;
use crate::span::Spanned;

/// [`Spec`] as far as its values are valid, so that these can be checked against each other.
#[derive(Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent facts about several keys"
)]
pub(crate) struct PartialSpec {
    pub(crate) name: Option<Spanned<JailName>>,
    pub(crate) root: Option<Spanned<PathBuf>>,
    pub(crate) templates: Vec<Spanned<String>>,
    pub(crate) binaries: Vec<Spanned<String>>,
    pub(crate) optional: Vec<Spanned<String>>,
    pub(crate) packages: Vec<Spanned<String>>,
    pub(crate) package_dependencies: PackageDependencies,
    pub(crate) dlopen: Dlopen,
    /// Whether elements of `binaries` were refused.
    pub(crate) has_invalid_binaries: bool,
    pub(crate) users: Vec<User>,
    /// Whether `users` lacks a user who has refused values.
    pub(crate) has_invalid_users: bool,
    pub(crate) access: Spanned<Vec<AccessMethod>>,
    pub(crate) default_access: Access,
    pub(crate) way_limits: BTreeMap<AccessMethod, WayLimits>,
    /// Whether elements of `sshd.allow` were refused.
    pub(crate) has_invalid_access: bool,
    pub(crate) sftp: SftpSpec,
    pub(crate) files: Vec<FileSpec>,
    pub(crate) dirs: Vec<DirSpec>,
    pub(crate) session: Option<SessionSpec>,
    pub(crate) plain_chroot: bool,
    pub(crate) tests: Vec<Spanned<Vec<String>>>,
}

impl PartialSpec {
    /// Roots of all jails of the spec, as far as they are known.
    pub(crate) fn roots(&self) -> Vec<PathBuf> {
        match &self.root {
            Some(root) if is_pattern(&root.value) => {
                let users = self.users.iter();
                let roots = users.map(|user| expand(&root.value, &user.name.value));
                roots.collect()
            }
            root => root.iter().map(|root| root.value.clone()).collect(),
        }
    }

    /// The spec; `None` if the name or the root was refused.
    pub(crate) fn into_spec(self) -> Option<Spec> {
        Some(Spec {
            name: self.name?,
            root: self.root?,
            family: None,
            templates: self.templates,
            binaries: self.binaries,
            optional: self.optional,
            packages: self.packages,
            package_dependencies: self.package_dependencies,
            dlopen: self.dlopen,
            users: self.users,
            access: self.access,
            default_access: self.default_access,
            way_limits: self.way_limits,
            sftp: self.sftp,
            files: self.files,
            dirs: self.dirs,
            session: self.session,
            plain_chroot: self.plain_chroot,
            tests: self.tests,
        })
    }
}

/// Last component of the name or path of a program.
pub(crate) fn program(binary: &str) -> &str {
    binary.rsplit('/').next().unwrap_or(binary)
}
