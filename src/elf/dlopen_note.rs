//! `.note.dlopen`: libraries that an object may load at run time, by the UAPI specification "ELF
//! dlopen metadata".

use serde::Deserialize;

/// Note type of the specification.
const NOTE_DLOPEN: u32 = 0x407c_0c0a;
/// Most entries read from one object.
pub(super) const ENTRIES: usize = 1024;

/// Importance of a library that a program loads at run time.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    serde::Serialize,
    serde::Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Priority {
    /// Without the library the program does not work.
    Required,
    /// Without the library a common feature is lost. Also the priority of an entry that has none.
    #[default]
    Recommended,
    /// Without the library a rarely used feature is lost.
    Suggested,
}

/// One entry of the metadata.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct DlopenEntry {
    /// Names of the library; the first that is found is loaded.
    #[serde(rename = "soname")]
    pub sonames: Vec<String>,
    /// Name of the feature that needs the library, one word.
    #[serde(default)]
    pub feature: Option<String>,
    /// Description of the feature, a sentence.
    #[serde(default)]
    pub description: Option<String>,
    /// Importance of the library.
    #[serde(default)]
    pub priority: Priority,
}

/// Parses the entries of a note segment. Malformed notes are skipped, since no loader reads them.
pub fn parse(mut bytes: &[u8], little: bool, align: u64) -> Vec<DlopenEntry> {
    let align = if align == 8 { 8 } else { 4 };
    let mut dlopen_entries = Vec::new();
    while let Some((header, rest)) = bytes.split_at_checked(12) {
        let word = |at: usize| {
            let raw = [header[at], header[at + 1], header[at + 2], header[at + 3]];
            if little {
                u32::from_le_bytes(raw)
            } else {
                u32::from_be_bytes(raw)
            }
        };
        let (name_length, length, kind) = (word(0) as usize, word(4) as usize, word(8));
        let Some((name, after)) = rest.split_at_checked(name_length) else {
            break;
        };
        let Some(after) = skip(after, 12 + name_length, align) else {
            break;
        };
        let Some((content, after)) = after.split_at_checked(length) else {
            break;
        };
        if kind == NOTE_DLOPEN && name == b"FDO\0" {
            let text = content.split(|byte| *byte == 0).next().unwrap_or(content);
            let entries = serde_json::from_slice::<Vec<serde_json::Value>>(text);
            let entries = entries.into_iter().flatten().take(ENTRIES);
            dlopen_entries.extend(
                entries.filter_map(|entry| serde_json::from_value::<DlopenEntry>(entry).ok()),
            );
            dlopen_entries.truncate(ENTRIES);
        }
        match skip(after, length, align) {
            Some(next) => bytes = next,
            None => break,
        }
    }
    dlopen_entries
}

/// Remainder of `bytes` after the padding of an item of `length` bytes.
fn skip(bytes: &[u8], length: usize, align: usize) -> Option<&[u8]> {
    let padding = length.next_multiple_of(align) - length;
    bytes.get(padding..)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(kind: u32, owner: &[u8], content: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for word in [owner.len(), content.len(), kind as usize] {
            bytes.extend(u32::try_from(word).unwrap().to_le_bytes());
        }
        for part in [owner, content] {
            bytes.extend(part);
            bytes.resize(bytes.len().next_multiple_of(4), 0);
        }
        bytes
    }

    #[test]
    fn entries_are_found_among_other_notes() {
        let json = br#"[{"soname":["libx.so.1","libx.so.0"],"feature":"x","priority":"suggested"},{"soname":["liby.so"]}]"#;
        let mut bytes = note(1, b"GNU\0", b"abcd");
        bytes.extend(note(
            NOTE_DLOPEN,
            b"FDO\0",
            &[json.as_slice(), b"\0"].concat(),
        ));
        let dlopen_entries = parse(&bytes, true, 4);
        assert_eq!(dlopen_entries.len(), 2);
        assert_eq!(dlopen_entries[0].sonames, ["libx.so.1", "libx.so.0"]);
        assert_eq!(dlopen_entries[0].priority, Priority::Suggested);
        assert_eq!(dlopen_entries[1].priority, Priority::Recommended);
    }

    #[test]
    fn malformed_notes_are_passed_over() {
        assert!(parse(&note(NOTE_DLOPEN, b"FDO\0", b"{not json"), true, 4).is_empty());
        assert!(parse(&[0xff; 40], true, 4).is_empty());
        assert!(parse(&[0xff; 5], false, 8).is_empty());
    }
}
