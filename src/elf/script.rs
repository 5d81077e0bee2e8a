//! First line of a script, as the kernel's `fs/binfmt_script.c` reads it, and the program that
//! env(1) starts for it.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

/// Bytes of a script that the kernel reads: `BINPRM_BUF_SIZE`.
const MAX_LINE: usize = 256;

/// Parsed first line of a script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Script {
    /// Path of the interpreter; empty if the line has none.
    pub interpreter: PathBuf,
    /// Rest of the line, passed to the interpreter as one argument.
    pub argument: Option<OsString>,
    /// Whether the line is longer than the kernel reads, and so truncated inside the interpreter's
    /// name.
    pub is_truncated: bool,
}

/// A program that env(1) starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Started {
    /// Name or path of the program.
    pub name: OsString,
    /// Value of PATH that env sets before its search, if it does.
    pub path: Option<OsString>,
}

/// Parses the first line. `head` starts with `#!`.
pub fn parse(head: &[u8]) -> Script {
    let head = &head[2..head.len().min(MAX_LINE)];
    let end = head.iter().position(|byte| *byte == b'\n');
    let line = match end {
        Some(end) => &head[..end],
        // A zero byte ends the line as the end of the file does.
        None => head.split(|byte| *byte == 0).next().unwrap_or(head),
    };
    let line = trim(line);
    let split = line.iter().position(|byte| is_blank(*byte));
    let (name, rest) = line.split_at(split.unwrap_or(line.len()));
    let rest = trim(rest);
    Script {
        interpreter: PathBuf::from(OsStr::from_bytes(name)),
        argument: (!rest.is_empty()).then(|| OsString::from_vec(rest.to_vec())),
        is_truncated: end.is_none() && split.is_none() && head.len() == MAX_LINE - 2,
    }
}

impl Script {
    /// Whether the interpreter's name ends in a carriage return, as in files from other systems.
    pub fn has_carriage_return(&self) -> bool {
        self.interpreter.as_os_str().as_bytes().ends_with(b"\r")
    }

    /// Program that env(1) would start, if the interpreter is env: the first word that is neither
    /// an option nor an assignment.
    pub fn env_program(&self) -> Option<Started> {
        if self.interpreter.file_name() != Some(OsStr::new("env")) {
            return None;
        }
        let argument = self.argument.as_deref()?.as_bytes();
        // The kernel passes the rest of the line as one word, which only -S splits.
        let mut words: Vec<Vec<u8>> = vec![argument.to_vec()];
        while let Some(word) = words.pop() {
            match word.as_slice() {
                b"--" => break,
                b"--unset" | b"--chdir" | b"--argv0" => {
                    words.pop();
                }
                b"--split-string" => {
                    let nested = words.pop()?;
                    words.extend(self::words(&nested).into_iter().rev());
                }
                [b'-', b'-', rest @ ..] => {
                    if let Some(nested) = rest.strip_prefix(b"split-string=") {
                        words.extend(self::words(nested).into_iter().rev());
                    }
                }
                [b'-', letters @ ..] => {
                    // The value of the first letter that takes one is the rest of the word, or the
                    // next word.
                    let at = letters.iter().position(|letter| b"uCaS".contains(letter));
                    let Some(at) = at else { continue };
                    let mut value = letters[at + 1..].to_vec();
                    if value.is_empty() {
                        value = words.pop().unwrap_or_default();
                    }
                    if letters[at] == b'S' {
                        words.extend(self::words(&value).into_iter().rev());
                    }
                }
                _ => {
                    words.push(word);
                    break;
                }
            }
        }
        let mut path = None;
        while let Some(word) = words.pop() {
            if let Some(value) = word.strip_prefix(b"PATH=") {
                path = Some(OsString::from_vec(value.to_vec()));
            } else if !word.contains(&b'=') {
                let name = OsString::from_vec(word);
                return Some(Started { name, path });
            }
        }
        None
    }
}

/// Splits words as env -S does: blanks separate, quotes and backslashes protect.
fn words(text: &[u8]) -> Vec<Vec<u8>> {
    let mut words = Vec::new();
    let mut word: Option<Vec<u8>> = None;
    let mut quote = None;
    let mut bytes = text.iter().copied();
    while let Some(byte) = bytes.next() {
        match (quote, byte) {
            (Some(open), _) if byte == open => quote = None,
            (None, b'"' | b'\'') => {
                quote = Some(byte);
                word.get_or_insert_default();
            }
            (None, b' ' | b'\t') => words.extend(word.take()),
            (None, b'#') if word.is_none() => break,
            (open, b'\\') if open != Some(b'\'') => match bytes.next() {
                Some(b'_') if open.is_none() => words.extend(word.take()),
                Some(b'_') => word.get_or_insert_default().push(b' '),
                Some(b'c') | None => break,
                Some(next) => word.get_or_insert_default().push(next),
            },
            _ => word.get_or_insert_default().push(byte),
        }
    }
    words.extend(word);
    words
}

fn is_blank(byte: u8) -> bool {
    byte == b' ' || byte == b'\t'
}

fn trim(mut line: &[u8]) -> &[u8] {
    while let [first, rest @ ..] = line
        && is_blank(*first)
    {
        line = rest;
    }
    while let [rest @ .., last] = line
        && is_blank(*last)
    {
        line = rest;
    }
    line
}

/// Whether `name` contains a slash, and so is not searched on the path.
pub fn has_slash(name: &OsStr) -> bool {
    Path::new(name).components().count() > 1 || name.as_bytes().contains(&b'/')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(line: &str) -> Option<String> {
        parse(line.as_bytes())
            .env_program()
            .map(|started| started.name.to_string_lossy().into_owned())
    }

    #[test]
    fn the_line_is_read_as_the_kernel_does() {
        let script = parse(b"#! /bin/sh  -e x \nrest");
        assert_eq!(script.interpreter, Path::new("/bin/sh"));
        assert_eq!(script.argument.as_deref(), Some(OsStr::new("-e x")));
        assert!(parse(b"#!/bin/sh\r\n").has_carriage_return());
        assert_eq!(parse(b"#!").interpreter, Path::new(""));
        assert_eq!(parse(b"#!   \n").interpreter, Path::new(""));
        assert!(parse(&[b"#!/".as_slice(), &[b'a'; 400]].concat()).is_truncated);
        assert!(!parse(b"#!/bin/cat").is_truncated);
    }

    #[test]
    fn env_starts_the_first_word_that_is_a_program() {
        assert_eq!(env("#!/usr/bin/env python3\n").as_deref(), Some("python3"));
        assert_eq!(
            env("#!/usr/bin/env -S -i -u HOME PATH=/x perl -w\n").as_deref(),
            Some("perl")
        );
        assert_eq!(env("#!/usr/bin/env -vS 'a b' c\n").as_deref(), Some("a b"));
        assert_eq!(env("#!/usr/bin/env a b\n").as_deref(), Some("a b"));
        assert_eq!(env("#!/usr/bin/env\n"), None);
        assert_eq!(env("#!/bin/sh python\n"), None);
        assert_eq!(
            env("#!/usr/bin/env --split-string=x\\_y\n").as_deref(),
            Some("x")
        );
        for (line, program) in [
            ("-iuHOME perl", Some("perl")),
            ("-iu HOME perl", Some("perl")),
            ("-C/tmp A=1 perl", Some("perl")),
            ("-a zero --unset HOME -- perl", Some("perl")),
            ("-i -S'A=1 perl -w'", Some("perl")),
            ("--split-string 'perl -w' x", Some("perl")),
            ("- A=1 -x", Some("-x")),
            ("\"a\\_b\"", Some("a b")),
            ("# nothing", None),
            ("-u", None),
        ] {
            let line = format!("#!/usr/bin/env -S {line}\n");
            assert_eq!(env(&line).as_deref(), program, "{line}");
        }
    }
}
