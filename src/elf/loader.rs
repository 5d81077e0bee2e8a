//! Which loader a program gets, and the searches that its process makes of it, remembered by what they depend on.

use std::collections::hash_map::Entry;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use super::abi::Abi;
use super::cpu::Cpu;
use super::dst;
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

/// Most bytes of ld.so.cache.
const CACHE: u64 = 64 << 20;

/// A loader by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct LoaderId(usize);

/// The rules that a loader follows.
#[derive(Debug)]
enum Rules {
    Glibc(Glibc),
    Musl(Musl),
}

/// The directories of a search path, and whether it has others that are relative.
type LibraryDirs = (Rc<[PathBuf]>, bool);

/// One loader of the host.
#[derive(Debug)]
pub(super) struct Loader {
    rules: Rules,
    /// The path by which programs name it, and its file where there is one.
    pub(super) path: PathBuf,
    /// Its file.
    pub(super) file: Option<FileId>,
    /// What searches without any search path of an object came to; and the same for objects with `DF_1_NODEFLIB`.
    system: [HashMap<Symbol, SearchResult>; 2],
    /// Search paths as they stand in objects, by their text and the directory of the object.
    paths: HashMap<(Vec<u8>, PathBuf), LibraryDirs>,
}

/// All loaders that were needed so far.
#[derive(Debug)]
pub(super) struct Loaders {
    cpu: Cpu,
    all: Vec<Loader>,
    by_path: HashMap<Abi, HashMap<OsString, LoaderId>>,
    /// The one that was asked for last: most objects have the same.
    last: Option<(Abi, PathBuf, LoaderId)>,
    /// What libraries of a machine get, those that ask for musl's libc and others.
    default_loaders: HashMap<(Abi, bool), PathBuf>,
    /// ld.so.cache, if there is one, as machines read it: by whether they are little-endian, and whether their `char` has a sign.
    caches: HashMap<(bool, bool), Option<Rc<Cache>>>,
    conf: Option<Vec<PathBuf>>,
}

impl Loaders {
    /// None yet.
    pub(super) fn new(cpu: Cpu) -> Self {
        Self {
            cpu,
            all: Vec::new(),
            by_path: HashMap::default(),
            last: None,
            default_loaders: HashMap::default(),
            caches: HashMap::default(),
            conf: None,
        }
    }

    /// A loader.
    pub(super) fn get(&self, id: LoaderId) -> &Loader {
        &self.all[id.0]
    }

    /// A loader, to search with.
    pub(super) fn get_mut(&mut self, id: LoaderId) -> &mut Loader {
        &mut self.all[id.0]
    }

    /// The glibc loaders among them.
    pub(super) fn glibc(&self) -> Vec<LoaderId> {
        (0..self.all.len())
            .map(LoaderId)
            .filter(|id| !self.get(*id).is_musl())
            .collect()
    }

    /// Files by which those that follow musl's rules search.
    pub(super) fn musl_path_files(&self) -> Vec<PathBuf> {
        let settings = self.all.iter().filter_map(|loader| match &loader.rules {
            Rules::Musl(musl) => musl.settings.clone(),
            Rules::Glibc(_) => None,
        });
        settings.collect()
    }

    /// The loader of an object: the one that it names, or for a library the one that its libc has. `None` where `of` is no object.
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
            let default = match self.default_loaders.entry((abi, names_musl)) {
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

    /// The loader that was asked for last, if it is the one of that path.
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
            // A loader for another machine, as an emulator's would be, tells nothing about this one.
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
        let bytes = fs.view().read(Path::new("/etc/ld.so.cache"), CACHE)?;
        let cache = bytes.map(|bytes| Rc::new(Cache::parse(bytes, abi)));
        self.caches.insert(kind, cache.clone());
        Ok(cache)
    }
}

/// Whether the loader at a path is musl's, which is its libc too: by its usual name, or by that of the file itself.
fn is_musl(fs: &FsCache<'_>, path: &Path, file: Option<FileId>) -> bool {
    let is_own = |path: &Path| {
        let name = path.file_name().unwrap_or_default().as_bytes();
        name == b"libc.so" || name.starts_with(b"ld-musl-") || name.starts_with(b"libc.musl-")
    };
    is_own(path) || file.is_some_and(|file| is_own(&fs.file(file).path))
}

/// Asks for a C library by a name that only musl's has.
fn names_musl(info: &ElfInfo) -> bool {
    let mut needs = info.needs.iter();
    needs.any(|(_, name)| &**name == b"libc.so" || name.starts_with(b"libc.musl-"))
}

/// The loader that starts programs which use a library: by the libc that it names, or else by which loader there is.
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
    /// Follows musl's rules, not glibc's.
    pub(super) fn is_musl(&self) -> bool {
        matches!(self.rules, Rules::Musl(_))
    }

    /// Where ld.so.cache has a library of this name, if it has one.
    pub(super) fn cached_path(&self, text: &[u8]) -> Option<PathBuf> {
        match &self.rules {
            Rules::Glibc(glibc) => glibc.cache_entry(text).map(Path::to_owned),
            Rules::Musl(_) => None,
        }
    }

    /// Where an object is searched for that no search path of another leads to.
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
        let before = fs.refused.take();
        let mut outcome = match &self.rules {
            Rules::Glibc(glibc) => glibc.system(fs, text, no_default),
            Rules::Musl(musl) => musl.system(fs, text),
        };
        // Remembered, since the next who asks does not come by there.
        if let SearchResult::Miss(why @ None) = &mut outcome {
            *why = fs.refusal();
        }
        fs.refused = before;
        self.system[usize::from(no_default)].insert(name, outcome.clone());
        outcome
    }

    /// What [`Loader::system`] found before for a name, for objects without `DF_1_NODEFLIB`.
    pub(super) fn known_hit(&self, name: Symbol) -> Option<&Rc<FoundLibrary>> {
        match self.system[0].get(&name) {
            Some(SearchResult::Hit(hit)) => Some(hit),
            _ => None,
        }
    }

    /// How many directories [`Loader::system`] is going to look into for a name; none where it knows the answer.
    pub(super) fn search_cost(&self, name: Symbol, no_default: bool) -> usize {
        if self.system[usize::from(no_default)].contains_key(&name) {
            return 0;
        }
        match &self.rules {
            Rules::Glibc(glibc) => glibc.dir_count(),
            Rules::Musl(musl) => musl.dir_count(),
        }
    }

    /// The directories of an object's search path, which stands in an object that lies in `origin`, whether it has elements that are relative and so left
    /// out, and how many were looked for only now.
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

    /// Looks through directories that [`Loader::expand`] gave. `None` where the search goes on elsewhere.
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

    /// A name with tokens put in; `None` where glibc would give it up. musl puts none in.
    pub(super) fn expand_name(&self, text: &[u8], origin: &Path) -> Option<Vec<u8>> {
        match &self.rules {
            Rules::Glibc(glibc) => dst::expand(text, &glibc.tokens(origin)),
            Rules::Musl(_) => Some(text.to_vec()),
        }
    }

    /// What comes of a name with a slash.
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
