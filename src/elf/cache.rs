//! ld.so.cache: what ldconfig(8) found, in each of its formats.
//!
//! glibc: `struct cache_file`, `cache_file_new` and `cache_extension` of sysdeps/generic/dl-cache.h, `search_cache` of elf/dl-cache.c. The old format
//! may hold the new one after it, and the new one is then used. What is outside the file is passed over, as the loader does.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

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
const NAMED: u32 = 1 << 30;
/// `DL_CACHE_HWCAP_ISA_LEVEL_MASK`: levels that the entry needs, which its subdirectory implies.
const LEVELS: u32 = (1 << 10) - 1;

/// What an entry asks of the processor.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Demand {
    Nothing,
    /// A `glibc-hwcaps` subdirectory, by its name.
    Level(Box<[u8]>),
    /// Legacy bits, used before glibc 2.37.
    Legacy(u64),
}

#[derive(Clone, Debug)]
struct Entry {
    flags: u32,
    demand: Demand,
    /// Where the path lies in the file.
    path: (usize, usize),
}

/// The content of one ld.so.cache.
#[derive(Debug, Default)]
pub struct Cache {
    bytes: Vec<u8>,
    entries: HashMap<Vec<u8>, Vec<Entry>>,
}

/// Which entries count.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// Flags of usable entries; the first ends the search.
    pub flags: &'a [u32],
    /// Subdirectories of `glibc-hwcaps` that the processor can use, best first.
    pub levels: &'a [&'static str],
    /// Legacy bits that the loader and the processor know; `None` where the loader knows none.
    pub legacy: Option<u64>,
}

impl Cache {
    /// Reads a cache written for machines of the given byte order. Anything that is not one holds nothing.
    pub fn parse(bytes: Vec<u8>, little: bool) -> Self {
        let mut cache = Self {
            bytes,
            entries: HashMap::new(),
        };
        cache.fill(little).unwrap_or_default();
        cache
    }

    fn fill(&mut self, little: bool) -> Option<()> {
        let word = Words(little);
        if self.bytes.starts_with(NEW_MAGIC) {
            return self.fill_new(0, word);
        }
        if !self.bytes.starts_with(OLD_MAGIC) {
            return None;
        }
        let count = word.at(&self.bytes, 12)? as usize;
        let table = OLD_HEADER.checked_add(count.checked_mul(OLD_ENTRY)?)?;
        if table > self.bytes.len() {
            return None;
        }
        let new = table.checked_next_multiple_of(8)?;
        if self.bytes.get(new..)?.starts_with(NEW_MAGIC) {
            return self.fill_new(new, word);
        }
        for index in 0..count {
            let at = OLD_HEADER + index * OLD_ENTRY;
            let flags = word.at(&self.bytes, at)?;
            let key = table.checked_add(word.at(&self.bytes, at + 4)? as usize)?;
            let value = table.checked_add(word.at(&self.bytes, at + 8)? as usize)?;
            self.add(flags, key, value, Demand::Nothing);
        }
        Some(())
    }

    /// Reads the new format, which starts at `base`. Its strings are counted from there too; its extensions are counted from the start of the file.
    fn fill_new(&mut self, base: usize, word: Words) -> Option<()> {
        let count = word.at(&self.bytes, base + 20)? as usize;
        let room = self.bytes.len().checked_sub(base + NEW_HEADER)? / NEW_ENTRY;
        let order = *self.bytes.get(base + 28)?;
        let own = if word.0 { 2 } else { 3 };
        if count > room || (order != 0 && order & 3 != own) {
            return None;
        }
        let levels = self.levels(base, word).unwrap_or_default();
        for index in 0..count {
            let at = base + NEW_HEADER + index * NEW_ENTRY;
            let flags = word.at(&self.bytes, at)?;
            let key = base.checked_add(word.at(&self.bytes, at + 4)? as usize)?;
            let value = base.checked_add(word.at(&self.bytes, at + 8)? as usize)?;
            let (high, low) = word.pair(&self.bytes, at + 16)?;
            let demand = if high & !LEVELS == NAMED {
                match levels.get(low as usize) {
                    Some(name) => Demand::Level(name.clone()),
                    None => continue,
                }
            } else if (high, low) == (0, 0) {
                Demand::Nothing
            } else {
                Demand::Legacy(u64::from(high) << 32 | u64::from(low))
            };
            self.add(flags, key, value, demand);
        }
        Some(())
    }

    /// The names of the `glibc-hwcaps` subdirectories that entries refer to by number.
    fn levels(&self, base: usize, word: Words) -> Option<Vec<Box<[u8]>>> {
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
                    let (from, to) = self.text(word.at(raw, 0)? as usize)?;
                    Some(self.bytes[from..to].into())
                })
                .collect();
        }
        None
    }

    fn text(&self, at: usize) -> Option<(usize, usize)> {
        let rest = self.bytes.get(at..)?;
        let length = rest.iter().take(4096).position(|byte| *byte == 0)?;
        Some((at, at + length))
    }

    fn add(&mut self, flags: u32, key: usize, value: usize, demand: Demand) {
        let (Some((from, to)), Some(path)) = (self.text(key), self.text(value)) else {
            return;
        };
        self.entries
            .entry(comparable(&self.bytes[from..to]))
            .or_default()
            .push(Entry {
                flags,
                demand,
                path,
            });
    }

    /// The path of the best entry for a library, as `search_cache` picks it.
    pub fn find(&self, name: &[u8], wanted: Wanted<'_>) -> Option<&Path> {
        let mut best: Option<(&Entry, usize)> = None;
        for entry in self.entries.get(&comparable(name))? {
            if !wanted.flags.contains(&entry.flags) {
                continue;
            }
            match &entry.demand {
                Demand::Level(level) => {
                    let rank = wanted
                        .levels
                        .iter()
                        .position(|own| own.as_bytes() == level.as_ref());
                    if let Some(rank) = rank
                        && best.is_none_or(|(_, best)| rank < best)
                    {
                        best = Some((entry, rank));
                    }
                    continue;
                }
                // Entries with levels come first: what they gave is better than any other.
                _ if best.is_some_and(|(best, _)| matches!(best.demand, Demand::Level(_))) => break,
                Demand::Legacy(bits) if wanted.legacy.is_none_or(|own| bits & !own != 0) => {
                    continue;
                }
                _ => {}
            }
            if best.is_some() && entry.flags != wanted.flags[0] {
                continue;
            }
            best = Some((entry, 0));
            if entry.flags == wanted.flags[0] {
                break;
            }
        }
        let (from, to) = best?.0.path;
        Some(Path::new(OsStr::from_bytes(&self.bytes[from..to])))
    }
}

/// A name as `_dl_cache_libcmp` compares it: runs of digits by their value.
fn comparable(name: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(name.len());
    let mut in_number = false;
    for (at, byte) in name.iter().enumerate() {
        let digit_follows = name.get(at + 1).is_some_and(u8::is_ascii_digit);
        if *byte == b'0' && !in_number && digit_follows {
            continue;
        }
        in_number = byte.is_ascii_digit();
        out.push(*byte);
    }
    out
}

/// Reads words of one byte order, little-endian if true.
#[derive(Clone, Copy)]
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

    /// The halves of a 64-bit word, the upper one first.
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
    use super::*;

    /// A cache in the new format; a demand is a level's name or legacy bits.
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
        for (name, flags, path, demand) in entries {
            for word in [*flags, place(name), place(path), 0] {
                table.extend(word.to_le_bytes());
            }
            let bits = match demand {
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
        let wanted = Wanted {
            flags: &[0x303],
            levels,
            legacy,
        };
        cache.find(name.as_bytes(), wanted).and_then(Path::to_str)
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
        let cache = Cache::parse(bytes.clone(), true);
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
            find(&Cache::parse(bytes, false), "liba.so.1", &[], None),
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
        let cache = Cache::parse(alone, true);
        assert_eq!(find(&cache, "liba.so.1", &[], None), Some("/old/liba.so.1"));

        old.resize(old.len().next_multiple_of(8), 0);
        old.extend(build(&[("liba.so.1", 0x303, "/new/liba.so.1", Err(0))]));
        let cache = Cache::parse(old, true);
        assert_eq!(find(&cache, "liba.so.1", &[], None), Some("/new/liba.so.1"));
    }

    #[test]
    fn damage_costs_entries_and_nothing_else() {
        let good = build(&[("liba.so.1", 0x303, "/liba.so.1", Ok("x86-64-v2"))]);
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] = 0xff;
            Cache::parse(bad, true);
            Cache::parse(good[..at].to_vec(), true);
        }
    }
}
