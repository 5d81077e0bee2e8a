//! What files need to run: their libraries, interpreters and the links on the way, found as the loader of each program would find them.
//!
//! [`closure`] is the way in. It runs nothing: it reads the headers, the dynamic section and the names of each object once, and follows the
//! rules of glibc's and musl's loaders. The host may be any directory that holds one, for any machine. From outside in:
//!
//! - [`resolver`](Resolver): programs, scripts and interpreters; what is asked for and by whom goes into `graph`, which tells it as a [`Closure`]
//! - `process`: one program, put together breadth first, by its `search`es, and the `wishes` of what runs in it; `settled`: what need not be put together again · `loader`: its loader's searches, remembered
//! - `glibc`, `musl`: how each searches · `cache`, `conf`, `cpu`, `built`, `token`, `abi`: what they search by
//! - `tree`: the host's paths, each looked at once, with what is `ahead` on one · `reader`: its files, each read once · `object`, `note`, `script`: what one file says · [`implicit`], [`gconv`]: what no file says

pub mod abi;
mod closure;
mod context;
mod cpu;
pub mod dlopen_note;
pub mod dst;
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
mod options;
mod path_queue;
mod resolver;
pub mod script;
mod search;
mod stable;

use std::path::PathBuf;

pub use closure::{
    Closure, FoundBy, Missing, MissingReason, Needed, Object, ObjectKind, Priority, Reason,
};
pub use cpu::Cpu;
pub use options::Options;
pub use resolver::Resolver;

use crate::error::Result;
use crate::host::HostView;

/// Everything that the files at `roots` need, each an absolute path of the host.
///
/// What is not found is in [`Closure::missing`]. An error means that a root itself is not there or cannot be read; it names all such.
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
