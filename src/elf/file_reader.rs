//! Reading of files for the path cache: one at a time, or many on several threads.

use std::ffi::OsString;
use std::io;
use std::sync::mpsc::Receiver;
use std::sync::{Arc, Mutex, PoisonError};

use super::ids::InodeId;
use super::ldso_info::{self, LdsoInfo};
use super::object::{self, FileFormat};
use crate::error::os_error_text;
use crate::host::DirReader;

/// A file that was found and is to be read.
#[derive(Debug)]
pub(super) struct Request {
    /// Number of the inode.
    pub(super) inode: InodeId,
    /// Directory that holds the file.
    pub(super) entries: Arc<DirReader>,
    /// Name of the file in that directory.
    pub(super) name: OsString,
    /// Size of the file in bytes.
    pub(super) size: u64,
}

/// Parsed content of a file.
#[derive(Debug)]
pub(super) struct FileContent {
    /// Number of the inode.
    pub(super) inode: InodeId,
    /// Format of the file, with its headers.
    pub(super) content: FileFormat,
    /// Build constants of glibc's loader, if the file has the name of one.
    pub(super) ldso_info: Option<LdsoInfo>,
}

impl Request {
    /// Opens and reads the file.
    ///
    /// # Errors
    ///
    /// The file could not be opened. Errors of reading are part of the [`FileContent`].
    pub(super) fn read(self) -> io::Result<FileContent> {
        let file = self.entries.open(&self.name)?;
        let content = object::read(&file, self.size)
            .unwrap_or_else(|error| FileFormat::Broken(None, os_error_text(&error)));
        let is_loader =
            ldso_info::has_ldso_name(&self.name) && matches!(content, FileFormat::Elf(_));
        Ok(FileContent {
            inode: self.inode,
            content,
            ldso_info: is_loader
                .then(|| ldso_info::read(&file, self.size))
                .flatten(),
        })
    }
}

/// Reads batches of requests until the channel is closed.
pub(super) fn read_all(batches: &Mutex<Receiver<Vec<Request>>>) -> Vec<FileContent> {
    let next = || {
        let batches = batches.lock().unwrap_or_else(PoisonError::into_inner);
        batches.recv().ok()
    };
    let mut all = Vec::new();
    while let Some(batch) = next() {
        all.extend(batch.into_iter().map(|request| {
            let inode = request.inode;
            request.read().unwrap_or_else(|error| FileContent {
                inode,
                content: FileFormat::Broken(None, os_error_text(&error)),
                ldso_info: None,
            })
        }));
    }
    all
}
