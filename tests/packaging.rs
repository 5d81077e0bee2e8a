//! What `packaging/` holds is made from the command line itself, and is as it would be made now.
//!
//! `UPDATE=1 cargo test --test packaging` writes it anew.
#![expect(
    clippy::disallowed_methods,
    reason = "the files are compared and written as they are"
)]

use std::env;
use std::fs;
use std::path::PathBuf;

use clap_complete::Shell;

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
        ("schema/spec.json", schema(schema::Of::Spec)),
        ("schema/template.json", schema(schema::Of::Template)),
    ] {
        assert!(is_fresh(file, text.as_bytes()), "{file} is stale");
    }
}

#[test]
fn completions_know_the_command_line() {
    for (shell, file) in [
        (Shell::Bash, "completions/jailctl"),
        (Shell::Zsh, "completions/_jailctl"),
        (Shell::Fish, "completions/jailctl.fish"),
    ] {
        let mut text = Vec::new();
        clap_complete::generate(shell, &mut jailctl::cli::command(), "jailctl", &mut text);
        assert!(is_fresh(file, &text), "{file} is stale");
    }
}

#[test]
fn every_verb_has_its_manual_page() {
    let mut command = jailctl::cli::command();
    command.build();
    let mut pages = 0;
    for (name, command) in std::iter::once(("jailctl".to_owned(), command.clone())).chain(
        command
            .get_subcommands()
            .map(|verb| (format!("jailctl-{}", verb.get_name()), verb.clone())),
    ) {
        let mut text = Vec::new();
        let shown = command
            .name(name.clone().leak() as &str)
            .display_name(name.clone());
        clap_mangen::Man::new(shown)
            .section("8")
            .date("")
            .manual("System administration")
            .render(&mut text)
            .expect("a page");
        assert!(
            is_fresh(&format!("man/{name}.8"), &text),
            "{name}.8 is stale"
        );
        pages += 1;
    }
    assert!(pages > 5, "only {pages} pages");
}
