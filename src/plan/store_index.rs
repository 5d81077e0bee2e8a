//! The indexes of the content store: the files that it has, and the digests of files of the host.
//!
//! The files of a jail are hard links to inodes that the jails beside it share, so that the ctime
//! of an inode changes whenever another jail adds or deletes a link. The stat(2) in a manifest is
//! then outdated; the index of the store is authoritative, and every operation that adds or deletes
//! a link updates it. An inode with the metadata of the index has the content of the index: no
//! program can set a ctime back (decision 0014).

use std::collections::HashMap;
use std::fmt::Write as _;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use crate::error::Result;
use crate::host::{Digest, HostView, Ownership, Stat};
use crate::layout::{STORE, STORE_INDEX, STORE_SOURCES};

/// Most bytes of an index.
const SIZE_LIMIT: u64 = 1 << 30;
/// First line of both files. A file of another format is ignored, and its content computed again.
const HEAD: &str = "jailctl store 1";

/// Identity of a stored file: two files of jails with one key are one inode.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ContentKey {
    /// SHA-256 digest of the content.
    pub sha256: Digest,
    /// Owner, group and mode.
    pub owner: Ownership,
    /// Modification time, mtime: seconds and nanoseconds.
    pub mtime: (i64, u32),
    /// Digest of the security label, if there is one.
    pub label: Option<Digest>,
}

/// One file of a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredFile {
    /// Content and metadata.
    pub key: ContentKey,
    /// Inode number.
    pub ino: u64,
    /// Size in bytes.
    pub size: u64,
    /// ctime of the inode when its content was last verified: seconds and nanoseconds.
    pub ctime: (i64, u32),
}

/// The files of a store, by inode number.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Index {
    /// The device of the file system that the store is on.
    device: u64,
    files: HashMap<u64, StoredFile>,
}

/// Digests of files of the host.
#[derive(Clone, Debug, Default)]
pub struct SourceDigests {
    known: HashMap<PathBuf, (SourceStat, Digest)>,
}

/// Metadata of a source that shows whether it has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct SourceStat {
    dev: u64,
    ino: u64,
    size: u64,
    mtime: (i64, u32),
    ctime: (i64, u32),
}

impl From<&Stat> for SourceStat {
    fn from(stat: &Stat) -> Self {
        Self {
            dev: stat.dev,
            ino: stat.ino,
            size: stat.size,
            mtime: stat.mtime,
            ctime: stat.ctime,
        }
    }
}

/// Directory of the store that the jail at `root` shares with those beside it.
pub fn store_of(root: &Path) -> PathBuf {
    root.parent().unwrap_or(root).join(STORE)
}

impl ContentKey {
    /// The name of the file in the store.
    pub fn file_name(&self) -> String {
        let Self {
            sha256,
            owner,
            mtime,
            label,
        } = self;
        let label = label.map_or_else(String::new, |label| format!("-{}", label.as_str()));
        format!(
            "{}-{:o}-{}-{}-{}.{}{label}",
            sha256.as_str(),
            owner.mode,
            owner.uid,
            owner.gid,
            mtime.0,
            mtime.1
        )
    }

    /// Parses a file name of the store; `None` if it is not one.
    pub fn parse(name: &str) -> Option<Self> {
        let (sha256, rest) = name.split_once('-')?;
        let mut parts = rest.splitn(4, '-');
        let owner = Ownership {
            mode: u32::from_str_radix(parts.next()?, 8).ok()?,
            uid: parts.next()?.parse().ok()?,
            gid: parts.next()?.parse().ok()?,
        };
        let rest = parts.next()?;
        // A time before 1970 begins with `-`, which is the separator too.
        let (time, label) = match rest.get(1..)?.find('-') {
            Some(at) => (&rest[..=at], Some(&rest[at + 2..])),
            None => (rest, None),
        };
        let (seconds, nanoseconds) = time.split_once('.')?;
        let key = Self {
            sha256: Digest::parse(sha256)?,
            owner,
            mtime: (seconds.parse().ok()?, nanoseconds.parse().ok()?),
            label: match label {
                Some(label) => Some(Digest::parse(label)?),
                None => None,
            },
        };
        (key.file_name() == name).then_some(key)
    }
}

impl StoredFile {
    /// Whether an inode is this file, unchanged.
    pub fn is(&self, stat: &Stat) -> bool {
        (self.ino, self.size, self.ctime, self.key.mtime)
            == (stat.ino, stat.size, stat.ctime, stat.mtime)
            && self.key.owner == stat.ownership()
    }
}

impl Index {
    /// Reads the index of the store in the directory `store`; an empty one if there is none, or
    /// none that can be parsed.
    ///
    /// # Errors
    /// [`crate::error::ErrorKind::Failed`] if the file exists and cannot be read.
    pub fn load(view: &HostView, store: &Path) -> Result<Self> {
        Ok(Self::read(view, store)?.unwrap_or_default())
    }

    /// Reads the index as [`Index::load`] does; `None` if there is none, or none that can be
    /// parsed.
    ///
    /// # Errors
    /// As [`Index::load`].
    pub fn read(view: &HostView, store: &Path) -> Result<Option<Self>> {
        let Some((text, stat)) = view.read_with_stat(&store.join(STORE_INDEX), SIZE_LIMIT)? else {
            return Ok(None);
        };
        Ok(Self::parse(&text).map(|index| Self {
            device: stat.dev,
            ..index
        }))
    }

    fn parse(text: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(text).ok()?;
        let body = body(text)?;
        let mut files = HashMap::with_capacity(body.len() / 128);
        for line in body.lines() {
            let mut words = line.split(' ');
            let key = ContentKey::parse(words.next()?)?;
            let mut number = || words.next();
            let stored = StoredFile {
                key,
                ino: number()?.parse().ok()?,
                size: number()?.parse().ok()?,
                ctime: (number()?.parse().ok()?, number()?.parse().ok()?),
            };
            files.insert(stored.ino, stored);
        }
        Some(Self { device: 0, files })
    }

    /// The index as text, the content of its file.
    pub fn to_text(&self) -> String {
        let mut text = format!("{HEAD}\n");
        for stored in self.files.values() {
            let StoredFile {
                key,
                ino,
                size,
                ctime,
            } = stored;
            let (seconds, nanoseconds) = ctime;
            // Writing to a String cannot fail.
            let _ = writeln!(
                text,
                "{} {ino} {size} {seconds} {nanoseconds}",
                key.file_name()
            );
        }
        text.push_str("end\n");
        text
    }

    /// Whether the inode is in the store, unchanged, with this content.
    pub fn contains(&self, stat: &Stat, sha256: &Digest) -> bool {
        self.device == stat.dev
            && self
                .files
                .get(&stat.ino)
                .is_some_and(|stored| stored.is(stat) && stored.key.sha256 == *sha256)
    }

    /// All files.
    pub fn into_files(self) -> impl Iterator<Item = StoredFile> {
        self.files.into_values()
    }
}

impl FromIterator<StoredFile> for Index {
    fn from_iter<I: IntoIterator<Item = StoredFile>>(files: I) -> Self {
        Self {
            device: 0,
            files: files
                .into_iter()
                .map(|stored| (stored.ino, stored))
                .collect(),
        }
    }
}

impl SourceDigests {
    /// Reads the digests; empty if there are none that can be parsed.
    ///
    /// # Errors
    /// [`crate::error::ErrorKind::Failed`] if the file exists and cannot be read.
    pub fn load(view: &HostView, store: &Path) -> Result<Self> {
        Ok(view
            .read(&store.join(STORE_SOURCES), SIZE_LIMIT)?
            .and_then(|text| Self::parse(&text))
            .unwrap_or_default())
    }

    fn parse(text: &[u8]) -> Option<Self> {
        // Paths need not be UTF-8, and end at a NUL.
        let mut rest = text
            .strip_prefix(HEAD.as_bytes())?
            .strip_prefix(b"\n")?
            .strip_suffix(b"end\n")?;
        let mut known = HashMap::with_capacity(rest.len() / 160);
        while let Some(end) = rest.iter().position(|byte| *byte == 0) {
            let mut words = rest[..end].splitn(9, |byte| *byte == b' ');
            let mut word = || std::str::from_utf8(words.next()?).ok();
            let recorded = SourceStat {
                dev: word()?.parse().ok()?,
                ino: word()?.parse().ok()?,
                size: word()?.parse().ok()?,
                mtime: (word()?.parse().ok()?, word()?.parse().ok()?),
                ctime: (word()?.parse().ok()?, word()?.parse().ok()?),
            };
            let digest = Digest::parse(word()?)?;
            let path = std::ffi::OsString::from_vec(words.next()?.to_vec());
            known.insert(PathBuf::from(path), (recorded, digest));
            rest = rest.get(end + 2..)?;
        }
        Some(Self { known })
    }

    /// The digests as text, the content of their file. Paths need not be UTF-8.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = format!("{HEAD}\n").into_bytes();
        for (path, (recorded, digest)) in &self.known {
            let SourceStat {
                dev,
                ino,
                size,
                mtime,
                ctime,
            } = recorded;
            bytes.extend_from_slice(
                format!(
                    "{dev} {ino} {size} {} {} {} {} {} ",
                    mtime.0,
                    mtime.1,
                    ctime.0,
                    ctime.1,
                    digest.as_str()
                )
                .as_bytes(),
            );
            bytes.extend_from_slice(path.as_os_str().as_bytes());
            bytes.extend_from_slice(b"\0\n");
        }
        bytes.extend_from_slice(b"end\n");
        bytes
    }

    /// The digest of a file of the host's, if it is as it was when that was taken.
    pub fn digest(&self, path: &Path, stat: &Stat) -> Option<Digest> {
        let (recorded, digest) = self.known.get(path)?;
        (*recorded == SourceStat::from(stat)).then_some(*digest)
    }

    /// Notes the digest of a file of the host's. Says whether that was news.
    pub fn insert(&mut self, path: &Path, stat: &Stat, digest: Digest) -> bool {
        let news = (SourceStat::from(stat), digest);
        self.known.insert(path.to_owned(), news) != Some(news)
    }

    /// Keeps those whose content is one of `digests`.
    pub fn retain(&mut self, keep: impl Fn(&Digest) -> bool) {
        self.known.retain(|_, (_, digest)| keep(digest));
    }
}

/// The text between first and last line; `None` if one is missing, and the file incomplete.
fn body(text: &str) -> Option<&str> {
    text.strip_prefix(HEAD)?
        .strip_prefix('\n')?
        .strip_suffix("end\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(mtime: (i64, u32), label: Option<&str>) -> ContentKey {
        ContentKey {
            sha256: Digest::of(b"abc"),
            owner: Ownership::root(0o755),
            mtime,
            label: label.map(|label| Digest::of(label.as_bytes())),
        }
    }

    #[test]
    fn file_names_are_parsed_to_their_keys() {
        for key in [
            key((1_700_000_000, 5), None),
            key((0, 0), Some("a label")),
            key((-7, 999_999_999), None),
            key((-7, 999_999_999), Some("x")),
        ] {
            assert_eq!(ContentKey::parse(&key.file_name()), Some(key));
        }
        for bad in ["", "index", "new", "busy", "x-755-0-0-0.0"] {
            assert_eq!(ContentKey::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn an_index_is_read_as_it_was_written_and_not_if_it_is_cut() {
        let files = (1..20).map(|ino| StoredFile {
            key: key((i64::try_from(ino).expect("small"), 1), None),
            ino,
            size: 3,
            ctime: (7, 8),
        });
        let index: Index = files.collect();
        let text = index.to_text();
        let again = Index::parse(text.as_bytes()).expect("a whole index");
        assert_eq!(again, index);
        for cut in [0, 10, text.len() / 2, text.len() - 1] {
            assert!(Index::parse(&text.as_bytes()[..cut]).is_none(), "{cut}");
        }
    }

    #[test]
    fn a_file_is_known_until_anything_of_its_inode_moves() {
        let stat = Stat {
            dev: 1,
            ino: 2,
            mode: 0o100_644,
            uid: 0,
            gid: 0,
            size: 3,
            links: 1,
            mtime: (4, 5),
            ctime: (6, 7),
            rdev: 0,
        };
        let path = Path::new("/a path\n/with all");
        let mut sources = SourceDigests::default();
        assert!(sources.insert(path, &stat, Digest::of(b"abc")));
        assert!(!sources.insert(path, &stat, Digest::of(b"abc")));
        let sources = SourceDigests::parse(&sources.to_bytes()).expect("whole");
        assert_eq!(sources.digest(path, &stat), Some(Digest::of(b"abc")));
        let moved = Stat {
            ctime: (6, 8),
            ..stat.clone()
        };
        assert_eq!(sources.digest(path, &moved), None);
        assert_eq!(sources.digest(Path::new("/other"), &stat), None);
    }
}
