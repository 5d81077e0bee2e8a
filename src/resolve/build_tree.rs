//! The content of a jail's root: files of the spec, programs with their closure, the data that they
//! read, and what every jail has.

use std::collections::BTreeSet;
use std::thread;

use super::findings::into_result;
use super::programs::{self, RequestedObject};
use super::rules::Rules;
use super::tree::Tree;
use super::types::{PackageSummary, ResolvedAccounts};
use super::{base_files, files, gate, network, packages, session, shells, sshd};
use crate::error::{Finding, Result};
use crate::host::HostView;
use crate::names::JailPath;
use crate::spec::{Dlopen, NetworkSpec, Spec};

/// Builds the tree of the jail, and summarises its packages. `sftp` is the host's subsystem for
/// sftp.
///
/// # Errors
/// [`crate::error::ErrorKind::Spec`] with all findings so far if a file or program of the spec is
/// missing or refused; [`crate::error::ErrorKind::LibraryNotFound`] if a program would not start;
/// [`crate::error::ErrorKind::Failed`] if the host cannot be read. Findings of what follows the
/// programs are added to `findings`.
pub(super) fn build_tree(
    spec: &Spec,
    view: &HostView,
    sftp: Option<&str>,
    accounts: &ResolvedAccounts,
    findings: &mut Vec<Finding>,
    notices: &mut Vec<String>,
) -> Result<(Tree, Vec<PackageSummary>)> {
    let mut tree = Tree::default();
    let mut requested = Vec::new();
    files::add_files(&mut tree, view, spec, &mut requested, findings);
    let packages = packages::add(&mut tree, view, spec, &mut requested, findings, notices)?;
    files::check_skeletons(view, spec, findings)?;
    for binary in &spec.binaries {
        match programs::locate(view, "binaries", binary)? {
            Ok(found) => requested.push(found),
            Err(finding) => findings.push(finding),
        }
    }
    requested.extend(programs::locate_optional(view, spec, notices)?);
    requested.extend(sshd::sftp_program(spec, sftp, notices));
    let servers = gate::Servers::locate(spec, view, sftp, findings)?;
    requested.extend(servers.requested());
    if let Some(session) = &spec.session
        && let NetworkSpec::Private(private) = &session.network
    {
        network::add_resolver(&mut tree, private, view, notices)?;
    }
    // All findings so far are reported together. Without its programs the closure cannot be
    // computed.
    into_result(std::mem::take(findings))?;
    let programs = !requested.is_empty();
    let rules = if programs {
        let dlopen = spec.dlopen;
        Some(add_programs(
            &mut tree, view, requested, dlopen, findings, notices,
        )?)
    } else {
        None
    };
    base_files::add_usr_merge_links(&mut tree)?;
    base_files::add_names(&mut tree, view, accounts)?;
    files::add_user_dirs(&mut tree, spec, accounts, findings);
    if programs {
        base_files::add_devices(&mut tree)?;
        files::add_tmp(&mut tree)?;
    }
    if let Some(session) = &spec.session {
        session::add_places(&mut tree, session, programs, findings)?;
    }
    shells::add_links(&mut tree, spec, findings)?;
    servers.add_gate(&mut tree, spec, &accounts.accounts, findings)?;
    if !spec.users.is_empty() {
        shells::add_link_to_root(&mut tree)?;
    }
    files::check_start_dir(&tree, spec, findings);
    notices.extend(files::stripped_bits(&tree));
    notices.extend(
        rules
            .into_iter()
            .flat_map(|rules| rules.unmet_requirements(&tree)),
    );
    Ok((tree, packages))
}

/// Adds the requested objects: their closure, the files of rules that the tree triggers, the
/// closure of these, until nothing is new. Returns the rules, with the requirements of those that
/// were applied.
fn add_programs(
    tree: &mut Tree,
    view: &HostView,
    mut requested: Vec<RequestedObject>,
    dlopen: Dlopen,
    findings: &mut Vec<Finding>,
    notices: &mut Vec<String>,
) -> Result<Rules> {
    let mut add =
        |tree: &mut Tree, requested: &[RequestedObject], notices: &mut Vec<String>| -> Result<_> {
            let mut added = Vec::new();
            let needs_proc = programs::add(tree, view, requested, dlopen, findings, &mut added)?;
            // Closures that share a library have the same notice.
            added.retain(|notice| !notices.contains(notice));
            notices.extend(added);
            Ok(needs_proc)
        };
    // Reading the rules takes as long as the closure of a small jail.
    let (rules, added) = thread::scope(|scope| {
        let reader = thread::Builder::new().spawn_scoped(scope, || Rules::load(view));
        let added = add(tree, &requested, notices);
        let rules = match reader.map(thread::ScopedJoinHandle::join) {
            Ok(Ok(rules)) => rules,
            Ok(Err(panic)) => std::panic::resume_unwind(panic),
            // Without a second thread, this one does both.
            Err(_) => Rules::load(view),
        };
        (rules, added)
    });
    let mut rules = rules?;
    let mut needs_proc: BTreeSet<JailPath> = added?.into_iter().collect();
    loop {
        requested = rules.apply(tree, view, notices)?;
        if requested.is_empty() {
            rules.need_proc(needs_proc.into_iter().collect());
            return Ok(rules);
        }
        needs_proc.extend(add(tree, &requested, notices)?);
    }
}
