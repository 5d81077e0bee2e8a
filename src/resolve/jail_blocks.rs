//! The drop-in with the settings of each jail: one file, since sshd opens, reads and sends on each
//! file of its configuration, and since the size of all of them together is limited.
//!
//! Settings without the path of a jail are the same for most jails. They are written once for all
//! groups that have them, in lines of limited length; the paths are in a block of each jail.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::layout::GROUP_PREFIX;
use crate::names::JailName;

/// Keywords whose values contain a path of the jail.
const PATHS: [&str; 2] = ["ChrootDirectory", "AuthorizedKeysFile"];
/// Most groups of one Match line.
const GROUPS: usize = 64;
/// Beginning of the file, by which it is recognised, whichever version wrote it.
const MARK: &str = "# Written by jailctl for each jail; ";
/// First line of the file.
const HEAD: &str = "# Written by jailctl for each jail; `jailctl build` writes it again.\n";
/// Settings that close all forwarding of a jail that allows none: if
/// [`COMMON_SNIPPET`](crate::layout::COMMON_SNIPPET) is lost, nothing is forwarded out of a jail.
/// They include what `DisableForwarding` leaves open before OpenSSH 10.0 (CVE-2025-32728).
const CLOSING: [(&str, &str); 4] = [
    ("DisableForwarding", "yes"),
    ("AllowAgentForwarding", "no"),
    ("X11Forwarding", "no"),
    ("PermitTunnel", "no"),
];

/// Beginning of the keyword of a setting for one user: the name of the user follows, and the value
/// is keyword and value.
const USER: &str = "User ";
/// Keyword as in sshd_config(5), and its value.
type Setting = (String, String);
/// Settings of a block.
pub type BlockSettings = Vec<Setting>;

/// The settings of all jails in [`JAILS_SNIPPET`](crate::layout::JAILS_SNIPPET), by group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JailBlocks(BTreeMap<String, BlockSettings>);

impl JailBlocks {
    /// Parses the text of the file. Lines that are no settings of a jail are left out, so that
    /// [`JailBlocks::to_text`] differs from the text then.
    pub fn parse(text: &str) -> Self {
        let mut blocks: BTreeMap<String, BlockSettings> = BTreeMap::new();
        let mut groups: Vec<&str> = Vec::new();
        let mut user = None;
        for line in text.lines() {
            if let Some(list) = line.strip_prefix("Match Group ") {
                groups = list.split(',').collect();
                user = None;
            } else if let Some((name, group)) = line
                .strip_prefix("Match User ")
                .and_then(|rest| rest.split_once(" Group "))
            {
                groups = vec![group];
                user = Some(name);
            } else if line.starts_with("Match") {
                groups.clear();
            } else if let Some((keyword, value)) = line.trim_start().split_once(' ')
                && !keyword.starts_with('#')
            {
                for group in groups.iter().filter(|group| is_of_jail(group)) {
                    let settings = blocks.entry((*group).to_owned()).or_default();
                    settings.push(match user {
                        Some(user) => for_user(user, keyword, value),
                        None => owned(keyword, value),
                    });
                }
            }
        }
        for settings in blocks.values_mut() {
            settings.sort_by_key(order);
        }
        Self(blocks)
    }

    /// Whether jailctl wrote a text at the path of the file, by its first line.
    pub fn is_ours(text: &str) -> bool {
        text.starts_with(MARK)
    }

    /// The settings of the jails with this group.
    pub fn get(&self, group: &str) -> Option<&BlockSettings> {
        self.0.get(group)
    }

    /// Sets the settings of the jails with this group.
    pub fn set(&mut self, group: &str, mut settings: BlockSettings) {
        settings.sort_by_key(order);
        self.0.insert(group.to_owned(), settings);
    }

    /// Removes the settings of the jails with this group.
    pub fn remove(&mut self, group: &str) {
        self.0.remove(group);
    }

    /// Whether there is no jail.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The text of the file.
    pub fn to_text(&self) -> String {
        let mut kinds: BTreeMap<&[Setting], Vec<&str>> = BTreeMap::new();
        for (group, settings) in &self.0 {
            let (_, shared) = split(settings);
            if !shared.is_empty() {
                kinds.entry(shared).or_default().push(group);
            }
        }
        let mut text = format!(
            "{HEAD}# What jails have in common is in a block of several groups, and the paths of a jail in its own.\n"
        );
        // The first value counts: what differs for a user precedes what the group has.
        for (group, settings) in &self.0 {
            add_user_blocks(&mut text, group, settings);
        }
        for (settings, groups) in kinds {
            for groups in groups.chunks(GROUPS) {
                add_block(&mut text, &groups.join(","), settings);
            }
        }
        for (group, settings) in &self.0 {
            add_block(&mut text, group, split(settings).0);
        }
        let closing: BlockSettings = CLOSING.map(|(keyword, value)| owned(keyword, value)).into();
        add_block(&mut text, JailName::groups(), &closing);
        text
    }
}

/// The settings of a jail as a block of sshd_config(5), in the order of the file: what it opens,
/// and its paths.
pub fn block_text(group: &str, settings: &[Setting]) -> String {
    let mut settings = settings.to_vec();
    settings.sort_by_key(order);
    let mut text = String::new();
    let shared = add_user_blocks(&mut text, group, &settings);
    add_block(&mut text, group, shared);
    text
}

/// The setting of one user of a group.
pub(super) fn for_user(user: impl std::fmt::Display, keyword: &str, value: &str) -> Setting {
    (format!("{USER}{user}"), format!("{keyword} {value}"))
}

/// Whether the setting is one that the file has for all jails.
pub(super) fn is_closing(keyword: &str, value: &str) -> bool {
    CLOSING.contains(&(keyword, value))
}

/// Whether a group is the one of a jail or of a family.
fn is_of_jail(group: &str) -> bool {
    let name = group.strip_prefix(GROUP_PREFIX);
    name.is_some_and(|name| JailName::new(name).is_ok())
}

fn owned(keyword: &str, value: &str) -> Setting {
    (keyword.to_owned(), value.to_owned())
}

/// Position of a setting among those of its jail: those of single users are first, then the paths.
fn order((keyword, _): &Setting) -> usize {
    if keyword.starts_with(USER) {
        return 0;
    }
    let mut paths = PATHS.iter();
    1 + paths
        .position(|path| path == keyword)
        .unwrap_or(PATHS.len())
}

/// The paths among sorted settings, and the settings that other jails may have too.
fn split(settings: &[Setting]) -> (&[Setting], &[Setting]) {
    let settings = of_group(settings);
    let paths = settings.partition_point(|setting| order(setting) <= PATHS.len());
    settings.split_at(paths)
}

/// Sorted settings without those of single users.
fn of_group(settings: &[Setting]) -> &[Setting] {
    &settings[settings.partition_point(|setting| order(setting) == 0)..]
}

/// Adds a block for each user among sorted settings. Returns the settings of the group.
fn add_user_blocks<'s>(text: &mut String, group: &str, settings: &'s [Setting]) -> &'s [Setting] {
    let shared = of_group(settings);
    let own = &settings[..settings.len() - shared.len()];
    for block in own.chunk_by(|one, other| one.0 == other.0) {
        for (number, (user, setting)) in block.iter().enumerate() {
            // Writing to a String cannot fail.
            if number == 0 {
                let _ = writeln!(text, "Match {user} Group {group}");
            }
            let _ = writeln!(text, "    {setting}");
        }
    }
    shared
}

fn add_block(text: &mut String, groups: &str, settings: &[Setting]) {
    // Writing to a String cannot fail.
    let _ = writeln!(text, "Match Group {groups}");
    for (keyword, value) in settings {
        let _ = writeln!(text, "    {keyword} {value}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn jail(name: &str, shared: &[(&str, &str)]) -> (String, BlockSettings) {
        let root = format!("/var/lib/jailctl/{name}/session/root");
        let keys = format!("/var/lib/jailctl/{name}/keys/%u");
        let mut settings = vec![
            owned("ChrootDirectory", &root),
            owned("AuthorizedKeysFile", &keys),
        ];
        settings.extend(shared.iter().map(|(keyword, value)| owned(keyword, value)));
        (format!("jail-{name}"), settings)
    }

    const SHELL: [(&str, &str); 2] = [("ForceCommand", "none"), ("PermitTTY", "yes")];
    const SFTP: [(&str, &str); 1] = [("ForceCommand", "internal-sftp -u 0027")];

    #[test]
    fn blocks_are_read_as_they_were_written() {
        let mut blocks = JailBlocks::default();
        for number in 0..200 {
            let shared: &[_] = if number % 3 == 0 { &SFTP } else { &SHELL };
            let (group, settings) = jail(&format!("s{number}"), shared);
            blocks.set(&group, settings);
        }
        let (group, mut settings) = jail("mixed", &SHELL);
        settings.push(for_user("ana", "ForceCommand", "ways"));
        settings.push(for_user("ana", "PermitTTY", "no"));
        settings.push(for_user("ben", "ForceCommand", "internal-sftp"));
        blocks.set(&group, settings);
        let text = blocks.to_text();
        assert!(JailBlocks::is_ours(&text));
        assert_eq!(JailBlocks::parse(&text), blocks);
        assert!(text.contains("Match User ana Group jail-mixed\n    ForceCommand ways\n    PermitTTY no\nMatch User ben"));
        blocks.remove(&group);
        let text = blocks.to_text();
        assert!(text.lines().all(|line| line.len() < 1 << 11));
        // What many have in common is written a few times only.
        assert_eq!(text.matches("PermitTTY").count(), 3);
        let (group, settings) = jail("s7", &SHELL);
        assert_eq!(blocks.get(&group), Some(&settings));
        for number in 0..200 {
            blocks.remove(&format!("jail-s{number}"));
        }
        assert!(blocks.is_empty());
    }

    #[test]
    fn a_changed_file_is_not_as_written() {
        let mut blocks = JailBlocks::default();
        for name in ["arkham", "dropbox"] {
            let (group, settings) = jail(name, &SHELL);
            blocks.set(&group, settings);
        }
        let text = blocks.to_text();
        for changed in [
            text.replace("PermitTTY yes", "PermitTTY no"),
            text.replace("jail-arkham,", ""),
            text.replace("PermitTunnel no", "PermitTunnel yes"),
            format!("{text}# more\n"),
            format!("{text}Match all\n    PermitRootLogin yes\n"),
            text.replace("Match Group jail-*", "Match Group jail-* User bob"),
        ] {
            let found = JailBlocks::parse(&changed);
            assert!(found != blocks || found.to_text() != changed, "{changed}");
        }
    }

    #[test]
    fn a_jail_takes_two_hundred_bytes() {
        let mut blocks = JailBlocks::default();
        let longest = "n".repeat(22);
        for number in 0..1000 {
            let (group, settings) = jail(&format!("{longest}{number:05}"), &SHELL);
            blocks.set(&group, settings);
        }
        let length: usize = blocks
            .to_text()
            .lines()
            .map(|line| line.trim().len() + 1)
            .sum();
        assert!(length < 240_000, "{length}");
    }
}
