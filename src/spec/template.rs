//! Templates: partial specs below a spec. Which are built in, and how layers become one.

use std::sync::Arc;

use super::constraint::ValueType;
use super::schema::{KeySchema, keys_of};
use super::typed_table::{Node, Table, Value};
use crate::error::Result;
use crate::span::SourceText;

/// The templates that are compiled in, by name.
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

/// Where the templates of a spec come from.
pub trait Templates {
    /// The template called `name`, which obeys its rule; `None` where there is none.
    fn get(&self, name: &str) -> Result<Option<Arc<SourceText>>>;

    /// The names of all there are, sorted.
    fn names(&self) -> Result<Vec<String>>;
}

/// The templates that are compiled in.
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

/// What lies on top in a merge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Layer {
    /// One more template: what any of them opens is open.
    Template,
    /// The spec itself: what it says of an opening is all that is open.
    Spec,
}

/// `upper` on top of `lower`: its scalars win, its lists follow, and of two array elements for one thing (two `[[file]]` of one target) its one stays.
/// A list that opens something ([`KeySchema::replaces`]) replaces that of the templates where the spec itself has it.
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
    let site = above.site;
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
    Node { site, value }
}
