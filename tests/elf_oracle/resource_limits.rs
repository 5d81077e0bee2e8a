//! Small files that ask for much work or much room: the command answers each in bounded time and
//! memory, and says what it did not do.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::elf_builder::Forge;

/// Seconds of the processor that any answer may take, with room for builds that are not optimised.
const SECONDS: f64 = 10.0;
/// KiB of memory that any answer may take.
const MEMORY: f64 = 512.0 * 1024.0;

/// Starts what it is given, and tells what that used. The limits only keep a failure from taking
/// the machine with it.
const METER: &str = r#"
import os, resource, sys
resource.setrlimit(resource.RLIMIT_CPU, (60, 60))
resource.setrlimit(resource.RLIMIT_AS, (8 << 30, 8 << 30))
resource.setrlimit(resource.RLIMIT_STACK, (1 << 20, 1 << 20))
child = os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ)
_, status, used = os.wait4(child, 0)
print(f"used {os.waitstatus_to_exitcode(status)} {used.ru_utime + used.ru_stime} {used.ru_maxrss}", file=sys.stderr)
"#;

struct Room(PathBuf);

impl Room {
    fn new(name: &str) -> Self {
        let room = std::env::temp_dir().join(format!("jailctl-much-{}-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&room);
        fs::create_dir_all(&room).unwrap();
        Self(room)
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

    /// The exit status of `jailctl deps` for files of the room, and all that it printed.
    fn ask(&self, words: &[&str]) -> (i32, String) {
        let output = Command::new("python3")
            .args(["-c", METER, env!("CARGO_BIN_EXE_jailctl"), "deps", "--root"])
            .arg(&self.0)
            .args(words)
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

impl Drop for Room {
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
    let room = Room::new("paths");
    let path = numbered(10_000, |number| format!("/{number:x}")).join(":");
    let origins = numbered(4500, |number| format!("$ORIGIN/{number:x}")).join(":");
    let deep = format!("/{}", ["d"; 500].join("/"));
    for number in 0..40 {
        let (own, next) = (format!("l{number}"), format!("l{}", number + 1));
        let forge = Forge {
            soname: Some(&own),
            needed: &[&next, "gone"],
            rpath: Some(if number % 2 == 0 { &path } else { &origins }),
            ..Forge::default()
        };
        room.put(&format!("/usr/lib/{own}"), forge.write());
        if number == 0 {
            room.put(&format!("{deep}/p"), forge.write());
        }
    }
    let (status, text) = room.ask(&[&format!("{deep}/p")]);
    assert!(status == 3 && text.contains("`gone`"), "{text}");
}

#[disposable::test]
fn includes_that_multiply() {
    let room = Room::new("include");
    room.dirs((0..60).map(|number| format!("d{number}")));
    room.put(
        "/p",
        Forge {
            needed: &["liba.so"],
            ..Forge::default()
        }
        .write(),
    );
    room.put(
        "/etc/ld.so.conf",
        format!("include {}/*.conf\n", "/*/..".repeat(8)),
    );
    let (status, text) = room.ask(&["/p"]);
    assert!(status == 4 && text.contains("etc/ld.so.conf`"), "{text}");
    // Files that include all of them, and so each other.
    room.put("/etc/ld.so.conf", "include /c/*.conf\n");
    for number in 0..20 {
        room.put(&format!("/c/{number}.conf"), "include *.conf\n/d1\n");
    }
    let (status, text) = room.ask(&["/p"]);
    assert!(status == 4 && text.contains("etc/ld.so.conf`"), "{text}");
}

#[disposable::test]
fn settings_of_many_directories() {
    let room = Room::new("settings");
    let many = numbered(150_000, |number| format!("/{number:x}")).join("\n");
    let names = numbered(3000, |number| format!("lib{number}.so"));
    let forge = Forge {
        needed: &strs(&names),
        ..Forge::default()
    };
    room.put("/p", forge.write());
    room.put("/etc/ld.so.conf", &many);
    let (status, text) = room.ask(&["/p"]);
    assert!(status == 4 && text.contains("etc/ld.so.conf`"), "{text}");
    // The same one by many names, below each level of the processor.
    room.put("/d/glibc-hwcaps/x86-64-v2/x", "");
    let aliases = numbered(600, |number| format!("/d{}", "/../d".repeat(number))).join("\n");
    room.put("/etc/ld.so.conf", aliases);
    assert_eq!(room.ask(&["/p"]).0, 3);
    fs::remove_file(room.at("/etc/ld.so.conf")).unwrap();
    room.put("/lib/ld-musl-x86_64.so.1", Forge::default().write());
    let forge = Forge {
        interpreter: Some("/lib/ld-musl-x86_64.so.1"),
        ..forge
    };
    room.put("/p", forge.write());
    room.put("/etc/ld-musl-x86_64.path", &many);
    assert_eq!(room.ask(&["/p"]).0, 3);
    room.put("/etc/ld-musl-x86_64.path", "/d:/./d:".repeat(60_000));
    assert_eq!(room.ask(&["/p"]).0, 3);
}

#[disposable::test]
fn a_cache_of_one_name() {
    let room = Room::new("cache");
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
    room.put("/etc/ld.so.cache", &cache);
    // Names that are the same by the order of the cache.
    let names = numbered(2000, |number| format!("l{}1", "0".repeat(number / 10)));
    room.put(
        "/p",
        Forge {
            needed: &strs(&names),
            ..Forge::default()
        }
        .write(),
    );
    assert_eq!(room.ask(&["/p"]).0, 3);
}

#[disposable::test]
fn one_note_in_every_header() {
    let room = Room::new("notes");
    let wishes = numbered(1000, |number| {
        format!(r#"{{"soname":["l{number}.so","m{number}.so"],"feature":"xxxxx"}}"#)
    });
    let text = format!("[{}]", wishes.join(","));
    let bytes = Forge {
        dlopen: Some(&text),
        ..Forge::default()
    }
    .write();
    // Its note is what the third header describes: as many of that as a kernel reads.
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
    room.put("/p", many);
    assert_eq!(room.ask(&["--dlopen=suggested", "/p"]).0, 0);
}

#[disposable::test]
fn a_long_chain_of_wishes() {
    let room = Room::new("wishes");
    for number in 0..5000 {
        let own = format!("l{number}");
        let text = format!(r#"[{{"soname":["l{}"]}}]"#, number + 1);
        let forge = Forge {
            soname: Some(&own),
            dlopen: Some(&text),
            ..Forge::default()
        };
        room.put(&format!("/usr/lib/{own}"), forge.write());
    }
    let (status, text) = room.ask(&["/usr/lib/l0"]);
    assert!(status == 3 && text.contains("`l4096`"), "{text}");
    assert!(text.lines().count() <= 4100, "{}", text.lines().count());
}

/// Each wish is granted alone too, with what that brings, which may wish for much itself.
#[disposable::test]
fn many_wishes_that_each_bring_wishes() {
    let room = Room::new("granted");
    let note = |words: &str, count: usize| {
        let entries = numbered(count, |number| {
            words.replace('%', &(number % 4).to_string())
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
        let forge = Forge {
            soname: Some(name),
            needed,
            dlopen,
            ..Forge::default()
        };
        room.put(&format!("/usr/lib/{name}"), forge.write());
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
    let (status, text) = room.ask(&["/usr/lib/p"]);
    assert!(
        status == 3 && text.contains("more than 500000 steps"),
        "{text}"
    );
}

#[disposable::test]
fn interpreters_of_interpreters() {
    let room = Room::new("interpreters");
    for number in 0..3000 {
        let next = format!("/l{}", number + 1);
        let forge = Forge {
            interpreter: Some(&next),
            ..Forge::default()
        };
        room.put(&format!("/l{number}"), forge.write());
    }
    // The kernel does not look for the interpreter of an interpreter.
    let (status, text) = room.ask(&["/l0"]);
    let lines: BTreeSet<&str> = text.lines().filter(|line| line.starts_with('/')).collect();
    assert_eq!((status, lines), (0, BTreeSet::from(["/l0", "/l1"])));
    for number in 0..2000 {
        let place = room.at(&format!("/usr/bin/s{number}"));
        fs::write(&place, format!("#!/usr/bin/env s{}\n", number + 1)).unwrap();
        fs::set_permissions(&place, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    }
    room.put("/usr/bin/env", Forge::default().write());
    let (status, text) = room.ask(&["/usr/bin/s0"]);
    assert!(status == 3 && text.contains("/usr/bin/s1999`"), "{text}");
}

#[disposable::test]
fn long_names_in_many_directories() {
    let room = Room::new("names");
    room.dirs((0..250).map(|number| format!("{number:x}")));
    let path = numbered(250, |number| format!("/{number:x}")).join(":");
    let long = "x".repeat(4090);
    // In a file they end in the same place, and so take no room of their own.
    let names: Vec<&str> = (0..4000).map(|at| &long[at..]).collect();
    let whole = Forge {
        needed: &names[..1],
        runpath: Some(&path),
        ..Forge::default()
    }
    .forge();
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
    room.put("/p", bytes);
    let (status, text) = room.ask(&["/p"]);
    assert!(status == 4 && text.contains("/p`: its names"), "{text}");
    // As many as one object may have, of a length that no directory holds.
    let long = "x".repeat(300);
    let names = numbered(800, |number| format!("{number:03}{long}"));
    room.put(
        "/p",
        Forge {
            needed: &strs(&names),
            runpath: Some(&path),
            ..Forge::default()
        }
        .write(),
    );
    assert_eq!(room.ask(&["/p"]).0, 3);
}

#[disposable::test]
fn a_loader_of_directories() {
    let room = Room::new("loader");
    let mut loader = Forge::default().write();
    loader.extend(b"\0/a/".repeat(800_000));
    loader.push(0);
    room.put("/lib64/ld-linux-x86-64.so.2", loader);
    let names = numbered(1000, |number| format!("lib{number}.so"));
    let forge = Forge {
        interpreter: Some("/lib64/ld-linux-x86-64.so.2"),
        needed: &strs(&names),
        ..Forge::default()
    };
    room.put("/p", forge.write());
    assert_eq!(room.ask(&["/p"]).0, 3);
}

#[disposable::test]
fn tables_of_character_sets_without_end() {
    let room = Room::new("gconv");
    room.put(
        "/usr/lib/libc.so.6",
        Forge {
            soname: Some("libc.so.6"),
            ..Forge::default()
        }
        .write(),
    );
    room.put("/usr/lib/gconv/gconv-modules", "");
    let first = room.at("/usr/lib/gconv/gconv-modules.d/0.conf");
    fs::File::create(&first).unwrap().set_len(4 << 20).unwrap();
    for number in 1..400 {
        fs::hard_link(
            &first,
            room.at(&format!("/usr/lib/gconv/gconv-modules.d/{number}.conf")),
        )
        .unwrap();
    }
    room.put(
        "/p",
        Forge {
            needed: &["libc.so.6"],
            ..Forge::default()
        }
        .write(),
    );
    symlink("usr/lib", room.0.join("lib")).unwrap();
    let (status, text) = room.ask(&["--charset", "latin1", "/p"]);
    assert!(status == 4 && text.contains("gconv-modules.d"), "{text}");
}

#[disposable::test]
fn ways_that_turn_back_without_end() {
    let room = Room::new("detours");
    for link in 0..20 {
        room.dirs((0..500).map(|number| format!("t/{link}/{number:x}")));
        let turn = numbered(500, |number| format!("{number:x}/..")).join("/");
        let next = if link == 19 {
            String::from("/")
        } else {
            format!("/k/{}", link + 1)
        };
        symlink(
            format!("/t/{link}/{turn}/../..{next}"),
            room.at(&format!("/k/{link}")),
        )
        .unwrap();
    }
    room.dirs((0..500).map(|number| format!("s/{number:x}")));
    let path = numbered(500, |number| format!("/k/0/s/{number:x}")).join(":");
    let names = numbered(1000, |number| format!("lib{number}.so"));
    room.put(
        "/p",
        Forge {
            needed: &strs(&names),
            runpath: Some(&path),
            ..Forge::default()
        }
        .write(),
    );
    assert_eq!(room.ask(&["/p"]).0, 3);
}

#[disposable::test]
fn a_loader_for_each_program() {
    let room = Room::new("loaders");
    let mut programs = Vec::new();
    for number in 0..200 {
        let names = numbered(1000, |name| format!("l{number}-{name}"));
        let loader = format!("/lib/ld-{number}.so.1");
        let program = format!("/bin/p{number}");
        let forge = Forge {
            interpreter: Some(&loader),
            needed: &strs(&names),
            ..Forge::default()
        };
        room.put(&program, forge.write());
        programs.push(program);
    }
    assert_eq!(room.ask(&strs(&programs)).0, 3);
}

/// Pipes and devices where a file is looked for: nothing is waited for, and nothing of a device is
/// read.
#[disposable::test]
fn what_is_no_file_is_not_waited_for() {
    let room = Room::new("special");
    let make = |path: &str, words: &[&str]| {
        let place = room.at(path);
        let _ = fs::remove_file(&place);
        Command::new("mknod")
            .arg(place)
            .args(words)
            .status()
            .unwrap()
            .success()
    };
    let glibc = "/lib64/ld-linux-x86-64.so.2";
    let program = Forge {
        interpreter: Some(glibc),
        needed: &["libx.so"],
        ..Forge::default()
    };
    room.put(glibc, Forge::default().write());
    room.put("/usr/lib/libc.so.6", Forge::default().write());
    symlink("usr/lib", room.0.join("lib")).unwrap();
    room.put("/p", program.write());
    room.put(
        "/m",
        Forge {
            interpreter: Some("/lib/ld-musl-x86_64.so.1"),
            ..program
        }
        .write(),
    );
    room.put(
        "/i",
        Forge {
            interpreter: Some("/lib64/pipe"),
            ..program
        }
        .write(),
    );
    room.put("/s", "#!/lib64/pipe\n");
    room.put("/e", "#!/env prog\n");
    room.put("/env", Forge::default().write());
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
            if !make(path, kind) {
                // Only root makes devices.
                assert!(kind[0] == "c" && !rustix::process::geteuid().is_root());
                continue;
            }
            let (told, text) = room.ask(&["--charset", "latin1", file]);
            assert_eq!(told, status, "{path}: {text}");
            fs::remove_file(room.at(path)).unwrap();
        }
    }
    assert!(!Path::new("/p2").exists());
}
