//! Results of searches in ld.so.cache, for comparison with those of a later run: ldconfig(8) writes
//! the whole file again for any library.

use std::collections::BTreeSet;
use std::path::Path;

use super::abi::{Abi, X86_64};
use super::ldso_cache::Cache;
use crate::error::Result;
use crate::host::{Digest, HostView};

/// Path of the cache.
pub const PATH: &str = "/etc/ld.so.cache";
/// Most bytes of the cache.
pub(super) const LIMIT: u64 = 64 << 20;

/// Digest of all entries of ld.so.cache for the libraries of `names`; of nothing where there is no
/// cache.
///
/// # Errors
/// [`ErrorKind::Failed`](crate::error::ErrorKind::Failed) if the cache cannot be read.
pub fn cache_answers(view: &HostView, names: &BTreeSet<Vec<u8>>) -> Result<Digest> {
    let bytes = view.read(Path::new(PATH), LIMIT)?;
    // The machine decides the order of entries only, which is that of the file here.
    let abi = Abi::new(true, cfg!(target_endian = "little"), X86_64, 0);
    let text = bytes.map(|bytes| Cache::parse(bytes, abi).describe(names));
    Ok(Digest::of(format!("{text:?}").as_bytes()))
}
