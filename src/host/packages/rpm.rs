//! Packages of rpm(8). Its database is binary and changes between versions, so rpm itself prints
//! it; for a host in a directory the rpm of this host reads the database there. Macros and plugins
//! of the directory are not loaded.

use std::path::{Path, PathBuf};

use super::database::{OpenDatabase, PackageDatabase};
use super::installed::{FileList, InstalledPackage};
use super::relation::{Provided, Target};
use crate::error::Result;
use crate::host::HostView;
use crate::host::command::Invocation;

/// Directories of the database, old and new.
const DATABASES: [&str; 2] = ["/usr/lib/sysimage/rpm", "/var/lib/rpm"];
const RPM: &str = "/usr/bin/rpm";
/// One line for each value, with its kind as the first character. rpm expands `[...]` once for
/// each element of the arrays in it.
const FORMAT: &str = "N%{NAME}\\nA%{ARCH}\\nV%{VERSION}-%{RELEASE}\\n[R%{REQUIRENAME}\\n][P%{PROVIDENAME}\\n][F%{FILENAMES}\\n]";

pub(super) fn read(view: &HostView) -> Result<OpenDatabase> {
    let mut database = None;
    for directory in DATABASES.map(Path::new) {
        if view.stat(directory)?.is_some() {
            database = view.resolve_links(directory)?.map(|found| found.real);
            break;
        }
    }
    let Some(database) = database else {
        return Ok(OpenDatabase::None);
    };
    // rpm opens the files of the database by their paths, as root.
    if view.find_untrusted_writer(&database)?.is_some() {
        return Ok(OpenDatabase::Unsupported("rpm"));
    }
    let tool = HostView::new(Path::new("/"))?.stat(Path::new(RPM))?;
    if tool.is_none() {
        return Ok(OpenDatabase::Unsupported("rpm"));
    }
    let output = Invocation::new(RPM)
        .args([
            "--dbpath",
            &view.display_path(&database).display().to_string(),
        ])
        .args(["-qa", "--queryformat", FORMAT])
        .check("read the database of rpm")?;
    Ok(OpenDatabase::Read(PackageDatabase::new(packages(
        &output.stdout,
    ))))
}

fn packages(text: &str) -> Vec<InstalledPackage> {
    let mut packages: Vec<InstalledPackage> = Vec::new();
    for line in text.lines() {
        let mut characters = line.chars();
        let (kind, value) = (characters.next(), characters.as_str());
        if kind == Some('N') {
            packages.push(InstalledPackage {
                name: value.to_owned(),
                // Requirements of rpm name an architecture in the capability itself.
                is_foreign: true,
                files: FileList::Listed(Vec::new()),
                ..InstalledPackage::default()
            });
            continue;
        }
        let Some(package) = packages.last_mut() else {
            continue;
        };
        match kind {
            Some('A') => value.clone_into(&mut package.architecture),
            Some('V') => value.clone_into(&mut package.version),
            // Versions of requirements hold in an installed system.
            Some('R') if !value.starts_with("rpmlib(") => {
                package.depends.push(vec![Target::named(value)]);
            }
            Some('P') => package.provides.push(Provided {
                name: value.to_owned(),
                has_version: true,
            }),
            Some('F') if value.starts_with('/') => {
                // Files can be required by their path.
                package.provides.push(Provided {
                    name: value.to_owned(),
                    has_version: true,
                });
                if let FileList::Listed(paths) = &mut package.files {
                    paths.push(PathBuf::from(value));
                }
            }
            _ => {}
        }
    }
    packages
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::packages::Match;

    #[test]
    fn the_output_of_rpm_is_read() {
        let text = "Nbash\nAx86_64\nV5.2-1\nRlibc.so.6()(64bit)\nRrpmlib(X)\nPbash\nPbash(x86-64)\nF/usr/bin/bash\nF/usr/bin/sh\nNglibc\nAx86_64\nV2.39-1\nPlibc.so.6()(64bit)\nF/usr/lib64/libc.so.6\nNscript\nAnoarch\nV1-1\nR/usr/bin/sh\nF(contains no files)\n";
        let database = PackageDatabase::new(packages(text));
        let Match::One(script) = database.find("script") else {
            panic!("it is installed");
        };
        let closure = database.closure(script, false, |_| false);
        let names: Vec<&str> = (closure.iter())
            .map(|one| database.get(one.package).name.as_str())
            .collect();
        assert_eq!(names, ["script", "bash", "glibc"]);
        assert_eq!(database.get(script).files, FileList::Listed(Vec::new()));
        assert_eq!(database.get(closure[1].package).version, "5.2-1");
    }
}
