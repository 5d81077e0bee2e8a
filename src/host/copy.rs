//! Copies of file content in one pass, with a digest on request.

use std::fmt;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::path::Path;

use rustix::fs::{copy_file_range, fstat};
use rustix::io::Errno;
use sha2::{Digest as _, Sha256};

use super::stat::Stat;
use crate::error::{Error, Result};

/// Buffer size in bytes: large enough that system calls do not count, small enough for the
/// second-level cache of the processor.
const CHUNK: usize = 128 * 1024;

/// A SHA-256 digest, as sha256sum(1) prints it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest([u8; 64]);

impl Digest {
    /// Digest of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        Self::finish(Sha256::new().chain_update(bytes))
    }

    /// Digest with the hexadecimal digits `text`; `None` if `text` is no digest.
    pub fn parse(text: &str) -> Option<Self> {
        let digits: [u8; 64] = text.as_bytes().try_into().ok()?;
        let is_digit = |byte: &u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(byte);
        digits.iter().all(is_digit).then_some(Self(digits))
    }

    fn finish(hash: Sha256) -> Self {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut text = [0; 64];
        for (pair, byte) in text.chunks_exact_mut(2).zip(hash.finalize()) {
            pair[0] = DIGITS[usize::from(byte >> 4)];
            pair[1] = DIGITS[usize::from(byte & 15)];
        }
        Self(text)
    }

    /// 64 hexadecimal digits.
    pub fn as_str(&self) -> &str {
        // Only ASCII digits are ever written here.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl serde::Serialize for Digest {
    fn serialize<S: serde::Serializer>(
        &self,
        serializer: S,
    ) -> std::result::Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> serde::Deserialize<'de> for Digest {
    fn deserialize<D: serde::Deserializer<'de>>(
        deserializer: D,
    ) -> std::result::Result<Self, D::Error> {
        struct Text;
        impl serde::de::Visitor<'_> for Text {
            type Value = Digest;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("64 hexadecimal digits")
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> std::result::Result<Digest, E> {
                Digest::parse(text)
                    .ok_or_else(|| E::invalid_value(serde::de::Unexpected::Str(text), &self))
            }
        }
        deserializer.deserialize_str(Text)
    }
}

/// Copies and digests files one after another with one buffer: a buffer for each file would be
/// mapped and unmapped each time.
#[derive(Debug)]
pub struct Copier {
    buffer: Vec<u8>,
}

impl Default for Copier {
    fn default() -> Self {
        Self {
            buffer: vec![0; CHUNK],
        }
    }
}

impl Copier {
    /// Copies all of `source` to `target`, by copy_file_range(2) if possible.
    ///
    /// # Errors
    /// `Failed` if a system call fails, or if the source changes during the copy. The target then
    /// has any content.
    pub fn copy(
        &mut self,
        source: &mut File,
        from: &Path,
        target: &mut File,
        to: &Path,
    ) -> Result<()> {
        let before = facts(source, from)?;
        self.copy_content(source, from, before.size, target, to)?;
        check_source_unchanged(source, from, &before)
    }

    /// As [`Copier::copy`], and returns the digest of the content.
    ///
    /// # Errors
    /// As [`Copier::copy`].
    pub fn copy_and_digest(
        &mut self,
        source: &mut File,
        from: &Path,
        target: &mut File,
        to: &Path,
    ) -> Result<Digest> {
        let before = facts(source, from)?;
        let mut hash = Sha256::new();
        self.copy_read_write(source, from, |chunk| {
            hash.update(chunk);
            target
                .write_all(chunk)
                .map_err(|error| Error::io("write", to, &error))
        })?;
        check_source_unchanged(source, from, &before)?;
        Ok(Digest::finish(hash))
    }

    /// Digest of all of `file`.
    ///
    /// # Errors
    /// `Failed` if it cannot be read.
    pub fn digest(&mut self, file: &mut File, path: &Path) -> Result<Digest> {
        let mut hash = Sha256::new();
        self.copy_read_write(file, path, |chunk| {
            hash.update(chunk);
            Ok(())
        })?;
        Ok(Digest::finish(hash))
    }

    fn copy_read_write(
        &mut self,
        file: &mut File,
        path: &Path,
        mut sink: impl FnMut(&[u8]) -> Result<()>,
    ) -> Result<()> {
        loop {
            let count = match file.read(&mut self.buffer) {
                Ok(0) => return Ok(()),
                Ok(count) => count,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(Error::io("read", path, &error)),
            };
            sink(&self.buffer[..count])?;
        }
    }

    /// copy_file_range(2), which shares blocks if the file system can, and plain reads and writes
    /// if it is not supported. A file that grows is noticed by its stat afterwards.
    fn copy_content(
        &mut self,
        source: &mut File,
        from: &Path,
        size: u64,
        target: &mut File,
        to: &Path,
    ) -> Result<()> {
        let mut copied = 0_u64;
        while copied < size {
            let rest = usize::try_from(size - copied).unwrap_or(usize::MAX);
            match copy_file_range(
                source.as_fd(),
                None,
                target.as_fd(),
                None,
                rest.min(1 << 30),
            ) {
                // A file system without copy_file_range can return 0.
                Ok(0) if copied == 0 => break,
                Ok(0) => return Ok(()),
                Ok(count) => copied += count as u64,
                Err(Errno::XDEV | Errno::NOSYS | Errno::INVAL | Errno::OPNOTSUPP | Errno::PERM)
                    if copied == 0 =>
                {
                    break;
                }
                Err(errno) => return Err(Error::io("write", to, &errno.into())),
            }
        }
        if copied > 0 || size == 0 {
            return Ok(());
        }
        self.copy_read_write(source, from, |chunk| {
            target
                .write_all(chunk)
                .map_err(|error| Error::io("write", to, &error))
        })
    }
}

/// Digest of all of `file`.
///
/// # Errors
/// `Failed` if it cannot be read.
pub fn digest(file: &mut File, path: &Path) -> Result<Digest> {
    Copier::default().digest(file, path)
}

/// Checks that a source has the size and times that it had before the copy.
fn check_source_unchanged(source: &File, from: &Path, before: &Stat) -> Result<()> {
    let after = facts(source, from)?;
    if (before.size, before.mtime) == (after.size, after.mtime) {
        return Ok(());
    }
    Err(
        Error::failed(format!("could not copy `{}`", from.display()))
            .why("it changed while it was copied")
            .hint("run the command again once nothing writes to it"),
    )
}

fn facts(file: &File, path: &Path) -> Result<Stat> {
    fstat(file)
        .map(Stat::from)
        .map_err(|errno| Error::io("stat", path, &errno.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_those_of_sha256sum() {
        let text = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(Digest::of(b"abc").as_str(), text);
        assert_eq!(Digest::parse(text), Some(Digest::of(b"abc")));
        assert_eq!(Digest::parse(&text.to_uppercase()), None);
        assert_eq!(Digest::parse(&text[1..]), None);
    }
}
