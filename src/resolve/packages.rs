//! `packages`: all files of a host package except documentation.

use std::path::Path;

use super::programs::{self, RequestedObject};
use super::tree::{Entry, Reason, Tree, merged};
use crate::error::{Finding, Result};
use crate::host::{FileKind, HostView, Package};
use crate::span::Spanned;
use crate::spec::display::{list, quote};
use crate::spec::{Spec, path_rules};

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

/// Adds the files of every package of the spec. Programs and shared objects among them are added to
/// `requested`, for their closure.
pub(super) fn add(
    tree: &mut Tree,
    view: &HostView,
    spec: &Spec,
    requested: &mut Vec<RequestedObject>,
    findings: &mut Vec<Finding>,
    notices: &mut Vec<String>,
) -> Result<()> {
    for package in &spec.packages {
        let refuse = |why: String, hint: String| {
            Finding::new(format!(
                "could not take the package `{}` into the jail",
                quote(&package.value)
            ))
            .why(why)
            .hint(hint)
            .with_span(&package.span, "")
        };
        match view.package(&package.value)? {
            Package::Files(paths) => {
                let mut addition = PackageFiles {
                    tree,
                    view,
                    package,
                    requested,
                    lost_bits: Vec::new(),
                    closed: Vec::new(),
                };
                for path in &paths {
                    if let Err(finding) = addition.add(path)? {
                        findings.push(finding.with_span(&package.span, "asked for here"));
                    }
                }
                notices.extend(addition.notices());
            }
            Package::Missing => findings.push(refuse(
                "the host has no package of that name".to_owned(),
                "install it on the host, or name its programs in `binaries`".to_owned(),
            )),
            Package::MultiArch(names) => findings.push(refuse(
                "the host has it for several architectures".to_owned(),
                format!(
                    "name one of {}",
                    list(names.iter().map(String::as_str), "and")
                ),
            )),
            Package::UnsupportedDatabase(manager) => findings.push(refuse(
                format!("jailctl does not read the database of {manager} yet"),
                "name its programs in `binaries`, and other files with `[[file]]`".to_owned(),
            )),
        }
    }
    Ok(())
}

/// Addition of the files of one package.
struct PackageFiles<'a> {
    tree: &'a mut Tree,
    view: &'a HostView,
    package: &'a Spanned<String>,
    requested: &'a mut Vec<RequestedObject>,
    /// Files that are setuid or setgid on the host, and not in the jail.
    lost_bits: Vec<String>,
    /// Files that are not world-readable on the host.
    closed: Vec<String>,
}

impl PackageFiles<'_> {
    /// Adds one file. The inner error is a finding about it.
    fn add(&mut self, path: &Path) -> Result<std::result::Result<(), Finding>> {
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
        let why = Reason::Spec {
            place: self.package.span.to_string(),
            says: format!("packages: {}", self.package.value),
        };
        let added = match stat.kind() {
            FileKind::Directory | FileKind::Special => Ok(()),
            FileKind::Symlink => {
                let target = self.view.read_link(&real)?;
                programs::link(&real, &target, vec![why])
                    .and_then(|(at, entry)| self.tree.add_default(at, entry))
            }
            FileKind::File if stat.mode & 0o004 == 0 => {
                self.closed.push(real.display().to_string());
                Ok(())
            }
            FileKind::File => {
                if stat.mode & 0o6000 != 0 {
                    self.lost_bits.push(at.to_string());
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

    /// Notices about files that were changed or left out.
    fn notices(self) -> impl Iterator<Item = String> {
        let package = quote(&self.package.value);
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
        lost.into_iter().chain(closed)
    }
}
