//! The record of a build: every entry with its digest and its reasons. Later plans compare with it.

use std::collections::{BTreeMap, BTreeSet};
use std::io::BufReader;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::text_file::read_text;
use crate::error::{Error, Result};
use crate::host::sshd::SshdInfo;
use crate::host::{AccountFields, Digest, HostView, Ownership, Stat};
use crate::layout::{MANIFEST, SPEC, STATE};
use crate::names::{JailName, JailPath};
use crate::resolve::{Content, Entry, EntryKind, Reason, ResolvedJail, Tree};
use crate::spec::AccessMethod;

/// Number of the format that is written. A manifest with a higher number is refused.
pub const FORMAT: u32 = 1;
/// Most bytes of a manifest.
pub(super) const SIZE_LIMIT: u64 = 256 << 20;
/// Name of the directory with manifest and spec of the build before, in the same directory.
pub const PREVIOUS: &str = "previous";

/// Record of one jail as it was built.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "RawManifest")]
pub struct Manifest {
    /// Number of its format: [`FORMAT`] of the version that wrote it.
    pub format: u32,
    /// Name of the jail.
    pub name: JailName,
    /// Root of the jail on the host.
    pub root: PathBuf,
    /// Absolute path of the spec.
    pub spec: String,
    /// Ways in that the spec allows; empty in a manifest of an older version.
    #[serde(rename = "doors", default, skip_serializing_if = "Vec::is_empty")]
    pub access: Vec<AccessMethod>,
    /// Confinement of its accounts; `None` for a jail that never had accounts.
    #[serde(flatten)]
    pub confinement: Option<ConfinementRecord>,
    /// Accounts of the jail.
    pub accounts: Vec<AccountRecord>,
    /// Supplementary groups that were created for it: name and group id.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub groups: BTreeMap<String, u32>,
    /// User directories that were created and still exist: only `remove --purge` deletes anything
    /// below them.
    #[serde(rename = "places")]
    pub user_dirs: BTreeSet<JailPath>,
    /// Content of the root.
    pub entries: BTreeMap<JailPath, Record>,
}

/// Confinement of the accounts of a jail as it was built.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ConfinementRecord {
    /// Name and id of the primary group.
    pub group: (String, u32),
    /// File name and digest of the sshd snippet.
    pub snippet: (String, Digest),
    /// Settings of sshd at that time, and the files that they depend on.
    pub sshd: SshdInfo,
}

/// A manifest as parsed: all fields of a confinement exist, or none.
#[derive(Deserialize)]
struct RawManifest {
    format: u32,
    name: JailName,
    root: PathBuf,
    spec: String,
    #[serde(rename = "doors", default)]
    access: Vec<AccessMethod>,
    group: Option<(String, u32)>,
    accounts: Vec<AccountRecord>,
    snippet: Option<(String, Digest)>,
    #[serde(default)]
    groups: BTreeMap<String, u32>,
    sshd: Option<SshdInfo>,
    #[serde(rename = "places")]
    user_dirs: BTreeSet<JailPath>,
    entries: BTreeMap<JailPath, Record>,
}

impl TryFrom<RawManifest> for Manifest {
    type Error = &'static str;

    fn try_from(raw: RawManifest) -> std::result::Result<Self, &'static str> {
        let confinement = match (raw.group, raw.snippet, raw.sshd) {
            (Some(group), Some(snippet), Some(sshd)) => Some(ConfinementRecord {
                group,
                snippet,
                sshd,
            }),
            (None, None, None) if raw.accounts.is_empty() => None,
            _ => return Err("it lacks fields about the confinement of its accounts"),
        };
        Ok(Self {
            format: raw.format,
            name: raw.name,
            root: raw.root,
            spec: raw.spec,
            access: raw.access,
            confinement,
            accounts: raw.accounts,
            groups: raw.groups,
            user_dirs: raw.user_dirs,
            entries: raw.entries,
        })
    }
}

/// Record of one account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountRecord {
    /// Login name.
    pub name: String,
    /// User id.
    pub uid: u32,
    /// Home directory inside the jail.
    pub home: JailPath,
    /// Day of expiry in the spec, in days since 1970-01-01.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<i64>,
    /// Supplementary groups in the spec.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<String>,
    /// State before adoption, of an adopted account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<OriginalAccount>,
}

/// State of an account before it was adopted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OriginalAccount {
    /// Primary group, home, login shell, comment and supplementary groups.
    pub belonging: AccountFields,
    /// Day of expiry, in days since 1970-01-01.
    pub expires: Option<i64>,
    /// Whether its password did not begin with `*`. A password that is locked in the jail has a `*`
    /// before it, and is otherwise kept.
    pub had_password: bool,
}

/// Record of one entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "RawRecord")]
pub struct Record {
    /// Type and content.
    #[serde(flatten)]
    pub kind: RecordKind,
    /// Owner, group and mode.
    pub owner: Ownership,
    /// Whether it is a user directory: created because it was missing, and not changed after that.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub kept: bool,
    /// Reasons why it is in the tree.
    pub why: Vec<Reason>,
}

/// Type of a recorded entry, with what depends on it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
#[expect(clippy::large_enum_variant, reason = "most entries are files")]
pub enum RecordKind {
    /// A directory.
    Directory,
    /// A regular file.
    File {
        /// SHA-256 digest of the content.
        sha256: Digest,
        /// Host file that it was copied from, with its stat(2) at that time.
        #[serde(skip_serializing_if = "Option::is_none")]
        source: Option<(PathBuf, Stat)>,
        /// Result of stat(2) of the file after it was created.
        stat: Stat,
    },
    /// A symbolic link.
    Symlink {
        /// Target of the link.
        target: PathBuf,
    },
    /// A character device.
    Device {
        /// Major number.
        major: u32,
        /// Minor number.
        minor: u32,
    },
}

impl Record {
    /// The entry of a tree with this content.
    fn entry(&self) -> Entry {
        let kind = match &self.kind {
            RecordKind::Directory => EntryKind::Directory,
            RecordKind::File {
                sha256,
                source,
                stat,
            } => EntryKind::File(Content::Recorded {
                sha256: *sha256,
                size: stat.size,
                source: source.clone(),
            }),
            RecordKind::Symlink { target } => EntryKind::Symlink(target.clone()),
            RecordKind::Device { major, minor } => EntryKind::Device {
                major: *major,
                minor: *minor,
            },
        };
        Entry {
            kind,
            owner: self.owner,
            user_owned: self.kept,
            why: self.why.clone(),
        }
    }
}

/// A record as parsed: the fields of all types of entries. A flattened enum of serde would buffer
/// every value.
#[derive(Deserialize)]
struct RawRecord {
    r#type: Type,
    sha256: Option<Digest>,
    source: Option<(PathBuf, Stat)>,
    stat: Option<Stat>,
    target: Option<PathBuf>,
    major: Option<u32>,
    minor: Option<u32>,
    owner: Ownership,
    #[serde(default)]
    kept: bool,
    why: Vec<Reason>,
}

/// Types of entries by name.
#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Type {
    Directory,
    File,
    Symlink,
    Device,
}

impl TryFrom<RawRecord> for Record {
    type Error = &'static str;

    fn try_from(raw: RawRecord) -> std::result::Result<Self, &'static str> {
        let kind = match raw.r#type {
            Type::Directory => RecordKind::Directory,
            Type::File => RecordKind::File {
                sha256: raw.sha256.ok_or("a file without `sha256`")?,
                source: raw.source,
                stat: raw.stat.ok_or("a file without `stat`")?,
            },
            Type::Symlink => RecordKind::Symlink {
                target: raw.target.ok_or("a symlink without `target`")?,
            },
            Type::Device => RecordKind::Device {
                major: raw.major.ok_or("a device without `major`")?,
                minor: raw.minor.ok_or("a device without `minor`")?,
            },
        };
        Ok(Self {
            kind,
            owner: raw.owner,
            kept: raw.kept,
            why: raw.why,
        })
    }
}

/// The fields of a manifest that plans of other jails depend on.
#[derive(Debug)]
pub(super) struct Head {
    /// Root of the jail.
    pub(super) root: PathBuf,
    /// Supplementary groups that were created for it: name and group id.
    pub(super) groups: BTreeMap<String, u32>,
    /// Whether it has accounts, or had some.
    pub(super) has_accounts: bool,
}

/// Visitor that reads the fields of a [`Head`], up to the many entries.
struct HeadFields<'p>(
    &'p mut Option<PathBuf>,
    &'p mut BTreeMap<String, u32>,
    &'p mut bool,
);

impl<'de> serde::de::Visitor<'de> for HeadFields<'_> {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a manifest")
    }

    fn visit_map<A: serde::de::MapAccess<'de>>(
        self,
        mut map: A,
    ) -> std::result::Result<(), A::Error> {
        while let Some(key) = map.next_key::<String>()?.filter(|key| key != "entries") {
            match key.as_str() {
                "root" => *self.0 = Some(map.next_value()?),
                "groups" => *self.1 = map.next_value()?,
                "snippet" => *self.2 = map.next_value::<Option<serde::de::IgnoredAny>>()?.is_some(),
                _ => drop(map.next_value::<serde::de::IgnoredAny>()?),
            }
        }
        Ok(())
    }
}

/// Visitor that reads a manifest up to one field: name and target. All fields precede the many
/// entries.
struct Field<'p, T>(&'static str, &'p mut Option<T>);

impl<'de, T: Deserialize<'de>> serde::de::Visitor<'de> for Field<'_, T> {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a manifest")
    }

    fn visit_map<A: serde::de::MapAccess<'de>>(
        self,
        mut map: A,
    ) -> std::result::Result<(), A::Error> {
        while let Some(key) = map.next_key::<String>()?.filter(|key| key != "entries") {
            if key == self.0 {
                *self.1 = Some(map.next_value()?);
                return Ok(());
            }
            map.next_value::<serde::de::IgnoredAny>()?;
        }
        Ok(())
    }
}

/// Reads one field of a manifest; `None` if it does not exist or cannot be parsed.
fn up_to<'de, T: Deserialize<'de>, R: serde_json::de::Read<'de>>(
    field: &'static str,
    mut reader: serde_json::Deserializer<R>,
) -> Option<T> {
    let mut value = None;
    // The parser reports an error because the visitor stops in the middle.
    let _ = serde::Deserializer::deserialize_map(&mut reader, Field(field, &mut value));
    value
}

impl Manifest {
    /// Reads the manifest of a jail; `None` if no such jail was built.
    ///
    /// # Errors
    /// [`crate::error::ErrorKind::Failed`] if it cannot be read, or has a newer format.
    pub fn load(view: &HostView, name: &JailName) -> Result<Option<Self>> {
        Self::load_at(view, &ResolvedJail::state(name).join(MANIFEST))
    }

    /// Reads the manifest in the file `path`; `None` if it does not exist.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub fn load_at(view: &HostView, path: &Path) -> Result<Option<Self>> {
        let Some(bytes) = view.read(path, SIZE_LIMIT)? else {
            return Ok(None);
        };
        let refuse = |why: String| {
            Error::failed(format!("could not read the manifest `{}`", view.display_path(path).display()))
                .why(why)
                .hint("restore it from a backup; without it jailctl does not know which files of the jail it has created")
        };
        let format: Option<u32> = up_to("format", serde_json::Deserializer::from_slice(&bytes));
        if let Some(format) = format.filter(|format| *format > FORMAT) {
            return Err(refuse(format!(
                "its format is {format}, and this jailctl knows those up to {FORMAT}"
            )));
        }
        serde_json::from_slice(&bytes)
            .map(Some)
            .map_err(|error| refuse(error.to_string()))
    }

    /// Id of the primary group of its accounts.
    pub fn gid(&self) -> Option<u32> {
        self.confinement
            .as_ref()
            .map(|confinement| confinement.group.1)
    }

    /// The record of the account with this login name.
    pub fn account(&self, name: &str) -> Option<&AccountRecord> {
        self.accounts.iter().find(|account| account.name == name)
    }

    /// Reads the root of a jail; `None` if no such jail was built.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub fn root_of(view: &HostView, name: &JailName) -> Result<Option<PathBuf>> {
        let root = Self::field(view, name, "root")?;
        if root.is_none() {
            // Returns the error in it, if there is one.
            return Ok(Self::load(view, name)?.map(|manifest| manifest.root));
        }
        Ok(root)
    }

    /// Reads the absolute path of the spec of a jail; `None` if no such jail was built.
    ///
    /// # Errors
    /// [`crate::error::ErrorKind::Failed`] if the manifest cannot be opened.
    pub fn spec_of(view: &HostView, name: &JailName) -> Result<Option<PathBuf>> {
        Self::field(view, name, "spec")
    }

    /// Reads the head of the manifest of a jail; `None` if no such jail was built.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub(super) fn head(view: &HostView, name: &JailName) -> Result<Option<Head>> {
        let Some(file) = view.try_open(&ResolvedJail::state(name).join(MANIFEST))? else {
            return Ok(None);
        };
        let (mut root, mut groups, mut has_accounts) = (None, BTreeMap::new(), false);
        let mut reader = serde_json::Deserializer::from_reader(BufReader::new(file));
        // The parser reports an error because the visitor stops in the middle.
        let fields = HeadFields(&mut root, &mut groups, &mut has_accounts);
        let _ = serde::Deserializer::deserialize_map(&mut reader, fields);
        if let Some(root) = root {
            return Ok(Some(Head {
                root,
                groups,
                has_accounts,
            }));
        }
        // Returns the error in it, if there is one.
        Ok(Self::load(view, name)?.map(|manifest| Head {
            has_accounts: manifest.confinement.is_some(),
            root: manifest.root,
            groups: manifest.groups,
        }))
    }

    /// Reads one field of the manifest of a jail; `None` if it does not exist or cannot be parsed.
    fn field<T: serde::de::DeserializeOwned>(
        view: &HostView,
        name: &JailName,
        field: &'static str,
    ) -> Result<Option<T>> {
        let path = ResolvedJail::state(name).join(MANIFEST);
        let Some(file) = view.try_open(&path)? else {
            return Ok(None);
        };
        let reader = BufReader::with_capacity(1024, file);
        Ok(up_to(field, serde_json::Deserializer::from_reader(reader)))
    }

    /// The names of all jails that were built on the host, sorted.
    ///
    /// # Errors
    /// [`crate::error::ErrorKind::Failed`] if the records cannot be listed.
    pub fn names(view: &HostView) -> Result<Vec<JailName>> {
        let mut names = Vec::new();
        for entry in view.list(Path::new(STATE))?.unwrap_or_default() {
            if let Some(name) = entry.to_str().and_then(|name| JailName::parse(name).ok())
                && view
                    .stat(&ResolvedJail::state(&name).join(MANIFEST))?
                    .is_some()
            {
                names.push(name);
            }
        }
        Ok(names)
    }

    /// The tree that was built.
    pub fn tree(&self) -> Tree {
        let entries = self.entries.iter();
        entries
            .map(|(path, record)| (path.clone(), record.entry()))
            .collect()
    }

    /// Paths of its regular files.
    pub fn files(&self) -> impl Iterator<Item = &JailPath> {
        let is_file = |record: &Record| matches!(record.kind, RecordKind::File { .. });
        let entries = self.entries.iter();
        entries.filter_map(move |(path, record)| is_file(record).then_some(path))
    }

    /// The manifest as JSON, the content of its file.
    ///
    /// # Errors
    /// [`crate::error::ErrorKind::Failed`] if it cannot be serialised.
    pub fn to_json(&self) -> Result<Vec<u8>> {
        let mut bytes = serde_json::to_vec(self).map_err(|error| {
            Error::failed("could not write the manifest").why(error.to_string())
        })?;
        bytes.push(b'\n');
        Ok(bytes)
    }
}

/// Reads the text of the spec that a jail was built from; `None` if there is no record of it.
///
/// # Errors
/// [`crate::error::ErrorKind::Failed`] if the record cannot be read.
pub fn spec_as_built(view: &HostView, name: &JailName) -> Result<Option<String>> {
    read_text(view, &ResolvedJail::state(name).join(SPEC))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every later version must read this manifest.
    #[test]
    fn a_manifest_of_the_first_format_is_read() {
        let text = include_bytes!("../../tests/formats/manifest-1.json");
        let manifest: Manifest = serde_json::from_slice(text).expect("a manifest");
        assert_eq!((manifest.format, manifest.name.as_str()), (1, "dropbox"));
        assert_eq!(manifest.accounts[0].name, "selina");
        assert_eq!(manifest.entries.len(), 9);
        let upload = JailPath::new("/upload").expect("a path");
        assert!(manifest.entries[&upload].kept);
        let confinement = manifest.confinement.expect("its accounts are locked in");
        assert!(!confinement.sshd.keywords.is_empty());
    }

    #[test]
    fn records_are_read_as_they_were_written() {
        let stat = Stat {
            dev: 1,
            ino: 2,
            mode: 0o100_755,
            uid: 0,
            gid: 0,
            size: 3,
            links: 1,
            mtime: (4, 5),
            ctime: (6, 7),
            rdev: 0,
        };
        let file = |source| RecordKind::File {
            sha256: Digest::of(b"abc"),
            source,
            stat: stat.clone(),
        };
        let kinds = [
            RecordKind::Directory,
            file(None),
            file(Some((PathBuf::from("/usr/bin/ls"), stat.clone()))),
            RecordKind::Symlink {
                target: PathBuf::from("usr/bin"),
            },
            RecordKind::Device { major: 1, minor: 3 },
        ];
        for (kind, kept) in kinds.into_iter().zip([true, false, true, false, true]) {
            let record = Record {
                kind,
                owner: Ownership::root(0o755),
                kept,
                why: vec![Reason::rule("a test")],
            };
            let text = serde_json::to_string(&record).expect("JSON");
            let again: Record = serde_json::from_str(&text).expect("a record");
            assert_eq!(again, record, "{text}");
        }
        let half = r#"{"type":"file","owner":{"uid":0,"gid":0,"mode":420},"why":[]}"#;
        assert!(serde_json::from_str::<Record>(half).is_err());
    }
}
