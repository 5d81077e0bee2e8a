//! Accounts in the files of a host and, on the running system, in NSS.
//!
//! A name that NSS does not find may exist all the same (a directory server can be unreachable), so
//! useradd(8) still has to accept a name that is free here.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;

use super::account_entry::{AccountFields, Group, UserEntry};
use super::derived_facts::Input;
use super::view::HostView;
use crate::error::Result;

/// Largest account file that is read, in bytes.
const FILE_LIMIT: u64 = 64 << 20;

/// Accounts of a host at the time of reading.
#[derive(Clone, Debug)]
pub struct Accounts {
    /// Entries of passwd(5), in the order of the file.
    pub users: Vec<UserEntry>,
    /// Entries of group(5), in the order of the file.
    pub groups: Vec<Group>,
    /// Names in shadow(5) that passwd(5) does not have, as an interrupted userdel(8) leaves them.
    pub orphan_shadow_users: Vec<String>,
    /// Names in gshadow(5) that group(5) does not have.
    pub orphan_shadow_groups: Vec<String>,
    live: bool,
    /// As in [`HostView::with_id_gap`].
    id_gap: u32,
    uid_range: (u32, u32),
    gid_range: (u32, u32),
}

/// Services of nsswitch.conf(5) whose entries are all in files of the host. `systemd` has dynamic
/// users of services too, whose ids no jail gets.
const OF_FILES: [&str; 3] = ["files", "compat", "systemd"];

impl HostView {
    /// Whether accounts have other sources than files, for example a directory service:
    /// nsswitch.conf(5).
    ///
    /// # Errors
    /// `Failed` if the file cannot be read.
    pub(super) fn uses_directory_service(&self) -> Result<bool> {
        let text = self.read(Path::new("/etc/nsswitch.conf"), FILE_LIMIT)?;
        let text = String::from_utf8_lossy(text.as_deref().unwrap_or_default()).into_owned();
        let services = text.lines().filter_map(|line| {
            let (database, services) = line.split('#').next()?.split_once(':')?;
            matches!(
                database.trim(),
                "passwd" | "group" | "shadow" | "initgroups"
            )
            .then_some(services)
        });
        let mut words = services.flat_map(str::split_whitespace);
        Ok(words.any(|word| !word.starts_with('[') && !OF_FILES.contains(&word)))
    }

    /// Reads the account files of the host, if one of them has changed since they were read.
    /// Passwords are `None` if shadow(5) is not readable.
    ///
    /// # Errors
    /// `Failed` if passwd(5) or group(5) cannot be read.
    pub fn accounts(&self) -> Result<Arc<Accounts>> {
        if self.access_log.is_some() && self.uses_directory_service()? {
            self.invalidate_access_log();
        }
        let read = self.derived(|| self.read_accounts())?;
        if self.assumed.is_empty() {
            return Ok(read);
        }
        let mut accounts = Accounts::clone(&read);
        accounts.users.extend(self.assumed.users());
        accounts.groups.extend(self.assumed.groups());
        accounts.id_gap = self.assumed.id_gap;
        Ok(Arc::new(accounts))
    }

    fn read_accounts(&self) -> Result<(Accounts, Vec<Input>)> {
        let mut inputs = Vec::new();
        let mut text = |path: &str| -> Result<String> {
            let found = self.read_with_stat(Path::new(path), FILE_LIMIT)?;
            let (bytes, stat) =
                found.map_or((Vec::new(), None), |(bytes, stat)| (bytes, Some(stat)));
            inputs.push(Input {
                path: path.into(),
                is_listed: false,
                is_replaced: true,
                stat,
            });
            Ok(String::from_utf8_lossy(&bytes).into_owned())
        };
        let mut users: Vec<UserEntry> = text("/etc/passwd")?
            .lines()
            .filter_map(passwd_line)
            .collect();
        // Only root can read it; other users get the other fields.
        let shadow = text("/etc/shadow").unwrap_or_default();
        let secrets: HashMap<&str, (&str, &str, Option<i64>)> = shadow
            .lines()
            .filter_map(|line| {
                let fields: Vec<&str> = line.split(':').collect();
                let number = |at: usize| fields.get(at)?.parse::<i64>().ok();
                let password_expires = match number(2) {
                    Some(0) => Some(0),
                    Some(last) => number(4).map(|most| last + most),
                    None => None,
                };
                Some((
                    *fields.first()?,
                    (*fields.get(1)?, *fields.get(7)?, password_expires),
                ))
            })
            .collect();
        for user in &mut users {
            if let Some((password, expires, password_expires)) = secrets.get(user.name.as_str()) {
                user.password = Some((*password).to_owned());
                user.expires = expires.parse().ok();
                user.password_expires = *password_expires;
            }
        }
        let names: HashSet<&str> = users.iter().map(|user| user.name.as_str()).collect();
        let orphan_shadow_users = secrets
            .keys()
            .filter(|name| !names.contains(*name))
            .map(|name| (*name).to_owned())
            .collect();
        let groups: Vec<Group> = text("/etc/group")?.lines().filter_map(group_line).collect();
        let names: HashSet<&str> = groups.iter().map(|group| group.name.as_str()).collect();
        let group_secrets = text("/etc/gshadow").unwrap_or_default();
        let orphan_shadow_groups = group_secrets
            .lines()
            .filter_map(|line| line.split(':').next())
            .filter(|name| !names.contains(name))
            .map(str::to_owned)
            .collect();
        let defaults = text("/etc/login.defs")?;
        let number = |key: &str, otherwise: u32| {
            let of_line = |line: &str| {
                let mut words = line.split_whitespace();
                (words.next() == Some(key))
                    .then(|| words.next()?.parse().ok())
                    .flatten()
            };
            defaults.lines().find_map(of_line).unwrap_or(otherwise)
        };
        let accounts = Accounts {
            users,
            groups,
            orphan_shadow_users,
            orphan_shadow_groups,
            live: self.is_live(),
            id_gap: 0,
            uid_range: (number("UID_MIN", 1000), number("UID_MAX", 60000).min(60000)),
            gid_range: (number("GID_MIN", 1000), number("GID_MAX", 60000).min(60000)),
        };
        Ok((accounts, inputs))
    }
}

impl Accounts {
    /// Entry of the user in the files.
    pub fn user(&self, name: &str) -> Option<&UserEntry> {
        self.users.iter().find(|user| user.name == name)
    }

    /// Entry of the group in the files.
    pub fn group(&self, name: &str) -> Option<&Group> {
        self.groups.iter().find(|group| group.name == name)
    }

    /// Fields of an account of the files.
    pub fn belonging(&self, account: &UserEntry) -> AccountFields {
        let mut groups: Vec<String> = self
            .groups
            .iter()
            .filter(|group| group.members.contains(&account.name))
            .map(|group| group.name.clone())
            .collect();
        groups.sort();
        AccountFields {
            gid: account.gid,
            home: account.home.clone(),
            shell: account.shell.clone(),
            gecos: account.gecos.clone(),
            groups,
        }
    }

    /// Whether the files or NSS have a user of this name.
    pub fn user_known(&self, name: &str) -> bool {
        self.user(name).is_some() || (self.live && users::get_user_by_name(name).is_some())
    }

    /// Whether the files or NSS have a group of this name.
    pub fn group_known(&self, name: &str) -> bool {
        self.group(name).is_some() || (self.live && users::get_group_by_name(name).is_some())
    }

    /// Whether the files or NSS have this user id.
    pub fn uid_known(&self, uid: u32) -> bool {
        self.users.iter().any(|user| user.uid == uid)
            || (self.live && users::get_user_by_uid(uid).is_some())
    }

    /// Whether every account with this user id satisfies `is_meant`: the accounts of the files, and
    /// the account that NSS returns for the id.
    pub fn has_alone(&self, uid: u32, is_meant: impl Fn(&UserEntry) -> bool) -> bool {
        let named = users::get_user_by_uid(uid).filter(|_| self.live);
        let mut of_files = self.users.iter().filter(|user| user.uid == uid);
        let is_named = named.is_none_or(|named| {
            let mut users = self.users.iter();
            users.any(|user| user.uid == uid && named.name().to_str() == Some(&user.name))
        });
        is_named && of_files.all(is_meant)
    }

    /// Whether the files or NSS have this group id.
    pub fn gid_known(&self, gid: u32) -> bool {
        self.groups.iter().any(|group| group.gid == gid)
            || (self.live && users::get_group_by_gid(gid).is_some())
    }

    /// User id of a new account: above the highest in use, as useradd(8) chooses, so that an id
    /// that still owns files is not used again at once; the lowest free id if the range ends there.
    /// `taken` are ids of other new accounts.
    pub fn free_uid(&self, taken: &[u32]) -> Option<u32> {
        let used: Vec<u32> = self
            .users
            .iter()
            .map(|user| user.uid)
            .chain(taken.iter().copied())
            .collect();
        free_id(self.uid_range, self.id_gap, &used, |id| self.uid_known(id))
    }

    /// Group id of a new group, chosen as user ids are.
    pub fn free_gid(&self, taken: &[u32]) -> Option<u32> {
        let used: Vec<u32> = self
            .groups
            .iter()
            .map(|group| group.gid)
            .chain(taken.iter().copied())
            .collect();
        free_id(self.gid_range, self.id_gap, &used, |id| self.gid_known(id))
    }
}

fn free_id(
    (low, high): (u32, u32),
    id_gap: u32,
    used: &[u32],
    known: impl Fn(u32) -> bool,
) -> Option<u32> {
    let above = used
        .iter()
        .copied()
        .filter(|id| (low..=high).contains(id))
        .max()
        .map_or(low, |top| top + 1);
    (above.saturating_add(id_gap)..=high)
        .chain(above..=high)
        .chain(low..above)
        .find(|id| !used.contains(id) && !known(*id))
}

fn passwd_line(line: &str) -> Option<UserEntry> {
    let [name, _, uid, gid, gecos, home, shell] =
        line.split(':').collect::<Vec<_>>().try_into().ok()?;
    Some(UserEntry {
        name: name.to_owned(),
        uid: uid.parse().ok()?,
        gid: gid.parse().ok()?,
        gecos: gecos.to_owned(),
        home: home.to_owned(),
        shell: shell.to_owned(),
        password: None,
        expires: None,
        password_expires: None,
    })
}

fn group_line(line: &str) -> Option<Group> {
    let [name, _, gid, members] = line.split(':').collect::<Vec<_>>().try_into().ok()?;
    let members = members
        .split(',')
        .filter(|member| !member.is_empty())
        .map(str::to_owned)
        .collect();
    Some(Group {
        name: name.to_owned(),
        gid: gid.parse().ok()?,
        members,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_go_up_and_then_fill_gaps() {
        let nobody = |_| false;
        assert_eq!(free_id((1000, 1005), 0, &[], nobody), Some(1000));
        assert_eq!(
            free_id((1000, 1005), 0, &[0, 1000, 1003, 65534], nobody),
            Some(1004)
        );
        assert_eq!(free_id((1000, 1005), 0, &[1005, 1000], nobody), Some(1001));
        assert_eq!(free_id((1000, 1001), 0, &[1000, 1001], nobody), None);
        assert_eq!(
            free_id((1000, 1005), 0, &[1001], |id| id == 1002),
            Some(1003)
        );
        assert_eq!(free_id((1000, 1005), 2, &[1000], nobody), Some(1003));
        assert_eq!(free_id((1000, 1005), 16, &[1000], nobody), Some(1001));
    }

    #[test]
    fn malformed_lines_are_passed_over() {
        assert!(passwd_line("root:x:0:0:root:/root:/bin/bash").is_some());
        for bad in [
            "",
            "a:x:1",
            "a:x:one:1::/:/bin/sh",
            "a:x:1:1::/:/bin/sh:more",
        ] {
            assert!(passwd_line(bad).is_none(), "{bad}");
        }
        assert_eq!(
            group_line("g:x:7:a,b").map(|group| group.members),
            Some(vec!["a".to_owned(), "b".to_owned()])
        );
    }
}
