//! TOML text to [`Spec`]. Reports every finding at once, with its span. Files are read only through
//! [`Templates`].
//!
//! [`source()`] decodes bytes, [`load`] runs five stages: `parse` (TOML with spans), `typed_table`
//! (against [`schema`]), `template` (merge), `lower` (to the types of `types`) and `validate` (values
//! against each other).

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::error::{Error, ErrorKind, Finding, Result};
use crate::span::{SourceText, Span};

mod access;
mod authorized_keys;
pub mod constraint;
mod date;
pub mod display;
mod family;
mod findings;
mod limits;
mod lower;
mod mount;
mod network;
mod parse;
mod partial_spec;
mod password;
pub mod path_rules;
mod redact;
mod renamed;
mod reserved_names;
pub mod schema;
mod session;
mod template;
mod typed_table;
mod types;
mod validate;
mod values;
pub mod violation;
mod ways;

pub use access::{Access, AccessMethod, Login, Server, WayLimits};
pub use authorized_keys::{Fingerprint, fingerprint};
pub(crate) use parse::{Document, parse};
pub use parse::{MAX, source};
pub use renamed::rename_limits;
pub use template::{BuiltIn, Templates};
pub use types::{
    Day, DirSpec, Dlopen, Family, FileBody, FileSpec, LimitsSpec, MountSource, MountSpec,
    NetworkSpec, PackageDependencies, Password, PrivateNetwork, SessionSpec, SftpSpec, Spec, User,
};

#[cfg(test)]
mod tests;

use findings::Findings;
use template::Layer;
use typed_table::{LayerKind, Table};

/// Parses and validates the spec `source`, with its templates merged below it. [`BuiltIn`] has the
/// built-in templates. Spans refer to copies of the texts in which secrets are redacted.
///
/// # Errors
/// [`ErrorKind::Spec`] with every finding, those of `source` in the order of its lines; errors of
/// `templates`.
pub fn load(source: &Arc<SourceText>, templates: &dyn Templates) -> Result<Spec> {
    load_as(LayerKind::Spec, source, templates)
}

/// Parses a spec from the records of a jail: as [`load`], but also accepts the names that keys and
/// values had in earlier builds.
///
/// # Errors
/// As [`load`].
pub fn load_recorded(source: &Arc<SourceText>, templates: &dyn Templates) -> Result<Spec> {
    load_as(LayerKind::RecordedSpec, source, templates)
}

fn load_as(
    kind: LayerKind<'_>,
    source: &Arc<SourceText>,
    templates: &dyn Templates,
) -> Result<Spec> {
    let mut findings = Findings::default();
    let (file, mut is_complete) = layer(source, kind, &mut findings)?;
    is_complete &= !file.has_errors("templates");
    let mut below: Option<Table> = None;
    let mut seen = BTreeSet::new();
    for (name, span) in file.texts("templates") {
        if !seen.insert(name) {
            continue;
        }
        let Some(source) = template(name, span, templates, &mut findings) else {
            is_complete = false;
            continue;
        };
        let (table, complete) = layer(&source, LayerKind::Template(name), &mut findings)?;
        is_complete &= complete;
        below = Some(match below {
            Some(lower) => template::merge(lower, table, Layer::Template),
            None => table,
        });
    }
    let merged = match below {
        Some(lower) => template::merge(lower, file, Layer::Spec),
        None => file,
    };
    // A text that is not TOML, or lacks a template, is incomplete: findings about missing parts
    // would be misleading.
    if is_complete {
        let parts = lower::build(&merged, &mut findings);
        validate::check(&parts, &mut findings);
        if findings.is_empty()
            && let Some(spec) = parts.into_spec()
        {
            return Ok(spec);
        }
    }
    Err(Error {
        kind: ErrorKind::Spec,
        findings: findings.into_sorted(&source.name),
    })
}

/// Parses one text. Returns the checked table, and whether all of the text could be parsed.
fn layer(
    source: &Arc<SourceText>,
    kind: LayerKind<'_>,
    findings: &mut Findings,
) -> Result<(Table, bool)> {
    let document = parse::parse(source)?;
    let table = typed_table::check(&document, kind, findings);
    let is_complete = document.findings.is_empty();
    for finding in document.findings {
        findings.add(finding);
    }
    Ok((table, is_complete))
}

/// The template `name`, which a spec names at `span`; `None`, and a finding, if it cannot be read.
fn template(
    name: &str,
    span: &Span,
    templates: &dyn Templates,
    findings: &mut Findings,
) -> Option<Arc<SourceText>> {
    let error = match templates.get(name) {
        Ok(Some(source)) => return Some(source),
        Ok(None) => unknown_template(name, span, templates).into(),
        Err(error) => error,
    };
    for finding in error.findings {
        findings.add(match finding.span {
            None => finding.with_span(span, "named here"),
            Some(_) => finding,
        });
    }
    None
}

fn unknown_template(name: &str, span: &Span, templates: &dyn Templates) -> Finding {
    let finding = Finding::new(format!("could not find the template `{name}`"));
    // Errors of the template directory are of no interest here: the template does not exist.
    let names = templates.names().unwrap_or_default();
    let names = || names.iter().map(String::as_str);
    match display::suggest(name, names()) {
        Some(meant) => finding.with_span(span, format!("did you mean `{meant}`?")),
        None => finding.with_span(span, "").hint(format!(
            "available templates: {}",
            display::list(names(), "and")
        )),
    }
}
