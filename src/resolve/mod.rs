//! Spec and host to [`ResolvedJail`]: everything the jail is to be, down to the last library and user id. Reads only.

mod accounts;
mod base_files;
mod files;
pub mod host_jobs;
mod limits;
mod network;
mod packages;
mod programs;
mod reachable;
mod root_marker;
mod root_path;
mod rules;
mod session;
pub mod shells;
mod sshd;
mod tree;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::thread;

pub use accounts::{
    SupplementaryGroup, WantedAccount, WantedGroup, gecos_tag, home_in_jail, is_adopted,
    is_managed, jail_of,
};
pub(crate) use network::tables;
pub use programs::verify_closure;
pub use root_marker::{Marker, OrphanedHome};
pub use sshd::{Sftp, SshdSnippet, common, is_common, snippet_name};
pub use tree::{Content, Entry, EntryKind, Reason, Tree, USR_MERGE_LINKS};

use jailctl_session::policy::Policy;

use crate::error::{Error, ErrorKind, Finding, Result};
use crate::host::sshd::{Config, SshdInfo};
use crate::host::{Accounts, HostView};
use crate::layout::{CACHE, JAIL_DIR, JAIL_ROOT, STATE};
use crate::names::{JailName, JailPath};
use crate::span::Spanned;
use crate::spec::display::quote;
use crate::spec::{AccessMethod, Dlopen, NetworkSpec, Spec, User};
use base_files::AccountNames;
use programs::RequestedObject;
use root_marker::OrphanedHomes;

/// A jail as it is to be on one host.
#[derive(Clone, Debug)]
pub struct ResolvedJail {
    /// Its name.
    pub name: JailName,
    /// Where it stands on the host.
    pub root: PathBuf,
    /// How its accounts are locked in; `None` where it never had any.
    pub lock: Option<Confinement>,
    /// Further groups of its accounts.
    pub further_groups: Vec<SupplementaryGroup>,
    /// Its accounts.
    pub accounts: Vec<WantedAccount>,
    /// Its ways in.
    pub doors: Vec<AccessMethod>,
    /// The content of its root.
    pub tree: Tree,
    /// What its sessions have of their own; `None` for a plain chroot, and where it never had accounts.
    pub session: Option<Policy>,
    /// Where new homes take their first content from, by user name.
    pub skeletons: Vec<(String, PathBuf)>,
    /// Commands that must succeed in it, run by the first of its accounts.
    pub tests: Vec<Spanned<Vec<String>>>,
    /// What an admin should know and need not act on.
    pub notices: Vec<String>,
}

/// How the accounts of a jail are locked in.
#[derive(Clone, Debug)]
pub struct Confinement {
    /// Their group, by which sshd knows them.
    pub group: WantedGroup,
    /// What sshd does with them.
    pub sshd: SshdSnippet,
}

impl ResolvedJail {
    /// Where the records of the jail lie on the host.
    pub fn state(name: &JailName) -> PathBuf {
        Path::new(STATE).join(name.as_str())
    }

    /// Where a run of `verb` that found nothing to do with the jail is kept on the host. Losing it costs time and nothing else.
    pub fn cache(name: &JailName, verb: &str) -> PathBuf {
        Path::new(CACHE).join(format!("{name}.{verb}"))
    }
}

/// Resolves `spec` on the host. Every reason why it cannot be done is reported at once; nothing is written.
///
/// `facts` is what sshd says of itself, for a jail that has accounts or had some. `built` stands for the tree where it is given: one that was built
/// from the spec before, whatever the host has by now.
pub fn resolve(
    spec: &Spec,
    view: &HostView,
    facts: Option<&SshdInfo>,
    built: Option<Tree>,
) -> Result<ResolvedJail> {
    let mut findings = Vec::new();
    let mut notices = Vec::new();
    let spec = &*session::or_default(spec, facts, built.as_ref(), view)?;
    let known = view.accounts()?;
    root_path::check_root_path(view, &known, &spec.root, &mut findings)?;
    root_path::check_file_system(view, &spec.root, &mut findings, &mut notices)?;
    shells::refuse_leaks(view)?;
    let is_new = |user: &User| known.user(user.name.value.as_str()).is_none();
    let homes = OrphanedHomes::of(spec, spec.users.iter().any(is_new), view)?;
    let people = resolve_accounts(spec, facts.is_some(), &known, &homes, &mut findings);
    let wanted = people.accounts;
    let further_groups = people.further_groups;
    accounts::check_adoptions(spec, &known, &wanted, view, &mut findings)?;
    accounts::warn_host_jobs(&known, &wanted, view, &mut notices)?;
    accounts::warn_cannot_log_in(spec, &known, &mut notices);
    notice_idle_programs(spec, &mut notices);
    let names = AccountNames {
        group: people.group.as_ref().filter(|_| !wanted.is_empty()),
        further: &further_groups,
        accounts: &wanted,
    };
    let tree = if let Some(built) = built {
        built
    } else {
        let sftp = match facts {
            Some(facts) => facts.sftp.clone(),
            None => configured_sftp(view),
        };
        tree(
            spec,
            view,
            sftp.as_deref(),
            &names,
            &mut findings,
            &mut notices,
        )?
    };
    let mut network = None;
    if let Some(session) = &spec.session {
        session::check(session, facts, view, &mut findings, &mut notices)?;
        session::notice_shared_processes(spec, session, &mut notices);
        limits::check(spec, session, view, &mut findings, &mut notices)?;
        if let NetworkSpec::Private(private) = &session.network {
            let name = &spec.name.value;
            network = network::resolve(name, private, view, &mut findings, &mut notices)?;
        }
    }
    into_result(findings)?;
    let programs = runs_user_code(&tree);
    Ok(ResolvedJail {
        name: spec.name.value.clone(),
        root: spec.root.value.clone(),
        session: match spec.session.as_ref().filter(|_| facts.is_some()) {
            Some(session) => Some(session::build_policy(
                spec, session, &names, network, programs, view,
            )?),
            None => None,
        },
        skeletons: spec
            .users
            .iter()
            .filter_map(|user| {
                Some((
                    user.name.value.as_str().to_owned(),
                    user.skel.as_ref()?.value.clone(),
                ))
            })
            .collect(),
        lock: people.group.zip(facts).map(|(group, facts)| Confinement {
            group,
            sshd: sshd::render(spec, facts),
        }),
        further_groups,
        accounts: wanted,
        doors: spec.doors.value.clone(),
        tree,
        tests: spec.tests.clone(),
        notices,
    })
}

/// The host's program for sftp by its configuration alone, without an sshd to ask.
fn configured_sftp(view: &HostView) -> Option<String> {
    Config::read(view).ok().and_then(|config| config.sftp())
}

/// Who is to be known to the host for a jail.
struct ResolvedAccounts {
    group: Option<WantedGroup>,
    accounts: Vec<WantedAccount>,
    further_groups: Vec<SupplementaryGroup>,
}

/// Chooses them, and a group for a jail without accounts where it is to have one.
fn resolve_accounts(
    spec: &Spec,
    has_group: bool,
    known: &Accounts,
    homes: &OrphanedHomes,
    findings: &mut Vec<Finding>,
) -> ResolvedAccounts {
    if !has_group && spec.users.is_empty() {
        return ResolvedAccounts {
            group: None,
            accounts: Vec::new(),
            further_groups: Vec::new(),
        };
    }
    let group = accounts::group(spec, known, findings);
    ResolvedAccounts {
        accounts: accounts::accounts(spec, &group, known, homes, findings),
        further_groups: accounts::supplementary_groups(spec, known, &group, findings),
        group: Some(group),
    }
}

/// Resolves only the tree of `spec`, as it would be on this host: what `build --output` makes.
///
/// Users that the host has no account of get the ids that they would get.
pub fn resolve_tree(spec: &Spec, view: &HostView) -> Result<(Tree, Vec<String>)> {
    let mut findings = Vec::new();
    let mut notices = Vec::new();
    let known = view.accounts()?;
    let people = resolve_accounts(
        spec,
        false,
        &known,
        &OrphanedHomes::default(),
        &mut findings,
    );
    let tree = tree(
        spec,
        view,
        configured_sftp(view).as_deref(),
        &AccountNames {
            group: people.group.as_ref(),
            further: &people.further_groups,
            accounts: &people.accounts,
        },
        &mut findings,
        &mut notices,
    )?;
    into_result(findings)?;
    Ok((tree, notices))
}

/// Whether anything of a user's runs in the jail: devices are there for programs.
fn runs_user_code(tree: &Tree) -> bool {
    tree.iter()
        .any(|(_, entry)| matches!(entry.kind, EntryKind::Device { .. }))
}

fn into_result(findings: Vec<Finding>) -> Result<()> {
    if findings.is_empty() {
        Ok(())
    } else {
        Err(Error {
            kind: ErrorKind::Spec,
            findings,
        })
    }
}

fn tree(
    spec: &Spec,
    view: &HostView,
    sftp: Option<&str>,
    names: &AccountNames<'_>,
    findings: &mut Vec<Finding>,
    notices: &mut Vec<String>,
) -> Result<Tree> {
    let mut tree = Tree::default();
    let mut asked = Vec::new();
    files::add_files(&mut tree, view, spec, &mut asked, findings);
    packages::add(&mut tree, view, spec, &mut asked, findings, notices)?;
    files::check_skeletons(view, spec, findings)?;
    for binary in &spec.binaries {
        match programs::locate(view, "binaries", binary)? {
            Ok(found) => asked.push(found),
            Err(finding) => findings.push(finding),
        }
    }
    asked.extend(programs::locate_optional(view, spec, notices)?);
    match sshd::sftp(&spec.doors.value, sftp) {
        Some(Sftp::Program(program)) => asked.push(RequestedObject {
            path: PathBuf::from(program),
            why: Reason::rule("the door sftp: the program that sshd starts for it"),
            site: Some(spec.doors.site.clone()),
            is_placed: false,
        }),
        Some(Sftp::Internal) => {}
        None if spec.doors.value.contains(&AccessMethod::Sftp) => {
            notices
                .push("sshd on this host has no subsystem `sftp`: that door stays shut".to_owned());
        }
        None if spec.doors.value == [AccessMethod::Shell] && sftp == Some("internal-sftp") => {
            notices.push(
                "`sftp` is no door of the jail and is open nevertheless: sshd on this host serves it itself to everybody with a shell (`Subsystem sftp internal-sftp`)".to_owned(),
            );
        }
        None => {}
    }
    if let Some(session) = &spec.session
        && let NetworkSpec::Private(private) = &session.network
    {
        network::add_resolver(&mut tree, private, view, notices)?;
    }
    // Whatever else is wrong is worth knowing in the same go, but objects of programs that are not there cannot be looked for.
    into_result(std::mem::take(findings))?;
    let programs = !asked.is_empty();
    let rules = if programs {
        let dlopen = spec.dlopen;
        Some(add_programs(
            &mut tree, view, asked, dlopen, findings, notices,
        )?)
    } else {
        None
    };
    for name in USR_MERGE_LINKS {
        let in_usr = JailPath::new(&format!("/usr/{name}"));
        let at_top = JailPath::new(&format!("/{name}"));
        if let (Ok(in_usr), Ok(at_top)) = (in_usr, at_top)
            && tree.get(&in_usr).is_some()
        {
            tree.add(
                at_top,
                Entry::symlink(format!("usr/{name}"), vec![Reason::rule("merged /usr")]),
            )?;
        }
    }
    base_files::add_names(&mut tree, view, names)?;
    files::add_user_dirs(&mut tree, spec, names.accounts, findings);
    if programs {
        base_files::add_devices(&mut tree)?;
        files::add_tmp(&mut tree)?;
    }
    if let Some(session) = &spec.session {
        session::add_places(&mut tree, session, programs, findings)?;
    }
    add_shells(&mut tree, spec, findings)?;
    if !spec.users.is_empty() {
        add_link_to_root(&mut tree)?;
    }
    check_start_dir(&tree, spec, findings);
    notices.extend(stripped_bits(&tree));
    notices.extend(
        rules
            .into_iter()
            .flat_map(|rules| rules.unmet_requirements(&tree)),
    );
    Ok(tree)
}

/// A notice for each file that has a bit on the host which no file of a jail has.
fn stripped_bits(tree: &Tree) -> Vec<String> {
    let bits = |mode: u32| {
        [(0o4000, "setuid"), (0o2000, "setgid"), (0o1000, "sticky")]
            .into_iter()
            .filter(move |(bit, _)| mode & bit != 0)
            .map(|(_, name)| name)
            .collect::<Vec<_>>()
            .join(" and ")
    };
    tree.iter()
        .filter_map(|(path, entry)| match &entry.kind {
            EntryKind::File(Content::Host { stat, .. }) if stat.mode & 0o7000 != 0 => {
                Some(format!(
                    "`{path}` loses its {} bit in the jail: nothing there gets rights from a file",
                    bits(stat.mode)
                ))
            }
            _ => None,
        })
        .collect()
}

/// Adds what was asked for with all that it needs, and gives the rules that know of wishes left: its closure, the data that programs of the tree read, the closure of that, until nothing is new.
fn add_programs(
    tree: &mut Tree,
    view: &HostView,
    mut asked: Vec<RequestedObject>,
    dlopen: Dlopen,
    findings: &mut Vec<Finding>,
    notices: &mut Vec<String>,
) -> Result<rules::Rules> {
    let mut add =
        |tree: &mut Tree, asked: &[RequestedObject], notices: &mut Vec<String>| -> Result<_> {
            let mut said = Vec::new();
            let needs_proc = programs::add(tree, view, asked, dlopen, findings, &mut said)?;
            // Each closure speaks of the libraries that it shares with the one before.
            said.retain(|notice| !notices.contains(notice));
            notices.extend(said);
            Ok(needs_proc)
        };
    // To read the rules takes a small jail as long as its programs do.
    let (rules, added) = thread::scope(|scope| {
        let reader = thread::Builder::new().spawn_scoped(scope, || rules::Rules::load(view));
        let added = add(tree, &asked, notices);
        let rules = match reader.map(thread::ScopedJoinHandle::join) {
            Ok(Ok(rules)) => rules,
            Ok(Err(panic)) => std::panic::resume_unwind(panic),
            // Where no thread is to be had, this one does it all.
            Err(_) => rules::Rules::load(view),
        };
        (rules, added)
    });
    let mut rules = rules?;
    let mut needs_proc: BTreeSet<JailPath> = added?.into_iter().collect();
    loop {
        asked = rules.apply(tree, view, notices)?;
        if asked.is_empty() {
            rules.need_proc(needs_proc.into_iter().collect());
            return Ok(rules);
        }
        needs_proc.extend(add(tree, &asked, notices)?);
    }
}

/// Programs that nobody can start are most likely a door forgotten.
fn notice_idle_programs(spec: &Spec, notices: &mut Vec<String>) {
    let programs = spec.binaries.iter().chain(&spec.optional);
    if let Some(first) = programs.clone().next()
        && !spec.doors.value.contains(&AccessMethod::Shell)
    {
        let others = match programs.count() - 1 {
            0 => String::new(),
            others => format!(" and {others} more"),
        };
        notices.push(format!(
            "`{}`{others} cannot be run by anybody: `shell` is no door of the jail",
            quote(&first.value)
        ));
    }
}

/// sftp would begin in the root, and say nothing, where the directory is not there.
fn check_start_dir(tree: &Tree, spec: &Spec, findings: &mut Vec<Finding>) {
    let Some(start) = &spec.sftp.start_dir else {
        return;
    };
    let is_there = start.value == JailPath::root()
        || tree
            .follow(&start.value)
            .is_some_and(|(_, entry)| entry.kind == EntryKind::Directory);
    if !is_there {
        findings.push(
            Finding::new(format!("the jail has no directory `{}`", start.value))
                .why("sftp is to begin there")
                .hint("make it with a `[[dir]]`, or name one that is there")
                .with_span(&start.site, ""),
        );
    }
}

/// Adds the path by which homes in the host's passwd(5) lead somewhere.
fn add_link_to_root(tree: &mut Tree) -> Result<()> {
    let at =
        JailPath::new(JAIL_ROOT).map_err(|why| Finding::new(format!("`{JAIL_ROOT}` {why}")))?;
    let why = Reason::rule("homes, under the name that only a jail has");
    tree.add(at, Entry::symlink("..", vec![why]))?;
    Ok(())
}

/// Adds each login shell under its second name, the one in the host's passwd(5) that exists in jails only.
fn add_shells(tree: &mut Tree, spec: &Spec, findings: &mut Vec<Finding>) -> Result<()> {
    for user in &spec.users {
        let Some(shell) = &user.shell else { continue };
        let runs = tree.follow(&shell.value).is_some_and(|(_, entry)| {
            matches!(entry.kind, EntryKind::File(_)) && entry.owner.mode & 0o111 != 0
        });
        if !runs {
            findings.push(
                Finding::new(format!("the jail has no program `{}`", shell.value))
                    .why(format!("it is the shell of `{}`", user.name.value))
                    .hint("add it to `binaries`")
                    .with_span(&shell.site, "this shell"),
            );
            continue;
        }
        let depth = shell.value.as_str().matches('/').count();
        let target = format!("{}{}", "../".repeat(depth), &shell.value.as_str()[1..]);
        let at = JailPath::new(&format!("{JAIL_DIR}{}", shell.value))
            .map_err(|why| Finding::new(format!("`{JAIL_DIR}{}` {why}", shell.value)))?;
        tree.add(
            at,
            Entry::symlink(
                target,
                vec![Reason::rule(
                    "the login shell, under the name that only a jail has",
                )],
            ),
        )?;
    }
    Ok(())
}
