//! Reading files for the tree: one where it is asked for, many on several threads.

use std::ffi::OsString;
use std::io;
use std::sync::mpsc::Receiver;
use std::sync::{Arc, Mutex, PoisonError};

use super::ids::InodeId;
use super::ldso_info::{self, LdsoInfo};
use super::object::{self, FileFormat};
use crate::error::os_error_text;
use crate::host::DirReader;

/// A file that was seen and is yet to be read.
#[derive(Debug)]
pub(super) struct Request {
    /// The number that it has.
    pub(super) inode: InodeId,
    /// Its directory.
    pub(super) entries: Arc<DirReader>,
    /// Its name there.
    pub(super) name: OsString,
    /// Its size.
    pub(super) size: u64,
}

/// What a file held.
#[derive(Debug)]
pub(super) struct FileContent {
    /// The number that it has.
    pub(super) inode: InodeId,
    /// What it says.
    pub(super) content: FileFormat,
    /// What it tells as a loader, if it has the name of one.
    pub(super) ldso_info: Option<LdsoInfo>,
}

impl Request {
    /// Opens the file and reads it. An error is one of opening.
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

/// Answers batches of requests until there are no more.
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
