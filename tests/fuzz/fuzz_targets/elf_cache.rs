//! ld.so.cache: any bytes are parsed, and every path that is found is a part of them.
#![no_main]

use jailctl::elf::abi::{AARCH64, Abi, S390, X86_64};
use jailctl::elf::ldso_cache::{Cache, CacheQuery};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    for (little, machine) in [(true, X86_64), (true, AARCH64), (false, S390)] {
        let cache = Cache::parse(bytes.to_vec(), Abi::new(true, little, machine, 0));
        let query = CacheQuery {
            flags: &[0x303, 0x3],
            levels: &["x86-64-v3", "x86-64-v2"],
            legacy: Some(2),
        };
        for name in [b"libc.so.6".as_slice(), b"", b"a", b"lib00.so"] {
            if let Some(path) = cache.find(name, query) {
                let path = path.as_os_str().as_encoded_bytes();
                assert!(path.is_empty() || bytes.windows(path.len()).any(|part| part == path));
            }
        }
    }
});
