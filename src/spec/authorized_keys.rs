//! `authorized_keys`: lines of an authorized_keys file. Checks that sshd accepts them, and that
//! their options only restrict.

use base64ct::{Base64, Base64Unpadded, Encoding as _};
use sha2::{Digest as _, Sha256};

use super::display::{is_hidden, list, suggest};
use super::violation::Violation;

/// Key types that OpenSSH accepts, with the number of fields after the type in the key.
const TYPES: &[(&str, usize)] = &[
    ("ssh-ed25519", 1),
    ("ssh-rsa", 2),
    ("ecdsa-sha2-nistp256", 2),
    ("ecdsa-sha2-nistp384", 2),
    ("ecdsa-sha2-nistp521", 2),
    ("sk-ssh-ed25519@openssh.com", 2),
    ("sk-ecdsa-sha2-nistp256@openssh.com", 3),
];

/// Options that only restrict. Other permissions follow from `sshd.allow`.
const RESTRICTIVE_OPTIONS: &[&str] = &[
    "restrict",
    "pty",
    "no-pty",
    "no-port-forwarding",
    "no-agent-forwarding",
    "no-X11-forwarding",
    "no-user-rc",
    "verify-required",
];

/// Longest line, in bytes: an RSA key of 16384 bits has 2.8 KiB.
const MAX: usize = 8192;

/// Checks one line.
///
/// # Errors
/// The violation; it does not quote the line.
pub(crate) fn check(line: &str) -> Result<(), Violation> {
    if is_private_key(line) {
        return Err(Violation::new("is a private key").hint(
            "others may have read it in this file: create a new key with `ssh-keygen`, and use the line of its .pub file",
        ));
    }
    if line.contains("---- BEGIN SSH2 PUBLIC KEY") {
        return Err(Violation::new("is a key in the format of RFC 4716")
            .hint("convert it with `ssh-keygen -i -f FILE`"));
    }
    if line.contains(['\n', '\r']) {
        return Err(Violation::new("is more than one line")
            .hint("write each key as a separate string: [\"ssh-ed25519 …\", \"ssh-ed25519 …\"]"));
    }
    if line.chars().any(is_hidden) {
        return Err("has a control or invisible character".into());
    }
    if line.len() > MAX {
        return Err("is longer than 8192 characters".into());
    }
    if line.is_empty() || line != line.trim() {
        return Err("is empty, or has a space at the start or end".into());
    }
    if line.starts_with('#') {
        return Err("is a comment, not a key".into());
    }
    if line.starts_with(['/', '~', '.']) {
        return Err(
            Violation::new("is a path, not a key").hint("paste the content of the .pub file")
        );
    }
    let (options, key) = split(line)?;
    if let Some(options) = options {
        for option in each_option(options)? {
            check_option(option)?;
        }
    }
    check_key(key)
}

/// Whether `text` contains a private key in one of the usual formats.
pub(crate) fn is_private_key(text: &str) -> bool {
    ["PRIVATE KEY-----", "PuTTY-User-Key-File", "SSH PRIVATE KEY"]
        .iter()
        .any(|mark| text.contains(mark))
}

/// Splits a line into options, if it has any, and the key. As in sshd, options end at the first
/// unquoted space.
fn split(line: &str) -> Result<(Option<&str>, &str), Violation> {
    let first = line.split(' ').next().unwrap_or_default();
    if is_type_like(first) {
        return Ok((None, line));
    }
    let mut quoted = false;
    let mut before = ' ';
    for (at, c) in line.char_indices() {
        match c {
            '"' if before != '\\' => quoted = !quoted,
            ' ' if !quoted => return Ok((Some(&line[..at]), line[at..].trim_start())),
            _ => {}
        }
        before = c;
    }
    if quoted {
        return Err("has an option with an unclosed quote".into());
    }
    Err(missing_type(first))
}

/// Whether a word looks like a key type rather than options.
fn is_type_like(word: &str) -> bool {
    ["ssh-", "ecdsa-", "sk-", "rsa-sha2-"]
        .iter()
        .any(|start| word.starts_with(start))
}

fn each_option(options: &str) -> Result<Vec<&str>, Violation> {
    let mut found = Vec::new();
    let (mut start, mut quoted, mut before) = (0, false, ' ');
    for (at, c) in options.char_indices() {
        match c {
            '"' if before != '\\' => quoted = !quoted,
            ',' if !quoted => {
                found.push(&options[start..at]);
                start = at + 1;
            }
            _ => {}
        }
        before = c;
    }
    found.push(&options[start..]);
    if found.iter().any(|option| option.is_empty()) {
        return Err("has an empty option".into());
    }
    Ok(found)
}

fn check_option(option: &str) -> Result<(), Violation> {
    let (name, value) = match option.split_once('=') {
        Some((name, value)) => (name, Some(value)),
        None => (option, None),
    };
    let value = match value {
        None => None,
        Some(value) => Some(
            value
                .strip_prefix('"')
                .and_then(|value| value.strip_suffix('"'))
                .ok_or("has an option with an unquoted value")?,
        ),
    };
    let is = |word: &str| name.eq_ignore_ascii_case(word);
    match value {
        None if RESTRICTIVE_OPTIONS.iter().any(|flag| is(flag)) => Ok(()),
        Some(value) if is("from") => check_from(value),
        Some(value) if is("expiry-time") => check_expiry(value),
        Some("") if is("command") => Err("has an empty `command`".into()),
        Some(_) if is("command") => Ok(()),
        _ if ["environment", "permitopen", "permitlisten", "tunnel", "principals"]
            .iter()
            .chain(&["port-forwarding", "agent-forwarding", "X11-forwarding", "user-rc"])
            .chain(&["cert-authority", "no-touch-required"])
            .any(|known| is(known)) =>
        {
            Err(Violation::new("has an option that is not supported").hint(format!(
                "permissions follow from `[sshd] allow`; options of a line may only restrict: `from=\"…\"`, `expiry-time=\"…\"`, `command=\"…\"`, {}",
                list(RESTRICTIVE_OPTIONS.iter().copied(), "or")
            )))
        }
        _ => Err(missing_type(name)),
    }
}

/// The command of a line, if it has one.
pub(crate) fn command(line: &str) -> Option<String> {
    let (options, _) = split(line).ok()?;
    let options = each_option(options?).ok()?;
    options.into_iter().find_map(command_value)
}

/// A line with `command` instead of its own command.
pub(crate) fn with_command(line: &str, command: &str) -> Option<String> {
    let (options, key) = split(line).ok()?;
    let options = each_option(options.unwrap_or_default()).unwrap_or_default();
    let others = options
        .into_iter()
        .filter(|option| command_value(option).is_none());
    let command = format!("command=\"{command}\"");
    let all: Vec<&str> = std::iter::once(command.as_str()).chain(others).collect();
    Some(format!("{} {key}", all.join(",")))
}

/// The value of the option `command`.
fn command_value(option: &str) -> Option<String> {
    let (name, value) = option.split_once('=')?;
    let value = value.strip_prefix('"')?.strip_suffix('"')?;
    // sshd knows one escape in a value: the quote.
    name.eq_ignore_ascii_case("command")
        .then(|| value.replace("\\\"", "\""))
}

/// Checks a list of addresses, networks and host names, see PATTERNS in ssh_config(5).
fn check_from(value: &str) -> Result<(), Violation> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-:*?!/%".contains(c);
    if value
        .split(',')
        .any(|part| part.is_empty() || !part.chars().all(plain))
    {
        return Err("has a `from` that is not a list of addresses or host names".into());
    }
    Ok(())
}

/// Checks a time: `YYYYMMDD`, `YYYYMMDDHHMM` or `YYYYMMDDHHMMSS`, optionally with `Z` for UTC.
fn check_expiry(value: &str) -> Result<(), Violation> {
    let digits = value.strip_suffix('Z').unwrap_or(value);
    let number = |from: usize| {
        digits
            .get(from..from + 2)
            .and_then(|two| two.parse::<u8>().ok())
    };
    let day = matches!((number(4), number(6)), (Some(1..=12), Some(1..=31)));
    let time = match digits.len() {
        8 => true,
        12 => matches!((number(8), number(10)), (Some(0..=23), Some(0..=59))),
        14 => matches!(
            (number(8), number(10), number(12)),
            (Some(0..=23), Some(0..=59), Some(0..=59))
        ),
        _ => false,
    };
    if !day || !time || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Violation::new("has an invalid `expiry-time`")
            .hint("write YYYYMMDD or YYYYMMDDHHMM, such as `expiry-time=\"20271231\"`"));
    }
    Ok(())
}

fn missing_type(word: &str) -> Violation {
    let types = || TYPES.iter().map(|(name, _)| *name);
    let violation = Violation::form("does not start with a key type of OpenSSH");
    match suggest(word, types()) {
        Some(meant) => violation.hint(format!("did you mean `{meant}`?")),
        None => violation.hint(format!("key types: {}", list(types(), "and"))),
    }
}

/// Checks `type base64 [comment]`.
fn check_key(text: &str) -> Result<(), Violation> {
    let mut words = text.splitn(3, ' ');
    let name = words.next().unwrap_or_default();
    if name == "ssh-dss" {
        return Err(
            Violation::new("is a DSA key, which OpenSSH does not support any more")
                .hint("create a new key with `ssh-keygen -t ed25519`"),
        );
    }
    if name.contains("-cert-v01@") {
        return Err(Violation::new("is a certificate, not a key")
            .hint("use the line of the .pub file that was certified"));
    }
    let Some((_, fields)) = TYPES.iter().find(|(known, _)| *known == name) else {
        return Err(missing_type(name));
    };
    let blob = words
        .next()
        .filter(|blob| !blob.is_empty())
        .ok_or("has a key type but no key")?;
    let cut =
        || Violation::new("is an incomplete key").hint("copy the line of the .pub file again");
    let bytes = Base64::decode_vec(blob).map_err(|_| cut())?;
    let mut rest = bytes.as_slice();
    let inner = take_string(&mut rest).ok_or_else(cut)?;
    if inner != name.as_bytes() {
        return Err("names another key type than the key itself".into());
    }
    for _ in 0..*fields {
        take_string(&mut rest).ok_or_else(cut)?;
    }
    if !rest.is_empty() {
        return Err(cut());
    }
    Ok(())
}

/// Removes a string of RFC 4251 from the start of `bytes`: four bytes of length, and the content.
fn take_string<'a>(bytes: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
    let (value, rest) = rest.split_at_checked(length)?;
    *bytes = rest;
    Some(value)
}

/// Fingerprint of a key, as printed by `ssh-keygen -l`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fingerprint {
    /// Key type, such as `ssh-ed25519`.
    pub kind: String,
    /// `SHA256:` and the digest in base64 without padding.
    pub digest: String,
    /// Comment after the key.
    pub comment: String,
}

/// Fingerprint of the key in a line of the AUTHORIZED_KEYS FILE FORMAT; `None` if the line has no
/// valid key.
pub fn fingerprint(line: &str) -> Option<Fingerprint> {
    let (_, key) = split(line.trim()).ok()?;
    let mut words = key.splitn(3, [' ', '\t']);
    let (kind, blob) = (words.next()?, words.next()?);
    let bytes = Base64::decode_vec(blob).ok()?;
    if take_string(&mut bytes.as_slice())? != kind.as_bytes() {
        return None;
    }
    Some(Fingerprint {
        kind: kind.to_owned(),
        digest: format!(
            "SHA256:{}",
            Base64Unpadded::encode_string(&Sha256::digest(&bytes))
        ),
        comment: words.next().unwrap_or_default().trim().to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ED25519: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKLW/9v1NuUyultBVkZJNjz2vNi4eV8Vq20GZ01ZeKPs harley@gotham";
    const ECDSA: &str = "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBP4NeroyGKFsnfzYXeV33EmimVsRtiuolUJPB1elutE62LbRl3pMB24D+mUTvy5uE2d/fiVdGy3ubzwn7P/rDVA= harley@gotham";
    const ECDSA_384: &str = "ecdsa-sha2-nistp384 AAAAE2VjZHNhLXNoYTItbmlzdHAzODQAAAAIbmlzdHAzODQAAABhBCZontVwCjAoWzQ873qlqVyBUCryCmOmtaQKStq9qcIsFDBm25DBEiljD8SiXhiI1Se58BzPun1R0fuYOtbPkpkgJcjAtpMM6E33WjLuY69xZZClUMXY0mlg41rL7Wn/tg==";
    const RSA: &str = "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABgQCqFhlYISToHnYjmH+R7pNWeozMKYFP/ENa05KBj3gK5dVDVWmPz/eawVf0H1G4X2WScSqNASTE/mvCUfa47jJz9RSzk2JqmDDtN/23mZ6HxYGIPKxfy+TgbrC0ruzDWyQA2bu5EJBd1caxaEGuni/MPOV3gLOGBtkWzNrEFVn8QQF4YsFNlfpiyhsFbPgO7N0wskm/T0UsYlEE73FaoimsXgUEGB0+Jt58cFIT7zitSwUjoqEqMifVMid6CDpXTgYienvrkvCuWhCFYQeWm+s4VL3VFDGAyXCsq4uMwOcaE6ePJxXXjhA6381HGwS+dL1uP9lTShZWpZAHF6rMt+Q7UcepvBnFDLN5oTn38RnkJO3ryGFK2lHGvG4joUMBPFffXRXSf5EE/6Ur6Ikz2ST13w7uDytDMPw5PFjiwZKeQPKueFaFJZVo5BVZry20DYh6ay5g9PmutwZEXGLIKCvFtjGs/aFYUCdBaVjbQlEW8HKMYUJpkNs1s2rf+QbS6Ac=";

    /// A line of type `name` whose key has these fields after the type.
    fn line_of(name: &str, fields: &[&[u8]]) -> String {
        let mut blob = Vec::new();
        for field in std::iter::once(name.as_bytes()).chain(fields.iter().copied()) {
            blob.extend(u32::try_from(field.len()).expect("short").to_be_bytes());
            blob.extend(field);
        }
        format!("{name} {}", Base64::encode_string(&blob))
    }

    #[test]
    fn fingerprints_are_those_of_ssh_keygen() {
        let found = fingerprint(ED25519).expect("a key");
        // As `ssh-keygen -lf` prints it.
        assert_eq!(
            found.digest,
            "SHA256:U5QW1zW4yAi7TKrRdoPWSJKJhCUlGROJuEv7WYN8OsA"
        );
        assert_eq!(
            (found.kind.as_str(), found.comment.as_str()),
            ("ssh-ed25519", "harley@gotham")
        );
        let with_options = fingerprint(&format!("restrict,command=\"a b\" {ED25519}"));
        assert_eq!(with_options.as_ref(), Some(&found));
        for line in [
            "",
            "# x",
            "ssh-ed25519",
            "ssh-rsa AAAAC3NzaC1lZDI1NTE5",
            "nonsense AAAA",
        ] {
            assert_eq!(fingerprint(line), None, "{line}");
        }
    }

    #[test]
    fn keys_that_sshd_takes_pass() {
        for line in [ED25519, ECDSA, ECDSA_384, RSA] {
            assert_eq!(check(line), Ok(()), "{line}");
        }
        assert_eq!(check(&line_of("ssh-ed25519", &[&[7; 32]])), Ok(()));
        let pair = [b"ssh:".as_slice(), &[7; 33]];
        assert_eq!(check(&line_of("sk-ssh-ed25519@openssh.com", &pair)), Ok(()));
        let three = [b"nistp256".as_slice(), &[4; 65], b"ssh:"];
        assert_eq!(
            check(&line_of("sk-ecdsa-sha2-nistp256@openssh.com", &three)),
            Ok(())
        );
    }

    #[test]
    fn options_that_narrow_pass() {
        for options in [
            "restrict",
            "restrict,pty",
            "no-pty,no-X11-forwarding,NO-USER-RC",
            "from=\"10.0.0.0/8,!10.1.1.1,*.example.org,2001:db8::/32\"",
            "expiry-time=\"20271231\",verify-required",
            "expiry-time=\"202712312359Z\"",
            "expiry-time=\"20271231235959\"",
            "restrict,command=\"borg serve --restrict-to-path /x\"",
            "Command=\"x \\\"y\\\"\",from=\"10.0.0.1\"",
        ] {
            assert_eq!(check(&format!("{options} {ED25519}")), Ok(()), "{options}");
        }
    }

    #[test]
    fn options_that_open_or_are_broken_are_refused() {
        for options in [
            "command=\"\"",
            "command",
            "restrict,port-forwarding",
            "environment=\"LD_PRELOAD=/x\"",
            "permitopen=\"h:1\"",
            "tunnel=\"0\"",
            "cert-authority",
            "no-touch-required",
            "from=10.0.0.1",
            "from=\"\"",
            "from=\"a b\"",
            "from=\"x\\\",command=\\\"y\"",
            "expiry-time=\"tomorrow\"",
            "expiry-time=\"20271331\"",
            "expiry-time=\"2027-12-31\"",
            "restrict=\"x\"",
            "from",
            "restrict,,pty",
            ",restrict",
            "unheard-of",
            "from=\"10.0.0.1",
        ] {
            assert!(check(&format!("{options} {ED25519}")).is_err(), "{options}");
        }
    }

    #[test]
    fn the_command_of_a_line_is_read_and_replaced() {
        for (options, read, replaced) in [
            ("", None, "command=\"k\""),
            ("restrict ", None, "command=\"k\",restrict"),
            ("command=\"a b\",pty ", Some("a b"), "command=\"k\",pty"),
            (
                "restrict,COMMAND=\"a \\\"b, c\\\"\" ",
                Some("a \"b, c\""),
                "command=\"k\",restrict",
            ),
        ] {
            let line = format!("{options}{ED25519}");
            assert_eq!(command(&line).as_deref(), read, "{line}");
            let expected = format!("{replaced} {ED25519}");
            assert_eq!(with_command(&line, "k"), Some(expected), "{line}");
        }
    }

    #[test]
    fn what_is_no_key_is_refused_with_the_reason() {
        let ed25519 = ED25519.split(' ').nth(1).expect("key");
        for (line, why) in [
            (String::new(), "is empty"),
            (format!(" {ED25519}"), "is empty, or has a space"),
            (format!("# {ED25519}"), "is a comment"),
            ("~/.ssh/id_rsa.pub".into(), "is a path"),
            (format!("{ED25519}\n{ED25519}"), "is more than one line"),
            (format!("{ED25519}\u{202e}"), "invisible"),
            ("ssh-ed25519".into(), "no key"),
            ("ssh-ed25519  x".into(), "no key"),
            (format!("ssh-rsa {ed25519}"), "another key type"),
            (format!("ssh-dss {ed25519}"), "DSA"),
            (
                format!("ssh-ed25519-cert-v01@openssh.com {ed25519}"),
                "a certificate",
            ),
            (format!("ssh-ed25519 {}", &ed25519[..40]), "incomplete key"),
            (format!("ssh-ed25519 {}", &ed25519[..39]), "incomplete key"),
            (format!("ssh-ed25519 {ed25519}AAAA"), "incomplete key"),
            (format!("ssh-ed25519 {ed25519}===="), "incomplete key"),
            ("ssh-ed25519 AAAA…".into(), "incomplete key"),
            (
                line_of("ssh-ed25519", &[&[7; 32], &[7; 32]]),
                "incomplete key",
            ),
            ("x".repeat(9000), "longer"),
            ("-----BEGIN RSA PRIVATE KEY-----".into(), "is a private key"),
            (
                "PuTTY-User-Key-File-3: ssh-ed25519".into(),
                "is a private key",
            ),
            ("---- BEGIN SSH2 PUBLIC KEY ----".into(), "RFC 4716"),
        ] {
            let violation = check(&line).expect_err(&line);
            assert!(violation.why.contains(why), "{line}: {}", violation.why);
        }
    }
}
