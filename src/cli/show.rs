//! `show`: details of one jail.

use std::collections::BTreeSet;
use std::path::Path;

use clap::Args;
use jailctl_session::cgroup;

use super::list::rows;
use super::options::RootOption;
use super::output::{CommandOutput, OutputOptions};
use super::spec_files::HostTemplates;
use super::target::{Target, members};
use super::who::logins;
use crate::error::{Error, Result};
use crate::host::{Accounts, Digest, Expiry, HostView, need_root_for_logins};
use crate::layout::{JAIL_DIR, KEYS_DIR, MANIFEST};
use crate::names::JailName;
use crate::plan::manifest::{AccountRecord, RecordKind};
use crate::plan::policy_text::policy_lines;
use crate::plan::{self, Manifest, expiry, locked_users, policy_as_built, spec_as_built};
use crate::resolve::ResolvedJail;
use crate::show::jail_details::{
    Account, Contents, FileState, Jail, Key, Origin, Snippet, json, text,
};
use crate::show::session_view::session_json;
use crate::show::{count, jail_list};
use crate::spec::{self, Day};

/// Maximum size of a spec, a snippet or a key file, in bytes.
const LIMIT: u64 = 2 << 20;

/// Arguments of `show`.
#[derive(Debug, Args)]
pub(crate) struct Show {
    /// Jail, by name or spec file.
    #[arg(value_name = "JAIL")]
    target: String,
    #[command(flatten)]
    root: RootOption,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

impl Show {
    pub(crate) fn run(self, options: OutputOptions) -> Result<CommandOutput> {
        let view = self.root.view()?;
        let target = Target::new(&self.target, &view)?;
        let Some(manifest) = Manifest::load(&view, target.name())? else {
            let members = members(target.name(), &view)?;
            if members.is_empty() {
                return Err(target.not_found());
            }
            return self.family(target.name(), &members, &view);
        };
        let jail = jail(&view, &manifest)?;
        let text = if self.json {
            let value = json(&jail).map_err(|error| {
                Error::failed("could not serialize the output").why(error.to_string())
            })?;
            format!("{value}\n")
        } else {
            text(&jail, options.paint)
        };
        CommandOutput {
            text,
            ..CommandOutput::default()
        }
        .with_interruption_notice(&view)
    }
}

impl Show {
    /// The jails of a family in the form of `list`.
    fn family(
        &self,
        name: &JailName,
        members: &[JailName],
        view: &HostView,
    ) -> Result<CommandOutput> {
        let rows = rows(members, view)?;
        let mut report = CommandOutput::default();
        if self.json {
            report.text = format!("{}\n", jail_list::json(&rows));
        } else {
            report.text = jail_list::table(&rows);
            let first = members.first().map_or("", |first| first.as_str());
            report.notices.push(format!(
                "`{name}` is a family of {}; `jailctl show {first}` shows one of them",
                count(members.len(), "jail", "jails")
            ));
        }
        report.with_interruption_notice(view)
    }
}

fn jail(view: &HostView, manifest: &Manifest) -> Result<Jail> {
    let policy = policy_as_built(view, &manifest.name)?;
    let limits = policy.as_ref().and_then(|policy| policy.limits.as_ref());
    let is_frozen = |limits| cgroup::is_frozen(manifest.name.as_str(), limits).unwrap_or(false);
    let can_see = view.is_live() && need_root_for_logins().is_ok();
    let locked = locked_users(view, &manifest.name)?;
    let state = ResolvedJail::state(&manifest.name);
    let written = view.stat(&state.join(MANIFEST))?;
    let snippet = match manifest.confinement.as_ref().map(|one| &one.snippet) {
        None => None,
        Some((_, digest)) => {
            let found = plan::snippet(view, &manifest.name)?;
            let state = match &found.text {
                None => FileState::Gone,
                Some(text) if found.is_as_written && Digest::of(text.as_bytes()) == *digest => {
                    FileState::Unchanged
                }
                Some(_) => FileState::Changed,
            };
            Some(Snippet {
                path: found.path.display().to_string(),
                state,
            })
        }
    };
    let accounts = view.accounts()?;
    Ok(Jail {
        name: manifest.name.clone(),
        root: manifest.root.display().to_string(),
        root_exists: view.lstat(&manifest.root)?.is_some(),
        built: written.map_or(0, |stat| stat.mtime.0),
        spec: origin(view, manifest)?,
        group: manifest
            .confinement
            .as_ref()
            .map(|confinement| confinement.group.0.clone()),
        gid: manifest.gid(),
        accounts: manifest
            .accounts
            .iter()
            .map(|record| account(view, &state, &accounts, &locked, record))
            .collect::<Result<_>>()?,
        snippet,
        session: session_json(policy.as_ref()),
        session_lines: policy.as_ref().map(policy_lines).unwrap_or_default(),
        frozen: can_see && limits.is_some_and(is_frozen),
        logins: can_see
            .then(|| logins(Some(std::slice::from_ref(&manifest.name)), view))
            .transpose()?,
        tree: contents(manifest),
        user_dirs: manifest.user_dirs.iter().cloned().collect(),
    })
}

/// The spec's file is the running system's, also where the host is a directory.
fn origin(view: &HostView, manifest: &Manifest) -> Result<Origin> {
    let built = spec_as_built(view, &manifest.name)?;
    let path = Path::new(&manifest.spec);
    // A spec of standard input has no file.
    let now = if path.is_absolute() {
        HostView::new(Path::new("/"))?
            .read(path, LIMIT)
            .ok()
            .flatten()
    } else {
        None
    };
    let state = match (&now, &built) {
        (None, _) => FileState::Gone,
        (Some(now), Some(built)) if now == built.as_bytes() => FileState::Unchanged,
        (Some(_), _) => FileState::Changed,
    };
    // This version may refuse a spec that an earlier one accepted.
    let spec = built.and_then(|text| {
        let source = spec::source(&manifest.spec, text.into_bytes()).ok()?;
        spec::load_recorded(&source, &HostTemplates(view)).ok()
    });
    Ok(Origin {
        path: manifest.spec.clone(),
        state,
        templates: spec.as_ref().map(|spec| {
            let names = spec.templates.iter();
            names.map(|name| name.value.clone()).collect()
        }),
        // The ways in as built, even if this version reads the spec differently.
        access: Some(manifest.access.clone())
            .filter(|access| !access.is_empty())
            .or_else(|| spec.map(|spec| spec.access.value)),
    })
}

fn account(
    view: &HostView,
    state: &Path,
    accounts: &Accounts,
    locked: &BTreeSet<String>,
    record: &AccountRecord,
) -> Result<Account> {
    let found = accounts.user(&record.name);
    let keys = view
        .read(&state.join(KEYS_DIR).join(&record.name), LIMIT)?
        .unwrap_or_default();
    let keys = String::from_utf8_lossy(&keys);
    let is = match found.map(|found| expiry(found.expires)) {
        None => "gone".to_owned(),
        Some(Expiry::Never) => "open".to_owned(),
        Some(Expiry::Closed) if locked.contains(&record.name) => "locked".to_owned(),
        Some(Expiry::Closed) => "closed".to_owned(),
        Some(Expiry::Day(day)) => format!("expires {}", Day(day)),
    };
    Ok(Account {
        name: record.name.clone(),
        uid: record.uid,
        home: record.home.clone(),
        shell: found
            .and_then(|found| found.shell.strip_prefix(JAIL_DIR))
            .filter(|shell| !["/none", "/gate"].contains(shell))
            .map(str::to_owned),
        state: is,
        password: found
            .and_then(|found| found.password.as_deref())
            .is_some_and(|password| password.starts_with('$')),
        keys: keys
            .lines()
            .filter_map(spec::fingerprint)
            .map(|key| Key {
                kind: key.kind,
                fingerprint: key.digest,
                comment: key.comment,
            })
            .collect(),
    })
}

fn contents(manifest: &Manifest) -> Contents {
    let mut contents = Contents {
        entries: manifest.entries.len(),
        ..Contents::default()
    };
    for record in manifest.entries.values() {
        match &record.kind {
            RecordKind::Directory => contents.directories += 1,
            RecordKind::Symlink { .. } => contents.links += 1,
            RecordKind::Device { .. } => contents.devices += 1,
            RecordKind::File { stat, .. } => {
                contents.files += 1;
                contents.bytes += stat.size;
            }
        }
    }
    contents
}
