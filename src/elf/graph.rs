//! Graph of the objects that need each other, collected from link maps and converted to a
//! [`Closure`] at the end.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;

use super::closure::{Closure, Missing, MissingReason, Needed, Object, ObjectKind, Reason};
use super::dlopen_note::DlopenEntry;
use super::fs_cache::{FsCache, PathTrace};
use super::hash::{HashMap, HashSet};
use super::ids::{DirId, FileId, LinkId};
use super::interner::{Interner, Symbol};
use super::object::FileFormat;
use super::observer::LookupObserver;
use super::search::FoundLibrary;

/// An object that another one needs by name.
#[derive(Debug)]
struct Edge {
    name: Symbol,
    file: FileId,
    /// Path by which the object is opened and the rule that found it; `None` if it was loaded
    /// already.
    hit: Option<Rc<FoundLibrary>>,
}

#[derive(Debug, Default)]
struct Node {
    is_wanted: bool,
    edges: Vec<Edge>,
    /// Index of the edges, once there are [`MIN_INDEXED`] of them.
    edge_index: HashMap<(Symbol, FileId), usize>,
    reasons: Vec<Reason>,
}

/// Fewest edges for which an index is worth its cost.
const MIN_INDEXED: usize = 64;

impl Node {
    /// Position of the edge to a file by a name.
    fn find(&mut self, name: Symbol, file: FileId) -> Option<usize> {
        if self.edges.len() < MIN_INDEXED {
            let mut edges = self.edges.iter();
            return edges.position(|edge| edge.name == name && edge.file == file);
        }
        for (at, edge) in self.edges.iter().enumerate().skip(self.edge_index.len()) {
            self.edge_index.insert((edge.name, edge.file), at);
        }
        self.edge_index.get(&(name, file)).copied()
    }
}

/// Reason why a name is missing, and whether the program fails to start without it.
type MissingInfo = (Option<Rc<MissingReason>>, bool);

/// Collected files, needs and missing names.
#[derive(Debug, Default)]
pub(super) struct Graph {
    /// Nodes by the number of the file; a file that is not part of the closure has no reason and no
    /// edge to it.
    nodes: Vec<Node>,
    links: BTreeMap<LinkId, FileId>,
    dotdot_dirs: BTreeSet<DirId>,
    /// Pairs of an object and a library that it may load at run time, so that each is reported
    /// once.
    dlopen_entries: HashSet<(FileId, FileId)>,
    missing: BTreeMap<(FileId, Vec<u8>), MissingInfo>,
    needs_cache: bool,
    needs_proc: BTreeSet<FileId>,
}

impl Graph {
    /// Adds a file that is part of the closure, for a reason. The caller passes each reason once.
    pub(super) fn add_file(&mut self, file: FileId, trace: &PathTrace, reason: Reason) {
        self.add_path(file, trace);
        let node = self.node(file);
        node.is_wanted = true;
        node.reasons.push(reason);
    }

    fn node(&mut self, file: FileId) -> &mut Node {
        let at = file.0 as usize;
        if self.nodes.len() <= at {
            self.nodes.resize_with(at + 64, Node::default);
        }
        &mut self.nodes[at]
    }

    /// Whether a file is part of the closure because the caller named it.
    pub(super) fn is_named(&self, file: FileId) -> bool {
        let node = self.nodes.get(file.0 as usize);
        node.is_some_and(|node| node.reasons.contains(&Reason::Named))
    }

    /// Whether a file is part of the closure.
    pub(super) fn is_wanted(&self, file: FileId) -> bool {
        self.nodes
            .get(file.0 as usize)
            .is_some_and(|node| node.is_wanted)
    }

    /// Whether a library of the closure is found by ld.so.cache alone.
    pub(super) fn needs_cache(&self) -> bool {
        self.needs_cache
    }

    /// Adds a library that a loader's search found, for a reason.
    pub(super) fn add_library(&mut self, hit: &FoundLibrary, reason: Reason) {
        self.needs_cache |= hit.via.needs_cache();
        self.add_file(hit.file, &hit.trace, reason);
    }

    /// Adds a missing name.
    pub(super) fn add_missing(
        &mut self,
        by: FileId,
        name: &[u8],
        why: Option<Rc<MissingReason>>,
        fatal: bool,
    ) {
        let known = self
            .missing
            .entry((by, name.to_vec()))
            .or_insert((why, fatal));
        known.1 |= fatal;
    }

    /// Adds the links and directories that a path to a file passes.
    pub(super) fn add_path(&mut self, file: FileId, trace: &PathTrace) {
        for link in &trace.links {
            self.links.entry(*link).or_insert(file);
        }
        self.dotdot_dirs.extend(&trace.dotdot_dirs);
    }

    fn connect(&mut self, by: FileId, name: Symbol, file: FileId, hit: Option<&Rc<FoundLibrary>>) {
        self.node(file).is_wanted = true;
        let node = self.node(by);
        let known = node.find(name, file);
        let edges = &mut node.edges;
        if let Some(edge) = known.and_then(|at| edges.get_mut(at)) {
            let Some(hit) = hit else { return };
            // Another program may resolve a different path to the same file, and needs that path
            // too.
            if edge
                .hit
                .as_ref()
                .is_some_and(|known| Rc::ptr_eq(known, hit))
            {
                return;
            }
            edge.hit.get_or_insert_with(|| Rc::clone(hit));
        } else {
            edges.push(Edge {
                name,
                file,
                hit: hit.cloned(),
            });
        }
        if let Some(hit) = hit {
            self.needs_cache |= hit.via.needs_cache();
            self.add_path(file, &hit.trace);
        }
    }

    /// Converts the graph to a [`Closure`], replacing numbers by paths and names.
    pub(super) fn into_closure(self, fs: &FsCache<'_>, names: &Interner) -> Closure {
        let mut closure = Closure::default();
        let path = |file: FileId| Arc::clone(&fs.file(file).path);
        let mut texts: Vec<Option<Arc<OsStr>>> = Vec::new();
        let mut text = |name: Symbol| {
            let at = name.0 as usize;
            if texts.len() <= at {
                texts.resize(at + 256, None);
            }
            let known = &mut texts[at];
            Arc::clone(known.get_or_insert_with(|| OsStr::from_bytes(&names.text(name)).into()))
        };
        let mut nodes = self.nodes;
        for by in 0..nodes.len() {
            let edges = std::mem::take(&mut nodes[by].edges);
            for edge in &edges {
                let reason = Reason::Needed {
                    by: path(FileId(number(by))),
                    name: text(edge.name),
                };
                if let Some(node) = nodes.get_mut(edge.file.0 as usize) {
                    node.reasons.push(reason);
                }
            }
            nodes[by].edges = edges;
        }
        let wanted = (0..nodes.len()).filter(|file| nodes[*file].is_wanted);
        let mut located: Vec<(&Path, Located)> = wanted
            .map(|file| FileId(number(file)))
            .map(|file| (&*fs.file(file).path, Located::File(file)))
            .collect();
        let links = self.links.iter();
        located.extend(links.map(|(link, to)| (&*fs.link(*link).path, Located::Link(*link, *to))));
        // The same order as that of the map below, which moves and compares at a higher cost.
        located.sort_unstable_by(|(one, _), (other, _)| by_component(one, other));
        closure.objects = located
            .into_iter()
            .map(|(at, place)| {
                let object = match place {
                    Located::File(file) => {
                        let node = std::mem::take(&mut nodes[file.0 as usize]);
                        let (kind, interpreter) = match fs.content(file) {
                            FileFormat::Elf(info) => (ObjectKind::Elf, info.interpreter.clone()),
                            FileFormat::Script(script) => {
                                (ObjectKind::Script, Some(script.interpreter.clone()))
                            }
                            FileFormat::Broken(..) | FileFormat::Other { .. } => {
                                (ObjectKind::File, None)
                            }
                        };
                        let needed = node.edges.iter().map(|edge| Needed {
                            name: text(edge.name),
                            path: path(edge.file),
                            opened: edge.hit.as_ref().map(|hit| Arc::clone(&hit.opened)),
                            via: edge.hit.as_ref().map(|hit| hit.via),
                        });
                        Object {
                            kind,
                            stat: fs.file(file).stat.clone(),
                            needed: needed.collect(),
                            interpreter,
                            reasons: node.reasons,
                        }
                    }
                    Located::Link(link, to) => {
                        let link = fs.link(link);
                        Object {
                            kind: ObjectKind::Link {
                                target: link.target.clone(),
                            },
                            stat: link.stat.clone(),
                            needed: Vec::new(),
                            interpreter: None,
                            reasons: vec![Reason::SymlinkTo { to: path(to) }],
                        }
                    }
                };
                (at.to_owned(), object)
            })
            .collect();
        closure.directories = self
            .dotdot_dirs
            .iter()
            .map(|directory| fs.directory(*directory).to_owned())
            .collect::<BTreeSet<PathBuf>>();
        closure.missing = self
            .missing
            .iter()
            .map(|((by, name), (why, fatal))| Missing {
                name: OsString::from_vec(name.clone()),
                needed_by: path(*by).to_path_buf(),
                why: why.as_deref().cloned(),
                fatal: *fatal,
            })
            .collect();
        closure.needs_cache = self.needs_cache;
        closure.needs_proc = self
            .needs_proc
            .iter()
            .map(|file| path(*file).to_path_buf())
            .collect();
        closure
    }
}

/// Entry of the closure at a path.
#[derive(Clone, Copy)]
enum Located {
    /// A file.
    File(FileId),
    /// A link, and the first file for which it was followed.
    Link(LinkId, FileId),
}

/// Order of two paths that have no empty components.
fn by_component(one: &Path, other: &Path) -> Ordering {
    const STEP: usize = 16;
    let (one, other) = (one.as_os_str().as_bytes(), other.as_os_str().as_bytes());
    // Adjacent paths share most of their directories.
    let steps = one.chunks_exact(STEP).zip(other.chunks_exact(STEP));
    let same = STEP * steps.take_while(|(one, other)| one == other).count();
    let key = |byte: &u8| if *byte == b'/' { 0 } else { *byte };
    let rest = one[same..].iter().map(key);
    rest.cmp(other[same..].iter().map(key))
}

/// Index of a node as the number of its file.
fn number(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}

/// Observer that writes into a graph, and keeps lookups whose names it must resolve to text until
/// [`GraphRecorder::finish`].
#[derive(Debug)]
pub(super) struct GraphRecorder<'a> {
    /// Graph that it writes.
    pub(super) graph: &'a mut Graph,
    /// Missing names: the object, the name and the reason.
    pub(super) missed: Vec<(FileId, Symbol, Option<Rc<MissingReason>>)>,
    /// Dlopen entries whose library was found: the object, the entry and the library.
    pub(super) dlopen_entries: Vec<(FileId, Arc<DlopenEntry>, Rc<FoundLibrary>)>,
    /// Dlopen entries whose library is missing: the object, the entry and the reason.
    pub(super) dlopen_missing: Vec<(FileId, Arc<DlopenEntry>, Option<Rc<MissingReason>>)>,
}

impl<'a> GraphRecorder<'a> {
    /// Creates a recorder that writes into a graph.
    pub(super) fn new(graph: &'a mut Graph) -> Self {
        Self {
            graph,
            missed: Vec::new(),
            dlopen_entries: Vec::new(),
            dlopen_missing: Vec::new(),
        }
    }

    /// Writes the lookups that need names as text.
    pub(super) fn finish(self, fs: &FsCache<'_>, names: &Interner) {
        for (by, name, why) in self.missed {
            self.graph.add_missing(by, &names.text(name), why, true);
        }
        for (by, entry, hit) in self.dlopen_entries {
            let reason = Reason::Dlopen {
                by: Arc::clone(&fs.file(by).path),
                feature: entry.feature.clone().or_else(|| entry.description.clone()),
                priority: entry.priority,
            };
            self.graph.add_library(&hit, reason);
        }
        for (by, entry, why) in self.dlopen_missing {
            let name = entry.sonames.first().map_or("", String::as_str);
            let feature = entry.feature.as_ref();
            let why = why.or_else(|| {
                feature.map(|feature| MissingReason::DlopenFeature(feature.clone()).into())
            });
            self.graph.add_missing(by, name.as_bytes(), why, false);
        }
    }
}

impl LookupObserver for GraphRecorder<'_> {
    fn found(&mut self, by: FileId, name: Symbol, hit: &Rc<FoundLibrary>) {
        self.graph.connect(by, name, hit.file, Some(hit));
    }

    fn reused(&mut self, by: FileId, name: Symbol, file: FileId) {
        self.graph.connect(by, name, file, None);
    }

    fn missed(&mut self, by: FileId, name: Symbol, why: Option<Rc<MissingReason>>) {
        self.missed.push((by, name, why));
    }

    fn dlopen_wanted(&mut self, by: FileId, entry: &Arc<DlopenEntry>, hit: &Rc<FoundLibrary>) {
        if self.graph.dlopen_entries.insert((by, hit.file)) {
            self.dlopen_entries
                .push((by, Arc::clone(entry), Rc::clone(hit)));
        } else {
            self.graph.needs_cache |= hit.via.needs_cache();
            self.graph.add_path(hit.file, &hit.trace);
        }
    }

    fn uses_origin(&mut self, program: FileId) {
        self.graph.needs_proc.insert(program);
    }

    fn dlopen_missing(
        &mut self,
        by: FileId,
        entry: &Arc<DlopenEntry>,
        why: Option<Rc<MissingReason>>,
    ) {
        self.dlopen_missing.push((by, Arc::clone(entry), why));
    }
}
