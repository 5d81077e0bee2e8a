//! How musl's loader searches: no cache, one path for all, and the first file of the name, whatever it is.
//!
//! `load_library` and `path_open` of ldso/dynlink.c.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use super::abi::Abi;
use super::glibc::{Hit, Outcome, Via, failure};
use super::object::Content;
use super::token;
use super::tree::{End, Refusal, Tree};
use crate::error::Result;

/// Bytes that a searched path has room for, its end included: `buf` of `load_library`.
const ROOM: usize = 512;

/// Most bytes of ld-musl-ARCH.path.
const SIZE: u64 = 1 << 20;

/// Libraries that are the loader itself, by what follows `lib`.
const OWN: [&[u8]; 7] = [
    b"c.",
    b"pthread.",
    b"rt.",
    b"m.",
    b"dl.",
    b"util.",
    b"xnet.",
];

/// One loader, and all that its searches have in common.
#[derive(Debug)]
pub(super) struct Musl {
    abi: Abi,
    directories: Vec<PathBuf>,
    /// The file that names the directories, where there is one.
    pub(super) settings: Option<PathBuf>,
}

impl Musl {
    /// The loader at `loader`, the path that programs name.
    pub(super) fn new(tree: &mut Tree<'_>, abi: Abi, loader: &Path) -> Result<Self> {
        // Built into it; its usual name tells variants apart that headers do not.
        let usual = abi.custom().map_or("", |custom| custom.musl);
        let arch = loader
            .file_name()
            .and_then(|name| name.as_bytes().strip_prefix(b"ld-musl-"))
            .and_then(|name| name.strip_suffix(b".so.1"))
            .map(|arch| String::from_utf8_lossy(arch).into_owned())
            .filter(|arch| arch.starts_with(usual))
            .unwrap_or_else(|| usual.to_owned());
        // Two components up from the loader, as musl counts: `/lib/ld-musl-x86_64.so.1` gives `/`.
        let prefix = loader
            .parent()
            .and_then(Path::parent)
            .unwrap_or(Path::new("/"));
        let file = prefix.join(format!("etc/ld-musl-{arch}.path"));
        let path = tree.view().read(&file, SIZE)?;
        let settings = path.is_some().then_some(file);
        let path = path.unwrap_or_else(|| b"/lib:/usr/local/lib:/usr/lib".to_vec());
        Ok(Self {
            abi,
            directories: usable(tree, &path).0,
            settings,
        })
    }

    /// Whether a name means the loader itself.
    pub(super) fn is_own(name: &[u8]) -> bool {
        name.strip_prefix(b"lib")
            .is_some_and(|rest| OWN.iter().any(|own| rest.starts_with(own)))
    }

    /// How many directories [`Musl::system`] looks into.
    pub(super) fn breadth(&self) -> usize {
        1 + self.directories.len()
    }

    /// The directories of an object's own search path, and whether elements are relative.
    pub(super) fn expand(tree: &mut Tree<'_>, path: &[u8], origin: &Path) -> (Vec<PathBuf>, bool) {
        // What is before the last slash of the object's path.
        let origin = match origin.as_os_str().as_bytes() {
            b"/" => Path::new(""),
            _ => origin,
        };
        token::musl_path(path, origin)
            .map(|path| usable(tree, &path))
            .unwrap_or_default()
    }

    /// The search behind all search paths of objects.
    pub(super) fn system(&self, tree: &mut Tree<'_>, name: &[u8]) -> Outcome {
        self.search(tree, &self.directories, name, Via::Default)
            .unwrap_or(Outcome::Miss(None))
    }

    /// Looks through directories. `None` where the search goes on elsewhere.
    pub(super) fn search(
        &self,
        tree: &mut Tree<'_>,
        directories: &[PathBuf],
        name: &[u8],
        via: Via,
    ) -> Option<Outcome> {
        let has_room = |directory: &&PathBuf| directory.as_os_str().len() + 1 + name.len() < ROOM;
        directories
            .iter()
            .filter(has_room)
            .find_map(|directory| self.open(tree, directory.join(OsStr::from_bytes(name)), via))
    }

    /// What the loader does with a path. `None` where it cannot open it.
    pub(super) fn open(&self, tree: &mut Tree<'_>, opened: PathBuf, via: Via) -> Option<Outcome> {
        let (file, way) = match tree.walk(&opened) {
            (End::Absent, _) => return None,
            (End::Directory(_), _) => return Some(failure(&opened, "it is a directory")),
            (End::Unusable(why @ Refusal::Denied), _) => {
                tree.refused = Some((opened, why));
                return None;
            }
            (End::Unusable(why), _) => return Some(failure(&opened, &why.to_string())),
            (End::File(file), way) => (file, way),
        };
        Some(match tree.content(file) {
            Content::Elf(facts)
                if !self.abi.takes(facts.abi) || facts.abi.little != self.abi.little =>
            {
                failure(&opened, "it is for another machine")
            }
            Content::Elf(facts) if !facts.dynamic => failure(&opened, "it has no dynamic section"),
            Content::Elf(_) => Outcome::Hit(Rc::new(Hit {
                file,
                opened: opened.into(),
                way,
                via,
            })),
            Content::Broken(_, why) => failure(&opened, why),
            Content::Script(_) | Content::Other { .. } => failure(&opened, "it is not an ELF file"),
        })
    }
}

/// The directories of a search path, without those that are not there: nothing in them can be opened, and the search goes on.
fn usable(tree: &mut Tree<'_>, path: &[u8]) -> (Vec<PathBuf>, bool) {
    let (mut directories, is_relative) = token::musl_directories(path);
    directories.retain(|directory| !matches!(tree.walk(directory).0, End::Absent | End::File(_)));
    (directories, is_relative)
}
