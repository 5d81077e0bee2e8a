//! Small root directory with a loader, a C library and the objects of a test, and the output of the
//! loader, started inside.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicUsize, Ordering};

use disposable::harness::{ignore, need_root};
use jailctl::elf::{self, Closure, Cpu, ObjectKind, Options, Priority};
use jailctl::host::HostView;

pub(crate) const LOADER: &str = "/lib64/ld-linux-x86-64.so.2";
pub(crate) const TUPLE: &str = "/lib/x86_64-linux-gnu";

/// Root directory, deleted when dropped.
#[derive(Debug)]
pub(crate) struct TestRoot {
    pub(crate) path: PathBuf,
    loader: &'static str,
}

/// Settings of an object for ld(1).
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct LinkOptions<'a> {
    pub(crate) soname: Option<&'a str>,
    pub(crate) needed: &'a [&'a str],
    pub(crate) rpath: Option<&'a str>,
    pub(crate) runpath: Option<&'a str>,
    /// Further arguments of ld(1).
    pub(crate) extra: &'a [&'a str],
}

fn run(command: &mut Command) -> Output {
    let output = command.output().unwrap();
    assert!(
        output.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    output
}

/// Needs of a program: real paths inside the root, and missing names.
pub(crate) type Answer = (BTreeSet<PathBuf>, BTreeSet<String>);

impl TestRoot {
    /// Creates a root with glibc. Without root, which chroot(2) needs, the calling test ends as
    /// ignored.
    pub(crate) fn glibc() -> Self {
        let root = Self::empty(LOADER);
        symlink("usr/lib", root.at("/lib")).unwrap();
        symlink("usr/lib64", root.at("/lib64")).unwrap();
        root.dir("/usr/lib64");
        root.dir(&format!("/usr{TUPLE}"));
        root.put(LOADER, &format!("{TUPLE}/ld-linux-x86-64.so.2"));
        root.link("/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2", LOADER);
        root.put(&format!("{TUPLE}/libc.so.6"), &format!("{TUPLE}/libc.so.6"));
        root
    }

    /// Creates a root with musl. Without root or the package the calling test ends as ignored.
    pub(crate) fn musl() -> Self {
        const MUSL: &str = "/lib/ld-musl-x86_64.so.1";
        if !Path::new(MUSL).exists() {
            ignore("needs the package musl");
        }
        let root = Self::empty(MUSL);
        root.put(MUSL, MUSL);
        root
    }

    fn empty(loader: &'static str) -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        need_root();
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("jailctl-elf-{}-{number}", std::process::id());
        let root = std::env::temp_dir().join(name);
        let _ = fs::remove_dir_all(&root);
        fs::create_dir_all(root.join("usr/lib")).unwrap();
        Self { path: root, loader }
    }

    /// Path of the system for a path of the root.
    pub(crate) fn at(&self, path: &str) -> PathBuf {
        self.path.join(path.trim_start_matches('/'))
    }

    pub(crate) fn dir(&self, path: &str) {
        fs::create_dir_all(self.at(path)).unwrap();
    }

    fn place(&self, path: &str) -> PathBuf {
        let place = self.at(path);
        fs::create_dir_all(place.parent().unwrap()).unwrap();
        place
    }

    pub(crate) fn put(&self, from: &str, to: &str) {
        fs::copy(from, self.place(to)).unwrap();
    }

    pub(crate) fn link(&self, target: &str, path: &str) {
        symlink(target, self.place(path)).unwrap();
    }

    pub(crate) fn write(&self, path: &str, content: &[u8]) {
        fs::write(self.place(path), content).unwrap();
    }

    /// Links a library.
    pub(crate) fn library(&self, path: &str, link: LinkOptions<'_>) {
        self.object(path, link, &["-shared"]);
    }

    /// Links a program.
    pub(crate) fn program(&self, path: &str, link: LinkOptions<'_>) {
        self.object(path, link, &["-pie", "--dynamic-linker", self.loader]);
    }

    fn object(&self, path: &str, link: LinkOptions<'_>, kind: &[&str]) {
        let stubs = self.at("/.stubs");
        fs::create_dir_all(&stubs).unwrap();
        let start = stubs.join("start.o");
        if !start.exists() {
            let source = stubs.join("start.s");
            fs::write(
                &source,
                ".globl _start\n_start: hlt\n.section .note.GNU-stack\n",
            )
            .unwrap();
            run(Command::new("as").arg(&source).arg("-o").arg(&start));
        }
        let mut command = Command::new("ld");
        command
            .args(kind)
            .arg("-o")
            .arg(self.place(path))
            .arg(&start);
        if let Some(soname) = link.soname {
            command.args(["-soname", soname]);
        }
        match (link.rpath, link.runpath) {
            (Some(path), _) => command.args(["--disable-new-dtags", "-rpath", path]),
            (None, Some(path)) => command.args(["--enable-new-dtags", "-rpath", path]),
            (None, None) => &mut command,
        };
        command.args(link.extra).arg("--no-as-needed");
        for name in link.needed {
            let stub = stubs.join(name.replace('/', "%"));
            if !stub.exists() {
                run(Command::new("ld")
                    .args(["-shared", "-soname", name, "-o"])
                    .arg(&stub)
                    .arg(&start));
            }
            command.arg(stub);
        }
        run(&mut command);
    }

    /// Creates ld.so.cache.
    pub(crate) fn ldconfig(&self) {
        run(Command::new("ldconfig").arg("-r").arg(&self.path));
    }

    fn run_loader(&self, trace: bool, program: &str) -> Output {
        let mut command = Command::new("chroot");
        command.arg(&self.path).arg(self.loader);
        command
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
        if trace {
            // Inside the root, so that chroot itself is not traced.
            self.put("/usr/bin/env", "/.tools/env");
            self.put(&format!("{TUPLE}/libc.so.6"), "/.tools/libc.so.6");
            command.args(["--library-path", "/.tools", "/.tools/env", "-i"]);
            command.args(["LD_TRACE_LOADED_OBJECTS=1", self.loader]);
        } else {
            command.arg("--list");
        }
        command.arg(program);
        // A child that another test forks keeps the write descriptor of a loader that was just
        // copied until its execve(2): ETXTBSY.
        for _ in 0..500 {
            let output = command.output().unwrap();
            if !String::from_utf8_lossy(&output.stderr).contains("Text file busy") {
                return output;
            }
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        panic!("{command:?}: the loader stays busy");
    }

    /// Needs of a program by its loader. `Err` contains the error output if it refuses the program.
    pub(crate) fn expected(&self, program: &str) -> Result<Answer, String> {
        let musl = self.loader.contains("musl");
        let mut output = self.run_loader(false, program);
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        if stderr.contains(": cannot open shared object file") {
            output = self.run_loader(true, program);
        }
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        if !output.status.success() && !musl {
            return Err(stderr);
        }
        let mut answer = Answer::default();
        let view = HostView::new(&self.path).unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        for line in text.lines().map(str::trim) {
            let (name, place) = line.split_once(" => ").unwrap_or((line, line));
            if place.starts_with("not found") {
                answer.1.insert(name.to_owned());
            } else if let Some((place, _)) = place.rsplit_once(" (0x")
                && place.starts_with('/')
            {
                answer
                    .0
                    .insert(view.resolve_links(Path::new(place)).unwrap().unwrap().real);
            }
        }
        for line in stderr.lines() {
            if let Some(rest) = line.strip_prefix("Error loading shared library ") {
                answer.1.insert(rest.split(": ").next().unwrap().to_owned());
            }
        }
        let loader = view
            .resolve_links(Path::new(self.loader))
            .unwrap()
            .unwrap()
            .real;
        answer.0.remove(&loader);
        answer.0.remove(
            &view
                .resolve_links(Path::new(program))
                .unwrap()
                .unwrap()
                .real,
        );
        Ok(answer)
    }

    /// Closure of a program.
    pub(crate) fn closure(&self, program: &str) -> Closure {
        self.closure_of(&[program], None)
    }

    /// Closure of several programs, with the libraries of dlopen notes from priority `dlopen` on.
    pub(crate) fn closure_of(&self, programs: &[&str], dlopen: Option<Priority>) -> Closure {
        let view = HostView::new(&self.path).unwrap();
        let options = Options {
            dlopen,
            cpu: Cpu::running(),
            ..Options::default()
        };
        let programs: Vec<PathBuf> = programs.iter().map(PathBuf::from).collect();
        elf::closure(&view, &programs, &options).unwrap()
    }

    /// Needs of a program by its closure.
    pub(crate) fn found(&self, program: &str) -> Answer {
        let closure = self.closure(program);
        let view = HostView::new(&self.path).unwrap();
        let mut files: BTreeSet<PathBuf> = closure
            .objects
            .iter()
            .filter(|(_, object)| object.kind == ObjectKind::Elf)
            .map(|(path, _)| path.clone())
            .collect();
        for path in [self.loader, program] {
            files.remove(&view.resolve_links(Path::new(path)).unwrap().unwrap().real);
        }
        let missing = closure
            .missing
            .iter()
            .map(|missing| missing.name.to_string_lossy().into_owned())
            .collect();
        (files, missing)
    }

    /// Compares the closure with the loader, also in a tree of nothing but the closure: it must be
    /// sufficient.
    pub(crate) fn compare(&self, program: &str) -> Answer {
        let expected = self.expected(program).unwrap();
        assert_eq!(self.found(program), expected, "found, expected");
        let copy = self.copy_of(program);
        assert_eq!(
            copy.expected(program).unwrap(),
            expected,
            "in the copy, expected"
        );
        expected
    }

    /// Creates a tree of nothing but the closure of a program.
    pub(crate) fn copy_of(&self, program: &str) -> Self {
        self.copy(&self.closure(program))
    }

    /// Creates a tree of nothing but a closure.
    pub(crate) fn copy(&self, closure: &Closure) -> Self {
        let copy = Self::empty(self.loader);
        for directory in &closure.directories {
            copy.dir(directory.to_str().unwrap());
        }
        let _ = fs::remove_dir(copy.at("/usr/lib"));
        for (path, object) in &closure.objects {
            let path = path.to_str().unwrap();
            match &object.kind {
                ObjectKind::Link { target } => copy.link(target.to_str().unwrap(), path),
                _ => copy.put(self.at(path).to_str().unwrap(), path),
            }
        }
        copy
    }

    /// Compiles a program or library in C against the system's own libc, a copy of which is in this
    /// root, or musl's.
    pub(crate) fn compile(&self, path: &str, source: &str, arguments: &[&str]) {
        let place = self.place(path);
        let file = place.with_extension("c");
        fs::write(&file, source).unwrap();
        let musl = self.loader.contains("musl");
        let mut command = Command::new(if musl { "musl-gcc" } else { "gcc" });
        command.args(["-Wl,--no-as-needed", "-o"]);
        run(command.arg(&place).arg(&file).args(arguments));
        fs::remove_file(file).unwrap();
    }

    /// Runs a program with this directory as its root, and returns its output.
    pub(crate) fn run(&self, program: &str) -> String {
        self.run_with(program, &[])
    }

    /// Runs a program with arguments, likewise.
    pub(crate) fn run_with(&self, program: &str, arguments: &[&str]) -> String {
        let mut command = Command::new("chroot");
        command.arg(&self.path).arg(program);
        let output = run(command.args(arguments));
        String::from_utf8(output.stdout).unwrap()
    }
}

impl Drop for TestRoot {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.path);
    }
}

pub(crate) fn has(answer: &Answer, path: &str) {
    assert!(
        answer.0.contains(Path::new(path)),
        "no {path} in {answer:?}"
    );
}

pub(crate) fn lacks(answer: &Answer, name: &str) {
    assert!(answer.1.contains(name), "{name} is found: {answer:?}");
}

/// Links a library with this name as its soname, without needs.
pub(crate) fn plain_library(root: &TestRoot, path: &str) {
    let soname = path.rsplit('/').next();
    root.library(
        path,
        LinkOptions {
            soname,
            ..LinkOptions::default()
        },
    );
}
