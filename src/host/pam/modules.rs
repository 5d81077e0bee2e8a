//! The directory of the PAM modules of a host.

use std::path::{Path, PathBuf};

use super::super::view::HostView;
use crate::error::Result;
use crate::layout::{PAM_MODULE, PAM_MODULE_DIRS};

/// Module that every installation of Linux-PAM has, and that the block uses.
pub(super) const GUARD: &str = "pam_succeed_if.so";
/// Module that sets the limits of limits.conf(5).
pub(super) const LIMITS: &str = "pam_limits.so";

/// PAM modules of a host on which the block depends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Modules {
    /// Directory of the modules of libpam.
    pub directory: PathBuf,
    /// Whether [`PAM_MODULE`] is installed.
    pub has_ours: bool,
    /// Whether pam_limits(8) is installed.
    pub(super) has_limits: bool,
}

impl Modules {
    /// Finds the modules; `None` if libpam is not installed.
    ///
    /// # Errors
    /// `Failed` if a path cannot be read.
    pub fn find(view: &HostView) -> Result<Option<Self>> {
        for directory in PAM_MODULE_DIRS.map(Path::new) {
            if view.stat(&directory.join(GUARD))?.is_some() {
                return Ok(Some(Self {
                    directory: directory.to_owned(),
                    has_ours: view.stat(&directory.join(PAM_MODULE))?.is_some(),
                    has_limits: view.stat(&directory.join(LIMITS))?.is_some(),
                }));
            }
        }
        Ok(None)
    }
}
