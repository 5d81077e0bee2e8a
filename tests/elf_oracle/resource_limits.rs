//! Small files that cause much work or need much memory: the command completes in bounded time and
//! memory, and reports the limits that it reached.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::elf_builder::ElfBuilder;

/// Most seconds of CPU time of a command, enough for builds without optimisation.
const SECONDS: f64 = 10.0;
/// Most KiB of memory of a command.
const MEMORY: f64 = 512.0 * 1024.0;

/// Runs its arguments as a command and prints the resources that it used. The limits protect the
/// machine if a test fails.
const METER: &str = r#"
import os, resource, sys
resource.setrlimit(resource.RLIMIT_CPU, (60, 60))
resource.setrlimit(resource.RLIMIT_AS, (8 << 30, 8 << 30))
resource.setrlimit(resource.RLIMIT_STACK, (1 << 20, 1 << 20))
child = os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ)
_, status, used = os.wait4(child, 0)
print(f"used {os.waitstatus_to_exitcode(status)} {used.ru_utime + used.ru_stime} {used.ru_maxrss}", file=sys.stderr)
"#;

struct TestDir(PathBuf);

impl TestDir {
    fn new(name: &str) -> Self {
        let root = std::env::temp_dir().join(format!("jailctl-much-{}-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&root);
        fs::create_dir_all(&root).unwrap();
        Self(root)
    }

    fn at(&self, path: &str) -> PathBuf {
        let place = self.0.join(path.trim_start_matches('/'));
        fs::create_dir_all(place.parent().unwrap()).unwrap();
        place
    }

    fn put(&self, path: &str, content: impl AsRef<[u8]>) {
        fs::write(self.at(path), content).unwrap();
        fs::set_permissions(self.at(path), PermissionsExt::from_mode(0o755)).unwrap();
    }

    fn dirs(&self, names: impl Iterator<Item = String>) {
        for name in names {
            fs::create_dir_all(self.0.join(name)).unwrap();
        }
    }

    /// Exit status and output of `jailctl deps` for files of the root.
    fn deps(&self, arguments: &[&str]) -> (i32, String) {
        let output = Command::new("python3")
            .args(["-c", METER, env!("CARGO_BIN_EXE_jailctl"), "deps", "--root"])
            .arg(&self.0)
            .args(arguments)
            .output()
            .unwrap();
        let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
        text.push_str(&String::from_utf8_lossy(&output.stderr));
        let used = text.lines().last().unwrap().to_owned();
        let mut numbers = used.split(' ').skip(1).map(|word| word.parse().unwrap());
        let mut next = || -> f64 { numbers.next().unwrap() };
        let (status, seconds, memory) = (next(), next(), next());
        println!("{used}");
        assert!(
            (0.0..7.0).contains(&status) && seconds < SECONDS && memory < MEMORY,
            "{used}: {}",
            text.chars().take(2000).collect::<String>()
        );
        assert!(!text.contains("panicked"), "{text}");
        #[expect(clippy::cast_possible_truncation, reason = "it is an exit status")]
        (status as i32, text)
    }
}

impl Drop for TestDir {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn numbered(count: usize, name: impl Fn(usize) -> String) -> Vec<String> {
    (0..count).map(name).collect()
}

fn strs(texts: &[String]) -> Vec<&str> {
    texts.iter().map(String::as_str).collect()
}

#[disposable::test]
fn long_search_paths_of_many_objects() {
    let root = TestDir::new("paths");
    let path = numbered(10_000, |number| format!("/{number:x}")).join(":");
    let origins = numbered(4500, |number| format!("$ORIGIN/{number:x}")).join(":");
    let deep = format!("/{}", ["d"; 500].join("/"));
    for number in 0..40 {
        let (own, next) = (format!("l{number}"), format!("l{}", number + 1));
        let builder = ElfBuilder {
            soname: Some(&own),
            needed: &[&next, "gone"],
            rpath: Some(if number % 2 == 0 { &path } else { &origins }),
            ..ElfBuilder::default()
        };
        root.put(&format!("/usr/lib/{own}"), builder.write());
        if number == 0 {
            root.put(&format!("{deep}/p"), builder.write());
        }
    }
    let (status, text) = root.deps(&[&format!("{deep}/p")]);
    assert!(status == 3 && text.contains("`gone`"), "{text}");
}

#[disposable::test]
fn includes_that_multiply() {
    let root = TestDir::new("include");
    root.dirs((0..60).map(|number| format!("d{number}")));
    root.put(
        "/p",
        ElfBuilder {
            needed: &["liba.so"],
            ..ElfBuilder::default()
        }
        .write(),
    );
    root.put(
        "/etc/ld.so.conf",
        format!("include {}/*.conf\n", "/*/..".repeat(8)),
    );
    let (status, text) = root.deps(&["/p"]);
    assert!(status == 4 && text.contains("etc/ld.so.conf`"), "{text}");
    // Files that include all of them, and so each other.
    root.put("/etc/ld.so.conf", "include /c/*.conf\n");
    for number in 0..20 {
        root.put(&format!("/c/{number}.conf"), "include *.conf\n/d1\n");
    }
    let (status, text) = root.deps(&["/p"]);
    assert!(status == 4 && text.contains("etc/ld.so.conf`"), "{text}");
}

#[disposable::test]
fn settings_of_many_directories() {
    let root = TestDir::new("settings");
    let many = numbered(150_000, |number| format!("/{number:x}")).join("\n");
    let names = numbered(3000, |number| format!("lib{number}.so"));
    let builder = ElfBuilder {
        needed: &strs(&names),
        ..ElfBuilder::default()
    };
    root.put("/p", builder.write());
    root.put("/etc/ld.so.conf", &many);
    let (status, text) = root.deps(&["/p"]);
    assert!(status == 4 && text.contains("etc/ld.so.conf`"), "{text}");
    // The same library by many names, below each level of the processor.
    root.put("/d/glibc-hwcaps/x86-64-v2/x", "");
    let aliases = numbered(600, |number| format!("/d{}", "/../d".repeat(number))).join("\n");
    root.put("/etc/ld.so.conf", aliases);
    assert_eq!(root.deps(&["/p"]).0, 3);
    fs::remove_file(root.at("/etc/ld.so.conf")).unwrap();
    root.put("/lib/ld-musl-x86_64.so.1", ElfBuilder::default().write());
    let builder = ElfBuilder {
        interpreter: Some("/lib/ld-musl-x86_64.so.1"),
        ..builder
    };
    root.put("/p", builder.write());
    root.put("/etc/ld-musl-x86_64.path", &many);
    assert_eq!(root.deps(&["/p"]).0, 3);
    root.put("/etc/ld-musl-x86_64.path", "/d:/./d:".repeat(60_000));
    assert_eq!(root.deps(&["/p"]).0, 3);
}

#[disposable::test]
fn a_cache_of_one_name() {
    let root = TestDir::new("cache");
    let count = 1_000_000_u32;
    let mut cache = b"glibc-ld.so.cache1.1".to_vec();
    for word in [count, 100, 2, 0, 0, 0, 0] {
        cache.extend(word.to_le_bytes());
    }
    let strings = 48 + count * 24;
    for _ in 0..count {
        for word in [3, strings, strings, 0, 0, 0] {
            cache.extend(word.to_le_bytes());
        }
    }
    cache.extend(b"l1\0");
    root.put("/etc/ld.so.cache", &cache);
    // Names that are equal in the order of the cache.
    let names = numbered(2000, |number| format!("l{}1", "0".repeat(number / 10)));
    root.put(
        "/p",
        ElfBuilder {
            needed: &strs(&names),
            ..ElfBuilder::default()
        }
        .write(),
    );
    assert_eq!(root.deps(&["/p"]).0, 3);
}

#[disposable::test]
fn one_note_in_every_header() {
    let root = TestDir::new("notes");
    let entries = numbered(1000, |number| {
        format!(r#"{{"soname":["l{number}.so","m{number}.so"],"feature":"xxxxx"}}"#)
    });
    let text = format!("[{}]", entries.join(","));
    let bytes = ElfBuilder {
        dlopen: Some(&text),
        ..ElfBuilder::default()
    }
    .write();
    // The third program header describes the note: as many notes as the kernel reads.
    let (old, each, count) = (64, 56, 1170);
    let note = &bytes[old + 2 * each..old + 3 * each];
    let mut many = bytes.clone();
    let at = many.len().next_multiple_of(8);
    many.resize(at, 0);
    many.extend(&bytes[old..old + 2 * each]);
    for _ in 2..count {
        many.extend(note);
    }
    many[32..40].copy_from_slice(&(at as u64).to_le_bytes());
    many[56..58].copy_from_slice(&u16::try_from(count).unwrap().to_le_bytes());
    root.put("/p", many);
    assert_eq!(root.deps(&["--dlopen=suggested", "/p"]).0, 0);
}

#[disposable::test]
fn long_chain_of_dlopen_entries() {
    let root = TestDir::new("dlopen-entries");
    for number in 0..5000 {
        let own = format!("l{number}");
        let text = format!(r#"[{{"soname":["l{}"]}}]"#, number + 1);
        let builder = ElfBuilder {
            soname: Some(&own),
            dlopen: Some(&text),
            ..ElfBuilder::default()
        };
        root.put(&format!("/usr/lib/{own}"), builder.write());
    }
    let (status, text) = root.deps(&["/usr/lib/l0"]);
    assert!(status == 3 && text.contains("`l4096`"), "{text}");
    assert!(text.lines().count() <= 4100, "{}", text.lines().count());
}

/// Each dlopen entry is also loaded alone, with its needs, which may have many entries themselves.
#[disposable::test]
fn many_wishes_that_each_bring_wishes() {
    let root = TestDir::new("granted");
    let note = |entry: &str, count: usize| {
        let entries = numbered(count, |number| {
            entry.replace('%', &(number % 4).to_string())
        });
        format!("[{}]", entries.join(","))
    };
    let wanted = note(r#"{"soname":["l%"],"priority":"recommended"}"#, 1024);
    let unwanted = note(r#"{"soname":["q"],"priority":"suggested"}"#, 1024);
    let long = format!(
        r#"[{{"soname":["deep"],"description":"{}"}}]"#,
        "x".repeat(64_000)
    );
    let put = |name: &str, needed: &[&str], dlopen: Option<&str>| {
        let builder = ElfBuilder {
            soname: Some(name),
            needed,
            dlopen,
            ..ElfBuilder::default()
        };
        root.put(&format!("/usr/lib/{name}"), builder.write());
    };
    let below = numbered(400, |number| format!("t{number}"));
    for name in &below {
        put(name, &[], Some(&unwanted));
    }
    put("wordy", &[], Some(&long));
    put("deep", &[], None);
    let needed = [strs(&below), vec!["wordy"]].concat();
    for number in 0..4 {
        put(&format!("l{number}"), &needed, None);
    }
    let first = numbered(60, |number| format!("s{number}"));
    for name in &first {
        put(name, &[], Some(&wanted));
    }
    put("p", &strs(&first), None);
    let (status, text) = root.deps(&["/usr/lib/p"]);
    assert!(
        status == 3 && text.contains("more than 500000 steps"),
        "{text}"
    );
}

#[disposable::test]
fn interpreters_of_interpreters() {
    let root = TestDir::new("interpreters");
    for number in 0..3000 {
        let next = format!("/l{}", number + 1);
        let builder = ElfBuilder {
            interpreter: Some(&next),
            ..ElfBuilder::default()
        };
        root.put(&format!("/l{number}"), builder.write());
    }
    // The kernel ignores the interpreter of an interpreter.
    let (status, text) = root.deps(&["/l0"]);
    let lines: BTreeSet<&str> = text.lines().filter(|line| line.starts_with('/')).collect();
    assert_eq!((status, lines), (0, BTreeSet::from(["/l0", "/l1"])));
    for number in 0..2000 {
        let place = root.at(&format!("/usr/bin/s{number}"));
        fs::write(&place, format!("#!/usr/bin/env s{}\n", number + 1)).unwrap();
        fs::set_permissions(&place, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    }
    root.put("/usr/bin/env", ElfBuilder::default().write());
    let (status, text) = root.deps(&["/usr/bin/s0"]);
    assert!(status == 3 && text.contains("/usr/bin/s1999`"), "{text}");
}

#[disposable::test]
fn long_names_in_many_directories() {
    let root = TestDir::new("names");
    root.dirs((0..250).map(|number| format!("{number:x}")));
    let path = numbered(250, |number| format!("/{number:x}")).join(":");
    let long = "x".repeat(4090);
    // The strings end at the same offset of the file, and so need no space of their own.
    let names: Vec<&str> = (0..4000).map(|at| &long[at..]).collect();
    let whole = ElfBuilder {
        needed: &names[..1],
        runpath: Some(&path),
        ..ElfBuilder::default()
    }
    .build();
    let mut bytes = whole.bytes.clone();
    let dynamic = bytes.len().next_multiple_of(16);
    bytes.resize(dynamic, 0);
    let mut entry = |tag: u64, value: u64| {
        bytes.extend(tag.to_le_bytes());
        bytes.extend(value.to_le_bytes());
    };
    for at in 0..4000 {
        entry(1, 1 + at);
    }
    entry(29, 1 + 4091);
    entry(5, whole.strings as u64);
    entry(0, 0);
    let length = (bytes.len() - dynamic) as u64;
    let second = 64 + 56;
    for (field, value) in [(8, dynamic as u64), (16, dynamic as u64), (32, length)] {
        bytes[second + field..second + field + 8].copy_from_slice(&value.to_le_bytes());
    }
    root.put("/p", bytes);
    let (status, text) = root.deps(&["/p"]);
    assert!(status == 4 && text.contains("/p`: its names"), "{text}");
    // As many as one object may have, of a length that no directory contains.
    let long = "x".repeat(300);
    let names = numbered(800, |number| format!("{number:03}{long}"));
    root.put(
        "/p",
        ElfBuilder {
            needed: &strs(&names),
            runpath: Some(&path),
            ..ElfBuilder::default()
        }
        .write(),
    );
    assert_eq!(root.deps(&["/p"]).0, 3);
}

#[disposable::test]
fn a_loader_of_directories() {
    let root = TestDir::new("loader");
    let mut loader = ElfBuilder::default().write();
    loader.extend(b"\0/a/".repeat(800_000));
    loader.push(0);
    root.put("/lib64/ld-linux-x86-64.so.2", loader);
    let names = numbered(1000, |number| format!("lib{number}.so"));
    let builder = ElfBuilder {
        interpreter: Some("/lib64/ld-linux-x86-64.so.2"),
        needed: &strs(&names),
        ..ElfBuilder::default()
    };
    root.put("/p", builder.write());
    assert_eq!(root.deps(&["/p"]).0, 3);
}

#[disposable::test]
fn tables_of_character_sets_without_end() {
    let root = TestDir::new("gconv");
    root.put(
        "/usr/lib/libc.so.6",
        ElfBuilder {
            soname: Some("libc.so.6"),
            ..ElfBuilder::default()
        }
        .write(),
    );
    root.put("/usr/lib/gconv/gconv-modules", "");
    let first = root.at("/usr/lib/gconv/gconv-modules.d/0.conf");
    fs::File::create(&first).unwrap().set_len(4 << 20).unwrap();
    for number in 1..400 {
        fs::hard_link(
            &first,
            root.at(&format!("/usr/lib/gconv/gconv-modules.d/{number}.conf")),
        )
        .unwrap();
    }
    root.put(
        "/p",
        ElfBuilder {
            needed: &["libc.so.6"],
            ..ElfBuilder::default()
        }
        .write(),
    );
    symlink("usr/lib", root.0.join("lib")).unwrap();
    let (status, text) = root.deps(&["--charset", "latin1", "/p"]);
    assert!(status == 4 && text.contains("gconv-modules.d"), "{text}");
}

#[disposable::test]
fn ways_that_turn_back_without_end() {
    let root = TestDir::new("detours");
    for link in 0..20 {
        root.dirs((0..500).map(|number| format!("t/{link}/{number:x}")));
        let turn = numbered(500, |number| format!("{number:x}/..")).join("/");
        let next = if link == 19 {
            String::from("/")
        } else {
            format!("/k/{}", link + 1)
        };
        symlink(
            format!("/t/{link}/{turn}/../..{next}"),
            root.at(&format!("/k/{link}")),
        )
        .unwrap();
    }
    root.dirs((0..500).map(|number| format!("s/{number:x}")));
    let path = numbered(500, |number| format!("/k/0/s/{number:x}")).join(":");
    let names = numbered(1000, |number| format!("lib{number}.so"));
    root.put(
        "/p",
        ElfBuilder {
            needed: &strs(&names),
            runpath: Some(&path),
            ..ElfBuilder::default()
        }
        .write(),
    );
    assert_eq!(root.deps(&["/p"]).0, 3);
}

#[disposable::test]
fn a_loader_for_each_program() {
    let root = TestDir::new("loaders");
    let mut programs = Vec::new();
    for number in 0..200 {
        let names = numbered(1000, |name| format!("l{number}-{name}"));
        let loader = format!("/lib/ld-{number}.so.1");
        let program = format!("/bin/p{number}");
        let builder = ElfBuilder {
            interpreter: Some(&loader),
            needed: &strs(&names),
            ..ElfBuilder::default()
        };
        root.put(&program, builder.write());
        programs.push(program);
    }
    assert_eq!(root.deps(&strs(&programs)).0, 3);
}

/// Pipes and devices at the paths of a search: the command does not wait for them, and reads no
/// device.
#[disposable::test]
fn special_files_are_not_waited_for() {
    let root = TestDir::new("special");
    let link = |path: &str, arguments: &[&str]| {
        let place = root.at(path);
        let _ = fs::remove_file(&place);
        Command::new("mknod")
            .arg(place)
            .args(arguments)
            .status()
            .unwrap()
            .success()
    };
    let glibc = "/lib64/ld-linux-x86-64.so.2";
    let program = ElfBuilder {
        interpreter: Some(glibc),
        needed: &["libx.so"],
        ..ElfBuilder::default()
    };
    root.put(glibc, ElfBuilder::default().write());
    root.put("/usr/lib/libc.so.6", ElfBuilder::default().write());
    symlink("usr/lib", root.0.join("lib")).unwrap();
    root.put("/p", program.write());
    root.put(
        "/m",
        ElfBuilder {
            interpreter: Some("/lib/ld-musl-x86_64.so.1"),
            ..program
        }
        .write(),
    );
    root.put(
        "/i",
        ElfBuilder {
            interpreter: Some("/lib64/pipe"),
            ..program
        }
        .write(),
    );
    root.put("/s", "#!/lib64/pipe\n");
    root.put("/e", "#!/env prog\n");
    root.put("/env", ElfBuilder::default().write());
    for kind in [&["p"][..], &["c", "1", "5"]] {
        for (path, file, status) in [
            ("/p2", "/p2", 4),
            ("/etc/ld.so.cache", "/p", 4),
            ("/etc/ld.so.conf", "/p", 4),
            ("/etc/ld-musl-x86_64.path", "/m", 4),
            ("/usr/lib/libx.so", "/p", 3),
            ("/lib64/pipe", "/i", 3),
            ("/lib64/pipe", "/s", 3),
            ("/usr/bin/prog", "/e", 3),
            ("/usr/lib/gconv/gconv-modules", "/p", 4),
        ] {
            if !link(path, kind) {
                // Only root can create devices.
                assert!(kind[0] == "c" && !rustix::process::geteuid().is_root());
                continue;
            }
            let (summary, text) = root.deps(&["--charset", "latin1", file]);
            assert_eq!(summary, status, "{path}: {text}");
            fs::remove_file(root.at(path)).unwrap();
        }
    }
    assert!(!Path::new("/p2").exists());
}
