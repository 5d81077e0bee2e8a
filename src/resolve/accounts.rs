//! The accounts and groups of a jail: those that exist already, and new ones with ids that are
//! chosen here, so that the plan is complete before anything is created.

use std::ops::RangeInclusive;
use std::path::Path;

use super::gate;
use super::root_marker::{OrphanedHome, OrphanedHomes};
use super::scheduled_jobs::ScheduledJobs;
use super::types::{ResolvedAccounts, SupplementaryGroup, WantedAccount, WantedGroup};
use crate::error::{Finding, Result};
use crate::host::{Accounts, HostView, Process, UserEntry, today};
use crate::layout::{
    GATE, GECOS_ADOPTED, GECOS_PREFIX, JAIL_DIR, JAIL_ROOT, NONEXISTENT, SHELL_PREFIX,
};
use crate::names::{JailName, UserName};
use crate::spec::{Password, Server, Spec, User};

/// User and group ids of ordinary accounts, by `UID_MIN` and `UID_MAX` of login.defs(5) on most
/// hosts.
const ADOPTABLE: RangeInclusive<u32> = 1000..=60000;

/// Most processes of one account that a finding names.
const NAMED: usize = 16;

/// The home directory inside the jail, for a home directory in the host's passwd(5).
pub fn home_in_jail(passwd_home: &str) -> &str {
    let inside = passwd_home.strip_prefix(JAIL_ROOT);
    inside
        .filter(|home| home.starts_with('/'))
        .unwrap_or(passwd_home)
}

/// The comment field (GECOS) of an account of the jail `name`.
pub fn gecos_tag(name: &JailName) -> String {
    format!("{GECOS_PREFIX}{name}")
}

/// The comment field of an adopted account of the jail `name`.
fn adopted_gecos_tag(name: &JailName) -> String {
    format!("{}{GECOS_ADOPTED}", gecos_tag(name))
}

/// Whether an account is adopted, by its comment field. An adopted account is never deleted.
pub fn is_adopted(account: &UserEntry) -> bool {
    account.gecos.starts_with(GECOS_PREFIX) && account.gecos.ends_with(GECOS_ADOPTED)
}

/// Whether jailctl created or adopted an account for the jail `name`.
///
/// The comment field alone proves nothing, since chfn(1) may let users set it; only root can set
/// the login shell and the primary group. `group` is the group id of the jail, if it has a group.
pub fn is_managed(account: &UserEntry, name: &JailName, group: Option<u32>) -> bool {
    (account.gecos == gecos_tag(name) || account.gecos == adopted_gecos_tag(name))
        && (account.shell.starts_with(SHELL_PREFIX) || group == Some(account.gid))
}

/// The jail of an account, by its comment field and login shell; `None` for other accounts.
pub fn jail_of(account: &UserEntry) -> Option<JailName> {
    let name = account.gecos.strip_prefix(GECOS_PREFIX)?;
    let name = name.strip_suffix(GECOS_ADOPTED).unwrap_or(name);
    let name = JailName::parse(name).ok()?;
    is_managed(account, &name, None).then_some(name)
}

/// Whether an account is one of the jail `name` or of another member of its family: they have one
/// group.
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
    let jobs = ScheduledJobs::new(view);
    check_adoptions(spec, known, &resolved.accounts, &jobs, view, findings)?;
    warn_host_jobs(known, &resolved.accounts, &jobs, notices)?;
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

/// Chooses the primary group of the jail's accounts. Reasons against it are findings.
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
                    .why(format!("`{member}`, which is no account of this jail, is a member"))
                    .hint(format!("remove it with `gpasswd --delete {member} {group_name}`, or change its primary group"))
                    .with_span(&spec.name.span, "its group"),
            );
        }
    } else if accounts.group_known(&group_name) {
        findings.push(
            Finding::new(format!("could not create the group `{group_name}`"))
                .why("a directory service has a group of that name")
                .with_span(&spec.name.span, "its group"),
        );
    }
    let gid = group
        .map(|group| group.gid)
        .or_else(|| accounts.free_gid(&[]))
        .unwrap_or_else(|| {
            findings.push(
                Finding::new(format!("could not create the group `{group_name}`"))
                    .why("no group id of the host's range is free"),
            );
            0
        });
    WantedGroup {
        name: group_name,
        gid,
    }
}

/// Chooses the accounts of the jail, which are members of `group`. Reasons against them are
/// findings.
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
            login_shell: match (&shell, user.login().server) {
                (Some(shell), _) => format!("{JAIL_DIR}{shell}"),
                (None, Server::Gate) => GATE.to_owned(),
                (None, _) => NONEXISTENT.to_owned(),
            },
            shell,
            keys: gate::authorized_keys(user),
            password: user.password.value.clone(),
            expires: user.expires.as_ref().map(|day| day.value.0),
        });
    }
    wanted
}

/// Chooses the user id of one user: of the account, of a home that a user with this name left, of
/// the spec, or an unused one. Reasons against it are findings.
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
            .with_span(&user.name.span, "this user")
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
                        .hint("an account is in one jail only: choose another name"),
                );
            } else if !user.adopt {
                findings.push(
                    refuse("it exists, and jailctl did not create it".to_owned()).hint(
                        "choose another name, or set `adopt = true` to confine this account as long as the jail exists",
                    ),
                );
            } else if !ADOPTABLE.contains(&found.uid) {
                findings.push(
                    refuse(format!(
                        "its user id {} is one of a system account",
                        found.uid
                    ))
                    .hint("only accounts with user ids from 1000 to 60000 can be adopted"),
                );
            }
        } else if let Some(uid) = user.uid.as_ref().filter(|uid| uid.value != found.uid) {
            findings.push(
                Finding::new(format!("could not give `{name}` the user id {}", uid.value))
                    .why(format!("it has {} already, as its files do", found.uid))
                    .hint("leave `uid` out, or remove the user first")
                    .with_span(&uid.span, "this id"),
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
                "the user id {} of its files belongs to `{}` now",
                home.uid, other.name
            )),
            (None, Some(uid)) if uid.value != home.uid => {
                Some(format!("its files have the user id {}", home.uid))
            }
            (None, _) if home.user != name => Some(format!("it is one that `{}` left", home.user)),
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
                .with_span(&user.home.span, "this home"),
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
            home.map(|home| format!("files that `{}` left have it", home.user))
        };
        if let Some(why) = why {
            findings.push(
                Finding::new(format!("could not give `{name}` the user id {}", uid.value))
                    .why(why)
                    .hint("leave `uid` out to get a free one")
                    .with_span(&uid.span, "this id"),
            );
        }
        return uid.value;
    }
    accounts.free_uid(taken).unwrap_or_else(|| {
        findings.push(refuse("no user id of the host's range is free".to_owned()));
        0
    })
}

/// Adds a notice for each user who cannot log in: without a key and a password, or after the day of
/// `expires`.
fn warn_cannot_log_in(spec: &Spec, accounts: &Accounts, notices: &mut Vec<String>) {
    let today = today();
    for user in &spec.users {
        let name = user.name.value.as_str();
        let has_password = match &user.password.value {
            Password::Locked => false,
            Password::Hash(_) => true,
            Password::Unchanged => accounts.user(name).is_some_and(|found| {
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
            && day.value.0 <= today
        {
            notices.push(format!(
                "`{name}` cannot log in: the account expired on {}",
                day.value
            ));
        }
    }
}

/// Chooses the supplementary groups of all users: groups of the host without privileges, and groups
/// to create.
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
                .hint("choose another name: a group that the host lacks is created")
                .with_span(&asked.span, "this group")
        };
        let found = accounts.group(name);
        match found {
            Some(found) if found.gid < *ADOPTABLE.start() => {
                findings.push(refuse(format!(
                    "it is a system group (gid {}), whose members may have privileges on the host",
                    found.gid
                )));
            }
            Some(found) => {
                let primary = |user: &&UserEntry| user.gid == found.gid && !is_member(user);
                if let Some(other) = accounts.users.iter().find(primary) {
                    findings.push(refuse(format!(
                        "it is the primary group of `{}`, whose files it would give access to",
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

/// Refuses to create or adopt an account for which the host runs something without a login: that
/// would continue outside of the jail. One finding for each account, with the command that removes
/// each such job.
fn check_adoptions(
    spec: &Spec,
    accounts: &Accounts,
    wanted: &[WantedAccount],
    jobs: &ScheduledJobs<'_>,
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
    // No process has this path as its root directory: processes are found by user id only.
    let mut living = Vec::new();
    if !uids.is_empty() {
        living = Process::find_in_jail(view, Path::new("/dev/null"), &uids)?;
    }
    for (user, account) in new {
        let name = &account.name;
        let jobs = jobs.of_account(name, account.uid)?.into_iter();
        let mut hints: Vec<String> = jobs
            .map(|job| format!("remove {}: {}", job.what, job.clean))
            .collect();
        // sshd's process for a connection that is being authenticated belongs to root. A connection
        // cannot be for an account that does not exist yet.
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
                        "`{}` has its user id {} too, and could trace its processes",
                        twin.name, account.uid
                    ))
                    .hint(format!(
                        "give one of them another id: usermod --uid ID {name}"
                    ))
                    .with_span(&user.name.span, "this user"),
            );
        }
        if hints.is_empty() {
            continue;
        }
        let action = if account.adopted { "adopt" } else { "create" };
        let mut finding = Finding::new(format!("could not {action} the account `{name}`"))
            .why("the host runs jobs for it without a login, which would run outside of the jail")
            .with_span(&user.name.span, "this user");
        finding.hints = hints;
        findings.push(finding);
    }
    Ok(())
}

/// Adds a notice for each job of the host that runs as an account of the jail.
fn warn_host_jobs(
    accounts: &Accounts,
    wanted: &[WantedAccount],
    jobs: &ScheduledJobs<'_>,
    notices: &mut Vec<String>,
) -> Result<()> {
    for account in wanted {
        let found = accounts.user(&account.name);
        if found.is_some_and(|found| !account.adopted || is_adopted(found)) {
            let jobs = jobs.of_account(&account.name, account.uid)?;
            notices.extend(jobs.iter().map(|job| job.notice(&account.name)));
        }
    }
    Ok(())
}
