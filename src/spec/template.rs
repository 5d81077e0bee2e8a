//! Templates: partial specs below a spec. The built-in templates, and the merge of layers.

use std::sync::Arc;

use super::constraint::ValueType;
use super::schema::{KeySchema, keys_of};
use super::typed_table::{Node, Table, Value};
use crate::error::Result;
use crate::span::SourceText;

/// Built-in templates by name.
const BUILT_IN: &[(&str, &str)] = &[
    ("editors", include_str!("../../templates/editors.toml")),
    ("git", include_str!("../../templates/git.toml")),
    ("network", include_str!("../../templates/network.toml")),
    ("node", include_str!("../../templates/node.toml")),
    ("perl", include_str!("../../templates/perl.toml")),
    ("php", include_str!("../../templates/php.toml")),
    ("python", include_str!("../../templates/python.toml")),
    ("rsync", include_str!("../../templates/rsync.toml")),
    ("scp", include_str!("../../templates/scp.toml")),
    ("sftp", include_str!("../../templates/sftp.toml")),
    ("shell", include_str!("../../templates/shell.toml")),
];

/// Source of templates.
pub trait Templates {
    /// The template `name`, a valid template name; `None` if it does not exist.
    ///
    /// # Errors
    /// If the template cannot be read.
    fn get(&self, name: &str) -> Result<Option<Arc<SourceText>>>;

    /// Names of all templates, sorted.
    ///
    /// # Errors
    /// If the templates cannot be listed.
    fn names(&self) -> Result<Vec<String>>;
}

/// Built-in templates.
#[derive(Clone, Copy, Debug)]
pub struct BuiltIn;

impl Templates for BuiltIn {
    fn get(&self, name: &str) -> Result<Option<Arc<SourceText>>> {
        let found = BUILT_IN.iter().find(|(known, _)| *known == name);
        Ok(found.map(|(name, text)| {
            Arc::new(SourceText {
                name: format!("template {name}"),
                text: (*text).to_owned(),
            })
        }))
    }

    fn names(&self) -> Result<Vec<String>> {
        Ok(BUILT_IN
            .iter()
            .map(|(name, _)| (*name).to_owned())
            .collect())
    }
}

/// Kind of the upper layer in a merge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Layer {
    /// Template: access that any template grants is granted.
    Template,
    /// Spec: its lists that grant access replace those of the templates.
    Spec,
}

/// Merges `upper` over `lower`: scalars replace, lists are concatenated, and elements of arrays of
/// tables replace those with the same identity (two `[[file]]` of one target). Lists that grant
/// access ([`KeySchema::replaces`]) of the spec replace those of the templates.
pub(crate) fn merge(lower: Table, upper: Table, layer: Layer) -> Table {
    merge_tables("", lower, upper, layer)
}

fn merge_tables(path: &str, mut lower: Table, mut upper: Table, layer: Layer) -> Table {
    for key in keys_of(path) {
        let merged = match (
            lower.entries.remove(key.name()),
            upper.entries.remove(key.name()),
        ) {
            (Some(below), Some(above)) => merge_nodes(key, below, above, layer),
            (Some(node), None) | (None, Some(node)) => node,
            (None, None) => continue,
        };
        upper.entries.insert(key.name(), merged);
    }
    upper
}

fn merge_nodes(key: &KeySchema, below: Node, above: Node, layer: Layer) -> Node {
    let span = above.span;
    let value = match (key.shape, below.value, above.value) {
        (_, Value::Texts(mut texts), Value::Texts(more))
            if layer == Layer::Template || !key.replaces =>
        {
            texts.list.extend(more.list);
            texts.lacks |= more.lacks;
            Value::Texts(texts)
        }
        (ValueType::Tables(identity), Value::Tables(mut tables), Value::Tables(more)) => {
            let which = |table: &Table| {
                identity
                    .iter()
                    .find_map(|key| table.text(key))
                    .map(|(text, _)| text.to_owned())
            };
            let newer: Vec<Option<String>> = more.iter().map(which).collect();
            tables.retain(|table| which(table).is_none_or(|id| !newer.contains(&Some(id))));
            tables.extend(more);
            Value::Tables(tables)
        }
        (ValueType::Table, Value::Table(below), Value::Table(above)) => {
            Value::Table(merge_tables(key.path, below, above, layer))
        }
        (_, _, above) => above,
    };
    Node { span, value }
}
