//! Which accounts the jail's users are: the ones it has already, or new ones with ids chosen now, so that the plan is complete before anything is
//! made.

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use super::marker::Left;
use crate::error::Finding;
use crate::host::{Accounts, Passwd};
use crate::names::{JailName, JailPath};
use crate::spec::{Password, Spec, User};

/// Where every jail has its login shells, and no host has anything: what sshd, su(1) and login(1) find missing without the jail.
pub const SHELLS: &str = "/jail";

/// A jail's group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WantedGroup {
    /// `jail-<name>`.
    pub name: String,
    /// The id it has, or is to get.
    pub gid: u32,
}

/// A jail's account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WantedAccount {
    /// Login name.
    pub name: String,
    /// The id it has, or is to get.
    pub uid: u32,
    /// Primary group.
    pub gid: u32,
    /// Our mark in the comment field.
    pub gecos: String,
    /// Home, inside the jail.
    pub home: JailPath,
    /// Shell inside the jail; `None` where the shell is no door.
    pub shell: Option<JailPath>,
    /// Login shell in the host's passwd(5), a path that only the jail has.
    pub login_shell: String,
    /// The whole of its authorized_keys.
    pub keys: String,
    /// Its password.
    pub password: Password,
    /// The day from which it is closed, in days since 1970-01-01.
    pub expires: Option<i64>,
}

/// The mark in an account's comment field that says whose it is.
pub fn token(name: &JailName) -> String {
    format!("jailctl jail {name}")
}

/// Whether the account is one that jailctl made for this jail.
///
/// Its comment alone is no proof, since chfn(1) may let users set it; its login shell and its primary group only root can set. `group` is the
/// jail's, where there is one.
pub fn is_ours(account: &Passwd, name: &JailName, group: Option<u32>) -> bool {
    account.gecos == token(name)
        && (account.shell.starts_with("/jail/") || group == Some(account.gid))
}

/// Chooses the jail's group and accounts; every reason why one cannot be had is a finding.
pub(super) fn resolve(
    spec: &Spec,
    accounts: &Accounts,
    left: &[Left],
    findings: &mut Vec<Finding>,
) -> (WantedGroup, Vec<WantedAccount>) {
    let name = &spec.name.value;
    let gecos = token(name);
    let group_name = name.group();
    let group = accounts.group(&group_name);
    if let Some(group) = group {
        let foreign = accounts
            .users
            .iter()
            .find(|user| user.gid == group.gid && !is_ours(user, name, Some(group.gid)));
        if let Some(member) = foreign
            .map(|user| user.name.as_str())
            .or(group.members.first().map(String::as_str))
        {
            findings.push(
                Finding::new(format!("could not use the group `{group_name}`"))
                    .why(format!("`{member}`, which is not of this jail, is a member"))
                    .hint(format!("take it out with `gpasswd --delete {member} {group_name}`, or give it another group"))
                    .at(&spec.name.site, "its group"),
            );
        }
    } else if accounts.group_known(&group_name) {
        findings.push(
            Finding::new(format!("could not make the group `{group_name}`"))
                .why("a directory service has a group of that name")
                .at(&spec.name.site, "its group"),
        );
    }
    let gid = group
        .map(|group| group.gid)
        .or_else(|| accounts.free_gid())
        .unwrap_or_else(|| {
            findings.push(
                Finding::new(format!("could not make the group `{group_name}`"))
                    .why("no group id of the host's range is free"),
            );
            0
        });
    let mut taken: Vec<u32> = spec
        .users
        .iter()
        .filter_map(|user| user.uid.as_ref().map(|uid| uid.value))
        .chain(left.iter().map(|home| home.uid))
        .collect();
    let mut wanted = Vec::new();
    for user in &spec.users {
        let uid = uid(user, name, accounts, left, &taken, findings);
        taken.push(uid);
        let shell = user.shell.as_ref().map(|shell| shell.value.clone());
        let keys = user
            .authorized_keys
            .iter()
            .flat_map(|key| [key.value.as_str(), "\n"])
            .collect();
        wanted.push(WantedAccount {
            name: user.name.value.as_str().to_owned(),
            uid,
            gid,
            gecos: gecos.clone(),
            home: user.home.value.clone(),
            login_shell: shell.as_ref().map_or_else(
                || format!("{SHELLS}/none"),
                |shell| format!("{SHELLS}{shell}"),
            ),
            shell,
            keys,
            password: user.password.value.clone(),
            expires: user.expires.as_ref().map(|day| day.value.0),
        });
    }
    (
        WantedGroup {
            name: group_name,
            gid,
        },
        wanted,
    )
}

fn uid(
    user: &User,
    jail: &JailName,
    accounts: &Accounts,
    left: &[Left],
    taken: &[u32],
    findings: &mut Vec<Finding>,
) -> u32 {
    let name = user.name.value.as_str();
    let refuse = |why: String| {
        Finding::new(format!("could not use the account `{name}`"))
            .why(why)
            .at(&user.name.site, "this user")
    };
    if let Some(found) = accounts.user(name) {
        if !is_ours(
            found,
            jail,
            accounts.group(&jail.group()).map(|group| group.gid),
        ) {
            let owner = found.gecos.strip_prefix("jailctl jail ").map_or_else(
                || "it exists, and jailctl did not make it".to_owned(),
                |other| format!("it belongs to the jail `{}`", other.escape_debug()),
            );
            findings.push(
                refuse(owner)
                    .hint("choose another name: an account that others made is never taken over"),
            );
        } else if let Some(uid) = user.uid.as_ref().filter(|uid| uid.value != found.uid) {
            findings.push(
                Finding::new(format!("could not give `{name}` the user id {}", uid.value))
                    .why(format!(
                        "it has {} already, and its files with it",
                        found.uid
                    ))
                    .hint("leave `uid` out, or remove the user first")
                    .at(&uid.site, "this id"),
            );
        }
        return found.uid;
    }
    if accounts.user_known(name) {
        findings.push(
            refuse("a directory service has an account of that name".to_owned())
                .hint("choose another name"),
        );
    }
    let home = left.iter().find(|one| one.home == user.home.value);
    if let Some(home) = home {
        let other = accounts.users.iter().find(|other| other.uid == home.uid);
        let why = match (other, &user.uid) {
            (Some(other), _) => Some(format!(
                "the user id {} of its files is `{}` now",
                home.uid, other.name
            )),
            (None, Some(uid)) if uid.value != home.uid => {
                Some(format!("its files have the user id {}", home.uid))
            }
            (None, _) if home.user != name => Some(format!("it was left there by `{}`", home.user)),
            (None, _) => None,
        };
        if let Some(why) = why {
            findings.push(
                Finding::new(format!(
                    "could not give `{name}` the home `{}`",
                    user.home.value
                ))
                .why(why)
                .hint("move that home away, or give the user another one")
                .at(&user.home.site, "this home"),
            );
        }
        return home.uid;
    }
    if let Some(uid) = &user.uid {
        if accounts.uid_known(uid.value)
            || taken.iter().filter(|other| **other == uid.value).count() > 1
        {
            findings.push(
                Finding::new(format!("could not give `{name}` the user id {}", uid.value))
                    .why("another account has it")
                    .hint("leave `uid` out to get a free one")
                    .at(&uid.site, "this id"),
            );
        }
        return uid.value;
    }
    accounts.free_uid(taken).unwrap_or_else(|| {
        findings.push(refuse("no user id of the host's range is free".to_owned()));
        0
    })
}

/// Says who cannot log in: without a key and a password, or because the day of `expires` has come.
pub(super) fn notice_shut_out(spec: &Spec, accounts: &Accounts, notices: &mut Vec<String>) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let today = now.map_or(0, |since| since.as_secs() / 86_400);
    for user in &spec.users {
        let name = user.name.value.as_str();
        let has_password = match &user.password.value {
            Password::Locked => false,
            Password::Hash(_) => true,
            Password::Keep => accounts.user(name).is_some_and(|found| {
                let encrypted = found.password.as_deref();
                encrypted.is_none_or(|text| !text.starts_with(['*', '!']))
            }),
        };
        if user.authorized_keys.is_empty() && !has_password {
            notices.push(format!(
                "`{name}` cannot log in yet: the account has no `authorized_keys` and no password"
            ));
        }
        if let Some(day) = &user.expires
            && u64::try_from(day.value.0).is_ok_and(|day| day <= today)
        {
            notices.push(format!(
                "`{name}` cannot log in: the account expired on {}",
                day.value
            ));
        }
    }
}

/// Whether the host has something where only jails may: then a jailed account could log in without its jail.
pub(super) fn shells_are_free(view: &crate::host::View) -> crate::error::Result<()> {
    if view.lstat(Path::new(SHELLS))?.is_none() {
        return Ok(());
    }
    Err(crate::error::Error::failed(format!(
        "could not use `{}`",
        view.shown(Path::new(SHELLS)).display()
    ))
    .why("it exists on the host, and the login shells of jailed accounts must exist in jails only")
    .hint(format!("rename or remove `{SHELLS}`")))
}
