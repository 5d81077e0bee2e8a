//! The attribute of tests that may be ignored at run time; see the module `harness` of the crate
//! `disposable`, which exports it.
#![forbid(unsafe_code)]

use proc_macro::{TokenStream, TokenTree};

/// Registers a function without arguments as a test of the binary, in the place of `#[test]`.
///
/// # Panics
///
/// The compiler reports a panic here as an error at the attribute: the item is not a function.
#[proc_macro_attribute]
pub fn test(_arguments: TokenStream, item: TokenStream) -> TokenStream {
    let name = item
        .clone()
        .into_iter()
        .skip_while(|token| !matches!(token, TokenTree::Ident(word) if word.to_string() == "fn"))
        .nth(1)
        .expect("`#[disposable::test]` stands before a function");
    let registration = format!(
        "::disposable::harness::submit! {{
            ::disposable::harness::Test::new(module_path!(), \"{name}\", {name})
        }}"
    );
    // The tokens of the function stay as they are, and with them the positions in messages.
    let mut tokens = item;
    tokens.extend(
        registration
            .parse::<TokenStream>()
            .expect("the registration is valid Rust"),
    );
    tokens
}
