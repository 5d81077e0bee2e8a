//! The digests in a manifest, read without its other fields.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize;

use super::manifest::{FORMAT, SIZE_LIMIT};
use crate::error::Result;
use crate::host::{Digest, HostView};
use crate::layout::MANIFEST;
use crate::names::{JailName, JailPath};
use crate::resolve::ResolvedJail;

/// The digests of the files of a jail. Other fields of the manifest are skipped.
#[derive(Debug, Deserialize)]
pub struct RecordedDigests {
    format: u32,
    root: PathBuf,
    entries: BTreeMap<JailPath, Content>,
}

/// The digest of one entry.
#[derive(Debug, Deserialize)]
struct Content {
    /// SHA-256 digest of the content, of files only.
    sha256: Option<Digest>,
}

impl RecordedDigests {
    /// Reads the digests of a jail; `None` if it has no manifest that this version can read.
    ///
    /// # Errors
    /// [`crate::error::ErrorKind::Failed`] if the manifest exists and cannot be read.
    pub fn load(view: &HostView, name: &JailName) -> Result<Option<Self>> {
        let bytes = view.read(&ResolvedJail::state(name).join(MANIFEST), SIZE_LIMIT)?;
        let contents: Option<Self> = bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        Ok(contents.filter(|contents| contents.format <= FORMAT))
    }

    /// Whether every file has the content that was built. For a jail whose metadata has not
    /// changed.
    ///
    /// # Errors
    /// [`crate::error::ErrorKind::Failed`] if a recorded file is no file any more, or cannot be
    /// read.
    pub fn verify(&self, view: &HostView) -> Result<bool> {
        let Some(inventory) = view.inventory(&self.root, &[], std::iter::empty())? else {
            return Ok(false);
        };
        let is_file = |(path, content): (_, &Content)| content.sha256.map(|_| path);
        let files: Vec<&JailPath> = self.entries.iter().filter_map(is_file).collect();
        let digests = inventory.digests(&files)?;
        Ok(digests
            .into_iter()
            .all(|(path, digest)| self.entries[path].sha256 == Some(digest)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "a host is made in a directory")]
    fn a_byte_that_no_metadata_shows_is_found() {
        let host = std::env::temp_dir().join(format!("jailctl-contents-{}", std::process::id()));
        let state = host.join("var/lib/jailctl/arkham");
        let root = host.join("srv/jails/arkham");
        std::fs::create_dir_all(&state).unwrap();
        std::fs::create_dir_all(root.join("etc")).unwrap();
        let files: Vec<String> = ["welcome", "etc/passwd"]
            .iter()
            .map(|name| {
                std::fs::write(root.join(name), name).unwrap();
                let sha256 = Digest::of(name.as_bytes());
                format!("\"/{name}\":{{\"type\":\"file\",\"sha256\":\"{sha256:?}\"}}")
            })
            .collect();
        let manifest = |format: u32| {
            let entries = files.join(",");
            let text = format!(
                "{{\"format\":{format},\"root\":\"/srv/jails/arkham\",\"entries\":{{\"/etc\":{{}},{entries}}}}}"
            );
            std::fs::write(state.join(MANIFEST), text).unwrap();
        };
        let view = HostView::new(&host).unwrap();
        let name = JailName::parse("arkham").unwrap();
        manifest(FORMAT);
        let contents = RecordedDigests::load(&view, &name).unwrap().unwrap();
        assert!(contents.verify(&view).unwrap());
        std::fs::write(root.join("etc/passwd"), "etc/passwe").unwrap();
        assert!(!contents.verify(&view).unwrap());
        std::fs::remove_file(root.join("etc/passwd")).unwrap();
        contents.verify(&view).unwrap_err();
        manifest(FORMAT + 1);
        assert!(RecordedDigests::load(&view, &name).unwrap().is_none());
        std::fs::remove_dir_all(&host).unwrap();
    }
}
