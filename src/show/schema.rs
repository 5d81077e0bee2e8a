//! JSON Schema of specs, for editors.
//!
//! The schema is necessary, not sufficient: jailctl checks more than a schema can express. Draft 7,
//! because editors for TOML support it best.

use serde_json::{Map, Value, json};

use crate::spec::constraint::{Constraint, ValueType};
use crate::spec::schema::{KeySchema, keys_of};

/// Kind of file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SchemaKind {
    /// Spec.
    Spec,
    /// Template.
    Template,
}

/// The schema.
pub fn schema(of: SchemaKind) -> Value {
    let (title, description) = match of {
        SchemaKind::Spec => ("jailctl spec", "A chroot jail for SSH and SFTP users."),
        SchemaKind::Template => (
            "jailctl template",
            "A partial spec for `templates` of other specs.",
        ),
    };
    let mut schema = json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": title,
        "description": description,
    });
    merge(&mut schema, table("", of));
    schema
}

fn merge(into: &mut Value, from: Value) {
    if let (Value::Object(into), Value::Object(from)) = (into, from) {
        into.extend(from);
    }
}

/// Schema of the table at `path`.
fn table(path: &str, of: SchemaKind) -> Value {
    let here = |key: &&KeySchema| of == SchemaKind::Spec || !key.file_only;
    let properties: Map<String, Value> = keys_of(path)
        .filter(here)
        .map(|key| (key.name().to_owned(), property(key, of)))
        .collect();
    let required: Vec<&str> = keys_of(path)
        .filter(here)
        .filter(|key| key.required)
        .map(KeySchema::name)
        .collect();
    let mut schema = json!({
        "type": "object",
        "properties": properties,
        "additionalProperties": false,
    });
    if !required.is_empty() {
        merge(&mut schema, json!({ "required": required }));
    }
    if path == "file[]" {
        let one_of = [["source"], ["content"]].map(|names| json!({ "required": names }));
        merge(&mut schema, json!({ "oneOf": one_of }));
    }
    schema
}

fn property(key: &KeySchema, of: SchemaKind) -> Value {
    let mut schema = match key.shape {
        ValueType::Table => table(key.path, of),
        ValueType::Tables(_) => json!({ "type": "array", "items": table(key.path, of) }),
        ValueType::Text(rule) => text(rule),
        ValueType::Texts(rule) => json!({ "type": "array", "items": text(rule) }),
        ValueType::Integer(from, to) => {
            json!({ "type": "integer", "minimum": from, "maximum": to })
        }
        ValueType::Boolean => json!({ "type": "boolean" }),
        ValueType::Date => json!({ "type": "string", "format": "date" }),
    };
    let mut description = key.doc.to_owned();
    if !key.default.is_empty() {
        description.push_str("; default: ");
        description.push_str(key.default);
    }
    merge(&mut schema, json!({ "description": description }));
    schema
}

fn text(rule: Constraint) -> Value {
    if let Constraint::Word(words) = rule {
        return json!({ "type": "string", "enum": words.now });
    }
    match rule.pattern() {
        "" => json!({ "type": "string" }),
        pattern => json!({ "type": "string", "pattern": pattern }),
    }
}
