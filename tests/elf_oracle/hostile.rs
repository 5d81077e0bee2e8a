//! Hostile files: whatever their content, the result is an error that names them or a closure, in
//! bounded time.

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jailctl::elf::{self, Closure, Options};
use jailctl::error::Result;
use jailctl::host::HostView;
use proptest::prelude::*;

use super::elf_builder::ElfBuilder;

struct TestDir(PathBuf);

impl TestDir {
    fn new(name: &str) -> Self {
        let root =
            std::env::temp_dir().join(format!("jailctl-hostile-{}-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&root);
        fs::create_dir_all(&root).unwrap();
        Self(root)
    }

    fn put(&self, name: &str, content: &[u8]) {
        fs::write(self.0.join(name), content).unwrap();
    }

    /// Builds the closure of `/p` in bounded CPU time: seconds, where a missing bound would mean
    /// hours.
    fn closure(&self) -> Result<Closure> {
        let start = cpu_time();
        let view = HostView::new(&self.0).unwrap();
        let answer = elf::closure(&view, &[PathBuf::from("/p")], &Options::default());
        let took = cpu_time().saturating_sub(start);
        assert!(took < Duration::from_secs(10), "{took:?}");
        if let Err(error) = &answer {
            let text = error.to_string();
            assert!(text.contains("/p`: "), "which and why: {text}");
        }
        answer
    }

    fn refusal(&self) -> String {
        self.closure().unwrap_err().to_string()
    }
}

/// CPU time of this thread, without waits: other tests run at the same time.
fn cpu_time() -> Duration {
    let text = fs::read_to_string("/proc/thread-self/stat").unwrap();
    let (_, fields) = text.rsplit_once(") ").unwrap();
    // Ticks of a hundredth of a second in user and in system mode: fields 14 and 15.
    let mut ticks = fields.split(' ').skip(11).take(2);
    let mut next = || ticks.next().unwrap().parse::<u64>().unwrap();
    Duration::from_millis(10 * (next() + next()))
}

impl Drop for TestDir {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn program() -> ElfBuilder<'static> {
    ElfBuilder {
        interpreter: Some("/ld.so"),
        needed: &["liba.so", "libb.so"],
        soname: Some("p"),
        runpath: Some("/opt:$ORIGIN/lib"),
        dlopen: Some(r#"[{"soname":["libd.so"],"priority":"required"}]"#),
        ..ElfBuilder::default()
    }
}

#[disposable::test]
fn truncation_and_flipped_bytes_are_harmless() {
    let root = TestDir::new("flip");
    let good = program().write();
    for length in 0..good.len() {
        root.put("p", &good[..length]);
        let _ = root.closure();
    }
    for at in 0..good.len() {
        for byte in [0x00, 0x7f, 0xff] {
            let mut bad = good.clone();
            bad[at] = byte;
            root.put("p", &bad);
            let _ = root.closure();
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]
    #[disposable::test]
    fn damaged_objects_are_harmless(
        wide in any::<bool>(),
        little in any::<bool>(),
        damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u64>(), 1_usize..9), 1..6),
    ) {
        let root = TestDir::new("damage");
        let mut bytes = ElfBuilder { wide, little, ..program() }.write();
        for (at, value, width) in damage {
            let at = at.index(bytes.len());
            let end = (at + width).min(bytes.len());
            bytes[at..end].copy_from_slice(&value.to_le_bytes()[..end - at]);
        }
        root.put("p", &bytes);
        let _ = root.closure();
    }

    #[disposable::test]
    fn first_lines_are_harmless(line in proptest::collection::vec(any::<u8>(), 0..400)) {
        let root = TestDir::new("line");
        root.put("p", &[b"#!".as_slice(), &line].concat());
        let _ = root.closure();
    }
}

#[disposable::test]
fn impossible_sizes_and_offsets_are_refused() {
    let root = TestDir::new("sizes");
    let elf = program().build();
    let patch = |at: usize, value: u64, width: usize| {
        let mut bad = elf.bytes.clone();
        bad[at..at + width].copy_from_slice(&value.to_le_bytes()[..width]);
        root.put("p", &bad);
    };
    patch(32, u64::MAX - 10, 8);
    assert!(
        root.refusal()
            .contains("program headers are outside of the file")
    );
    patch(56, 0xffff, 2);
    assert!(
        root.refusal()
            .contains("more program headers than any kernel loads")
    );
    patch(54, 1, 2);
    assert!(root.refusal().contains("not of the expected size"));
    // The second program header is that of the dynamic section.
    let second = 64 + 56;
    patch(second + 8, 1 << 62, 8);
    assert!(
        root.refusal()
            .contains("dynamic entries are outside of the file")
    );
    patch(second + 32, 1 << 40, 8);
    assert!(root.refusal().contains("larger than any real one"));
    patch(elf.dynamic + 8, 1 << 33, 8);
    assert!(root.refusal().contains("a name in its dynamic section"));
    let mut endless = elf.bytes.clone();
    endless[elf.strings..].fill(b'x');
    root.put("p", &endless);
    assert!(root.refusal().contains("has no final zero byte"));
    let names: Vec<String> = (0..5000).map(|number| format!("lib{number}.so")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    root.put(
        "p",
        &ElfBuilder {
            needed: &names,
            ..program()
        }
        .write(),
    );
    assert!(root.refusal().contains("more than 4096"));
}

#[disposable::test]
fn sparse_file_is_read_in_bounded_time() {
    let root = TestDir::new("giant");
    let mut bytes = program().write();
    let second = 64 + 56;
    for base in [64, second] {
        // Segments of a terabyte, with the dynamic section at their end.
        bytes[base + 32..base + 40].copy_from_slice(&(1_u64 << 20).to_le_bytes());
    }
    bytes[second + 8..second + 16].copy_from_slice(&(1_u64 << 39).to_le_bytes());
    root.put("p", &bytes);
    let file = fs::OpenOptions::new()
        .write(true)
        .open(root.0.join("p"))
        .unwrap();
    file.set_len(1 << 40).unwrap();
    file.write_all_at(b"end", (1 << 40) - 3).unwrap();
    let closure = root.closure().unwrap();
    assert!(closure.objects[Path::new("/p")].needed.is_empty());
}

#[disposable::test]
fn pipes_directories_and_loops_are_refused() {
    let root = TestDir::new("kinds");
    let pipe = std::process::Command::new("mkfifo")
        .arg(root.0.join("p"))
        .status()
        .unwrap();
    assert!(pipe.success());
    assert!(root.refusal().contains("a device, a pipe or a socket"));
    fs::rename(root.0.join("p"), root.0.join("libpipe.so")).unwrap();
    root.put(
        "p",
        &ElfBuilder {
            needed: &["libpipe.so"],
            runpath: Some("/"),
            ..ElfBuilder::default()
        }
        .write(),
    );
    let closure = root.closure().unwrap();
    assert!(
        closure.missing[0]
            .why
            .as_ref()
            .unwrap()
            .to_string()
            .contains("a pipe"),
        "{closure:?}"
    );
    fs::remove_file(root.0.join("p")).unwrap();
    std::os::unix::fs::symlink("q", root.0.join("p")).unwrap();
    std::os::unix::fs::symlink("p", root.0.join("q")).unwrap();
    assert!(root.refusal().contains("too many levels of symbolic links"));
    fs::remove_file(root.0.join("p")).unwrap();
    assert!(root.refusal().contains("no such file"));
    fs::create_dir(root.0.join("p")).unwrap();
    assert!(root.refusal().contains("it is a directory"));
}

#[disposable::test]
fn long_search_paths_take_bounded_time() {
    let root = TestDir::new("long");
    let long = (0..8000)
        .map(|number| format!("/d{}", number % 7))
        .collect::<Vec<_>>()
        .join(":");
    for number in 0..7 {
        fs::create_dir(root.0.join(format!("d{number}"))).unwrap();
    }
    let names: Vec<String> = (0..4000).map(|number| format!("l{number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    root.put(
        "p",
        &ElfBuilder {
            needed: &names,
            runpath: Some(&long),
            ..ElfBuilder::default()
        }
        .write(),
    );
    assert_eq!(root.closure().unwrap().missing.len(), 4000);
    // Dots that resolve to the same directory add no new one.
    let dots = (1..40)
        .map(|number| "/d1/..".repeat(number))
        .collect::<Vec<_>>()
        .join(":");
    root.put(
        "p",
        &ElfBuilder {
            needed: &names[..100],
            runpath: Some(&dots),
            ..ElfBuilder::default()
        }
        .write(),
    );
    assert_eq!(root.closure().unwrap().missing.len(), 100);
}

#[disposable::test]
fn chains_and_rings_of_libraries_end() {
    let root = TestDir::new("chain");
    let name = |number: usize| format!("l{number}");
    for number in 0..2000 {
        let next = name((number + 1) % 2000);
        let own = name(number);
        let builder = ElfBuilder {
            soname: Some(&own),
            needed: &[&next],
            rpath: Some("/"),
            ..ElfBuilder::default()
        };
        root.put(&own, &builder.write());
    }
    root.put(
        "p",
        &ElfBuilder {
            needed: &["l0"],
            rpath: Some("/"),
            ..ElfBuilder::default()
        }
        .write(),
    );
    let closure = root.closure().unwrap();
    assert_eq!(closure.objects.len(), 2001);
    assert!(jailctl::show::deps::tree(&closure).lines().count() < 4000);
}

#[disposable::test]
fn search_paths_that_multiply_end() {
    let root = TestDir::new("multiply");
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
        let builder = ElfBuilder {
            soname: Some(&own),
            needed: &needed,
            rpath: Some(&format!("{rpath}:/")),
            ..ElfBuilder::default()
        };
        root.put(&own, &builder.write());
    }
    for number in 0..100 {
        fs::create_dir(root.0.join(format!("d{number}"))).unwrap();
    }
    root.put(
        "p",
        &ElfBuilder {
            needed: &["l0"],
            rpath: Some("/"),
            ..ElfBuilder::default()
        }
        .write(),
    );
    let closure = root.closure().unwrap();
    let gave_up = |missing: &elf::Missing| {
        let why = missing.why.as_ref();
        why.is_some_and(|why| why.to_string().contains("steps"))
    };
    assert!(closure.missing.iter().any(gave_up));
}
