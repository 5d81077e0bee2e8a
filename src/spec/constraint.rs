//! What a value of a spec may be: its type, and for text the rule it must obey by itself. What values mean together is in `check`.

use std::borrow::Cow;

use super::authorized_keys;
use super::display::{is_hidden, list, quote, suggest};
use super::limits;
use super::password;
use super::path_rules;
use super::reserved_names;
use crate::names::{JailName, JailPath};

/// Why a value breaks a rule, as a fragment that fits after "`x` ", and what to write instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// "has a space", "lies in `/etc`".
    pub why: Cow<'static, str>,
    /// What to do about it.
    pub hint: Hint,
}

/// What to do about a value that breaks a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hint {
    /// To write it as the rule's sentence says: its form is wrong.
    Rule,
    /// This, a sentence of its own.
    Own(Cow<'static, str>),
    /// Nothing that would not be guessed.
    None,
}

impl Violation {
    /// An objection to what the value means.
    pub fn new(why: impl Into<Cow<'static, str>>) -> Self {
        Self {
            why: why.into(),
            hint: Hint::None,
        }
    }

    /// An objection to how the value is written.
    pub fn form(why: impl Into<Cow<'static, str>>) -> Self {
        Self {
            why: why.into(),
            hint: Hint::Rule,
        }
    }

    /// Sets the hint.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<Cow<'static, str>>) -> Self {
        self.hint = Hint::Own(hint.into());
        self
    }
}

/// An objection to how the value is written.
impl From<&'static str> for Violation {
    fn from(why: &'static str) -> Self {
        Self::form(why)
    }
}

/// The type of a key's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValueType {
    /// `[key]`.
    Table,
    /// `[[key]]`. The first of these keys that an element has says which it is: of two layers' elements for one thing, the later wins.
    Tables(&'static [&'static str]),
    /// A string.
    Text(Constraint),
    /// An array of strings.
    Texts(Constraint),
    /// An integer, from and to, both included.
    Integer(i64, i64),
    /// `true` or `false`.
    Boolean,
    /// A date without a time.
    Date,
}

impl ValueType {
    /// The type in words, with its article.
    pub fn description(self) -> &'static str {
        match self {
            Self::Table => "a table",
            Self::Tables(_) => "an array of tables",
            Self::Text(_) => "a string",
            Self::Texts(_) => "an array of strings",
            Self::Integer(..) => "an integer",
            Self::Boolean => "a boolean",
            Self::Date => "a date",
        }
    }
}

/// Words a value may be one of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyWords {
    /// What kind of word, with its article: "a door".
    pub kind: &'static str,
    /// Those that work.
    pub now: &'static [&'static str],
    /// Those that are refused as not yet supported.
    pub later: &'static [&'static str],
}

/// What text must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Constraint {
    /// A jail's name, see [`JailName`].
    JailName,
    /// An account's name, see [`UserName`], not one that systems have for themselves.
    UserName,
    /// A group's name: the same letters as a user's.
    GroupName,
    /// A template's name: a file name without suffix.
    Template,
    /// A program: a name to find on the host's PATH, or an absolute host path.
    Binary,
    /// A host package's name.
    Package,
    /// A jail's root on the host.
    Root,
    /// A host path to copy from.
    Source,
    /// A host path to mount.
    MountSource,
    /// Any path inside the jail.
    JailPath,
    /// A home inside the jail.
    Home,
    /// Where a `[[file]]` goes.
    Target,
    /// Where a `[[dir]]` is.
    Dir,
    /// Where a `[[mount]]` goes.
    MountTarget,
    /// Where sftp begins.
    StartDir,
    /// Octal permission bits: no setuid, setgid, sticky, no write for group and others.
    Mode,
    /// An octal umask.
    Umask,
    /// One of some words.
    Word(KeyWords),
    /// One line of an authorized_keys file.
    KeyLine,
    /// `locked`, `unchanged` or a crypt(5) hash.
    Password,
    /// Text of several lines.
    Content,
    /// Bytes, with `K`, `M`, `G` or `T` for powers of 1024.
    Size,
    /// As `Size`, or `0`.
    SizeOrNone,
    /// A share of one CPU.
    Percent,
    /// Numbers of processors, as in cpuset(7).
    Cpus,
    /// A character device of the host.
    Device,
    /// A control group, from the top of its hierarchy.
    ControlGroup,
    /// A protocol and a port: `tcp/80`.
    Port,
    /// An option of mount(8).
    MountOption,
    /// One argument of a command.
    Argument,
}

impl Constraint {
    /// What a value that obeys is, with its article: fits "is not …".
    pub fn description(self) -> &'static str {
        match self {
            Self::JailName => "a jail's name",
            Self::UserName => "a user's name",
            Self::GroupName => "a group's name",
            Self::Template => "a template's name",
            Self::Binary => "a program's name or path",
            Self::Package => "a package's name",
            Self::Root => "a place for a jail",
            Self::Source => "a host path that may be copied",
            Self::MountSource => "a host path that may be mounted",
            Self::JailPath => "a path inside the jail",
            Self::Home => "a place for a home",
            Self::Target => "a place for a `[[file]]`",
            Self::Dir => "a place for a `[[dir]]`",
            Self::MountTarget => "a place for a `[[mount]]`",
            Self::StartDir => "a place where sftp can begin",
            Self::Mode => "a mode",
            Self::Umask => "a umask",
            Self::Word(words) => words.kind,
            Self::KeyLine => "a line of authorized_keys",
            Self::Password => "`locked`, `unchanged` or a crypt(5) hash",
            Self::Content => "plain text",
            Self::Size => "a size",
            Self::SizeOrNone => "a size or 0",
            Self::Percent => "a percentage",
            Self::Cpus => "a list of processors",
            Self::Device => "a device",
            Self::ControlGroup => "a control group",
            Self::Port => "a protocol and port",
            Self::MountOption => "a mount option",
            Self::Argument => "an argument",
        }
    }

    /// The rule as a sentence, for hints and the reference.
    pub fn help(self) -> Cow<'static, str> {
        Cow::Borrowed(match self {
            Self::JailName => {
                "a jail's name is 1 to 27 characters: a-z first, then a-z, 0-9, `_` and `-`"
            }
            Self::UserName | Self::GroupName => {
                "a name is 1 to 32 characters: a-z or `_` first, then a-z, 0-9, `_` and `-`"
            }
            Self::Template => {
                "a template's name is 1 to 32 characters: a-z first, then a-z, 0-9, `_` and `-`"
            }
            Self::Binary => {
                "write a name on the host's PATH, as `ls`, or an absolute path, as `/opt/tool/bin/tool`"
            }
            Self::Package => {
                "write the name that the host's package manager uses, each as a string of its own"
            }
            Self::Root => {
                "a root is an absolute path of two components or more, of a-z, A-Z, 0-9, `.`, `_` and `-`, as `/srv/jails/arkham`; a component `%u` stands for each user"
            }
            Self::Source | Self::MountSource => {
                "write an absolute path of the host, without `.`, `..` or a `/` at the end"
            }
            Self::JailPath | Self::Home | Self::Target | Self::Dir | Self::MountTarget => {
                "write an absolute path as it is seen inside the jail, without `.`, `..` or a `/` at the end"
            }
            Self::StartDir => {
                "write a directory of the jail in a-z, A-Z, 0-9, `.`, `_`, `-` and `/`, as `/upload`"
            }
            Self::Mode => {
                "a mode is a string of octal digits without write permission for group and others, as \"0644\" or \"0750\""
            }
            Self::Umask => "a umask is a string of octal digits, as \"0027\"",
            Self::Word(words) => {
                return Cow::Owned(format!("write {}", list(words.now.iter().copied(), "or")));
            }
            Self::KeyLine => {
                "write the line of the user's .pub file: a key type, the key, a comment"
            }
            Self::Password => {
                "make a hash with `mkpasswd` or `openssl passwd -6` and put it between single quotes"
            }
            Self::Content => "text may hold newlines and tabs, but no other control characters",
            Self::Size => "a size is a number with `K`, `M`, `G` or `T`, as \"256M\"",
            Self::SizeOrNone => "write a number with `K`, `M`, `G` or `T`, as \"256M\", or \"0\"",
            Self::Cpus => "write numbers and ranges with commas between, as \"0-2,4\"",
            Self::Device => "write the path of a character device below /dev, as \"/dev/fuse\"",
            Self::ControlGroup => {
                "write its path from the top of a hierarchy, in a-z, A-Z, 0-9, `.`, `_` and `-`, as \"/customers/acme\""
            }
            Self::Percent => "a percentage is of one CPU, as \"50%\" or \"200%\"",
            Self::Port => "write `tcp/` or `udp/` and a port from 1 to 65535, as \"tcp/80\"",
            Self::MountOption => {
                "write `ro` or `rw`, `nosuid` or `suid`, `nodev` or `dev`, `noexec` or `exec`, and with tmpfs `size=64M` or `mode=1777`"
            }
            Self::Argument => {
                "an argument is text in one line without control characters; each is a string of its own"
            }
        })
    }

    /// The rule as a regular expression for editors: it lets everything through that the rule does, and stops the most common slips. Empty where the
    /// words alone say what there is, or nothing does.
    pub fn pattern(self) -> &'static str {
        match self {
            Self::JailName => "^[a-z][a-z0-9_-]{0,26}$",
            Self::UserName | Self::GroupName => "^[a-z_][a-z0-9_-]{0,31}$",
            Self::Template => "^[a-z][a-z0-9_-]{0,31}$",
            Self::Binary => "^(/[^\\n]*[^/\\n]|[A-Za-z0-9._+\\[][A-Za-z0-9._+\\[-]*)$",
            Self::Package => "^[A-Za-z0-9][A-Za-z0-9._+:-]*$",
            Self::Root => "^(/[A-Za-z0-9._%-]+){2,}$",
            Self::Source
            | Self::MountSource
            | Self::Home
            | Self::Target
            | Self::Dir
            | Self::MountTarget => "^/[^\\n]*[^/\\n]$",
            Self::JailPath => "^/([^\\n]*[^/\\n])?$",
            Self::StartDir => "^/([A-Za-z0-9._/-]*[A-Za-z0-9._-])?$",
            Self::Mode => "^0?[0-7][0145][0145]$",
            Self::Umask => "^0?[01][0-7][0-7]$",
            Self::KeyLine => "^[a-z].* AAAA",
            Self::Password => "^(locked|unchanged|\\$.+|_.{19})$",
            Self::Size => "^[0-9]+[KMGT]?$",
            Self::SizeOrNone => "^[0-9]+[KMGT]?$",
            Self::Percent => "^[0-9]+%$",
            Self::Cpus => "^[0-9]+(-[0-9]+)?(,[0-9]+(-[0-9]+)?)*$",
            Self::Device => "^/dev/[A-Za-z0-9._/-]+$",
            Self::ControlGroup => "^(/[A-Za-z0-9._-]+)+$",
            Self::Port => "^(tcp|udp)/[0-9]+$",
            Self::MountOption => "^[A-Za-z0-9_=%.-]+$",
            Self::Word(_) | Self::Content | Self::Argument => "",
        }
    }

    /// Whether a value must never be shown, not even when it is wrong.
    pub fn is_secret(self) -> bool {
        matches!(self, Self::Password | Self::KeyLine)
    }

    /// Checks `text` against the rule.
    pub fn check(self, text: &str) -> Result<(), Violation> {
        if self != Self::KeyLine {
            self.check_characters(text)?;
        }
        match self {
            Self::JailName => Ok(JailName::new(text).map(drop)?),
            Self::UserName => reserved_names::user(text),
            Self::GroupName => reserved_names::group(text),
            Self::Template => template_name(text),
            Self::Binary => binary(text),
            Self::Package => package(text),
            Self::Root => path_rules::root(text),
            Self::Source => path_rules::source(text),
            Self::MountSource => path_rules::mount_source(text),
            Self::JailPath => Ok(JailPath::new(text).map(drop)?),
            Self::Home => path_rules::home(&JailPath::new(text)?),
            Self::Target => path_rules::target(&JailPath::new(text)?),
            Self::Dir => path_rules::dir(&JailPath::new(text)?),
            Self::MountTarget => path_rules::mount_target(&JailPath::new(text)?),
            Self::StartDir => path_rules::start_dir(&JailPath::new(text)?),
            Self::Mode => mode(text).map(drop),
            Self::Umask => umask(text),
            Self::Word(words) => word(words, text),
            Self::KeyLine => authorized_keys::check(text),
            Self::Password => password::check(text),
            Self::Content => Ok(()),
            Self::Size => limits::size(text).map(drop),
            Self::SizeOrNone if text == "0" => Ok(()),
            Self::SizeOrNone => limits::size(text).map(drop),
            Self::Percent => limits::percent(text).map(drop),
            Self::Cpus => limits::cpus(text),
            Self::Device => limits::device(text),
            Self::ControlGroup => limits::control_group(text).map(drop),
            Self::Port => port(text),
            Self::MountOption => mount_option(text),
            Self::Argument => Ok(()),
        }
    }

    fn check_characters(self, text: &str) -> Result<(), Violation> {
        let lines = self == Self::Content;
        match text
            .chars()
            .find(|&c| is_hidden(c) && !(lines && (c == '\n' || c == '\t')))
        {
            None => Ok(()),
            Some(_) if self.is_secret() => Err("has a control or invisible character".into()),
            Some(c) => Err(Violation::form(format!(
                "has the {} character `{}`",
                if c.is_control() {
                    "control"
                } else {
                    "invisible"
                },
                super::display::visible(c)
            ))),
        }
    }
}

fn template_name(text: &str) -> Result<(), Violation> {
    if text.len() > 32 {
        return Err("is longer than 32 characters".into());
    }
    if !text.starts_with(|c: char| c.is_ascii_lowercase()) {
        return Err("does not start with a letter a-z".into());
    }
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '-';
    if !text.chars().all(plain) {
        return Err("has a character other than a-z, 0-9, `_` and `-`".into());
    }
    Ok(())
}

fn binary(text: &str) -> Result<(), Violation> {
    if text.starts_with('/') {
        return path_rules::binary(text);
    }
    if text.is_empty() {
        return Err("is empty".into());
    }
    if text.contains(char::is_whitespace) {
        return Err(Violation::new("has a space")
            .hint("each program is a string of its own, without arguments: [\"ls\", \"cat\"]"));
    }
    if text.contains('/') {
        return Err("is neither a name nor an absolute path".into());
    }
    if text.starts_with('-') {
        return Err("starts with `-`".into());
    }
    if text.len() > 255 {
        return Err("is longer than 255 characters".into());
    }
    let plain = |c: char| c.is_ascii_alphanumeric() || "._+-[".contains(c);
    if text == "." || text == ".." || !text.chars().all(plain) {
        return Err("has a character that names of programs do not have".into());
    }
    Ok(())
}

fn package(text: &str) -> Result<(), Violation> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._+-:".contains(c);
    if !text.starts_with(|c: char| c.is_ascii_alphanumeric()) || !text.chars().all(plain) {
        return Err("has a character that names of packages do not have".into());
    }
    if text.len() > 255 {
        return Err("is longer than 255 characters".into());
    }
    Ok(())
}

fn octal(text: &str) -> Result<u32, Violation> {
    if !(3..=4).contains(&text.len()) || !text.bytes().all(|byte| (b'0'..=b'7').contains(&byte)) {
        return Err("is not three or four octal digits".into());
    }
    u32::from_str_radix(text, 8).map_err(|_| "is not a number".into())
}

/// The permission bits that `text` says: three or four octal digits.
pub fn mode(text: &str) -> Result<u32, Violation> {
    let bits = octal(text)?;
    for (bit, why) in [
        (0o4000, "has the setuid bit"),
        (0o2000, "has the setgid bit"),
        (0o1000, "has the sticky bit"),
        (0o020, "lets the group write"),
        (0o002, "lets everybody write"),
    ] {
        if bits & bit != 0 {
            let safe = bits & 0o755;
            return Err(Violation::new(why).hint(format!("the same without: \"{safe:04o}\"")));
        }
    }
    Ok(bits)
}

/// Whether `text` is a umask under which users can still read what they bring.
fn umask(text: &str) -> Result<(), Violation> {
    if octal(text)? & 0o7600 != 0 {
        return Err(Violation::new("takes rights away from the owner, too")
            .hint("a umask says what others may not do, as \"0027\" or \"0077\""));
    }
    Ok(())
}

fn word(words: KeyWords, text: &str) -> Result<(), Violation> {
    if words.now.contains(&text) {
        return Ok(());
    }
    if words.later.contains(&text) {
        return Err(Violation::new("is not yet supported"));
    }
    let objection = Violation::form(format!(
        "is none of {}",
        list(words.now.iter().copied(), "and")
    ));
    Err(match suggest(text, words.now.iter().copied()) {
        Some(meant) => objection.hint(format!("did you mean `{}`?", quote(meant))),
        None => objection,
    })
}

fn port(text: &str) -> Result<(), Violation> {
    if !text.starts_with("tcp/") && !text.starts_with("udp/") {
        return Err("starts with neither `tcp/` nor `udp/`".into());
    }
    super::network::port(text)
        .map(drop)
        .ok_or_else(|| "has no port from 1 to 65535".into())
}

fn mount_option(text: &str) -> Result<(), Violation> {
    super::mount::option(text)
}
