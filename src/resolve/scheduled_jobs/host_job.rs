//! A job of the host, and the account that it runs as.

use std::path::Path;

use crate::error::Result;
use crate::host::{FileKind, HostView};

/// Most bytes of a table of cron(8), a script or a unit file.
const LIMIT: u64 = 4 << 20;

/// A job of the host that runs as an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostJob {
    /// The job with its file: "the crontab `/var/spool/cron/crontabs/ann`".
    pub what: String,
    /// The command that removes it.
    pub clean: String,
}

impl HostJob {
    /// The job as a notice about an account that is in a jail.
    pub fn notice(&self, user: &str) -> String {
        format!(
            "`{user}`: {} runs outside of the jail; remove it: {}",
            self.what, self.clean
        )
    }
}

/// Account whose jobs are to be found.
#[derive(Clone, Copy, Debug)]
pub(super) struct Account<'a> {
    /// Login name.
    pub(super) name: &'a str,
    /// User id.
    pub(super) uid: u32,
}

impl Account<'_> {
    /// Whether a program takes `word` for the account: its name or its number, which sudo(8)
    /// expects after a `#`.
    pub(super) fn is_named_by(&self, word: &str) -> bool {
        let number = word.strip_prefix('#').unwrap_or(word);
        word == self.name || number.parse() == Ok(self.uid)
    }
}

/// The text of a regular file; `None` where there is no such file, and for a masked unit, which is
/// a link to `/dev/null`.
pub(super) fn text(view: &HostView, path: &Path) -> Result<Option<String>> {
    let stat = view.stat(path)?;
    if stat.is_none_or(|stat| stat.kind() != FileKind::File) {
        return Ok(None);
    }
    let bytes = view.read(path, LIMIT)?;
    Ok(bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
}

/// A path quoted as one word of sh(1).
pub(crate) fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-@+:".contains(c);
    if text.chars().all(is_plain) {
        text
    } else {
        format!("'{}'", text.replace('\'', "'\\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_sh_are_quoted_where_they_need_it() {
        assert_eq!(quoted(Path::new("/etc/cron.d/a-b")), "/etc/cron.d/a-b");
        assert_eq!(quoted(Path::new("/x/it's $x")), "'/x/it'\\''s $x'");
    }
}
