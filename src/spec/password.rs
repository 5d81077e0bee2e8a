//! `password`: two keywords or a crypt(5) hash. Plain-text passwords are refused, and no message
//! contains the value.

use super::display::suggest;
use super::types::Password;
use super::violation::Violation;

/// The value that leaves the password alone.
pub(super) const UNCHANGED: &str = "unchanged";
/// Former name of [`UNCHANGED`].
pub(super) const FORMER_UNCHANGED: &str = "keep";

/// Longest hash: `CRYPT_OUTPUT_SIZE` of crypt(3).
const MAX: usize = 384;

/// Checks a value of `password`.
pub(crate) fn check(text: &str) -> Result<(), Violation> {
    parse(text).map(drop)
}

/// Parses a value of `password`.
pub(crate) fn parse(text: &str) -> Result<Password, Violation> {
    match text {
        "locked" => return Ok(Password::Locked),
        UNCHANGED => return Ok(Password::Unchanged),
        FORMER_UNCHANGED => {
            return Err(
                Violation::new("is neither `locked` nor `unchanged` nor a hash")
                    .hint("write `unchanged`: `keep` is its former name"),
            );
        }
        _ => {}
    }
    if let Some(meant) = suggest(text, ["locked", UNCHANGED]) {
        return Err(
            Violation::new("is neither `locked` nor `unchanged` nor a hash")
                .hint(format!("did you mean `{meant}`?")),
        );
    }
    if text.starts_with(['!', '*']) || text.is_empty() {
        return Err(
            Violation::new("is neither `locked` nor `unchanged` nor a hash")
                .hint("write `locked` to disable the password; keys still work"),
        );
    }
    if !text.starts_with(['$', '_']) {
        return Err(Violation::form(
            "looks like a plain-text password; specs contain only hashes",
        ));
    }
    if text.len() > MAX {
        return Err("is longer than any hash".into());
    }
    if text
        .bytes()
        .any(|byte| !byte.is_ascii_graphic() || b":;*!\\".contains(&byte))
    {
        return Err("has a character that crypt(5) hashes do not have".into());
    }
    let is_complete = match text.strip_prefix('$') {
        Some(rest) => is_modular(rest),
        // `_`, 4 characters of count, 4 of salt, 11 of hash.
        None => text.len() == 20 && text[1..].bytes().all(is_base64),
    };
    if !is_complete {
        return Err(Violation::new("is an incomplete hash").hint(
            "a shell expands `$6` between double quotes: paste the hash into the file, or use single quotes",
        ));
    }
    Ok(Password::Hash(text.to_owned()))
}

/// Whether `rest` is `id$salt$hash`, optionally with parameters after the id.
fn is_modular(rest: &str) -> bool {
    let mut fields = rest.split('$');
    let id = fields.next().unwrap_or_default();
    let known = (1..=5).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let last = rest.rsplit('$').next().unwrap_or_default();
    known && fields.count() >= 2 && !last.is_empty() && last.bytes().all(is_base64)
}

fn is_base64(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'.' || byte == b'/'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_and_words_pass() {
        for good in [
            "locked",
            "unchanged",
            "$6$rounds=5000$saltsalt$abcdefghijklmnopqrstuvwxyz./",
            "$y$j9T$F5Jx5fExrKuPp53xLKQ..1$X3DX6M94c7o.9agCG9G317fhZg9SqC.5i5rd.RhAtQ7",
            "$2b$05$c92SVSfjeiCD6F2nAD6y0uBpJDjdRkt0EgeC4/31Rf2LUZbDRDE.O",
            "_J9..K0AyUubDrfOgO4s",
        ] {
            assert!(check(good).is_ok(), "{good}");
        }
    }

    #[test]
    fn the_rest_is_refused_without_an_echo() {
        for bad in [
            "",
            "*",
            "!",
            "!!",
            "hunter2",
            "Locked1",
            "$6$",
            "$6$salt",
            "$6$salt$",
            "$6$sa:lt$x",
            "$6$salt$x y",
            "$6$salt$é",
            "$toolong$a$b",
            "_short",
            "abJnggxhB/yWI",
        ] {
            let violation = check(bad).expect_err(bad);
            if bad.len() > 3 {
                let said = format!("{violation:?}");
                assert!(!said.contains(bad), "{said}");
            }
        }
    }
}
