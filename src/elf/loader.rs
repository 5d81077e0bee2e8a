//! Loaders of the host's programs, with their searches cached by everything that they depend on.

use std::collections::hash_map::Entry;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use super::abi::Abi;
use super::cache_answers;
use super::cpu::Cpu;
use super::dynamic_token;
use super::fs_cache::{FsCache, PathTarget};
use super::glibc::{Glibc, Probe};
use super::hash::HashMap;
use super::ids::FileId;
use super::interner::Symbol;
use super::ldso_cache::Cache;
use super::ldso_conf;
use super::missing::MissingReason;
use super::musl::Musl;
use super::object::{ElfInfo, FileFormat};
use super::search::{FoundBy, FoundLibrary, SearchResult, fatal_error};
use crate::error::Result;

/// Number of a loader.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct LoaderId(usize);

/// Search rules of a loader.
#[derive(Debug)]
enum Rules {
    Glibc(Glibc),
    Musl(Musl),
}

/// Directories of a search path, and whether it has relative elements.
type LibraryDirs = (Rc<[PathBuf]>, bool);

/// One loader of the host.
#[derive(Debug)]
pub(super) struct Loader {
    rules: Rules,
    /// Path by which programs name the loader.
    pub(super) path: PathBuf,
    /// File of the loader, if it exists.
    pub(super) file: Option<FileId>,
    /// Results of searches that use no search path of an object; the second map is for objects with
    /// `DF_1_NODEFLIB`.
    system: [HashMap<Symbol, SearchResult>; 2],
    /// Expanded search paths of objects, by their text and the directory of the object.
    paths: HashMap<(Vec<u8>, PathBuf), LibraryDirs>,
}

/// All loaders that occurred.
#[derive(Debug)]
pub(super) struct Loaders {
    cpu: Cpu,
    all: Vec<Loader>,
    by_path: HashMap<Abi, HashMap<OsString, LoaderId>>,
    /// Loader that was looked up last: most objects have the same one.
    last: Option<(Abi, PathBuf, LoaderId)>,
    /// Paths of the loaders of a machine's libraries, by whether those need musl's libc.
    default_paths: HashMap<(Abi, bool), PathBuf>,
    /// ld.so.cache, if it exists, as machines read it: by whether they are little-endian, and
    /// whether their `char` is signed.
    caches: HashMap<(bool, bool), Option<Rc<Cache>>>,
    conf: Option<Vec<PathBuf>>,
}

impl Loaders {
    /// Creates an empty list.
    pub(super) fn new(cpu: Cpu) -> Self {
        Self {
            cpu,
            all: Vec::new(),
            by_path: HashMap::default(),
            last: None,
            default_paths: HashMap::default(),
            caches: HashMap::default(),
            conf: None,
        }
    }

    /// Loader of a number.
    pub(super) fn get(&self, id: LoaderId) -> &Loader {
        &self.all[id.0]
    }

    /// Loader of a number, with its caches writable.
    pub(super) fn get_mut(&mut self, id: LoaderId) -> &mut Loader {
        &mut self.all[id.0]
    }

    /// Numbers of the glibc loaders.
    pub(super) fn glibc(&self) -> Vec<LoaderId> {
        (0..self.all.len())
            .map(LoaderId)
            .filter(|id| !self.get(*id).is_musl())
            .collect()
    }

    /// Files that list the directories of musl loaders.
    pub(super) fn musl_path_files(&self) -> Vec<PathBuf> {
        let settings = self.all.iter().filter_map(|loader| match &loader.rules {
            Rules::Musl(musl) => musl.settings.clone(),
            Rules::Glibc(_) => None,
        });
        settings.collect()
    }

    /// Loader of an object: its interpreter, or for a library that of its libc. `None` if `of` is
    /// no ELF object.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Failed`](crate::error::ErrorKind::Failed): ld.so.cache, ld.so.conf or musl's
    /// path file could not be read.
    pub(super) fn for_object(
        &mut self,
        fs: &mut FsCache<'_>,
        of: FileId,
    ) -> Result<Option<LoaderId>> {
        let FileFormat::Elf(info) = fs.content(of) else {
            return Ok(None);
        };
        let abi = info.abi;
        let path = if let Some(path) = &info.interpreter {
            if let Some(known) = self.known(abi, path) {
                return Ok(Some(known));
            }
            path.clone()
        } else {
            let names_musl = names_musl(info);
            let default = match self.default_paths.entry((abi, names_musl)) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(room) => room.insert(default_loader(fs, abi, names_musl)),
            };
            let default = default.clone();
            if let Some(known) = self.known(abi, &default) {
                return Ok(Some(known));
            }
            default
        };
        let loader = match self
            .by_path
            .get(&abi)
            .and_then(|of| of.get(path.as_os_str()))
        {
            Some(known) => *known,
            None => self.load(fs, abi, path.clone())?,
        };
        self.last = Some((abi, path, loader));
        Ok(Some(loader))
    }

    /// Loader that was looked up last, if it is the one at that path.
    fn known(&self, abi: Abi, path: &Path) -> Option<LoaderId> {
        let (last_abi, last_path, last) = self.last.as_ref()?;
        (*last_abi == abi && last_path.as_os_str() == path.as_os_str()).then_some(*last)
    }

    fn load(&mut self, fs: &mut FsCache<'_>, abi: Abi, path: PathBuf) -> Result<LoaderId> {
        let file = match fs.resolve(&path) {
            (PathTarget::File(file), _) => Some(file),
            _ => None,
        };
        let rules = if is_musl(fs, &path, file) {
            Rules::Musl(Musl::new(fs, abi, &path)?)
        } else {
            let cache = self.cache(fs, abi)?;
            if cache.is_none() && self.conf.is_none() {
                self.conf = Some(ldso_conf::directories(fs.view())?);
            }
            let conf = self.conf.as_deref().unwrap_or_default();
            // A loader for another machine, such as one of an emulator, has constants of that
            // machine.
            let own = file.filter(|file| match fs.content(*file) {
                FileFormat::Elf(loader) => loader.abi.accepts(abi),
                _ => false,
            });
            Rules::Glibc(Glibc::new(fs, abi, own, &self.cpu, cache, conf))
        };
        let id = LoaderId(self.all.len());
        let by_path = self.by_path.entry(abi).or_default();
        by_path.insert(path.clone().into_os_string(), id);
        self.all.push(Loader {
            rules,
            path,
            file,
            system: [HashMap::default(), HashMap::default()],
            paths: HashMap::default(),
        });
        Ok(id)
    }

    fn cache(&mut self, fs: &FsCache<'_>, abi: Abi) -> Result<Option<Rc<Cache>>> {
        let kind = (abi.little, abi.has_signed_char());
        if let Some(known) = self.caches.get(&kind) {
            return Ok(known.clone());
        }
        let bytes = fs
            .view()
            .read(Path::new(cache_answers::PATH), cache_answers::LIMIT)?;
        let cache = bytes.map(|bytes| Rc::new(Cache::parse(bytes, abi)));
        self.caches.insert(kind, cache.clone());
        Ok(cache)
    }
}

/// Whether the loader at a path is musl's, which is its libc too: by its usual name, or by that of
/// the file itself.
fn is_musl(fs: &FsCache<'_>, path: &Path, file: Option<FileId>) -> bool {
    let is_own = |path: &Path| {
        let name = path.file_name().unwrap_or_default().as_bytes();
        name == b"libc.so" || name.starts_with(b"ld-musl-") || name.starts_with(b"libc.musl-")
    };
    is_own(path) || file.is_some_and(|file| is_own(&fs.file(file).path))
}

/// Whether an object needs a C library by a name that only musl uses.
fn names_musl(info: &ElfInfo) -> bool {
    let mut needs = info.needs.iter();
    needs.any(|(_, name)| &**name == b"libc.so" || name.starts_with(b"libc.musl-"))
}

/// Path of the loader that starts programs which use a library: by the libc that it needs, or else
/// by which loader exists.
fn default_loader(fs: &mut FsCache<'_>, abi: Abi, names_musl: bool) -> PathBuf {
    let paths = abi.paths();
    let musl = paths.map(|paths| PathBuf::from(format!("/lib/ld-musl-{}.so.1", paths.musl)));
    let glibc = paths.map(|paths| PathBuf::from(paths.loader));
    let mut exists = |path: &Option<PathBuf>| {
        path.as_ref()
            .is_some_and(|path| matches!(fs.resolve(path).0, PathTarget::File(_)))
    };
    let chosen = if names_musl || (!exists(&glibc) && exists(&musl)) {
        musl
    } else {
        glibc
    };
    chosen.unwrap_or_else(|| PathBuf::from("/lib/ld.so.1"))
}

impl Loader {
    /// Whether the loader follows musl's rules, not glibc's.
    pub(super) fn is_musl(&self) -> bool {
        matches!(self.rules, Rules::Musl(_))
    }

    /// Path that ld.so.cache has for a library of this name.
    pub(super) fn cached_path(&self, text: &[u8]) -> Option<PathBuf> {
        match &self.rules {
            Rules::Glibc(glibc) => glibc.cache_entry(text).map(Path::to_owned),
            Rules::Musl(_) => None,
        }
    }

    /// Searches ld.so.cache and the default directories.
    pub(super) fn search_system(
        &mut self,
        fs: &mut FsCache<'_>,
        name: Symbol,
        text: &[u8],
        no_default: bool,
    ) -> SearchResult {
        if let Some(known) = self.system[usize::from(no_default)].get(&name) {
            return known.clone();
        }
        fs.view().record_library(text);
        let before = fs.refused.take();
        let mut outcome = match &self.rules {
            Rules::Glibc(glibc) => glibc.system(fs, text, no_default),
            Rules::Musl(musl) => musl.system(fs, text),
        };
        // The reason is cached, since the next search for the name does not meet the file again.
        if let SearchResult::Miss(why @ None) = &mut outcome {
            *why = fs.refusal();
        }
        fs.refused = before;
        self.system[usize::from(no_default)].insert(name, outcome.clone());
        outcome
    }

    /// Cached hit of [`Loader::search_system`] for a name, for objects without `DF_1_NODEFLIB`.
    pub(super) fn known_hit(&self, name: Symbol) -> Option<&Rc<FoundLibrary>> {
        match self.system[0].get(&name) {
            Some(SearchResult::Hit(hit)) => Some(hit),
            _ => None,
        }
    }

    /// Number of directories that [`Loader::search_system`] will search for a name; 0 if the result
    /// is cached.
    pub(super) fn search_cost(&self, name: Symbol, no_default: bool) -> usize {
        if self.system[usize::from(no_default)].contains_key(&name) {
            return 0;
        }
        match &self.rules {
            Rules::Glibc(glibc) => glibc.dir_count(),
            Rules::Musl(musl) => musl.dir_count(),
        }
    }

    /// Directories of the search path of an object in the directory `origin`, whether relative
    /// elements were left out, and the number of elements that were looked up now rather than found
    /// in the cache.
    pub(super) fn expand(
        &mut self,
        fs: &mut FsCache<'_>,
        path: &[u8],
        origin: &Path,
    ) -> (Rc<[PathBuf]>, bool, usize) {
        let key = (path.to_vec(), origin.to_owned());
        if let Some((known, is_relative)) = self.paths.get(&key) {
            return (Rc::clone(known), *is_relative, 0);
        }
        let elements = path.iter().filter(|byte| matches!(byte, b':' | b'\n'));
        let cost = elements.count() * (1 + origin.as_os_str().len() / 256);
        let (directories, is_relative) = match &self.rules {
            Rules::Glibc(glibc) => glibc.expand(fs, path, origin),
            Rules::Musl(_) => Musl::expand(fs, path, origin),
        };
        let directories: Rc<[PathBuf]> = directories.into();
        self.paths
            .insert(key, (Rc::clone(&directories), is_relative));
        (directories, is_relative, cost)
    }

    /// Searches directories that [`Loader::expand`] returned. `None` if the search continues
    /// elsewhere.
    pub(super) fn search(
        &self,
        fs: &mut FsCache<'_>,
        directories: &[PathBuf],
        text: &[u8],
    ) -> Option<SearchResult> {
        match &self.rules {
            Rules::Glibc(glibc) => glibc.search(fs, directories, text, FoundBy::Rpath),
            Rules::Musl(musl) => musl.search(fs, directories, text, FoundBy::Rpath),
        }
    }

    /// Name with tokens expanded; `None` if glibc would reject it. musl expands none.
    pub(super) fn expand_name(&self, text: &[u8], origin: &Path) -> Option<Vec<u8>> {
        match &self.rules {
            Rules::Glibc(glibc) => dynamic_token::expand(text, &glibc.tokens(origin)),
            Rules::Musl(_) => Some(text.to_vec()),
        }
    }

    /// Opens a name that contains a slash.
    pub(super) fn open(&self, fs: &mut FsCache<'_>, text: &[u8]) -> SearchResult {
        let path = PathBuf::from(OsStr::from_bytes(text));
        if path.is_relative() {
            return SearchResult::Miss(Some(MissingReason::RelativePath.into()));
        }
        match &self.rules {
            Rules::Glibc(glibc) => match glibc.probe(fs, &path) {
                Probe::Accept(file, trace) => SearchResult::Hit(Rc::new(FoundLibrary {
                    file,
                    opened: path.into(),
                    trace,
                    via: FoundBy::Path,
                })),
                Probe::Skip | Probe::AbandonPath => SearchResult::Miss(None),
                Probe::Fatal(why) => fatal_error(&path, &why),
            },
            Rules::Musl(musl) => musl
                .open(fs, path, FoundBy::Path)
                .unwrap_or(SearchResult::Miss(None)),
        }
    }
}
