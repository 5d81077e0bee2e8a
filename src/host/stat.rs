//! Metadata of inodes: stat(2).

/// File type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink,
    /// A device, pipe or socket.
    Special,
}

/// Metadata of an inode that show whether it has changed: if all are equal, the content is assumed
/// to be the same.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Stat {
    /// Device number of the file system.
    pub dev: u64,
    /// Inode number.
    pub ino: u64,
    /// File type and mode bits, as in inode(7).
    pub mode: u32,
    /// User id of the owner.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
    /// Size in bytes.
    pub size: u64,
    /// Number of hard links.
    pub links: u64,
    /// Time of the last change of content (mtime): seconds and nanoseconds.
    pub mtime: (i64, u32),
    /// Time of the last change of content or metadata (ctime): seconds and nanoseconds. No program
    /// can set it back.
    pub ctime: (i64, u32),
    /// Device number of a device.
    pub rdev: u64,
}

/// Owner, group and permission bits of an inode.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct Ownership {
    /// User id of the owner.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
    /// Permission bits.
    pub mode: u32,
}

impl Ownership {
    /// User and group `root`, with permission bits `mode`.
    pub fn root(mode: u32) -> Self {
        Self {
            uid: 0,
            gid: 0,
            mode,
        }
    }

    /// Whether group or others may write.
    pub fn is_writable_by_others(self) -> bool {
        self.mode & 0o022 != 0
    }

    /// Whether only root can change the inode.
    pub fn is_root_only(self) -> bool {
        self.uid == 0 && !self.is_writable_by_others()
    }
}

impl Stat {
    /// File type.
    pub fn kind(&self) -> FileKind {
        match rustix::fs::FileType::from_raw_mode(self.mode) {
            rustix::fs::FileType::RegularFile => FileKind::File,
            rustix::fs::FileType::Directory => FileKind::Directory,
            rustix::fs::FileType::Symlink => FileKind::Symlink,
            _ => FileKind::Special,
        }
    }

    /// Whether both are of the same inode, unchanged in between: no program can set the ctime back.
    pub fn is_same(&self, other: &Self) -> bool {
        (self.ino, self.size, self.mtime, self.ctime)
            == (other.ino, other.size, other.mtime, other.ctime)
    }

    /// Owner, group and permission bits.
    pub fn ownership(&self) -> Ownership {
        Ownership {
            uid: self.uid,
            gid: self.gid,
            mode: self.permissions(),
        }
    }

    /// Permission bits with setuid, setgid and sticky.
    pub fn permissions(&self) -> u32 {
        self.mode & 0o7777
    }
}

impl From<rustix::fs::Stat> for Stat {
    #[allow(
        clippy::useless_conversion,
        reason = "the width of st_nlink differs between architectures"
    )]
    #[expect(
        clippy::cast_sign_loss,
        clippy::cast_possible_truncation,
        reason = "sizes and nanoseconds that the kernel gives are never negative"
    )]
    fn from(raw: rustix::fs::Stat) -> Self {
        Self {
            dev: raw.st_dev,
            ino: raw.st_ino,
            mode: raw.st_mode,
            uid: raw.st_uid,
            gid: raw.st_gid,
            size: raw.st_size as u64,
            links: u64::from(raw.st_nlink),
            mtime: (raw.st_mtime, raw.st_mtime_nsec as u32),
            ctime: (raw.st_ctime, raw.st_ctime_nsec as u32),
            rdev: raw.st_rdev,
        }
    }
}
