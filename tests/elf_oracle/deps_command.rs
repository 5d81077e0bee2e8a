//! Output, notices and exit status of `jailctl deps`.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Output};

use disposable::harness::need_root;

use super::elf_builder::ElfBuilder;

struct Root(PathBuf);

impl Root {
    /// A root with a program, a library behind a link, and a program that lacks one.
    fn new(name: &str) -> Self {
        let root = std::env::temp_dir().join(format!("jailctl-deps-{}-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&root);
        let interpreter = Some("/lib/ld-linux-aarch64.so.1");
        let builder = ElfBuilder {
            machine: 183,
            ..ElfBuilder::default()
        };
        let library = ElfBuilder {
            soname: Some("libx.so.1"),
            needed: &["liby.so"],
            ..builder
        };
        for (path, bytes) in [
            (
                "usr/bin/good",
                ElfBuilder {
                    interpreter,
                    needed: &["libx.so.1"],
                    ..builder
                }
                .write(),
            ),
            (
                "usr/bin/poor",
                ElfBuilder {
                    interpreter,
                    needed: &["libgone.so", "libx.so.1"],
                    ..builder
                }
                .write(),
            ),
            ("usr/lib/libx.so.1.2", library.write()),
            (
                "usr/lib/liby.so",
                ElfBuilder {
                    soname: Some("liby.so"),
                    ..builder
                }
                .write(),
            ),
            ("usr/lib/ld-linux-aarch64.so.1", builder.write()),
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

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_jailctl"));
        command
            .args(["deps", "--root"])
            .arg(&self.0)
            .args(arguments);
        command
    }

    fn deps(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }
}

impl Drop for Root {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn transcript(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    format!(
        "status {}\n{}----\n{}",
        output.status.code().unwrap(),
        text(&output.stdout),
        text(&output.stderr)
    )
}

#[disposable::test]
fn a_list_and_a_tree() {
    let root = Root::new("list");
    insta::assert_snapshot!(transcript(&root.deps(&["good"])), @r"
    status 0
    /lib
    /usr/bin/good
    /usr/lib/ld-linux-aarch64.so.1
    /usr/lib/libx.so.1
    /usr/lib/libx.so.1.2
    /usr/lib/liby.so
    ----
    ");
    insta::assert_snapshot!(transcript(&root.deps(&["--tree", "/usr/bin/poor"])), @r"
    status 3
    /usr/bin/poor
    ├─ interpreter => /usr/lib/ld-linux-aarch64.so.1
    ├─ libx.so.1 => /usr/lib/libx.so.1.2
    │  └─ liby.so => /usr/lib/liby.so
    └─ libgone.so => not found
    ----
    notice: could not find `libgone.so`: it is needed by `/usr/bin/poor`
    ");
}

#[disposable::test]
fn json_is_complete_with_missing_names() {
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

#[disposable::test]
fn why_and_its_errors() {
    let root = Root::new("why");
    insta::assert_snapshot!(transcript(&root.deps(&["--why", "liby.so", "good"])), @r"
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
    let output = transcript(&root.deps(&["nothing", "/usr/bin/gone", "good", "nobody", "/usr"]));
    assert!(output.starts_with("status 2\n----\n"), "{output}");
    for lost in [
        "`nothing`",
        "`nobody`",
        "usr/bin/gone`: no such file",
        "usr`: it is a directory",
    ] {
        assert!(output.contains(lost), "{lost}: {output}");
    }
}

#[disposable::test]
fn a_graph_names_what_is_missing() {
    let root = Root::new("dot");
    let output = root.deps(&["-q", "--dot", "poor"]);
    assert_eq!(output.status.code(), Some(3));
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        text.contains("\"/usr/bin/poor\" -> \"libgone.so\""),
        "{text}"
    );
    assert!(
        text.contains("-> \"/usr/lib/liby.so\" [label=\"liby.so\"]"),
        "{text}"
    );
}

#[disposable::test]
fn loader_variables_of_the_user_are_ignored() {
    let root = Root::new("environment");
    fs::create_dir_all(root.0.join("mine")).unwrap();
    fs::copy(
        root.0.join("usr/lib/liby.so"),
        root.0.join("mine/libgone.so"),
    )
    .unwrap();
    let without = root.deps(&["--json", "poor"]);
    let mut command = root.command(&["--json", "poor"]);
    for name in ["LD_LIBRARY_PATH", "LD_PRELOAD", "LD_AUDIT", "LD_HWCAP_MASK"] {
        command.env(name, "/mine:/mine/libgone.so");
    }
    assert_eq!(
        transcript(&command.output().unwrap()).split("----").next(),
        transcript(&without).split("----").next()
    );
}

#[disposable::test]
fn devices_are_refused() {
    let device = Command::new(env!("CARGO_BIN_EXE_jailctl"))
        .args(["deps", "/dev/zero"])
        .output()
        .unwrap();
    let output = transcript(&device);
    assert!(
        output.starts_with("status 4\n----\nerror: could not read `/dev/zero`: it is a device"),
        "{output}"
    );
}

#[disposable::test]
fn unreadable_files_are_refused() {
    // Only root may change its user id.
    need_root();
    let root = Root::new("unreadable");
    fs::set_permissions(
        root.0.join("usr/bin/poor"),
        PermissionsExt::from_mode(0o700),
    )
    .unwrap();
    fs::set_permissions(
        root.0.join("usr/lib/libx.so.1.2"),
        PermissionsExt::from_mode(0o700),
    )
    .unwrap();
    // The command itself may be in a directory that other users cannot read.
    fs::copy(env!("CARGO_BIN_EXE_jailctl"), root.0.join("jailctl")).unwrap();
    let ask = |program: &str| {
        let mut command = Command::new("setpriv");
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]);
        command
            .arg(root.0.join("jailctl"))
            .args(["deps", "--root"])
            .arg(&root.0)
            .arg(program);
        transcript(&command.output().unwrap())
    };
    let output = ask("poor");
    assert!(
        output.contains("status 4") && output.contains("/usr/bin/poor`: permission denied"),
        "{output}"
    );
    // ld.so skips files that it cannot open.
    let output = ask("good");
    assert!(
        output.contains("status 3")
            && output.contains("could not find `libx.so.1`")
            && output.contains("libx.so.1`: permission denied"),
        "{output}"
    );
    fs::create_dir_all(root.0.join("opt/shut/below")).unwrap();
    fs::set_permissions(root.0.join("opt/shut"), PermissionsExt::from_mode(0o700)).unwrap();
    let output = ask("/opt/shut/below/program");
    assert!(
        output.contains("status 4") && output.contains("program`: permission denied"),
        "{output}"
    );
}

#[disposable::test]
fn looping_library_and_truncated_program_are_reported() {
    let root = Root::new("said");
    fs::remove_file(root.0.join("usr/lib/libx.so.1")).unwrap();
    std::os::unix::fs::symlink("libx.so.1", root.0.join("usr/lib/libx.so.1")).unwrap();
    let output = transcript(&root.deps(&["good"]));
    assert!(
        output.contains("libx.so.1`: too many levels of symbolic links"),
        "{output}"
    );
    fs::write(root.0.join("usr/bin/cut"), b"\x7fELF\x02\x01\x01\0\0\0").unwrap();
    let output = transcript(&root.deps(&["usr/bin/cut"]));
    assert!(
        output.starts_with("status 4") && output.contains("shorter than its ELF header"),
        "{output}"
    );
    for cache in [&b"text"[..], b"glibc-ld.so.cache1.1\x01\0\0\0", b""] {
        fs::create_dir_all(root.0.join("etc")).unwrap();
        fs::write(root.0.join("etc/ld.so.cache"), cache).unwrap();
        let output = transcript(&root.deps(&["poor"]));
        assert!(output.contains("ld.so.cache` is damaged"), "{output}");
    }
    fs::remove_file(root.0.join("etc/ld.so.cache")).unwrap();
    let lost = ElfBuilder {
        machine: 183,
        interpreter: Some("/lib/ld-linux-aarch64.so.1"),
        needed: &["libgone.so"],
        rpath: Some("lib:/lib"),
        ..ElfBuilder::default()
    };
    fs::write(root.0.join("usr/bin/cut"), lost.write()).unwrap();
    let output = transcript(&root.deps(&["usr/bin/cut"]));
    assert!(output.contains("elements that are relative"), "{output}");
    // A bare name is a program, even if a directory has the same name.
    fs::create_dir(root.0.join("good")).unwrap();
    assert!(transcript(&root.deps(&["good"])).contains("/usr/bin/good\n"));
}

#[disposable::test]
fn implicit_libraries_are_added_on_request() {
    let root = Root::new("known");
    let put = |path: &str, bytes: &[u8]| {
        let place = root.0.join(path);
        fs::create_dir_all(place.parent().unwrap()).unwrap();
        fs::write(place, bytes).unwrap();
    };
    let builder = ElfBuilder {
        machine: 183,
        ..ElfBuilder::default()
    };
    for name in [
        "libc.so.6",
        "libgcc_s.so.1",
        "libidn2.so.0",
        "libnss_x.so.2",
        "gconv/libdeep.so",
    ] {
        put(&format!("usr/lib/{name}"), &builder.write());
    }
    let module = ElfBuilder {
        needed: &["libdeep.so"],
        runpath: Some("$ORIGIN"),
        ..builder
    };
    put("usr/lib/gconv/ISO-1.so", &module.write());
    let table = b"alias LATIN// ISO-1//\nmodule ISO-1// INTERNAL ISO-1 1\nmodule INTERNAL ISO-1// ISO-1 1\n";
    put("usr/lib/gconv/gconv-modules", table);
    put("etc/nsswitch.conf", b"passwd: files x\n");
    let list = |arguments: &[&str]| transcript(&root.deps(arguments));
    let without = list(&["good"]);
    let known = list(&["--implicit", "good"]);
    for (name, why) in [
        ("libgcc_s.so.1", "pthread_cancel"),
        ("libnss_x.so.2", "passwd: x"),
    ] {
        assert!(!without.contains(name) && known.contains(name), "{known}");
        assert!(list(&["--implicit", "--json", "good"]).contains(why));
    }
    assert!(!known.contains("libidn2"), "{known}");
    assert!(list(&["--implicit", "--dlopen=suggested", "good"]).contains("libidn2.so.0"));
    let charset = list(&["--charset", "latin", "good"]);
    for path in [
        "gconv/gconv-modules\n",
        "gconv/ISO-1.so\n",
        "gconv/libdeep.so\n",
    ] {
        assert!(charset.contains(path), "{charset}");
    }
    let unknown = list(&["--charset", "klingon", "good"]);
    assert!(
        unknown.starts_with("status 3") && unknown.contains("no module for this character set"),
        "{unknown}"
    );
}

#[disposable::test]
fn search_configuration_is_part_of_the_closure() {
    let root = Root::new("settings");
    let far = ElfBuilder {
        soname: Some("libfar.so"),
        ..ElfBuilder::default()
    };
    let put = |path: &str, bytes: &[u8]| {
        let place = root.0.join(path);
        fs::create_dir_all(place.parent().unwrap()).unwrap();
        fs::write(place, bytes).unwrap();
    };
    put("opt/far/libfar.so", &far.write());
    put(
        "usr/lib/ld-musl-x86_64.so.1",
        &ElfBuilder::default().write(),
    );
    put("etc/ld-musl-x86_64.path", b"/opt/far\n");
    let program = ElfBuilder {
        interpreter: Some("/lib/ld-musl-x86_64.so.1"),
        needed: &["libfar.so"],
        ..ElfBuilder::default()
    };
    put("usr/bin/far", &program.write());
    let output = transcript(&root.deps(&["/usr/bin/far"]));
    assert!(
        output.contains("/etc/ld-musl-x86_64.path\n") && output.contains("/opt/far/libfar.so\n"),
        "{output}"
    );
    assert!(!transcript(&root.deps(&["good"])).contains("/etc/"));
}
