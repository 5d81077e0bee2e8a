//! What trees inside hold, and how two looks differ.

use std::collections::BTreeMap;
use std::fmt;

use crate::DisposableHost;

/// One look at some trees: each path with its kind, mode, owners and content. Times, inodes and
/// link counts are left out.
#[derive(Clone, PartialEq, Eq)]
pub struct Snapshot {
    entries: BTreeMap<String, String>,
}

impl DisposableHost {
    /// Looks at everything at and below `paths`, without following links; a path that is not there
    /// has no entry.
    #[track_caller]
    pub fn snapshot<const N: usize>(&self, paths: [&str; N]) -> Snapshot {
        let script = r"
            for path; do
                [ -e $path ] || continue
                find $path -printf '%y%m %U:%G %l\t%p\0'
                find $path -type f -print0 | xargs -0r sha256sum -z -- | sed -z 's/  /\t/'
            done
        ";
        let mut command = vec!["bash", "-euo", "pipefail", "-c", script, "snapshot"];
        command.extend(paths);
        let found = self.run(command).ok();
        let mut entries: BTreeMap<String, String> = BTreeMap::new();
        for record in found.stdout().split_terminator('\0') {
            let (what, path) = record.split_once('\t').expect("a tab");
            let entry = entries.entry(path.to_owned()).or_default();
            entry.push_str(what.trim_end());
            entry.push(' ');
        }
        Snapshot { entries }
    }
}

impl Snapshot {
    /// Itself without the paths that `unwanted` names.
    #[must_use]
    pub fn without(mut self, unwanted: impl Fn(&str) -> bool) -> Self {
        self.entries.retain(|path, _| !unwanted(path));
        self
    }

    /// All paths, in order.
    pub fn paths(&self) -> Vec<&str> {
        self.entries.keys().map(String::as_str).collect()
    }

    /// What is different in `later`: one line a path, `+` came, `-` went, `~` changed.
    pub fn diff(&self, later: &Self) -> Vec<String> {
        let gone = self
            .entries
            .keys()
            .filter(|path| !later.entries.contains_key(*path))
            .map(|path| format!("- {path}"));
        let other = later
            .entries
            .iter()
            .filter_map(|(path, now)| match self.entries.get(path) {
                None => Some(format!("+ {path}: {now}")),
                Some(before) if before != now => Some(format!("~ {path}: {before}-> {now}")),
                Some(_) => None,
            });
        gone.chain(other).collect()
    }
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(&self.entries).finish()
    }
}
