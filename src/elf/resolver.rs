//! Resolver of the files that a caller names: programs are passed to their loader, scripts to their
//! interpreter, and links are followed.

use std::borrow::Cow;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::closure::{Closure, Options, Reason};
use super::context::LoaderContext;
use super::dlopen_note::Priority;
use super::fs_cache::{FsCache, MIN_PARALLEL, PathTarget, PathTrace};
use super::gconv;
use super::graph::{Graph, GraphRecorder};
use super::hash::{HashMap, HashSet};
use super::ids::FileId;
use super::interner::Interner;
use super::link_map::LinkMap;
use super::loader::{LoaderId, Loaders};
use super::missing::MissingReason;
use super::object::FileFormat;
use super::script::{self, Script};
use super::search::SearchResult;
use crate::error::{Error, ErrorKind, Finding, Result};
use crate::host::HostView;

/// Most scripts that interpret each other, as in the kernel (`exec_binprm`).
const MAX_SCRIPTS: usize = 5;

/// Builder of a closure. Results for one file are cached for the next.
#[derive(Debug)]
pub struct Resolver<'v> {
    fs: FsCache<'v>,
    names: Interner,
    loaders: Loaders,
    link_map: LinkMap,
    graph: Graph,
    done: HashSet<FileId>,
    /// Files of the closure whose needs are still to be added.
    queue: Vec<FileId>,
    path_lookups: HashMap<OsString, Option<PathBuf>>,
    /// Interpreter that was found last, by its path as written: most programs name the same one.
    last_interpreter: Option<(PathBuf, FileId)>,
    options: Options,
}

impl<'v> Resolver<'v> {
    /// Creates a resolver without files.
    pub fn new(view: &'v HostView, options: &Options) -> Self {
        Self {
            fs: FsCache::new(view),
            names: Interner::default(),
            loaders: Loaders::new(options.cpu.clone()),
            link_map: LinkMap::default(),
            graph: Graph::default(),
            done: HashSet::default(),
            queue: Vec::new(),
            path_lookups: HashMap::default(),
            last_interpreter: None,
            options: options.clone(),
        }
    }

    /// Adds files and all that they need.
    ///
    /// # Errors
    ///
    /// All files that do not exist ([`ErrorKind::Spec`]) or cannot be read ([`ErrorKind::Failed`]);
    /// none of those is added. [`ErrorKind::Failed`] also for a search configuration that cannot be
    /// read.
    pub fn add_all(&mut self, paths: &[PathBuf]) -> Result<()> {
        let mut error: Option<Error> = None;
        let ends = self.fs.resolve_all(paths);
        if paths.len() >= MIN_PARALLEL {
            self.prefetch(&ends);
        }
        for (path, (end, trace)) in paths.iter().zip(ends) {
            let added = self
                .check_named_file(path, end)
                .and_then(|file| self.add(file, &trace));
            if let Err(next) = added {
                Error::merge(&mut error, next);
            }
        }
        error.map_or(Ok(()), Err)
    }

    /// Reads the libraries that will be needed, many at once, as far as ld.so.cache names them.
    /// This fills caches and changes no result.
    fn prefetch(&mut self, ends: &[(PathTarget, PathTrace)]) {
        let mut requested = HashSet::default();
        let mut ends = Cow::Borrowed(ends);
        while !ends.is_empty() {
            let mut paths = Vec::new();
            for (end, _) in ends.iter() {
                let PathTarget::File(file) = end else {
                    continue;
                };
                let loader = match self.loaders.for_object(&mut self.fs, *file) {
                    Ok(Some(loader)) => loader,
                    Ok(None) => continue,
                    // The error is returned when the file is added.
                    Err(_) => return,
                };
                let FileFormat::Elf(info) = self.fs.content(*file) else {
                    continue;
                };
                if info.is_context_dependent(None) {
                    continue;
                }
                for (_, name) in &self.names.of(self.fs.file(*file).inode, info).needs {
                    if requested.insert((loader, *name))
                        && let Some(path) = self
                            .loaders
                            .get(loader)
                            .cached_path(&self.names.text(*name))
                    {
                        paths.push(path);
                    }
                }
            }
            ends = Cow::Owned(self.fs.resolve_all(&paths));
        }
    }

    /// Checks that a path of the caller resolved to a readable file.
    fn check_named_file(&self, path: &Path, end: PathTarget) -> Result<FileId> {
        let refuse = |view: &HostView, why: &str| {
            let shown = view.display_path(path).display().to_string();
            let finding = Finding::new(format!("could not read `{}`", shown.escape_debug()));
            Error::new(ErrorKind::Failed, finding.why(why))
        };
        let view = self.fs.view();
        if !path.is_absolute() {
            return Err(refuse(view, "the path is not absolute"));
        }
        let file = match end {
            PathTarget::File(file) => file,
            PathTarget::Directory(_) => return Err(refuse(view, "it is a directory")),
            PathTarget::Unusable(why) => return Err(refuse(view, &why.to_string())),
            PathTarget::Absent => {
                let mut error = refuse(view, "no such file or directory");
                error.kind = ErrorKind::Spec;
                return Err(error);
            }
        };
        if let FileFormat::Broken(_, why) = self.fs.content(file) {
            return Err(refuse(view, why));
        }
        Ok(file)
    }

    fn add(&mut self, file: FileId, trace: &PathTrace) -> Result<()> {
        if self.graph.is_named(file) {
            // The path may be a different one.
            self.graph.add_path(file, trace);
            return Ok(());
        }
        self.graph.add_file(file, trace, Reason::Named);
        self.drain_queue(file)
    }

    /// Returns the closure of all files that were added.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Failed`]: a search configuration or a table of gconv could not be read.
    pub fn finish(mut self) -> Result<Closure> {
        let least = self.options.dlopen.unwrap_or(Priority::Required);
        for extra in std::mem::take(&mut self.options.libraries) {
            if extra.priority == Priority::Suggested && least != Priority::Suggested {
                continue;
            }
            let name = self.names.intern(extra.name.as_bytes());
            for id in self.loaders.glibc() {
                let loader = self.loaders.get_mut(id);
                let outcome =
                    loader.search_system(&mut self.fs, name, extra.name.as_bytes(), false);
                if let SearchResult::Hit(hit) = outcome {
                    let why = extra.why.clone();
                    self.graph.add_library(&hit, Reason::Implicit { why });
                    self.drain_queue(hit.file)?;
                }
            }
        }
        if !self.options.charsets.is_empty() {
            for id in self.loaders.glibc() {
                self.add_charsets(id)?;
            }
        }
        self.add_search_settings();
        Ok(self.graph.into_closure(&self.fs, &self.names))
    }

    /// Adds the files that configure the searches of the loaders.
    fn add_search_settings(&mut self) {
        let mut settings = self.loaders.musl_path_files();
        if self.graph.needs_cache() {
            settings.push(PathBuf::from("/etc/ld.so.cache"));
        }
        for path in settings {
            if let (PathTarget::File(file), trace) = self.fs.resolve(&path) {
                let why = "lists directories that the loader searches".to_owned();
                self.graph.add_file(file, &trace, Reason::Implicit { why });
            }
        }
    }

    /// Adds the modules with which the C library of a loader's programs converts character sets.
    fn add_charsets(&mut self, id: LoaderId) -> Result<()> {
        const LIBC: &[u8] = b"libc.so.6";
        let name = self.names.intern(LIBC);
        let loader = self.loaders.get_mut(id);
        let SearchResult::Hit(libc) = loader.search_system(&mut self.fs, name, LIBC, false) else {
            return Ok(());
        };
        let path = Arc::clone(&self.fs.file(libc.file).path);
        let found = gconv::gconv(self.fs.view(), &path, &self.options.charsets)?;
        for (place, why) in found.files() {
            match self.fs.resolve(place) {
                (PathTarget::File(file), trace) => {
                    let why = why.to_owned();
                    self.graph.add_file(file, &trace, Reason::Implicit { why });
                    self.drain_queue(file)?;
                }
                _ => self.graph.add_missing(
                    libc.file,
                    place.as_os_str().as_bytes(),
                    Some(MissingReason::Gconv(why).into()),
                    false,
                ),
            }
        }
        for charset in &found.unknown {
            let why = MissingReason::UnknownCharset;
            self.graph
                .add_missing(libc.file, charset.as_bytes(), Some(why.into()), false);
        }
        Ok(())
    }

    /// Adds the needs of a file of the closure.
    fn drain_queue(&mut self, file: FileId) -> Result<()> {
        self.queue.push(file);
        // Not recursive: the length of a hostile chain of scripts is limited by the disk alone.
        while let Some(file) = self.queue.pop() {
            if !self.done.insert(file) {
                continue;
            }
            match self.fs.content(file) {
                FileFormat::Elf(info) if info.interpreter.is_some() || info.dynamic => {
                    self.add_program(file)?;
                }
                FileFormat::Script(script) => {
                    let script = script.clone();
                    self.add_script(file, &script)?;
                }
                FileFormat::Elf(_) | FileFormat::Broken(..) | FileFormat::Other { .. } => {}
            }
        }
        Ok(())
    }

    fn add_program(&mut self, file: FileId) -> Result<()> {
        let FileFormat::Elf(info) = self.fs.content(file) else {
            return Ok(());
        };
        let interpreter = info.interpreter.clone();
        if interpreter.is_none() && info.needs.is_empty() && info.dlopen_entries.is_empty() {
            return Ok(());
        }
        if let Some(interpreter) = &interpreter {
            // The kernel loads the interpreter alone: its own interpreter and needs count only if
            // it is a program of its own.
            self.find_interpreter(file, interpreter, None);
        }
        let Some(loader) = self.loaders.for_object(&mut self.fs, file)? else {
            return Ok(());
        };
        let mut recorder = GraphRecorder::new(&mut self.graph);
        let mut context = LoaderContext {
            fs: &mut self.fs,
            names: &mut self.names,
            loaders: &mut self.loaders,
            loader,
            dlopen: self.options.dlopen,
        };
        self.link_map.run(file, &mut context, &mut recorder);
        recorder.finish(&self.fs, &self.names);
        let loader = self.loaders.get(loader);
        if let Some(own) = loader
            .file
            .filter(|own| interpreter.is_none() && self.graph.is_wanted(*own))
        {
            // A library that needs the loader by name, as libc does, contains no path of it.
            let (_, trace) = self.fs.resolve(&loader.path);
            self.graph.add_path(own, &trace);
        }
        Ok(())
    }

    /// Adds the interpreter of a program or script, and returns its file. `hint` is the reason to
    /// report if it does not exist.
    fn find_interpreter(
        &mut self,
        of: FileId,
        path: &Path,
        hint: Option<MissingReason>,
    ) -> Option<FileId> {
        let text = path.as_os_str().as_bytes();
        if let Some((known, file)) = &self.last_interpreter
            && known.as_os_str() == path.as_os_str()
        {
            let file = *file;
            self.add_interpreter(of, path, file, &PathTrace::default());
            return Some(file);
        }
        let mut add_missing = |why: MissingReason| {
            self.graph.add_missing(of, text, Some(why.into()), true);
        };
        if text.is_empty() {
            add_missing(MissingReason::UnnamedInterpreter);
            return None;
        }
        if !path.is_absolute() {
            add_missing(MissingReason::RelativePath);
            return None;
        }
        match self.fs.resolve(path) {
            (PathTarget::File(file), trace) => {
                self.add_interpreter(of, path, file, &trace);
                self.last_interpreter = Some((path.to_owned(), file));
                return Some(file);
            }
            (PathTarget::Absent, _) => add_missing(hint.unwrap_or(MissingReason::Interpreter)),
            (PathTarget::Directory(_), _) => {
                add_missing(MissingReason::UnusableInterpreter(
                    "it is a directory".to_owned(),
                ));
            }
            (PathTarget::Unusable(why), _) => {
                add_missing(MissingReason::UnusableInterpreter(why.to_string()));
            }
        }
        None
    }

    /// Adds the interpreter of a program or script, whose path resolved to `file` by way of
    /// `trace`.
    fn add_interpreter(&mut self, of: FileId, path: &Path, file: FileId, trace: &PathTrace) {
        if !self.is_executable(file) {
            let why = MissingReason::InterpreterNotExecutable;
            let name = path.as_os_str().as_bytes();
            self.graph.add_missing(of, name, Some(why.into()), true);
        }
        let of = self.fs.file(of).path.clone();
        self.graph.add_file(file, trace, Reason::Interpreter { of });
    }

    fn add_script(&mut self, file: FileId, script: &Script) -> Result<()> {
        let hint = if script.is_truncated {
            Some(MissingReason::LongFirstLine)
        } else if script.has_carriage_return() {
            Some(MissingReason::CarriageReturn)
        } else {
            None
        };
        if let Some(interpreter) = self.find_interpreter(file, &script.interpreter, hint) {
            if self.is_too_deep(interpreter) {
                let name = script.interpreter.as_os_str().as_bytes();
                let why = MissingReason::NestedScripts;
                self.graph.add_missing(file, name, Some(why.into()), true);
            }
            self.queue.push(interpreter);
        }
        let Some(started) = script.env_program() else {
            return Ok(());
        };
        let found = if script::has_slash(&started.name) {
            Some(PathBuf::from(&started.name))
        } else if let Some(path) = &started.path {
            self.which_of(path, &started.name)
        } else {
            self.which(&started.name)?
        };
        if let Some((PathTarget::File(target), trace)) = found.map(|path| self.fs.resolve(&path)) {
            let of = self.fs.file(file).path.clone();
            self.graph.add_file(target, &trace, Reason::Env { of });
            self.queue.push(target);
        } else {
            let why = MissingReason::NotOnPath;
            let name = started.name.as_bytes();
            self.graph.add_missing(file, name, Some(why.into()), false);
        }
        Ok(())
    }

    /// Whether as many scripts follow each other from this interpreter of a script on that the
    /// kernel fails, as in a circle.
    fn is_too_deep(&mut self, mut interpreter: FileId) -> bool {
        for _ in 1..MAX_SCRIPTS {
            let FileFormat::Script(script) = self.fs.content(interpreter) else {
                return false;
            };
            let next = script.interpreter.clone();
            match self.fs.resolve(&next) {
                (PathTarget::File(file), _) if next.is_absolute() => interpreter = file,
                // Reported where it is named.
                _ => return false,
            }
        }
        matches!(self.fs.content(interpreter), FileFormat::Script(_))
    }

    /// Path of a program in the value of PATH that env(1) sets.
    fn which_of(&mut self, path: &OsStr, name: &OsStr) -> Option<PathBuf> {
        let directories = path.as_bytes().split(|byte| *byte == b':');
        let mut places =
            directories.map(|directory| Path::new(OsStr::from_bytes(directory)).join(name));
        places.find(|place| {
            let end = place.is_absolute().then(|| self.fs.resolve(place).0);
            matches!(end, Some(PathTarget::File(file)) if self.is_executable(file))
        })
    }

    fn is_executable(&self, file: FileId) -> bool {
        self.fs.file(file).stat.mode & 0o111 != 0
    }

    /// Path of a program on the host's PATH, looked up once for each name.
    fn which(&mut self, program: &OsStr) -> Result<Option<PathBuf>> {
        if let Some(known) = self.path_lookups.get(program) {
            return Ok(known.clone());
        }
        let found = match program.to_str() {
            Some(name) => self.fs.view().which(name)?,
            None => None,
        };
        self.path_lookups.insert(program.to_owned(), found.clone());
        Ok(found)
    }
}
