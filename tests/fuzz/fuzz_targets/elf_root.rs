//! Whole roots: whatever their files, links and settings, the closure is complete in bounded time
//! and consistent.
//!
//! The input is read as instructions that put objects, links, scripts and settings into a small
//! root below the directory for temporary files.
#![no_main]

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use jailctl::elf::{self, Closure, Cpu, ObjectKind, Options, Priority, Resolver, implicit};
use jailctl::host::HostView;
use jailctl::show;
use libfuzzer_sys::fuzz_target;

use elf_builder::ElfBuilder;

#[allow(dead_code, reason = "shared with tests that use more of it")]
#[path = "../../elf_oracle/elf_builder.rs"]
mod elf_builder;

const DIRECTORIES: [&str; 14] = [
    "/bin",
    "/usr/bin",
    "/lib",
    "/lib64",
    "/usr/lib",
    "/usr/lib/x86_64-linux-gnu",
    "/usr/lib/x86_64-linux-gnu/glibc-hwcaps/x86-64-v2",
    "/usr/lib/x86_64-linux-gnu/gconv",
    "/usr/lib/aarch64-linux-gnu",
    "/usr/local/lib",
    "/opt/a",
    "/opt/b",
    "/etc/ld.so.conf.d",
    "/o",
];
const NAMES: [&str; 18] = [
    "p",
    "liba.so",
    "libb.so.1",
    "libb.so.2",
    "libc.so.6",
    "libc.so",
    "libm.so",
    "libgcc_s.so.1",
    "libnss_x.so.2",
    "ld-linux-x86-64.so.2",
    "ld-linux-aarch64.so.1",
    "ld-linux.so.2",
    "ld-musl-x86_64.so.1",
    "env",
    "sh",
    "x.conf",
    "A.so",
    "deep",
];
const PATHS: [&str; 20] = [
    "/opt/a",
    "/opt/a:/opt/b",
    "$ORIGIN",
    "${ORIGIN}/../b:/opt/a",
    "/usr/$LIB:/opt/${PLATFORM}",
    "::/opt/b/",
    "relative:/o",
    "/opt/a/../b/./:/lib64",
    "$NONE/x",
    "/opt/a/liba.so",
    "/lib64/ld-linux-x86-64.so.2",
    "/lib/ld-linux-aarch64.so.1",
    "/lib/ld-linux.so.2",
    "/lib/ld-musl-x86_64.so.1",
    "../b/libb.so.1",
    "/bin/sh",
    "/usr/bin/env",
    "../..",
    "/",
    "x.conf",
];
const TEXTS: [&str; 16] = [
    "#!/bin/sh\n",
    "#! /usr/bin/env -S A=1 p -x\r\n",
    "#!/bin/p",
    "include /etc/ld.so.conf.d/*.conf\n/opt/a\n",
    "/opt/b # x\ninclude x.[!a-w]onf\nhwcap 1 x\n",
    "alias L1// A//\nmodule A// INTERNAL A 1\n",
    "module INTERNAL A// ../A 1\n",
    "hosts: files x [!UNAVAIL=return] dns\n",
    r#"[{"soname":["libb.so.2","libb.so.1"],"priority":"required","feature":"x"}]"#,
    r#"[{"soname":["libgone.so"],"priority":"required"}]"#,
    r#"[{"soname":["liba.so"],"priority":"suggested"}]"#,
    "/opt/a:/opt/b\n/lib",
    "/lib/x86_64-linux-gnu/\0/usr/lib/x86_64-linux-gnu/\0/lib/\0/usr/lib/\0",
    "ld.so (x) stable release version 2.36.\0",
    "INPUT(liba.so)",
    "",
];
const SETTINGS: [&str; 5] = [
    "/etc/ld.so.conf",
    "/etc/nsswitch.conf",
    "/etc/ld-musl-x86_64.path",
    "/usr/lib/x86_64-linux-gnu/gconv/gconv-modules",
    "/etc/ld.so.cache",
];
/// Class, byte order, machine and flags of an object.
const MACHINES: [(bool, bool, u16, u32); 8] = [
    (true, true, 62, 0),
    (true, true, 62, 0),
    (true, true, 62, 0),
    (false, true, 3, 0),
    (true, true, 183, 0),
    (true, false, 22, 0),
    (false, true, 40, 0x0500_0400),
    (true, true, 243, 5),
];

/// Rest of the input. Reads zeros after its end.
struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else {
            return 0;
        };
        self.0 = rest;
        *first
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[usize::from(self.byte()) % from.len()]
    }

    fn take(&mut self) -> &'a [u8] {
        let length = usize::from(self.byte()).min(self.0.len());
        let (taken, rest) = self.0.split_at(length);
        self.0 = rest;
        taken
    }

    /// Text of a list, or one that the input contains.
    fn text(&mut self, from: &[&'static str]) -> String {
        match self.byte() {
            255 => String::from_utf8_lossy(self.take()).replace('\0', "?"),
            number => from[usize::from(number) % from.len()].to_owned(),
        }
    }

    fn maybe<T>(&mut self, get: impl FnOnce(&mut Self) -> T) -> Option<T> {
        (self.byte() & 1 == 1).then(|| get(self))
    }

    fn place(&mut self) -> String {
        format!("{}/{}", self.pick(&DIRECTORIES), self.pick(&NAMES))
    }

    fn object(&mut self) -> Vec<u8> {
        let (wide, little, machine, flags) = self.pick(&MACHINES);
        let paths_or_names = [NAMES.as_slice(), &PATHS].concat();
        let needed: Vec<String> = (0..self.byte() % 5)
            .map(|_| self.text(&paths_or_names))
            .collect();
        let needed: Vec<&str> = needed.iter().map(String::as_str).collect();
        let interpreter = self.maybe(|input| input.text(&PATHS[10..14]));
        let soname = self.maybe(|input| input.text(&NAMES));
        let rpath = self.maybe(|input| input.text(&PATHS));
        let runpath = self.maybe(|input| input.text(&PATHS));
        let auxiliary = self.maybe(|input| input.text(&NAMES));
        let filter = self.maybe(|input| input.text(&NAMES));
        let dlopen = self.maybe(|input| input.text(&TEXTS));
        let mut bytes = ElfBuilder {
            wide,
            little,
            machine,
            flags,
            interpreter: interpreter.as_deref(),
            soname: soname.as_deref(),
            needed: &needed,
            rpath: rpath.as_deref(),
            runpath: runpath.as_deref(),
            auxiliary: auxiliary.as_deref(),
            filter: filter.as_deref(),
            flags_1: self.maybe(|_| 0x800).unwrap_or_default(),
            dlopen: dlopen.as_deref(),
        }
        .write();
        for _ in 0..self.byte() % 3 {
            let at = usize::from(self.byte()) % bytes.len();
            bytes[at] = self.byte();
        }
        // Text after the object, as a loader contains its directories and its version.
        bytes.extend(
            self.maybe(|input| input.text(&TEXTS))
                .unwrap_or_default()
                .bytes(),
        );
        bytes
    }

    /// Builds an ld.so.cache, sorted as it must be.
    fn cache(&mut self) -> Vec<u8> {
        let mut entries: Vec<(&str, String, u32, u64)> = (0..self.byte() % 6)
            .map(|_| {
                (
                    self.pick(&NAMES),
                    self.place(),
                    self.pick(&[0x303, 0x3, 0xa03, 1]),
                    self.pick(&[0, 2, 1 << 62]),
                )
            })
            .collect();
        entries.sort_by(|one, other| other.0.cmp(one.0));
        let mut strings = b"x86-64-v2\0".to_vec();
        let base = 48 + entries.len() * 24;
        let mut table = Vec::new();
        for (name, path, flags, demand) in &entries {
            table.extend(flags.to_le_bytes());
            for text in [name, path.as_str()] {
                table.extend(((base + strings.len()) as u32).to_le_bytes());
                strings.extend(text.bytes());
                strings.push(0);
            }
            table.extend([0; 4]);
            table.extend(demand.to_le_bytes());
        }
        strings.resize(strings.len().next_multiple_of(8), 0);
        let extension = (base + strings.len()) as u32;
        let mut bytes = b"glibc-ld.so.cache1.1".to_vec();
        for word in [
            entries.len() as u32,
            strings.len() as u32,
            2,
            extension,
            0,
            0,
            0,
        ] {
            bytes.extend(word.to_le_bytes());
        }
        bytes.extend(table);
        bytes.extend(strings);
        for word in [0xeaa4_2174, 1, 1, 0, extension + 24, 4, base as u32] {
            bytes.extend(word.to_le_bytes());
        }
        bytes
    }
}

/// Root whose directories stay, with the files of one input.
struct Root {
    home: &'static Path,
    files: Vec<PathBuf>,
}

impl Root {
    fn new() -> Self {
        static HOME: OnceLock<PathBuf> = OnceLock::new();
        let home = HOME.get_or_init(|| {
            let name = format!("jailctl-fuzz-{}", std::process::id());
            let home = std::env::temp_dir().join(name);
            for directory in DIRECTORIES {
                fs::create_dir_all(home.join(&directory[1..])).expect("there is room");
            }
            home
        });
        Self {
            home,
            files: Vec::new(),
        }
    }

    fn put(&mut self, path: &str, make: impl FnOnce(&Path) -> std::io::Result<()>) {
        let place = self.home.join(path.trim_start_matches('/'));
        if fs::symlink_metadata(&place).is_err() && make(&place).is_ok() {
            self.files.push(PathBuf::from(path));
        }
    }

    fn fill(&mut self, input: &mut Input<'_>) {
        for _ in 0..24 {
            if input.0.is_empty() {
                break;
            }
            match input.byte() % 8 {
                0..=2 => {
                    let (path, bytes) = (input.place(), input.object());
                    self.put(&path, |place| fs::write(place, bytes));
                }
                3 | 4 => {
                    let (path, target) = (input.place(), input.text(&PATHS));
                    self.put(&path, |place| symlink(target, place));
                }
                5 => {
                    let (path, text) = (input.place(), input.text(&TEXTS));
                    self.put(&path, |place| fs::write(place, text));
                }
                6 => {
                    let (path, text) = (input.pick(&SETTINGS), input.text(&TEXTS));
                    self.put(path, |place| fs::write(place, text));
                }
                _ => {
                    let bytes = input.cache();
                    self.put("/etc/ld.so.cache", |place| fs::write(place, bytes));
                }
            }
        }
    }
}

impl Drop for Root {
    fn drop(&mut self) {
        for path in &self.files {
            let _ = fs::remove_file(self.home.join(path.strip_prefix("/").unwrap_or(path)));
        }
    }
}

/// Checks that each needed library is an object, and that every output format succeeds.
fn check(closure: &Closure) {
    for object in closure.objects.values() {
        for needed in &object.needed {
            let found = &closure.objects[&*needed.path];
            assert!(!matches!(found.kind, ObjectKind::Link { .. }));
        }
        assert!(!object.reasons.is_empty());
    }
    for (name, text) in [
        ("list", show::deps::list(closure)),
        ("tree", show::deps::tree(closure)),
        ("dot", show::deps::dot(closure)),
        ("json", show::deps::json(closure)),
        ("why", show::deps::why(closure, "libb.so.1")),
        ("missing", show::deps::missing(closure).join("\n")),
    ] {
        assert!(text.len() < 1 << 20, "{name} is long");
    }
}

fuzz_target!(|bytes: &[u8]| {
    let mut input = Input(bytes);
    let mut root = Root::new();
    let options = Options {
        dlopen: input.pick(&[Some(Priority::Suggested), Some(Priority::Required), None]),
        libraries: [
            implicit::nss_modules("hosts: files x\n", &[]),
            implicit::loaded_by_glibc(),
        ]
        .concat(),
        charsets: vec!["L1".to_owned(), "utf-8".to_owned()],
        cpu: Cpu::parse(
            input.pick(&["x86_64", "aarch64"]),
            "flags : cx16 lahf_lm popcnt pni ssse3 sse4_1 sse4_2\n",
        ),
    };
    root.fill(&mut input);
    let view = HostView::new(root.home).expect("it was made");
    if let Ok(closure) = elf::closure(&view, &root.files, &options) {
        check(&closure);
        return;
    }
    // Files that are no program or library are refused, and the others are added.
    // The same question has the same answer.
    let names = [b"libb.so.1".to_vec(), b"libc.so.6".to_vec()].into();
    let answers = || elf::cache_answers(&view, &names).ok();
    assert_eq!(answers(), answers());
    let mut resolver = Resolver::new(&view, &options);
    let _ = resolver.add_all(&root.files);
    if let Ok(closure) = resolver.finish() {
        check(&closure);
    }
});
