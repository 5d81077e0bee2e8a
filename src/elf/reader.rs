//! Reading files for the tree: one where it is asked for, many on several threads.

use std::ffi::OsString;
use std::io;
use std::sync::mpsc::Receiver;
use std::sync::{Arc, Mutex, PoisonError};

use super::built::{self, Built};
use super::object::{self, Content};
use super::tree::BodyId;
use crate::error::os_error_text;
use crate::host::DirReader;

/// A file that was seen and is yet to be read.
#[derive(Debug)]
pub(super) struct Request {
    /// The number that it has.
    pub(super) body: BodyId,
    /// Its directory.
    pub(super) entries: Arc<DirReader>,
    /// Its name there.
    pub(super) name: OsString,
    /// Its size.
    pub(super) size: u64,
}

/// What a file held.
#[derive(Debug)]
pub(super) struct Read {
    /// The number that it has.
    pub(super) body: BodyId,
    /// What it says.
    pub(super) content: Content,
    /// What it tells as a loader, if it has the name of one.
    pub(super) built: Option<Built>,
}

impl Request {
    /// Opens the file and reads it. An error is one of opening.
    pub(super) fn answer(self) -> io::Result<Read> {
        let file = self.entries.open(&self.name)?;
        let content = object::read(&file, self.size)
            .unwrap_or_else(|error| Content::Broken(None, os_error_text(&error)));
        let is_loader = built::is_likely(&self.name) && matches!(content, Content::Elf(_));
        Ok(Read {
            body: self.body,
            content,
            built: is_loader.then(|| built::read(&file, self.size)).flatten(),
        })
    }
}

/// Answers batches of requests until there are no more.
pub(super) fn answer_all(batches: &Mutex<Receiver<Vec<Request>>>) -> Vec<Read> {
    let next = || {
        let batches = batches.lock().unwrap_or_else(PoisonError::into_inner);
        batches.recv().ok()
    };
    let mut all = Vec::new();
    while let Some(batch) = next() {
        all.extend(batch.into_iter().map(|request| {
            let body = request.body;
            request.answer().unwrap_or_else(|error| Read {
                body,
                content: Content::Broken(None, os_error_text(&error)),
                built: None,
            })
        }));
    }
    all
}
