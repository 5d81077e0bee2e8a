//! Resolved paths of the host: directories, links and files by number, each queried once.
//!
//! Implements path_resolution(7) below the root of the host and caches every component, so that a
//! thousand programs that use the same libraries cost no more system calls than one. Each file is
//! opened and read once, however many names it has.

use std::cell::OnceCell;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::thread;

use super::file_reader::{self, FileContent, Request};
use super::hash::HashMap;
use super::ids::{DirId, FileId, InodeId, LinkId};
use super::ldso_info::{self, LdsoInfo};
use super::missing::MissingReason;
use super::object::{ElfInfo, FileFormat};
use super::path_queue::{PathQueue, ends_in_directory};
use crate::error::os_error_text;
use crate::host::{DirReader, FileKind, HostView, Stat};

/// Most links followed before a path counts as a loop, as in path_resolution(7).
const MAX_LINKS: usize = 40;
/// Most directories kept open.
const MAX_OPEN: usize = 128;
/// Most absent names that are cached.
const MAX_ABSENT: usize = 1 << 18;
/// Longest name in bytes, as in path_resolution(7).
const NAME_MAX: usize = 255;
/// Most directories that one path may leave by `..`.
const MAX_DOTDOT_DIRS: usize = 256;
/// Fewest files for which threads are worth their cost.
pub(super) const MIN_PARALLEL: usize = 64;
/// Files that a thread gets at once.
const BATCH: usize = 16;
/// Most directories whose textual paths are cached.
const MAX_DIR_LOOKUPS: usize = 4096;
/// Longest path in bytes, its zero byte included, as in path_resolution(7).
const PATH_MAX: usize = 4096;

/// A symbolic link.
#[derive(Debug)]
pub(super) struct Link {
    /// Path of the link, free of links except for its last component.
    pub(super) path: PathBuf,
    /// Text of the link.
    pub(super) target: PathBuf,
    /// Stat of the link itself.
    pub(super) stat: Stat,
}

/// A regular file.
#[derive(Debug)]
pub(super) struct RegularFile {
    /// Path of the file, free of links.
    pub(super) path: Arc<Path>,
    /// Stat of the file.
    pub(super) stat: Stat,
    /// Number of the inode, which has the content.
    pub(super) inode: InodeId,
}

/// Result of one component of a path.
#[derive(Clone, Debug)]
enum Component {
    Absent,
    Directory(DirId),
    Link(LinkId),
    File(FileId),
    /// A file that exists and cannot be used.
    Unusable(Unusable),
}

/// Reason why an existing file cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Unusable {
    /// The system denies access.
    Denied,
    /// The file is a device, a pipe or a socket.
    Special,
    /// The file cannot be opened for another reason, such as a loop of links.
    Unopened(Rc<str>),
}

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Denied => "permission denied",
            Self::Special => "it is a device, a pipe or a socket",
            Self::Unopened(why) => why,
        })
    }
}

#[derive(Debug)]
struct Directory {
    path: PathBuf,
    parent: DirId,
    components: HashMap<OsString, Component>,
    entries: Option<Arc<DirReader>>,
}

/// Links and directories that resolving a path passes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct PathTrace {
    /// Links, in the order in which they were followed.
    pub(super) links: Vec<LinkId>,
    /// Directories that were entered and left again by `..`: they must exist, whether or not any of
    /// their files is used.
    pub(super) dotdot_dirs: Vec<DirId>,
}

impl PathTrace {
    /// Adds the links and directories of another trace.
    pub(super) fn join(&mut self, other: &Self) {
        for link in &other.links {
            if !self.links.contains(link) {
                self.links.push(*link);
            }
        }
        for directory in &other.dotdot_dirs {
            if !self.dotdot_dirs.contains(directory) {
                self.dotdot_dirs.push(*directory);
            }
        }
    }
}

/// Result of resolving a path.
#[derive(Clone, Debug)]
pub(super) enum PathTarget {
    /// The path does not exist.
    Absent,
    /// A directory.
    Directory(DirId),
    /// A regular file.
    File(FileId),
    /// Anything else: a special file, a loop of links, or a path to which access is denied.
    Unusable(Unusable),
}

/// Cache of the host's paths and files.
#[derive(Debug)]
pub(super) struct FsCache<'v> {
    view: &'v HostView,
    directories: Vec<Directory>,
    /// Resolved directories by their absolute textual path: most paths that are looked up are in
    /// the same few.
    dir_lookups: HashMap<Box<[u8]>, (DirId, PathTrace)>,
    /// Directories that are open.
    open: Vec<DirId>,
    links: Vec<Link>,
    files: Vec<RegularFile>,
    contents: Vec<FileFormat>,
    /// Build constants of the loaders among the files.
    ldso_info: HashMap<InodeId, Option<LdsoInfo>>,
    inodes: HashMap<(u64, u64), InodeId>,
    /// Number of absent names that are cached.
    absent_count: usize,
    /// Files whose reading is deferred, while [`FsCache::resolve_all`] defers it.
    deferred_reads: Option<Vec<Request>>,
    /// File that the current search last failed to open, and the reason.
    pub(super) refused: Option<(PathBuf, Unusable)>,
    /// Number of processors.
    thread_count: OnceCell<usize>,
}

impl<'v> FsCache<'v> {
    /// Creates a cache that holds the root directory alone.
    pub(super) fn new(view: &'v HostView) -> Self {
        Self {
            view,
            directories: vec![Directory {
                path: PathBuf::from("/"),
                parent: DirId(0),
                components: HashMap::default(),
                entries: None,
            }],
            dir_lookups: HashMap::default(),
            open: Vec::new(),
            links: Vec::new(),
            files: Vec::new(),
            contents: Vec::new(),
            ldso_info: HashMap::default(),
            inodes: HashMap::default(),
            absent_count: 0,
            deferred_reads: None,
            refused: None,
            thread_count: OnceCell::new(),
        }
    }

    /// Reason that the current search last failed to open a file.
    pub(super) fn refusal(&self) -> Option<Rc<MissingReason>> {
        let (path, why) = self.refused.as_ref()?;
        let (path, why) = (path.clone(), why.to_string());
        Some(MissingReason::Unopened { path, why }.into())
    }

    /// Host of the cache.
    pub(super) fn view(&self) -> &'v HostView {
        self.view
    }

    /// Path of a directory, free of links.
    pub(super) fn directory(&self, id: DirId) -> &Path {
        &self.directories[id.0 as usize].path
    }

    /// Symbolic link of a number.
    pub(super) fn link(&self, id: LinkId) -> &Link {
        &self.links[id.0 as usize]
    }

    /// Regular file of a number.
    pub(super) fn file(&self, id: FileId) -> &RegularFile {
        &self.files[id.0 as usize]
    }

    /// Content of a file.
    pub(super) fn content(&self, id: FileId) -> &FileFormat {
        &self.contents[self.file(id).inode.0 as usize]
    }

    /// Headers of a file that is a valid ELF object.
    pub(super) fn elf(&self, id: FileId) -> Option<&ElfInfo> {
        match self.content(id) {
            FileFormat::Elf(info) => Some(info),
            _ => None,
        }
    }

    /// Resolves an absolute path.
    pub(super) fn resolve(&mut self, path: &Path) -> (PathTarget, PathTrace) {
        let bytes = path.as_os_str().as_bytes();
        let slash = bytes.iter().rposition(|byte| *byte == b'/');
        let Some((dir, name)) = slash.map(|slash| bytes.split_at(slash + 1)) else {
            return self.walk_from(DirId(0), path, PathTrace::default());
        };
        if bytes.len() >= PATH_MAX {
            return self.walk_from(DirId(0), path, PathTrace::default());
        }
        let (directory, trace) = if let Some((directory, trace)) = self.dir_lookups.get(dir) {
            (*directory, trace.clone())
        } else {
            let (end, trace) = self.walk_from(
                DirId(0),
                Path::new(OsStr::from_bytes(dir)),
                PathTrace::default(),
            );
            let PathTarget::Directory(directory) = end else {
                return self.walk_from(DirId(0), path, PathTrace::default());
            };
            if self.dir_lookups.len() < MAX_DIR_LOOKUPS {
                self.dir_lookups
                    .insert(dir.into(), (directory, trace.clone()));
            }
            (directory, trace)
        };
        if !matches!(name, b"" | b"." | b"..") {
            // Nearly all paths end here: no more components, and no link.
            let end = match self.component(directory, OsStr::from_bytes(name)) {
                Component::Absent => PathTarget::Absent,
                Component::Unusable(why) => PathTarget::Unusable(why),
                Component::File(id) => PathTarget::File(id),
                Component::Directory(id) => PathTarget::Directory(id),
                Component::Link(_) => {
                    return self.walk_from(directory, Path::new(OsStr::from_bytes(name)), trace);
                }
            };
            return (end, trace);
        }
        self.walk_from(directory, Path::new(OsStr::from_bytes(name)), trace)
    }

    /// Directory at an absolute path.
    pub(super) fn find_directory(&mut self, path: &Path) -> Option<(DirId, PathTrace)> {
        match self.resolve(path) {
            (PathTarget::Directory(id), trace) => Some((id, trace)),
            _ => None,
        }
    }

    /// Resolves a path relative to a directory that was reached by `trace`.
    fn walk_from(
        &mut self,
        start: DirId,
        path: &Path,
        mut trace: PathTrace,
    ) -> (PathTarget, PathTrace) {
        if path.as_os_str().len() >= PATH_MAX {
            return (
                PathTarget::Unusable(Unusable::Unopened("file name too long".into())),
                trace,
            );
        }
        let mut here = start;
        let mut queue = PathQueue::new(path);
        let must_be_directory = ends_in_directory(path);
        let mut end = PathTarget::Directory(here);
        while let Some(part) = queue.next() {
            match end {
                PathTarget::Directory(_) => {}
                // A file that may not be queried may be a directory.
                PathTarget::Unusable(Unusable::Denied | Unusable::Unopened(_)) => {
                    return (end, trace);
                }
                _ => return (PathTarget::Absent, trace),
            }
            let part = OsStr::from_bytes(&part);
            if part == ".." {
                if here != DirId(0) && !trace.dotdot_dirs.contains(&here) {
                    if trace.dotdot_dirs.len() == MAX_DOTDOT_DIRS {
                        let why = "it leaves too many directories by `..`";
                        return (PathTarget::Unusable(Unusable::Unopened(why.into())), trace);
                    }
                    trace.dotdot_dirs.push(here);
                }
                here = self.directories[here.0 as usize].parent;
                end = PathTarget::Directory(here);
                continue;
            }
            end = match self.component(here, part) {
                Component::Absent => return (PathTarget::Absent, trace),
                Component::Unusable(why) => PathTarget::Unusable(why),
                Component::File(id) => PathTarget::File(id),
                Component::Directory(id) => {
                    here = id;
                    PathTarget::Directory(id)
                }
                Component::Link(id) => {
                    if trace.links.len() == MAX_LINKS {
                        let why = "too many levels of symbolic links";
                        return (PathTarget::Unusable(Unusable::Unopened(why.into())), trace);
                    }
                    trace.links.push(id);
                    let target = &self.links[id.0 as usize].target;
                    if target.is_absolute() {
                        here = DirId(0);
                    }
                    queue.push(target);
                    PathTarget::Directory(here)
                }
            };
        }
        if must_be_directory && matches!(end, PathTarget::File(_)) {
            end = PathTarget::Absent;
        }
        (end, trace)
    }

    fn component(&mut self, directory: DirId, name: &OsStr) -> Component {
        if name.len() > NAME_MAX {
            return Component::Unusable(Unusable::Unopened("file name too long".into()));
        }
        let dir = &self.directories[directory.0 as usize];
        if let Some(known) = dir.components.get(name) {
            return known.clone();
        }
        let path = dir.path.join(name);
        let component = self
            .read_component(directory, path, name)
            .unwrap_or_else(|error| {
                Component::Unusable(match error.kind() {
                    io::ErrorKind::PermissionDenied => Unusable::Denied,
                    _ => Unusable::Unopened(os_error_text(&error).into()),
                })
            });
        let is_absent = matches!(component, Component::Absent);
        if !is_absent || self.absent_count < MAX_ABSENT {
            self.absent_count += usize::from(is_absent);
            let components = &mut self.directories[directory.0 as usize].components;
            components.insert(name.to_owned(), component.clone());
        }
        component
    }

    fn read_component(
        &mut self,
        parent: DirId,
        path: PathBuf,
        name: &OsStr,
    ) -> io::Result<Component> {
        let entries = self.entries(parent)?;
        let Some(stat) = entries.lstat(name)? else {
            return Ok(Component::Absent);
        };
        Ok(match stat.kind() {
            FileKind::Directory => {
                self.directories.push(Directory {
                    path,
                    parent,
                    components: HashMap::default(),
                    entries: None,
                });
                Component::Directory(DirId(number(self.directories.len())))
            }
            FileKind::Symlink => {
                let target = entries.read_link(name)?;
                self.links.push(Link { path, target, stat });
                Component::Link(LinkId(number(self.links.len())))
            }
            FileKind::File => {
                let inode = match self.inodes.get(&(stat.dev, stat.ino)) {
                    Some(inode) => *inode,
                    None => self.read(&entries, name, &stat)?,
                };
                let path = path.into();
                self.files.push(RegularFile { path, stat, inode });
                Component::File(FileId(number(self.files.len())))
            }
            FileKind::Special => Component::Unusable(Unusable::Special),
        })
    }

    /// Open descriptor of a directory. At most [`MAX_OPEN`] are kept open.
    fn entries(&mut self, id: DirId) -> io::Result<Arc<DirReader>> {
        if let Some(open) = &self.directories[id.0 as usize].entries {
            return Ok(Arc::clone(open));
        }
        if self.open.len() == MAX_OPEN {
            for id in self.open.drain(..) {
                self.directories[id.0 as usize].entries = None;
            }
        }
        let directory = &mut self.directories[id.0 as usize];
        let entries = self
            .view
            .open_dir_reader(&directory.path)
            .map(Arc::new)
            .map_err(io::Error::other)?;
        directory.entries = Some(Arc::clone(&entries));
        self.open.push(id);
        Ok(entries)
    }

    fn read(&mut self, entries: &Arc<DirReader>, name: &OsStr, stat: &Stat) -> io::Result<InodeId> {
        let id = InodeId(number(self.contents.len() + 1));
        let request = Request {
            inode: id,
            entries: Arc::clone(entries),
            name: name.to_owned(),
            size: stat.size,
        };
        let read = if let Some(deferred_reads) = &mut self.deferred_reads {
            deferred_reads.push(request);
            None
        } else {
            Some(request.read()?)
        };
        // The content of a deferred file is filled in later.
        self.contents.push(FileFormat::Other { short: true });
        self.inodes.insert((stat.dev, stat.ino), id);
        self.fill(read);
        Ok(id)
    }

    /// Build constants of a loader. The file is read again only if it did not have the name of a
    /// loader.
    pub(super) fn ldso_info(&mut self, loader: FileId) -> Option<LdsoInfo> {
        let regular = &self.files[loader.0 as usize];
        if let Some(known) = self.ldso_info.get(&regular.inode) {
            return known.clone();
        }
        let file = self.view.open(&regular.path).ok()?;
        let ldso_info = ldso_info::read(&file, regular.stat.size);
        self.ldso_info.insert(regular.inode, ldso_info.clone());
        ldso_info
    }

    /// Resolves absolute paths. If there are many, their files are read on as many threads as there
    /// are processors.
    pub(super) fn resolve_all(&mut self, paths: &[PathBuf]) -> Vec<(PathTarget, PathTrace)> {
        // Counting processors costs more than reading a few files.
        let thread_count = match paths.len() {
            0..MIN_PARALLEL => 1,
            _ => *self
                .thread_count
                .get_or_init(|| thread::available_parallelism().map_or(1, usize::from)),
        };
        if thread_count == 1 {
            return paths.iter().map(|path| self.resolve(path)).collect();
        }
        let mut targets = Vec::with_capacity(paths.len());
        let mut paths = paths.iter().peekable();
        while paths.peek().is_some() {
            let (sender, receiver) = mpsc::channel();
            let receiver = Mutex::new(receiver);
            thread::scope(|scope| {
                let others: Vec<_> = (1..thread_count)
                    .map(|_| scope.spawn(|| file_reader::read_all(&receiver)))
                    .collect();
                self.deferred_reads = Some(Vec::with_capacity(BATCH));
                // No more directories than may be open: those of deferred files must stay open.
                while self.open.len() + 2 < MAX_OPEN
                    && let Some(path) = paths.next()
                {
                    targets.push(self.resolve(path));
                    if let Some(batch) = self
                        .deferred_reads
                        .as_mut()
                        .filter(|files| files.len() >= BATCH)
                    {
                        // Sending cannot fail: the receiver exists until this scope ends.
                        let _ = sender.send(std::mem::replace(batch, Vec::with_capacity(BATCH)));
                    }
                }
                let _ = sender.send(self.deferred_reads.take().unwrap_or_default());
                drop(sender);
                self.fill(file_reader::read_all(&receiver));
                for other in others {
                    match other.join() {
                        Ok(read) => self.fill(read),
                        Err(panic) => std::panic::resume_unwind(panic),
                    }
                }
            });
            for id in self.open.drain(..) {
                self.directories[id.0 as usize].entries = None;
            }
        }
        targets
    }

    fn fill(&mut self, all: impl IntoIterator<Item = FileContent>) {
        for read in all {
            self.contents[read.inode.0 as usize] = read.content;
            if read.ldso_info.is_some() {
                self.ldso_info.insert(read.inode, read.ldso_info);
            }
        }
    }
}

/// Index of the last of `length` elements. More than 2^32 would not fit into memory.
fn number(length: usize) -> u32 {
    u32::try_from(length - 1).unwrap_or(u32::MAX)
}
