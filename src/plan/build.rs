//! From a spec to the plan of a build.

use std::path::Path;

use super::compare::{Depth, compare};
use super::observe::{observe_host, observe_root};
use super::step_order::{Comparison, order};
use super::types::Plan;
use crate::error::Result;
use crate::host::HostView;
use crate::resolve::{Tree, resolve};
use crate::span::SourceText;
use crate::spec::Spec;

/// Plans to make the host match `spec`, which was read from `source`.
///
/// # Errors
/// [`crate::error::ErrorKind::Spec`] or [`crate::error::ErrorKind::LibraryNotFound`] if the spec
/// cannot be built on this host; [`crate::error::ErrorKind::Failed`] if the host cannot be read, or
/// a change has to wait, for example for the end of a session.
pub fn build_plan(spec: &Spec, source: SourceText, view: &HostView) -> Result<Plan> {
    build_plan_with(spec, source, Depth::Metadata, None, None, view)
}

/// Plans as [`build_plan`] does for a jail whose root was renamed from `from` to that of `spec`
/// since it was built.
///
/// # Errors
/// As [`build_plan`].
pub fn build_moved(spec: &Spec, source: SourceText, from: &Path, view: &HostView) -> Result<Plan> {
    build_plan_with(spec, source, Depth::Metadata, None, Some(from), view)
}

/// Plans as [`build_plan`] does. `depth` sets whether the content of unchanged files is read;
/// `tree`, if given, replaces the tree that the spec resolves to; `moved_from` is the former root
/// of a jail that was moved.
///
/// # Errors
/// As [`build_plan`].
pub(super) fn build_plan_with(
    spec: &Spec,
    source: SourceText,
    depth: Depth,
    tree: Option<Tree>,
    moved_from: Option<&Path>,
    view: &HostView,
) -> Result<Plan> {
    let found = observe_host(spec, moved_from, view)?;
    let jail = resolve(spec, &found.accounts, found.sshd.as_ref(), tree, view)?;
    let root = observe_root(spec, &jail, &found, view)?;
    let changes = compare(
        &jail.tree,
        found.manifest.as_ref(),
        root.inventory.as_ref(),
        &root.store,
        depth,
        view,
    )?;
    let comparison = Comparison {
        found,
        jail,
        root,
        changes,
    };
    order(spec, source, comparison, view)
}
