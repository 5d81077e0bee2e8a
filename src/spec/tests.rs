//! Tests of `load`: example specs, templates, and refused specs.

use std::path::PathBuf;
use std::sync::Arc;

use super::*;
use crate::span::Spanned;

mod hostile;
mod keys;
mod layers;
mod places;
mod refused;

const ARKHAM: &str = include_str!("../../jails/arkham.toml");
const ELBA: &str = include_str!("../../jails/elba.toml");
const DROPBOX: &str = include_str!("../../jails/dropbox.toml");

fn text_of(text: &str) -> Arc<SourceText> {
    Arc::new(SourceText {
        name: "test.toml".to_owned(),
        text: text.to_owned(),
    })
}

fn load_text(spec: &str) -> Result<Spec> {
    load(&text_of(spec), &BuiltIn)
}

fn values<T: std::fmt::Display>(sited: &[Spanned<T>]) -> Vec<String> {
    sited.iter().map(|sited| sited.value.to_string()).collect()
}

#[test]
fn the_specs_that_come_along_are_good() {
    let arkham = load_text(ARKHAM).expect("good");
    assert_eq!(arkham.name.value.as_str(), "arkham");
    assert_eq!(arkham.root.value, PathBuf::from("/srv/jails/arkham"));
    assert_eq!(values(&arkham.binaries), ["bash", "sh", "ls", "cat"]);
    assert_eq!(
        arkham.access.value,
        [AccessMethod::Shell, AccessMethod::Sftp]
    );
    assert_eq!(arkham.users.len(), 1);
    let harlequin = &arkham.users[0];
    assert_eq!(harlequin.name.value.as_str(), "harlequin");
    assert_eq!(harlequin.password.value, Password::Locked);
    assert_eq!(
        harlequin.shell.as_ref().expect("shell").value.as_str(),
        "/bin/bash"
    );
    assert_eq!(arkham.files.len(), 2);
    assert_eq!(arkham.files[0].span.source.name, "template shell");
    assert_eq!(arkham.files[1].span.source.name, "test.toml");

    let elba = load_text(ELBA).expect("good");
    assert_eq!(elba.users[0].home.value.as_str(), "/home/napoleon");
    assert_eq!(
        elba.users[0].shell.as_ref().expect("shell").value.as_str(),
        "/bin/bash"
    );

    let dropbox = load_text(DROPBOX).expect("good");
    assert_eq!(dropbox.access.value, [AccessMethod::Sftp]);
    assert_eq!(dropbox.users[0].shell, None);
    assert_eq!(dropbox.dirs[0].mode, 0o750);
    assert!(dropbox.binaries.is_empty());
}

#[test]
fn a_spec_may_be_one_line() {
    let spec = load_text("name = 'a'").expect("good");
    assert_eq!(spec.access.value, [AccessMethod::Sftp]);
    assert!(spec.users.is_empty());
}

#[test]
fn tests_keep_their_arguments_as_they_are() {
    let spec = load_text(
        "name='a'\nbinaries=['sh']\n[[user]]\nname='u'\n[[test]]\nrun=['sh','-c','exit 0','-c']\n[[test]]\nrun=['sh']",
    )
    .expect("good");
    let runs: Vec<_> = spec.tests.iter().map(|test| &test.value).collect();
    assert_eq!(runs, [&vec!["sh", "-c", "exit 0", "-c"], &vec!["sh"]]);
    assert_eq!(spec.tests[1].span.to_string(), "test.toml:8");
}
