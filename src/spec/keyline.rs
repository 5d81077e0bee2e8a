//! `authorized_keys`: one line of an authorized_keys file each, checked so far that sshd will take it and that it opens no more than the jail's doors.

use super::rule::Objection;
use super::text::{is_hidden, list, nearest};

/// Key types that OpenSSH takes, with the number of fields after the type in the key.
const TYPES: &[(&str, usize)] = &[
    ("ssh-ed25519", 1),
    ("ssh-rsa", 2),
    ("ecdsa-sha2-nistp256", 2),
    ("ecdsa-sha2-nistp384", 2),
    ("ecdsa-sha2-nistp521", 2),
    ("sk-ssh-ed25519@openssh.com", 2),
    ("sk-ecdsa-sha2-nistp256@openssh.com", 3),
];

/// Options that only take away. What a key may do beyond them is decided by the jail's doors.
const FLAGS: &[&str] = &[
    "restrict",
    "pty",
    "no-pty",
    "no-port-forwarding",
    "no-agent-forwarding",
    "no-X11-forwarding",
    "no-user-rc",
    "verify-required",
];

/// Longest line: an RSA key of 16384 bits has 2.8 KiB.
const MAX: usize = 8192;

/// Checks one line.
pub(crate) fn check(line: &str) -> Result<(), Objection> {
    if is_private_key(line) {
        return Err(Objection::new("is a private key").hint(
            "it stood in a file now, so make a new pair with `ssh-keygen`, and give only the line of its .pub file",
        ));
    }
    if line.contains("---- BEGIN SSH2 PUBLIC KEY") {
        return Err(Objection::new("is a key in the form of RFC 4716")
            .hint("turn it into one line with `ssh-keygen -i -f FILE`"));
    }
    if line.contains(['\n', '\r']) {
        return Err(Objection::new("is more than one line")
            .hint("each key is a string of its own: [\"ssh-ed25519 …\", \"ssh-ed25519 …\"]"));
    }
    if line.chars().any(is_hidden) {
        return Err("has a control or invisible character".into());
    }
    if line.len() > MAX {
        return Err("is longer than 8192 characters".into());
    }
    if line.is_empty() || line != line.trim() {
        return Err("is empty, or has a space at its begin or end".into());
    }
    if line.starts_with('#') {
        return Err("is a comment, not a key".into());
    }
    if line.starts_with(['/', '~', '.']) {
        return Err(
            Objection::new("is a path, not a key").hint("paste the line that the .pub file holds")
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

/// Whether `text` is or holds a private key in one of the usual forms.
pub(crate) fn is_private_key(text: &str) -> bool {
    ["PRIVATE KEY-----", "PuTTY-User-Key-File", "SSH PRIVATE KEY"]
        .iter()
        .any(|mark| text.contains(mark))
}

/// Splits a line into its options, if it has any, and the rest. As in sshd, options end at the first space that is not quoted.
fn split(line: &str) -> Result<(Option<&str>, &str), Objection> {
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
        return Err("has an option whose quote is never closed".into());
    }
    Err(no_type(first))
}

/// Whether a word is a key type, known or not, rather than options.
fn is_type_like(word: &str) -> bool {
    ["ssh-", "ecdsa-", "sk-", "rsa-sha2-"]
        .iter()
        .any(|start| word.starts_with(start))
}

fn each_option(options: &str) -> Result<Vec<&str>, Objection> {
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

fn check_option(option: &str) -> Result<(), Objection> {
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
                .ok_or("has an option whose value is not between quotes")?,
        ),
    };
    let is = |word: &str| name.eq_ignore_ascii_case(word);
    match value {
        None if FLAGS.iter().any(|flag| is(flag)) => Ok(()),
        Some(value) if is("from") => check_from(value),
        Some(value) if is("expiry-time") => check_expiry(value),
        _ if ["command", "environment", "permitopen", "permitlisten", "tunnel", "principals"]
            .iter()
            .chain(&["port-forwarding", "agent-forwarding", "X11-forwarding", "user-rc"])
            .chain(&["cert-authority", "no-touch-required"])
            .any(|known| is(known)) =>
        {
            Err(Objection::new("has an option that jails do not take").hint(format!(
                "what a key may do follows from `[sshd] allow`; a line may only narrow it, by `from=\"…\"`, `expiry-time=\"…\"`, {}",
                list(FLAGS.iter().copied(), "or")
            )))
        }
        _ => Err(no_type(name)),
    }
}

/// A list of addresses, networks and host names, as ssh_config(5) writes patterns.
fn check_from(value: &str) -> Result<(), Objection> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-:*?!/%".contains(c);
    if value
        .split(',')
        .any(|part| part.is_empty() || !part.chars().all(plain))
    {
        return Err("has a `from` that is not a list of addresses or host names".into());
    }
    Ok(())
}

/// `YYYYMMDD`, `YYYYMMDDHHMM` or `YYYYMMDDHHMMSS`, and `Z` for UTC.
fn check_expiry(value: &str) -> Result<(), Objection> {
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
        return Err(Objection::new("has an `expiry-time` that is no time")
            .hint("write it as YYYYMMDD or YYYYMMDDHHMM, as `expiry-time=\"20271231\"`"));
    }
    Ok(())
}

fn no_type(word: &str) -> Objection {
    let types = || TYPES.iter().map(|(name, _)| *name);
    let objection = Objection::new("does not start with a key type that OpenSSH takes");
    match nearest(word, types()) {
        Some(meant) => objection.hint(format!("did you mean `{meant}`?")),
        None => objection.hint(format!("key types are {}", list(types(), "and"))),
    }
}

/// `type base64 [comment]`.
fn check_key(text: &str) -> Result<(), Objection> {
    let mut words = text.splitn(3, ' ');
    let name = words.next().unwrap_or_default();
    if name == "ssh-dss" {
        return Err(
            Objection::new("is a DSA key, which OpenSSH no longer takes")
                .hint("make a new pair with `ssh-keygen -t ed25519`"),
        );
    }
    if name.contains("-cert-v01@") {
        return Err(Objection::new("is a certificate, not a key")
            .hint("give the line of the .pub file that the certificate was made for"));
    }
    let Some((_, fields)) = TYPES.iter().find(|(known, _)| *known == name) else {
        return Err(no_type(name));
    };
    let blob = words
        .next()
        .filter(|blob| !blob.is_empty())
        .ok_or("has a key type but no key")?;
    let cut = || {
        Objection::new("is not a whole key")
            .hint("it may have been cut while copying: paste the line of the .pub file again")
    };
    let bytes = base64(blob).ok_or_else(cut)?;
    let mut rest = bytes.as_slice();
    let inner = field(&mut rest).ok_or_else(cut)?;
    if inner != name.as_bytes() {
        return Err("says another key type than the key itself".into());
    }
    for _ in 0..*fields {
        field(&mut rest).ok_or_else(cut)?;
    }
    if !rest.is_empty() {
        return Err(cut());
    }
    Ok(())
}

/// Takes one field of RFC 4251 from `bytes`: four bytes of length and as many bytes.
fn field<'a>(bytes: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
    let (value, rest) = rest.split_at_checked(length)?;
    *bytes = rest;
    Some(value)
}

/// Decodes base64 of RFC 4648 with its padding, as sshd does.
fn base64(text: &str) -> Option<Vec<u8>> {
    let body = text.trim_end_matches('=');
    if !text.len().is_multiple_of(4) || text.len() - body.len() > 2 || body.is_empty() {
        return None;
    }
    let mut bytes = Vec::with_capacity(body.len() * 3 / 4);
    let (mut buffer, mut bits) = (0_u32, 0);
    for byte in body.bytes() {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        buffer = buffer << 6 | u32::from(value);
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            bytes.push(u8::try_from(buffer >> bits).ok()?);
            buffer &= (1 << bits) - 1;
        }
    }
    (buffer == 0).then_some(bytes)
}
