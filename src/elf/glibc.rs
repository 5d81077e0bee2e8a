//! Search rules of glibc's loader: ld.so.cache, the built-in directories with their subdirectories,
//! and the files that it accepts, skips or fails on.
//!
//! ld.so(8), and `_dl_map_object`, `open_path` and `open_verify` of elf/dl-load.c.
//! `LD_LIBRARY_PATH` and similar variables are ignored: the user sets them.

use std::cell::OnceCell;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use super::abi::Abi;
use super::cpu::{Cpu, HwcapsRules};
use super::dynamic_token::{self, Tokens};
use super::fs_cache::{FsCache, PathTarget, PathTrace, Unusable};
use super::ids::{DirId, FileId};
use super::ldso_cache::{Cache, CacheQuery};
use super::missing::MissingReason;
use super::object::{FileFormat, ObjectType};
use super::search::{FoundBy, FoundLibrary, SearchResult, fatal_error};

/// Reaction of a loader to one path.
#[derive(Debug)]
pub(super) enum Probe {
    /// The loader accepts the file.
    Accept(FileId, PathTrace),
    /// The loader continues its search.
    Skip,
    /// The loader skips the rest of the current search path and continues with the next one.
    AbandonPath,
    /// The loader fails, with this reason.
    Fatal(String),
}

/// Directories that exist, each after its subdirectories.
type SearchDirs = Vec<(DirId, PathBuf)>;

/// One loader, with the settings that all its searches share.
#[derive(Debug)]
pub(super) struct Glibc {
    abi: Abi,
    cache: Option<Rc<Cache>>,
    flags: &'static [u32],
    levels: Vec<&'static str>,
    legacy: Option<u64>,
    /// Directories of ld.so.conf, if there is no cache.
    conf: Vec<PathBuf>,
    /// Built-in directories, as the loader spells them.
    defaults: Vec<PathBuf>,
    /// Existing ones of the built-in directories.
    default_dirs: OnceCell<SearchDirs>,
    conf_dirs: OnceCell<SearchDirs>,
    subdirectories: Vec<String>,
    lib: Option<String>,
    platform: Option<&'static str>,
}

impl Glibc {
    /// Creates the loader for `abi`; `loader` is its file if that is known.
    pub(super) fn new(
        fs: &mut FsCache<'_>,
        abi: Abi,
        loader: Option<FileId>,
        cpu: &Cpu,
        cache: Option<Rc<Cache>>,
        conf: &[PathBuf],
    ) -> Self {
        let ldso_info = loader.and_then(|id| fs.ldso_info(id)).unwrap_or_default();
        let paths = abi.paths();
        let mut defaults = ldso_info.directories;
        if defaults.is_empty()
            && let Some(paths) = paths
        {
            let tuple = format!("/lib/{}", paths.tuple);
            let own = format!("/{}", paths.directory);
            for directory in [tuple.as_str(), own.as_str(), "/lib"] {
                for prefix in ["", "/usr"] {
                    defaults.push(PathBuf::from(format!("{prefix}{directory}")));
                }
            }
            defaults.dedup();
        }
        // Upstream `$LIB` is the last component of the first directory; Debian sets it to its
        // multiarch directory below `lib`.
        let lib = defaults.first().and_then(|first| {
            let name = first.file_name()?.to_string_lossy().into_owned();
            let is_below_lib = first.parent().is_some_and(|parent| parent.ends_with("lib"));
            Some(if is_below_lib && name.contains("-linux-") {
                format!("lib/{name}")
            } else {
                name
            })
        });
        let rules = HwcapsRules {
            named: ldso_info.version.is_none_or(|version| version >= (2, 33)),
            legacy: ldso_info.version.is_some_and(|version| version < (2, 37)),
        };
        Self {
            abi,
            flags: paths.map_or(&[0x3], |paths| paths.cache_flags),
            levels: cpu.hwcaps_levels(abi),
            legacy: rules.legacy.then(|| cpu.legacy_hwcap_bits(abi)),
            conf: if cache.is_none() {
                conf.to_vec()
            } else {
                Vec::new()
            },
            cache,
            defaults,
            default_dirs: OnceCell::new(),
            conf_dirs: OnceCell::new(),
            subdirectories: cpu.hwcaps_subdirs(abi, rules),
            lib,
            platform: cpu.platform(abi),
        }
    }

    /// Number of directories that [`Glibc::system`] searches, counting those that are known to
    /// exist.
    pub(super) fn dir_count(&self) -> usize {
        let known = [&self.conf_dirs, &self.default_dirs];
        1 + known
            .iter()
            .filter_map(|dirs| Some(dirs.get()?.len()))
            .sum::<usize>()
    }

    /// Values of the tokens in an object in the directory `origin`.
    pub(super) fn tokens<'a>(&'a self, origin: &'a Path) -> Tokens<'a> {
        Tokens {
            origin,
            lib: self.lib.as_deref(),
            platform: self.platform,
        }
    }

    /// Existing directories of a search path, each after its subdirectories, and whether the path
    /// has relative elements.
    pub(super) fn expand(
        &self,
        fs: &mut FsCache<'_>,
        path: &[u8],
        origin: &Path,
    ) -> (Vec<PathBuf>, bool) {
        let (directories, is_relative) =
            dynamic_token::glibc_directories(path, &self.tokens(origin));
        let dirs = self.with_subdirectories(fs, &directories);
        let directories = dirs.into_iter().map(|(_, directory)| directory);
        (directories.collect(), is_relative)
    }

    fn with_subdirectories(&self, fs: &mut FsCache<'_>, directories: &[PathBuf]) -> SearchDirs {
        let mut all = Vec::new();
        for directory in directories {
            let Some((id, _)) = fs.find_directory(directory) else {
                continue;
            };
            for name in &self.subdirectories {
                let below = directory.join(name);
                if let Some((id, _)) = fs.find_directory(&below) {
                    all.push((id, below));
                }
            }
            all.push((id, directory.clone()));
        }
        all
    }

    /// Existing directories that are the same for all searches, looked up once.
    fn dirs<'a>(
        &self,
        fs: &mut FsCache<'_>,
        known: &'a OnceCell<SearchDirs>,
        directories: &[PathBuf],
    ) -> &'a SearchDirs {
        known.get_or_init(|| self.with_subdirectories(fs, directories))
    }

    /// Searches directories that [`Glibc::expand`] returned. `None` if the search continues
    /// elsewhere.
    pub(super) fn search<'p, D>(
        &self,
        fs: &mut FsCache<'_>,
        directories: D,
        name: &[u8],
        via: FoundBy,
    ) -> Option<SearchResult>
    where
        D: IntoIterator<Item = &'p PathBuf, IntoIter: Clone>,
    {
        let mut directories = directories.into_iter();
        while let Some(directory) = directories.next() {
            let opened = directory.join(OsStr::from_bytes(name));
            match self.probe(fs, &opened) {
                Probe::Accept(file, trace) => {
                    return Some(SearchResult::Hit(Rc::new(FoundLibrary {
                        file,
                        opened: opened.into(),
                        trace,
                        via,
                    })));
                }
                Probe::Skip => {}
                // glibc checks the error once for each directory, after its subdirectories and
                // itself.
                Probe::AbandonPath if self.is_before_its_own(directory, directories.clone()) => {}
                Probe::AbandonPath => return None,
                Probe::Fatal(why) => return Some(fatal_error(&opened, &why)),
            }
        }
        None
    }

    /// Searches the cache and the built-in directories, which come after all search paths of
    /// objects. `no_default` is `DF_1_NODEFLIB` of the object that needs the library.
    pub(super) fn system(
        &self,
        fs: &mut FsCache<'_>,
        name: &[u8],
        no_default: bool,
    ) -> SearchResult {
        if let Some(outcome) = self.cached(fs, name, no_default) {
            return outcome;
        }
        let conf = self.dirs(fs, &self.conf_dirs, &self.conf);
        let conf = conf.iter().map(|(_, directory)| directory);
        if let Some(outcome) = self.search(fs, conf, name, FoundBy::Conf) {
            return outcome;
        }
        let found = (!no_default)
            .then(|| self.search_default_dirs(fs, name))
            .flatten();
        found.unwrap_or_else(|| {
            let is_damaged = self.cache.as_ref().is_some_and(|cache| cache.is_damaged());
            SearchResult::Miss(is_damaged.then(|| MissingReason::DamagedCache.into()))
        })
    }

    /// Path that ld.so.cache has for a name.
    pub(super) fn cache_entry(&self, name: &[u8]) -> Option<&Path> {
        let wanted = CacheQuery {
            flags: self.flags,
            levels: &self.levels,
            legacy: self.legacy,
        };
        self.cache.as_ref()?.find(name, wanted)
    }

    fn cached(&self, fs: &mut FsCache<'_>, name: &[u8], no_default: bool) -> Option<SearchResult> {
        let opened = self.cache_entry(name)?;
        if no_default && self.is_default(opened) {
            return None;
        }
        match self.probe(fs, opened) {
            Probe::Accept(file, mut trace) => {
                // Rule that finds the file in a copy of the tree that has no cache.
                let without_cache = (!no_default)
                    .then(|| self.search_default_dirs(fs, name))
                    .flatten();
                let via = match without_cache {
                    Some(SearchResult::Hit(hit)) if hit.file == file => {
                        trace.join(&hit.trace);
                        FoundBy::Default
                    }
                    _ => FoundBy::Cache,
                };
                Some(SearchResult::Hit(Rc::new(FoundLibrary {
                    file,
                    opened: opened.into(),
                    trace,
                    via,
                })))
            }
            Probe::Skip | Probe::AbandonPath => None,
            Probe::Fatal(why) => Some(fatal_error(opened, &why)),
        }
    }

    /// Searches the built-in directories.
    fn search_default_dirs(&self, fs: &mut FsCache<'_>, name: &[u8]) -> Option<SearchResult> {
        let defaults = self.dirs(fs, &self.default_dirs, &self.defaults);
        let defaults = defaults.iter().map(|(_, directory)| directory);
        self.search(fs, defaults, name, FoundBy::Default)
    }

    /// Whether a directory is a subdirectory of one that follows in the search.
    fn is_before_its_own<'p>(
        &self,
        directory: &Path,
        mut later: impl Iterator<Item = &'p PathBuf>,
    ) -> bool {
        later.any(|later| {
            let below = directory.strip_prefix(later);
            below.is_ok_and(|below| {
                self.subdirectories
                    .iter()
                    .any(|name| below == Path::new(name))
            })
        })
    }

    /// Whether a path begins with one of the built-in directories. The loader compares the text.
    fn is_default(&self, path: &Path) -> bool {
        self.defaults
            .iter()
            .any(|directory| path.starts_with(directory))
    }

    /// Checks a path as `open_verify` and `_dl_map_object_from_fd` do.
    pub(super) fn probe(&self, fs: &mut FsCache<'_>, path: &Path) -> Probe {
        let (file, trace) = match fs.resolve(path) {
            (PathTarget::Absent, _) => return Probe::Skip,
            (PathTarget::Directory(_), _) => return Probe::Fatal("it is a directory".to_owned()),
            (PathTarget::Unusable(why @ (Unusable::Denied | Unusable::Unopened(_))), _) => {
                let probe = match why {
                    Unusable::Denied => Probe::Skip,
                    _ => Probe::AbandonPath,
                };
                fs.refused = Some((path.to_owned(), why));
                return probe;
            }
            (PathTarget::Unusable(Unusable::Special), _) => {
                return Probe::Fatal(Unusable::Special.to_string());
            }
            (PathTarget::File(file), trace) => (file, trace),
        };
        let content = fs.content(file);
        let abi = match content {
            FileFormat::Elf(info) => Some(info.abi),
            FileFormat::Broken(abi, _) => *abi,
            FileFormat::Script(_) | FileFormat::Other { .. } => None,
        };
        if let Some(abi) = abi {
            if abi.wide == self.abi.wide && abi.little != self.abi.little {
                return Probe::Fatal("it is of the other byte order".to_owned());
            }
            if !self.abi.accepts(abi) {
                return Probe::Skip;
            }
        }
        match content {
            FileFormat::Elf(info) if info.role != ObjectType::Shared => {
                Probe::Fatal("it is a program, not a library".to_owned())
            }
            FileFormat::Elf(info) if !info.dynamic => {
                Probe::Fatal("it has no dynamic section".to_owned())
            }
            FileFormat::Elf(info) => match info.load_error {
                Some(why) => Probe::Fatal(why.to_owned()),
                None => Probe::Accept(file, trace),
            },
            FileFormat::Broken(_, why) => Probe::Fatal(why.clone()),
            FileFormat::Other { short: true } => Probe::Fatal("it is too short".to_owned()),
            FileFormat::Other { short: false } | FileFormat::Script(_) => {
                Probe::Fatal("it is not an ELF file".to_owned())
            }
        }
    }
}
