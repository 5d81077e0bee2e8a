//! Packages of pacman(8): a directory for each package, with its description and its list of files.

use std::path::{Path, PathBuf};

use super::database::PackageDatabase;
use super::installed::{FileList, InstalledPackage};
use super::relation::{Provided, with_operator};
use crate::error::Result;
use crate::host::HostView;

const LOCAL: &str = "/var/lib/pacman/local";

pub(super) fn read(view: &HostView) -> Result<Option<PackageDatabase>> {
    let Some(directories) = view.list(Path::new(LOCAL))? else {
        return Ok(None);
    };
    let mut packages = Vec::new();
    for directory in directories {
        let directory = Path::new(LOCAL).join(directory);
        if let Some(text) = view.database_text(&directory.join("desc"))? {
            packages.extend(package(&text, directory));
        }
    }
    Ok(Some(PackageDatabase::new(packages)))
}

fn package(description: &str, directory: PathBuf) -> Option<InstalledPackage> {
    let lines = |heading: &str| section(description, heading).lines();
    let dependencies = lines("%DEPENDS%").filter_map(with_operator);
    let provides = lines("%PROVIDES%").filter_map(with_operator);
    Some(InstalledPackage {
        name: lines("%NAME%").next()?.to_owned(),
        version: lines("%VERSION%").next().unwrap_or_default().to_owned(),
        depends: dependencies.map(|target| vec![target]).collect(),
        provides: provides
            .map(|target| Provided {
                name: target.name,
                has_version: target.has_version,
            })
            .collect(),
        files: FileList::Pacman(directory),
        ..InstalledPackage::default()
    })
}

/// The lines below a heading, up to the next empty line.
fn section<'t>(text: &'t str, heading: &str) -> &'t str {
    let mut sections = text.split("\n\n").map(str::trim_start);
    let found = sections.find_map(|section| section.strip_prefix(heading)?.strip_prefix('\n'));
    found.unwrap_or_default()
}

pub(super) fn files(view: &HostView, directory: &Path) -> Result<Vec<PathBuf>> {
    let text = view
        .database_text(&directory.join("files"))?
        .unwrap_or_default();
    let lines = section(&text, "%FILES%").lines();
    let paths = lines.map(|line| Path::new("/").join(line.trim_end_matches('/')));
    Ok(paths.collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::packages::{Match, Package};

    #[test]
    #[expect(clippy::disallowed_methods, reason = "a host is made in a directory")]
    fn the_database_of_pacman_is_read() {
        let host = std::env::temp_dir().join(format!("jailctl-pacman-{}", std::process::id()));
        // As pacman 6 writes it, shortened.
        for (directory, description, files) in [
            (
                "lib32-tree-2.1.1-1",
                "%NAME%\nlib32-tree\n\n%VERSION%\n2.1.1-1\n\n%DEPENDS%\nlibc.so=6-64\n\n",
                "%FILES%\nusr/\nusr/bin/\nusr/bin/tree\n\n%BACKUP%\netc/tree.conf\t1f0e\n",
            ),
            (
                "glibc-2.40-1",
                "%NAME%\nglibc\n\n%VERSION%\n2.40-1\n\n%PROVIDES%\nlibc.so=6-64\n\n",
                "%FILES%\nusr/\n",
            ),
        ] {
            let package = host.join("var/lib/pacman/local").join(directory);
            std::fs::create_dir_all(&package).expect("a directory");
            std::fs::write(package.join("desc"), description).expect("a file");
            std::fs::write(package.join("files"), files).expect("a file");
        }
        let view = HostView::new(&host).expect("a host");
        let paths = ["/usr", "/usr/bin", "/usr/bin/tree"].map(PathBuf::from);
        assert_eq!(
            view.package("lib32-tree").expect("read"),
            Package::Files(paths.to_vec())
        );
        assert_eq!(view.package("tree").expect("read"), Package::Missing);
        let database = read(&view).expect("read").expect("a database");
        let Match::One(tree) = database.find("lib32-tree") else {
            panic!("it is installed");
        };
        assert_eq!(database.closure(tree, false, |_| false).len(), 2);
        std::fs::remove_dir_all(&host).expect("removed");
    }
}
