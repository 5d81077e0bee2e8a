//! The installed packages with their dependencies, whichever package manager lists them.

use std::collections::{BTreeSet, HashMap, VecDeque};

use super::installed::InstalledPackage;
use super::relation::Target;

/// Installed packages of a host.
#[derive(Debug, Default)]
pub struct PackageDatabase {
    packages: Vec<InstalledPackage>,
    names: HashMap<String, Vec<usize>>,
    providers: HashMap<String, Vec<(usize, bool)>>,
}

/// Result of opening the database of packages.
#[derive(Debug)]
pub enum OpenDatabase {
    /// The installed packages.
    Read(PackageDatabase),
    /// The database has a format that is not read; with the name of the package manager.
    Unsupported(&'static str),
    /// The host has no package manager that is known.
    None,
}

/// Result of a search for a package by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Match {
    /// Index of the package.
    One(usize),
    /// Installed for several architectures; with their names.
    Several(Vec<String>),
    /// Not installed.
    None,
}

/// A package of a closure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dependent {
    /// Index of the package.
    pub package: usize,
    /// Index of the package that depends on it; `None` for the first one.
    pub needed_by: Option<usize>,
}

impl PackageDatabase {
    pub(super) fn new(packages: Vec<InstalledPackage>) -> Self {
        let mut names: HashMap<String, Vec<usize>> = HashMap::new();
        let mut providers: HashMap<String, Vec<(usize, bool)>> = HashMap::new();
        for (index, package) in packages.iter().enumerate() {
            names.entry(package.name.clone()).or_default().push(index);
            for provided in &package.provides {
                let entry = providers.entry(provided.name.clone()).or_default();
                entry.push((index, provided.has_version));
            }
        }
        Self {
            packages,
            names,
            providers,
        }
    }

    /// The package at an index.
    ///
    /// # Panics
    /// If the index is not of this database.
    pub fn get(&self, index: usize) -> &InstalledPackage {
        &self.packages[index]
    }

    /// Searches a package by its name, or by name and architecture: `libc6:i386`.
    pub fn find(&self, name: &str) -> Match {
        let with_architecture = name.split_once(':');
        let plain = with_architecture.map_or(name, |(name, _)| name);
        let found: Vec<usize> = (self.names.get(plain).into_iter().flatten().copied())
            .filter(|index| {
                with_architecture.is_none_or(|(_, of)| self.packages[*index].architecture == of)
            })
            .collect();
        match found[..] {
            [] => Match::None,
            [one] => Match::One(one),
            _ => Match::Several(
                found
                    .iter()
                    .map(|index| &self.packages[*index])
                    .map(|package| format!("{}:{}", package.name, package.architecture))
                    .collect(),
            ),
        }
    }

    /// The package `first` and all packages that it depends on, each once, nearest first. All
    /// installed packages that satisfy a dependency count, also several alternatives.
    /// `recommended` includes recommended packages of all of them. Packages for which `is_left_out`
    /// returns true are left out, with what only they depend on.
    pub fn closure(
        &self,
        first: usize,
        recommended: bool,
        is_left_out: impl Fn(&InstalledPackage) -> bool,
    ) -> Vec<Dependent> {
        let mut seen = BTreeSet::from([first]);
        let mut found = vec![Dependent {
            package: first,
            needed_by: None,
        }];
        let mut queue = VecDeque::from([first]);
        while let Some(index) = queue.pop_front() {
            let package = &self.packages[index];
            let recommends = package.recommends.iter().filter(|_| recommended);
            for target in package.depends.iter().chain(recommends).flatten() {
                for candidate in self.satisfying(target, index) {
                    if !seen.contains(&candidate) && !is_left_out(&self.packages[candidate]) {
                        seen.insert(candidate);
                        found.push(Dependent {
                            package: candidate,
                            needed_by: Some(index),
                        });
                        queue.push_back(candidate);
                    }
                }
            }
        }
        found
    }

    /// Packages that satisfy a target of the package at `from`.
    fn satisfying(&self, target: &Target, from: usize) -> Vec<usize> {
        let of = &self.packages[from].architecture;
        let is_right = |index: usize| {
            let package = &self.packages[index];
            match target.architecture.as_deref() {
                Some("any") => true,
                Some(architecture) => package.architecture == architecture,
                None => {
                    package.is_foreign
                        || package.architecture == *of
                        || [package.architecture.as_str(), of].contains(&"all")
                }
            }
        };
        let mut found = Vec::new();
        let named = self.names.get(&target.name).into_iter().flatten().copied();
        found.extend(named.filter(|index| is_right(*index)));
        let providers = self.providers.get(&target.name).into_iter().flatten();
        for (index, has_version) in providers {
            if (*has_version || !target.has_version) && is_right(*index) && !found.contains(index) {
                found.push(*index);
            }
        }
        found
    }
}
