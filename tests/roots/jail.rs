//! Tree of nothing but the objects of `jailctl deps --json`, and programs that run in it.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

/// Temporary directory, deleted when dropped.
#[derive(Debug)]
pub(crate) struct Folder(pub(crate) PathBuf);

impl Folder {
    pub(crate) fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("jailctl-{}-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

pub(crate) fn run(command: &mut Command) -> Output {
    let output = command.output().unwrap();
    assert!(
        output.status.success(),
        "{command:?}: {}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    output
}

/// Output of `deps` for files of a root, which must succeed.
pub(crate) fn deps(root: &Path, files: &[&str]) -> Value {
    let output = run(Command::new(env!("CARGO_BIN_EXE_jailctl"))
        .args(["deps", "--json", "--root"])
        .arg(root)
        .args(files));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Paths of one kind.
pub(crate) fn paths<'v>(deps: &'v Value, kind: &str) -> Vec<&'v str> {
    let objects = deps["objects"].as_array().unwrap();
    objects
        .iter()
        .filter(|object| object["kind"] == kind)
        .map(|object| object["path"].as_str().unwrap())
        .collect()
}

/// Creates the tree. Files of the root are copied, links and directories are created.
pub(crate) fn build(root: &Path, deps: &Value, name: &str) -> Folder {
    let jail = Folder::new(name);
    let inside = |path: &str| {
        let place = jail.0.join(path.trim_start_matches('/'));
        fs::create_dir_all(place.parent().unwrap()).unwrap();
        place
    };
    // Links first: directories that are links must not be created as directories.
    let objects = deps["objects"].as_array().unwrap();
    for object in objects.iter().filter(|object| object["kind"] == "link") {
        let target = object["target"].as_str().unwrap();
        symlink(target, inside(object["path"].as_str().unwrap())).unwrap();
    }
    for path in deps["directories"].as_array().unwrap() {
        fs::create_dir_all(inside(path.as_str().unwrap())).unwrap();
    }
    for object in objects.iter().filter(|object| object["kind"] != "link") {
        let path = object["path"].as_str().unwrap();
        fs::copy(root.join(path.trim_start_matches('/')), inside(path)).unwrap();
    }
    // No file of a program, but git does not start without it.
    run(Command::new("mknod")
        .arg(inside("/dev/null"))
        .args(["c", "1", "3"]));
    jail
}

/// Runs a program with the tree as its root, and returns its output.
pub(crate) fn run_in(jail: &Folder, command: &[&str]) -> String {
    let output = run(Command::new("chroot")
        .arg(&jail.0)
        .args(command)
        .env_clear()
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin"));
    String::from_utf8(output.stdout).unwrap()
}
