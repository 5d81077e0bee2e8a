//! Many paths on one page: directories with much below them are one line each, as few of them as the page allows.

use std::collections::BTreeMap;

use super::summary::PathSummary;
use crate::names::JailPath;
use crate::plan::ChangeKind;

/// A line of the listing.
#[derive(Debug)]
pub(super) enum Item<'d, 'p> {
    /// One path.
    Path(&'d PathSummary<'p>),
    /// All that becomes of a directory and of what lies below it.
    Below(JailPath, Vec<&'d PathSummary<'p>>),
}

/// At most about `most` lines for all of `deeds`, which are in the order of their paths. The directories with most bytes are opened first, for these
/// are what programs and libraries lie in.
pub(super) fn items<'d, 'p>(deeds: &'d [PathSummary<'p>], most: usize) -> Vec<Item<'d, 'p>> {
    if deeds.len() <= most {
        return deeds.iter().map(Item::Path).collect();
    }
    let mut groups: BTreeMap<JailPath, Vec<&PathSummary<'_>>> =
        BTreeMap::from([(JailPath::root(), deeds.iter().collect())]);
    let mut closed: Vec<JailPath> = Vec::new();
    loop {
        let largest = groups
            .iter()
            .filter(|(path, below)| below.len() > 1 && !closed.contains(path))
            .max_by_key(|(_, below)| {
                let bytes: u64 = below.iter().filter_map(|deed| deed.size).sum();
                (bytes, below.len())
            })
            .map(|(path, _)| path.clone());
        let Some(path) = largest else { break };
        let opened = open(&path, &groups[&path]);
        // The root is always opened: a page that says "/" says nothing.
        if groups.len() - 1 + opened.len() > most && path != JailPath::root() {
            closed.push(path);
            continue;
        }
        groups.remove(&path);
        groups.extend(opened);
    }
    // A new directory whose content is told needs no line of its own.
    let told: Vec<JailPath> = groups.keys().cloned().collect();
    groups.retain(|path, below| {
        let is_plain =
            matches!(below.as_slice(), [one] if one.is_directory && one.act == ChangeKind::Add);
        !is_plain
            || !told
                .iter()
                .any(|other| other != path && other.starts_with(path))
    });
    groups
        .into_iter()
        .map(|(path, below)| match below.as_slice() {
            [one] => Item::Path(one),
            _ => Item::Below(path, below),
        })
        .collect()
}

/// What lies in a directory, each with all that lies below it; the directory itself, where it is among them, too.
fn open<'d, 'p>(
    directory: &JailPath,
    deeds: &[&'d PathSummary<'p>],
) -> BTreeMap<JailPath, Vec<&'d PathSummary<'p>>> {
    let mut groups: BTreeMap<JailPath, Vec<&PathSummary<'_>>> = BTreeMap::new();
    for deed in deeds {
        let mut child = deed.path.clone();
        while let Some(parent) = child.parent() {
            if child == *directory || parent == *directory {
                break;
            }
            child = parent;
        }
        groups.entry(child).or_default().push(deed);
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
        let deeds: Vec<PathSummary<'_>> = paths
            .iter()
            .map(|path| PathSummary {
                path,
                act: ChangeKind::Add,
                because: None,
                size: None,
                link: None,
                is_directory: false,
            })
            .collect();
        let items = items(&deeds, most);
        let said: usize = items
            .iter()
            .map(|item| match item {
                Item::Path(_) => 1,
                Item::Below(_, below) => below.len(),
            })
            .sum();
        assert_eq!(said, paths.len(), "each path is told once");
        items
            .iter()
            .map(|item| match item {
                Item::Path(deed) => deed.path.to_string(),
                Item::Below(path, below) => format!("{path}/ {}", below.len()),
            })
            .collect()
    }

    #[test]
    fn few_paths_are_all_told() {
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
