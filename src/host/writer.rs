//! Changes of a host.

use std::ffi::OsStr;
use std::ops::Deref;
use std::path::{Component, Path};

use super::dir::Dir;
use super::provenance::Lookup;
use super::stat::{FileKind, Ownership};
use super::view::HostView;
use crate::error::{Error, Result};

/// A host that may be changed. Reads as its [`HostView`] does.
#[derive(Debug)]
pub struct Host {
    view: HostView,
}

impl Deref for Host {
    type Target = HostView;

    fn deref(&self) -> &HostView {
        &self.view
    }
}

impl Host {
    /// The host with the root directory `root`: `/` for the running system.
    ///
    /// # Errors
    /// `Failed` if the caller is not root, and as [`HostView::refuse_unsafe_accounts`].
    pub fn new(root: &Path) -> Result<Self> {
        if !rustix::process::geteuid().is_root() {
            return Err(Error::failed("could not change the host")
                .why("only root may do that")
                .hint("run it with sudo"));
        }
        // For programs of the host that are run: files that jailctl creates get their mode by
        // descriptor.
        rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o022));
        let view = HostView::new(root)?;
        view.refuse_unsafe_accounts()?;
        Ok(Self { view })
    }

    /// As [`HostView::with_id_gap`].
    #[must_use]
    pub fn with_id_gap(self, id_gap: u32) -> Self {
        Self {
            view: self.view.with_id_gap(id_gap),
        }
    }

    /// As [`HostView::with_access_log`].
    #[must_use]
    pub fn with_access_log(self) -> Self {
        Self {
            view: self.view.with_access_log(),
        }
    }

    /// Opens the directory at `path`, which only root controls, and creates its missing components
    /// with the owner `made`. Links like `/run -> ...` are followed, inside the host.
    ///
    /// # Errors
    /// `Failed`; some components may be created.
    pub fn ensure_root_dir(&self, path: &Path, owner: Ownership) -> Result<Dir> {
        let mut known = path;
        while self.stat(known)?.is_none() {
            known = known.parent().unwrap_or(Path::new("/"));
        }
        let mut dir = self.open_dir(known)?;
        for component in path
            .strip_prefix(known)
            .unwrap_or(Path::new(""))
            .components()
        {
            if let Component::Normal(name) = component {
                dir = dir.ensure_dir(Path::new(name), owner)?.0;
            }
        }
        Ok(dir)
    }

    /// Opens the directory at `path`, an argument of the command line, and creates its missing
    /// components with the owner `made`. Follows links as [`HostView::locate`] does: none that a
    /// user other than root could have put there.
    ///
    /// # Errors
    /// `Failed` if there is such a link or a component is no directory; some components may be
    /// created.
    pub fn given_dir(&self, path: &Path, owner: Ownership) -> Result<Dir> {
        let refuse = |why: String| {
            let shown = self.display_path(path).display().to_string();
            Error::failed(format!("could not use `{}`", shown.escape_debug())).why(why)
        };
        let mut known = path;
        let located = loop {
            match self.locate(known)? {
                Lookup::Found(located) => break located,
                Lookup::Missing => known = known.parent().unwrap_or(Path::new("/")),
                Lookup::Refused { at, writer } => {
                    return Err(
                        refuse(Lookup::refusal(&at, &writer)).hint("name the directory itself")
                    );
                }
            }
        };
        if located.stat.kind() != FileKind::Directory {
            let shown = located.real.display().to_string();
            return Err(refuse(format!(
                "`{}` is not a directory",
                shown.escape_debug()
            )));
        }
        let mut dir = Dir::reopen(&located.handle, self.display_path(&located.real))?;
        for component in path
            .strip_prefix(known)
            .unwrap_or(Path::new(""))
            .components()
        {
            match component {
                Component::Normal(name) => dir = dir.ensure_dir(Path::new(name), owner)?.0,
                Component::ParentDir => {
                    return Err(refuse(
                        "it has `..` after a directory that does not exist".to_owned(),
                    ));
                }
                _ => {}
            }
        }
        Ok(dir)
    }

    /// Open directory that contains `path`, and the last component.
    ///
    /// # Errors
    /// `Failed` if the directory does not exist, or `path` is `/`.
    pub fn parent_of<'p>(&self, path: &'p Path) -> Result<(Dir, &'p OsStr)> {
        let name = path
            .file_name()
            .ok_or_else(|| Error::failed(format!("could not change `{}`", path.display())))?;
        Ok((
            self.open_dir(path.parent().unwrap_or(Path::new("/")))?,
            name,
        ))
    }

    /// Opens the directory at `path`, no component of which may be a link; `None` if it does not
    /// exist.
    ///
    /// # Errors
    /// `Failed` if there is a link, or no directory.
    pub fn open_dir_nofollow(&self, path: &Path) -> Result<Option<Dir>> {
        if self.lstat(path)?.is_none() {
            return Ok(None);
        }
        let slash = self.open_dir(Path::new("/"))?;
        slash.try_open_dir(path.strip_prefix("/").unwrap_or(path))
    }

    /// This host without the right to write.
    pub fn view(&self) -> &HostView {
        &self.view
    }
}
