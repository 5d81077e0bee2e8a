//! Files that were made to do harm: whatever they hold, the answer is an error that names them or a
//! closure, in bounded time.

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jailctl::elf::{self, Closure, Options};
use jailctl::error::Result;
use jailctl::host::HostView;
use proptest::prelude::*;

use super::elf_builder::Forge;

struct Room(PathBuf);

impl Room {
    fn new(name: &str) -> Self {
        let room =
            std::env::temp_dir().join(format!("jailctl-hostile-{}-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&room);
        fs::create_dir_all(&room).unwrap();
        Self(room)
    }

    fn put(&self, name: &str, content: &[u8]) {
        fs::write(self.0.join(name), content).unwrap();
    }

    /// The closure of `/p`, in bounded time of the processor: seconds where no bound would mean
    /// hours.
    fn ask(&self) -> Result<Closure> {
        let start = worked();
        let view = HostView::new(&self.0).unwrap();
        let answer = elf::closure(&view, &[PathBuf::from("/p")], &Options::default());
        let took = worked().saturating_sub(start);
        assert!(took < Duration::from_secs(10), "{took:?}");
        if let Err(error) = &answer {
            let text = error.to_string();
            assert!(text.contains("/p`: "), "which and why: {text}");
        }
        answer
    }

    fn refusal(&self) -> String {
        self.ask().unwrap_err().to_string()
    }
}

/// How long this thread has worked, waits not counted: other tests run beside it.
fn worked() -> Duration {
    let text = fs::read_to_string("/proc/thread-self/stat").unwrap();
    let (_, fields) = text.rsplit_once(") ").unwrap();
    // Ticks of a hundredth of a second in user and in system mode: the 14th and 15th field.
    let mut ticks = fields.split(' ').skip(11).take(2);
    let mut next = || ticks.next().unwrap().parse::<u64>().unwrap();
    Duration::from_millis(10 * (next() + next()))
}

impl Drop for Room {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn program() -> Forge<'static> {
    Forge {
        interpreter: Some("/ld.so"),
        needed: &["liba.so", "libb.so"],
        soname: Some("p"),
        runpath: Some("/opt:$ORIGIN/lib"),
        dlopen: Some(r#"[{"soname":["libd.so"],"priority":"required"}]"#),
        ..Forge::default()
    }
}

#[disposable::test]
fn no_truncation_and_no_flipped_byte_does_harm() {
    let room = Room::new("flip");
    let good = program().write();
    for length in 0..good.len() {
        room.put("p", &good[..length]);
        let _ = room.ask();
    }
    for at in 0..good.len() {
        for byte in [0x00, 0x7f, 0xff] {
            let mut bad = good.clone();
            bad[at] = byte;
            room.put("p", &bad);
            let _ = room.ask();
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]
    #[disposable::test]
    fn no_damage_does_harm(
        wide in any::<bool>(),
        little in any::<bool>(),
        damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u64>(), 1_usize..9), 1..6),
    ) {
        let room = Room::new("damage");
        let mut bytes = Forge { wide, little, ..program() }.write();
        for (at, value, width) in damage {
            let at = at.index(bytes.len());
            let end = (at + width).min(bytes.len());
            bytes[at..end].copy_from_slice(&value.to_le_bytes()[..end - at]);
        }
        room.put("p", &bytes);
        let _ = room.ask();
    }

    #[disposable::test]
    fn no_first_line_does_harm(line in proptest::collection::vec(any::<u8>(), 0..400)) {
        let room = Room::new("line");
        room.put("p", &[b"#!".as_slice(), &line].concat());
        let _ = room.ask();
    }
}

#[disposable::test]
fn impossible_sizes_and_places_are_refused_by_name() {
    let room = Room::new("sizes");
    let forged = program().forge();
    let patch = |at: usize, value: u64, width: usize| {
        let mut bad = forged.bytes.clone();
        bad[at..at + width].copy_from_slice(&value.to_le_bytes()[..width]);
        room.put("p", &bad);
    };
    patch(32, u64::MAX - 10, 8);
    assert!(
        room.refusal()
            .contains("program headers lie outside the file")
    );
    patch(56, 0xffff, 2);
    assert!(
        room.refusal()
            .contains("more program headers than any kernel loads")
    );
    patch(54, 1, 2);
    assert!(room.refusal().contains("not of the expected size"));
    // The second program header is that of the dynamic section.
    let second = 64 + 56;
    patch(second + 8, 1 << 62, 8);
    assert!(
        room.refusal()
            .contains("dynamic entries lie outside the file")
    );
    patch(second + 32, 1 << 40, 8);
    assert!(room.refusal().contains("larger than any real one"));
    patch(forged.dynamic + 8, 1 << 33, 8);
    assert!(room.refusal().contains("a name in its dynamic section"));
    let mut endless = forged.bytes.clone();
    endless[forged.strings..].fill(b'x');
    room.put("p", &endless);
    assert!(room.refusal().contains("has no end"));
    let names: Vec<String> = (0..5000).map(|number| format!("lib{number}.so")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    room.put(
        "p",
        &Forge {
            needed: &names,
            ..program()
        }
        .write(),
    );
    assert!(room.refusal().contains("more than 4096"));
}

#[disposable::test]
fn a_sparse_giant_costs_no_more_than_a_small_file() {
    let room = Room::new("giant");
    let mut bytes = program().write();
    let second = 64 + 56;
    for base in [64, second] {
        // Segments of a terabyte, with the dynamic section at their far end.
        bytes[base + 32..base + 40].copy_from_slice(&(1_u64 << 20).to_le_bytes());
    }
    bytes[second + 8..second + 16].copy_from_slice(&(1_u64 << 39).to_le_bytes());
    room.put("p", &bytes);
    let file = fs::OpenOptions::new()
        .write(true)
        .open(room.0.join("p"))
        .unwrap();
    file.set_len(1 << 40).unwrap();
    file.write_all_at(b"end", (1 << 40) - 3).unwrap();
    let closure = room.ask().unwrap();
    assert!(closure.objects[Path::new("/p")].needed.is_empty());
}

#[disposable::test]
fn pipes_directories_and_loops_are_refused_and_nothing_is_waited_for() {
    let room = Room::new("kinds");
    let pipe = std::process::Command::new("mkfifo")
        .arg(room.0.join("p"))
        .status()
        .unwrap();
    assert!(pipe.success());
    assert!(room.refusal().contains("a device, a pipe or a socket"));
    fs::rename(room.0.join("p"), room.0.join("libpipe.so")).unwrap();
    room.put(
        "p",
        &Forge {
            needed: &["libpipe.so"],
            runpath: Some("/"),
            ..Forge::default()
        }
        .write(),
    );
    let closure = room.ask().unwrap();
    assert!(
        closure.missing[0]
            .why
            .as_deref()
            .unwrap()
            .contains("a pipe"),
        "{closure:?}"
    );
    fs::remove_file(room.0.join("p")).unwrap();
    std::os::unix::fs::symlink("q", room.0.join("p")).unwrap();
    std::os::unix::fs::symlink("p", room.0.join("q")).unwrap();
    assert!(room.refusal().contains("too many levels of symbolic links"));
    fs::remove_file(room.0.join("p")).unwrap();
    assert!(room.refusal().contains("no such file"));
    fs::create_dir(room.0.join("p")).unwrap();
    assert!(room.refusal().contains("it is a directory"));
}

#[disposable::test]
fn long_search_paths_and_many_names_take_no_long_time() {
    let room = Room::new("long");
    let long = (0..8000)
        .map(|number| format!("/d{}", number % 7))
        .collect::<Vec<_>>()
        .join(":");
    for number in 0..7 {
        fs::create_dir(room.0.join(format!("d{number}"))).unwrap();
    }
    let names: Vec<String> = (0..4000).map(|number| format!("l{number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    room.put(
        "p",
        &Forge {
            needed: &names,
            runpath: Some(&long),
            ..Forge::default()
        }
        .write(),
    );
    assert_eq!(room.ask().unwrap().missing.len(), 4000);
    // Dots that lead back to the same place make no new one.
    let dots = (1..40)
        .map(|number| "/d1/..".repeat(number))
        .collect::<Vec<_>>()
        .join(":");
    room.put(
        "p",
        &Forge {
            needed: &names[..100],
            runpath: Some(&dots),
            ..Forge::default()
        }
        .write(),
    );
    assert_eq!(room.ask().unwrap().missing.len(), 100);
}

#[disposable::test]
fn chains_and_rings_of_libraries_end() {
    let room = Room::new("chain");
    let name = |number: usize| format!("l{number}");
    for number in 0..2000 {
        let next = name((number + 1) % 2000);
        let own = name(number);
        let forge = Forge {
            soname: Some(&own),
            needed: &[&next],
            rpath: Some("/"),
            ..Forge::default()
        };
        room.put(&own, &forge.write());
    }
    room.put(
        "p",
        &Forge {
            needed: &["l0"],
            rpath: Some("/"),
            ..Forge::default()
        }
        .write(),
    );
    let closure = room.ask().unwrap();
    assert_eq!(closure.objects.len(), 2001);
    assert!(jailctl::show::deps::tree(&closure).lines().count() < 4000);
}

#[disposable::test]
fn search_paths_that_multiply_end() {
    let room = Room::new("multiply");
    let gone: Vec<String> = (0..300).map(|number| format!("gone{number}")).collect();
    for number in 0..300 {
        let rpath = (0..60)
            .map(|at| format!("/d{}", (at * 7 + number) % 100))
            .collect::<Vec<_>>()
            .join(":");
        let next = format!("l{}", number + 1);
        let mut needed: Vec<&str> = gone.iter().map(String::as_str).collect();
        needed.push(&next);
        let own = format!("l{number}");
        let forge = Forge {
            soname: Some(&own),
            needed: &needed,
            rpath: Some(&format!("{rpath}:/")),
            ..Forge::default()
        };
        room.put(&own, &forge.write());
    }
    for number in 0..100 {
        fs::create_dir(room.0.join(format!("d{number}"))).unwrap();
    }
    room.put(
        "p",
        &Forge {
            needed: &["l0"],
            rpath: Some("/"),
            ..Forge::default()
        }
        .write(),
    );
    let closure = room.ask().unwrap();
    let told = |missing: &elf::Missing| {
        missing
            .why
            .as_deref()
            .is_some_and(|why| why.contains("steps"))
    };
    assert!(closure.missing.iter().any(told));
}
