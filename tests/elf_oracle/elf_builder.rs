//! ELF objects for any machine, written byte by byte: the compiler of the test machine cannot
//! create them.

use std::ffi::OsStr;

/// Settings of an object.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ElfBuilder<'a> {
    pub(crate) wide: bool,
    pub(crate) little: bool,
    pub(crate) machine: u16,
    pub(crate) flags: u32,
    pub(crate) interpreter: Option<&'a str>,
    pub(crate) soname: Option<&'a str>,
    pub(crate) needed: &'a [&'a str],
    pub(crate) rpath: Option<&'a str>,
    pub(crate) runpath: Option<&'a str>,
    /// `DT_AUXILIARY`.
    pub(crate) auxiliary: Option<&'a str>,
    /// `DT_FILTER`.
    pub(crate) filter: Option<&'a str>,
    /// `DT_FLAGS_1`.
    pub(crate) flags_1: usize,
    /// Text of a `.note.dlopen`.
    pub(crate) dlopen: Option<&'a str>,
}

impl Default for ElfBuilder<'_> {
    /// Settings of a library for x86-64.
    fn default() -> Self {
        Self {
            wide: true,
            little: true,
            machine: 62,
            flags: 0,
            interpreter: None,
            soname: None,
            needed: &[],
            rpath: None,
            runpath: None,
            auxiliary: None,
            filter: None,
            flags_1: 0,
            dlopen: None,
        }
    }
}

/// Bytes of an object and the offsets of its parts, for tests that damage them.
#[derive(Clone, Debug)]
pub(crate) struct BuiltElf {
    pub(crate) bytes: Vec<u8>,
    pub(crate) dynamic: usize,
    pub(crate) strings: usize,
}

struct Writer {
    wide: bool,
    little: bool,
    bytes: Vec<u8>,
}

impl Writer {
    fn half(&mut self, value: u16) {
        let raw = if self.little {
            value.to_le_bytes()
        } else {
            value.to_be_bytes()
        };
        self.bytes.extend(raw);
    }

    fn word(&mut self, value: u32) {
        let raw = if self.little {
            value.to_le_bytes()
        } else {
            value.to_be_bytes()
        };
        self.bytes.extend(raw);
    }

    /// Writes a value of the width of an address.
    fn address(&mut self, value: usize) {
        if self.wide {
            let value = value as u64;
            let raw = if self.little {
                value.to_le_bytes()
            } else {
                value.to_be_bytes()
            };
            self.bytes.extend(raw);
        } else {
            self.word(u32::try_from(value).unwrap());
        }
    }

    fn segment(&mut self, kind: u32, offset: usize, size: usize) {
        self.word(kind);
        if self.wide {
            self.word(5);
        }
        for value in [offset, offset, offset, size, size] {
            self.address(value);
        }
        if !self.wide {
            self.word(5);
        }
        self.address(if kind == 1 { 4096 } else { 4 });
    }
}

impl ElfBuilder<'_> {
    /// Returns the bytes of the object.
    pub(crate) fn write(&self) -> Vec<u8> {
        self.build().bytes
    }

    pub(crate) fn build(&self) -> BuiltElf {
        let (header, segment, entry) = if self.wide { (64, 56, 16) } else { (52, 32, 8) };
        let mut strings = vec![0];
        let mut place = |text: &str| {
            let at = strings.len();
            strings.extend(text.as_bytes());
            strings.push(0);
            at
        };
        let mut entries: Vec<(usize, usize)> = Vec::new();
        entries.extend(self.needed.iter().map(|name| (1, place(name))));
        entries.extend(self.soname.map(|name| (14, place(name))));
        entries.extend(self.rpath.map(|path| (15, place(path))));
        entries.extend(self.runpath.map(|path| (29, place(path))));
        entries.extend(self.auxiliary.map(|name| (0x7fff_fffd, place(name))));
        entries.extend(self.filter.map(|name| (0x7fff_ffff, place(name))));
        entries.extend((self.flags_1 != 0).then_some((0x6fff_fffb, self.flags_1)));
        let interpreter = self
            .interpreter
            .map(|path| [path.as_bytes(), b"\0"].concat());
        let interpreter = interpreter.unwrap_or_default();
        let note = self.dlopen.map(|text| self.note(text)).unwrap_or_default();
        let count = 2 + usize::from(!interpreter.is_empty()) + usize::from(!note.is_empty());
        let mut at = (header + count * segment + interpreter.len()).next_multiple_of(16);
        let interpreter_at = header + count * segment;
        let note_at = at;
        at = (at + note.len()).next_multiple_of(16);
        let dynamic = at;
        let length = (entries.len() + 3) * entry;
        let strings_at = dynamic + length;
        entries.push((5, strings_at));
        entries.push((10, strings.len()));
        entries.push((0, 0));
        let size = strings_at + strings.len();

        let mut out = Writer {
            wide: self.wide,
            little: self.little,
            bytes: Vec::new(),
        };
        out.bytes.extend(b"\x7fELF");
        out.bytes
            .extend([1 + u8::from(self.wide), 2 - u8::from(self.little), 1]);
        out.bytes.resize(16, 0);
        out.half(3);
        out.half(self.machine);
        out.word(1);
        for value in [0, header, 0] {
            out.address(value);
        }
        out.word(self.flags);
        for value in [header, segment, count, 0, 0, 0] {
            out.half(u16::try_from(value).unwrap());
        }
        out.segment(1, 0, size);
        out.segment(2, dynamic, length);
        if !interpreter.is_empty() {
            out.segment(3, interpreter_at, interpreter.len());
        }
        if !note.is_empty() {
            out.segment(4, note_at, note.len());
        }
        out.bytes.extend(interpreter);
        out.bytes.resize(note_at, 0);
        out.bytes.extend(note);
        out.bytes.resize(dynamic, 0);
        for (tag, value) in entries {
            out.address(tag);
            out.address(value);
        }
        out.bytes.extend(strings);
        BuiltElf {
            bytes: out.bytes,
            dynamic,
            strings: strings_at,
        }
    }

    fn note(&self, text: &str) -> Vec<u8> {
        let mut out = Writer {
            wide: self.wide,
            little: self.little,
            bytes: Vec::new(),
        };
        for value in [4, u32::try_from(text.len()).unwrap() + 1, 0x407c_0c0a] {
            out.word(value);
        }
        out.bytes.extend(b"FDO\0");
        out.bytes.extend(OsStr::new(text).as_encoded_bytes());
        out.bytes.push(0);
        out.bytes.resize(out.bytes.len().next_multiple_of(4), 0);
        out.bytes
    }
}
