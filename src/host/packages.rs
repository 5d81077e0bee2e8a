//! Files of the packages of a host, as the database of the package manager lists them. The database
//! is read as files, so that a host in a directory, of any architecture, is read like the running
//! one.

use std::path::{Path, PathBuf};

use super::view::HostView;
use crate::error::Result;

/// Largest list of files or database that is read, in bytes.
const LIMIT: u64 = 256 << 20;

const DPKG: &str = "/var/lib/dpkg";
const APK: &str = "/lib/apk/db/installed";
const PACMAN: &str = "/var/lib/pacman/local";
/// Directories of the database of rpm, old and new.
const RPM: [&str; 2] = ["/var/lib/rpm", "/usr/lib/sysimage/rpm"];

/// Entry of a package in the database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Package {
    /// Installed; with its paths, directories included.
    Files(Vec<PathBuf>),
    /// Installed for several architectures; with their names.
    MultiArch(Vec<String>),
    /// Not installed.
    Missing,
    /// The database has a format that is not read; with the name of the package manager.
    UnsupportedDatabase(&'static str),
}

impl HostView {
    /// Entry of the package `name`, files in the order of the database.
    ///
    /// # Errors
    /// `Failed` if the database cannot be read.
    pub fn package(&self, name: &str) -> Result<Package> {
        if self.stat(&Path::new(DPKG).join("info"))?.is_some() {
            return self.dpkg(name);
        }
        if let Some(database) = self.text(Path::new(APK))? {
            return Ok(apk(&database, name));
        }
        if self.stat(Path::new(PACMAN))?.is_some() {
            return self.pacman(name);
        }
        for database in RPM {
            if self.stat(Path::new(database))?.is_some() {
                return Ok(Package::UnsupportedDatabase("rpm"));
            }
        }
        Ok(Package::Missing)
    }

    fn text(&self, path: &Path) -> Result<Option<String>> {
        let bytes = self.read(path, LIMIT)?;
        Ok(bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
    }

    /// dpkg(1): a list for each package, with the architecture in its name if the package can be
    /// installed for several.
    fn dpkg(&self, name: &str) -> Result<Package> {
        let Some(status) = self.text(&Path::new(DPKG).join("status"))? else {
            return Ok(Package::Missing);
        };
        let wanted = name.split_once(':');
        let mut found: Vec<(&str, &str)> = status
            .split("\n\n")
            .filter(|paragraph| field(paragraph, "Status") == Some("install ok installed"))
            .filter_map(|paragraph| {
                Some((
                    field(paragraph, "Package")?,
                    field(paragraph, "Architecture")?,
                ))
            })
            .filter(|(package, architecture)| match wanted {
                Some(wanted) => wanted == (*package, *architecture),
                None => *package == name,
            })
            .collect();
        let Some((package, architecture)) = found.pop() else {
            return Ok(Package::Missing);
        };
        if !found.is_empty() {
            found.push((package, architecture));
            let names = found.iter().map(|(name, of)| format!("{name}:{of}"));
            return Ok(Package::MultiArch(names.collect()));
        }
        let info = Path::new(DPKG).join("info");
        let with_architecture = info.join(format!("{package}:{architecture}.list"));
        let list = match self.text(&with_architecture)? {
            None => self.text(&info.join(format!("{package}.list")))?,
            list => list,
        };
        let diversions = self
            .text(&Path::new(DPKG).join("diversions"))?
            .unwrap_or_default();
        let diversions: Vec<&str> = diversions.lines().collect();
        let diverted = |path: &str| {
            let of_another = |entry: &&[&str]| entry[0] == path && entry[2] != package;
            let entry = diversions.chunks_exact(3).find(of_another);
            entry.map_or_else(|| PathBuf::from(path), |entry| PathBuf::from(entry[1]))
        };
        let paths = list.unwrap_or_default();
        let paths = paths.lines().filter(|path| path.starts_with('/'));
        Ok(Package::Files(paths.map(diverted).collect()))
    }

    /// pacman(8): a directory for each package, named by package, version and release.
    fn pacman(&self, name: &str) -> Result<Package> {
        for directory in self.list(Path::new(PACMAN))?.unwrap_or_default() {
            let is_it = directory
                .to_str()
                .and_then(|text| text.rsplitn(3, '-').nth(2))
                .is_some_and(|package| package == name);
            if !is_it {
                continue;
            }
            let path = Path::new(PACMAN).join(&directory).join("files");
            let text = self.text(&path)?.unwrap_or_default();
            let section = text.split("\n\n").find(|part| part.starts_with("%FILES%"));
            let lines = section.into_iter().flat_map(str::lines).skip(1);
            let paths = lines.map(|line| Path::new("/").join(line.trim_end_matches('/')));
            return Ok(Package::Files(paths.collect()));
        }
        Ok(Package::Missing)
    }
}

/// Field of a paragraph of the status file of dpkg.
fn field<'p>(paragraph: &'p str, name: &str) -> Option<&'p str> {
    paragraph.lines().find_map(|line| {
        line.strip_prefix(name)?
            .strip_prefix(':')
            .map(str::trim_start)
    })
}

/// apk(8): one file with a paragraph for each package; `F:` is a directory and `R:` a file in the
/// last directory.
fn apk(database: &str, name: &str) -> Package {
    let of_package = |paragraph: &&str| {
        paragraph
            .lines()
            .any(|line| line.strip_prefix("P:") == Some(name))
    };
    let Some(paragraph) = database.split("\n\n").find(of_package) else {
        return Package::Missing;
    };
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
    Package::Files(paths)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(paths: &[&str]) -> Package {
        Package::Files(paths.iter().map(PathBuf::from).collect())
    }

    #[test]
    fn the_database_of_apk_is_read() {
        // As apk-tools 2.14 writes it, shortened.
        let database = "C:Q1rU=\nP:musl\nV:1.2.5-r0\nA:x86_64\nF:lib\nR:ld-musl-x86_64.so.1\na:0:0:755\nZ:Q17x=\n\nC:Q1qK=\nP:tree\nV:2.1.1-r0\nF:usr\nF:usr/bin\nR:tree\na:0:0:755\nZ:Q1TV=\n";
        assert_eq!(
            apk(database, "tree"),
            files(&["/usr", "/usr/bin", "/usr/bin/tree"])
        );
        assert_eq!(apk(database, "tre"), Package::Missing);
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "a host is made in a directory")]
    fn the_database_of_pacman_is_read() {
        let host = std::env::temp_dir().join(format!("jailctl-pacman-{}", std::process::id()));
        let package = host.join("var/lib/pacman/local/lib32-tree-2.1.1-1");
        std::fs::create_dir_all(&package).expect("a directory");
        // As pacman 6 writes it, shortened.
        let text = "%FILES%\nusr/\nusr/bin/\nusr/bin/tree\n\n%BACKUP%\netc/tree.conf\t1f0e\n";
        std::fs::write(package.join("files"), text).expect("a file");
        let view = HostView::new(&host).expect("a host");
        assert_eq!(
            view.package("lib32-tree").expect("read"),
            files(&["/usr", "/usr/bin", "/usr/bin/tree"])
        );
        assert_eq!(view.package("tree").expect("read"), Package::Missing);
        std::fs::remove_dir_all(&host).expect("removed");
    }

    #[test]
    fn fields_are_read_by_their_whole_name() {
        let paragraph = "Package: nano\nStatus: install ok installed\nArchitecture: amd64";
        assert_eq!(field(paragraph, "Package"), Some("nano"));
        assert_eq!(field(paragraph, "Pack"), None);
    }
}
