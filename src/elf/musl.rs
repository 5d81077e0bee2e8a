//! Search rules of musl's loader: no cache, one path for all, and the first file of the name,
//! whatever its content.
//!
//! `load_library` and `path_open` of ldso/dynlink.c.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use super::abi::Abi;
use super::dynamic_token;
use super::fs_cache::{FsCache, PathTarget, Unusable};
use super::object::FileFormat;
use super::search::{FoundBy, FoundLibrary, SearchResult, fatal_error};
use crate::error::Result;

/// Room for a path in bytes, its zero byte included: `buf` of `load_library`.
const MAX_PATH_LENGTH: usize = 512;

/// Most bytes of ld-musl-ARCH.path.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// Names of the loader itself, by their part after `lib`.
const LIBC_ALIASES: [&[u8]; 7] = [
    b"c.",
    b"pthread.",
    b"rt.",
    b"m.",
    b"dl.",
    b"util.",
    b"xnet.",
];

/// One loader, with the settings that all its searches share.
#[derive(Debug)]
pub(super) struct Musl {
    abi: Abi,
    directories: Vec<PathBuf>,
    /// File that lists the directories, if it exists.
    pub(super) settings: Option<PathBuf>,
}

impl Musl {
    /// Creates the loader at `loader`, the path that programs name.
    pub(super) fn new(fs: &mut FsCache<'_>, abi: Abi, loader: &Path) -> Result<Self> {
        // Architecture name that is built into the loader; its usual path distinguishes variants
        // that headers do not.
        let usual = abi.paths().map_or("", |paths| paths.musl);
        let arch = loader
            .file_name()
            .and_then(|name| name.as_bytes().strip_prefix(b"ld-musl-"))
            .and_then(|name| name.strip_suffix(b".so.1"))
            .map(|arch| String::from_utf8_lossy(arch).into_owned())
            .filter(|arch| arch.starts_with(usual))
            .unwrap_or_else(|| usual.to_owned());
        // Two components up from the loader, as musl counts: `/` for `/lib/ld-musl-x86_64.so.1`.
        let prefix = loader
            .parent()
            .and_then(Path::parent)
            .unwrap_or(Path::new("/"));
        let file = prefix.join(format!("etc/ld-musl-{arch}.path"));
        let path = fs.view().read(&file, MAX_FILE_BYTES)?;
        let settings = path.is_some().then_some(file);
        let path = path.unwrap_or_else(|| b"/lib:/usr/local/lib:/usr/lib".to_vec());
        Ok(Self {
            abi,
            directories: existing_dirs(fs, &path).0,
            settings,
        })
    }

    /// Whether a name means the loader itself.
    pub(super) fn is_libc_alias(name: &[u8]) -> bool {
        name.strip_prefix(b"lib")
            .is_some_and(|rest| LIBC_ALIASES.iter().any(|own| rest.starts_with(own)))
    }

    /// Number of directories that [`Musl::system`] searches.
    pub(super) fn dir_count(&self) -> usize {
        1 + self.directories.len()
    }

    /// Directories of an object's search path, and whether it has relative elements.
    pub(super) fn expand(fs: &mut FsCache<'_>, path: &[u8], origin: &Path) -> (Vec<PathBuf>, bool) {
        // The part before the last slash of the object's path.
        let origin = match origin.as_os_str().as_bytes() {
            b"/" => Path::new(""),
            _ => origin,
        };
        dynamic_token::musl_path(path, origin)
            .map(|path| existing_dirs(fs, &path))
            .unwrap_or_default()
    }

    /// Searches the loader's directories, which come after all search paths of objects.
    pub(super) fn system(&self, fs: &mut FsCache<'_>, name: &[u8]) -> SearchResult {
        self.search(fs, &self.directories, name, FoundBy::Default)
            .unwrap_or(SearchResult::Miss(None))
    }

    /// Searches directories. `None` if the search continues elsewhere.
    pub(super) fn search(
        &self,
        fs: &mut FsCache<'_>,
        directories: &[PathBuf],
        name: &[u8],
        via: FoundBy,
    ) -> Option<SearchResult> {
        let has_room =
            |directory: &&PathBuf| directory.as_os_str().len() + 1 + name.len() < MAX_PATH_LENGTH;
        directories
            .iter()
            .filter(has_room)
            .find_map(|directory| self.open(fs, directory.join(OsStr::from_bytes(name)), via))
    }

    /// Opens a path. `None` if the loader cannot open it and continues its search.
    pub(super) fn open(
        &self,
        fs: &mut FsCache<'_>,
        opened: PathBuf,
        via: FoundBy,
    ) -> Option<SearchResult> {
        let (file, trace) = match fs.resolve(&opened) {
            (PathTarget::Absent, _) => return None,
            (PathTarget::Directory(_), _) => {
                return Some(fatal_error(&opened, "it is a directory"));
            }
            (PathTarget::Unusable(why @ Unusable::Denied), _) => {
                fs.refused = Some((opened, why));
                return None;
            }
            (PathTarget::Unusable(why), _) => return Some(fatal_error(&opened, &why.to_string())),
            (PathTarget::File(file), trace) => (file, trace),
        };
        Some(match fs.content(file) {
            FileFormat::Elf(info)
                if !self.abi.accepts(info.abi) || info.abi.little != self.abi.little =>
            {
                fatal_error(&opened, "it is for another machine")
            }
            FileFormat::Elf(info) if !info.dynamic => {
                fatal_error(&opened, "it has no dynamic section")
            }
            FileFormat::Elf(_) => SearchResult::Hit(Rc::new(FoundLibrary {
                file,
                opened: opened.into(),
                trace,
                via,
            })),
            FileFormat::Broken(_, why) => fatal_error(&opened, why),
            FileFormat::Script(_) | FileFormat::Other { .. } => {
                fatal_error(&opened, "it is not an ELF file")
            }
        })
    }
}

/// Directories of a search path without absent ones, in which nothing can be opened and the search
/// continues; and whether the path has relative elements.
fn existing_dirs(fs: &mut FsCache<'_>, path: &[u8]) -> (Vec<PathBuf>, bool) {
    let (mut directories, is_relative) = dynamic_token::musl_directories(path);
    directories.retain(|directory| {
        !matches!(
            fs.resolve(directory).0,
            PathTarget::Absent | PathTarget::File(_)
        )
    });
    (directories, is_relative)
}
