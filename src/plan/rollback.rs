//! What a jail was before the last build that changed it: its spec, and its tree with the files of that time.

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

/// What is kept of a jail.
#[derive(Debug)]
pub struct PreviousBuild {
    /// The spec it was built from, which may stand for others too.
    pub spec: Spec,
    /// Where that came from.
    pub origin: SourceText,
    /// What it was made of.
    pub tree: Tree,
}

impl PreviousBuild {
    /// What is kept of the jail `name`; `None` where nothing is.
    pub fn of(name: &JailName, templates: &dyn Templates, view: &HostView) -> Result<Option<Self>> {
        let kept = ResolvedJail::state(name).join(PREVIOUS_RECORDS);
        let Some(before) = Manifest::load_at(view, &kept.join(MANIFEST))? else {
            return Ok(None);
        };
        let text = read_text(view, &kept.join(SPEC))?.unwrap_or_default();
        let source = crate::spec::source(&before.spec, text.clone().into_bytes())?;
        Ok(Some(Self {
            spec: crate::spec::load(&source, templates)?,
            origin: SourceText {
                name: before.spec.clone(),
                text,
            },
            tree: before.tree(),
        }))
    }
}

/// Plans to make the jail `name` what it was; `None` where nothing is kept of the time before.
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

/// Plans to make a jail what `spec` says, with this tree if it is kept.
pub fn roll_back_to(
    spec: &Spec,
    origin: SourceText,
    tree: Option<Tree>,
    view: &HostView,
) -> Result<Plan> {
    build_plan_with(spec, origin, Depth::Metadata, tree, view)
}

/// Refuses to change what sshd is told of all jails of a family for one of them: the others were built for what it is told now. The verb is in words, as
/// `roll` … `back`.
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
                "sshd would be told something else of `{other}` too, which it shares its snippet with"
            ))
            .hint(format!("{verb} all of them{after}: jailctl {command} {}", name.family_name())),
    )
}

/// Another jail of whose accounts sshd would be told something else too, if a plan for one of a family were carried out alone.
pub fn other_member_affected(plan: &Plan, view: &HostView) -> Result<Option<JailName>> {
    let lately = plan
        .manifest
        .as_ref()
        .and_then(|manifest| manifest.lock.as_ref());
    let to = plan.snippet.as_ref().and_then(|(_, to)| to.as_ref());
    let changes = lately
        .zip(to)
        .is_some_and(|(lately, to)| lately.snippet.1 != Digest::of(to.as_bytes()));
    if !changes {
        return Ok(None);
    }
    let mut others = Manifest::names(view)?.into_iter();
    Ok(others.find(|other| other.is_sibling(&plan.name)))
}
