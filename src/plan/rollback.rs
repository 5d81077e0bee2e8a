//! The build before the last one: its spec, and its tree with the files of that time.

use super::build::build_plan_with;
use super::compare::Depth;
use super::manifest::Manifest;
use super::text_file::read_text;
use super::types::Plan;
use crate::error::{Error, Result};
use crate::host::{Digest, HostView};
use crate::layout::{MANIFEST, PREVIOUS_RECORDS, SPEC};
use crate::names::JailName;
use crate::resolve::{ResolvedJail, Tree};
use crate::span::SourceText;
use crate::spec::{Spec, Templates};

/// Records of the build before the last one.
#[derive(Debug)]
pub struct PreviousBuild {
    /// Spec that it was built from, which may be the one of a family.
    pub spec: Spec,
    /// Source text of the spec.
    pub origin: SourceText,
    /// Tree that was built.
    pub tree: Tree,
}

impl PreviousBuild {
    /// Reads the records of the jail `name`; `None` if there is no build before the last one.
    ///
    /// # Errors
    /// [`crate::error::ErrorKind::Failed`] if records cannot be read;
    /// [`crate::error::ErrorKind::Spec`] if this version does not accept the spec any more.
    pub fn of(name: &JailName, templates: &dyn Templates, view: &HostView) -> Result<Option<Self>> {
        let kept = ResolvedJail::state(name).join(PREVIOUS_RECORDS);
        let Some(before) = Manifest::load_at(view, &kept.join(MANIFEST))? else {
            return Ok(None);
        };
        let text = read_text(view, &kept.join(SPEC))?.unwrap_or_default();
        let source = crate::spec::source(&before.spec, text.clone().into_bytes())?;
        Ok(Some(Self {
            spec: crate::spec::load_recorded(&source, templates)?,
            origin: SourceText {
                name: before.spec.clone(),
                text,
            },
            tree: before.tree(),
        }))
    }
}

/// Plans to roll the jail `name` back; `None` if there is no build before the last one.
///
/// # Errors
/// As [`super::build_plan`], and [`crate::error::ErrorKind::Failed`] if other members of a family
/// would be affected.
pub fn roll_back(
    name: &JailName,
    templates: &dyn Templates,
    view: &HostView,
) -> Result<Option<Plan>> {
    let Some(kept) = PreviousBuild::of(name, templates, view)? else {
        return Ok(None);
    };
    let spec = kept.spec.member(name)?;
    let plan = roll_back_to(&spec, kept.origin, Some(kept.tree), view)?;
    ensure_whole_family(&plan, "roll", "back", view)?;
    Ok(Some(plan))
}

/// Plans to build `spec` with the recorded `tree`, if there is one.
///
/// # Errors
/// As [`super::build_plan`].
pub fn roll_back_to(
    spec: &Spec,
    origin: SourceText,
    tree: Option<Tree>,
    view: &HostView,
) -> Result<Plan> {
    build_plan_with(spec, origin, Depth::Metadata, tree, None, view)
}

/// Refuses to change the snippet of a family for one member: the others were built for the present
/// one. `verb` and `after` are the words of the command: `roll` … `back`.
///
/// # Errors
/// [`crate::error::ErrorKind::Failed`] with the command for the whole family.
pub fn ensure_whole_family(plan: &Plan, verb: &str, after: &str, view: &HostView) -> Result<()> {
    let Some(other) = other_member_affected(plan, view)? else {
        return Ok(());
    };
    let name = &plan.name;
    let command = format!("{verb}{after}");
    let after = if after.is_empty() {
        String::new()
    } else {
        format!(" {after}")
    };
    Err(
        Error::failed(format!("could not {verb} the jail `{name}`{after}"))
            .why(format!(
                "the snippet that it shares with `{other}` would change"
            ))
            .hint(format!(
                "{verb} all of them{after}: jailctl {command} {}",
                name.family_name()
            )),
    )
}

/// Another member of the family whose accounts the changed snippet would affect, if the plan of one
/// member were executed alone.
///
/// # Errors
/// [`crate::error::ErrorKind::Failed`] if the records cannot be read.
pub fn other_member_affected(plan: &Plan, view: &HostView) -> Result<Option<JailName>> {
    let recorded = plan
        .manifest
        .as_ref()
        .and_then(|manifest| manifest.confinement.as_ref());
    let to = plan.snippet.as_ref().and_then(|(_, to)| to.as_ref());
    let changes = recorded
        .zip(to)
        .is_some_and(|(recorded, to)| recorded.snippet.1 != Digest::of(to.as_bytes()));
    if !changes {
        return Ok(None);
    }
    let mut others = Manifest::names(view)?.into_iter();
    Ok(others.find(|other| other.is_sibling(&plan.name)))
}
