//! Notes, first lines of scripts, and search paths: any bytes have a result.
#![no_main]

use std::path::Path;

use jailctl::elf::dynamic_token::{self, Tokens};
use jailctl::elf::{dlopen_note, implicit, script};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    for (little, align) in [(true, 4), (false, 4), (true, 8)] {
        assert!(dlopen_note::parse(bytes, little, align).len() <= 2048);
    }
    let line = [b"#!".as_slice(), bytes].concat();
    let script = script::parse(&line);
    assert!(script.interpreter.as_os_str().len() < 256);
    script.env_program();
    let tokens = Tokens {
        origin: Path::new("/o"),
        lib: Some("lib64"),
        platform: None,
    };
    for directory in dynamic_token::glibc_directories(bytes, &tokens).0 {
        assert!(directory.is_absolute());
    }
    if let Some(path) = dynamic_token::musl_path(bytes, Path::new("/o")) {
        for directory in dynamic_token::musl_directories(&path).0 {
            assert!(directory.is_absolute());
        }
    }
    for module in implicit::nss_modules(&String::from_utf8_lossy(bytes), &[]) {
        assert!(!module.name.contains('/'));
    }
});
