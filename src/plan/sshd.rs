//! The steps that make sshd confine the accounts of a jail, and the verification by `sshd -T`. A
//! jail that never had accounts needs none of them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::fleet::Fleet;
use super::manifest::Manifest;
use super::step::Step;
use super::text_file::{TEXT_LIMIT, read_text};
use super::types::Plan;
use crate::error::{Error, Result};
use crate::host::HostView;
use crate::host::pam::Edit;
use crate::host::sshd::{Config, ExpectedSettings, Sshd, SshdInfo};
use crate::layout::{
    COMMON_SNIPPET, GROUP_PREFIX, JAIL_DIR, JAILS_SNIPPET, SNIPPET_PREFIX, SNIPPET_SUFFIX,
    SSHD_CONFIG_DIR,
};
use crate::names::JailName;
use crate::resolve::{JailBlocks, ResolvedJail, block_text, is_common, own_snippet_name};
use crate::spec::{Family, Spec};

/// The text of a snippet before and after; `None` if it does not exist.
pub(super) type Snippet = (Option<String>, Option<String>);

/// The drop-ins of jailctl that change with the jails: no answer of sshd about others depends on
/// them, and each plan compares their content.
pub const OWN_DROP_INS: [&str; 2] = [JAILS_SNIPPET, COMMON_SNIPPET];

/// The settings of sshd: as recorded, if none of the files that they depend on has changed since,
/// or as sshd prints them.
///
/// # Errors
/// [`crate::error::ErrorKind::Failed`] if the configuration cannot be read, or sshd cannot be found
/// or run.
fn sshd_info(view: &HostView, manifest: Option<&Manifest>) -> Result<Arc<SshdInfo>> {
    let config = Config::read(view)?;
    let daemon = Sshd::find(view)?;
    match manifest.and_then(|manifest| manifest.confinement.as_ref()) {
        Some(confinement) if confinement.sshd.stamp == daemon.inputs(&config, &OWN_DROP_INS)? => {
            Ok(Arc::new(confinement.sshd.clone()))
        }
        _ => daemon.info(&config, &OWN_DROP_INS),
    }
}

/// The drop-in with the settings of each jail as it is.
#[derive(Debug, Default)]
struct JailsDropIn {
    text: Option<String>,
    blocks: JailBlocks,
    /// Whether the text is the one that jailctl writes for these blocks.
    is_as_written: bool,
}

impl JailsDropIn {
    fn read(view: &HostView) -> Result<Arc<Self>> {
        let path = Path::new(SSHD_CONFIG_DIR).join(JAILS_SNIPPET);
        view.parsed(&path, TEXT_LIMIT, |text| {
            let blocks = JailBlocks::parse(text.unwrap_or_default());
            Self {
                is_as_written: text.is_none_or(|text| blocks.to_text() == text),
                text: text.map(str::to_owned),
                blocks,
            }
        })
    }
}

/// Changes of the drop-ins: to the text `common` of the common one, if given, and to the snippets
/// of `jails` in the drop-in of all of them, in place of those that an older jailctl wrote.
///
/// # Errors
/// [`crate::error::ErrorKind::Failed`] if they cannot be read, or another file has the name of one.
pub fn snippet_edits(
    view: &HostView,
    common: Option<&str>,
    jails: &[&ResolvedJail],
) -> Result<Vec<Edit>> {
    let found = JailsDropIn::read(view)?;
    refuse_foreign(found.text.as_deref(), JAILS_SNIPPET, JailBlocks::is_ours)?;
    let path = |name: &str| Path::new(SSHD_CONFIG_DIR).join(name);
    let mut edits = Vec::new();
    let mut blocks = found.blocks.clone();
    let mut older = BTreeSet::new();
    for jail in jails {
        if let Some(confinement) = &jail.confinement {
            blocks.set(&confinement.group.name, confinement.sshd.settings.clone());
            older.insert(path(&own_snippet_name(&jail.name)));
        }
    }
    // The common drop-in, with which no account can log in, is first.
    if let Some(common) = common {
        edits.push(Edit {
            from: read_text(view, &path(COMMON_SNIPPET))?,
            path: path(COMMON_SNIPPET),
            to: Some(common.to_owned()),
        });
    }
    if !older.is_empty() {
        edits.push(Edit {
            path: path(JAILS_SNIPPET),
            from: found.text.clone(),
            to: Some(blocks.to_text()),
        });
    }
    for path in older {
        edits.push(Edit {
            from: read_text(view, &path)?,
            path,
            to: None,
        });
    }
    edits.retain(|edit| edit.from != edit.to);
    Ok(edits)
}

/// The edit that removes the snippet of the jails with this group, and the drop-in with the last of
/// them; `None` if there is none.
///
/// # Errors
/// [`crate::error::ErrorKind::Failed`] if the drop-in cannot be read.
pub fn snippet_removal(view: &HostView, group: &str) -> Result<Option<Edit>> {
    let found = JailsDropIn::read(view)?;
    if found.blocks.get(group).is_none() {
        return Ok(None);
    }
    let mut blocks = found.blocks.clone();
    blocks.remove(group);
    Ok(Some(Edit {
        path: Path::new(SSHD_CONFIG_DIR).join(JAILS_SNIPPET),
        from: found.text.clone(),
        to: (!blocks.is_empty()).then(|| blocks.to_text()),
    }))
}

/// Verifies by `sshd -T` that sshd would confine the accounts of the jails, with their snippets and
/// the common drop-in in place of those that exist now. Returns notices about how that was
/// verified.
///
/// # Errors
/// [`crate::error::ErrorKind::Failed`] if it would not, or if sshd cannot be run.
pub fn verify_snippets(view: &HostView, jails: &[&ResolvedJail]) -> Result<Vec<String>> {
    let confined = || jails.iter().filter_map(|jail| jail.confinement.as_ref());
    let Some(first) = confined().next() else {
        return Ok(Vec::new());
    };
    let expected: Vec<ExpectedSettings> = confined()
        .flat_map(|confinement| confinement.sshd.expected.iter().cloned())
        .collect();
    let config = Config::read(view)?;
    let edits = snippet_edits(view, Some(&first.sshd.common), jails)?;
    let name = |edit: &Edit| Some(edit.path.file_name()?.to_str()?.to_owned());
    let changed: Vec<(String, String)> = edits
        .iter()
        .filter_map(|edit| Some((name(edit)?, edit.to.clone().unwrap_or_default())))
        .collect();
    config.refuse_size(&changed, &jail_files(&config))?;
    let is_changed = |name: &String| changed.iter().any(|(own, _)| own == name);
    let others = config.drop_ins.iter().filter(|(name, _)| !is_changed(name));
    let kept = edits
        .iter()
        .filter_map(|edit| Some((name(edit)?, edit.to.clone()?)));
    let drop_ins: Vec<(String, String)> = others.cloned().chain(kept).collect();
    Sshd::find(view)?.verify(&drop_ins, &config.blocks()?, &expected)
}

/// File names of the drop-ins of jailctl.
fn jail_files(config: &Config) -> Vec<String> {
    let names = config.drop_ins.iter().map(|(name, _)| name);
    names.filter(|name| is_jail_file(name)).cloned().collect()
}

/// Whether a drop-in has the name of one of jailctl.
fn is_jail_file(name: &str) -> bool {
    let jail = name
        .strip_prefix(SNIPPET_PREFIX)
        .and_then(|rest| rest.strip_suffix(SNIPPET_SUFFIX));
    OWN_DROP_INS.contains(&name) || jail.is_some()
}

/// Refuses to write a drop-in in place of a file of another.
fn refuse_foreign(text: Option<&str>, name: &str, is_ours: fn(&str) -> bool) -> Result<()> {
    if text.is_none_or(is_ours) {
        return Ok(());
    }
    let path = Path::new(SSHD_CONFIG_DIR).join(name);
    Err(
        Error::failed(format!("could not write `{}`", path.display()))
            .why("jailctl did not write it")
            .hint("rename it: jailctl writes the settings of all jails to this file"),
    )
}

/// The edit of the common drop-in, if it changes.
///
/// # Errors
/// [`crate::error::ErrorKind::Failed`] if another file has its name, or it would match accounts of
/// no jail.
fn common(wanted: &str, jail: &JailName, view: &HostView) -> Result<Option<Edit>> {
    let path = Path::new(SSHD_CONFIG_DIR).join(COMMON_SNIPPET);
    let from = read_text(view, &path)?;
    refuse_foreign(from.as_deref(), COMMON_SNIPPET, is_common)?;
    let failed = || Error::failed(format!("could not write `{}`", path.display()));
    let accounts = view.accounts()?;
    let fleet = Fleet::of(view)?;
    let fleet = fleet.jails();
    for group in &accounts.groups {
        let name = &group.name;
        if !name.starts_with(GROUP_PREFIX) || fleet.has_group(name) || *name == jail.group() {
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
    let path = Path::new(SSHD_CONFIG_DIR).join(COMMON_SNIPPET);
    let is_needed =
        Fleet::others_have_accounts(view, name, along)? || has_other_snippets(view, name, along)?;
    let from = read_text(view, &path)?.filter(|text| !is_needed && is_common(text));
    Ok(from.map(|from| Edit {
        path,
        from: Some(from),
        to: None,
    }))
}

/// Whether a drop-in has the snippet of a jail other than `name` and `along`.
fn has_other_snippets(view: &HostView, name: &JailName, along: &[JailName]) -> Result<bool> {
    let gone = || along.iter().chain([name]);
    let mut blocks = JailsDropIn::read(view)?.blocks.clone();
    for jail in gone() {
        blocks.remove(&jail.group());
    }
    let files: Vec<String> = gone().map(own_snippet_name).collect();
    let names = view.list(Path::new(SSHD_CONFIG_DIR))?.unwrap_or_default();
    let mut names = names.iter().filter_map(|name| name.to_str());
    let is_other = |name: &str| {
        !OWN_DROP_INS.contains(&name) && is_jail_file(name) && files.iter().all(|gone| gone != name)
    };
    Ok(!blocks.is_empty() || names.any(is_other))
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
    sshd_info(view, manifest).map(|info| Some(SshdInfo::clone(&info)))
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
    let before = snippet(view, &wanted.name)?.text.unwrap_or_default();
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
    let found = snippet(view, &wanted.name)?;
    let text = &confinement.sshd.text;
    let differs = !found.is_as_written || found.text.as_ref() != Some(text);
    let before = found.text;
    let is_early = family.is_some_and(|family| !family.is_last)
        && snippet_order(wanted, view)? == SnippetOrder::Last
        && Fleet::of(view)?.jails().has_group(&wanted.name.group());
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

/// The snippet of a jail as it is.
#[derive(Debug)]
pub struct FoundSnippet {
    /// Text of the snippet, as a block of its own; `None` if there is none.
    pub text: Option<String>,
    /// Path of the file that has it.
    pub path: PathBuf,
    /// Whether the file is as jailctl writes it.
    pub is_as_written: bool,
    /// Whether an older jailctl wrote it, to a file of its own.
    pub is_older: bool,
}

/// Reads the snippet of a jail or of its family.
///
/// # Errors
/// [`crate::error::ErrorKind::Failed`] if a drop-in cannot be read.
pub fn snippet(view: &HostView, name: &JailName) -> Result<FoundSnippet> {
    let own = Path::new(SSHD_CONFIG_DIR).join(own_snippet_name(name));
    if let Some(text) = read_text(view, &own)? {
        return Ok(FoundSnippet {
            text: Some(text),
            path: own,
            is_as_written: false,
            is_older: true,
        });
    }
    let found = JailsDropIn::read(view)?;
    let group = name.group();
    let settings = found.blocks.get(&group);
    Ok(FoundSnippet {
        text: settings.map(|settings| block_text(&group, settings)),
        path: Path::new(SSHD_CONFIG_DIR).join(JAILS_SNIPPET),
        is_as_written: found.is_as_written,
        is_older: false,
    })
}

impl Plan {
    /// Whether a step of the plan verifies by sshd that the accounts are confined.
    pub fn needs_sshd(&self) -> bool {
        self.steps.iter().any(Step::is_of_sshd)
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
    /// As [`verify_snippets`].
    pub fn preflight(&self, view: &HostView) -> Result<()> {
        match &self.target {
            Some(wanted) if self.needs_sshd() && self.is_known_to_sshd() => {
                verify_snippets(view, &[&wanted.jail]).map(drop)
            }
            _ => Ok(()),
        }
    }
}
