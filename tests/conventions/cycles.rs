//! Circles of imports between files.
//!
//! What counts as an import: each path in code that names an item of another file of the same
//! crate, in `use` or in full, by `crate::`, `super::`, `self::`, the name of a child module, or a
//! name that a `use` of the file binds. A path counts as an import of the file that defines the
//! name: re-exports are followed, so a child that names the re-export of a sibling's type in its
//! `mod.rs` imports the sibling. An import of what a module above defines itself counts in
//! [`no_circle_of_a_module_and_its_children`] alone. What does not count: `mod child;`, a re-export
//! (`pub use`) of a name of a descendant, a `use` of a module alone, tests at the end of a file and
//! in files of their own, and what has no path: methods, fields and macros.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::assert_none;
use crate::source::{Source, files_below, is_test, read};

/// A path in code, with its line.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Reference {
    line: usize,
    path: Vec<String>,
}

/// One file, as a module.
#[derive(Debug, Default)]
struct Module {
    /// The modules declared by `mod name;`.
    children: BTreeSet<String>,
    /// Functions, types, constants and macros of the top level.
    definitions: BTreeSet<String>,
    /// The names that `use` binds, with their full paths.
    imports: BTreeMap<String, Vec<String>>,
    /// The paths before `::*`.
    globs: Vec<Reference>,
    /// All paths but those of re-exports.
    references: Vec<Reference>,
    /// The paths of re-exports.
    exports: Vec<Reference>,
}

/// The modules of a crate by their paths, which do not begin with `crate`.
#[derive(Debug, Default)]
struct Crate {
    modules: BTreeMap<Vec<String>, (PathBuf, Module)>,
}

/// The end of a path: a module, or an item that the module defines.
#[derive(Debug)]
struct Target {
    module: Vec<String>,
    is_module: bool,
}

/// An import: the file and line of the path, the path, and the file of its item.
#[derive(Clone, Debug)]
struct Import {
    from: PathBuf,
    line: usize,
    path: String,
    to: PathBuf,
    /// Whether the target is a module above.
    is_upwards: bool,
}

/// A lexeme of Rust that matters here.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    Word(String),
    PathSeparator,
    Other(char),
}

fn tokens(code: &str) -> Vec<(usize, Token)> {
    let mut found = Vec::new();
    for (index, text) in code.lines().enumerate() {
        let mut rest = text;
        while let Some(first) = rest.chars().next() {
            let length = if rest.starts_with("::") {
                found.push((index + 1, Token::PathSeparator));
                2
            } else if first.is_alphanumeric() || first == '_' {
                let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_');
                let word = &rest[..end.unwrap_or(rest.len())];
                found.push((index + 1, Token::Word(word.to_owned())));
                word.len()
            } else {
                if !first.is_whitespace() {
                    found.push((index + 1, Token::Other(first)));
                }
                first.len_utf8()
            };
            rest = &rest[length..];
        }
    }
    found
}

impl Module {
    fn parse(code: &str) -> Self {
        let mut module = Self::default();
        let tokens = tokens(code);
        let mut depth = 0;
        let mut at = 0;
        while let Some((line, token)) = tokens.get(at) {
            match token {
                Token::Other('{') => depth += 1,
                Token::Other('}') => depth -= 1,
                Token::Word(word) if word == "use" => {
                    let is_export = matches!(
                        at.checked_sub(1).map(|before| &tokens[before].1),
                        Some(Token::Other(')'))
                    ) || at
                        .checked_sub(1)
                        .is_some_and(|before| tokens[before].1 == Token::Word("pub".to_owned()));
                    at = module.use_tree(&tokens, at + 1, &[], is_export);
                    continue;
                }
                Token::Word(word) if depth == 0 && is_item(word) => {
                    if let Some((_, Token::Word(name))) = tokens.get(at + 1) {
                        if word == "mod"
                            && tokens.get(at + 2).map(|next| &next.1) == Some(&Token::Other(';'))
                        {
                            module.children.insert(name.clone());
                        } else {
                            module.definitions.insert(name.clone());
                        }
                        at += 2;
                        continue;
                    }
                }
                Token::Word(word) => {
                    let mut path = vec![word.clone()];
                    while let (Some((_, Token::PathSeparator)), Some((_, Token::Word(next)))) =
                        (tokens.get(at + 1), tokens.get(at + 2))
                    {
                        path.push(next.clone());
                        at += 2;
                    }
                    module.references.push(Reference { line: *line, path });
                }
                _ => {}
            }
            at += 1;
        }
        module
    }

    /// Reads the tree of a `use` after `prefix`; returns the index of the token after it.
    fn use_tree(
        &mut self,
        tokens: &[(usize, Token)],
        mut at: usize,
        prefix: &[String],
        is_export: bool,
    ) -> usize {
        let mut path = prefix.to_vec();
        let mut alias = None;
        let line = tokens.get(at).map_or(0, |token| token.0);
        while let Some((_, token)) = tokens.get(at) {
            match token {
                Token::Word(word) if word == "as" => {
                    if let Some((_, Token::Word(name))) = tokens.get(at + 1) {
                        alias = Some(name.clone());
                    }
                    at += 1;
                }
                Token::Word(word) if word == "self" && !prefix.is_empty() && path == prefix => {}
                Token::Word(word) => path.push(word.clone()),
                Token::Other('*') => {
                    self.globs.push(Reference { line, path });
                    return at + 1;
                }
                Token::Other('{') => {
                    at += 1;
                    while tokens
                        .get(at)
                        .is_some_and(|(_, token)| *token != Token::Other('}'))
                    {
                        at = self.use_tree(tokens, at, &path, is_export);
                        if tokens
                            .get(at)
                            .is_some_and(|(_, token)| *token == Token::Other(','))
                        {
                            at += 1;
                        }
                    }
                    return at + 1;
                }
                Token::PathSeparator => {}
                Token::Other(_) => break,
            }
            at += 1;
        }
        if let Some(name) = alias.or_else(|| path.last().cloned()) {
            self.imports.insert(name, path.clone());
        }
        let references = if is_export {
            &mut self.exports
        } else {
            &mut self.references
        };
        references.push(Reference { line, path });
        at
    }
}

fn is_item(word: &str) -> bool {
    [
        "fn",
        "struct",
        "enum",
        "union",
        "trait",
        "type",
        "const",
        "static",
        "mod",
        "macro_rules",
    ]
    .contains(&word)
}

impl Crate {
    /// The files below the directory of a crate's root.
    fn read(root: &str) -> Self {
        let mut texts = Vec::new();
        for path in files_below(root, "rs") {
            if !is_test(&path) && path != Path::new("src/main.rs") {
                texts.push((path.clone(), read(&path)));
            }
        }
        Self::of(root, &texts)
    }

    fn of(root: &str, texts: &[(PathBuf, String)]) -> Self {
        let mut modules = BTreeMap::new();
        for (file, text) in texts {
            let path = file.strip_prefix(root).expect("a file of the crate");
            let path = path.with_extension("");
            let mut path: Vec<String> = path
                .iter()
                .map(|part| part.to_string_lossy().into_owned())
                .collect();
            path.pop_if(|last| last == "mod" || last == "lib");
            let source = Source::parse(text);
            let module = Module::parse(source.product_code());
            modules.insert(path, (file.clone(), module));
        }
        Self { modules }
    }

    /// The target of a path in `module`; `None` outside of the crate and for the module's own
    /// names.
    fn resolve(&self, module: &[String], path: &[String], depth: usize) -> Option<Target> {
        if depth > 16 {
            return None;
        }
        let (first, rest) = path.split_first()?;
        let own = &self.modules.get(module)?.1;
        match first.as_str() {
            "crate" => self.descend(Vec::new(), rest, depth),
            "self" => self.descend(module.to_vec(), rest, depth),
            "super" => self.resolve_super(module, path, depth),
            name if own.children.contains(name) => self.descend(module.to_vec(), path, depth),
            name => {
                let import = own.imports.get(name).filter(|import| *import != path)?;
                let full = [import, rest].concat();
                self.resolve(module, &full, depth + 1)
            }
        }
    }

    fn resolve_super(&self, module: &[String], path: &[String], depth: usize) -> Option<Target> {
        let mut module = module.to_vec();
        let mut path = path;
        while let Some(rest) = path.strip_prefix(&["super".to_owned()]) {
            module.pop()?;
            path = rest;
        }
        self.descend(module, path, depth)
    }

    /// The target of `path` in the module `at`.
    fn descend(&self, at: Vec<String>, path: &[String], depth: usize) -> Option<Target> {
        let own = &self.modules.get(&at)?.1;
        let Some((first, rest)) = path.split_first() else {
            return Some(Target {
                module: at,
                is_module: true,
            });
        };
        if own.children.contains(first) {
            let child = [at, vec![first.clone()]].concat();
            return self.descend(child, rest, depth);
        }
        let item = |module| Target {
            module,
            is_module: false,
        };
        if own.definitions.contains(first) {
            return Some(item(at));
        }
        if let Some(import) = own.imports.get(first) {
            let full = [import, rest].concat();
            return self.resolve(&at, &full, depth + 1);
        }
        for glob in &own.globs {
            if let Some(target) = self.resolve(&at, &glob.path, depth + 1)
                && target.module != at
                && self.modules[&target.module].1.definitions.contains(first)
            {
                return Some(item(target.module));
            }
        }
        Some(item(at))
    }

    fn imports(&self) -> Vec<Import> {
        let mut found = Vec::new();
        for (path, (file, module)) in &self.modules {
            let mut add = |reference: &Reference, target: &Target| {
                let to = &self.modules[&target.module].0;
                if to != file {
                    found.push(Import {
                        from: file.clone(),
                        line: reference.line,
                        path: reference.path.join("::"),
                        to: to.clone(),
                        is_upwards: path.starts_with(&target.module),
                    });
                }
            };
            for reference in &module.references {
                match self.resolve(path, &reference.path, 0) {
                    Some(target) if !target.is_module => add(reference, &target),
                    _ => {}
                }
            }
            for reference in &module.exports {
                match self.resolve(path, &reference.path, 0) {
                    Some(target) if !target.module.starts_with(path) => add(reference, &target),
                    _ => {}
                }
            }
            for glob in &module.globs {
                if let Some(target) = self.resolve(path, &glob.path, 0)
                    && !target.module.starts_with(path)
                {
                    add(glob, &target);
                }
            }
        }
        found
    }

    /// Each pair of files in a circle, as `file:line: text`. With `are_parents_counted`, an import
    /// of what the module above defines counts, too.
    fn circular_imports(&self, are_parents_counted: bool) -> Vec<String> {
        let mut imports = self.imports();
        imports.retain(|import| are_parents_counted || !import.is_upwards);
        let mut edges = BTreeMap::<&Path, BTreeMap<&Path, Vec<&Import>>>::new();
        for import in &imports {
            let targets = edges.entry(&import.from).or_default();
            targets.entry(&import.to).or_default().push(import);
        }
        let all: BTreeMap<&Path, BTreeSet<&Path>> = edges
            .keys()
            .map(|file| (*file, reachable(&edges, file)))
            .collect();
        let reaches = |from: &Path, to: &Path| all.get(from).is_some_and(|all| all.contains(to));
        let mut lines = Vec::new();
        for (from, targets) in &edges {
            for (to, imports) in targets {
                if reaches(to, from) {
                    let circle = all[to].iter().filter(|file| reaches(file, to)).count();
                    let first = imports[0];
                    lines.push(format!(
                        "{}:{}: `{}` is defined in {}, in a circle of {circle} files",
                        from.display(),
                        first.line,
                        first.path,
                        to.display()
                    ));
                }
            }
        }
        lines
    }
}

/// The files that imports lead to from one file, in any number of steps.
fn reachable<'a>(
    edges: &BTreeMap<&'a Path, BTreeMap<&'a Path, Vec<&Import>>>,
    from: &'a Path,
) -> BTreeSet<&'a Path> {
    let mut found = BTreeSet::new();
    let mut pending = vec![from];
    while let Some(file) = pending.pop() {
        for next in edges.get(file).into_iter().flat_map(BTreeMap::keys) {
            if found.insert(*next) {
                pending.push(next);
            }
        }
    }
    found
}

/// The paths of a text that begin with `crate`, without that word.
pub(crate) fn crate_paths(code: &str) -> Vec<Vec<String>> {
    let module = Module::parse(code);
    module
        .references
        .into_iter()
        .chain(module.exports)
        .chain(module.globs)
        .map(|reference| reference.path)
        .filter(|path| path.first().is_some_and(|first| first == "crate"))
        .map(|path| path[1..].to_vec())
        .collect()
}

fn circular_imports(are_parents_counted: bool) -> Vec<String> {
    ["src", "session/src", "pam/src"]
        .into_iter()
        .flat_map(|root| Crate::read(root).circular_imports(are_parents_counted))
        .collect()
}

#[test]
fn no_circle_of_imports() {
    assert_none(&circular_imports(false));
}

#[test]
fn no_circle_of_a_module_and_its_children() {
    assert_none(&circular_imports(true));
}

fn circular(files: &[(&str, &str)], are_parents_counted: bool) -> Vec<String> {
    let texts: Vec<(PathBuf, String)> = files
        .iter()
        .map(|(path, text)| (PathBuf::from(path), (*text).to_owned()))
        .collect();
    Crate::of("src", &texts).circular_imports(are_parents_counted)
}

#[test]
fn planted_circles_are_found() {
    let root = ("src/lib.rs", "pub mod a;\npub mod b;\npub mod c;\n");
    let a = ("src/a.rs", "use crate::b::{self, Beta};\nfn alpha() {}\n");
    let b = (
        "src/b.rs",
        "struct Beta;\nfn beta() { super::c::gamma() }\n",
    );
    let c = ("src/c.rs", "// crate::a::alpha\npub fn gamma() {}\n");
    assert_eq!(circular(&[root, a, b, c], false), Vec::<String>::new());
    let c = ("src/c.rs", "pub fn gamma() {\n    crate::a::alpha();\n}\n");
    assert_eq!(
        circular(&[root, a, b, c], false),
        [
            "src/a.rs:1: `crate::b::Beta` is defined in src/b.rs, in a circle of 3 files",
            "src/b.rs:2: `super::c::gamma` is defined in src/c.rs, in a circle of 3 files",
            "src/c.rs:2: `crate::a::alpha` is defined in src/a.rs, in a circle of 3 files",
        ]
    );
}

#[test]
fn a_child_and_the_type_of_its_parent_are_a_circle() {
    let root = ("src/lib.rs", "mod a;\n");
    let child = ("src/a/child.rs", "use super::Shared;\npub fn run() {}\n");
    let types = ("src/a/types.rs", "pub struct Shared;\n");
    let parent = "mod child;\nmod types;\nfn call() { child::run() }\n";
    let exporting = format!("{parent}pub use types::Shared;\n");
    assert_eq!(
        circular(&[root, child, types, ("src/a/mod.rs", &exporting)], true),
        Vec::<String>::new()
    );
    let defining = format!("{parent}pub struct Shared;\n");
    let files = [root, child, types, ("src/a/mod.rs", &defining)];
    assert_eq!(circular(&files, true).len(), 2);
    assert_eq!(circular(&files, false), Vec::<String>::new());
}
