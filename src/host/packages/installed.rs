//! An installed package, whichever package manager lists it.

use std::path::PathBuf;

use super::relation::{Alternatives, Provided};

/// An installed package.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InstalledPackage {
    /// Name of the package.
    pub name: String,
    /// Version, as the package manager writes it.
    pub version: String,
    /// Architecture; empty if the package manager has one for the host.
    pub architecture: String,
    /// State of an installation that was not finished: `half-configured`.
    pub unfinished: Option<String>,
    /// Configuration files, each with the MD5 digest that it was installed with.
    pub configuration: Vec<(PathBuf, String)>,
    /// Whether the package satisfies dependencies of packages of any architecture.
    pub(super) is_foreign: bool,
    pub(super) depends: Vec<Alternatives>,
    pub(super) recommends: Vec<Alternatives>,
    pub(super) provides: Vec<Provided>,
    pub(super) files: FileList,
}

/// The list of the paths of a package.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum FileList {
    /// The paths, directories included.
    Listed(Vec<PathBuf>),
    /// In a file of dpkg(1).
    #[default]
    Dpkg,
    /// In the directory of this name, of pacman(8).
    Pacman(PathBuf),
    /// In the paragraph of apk(8) that starts at this byte.
    Apk(usize),
}
