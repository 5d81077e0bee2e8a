//! From the files that a caller names to the objects that they need: programs go to their loader, scripts to their interpreter, links to where they lead.

use std::collections::{HashMap, HashSet};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use super::Options;
use super::closure::{Closure, Reason};
use super::glibc::Outcome;
use super::graph::{Graph, Scribe};
use super::loader::Loaders;
use super::names::Names;
use super::object::{Content, Facts};
use super::process::{Process, Tools};
use super::script::{self, Script};
use super::tree::{End, FileId, Tree};
use crate::error::{Error, Finding, Kind, Result};
use crate::host::View;

/// Scripts that interpret scripts: how many the kernel follows (`exec_binprm`).
const SCRIPTS: usize = 5;

/// A closure in the making. What was seen and found for one file is there for the next.
#[derive(Debug)]
pub struct Resolver<'v> {
    tree: Tree<'v>,
    names: Names,
    loaders: Loaders,
    process: Process,
    graph: Graph,
    done: HashSet<FileId>,
    on_path: HashMap<OsString, Option<PathBuf>>,
    options: Options,
}

impl<'v> Resolver<'v> {
    /// Nothing asked yet.
    pub fn new(view: &'v View, options: &Options) -> Self {
        Self {
            tree: Tree::new(view),
            names: Names::default(),
            loaders: Loaders::new(options.cpu.clone()),
            process: Process::default(),
            graph: Graph::default(),
            done: HashSet::new(),
            on_path: HashMap::new(),
            options: options.clone(),
        }
    }

    /// Looks at files that are going to be added, so that adding them costs less. Changes nothing else.
    pub fn expect(&mut self, paths: &[PathBuf]) {
        self.tree.read_ahead(paths);
    }

    /// Adds a file and all that it needs. An error means that the file itself is not there or not readable; nothing is added then.
    pub fn add(&mut self, path: &Path) -> Result<()> {
        let refuse = |view: &View, why: &str| {
            let shown = view.shown(path).display().to_string();
            let finding = Finding::new(format!("could not read `{}`", shown.escape_debug()));
            Error::new(Kind::Failed, finding.why(why))
        };
        let view = self.tree.view();
        if !path.is_absolute() {
            return Err(refuse(view, "the path is not absolute"));
        }
        let (file, way) = match self.tree.walk(path) {
            (End::File(file), way) => (file, way),
            (End::Directory(_), _) => return Err(refuse(view, "it is a directory")),
            (End::Unusable(why), _) => return Err(refuse(view, &why.to_string())),
            (End::Absent, _) => {
                let mut error = refuse(view, "no such file or directory");
                error.kind = Kind::Spec;
                return Err(error);
            }
        };
        if let Content::Broken(_, why) = self.tree.content(file) {
            return Err(refuse(view, why));
        }
        if self.graph.is_named(file) {
            // Perhaps by another way.
            self.graph.pass(file, &way);
            return Ok(());
        }
        self.graph.want(file, &way, Reason::Named);
        self.follow(file, 0)
    }

    /// Tells what was found.
    pub fn finish(mut self) -> Result<Closure> {
        for extra in std::mem::take(&mut self.options.libraries) {
            let name = self.names.number(extra.name.as_bytes());
            for id in self.loaders.glibc() {
                let loader = self.loaders.get_mut(id);
                let outcome = loader.system(&mut self.tree, name, extra.name.as_bytes(), false);
                if let Outcome::Hit(hit) = outcome {
                    let why = extra.why.clone();
                    self.graph.want(hit.file, &hit.way, Reason::Known { why });
                    self.follow(hit.file, 0)?;
                }
            }
        }
        Ok(self.graph.tell(&self.tree, &self.names))
    }

    /// Adds what a file of the closure needs. `depth` counts the scripts that led to it.
    fn follow(&mut self, file: FileId, depth: usize) -> Result<()> {
        if !self.done.insert(file) {
            return Ok(());
        }
        match self.tree.content(file) {
            Content::Elf(facts) if facts.interpreter.is_some() || facts.dynamic => {
                self.program(file)
            }
            Content::Script(script) => {
                let script = script.clone();
                self.script(file, &script, depth)
            }
            Content::Elf(_) | Content::Broken(..) | Content::Other { .. } => Ok(()),
        }
    }

    fn program(&mut self, file: FileId) -> Result<()> {
        let Content::Elf(facts) = self.tree.content(file) else {
            return Ok(());
        };
        let interpreter = facts.interpreter.clone();
        if interpreter.is_none() && facts.needs.is_empty() && facts.wishes.is_empty() {
            return Ok(());
        }
        // What a loader is chosen by, so that the tree may be looked at meanwhile.
        let needs = match interpreter {
            Some(_) => Vec::new(),
            None => facts.needs.clone(),
        };
        let facts = Facts {
            needs,
            interpreter: interpreter.clone(),
            ..Facts::empty(facts.abi)
        };
        if let Some(interpreter) = &interpreter {
            self.interpreter(file, interpreter, None, 0)?;
        }
        let loader = self.loaders.for_object(&mut self.tree, &facts)?;
        let mut scribe = Scribe::new(&mut self.graph);
        let mut tools = Tools {
            tree: &mut self.tree,
            names: &mut self.names,
            loaders: &mut self.loaders,
            loader,
            wishes: self.options.dlopen,
        };
        self.process.run(file, &mut tools, &mut scribe);
        scribe.finish(&self.tree, &self.names);
        Ok(())
    }

    /// Adds the interpreter that a program or script names.
    fn interpreter(
        &mut self,
        of: FileId,
        path: &Path,
        hint: Option<&str>,
        depth: usize,
    ) -> Result<()> {
        let text = path.as_os_str().as_bytes();
        let mut lack = |why: Option<&str>| self.graph.lack(of, text, why.map(Into::into), true);
        if text.is_empty() {
            lack(Some("it names no interpreter"));
            return Ok(());
        }
        if !path.is_absolute() {
            lack(Some(
                "it is relative to the directory that the program is started in",
            ));
            return Ok(());
        }
        match self.tree.walk(path) {
            (End::File(file), way) => {
                let of = self.tree.file(of).path.clone();
                self.graph.want(file, &way, Reason::Interpreter { of });
                self.follow(file, depth)?;
            }
            (End::Absent, _) => lack(hint),
            (End::Directory(_), _) => lack(Some("it is a directory")),
            (End::Unusable(why), _) => lack(Some(&why.to_string())),
        }
        Ok(())
    }

    fn script(&mut self, file: FileId, script: &Script, depth: usize) -> Result<()> {
        let hint = if script.cut {
            Some("the first line is longer than the 255 bytes that the kernel reads")
        } else if script.has_carriage_return() {
            Some("the first line ends in a carriage return, as files from other systems have it")
        } else {
            None
        };
        if depth == SCRIPTS {
            let name = script.interpreter.as_os_str().as_bytes();
            let why: Rc<str> = "scripts interpret scripts deeper than the kernel follows".into();
            self.graph.lack(file, name, Some(why), true);
            return Ok(());
        }
        self.interpreter(file, &script.interpreter, hint, depth + 1)?;
        let Some(program) = script.env_program() else {
            return Ok(());
        };
        let found = if script::has_slash(&program) {
            Some(PathBuf::from(&program))
        } else {
            self.which(&program)?
        };
        if let Some((End::File(target), way)) = found.map(|path| self.tree.walk(&path)) {
            let of = self.tree.file(file).path.clone();
            self.graph.want(target, &way, Reason::Env { of });
            self.follow(target, depth + 1)
        } else {
            let why = "env(1) finds no such program on the path";
            let name = program.as_bytes();
            self.graph.lack(file, name, Some(why.into()), false);
            Ok(())
        }
    }

    /// Where a program is on the path, asked once for each name.
    fn which(&mut self, program: &OsStr) -> Result<Option<PathBuf>> {
        if let Some(known) = self.on_path.get(program) {
            return Ok(known.clone());
        }
        let found = match program.to_str() {
            Some(name) => self.tree.view().which(name)?,
            None => None,
        };
        self.on_path.insert(program.to_owned(), found.clone());
        Ok(found)
    }
}
