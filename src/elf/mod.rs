//! Libraries, interpreters and links that programs need, found as the loader of each program would
//! find them.
//!
//! [`closure()`] is the entry point. It runs no program: it reads the headers, the dynamic section
//! and the names of each object once, and follows the rules of the loaders of glibc and musl. The
//! host may be any directory that contains one, for any machine. From the top down:
//!
//! - [`resolver`](Resolver): programs, scripts and interpreters; `graph` collects the objects and
//!   their needs and converts them to a [`Closure`] with its `missing` names
//! - `link_map`: the objects of one program, loaded breadth first; `link_map/search` searches for
//!   one of them, `link_map/dlopen` loads those of dlopen notes, `observer` receives every lookup;
//!   `stable_libraries` knows programs whose link map need not be built again
//! - `loader`: loaders of the host, with cached searches
//! - `glibc`, `musl`: search rules of each; `search`: their results
//! - `ldso_cache`, `ldso_conf`, `ldso_info`, `cpu`, `dynamic_token`, `abi`: inputs of the search
//! - [`cache_answers()`]: comparison of what ld.so.cache has for some names
//! - `fs_cache`: paths of the host, each resolved once by means of a `path_queue`; `file_reader`:
//!   content of its files, each read once
//! - `object`, `dlopen_note`, `script`: formats of one file
//! - [`implicit`], [`gconv`]: libraries that no file names

pub mod abi;
pub mod cache_answers;
mod closure;
mod context;
mod cpu;
pub mod dlopen_note;
pub mod dynamic_token;
mod file_reader;
mod fs_cache;
pub mod gconv;
mod glibc;
mod graph;
mod hash;
mod ids;
pub mod implicit;
mod interner;
pub mod ldso_cache;
mod ldso_conf;
mod ldso_info;
mod link_map;
mod loader;
mod missing;
mod musl;
pub mod object;
mod observer;
mod path_queue;
mod resolver;
pub mod script;
mod search;
mod stable_libraries;

use std::path::PathBuf;

pub use cache_answers::cache_answers;
pub use closure::{
    Closure, FoundBy, Missing, MissingReason, Needed, Object, ObjectKind, Options, Priority, Reason,
};
pub use cpu::Cpu;
pub use resolver::Resolver;

use crate::error::Result;
use crate::host::HostView;

/// Builds the closure of the files at `roots`, each an absolute path of the host.
///
/// Names that are not found are in [`Closure::missing`] and are no error.
///
/// # Errors
///
/// All roots that do not exist or cannot be read, each a finding. The kind is
/// [`ErrorKind::Spec`](crate::error::ErrorKind::Spec) if they do not exist and
/// [`ErrorKind::Failed`](crate::error::ErrorKind::Failed) otherwise, also for a search
/// configuration that cannot be read.
///
/// # Examples
///
/// ```no_run
/// use std::path::{Path, PathBuf};
///
/// use jailctl::elf::{closure, Options};
/// use jailctl::host::HostView;
///
/// let view = HostView::new(Path::new("/"))?;
/// let closure = closure(&view, &[PathBuf::from("/bin/sh")], &Options::default())?;
/// assert!(closure.missing.is_empty());
/// # Ok::<(), jailctl::error::Error>(())
/// ```
pub fn closure(view: &HostView, roots: &[PathBuf], options: &Options) -> Result<Closure> {
    let mut resolver = Resolver::new(view, options);
    resolver.add_all(roots)?;
    resolver.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_needs_its_loader_its_libc_and_the_links_to_them() {
        let view = HostView::new(std::path::Path::new("/")).unwrap();
        let roots = [PathBuf::from("/bin/sh")];
        let closure = closure(&view, &roots, &Options::default()).unwrap();
        assert_eq!(closure.missing, []);
        let named: Vec<String> = closure
            .objects
            .iter()
            .map(|(path, object)| format!("{} {:?}", path.display(), object.kind))
            .collect();
        for part in ["/libc.so", "ld-", "/sh Link"] {
            assert!(named.iter().any(|name| name.contains(part)), "{named:#?}");
        }
    }
}
