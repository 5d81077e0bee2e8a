//! Traces of a jail after its removal: what jailctl knows to have made is looked for, and what it
//! does not delete is named.

use std::path::{Path, PathBuf};

use jailctl_session::policy::Source;

use super::manifest::Manifest;
use super::purge::LeftRoot;
use super::session_policy::policy_as_built;
use super::sshd::snippet;
use crate::error::Result;
use crate::host::{HostView, manager_unit};
use crate::layout::{MAIL_DIR, RUN_SESSIONS};
use crate::names::JailName;
use crate::resolve::{ResolvedJail, is_managed};

/// The parts of a jail, collected before its removal.
#[derive(Clone, Debug)]
pub struct Subject {
    jail: JailName,
    root: PathBuf,
    /// Login names with user ids.
    users: Vec<(String, u32)>,
    /// Group of the accounts; `None` if other jails share group and snippet.
    group: Option<String>,
    mounts: Vec<PathBuf>,
    spec: Option<PathBuf>,
}

/// The result of a search.
#[derive(Clone, Debug, Default)]
pub struct Traces {
    /// Accounts, groups and paths that do not exist any more.
    pub absent: Vec<String>,
    /// Accounts, groups and paths that are left.
    pub left: Vec<String>,
    /// Files elsewhere that jailctl does not delete, with the command that finds them.
    pub elsewhere: Vec<String>,
}

impl Subject {
    /// Of a built jail. `is_whole`: whether all jails of its family are removed.
    ///
    /// # Errors
    /// [`crate::error::ErrorKind::Failed`] if the records cannot be read.
    pub fn of_jail(manifest: &Manifest, is_whole: bool, view: &HostView) -> Result<Self> {
        let policy = policy_as_built(view, &manifest.name)?;
        let mounts = policy.into_iter().flat_map(|policy| policy.mounts);
        let group = manifest.confinement.as_ref();
        Ok(Self {
            jail: manifest.name.clone(),
            root: manifest.root.clone(),
            users: (manifest.accounts.iter())
                .map(|account| (account.name.clone(), account.uid))
                .collect(),
            group: group
                .filter(|_| is_whole)
                .map(|confinement| confinement.group.0.clone()),
            mounts: mounts
                .filter_map(|mount| match mount.source {
                    Source::Bind(path) => Some(path),
                    _ => None,
                })
                .collect(),
            spec: Some(PathBuf::from(&manifest.spec)).filter(|spec| spec.is_absolute()),
        })
    }

    /// Of a root that a removal has left.
    pub fn of_left(left: &LeftRoot) -> Self {
        let users = left.marker.left.iter();
        Self {
            jail: left.marker.jail.clone(),
            root: left.root.clone(),
            users: users.map(|home| (home.user.clone(), home.uid)).collect(),
            group: None,
            mounts: Vec::new(),
            spec: None,
        }
    }

    /// Looks for traces of the jail.
    ///
    /// # Errors
    /// [`crate::error::ErrorKind::Failed`] if the host cannot be read.
    pub fn search(&self, view: &HostView) -> Result<Traces> {
        let mut traces = Traces::default();
        let accounts = view.accounts()?;
        for (user, _) in &self.users {
            let found = accounts.user(user);
            let is_ours = found.is_some_and(|found| is_managed(found, &self.jail, None));
            traces.add(is_ours, format!("account {user}"));
        }
        if let Some(group) = &self.group {
            traces.add(accounts.group(group).is_some(), format!("group {group}"));
            let snippet = snippet(view, &self.jail)?;
            traces.add(snippet.text.is_some(), format!("sshd snippet of {group}"));
        }
        for path in self.paths() {
            let is_there = view.lstat(&path)?.is_some();
            traces.add(is_there, path.display().to_string());
        }
        for (user, uid) in &self.users {
            let mail = PathBuf::from(MAIL_DIR).join(user);
            let is_its = view.lstat(&mail)?.is_some_and(|stat| stat.uid == *uid);
            traces.add(is_its, mail.display().to_string());
        }
        if let Some(spec) = &self.spec
            && HostView::new(Path::new("/"))?.lstat(spec)?.is_some()
        {
            traces.elsewhere.push(format!(
                "the spec `{}` stays: a build of it creates the jail again",
                spec.display()
            ));
        }
        let ids: Vec<String> = self.users.iter().map(|(_, uid)| uid.to_string()).collect();
        if !ids.is_empty() {
            for mount in &self.mounts {
                let shown = mount.display();
                let tests: Vec<String> = ids.iter().map(|id| format!("-uid {id}")).collect();
                traces.elsewhere.push(format!(
                    "files in `{shown}`, which was mounted in the jail, may belong to the user ids {}: find {shown} {}",
                    ids.join(", "),
                    tests.join(" -o ")
                ));
            }
        }
        Ok(traces)
    }

    /// The files of the jail outside of its root, and the root.
    fn paths(&self) -> Vec<PathBuf> {
        let mut paths = vec![
            self.root.clone(),
            ResolvedJail::state(&self.jail),
            ResolvedJail::cache(&self.jail, "build"),
            ResolvedJail::cache(&self.jail, "check"),
            PathBuf::from(RUN_SESSIONS).join(self.jail.as_str()),
        ];
        paths.extend(self.users.iter().map(|(_, uid)| manager_unit(*uid)));
        paths
    }
}

impl Traces {
    fn add(&mut self, is_there: bool, what: String) {
        if is_there {
            self.left.push(what);
        } else {
            self.absent.push(what);
        }
    }
}
