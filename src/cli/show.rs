//! `show`: details of one jail.

use std::path::Path;

use clap::Args;

use super::options::RootOption;
use super::output::{CommandOutput, OutputOptions};
use super::spec_files::HostTemplates;
use super::target::Target;
use crate::error::{Error, Result};
use crate::host::{Accounts, Digest, Expiry, HostView};
use crate::layout::{JAIL_DIR, KEYS_DIR, MANIFEST};
use crate::plan::manifest::{AccountRecord, RecordKind};
use crate::plan::{self, Manifest, expiry, spec_as_built};
use crate::resolve::ResolvedJail;
use crate::show::jail_details::{
    Account, Contents, FileState, Jail, Key, Origin, Snippet, json, text,
};
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
        let manifest = Target::new(&self.target, &view)?.manifest(&view)?;
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

fn jail(view: &HostView, manifest: &Manifest) -> Result<Jail> {
    let state = ResolvedJail::state(&manifest.name);
    let written = view.stat(&state.join(MANIFEST))?;
    let snippet = match manifest.confinement.as_ref().map(|one| &one.snippet) {
        None => None,
        Some((_, digest)) => {
            let found = plan::snippet(view, &manifest.name)?;
            let state = match &found.text {
                None => FileState::Gone,
                Some(text) if Digest::of(text.as_bytes()) == *digest => FileState::Unchanged,
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
            .map(|record| account(view, &state, &accounts, record))
            .collect::<Result<_>>()?,
        snippet,
        tree: contents(manifest),
        user_dirs: manifest.user_dirs.iter().cloned().collect(),
    })
}

/// The spec's file is the running system's, also where the host is a directory.
fn origin(view: &HostView, manifest: &Manifest) -> Result<Origin> {
    let built = spec_as_built(view, &manifest.name)?;
    let now = HostView::new(Path::new("/"))?
        .read(Path::new(&manifest.spec), LIMIT)
        .ok()
        .flatten();
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
        Some(Expiry::Closed) => "closed".to_owned(),
        Some(Expiry::Day(day)) => format!("expires {}", Day(day)),
    };
    Ok(Account {
        name: record.name.clone(),
        uid: record.uid,
        home: record.home.clone(),
        shell: found
            .and_then(|found| found.shell.strip_prefix(JAIL_DIR))
            .filter(|shell| *shell != "/none")
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
