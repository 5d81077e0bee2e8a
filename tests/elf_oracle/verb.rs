//! `jailctl deps` as it is typed: output, notices and exit status.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Output};

use super::forge::Forge;

struct Root(PathBuf);

impl Root {
    /// A root with a program, a library behind a link, and a program that lacks one.
    fn new(name: &str) -> Self {
        let root = std::env::temp_dir().join(format!("jailctl-deps-{}-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&root);
        let interpreter = Some("/lib/ld-linux-aarch64.so.1");
        let forge = Forge {
            machine: 183,
            ..Forge::default()
        };
        let library = Forge {
            soname: Some("libx.so.1"),
            needed: &["liby.so"],
            ..forge
        };
        for (path, bytes) in [
            (
                "usr/bin/good",
                Forge {
                    interpreter,
                    needed: &["libx.so.1"],
                    ..forge
                }
                .write(),
            ),
            (
                "usr/bin/poor",
                Forge {
                    interpreter,
                    needed: &["libgone.so", "libx.so.1"],
                    ..forge
                }
                .write(),
            ),
            ("usr/lib/libx.so.1.2", library.write()),
            (
                "usr/lib/liby.so",
                Forge {
                    soname: Some("liby.so"),
                    ..forge
                }
                .write(),
            ),
            ("usr/lib/ld-linux-aarch64.so.1", forge.write()),
        ] {
            let place = root.join(path);
            fs::create_dir_all(place.parent().unwrap()).unwrap();
            fs::write(&place, bytes).unwrap();
            fs::set_permissions(&place, PermissionsExt::from_mode(0o755)).unwrap();
        }
        std::os::unix::fs::symlink("usr/lib", root.join("lib")).unwrap();
        std::os::unix::fs::symlink("libx.so.1.2", root.join("usr/lib/libx.so.1")).unwrap();
        Self(root)
    }

    fn deps(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_jailctl"));
        command
            .args(["deps", "--root"])
            .arg(&self.0)
            .args(arguments);
        command.output().unwrap()
    }
}

impl Drop for Root {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn told(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    format!(
        "status {}\n{}----\n{}",
        output.status.code().unwrap(),
        text(&output.stdout),
        text(&output.stderr)
    )
}

#[test]
fn a_list_and_a_tree() {
    let root = Root::new("list");
    insta::assert_snapshot!(told(&root.deps(&["good"])), @r"
    status 0
    /lib
    /usr/bin/good
    /usr/lib/ld-linux-aarch64.so.1
    /usr/lib/libx.so.1
    /usr/lib/libx.so.1.2
    /usr/lib/liby.so
    ----
    ");
    insta::assert_snapshot!(told(&root.deps(&["--tree", "/usr/bin/poor"])), @r"
    status 3
    /usr/bin/poor
    ├─ interpreter => /usr/lib/ld-linux-aarch64.so.1
    ├─ libx.so.1 => /usr/lib/libx.so.1.2
    │  └─ liby.so => /usr/lib/liby.so
    └─ libgone.so => not found
    ----
    notice: could not find `libgone.so`: `/usr/bin/poor` needs it
    ");
}

#[test]
fn json_is_whole_even_where_something_is_missing() {
    let root = Root::new("json");
    let output = root.deps(&["--json", "usr/bin/poor"]);
    assert_eq!(output.status.code(), Some(3));
    let value: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let objects = value["objects"].as_array().unwrap();
    let kinds: Vec<_> = objects
        .iter()
        .map(|object| {
            (
                object["path"].as_str().unwrap(),
                object["kind"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        kinds,
        [
            ("/lib", "link"),
            ("/usr/bin/poor", "elf"),
            ("/usr/lib/ld-linux-aarch64.so.1", "elf"),
            ("/usr/lib/libx.so.1", "link"),
            ("/usr/lib/libx.so.1.2", "elf"),
            ("/usr/lib/liby.so", "elf"),
        ]
    );
    assert_eq!(objects[1]["interpreter"], "/lib/ld-linux-aarch64.so.1");
    assert_eq!(objects[1]["needed"][0]["path"], "/usr/lib/libx.so.1.2");
    assert_eq!(objects[5]["reason"], "/usr/lib/libx.so.1.2 needs liby.so");
    assert_eq!(value["missing"][0]["name"], "libgone.so");
    assert_eq!(value["missing"][0]["needed_by"], "/usr/bin/poor");
}

#[test]
fn why_and_what_is_wrong() {
    let root = Root::new("why");
    insta::assert_snapshot!(told(&root.deps(&["--why", "liby.so", "good"])), @r"
    status 0
    /usr/bin/good
    └─ libx.so.1 => /usr/lib/libx.so.1.2
       └─ liby.so => /usr/lib/liby.so
    ----
    ");
    let output = root.deps(&["--why", "libz.so", "good"]);
    assert_eq!(output.status.code(), Some(1));
    let output = root.deps(&["nothing"]);
    assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0));
    let output = root.deps(&["--json", "--tree", "good"]);
    assert_eq!(output.status.code(), Some(2));
}
