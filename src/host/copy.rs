//! Copying file content: once through, with the digest taken on the way where one is wanted.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::path::Path;

use rustix::fs::{copy_file_range, fstat};
use rustix::io::Errno;
use sha2::{Digest as _, Sha256};

use super::stat::Stat;
use crate::error::{Error, Result};

/// Large enough that system calls do not count, small enough for the processor's second-level cache.
const CHUNK: usize = 128 * 1024;

/// A SHA-256 digest, as sha256sum(1) prints it.
#[derive(
    Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
pub struct Digest(String);

impl Digest {
    /// The digest of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        Self::finish(Sha256::new().chain_update(bytes))
    }

    fn finish(hash: Sha256) -> Self {
        let mut text = String::with_capacity(64);
        for byte in hash.finalize() {
            // Writing to a String cannot fail.
            let _ = write!(text, "{byte:02x}");
        }
        Self(text)
    }

    /// 64 hexadecimal digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Copies all of `source` to `target` and gives the digest of what was copied. A source that changes meanwhile is an error.
pub fn copy(
    source: &mut File,
    from: &Path,
    target: &mut File,
    to: &Path,
    with_digest: bool,
) -> Result<Option<Digest>> {
    let before = facts(source, from)?;
    let digest = if with_digest {
        let mut hash = Sha256::new();
        pump(source, from, |chunk| {
            hash.update(chunk);
            target
                .write_all(chunk)
                .map_err(|error| Error::io("write", to, &error))
        })?;
        Some(Digest::finish(hash))
    } else {
        copy_content(source, from, target, to)?;
        None
    };
    let after = facts(source, from)?;
    if (before.size, before.mtime) != (after.size, after.mtime) {
        return Err(
            Error::failed(format!("could not copy `{}`", from.display()))
                .why("it changed while it was copied")
                .hint("run the command again once nothing writes to it"),
        );
    }
    Ok(digest)
}

/// The digest of all of `file`.
pub fn digest(file: &mut File, path: &Path) -> Result<Digest> {
    let mut hash = Sha256::new();
    pump(file, path, |chunk| {
        hash.update(chunk);
        Ok(())
    })?;
    Ok(Digest::finish(hash))
}

fn facts(file: &File, path: &Path) -> Result<Stat> {
    fstat(file)
        .map(Stat::from)
        .map_err(|errno| Error::io("stat", path, &errno.into()))
}

fn pump(file: &mut File, path: &Path, mut sink: impl FnMut(&[u8]) -> Result<()>) -> Result<()> {
    let mut buffer = vec![0; CHUNK];
    loop {
        let count = match file.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(count) => count,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(Error::io("read", path, &error)),
        };
        sink(&buffer[..count])?;
    }
}

/// copy_file_range(2), which shares blocks where the file system can, and plain reads and writes where it is not to be had.
fn copy_content(source: &mut File, from: &Path, target: &mut File, to: &Path) -> Result<()> {
    let mut copied = 0_u64;
    loop {
        match copy_file_range(source.as_fd(), None, target.as_fd(), None, 1 << 30) {
            Ok(0) => return Ok(()),
            Ok(count) => copied += count as u64,
            Err(Errno::XDEV | Errno::NOSYS | Errno::INVAL | Errno::OPNOTSUPP | Errno::PERM)
                if copied == 0 =>
            {
                return pump(source, from, |chunk| {
                    target
                        .write_all(chunk)
                        .map_err(|error| Error::io("write", to, &error))
                });
            }
            Err(errno) => return Err(Error::io("write", to, &errno.into())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_those_of_sha256sum() {
        assert_eq!(
            Digest::of(b"abc").as_str(),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }
}
