//! What the values of a spec mean together: who lives where, whose directory holds what, which shell is there.

use std::collections::{BTreeMap, BTreeSet};

use super::display::{list, suggest};
use super::family::{expand, is_pattern};
use super::findings::Findings;
use super::lower::{PartialSpec, program};
use super::path_rules::{self, merged};
use super::{AccessMethod, DirSpec, FileSpec, NetworkSpec, Password, User};
use crate::error::Finding;
use crate::names::JailPath;
use crate::span::{Span, Spanned};

/// Adds what is wrong among the parts to `findings`.
pub(crate) fn check(parts: &PartialSpec, findings: &mut Findings) {
    if parts.doors.value.is_empty() && !parts.lacks_doors {
        findings.add(
            Finding::new("`sshd.allow` names no door")
                .why("nobody could enter the jail")
                .with_span(&parts.doors.site, "at least one is wanted here")
                .hint("write `allow = [\"sftp\"]`, or `allow = [\"shell\", \"sftp\"]`"),
        );
    }
    check_sftp_options(parts, findings);
    forward(parts, findings);
    users(parts, findings);
    let is_family = parts
        .root
        .as_ref()
        .is_some_and(|root| is_pattern(&root.value));
    if is_family {
        family(parts, findings);
    } else {
        homes(&parts.users, findings);
    }
    if parts.doors.value.contains(&AccessMethod::Shell) && !parts.lacks_binaries {
        shells(parts, findings);
    }
    if is_family {
        // What is one user's is in his jail alone.
        for user in &parts.users {
            let is_here = |dir: &&DirSpec| {
                dir.owner
                    .as_ref()
                    .is_none_or(|owner| owner.value == user.name.value)
            };
            check_overlaps(
                &[user],
                &parts.dirs.iter().filter(is_here).collect::<Vec<_>>(),
                &parts.files,
                findings,
            );
            if !findings.is_empty() {
                break;
            }
        }
    } else {
        check_overlaps(
            &parts.users.iter().collect::<Vec<_>>(),
            &parts.dirs.iter().collect::<Vec<_>>(),
            &parts.files,
            findings,
        );
    }
    super::session::check(parts, findings);
    tests(parts, findings);
}

/// A jail of each user needs users, and a place for each.
fn family(parts: &PartialSpec, findings: &mut Findings) {
    let Some(root) = &parts.root else { return };
    if parts.users.is_empty() && !parts.lacks_users {
        findings.add(
            Finding::new("the spec stands for no jail")
                .why("with `%u` in `root` it stands for a jail of each user, and it has no `[[user]]`")
                .with_span(&root.site, "a jail of each user")
                .hint("add a `[[user]]`; to take all of these jails away, use `jailctl remove`"),
        );
    }
    for user in &parts.users {
        if findings.is_full() {
            return;
        }
        let place = expand(&root.value, &user.name.value);
        let place = place.display().to_string();
        if let Err(objection) = path_rules::root(&place) {
            findings.add(
                Finding::new(format!("`{place}` is not a place for a jail"))
                    .why(format!("it {}", objection.why))
                    .with_span(&root.site, format!("with `{}` for `%u`", user.name.value)),
            );
        }
    }
}

/// What only sshd's own sftp can do means nothing where programs of the jail serve it.
fn check_sftp_options(parts: &PartialSpec, findings: &mut Findings) {
    if parts.lacks_doors || AccessMethod::is_sftp_only(&parts.doors.value) {
        return;
    }
    let why = if parts.doors.value.contains(&AccessMethod::Shell) {
        "sshd itself serves sftp only where that is the only door, and this jail has the door `shell`"
    } else {
        "sftp is no door of this jail"
    };
    let sftp = &parts.sftp;
    let start_dir = sftp.start_dir.as_ref().map(|one| ("start_dir", &one.site));
    let umask = sftp.umask.as_ref().map(|one| ("umask", &one.site));
    let log = sftp.log.as_ref().map(|site| ("sftp_log", site));
    for (key, site) in [start_dir, umask, log].into_iter().flatten() {
        findings.add(
            Finding::new(format!("`sshd.{key}` has no effect in this jail"))
                .why(why)
                .with_span(site, "")
                .hint("take the line out, or allow only sftp: `allow = [\"sftp\"]` below `[sshd]`"),
        );
    }
}

/// sshd opens what is forwarded in the network of the session.
fn forward(parts: &PartialSpec, findings: &mut Findings) {
    let network = parts.session.as_ref().map(|session| &session.network);
    let has_own = matches!(network, Some(NetworkSpec::None | NetworkSpec::Private(_)));
    if parts.doors.value.contains(&AccessMethod::Forward) && !has_own {
        findings.add(
            Finding::new("`forward` would lead into the host's network")
                .why("what is forwarded comes out in the network of the session, and this jail's is the host's")
                .with_span(&parts.doors.site, "")
                .hint("write `mode = \"private\"` below `[network]`, or take `\"forward\"` out"),
        );
    }
}

/// `what` was said twice; the first time at `first`.
fn duplicate(what: String, second: &Span, first: &Span) -> Finding {
    Finding::new(what)
        .why(format!("the first is in {}", shown_line(first, second)))
        .with_span(second, "given before")
}

/// "line 3", with the text's name where it is another than `from`'s.
fn shown_line(site: &Span, from: &Span) -> String {
    let line = site.position().0;
    if site.source.name == from.source.name {
        format!("line {line}")
    } else {
        format!(
            "line {line} of {}",
            super::display::quote(&site.source.name)
        )
    }
}

fn users(parts: &PartialSpec, findings: &mut Findings) {
    let mut names: BTreeMap<&str, &Span> = BTreeMap::new();
    let mut uids: BTreeMap<u32, &Span> = BTreeMap::new();
    for user in &parts.users {
        if findings.is_full() {
            return;
        }
        let name = &user.name;
        if let Some(first) = names.insert(name.value.as_str(), &name.site) {
            findings.add(duplicate(
                format!("two users are called `{}`", name.value),
                &name.site,
                first,
            ));
        }
        if let Password::Hash(_) = user.password.value
            && user.adopt
        {
            findings.add(
                Finding::new(format!(
                    "the account `{}` cannot be taken over with another password",
                    name.value
                ))
                .why("it could not get the one it has back")
                .with_span(&user.password.site, "with `adopt`, `unchanged` or `locked` is wanted here")
                .hint("`unchanged` leaves it the password it has, `locked` lets none work as long as it is in the jail"),
            );
        }
        if let Some(uid) = &user.uid
            && let Some(first) = uids.insert(uid.value, &uid.site)
        {
            findings.add(duplicate(
                format!("two users have the uid {}", uid.value),
                &uid.site,
                first,
            ));
        }
    }
    if parts.lacks_users {
        return;
    }
    for owner in parts.dirs.iter().filter_map(|dir| dir.owner.as_ref()) {
        if findings.is_full() {
            return;
        }
        if names.contains_key(owner.value.as_str()) {
            continue;
        }
        let finding = Finding::new(format!("`{}` is no user of this jail", owner.value));
        findings.add(match suggest(owner.value.as_str(), names.keys().copied()) {
            Some(meant) => finding.with_span(&owner.site, format!("did you mean `{meant}`?")),
            None if names.is_empty() => finding
                .with_span(&owner.site, "not the `name` of a `[[user]]`")
                .hint("the spec has no `[[user]]` yet; without `owner` the directory is root's"),
            None => finding
                .with_span(&owner.site, "not the `name` of a `[[user]]`")
                .hint(format!(
                    "the spec has {}",
                    list(names.keys().copied().take(10), "and")
                )),
        });
    }
}

fn homes(users: &[User], findings: &mut Findings) {
    let mut homes: BTreeMap<&JailPath, &User> = BTreeMap::new();
    for user in users {
        if findings.is_full() {
            return;
        }
        if let Some(first) = homes.insert(&user.home.value, user) {
            let what = format!(
                "`{}` is the home of `{}` and of `{}`",
                user.home.value, first.name.value, user.name.value
            );
            if first.name.value != user.name.value {
                findings.add(
                    duplicate(what, &user.home.site, &first.home.site)
                        .hint("give each user a home of its own"),
                );
            }
        }
    }
    for user in users {
        if findings.is_full() {
            return;
        }
        let outer = ancestors(&user.home.value).find_map(|path| homes.get(&path).copied());
        if let Some(outer) = outer {
            findings.add(
                Finding::new(format!(
                    "the home of `{}` lies in the home of `{}`",
                    user.name.value, outer.name.value
                ))
                .with_span(&user.home.site, format!("lies in `{}`", outer.home.value))
                .hint("give each user a home of its own, beside the others"),
            );
        }
    }
}

/// The directories above `path`, without the root.
fn ancestors(path: &JailPath) -> impl Iterator<Item = JailPath> {
    std::iter::successors(path.parent(), JailPath::parent).filter(|path| *path != JailPath::root())
}

fn shells(parts: &PartialSpec, findings: &mut Findings) {
    let mut targets: BTreeSet<JailPath> = BTreeSet::new();
    targets.extend(parts.files.iter().map(|file| merged(&file.target.value)));
    let programs: BTreeSet<&str> = parts
        .binaries
        .iter()
        .map(|binary| program(&binary.value))
        .collect();
    for user in &parts.users {
        if findings.is_full() {
            return;
        }
        let Some(Spanned { value: shell, site }) = &user.shell else {
            findings.add(
                Finding::new(format!("`{}` has no shell", user.name.value))
                    .why("the shell is a door of this jail, and `binaries` hold no shell")
                    .with_span(&user.site, "has no `shell`")
                    .hint("add \"bash\" to `binaries`, or allow only sftp: `allow = [\"sftp\"]` below `[sshd]`"),
            );
            continue;
        };
        let path = merged(shell);
        let is_file =
            targets.contains(&path) || ancestors(&path).any(|path| targets.contains(&path));
        if !programs.contains(shell.name()) && !is_file {
            let name = shell.name();
            let label = match suggest(name, programs.iter().copied()) {
                Some(near) => format!("`binaries` have no `{name}`, but `{near}`"),
                None => format!("`binaries` have no `{name}`"),
            };
            findings.add(
                Finding::new(format!(
                    "the shell `{shell}` of `{}` is not in the jail",
                    user.name.value
                ))
                .with_span(site, label)
                .hint(format!("add \"{name}\" to `binaries`")),
            );
        }
    }
}

/// Whose a directory of the jail is.
struct OwnedDir<'a> {
    owner: &'a str,
    is_home: bool,
}

impl OwnedDir<'_> {
    fn words(&self) -> String {
        if self.is_home {
            format!("the home of `{}`", self.owner)
        } else {
            format!("a directory of `{}`", self.owner)
        }
    }
}

/// Files and directories against each other, and against what belongs to users: there jailctl makes nothing, because its owner could lead it elsewhere.
fn check_overlaps(users: &[&User], dirs: &[&DirSpec], files: &[FileSpec], findings: &mut Findings) {
    let mut owned: BTreeMap<JailPath, OwnedDir<'_>> = BTreeMap::new();
    let mut above_homes: BTreeMap<JailPath, &User> = BTreeMap::new();
    for user in users.iter().copied() {
        let owner = user.name.value.as_str();
        owned.insert(
            user.home.value.clone(),
            OwnedDir {
                owner,
                is_home: true,
            },
        );
        above_homes.extend(ancestors(&user.home.value).map(|path| (path, user)));
    }
    let mut given: BTreeMap<JailPath, &Span> = BTreeMap::new();
    for dir in dirs {
        if findings.is_full() {
            return;
        }
        let (path, site) = (&dir.path.value, &dir.path.site);
        if let Some(first) = given.insert(path.clone(), site) {
            findings.add(duplicate(format!("`{path}` is given twice"), site, first));
        } else if let Some(owned) = owned.get(path) {
            findings.add(
                Finding::new(format!("`{path}` is {}", owned.words()))
                    .with_span(site, "made anyway")
                    .hint("take the `[[dir]]` out"),
            );
        } else if let Some(owner) = &dir.owner {
            let owner = owner.value.as_str();
            if let Some(user) = above_homes.get(path) {
                findings.add(
                    Finding::new(format!("`{path}` cannot belong to `{owner}`"))
                        .why(format!("it holds the home of `{}`", user.name.value))
                        .with_span(site, format!("holds `{}`", user.home.value)),
                );
            }
            owned.insert(
                path.clone(),
                OwnedDir {
                    owner,
                    is_home: false,
                },
            );
        }
    }
    let owner_above = |path: &JailPath| ancestors(path).find_map(|path| owned.get(&path));
    for dir in dirs {
        if findings.is_full() {
            return;
        }
        let (path, site) = (&dir.path.value, &dir.path.site);
        if let Some(owned) = owner_above(path) {
            findings.add(in_owned("dir", path, site, owned));
        }
    }
    for file in files {
        if findings.is_full() {
            return;
        }
        let (target, site) = (&file.target.value, &file.target.site);
        if let Some(first) = given.insert(merged(target), site) {
            findings.add(duplicate(format!("`{target}` is given twice"), site, first));
        } else if let Some(owned) = owned.get(target).or_else(|| owner_above(target)) {
            findings.add(in_owned("file", target, site, owned));
        } else if let Some(user) = above_homes.get(target) {
            findings.add(
                Finding::new(format!("`{target}` is not a place for a `[[file]]`"))
                    .why(format!("it holds the home of `{}`", user.name.value))
                    .with_span(site, format!("holds `{}`", user.home.value)),
            );
        }
    }
}

fn in_owned(table: &str, path: &JailPath, site: &Span, owned: &OwnedDir<'_>) -> Finding {
    let finding = Finding::new(format!("`{path}` is not a place for a `[[{table}]]`"))
        .why(format!("it is or lies in {}", owned.words()))
        .with_span(site, format!("in {}", owned.words()));
    if owned.is_home {
        finding.hint("what a new home starts with is given by `skel` of its `[[user]]`")
    } else {
        finding.hint("choose a place outside; what is in a user's directory is the user's alone")
    }
}

/// A `[[test]]` is a command, and somebody of the jail runs it.
fn tests(parts: &PartialSpec, findings: &mut Findings) {
    for test in &parts.tests {
        if findings.is_full() {
            return;
        }
        let finding = if test.value.first().is_none_or(String::is_empty) {
            Finding::new("a `[[test]]` names no command")
                .with_span(&test.site, "a program and its arguments are wanted here")
                .hint("write it as in `run = [\"bash\", \"-c\", \"ls /\"]`")
        } else if parts.users.is_empty() && !parts.lacks_users {
            Finding::new("nobody can run the `[[test]]`")
                .why("the spec has no `[[user]]`, and a test runs as the first one")
                .with_span(&test.site, "nobody can run it")
                .hint("add a `[[user]]`, or take the test out")
        } else {
            continue;
        };
        findings.add(finding);
    }
}
