//! Checks of values against each other: ways in, users, homes, shells, and overlapping paths.

use std::collections::{BTreeMap, BTreeSet};

use super::access::{Access, AccessMethod, Server};
use super::display::{list, suggest};
use super::family::{expand, is_pattern};
use super::findings::Findings;
use super::partial_spec::{PartialSpec, program};
use super::path_rules::{self, merged};
use super::types::{DirSpec, FileSpec, NetworkSpec, Password, User};
use super::ways;
use crate::error::Finding;
use crate::names::JailPath;
use crate::span::{Span, Spanned};

/// Adds a finding for each conflict between values.
pub(crate) fn check(parts: &PartialSpec, findings: &mut Findings) {
    let defaults = std::iter::once(("sshd.allow", &parts.default_access));
    let own = parts.users.iter().map(|user| ("user.allow", &user.access));
    for (key, access) in defaults.chain(own) {
        let is_shared =
            key != "sshd.allow" && access.methods.span == parts.default_access.methods.span;
        if access.methods.value.is_empty() && !parts.has_invalid_access && !is_shared {
            findings.add(
                Finding::new(format!("`{key}` is empty"))
                    .why("no user could log in")
                    .with_span(&access.methods.span, "expected at least one way in")
                    .hint("write `allow = [\"sftp\"]`, or `allow = [\"shell\", \"sftp\"]`"),
            );
        }
    }
    ways::check(parts, findings);
    check_sftp_options(parts, findings);
    forward(parts, findings);
    users(parts, findings);
    former_names(parts, findings);
    let is_family = parts
        .root
        .as_ref()
        .is_some_and(|root| is_pattern(&root.value));
    if is_family {
        family(parts, findings);
    } else {
        homes(&parts.users, findings);
    }
    if parts.access.value.contains(&AccessMethod::Shell) && !parts.has_invalid_binaries {
        shells(parts, findings);
    }
    if is_family {
        // Each user has a separate jail: only the paths of one user can overlap.
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

/// Checks `was` of users: no user has that name, no two have the same, and each user of a family
/// has a jail of its own, which is not renamed.
fn former_names(parts: &PartialSpec, findings: &mut Findings) {
    let mut seen = BTreeSet::new();
    let is_family = (parts.root.as_ref()).is_some_and(|root| is_pattern(&root.value));
    for user in &parts.users {
        let Some(was) = &user.was else { continue };
        let name = was.value.as_str();
        let is_user = parts
            .users
            .iter()
            .any(|other| other.name.value.as_str() == name);
        let why = if is_family {
            "the jail of each user has its name, and is not renamed".to_owned()
        } else if is_user {
            format!("the spec has a user `{name}`")
        } else if !seen.insert(name) {
            format!("another user has `was = \"{name}\"` too")
        } else {
            continue;
        };
        findings.add(
            Finding::new(format!(
                "could not rename `{name}` to `{}`",
                user.name.value
            ))
            .why(why)
            .with_span(&was.span, "this name"),
        );
    }
}

/// Checks a spec for one jail per user: it needs users, and a valid root for each.
fn family(parts: &PartialSpec, findings: &mut Findings) {
    let Some(root) = &parts.root else { return };
    if parts.users.is_empty() && !parts.has_invalid_users {
        findings.add(
            Finding::new("the spec describes no jail")
                .why("`root` contains `%u`, which makes one jail per user, but the spec has no `[[user]]`")
                .with_span(&root.span, "one jail per user")
                .hint("add a `[[user]]`; to remove all jails of the family, use `jailctl remove`"),
        );
    }
    for user in &parts.users {
        if findings.is_full() {
            return;
        }
        let path = expand(&root.value, &user.name.value);
        let path = path.display().to_string();
        if let Err(violation) = path_rules::root(&path) {
            findings.add(
                Finding::new(format!("`{path}` is not a valid root"))
                    .why(format!("it {}", violation.why))
                    .with_span(
                        &root.span,
                        format!("`%u` replaced by `{}`", user.name.value),
                    ),
            );
        }
    }
}

/// Refuses settings of the sftp server in sshd if sftp is served by a program of the jail, or not
/// at all.
fn check_sftp_options(parts: &PartialSpec, findings: &mut Findings) {
    let all = match parts.users.as_slice() {
        [] => vec![&parts.default_access],
        users => users.iter().map(|user| &user.access).collect(),
    };
    let is_without_shell = |access: &&&Access| !access.methods.value.contains(&AccessMethod::Shell);
    let mut without_shell = all.iter().filter(is_without_shell).peekable();
    if parts.has_invalid_access {
        return;
    }
    let sftp = &parts.sftp;
    let is_gated = |access: &&&Access| access.login().server == Server::Gate;
    // The gate sets the umask of every program.
    let umask = (!without_shell.clone().any(|access| is_gated(&access)))
        .then(|| sftp.umask.as_ref().map(|one| ("umask", &one.span)))
        .flatten();
    let why = if without_shell.peek().is_none() {
        "sshd serves sftp itself only if `shell` is not allowed"
    } else {
        "`sshd.allow` does not include `sftp`"
    };
    if without_shell.any(|access| access.methods.value.contains(&AccessMethod::Sftp)) {
        return;
    }
    let start_dir = sftp.start_dir.as_ref().map(|one| ("start_dir", &one.span));
    let log = sftp.log.as_ref().map(|span| ("sftp_log", span));
    for (key, span) in [start_dir, umask, log].into_iter().flatten() {
        findings.add(
            Finding::new(format!("`sshd.{key}` has no effect in this jail"))
                .why(why)
                .with_span(span, "")
                .hint("delete the line, or allow only sftp: `allow = [\"sftp\"]` below `[sshd]`"),
        );
    }
}

/// Refuses `forward` in the network of the host: sshd opens forwarded connections in the network of
/// the session.
fn forward(parts: &PartialSpec, findings: &mut Findings) {
    let network = parts.session.as_ref().map(|session| &session.network);
    let has_own = matches!(network, Some(NetworkSpec::None | NetworkSpec::Private(_)));
    if parts.access.value.contains(&AccessMethod::Forward) && !has_own {
        findings.add(
            Finding::new("`forward` would give access to the host's network")
                .why("sshd opens forwarded connections in the network of the session, which is that of the host")
                .with_span(&parts.access.span, "")
                .hint("write `mode = \"private\"` below `[network]`, or delete `\"forward\"`"),
        );
    }
}

/// Finding `what` about a duplicate at `second` of `first`.
fn duplicate(what: String, second: &Span, first: &Span) -> Finding {
    Finding::new(what)
        .why(format!("the first is in {}", shown_line(first, second)))
        .with_span(second, "second definition")
}

/// "line 3", with the name of the text if it differs from that of `from`.
fn shown_line(span: &Span, from: &Span) -> String {
    let line = span.position().0;
    if span.source.name == from.source.name {
        format!("line {line}")
    } else {
        format!(
            "line {line} of {}",
            super::display::quote(&span.source.name)
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
        if let Some(first) = names.insert(name.value.as_str(), &name.span) {
            findings.add(duplicate(
                format!("duplicate user `{}`", name.value),
                &name.span,
                first,
            ));
        }
        if let Password::Hash(_) = user.password.value
            && user.adopt
        {
            findings.add(
                Finding::new(format!(
                    "could not set the password of the adopted account `{}`",
                    name.value
                ))
                .why("its own password could not be restored later")
                .with_span(&user.password.span, "expected `unchanged` or `locked` with `adopt`")
                .hint("`unchanged` keeps its password, `locked` disables it while the account is in the jail"),
            );
        }
        if let Some(uid) = &user.uid
            && let Some(first) = uids.insert(uid.value, &uid.span)
        {
            findings.add(duplicate(
                format!("two users have the uid {}", uid.value),
                &uid.span,
                first,
            ));
        }
    }
    if parts.has_invalid_users {
        return;
    }
    dir_groups(parts, findings);
    for owner in parts.dirs.iter().filter_map(|dir| dir.owner.as_ref()) {
        if findings.is_full() {
            return;
        }
        if names.contains_key(owner.value.as_str()) {
            continue;
        }
        let finding = Finding::new(format!("unknown user `{}`", owner.value));
        findings.add(match suggest(owner.value.as_str(), names.keys().copied()) {
            Some(meant) => finding.with_span(&owner.span, format!("did you mean `{meant}`?")),
            None if names.is_empty() => finding
                .with_span(&owner.span, "no `[[user]]` has this name")
                .hint("the spec has no `[[user]]`; without `owner` the directory is owned by root"),
            None => finding
                .with_span(&owner.span, "no `[[user]]` has this name")
                .hint(format!(
                    "users of the spec: {}",
                    list(names.keys().copied().take(10), "and")
                )),
        });
    }
}

/// Checks the groups of directories: the jail has them, and what a group may do needs one.
fn dir_groups(parts: &PartialSpec, findings: &mut Findings) {
    let Some(name) = &parts.name else { return };
    let own = name.value.group();
    let further = parts.users.iter().flat_map(|user| &user.groups);
    let known: Vec<&str> = std::iter::once(own.as_str())
        .chain(further.map(|group| group.value.as_str()))
        .collect();
    for dir in &parts.dirs {
        match &dir.group {
            Some(group) if parts.users.is_empty() || !known.contains(&group.value.as_str()) => {
                findings.add(
                    Finding::new(format!("the jail has no group `{}`", group.value))
                        .with_span(&group.span, "no `[[user]]` is a member")
                        .hint(format!(
                            "groups of the jail: {}; `groups` of a `[[user]]` adds one",
                            list(known.iter().copied().take(10), "and")
                        )),
                );
            }
            None if dir.mode & 0o2020 != 0 => findings.add(
                Finding::new(format!(
                    "`{}` has no group to share it with",
                    dir.path.value
                ))
                .why("its `mode` has the setgid bit or write permission for the group")
                .with_span(&dir.span, "no `group`")
                .hint(format!(
                    "add `group = \"{own}\"`, or one of the `groups` of a user"
                )),
            ),
            _ => {}
        }
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
                "`{}` is the home of both `{}` and `{}`",
                user.home.value, first.name.value, user.name.value
            );
            if first.name.value != user.name.value {
                findings.add(
                    duplicate(what, &user.home.span, &first.home.span)
                        .hint("give each user a separate home"),
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
                    "the home of `{}` is below the home of `{}`",
                    user.name.value, outer.name.value
                ))
                .with_span(&user.home.span, format!("below `{}`", outer.home.value))
                .hint("homes must not be nested: choose another path"),
            );
        }
    }
}

/// Ancestors of `path`, without the root.
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
        if !user.allows(AccessMethod::Shell) {
            continue;
        }
        let Some(Spanned { value: shell, span }) = &user.shell else {
            findings.add(
                Finding::new(format!("`{}` has no shell", user.name.value))
                    .why("`sshd.allow` includes `shell`, but no shell is listed in `binaries`")
                    .with_span(&user.span, "no `shell`")
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
                Some(near) => format!("`{name}` is not in `binaries`, but `{near}` is"),
                None => format!("`{name}` is not in `binaries`"),
            };
            findings.add(
                Finding::new(format!(
                    "the shell `{shell}` of `{}` is not in the jail",
                    user.name.value
                ))
                .with_span(span, label)
                .hint(format!("add \"{name}\" to `binaries`")),
            );
        }
    }
}

/// Directory of a user.
struct OwnedDir<'a> {
    owner: &'a str,
    is_home: bool,
}

impl OwnedDir<'_> {
    fn description(&self) -> String {
        if self.is_home {
            format!("the home of `{}`", self.owner)
        } else {
            format!("a directory of `{}`", self.owner)
        }
    }
}

/// Checks files and directories against each other and against directories of users. jailctl
/// creates nothing inside a user's directory, because the user could replace a component of the
/// path by a symbolic link.
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
        let (path, span) = (&dir.path.value, &dir.path.span);
        if let Some(first) = given.insert(path.clone(), span) {
            findings.add(duplicate(format!("duplicate path `{path}`"), span, first));
        } else if let Some(owned) = owned.get(path) {
            findings.add(
                Finding::new(format!("`{path}` is {}", owned.description()))
                    .with_span(span, "created in any case")
                    .hint("delete the `[[dir]]`"),
            );
        } else if let Some(owner) = dir.writer() {
            if let Some(user) = above_homes.get(path) {
                findings.add(
                    Finding::new(format!("`{path}` cannot be owned by `{owner}`"))
                        .why(format!("it contains the home of `{}`", user.name.value))
                        .with_span(span, format!("contains `{}`", user.home.value)),
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
        let (path, span) = (&dir.path.value, &dir.path.span);
        if let Some(owned) = owner_above(path) {
            findings.add(in_owned("dir", path, span, owned));
        }
    }
    for file in files {
        if findings.is_full() {
            return;
        }
        let (target, span) = (&file.target.value, &file.target.span);
        if let Some(first) = given.insert(merged(target), span) {
            findings.add(duplicate(format!("duplicate path `{target}`"), span, first));
        } else if let Some(owned) = owned.get(target).or_else(|| owner_above(target)) {
            findings.add(in_owned("file", target, span, owned));
        } else if let Some(user) = above_homes.get(target) {
            findings.add(
                Finding::new(format!("`{target}` is not a valid target of a `[[file]]`"))
                    .why(format!("it contains the home of `{}`", user.name.value))
                    .with_span(span, format!("contains `{}`", user.home.value)),
            );
        }
    }
}

fn in_owned(table: &str, path: &JailPath, span: &Span, owned: &OwnedDir<'_>) -> Finding {
    let finding = Finding::new(format!("`{path}` is not a valid path of a `[[{table}]]`"))
        .why(format!("it is in {}", owned.description()))
        .with_span(span, format!("in {}", owned.description()));
    if owned.is_home {
        finding.hint("use `skel` of the `[[user]]` for the initial content of a home")
    } else {
        finding.hint("choose a path outside; jailctl changes nothing inside of users' directories")
    }
}

/// Each `[[test]]` needs a command, and a user to run it.
fn tests(parts: &PartialSpec, findings: &mut Findings) {
    for test in &parts.tests {
        if findings.is_full() {
            return;
        }
        let finding = if test.value.first().is_none_or(String::is_empty) {
            Finding::new("a `[[test]]` has no command")
                .with_span(&test.span, "expected a program and its arguments")
                .hint("example: `run = [\"bash\", \"-c\", \"ls /\"]`")
        } else if parts.users.is_empty() && !parts.has_invalid_users {
            Finding::new("could not run the `[[test]]`")
                .why("tests run as the first user, and the spec has no `[[user]]`")
                .with_span(&test.span, "no user to run it")
                .hint("add a `[[user]]`, or delete the test")
        } else {
            continue;
        };
        findings.add(finding);
    }
}
