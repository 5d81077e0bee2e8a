//! Headers of one file: class, interpreter and dynamic section of an ELF object, or the first line
//! of a script.
//!
//! The only module that uses goblin. It reads headers, the dynamic section and the strings that it
//! names, each with a bound, and never the whole file, so that a truncated, corrupt or endless file
//! costs no more than a good one. Limits are those of the kernel's `fs/binfmt_elf.c` where it has
//! one, and far above any real file where it has none.

use std::borrow::Cow;
use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::Arc;

use goblin::container::{Container, Ctx, Endian};
use goblin::elf::Elf;
use goblin::elf::dynamic;
use goblin::elf::header::{self, Header};
use goblin::elf::program_header::{self as segment, ProgramHeader};

use super::abi::{self, Abi};
use super::dlopen_note::{self, DlopenEntry, Priority};
use super::script::{self, Script};

/// Bytes of the first read: the headers of nearly every object, its interpreter and its notes.
const HEAD: usize = 4096;
/// Most bytes of program headers, as in the kernel.
const SEGMENTS: u64 = 65536;
/// Most bytes of a dynamic section: 65536 entries of 64 bit.
const DYNAMIC: u64 = 1 << 20;
/// Most bytes of one name, the kernel's PATH_MAX.
const NAME: usize = 4096;
/// Most bytes of one search path.
const SEARCH_PATH: usize = 65536;
/// Most libraries that one object may need.
const NEEDS: usize = 4096;
/// Most bytes of all names and search paths of one object.
const NAMES: usize = 1 << 18;
/// Most bytes of the notes of one object that are read.
const NOTES: u64 = 65536;
/// Distance in bytes up to which adjacent names are read together.
const GAP: u64 = 512;
/// Bytes that are read from the start of a name at first.
const STRIDE: u64 = 128;

/// Tag by which an object needs a library.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DepTag {
    /// `DT_NEEDED`.
    Needed,
    /// `DT_AUXILIARY`: used if it exists.
    Auxiliary,
    /// `DT_FILTER`.
    Filter,
}

/// Type of an object, as a loader distinguishes them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ObjectType {
    /// `ET_EXEC`: a program at a fixed address.
    Fixed,
    /// `ET_DYN` with `DF_1_PIE`: a program at any address.
    Movable,
    /// `ET_DYN`: a library, or a program without that flag.
    Shared,
}

/// Headers of an ELF object.
#[derive(Debug)]
pub struct ElfInfo {
    /// Machine and calling convention.
    pub abi: Abi,
    /// Type of the object.
    pub role: ObjectType,
    /// `PT_INTERP`, as written.
    pub interpreter: Option<PathBuf>,
    /// Whether the object has a dynamic section.
    pub dynamic: bool,
    /// `DT_SONAME`.
    pub soname: Option<Box<[u8]>>,
    /// `DT_NEEDED`, `DT_AUXILIARY` and `DT_FILTER` in the order of the dynamic section.
    pub needs: Vec<(DepTag, Box<[u8]>)>,
    /// `DT_RPATH`, as written.
    pub rpath: Option<Box<[u8]>>,
    /// `DT_RUNPATH`, as written.
    pub runpath: Option<Box<[u8]>>,
    /// Whether `DF_1_NODEFLIB` is set.
    pub no_default: bool,
    /// Fault that makes glibc's loader refuse the object as a library; the kernel and musl do not
    /// check for it.
    pub load_error: Option<&'static str>,
    /// Entries of its `.note.dlopen`.
    pub dlopen_entries: Vec<Arc<DlopenEntry>>,
}

impl ElfInfo {
    /// Creates the headers of an object without interpreter, names and notes.
    pub fn empty(abi: Abi) -> Self {
        Self {
            abi,
            role: ObjectType::Shared,
            interpreter: None,
            dynamic: false,
            soname: None,
            needs: Vec::new(),
            rpath: None,
            runpath: None,
            no_default: false,
            load_error: None,
            dlopen_entries: Vec::new(),
        }
    }

    /// Whether the libraries that the object loads depend on more than the names that it needs.
    /// `least` is the least priority of the dlopen entries that count.
    pub(super) fn is_context_dependent(&self, least: Option<Priority>) -> bool {
        self.rpath.is_some()
            || self.runpath.is_some()
            || self.no_default
            || (least.is_some() && !self.dlopen_entries.is_empty())
    }

    /// Search path that counts for what the object needs and for all below it: `DT_RPATH`, and in
    /// musl `DT_RUNPATH` before it.
    pub(super) fn inherited_rpath(&self, is_musl: bool) -> Option<&[u8]> {
        let path = match (&self.runpath, is_musl) {
            (Some(runpath), true) => Some(runpath),
            (Some(_), false) => None,
            (None, _) => self.rpath.as_ref(),
        };
        path.map(AsRef::as_ref)
            .filter(|path: &&[u8]| !path.is_empty())
    }
}

/// Format of a file.
#[derive(Debug)]
pub enum FileFormat {
    /// An ELF object.
    Elf(Box<ElfInfo>),
    /// An ELF object that cannot be loaded: its machine, if its header is valid, and the fault.
    Broken(Option<Abi>, String),
    /// A file that starts with `#!`.
    Script(Script),
    /// Any other file.
    Other {
        /// Whether the file is shorter than an ELF header.
        short: bool,
    },
}

/// Reads the headers of `file`, which has `size` bytes.
///
/// # Errors
///
/// An error of reading. Invalid content is no error, but [`FileFormat::Broken`].
pub fn read(file: &impl FileExt, size: u64) -> io::Result<FileFormat> {
    let mut room = [0; HEAD];
    let wanted = to_index(size).min(HEAD);
    let filled = read_up_to(file, &mut room[..wanted], 0)?;
    let head = &room[..filled];
    if head.starts_with(b"#!") {
        return Ok(FileFormat::Script(script::parse(head)));
    }
    let short = head.len() < 52;
    if !head.starts_with(header::ELFMAG) {
        return Ok(FileFormat::Other { short });
    }
    if short {
        let why = "it is shorter than its ELF header";
        return Ok(FileFormat::Broken(None, why.to_owned()));
    }
    let reader = Reader { file, size, head };
    let mut abi = None;
    match parse(&reader, &mut abi) {
        Ok(info) => Ok(FileFormat::Elf(Box::new(info))),
        Err(ParseError::Io(error)) => Err(error),
        Err(ParseError::Fault(why)) => Ok(FileFormat::Broken(abi, why)),
    }
}

/// Reason to stop parsing.
enum ParseError {
    /// The file could not be read.
    Io(io::Error),
    /// The content is invalid.
    Fault(String),
}

fn fault<T>(why: impl Into<String>) -> Result<T, ParseError> {
    Err(ParseError::Fault(why.into()))
}

/// Reads until `buffer` is full or the file ends.
fn read_up_to(file: &impl FileExt, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match file.read_at(&mut buffer[filled..], offset + filled as u64) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// Index of an offset that was checked against a size or a limit.
fn to_index(offset: u64) -> usize {
    usize::try_from(offset).unwrap_or(usize::MAX)
}

/// A file, with its first bytes in memory.
struct Reader<'a, F> {
    file: &'a F,
    size: u64,
    head: &'a [u8],
}

impl<F: FileExt> Reader<'_, F> {
    /// Reads `length` bytes at `offset`, all of them inside the file; `what` names them in the
    /// error.
    fn slice(&self, what: &str, offset: u64, length: u64) -> Result<Cow<'_, [u8]>, ParseError> {
        let end = offset
            .checked_add(length)
            .filter(|end| *end <= self.size)
            .ok_or_else(|| ParseError::Fault(format!("its {what} are outside of the file")))?;
        if end <= self.head.len() as u64 {
            return Ok(Cow::Borrowed(&self.head[to_index(offset)..to_index(end)]));
        }
        let mut bytes = vec![0; to_index(length)];
        let filled = read_up_to(self.file, &mut bytes, offset).map_err(ParseError::Io)?;
        if filled < bytes.len() {
            return fault(format!("it ended before its {what} did"));
        }
        Ok(Cow::Owned(bytes))
    }
}

fn parse<F: FileExt>(reader: &Reader<'_, F>, abi: &mut Option<Abi>) -> Result<ElfInfo, ParseError> {
    let header = Elf::parse_header(reader.head)
        .map_err(|_| ParseError::Fault("its ELF header is not valid".to_owned()))?;
    let (Ok(container), Ok(order)) = (header.container(), header.endianness()) else {
        return fault("its class or byte order is not valid");
    };
    let context = Ctx::new(container, order);
    let here = Abi::new(
        container == Container::Big,
        order == Endian::Little,
        header.e_machine,
        header.e_flags,
    );
    *abi = Some(here);
    if !matches!(header.e_type, header::ET_EXEC | header::ET_DYN) {
        return fault("it is neither a program nor a shared object");
    }
    let segments = segments(reader, &header, context)?;
    let mut info = ElfInfo {
        role: match header.e_type {
            header::ET_EXEC => ObjectType::Fixed,
            _ => ObjectType::Shared,
        },
        load_error: load_error(&header, &segments),
        ..ElfInfo::empty(here)
    };
    let mut notes = NOTES;
    for segment in &segments {
        match segment.p_type {
            segment::PT_INTERP if info.interpreter.is_none() => {
                info.interpreter = Some(interpreter(reader, segment)?);
            }
            // Files of debug symbols have an empty one.
            segment::PT_DYNAMIC if !info.dynamic && segment.p_filesz > 0 => {
                info.dynamic = true;
                dynamic(reader, segment, &segments, context, &mut info)?;
            }
            segment::PT_NOTE if segment.p_filesz <= notes => {
                // No loader fails on a note that cannot be read.
                notes -= segment.p_filesz;
                if let Ok(bytes) = reader.slice("notes", segment.p_offset, segment.p_filesz) {
                    let dlopen_entries =
                        dlopen_note::parse(&bytes, order == Endian::Little, segment.p_align);
                    info.dlopen_entries
                        .extend(dlopen_entries.into_iter().map(Arc::new));
                    info.dlopen_entries.truncate(dlopen_note::ENTRIES);
                }
            }
            _ => {}
        }
    }
    Ok(info)
}

/// Checks a header and its segments as `open_verify` and `_dl_map_object_from_fd` of glibc do.
fn load_error(header: &Header, segments: &[ProgramHeader]) -> Option<&'static str> {
    /// The smallest page of any machine.
    const PAGE: u64 = 4096;
    let ident = &header.e_ident;
    if ident[header::EI_VERSION] != header::EV_CURRENT
        || header.e_version != u32::from(header::EV_CURRENT)
    {
        return Some("its ELF version is not 1");
    }
    if !matches!(
        ident[header::EI_OSABI],
        header::ELFOSABI_NONE | header::ELFOSABI_LINUX
    ) {
        return Some("its OS ABI is not that of Linux");
    }
    // VALID_ELF_ABIVERSION. MIPS has more of them.
    let known = match ident[header::EI_OSABI] {
        header::ELFOSABI_LINUX => 0..=3,
        _ => 0..=0,
    };
    if !known.contains(&ident[header::EI_ABIVERSION]) && header.e_machine != abi::MIPS {
        return Some("its ABI version is not known");
    }
    if ident[EI_PAD..].iter().any(|byte| *byte != 0) {
        return Some("its ELF header is not padded with zeros");
    }
    let is_load = |segment: &&ProgramHeader| segment.p_type == segment::PT_LOAD;
    let mut loads = segments.iter().filter(is_load).peekable();
    if loads.peek().is_none() {
        return Some("it has no segments to load");
    }
    if loads.any(|segment| segment.p_vaddr.wrapping_sub(segment.p_offset) % PAGE != 0) {
        return Some("its segments are not aligned to pages");
    }
    None
}

/// Not in goblin: offset of the padding of `e_ident`, elf.h of glibc.
const EI_PAD: usize = 9;

fn segments<F: FileExt>(
    reader: &Reader<'_, F>,
    header: &Header,
    context: Ctx,
) -> Result<Vec<ProgramHeader>, ParseError> {
    let each = ProgramHeader::size(context) as u64;
    if u64::from(header.e_phentsize) != each {
        return fault("its program headers are not of the expected size");
    }
    let length = each * u64::from(header.e_phnum);
    if length == 0 {
        return fault("it has no program headers");
    }
    if length > SEGMENTS {
        return fault("it has more program headers than any kernel loads");
    }
    let bytes = reader.slice("program headers", header.e_phoff, length)?;
    ProgramHeader::parse(&bytes, 0, usize::from(header.e_phnum), context)
        .map_err(|_| ParseError::Fault("its program headers are not valid".to_owned()))
}

fn interpreter<F: FileExt>(
    reader: &Reader<'_, F>,
    segment: &ProgramHeader,
) -> Result<PathBuf, ParseError> {
    if segment.p_filesz < 2 || segment.p_filesz > NAME as u64 {
        return fault("the name of its interpreter has an impossible length");
    }
    let bytes = reader.slice("interpreter's name", segment.p_offset, segment.p_filesz)?;
    let Some((0, name)) = bytes.split_last() else {
        return fault("the name of its interpreter has no final zero byte");
    };
    // The kernel takes the name up to the first zero byte.
    let name = name.split(|byte| *byte == 0).next().unwrap_or(name);
    Ok(PathBuf::from(OsStr::from_bytes(name)))
}

fn dynamic<F: FileExt>(
    reader: &Reader<'_, F>,
    section: &ProgramHeader,
    segments: &[ProgramHeader],
    context: Ctx,
    info: &mut ElfInfo,
) -> Result<(), ParseError> {
    if section.p_filesz > DYNAMIC {
        return fault("its dynamic section is larger than any real one");
    }
    let bytes = reader.slice("dynamic entries", section.p_offset, section.p_filesz)?;
    let mut table = None;
    let mut wanted: Vec<(u64, u64)> = Vec::with_capacity(16);
    for (tag, value) in entries(&bytes, context) {
        match tag {
            dynamic::DT_STRTAB => table = Some(value),
            dynamic::DT_NEEDED
            | DT_AUXILIARY
            | DT_FILTER
            | dynamic::DT_SONAME
            | dynamic::DT_RPATH
            | dynamic::DT_RUNPATH => wanted.push((tag, value)),
            dynamic::DT_FLAGS_1 => {
                info.no_default = value & dynamic::DF_1_NODEFLIB != 0;
                if value & dynamic::DF_1_PIE != 0 && info.role == ObjectType::Shared {
                    info.role = ObjectType::Movable;
                }
            }
            _ => {}
        }
    }
    if wanted.is_empty() {
        return Ok(());
    }
    if wanted.len() > NEEDS {
        return fault(format!("it names more than {NEEDS} libraries"));
    }
    let Some(table) = table else {
        return fault("it names libraries and has no string table");
    };
    let strings = Strings::new(reader, table, segments, &wanted)?;
    info.needs.reserve_exact(wanted.len());
    let mut room = NAMES;
    for (tag, offset) in wanted {
        let limit = match tag {
            dynamic::DT_RPATH | dynamic::DT_RUNPATH => SEARCH_PATH,
            _ => NAME,
        };
        let text = strings.get(offset, limit)?;
        let Some(left) = room.checked_sub(text.len()) else {
            return fault(format!("its names take more than {NAMES} bytes"));
        };
        room = left;
        match tag {
            dynamic::DT_NEEDED => info.needs.push((DepTag::Needed, text)),
            DT_AUXILIARY => info.needs.push((DepTag::Auxiliary, text)),
            DT_FILTER => info.needs.push((DepTag::Filter, text)),
            dynamic::DT_SONAME => info.soname = Some(text),
            dynamic::DT_RPATH => info.rpath = Some(text),
            _ => info.runpath = Some(text),
        }
    }
    Ok(())
}

/// Tags and values of a dynamic section, up to the entry that ends it. goblin's own reader computes
/// addresses that are not needed here.
fn entries(bytes: &[u8], context: Ctx) -> impl Iterator<Item = (u64, u64)> {
    let width = context.size();
    let word = move |raw: &[u8]| {
        let byte = |value: u64, byte: &u8| value << 8 | u64::from(*byte);
        if context.is_little_endian() {
            raw.iter().rev().fold(0, byte)
        } else {
            raw.iter().fold(0, byte)
        }
    };
    bytes
        .chunks_exact(2 * width)
        .map(move |entry| (word(&entry[..width]), word(&entry[width..])))
        .take_while(|(tag, _)| *tag != dynamic::DT_NULL)
}

/// Not in goblin: elf.h of glibc.
const DT_AUXILIARY: u64 = 0x7fff_fffd;
/// Not in goblin: elf.h of glibc.
const DT_FILTER: u64 = 0x7fff_ffff;

/// Parts of a string table in which the needed names begin.
struct Strings<'a, F> {
    reader: &'a Reader<'a, F>,
    /// File offsets of the table, and of the end of the segment that contains it.
    start: u64,
    end: u64,
    /// Offset into the table and bytes of each part, ascending.
    stretches: Vec<(u64, Cow<'a, [u8]>)>,
}

impl<'a, F: FileExt> Strings<'a, F> {
    fn new(
        reader: &'a Reader<'a, F>,
        address: u64,
        segments: &[ProgramHeader],
        wanted: &[(u64, u64)],
    ) -> Result<Self, ParseError> {
        let home = segments.iter().find(|segment| {
            segment.p_type == segment::PT_LOAD
                && address
                    .checked_sub(segment.p_vaddr)
                    .is_some_and(|inside| inside < segment.p_filesz)
        });
        let Some((start, end)) = home.and_then(|home| {
            let start = home.p_offset.checked_add(address - home.p_vaddr)?;
            let end = home.p_offset.checked_add(home.p_filesz)?;
            Some((start, end.min(reader.size)))
        }) else {
            return fault("its string table is in no segment");
        };
        let mut offsets: Vec<u64> = wanted.iter().map(|(_, offset)| *offset).collect();
        offsets.sort_unstable();
        let mut ranges: Vec<(u64, u64)> = Vec::new();
        for offset in offsets {
            let until = offset.saturating_add(STRIDE);
            match ranges.last_mut() {
                Some(last) if offset <= last.1.saturating_add(GAP) => last.1 = until,
                _ => ranges.push((offset, until)),
            }
        }
        let mut stretches = Vec::with_capacity(ranges.len());
        for (from, until) in ranges {
            let (Some(first), last) = (
                start.checked_add(from).filter(|first| *first < end),
                start.saturating_add(until).min(end),
            ) else {
                return fault("a name in its dynamic section is outside of the file");
            };
            stretches.push((from, reader.slice("names", first, last - first)?));
        }
        Ok(Self {
            reader,
            start,
            end,
            stretches,
        })
    }

    /// Returns the string at `offset`, which must end within `limit` bytes.
    fn get(&self, offset: u64, limit: usize) -> Result<Box<[u8]>, ParseError> {
        let at = self.stretches.partition_point(|(from, _)| *from <= offset);
        let near = at
            .checked_sub(1)
            .and_then(|at| self.stretches.get(at))
            .and_then(|(from, bytes)| bytes.get(to_index(offset - from)..));
        if let Some(text) = near.and_then(until_zero)
            && text.len() < limit
        {
            return Ok(text.into());
        }
        let first = self.start.saturating_add(offset);
        let length = (limit as u64).min(self.end.saturating_sub(first));
        let bytes = self.reader.slice("names", first, length)?;
        match until_zero(&bytes) {
            Some(text) => Ok(text.into()),
            None => fault("a name in its dynamic section has no final zero byte"),
        }
    }
}

fn until_zero(bytes: &[u8]) -> Option<&[u8]> {
    let end = bytes.iter().position(|byte| *byte == 0)?;
    Some(&bytes[..end])
}
