//! Packages of apk(8): one file with a paragraph for each package. `F:` is a directory and `R:` a
//! file in the last directory, `D:` are dependencies and `p:` what the package provides.

use std::path::{Path, PathBuf};

use super::database::PackageDatabase;
use super::installed::{FileList, InstalledPackage};
use super::relation::{Provided, with_operator};
use crate::error::Result;
use crate::host::HostView;

const INSTALLED: &str = "/lib/apk/db/installed";
const INSTALLED_MERGED: &str = "/usr/lib/apk/db/installed";

pub(super) fn read(view: &HostView) -> Result<Option<PackageDatabase>> {
    let Some(text) = text(view)? else {
        return Ok(None);
    };
    Ok(Some(PackageDatabase::new(packages(&text))))
}

fn text(view: &HostView) -> Result<Option<String>> {
    match view.database_text(Path::new(INSTALLED))? {
        None => view.database_text(Path::new(INSTALLED_MERGED)),
        text => Ok(text),
    }
}

fn packages(text: &str) -> Vec<InstalledPackage> {
    let mut start = 0;
    let mut packages = Vec::new();
    for paragraph in text.split("\n\n") {
        packages.extend(package(paragraph, start));
        start += paragraph.len() + 2;
    }
    packages
}

fn package(paragraph: &str, start: usize) -> Option<InstalledPackage> {
    let value = |key: &str| {
        let mut lines = paragraph.lines();
        lines.find_map(|line| line.strip_prefix(key))
    };
    let words = |key: &str| value(key).unwrap_or_default().split(' ');
    Some(InstalledPackage {
        name: value("P:")?.to_owned(),
        version: value("V:").unwrap_or_default().to_owned(),
        depends: words("D:")
            .filter_map(with_operator)
            .map(|target| vec![target])
            .collect(),
        provides: words("p:")
            .filter_map(with_operator)
            .map(|target| Provided {
                name: target.name,
                has_version: target.has_version,
            })
            .collect(),
        files: FileList::Apk(start),
        ..InstalledPackage::default()
    })
}

pub(super) fn files(view: &HostView, start: usize) -> Result<Vec<PathBuf>> {
    let text = text(view)?.unwrap_or_default();
    let paragraph = text.get(start..).unwrap_or_default();
    Ok(paths(paragraph.split("\n\n").next().unwrap_or_default()))
}

fn paths(paragraph: &str) -> Vec<PathBuf> {
    let mut directory = PathBuf::from("/");
    let mut paths = Vec::new();
    for line in paragraph.lines() {
        if let Some(path) = line.strip_prefix("F:") {
            directory = Path::new("/").join(path);
            paths.push(directory.clone());
        } else if let Some(file) = line.strip_prefix("R:") {
            paths.push(directory.join(file));
        }
    }
    paths
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::packages::Match;

    /// As apk-tools 2.14 writes it, shortened.
    const DATABASE: &str = "C:Q1rU=\nP:musl\nV:1.2.5-r0\nA:x86_64\np:so:libc.musl-x86_64.so.1=1\nF:lib\nR:ld-musl-x86_64.so.1\na:0:0:755\nZ:Q17x=\n\nC:Q1qK=\nP:tree\nV:2.1.1-r0\nD:so:libc.musl-x86_64.so.1 !tree-doc\nF:usr\nF:usr/bin\nR:tree\na:0:0:755\nZ:Q1TV=\n";

    #[test]
    fn the_database_of_apk_is_read() {
        let database = PackageDatabase::new(packages(DATABASE));
        let Match::One(tree) = database.find("tree") else {
            panic!("tree is installed");
        };
        assert_eq!(database.find("tre"), Match::None);
        let FileList::Apk(start) = database.get(tree).files else {
            panic!("a paragraph");
        };
        let expected = ["/usr", "/usr/bin", "/usr/bin/tree"].map(PathBuf::from);
        assert_eq!(paths(&DATABASE[start..]), expected);
        let closure = database.closure(tree, false, |_| false);
        let names: Vec<&str> = (closure.iter())
            .map(|one| database.get(one.package).name.as_str())
            .collect();
        assert_eq!(names, ["tree", "musl"]);
    }
}
