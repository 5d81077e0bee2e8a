//! `packages`: all files of host packages except documentation, and the packages that they depend
//! on.

use std::path::Path;

use super::programs::{self, RequestedObject};
use super::tree::{Entry, Reason, Tree, merged};
use super::types::PackageSummary;
use crate::error::{Finding, Result};
use crate::host::{FileKind, HostView, InstalledPackage, Match, OpenDatabase, PackageDatabase};
use crate::span::Spanned;
use crate::spec::display::{list, quote};
use crate::spec::{PackageDependencies, Spec, path_rules};

/// Directories of documentation, which no program reads.
const DOC_DIRS: [&str; 8] = [
    "/usr/share/bug",
    "/usr/share/doc",
    "/usr/share/doc-base",
    "/usr/share/gtk-doc",
    "/usr/share/info",
    "/usr/share/lintian",
    "/usr/share/man",
    "/usr/local/share/man",
];

/// Packages that are included only if a spec names them: those that start a system, load its kernel
/// or manage its packages and accounts, and those that consist of what every jail has of its own.
/// Maintainer scripts need most of them, and no program of a jail does. A `*` at the end stands for
/// any text.
const HOST_ONLY: [&str; 41] = [
    // Debian and Ubuntu
    "adduser",
    "apt",
    "base-files",
    "base-passwd",
    "debconf",
    "dpkg",
    "init",
    "init-system-helpers",
    "initramfs-tools*",
    "install-info",
    "kmod",
    "linux-image-*",
    "systemd",
    "systemd-sysv",
    "sysv-rc",
    "sysvinit-*",
    "ucf",
    "udev",
    // Fedora and RHEL
    "basesystem",
    "crypto-policies-scripts",
    "dnf*",
    "dracut*",
    "fedora-release*",
    "filesystem",
    "kernel*",
    "redhat-release*",
    "rpm",
    "setup",
    "shadow-utils",
    "systemd-*",
    // Alpine
    "alpine-base",
    "alpine-baselayout*",
    "alpine-conf",
    "alpine-keys",
    "apk-tools",
    "openrc",
    // Arch
    "linux",
    "linux-firmware*",
    "mkinitcpio*",
    "pacman",
    "pacman-mirrorlist",
];

/// Adds the files of every package of the spec, and of those that it depends on. Programs and
/// shared objects among them are added to `requested`, for their closure.
///
/// # Errors
/// [`crate::error::ErrorKind::Failed`] if the database of packages or a file cannot be read.
pub(super) fn add(
    tree: &mut Tree,
    view: &HostView,
    spec: &Spec,
    requested: &mut Vec<RequestedObject>,
    findings: &mut Vec<Finding>,
    notices: &mut Vec<String>,
) -> Result<Vec<PackageSummary>> {
    if spec.packages.is_empty() {
        return Ok(Vec::new());
    }
    let opened = view.package_database()?;
    let mut summaries = Vec::new();
    for package in &spec.packages {
        let refuse = |why: String, hint: String| {
            Finding::new(format!(
                "could not add the package `{}` to the jail",
                quote(&package.value)
            ))
            .why(why)
            .hint(hint)
            .with_span(&package.span, "")
        };
        let database = match &opened {
            OpenDatabase::Read(database) => database,
            OpenDatabase::Unsupported(manager) => {
                findings.push(refuse(
                    format!(
                        "the database of {manager} can be read on a host that has {manager} alone"
                    ),
                    "name its programs in `binaries`, and other files with `[[file]]`".to_owned(),
                ));
                continue;
            }
            OpenDatabase::None => {
                findings.push(refuse(
                    "the host has no database of dpkg, rpm, apk or pacman".to_owned(),
                    "name its programs in `binaries`, and other files with `[[file]]`".to_owned(),
                ));
                continue;
            }
        };
        match database.find(&package.value) {
            Match::One(index) => {
                let mut addition = Addition {
                    tree,
                    view,
                    package,
                    requested,
                    changes: Changes::default(),
                    files: 0,
                    bytes: 0,
                };
                let dependencies =
                    addition.closure(database, index, spec.package_dependencies, findings)?;
                let Addition {
                    changes,
                    files,
                    bytes,
                    ..
                } = addition;
                notices.extend(changes.notices(&package.value));
                summaries.push(PackageSummary {
                    name: package.value.clone(),
                    version: database.get(index).version.clone(),
                    dependencies,
                    files,
                    bytes,
                });
            }
            Match::None => findings.push(refuse(
                "the host has no package of that name".to_owned(),
                "install it on the host, or name its programs in `binaries`".to_owned(),
            )),
            Match::Several(names) => findings.push(refuse(
                "the host has it for several architectures".to_owned(),
                format!(
                    "name one of {}",
                    list(names.iter().map(String::as_str), "and")
                ),
            )),
        }
    }
    Ok(summaries)
}

/// Whether a dependency is left out: see [`HOST_ONLY`].
fn is_host_only(package: &InstalledPackage) -> bool {
    HOST_ONLY
        .iter()
        .any(|pattern| match pattern.strip_suffix('*') {
            Some(start) => package.name.starts_with(start),
            None => package.name == *pattern,
        })
}

fn with_version(package: &InstalledPackage) -> String {
    format!("{} {}", package.name, package.version)
}

/// Addition of the files of one package of the spec, and of its dependencies.
struct Addition<'a> {
    tree: &'a mut Tree,
    view: &'a HostView,
    /// The package as the spec names it.
    package: &'a Spanned<String>,
    requested: &'a mut Vec<RequestedObject>,
    changes: Changes,
    files: usize,
    bytes: u64,
}

/// Differences between packages and what the jail gets of them.
#[derive(Default)]
struct Changes {
    /// Files that are setuid or setgid on the host, and not in the jail.
    lost_bits: Vec<String>,
    /// Files that are not world-readable on the host.
    closed: Vec<String>,
    /// Configuration files that the administrator has changed.
    changed: Vec<String>,
    /// Packages whose installation was not finished, with their state.
    unfinished: Vec<String>,
}

impl Addition<'_> {
    /// Adds the package at `first` and its dependencies; returns name and version of these.
    fn closure(
        &mut self,
        database: &PackageDatabase,
        first: usize,
        dependencies: PackageDependencies,
        findings: &mut Vec<Finding>,
    ) -> Result<Vec<String>> {
        let mut closure = database.closure(
            first,
            dependencies == PackageDependencies::Recommended,
            is_host_only,
        );
        if dependencies == PackageDependencies::None {
            closure.truncate(1);
        }
        let mut names = Vec::new();
        for dependent in closure {
            let installed = database.get(dependent.package);
            let named = &self.package.value;
            let what = match dependent.needed_by.map(|by| database.get(by)) {
                None => format!("packages: {}", with_version(installed)),
                Some(by) if by.name == *named => {
                    format!("packages: {named} depends on {}", with_version(installed))
                }
                Some(by) => format!(
                    "packages: {named} depends on {}, by way of {}",
                    with_version(installed),
                    by.name
                ),
            };
            if dependent.needed_by.is_some() {
                names.push(with_version(installed));
            }
            if let Some(state) = &installed.unfinished {
                let text = format!("`{}` is {state}", quote(&installed.name));
                self.changes.unfinished.push(text);
            }
            let why = Reason::Spec {
                place: self.package.span.to_string(),
                says: what,
            };
            for path in self.view.package_files(installed)? {
                if let Err(finding) = self.add(&path, &why)? {
                    findings.push(finding.with_span(&self.package.span, "required here"));
                }
            }
            self.check_configuration(installed)?;
        }
        Ok(names)
    }

    /// Adds one file. The inner error is a finding about it.
    fn add(&mut self, path: &Path, why: &Reason) -> Result<std::result::Result<(), Finding>> {
        if DOC_DIRS.iter().any(|place| path.starts_with(place)) {
            return Ok(Ok(()));
        }
        // The last component belongs to the package; directories above it may be links of the host.
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            return Ok(Ok(()));
        };
        let Some(resolved) = self.view.resolve_links(parent)? else {
            return Ok(Ok(()));
        };
        let real = resolved.real.join(name);
        // A file that an administrator has deleted is left out; directories are added with their
        // first file.
        let Some(stat) = self.view.lstat(&real)? else {
            return Ok(Ok(()));
        };
        if path_rules::copyable(&real).is_err() || programs::is_merged_link(&real) {
            return Ok(Ok(()));
        }
        let at = match merged(&real) {
            Ok(at) => at,
            Err(finding) => return Ok(Err(finding)),
        };
        if path_rules::target(&at).is_err() {
            return Ok(Ok(()));
        }
        let why = why.clone();
        let added = match stat.kind() {
            FileKind::Directory | FileKind::Special => Ok(()),
            FileKind::Symlink => {
                self.files += 1;
                let target = self.view.read_link(&real)?;
                programs::link(&real, &target, vec![why])
                    .and_then(|(at, entry)| self.tree.add_default(at, entry))
            }
            FileKind::File if stat.mode & 0o004 == 0 => {
                self.changes.closed.push(real.display().to_string());
                Ok(())
            }
            FileKind::File => {
                self.files += 1;
                self.bytes += stat.size;
                if stat.mode & 0o6000 != 0 {
                    self.changes.lost_bits.push(at.to_string());
                }
                if stat.mode & 0o111 != 0 || at.name().contains(".so") {
                    self.requested.push(RequestedObject {
                        path: real.clone(),
                        why: why.clone(),
                        span: None,
                        is_placed: true,
                    });
                }
                self.tree
                    .add_default(at, Entry::host_file(real, stat, vec![why]))
            }
        };
        Ok(added)
    }

    /// Compares the configuration files of a package with their digests in the database.
    fn check_configuration(&mut self, package: &InstalledPackage) -> Result<()> {
        for (path, digest) in &package.configuration {
            let is_open = (self.view.stat(path)?).is_some_and(|stat| stat.mode & 0o004 != 0);
            if is_open
                && path_rules::copyable(path).is_ok()
                && self.view.md5(path)?.is_some_and(|found| found != *digest)
            {
                self.changes.changed.push(path.display().to_string());
            }
        }
        Ok(())
    }
}

impl Changes {
    /// Notices about files that were changed or left out, and about unfinished packages.
    fn notices(self, package: &str) -> impl Iterator<Item = String> {
        let package = quote(package);
        let some = |paths: &[String]| match paths {
            [] => None,
            [one] => Some(format!("`{}`", quote(one))),
            [first, rest @ ..] => Some(format!("`{}` and {} more", quote(first), rest.len())),
        };
        let lost = some(&self.lost_bits).map(|paths| {
            format!(
                "{paths} of the package `{package}` loses the setuid or setgid bit that it has on the host"
            )
        });
        let closed = some(&self.closed).map(|paths| {
            format!(
                "{paths} of the package `{package}` is left out: it is not world-readable on the host"
            )
        });
        let changed = some(&self.changed).map(|paths| {
            format!(
                "{paths} of the package `{package}` was changed on the host; the jail gets the changed configuration"
            )
        });
        let unfinished = self.unfinished.into_iter().map(|text| {
            format!(
                "{text} on the host; finish its installation, for example by `dpkg --configure -a`"
            )
        });
        lost.into_iter()
            .chain(closed)
            .chain(changed)
            .chain(unfinished)
            .collect::<Vec<_>>()
            .into_iter()
    }
}
