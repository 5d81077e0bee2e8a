//! Reading of one file: any bytes have a result, and reads stay inside the file and small.
#![no_main]

use std::cell::Cell;
use std::io;
use std::os::unix::fs::FileExt;

use jailctl::elf::object;
use libfuzzer_sys::fuzz_target;

/// File in memory that counts the bytes that are read.
struct Counted<'a>(&'a [u8], Cell<usize>);

impl FileExt for Counted<'_> {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let rest = usize::try_from(offset).ok().and_then(|at| self.0.get(at..));
        let rest = rest.unwrap_or_default();
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        self.1.set(self.1.get() + count);
        Ok(count)
    }

    fn write_at(&self, _: &[u8], _: u64) -> io::Result<usize> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }
}

fuzz_target!(|bytes: &[u8]| {
    let file = Counted(bytes, Cell::new(0));
    object::read(&file, bytes.len() as u64).expect("memory can be read");
    assert!(file.1.get() < 64 << 20);
});
