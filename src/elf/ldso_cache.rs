//! ld.so.cache: libraries that ldconfig(8) found, in each format of the file.
//!
//! glibc: `struct cache_file`, `cache_file_new` and `cache_extension` of
//! sysdeps/generic/dl-cache.h, `search_cache` of elf/dl-cache.c. The old format may be followed by
//! the new one, which is then used. Offsets outside of the file are ignored, as the loader does.

use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fmt::Write as _;
use std::ops::Range;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::abi::Abi;

const OLD_MAGIC: &[u8] = b"ld.so-1.7.0";
const NEW_MAGIC: &[u8] = b"glibc-ld.so.cache1.1";
const OLD_HEADER: usize = 16;
const OLD_ENTRY: usize = 12;
const NEW_HEADER: usize = 48;
const NEW_ENTRY: usize = 24;
/// `cache_extension_magic`.
const EXTENSION_MAGIC: u32 = 0xeaa4_2174;
/// `cache_extension_tag_glibc_hwcaps`.
const EXTENSION_HWCAPS: u32 = 1;
/// `DL_CACHE_HWCAP_EXTENSION`, in the upper half of the field.
const HWCAP_EXTENSION: u32 = 1 << 30;
/// `DL_CACHE_HWCAP_ISA_LEVEL_MASK`: levels that the entry needs, which its subdirectory implies.
const ISA_LEVEL_MASK: u32 = (1 << 10) - 1;
/// Most entries that are read for one name on each side of the first match. Real caches have a few.
const MAX_DUPLICATES: usize = 256;

/// Processor feature that an entry requires.
#[derive(Clone, Debug, PartialEq, Eq)]
enum HwcapRequirement<'c> {
    Nothing,
    /// A `glibc-hwcaps` subdirectory, by its name.
    Level(&'c [u8]),
    /// Legacy bits, used before glibc 2.37.
    Legacy(u64),
}

#[derive(Clone, Debug)]
struct Entry<'c> {
    flags: u32,
    requirement: HwcapRequirement<'c>,
    path: &'c [u8],
}

/// Layout of the entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Old,
    New,
}

/// Content of one ld.so.cache.
#[derive(Debug)]
pub struct Cache {
    bytes: Vec<u8>,
    word: Words,
    /// Whether names are compared as signed bytes.
    signed: bool,
    is_damaged: bool,
    format: Format,
    /// Offset of the first entry, number of entries, and base of the offsets of their strings.
    table: usize,
    count: usize,
    strings: usize,
    /// Names of the `glibc-hwcaps` subdirectories, as start and end offsets in the file.
    levels: Vec<(usize, usize)>,
}

/// Selection of usable entries.
#[derive(Clone, Copy, Debug)]
pub struct CacheQuery<'a> {
    /// Flags of usable entries; an entry with the first ends the search.
    pub flags: &'a [u32],
    /// Subdirectories of `glibc-hwcaps` that the processor can use, best first.
    pub levels: &'a [&'static str],
    /// Legacy bits that the loader and the processor support; `None` if the loader supports none.
    pub legacy: Option<u64>,
}

impl Cache {
    /// Parses a cache as the loader of a machine does. A file of another format has no entries.
    pub fn parse(bytes: Vec<u8>, abi: Abi) -> Self {
        let mut cache = Self {
            bytes,
            word: Words(abi.little),
            signed: abi.has_signed_char(),
            is_damaged: false,
            format: Format::Old,
            table: OLD_HEADER,
            count: 0,
            strings: 0,
            levels: Vec::new(),
        };
        cache.is_damaged = cache.read_header().is_none();
        cache
    }

    /// Whether the file is no cache, or is shorter than its header declares.
    pub fn is_damaged(&self) -> bool {
        self.is_damaged
    }

    fn read_header(&mut self) -> Option<()> {
        if self.bytes.starts_with(NEW_MAGIC) {
            return self.read_new_header(0);
        }
        if !self.bytes.starts_with(OLD_MAGIC) {
            return None;
        }
        let count = self.word.at(&self.bytes, 12)? as usize;
        let end = OLD_HEADER.checked_add(count.checked_mul(OLD_ENTRY)?)?;
        if end > self.bytes.len() {
            return None;
        }
        let new = end.checked_next_multiple_of(8)?;
        let after = self.bytes.get(new..);
        if after.is_some_and(|after| after.starts_with(NEW_MAGIC)) {
            return self.read_new_header(new);
        }
        self.count = count;
        self.strings = end;
        Some(())
    }

    /// Reads the header of the new format at offset `base`. Offsets of its strings count from
    /// `base`; those of its extensions count from the start of the file.
    fn read_new_header(&mut self, base: usize) -> Option<()> {
        let count = self.word.at(&self.bytes, base + 20)?;
        let room = self.bytes.len().checked_sub(base + NEW_HEADER)? / NEW_ENTRY;
        let order = *self.bytes.get(base + 28)?;
        let own = if self.word.0 { 2 } else { 3 };
        // A cache for machines of the other byte order is undamaged, but not for this machine.
        let fits = |count: u32| count as usize <= room;
        let is_other = match order {
            0 => !fits(count) && fits(count.swap_bytes()),
            _ => order & 3 != own,
        };
        if is_other {
            return Some(());
        }
        if !fits(count) {
            return None;
        }
        let count = count as usize;
        self.format = Format::New;
        self.table = base + NEW_HEADER;
        self.count = count;
        self.strings = base;
        self.levels = self.read_levels(base).unwrap_or_default();
        // The loader uses the entries of a truncated cache.
        let strings = self.word.at(&self.bytes, base + 24)? as usize;
        let end = (self.table + count * NEW_ENTRY).checked_add(strings)?;
        (end <= self.bytes.len()).then_some(())
    }

    fn at(&self, index: usize) -> usize {
        let each = match self.format {
            Format::Old => OLD_ENTRY,
            Format::New => NEW_ENTRY,
        };
        self.table + index * each
    }

    /// Name of an entry.
    fn key(&self, index: usize) -> Option<&[u8]> {
        let offset = self.word.at(&self.bytes, self.at(index) + 4)? as usize;
        self.text(self.strings.checked_add(offset)?)
    }

    fn entry(&self, index: usize) -> Option<Entry<'_>> {
        let at = self.at(index);
        let offset = self.word.at(&self.bytes, at + 8)? as usize;
        let requirement = match self.format {
            Format::Old => HwcapRequirement::Nothing,
            Format::New => match self.word.pair(&self.bytes, at + 16)? {
                (high, low) if high & !ISA_LEVEL_MASK == HWCAP_EXTENSION => {
                    let (from, to) = *self.levels.get(low as usize)?;
                    HwcapRequirement::Level(&self.bytes[from..to])
                }
                (0, 0) => HwcapRequirement::Nothing,
                (high, low) => HwcapRequirement::Legacy(u64::from(high) << 32 | u64::from(low)),
            },
        };
        Some(Entry {
            flags: self.word.at(&self.bytes, at)?,
            requirement,
            path: self.text(self.strings.checked_add(offset)?)?,
        })
    }

    /// Names of the `glibc-hwcaps` subdirectories, to which entries refer by number.
    fn read_levels(&self, base: usize) -> Option<Vec<(usize, usize)>> {
        let word = self.word;
        let directory = word.at(&self.bytes, base + 32)? as usize;
        if directory == 0 || word.at(&self.bytes, directory)? != EXTENSION_MAGIC {
            return None;
        }
        let count = word.at(&self.bytes, directory + 4)?.min(16);
        for index in 0..count as usize {
            let section = directory + 8 + index * 16;
            if word.at(&self.bytes, section)? != EXTENSION_HWCAPS {
                continue;
            }
            let start = word.at(&self.bytes, section + 8)? as usize;
            let size = word.at(&self.bytes, section + 12)? as usize;
            let table = self.bytes.get(start..start.checked_add(size)?)?;
            return table
                .chunks_exact(4)
                .map(|raw| {
                    let from = word.at(raw, 0)? as usize;
                    Some((from, from + self.text(from)?.len()))
                })
                .collect();
        }
        None
    }

    fn text(&self, at: usize) -> Option<&[u8]> {
        let rest = self.bytes.get(at..)?;
        let length = rest.iter().take(4096).position(|byte| *byte == 0)?;
        Some(&rest[..length])
    }

    /// Range of the entries for a name, in a table sorted from the greatest name to the least. The
    /// search is that of the loader.
    fn entries_for(&self, name: &[u8]) -> Option<Range<usize>> {
        let (mut low, mut high) = (0, self.count);
        while low < high {
            let middle = low + (high - 1 - low) / 2;
            match compare(name, self.key(middle)?, self.signed) {
                Ordering::Less => low = middle + 1,
                Ordering::Greater => high = middle,
                Ordering::Equal => {
                    let is_same = |index: usize| {
                        self.key(index)
                            .is_some_and(|key| compare(name, key, self.signed).is_eq())
                    };
                    let before = (0..middle).rev().take(MAX_DUPLICATES);
                    let before = before.take_while(|index| is_same(*index)).count();
                    let after = (middle..self.count).take(MAX_DUPLICATES);
                    let after = after.take_while(|index| is_same(*index)).count();
                    return Some(middle - before..middle + after);
                }
            }
        }
        None
    }

    /// Every entry for the libraries of `names`, as text, in the order of the file: all that any
    /// loader can find by these names.
    pub fn describe(&self, names: &BTreeSet<Vec<u8>>) -> String {
        let mut text = String::new();
        for index in 0..self.count {
            if let Some(name) = self.key(index).filter(|name| names.contains(*name)) {
                // Writing to a String cannot fail.
                let _ = writeln!(text, "{name:?} {:?}", self.entry(index));
            }
        }
        text
    }

    /// Path of the best entry for a library, selected as `search_cache` does.
    pub fn find(&self, name: &[u8], query: CacheQuery<'_>) -> Option<&Path> {
        let mut best: Option<(Entry<'_>, usize)> = None;
        for index in self.entries_for(name)? {
            let Some(entry) = self.entry(index) else {
                continue;
            };
            if !query.flags.contains(&entry.flags) {
                continue;
            }
            match entry.requirement {
                HwcapRequirement::Level(level) => {
                    let mut levels = query.levels.iter();
                    let rank = levels.position(|own| own.as_bytes() == level);
                    if let Some(rank) = rank
                        && best.as_ref().is_none_or(|(_, best)| rank < *best)
                    {
                        best = Some((entry, rank));
                    }
                    continue;
                }
                // Entries with levels come first: their result is better than any other.
                _ if matches!(
                    best,
                    Some((
                        Entry {
                            requirement: HwcapRequirement::Level(_),
                            ..
                        },
                        _
                    ))
                ) =>
                {
                    break;
                }
                HwcapRequirement::Legacy(bits)
                    if query.legacy.is_none_or(|own| bits & !own != 0) =>
                {
                    continue;
                }
                _ => {}
            }
            let exact = entry.flags == query.flags[0];
            if exact || best.is_none() {
                best = Some((entry, 0));
            }
            if exact {
                break;
            }
        }
        Some(Path::new(OsStr::from_bytes(best?.0.path)))
    }
}

/// `_dl_cache_libcmp`: runs of digits compare by value and sort after everything else. Other bytes
/// compare as `char`.
fn compare(mut left: &[u8], mut right: &[u8], signed: bool) -> Ordering {
    loop {
        let (Some(first), other) = (left.first(), right.first()) else {
            return if right.is_empty() {
                Ordering::Equal
            } else {
                Ordering::Less
            };
        };
        match (
            first.is_ascii_digit(),
            other.is_some_and(u8::is_ascii_digit),
        ) {
            (true, true) => match take_number(&mut left).cmp(&take_number(&mut right)) {
                Ordering::Equal => {}
                order => return order,
            },
            (true, false) => return Ordering::Greater,
            (false, true) => return Ordering::Less,
            (false, false) => {
                let other = other.unwrap_or(&0);
                let order = if signed {
                    first.cast_signed().cmp(&other.cast_signed())
                } else {
                    first.cmp(other)
                };
                if order.is_ne() {
                    return order;
                }
                (left, right) = (&left[1..], &right[1..]);
            }
        }
    }
}

/// Removes the number at the start of `text`, a C `int` that wraps.
fn take_number(text: &mut &[u8]) -> i32 {
    let mut value = 0_i32;
    while let Some((digit, rest)) = text
        .split_first()
        .filter(|(digit, _)| digit.is_ascii_digit())
    {
        value = value.wrapping_mul(10).wrapping_add(i32::from(digit - b'0'));
        *text = rest;
    }
    value
}

/// Reader of 32-bit words: little-endian if true.
#[derive(Clone, Copy, Debug)]
struct Words(bool);

impl Words {
    fn at(self, bytes: &[u8], at: usize) -> Option<u32> {
        let raw = bytes.get(at..at.checked_add(4)?)?.try_into().ok()?;
        Some(if self.0 {
            u32::from_le_bytes(raw)
        } else {
            u32::from_be_bytes(raw)
        })
    }

    /// Halves of a 64-bit word, the upper one first.
    fn pair(self, bytes: &[u8], at: usize) -> Option<(u32, u32)> {
        let (first, second) = (self.at(bytes, at)?, self.at(bytes, at.checked_add(4)?)?);
        Some(if self.0 {
            (second, first)
        } else {
            (first, second)
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::cast_possible_truncation,
        reason = "the caches built here are small"
    )]
    use super::super::abi::{S390, X86_64};
    use super::*;

    const LITTLE: Abi = Abi {
        wide: true,
        little: true,
        machine: X86_64,
        variant: 0,
    };
    const BIG: Abi = Abi {
        wide: true,
        little: false,
        machine: S390,
        variant: 0,
    };

    /// Builds a cache in the new format; the last part of an entry is the name of a level or legacy
    /// bits.
    fn build(entries: &[(&str, u32, &str, std::result::Result<&str, u64>)]) -> Vec<u8> {
        let mut levels: Vec<&str> = entries.iter().filter_map(|entry| entry.3.ok()).collect();
        levels.sort_unstable();
        levels.dedup();
        let strings = NEW_HEADER + entries.len() * NEW_ENTRY;
        let mut texts: Vec<u8> = Vec::new();
        let mut place = |text: &str| {
            let at = (strings + texts.len()) as u32;
            texts.extend(text.as_bytes());
            texts.push(0);
            at
        };
        let mut table = Vec::new();
        for (name, flags, path, requirement) in entries {
            for word in [*flags, place(name), place(path), 0] {
                table.extend(word.to_le_bytes());
            }
            let bits = match requirement {
                Ok(level) => {
                    let index = levels.iter().position(|own| own == level).unwrap();
                    1 << 62 | index as u64
                }
                Err(bits) => *bits,
            };
            table.extend(bits.to_le_bytes());
        }
        let names: Vec<u32> = levels.iter().map(|level| place(level)).collect();
        texts.resize(texts.len().next_multiple_of(4), 0);
        let extension = ((strings + texts.len()).next_multiple_of(4)) as u32;
        let mut bytes = NEW_MAGIC.to_vec();
        for word in [
            entries.len() as u32,
            texts.len() as u32,
            2,
            extension,
            0,
            0,
            0,
        ] {
            bytes.extend(word.to_le_bytes());
        }
        bytes.extend(table);
        bytes.extend(texts);
        bytes.resize(extension as usize, 0);
        for word in [
            EXTENSION_MAGIC,
            1,
            EXTENSION_HWCAPS,
            0,
            extension + 24,
            names.len() as u32 * 4,
        ] {
            bytes.extend(word.to_le_bytes());
        }
        for name in names {
            bytes.extend(name.to_le_bytes());
        }
        bytes
    }

    fn find<'a>(
        cache: &'a Cache,
        name: &str,
        levels: &[&'static str],
        legacy: Option<u64>,
    ) -> Option<&'a str> {
        let query = CacheQuery {
            flags: &[0x303],
            levels,
            legacy,
        };
        cache.find(name.as_bytes(), query).and_then(Path::to_str)
    }

    #[test]
    fn the_best_level_that_the_processor_has_wins() {
        let bytes = build(&[
            ("liba.so.1", 0x303, "/v2/liba.so.1", Ok("x86-64-v2")),
            ("liba.so.1", 0x303, "/v3/liba.so.1", Ok("x86-64-v3")),
            ("liba.so.1", 0x303, "/tls/liba.so.1", Err(1 << 1)),
            ("liba.so.1", 0x303, "/liba.so.1", Err(0)),
            ("liba.so.1", 0x3, "/i386/liba.so.1", Err(0)),
        ]);
        let cache = Cache::parse(bytes.clone(), LITTLE);
        let levels = ["x86-64-v3", "x86-64-v2"];
        assert_eq!(
            find(&cache, "liba.so.1", &levels, None),
            Some("/v3/liba.so.1")
        );
        assert_eq!(
            find(&cache, "liba.so.1", &levels[1..], None),
            Some("/v2/liba.so.1")
        );
        assert_eq!(find(&cache, "liba.so.1", &[], None), Some("/liba.so.1"));
        assert_eq!(
            find(&cache, "liba.so.1", &[], Some(2)),
            Some("/tls/liba.so.1")
        );
        assert_eq!(find(&cache, "liba.so.01", &[], None), Some("/liba.so.1"));
        assert_eq!(find(&cache, "libb.so.1", &[], None), None);
        assert_eq!(
            find(&Cache::parse(bytes, BIG), "liba.so.1", &[], None),
            None
        );
    }

    #[test]
    fn the_old_format_is_read_alone_and_before_the_new_one() {
        let mut old = OLD_MAGIC.to_vec();
        old.push(0);
        for word in [1_u32, 0x303, 0, 10] {
            old.extend(word.to_le_bytes());
        }
        let mut alone = old.clone();
        alone.extend(b"liba.so.1\0/old/liba.so.1\0");
        let cache = Cache::parse(alone, LITTLE);
        assert_eq!(find(&cache, "liba.so.1", &[], None), Some("/old/liba.so.1"));

        old.resize(old.len().next_multiple_of(8), 0);
        old.extend(build(&[("liba.so.1", 0x303, "/new/liba.so.1", Err(0))]));
        let cache = Cache::parse(old, LITTLE);
        assert_eq!(find(&cache, "liba.so.1", &[], None), Some("/new/liba.so.1"));
    }

    #[test]
    fn damage_costs_entries_and_nothing_else() {
        let good = build(&[("liba.so.1", 0x303, "/liba.so.1", Ok("x86-64-v2"))]);
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] = 0xff;
            Cache::parse(bad, LITTLE);
            Cache::parse(good[..at].to_vec(), LITTLE);
        }
    }
}
