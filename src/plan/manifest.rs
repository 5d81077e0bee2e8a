//! What was built: every entry with its digest and its reasons. The memory that later plans are held against.

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

/// The number of the format written here. A manifest with a higher one is not read.
pub const FORMAT: u32 = 1;
/// A manifest above this size is not one of ours.
pub(super) const SIZE_LIMIT: u64 = 256 << 20;

/// One jail as it was built.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "RawManifest")]
pub struct Manifest {
    /// [`FORMAT`] when it was written.
    pub format: u32,
    /// The jail.
    pub name: JailName,
    /// Where it stands on the host.
    pub root: PathBuf,
    /// Where the spec came from, as it was named.
    pub spec: String,
    /// The ways in that its spec opened; empty in a manifest of an older jailctl.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub doors: Vec<AccessMethod>,
    /// How its accounts are locked in; `None` where it never had any.
    #[serde(flatten)]
    pub lock: Option<ConfinementRecord>,
    /// Its accounts.
    pub accounts: Vec<AccountRecord>,
    /// Further groups that were made for it, and their ids.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub groups: BTreeMap<String, u32>,
    /// Places of users that were ever made and still exist: nothing below them is ever removed but by `remove --purge`.
    pub places: BTreeSet<JailPath>,
    /// The content of the root.
    pub entries: BTreeMap<JailPath, Record>,
}

/// How the accounts of a jail are locked in, as it was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ConfinementRecord {
    /// Their group and its id.
    pub group: (String, u32),
    /// File name and digest of the sshd snippet.
    pub snippet: (String, Digest),
    /// What sshd said of itself then, and the files that this stands on.
    pub sshd: SshdInfo,
}

/// A manifest as it is read: a lock is there as a whole or not at all.
#[derive(Deserialize)]
struct RawManifest {
    format: u32,
    name: JailName,
    root: PathBuf,
    spec: String,
    #[serde(default)]
    doors: Vec<AccessMethod>,
    group: Option<(String, u32)>,
    accounts: Vec<AccountRecord>,
    snippet: Option<(String, Digest)>,
    #[serde(default)]
    groups: BTreeMap<String, u32>,
    sshd: Option<SshdInfo>,
    places: BTreeSet<JailPath>,
    entries: BTreeMap<JailPath, Record>,
}

impl TryFrom<RawManifest> for Manifest {
    type Error = &'static str;

    fn try_from(whole: RawManifest) -> std::result::Result<Self, &'static str> {
        let lock = match (whole.group, whole.snippet, whole.sshd) {
            (Some(group), Some(snippet), Some(sshd)) => Some(ConfinementRecord {
                group,
                snippet,
                sshd,
            }),
            (None, None, None) if whole.accounts.is_empty() => None,
            _ => return Err("it does not say how its accounts are locked in"),
        };
        Ok(Self {
            format: whole.format,
            name: whole.name,
            root: whole.root,
            spec: whole.spec,
            doors: whole.doors,
            lock,
            accounts: whole.accounts,
            groups: whole.groups,
            places: whole.places,
            entries: whole.entries,
        })
    }
}

/// One account as it was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountRecord {
    /// Login name.
    pub name: String,
    /// User id.
    pub uid: u32,
    /// Home, inside the jail.
    pub home: JailPath,
    /// The day of expiry that the spec gave it, in days since 1970-01-01.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<i64>,
    /// Further groups that the spec put it into.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<String>,
    /// What it was, where it was taken over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<OriginalAccount>,
}

/// What an account was before a jail took it over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OriginalAccount {
    /// Where it belonged.
    pub belonging: AccountFields,
    /// The day of its expiry.
    pub expires: Option<i64>,
    /// Whether it had a password other than one that begins with `*`: locked in the jail, that is what its password begins with, and the rest stays.
    pub had_password: bool,
}

/// One entry as it was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "RawRecord")]
pub struct Record {
    /// What it is.
    #[serde(flatten)]
    pub kind: RecordKind,
    /// Owner, group and mode.
    pub owner: Ownership,
    /// Whether it was only made because it was missing.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub kept: bool,
    /// Why it is there.
    pub why: Vec<Reason>,
}

/// What a recorded entry is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
#[expect(clippy::large_enum_variant, reason = "most entries are files")]
pub enum RecordKind {
    /// A directory.
    Directory,
    /// A regular file.
    File {
        /// Of its content.
        sha256: Digest,
        /// The host file it was copied from, and its facts then.
        #[serde(skip_serializing_if = "Option::is_none")]
        source: Option<(PathBuf, Stat)>,
        /// Its own facts after it was made.
        stat: Stat,
    },
    /// A symbolic link.
    Symlink {
        /// Its text.
        target: PathBuf,
    },
    /// A character device.
    Device {
        /// Its driver.
        major: u32,
        /// Which of the driver's devices.
        minor: u32,
    },
}

impl Record {
    /// The entry that was made.
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

/// A record as it is read: all that any kind of entry has. What serde makes of a flattened enum keeps every value twice on the way.
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

/// The kinds of entries by name.
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

    fn try_from(flat: RawRecord) -> std::result::Result<Self, &'static str> {
        let kind = match flat.r#type {
            Type::Directory => RecordKind::Directory,
            Type::File => RecordKind::File {
                sha256: flat.sha256.ok_or("a file without `sha256`")?,
                source: flat.source,
                stat: flat.stat.ok_or("a file without `stat`")?,
            },
            Type::Symlink => RecordKind::Symlink {
                target: flat.target.ok_or("a symlink without `target`")?,
            },
            Type::Device => RecordKind::Device {
                major: flat.major.ok_or("a device without `major`")?,
                minor: flat.minor.ok_or("a device without `minor`")?,
            },
        };
        Ok(Self {
            kind,
            owner: flat.owner,
            kept: flat.kept,
            why: flat.why,
        })
    }
}

/// Reads a manifest up to one of its fields, all of which come before its many entries.
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

/// One of those fields, where it is there and can be read.
fn up_to<'de, T: Deserialize<'de>, R: serde_json::de::Read<'de>>(
    field: &'static str,
    mut reader: serde_json::Deserializer<R>,
) -> Option<T> {
    let mut value = None;
    // That it was left in the middle is an error to the reader, and none to us.
    let _ = serde::Deserializer::deserialize_map(&mut reader, Field(field, &mut value));
    value
}

impl Manifest {
    /// The manifest of a jail; `None` where no such jail was built.
    pub fn load(view: &HostView, name: &JailName) -> Result<Option<Self>> {
        Self::load_at(view, &ResolvedJail::state(name).join(MANIFEST))
    }

    /// The manifest in the file `path`; `None` where there is none.
    pub fn load_at(view: &HostView, path: &Path) -> Result<Option<Self>> {
        let Some(bytes) = view.read(path, SIZE_LIMIT)? else {
            return Ok(None);
        };
        let refuse = |why: String| {
            Error::failed(format!("could not read the manifest `{}`", view.display_path(path).display()))
                .why(why)
                .hint("restore it from a backup; without it jailctl does not know what of the jail is its own")
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

    /// The id of the group of its accounts.
    pub fn gid(&self) -> Option<u32> {
        self.lock.as_ref().map(|lock| lock.group.1)
    }

    /// The record of an account.
    pub fn account(&self, name: &str) -> Option<&AccountRecord> {
        self.accounts.iter().find(|account| account.name == name)
    }

    /// Where a jail stands; `None` where no such jail was built.
    pub fn root_of(view: &HostView, name: &JailName) -> Result<Option<PathBuf>> {
        let root = Self::field(view, name, "root")?;
        if root.is_none() {
            // Says what is wrong with it.
            return Ok(Self::load(view, name)?.map(|manifest| manifest.root));
        }
        Ok(root)
    }

    /// Whether another jail than `name` and those that go `along` is recorded with accounts, or had some: it needs what all such jails share, whatever became
    /// of its own files.
    pub fn others_have_accounts(
        view: &HostView,
        name: &JailName,
        along: &[JailName],
    ) -> Result<bool> {
        for other in Self::names(view)? {
            let is_other = other != *name && !along.contains(&other);
            let snippet: Option<serde_json::Value> =
                Self::field(view, &other, "snippet")?.filter(|_| is_other);
            if snippet.is_some_and(|snippet| !snippet.is_null()) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The absolute path of the spec file that a jail was built from; `None` where no such jail was built.
    pub fn spec_of(view: &HostView, name: &JailName) -> Result<Option<PathBuf>> {
        Self::field(view, name, "spec")
    }

    /// The further groups that were made for the other jails of its family, and their ids.
    pub fn groups_of_siblings(view: &HostView, name: &JailName) -> Result<BTreeMap<String, u32>> {
        let mut groups = BTreeMap::new();
        if name.is_member() {
            for sibling in Self::names(view)?.iter().filter(|one| one.is_sibling(name)) {
                let theirs: Option<BTreeMap<String, u32>> = Self::field(view, sibling, "groups")?;
                groups.extend(theirs.unwrap_or_default());
            }
        }
        Ok(groups)
    }

    /// One field of a jail's manifest, where it can be read and has it.
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

    /// Its regular files.
    pub fn files(&self) -> impl Iterator<Item = &JailPath> {
        let is_file = |record: &Record| matches!(record.kind, RecordKind::File { .. });
        let entries = self.entries.iter();
        entries.filter_map(move |(path, record)| is_file(record).then_some(path))
    }

    /// As it is stored.
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

    /// What every later jailctl must read.
    #[test]
    fn a_manifest_of_the_first_format_is_read() {
        let text = include_bytes!("../../tests/formats/manifest-1.json");
        let manifest: Manifest = serde_json::from_slice(text).expect("a manifest");
        assert_eq!((manifest.format, manifest.name.as_str()), (1, "dropbox"));
        assert_eq!(manifest.accounts[0].name, "selina");
        assert_eq!(manifest.entries.len(), 9);
        let upload = JailPath::new("/upload").expect("a path");
        assert!(manifest.entries[&upload].kept);
        let lock = manifest.lock.expect("its accounts are locked in");
        assert!(!lock.sshd.keywords.is_empty());
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
