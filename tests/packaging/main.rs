//! The files in `packaging/` are generated, and up to date.
//!
//! `UPDATE=1 cargo test --test packaging` writes them again.
#![expect(
    clippy::disallowed_methods,
    reason = "the files are compared and written as they are"
)]

use std::env;
use std::fs;
use std::path::PathBuf;

use jailctl::cli::command;
use jailctl::cli::generate::{Shell, completions, page, verbs};

mod ansible;

/// Compares one file, or writes it where that was asked for.
fn is_fresh(path: &str, content: &[u8]) -> bool {
    let path = PathBuf::from("packaging").join(path);
    if env::var_os("UPDATE").is_some() {
        fs::create_dir_all(path.parent().expect("a directory")).expect("a directory for it");
        fs::write(&path, content).expect("a file for it");
    }
    fs::read(&path).is_ok_and(|found| found == content)
}

#[test]
fn the_reference_and_the_schemas_are_those_of_the_table_of_keys() {
    use jailctl::show::{reference, schema};
    let schema = |of| format!("{:#}\n", schema::schema(of));
    for (file, text) in [
        ("../docs/reference.md", reference::page()),
        ("schema/spec.json", schema(schema::SchemaKind::Spec)),
        ("schema/template.json", schema(schema::SchemaKind::Template)),
    ] {
        assert!(is_fresh(file, text.as_bytes()), "{file} is stale");
    }
}

#[test]
fn the_options_of_the_ansible_modules_are_those_of_the_table_of_keys() {
    for (file, text) in [
        ("module_utils/spec_options.py", ansible::options()),
        ("doc_fragments/spec.py", ansible::documentation()),
    ] {
        let file = format!("ansible/plugins/{file}");
        assert!(is_fresh(&file, text.as_bytes()), "{file} is stale");
    }
}

#[test]
fn completions_know_the_command_line() {
    for (shell, file) in [
        (Shell::Bash, "completions/jailctl"),
        (Shell::Zsh, "completions/_jailctl"),
        (Shell::Fish, "completions/jailctl.fish"),
    ] {
        let text = completions(command(), shell);
        assert!(is_fresh(file, text.as_bytes()), "{file} is stale");
    }
}

#[test]
fn every_verb_has_its_manual_page() {
    let mut pages = 0;
    for verb in std::iter::once(None).chain(verbs(&command()).map(Some)) {
        let text = page(command(), verb.as_deref())
            .expect("a page")
            .expect("a verb");
        let name = verb.map_or_else(|| "jailctl".to_owned(), |verb| format!("jailctl-{verb}"));
        assert!(
            is_fresh(&format!("man/{name}.8"), text.as_bytes()),
            "{name}.8 is stale"
        );
        pages += 1;
    }
    assert!(pages > 5, "only {pages} pages");
}
