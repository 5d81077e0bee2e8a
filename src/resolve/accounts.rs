//! Which accounts the jail's users are: the ones it has already, or new ones with ids chosen now, so that the plan is complete before anything is
//! made.

use std::ops::RangeInclusive;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use super::host_jobs;
use super::root_marker::{OrphanedHome, OrphanedHomes};
use super::types::{ResolvedAccounts, SupplementaryGroup, WantedAccount, WantedGroup};
use crate::error::{Finding, Result};
use crate::host::{Accounts, HostView, Process, UserEntry};
use crate::layout::{GECOS_ADOPTED, GECOS_PREFIX, JAIL_DIR, JAIL_ROOT, NONEXISTENT, SHELL_PREFIX};
use crate::names::{JailName, UserName};
use crate::spec::{Password, Spec, User};

/// Ids of people and their groups.
const ADOPTABLE: RangeInclusive<u32> = 1000..=60000;

/// Most processes of one account that a finding names.
const NAMED: usize = 16;

/// The home inside the jail that a home in the host's passwd(5) stands for.
pub fn home_in_jail(passwd_home: &str) -> &str {
    let inside = passwd_home.strip_prefix(JAIL_ROOT);
    inside
        .filter(|home| home.starts_with('/'))
        .unwrap_or(passwd_home)
}

/// The mark in an account's comment field that says whose it is.
pub fn gecos_tag(name: &JailName) -> String {
    format!("{GECOS_PREFIX}{name}")
}

/// The mark of an account that was taken over.
fn adopted_gecos_tag(name: &JailName) -> String {
    format!("{}{GECOS_ADOPTED}", gecos_tag(name))
}

/// Whether the account's mark says that it was taken over, not made. It is never deleted.
pub fn is_adopted(account: &UserEntry) -> bool {
    account.gecos.starts_with(GECOS_PREFIX) && account.gecos.ends_with(GECOS_ADOPTED)
}

/// Whether the account is one that jailctl made, or took over, for this jail.
///
/// Its comment alone is no proof, since chfn(1) may let users set it; its login shell and its primary group only root can set. `group` is the
/// jail's, where there is one.
pub fn is_managed(account: &UserEntry, name: &JailName, group: Option<u32>) -> bool {
    (account.gecos == gecos_tag(name) || account.gecos == adopted_gecos_tag(name))
        && (account.shell.starts_with(SHELL_PREFIX) || group == Some(account.gid))
}

/// The jail that the account is in, by the mark in its comment field and its login shell.
pub fn jail_of(account: &UserEntry) -> Option<JailName> {
    let name = account.gecos.strip_prefix(GECOS_PREFIX)?;
    let name = name.strip_suffix(GECOS_ADOPTED).unwrap_or(name);
    let name = JailName::parse(name).ok()?;
    is_managed(account, &name, None).then_some(name)
}

/// Whether the account is one of this jail, or of another of its family: these are in one group.
fn is_of_group(account: &UserEntry, name: &JailName, group: u32) -> bool {
    let sibling = UserName::new(&account.name)
        .ok()
        .filter(|_| name.is_member());
    let sibling = sibling.map(|user| name.for_user(&user));
    is_managed(account, sibling.as_ref().unwrap_or(name), Some(group))
}

/// Chooses the accounts and groups of the jail, and checks that the host can have them.
///
/// `has_group`: whether a jail without users has a group nevertheless.
///
/// # Errors
/// [`crate::error::ErrorKind::Failed`] if the account files or `/proc` cannot be read. Accounts and
/// groups that the host cannot have are findings.
pub(super) fn resolve(
    spec: &Spec,
    has_group: bool,
    known: &Accounts,
    view: &HostView,
    findings: &mut Vec<Finding>,
    notices: &mut Vec<String>,
) -> Result<ResolvedAccounts> {
    let is_new = |user: &User| known.user(user.name.value.as_str()).is_none();
    let homes = OrphanedHomes::of(spec, spec.users.iter().any(is_new), view)?;
    let resolved = choose(spec, has_group, known, &homes, findings);
    check_adoptions(spec, known, &resolved.accounts, view, findings)?;
    warn_host_jobs(known, &resolved.accounts, view, notices)?;
    warn_cannot_log_in(spec, known, notices);
    Ok(resolved)
}

/// Chooses the accounts and groups of the jail as [`resolve`] does, without a check of what else
/// the host runs or keeps for these accounts.
pub(super) fn resolve_ids(
    spec: &Spec,
    view: &HostView,
    findings: &mut Vec<Finding>,
) -> Result<ResolvedAccounts> {
    let known = view.accounts()?;
    let homes = OrphanedHomes::default();
    Ok(choose(spec, false, &known, &homes, findings))
}

fn choose(
    spec: &Spec,
    has_group: bool,
    known: &Accounts,
    homes: &OrphanedHomes,
    findings: &mut Vec<Finding>,
) -> ResolvedAccounts {
    if !has_group && spec.users.is_empty() {
        return ResolvedAccounts::default();
    }
    let group = group(spec, known, findings);
    ResolvedAccounts {
        accounts: accounts(spec, &group, known, homes, findings),
        further_groups: supplementary_groups(spec, known, &group, findings),
        group: Some(group),
    }
}

/// Chooses the jail's group; every reason why it cannot be had is a finding.
fn group(spec: &Spec, accounts: &Accounts, findings: &mut Vec<Finding>) -> WantedGroup {
    let name = &spec.name.value;
    let group_name = name.group();
    let group = accounts.group(&group_name);
    if let Some(group) = group {
        let foreign = accounts
            .users
            .iter()
            .find(|user| user.gid == group.gid && !is_of_group(user, name, group.gid));
        if let Some(member) = foreign
            .map(|user| user.name.as_str())
            .or(group.members.first().map(String::as_str))
        {
            findings.push(
                Finding::new(format!("could not use the group `{group_name}`"))
                    .why(format!("`{member}`, which is not of this jail, is a member"))
                    .hint(format!("take it out with `gpasswd --delete {member} {group_name}`, or give it another group"))
                    .with_span(&spec.name.site, "its group"),
            );
        }
    } else if accounts.group_known(&group_name) {
        findings.push(
            Finding::new(format!("could not make the group `{group_name}`"))
                .why("a directory service has a group of that name")
                .with_span(&spec.name.site, "its group"),
        );
    }
    let gid = group
        .map(|group| group.gid)
        .or_else(|| accounts.free_gid(&[]))
        .unwrap_or_else(|| {
            findings.push(
                Finding::new(format!("could not make the group `{group_name}`"))
                    .why("no group id of the host's range is free"),
            );
            0
        });
    WantedGroup {
        name: group_name,
        gid,
    }
}

/// Chooses the accounts of the jail, which are in `group`; every reason why one cannot be had is a finding.
fn accounts(
    spec: &Spec,
    group: &WantedGroup,
    accounts: &Accounts,
    homes: &OrphanedHomes,
    findings: &mut Vec<Finding>,
) -> Vec<WantedAccount> {
    let name = &spec.name.value;
    let gecos = gecos_tag(name);
    let has_group = accounts.group(&group.name).map(|group| group.gid);
    let family = spec.family.as_ref();
    let mut taken = family.map_or_else(|| spec.uids(), |family| family.uids.clone());
    taken.extend(homes.iter().map(|home| home.uid));
    let mut wanted = Vec::new();
    for user in &spec.users {
        let uid = uid(user, name, accounts, homes, &taken, findings);
        taken.push(uid);
        let found = accounts.user(user.name.value.as_str());
        let adopted = found.is_some_and(|found| {
            is_adopted(found) || user.adopt && !is_managed(found, name, has_group)
        });
        let shell = user.shell.as_ref().map(|shell| shell.value.clone());
        let mut groups: Vec<String> = user.groups.iter().map(|one| one.value.clone()).collect();
        groups.sort();
        let keys = user
            .authorized_keys
            .iter()
            .flat_map(|key| [key.value.as_str(), "\n"])
            .collect();
        wanted.push(WantedAccount {
            name: user.name.value.as_str().to_owned(),
            uid,
            gid: group.gid,
            gecos: if adopted {
                adopted_gecos_tag(name)
            } else {
                gecos.clone()
            },
            groups,
            adopted,
            home: user.home.value.clone(),
            login_shell: shell.as_ref().map_or_else(
                || NONEXISTENT.to_owned(),
                |shell| format!("{JAIL_DIR}{shell}"),
            ),
            shell,
            keys,
            password: user.password.value.clone(),
            expires: user.expires.as_ref().map(|day| day.value.0),
        });
    }
    wanted
}

fn uid(
    user: &User,
    jail: &JailName,
    accounts: &Accounts,
    homes: &OrphanedHomes,
    taken: &[u32],
    findings: &mut Vec<Finding>,
) -> u32 {
    let name = user.name.value.as_str();
    let refuse = |why: String| {
        Finding::new(format!("could not use the account `{name}`"))
            .why(why)
            .with_span(&user.name.site, "this user")
    };
    if let Some(found) = accounts.user(name) {
        if !is_managed(
            found,
            jail,
            accounts.group(&jail.group()).map(|group| group.gid),
        ) {
            let other = found.gecos.strip_prefix(GECOS_PREFIX);
            let other = other.map(|other| other.trim_end_matches(" adopted"));
            if let Some(other) = other {
                findings.push(
                    refuse(format!("it belongs to the jail `{}`", other.escape_debug()))
                        .hint("nobody is in two jails: choose another name"),
                );
            } else if !user.adopt {
                findings.push(
                    refuse("it exists, and jailctl did not make it".to_owned()).hint(
                        "choose another name, or write `adopt = true` to lock this account in for as long as the jail stands",
                    ),
                );
            } else if !ADOPTABLE.contains(&found.uid) {
                findings.push(
                    refuse(format!("its user id {} is one of the system's", found.uid))
                        .hint("only accounts of people can be taken over, from 1000 to 60000"),
                );
            }
        } else if let Some(uid) = user.uid.as_ref().filter(|uid| uid.value != found.uid) {
            findings.push(
                Finding::new(format!("could not give `{name}` the user id {}", uid.value))
                    .why(format!(
                        "it has {} already, and its files with it",
                        found.uid
                    ))
                    .hint("leave `uid` out, or remove the user first")
                    .with_span(&uid.site, "this id"),
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
    let home = (homes.own.iter()).find(|one| one.home == user.home.value);
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
                .with_span(&user.home.site, "this home"),
            );
        }
        return home.uid;
    }
    if let Some(uid) = &user.uid {
        let is_anothers = |home: &&OrphanedHome| home.uid == uid.value && home.user != name;
        let why = if accounts.uid_known(uid.value) {
            Some("another account has it".to_owned())
        } else {
            let home = homes.iter().find(is_anothers);
            home.map(|home| format!("it is that of the files that `{}` left", home.user))
        };
        if let Some(why) = why {
            findings.push(
                Finding::new(format!("could not give `{name}` the user id {}", uid.value))
                    .why(why)
                    .hint("leave `uid` out to get a free one")
                    .with_span(&uid.site, "this id"),
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
fn warn_cannot_log_in(spec: &Spec, accounts: &Accounts, notices: &mut Vec<String>) {
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

/// The further groups of all users: those that the host has, unless they give power, and those that are to be made.
fn supplementary_groups(
    spec: &Spec,
    accounts: &Accounts,
    group: &WantedGroup,
    findings: &mut Vec<Finding>,
) -> Vec<SupplementaryGroup> {
    let mut wanted: Vec<SupplementaryGroup> = Vec::new();
    let is_member = |user: &UserEntry| is_managed(user, &spec.name.value, Some(group.gid));
    for asked in spec.users.iter().flat_map(|user| &user.groups) {
        let name = &asked.value;
        if wanted.iter().any(|one| one.name == *name) {
            continue;
        }
        let refuse = |why: String| {
            Finding::new(format!("could not use the group `{name}`"))
                .why(why)
                .hint("choose another name: a group that the host lacks is made")
                .with_span(&asked.site, "this group")
        };
        let found = accounts.group(name);
        match found {
            Some(found) if found.gid < *ADOPTABLE.start() => {
                findings.push(refuse(format!(
                    "it is one of the system's (gid {}), and whoever is in it may have power over the host",
                    found.gid
                )));
            }
            Some(found) => {
                let primary = |user: &&UserEntry| user.gid == found.gid && !is_member(user);
                if let Some(other) = accounts.users.iter().find(primary) {
                    findings.push(refuse(format!(
                        "it is the group of `{}`, whose files it would open",
                        other.name
                    )));
                }
            }
            None if accounts.group_known(name) => {
                findings.push(refuse("a directory service has it".to_owned()));
            }
            None => {}
        }
        let taken: Vec<u32> = wanted
            .iter()
            .map(|one| one.gid)
            .chain([group.gid])
            .collect();
        let gid = found
            .map(|found| found.gid)
            .or_else(|| accounts.free_gid(&taken));
        let Some(gid) = gid else {
            findings.push(refuse("no group id of the host's range is free".to_owned()));
            continue;
        };
        wanted.push(SupplementaryGroup {
            name: name.clone(),
            gid,
            is_new: found.is_none(),
        });
    }
    wanted
}

/// Refuses to make or take over an account for which the host runs something without a login:
/// that would go on outside of the jail. One finding for each account, with the command that
/// removes each such job.
fn check_adoptions(
    spec: &Spec,
    accounts: &Accounts,
    wanted: &[WantedAccount],
    view: &HostView,
    findings: &mut Vec<Finding>,
) -> Result<()> {
    let is_new = |account: &WantedAccount| match accounts.user(&account.name) {
        Some(found) => account.adopted && !is_adopted(found),
        None => true,
    };
    let pairs = spec.users.iter().zip(wanted);
    let new: Vec<(&User, &WantedAccount)> = pairs.filter(|(_, one)| is_new(one)).collect();
    let uids: Vec<u32> = new.iter().map(|(_, account)| account.uid).collect();
    // No process has this as its root directory: only the number counts.
    let mut living = Vec::new();
    if !uids.is_empty() {
        living = Process::find_in_jail(view, Path::new("/dev/null"), &uids)?;
    }
    for (user, account) in new {
        let name = &account.name;
        let jobs = host_jobs::of_account(view, name, account.uid)?.into_iter();
        let mut hints: Vec<String> = jobs
            .map(|job| format!("remove {}: {}", job.what, job.clean))
            .collect();
        // sshd's own process for somebody who is about to come in is root's. Nobody comes in by an account that is yet to be made.
        let is_its =
            |process: &&Process| process.uid == account.uid || account.adopted && process.uid == 0;
        let numbers: Vec<String> = (living.iter().filter(is_its))
            .take(NAMED)
            .map(|process| process.pid.to_string())
            .collect();
        if !numbers.is_empty() {
            hints.push(format!(
                "end the processes {}: loginctl terminate-user {name}; pkill -KILL -U {}",
                numbers.join(", "),
                account.uid
            ));
        }
        let twin = accounts
            .users
            .iter()
            .find(|other| other.uid == account.uid && other.name != *name);
        if let Some(twin) = twin {
            findings.push(
                Finding::new(format!("could not use the account `{name}`"))
                    .why(format!(
                        "`{}` has its user id {} too, and what runs as either can be traced by the other",
                        twin.name, account.uid
                    ))
                    .hint(format!("give one of them another id: usermod --uid ID {name}"))
                    .with_span(&user.name.site, "this user"),
            );
        }
        if hints.is_empty() {
            continue;
        }
        let deed = if account.adopted { "take over" } else { "make" };
        let mut finding = Finding::new(format!("could not {deed} the account `{name}`"))
            .why("the host runs something for it without a login, which would run outside of the jail")
            .with_span(&user.name.site, "this user");
        finding.hints = hints;
        findings.push(finding);
    }
    Ok(())
}

/// Adds a notice for each job of the host that runs as an account which is in the jail already.
fn warn_host_jobs(
    accounts: &Accounts,
    wanted: &[WantedAccount],
    view: &HostView,
    notices: &mut Vec<String>,
) -> Result<()> {
    for account in wanted {
        let found = accounts.user(&account.name);
        if found.is_some_and(|found| !account.adopted || is_adopted(found)) {
            let jobs = host_jobs::of_account(view, &account.name, account.uid)?;
            notices.extend(jobs.iter().map(|job| job.notice(&account.name)));
        }
    }
    Ok(())
}
