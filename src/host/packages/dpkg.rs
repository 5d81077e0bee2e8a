//! Packages of dpkg(1): `/var/lib/dpkg/status` in the form of deb-control(5), and a list of files
//! for each package.

use std::path::{Path, PathBuf};

use super::database::PackageDatabase;
use super::installed::{FileList, InstalledPackage};
use super::relation::{of_dpkg, provided_by_dpkg};
use crate::error::Result;
use crate::host::HostView;

const STATUS: &str = "/var/lib/dpkg/status";
const INFO: &str = "/var/lib/dpkg/info";
const DIVERSIONS: &str = "/var/lib/dpkg/diversions";

/// States of packages whose files are in place. The first is complete.
const PRESENT: [&str; 5] = [
    "installed",
    "triggers-pending",
    "triggers-awaited",
    "half-configured",
    "unpacked",
];

pub(super) fn read(view: &HostView) -> Result<Option<PackageDatabase>> {
    if view.stat(Path::new(INFO))?.is_none() {
        return Ok(None);
    }
    let status = view.database_text(Path::new(STATUS))?.unwrap_or_default();
    let packages = status.split("\n\n").filter_map(package).collect();
    Ok(Some(PackageDatabase::new(packages)))
}

/// The package of a paragraph; `None` if its files are not in place. The first word of `Status` is
/// what the administrator wants, for example `hold`; the second an error; the third the state.
fn package(paragraph: &str) -> Option<InstalledPackage> {
    let status = field(paragraph, "Status")?;
    let state = status
        .split(' ')
        .nth(2)
        .filter(|state| PRESENT.contains(state))?;
    let relations = |names: &[&str]| {
        let fields = names.iter().filter_map(|name| field(paragraph, name));
        fields.flat_map(of_dpkg).collect()
    };
    Some(InstalledPackage {
        name: field(paragraph, "Package")?.to_owned(),
        version: field(paragraph, "Version").unwrap_or_default().to_owned(),
        architecture: field(paragraph, "Architecture")?.to_owned(),
        unfinished: matches!(state, "half-configured" | "unpacked").then(|| state.to_owned()),
        configuration: configuration(paragraph),
        is_foreign: field(paragraph, "Multi-Arch") == Some("foreign"),
        depends: relations(&["Pre-Depends", "Depends"]),
        recommends: relations(&["Recommends"]),
        provides: field(paragraph, "Provides").map_or_else(Vec::new, provided_by_dpkg),
        files: FileList::Dpkg,
    })
}

/// Field of a paragraph, without continuation lines: dpkg writes relations in one line.
fn field<'p>(paragraph: &'p str, name: &str) -> Option<&'p str> {
    paragraph.lines().find_map(|line| {
        line.strip_prefix(name)?
            .strip_prefix(':')
            .map(str::trim_start)
    })
}

/// Configuration files: ` PATH MD5 [obsolete]`. One that the package no longer has is left out.
fn configuration(paragraph: &str) -> Vec<(PathBuf, String)> {
    paragraph
        .lines()
        .skip_while(|line| !line.starts_with("Conffiles:"))
        .skip(1)
        .map_while(|line| line.strip_prefix(' '))
        .filter_map(|line| {
            let mut words = line.split(' ');
            let (path, digest) = (words.next()?, words.next()?);
            let is_digest = digest.len() == 32 && words.next().is_none();
            is_digest.then(|| (PathBuf::from(path), digest.to_owned()))
        })
        .collect()
}

/// Paths of a package: its list has the architecture in the name if the package can be installed
/// for several. A path that another package diverts is at the place of the diversion.
pub(super) fn files(view: &HostView, package: &InstalledPackage) -> Result<Vec<PathBuf>> {
    let info = Path::new(INFO);
    let name = &package.name;
    let with_architecture = info.join(format!("{name}:{}.list", package.architecture));
    let list = match view.database_text(&with_architecture)? {
        None => view.database_text(&info.join(format!("{name}.list")))?,
        list => list,
    };
    let diversions = view
        .database_text(Path::new(DIVERSIONS))?
        .unwrap_or_default();
    let diversions: Vec<&str> = diversions.lines().collect();
    let diverted = |path: &str| {
        let of_another = |entry: &&[&str]| entry[0] == path && entry[2] != name;
        let entry = diversions.chunks_exact(3).find(of_another);
        entry.map_or_else(|| PathBuf::from(path), |entry| PathBuf::from(entry[1]))
    };
    let paths = list.unwrap_or_default();
    let paths = paths.lines().filter(|path| path.starts_with('/'));
    Ok(paths.map(diverted).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_read_by_their_whole_name() {
        let paragraph = "Package: nano\nStatus: install ok installed\nArchitecture: amd64";
        assert_eq!(field(paragraph, "Package"), Some("nano"));
        assert_eq!(field(paragraph, "Pack"), None);
    }

    /// Hosts D.
    #[test]
    fn packages_that_are_held_or_wait_for_triggers_are_installed() {
        let state = |status: &str| {
            let text = format!("Package: cpio\nStatus: {status}\nArchitecture: amd64\nVersion: 2");
            package(&text).map(|package| package.unfinished)
        };
        for status in [
            "install ok installed",
            "hold ok installed",
            "deinstall ok installed",
            "install ok triggers-pending",
            "install ok triggers-awaited",
        ] {
            assert_eq!(state(status), Some(None), "{status}");
        }
        let unfinished = Some(Some("half-configured".to_owned()));
        assert_eq!(state("install ok half-configured"), unfinished);
        for status in [
            "deinstall ok config-files",
            "install reinstreq half-installed",
            "purge ok not-installed",
        ] {
            assert_eq!(state(status), None, "{status}");
        }
    }

    #[test]
    fn configuration_files_are_read() {
        let digest = "0123456789abcdef0123456789abcdef";
        let text = format!(
            "Package: nano\nConffiles:\n /etc/nanorc {digest}\n /etc/old {digest} obsolete\n /etc/new newconffile\nDescription: x"
        );
        assert_eq!(
            configuration(&text),
            [(PathBuf::from("/etc/nanorc"), digest.to_owned())]
        );
    }
}
