//! Lower bounds: programs that get a complete list and do nothing else. Each runs as a process of
//! its own, as jailctl does.

use std::fs::{self, File};
use std::io::Read;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use jailctl::resolve::{Content, EntryKind, Tree};
use rustix::fs::{AtFlags, CWD, Gid, Mode, Timespec, Timestamps, Uid};
use sha2::{Digest, Sha256};

/// One line of a list.
struct Line {
    kind: u8,
    mode: u32,
    mtime: (i64, i64),
    path: PathBuf,
    /// Source of a file, text of a link, numbers of a device.
    from: PathBuf,
}

/// Writes a tree as a list. Files that are created from text are written below `texts`, so that the
/// lower bound copies them too.
pub fn write_list(tree: &Tree, list: &Path, texts: &Path) {
    fs::create_dir_all(texts).unwrap();
    let mut out = Vec::new();
    for (number, (path, entry)) in tree.iter().enumerate() {
        let (kind, from, mtime) = match &entry.kind {
            EntryKind::Directory => ('d', PathBuf::new(), (0, 0)),
            EntryKind::Symlink(target) => ('l', target.clone(), (0, 0)),
            EntryKind::Device { major, minor } => {
                ('c', PathBuf::from(format!("{major}:{minor}")), (0, 0))
            }
            EntryKind::File(Content::Host { source, stat }) => ('f', source.clone(), stat.mtime),
            EntryKind::File(Content::Recorded { .. }) => unreachable!("a tree of a spec"),
            EntryKind::File(Content::Generated(content)) => {
                let from = texts.join(number.to_string());
                fs::write(&from, content).unwrap();
                ('f', from, (1, 0))
            }
        };
        out.extend_from_slice(
            format!("{kind}\0{:o}\0{}\0{}\0", entry.owner.mode, mtime.0, mtime.1).as_bytes(),
        );
        out.extend_from_slice(path.relative().as_os_str().as_bytes());
        out.push(0);
        out.extend_from_slice(from.as_os_str().as_bytes());
        out.push(b'\n');
    }
    fs::write(list, out).unwrap();
}

fn read_list(list: &Path) -> Vec<Line> {
    let text = fs::read(list).unwrap();
    let path = |bytes: &[u8]| PathBuf::from(std::ffi::OsStr::from_bytes(bytes));
    let number = |bytes: &[u8]| std::str::from_utf8(bytes).unwrap().parse().unwrap();
    text.split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
        .map(|line| {
            let words: Vec<&[u8]> = line.split(|byte| *byte == 0).collect();
            Line {
                kind: words[0][0],
                mode: u32::from_str_radix(std::str::from_utf8(words[1]).unwrap(), 8).unwrap(),
                mtime: (number(words[2]), number(words[3])),
                path: path(words[4]),
                from: path(words[5]),
            }
        })
        .collect()
}

/// Creates everything but files, and calls `file` for those.
fn make(list: &Path, target: &Path, mut file: impl FnMut(&Line, &Path)) {
    for line in read_list(list) {
        let to = target.join(&line.path);
        let mode = Mode::from_raw_mode(line.mode);
        match line.kind {
            b'd' => {
                fs::create_dir(&to).unwrap();
                rustix::fs::chmod(&to, mode).unwrap();
            }
            b'l' => std::os::unix::fs::symlink(&line.from, &to).unwrap(),
            b'c' => {
                let numbers = line.from.to_str().unwrap().split_once(':').unwrap();
                let device =
                    rustix::fs::makedev(numbers.0.parse().unwrap(), numbers.1.parse().unwrap());
                let kind = rustix::fs::FileType::CharacterDevice;
                rustix::fs::mknodat(CWD, &to, kind, mode, device).unwrap();
                rustix::fs::chmod(&to, mode).unwrap();
            }
            _ => file(&line, &to),
        }
    }
}

/// Copies each file: copy_file_range(2), owner, mode, time.
pub fn copy(list: &Path, target: &Path) {
    make(list, target, |line, to| {
        let from = File::open(&line.from).unwrap();
        let file = File::create_new(to).unwrap();
        while rustix::fs::copy_file_range(from.as_fd(), None, file.as_fd(), None, 1 << 30).unwrap()
            > 0
        {}
        rustix::fs::fchown(&file, Some(Uid::ROOT), Some(Gid::ROOT)).unwrap();
        rustix::fs::fchmod(&file, Mode::from_raw_mode(line.mode)).unwrap();
        let time = Timespec {
            tv_sec: line.mtime.0,
            tv_nsec: line.mtime.1,
        };
        let times = Timestamps {
            last_access: time,
            last_modification: time,
        };
        rustix::fs::futimens(&file, &times).unwrap();
    });
}

/// Links each file to the one at its path below `from`.
pub fn link(list: &Path, from: &Path, target: &Path) {
    make(list, target, |line, to| {
        rustix::fs::linkat(CWD, from.join(&line.path), CWD, to, AtFlags::empty()).unwrap();
    });
}

/// Like [`link`], for files that are known to have the content of their sources: queries each
/// source, each linked file and each new link, as a program does that detects changes by stat(2).
pub fn link_known(list: &Path, from: &Path, target: &Path) {
    make(list, target, |line, to| {
        fs::symlink_metadata(&line.from).unwrap();
        let known = from.join(&line.path);
        fs::symlink_metadata(&known).unwrap();
        rustix::fs::linkat(CWD, known, CWD, to, AtFlags::empty()).unwrap();
        fs::symlink_metadata(to).unwrap();
    });
}

/// Syncs the file system of a directory.
pub fn sync(target: &Path) {
    rustix::fs::syncfs(File::open(target).unwrap()).unwrap();
}

/// Queries each path below `target` and its source.
pub fn lstat(list: &Path, target: &Path) {
    for line in read_list(list) {
        fs::symlink_metadata(target.join(&line.path)).unwrap();
        if line.kind == b'f' {
            fs::symlink_metadata(&line.from).unwrap();
        }
    }
}

/// Reads and digests each file below `target`, on two threads.
pub fn digest(list: &Path, target: &Path) {
    let files: Vec<PathBuf> = read_list(list)
        .into_iter()
        .filter(|line| line.kind == b'f')
        .map(|line| target.join(line.path))
        .collect();
    let next = std::sync::atomic::AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let mut buffer = vec![0; 128 << 10];
                loop {
                    let at = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                    let Some(path) = files.get(at) else { return };
                    let mut file = File::open(path).unwrap();
                    let mut hash = Sha256::new();
                    loop {
                        let count = file.read(&mut buffer).unwrap();
                        if count == 0 {
                            break;
                        }
                        hash.update(&buffer[..count]);
                    }
                    std::hint::black_box(hash.finalize());
                }
            });
        }
    });
}
