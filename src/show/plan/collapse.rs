//! Long lists of paths: directories with many paths below them are collapsed to one line each, as
//! few of them as the length allows.

use std::collections::BTreeMap;

use super::paths::PathSummary;
use crate::names::JailPath;
use crate::plan::ChangeKind;

/// A line of the list.
#[derive(Debug)]
pub(super) enum Item<'d, 'p> {
    /// One path.
    Path(&'d PathSummary<'p>),
    /// A directory, with the changed paths at and below it.
    Collapsed(JailPath, Vec<&'d PathSummary<'p>>),
}

/// About `most` lines for `summaries`, which are sorted by path. Directories with most bytes are
/// expanded first, since these have the programs and libraries.
pub(super) fn items<'d, 'p>(summaries: &'d [PathSummary<'p>], most: usize) -> Vec<Item<'d, 'p>> {
    if summaries.len() <= most {
        return summaries.iter().map(Item::Path).collect();
    }
    let mut groups: BTreeMap<JailPath, Vec<&PathSummary<'_>>> =
        BTreeMap::from([(JailPath::root(), summaries.iter().collect())]);
    let mut unexpandable: Vec<JailPath> = Vec::new();
    loop {
        let largest = groups
            .iter()
            .filter(|(path, below)| below.len() > 1 && !unexpandable.contains(path))
            .max_by_key(|(_, below)| {
                let bytes: u64 = below.iter().filter_map(|summary| summary.size).sum();
                (bytes, below.len())
            })
            .map(|(path, _)| path.clone());
        let Some(path) = largest else { break };
        let children = expand(&path, &groups[&path]);
        // The root is always expanded: a list with "/" alone has no information.
        if groups.len() - 1 + children.len() > most && path != JailPath::root() {
            unexpandable.push(path);
            continue;
        }
        groups.remove(&path);
        groups.extend(children);
    }
    // A new directory whose content is listed needs no line.
    let listed: Vec<JailPath> = groups.keys().cloned().collect();
    groups.retain(|path, below| {
        let is_plain =
            matches!(below.as_slice(), [one] if one.is_directory && one.kind == ChangeKind::Add);
        !is_plain
            || !listed
                .iter()
                .any(|other| other != path && other.starts_with(path))
    });
    groups
        .into_iter()
        .map(|(path, below)| match below.as_slice() {
            [one] => Item::Path(one),
            _ => Item::Collapsed(path, below),
        })
        .collect()
}

/// Groups paths by the child of the directory that they are at or below. The directory itself, if
/// it is among them, is a group too.
fn expand<'d, 'p>(
    directory: &JailPath,
    summaries: &[&'d PathSummary<'p>],
) -> BTreeMap<JailPath, Vec<&'d PathSummary<'p>>> {
    let mut groups: BTreeMap<JailPath, Vec<&PathSummary<'_>>> = BTreeMap::new();
    for summary in summaries {
        let mut child = summary.path.clone();
        while let Some(parent) = child.parent() {
            if child == *directory || parent == *directory {
                break;
            }
            child = parent;
        }
        groups.entry(child).or_default().push(summary);
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(paths: &[&str], most: usize) -> Vec<String> {
        let mut paths: Vec<JailPath> = paths
            .iter()
            .map(|path| JailPath::new(path).expect("a path"))
            .collect();
        paths.sort();
        let summaries: Vec<PathSummary<'_>> = paths
            .iter()
            .map(|path| PathSummary {
                path,
                kind: ChangeKind::Add,
                reason: None,
                size: None,
                link: None,
                is_directory: false,
            })
            .collect();
        let items = items(&summaries, most);
        let count: usize = items
            .iter()
            .map(|item| match item {
                Item::Path(_) => 1,
                Item::Collapsed(_, below) => below.len(),
            })
            .sum();
        assert_eq!(count, paths.len(), "each path is listed once");
        items
            .iter()
            .map(|item| match item {
                Item::Path(summary) => summary.path.to_string(),
                Item::Collapsed(path, below) => format!("{path}/ {}", below.len()),
            })
            .collect()
    }

    #[test]
    fn few_paths_are_all_listed() {
        assert_eq!(listed(&["/a", "/a/b", "/c"], 3), ["/a", "/a/b", "/c"]);
    }

    #[test]
    fn large_directories_are_one_line() {
        let many: Vec<String> = (0..20).map(|n| format!("/usr/share/zone/{n}")).collect();
        let mut paths: Vec<&str> = many.iter().map(String::as_str).collect();
        paths.extend([
            "/etc",
            "/etc/passwd",
            "/usr",
            "/usr/bin",
            "/usr/bin/ls",
            "/usr/share",
        ]);
        assert_eq!(
            listed(&paths, 8),
            [
                "/etc",
                "/etc/passwd",
                "/usr",
                "/usr/bin",
                "/usr/bin/ls",
                "/usr/share",
                "/usr/share/zone/ 20"
            ]
        );
        assert_eq!(
            listed(&paths, 5),
            [
                "/etc/ 2",
                "/usr",
                "/usr/bin/ 2",
                "/usr/share",
                "/usr/share/zone/ 20"
            ]
        );
        assert_eq!(listed(&paths, 1), ["/etc/ 2", "/usr/ 24"]);
    }
}
