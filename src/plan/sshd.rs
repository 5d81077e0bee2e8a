//! The steps that make sshd confine the accounts of a jail, and the verification by `sshd -T`. A
//! jail that never had accounts needs none of them.

use std::path::Path;
use std::sync::Arc;

use super::manifest::Manifest;
use super::step::Step;
use super::text_file::read_text;
use super::types::Plan;
use crate::error::{Error, Result};
use crate::host::HostView;
use crate::host::pam::Edit;
use crate::host::sshd::{Config, Sshd, SshdInfo};
use crate::layout::{COMMON_SNIPPET, JAIL_DIR, SNIPPET_PREFIX, SNIPPET_SUFFIX, SSHD_CONFIG_DIR};
use crate::names::JailName;
use crate::resolve::{ResolvedJail, is_common, snippet_name};
use crate::spec::{Family, Spec};

/// The text of a snippet before and after; `None` if it does not exist.
pub(super) type Snippet = (Option<String>, Option<String>);

/// The settings of sshd: as recorded, if none of the files that they depend on has changed since,
/// or as sshd prints them.
///
/// # Errors
/// [`crate::error::ErrorKind::Failed`] if the configuration cannot be read, or sshd cannot be found
/// or run.
fn sshd_info(view: &HostView, manifest: Option<&Manifest>) -> Result<SshdInfo> {
    let config = Config::read(view)?;
    let daemon = Sshd::find(view)?;
    match manifest.and_then(|manifest| manifest.confinement.as_ref()) {
        Some(confinement) if confinement.sshd.stamp == daemon.inputs(&config)? => {
            Ok(confinement.sshd.clone())
        }
        _ => daemon.info(&config),
    }
}

/// Verifies by `sshd -T` that sshd would confine the accounts of the jail, with the jail's snippet
/// and the common drop-in in place of those that exist now. Returns notices about how that was
/// verified.
///
/// # Errors
/// [`crate::error::ErrorKind::Failed`] if it would not, or if sshd cannot be run.
pub fn verify_snippet(view: &HostView, jail: &ResolvedJail) -> Result<Vec<String>> {
    let config = Config::read(view)?;
    let Some(confinement) = &jail.confinement else {
        return Ok(Vec::new());
    };
    let ours = [
        (confinement.sshd.file.clone(), confinement.sshd.text.clone()),
        (COMMON_SNIPPET.to_owned(), confinement.sshd.common.clone()),
    ];
    config.refuse_size(&ours, &jail_files(&config))?;
    let is_ours = |name: &String| ours.iter().any(|(own, _)| own == name);
    let others = config.drop_ins.iter().filter(|(name, _)| !is_ours(name));
    let drop_ins: Vec<(String, String)> = others.chain(&ours).cloned().collect();
    Sshd::find(view)?.verify(&drop_ins, &config.blocks()?, &confinement.sshd.expected)
}

/// File names of the drop-ins of jailctl.
fn jail_files(config: &Config) -> Vec<String> {
    let names = config.drop_ins.iter().map(|(name, _)| name);
    names.filter(|name| is_jail_file(name)).cloned().collect()
}

/// Whether a drop-in has the name of a snippet, or of the common drop-in.
fn is_jail_file(name: &str) -> bool {
    let jail = name
        .strip_prefix(SNIPPET_PREFIX)
        .and_then(|rest| rest.strip_suffix(SNIPPET_SUFFIX));
    name == COMMON_SNIPPET || jail.is_some()
}

/// The edit of the common drop-in, if it changes.
///
/// # Errors
/// [`crate::error::ErrorKind::Failed`] if another file has its name, or it would match accounts of
/// no jail.
fn common(wanted: &str, jail: &JailName, view: &HostView) -> Result<Option<Edit>> {
    let path = Path::new(SSHD_CONFIG_DIR).join(COMMON_SNIPPET);
    let from = snippet(view, COMMON_SNIPPET)?;
    let failed = || Error::failed(format!("could not write `{}`", path.display()));
    if from.as_deref().is_some_and(|text| !is_common(text)) {
        return Err(failed()
            .why("jailctl did not write it")
            .hint("rename it: jailctl writes the settings of all jails to this file"));
    }
    let accounts = view.accounts()?;
    let jails = Manifest::names(view)?;
    for group in &accounts.groups {
        let name = &group.name;
        let is_jails = jails.iter().chain([jail]).any(|jail| jail.group() == *name);
        if is_jails || !name.starts_with(JailName::groups().trim_end_matches('*')) {
            continue;
        }
        let is_stranger = |user: &&crate::host::UserEntry| {
            (user.gid == group.gid || group.members.contains(&user.name))
                && !user.shell.starts_with(JAIL_DIR)
        };
        if let Some(user) = accounts.users.iter().find(is_stranger) {
            return Err(failed()
                .why(format!(
                    "it matches all groups `{}`, and `{}`, which is no account of a jail, is a member of `{name}`",
                    JailName::groups(),
                    user.name
                ))
                .hint(format!(
                    "rename the group `{name}`: groupmod -n NAME {name}"
                )));
        }
    }
    Ok((from.as_deref() != Some(wanted)).then(|| Edit {
        path,
        from,
        to: Some(wanted.to_owned()),
    }))
}

/// The edit that removes the common drop-in, if no jail other than `name` and `along`, which are
/// being removed, has a snippet.
pub(super) fn remove_common(
    view: &HostView,
    name: &JailName,
    along: &[JailName],
) -> Result<Option<Edit>> {
    let gone: Vec<String> = along.iter().chain([name]).map(snippet_name).collect();
    let names = view.list(Path::new(SSHD_CONFIG_DIR))?.unwrap_or_default();
    let is_needed = Manifest::others_have_accounts(view, name, along)?
        || names.iter().filter_map(|name| name.to_str()).any(|name| {
            name != COMMON_SNIPPET && is_jail_file(name) && gone.iter().all(|gone| gone != name)
        });
    let from = snippet(view, COMMON_SNIPPET)?.filter(|text| !is_needed && is_common(text));
    Ok(from.map(|from| Edit {
        path: Path::new(SSHD_CONFIG_DIR).join(COMMON_SNIPPET),
        from: Some(from),
        to: None,
    }))
}

/// The settings of sshd, if the jail has accounts or had some: their files belong to its group,
/// which therefore stays.
pub(super) fn sshd_info_if_needed(
    spec: &Spec,
    manifest: Option<&Manifest>,
    view: &HostView,
) -> Result<Option<SshdInfo>> {
    let had_some = manifest.is_some_and(|manifest| manifest.confinement.is_some());
    if spec.users.is_empty() && !had_some {
        return Ok(None);
    }
    sshd_info(view, manifest).map(Some)
}

/// Position of the snippet among the steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SnippetOrder {
    /// Before the policy: the snippet ends a forwarding, which the network of the new policy may
    /// not be meant for.
    First,
    /// After the policy.
    Last,
}

/// The position of the snippet of the jail.
pub(super) fn snippet_order(wanted: &ResolvedJail, view: &HostView) -> Result<SnippetOrder> {
    let Some(confinement) = &wanted.confinement else {
        return Ok(SnippetOrder::Last);
    };
    let before = snippet(view, &confinement.sshd.file)?.unwrap_or_default();
    let forwards = |text: &str| {
        let mut values = setting_values(text, "AllowTcpForwarding");
        values.any(|value| value != "no")
    };
    // Between plain chroot and sessions all accounts are closed until all is done.
    let is_same_root = setting_value(&before, "ChrootDirectory")
        == setting_value(&confinement.sshd.text, "ChrootDirectory");
    Ok(
        if is_same_root && forwards(&before) && !forwards(&confinement.sshd.text) {
            SnippetOrder::First
        } else {
            SnippetOrder::Last
        },
    )
}

/// Steps that write the drop-ins of a jail.
#[derive(Debug, Default)]
pub(super) struct SnippetSteps {
    /// The steps in their order.
    pub steps: Vec<Step>,
    /// The snippet before and after, if it changes.
    pub change: Option<Snippet>,
}

/// The steps that write the drop-ins of the jail, or verify those that exist.
///
/// The snippet of a family, once a member is built, is written with its last member, or with its
/// first if it precedes all else.
pub(super) fn steps(
    wanted: &Arc<ResolvedJail>,
    family: Option<&Family>,
    sshd_info: Option<&SshdInfo>,
    manifest: Option<&Manifest>,
    creates_accounts: bool,
    view: &HostView,
) -> Result<SnippetSteps> {
    let Some(confinement) = &wanted.confinement else {
        return Ok(SnippetSteps::default());
    };
    let common = common(&confinement.sshd.common, &wanted.name, view)?;
    let is_common_new = common.is_some();
    let mut steps: Vec<Step> = common
        .map(|edit| Step::WriteCommonSnippet {
            edit,
            jail: wanted.clone(),
        })
        .into_iter()
        .collect();
    let before = snippet(view, &confinement.sshd.file)?;
    let text = &confinement.sshd.text;
    let differs = before.as_ref() != Some(text);
    let is_early = family.is_some_and(|family| !family.is_last)
        && snippet_order(wanted, view)? == SnippetOrder::Last
        && Manifest::names(view)?
            .iter()
            .any(|other| other.family_name() == wanted.name.family_name());
    if differs && !is_early {
        steps.push(Step::InstallSnippet {
            file: confinement.sshd.file.clone(),
            text: text.clone(),
            before: before.clone(),
            jail: wanted.clone(),
        });
        let change = Some((before, Some(text.clone())));
        return Ok(SnippetSteps { steps, change });
    }
    let recorded = manifest.and_then(|manifest| manifest.confinement.as_ref());
    let is_verified =
        !differs && recorded.map(|confinement| &confinement.sshd) == sshd_info && !creates_accounts;
    if !is_verified && !is_common_new {
        steps.push(Step::VerifySnippet {
            jail: wanted.clone(),
        });
    }
    Ok(SnippetSteps {
        steps,
        change: None,
    })
}

/// The first value of a keyword in a snippet, `None` if it is not set.
fn setting_value<'t>(snippet: &'t str, keyword: &'t str) -> Option<&'t str> {
    setting_values(snippet, keyword).next()
}

/// The values of a keyword in a snippet, in all its Match blocks.
fn setting_values<'t>(snippet: &'t str, keyword: &'t str) -> impl Iterator<Item = &'t str> {
    let lines = snippet.lines();
    let settings = lines.filter_map(|line| line.trim().split_once(' '));
    settings.filter_map(move |(key, value)| (key == keyword).then_some(value))
}

/// Reads a drop-in of sshd; `None` if it does not exist.
///
/// # Errors
/// [`crate::error::ErrorKind::Failed`] if it cannot be read.
pub(super) fn snippet(view: &HostView, file: &str) -> Result<Option<String>> {
    read_text(view, &Path::new(SSHD_CONFIG_DIR).join(file))
}

impl Plan {
    /// Whether a step of the plan verifies by sshd that the accounts are confined.
    pub fn needs_sshd(&self) -> bool {
        self.steps.iter().any(|step| {
            matches!(
                step,
                Step::InstallSnippet { .. }
                    | Step::VerifySnippet { .. }
                    | Step::WriteCommonSnippet { .. }
            )
        })
    }

    /// Whether sshd can verify the snippet before the plan is executed: all accounts exist.
    fn is_known_to_sshd(&self) -> bool {
        self.steps.iter().all(|step| {
            !matches!(
                step,
                Step::CreateGroup { .. } | Step::CreateAccount(_) | Step::ModifyAccount { .. }
            )
        })
    }

    /// Verifies the snippet before the plan is executed, if all accounts exist: sshd cannot match
    /// an account that does not.
    ///
    /// # Errors
    /// As [`verify_snippet`].
    pub fn preflight(&self, view: &HostView) -> Result<()> {
        match &self.target {
            Some(wanted) if self.needs_sshd() && self.is_known_to_sshd() => {
                verify_snippet(view, &wanted.jail).map(drop)
            }
            _ => Ok(()),
        }
    }
}
