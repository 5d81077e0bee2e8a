//! One PAM service of a host, and changes of its file.

use std::path::{Path, PathBuf};

use super::super::stat::FileKind;
use super::super::view::HostView;
use super::block;
use super::lines::Facility;
use super::modules::Modules;
use crate::error::{Error, Result};
use crate::layout::{PAM_MODULE, PAM_SERVICE_DIRS};

/// Service that sshd uses, unless its configuration has another (`PAMServiceName`, from OpenSSH
/// 9.8).
pub const SSHD: &str = "sshd";

/// Largest service file that is read, in bytes.
const LIMIT: u64 = 1 << 20;

/// A change of a file of the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edit {
    /// Path of the file.
    pub path: PathBuf,
    /// Text before the change; `None` if the file does not exist.
    pub from: Option<String>,
    /// Text after the change; `None` to delete the file.
    pub to: Option<String>,
}

impl Edit {
    /// Whether the service refuses jailed accounts after the change.
    pub fn adds_refusal(&self) -> bool {
        self.to.as_deref().is_some_and(block::is_refusal)
    }

    /// Whether the change adds or removes the block by which a service refuses jailed accounts.
    pub fn is_refusal(&self) -> bool {
        let mut texts = [&self.from, &self.to].into_iter().flatten();
        texts.any(|text| block::is_refusal(text))
    }
}

/// A service of PAM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// Name, by which programs and other services refer to it.
    name: String,
    /// Path of the service file in the directory of the administrator.
    pub path: PathBuf,
    /// Text of that file; `None` if it does not exist.
    text: Option<String>,
    /// Text of the file of the distribution, which libpam reads if the administrator has none.
    vendor: Option<String>,
}

impl Service {
    /// Reads the service `name`; `None` if the host has none of that name.
    ///
    /// # Errors
    /// `Failed` if a file cannot be read or is not UTF-8.
    pub fn read(view: &HostView, name: &str) -> Result<Option<Self>> {
        let text = |directory: &str| text(view, &Path::new(directory).join(name));
        let path = Path::new(PAM_SERVICE_DIRS[0]).join(name);
        let service = Self {
            name: name.to_owned(),
            // A link stays one: its target is changed.
            path: view
                .resolve_links(&path)?
                .map_or(path, |resolved| resolved.real),
            text: text(PAM_SERVICE_DIRS[0])?,
            vendor: text(PAM_SERVICE_DIRS[1])?,
        };
        Ok(Some(service).filter(|service| service.text.is_some() || service.vendor.is_some()))
    }

    /// Text that libpam reads, without the block.
    pub(super) fn effective(&self) -> String {
        let text = self.text.as_ref().or(self.vendor.as_ref());
        text.map(|text| block::without_block(text))
            .unwrap_or_default()
    }

    /// Text of the administrator's file without the block; if there is none, or one of an earlier
    /// build, lines that include those of the distribution.
    fn base(&self) -> String {
        let vendor_lines = || block::vendor_lines(&self.name);
        match &self.text {
            None => vendor_lines(),
            Some(text) => {
                let bare = block::without_block(text);
                if block::is_former(text) && self.vendor.as_ref() == Some(&bare) {
                    vendor_lines()
                } else {
                    bare
                }
            }
        }
    }

    /// Change that adds the block to the service; `None` if it has the block. `has_session` tells
    /// whether the service has session lines without it.
    pub(super) fn with_block(&self, modules: &Modules, has_session: bool) -> Option<Edit> {
        let base = self.base();
        let source = if base == block::vendor_lines(&self.name) {
            self.vendor.clone().unwrap_or_default()
        } else {
            base.clone()
        };
        self.edit(Some(block::with_block(
            &base,
            &source,
            modules,
            has_session,
        )))
    }

    /// Change by which the service refuses jailed accounts in `facilities`, and has no other block;
    /// `None` if it does. With no facilities, the change that removes the block.
    pub(super) fn with_refusal(&self, facilities: &[Facility]) -> Option<Edit> {
        let base = self.base();
        let is_removed = self.vendor.is_none() && base == block::vendor_lines(&self.name);
        if facilities.is_empty() || is_removed {
            return self.without_block();
        }
        self.edit(Some(block::with_refusal(&base, facilities)))
    }

    /// Change that removes the block, and with it a file that was created for the block; `None` if
    /// there is no block.
    pub(super) fn without_block(&self) -> Option<Edit> {
        let text = self.text.as_ref()?;
        let bare = block::without_block(text);
        if bare == *text {
            return None;
        }
        // Earlier builds copied the file of the distribution.
        let is_created = bare == block::vendor_lines(&self.name)
            || block::is_former(text) && self.vendor.as_ref() == Some(&bare);
        self.edit(Some(bare).filter(|_| !is_created))
    }

    /// Change that deletes the file, if it is a service that earlier builds created.
    pub(super) fn without_former(&self) -> Option<Edit> {
        let text = self.text.as_ref()?;
        if block::is_former_service(text) {
            self.edit(None)
        } else {
            None
        }
    }

    fn edit(&self, to: Option<String>) -> Option<Edit> {
        (self.text != to).then(|| Edit {
            path: self.path.clone(),
            from: self.text.clone(),
            to,
        })
    }

    /// Whether the file of the service has lines that call [`PAM_MODULE`].
    pub fn calls_module(&self) -> bool {
        let mut lines = self.text.iter().flat_map(|text| text.lines());
        lines.any(|line| !line.starts_with('#') && line.contains(PAM_MODULE))
    }
}

/// Whether an entry of a directory of services can be one: the directory can contain other files,
/// and libpam opens only the services that programs name.
pub(super) fn is_service(view: &HostView, path: &Path) -> bool {
    let resolved = view.resolve_links(path).ok().flatten();
    resolved.is_some_and(|resolved| {
        resolved.stat.kind() == FileKind::File && resolved.stat.size <= LIMIT
    })
}

/// Text of a service file; `None` if it does not exist.
pub(super) fn text(view: &HostView, path: &Path) -> Result<Option<String>> {
    let Some(bytes) = view.read(path, LIMIT)? else {
        return Ok(None);
    };
    String::from_utf8(bytes).map(Some).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        Error::failed(format!(
            "could not use the PAM service `{}`",
            path.display()
        ))
        .why(format!("its text is not UTF-8, at byte {at}"))
        .hint("write it again as UTF-8: `iconv -f latin1 -t utf-8`")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::PAM_MODULE_DIRS;

    const VENDOR: &str = "account required pam_unix.so\nsession required pam_loginuid.so\n";
    const BOTH: [Facility; 2] = [Facility::Account, Facility::Session];

    fn service(text: Option<String>, vendor: Option<&str>) -> Service {
        Service {
            name: "sshd".to_owned(),
            path: "/etc/pam.d/sshd".into(),
            text,
            vendor: vendor.map(str::to_owned),
        }
    }

    fn modules() -> Modules {
        Modules {
            directory: PAM_MODULE_DIRS[0].into(),
            has_ours: true,
            has_limits: true,
        }
    }

    #[test]
    fn a_file_that_was_created_for_the_block_goes_with_it() {
        let edit = service(None, Some(VENDOR)).with_block(&modules(), true);
        let edit = edit.expect("a change");
        assert_eq!(edit.from, None);
        let text = edit.to.clone().expect("a text");
        assert!(text.contains("\nsession requisite pam_loginuid.so # jailctl\n"));
        assert!(text.ends_with(
            "auth include /usr/lib/pam.d/sshd\naccount include /usr/lib/pam.d/sshd\n\
             password include /usr/lib/pam.d/sshd\nsession include /usr/lib/pam.d/sshd\n"
        ));
        let after = service(edit.to.clone(), Some(VENDOR));
        assert_eq!(after.with_block(&modules(), true), None);
        let back = after.without_block().expect("a change");
        assert_eq!((back.from, back.to), (edit.to, None));
    }

    #[test]
    fn a_changed_vendor_file_needs_no_change_unless_its_modules_are_passed_on() {
        let later = "session required pam_selinux.so\n";
        let refusing = service(None, Some(VENDOR)).with_refusal(&BOTH);
        let refusing = service(refusing.expect("a change").to, Some(later));
        assert_eq!(refusing.with_refusal(&BOTH), None);
        let sshd = service(None, Some(VENDOR)).with_block(&modules(), true);
        let sshd = service(sshd.expect("a change").to, Some(later));
        let edit = sshd.with_block(&modules(), true).expect("a change");
        assert!(
            edit.to
                .expect("a text")
                .contains("pam_selinux.so # jailctl")
        );
        // The package is gone.
        let gone = service(refusing.text, None);
        assert_eq!(gone.with_refusal(&BOTH).expect("a change").to, None);
    }

    #[test]
    fn a_file_of_the_administrator_stays_though_it_is_the_vendors() {
        let own = service(Some(VENDOR.to_owned()), Some(VENDOR));
        let edit = own.with_refusal(&BOTH).expect("a change");
        let after = service(edit.to, Some(VENDOR));
        assert_eq!(after.with_refusal(&BOTH), None);
        let back = after.without_block().expect("a change");
        assert_eq!(back.to.as_deref(), Some(VENDOR));
    }

    #[test]
    fn a_copy_of_an_earlier_build_becomes_an_include() {
        let former = "# jailctl: begin. For accounts that live in a jail; everybody else skips \
                      these lines.\naccount x # jailctl\n# jailctl: end\n";
        let copy = service(Some(format!("{former}{VENDOR}")), Some(VENDOR));
        let edit = copy.with_refusal(&BOTH).expect("a change");
        assert!(
            edit.to
                .expect("a text")
                .contains("include /usr/lib/pam.d/sshd")
        );
        assert_eq!(copy.without_block().expect("a change").to, None);
    }
}
