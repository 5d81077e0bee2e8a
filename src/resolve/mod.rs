//! From a spec and a host to a [`ResolvedJail`]: every path of the root with its reasons, accounts
//! with their ids, settings of sshd, policy of sessions. Reads only.

mod accounts;
mod base_files;
mod build_tree;
mod files;
mod findings;
mod gate;
mod jail_blocks;
mod limits;
mod network;
mod networkd;
mod packages;
mod programs;
mod reachable;
mod root_marker;
mod root_path;
mod rules;
pub mod scheduled_jobs;
mod session;
pub mod shells;
mod sshd;
mod tree;
mod types;

pub use accounts::{gecos_tag, home_in_jail, is_adopted, is_managed, jail_of};
pub use jail_blocks::{BlockSettings, JailBlocks, block_text};
pub(crate) use network::{interferences, tables};
pub use programs::verify_closure;
pub use root_marker::{Marker, OrphanedHome};
pub use sshd::{common, is_common, own_snippet_name};
pub use tree::{Content, Entry, EntryKind, Reason, Tree, USR_MERGE_LINKS};
pub use types::{
    Confinement, PackageSummary, ResolvedJail, SshdSnippet, SupplementaryGroup, WantedAccount,
    WantedGroup,
};

#[cfg(doc)]
use crate::error::ErrorKind;
use crate::error::Result;
use crate::host::sshd::SshdInfo;
use crate::host::{Accounts, HostView};
use crate::spec::Spec;

/// Resolves `spec` on the host, and writes nothing.
///
/// `known` are the accounts and groups of the host. `sshd_info` is what sshd prints about itself,
/// for a jail that has accounts or had some. `built` replaces the tree: it was built from the spec
/// before, whatever the host has by now.
///
/// # Errors
/// [`ErrorKind::Spec`] with every reason why the spec cannot be built on this host;
/// [`ErrorKind::LibraryNotFound`] if a program would not start; [`ErrorKind::Failed`] if the host
/// cannot be read, or has something in the place of the login shells.
pub fn resolve(
    spec: &Spec,
    known: &Accounts,
    sshd_info: Option<&SshdInfo>,
    built: Option<Tree>,
    view: &HostView,
) -> Result<ResolvedJail> {
    let (mut findings, mut notices) = (Vec::new(), Vec::new());
    let spec = &*session::or_default(spec, sshd_info, built.as_ref(), view)?;
    root_path::check(view, known, &spec.root, &mut findings, &mut notices)?;
    shells::refuse_leaks(view)?;
    let has_group = sshd_info.is_some();
    let accounts = accounts::resolve(spec, has_group, known, view, &mut findings, &mut notices)?;
    programs::notice_idle(spec, &mut notices);
    let (tree, packages) = if let Some(built) = built {
        (built, Vec::new())
    } else {
        let sftp = match sshd_info {
            Some(sshd_info) => sshd_info.sftp.clone(),
            None => sshd::configured_sftp(view),
        };
        let sftp = sftp.as_deref();
        build_tree::build_tree(spec, view, sftp, &accounts, &mut findings, &mut notices)?
    };
    let session = session::resolve(
        spec,
        &accounts,
        &tree,
        sshd_info,
        view,
        &mut findings,
        &mut notices,
    )?;
    findings::into_result(findings)?;
    Ok(ResolvedJail {
        name: spec.name.value.clone(),
        root: spec.root.value.clone(),
        confinement: accounts
            .group
            .zip(sshd_info)
            .map(|(group, sshd_info)| Confinement {
                group,
                sshd: sshd::render(spec, sshd_info),
            }),
        further_groups: accounts.further_groups,
        accounts: accounts.accounts,
        access: spec.access.value.clone(),
        tree,
        packages,
        session,
        skeletons: files::skeletons(spec),
        tests: spec.tests.clone(),
        notices,
    })
}

/// Checks the root of a spec as [`resolve`] does.
///
/// # Errors
/// [`ErrorKind::Spec`] with every reason against it.
pub fn check_root(spec: &Spec, known: &Accounts, view: &HostView) -> Result<()> {
    let (mut findings, mut notices) = (Vec::new(), Vec::new());
    root_path::check(view, known, &spec.root, &mut findings, &mut notices)?;
    findings::into_result(findings)
}

/// Resolves only the tree of `spec`, as it would be on this host: the content of
/// `build --output`. Returns it with the notices.
///
/// Users without an account on the host get the ids that a build would choose.
///
/// # Errors
/// As [`resolve`].
pub fn resolve_tree(spec: &Spec, view: &HostView) -> Result<(Tree, Vec<String>)> {
    let (mut findings, mut notices) = (Vec::new(), Vec::new());
    let accounts = accounts::resolve_ids(spec, view, &mut findings)?;
    let sftp = sshd::configured_sftp(view);
    let (tree, _) = build_tree::build_tree(
        spec,
        view,
        sftp.as_deref(),
        &accounts,
        &mut findings,
        &mut notices,
    )?;
    findings::into_result(findings)?;
    Ok((tree, notices))
}
