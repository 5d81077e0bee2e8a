//! The first line of a script, as the kernel's `fs/binfmt_script.c` reads it, and what env(1) makes of it.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

/// Bytes of a script that the kernel looks at: `BINPRM_BUF_SIZE`.
const LINE: usize = 256;

/// The first line of a script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Script {
    /// The interpreter; empty where the line names none.
    pub interpreter: PathBuf,
    /// The rest of the line, given to the interpreter as one argument.
    pub argument: Option<OsString>,
    /// The line is longer than the kernel reads, and so cut inside the interpreter's name.
    pub cut: bool,
}

/// Reads the line. `head` starts with `#!`.
pub fn parse(head: &[u8]) -> Script {
    let head = &head[2..head.len().min(LINE)];
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
        cut: end.is_none() && split.is_none() && head.len() == LINE - 2,
    }
}

impl Script {
    /// Whether the line ends in a carriage return that belongs to the interpreter's name, as files from other systems have it.
    pub fn has_carriage_return(&self) -> bool {
        self.interpreter.as_os_str().as_bytes().ends_with(b"\r")
    }

    /// The program that env(1) would start, where the interpreter is env: the first word that is neither an option nor an assignment.
    pub fn env_program(&self) -> Option<OsString> {
        if self.interpreter.file_name() != Some(OsStr::new("env")) {
            return None;
        }
        let argument = self.argument.as_deref()?.as_bytes();
        let mut words: Vec<Vec<u8>> = match split_string(argument) {
            Some(text) => words(text),
            // Without -S env sees the rest of the line as one word.
            None => vec![argument.to_vec()],
        };
        words.reverse();
        while let Some(word) = words.pop() {
            match word.as_slice() {
                b"-u" | b"--unset" | b"-C" | b"--chdir" | b"-a" | b"--argv0" => {
                    words.pop();
                }
                b"-S" | b"--split-string" => {}
                option if option.starts_with(b"-") => {}
                assignment if assignment.contains(&b'=') => {}
                _ => return Some(OsString::from_vec(word)),
            }
        }
        None
    }
}

/// The text after `-S`, which may stand among other short options without arguments as in `-vS`.
fn split_string(argument: &[u8]) -> Option<&[u8]> {
    if let Some(rest) = argument.strip_prefix(b"--split-string=") {
        return Some(rest);
    }
    let letters = argument.strip_prefix(b"-")?;
    let at = letters.iter().position(|letter| *letter == b'S')?;
    letters[..at]
        .iter()
        .all(|letter| matches!(letter, b'i' | b'0' | b'v'))
        .then(|| &letters[at + 1..])
}

/// Words as env -S splits them: blanks separate, quotes and backslashes protect.
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

/// Whether `name` needs no search on the path.
pub fn has_slash(name: &OsStr) -> bool {
    Path::new(name).components().count() > 1 || name.as_bytes().contains(&b'/')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(line: &str) -> Option<String> {
        parse(line.as_bytes())
            .env_program()
            .map(|name| name.to_string_lossy().into_owned())
    }

    #[test]
    fn the_line_is_read_as_the_kernel_does() {
        let script = parse(b"#! /bin/sh  -e x \nrest");
        assert_eq!(script.interpreter, Path::new("/bin/sh"));
        assert_eq!(script.argument.as_deref(), Some(OsStr::new("-e x")));
        assert!(parse(b"#!/bin/sh\r\n").has_carriage_return());
        assert_eq!(parse(b"#!").interpreter, Path::new(""));
        assert_eq!(parse(b"#!   \n").interpreter, Path::new(""));
        assert!(parse(&[b"#!/".as_slice(), &[b'a'; 400]].concat()).cut);
        assert!(!parse(b"#!/bin/cat").cut);
    }

    #[test]
    fn env_starts_the_first_word_that_is_a_program() {
        assert_eq!(env("#!/usr/bin/env python3\n").as_deref(), Some("python3"));
        assert_eq!(
            env("#!/usr/bin/env -S PATH=/x -i -u HOME perl -w\n").as_deref(),
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
    }
}
