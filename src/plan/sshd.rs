//! The steps that have sshd lock a jail's accounts in, and what sshd is asked for them. A jail that never had accounts needs none of it.

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

/// A snippet as it is and as it is to be.
pub(super) type Snippet = (Option<String>, Option<String>);

/// What sshd says of itself: as remembered, if none of the files it stands on has changed since, or asked anew.
pub fn sshd_info(view: &HostView, manifest: Option<&Manifest>) -> Result<SshdInfo> {
    let config = Config::read(view)?;
    let daemon = Sshd::find(view)?;
    match manifest.and_then(|manifest| manifest.lock.as_ref()) {
        Some(lock) if lock.sshd.stamp == daemon.inputs(&config)? => Ok(lock.sshd.clone()),
        _ => daemon.info(&config),
    }
}

/// Asks sshd whether it would lock the jail's accounts in with the jail's snippet and the common settings in their places, whatever stands there now.
/// Returns what an admin should know of how that was found out.
pub fn verify_snippet(view: &HostView, jail: &ResolvedJail) -> Result<Vec<String>> {
    let config = Config::read(view)?;
    let Some(lock) = &jail.lock else {
        return Ok(Vec::new());
    };
    let ours = [
        (lock.sshd.file.clone(), lock.sshd.text.clone()),
        (COMMON_SNIPPET.to_owned(), lock.sshd.common.clone()),
    ];
    config.refuse_size(&ours, &jail_files(&config))?;
    let is_ours = |name: &String| ours.iter().any(|(own, _)| own == name);
    let others = config.drop_ins.iter().filter(|(name, _)| !is_ours(name));
    let drop_ins: Vec<(String, String)> = others.chain(&ours).cloned().collect();
    Sshd::find(view)?.verify(&drop_ins, &config.blocks()?, &lock.sshd.expected)
}

/// The names of the drop-ins that are jailctl's.
fn jail_files(config: &Config) -> Vec<String> {
    let names = config.drop_ins.iter().map(|(name, _)| name);
    names.filter(|name| is_jail_file(name)).cloned().collect()
}

/// Whether a drop-in has the name of a jail's snippet, or of the common one.
fn is_jail_file(name: &str) -> bool {
    let jail = name
        .strip_prefix(SNIPPET_PREFIX)
        .and_then(|rest| rest.strip_suffix(SNIPPET_SUFFIX));
    name == COMMON_SNIPPET || jail.is_some()
}

/// How the settings that all jails share change, where they do.
///
/// # Errors
/// Something else has the file's name, or they would bind accounts that are no jail's.
fn common(wanted: &str, jail: &JailName, view: &HostView) -> Result<Option<Edit>> {
    let path = Path::new(SSHD_CONFIG_DIR).join(COMMON_SNIPPET);
    let from = snippet(view, COMMON_SNIPPET)?;
    let failed = || Error::failed(format!("could not write `{}`", path.display()));
    if from.as_deref().is_some_and(|text| !is_common(text)) {
        return Err(failed()
            .why("it is not jailctl's")
            .hint("give it another name: what all jails share is written there"));
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
                    "it is for all groups `{}`, and `{}`, who is no jail's user, is in `{name}`",
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

/// How the settings that all jails share go, where no jail has a snippet but `name` and those that go `along`.
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

/// What sshd says of itself, where the jail has accounts, or had some: what they left belongs to its group, which therefore stays.
pub(super) fn sshd_info_if_needed(
    spec: &Spec,
    manifest: Option<&Manifest>,
    view: &HostView,
) -> Result<Option<SshdInfo>> {
    let had_some = manifest.is_some_and(|manifest| manifest.lock.is_some());
    if spec.users.is_empty() && !had_some {
        return Ok(None);
    }
    sshd_info(view, manifest).map(Some)
}

/// How a snippet changes: what is open to accounts while some of what they have is as it was and some as it is to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SnippetOrder {
    /// It comes before all else: it ends a forwarding, which the network of sessions that are to come may not be meant for.
    First,
    /// It comes when all else is done.
    Last,
}

/// When the jail's snippet is written.
pub(super) fn snippet_order(wanted: &ResolvedJail, view: &HostView) -> Result<SnippetOrder> {
    let Some(lock) = &wanted.lock else {
        return Ok(SnippetOrder::Last);
    };
    let before = snippet(view, &lock.sshd.file)?.unwrap_or_default();
    let forwards =
        |text| setting_value(text, "AllowTcpForwarding").is_some_and(|value| value != "no");
    // Between plain chroots and sessions everybody is out until all is done.
    let is_same_root = setting_value(&before, "ChrootDirectory")
        == setting_value(&lock.sshd.text, "ChrootDirectory");
    Ok(
        if is_same_root && forwards(&before) && !forwards(&lock.sshd.text) {
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
    facts: Option<&SshdInfo>,
    manifest: Option<&Manifest>,
    creates_accounts: bool,
    view: &HostView,
) -> Result<SnippetSteps> {
    let Some(lock) = &wanted.lock else {
        return Ok(SnippetSteps::default());
    };
    let common = common(&lock.sshd.common, &wanted.name, view)?;
    let is_common_new = common.is_some();
    let mut steps: Vec<Step> = common
        .map(|edit| Step::WriteCommonSnippet {
            edit,
            jail: wanted.clone(),
        })
        .into_iter()
        .collect();
    let before = snippet(view, &lock.sshd.file)?;
    let text = &lock.sshd.text;
    let differs = before.as_ref() != Some(text);
    let is_early = family.is_some_and(|family| !family.is_last)
        && snippet_order(wanted, view)? == SnippetOrder::Last
        && Manifest::names(view)?
            .iter()
            .any(|other| other.family_name() == wanted.name.family_name());
    if differs && !is_early {
        steps.push(Step::InstallSnippet {
            file: lock.sshd.file.clone(),
            text: text.clone(),
            before: before.clone(),
            jail: wanted.clone(),
        });
        let change = Some((before, Some(text.clone())));
        return Ok(SnippetSteps { steps, change });
    }
    let recorded = manifest.and_then(|manifest| manifest.lock.as_ref());
    let is_verified = !differs && recorded.map(|lock| &lock.sshd) == facts && !creates_accounts;
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

/// The value of a keyword in a snippet.
fn setting_value<'t>(snippet: &'t str, keyword: &str) -> Option<&'t str> {
    let mut lines = snippet
        .lines()
        .filter_map(|line| line.trim().split_once(' '));
    lines.find_map(|(key, value)| (key == keyword).then_some(value))
}

/// Reads a drop-in of sshd; `None` if it does not exist.
///
/// # Errors
/// [`crate::error::ErrorKind::Failed`] if it cannot be read.
pub(super) fn snippet(view: &HostView, file: &str) -> Result<Option<String>> {
    read_text(view, &Path::new(SSHD_CONFIG_DIR).join(file))
}

impl Plan {
    /// Whether sshd is asked, when the plan is carried out, if it would lock the jail's accounts in.
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

    /// Whether sshd can be asked before the plan is carried out: it knows the accounts already.
    fn is_known_to_sshd(&self) -> bool {
        self.steps.iter().all(|step| {
            !matches!(
                step,
                Step::CreateGroup { .. } | Step::CreateAccount(_) | Step::ModifyAccount { .. }
            )
        })
    }

    /// Refuses what carrying the plan out would refuse when it asks sshd, as far as sshd can be asked yet: accounts that do not exist it does not know.
    pub fn preflight(&self, view: &HostView) -> Result<()> {
        match &self.target {
            Some(wanted) if self.needs_sshd() && self.is_known_to_sshd() => {
                verify_snippet(view, &wanted.jail).map(drop)
            }
            _ => Ok(()),
        }
    }
}
