//! Modules that iconv(3) loads to convert character sets: no object names them, and tables beside
//! them select them.
//!
//! glibc: iconv/gconv_conf.c and the format of gconv-modules. A module finds its own libraries by
//! the rules of ld.so(8), so modules are roots of a closure.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::host::HostView;

/// Most bytes of all tables. Debian's have a hundred thousand.
const MAX_BYTES: u64 = 1 << 20;
/// Most aliases of aliases that are followed.
const MAX_ALIASES: usize = 16;

/// Character sets that are part of libc itself: `gconv_builtin.h`.
const BUILT_IN: [&str; 9] = [
    "UTF-8",
    "UTF8",
    "ISO-10646/UTF8/",
    "ISO-10646/UCS4/",
    "UCS-4",
    "UCS4",
    "ANSI_X3.4-1968",
    "ASCII",
    "INTERNAL",
];

/// Files that conversions of some character sets need.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Gconv {
    /// Tables by which libc finds modules; a copy must have them unchanged.
    pub tables: Vec<PathBuf>,
    /// Modules: roots of a closure of their own.
    pub modules: BTreeSet<PathBuf>,
    /// Character sets that no table names.
    pub unknown: Vec<String>,
}

impl Gconv {
    /// All files, each with its purpose.
    pub fn files(&self) -> impl Iterator<Item = (&Path, &'static str)> {
        let tables = self
            .tables
            .iter()
            .map(|path| (path.as_path(), "read by iconv to find its modules"));
        let modules = self
            .modules
            .iter()
            .map(|path| (path.as_path(), "loaded by iconv for a character set"));
        tables.chain(modules)
    }
}

/// Finds the modules for `charsets` that belong to the C library at `libc`, a path of the closure.
///
/// # Errors
///
/// [`ErrorKind::Failed`](crate::error::ErrorKind::Failed): a table could not be read, or all tables
/// together are larger than a megabyte.
pub fn gconv(view: &HostView, libc: &Path, charsets: &[String]) -> Result<Gconv> {
    let mut found = Gconv::default();
    let mut candidates = Vec::new();
    if let Some(beside) = libc.parent() {
        candidates.push(beside.join("gconv"));
        candidates.push(
            Path::new("/usr")
                .join(beside.strip_prefix("/").unwrap_or(beside))
                .join("gconv"),
        );
    }
    let mut text = String::new();
    let mut left = MAX_BYTES;
    let mut directory = PathBuf::new();
    for candidate in candidates {
        let table = candidate.join("gconv-modules");
        if let Some(content) = read(view, &table, &mut left)? {
            text.push_str(&content);
            found.tables.push(table);
            directory = candidate;
            break;
        }
    }
    let fragments = directory.join("gconv-modules.d");
    for name in view.list(&fragments)?.unwrap_or_default() {
        let table = fragments.join(name);
        if table
            .extension()
            .is_some_and(|extension| extension == "conf")
            && let Some(content) = read(view, &table, &mut left)?
        {
            text.push('\n');
            text.push_str(&content);
            found.tables.push(table);
        }
    }
    let cache = directory.join("gconv-modules.cache");
    if !found.tables.is_empty() && view.stat(&cache)?.is_some() {
        found.tables.push(cache);
    }
    for charset in charsets {
        let names = modules(&text, charset);
        if names.is_empty() && !BUILT_IN.contains(&charset.to_uppercase().as_str()) {
            found.unknown.push(charset.clone());
        }
        let files = names
            .into_iter()
            .map(|name| match name.strip_suffix(".so") {
                Some(_) => directory.join(name),
                None => directory.join(format!("{name}.so")),
            });
        found.modules.extend(files);
    }
    Ok(found)
}

/// Reads a table, if it exists and is no larger than `left` bytes, and subtracts its size from
/// `left`.
fn read(view: &HostView, table: &Path, left: &mut u64) -> Result<Option<String>> {
    if view.stat(table)?.is_some_and(|stat| stat.size > *left) {
        let shown = view.display_path(table).display().to_string();
        return Err(
            Error::failed(format!("could not read `{}`", shown.escape_debug())).why(format!(
                "it and the tables before it take more than {MAX_BYTES} bytes"
            )),
        );
    }
    let bytes = view.read(table, MAX_BYTES)?;
    let text = bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    *left = left.saturating_sub(text.as_ref().map_or(0, String::len) as u64);
    Ok(text)
}

/// File names of the modules that convert from or to a character set.
fn modules<'t>(text: &'t str, charset: &str) -> BTreeSet<&'t str> {
    let lines: Vec<Vec<&str>> = text
        .lines()
        .map(|line| line.split('#').next().unwrap_or(line))
        .map(|line| line.split_whitespace().collect())
        .collect();
    let mut wanted = charset.to_uppercase();
    for _ in 0..MAX_ALIASES {
        let alias = lines.iter().find_map(|words| match words.as_slice() {
            ["alias", from, to] if charset_name(from) == wanted => Some(charset_name(to)),
            _ => None,
        });
        match alias {
            Some(to) => wanted = to,
            None => break,
        }
    }
    let named = lines.iter().filter_map(|words| match words.as_slice() {
        ["module", from, to, file, ..]
            if charset_name(from) == wanted || charset_name(to) == wanted =>
        {
            Some(*file)
        }
        _ => None,
    });
    named.collect()
}

/// Name of a character set in upper case, without the empty parts that tables write, as in
/// `ISO-8859-1//`.
fn charset_name(name: &str) -> String {
    name.strip_suffix("//").unwrap_or(name).to_uppercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "# comment\n\
        alias LATIN1// ISO-8859-1//\n\
        alias L1// LATIN1//\n\
        module ISO-8859-1// INTERNAL ISO8859-1 1\n\
        module INTERNAL ISO-8859-1// ISO8859-1 1\n\
        module\tEUC-JP// INTERNAL EUC-JP 1 # both ways\n\
        alias LOOP// LOOP//\n";

    #[test]
    fn aliases_lead_to_modules() {
        assert_eq!(modules(TABLE, "l1"), BTreeSet::from(["ISO8859-1"]));
        assert_eq!(modules(TABLE, "EUC-JP"), BTreeSet::from(["EUC-JP"]));
        assert!(modules(TABLE, "LOOP").is_empty());
        assert!(modules(TABLE, "KLINGON").is_empty());
    }

    #[test]
    fn what_libc_has_itself_needs_no_module() {
        let view = HostView::new(Path::new("/")).unwrap();
        let charsets = ["utf-8", "x-none"].map(str::to_owned);
        let found = gconv(&view, Path::new("/nowhere/libc.so.6"), &charsets).unwrap();
        assert_eq!(found.unknown, ["x-none"]);
        assert!(found.modules.is_empty() && found.tables.is_empty());
    }
}
