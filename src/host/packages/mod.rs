//! Installed packages of a host, as the database of its package manager lists them, and what they
//! depend on. Databases of text are read as files, so that a host in a directory, of any
//! architecture, is read like the running one; that of rpm(8) is read by rpm itself.

mod apk;
mod database;
mod dpkg;
mod installed;
mod pacman;
mod relation;
mod rpm;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use md5::{Digest as _, Md5};

pub use database::{Dependent, Match, OpenDatabase, PackageDatabase};
use installed::FileList;
pub use installed::InstalledPackage;

use super::view::HostView;
use crate::error::Result;

/// Largest list of files or database that is read, in bytes.
const LIMIT: u64 = 256 << 20;

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
    /// Reads the database of installed packages: dpkg(1), apk(8), pacman(8) or rpm(8).
    ///
    /// # Errors
    /// `Failed` if the database cannot be read.
    pub fn package_database(&self) -> Result<OpenDatabase> {
        if let Some(database) = dpkg::read(self)? {
            return Ok(OpenDatabase::Read(database));
        }
        if let Some(database) = apk::read(self)? {
            return Ok(OpenDatabase::Read(database));
        }
        if let Some(database) = pacman::read(self)? {
            return Ok(OpenDatabase::Read(database));
        }
        rpm::read(self)
    }

    /// Entry of the package `name`, files in the order of the database.
    ///
    /// # Errors
    /// `Failed` if the database cannot be read.
    pub fn package(&self, name: &str) -> Result<Package> {
        let database = match self.package_database()? {
            OpenDatabase::Read(database) => database,
            OpenDatabase::Unsupported(manager) => return Ok(Package::UnsupportedDatabase(manager)),
            OpenDatabase::None => return Ok(Package::Missing),
        };
        Ok(match database.find(name) {
            Match::One(index) => Package::Files(self.package_files(database.get(index))?),
            Match::Several(names) => Package::MultiArch(names),
            Match::None => Package::Missing,
        })
    }

    /// Paths of an installed package in the order of the database, directories included.
    ///
    /// # Errors
    /// `Failed` if the list of files cannot be read.
    pub fn package_files(&self, package: &InstalledPackage) -> Result<Vec<PathBuf>> {
        match &package.files {
            FileList::Listed(paths) => Ok(paths.clone()),
            FileList::Dpkg => dpkg::files(self, package),
            FileList::Pacman(directory) => pacman::files(self, directory),
            FileList::Apk(start) => apk::files(self, *start),
        }
    }

    /// MD5 digest of a file, by which packages record their configuration files, as 32 hexadecimal
    /// digits; `None` if it does not exist.
    ///
    /// # Errors
    /// `Failed` if the file cannot be read, or is larger than a database.
    pub fn md5(&self, path: &Path) -> Result<Option<String>> {
        let content = self.read(path, LIMIT)?;
        Ok(content.map(|content| {
            let digest = Md5::digest(content);
            let mut text = String::new();
            for byte in digest {
                // Writing to a String cannot fail.
                let _ = write!(text, "{byte:02x}");
            }
            text
        }))
    }

    fn database_text(&self, path: &Path) -> Result<Option<String>> {
        let bytes = self.read(path, LIMIT)?;
        Ok(bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
    }
}
